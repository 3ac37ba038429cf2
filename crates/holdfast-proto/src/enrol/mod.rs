//! Enrolment and renewal (docs/protocol.md, section 10): one request, one answer, each a frame of a type, a length and a
//! message. Here they are encoded, decoded and bounded; who may have what is the link's business.

mod wire;

use prost::Message;
use zeroize::Zeroizing;

use crate::session::{Result, Violation};

/// The name of the protocol in TLS (ALPN, RFC 7301).
pub const ALPN: &[u8] = b"holdfast-enrol/1";
/// The label of the TLS exporter output that binds a request to its connection.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-holdfast-enrol";
/// Most bytes of a frame's body.
pub const BODY_MAX: usize = 16 << 10;
/// Bytes before the body.
pub const HEADER_LENGTH: usize = 4;
/// Most bytes of a request for a certificate, and of a certificate.
pub const DER_MAX: usize = 4 << 10;
/// Most bytes of the text of a refusal.
pub const TEXT_MAX: usize = 1024;
const IDENTITY_MAX: usize = 400;

const ENROL: u8 = 1;
const RENEW: u8 = 2;
const ISSUED: u8 = 3;
const REFUSED: u8 = 4;

/// The wish of somebody with a token for a first certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Enrol {
    /// The token.
    pub token: [u8; 8],
    /// What only who was given the token knows.
    pub secret: Zeroizing<[u8; 16]>,
    /// The wanted name, `holdfast://SITE/ROLE/HOST`. Not looked at here; at most 400 bytes.
    pub identity: String,
    /// PKCS#10 in DER, 1 to [`DER_MAX`] bytes.
    pub request: Vec<u8>,
    /// TLS exporter output of this connection.
    pub channel_binding: [u8; 32],
}

impl std::fmt::Debug for Enrol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Enrol({})", self.identity)
    }
}

/// The wish of a host for a certificate that follows the one that it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renew {
    /// PKCS#10 in DER, 1 to [`DER_MAX`] bytes. Its key may be a new one.
    pub request: Vec<u8>,
    /// TLS exporter output of this connection.
    pub channel_binding: [u8; 32],
}

/// What was wished for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The host's certificate, DER.
    pub certificate: Vec<u8>,
    /// The authority's, DER.
    pub authority: Vec<u8>,
    /// TLS exporter output of this connection.
    pub channel_binding: [u8; 32],
}

/// Why there is no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// No such token, or another secret than its own.
    WrongToken = 1,
    /// The token's time is over.
    TokenExpired = 2,
    /// The token was used as often as it may be.
    TokenUsedUp = 3,
    /// The token was taken back.
    TokenRevoked = 4,
    /// The token is for hosts of another role.
    OtherRole = 5,
    /// The token or the name is of another site.
    OtherSite = 6,
    /// The token is for one host, and that is another.
    OtherHost = 7,
    /// A host of that name is enrolled already.
    NameTaken = 8,
    /// The host's certificate, or the key that is to be certified, was revoked.
    Revoked = 9,
    /// A renewal by somebody who shows no certificate.
    NoCertificate = 10,
    /// The certificate has expired too long ago to be renewed.
    Expired = 11,
    /// The request cannot be read, or its signature is not of its key.
    BadRequest = 12,
    /// This host certifies nobody.
    NotHere = 13,
    /// Not now, for a reason of this host's own.
    Unavailable = 14,
    /// The two ends do not see the same TLS connection.
    ChannelBinding = 15,
}

impl Code {
    /// All that there are.
    pub const ALL: [Self; 15] = [
        Self::WrongToken,
        Self::TokenExpired,
        Self::TokenUsedUp,
        Self::TokenRevoked,
        Self::OtherRole,
        Self::OtherSite,
        Self::OtherHost,
        Self::NameTaken,
        Self::Revoked,
        Self::NoCertificate,
        Self::Expired,
        Self::BadRequest,
        Self::NotHere,
        Self::Unavailable,
        Self::ChannelBinding,
    ];
}

/// The wish is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refused {
    /// Why.
    pub code: Code,
    /// The same for people, with what to do.
    pub text: String,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Of the dialler.
    Enrol(Enrol),
    /// Of the dialler.
    Renew(Renew),
    /// The answer, if all is well.
    Issued(Issued),
    /// The answer, if it is not.
    Refused(Refused),
}

/// What a header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    kind: u8,
    length: usize,
}

impl Header {
    /// Reads it. Refused before anything is read or allocated for the body.
    pub fn decode(bytes: [u8; HEADER_LENGTH]) -> Result<Self> {
        let [kind, low, middle, high] = bytes;
        if !(ENROL..=REFUSED).contains(&kind) {
            return Err(Violation("a frame of an unknown type"));
        }
        let length = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
        if !(1..=BODY_MAX).contains(&length) {
            return Err(Violation("a frame of a length that its type cannot have"));
        }
        Ok(Self { kind, length })
    }

    /// Bytes of the body, 1 to [`BODY_MAX`].
    pub fn length(self) -> usize {
        self.length
    }
}

impl Frame {
    /// The frame as it is sent. Who sends more than the bounds of the messages is refused by the other side. It may hold a
    /// secret, and is wiped.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let (kind, body) = match self {
            Self::Enrol(enrol) => (ENROL, enrol.encode()),
            Self::Renew(Renew { request, channel_binding }) => {
                let (request, channel_binding) = (request.clone(), channel_binding.to_vec());
                (RENEW, Zeroizing::new(wire::Renew { request, channel_binding }.encode_to_vec()))
            }
            Self::Issued(Issued { certificate, authority, channel_binding }) => {
                let (certificate, authority) = (certificate.clone(), authority.clone());
                let channel_binding = channel_binding.to_vec();
                let issued = wire::Issued { certificate, authority, channel_binding };
                (ISSUED, Zeroizing::new(issued.encode_to_vec()))
            }
            Self::Refused(refused) => (REFUSED, Zeroizing::new(refused.encode())),
        };
        let mut frame = Zeroizing::new(Vec::with_capacity(HEADER_LENGTH + body.len()));
        let [low, middle, high, ..] = (body.len() as u64).to_le_bytes();
        frame.extend_from_slice(&[kind, low, middle, high]);
        frame.extend_from_slice(&body);
        frame
    }

    /// Reads the body that a header announced.
    pub fn decode(header: Header, body: &[u8]) -> Result<Self> {
        match header.kind {
            ENROL => Enrol::decode(body).map(Self::Enrol),
            RENEW => {
                let renew: wire::Renew = decode(body)?;
                let channel_binding = binding(&renew.channel_binding)?;
                Ok(Self::Renew(Renew { request: der(renew.request)?, channel_binding }))
            }
            ISSUED => {
                let issued: wire::Issued = decode(body)?;
                let channel_binding = binding(&issued.channel_binding)?;
                let (certificate, authority) = (der(issued.certificate)?, der(issued.authority)?);
                Ok(Self::Issued(Issued { certificate, authority, channel_binding }))
            }
            _ => Refused::decode(body).map(Self::Refused),
        }
    }
}

impl Enrol {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut message = wire::Enrol {
            token_id: self.token.to_vec(),
            secret: self.secret.to_vec(),
            identity: self.identity.clone(),
            request: self.request.clone(),
            channel_binding: self.channel_binding.to_vec(),
        };
        let bytes = Zeroizing::new(message.encode_to_vec());
        zeroize::Zeroize::zeroize(&mut message.secret);
        bytes
    }

    fn decode(body: &[u8]) -> Result<Self> {
        let message: wire::Enrol = decode(body)?;
        let given = Zeroizing::new(message.secret);
        let mut secret = Zeroizing::new([0; 16]);
        if given.len() != secret.len() {
            return Err(Violation("the secret of a token is of another length"));
        }
        secret.copy_from_slice(&given);
        Ok(Self {
            token: message.token_id.as_slice().try_into().map_err(|_| Violation("the id of a token"))?,
            secret,
            identity: text(message.identity, IDENTITY_MAX, "the name of a host")?,
            request: der(message.request)?,
            channel_binding: binding(&message.channel_binding)?,
        })
    }
}

impl Refused {
    fn encode(&self) -> Vec<u8> {
        // What a reader would refuse must not be sent.
        let clean: String = self.text.chars().filter(|c| !c.is_control()).collect();
        let end = (0..=clean.len().min(TEXT_MAX)).rev().find(|at| clean.is_char_boundary(*at)).unwrap_or(0);
        let text = clean.get(..end).unwrap_or_default().to_owned();
        wire::Refused { code: self.code as u32, text }.encode_to_vec()
    }

    fn decode(body: &[u8]) -> Result<Self> {
        let refused: wire::Refused = decode(body)?;
        let code = Code::ALL.into_iter().find(|code| *code as u32 == refused.code);
        Ok(Self {
            code: code.ok_or(Violation("an unknown code"))?,
            text: text(refused.text, TEXT_MAX, "the text of a refusal")?,
        })
    }
}

fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M> {
    M::decode(bytes).map_err(|_| Violation("a message that cannot be decoded"))
}

fn binding(bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| Violation("a channel binding of another length"))
}

fn der(bytes: Vec<u8>) -> Result<Vec<u8>> {
    if (1..=DER_MAX).contains(&bytes.len()) {
        Ok(bytes)
    } else {
        Err(Violation("a certificate, or a request for one, that is empty or too long"))
    }
}

fn text(text: String, bound: usize, what: &'static str) -> Result<String> {
    if text.len() <= bound && !text.contains(char::is_control) { Ok(text) } else { Err(Violation(what)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn enrol() -> Enrol {
        Enrol {
            token: [1; 8],
            secret: Zeroizing::new([2; 16]),
            identity: "holdfast://lab/client/web1".into(),
            request: vec![3; 300],
            channel_binding: [4; 32],
        }
    }

    fn decoded(bytes: &[u8]) -> Result<Frame> {
        let header = Header::decode(*bytes.first_chunk().unwrap())?;
        assert_eq!(bytes.len(), HEADER_LENGTH + header.length());
        Frame::decode(header, &bytes[HEADER_LENGTH..])
    }

    fn every_kind() -> Vec<Frame> {
        let (request, channel_binding) = (vec![5; 200], [6; 32]);
        let mut frames = vec![
            Frame::Enrol(enrol()),
            Frame::Renew(Renew { request, channel_binding }),
            Frame::Issued(Issued { certificate: vec![7; 500], authority: vec![8; DER_MAX], channel_binding }),
        ];
        let refused = |code| Frame::Refused(Refused { code, text: "no".into() });
        frames.extend(Code::ALL.map(refused));
        frames
    }

    #[test]
    fn every_frame_comes_back() {
        for frame in every_kind() {
            assert_eq!(decoded(&frame.encode()).unwrap(), frame);
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", enrol()), "Enrol(holdfast://lab/client/web1)");
    }

    #[track_caller]
    fn refused(frame: Frame, why: &str) {
        let error = decoded(&frame.encode()).unwrap_err();
        assert!(error.0.contains(why), "{error}");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (header, why) in [
            ([0, 1, 0, 0], "type"),
            ([5, 1, 0, 0], "type"),
            ([1, 0, 0, 0], "length"),
            ([1, 1, 64, 0], "length"),
        ] {
            assert!(Header::decode(header).unwrap_err().0.contains(why), "{header:?}");
        }
        refused(Frame::Enrol(Enrol { request: vec![], ..enrol() }), "empty or too long");
        refused(Frame::Enrol(Enrol { request: vec![0; DER_MAX + 1], ..enrol() }), "empty or too long");
        refused(Frame::Enrol(Enrol { identity: "x".repeat(401), ..enrol() }), "name of a host");
        refused(Frame::Enrol(Enrol { identity: "a\u{1b}[2J".into(), ..enrol() }), "name of a host");
        let unknown = [REFUSED, 2, 0, 0, 8, 99];
        assert!(decoded(&unknown).unwrap_err().0.contains("unknown code"));
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_where_a_character_ends() {
        let long = Refused { code: Code::NameTaken, text: "\n€".repeat(1_000) };
        let Frame::Refused(cut) = decoded(&Frame::Refused(long).encode()).unwrap() else { panic!("refused") };
        assert_eq!(cut.text, "€".repeat(341));
    }

    proptest! {
        #[test]
        fn noise_never_panics(kind in 1u8..5, noise in proptest::collection::vec(any::<u8>(), 1..300)) {
            let length = u16::try_from(noise.len()).unwrap().to_le_bytes();
            let header = Header::decode([kind, length[0], length[1], 0]).unwrap();
            if let Ok(frame) = Frame::decode(header, &noise) {
                prop_assert_eq!(decoded(&frame.encode()).unwrap(), frame);
            }
        }
    }
}
