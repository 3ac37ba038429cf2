//! Plain TCP, as programs use it: what sessions are compared with, and the strangers that an exchange must bear.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use holdfast_testkit::lab::now_ms;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::out::{self, Answer, Failure};
use super::services::serve;

/// Connections that strangers, or mute ports, hold.
const HELD_MAX: usize = 10_000;
/// Strangers that connect at the same time.
const AT_A_TIME: usize = 64;

/// Addresses in a command.
pub(crate) fn addresses(command: &Value, key: &str) -> Result<Vec<SocketAddr>, Failure> {
    let texts = command[key].as_array().into_iter().flatten();
    let parse = |text: &Value| text.as_str().and_then(|text| text.parse().ok());
    texts.map(|text| parse(text).ok_or_else(|| Failure::new(format!("{text} is no address")))).collect()
}

/// Listens and serves.
pub(crate) async fn listen(command: &Value, mute: bool) -> Answer {
    for address in addresses(command, "addresses")? {
        let listener = TcpListener::bind(address).await?;
        tokio::spawn(accept(listener, mute));
    }
    Ok(json!({}))
}

async fn accept(listener: TcpListener, mute: bool) {
    let mut held = Vec::new();
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                out::event("accepted", json!({ "from": from.to_string() }));
                if !mute {
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(serve(Box::new(stream), from.to_string()));
                } else if held.len() < HELD_MAX {
                    held.push(stream);
                }
            }
            Err(error) => out::complain(&format!("accept: {error}")),
        }
    }
}

/// Tries addresses one after another, each for so long, as the classic design does; and says what became of each.
pub(crate) async fn dial(command: &Value) -> Result<(TcpStream, Value), Failure> {
    let each = command["each_ms"].as_u64().map(Duration::from_millis);
    let began = now_ms();
    let mut tried = Vec::new();
    for address in addresses(command, "addresses")? {
        let from = now_ms();
        match connect(address, command["keepalive"].as_bool().unwrap_or(false), each).await {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                let value =
                    json!({ "took_ms": now_ms() - began, "address": address.to_string(), "tried": tried });
                return Ok((stream, value));
            }
            Err(error) => tried.push(json!({
                "address": address.to_string(),
                "error": error.to_string(),
                "errno": error.raw_os_error(),
                "took_ms": now_ms() - from,
            })),
        }
    }
    let more = json!({ "tried": tried, "took_ms": now_ms() - began });
    Err(Failure { text: "no address answered".to_owned(), errno: None, more })
}

async fn connect(address: SocketAddr, keepalive: bool, each: Option<Duration>) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // With the system's own times.
    socket.set_keepalive(keepalive)?;
    match each {
        None => socket.connect(address).await,
        Some(each) => match tokio::time::timeout(each, socket.connect(address)).await {
            Ok(connected) => connected,
            Err(_) => Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time")),
        },
    }
}

/// Opens many connections from these addresses, says nothing on them, and keeps them.
pub(crate) async fn strangers(command: &Value) -> Answer {
    let targets = addresses(command, "addresses")?;
    let from: Vec<IpAddr> = command["from"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|text| text.as_str()?.parse().ok())
        .collect();
    let count = command["count"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let count = count.min(HELD_MAX);
    let (mut held, mut failed, mut running) = (Vec::new(), 0, tokio::task::JoinSet::new());
    let began = now_ms();
    for at in 0..count {
        let Some(target) = targets.get(at % targets.len().max(1)).copied() else {
            return Err(Failure::new("strangers need an address to go to"));
        };
        let local = from.get(at % from.len().max(1)).copied();
        running.spawn(stranger(target, local));
        if running.len() >= AT_A_TIME
            && let Some(done) = running.join_next().await
        {
            keep(done.ok().and_then(Result::ok), &mut held, &mut failed);
        }
    }
    while let Some(done) = running.join_next().await {
        keep(done.ok().and_then(Result::ok), &mut held, &mut failed);
    }
    let connected = held.len();
    // Until the program ends.
    tokio::spawn(async move {
        std::future::pending::<()>().await;
        drop(held);
    });
    Ok(json!({ "connected": connected, "failed": failed, "took_ms": now_ms() - began }))
}

fn keep(stream: Option<TcpStream>, held: &mut Vec<TcpStream>, failed: &mut u64) {
    match stream {
        Some(stream) => held.push(stream),
        None => *failed += 1,
    }
}

async fn stranger(target: SocketAddr, local: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(local) = local {
        socket.bind(SocketAddr::new(local, 0))?;
    }
    let connecting = socket.connect(target);
    tokio::time::timeout(Duration::from_secs(10), connecting)
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}
