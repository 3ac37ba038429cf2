//! The whole layer between processes on a pretend network, on a virtual clock: whatever happens to connections, what is
//! read is what was written, once and in order, or both ends know why not.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use holdfast_proto::revocations::Entry;
use holdfast_proto::session::Class;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use holdfast_proto::session::Code;

use super::*;
use crate::identity::credentials::HostKey;
use crate::identity::revocation;
use crate::identity::{Authority, Credentials, Revoked, Role};
use crate::net::Me;
use crate::net::clock::after;
use crate::net::sim::Sim;
use crate::session::machine::End;

const CLIENT: &str = "192.0.2.1";
const SERVER: &str = "192.0.2.2";
const PORT: u16 = 7556;

fn second(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn server_at(port: u16) -> SocketAddr {
    format!("{SERVER}:{port}").parse().unwrap()
}

struct Lab {
    sim: Sim,
    authority: Authority,
    settings: Settings,
    surroundings: watch::Sender<u64>,
}

fn identity(role: Role, host: &str) -> Identity {
    Identity::new("lab", role, host).unwrap()
}

fn web1() -> Identity {
    identity(Role::Client, "web1")
}

fn store1() -> Identity {
    identity(Role::Media, "store1")
}

impl Lab {
    fn new() -> Self {
        let authority = Authority::create("lab", SystemTime::now()).unwrap();
        let (surroundings, _) = watch::channel(0);
        Self { sim: Sim::default(), authority, settings: Settings::default(), surroundings }
    }

    /// A process of a host.
    fn start(&self, identity: &Identity, ip: &str) -> Link {
        let key = HostKey::generate().unwrap();
        let certificate =
            self.authority.certify(&key.request().unwrap(), identity, SystemTime::now()).unwrap();
        let credentials = Credentials::new(key, certificate, self.authority.certificate().clone()).unwrap();
        let me = Me::new(Arc::new(credentials), Revoked::default(), "test".into()).unwrap();
        Link::start(me, self.sim.host(ip), self.settings.clone(), self.surroundings.subscribe())
    }

    /// A process that takes part in the exchange of revocation lists.
    fn sharing(&self, identity: &Identity, ip: &str) -> (Link, Arc<Revocations>) {
        let link = self.start(identity, ip);
        let me = link.process.me();
        let list = Revocations::open("lab", self.authority.certificate(), None, &me.revoked).unwrap();
        let list = Arc::new(list);
        link.share(Arc::clone(&list));
        (link, list)
    }

    /// A list of revoked certificates.
    fn list(&self, number: u64, serials: &[Vec<u8>]) -> bytes::Bytes {
        let entry = |serial: &Vec<u8>| Entry { serial: serial.clone(), not_after: 32_503_680_000 };
        revocation::sign(&self.authority, number, serials.iter().map(entry), SystemTime::now()).unwrap()
    }

    fn client(&self) -> Link {
        self.start(&web1(), CLIENT)
    }

    async fn server(&self) -> Link {
        let link = self.start(&store1(), SERVER);
        link.listen(server_at(PORT)).await.unwrap();
        link
    }

    /// A client and a server that it knows, and a session between them.
    async fn pair(&self) -> (Link, Link, Session, Session) {
        let (client, server) = (self.client(), self.server().await);
        client.set_places(&store1(), vec![Place::Address(server_at(PORT))]);
        let here = client.connect(&store1(), Class::Bulk, "test").await.unwrap();
        let there = server.incoming().await.unwrap();
        (client, server, here, there)
    }
}

/// The byte of a stream at this position.
fn byte(position: u64) -> u8 {
    (position.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// Writes a stream of this length in odd pieces, and ends it.
async fn write_all(session: &mut (impl tokio::io::AsyncWrite + Unpin), length: u64) {
    let mut at = 0;
    while at < length {
        let piece = (1 + at % 70_001).min(length - at);
        let bytes: Vec<u8> = (at..at + piece).map(byte).collect();
        session.write_all(&bytes).await.unwrap();
        at += piece;
    }
    session.shutdown().await.unwrap();
}

/// Reads a stream to its end; how long it was. Every byte is checked.
async fn read_all(session: &mut (impl tokio::io::AsyncRead + Unpin)) -> u64 {
    let (mut at, mut buffer) = (0, vec![0; 50_000]);
    loop {
        let count = session.read(&mut buffer).await.unwrap();
        for (offset, found) in buffer[..count].iter().enumerate() {
            assert_eq!(*found, byte(at + offset as u64), "at {}", at + offset as u64);
        }
        at += count as u64;
        if count == 0 {
            return at;
        }
    }
}

/// Sends this many bytes both ways at once, to the ends.
async fn both_ways(here: Session, there: Session, length: u64) {
    let (mut here_read, mut here_write) = tokio::io::split(here);
    let (mut there_read, mut there_write) = tokio::io::split(there);
    let (_, _, up, down) = tokio::join!(
        write_all(&mut here_write, length),
        write_all(&mut there_write, length / 2),
        read_all(&mut there_read),
        read_all(&mut here_read),
    );
    assert_eq!((up, down), (length, length / 2));
}

#[tokio::test(start_paused = true)]
async fn bytes_go_both_ways_and_nothing_is_left_behind() {
    let lab = Lab::new();
    let (client, server, here, there) = lab.pair().await;
    assert_eq!((here.peer(), there.peer()), (&store1(), &web1()));
    assert_eq!((there.label(), there.id()), ("test", here.id()));
    let (watched, other) = (here.watch(), there.watch());
    both_ways(here, there, 5_000_000).await;
    assert_eq!((watched.ended().await, other.ended().await), (End::Done, End::Done));
    assert!(client.status().is_empty() && server.status().is_empty());
    assert_eq!(watched.status().counts.resent, 0);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_any_length_below_the_limit_is_survived() {
    for outage in [5, 90, 20 * 60, 3 * 3600, 23 * 3600] {
        let lab = Lab::new();
        let (_client, _server, here, there) = lab.pair().await;
        let watched = here.watch();
        let trouble = async {
            after(Duration::from_millis(1)).await;
            lab.sim.cable(CLIENT, SERVER, true);
            after(second(outage)).await;
            lab.sim.cable(CLIENT, SERVER, false);
        };
        let begun = Instant::now();
        tokio::join!(trouble, both_ways(here, there, 3_000_000));
        let late = begun.elapsed().saturating_sub(second(outage));
        assert!(late < second(35), "{outage} s: back after {late:?}");
        assert_eq!(watched.end(), Some(End::Done));
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_beyond_the_limit_ends_the_session_at_both_ends() {
    let lab = Lab::new();
    let (_client, _server, mut here, mut there) = lab.pair().await;
    lab.sim.cable(CLIENT, SERVER, true);
    let (near, far) = tokio::join!(here.read_u8(), there.read_u8());
    for error in [near.unwrap_err(), far.unwrap_err()] {
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");
    }
    assert_eq!((here.end(), there.end()), (Some(End::OutageLimit), Some(End::OutageLimit)));
}

#[tokio::test(start_paused = true)]
async fn cuts_at_any_time_lose_nothing_and_repeat_nothing() {
    let lab = Lab::new();
    let (_client, _server, here, there) = lab.pair().await;
    let watched = here.watch();
    let cuts = async {
        for number in 1u64.. {
            while !watched.status().connected {
                after(Duration::from_millis(10)).await;
            }
            // No time passes while bytes move: what is counted are turns.
            for _ in 0..number * 37 % 23 {
                tokio::task::yield_now().await;
            }
            lab.sim.cut();
        }
    };
    tokio::select! {
        () = cuts => unreachable!(),
        () = both_ways(here, there, 60_000_000) => {}
    }
    assert_eq!(watched.ended().await, End::Done);
    let connections = watched.status().history.connections();
    assert!(connections > 20, "{connections} connections");
}

#[tokio::test(start_paused = true)]
async fn a_firewall_that_forgets_is_noticed_by_heartbeats_and_a_replacement_found() {
    let lab = Lab::new();
    let (_client, _server, mut here, mut there) = lab.pair().await;
    after(second(3600)).await;
    assert_eq!(here.status().history.connections(), 1, "an idle session keeps its connection");
    lab.sim.forget();
    let begun = Instant::now();
    here.write_all(b"finished").await.unwrap();
    let mut read = [0; 8];
    there.read_exact(&mut read).await.unwrap();
    assert!(begun.elapsed() <= second(35), "{:?}", begun.elapsed());
    assert_eq!((&read, here.status().history.connections()), (b"finished", 2));
}

#[tokio::test(start_paused = true)]
async fn a_path_that_is_dead_one_way_is_noticed_at_both_ends() {
    for (from, to) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
        let lab = Lab::new();
        let (_client, _server, mut here, mut there) = lab.pair().await;
        lab.sim.hole(from, to, true);
        after(second(36)).await;
        assert!(!here.status().connected && !there.status().connected, "{from} to {to}");
        lab.sim.hole(from, to, false);
        here.write_all(b"x").await.unwrap();
        assert_eq!(there.read_u8().await.unwrap(), b'x');
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_restarts_ends_its_sessions_by_name() {
    let lab = Lab::new();
    let (_client, server, mut here, there) = lab.pair().await;
    // Killed: it says nothing any more, and its connections break.
    std::mem::forget(there);
    server.kill();
    lab.sim.cut();
    after(second(20)).await;
    assert!(here.end().is_none(), "it may come back");
    let _again = lab.server().await;
    let begun = Instant::now();
    let error = here.read_u8().await.unwrap_err();
    assert_eq!(here.end(), Some(End::PeerRestarted), "{error}");
    assert!(begun.elapsed() <= second(2), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_stops_says_goodbye() {
    let lab = Lab::new();
    let (_client, server, mut here, _there) = lab.pair().await;
    let begun = Instant::now();
    server.drain(second(1)).await;
    let error = here.read_u8().await.unwrap_err();
    assert_eq!(here.end(), Some(End::PeerStopped), "{error}");
    assert!(begun.elapsed() < second(5), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_drains_lets_finish_what_is_open() {
    let lab = Lab::new();
    let (client, server, here, there) = lab.pair().await;
    let (_, _, refused) = tokio::join!(server.drain(second(60)), both_ways(here, there, 1_000_000), async {
        tokio::task::yield_now().await;
        client.connect(&store1(), Class::Control, "late").await
    });
    assert!(matches!(refused, Err(ConnectError::Refused { code: Code::Draining, .. })), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn an_application_that_does_not_read_is_waited_for() {
    let lab = Lab::new();
    let (_client, _server, here, there) = lab.pair().await;
    let watched = here.watch();
    let (mut here_read, mut here_write) = tokio::io::split(here);
    let writing = tokio::spawn(async move {
        write_all(&mut here_write, 30_000_000).await;
        read_all(&mut here_read).await
    });
    let mut there = there;
    let mut first = [0; 1_000];
    there.read_exact(&mut first).await.unwrap();
    after(second(600)).await;
    let status = watched.status();
    assert_eq!(status.history.connections(), 1);
    assert!(status.counts.kept <= 16 << 20, "{:?}", status.counts);
    let mut rest = vec![0; 30_000_000 - 1_000];
    there.read_exact(&mut rest).await.unwrap();
    assert!(rest.iter().zip(1_000..).all(|(found, at)| *found == byte(at)));
    there.shutdown().await.unwrap();
    assert_eq!(writing.await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_can_only_dial_is_reached_over_what_it_has_parked() {
    let lab = Lab::new();
    let (client, server) = (lab.client(), lab.server().await);
    client.set_places(&store1(), vec![Place::Address(server_at(PORT))]);
    client.park_at(&store1());
    after(second(300)).await;
    assert_eq!(server.parked_by(&web1()), 2);
    let mut calling = server.connect(&web1(), Class::Control, "call").await.unwrap();
    let mut called = client.incoming().await.unwrap();
    calling.write_all(b"?").await.unwrap();
    assert_eq!(called.read_u8().await.unwrap(), b'?');
    after(second(1)).await;
    assert_eq!(server.parked_by(&web1()), 2, "what was used is replaced");
    lab.sim.cut();
    called.write_all(b"!").await.unwrap();
    assert_eq!(calling.read_u8().await.unwrap(), b'!');
}

#[tokio::test(start_paused = true)]
async fn calls_to_a_host_that_parks_find_the_next_connection_that_it_parks() {
    let lab = Lab::new();
    let (client, server) = (lab.client(), lab.server().await);
    client.set_places(&store1(), vec![Place::Address(server_at(PORT))]);
    client.park_at(&store1());
    after(second(1)).await;
    let mut sessions = Vec::new();
    for number in 0..8 {
        let begun = Instant::now();
        sessions.push(server.connect(&web1(), Class::Control, "call").await.unwrap());
        sessions.push(client.incoming().await.unwrap());
        assert!(begun.elapsed() < second(1), "call {number}: {:?}", begun.elapsed());
    }
    // Those that are parked go dead without a word: the next call tries them, and finds one that was parked since.
    lab.sim.forget();
    after(second(31)).await;
    server.connect(&web1(), Class::Control, "call").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_change_of_thesurroundings_makes_connections_prove_that_they_live() {
    let lab = Lab::new();
    let (_client, _server, here, there) = lab.pair().await;
    for (dead, connections) in [(false, 1), (true, 2)] {
        if dead {
            lab.sim.forget();
        }
        lab.surroundings.send_modify(|count| *count += 1);
        after(second(4)).await;
        let status = here.status();
        assert_eq!((status.history.connections(), status.connected), (connections, true), "{dead}");
        // It began when the connection fell silent, not when it was given up.
        let lasted = status.history.outages().last().and_then(|outage| outage.lasted);
        assert_eq!(lasted.is_some_and(|lasted| lasted >= second(2)), dead, "{lasted:?}");
    }
    drop(there);
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_asks_again_every_second_and_not_more_often() {
    let lab = Lab::new();
    let (client, server, here, there) = lab.pair().await;
    server.process.drain();
    let waiting = client.open(&store1(), Class::Control, "late").unwrap();
    let before = lab.sim.dialled();
    after(second(30)).await;
    let dialled = lab.sim.dialled() - before;
    assert!((25..=35).contains(&dialled), "{dialled} in 30 s");
    assert!(waiting.end().is_none());
    drop((here, there));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_opened_by_a_process_that_stops() {
    let lab = Lab::new();
    let (client, _server, here, _there) = lab.pair().await;
    drop(here);
    client.drain(second(1)).await;
    let error = client.open(&store1(), Class::Control, "x").unwrap_err();
    assert!(matches!(error, ConnectError::Over(End::Stopped)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_port_costs_a_moment_once() {
    let lab = Lab::new();
    let (client, server) = (lab.client(), lab.server().await);
    server.listen(server_at(443)).await.unwrap();
    lab.sim.silence(server_at(PORT), true);
    client.set_places(&store1(), [PORT, 443].map(|port| Place::Address(server_at(port))).to_vec());
    let mut times = Vec::new();
    for _ in 0..21 {
        let begun = Instant::now();
        let session = client.connect(&store1(), Class::Control, "x").await.unwrap();
        times.push(begun.elapsed());
        drop(session);
        drop(server.incoming().await);
    }
    assert!(times[0] <= Duration::from_millis(300), "{times:?}");
    assert!(times[1..].iter().all(|time| *time <= Duration::from_millis(5)), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_race_tells_what_became_of_each_route() {
    let lab = Lab::new();
    let (client, _server) = (lab.client(), lab.server().await);
    lab.sim.silence(server_at(1), true);
    lab.sim.name("store1.example.org", &[server_at(2)]);
    let places = ["192.0.2.2:1", "store1.example.org", "nobody.example.org", "192.0.2.3:9"];
    client.set_places(&store1(), places.iter().map(|place| place.parse().unwrap()).collect());
    let error = client.connect(&store1(), Class::Control, "x").await.unwrap_err().to_string();
    for part in [
        "no route to holdfast://lab/media/store1",
        "192.0.2.2:1 no answer in 5.0 s: dropped silently",
        "192.0.2.2:2 refused after 0.0 s",
        "nobody.example.org:7556 has no address: no such name",
        "192.0.2.3:9 refused",
    ] {
        assert!(error.contains(part), "{part:?} is not in {error}");
    }
    let nowhere = client.connect(&identity(Role::Media, "store2"), Class::Control, "x").await.unwrap_err();
    assert!(nowhere.to_string().contains("none is known"), "{nowhere}");
}

#[tokio::test(start_paused = true)]
async fn both_may_dial_and_one_connection_remains() {
    let lab = Lab::new();
    let client = lab.client();
    let at: SocketAddr = format!("{CLIENT}:{PORT}").parse().unwrap();
    client.listen(at).await.unwrap();
    let server = lab.server().await;
    client.set_places(&store1(), vec![Place::Address(server_at(PORT))]);
    let mut here = client.connect(&store1(), Class::Control, "x").await.unwrap();
    let mut there = server.incoming().await.unwrap();
    for round in 0..1_000u32 {
        // The server has learned where the client listens. It waits for a second before it dials: so does the client here.
        lab.sim.cable(CLIENT, SERVER, true);
        lab.sim.cut();
        after(Duration::from_millis(u64::from(900 + round % 200))).await;
        lab.sim.cable(CLIENT, SERVER, false);
        here.write_u32(round).await.unwrap();
        let read =
            timeout(second(60), there.read_u32()).await.unwrap_or_else(|_| panic!("stuck in round {round}"));
        assert_eq!(read.unwrap(), round);
        there.write_u32(!round).await.unwrap();
        assert_eq!(here.read_u32().await.unwrap(), !round);
    }
    assert!(here.status().connected && there.status().connected);
    assert_eq!(here.status().generation, there.status().generation);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_reaches_hosts_and_cuts_sessions() {
    let lab = Lab::new();
    let ((client, client_list), (server, server_list)) =
        (lab.sharing(&web1(), CLIENT), lab.sharing(&store1(), SERVER));
    server.listen(server_at(PORT)).await.unwrap();
    client.set_places(&store1(), vec![Place::Address(server_at(PORT))]);
    let mut here = client.connect(&store1(), Class::Control, "x").await.unwrap();
    let mut there = server.incoming().await.unwrap();

    // Somebody else is revoked: the list goes from host to host, and nothing else happens.
    server_list.accept(&lab.list(1, &[vec![9; 16]])).unwrap();
    let mut number = client_list.revoked().changes();
    number.wait_for(|number| *number == 1).await.unwrap();
    here.write_all(b"x").await.unwrap();
    assert_eq!(there.read_u8().await.unwrap(), b'x');

    // The client is: the server ends the session, and the client is not let in again.
    let serial = client.process.me().credentials.facts().serial.clone();
    server_list.accept(&lab.list(2, &[vec![9; 16], serial])).unwrap();
    assert_eq!(there.ended().await, End::Revoked);
    let error = here.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{error}");
    let error = client.connect(&store1(), Class::Control, "x").await.unwrap_err();
    assert!(error.to_string().contains("revoked"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_the_authority_has_not_signed_ends_the_session_that_it_came_on() {
    let lab = Lab::new();
    let ((client, client_list), (server, _)) = (lab.sharing(&web1(), CLIENT), lab.sharing(&store1(), SERVER));
    server.listen(server_at(PORT)).await.unwrap();
    client.set_places(&store1(), vec![Place::Address(server_at(PORT))]);
    let here = client.connect(&store1(), Class::Control, "x").await.unwrap();
    let there = server.incoming().await.unwrap();
    // This host has been made to believe another authority's list.
    let forged = Lab::new();
    let (_, other) = forged.sharing(&web1(), "192.0.2.9");
    other.accept(&forged.list(7, &[vec![1; 16]])).unwrap();
    client.process.set_revocations(other);
    assert!(matches!(there.ended().await, End::Violation(_)));
    assert!(matches!(here.ended().await, End::Violation(_)));
    drop(client_list);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_is_heard_and_what_was_written_to_its_end_still_arrives() {
    let lab = Lab::new();
    let (client, server, here, mut there) = lab.pair().await;
    drop(here);
    let error = there.read_u8().await.unwrap_err();
    assert!(matches!(there.end(), Some(End::AbortedByPeer(_))), "{error}");

    let mut here = client.connect(&store1(), Class::Bulk, "test").await.unwrap();
    let mut there = server.incoming().await.unwrap();
    write_all(&mut here, 60_000).await;
    drop(here);
    assert_eq!(read_all(&mut there).await, 60_000);
}

#[tokio::test(start_paused = true)]
async fn memory_is_given_back_when_nothing_moves() {
    let lab = Lab::new();
    let (client, server, here, there) = lab.pair().await;
    let (mut here, mut there) = (here, there);
    let moved = tokio::spawn(async move {
        let mut all = vec![0; 20_000_000];
        there.read_exact(&mut all).await.unwrap();
        there
    });
    here.write_all(&vec![7; 20_000_000]).await.unwrap();
    let there = moved.await.unwrap();
    after(second(30)).await;
    for link in [&client, &server] {
        assert_eq!(link.lent(), 0, "{:?} {:?}", here.status().counts, there.status().counts);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_written_waits_for_a_reader_who_comes_late() {
    let lab = Lab::new();
    let (_client, _server, mut here, mut there) = lab.pair().await;
    write_all(&mut here, 60_000).await;
    drop(here);
    after(second(600)).await;
    let mut read = vec![0; 50_000];
    there.read_exact(&mut read).await.unwrap();
    // The last words come later than the bytes were taken, and that is no reason to give up either.
    after(second(4)).await;
    let mut rest = Vec::new();
    there.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest.len(), 10_000);
    there.shutdown().await.unwrap();
    assert_eq!(there.ended().await, End::Done);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_attached_nowhere_goes_to_the_process_that_answers() {
    let mut lab = Lab::new();
    lab.settings.outage_limit = second(3_600);
    let (client, server, mut here, _there) = lab.pair().await;
    server.process.drain();
    // Refused, and so attached to nothing, by a process that the hello has shown.
    let waiting = client.open(&store1(), Class::Control, "waiting").unwrap();
    after(second(5)).await;
    server.kill();
    lab.sim.cut();
    let again = lab.server().await;
    let _ = here.read_u8().await.unwrap_err();
    let there = again.incoming().await.unwrap();
    assert_eq!((there.label(), waiting.end()), ("waiting", None));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_comes_when_it_is_not_wanted_any_more_replaces_nothing() {
    let lab = Lab::new();
    let (client, server, here, there) = lab.pair().await;
    let (core, boot) = (here.core(), server.process.me().boot);
    assert!(matches!(core.ask(client.process.next_connection(), boot), Ok(None)));
    assert_eq!(here.status().history.connections(), 1);
    both_ways(here, there, 100_000).await;
}
