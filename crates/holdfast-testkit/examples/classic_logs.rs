//! Writes the generated logs of docs/doctor-logs.md below a directory: `late-socket`, `lost-control`, `lost-control-early`.

#![allow(clippy::print_stderr, reason = "this is a command: printing is what it does")]

use std::path::Path;
use std::process::ExitCode;

use holdfast_testkit::classic_logs::Scenario;

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1) else {
        eprintln!("usage: cargo run -p holdfast-testkit --example classic_logs -- DIR");
        return ExitCode::FAILURE;
    };
    for (name, scenario) in [
        ("late-socket", Scenario::late_socket()),
        ("lost-control", Scenario::lost_control(false)),
        ("lost-control-early", Scenario::lost_control(true)),
    ] {
        if let Err(error) = scenario.write(&Path::new(&dir).join(name)) {
            eprintln!("{}: {error}", Path::new(&dir).display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
