//! Two machines over a pretend link: connections that cut at any byte, stall, are noticed late, and race each other.
//! Whatever happens, the bytes that come out are those that went in, once and in order.

use std::collections::BTreeMap;

use bytes::{BufMut, BytesMut};
use holdfast_proto::session::{Attached, BootId, Class, Decoder, Frame, SessionId};
use proptest::prelude::*;

use super::*;

const BOOT: [BootId; 2] = [BootId([1; 16]), BootId([2; 16])];
const CALLER: usize = 0;
const SERVER: usize = 1;

/// Bytes on their way from one side to the other.
#[derive(Default)]
struct Pipe {
    bytes: BytesMut,
    decoder: Decoder,
    arrived: BytesMut,
}

struct Wire {
    /// From the caller, from the server.
    pipes: [Pipe; 2],
    opener: usize,
    cut: bool,
    /// Who has noticed that it is over.
    lost: [bool; 2],
}

/// The application of one side: what it writes and what it has read.
struct App {
    to_write: u64,
    written: u64,
    read: u64,
    ended: bool,
}

struct World {
    machines: [Option<Machine>; 2],
    apps: [App; 2],
    wires: BTreeMap<Connection, Wire>,
    next: u64,
}

/// The stream of a side at this position.
fn byte(side: usize, position: u64) -> u8 {
    let mixed = (position + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 + side as u64 * 2);
    (mixed >> 56) as u8
}

impl World {
    fn new(lengths: [u64; 2]) -> Self {
        let app = |to_write| App { to_write, written: 0, read: 0, ended: false };
        let caller = Machine::open(SessionId([9; 16]), Class::Bulk, "test".into());
        Self { machines: [Some(caller), None], apps: lengths.map(app), wires: BTreeMap::new(), next: 0 }
    }

    fn machine(&mut self, side: usize) -> Option<&mut Machine> {
        self.machines[side].as_mut()
    }

    fn put(&mut self, side: usize, connection: Connection, frame: &Frame) {
        if let Some(wire) = self.wires.get_mut(&connection).filter(|wire| !wire.cut) {
            frame.encode(&mut wire.pipes[side].bytes);
        }
    }

    /// A race was won: the side asks on a new connection.
    fn ask(&mut self, side: usize) {
        let connection = Connection(self.next);
        let Some(machine) = self.machines[side].as_mut().filter(|machine| machine.may_ask()) else { return };
        let Ok(attach) = machine.ask(connection, BOOT[1 - side]) else { return };
        self.next += 1;
        let wire = Wire { pipes: Default::default(), opener: side, cut: false, lost: [false; 2] };
        self.wires.insert(connection, wire);
        self.put(side, connection, &Frame::Attach(attach));
    }

    /// Some bytes of a connection arrive at the other side.
    fn deliver(&mut self, connection: Connection, from: usize, most: usize) {
        let to = 1 - from;
        let Some(wire) = self.wires.get_mut(&connection).filter(|wire| !wire.lost[to]) else { return };
        let pipe = &mut wire.pipes[from];
        let part = pipe.bytes.split_to(most.min(pipe.bytes.len()));
        pipe.arrived.put_slice(&part);
        while let Some(frame) =
            self.wires.get_mut(&connection).and_then(|wire| next_frame(&mut wire.pipes[from]))
        {
            self.arrive(connection, to, frame);
        }
    }

    fn arrive(&mut self, connection: Connection, to: usize, frame: Frame) {
        match frame {
            Frame::Attach(attach) => {
                if to == SERVER && self.machines[SERVER].is_none() {
                    self.machines[SERVER] = Some(Machine::accept(&attach, BOOT[CALLER]));
                }
                let Some(machine) = self.machine(to) else { return };
                match machine.on_attach(connection, &attach) {
                    Ok(attached) => self.put(to, connection, &Frame::Attached(attached)),
                    Err(code) => {
                        // A tombstone would say that it has finished.
                        let code = match (self.machines[to].as_ref().and_then(Machine::end), code) {
                            (Some(End::Done), Code::UnknownSession) => Code::Finished,
                            _ => code,
                        };
                        self.put(to, connection, &Frame::Refused(Close { code, text: String::new() }));
                    }
                }
            }
            Frame::Attached(attached) => self.on_attached(to, connection, attached),
            Frame::Refused(close) => {
                if let Some(machine) = self.machine(to) {
                    machine.on_refused(connection, close.code);
                }
            }
            frame => {
                if let Some(machine) = self.machine(to) {
                    machine.on_frame(connection, frame);
                }
            }
        }
        self.drop_discarded(to);
    }

    fn on_attached(&mut self, to: usize, connection: Connection, attached: Attached) {
        if let Some(machine) = self.machine(to) {
            machine.on_attached(connection, attached);
        }
    }

    fn drop_discarded(&mut self, side: usize) {
        let discarded = self.machine(side).map(Machine::take_discarded).unwrap_or_default();
        for connection in discarded {
            let close = Close { code: Code::Superseded, text: String::new() };
            self.put(side, connection, &Frame::Close(close));
            if let Some(wire) = self.wires.get_mut(&connection) {
                wire.lost[side] = true;
            }
        }
    }

    /// What the machine wants to send goes onto its connection.
    fn pump(&mut self, side: usize, most: usize, quiet: bool) {
        for _ in 0..most {
            let Some(machine) = self.machine(side) else { return };
            let Some(connection) = machine.attached() else { return };
            let Some(frame) = machine.next_frame(quiet) else { return };
            self.put(side, connection, &frame);
        }
        self.drop_discarded(side);
    }

    /// The application writes and reads.
    fn work(&mut self, side: usize, write: u64, read: usize) {
        let World { machines, apps, .. } = self;
        let Some(machine) = machines[side].as_mut() else { return };
        let app = &mut apps[side];
        let length = write.min(app.to_write - app.written);
        let bytes: Vec<u8> = (app.written..app.written + length).map(|at| byte(side, at)).collect();
        app.written += machine.write(&bytes) as u64;
        if app.written == app.to_write {
            machine.finish();
        }
        let mut out = vec![0; read];
        let count = machine.read(&mut out);
        for (at, found) in (app.read..).zip(&out[..count]) {
            assert_eq!(*found, byte(1 - side, at), "byte {at} read by {side}");
        }
        app.read += count as u64;
        app.ended |= machine.is_at_end();
        let counts = machine.counts();
        assert!(counts.kept <= WINDOW_MAX && counts.waiting <= counts.granted, "{counts:?}");
    }

    fn cut(&mut self, connection: Connection, keep: usize) {
        if let Some(wire) = self.wires.get_mut(&connection) {
            wire.cut = true;
            // Some of what was on its way still arrives.
            wire.pipes.iter_mut().for_each(|pipe| pipe.bytes.truncate(keep));
        }
    }

    fn notice(&mut self, connection: Connection, side: usize) {
        let Some(wire) = self.wires.get_mut(&connection).filter(|wire| wire.cut && !wire.lost[side]) else {
            return;
        };
        wire.lost[side] = true;
        if let Some(machine) = self.machine(side) {
            machine.on_lost(connection);
        }
    }

    fn nth(&self, at: usize) -> Option<Connection> {
        // Old ones are over for both sides.
        let living: Vec<_> = self.wires.iter().filter(|(_, wire)| wire.lost != [true; 2]).collect();
        living.get(at % living.len().max(1)).map(|(connection, _)| **connection)
    }

    /// The network is good from now on: everything must come to its end.
    fn settle(&mut self) {
        for _ in 0..20_000 {
            if self.is_done() {
                return;
            }
            for side in [CALLER, SERVER] {
                if self.machines[side].as_ref().is_some_and(Machine::needs_connection) {
                    self.ask(side);
                }
                self.work(side, 1 << 16, 1 << 16);
                self.pump(side, 8, true);
            }
            let connections: Vec<Connection> = self.wires.keys().copied().collect();
            for connection in connections {
                for side in [CALLER, SERVER] {
                    self.deliver(connection, side, usize::MAX);
                    self.notice(connection, side);
                }
                // A side that is done, or has discarded a connection, closes it; the other sees that.
                let closed = |world: &World, side: usize| {
                    world.wires[&connection].lost[side]
                        || world.machines[side].as_ref().is_some_and(|machine| machine.end().is_some())
                };
                let emptied = self.wires[&connection].pipes.iter().all(|pipe| pipe.bytes.is_empty());
                if emptied && (closed(self, CALLER) || closed(self, SERVER)) {
                    self.cut(connection, 0);
                }
            }
            self.wires.retain(|_, wire| wire.lost != [true; 2]);
        }
        let state: Vec<_> = self.machines.iter().collect();
        panic!(
            "it does not end: {state:#?} {:?}",
            self.apps.iter().map(|app| (app.written, app.read)).collect::<Vec<_>>()
        );
    }

    fn is_done(&self) -> bool {
        self.machines.iter().flatten().filter(|machine| machine.end().is_some()).count() == 2
    }
}

fn next_frame(pipe: &mut Pipe) -> Option<Frame> {
    pipe.decoder.next(&mut pipe.arrived).expect("what a machine says can be understood")
}

#[derive(Clone, Debug)]
enum Step {
    Ask(usize),
    Deliver(usize, usize, usize),
    Pump(usize, usize, bool),
    Work(usize, u64, usize),
    Cut(usize, usize),
    Notice(usize, usize),
    Windows(usize, u64, u64),
    GiveBack(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let side = 0usize..2;
    prop_oneof![
        2 => side.clone().prop_map(Step::Ask),
        8 => (0usize..4, side.clone(), prop_oneof![1usize..40, 1usize..200_000])
            .prop_map(|(wire, side, most)| Step::Deliver(wire, side, most)),
        6 => (side.clone(), 1usize..6, any::<bool>()).prop_map(|(side, most, quiet)| Step::Pump(side, most, quiet)),
        6 => (side.clone(), 0u64..150_000, 0usize..200_000)
            .prop_map(|(side, write, read)| Step::Work(side, write, read)),
        1 => (0usize..4, prop_oneof![Just(0), 0usize..100_000]).prop_map(|(wire, keep)| Step::Cut(wire, keep)),
        2 => (0usize..4, side.clone()).prop_map(|(wire, side)| Step::Notice(wire, side)),
        1 => side.clone().prop_map(Step::GiveBack),
        1 => (side, WINDOW_MIN..1 << 20, WINDOW_MIN..1 << 20)
            .prop_map(|(side, receive, send)| Step::Windows(side, receive, send)),
    ]
}

fn run(lengths: [u64; 2], steps: Vec<Step>) -> World {
    let mut world = World::new(lengths);
    for step in steps {
        match step {
            Step::Ask(side) => world.ask(side),
            Step::Deliver(wire, side, most) => {
                if let Some(connection) = world.nth(wire) {
                    world.deliver(connection, side, most);
                }
            }
            Step::Pump(side, most, quiet) => world.pump(side, most, quiet),
            Step::Work(side, write, read) => world.work(side, write, read),
            Step::Cut(wire, keep) => {
                if let Some(connection) = world.nth(wire) {
                    world.cut(connection, keep);
                }
            }
            Step::Notice(wire, side) => {
                if let Some(connection) = world.nth(wire) {
                    world.notice(connection, side);
                }
            }
            Step::GiveBack(side) => {
                if let Some(machine) = world.machine(side) {
                    machine.give_back_credit();
                }
            }
            Step::Windows(side, receive, send) => {
                if let Some(machine) = world.machine(side) {
                    machine.set_windows(receive, send);
                }
            }
        }
    }
    world.settle();
    world
}

fn check(world: &World) {
    for side in [CALLER, SERVER] {
        let (machine, app) = (world.machines[side].as_ref().unwrap(), &world.apps[side]);
        assert_eq!(machine.end(), Some(&End::Done), "of {side}");
        assert_eq!((app.written, app.read), (app.to_write, world.apps[1 - side].to_write), "of {side}");
        assert!(app.ended);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn bytes_come_out_once_and_in_order(
        lengths in [0u64..400_000, 0u64..400_000],
        steps in proptest::collection::vec(step(), 0..400),
    ) {
        check(&run(lengths, steps));
    }
}

#[test]
fn a_quiet_network_resends_nothing() {
    let world = run([3_000_000, 1_000_000], vec![Step::Ask(CALLER)]);
    check(&world);
    assert!(world.machines.iter().flatten().all(|machine| machine.counts().resent == 0));
    assert_eq!(world.next, 1, "one connection is enough");
    assert_eq!(world.machines[SERVER].as_ref().unwrap().generation(), 1);
}

#[test]
fn credit_that_is_not_used_is_given_back() {
    let mut world = World::new([10, 10]);
    world.ask(CALLER);
    world.deliver(Connection(0), CALLER, usize::MAX);
    world.deliver(Connection(0), SERVER, usize::MAX);
    world.machine(SERVER).unwrap().set_windows(8 << 20, 8 << 20);
    let tell = |world: &mut World| {
        for side in [SERVER, CALLER, SERVER, CALLER] {
            world.pump(side, 8, true);
            world.deliver(Connection(0), side, usize::MAX);
        }
    };
    tell(&mut world);
    assert_eq!(world.machine(SERVER).unwrap().counts().granted, 8 << 20);
    world.machine(CALLER).unwrap().give_back_credit();
    // The server raises its window while the return is on its way: the caller does not believe that any more.
    world.machine(SERVER).unwrap().set_windows(9 << 20, 8 << 20);
    world.pump(SERVER, 8, true);
    world.deliver(Connection(0), SERVER, usize::MAX);
    tell(&mut world);
    assert_eq!(world.machine(SERVER).unwrap().counts().granted, WINDOW_MIN);
    world.settle();
    check(&world);
}

#[test]
fn both_ask_at_once_and_one_connection_remains() {
    let mut world = World::new([10, 10]);
    world.ask(CALLER);
    world.deliver(Connection(0), CALLER, usize::MAX);
    world.deliver(Connection(0), SERVER, usize::MAX);
    for round in 0..1_000 {
        world.ask(CALLER);
        world.ask(SERVER);
        let (one, other) = (Connection(world.next - 2), Connection(world.next - 1));
        assert_eq!(world.wires[&one].opener, CALLER);
        // In every order in which the two may arrive.
        let order =
            if round % 2 == 0 { [(one, CALLER), (other, SERVER)] } else { [(other, SERVER), (one, CALLER)] };
        for (connection, side) in
            order.into_iter().chain([(one, SERVER), (other, CALLER), (one, CALLER), (other, SERVER)])
        {
            world.deliver(connection, side, usize::MAX);
        }
        let attached = [CALLER, SERVER].map(|side| world.machines[side].as_ref().unwrap().attached());
        assert!(attached[0].is_some() && attached[0] == attached[1], "{round}: {attached:?}");
        world.wires.retain(|connection, _| Some(*connection) == attached[0]);
    }
    world.settle();
    check(&world);
}

#[test]
fn another_process_ends_it() {
    let mut world = World::new([10, 10]);
    world.ask(CALLER);
    world.deliver(Connection(0), CALLER, usize::MAX);
    world.deliver(Connection(0), SERVER, usize::MAX);
    let caller = world.machine(CALLER).unwrap();
    assert_eq!(caller.ask(Connection(7), BootId([3; 16])), Err(End::PeerRestarted));
    assert_eq!(caller.end(), Some(&End::PeerRestarted));
}

/// Both ends ask at once. The caller has consumed between its own question, which wins, and its answer to the other, which
/// nobody hears: the acknowledgement in that answer is to be said again.
#[test]
fn what_was_acknowledged_on_a_connection_that_lost_is_said_again() {
    let connection = |number| Connection(number);
    let mut caller = Machine::open(SessionId([9; 16]), Class::Bulk, "test".into());
    let attach = caller.ask(connection(1), BOOT[SERVER]).unwrap();
    let mut server = Machine::accept(&attach, BOOT[CALLER]);
    let attached = server.on_attach(connection(1), &attach).unwrap();
    caller.on_attached(connection(1), attached);
    assert_eq!(server.write(&[7; 60_000]), 60_000);
    while let Some(frame) = server.next_frame(false) {
        caller.on_frame(connection(1), frame);
    }
    caller.on_lost(connection(1));
    server.on_lost(connection(1));

    let asked = caller.ask(connection(2), BOOT[SERVER]).unwrap();
    assert_eq!(caller.read(&mut [0; 60_000]), 60_000);
    let offer = server.ask(connection(3), BOOT[CALLER]).unwrap();
    let unheard = caller.on_attach(connection(3), &offer).unwrap();
    assert_eq!((unheard.window.consumed, server.counts().kept), (60_000, 60_000));
    let granted = server.on_attach(connection(2), &asked).unwrap();
    caller.on_attached(connection(2), granted);
    assert_eq!((caller.attached(), server.attached()), (Some(connection(2)), Some(connection(2))));
    let ack = caller.next_frame(false).expect("an acknowledgement");
    server.on_frame(connection(2), ack);
    assert_eq!((server.counts().kept, server.end()), (0, None));
}
