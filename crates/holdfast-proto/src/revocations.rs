//! The list of certificates that are good no more (docs/protocol.md, section 11), as bytes. Whether its signature is the
//! authority's, and whether it is newer than another, is the link's business.

use prost::Message;

use crate::session::frame::REVOCATIONS_MAX;
use crate::session::{Result, Violation};

/// What is signed begins with this, so that no signature of the authority is good for anything else.
pub const CONTEXT: &[u8] = b"holdfast revocation list 1\0";
/// Most bytes of a certificate's number (RFC 5280, 4.1.2.2).
pub const SERIAL_MAX: usize = 20;
/// Most certificates in a list: more do not fit into [`REVOCATIONS_MAX`].
pub const ENTRIES_MAX: usize = 2_048;
const SITE_MAX: usize = 63;
const SIGNATURE_MAX: usize = 512;

/// A certificate that is good no more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its number, as it stands in it; 1 to [`SERIAL_MAX`] bytes.
    pub serial: Vec<u8>,
    /// The end of its life, in seconds since 1970: some time after it the list may drop it.
    pub not_after: u64,
}

/// What a list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Of which site.
    pub site: String,
    /// From 1; the higher replaces the lower.
    pub number: u64,
    /// When it was made, in seconds since 1970. For people.
    pub issued: u64,
    /// Ordered by serial, each once; at most [`ENTRIES_MAX`].
    pub revoked: Vec<Entry>,
}

/// A list and a signature, whosever that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    list: Vec<u8>,
    signature: Vec<u8>,
}

mod wire {
    //! As they are on the wire.
    #![allow(missing_docs, unreachable_pub)] // the page documents them
    use prost::Message;

    #[derive(Clone, PartialEq, Message)]
    pub struct SignedRevocations {
        #[prost(bytes = "vec", tag = "1")]
        pub list: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub signature: Vec<u8>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct RevocationList {
        #[prost(string, tag = "1")]
        pub site: String,
        #[prost(uint64, tag = "2")]
        pub number: u64,
        #[prost(uint64, tag = "3")]
        pub issued: u64,
        #[prost(message, repeated, tag = "4")]
        pub revoked: Vec<Revocation>,
    }

    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Revocation {
        #[prost(bytes = "vec", tag = "1")]
        pub serial: Vec<u8>,
        #[prost(uint64, tag = "2")]
        pub not_after: u64,
    }
}

impl List {
    /// The list as it is signed.
    pub fn encode(&self) -> Vec<u8> {
        let revoked = self.revoked.iter();
        wire::RevocationList {
            site: self.site.clone(),
            number: self.number,
            issued: self.issued,
            revoked: revoked
                .map(|entry| wire::Revocation { serial: entry.serial.clone(), not_after: entry.not_after })
                .collect(),
        }
        .encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let list = wire::RevocationList::decode(bytes).map_err(|_| UNREADABLE)?;
        if list.site.is_empty() || list.site.len() > SITE_MAX || list.number == 0 {
            return Err(UNREADABLE);
        }
        if list.revoked.len() > ENTRIES_MAX
            || list.revoked.iter().any(|entry| !(1..=SERIAL_MAX).contains(&entry.serial.len()))
            || !list.revoked.is_sorted_by(|one, next| one.serial < next.serial)
        {
            return Err(Violation("a revocation list whose entries cannot be meant"));
        }
        let entry = |entry: wire::Revocation| Entry { serial: entry.serial, not_after: entry.not_after };
        let revoked = list.revoked.into_iter().map(entry).collect();
        Ok(Self { site: list.site, number: list.number, issued: list.issued, revoked })
    }
}

const UNREADABLE: Violation = Violation("a revocation list that cannot be read");

impl Signed {
    /// Puts a list and its signature together.
    pub fn new(list: &List, signature: Vec<u8>) -> Self {
        Self { list: list.encode(), signature }
    }

    /// What is signed, of these bytes of a list.
    pub fn message(list: &[u8]) -> Vec<u8> {
        [CONTEXT, list].concat()
    }

    /// As hosts give it to each other; `None` if it is longer than [`REVOCATIONS_MAX`].
    pub fn encode(&self) -> Option<Vec<u8>> {
        let (list, signature) = (self.list.clone(), self.signature.clone());
        let bytes = wire::SignedRevocations { list, signature }.encode_to_vec();
        (bytes.len() <= REVOCATIONS_MAX).then_some(bytes)
    }

    /// Reads it. Nothing in it is believed yet.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > REVOCATIONS_MAX {
            return Err(UNREADABLE);
        }
        let signed = wire::SignedRevocations::decode(bytes).map_err(|_| UNREADABLE)?;
        if signed.signature.len() > SIGNATURE_MAX {
            return Err(UNREADABLE);
        }
        Ok(Self { list: signed.list, signature: signed.signature })
    }

    /// The list, if `is_good` says of what was signed and of the signature that they belong together.
    pub fn open(&self, is_good: impl FnOnce(&[u8], &[u8]) -> bool) -> Result<List> {
        if !is_good(&Self::message(&self.list), &self.signature) {
            return Err(Violation("a revocation list that the site's authority has not signed"));
        }
        List::decode(&self.list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(count: usize) -> List {
        let entry = |at: usize| Entry {
            serial: [[0x40; 8], (at as u64).to_be_bytes()].concat(),
            not_after: 2_000_000_000,
        };
        List {
            site: "lab".into(),
            number: 7,
            issued: 1_800_000_000,
            revoked: (0..count).map(entry).collect(),
        }
    }

    fn again(list: &List) -> Result<List> {
        let bytes = Signed::new(list, vec![1; 72]).encode().unwrap();
        Signed::decode(&bytes)?.open(|message, signature| {
            assert!(message.starts_with(CONTEXT));
            signature == [1; 72]
        })
    }

    #[test]
    fn a_list_comes_back_and_the_longest_one_fits() {
        for count in [0, 1, ENTRIES_MAX] {
            assert_eq!(again(&list(count)).unwrap(), list(count));
        }
    }

    #[test]
    fn what_is_not_signed_is_not_read() {
        let signed = Signed::decode(&Signed::new(&list(1), vec![1]).encode().unwrap()).unwrap();
        assert!(signed.open(|_, _| false).unwrap_err().0.contains("has not signed"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let with = |change: &dyn Fn(&mut List)| {
            let mut list = list(3);
            change(&mut list);
            again(&list).unwrap_err()
        };
        assert!(with(&|list| list.number = 0).0.contains("cannot be read"));
        assert!(with(&|list| list.site.clear()).0.contains("cannot be read"));
        assert!(with(&|list| list.revoked.swap(0, 1)).0.contains("cannot be meant"));
        assert!(with(&|list| list.revoked[1] = list.revoked[0].clone()).0.contains("cannot be meant"));
        assert!(with(&|list| list.revoked[0].serial = vec![]).0.contains("cannot be meant"));
        assert!(with(&|list| list.revoked[2].serial = vec![0x7f; 21]).0.contains("cannot be meant"));
        assert!(Signed::decode(&vec![0; REVOCATIONS_MAX + 1]).is_err());
        assert!(Signed::new(&list(3_000), vec![]).encode().is_none());
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
            let signed = Signed { list: noise.clone(), signature: vec![] };
            if let Ok(list) = signed.open(|_, _| true) {
                prop_assert_eq!(again(&list).unwrap(), list);
            }
            let _ = Signed::decode(&noise);
        }
    }
}
