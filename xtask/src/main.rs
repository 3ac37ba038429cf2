//! Automation: `cargo xtask tidy` checks the project's rules, `cargo xtask bench` measures beside other programs,
//! `cargo xtask lab` tries to kill connections.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "these are commands: printing is what they do")]

mod bench;
mod lab;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask tidy
    Checks the project's rules: layers, forbidden names, sizes, documents. Prints what breaks them.

cargo xtask bench --corpus DIR [--corpus2 DIR] [--peers]
    Backs up and restores copies of the corpora with Holdfast, and with --peers also with each of restic, rustic, borg
    and bupstash that is on PATH. Checks every restore byte for byte. Prints a Markdown table of medians.
    --tools A,B        only these of holdfast, restic, rustic, borg, bupstash
    --steps A,B        only these of full, same, restore, changed (full is always run, the others need it)
    --runs N           runs of each step, the programs in turn (default 5)
    --work DIR         where copies, vaults and restored trees lie (default target/bench); what is made is removed
    --vault-dir DIR    vaults lie here instead, for instance on a tmpfs
    --holdfast FILE    this program, instead of a release build of this tree

    Example: cargo xtask bench --peers --corpus linux-source-6.1 --corpus2 random

cargo xtask bench --network --corpus DIR [--corpus2 DIR]
    The same over the network, with all daemons on this machine's loopback: Holdfast as a site, beside itself without daemons,
    restic over SFTP, and Bacula. Figures are of command and daemons together. What is not installed is left out.
    --tools A,B        only these of holdfast, embedded, restic, bacula
    --runs N           rounds (default 5): in each a first backup, an unchanged one and a restore, the programs in turn
    --work DIR         where all lies, as above; 4 vaults, and a restored tree of each program and round
    --restore-dir DIR  restored trees lie here instead, for instance on a tmpfs, and are removed at once
    --holdfast FILE    this program, instead of a release build of this tree

cargo xtask bench --logs
    How fast `holdfast doctor logs` reads a generated debug log on one core; a line for each run, and the median.
    --size MB          how large it is (default 1000)
    --runs N, --work DIR, --holdfast FILE    as above

cargo xtask lab [--full]
    Runs hosts as processes in network namespaces with a router between them that drops, refuses, forgets and loses, and
    prints what each case measured. Exit status 1 if one does not hold. Needs root, iproute2 and nftables.
    --full             the link's own times, and what other designs do in the same cases; else all times are a fifth
    --scale N          all times divided by N (1 to 10) instead
    --case A,B         only these; a name may end in *
    --jobs N           cases side by side (default 4)
    --list             names the cases and runs none
    --peer FILE        this program for every host, instead of building crates/holdfast-link/examples/lab_peer
    --markdown         prints the table of docs/network.md at the end

cargo xtask lab jobs [--full] [NAME]...
    Whole sites of real processes in the same network. In each phase of a job each fault: does the same job end well, with one
    image that is the source? Prints a line for each case, and the matrix; exit status 1 if one does not hold.
    --full             every phase with every fault, larger trees; else a case of each phase and of each fault that is soon over
    --case A,B         only these, as NAME; a name may end in *
    --jobs N           cases side by side (default 2)
    --list             names the cases and runs none
    --pages            prints of each job what `jobs show` and `jobs log` say
    --peer FILE        this program for every role, instead of a release build of this tree
    --work DIR         trees, vaults and what is restored lie here (default: where temporary files do)
    --markdown         prints the table of docs/reliability.md at the end

cargo xtask lab doctor
    What `holdfast doctor connect` and `doctor idle` say of a router of which it is known what it does; what `doctor keepalive`
    predicts from the client's settings, and how long its kernel takes: within 10 %.
    --runs N           each connect and idle case so often (default 1)
    --case A,B, --jobs N, --list, --peer FILE, --markdown   as above
    --holdfast FILE    this program is asked, instead of building it

cargo xtask lab soak [faults] [many] [streams]
    A site for a while: jobs one after another while faults come at random times; many clients at once, and a long history;
    streams into one media server at once. Prints figures; exit status 1 if a part does not hold.
    --jobs N, --hosts N       faults: so many jobs (default 300) of so many clients (default 4)
    --clients N, --history N  many: so many clients (default 200), so many jobs at the end (default 10000)
    --streams N               streams: so many at once (default 8)
    --seed N                  trees and faults follow from it (default 1)
    --minutes N               a part begins nothing new after so long (default 30)
    --keep                    what was made stays
    --peer FILE, --work DIR   as above
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["tidy"] => tidy::run(&root()),
        ["bench", options @ ..] => bench::run(&root(), options),
        ["lab", options @ ..] => lab::run(&root(), options),
        [bench::MEASURE, rest @ ..] => return bench::measure_child(rest),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace: the parent of this crate, wherever the command was given.
fn root() -> PathBuf {
    // Set by cargo; without it (the program started by hand) the working directory is to be the root.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("xtask"), PathBuf::from);
    let here = std::path::absolute(&here).unwrap_or(here);
    here.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
