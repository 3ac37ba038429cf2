//! A pretend network for tests, on tokio's virtual clock: hosts with addresses, byte streams between them, and faults. What
//! is held back is not lost: as with TCP it arrives later, or the connection breaks.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

use super::stream::{Accepted, AnyStream, Listener, Network, Step, Stream};

/// Bytes that are under way in one direction: what a socket's buffers hold.
const CAPACITY: usize = 256 << 10;

/// All hosts.
#[derive(Clone, Default)]
pub(super) struct Sim(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    listeners: HashMap<SocketAddr, mpsc::UnboundedSender<Accepted>>,
    wires: Vec<(IpAddr, IpAddr, Weak<Mutex<Wire>>)>,
    names: HashMap<String, Vec<SocketAddr>>,
    silent: HashSet<SocketAddr>,
    /// Nothing goes from the first to the second.
    holes: HashSet<(IpAddr, IpAddr)>,
    next_port: u16,
    dialled: usize,
}

/// A connection: what goes from the dialler, and what goes to him.
struct Wire {
    ways: [Way; 2],
    broken: bool,
}

#[derive(Default)]
struct Way {
    bytes: VecDeque<u8>,
    held: bool,
    ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Way {
    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}

impl Sim {
    /// The network as the host with this address sees it.
    pub(super) fn host(&self, ip: &str) -> Arc<dyn Network> {
        Arc::new(At { sim: self.clone(), ip: ip.parse().unwrap() })
    }

    fn each_wire(
        &self,
        between: impl Fn(IpAddr, IpAddr) -> bool,
        mut act: impl FnMut(&mut Wire, IpAddr, IpAddr),
    ) {
        let wires = {
            let mut world = self.0.lock();
            world.wires.retain(|(_, _, wire)| wire.strong_count() > 0);
            world.wires.clone()
        };
        for (from, to, wire) in wires.into_iter().filter(|(from, to, _)| between(*from, *to)) {
            if let Some(wire) = wire.upgrade() {
                act(&mut wire.lock(), from, to);
            }
        }
    }

    /// Breaks all connections, as a reset does; what is under way is lost.
    pub(super) fn cut(&self) {
        self.each_wire(
            |_, _| true,
            |wire, _, _| {
                wire.broken = true;
                wire.ways.iter_mut().for_each(Way::wake);
            },
        );
    }

    /// Connections that there are go dead without a word, as when a firewall forgets them. New ones work.
    pub(super) fn forget(&self) {
        self.each_wire(|_, _| true, |wire, _, _| wire.ways.iter_mut().for_each(|way| way.held = true));
    }

    /// Nothing goes from one to the other any more, or again.
    pub(super) fn hole(&self, from: &str, to: &str, held: bool) {
        let (from, to): (IpAddr, IpAddr) = (from.parse().unwrap(), to.parse().unwrap());
        let mut world = self.0.lock();
        if held {
            world.holes.insert((from, to))
        } else {
            world.holes.remove(&(from, to))
        };
        drop(world);
        self.each_wire(
            |_, _| true,
            |wire, dialler, listener| {
                for (way, ends) in wire.ways.iter_mut().zip([(dialler, listener), (listener, dialler)]) {
                    if ends == (from, to) {
                        way.held = held;
                        way.wake();
                    }
                }
            },
        );
    }

    /// The cable between two hosts is cut, or whole again.
    pub(super) fn cable(&self, one: &str, other: &str, cut: bool) {
        self.hole(one, other, cut);
        self.hole(other, one, cut);
    }

    /// What is sent to this address is dropped silently.
    pub(super) fn silence(&self, at: SocketAddr, silent: bool) {
        let mut world = self.0.lock();
        if silent {
            world.silent.insert(at)
        } else {
            world.silent.remove(&at)
        };
    }

    /// Connections that were dialled so far, in vain or not.
    pub(super) fn dialled(&self) -> usize {
        self.0.lock().dialled
    }

    pub(super) fn name(&self, name: &str, addresses: &[SocketAddr]) {
        self.0.lock().names.insert(name.to_owned(), addresses.to_vec());
    }
}

struct At {
    sim: Sim,
    ip: IpAddr,
}

impl Network for At {
    fn dial(&self, to: SocketAddr) -> Step<'_, io::Result<AnyStream>> {
        Box::pin(async move {
            loop {
                {
                    let mut world = self.sim.0.lock();
                    world.dialled += 1;
                    let holes = world.holes.contains(&(self.ip, to.ip()))
                        || world.holes.contains(&(to.ip(), self.ip));
                    if !holes && !world.silent.contains(&to) {
                        return world.connect(self.ip, to);
                    }
                }
                // TCP asks again every second.
                super::clock::after(std::time::Duration::from_secs(1)).await;
            }
        })
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let mut world = self.sim.0.lock();
        let local = SocketAddr::new(self.ip, at.port());
        let (sender, accepted) = mpsc::unbounded_channel();
        world.listeners.insert(local, sender);
        Ok(Box::new(Server { local, accepted: tokio::sync::Mutex::new(accepted) }))
    }

    fn resolve<'a>(&'a self, name: &'a str, _: u16) -> Step<'a, io::Result<Vec<SocketAddr>>> {
        let found = self.sim.0.lock().names.get(name).cloned();
        Box::pin(async move { found.ok_or_else(|| io::Error::other("no such name")) })
    }
}

impl World {
    fn connect(&mut self, from: IpAddr, to: SocketAddr) -> io::Result<AnyStream> {
        let listener = self.listeners.get(&to).ok_or(io::ErrorKind::ConnectionRefused)?;
        self.next_port += 1;
        let near = SocketAddr::new(from, 40_000 + self.next_port % 20_000);
        let wire = Arc::new(Mutex::new(Wire { ways: Default::default(), broken: false }));
        self.wires.push((from, to.ip(), Arc::downgrade(&wire)));
        let end = |side: usize, local: SocketAddr| End { wire: Arc::clone(&wire), side, local };
        let accepted = Accepted { stream: Box::new(end(1, to)), from: near };
        if listener.send(accepted).is_err() {
            self.listeners.remove(&to);
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        Ok(Box::new(end(0, near)))
    }
}

struct Server {
    local: SocketAddr,
    accepted: tokio::sync::Mutex<mpsc::UnboundedReceiver<Accepted>>,
}

impl Listener for Server {
    fn accept(&self) -> Step<'_, io::Result<Accepted>> {
        Box::pin(async move {
            let accepted = self.accepted.lock().await.recv().await;
            accepted.ok_or_else(|| io::Error::other("the world has ended"))
        })
    }

    fn local(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

/// One end of a connection. It writes the way of its side, and reads the other.
struct End {
    wire: Arc<Mutex<Wire>>,
    side: usize,
    local: SocketAddr,
}

impl Stream for End {
    fn local(&self) -> Option<SocketAddr> {
        Some(self.local)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut wire = self.wire.lock();
        // What was written before still arrives.
        wire.ways[self.side].ended = true;
        wire.ways.iter_mut().for_each(Way::wake);
    }
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.wire.lock();
        if wire.broken {
            return Poll::Ready(Err(reset()));
        }
        let way = &mut wire.ways[1 - self.side];
        if way.held || (way.bytes.is_empty() && !way.ended) {
            way.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = way.bytes.len().min(out.remaining());
        let (first, second) = way.bytes.as_slices();
        let from_first = count.min(first.len());
        out.put_slice(&first[..from_first]);
        out.put_slice(&second[..count - from_first]);
        way.bytes.drain(..count);
        if let Some(writer) = way.writer.take() {
            writer.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.wire.lock();
        // Who writes to an end that is gone is told so.
        if wire.broken || (wire.ways[1 - self.side].ended && !wire.ways[self.side].held) {
            return Poll::Ready(Err(reset()));
        }
        let way = &mut wire.ways[self.side];
        let count = bytes.len().min(CAPACITY - way.bytes.len().min(CAPACITY));
        if count == 0 {
            way.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        way.bytes.extend(&bytes[..count]);
        if let Some(reader) = way.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.wire.lock();
        wire.ways[self.side].ended = true;
        wire.ways[self.side].wake();
        Poll::Ready(Ok(()))
    }
}
