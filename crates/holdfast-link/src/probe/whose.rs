//! Who answered a TLS hello: what came, against what this host expects. No I/O; the hello is `tls`'s.

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use rustls::{AlertDescription, Error};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::tls::Asked;
use super::verdict::{Mismatch, TlsIdentity};
use crate::identity::Identity;
use crate::identity::issued::Issued;

/// Characters of a name that is shown.
const NAME_MAX: usize = 200;
/// How every name of a host begins.
const SCHEME: &str = "holdfast://";

/// The certificates that were shown.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) leaf: CertificateDer<'static>,
    pub(super) intermediates: Vec<CertificateDer<'static>>,
    /// The handshake is signed with the leaf's key.
    pub(super) has_key: bool,
}

/// How the handshake ended: whether our protocol was agreed on, or why it failed.
pub(super) type Ended = Result<bool, String>;

/// Who showed these certificates.
pub(super) fn of_certificate(shown: &Shown, ended: Ended, asked: &Asked<'_>, now: SystemTime) -> TlsIdentity {
    let issuer = asked.expected.issuer();
    let issued = issuer.and_then(|issuer| issuer.issued(&shown.leaf, &shown.intermediates, now));
    let known = asked.expected.hosts_at(asked.to, asked.name);
    let names = Names::of(&shown.leaf);
    if let Some(issued) = issued {
        return of_issued(issued, shown.has_key, names, ended, &known);
    }
    let forged = issuer.is_some_and(|issuer| names.as_ref().is_some_and(|names| names.is_of(issuer.site())));
    let signed =
        issuer.map(|issuer| format!("a certificate that the authority of site {} signed", issuer.site()));
    match (names, signed) {
        (names, Some(signed)) if forged => {
            let expected = if known.is_empty() { signed } else { list(&known) };
            intercepted(names, expected, Mismatch::NameForged)
        }
        (names, Some(_)) if !known.is_empty() => intercepted(names, list(&known), Mismatch::NotSigned),
        (None, _) => TlsIdentity::Unknown { why: "its certificate cannot be read".into() },
        (Some(names), _) => match (names.host, ended) {
            (Some(name), Ok(true)) => TlsIdentity::Holdfast { name },
            _ => TlsIdentity::Foreign { subject: names.subject, issuer: names.issuer },
        },
    }
}

/// Who showed a certificate that the site's authority has signed.
fn of_issued(
    issued: Issued,
    has_key: bool,
    names: Option<Names>,
    ended: Ended,
    known: &[&Identity],
) -> TlsIdentity {
    if !has_key {
        return intercepted(names, issued.identity.to_string(), Mismatch::NoKey);
    }
    let agreed = match ended {
        Ok(agreed) => agreed,
        Err(why) => return TlsIdentity::Unknown { why: format!("the handshake broke: {why}") },
    };
    let flaw = if let Some(refused) = issued.flaw {
        Some(refused.to_string())
    } else if !known.is_empty() && !known.contains(&&issued.identity) {
        Some(format!("{} is known to listen there", list(known)))
    } else {
        (!agreed).then(|| "it does not agree on the protocol of Holdfast's sessions".to_owned())
    };
    TlsIdentity::Ours { name: issued.identity.to_string(), flaw }
}

/// Who ended the handshake before a certificate came; `None` if that was no TLS.
pub(super) fn of_error(error: &Error, asked: &Asked<'_>) -> Option<TlsIdentity> {
    let (why, never_ours) = match error {
        Error::AlertReceived(alert) => {
            // A host of any version takes TLS 1.3 and the protocol of sessions; it may send another alert for its own reasons.
            let never_ours = matches!(
                alert,
                AlertDescription::NoApplicationProtocol
                    | AlertDescription::ProtocolVersion
                    | AlertDescription::HandshakeFailure
            );
            (format!("it refused TLS 1.3 with the alert {alert:?}"), never_ours)
        }
        Error::PeerIncompatible(why) => (format!("it cannot TLS 1.3: {why:?}"), true),
        // What is no TLS at all is no identity, but where a host of ours should be.
        Error::InvalidMessage(_) => {
            return expected(asked).map(|expected| intercepted(None, expected, Mismatch::Protocol));
        }
        _ => return None,
    };
    match expected(asked) {
        Some(expected) if never_ours => Some(intercepted(None, expected, Mismatch::Protocol)),
        _ => Some(TlsIdentity::Unknown { why }),
    }
}

/// Which hosts of the site are known to listen there.
pub(super) fn expected(asked: &Asked<'_>) -> Option<String> {
    let known = asked.expected.hosts_at(asked.to, asked.name);
    (!known.is_empty()).then(|| list(&known))
}

fn intercepted(names: Option<Names>, expected: String, why: Mismatch) -> TlsIdentity {
    let (subject, issuer) = names.map(|names| (names.subject, names.issuer)).unzip();
    TlsIdentity::Intercepted { subject, issuer, expected, why }
}

fn list(hosts: &[&Identity]) -> String {
    const SHOWN: usize = 3;
    let names: Vec<_> = hosts.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = hosts.len().saturating_sub(SHOWN);
    let names = names.join(" or ");
    if more == 0 { names } else { format!("{names} or one of {more} more") }
}

/// Whom a certificate names, and who names it. Who signed is not looked at.
struct Names {
    subject: String,
    issuer: String,
    /// The name in Holdfast's form.
    host: Option<String>,
}

impl Names {
    fn of(leaf: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
        let names = certificate.subject_alternative_name().ok().flatten();
        let host = names.and_then(|names| {
            names.value.general_names.iter().find_map(|name| match name {
                GeneralName::URI(uri) if uri.starts_with(SCHEME) => Some(cut(uri)),
                _ => None,
            })
        });
        let (subject, issuer) =
            (cut(&certificate.subject().to_string()), cut(&certificate.issuer().to_string()));
        Some(Self { subject, issuer, host })
    }

    /// Whether the name is one of this site.
    fn is_of(&self, site: &str) -> bool {
        let rest = self.host.as_deref().and_then(|host| host.strip_prefix(SCHEME));
        rest.and_then(|rest| rest.strip_prefix(site)).is_some_and(|rest| rest.starts_with('/'))
    }
}

fn cut(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(NAME_MAX).collect()
}
