//! The operator's token: one line of text by which a person or a program elsewhere shows a primary server that he may ask, and
//! knows that server before he has spoken to it. The site keeps a hash of its secret only; who the token is of, what he may do
//! and whether that was taken back is the catalog's business.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use super::text::{self, take};
use super::token::TokenId;
use super::{Fingerprint, Identity};

const PREFIX: &str = "hfo1-";
/// Expiry, id, secret, fingerprint; the site follows.
const FIXED: usize = 8 + 8 + 32 + 32;
const SITE_MAX: usize = 63;

/// What is wrong with the text of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something else.
    #[error(
        "this is no operator's token: one begins with hfo1- (those that begin with hft1- are for enrolling hosts)"
    )]
    Prefix,
    /// Other characters than a token has, or another number of them.
    #[error("the operator's token is not complete, or has a character that no token has: copy it again")]
    Shape,
    /// A typing slip.
    #[error(
        "the operator's token has a wrong character somewhere: its checksum does not match, copy it again"
    )]
    Checksum,
    /// It was written by a program that knows more.
    #[error("the operator's token holds what this program does not know: update it")]
    Unknown,
}

impl From<text::Wrong> for Error {
    fn from(wrong: text::Wrong) -> Self {
        match wrong {
            text::Wrong::Prefix => Self::Prefix,
            text::Wrong::Shape => Self::Shape,
            text::Wrong::Checksum => Self::Checksum,
        }
    }
}

/// A token. Its secret is wiped when it is dropped.
#[derive(Clone)]
pub struct OperatorToken {
    site: String,
    expires: u64,
    id: TokenId,
    secret: Zeroizing<[u8; 32]>,
    authority: Fingerprint,
}

impl fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperatorToken({} of {})", self.id, self.site)
    }
}

impl OperatorToken {
    /// Draws a token of a site whose authority's certificate has this fingerprint. `expires` is cut to whole seconds.
    pub fn draw(site: &str, expires: SystemTime, authority: Fingerprint) -> Result<Self, getrandom::Error> {
        let expires = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let (mut id, mut secret) = (TokenId([0; 8]), Zeroizing::new([0; 32]));
        getrandom::fill(&mut id.0)?;
        getrandom::fill(secret.as_mut_slice())?;
        Ok(Self { site: site.to_owned(), expires, id, secret, authority })
    }

    /// The site that it is of.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// Good until then, by the clock of the primary server.
    pub fn expires(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(self.expires))
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Its name.
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// SHA-256 of the certificate of the site's authority.
    pub fn authority(&self) -> Fingerprint {
        self.authority
    }

    /// What the site keeps of the secret. 256 random bits need no slow hash: there is nothing to guess.
    pub fn hidden(&self) -> Fingerprint {
        let secret = self.secret.as_slice();
        Fingerprint::of(&Zeroizing::new([b"holdfast operator's token\0".as_slice(), secret].concat()))
    }

    /// The token as one line of text. It is as secret as the token.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(FIXED + SITE_MAX + text::CHECKSUM));
        bytes.extend_from_slice(&self.expires.to_le_bytes());
        bytes.extend_from_slice(&self.id.0);
        bytes.extend_from_slice(self.secret.as_slice());
        bytes.extend_from_slice(&self.authority.0);
        bytes.extend_from_slice(self.site.as_bytes());
        text::write(PREFIX, bytes)
    }
}

impl FromStr for OperatorToken {
    type Err = Error;

    /// Reads the text again. Forgives case, spaces and missing hyphens.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = text::read(PREFIX, text, FIXED)?;
        let mut rest = bytes.as_slice();
        let expires = u64::from_le_bytes(take(&mut rest)?);
        let id = TokenId(take(&mut rest)?);
        let secret = Zeroizing::new(take(&mut rest)?);
        let authority = Fingerprint(take(&mut rest)?);
        let site = std::str::from_utf8(rest).map_err(|_| Error::Unknown)?.to_owned();
        Identity::primary(&site).map_err(|_| Error::Unknown)?;
        Ok(Self { site, expires, id, secret, authority })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens() -> impl Strategy<Value = OperatorToken> {
        ("[a-z0-9-]{1,63}", any::<u64>(), any::<[u8; 8]>(), any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(
            |(site, expires, id, secret, authority)| OperatorToken {
                site,
                expires,
                id: TokenId(id),
                secret: Zeroizing::new(secret),
                authority: Fingerprint(authority),
            },
        )
    }

    proptest! {
        #[test]
        fn a_token_comes_back_however_it_is_written(token in tokens()) {
            let text = token.to_text();
            prop_assert!(text.starts_with(PREFIX) && text.len() <= text::TEXT_MAX && !text.contains('\n'));
            for sloppy in [text.to_string(), text.to_lowercase(), text.replace('-', ""), format!(" {} \n", text.as_str())] {
                let again = sloppy.parse::<OperatorToken>().unwrap();
                prop_assert_eq!((again.site(), again.id(), again.expires), (token.site(), token.id(), token.expires));
                prop_assert!(again.hidden().is(&token.hidden()) && again.authority().is(&token.authority()));
            }
        }

        #[test]
        fn what_is_cut_short_or_noise_is_refused(token in tokens(), keep in 0usize..100, noise in ".{0,300}") {
            let text = token.to_text();
            prop_assert!(text[..text.len() * keep / 100].parse::<OperatorToken>().is_err());
            prop_assert!(noise.parse::<OperatorToken>().is_err());
            prop_assert!([PREFIX, &noise].concat().parse::<OperatorToken>().is_err());
        }

        #[test]
        fn another_secret_has_another_hash(token in tokens(), at in 0usize..32, bit in 0u8..8) {
            let mut other = token.clone();
            other.secret[at] ^= 1 << bit;
            prop_assert!(!other.hidden().is(&token.hidden()));
        }
    }

    fn token() -> OperatorToken {
        let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let mut token = OperatorToken::draw("lab", expires, Fingerprint([3; 32])).unwrap();
        (token.id, token.secret) = (TokenId([1; 8]), Zeroizing::new([0xa5; 32]));
        token
    }

    #[test]
    fn the_text_and_the_hash_do_not_change_from_release_to_release() {
        assert_eq!(
            token().to_text().as_str(),
            "hfo1-ADJES2YA-AAAAAAIB-AEAQCAIB-AGS2LJNF-UWS2LJNF-UWS2LJNF-UWS2LJNF-UWS2LJNF-UWS2LJNF-UWS2KAYD-AMBQGAYD-AMBQGAYD-AMBQGAYD-AMBQGAYD-AMBQGAYD-AMBQGAYD-NRQWEM3Y-2RXQ"
        );
        assert_eq!(
            token().hidden().to_string(),
            "ffda74ce221f277e3b782dfbb6a274de3eddef0877b1cab7d0146395fa817d7d"
        );
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", token()), "OperatorToken(0101010101010101 of lab)");
    }

    #[test]
    fn two_tokens_have_nothing_in_common_but_their_site() {
        let draw = || OperatorToken::draw("lab", SystemTime::now(), Fingerprint([3; 32])).unwrap();
        let (one, other) = (draw(), draw());
        assert!(one.id() != other.id() && !one.hidden().is(&other.hidden()));
    }

    #[test]
    fn errors_say_what_to_do() {
        assert_eq!("hft1-AMANESLL".parse::<OperatorToken>().unwrap_err(), Error::Prefix);
        assert_eq!("hfo1-".parse::<OperatorToken>().unwrap_err(), Error::Shape);
        assert_eq!("hfo1-!!".parse::<OperatorToken>().unwrap_err(), Error::Shape);
    }
}
