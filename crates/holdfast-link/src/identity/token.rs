//! The enrolment token: one line of text that lets a new host prove that it was invited, and lets it know its site's
//! authority before it has spoken to it. Who may use it how often, the ledger on the issuing side knows.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::text::{self, take};
use super::{Fingerprint, Identity, Role};

const PREFIX: &str = "hft1-";
/// Role, expiry, id, secret, fingerprint; the site follows.
const FIXED: usize = 1 + 8 + 8 + 16 + 32;
const SITE_MAX: usize = 63;

/// What is wrong with the text of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something else.
    #[error("this is no enrolment token: one begins with hft1-")]
    Prefix,
    /// Other characters than a token has, or another number of them.
    #[error("the enrolment token is not complete, or has a character that no token has: copy it again")]
    Shape,
    /// A typing slip.
    #[error(
        "the enrolment token has a wrong character somewhere: its checksum does not match, copy it again"
    )]
    Checksum,
    /// It was written by a program that knows more.
    #[error("the enrolment token holds what this program does not know: update it")]
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

/// Names a token. No secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TokenId(pub [u8; 8]);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({self})")
    }
}

impl From<TokenId> for String {
    fn from(id: TokenId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for TokenId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes =
            HEXLOWER.decode(text.as_bytes()).map_err(|_| "the id of a token is 16 digits 0-9 and a-f")?;
        bytes.try_into().map(Self).map_err(|_| "the id of a token is 16 digits 0-9 and a-f")
    }
}

/// A token. Its secret is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    site: String,
    role: Role,
    expires: u64,
    id: TokenId,
    secret: Zeroizing<[u8; 16]>,
    authority: Fingerprint,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} of {})", self.id, self.site)
    }
}

impl Token {
    /// A token of a site that the ledger has drawn. `expires` is cut to whole seconds.
    pub(super) fn new(
        site: &str,
        role: Role,
        expires: SystemTime,
        (id, secret): (TokenId, Zeroizing<[u8; 16]>),
        authority: Fingerprint,
    ) -> Self {
        let expires = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { site: site.to_owned(), role, expires, id, secret, authority }
    }

    /// The site that the host will belong to.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// The role that the host will have.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Good until then, by the clock of the issuing side.
    pub fn expires(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(self.expires))
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Its name.
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// What only who was given the token knows.
    pub fn secret(&self) -> &Zeroizing<[u8; 16]> {
        &self.secret
    }

    /// SHA-256 of the certificate of the site's authority.
    pub fn authority(&self) -> Fingerprint {
        self.authority
    }

    /// The token as one line of text. It is as secret as the token.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(FIXED + SITE_MAX + text::CHECKSUM));
        bytes.push(role_number(self.role));
        bytes.extend_from_slice(&self.expires.to_le_bytes());
        bytes.extend_from_slice(&self.id.0);
        bytes.extend_from_slice(self.secret.as_slice());
        bytes.extend_from_slice(&self.authority.0);
        bytes.extend_from_slice(self.site.as_bytes());
        text::write(PREFIX, bytes)
    }
}

fn role_number(role: Role) -> u8 {
    match role {
        Role::Primary => 1,
        Role::Media => 2,
        Role::Client => 3,
    }
}

impl FromStr for Token {
    type Err = Error;

    /// Reads the text again. Forgives case, spaces and missing hyphens.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = text::read(PREFIX, text, FIXED)?;
        let mut rest = bytes.as_slice();
        let [role] = take(&mut rest)?;
        let role = Role::ALL.into_iter().find(|known| role_number(*known) == role).ok_or(Error::Unknown)?;
        let expires = u64::from_le_bytes(take(&mut rest)?);
        let id = TokenId(take(&mut rest)?);
        let secret = Zeroizing::new(take(&mut rest)?);
        let authority = Fingerprint(take(&mut rest)?);
        let site = std::str::from_utf8(rest).map_err(|_| Error::Unknown)?.to_owned();
        // The site is checked as that of any host.
        Identity::new(&site, role, "new").map_err(|_| Error::Unknown)?;
        Ok(Self { site, role, expires, id, secret, authority })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens() -> impl Strategy<Value = Token> {
        let role = proptest::sample::select(Role::ALL.to_vec());
        (role, "[a-z0-9-]{1,63}", any::<u64>(), any::<[u8; 8]>(), any::<[u8; 16]>(), any::<[u8; 32]>())
            .prop_map(|(role, site, expires, id, secret, authority)| Token {
                site,
                role,
                expires,
                id: TokenId(id),
                secret: Zeroizing::new(secret),
                authority: Fingerprint(authority),
            })
    }

    proptest! {
        #[test]
        fn a_token_comes_back_however_it_is_written(token in tokens()) {
            let text = token.to_text();
            prop_assert!(text.starts_with(PREFIX) && text.len() <= text::TEXT_MAX && !text.contains('\n'));
            for sloppy in [text.to_string(), text.to_lowercase(), text.replace('-', ""), format!(" {} \n", text.replace('-', " "))] {
                prop_assert_eq!(&sloppy.parse::<Token>().unwrap(), &token);
            }
        }

        #[test]
        fn a_slip_is_told_from_a_wrong_token(token in tokens(), at in 0usize..1_000, with in 0usize..31) {
            let mut text = token.to_text().to_string().into_bytes();
            let places: Vec<usize> = (PREFIX.len()..text.len()).filter(|at| text[*at] != b'-').collect();
            let at = places[at % places.len()];
            let others: Vec<u8> = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().copied().filter(|c| *c != text[at]).collect();
            text[at] = others[with % others.len()];
            let error = String::from_utf8(text).unwrap().parse::<Token>().unwrap_err();
            prop_assert!(matches!(error, Error::Checksum | Error::Shape), "{}", error);
        }

        #[test]
        fn what_is_cut_short_or_noise_is_refused(token in tokens(), keep in 0usize..100, noise in ".{0,300}") {
            let text = token.to_text();
            let cut = &text[..text.len() * keep / 100];
            prop_assert!(cut.parse::<Token>().is_err());
            let _ = format!("{PREFIX}{noise}").parse::<Token>();
            prop_assert!(noise.parse::<Token>().is_err());
        }
    }

    fn token() -> Token {
        let drawn = (TokenId([1; 8]), Zeroizing::new([0xa5; 16]));
        let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        Token::new("lab", Role::Client, expires, drawn, Fingerprint([3; 32]))
    }

    #[test]
    fn the_text_does_not_change_from_release_to_release() {
        assert_eq!(
            token().to_text().as_str(),
            "hft1-AMANESLL-AAAAAAAB-AEAQCAIB-AEA2LJNF-UWS2LJNF-UWS2LJNF-UWS2KAYD-AMBQGAYD-AMBQGAYD-AMBQGAYD-AMBQGAYD-AMBQGAYD-AMBQGAYD-NRQWEF5J-COOA"
        );
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", token()), "Token(0101010101010101 of lab)");
    }

    #[test]
    fn errors_say_what_to_do() {
        assert_eq!("HF1-000G4".parse::<Token>(), Err(Error::Prefix));
        assert_eq!("hft1-".parse::<Token>(), Err(Error::Shape));
        assert_eq!("hft1-!!".parse::<Token>(), Err(Error::Shape));
    }
}
