//! A host of the lab (`cargo xtask lab`): a real process with real sockets that does what lines of JSON on its standard
//! input say, and answers with lines of JSON. Ends when its input ends. Not part of the product.
//!
//! `{"id":1,"do":"NAME",...}` is answered by `{"id":1,"ms":...,...}`, with `"error"` if it failed; `ms` is when. What is
//! done may take its time: commands run side by side, those on one stream in turn. Streams are named by `on`.
//!
//! | do | with | what |
//! |---|---|---|
//! | serve | addresses | plain TCP: serves what callers ask for ([`services`]) |
//! | mute | addresses | plain TCP: accepts and never says a word |
//! | dial | on, addresses, each_ms, service, keepalive | plain TCP: tries them one after another, each so long |
//! | strangers | addresses, from, count | opens connections that never say a word |
//! | start | site, host, role, listen, scale ... | this process becomes a host with sessions ([`host`]) |
//! | routes, connect, park, status, hold_heartbeats, drain | | what such a host does ([`host`]) |
//! | init | directory, site, hosts | makes an authority and credentials of hosts ([`site`]) |
//! | echo | on, bytes, within_ms | sends bytes and waits for them to come back |
//! | send | on, bytes or until `enough`, rate | sends a pattern; the sink says what came of it |
//! | enough | on | ends such a sending |
//! | expect | on, bytes | receives a pattern of a source |
//! | closed | on | waits for the stream's end, and says how it ended |
//! | end | on | ends the stream and forgets it |

mod commands;
mod host;
mod out;
mod pattern;
mod plain;
mod services;
mod site;
mod streams;

use std::io::BufRead;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;

use commands::Peer;

/// Commands that wait to be begun.
const COMMANDS_MAX: usize = 1_000;
/// A line of commands.
const LINE_MAX: u64 = 1 << 20;

fn main() -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            runtime.block_on(run());
            ExitCode::SUCCESS
        }
        Err(error) => {
            out::complain(&format!("no runtime: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() {
    let (sender, mut commands) = mpsc::channel(COMMANDS_MAX);
    // Reading standard input cannot be waited for otherwise without a thread.
    std::thread::spawn(move || read_commands(&sender));
    let peer = Arc::new(Peer::default());
    out::event("ready", serde_json::json!({}));
    while let Some(command) = commands.recv().await {
        let peer = Arc::clone(&peer);
        tokio::spawn(async move {
            let id = command["id"].clone();
            out::answer(&id, peer.run(&command).await);
        });
    }
    peer.finish().await;
}

fn read_commands(sender: &mpsc::Sender<Value>) {
    use std::io::Read;
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = Vec::new();
        match input.by_ref().take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(length) if length > 0 => {}
            _ => return,
        }
        match serde_json::from_slice(&line) {
            Ok(command) => {
                if sender.blocking_send(command).is_err() {
                    return;
                }
            }
            Err(error) => out::complain(&format!("no command: {error}")),
        }
    }
}
