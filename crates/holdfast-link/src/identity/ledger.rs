//! The ledger of the primary server: which enrolment tokens were given out and what is left of them, which certificates
//! were given to whom, and which of those were revoked. It decides; it does no I/O and takes the time from outside. Its
//! owner stores it ([`super::registrar`] keeps it in a file).
//!
//! It holds no secret: of a token's secret only a hash.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use data_encoding::{BASE64, HEXLOWER};
use holdfast_proto::enrol::{Code, Enrol, Refused};
use holdfast_proto::revocations::Entry;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::credentials::Facts;
use super::revocation::{may_be_dropped, seconds};
use super::token::{Token, TokenId};
use super::{Fingerprint, Identity, Role};

/// How long a token may be good at most.
pub const GRANT_LIFE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often a token may be used at most.
pub const USES_MAX: u32 = 1_000;
/// Most tokens that are good or not long over.
pub const TOKENS_MAX: usize = 10_000;
/// So long a certificate is given out again to who asks with the same key: the answer may have been lost, again and again.
pub const AGAIN_MAX: Duration = Duration::from_secs(24 * 3600);
/// Most certificates of a host that have not expired: far more than renewals make.
pub const CERTIFICATES_MAX: usize = 64;

/// What a token is to be good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The role of the hosts.
    pub role: Role,
    /// Only a host of this name; and that one even if a host of its name is enrolled already, since a person has said so.
    pub host: Option<String>,
    /// How many hosts, 1 to [`USES_MAX`].
    pub uses: u32,
    /// For how long, at most [`GRANT_LIFE_MAX`].
    pub life: Duration,
}

/// Why a token is not given out.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// It would be good for too long, or for no time.
    #[error("an enrolment token is good for at most 30 days, and for some time")]
    Life,
    /// It could be used too often, or never.
    #[error("an enrolment token can be used 1 to {USES_MAX} times, and one that is for one host once")]
    Uses,
    /// Too many are open.
    #[error("{TOKENS_MAX} enrolment tokens are open: revoke some")]
    Full,
    /// No name, or no random numbers.
    #[error(transparent)]
    Identity(#[from] super::Error),
}

/// A token as its issuer knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    secret: Fingerprint,
    role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    uses_left: u32,
    expires: u64,
    #[serde(default)]
    revoked: bool,
    /// Who has used it with which key.
    #[serde(default)]
    used: Vec<(String, Fingerprint)>,
}

/// A certificate that was given out.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Given {
    serial: String,
    not_after: u64,
    key: Fingerprint,
    /// The certificate itself, in base64, for [`AGAIN_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    /// When it was given out.
    at: u64,
}

/// The ledger of a site.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ledger {
    site: String,
    tokens: BTreeMap<TokenId, Record>,
    /// By role and name in lower case: hosts that differ only in that would be taken for each other.
    hosts: BTreeMap<String, Vec<Given>>,
    /// The number of the newest revocation list.
    list: u64,
    /// Serials, and when those certificates end.
    revoked: BTreeMap<String, u64>,
}

/// What a token is good for still, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub id: TokenId,
    /// The role of the hosts.
    pub role: Role,
    /// The one host that it is for.
    pub host: Option<String>,
    /// How often it can be used still.
    pub uses_left: u32,
    /// When it ends, in seconds since 1970.
    pub expires: u64,
    /// Whether it was taken back.
    pub revoked: bool,
}

fn refused(code: Code, text: impl Into<String>) -> Refused {
    Refused { code, text: text.into() }
}

/// Not [`Display`](std::fmt::Display) of the identity: names that differ only in case are one.
fn key_of(host: &Identity) -> String {
    format!("{}/{}", host.role().as_str(), host.host().to_ascii_lowercase())
}

impl Record {
    /// Checks a use of the token. `Ok(true)` if it is a new one, which must be counted; `Ok(false)` if it is a retry of one
    /// that was.
    fn check(&self, wish: &Enrol, host: &Identity, key: Fingerprint, now: u64) -> Result<bool, Refused> {
        // Who does not know the secret learns no more than that.
        if !self.secret.is(&hidden(&wish.secret)) {
            return Err(wrong_token());
        }
        if self.revoked {
            return Err(refused(Code::TokenRevoked, "the enrolment token was revoked: ask for a new one"));
        }
        if self.role != host.role() {
            let (role, wanted) = (self.role.as_str(), host.role().as_str());
            return Err(refused(
                Code::OtherRole,
                format!("the enrolment token is for a {role}, not for a {wanted}"),
            ));
        }
        if let Some(only) = &self.host
            && !only.eq_ignore_ascii_case(host.host())
        {
            let text = format!("the enrolment token is for {only}, not for {}", host.host());
            return Err(refused(Code::OtherHost, text));
        }
        if now >= self.expires {
            let text = "the enrolment token has expired: ask for a new one, and compare the clocks if this is sudden";
            return Err(refused(Code::TokenExpired, text));
        }
        if self.used.contains(&(key_of(host), key)) {
            return Ok(false);
        }
        if self.uses_left == 0 {
            let text =
                "the enrolment token was used as often as it may be: if not by you, tell the administrator";
            return Err(refused(Code::TokenUsedUp, text));
        }
        Ok(true)
    }
}

fn is_fresh(given: &Given, now: u64) -> bool {
    now.abs_diff(given.at) < AGAIN_MAX.as_secs()
}

fn wrong_token() -> Refused {
    refused(Code::WrongToken, "the enrolment token is not known here: ask for a new one")
}

fn hidden(secret: &[u8; 16]) -> Fingerprint {
    Fingerprint::of(&Zeroizing::new([b"holdfast enrolment token\0".as_slice(), secret].concat()))
}

impl Ledger {
    /// That of a new site.
    pub fn new(site: &str) -> Self {
        let (tokens, hosts, revoked) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { site: site.to_owned(), tokens, hosts, list: 0, revoked }
    }

    /// The site.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// Draws a token. `authority` is the fingerprint of the authority's certificate.
    pub fn issue(
        &mut self,
        grant: &Grant,
        authority: Fingerprint,
        now: SystemTime,
    ) -> Result<Token, GrantError> {
        Identity::new(&self.site, grant.role, grant.host.as_deref().unwrap_or("new"))?;
        if grant.life > GRANT_LIFE_MAX || grant.life.as_secs() == 0 {
            return Err(GrantError::Life);
        }
        if !(1..=USES_MAX).contains(&grant.uses) || (grant.host.is_some() && grant.uses != 1) {
            return Err(GrantError::Uses);
        }
        self.forget(now);
        if self.tokens.len() >= TOKENS_MAX {
            return Err(GrantError::Full);
        }
        let (mut id, mut secret) = (TokenId([0; 8]), Zeroizing::new([0; 16]));
        let drawn = getrandom::fill(&mut id.0).and_then(|()| getrandom::fill(secret.as_mut_slice()));
        drawn.map_err(|_| super::Error::Unreadable("the system gives no random numbers"))?;
        let expires = now.checked_add(grant.life).ok_or(GrantError::Life)?;
        let record = Record {
            secret: hidden(&secret),
            role: grant.role,
            host: grant.host.clone(),
            uses_left: grant.uses,
            expires: seconds(expires),
            revoked: false,
            used: Vec::new(),
        };
        self.tokens.insert(id, record);
        Ok(Token::new(&self.site, grant.role, expires, (id, secret), authority))
    }

    /// Takes a token back. Whether there was one that was not.
    pub fn revoke_token(&mut self, id: TokenId) -> bool {
        self.tokens.get_mut(&id).is_some_and(|record| !std::mem::replace(&mut record.revoked, true))
    }

    /// The tokens, and what is left of them.
    pub fn tokens(&self) -> impl Iterator<Item = Standing> {
        self.tokens.iter().map(|(id, record)| Standing {
            id: *id,
            role: record.role,
            host: record.host.clone(),
            uses_left: record.uses_left,
            expires: record.expires,
            revoked: record.revoked,
        })
    }

    /// Whether the token is known, and the secret its own. Changes nothing and costs little, so it can be asked before all
    /// else, when strangers guess.
    pub fn check_secret(&self, wish: &Enrol) -> Result<(), Refused> {
        let record = self.tokens.get(&TokenId(wish.token)).ok_or_else(wrong_token)?;
        if record.secret.is(&hidden(&wish.secret)) { Ok(()) } else { Err(wrong_token()) }
    }

    /// Uses a token for this host with this key. `is_taken` says whether a host of that name is enrolled already.
    pub fn redeem(
        &mut self,
        wish: &Enrol,
        host: &Identity,
        key: Fingerprint,
        is_taken: bool,
        now: SystemTime,
    ) -> Result<(), Refused> {
        if host.site() != self.site {
            return Err(refused(
                Code::OtherSite,
                format!("this is the site {}, not {}", self.site, host.site()),
            ));
        }
        let has_revoked = self.has_revoked(host, key);
        let record = self.tokens.get_mut(&TokenId(wish.token)).ok_or_else(wrong_token)?;
        let is_new = record.check(wish, host, key, seconds(now))?;
        if has_revoked {
            let text = format!(
                "a certificate of {host} with this key was revoked: make a new key to enrol it again"
            );
            return Err(refused(Code::Revoked, text));
        }
        if !is_new {
            return Ok(());
        }
        if is_taken && record.host.is_none() {
            let text = format!(
                "a host of the name {} is enrolled already: if this is the same one made anew, ask for a token for that name",
                host.host()
            );
            return Err(refused(Code::NameTaken, text));
        }
        record.uses_left = record.uses_left.saturating_sub(1);
        record.used.push((key_of(host), key));
        Ok(())
    }

    /// Whether a host of this name has a certificate that it can still use or renew, be it revoked or not.
    pub fn is_taken(&self, host: &Identity, now: SystemTime) -> bool {
        let now = seconds(now);
        self.given(host).iter().any(|given| !may_be_dropped(given.not_after, now))
    }

    fn given(&self, host: &Identity) -> &[Given] {
        self.hosts.get(&key_of(host)).map(Vec::as_slice).unwrap_or_default()
    }

    fn has_revoked(&self, host: &Identity, key: Fingerprint) -> bool {
        self.given(host).iter().any(|given| given.key == key && self.revoked.contains_key(&given.serial))
    }

    /// Whether a host may have a certificate with this key after the one that it has.
    pub fn check_renewal(&self, host: &Identity, serial: &[u8], key: Fingerprint) -> Result<(), Refused> {
        if self.revoked.contains_key(&HEXLOWER.encode(serial)) || self.has_revoked(host, key) {
            return Err(refused(
                Code::Revoked,
                format!("the certificate of {host} was revoked: enrol it again"),
            ));
        }
        Ok(())
    }

    /// The certificate that this host was given for this key not long ago, DER: the answer to a question that is repeated.
    pub fn again(&self, host: &Identity, key: Fingerprint, now: SystemTime) -> Option<Vec<u8>> {
        let now = seconds(now);
        let last = self.given(host).iter().rev().find(|given| given.key == key && is_fresh(given, now))?;
        if self.revoked.contains_key(&last.serial) {
            return None;
        }
        BASE64.decode(last.certificate.as_ref()?.as_bytes()).ok()
    }

    /// Notes a certificate before it is given out.
    pub fn note(&mut self, certificate: &[u8], key: Fingerprint, now: SystemTime) -> Result<(), Refused> {
        let unreadable = |error: super::Error| refused(Code::BadRequest, error.to_string());
        let facts = Facts::of(certificate).map_err(unreadable)?;
        let at = seconds(now);
        let given = self.hosts.entry(key_of(&facts.identity)).or_default();
        given.retain(|given| !may_be_dropped(given.not_after, at));
        given.iter_mut().filter(|given| !is_fresh(given, at)).for_each(|given| given.certificate = None);
        if given.len() >= CERTIFICATES_MAX {
            let text = format!(
                "{} has {CERTIFICATES_MAX} certificates that have not expired: see why it asks so often",
                facts.identity
            );
            return Err(refused(Code::Unavailable, text));
        }
        let (serial, not_after) = (HEXLOWER.encode(&facts.serial), seconds(facts.not_after));
        let certificate = Some(BASE64.encode(certificate));
        given.push(Given { serial, not_after, key, certificate, at });
        Ok(())
    }

    /// Revokes all certificates of a host. Whether there was one that was not revoked yet; then there is to be a new list.
    pub fn revoke_host(&mut self, host: &Identity, now: SystemTime) -> bool {
        let new: Vec<(String, u64)> =
            self.given(host).iter().map(|given| (given.serial.clone(), given.not_after)).collect();
        self.revoke(new, now)
    }

    /// Revokes a certificate that is at hand, whether or not the ledger knows it.
    pub fn revoke_certificate(&mut self, facts: &Facts, now: SystemTime) -> bool {
        self.revoke(vec![(HEXLOWER.encode(&facts.serial), seconds(facts.not_after))], now)
    }

    fn revoke(&mut self, mut new: Vec<(String, u64)>, now: SystemTime) -> bool {
        new.retain(|(serial, _)| !self.revoked.contains_key(serial));
        if new.is_empty() {
            return false;
        }
        let now = seconds(now);
        self.revoked.retain(|_, not_after| !may_be_dropped(*not_after, now));
        self.revoked.extend(new);
        self.list = self.list.saturating_add(1);
        true
    }

    /// The number of the newest revocation list, 0 if nothing was revoked, and its entries.
    pub fn revocations(&self) -> (u64, Vec<Entry>) {
        let entry = |(serial, not_after): (&String, &u64)| {
            let serial = HEXLOWER.decode(serial.as_bytes()).ok()?;
            Some(Entry { serial, not_after: *not_after })
        };
        (self.list, self.revoked.iter().filter_map(entry).collect())
    }

    /// Makes the numbers of lists go on above this one: other hosts know it, and this ledger is an old copy.
    pub(super) fn go_on_above(&mut self, number: u64) {
        self.list = self.list.max(number.saturating_add(1));
    }

    /// Forgets tokens that ended a month ago, and hosts whose last certificate is of no use any more.
    pub fn forget(&mut self, now: SystemTime) {
        let now = seconds(now);
        self.tokens.retain(|_, record| record.expires.saturating_add(GRANT_LIFE_MAX.as_secs()) > now);
        self.hosts.retain(|_, given| {
            given.retain(|given| !may_be_dropped(given.not_after, now));
            !given.is_empty()
        });
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
