//! Fuzzes the messages of enrolment and the revocation list: whatever comes is something that can be said again, or an error.
#![no_main]

use holdfast_proto::enrol::{Frame, HEADER_LENGTH, Header};
use holdfast_proto::revocations::Signed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(signed) = Signed::decode(bytes) {
        let again = signed.encode().expect("as long as it came");
        assert_eq!(Signed::decode(&again).as_ref(), Ok(&signed));
        if let Ok(list) = signed.open(|_, _| true) {
            assert_eq!(Signed::new(&list, Vec::new()).open(|_, _| true), Ok(list));
        }
    }
    let Some((head, rest)) = bytes.split_first_chunk::<HEADER_LENGTH>() else { return };
    let Ok(header) = Header::decode(*head) else { return };
    let Some(body) = rest.get(..header.length()) else { return };
    if let Ok(frame) = Frame::decode(header, body) {
        let again = frame.encode();
        let (head, body) = again.split_first_chunk::<HEADER_LENGTH>().expect("a header");
        assert_eq!(Frame::decode(Header::decode(*head).expect("a good header"), body), Ok(frame));
    }
});
