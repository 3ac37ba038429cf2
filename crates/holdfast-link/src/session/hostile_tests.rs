//! A peer that breaks the protocol in each way that its page names (docs/protocol.md, section 7): the session ends, and the
//! error says how. Nothing is guessed.

use bytes::{Bytes, BytesMut};
use holdfast_proto::session::{Attached, BootId, Class, Decoder, Frame, Hello, Opener, SessionId, Window};
use proptest::prelude::*;

use super::*;

const PEER: BootId = BootId([2; 16]);
const HERE: Connection = Connection(1);

fn window() -> Window {
    Window { received: 0, consumed: 0, limit: 1_000, returns: 0 }
}

/// A caller's machine that has sent 10 bytes on its first connection.
fn attached() -> Machine {
    let mut machine = Machine::open(SessionId([1; 16]), Class::Control, String::new());
    machine.ask(HERE, PEER).unwrap();
    machine.on_attached(HERE, Attached { generation: 1, window: window(), statement: 0 });
    assert_eq!(machine.write(b"ten bytes."), 10);
    while machine.next_frame(true).is_some() {}
    assert_eq!((machine.attached(), machine.end()), (Some(HERE), None));
    machine
}

#[track_caller]
fn check(frames: Vec<Frame>, expected: &str) {
    let mut machine = attached();
    let last = frames.len() - 1;
    for (at, frame) in frames.into_iter().enumerate() {
        assert_eq!(machine.end(), None, "before frame {at} of {last}");
        machine.on_frame(HERE, frame);
    }
    ended(&machine, expected);
}

#[track_caller]
fn ended(machine: &Machine, expected: &str) {
    match machine.end() {
        Some(End::Violation(what)) => assert!(what.contains(expected), "{what}"),
        other => panic!("{other:?}, not a violation that says {expected:?}"),
    }
    assert_eq!(machine.attached(), None);
}

fn data(length: usize) -> Frame {
    Frame::Data(Bytes::from(vec![0; length]))
}

fn ack(consumed: u64, limit: u64, returns: u64) -> Frame {
    Frame::Ack { consumed, limit, returns }
}

#[test]
fn data_and_its_end() {
    let full = || vec![data(32 << 10), data(32 << 10)];
    check([full(), vec![data(1)]].concat(), "beyond the limit");
    check(vec![data(5), Frame::Fin(4)], "not where the data end");
    check(vec![data(5), Frame::Fin(6)], "not where the data end");
    check(vec![Frame::Fin(0), Frame::Fin(1)], "two ends");
    check(vec![Frame::Fin(0), data(1)], "after the end");
}

#[test]
fn acknowledgements() {
    check(vec![ack(11, 1_000, 0)], "not sent");
    check(vec![ack(5, 1_000, 0), ack(4, 1_000, 0)], "goes back");
    check(vec![ack(0, 999, 0)], "goes back");
    check(vec![ack(0, 1_000, 1)], "more returns");
    // The end was not said: its number cannot have been consumed.
    check(vec![ack(11, 2_000, 0)], "not sent");
}

#[test]
fn returns_of_credit() {
    check(vec![data(100), Frame::Return { returns: 1, limit: 99 }], "a return of credit");
    check(vec![Frame::Return { returns: 1, limit: WINDOW_MIN + 1 }], "a return of credit");
    // After it the old limit counts no more.
    check(
        vec![data(60_000), Frame::Return { returns: 1, limit: 60_000 }, data(5_000), data(64 << 10)],
        "beyond",
    );
}

#[test]
fn frames_that_have_no_place() {
    let hello = Hello {
        versions: vec![1],
        boot_id: PEER,
        channel_binding: [0; 32],
        addresses: Vec::new(),
        program: String::new(),
        revocations: 0,
    };
    check(vec![Frame::Hello(hello)], "no place");
    check(vec![Frame::Attached(Attached { generation: 2, window: window(), statement: 0 })], "no place");
}

fn offer(received: u64, consumed: u64) -> Attach {
    Attach {
        session: SessionId([1; 16]),
        resume: Some(BootId([9; 16])),
        opener: Opener::Server(2),
        class: Class::Control,
        label: String::new(),
        window: Window { received, consumed, ..window() },
    }
}

#[test]
fn offsets_of_a_new_connection() {
    let mut machine = attached();
    assert_eq!(machine.on_attach(Connection(2), &offer(11, 0)), Err(Code::Violation));
    ended(&machine, "received bytes that were not sent");
    let mut machine = attached();
    machine.on_frame(HERE, ack(5, 1_000, 0));
    assert_eq!(machine.on_attach(Connection(2), &offer(4, 4)), Err(Code::Violation));
    ended(&machine, "lost bytes that it had consumed");
}

#[test]
fn generations_of_the_wrong_side() {
    let mut machine = attached();
    let attach = Attach { opener: Opener::Caller(1), ..offer(10, 0) };
    assert_eq!(machine.on_attach(Connection(2), &attach), Err(Code::Violation));
    ended(&machine, "may not grant");

    let attach = Attach { resume: None, opener: Opener::Caller(1), ..offer(0, 0) };
    let mut server = Machine::accept(&attach, PEER);
    server.on_attach(HERE, &attach).unwrap();
    server.ask(Connection(2), PEER).unwrap();
    server.on_attached(Connection(2), Attached { generation: 7, window: window(), statement: 2 });
    ended(&server, "another offer");
}

#[test]
fn an_offer_that_is_old_is_no_violation_and_changes_nothing() {
    let mut machine = attached();
    let old = Attach { opener: Opener::Server(1), ..offer(10, 0) };
    assert_eq!(machine.on_attach(Connection(2), &old), Err(Code::Superseded));
    assert_eq!((machine.attached(), machine.end()), (Some(HERE), None));
}

#[test]
fn frames_of_another_connection_are_not_looked_at() {
    let mut machine = attached();
    machine.on_frame(Connection(2), data(10));
    machine.on_frame(Connection(2), ack(99, 0, 7));
    assert_eq!((machine.counts().received, machine.end()), (0, None));
}

/// Bytes of a peer as they come off a connection: frames that are nearly right, and noise.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let number = || prop_oneof![0u64..200, 130_000u64..132_000, any::<u64>()];
    let frame = prop_oneof![
        (1usize..70_000).prop_map(|length| data(length.min(64 << 10))),
        (number(), number(), 0u64..3).prop_map(|(consumed, limit, returns)| ack(consumed, limit, returns)),
        (0u64..3, number()).prop_map(|(returns, limit)| Frame::Return { returns, limit }),
        number().prop_map(Frame::Fin),
        number().prop_map(Frame::Ping),
    ];
    let framed = proptest::collection::vec(frame, 0..20).prop_map(|frames| {
        let mut bytes = BytesMut::new();
        frames.iter().for_each(|frame| frame.encode(&mut bytes));
        bytes.to_vec()
    });
    prop_oneof![4 => framed, 1 => proptest::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    /// Whatever a peer sends, it is taken or it ends the session; what is kept stays within what was granted.
    #[test]
    fn nothing_that_comes_does_harm(bytes in anything()) {
        let mut machine = attached();
        let (mut decoder, mut buffer) = (Decoder::default(), BytesMut::from(bytes.as_slice()));
        while let Ok(Some(frame)) = decoder.next(&mut buffer) {
            machine.on_frame(HERE, frame);
            let counts = machine.counts();
            prop_assert!(counts.waiting <= WINDOW_MIN && counts.kept <= 10, "{counts:?}");
            machine.read(&mut [0; 1000]);
            while machine.next_frame(true).is_some() {}
        }
    }
}
