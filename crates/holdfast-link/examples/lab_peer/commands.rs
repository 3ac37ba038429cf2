//! Which command is what.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::host::Host;
use super::out::{Answer, Failure};
use super::streams::{Io, Stream};
use super::{plain, site};

/// Streams of a process at one time.
const STREAMS_MAX: usize = 10_000;

/// This process.
#[derive(Default)]
pub(crate) struct Peer {
    streams: Mutex<HashMap<String, Arc<Stream>>>,
    host: Host,
}

impl Peer {
    /// Does what a command says.
    pub(crate) async fn run(&self, command: &Value) -> Answer {
        match command["do"].as_str().unwrap_or_default() {
            "init" => site::init(command),
            "serve" => plain::listen(command, false).await,
            "mute" => plain::listen(command, true).await,
            "strangers" => plain::strangers(command).await,
            "dial" => {
                let (stream, answer) = plain::dial(command).await?;
                self.keep(command, Box::new(stream)).await?;
                Ok(answer)
            }
            "connect" => {
                let (stream, answer) = self.host.connect(command).await?;
                self.keep(command, stream).await?;
                Ok(answer)
            }
            "enough" => {
                self.stream(command)?.enough();
                Ok(json!({}))
            }
            "echo" | "send" | "expect" | "closed" => self.stream(command)?.run(command).await,
            "end" => {
                let stream = self.stream(command)?;
                self.streams.lock().remove(on(command));
                stream.run(command).await
            }
            _ => self.host.run(command).await,
        }
    }

    /// Asks for the service that the command names (`echo` if it names none) on a new stream, and keeps it.
    async fn keep(&self, command: &Value, io: Box<dyn Io>) -> Result<(), Failure> {
        let service = command["service"].as_str().unwrap_or("echo");
        let seed = service.rsplit(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let stream = Stream::open(io, service, seed).await?;
        let mut streams = self.streams.lock();
        if streams.len() >= STREAMS_MAX {
            return Err(Failure::new("this process has too many streams"));
        }
        streams.insert(on(command).to_owned(), stream);
        Ok(())
    }

    fn stream(&self, command: &Value) -> Result<Arc<Stream>, Failure> {
        let missing = || Failure::new(format!("there is no stream {:?}", on(command)));
        self.streams.lock().get(on(command)).cloned().ok_or_else(missing)
    }

    /// The input has ended: says goodbye.
    pub(crate) async fn finish(&self) {
        self.host.finish().await;
    }
}

fn on(command: &Value) -> &str {
    command["on"].as_str().unwrap_or_default()
}
