//! A host with sessions: what the product's `Link` does, by command.

use serde_json::Value;

use super::out::{Answer, Failure};
use super::streams::Io;

/// The host, once it has started.
#[derive(Default)]
pub(crate) struct Host {}

impl Host {
    pub(crate) async fn connect(&self, _command: &Value) -> Result<(Box<dyn Io>, Value), Failure> {
        Err(Failure::new("sessions are not built yet"))
    }

    pub(crate) async fn run(&self, command: &Value) -> Answer {
        Err(Failure::new(format!("there is no command {}", command["do"])))
    }

    pub(crate) async fn finish(&self) {}
}
