//! What a host of the lab serves on a stream. The caller says which with the first line of the stream:
//! `echo`, `sink SEED`, `hold MS SEED` (reads nothing for so long, then is a sink) or `source BYTES SEED`.

use std::time::Duration;

use holdfast_testkit::lab::now_ms;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::out;
use super::pattern::Pattern;
use super::streams::{Io, let_pass};

const LINE_MAX: usize = 128;
pub(crate) const PIECE: usize = 64 << 10;
/// Steps of 100 ms of which the bytes are counted: 50 minutes.
const STEPS_MAX: usize = 30_000;
const STEP_MS: f64 = 100.0;

/// Serves a stream to its end, and tells how it ended if that was badly.
pub(crate) async fn serve(mut stream: Box<dyn Io>, from: String) {
    let (service, result) = match first_line(&mut stream).await {
        Ok(line) => {
            let result = serve_line(&mut stream, &line).await;
            (line, result)
        }
        Err(error) => (String::new(), Err(error)),
    };
    let error = result.err().map(|error| error.to_string());
    out::event("served", json!({ "from": from, "service": service, "error": error }));
}

async fn first_line(stream: &mut Box<dyn Io>) -> std::io::Result<String> {
    let mut line = Vec::new();
    while line.len() < LINE_MAX {
        match stream.read_u8().await? {
            b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
            byte => line.push(byte),
        }
    }
    Err(std::io::Error::other("no service was named"))
}

async fn serve_line(stream: &mut Box<dyn Io>, line: &str) -> std::io::Result<()> {
    let words: Vec<&str> = line.split(' ').collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    match words.first().copied() {
        Some("echo") => echo(stream).await,
        Some("sink") => sink(stream, number(1)).await,
        Some("hold") => {
            let_pass(Duration::from_millis(number(1))).await;
            out::event("reading", json!({}));
            sink(stream, number(2)).await
        }
        Some("source") => source(stream, number(1), number(2)).await,
        _ => Err(std::io::Error::other(format!("there is no service {line:?}"))),
    }
}

async fn echo(stream: &mut Box<dyn Io>) -> std::io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return stream.shutdown().await;
        }
        stream.write_all(&buffer[..length]).await?;
        stream.flush().await?;
    }
}

async fn sink(stream: &mut Box<dyn Io>, seed: u64) -> std::io::Result<()> {
    let verdict = receive(stream, seed, u64::MAX).await?;
    stream.write_all(format!("{verdict}\n").as_bytes()).await?;
    stream.shutdown().await
}

async fn source(stream: &mut Box<dyn Io>, bytes: u64, seed: u64) -> std::io::Result<()> {
    let mut pattern = Pattern::new(seed);
    let mut buffer = vec![0; PIECE];
    while pattern.at() < bytes {
        let length = usize::try_from(bytes - pattern.at()).unwrap_or(PIECE).min(PIECE);
        pattern.fill(&mut buffer[..length]);
        stream.write_all(&buffer[..length]).await?;
    }
    stream.shutdown().await
}

/// Receives a pattern up to its end, or so many bytes, and says what came: how many bytes, the first that was wrong, and
/// how many in each tenth of a second from `first_ms` on.
pub(crate) async fn receive(stream: &mut Box<dyn Io>, seed: u64, bytes: u64) -> std::io::Result<Value> {
    let mut pattern = Pattern::new(seed);
    let mut buffer = vec![0; PIECE];
    let (first_ms, mut steps, mut wrong) = (now_ms(), Vec::<u64>::new(), None);
    while pattern.at() < bytes {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            break;
        }
        wrong = wrong.or(pattern.check(&buffer[..length]).err());
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let step = ((now_ms() - first_ms) / STEP_MS) as usize;
        let step = step.min(STEPS_MAX - 1);
        if step >= steps.len() {
            steps.resize(step + 1, 0);
        }
        steps[step] += length as u64;
    }
    Ok(
        json!({ "bytes": pattern.at(), "wrong": wrong, "first_ms": first_ms, "last_ms": now_ms(), "steps": steps }),
    )
}
