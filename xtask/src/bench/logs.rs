//! How fast `holdfast doctor logs` reads: a debug log of a busy server is written, and read by the program alone on one core.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use holdfast_testkit::Random;

use super::files::Scratch;
use super::measure::Task;

/// What is to be measured.
struct Options {
    megabytes: u64,
    runs: usize,
    work: PathBuf,
    holdfast: Option<PathBuf>,
}

impl Options {
    fn parse(words: &[&str], work: &Path) -> Result<Self> {
        let mut options = Self { megabytes: 1000, runs: 5, work: work.to_owned(), holdfast: None };
        let mut rest = words.iter().filter(|word| **word != "--logs");
        while let Some(word) = rest.next() {
            let value = *rest.next().with_context(|| format!("{word} needs a value"))?;
            match *word {
                "--size" => options.megabytes = value.parse().context("--size takes a number of MB")?,
                "--runs" => options.runs = value.parse().context("--runs takes a number")?,
                "--work" => options.work = std::path::absolute(value)?,
                "--holdfast" => options.holdfast = Some(std::path::absolute(value)?),
                other => bail!("unknown option {other}; `cargo xtask help` lists them"),
            }
        }
        ensure!(options.runs > 0 && options.megabytes > 0, "--runs and --size are to be at least 1");
        Ok(options)
    }
}

/// Measures, and prints a line for each run.
pub(super) fn run(root: &Path, words: &[&str], default_work: &Path) -> Result<()> {
    let options = Options::parse(words, default_work)?;
    let holdfast = options.holdfast.clone().map_or_else(|| super::build(root), Ok)?;
    let work = Scratch::create(&options.work)?;
    let dir = work.path().join("media1/bpbrm");
    std::fs::create_dir_all(&dir)?;
    let file = dir.join("log.060311");
    let bytes = write(&file, options.megabytes * 1_000_000)?;
    let (program, folder) =
        (holdfast.display().to_string(), work.path().join("media1").display().to_string());
    let mut speeds = Vec::new();
    for run in 0..options.runs {
        let task = Task::new("taskset", &["-c", "1", &program, "doctor", "logs", &folder]);
        let sample = task.measure(&work.path().join("log"))?;
        #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
        let megabytes = bytes as f64 / 1e6;
        let speed = megabytes / sample.wall_seconds;
        println!(
            "run {}: {megabytes:.0} MB in {:.2} s: {speed:.0} MB/s, peak {:.0} MiB",
            run + 1,
            sample.wall_seconds,
            sample.peak_mib
        );
        speeds.push(speed);
    }
    speeds.sort_by(f64::total_cmp);
    println!("median {:.0} MB/s", speeds.get(speeds.len() / 2).copied().unwrap_or(0.0));
    Ok(())
}

/// A day of a server with 40 threads: mostly lines that say nothing of connections; every 25th line is one that is looked at.
fn write(path: &Path, size: u64) -> Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let mut random = Random::new(1);
    let (mut bytes, mut number) = (0_u64, 0_u64);
    // So many lines that all of them fall on one day.
    let lines = size / 110;
    while bytes < size {
        let ms = number.saturating_mul(86_399_000) / lines.max(1);
        let ms = ms.min(86_399_999);
        let thread = random.below(40);
        let text = line(number, random.below(1000));
        let head = format!(
            "{:02}:{:02}:{:02}.{:03} [{}.{}] <2> ",
            ms / 3_600_000,
            ms / 60_000 % 60,
            ms / 1000 % 60,
            ms % 1000,
            4000 + thread,
            9000 + thread
        );
        bytes += (head.len() + text.len() + 1) as u64;
        writeln!(out, "{head}{text}")?;
        number += 1;
    }
    out.flush()?;
    Ok(bytes)
}

fn line(number: u64, random: u64) -> String {
    let port = 1024 + random;
    match number % 100 {
        0 => "vnet_async_connect: ... 0: connect in progress: 1 0x00000001".to_owned(),
        25 => format!(
            "logconnections: BPCD CONNECT FROM 10.20.0.1.{port} TO 10.20.7.7.13724 fd = {}",
            random % 90
        ),
        50 => format!(
            "[jobid={number} parentid={number}] bpbrm main: the job goes on, status is {}",
            random % 3
        ),
        75 => format!("bpbrm write_file_names: errno = {}, which is none", random % 5),
        other => format!(
            "bpbrm db_FLISTsend: sent entry {number} of directory {random}, flag {other}, to the catalog of files"
        ),
    }
}
