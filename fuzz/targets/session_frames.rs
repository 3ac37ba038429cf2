//! Fuzzes the frames of the session protocol: whatever comes is a frame that can be said again, or an error.
#![no_main]

use bytes::BytesMut;
use holdfast_proto::session::Decoder;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (mut decoder, mut buffer) = (Decoder::default(), BytesMut::from(bytes));
    while let Ok(Some(frame)) = decoder.next(&mut buffer) {
        let mut again = BytesMut::new();
        frame.encode(&mut again);
        assert_eq!(Decoder::default().next(&mut again), Ok(Some(frame)));
    }
});
