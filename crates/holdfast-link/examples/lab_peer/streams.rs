//! The streams that this host has opened, and what is done on them. A plain TCP connection or a session: it is all one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holdfast_testkit::lab::now_ms;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;

use super::out::{Answer, Failure};
use super::pattern::Pattern;
use super::services::{PIECE, receive};

/// An ordered stream of bytes.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// How long anything on a stream may take, if the command does not say.
const WITHIN: Duration = Duration::from_secs(1_200);
/// A verdict of a sink.
const VERDICT_MAX: u64 = 4 << 20;

/// A stream with a name.
pub(crate) struct Stream {
    io: Mutex<Box<dyn Io>>,
    seed: u64,
    enough: AtomicBool,
}

impl Stream {
    /// Asks for a service on a new stream.
    pub(crate) async fn open(mut io: Box<dyn Io>, service: &str, seed: u64) -> std::io::Result<Arc<Self>> {
        io.write_all(format!("{service}\n").as_bytes()).await?;
        io.flush().await?;
        Ok(Arc::new(Self { io: Mutex::new(io), seed, enough: AtomicBool::new(false) }))
    }

    /// Ends a sending that has no end of its own.
    pub(crate) fn enough(&self) {
        self.enough.store(true, Ordering::Relaxed);
    }

    /// Does what a command says, within its time.
    pub(crate) async fn run(&self, command: &Value) -> Answer {
        let within = command["within_ms"].as_u64().map_or(WITHIN, Duration::from_millis);
        let began = now_ms();
        let mut io = self.io.lock().await;
        let work = async {
            match command["do"].as_str() {
                Some("echo") => echo(&mut io, command["bytes"].as_u64().unwrap_or(16), self.seed).await,
                Some("send") => self.send(&mut io, command).await,
                Some("expect") => {
                    Ok(receive(&mut io, self.seed, command["bytes"].as_u64().unwrap_or(u64::MAX)).await?)
                }
                Some("closed") => closed(&mut io).await,
                Some("end") => Ok(io.shutdown().await.map(|()| json!({}))?),
                _ => Err(Failure::new("no such thing can be done on a stream")),
            }
        };
        let timed = tokio::time::timeout(within, work).await;
        let mut answer = match timed {
            Ok(answer) => answer,
            Err(_) => Err(Failure::new(format!("not done in {:.1} s", within.as_secs_f64()))),
        };
        match &mut answer {
            Ok(value) => value["took_ms"] = (now_ms() - began).into(),
            Err(failure) => failure.more = json!({ "took_ms": now_ms() - began }),
        }
        answer
    }

    async fn send(&self, io: &mut Box<dyn Io>, command: &Value) -> Answer {
        let bytes = command["bytes"].as_u64().unwrap_or(u64::MAX);
        let mut pace = Pace::new(command["rate"].as_u64());
        let mut pattern = Pattern::new(self.seed);
        let mut buffer = vec![0; PIECE];
        while pattern.at() < bytes && !self.enough.load(Ordering::Relaxed) {
            let length = usize::try_from(bytes - pattern.at()).unwrap_or(PIECE).min(PIECE);
            pattern.fill(&mut buffer[..length]);
            io.write_all(&buffer[..length]).await?;
            pace.keep(length).await;
        }
        io.shutdown().await?;
        let sent_ms = now_ms();
        let mut verdict = Vec::new();
        io.take(VERDICT_MAX).read_to_end(&mut verdict).await?;
        let verdict: Value = serde_json::from_slice(&verdict)
            .map_err(|error| Failure::new(format!("the sink's verdict cannot be read: {error}")))?;
        Ok(json!({ "bytes": pattern.at(), "sent_ms": sent_ms, "verdict": verdict }))
    }
}

/// Sends no faster than a rate.
struct Pace {
    rate: Option<u64>,
    ahead: u64,
    ticks: tokio::time::Interval,
}

impl Pace {
    const TICK: Duration = Duration::from_millis(10);

    fn new(rate: Option<u64>) -> Self {
        let mut ticks = tokio::time::interval(Self::TICK);
        // After an outage what was missed is not made up for.
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self { rate, ahead: 0, ticks }
    }

    async fn keep(&mut self, sent: usize) {
        let Some(rate) = self.rate else { return };
        self.ahead += sent as u64;
        let tick = (rate / 100).max(1);
        while self.ahead >= tick {
            self.ticks.tick().await;
            self.ahead -= tick;
        }
    }
}

async fn echo(io: &mut Box<dyn Io>, bytes: u64, seed: u64) -> Answer {
    let length = usize::try_from(bytes).unwrap_or(0).min(PIECE);
    let mut sent = vec![0; length];
    Pattern::new(seed ^ now_ms().to_bits()).fill(&mut sent);
    io.write_all(&sent).await?;
    io.flush().await?;
    let mut back = vec![0; length];
    io.read_exact(&mut back).await?;
    if back == sent { Ok(json!({})) } else { Err(Failure::new("other bytes came back")) }
}

async fn closed(io: &mut Box<dyn Io>) -> Answer {
    let mut buffer = [0; 1024];
    let mut bytes = 0;
    loop {
        match io.read(&mut buffer).await {
            Ok(0) => return Ok(json!({ "end": "clean", "bytes": bytes })),
            Ok(length) => bytes += length,
            Err(error) => {
                return Ok(
                    json!({ "end": error.to_string(), "errno": error.raw_os_error(), "bytes": bytes }),
                );
            }
        }
    }
}

/// Waits so long: a service that is slow on purpose.
pub(crate) async fn let_pass(time: Duration) {
    // Nothing else can end it.
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}
