//! What became of an attempt to connect: the kinds, and how they follow from what the kernel says. Asking is `connect`'s.

use std::io::{Error, ErrorKind};
use std::net::IpAddr;

use serde::Serialize;

/// What became of an attempt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Verdict {
    /// TCP refused with RST: nothing listens there, or a firewall answers so.
    Refused,
    /// An ICMP message said that it cannot be reached.
    Unreachable {
        /// Which.
        icmp: Icmp,
    },
    /// No answer of any kind within the wait.
    Dropped,
    /// This host knows no way there, or the next hop does not answer to ARP or neighbour discovery.
    NoRoute,
    /// This host itself forbids it: a local firewall.
    Denied,
    /// Reset before a byte came.
    ResetAfterAccept,
    /// Closed before a byte came.
    ClosedAfterAccept,
    /// The other end speaks first.
    Speaks {
        /// The beginning of what it says, without control characters.
        banner: String,
    },
    /// It speaks TLS.
    Tls {
        /// Who it says it is.
        identity: TlsIdentity,
    },
    /// It accepts, and to a TLS hello it says something else: a service that is not TLS.
    Open,
    /// It accepts, and ends the connection upon a TLS hello, without a byte: a service that is not TLS, or something that looks
    /// into connections.
    EndsAtHello {
        /// By RST; else by FIN.
        reset: bool,
        /// Which hosts of this host's own site are known to listen there: they would not.
        #[serde(skip_serializing_if = "Option::is_none")]
        expected: Option<String>,
    },
    /// It accepts, and says nothing, nor to a TLS hello.
    Mute,
    /// Something else went wrong, as the system says it.
    Failed {
        /// The system's words.
        why: String,
    },
}

/// An ICMP message about an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Icmp {
    /// What it says, in words.
    pub means: &'static str,
    /// Its type.
    #[serde(rename = "type")]
    pub message: u8,
    /// Its code.
    pub code: u8,
    /// Who sent it, if the system tells.
    pub from: Option<IpAddr>,
}

/// Who answers in TLS.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "whose", rename_all = "kebab-case")]
pub enum TlsIdentity {
    /// A host of this host's own site: the site's authority has signed its certificate, and it has the key.
    Ours {
        /// Its name, `holdfast://SITE/ROLE/HOST`.
        name: String,
        /// Why it is not as it should be all the same: a certificate that has expired, another host than is known to listen
        /// there.
        #[serde(skip_serializing_if = "Option::is_none")]
        flaw: Option<String>,
    },
    /// Something else answered in the place of a host of this site.
    Intercepted {
        /// The certificate's subject, if one came that can be read.
        subject: Option<String>,
        /// Its issuer.
        issuer: Option<String>,
        /// Who should have answered, or who should have signed.
        expected: String,
        /// What shows it.
        why: Mismatch,
    },
    /// A host of a Holdfast site, as it says itself: the certificate's name is in Holdfast's form and our protocol was agreed
    /// on. This host has no authority by which to check it.
    Holdfast {
        /// Its name, `holdfast://SITE/ROLE/HOST`.
        name: String,
    },
    /// Another service, or something that stands between.
    Foreign {
        /// The certificate's subject.
        subject: String,
        /// Its issuer.
        issuer: String,
    },
    /// It speaks TLS, but showed no certificate that could be read.
    Unknown {
        /// Why.
        why: String,
    },
}

/// What shows that something answered in the place of a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mismatch {
    /// Where a host of the site is known to listen, a certificate came that the site's authority has not signed.
    NotSigned,
    /// The certificate names this site, and another authority has signed it.
    NameForged,
    /// The certificate is one of this site's, and who showed it does not have its key.
    NoKey,
    /// Where a host of the site is known to listen, TLS 1.3 or Holdfast's protocol was refused before a certificate came.
    Protocol,
}

/// What an ICMP "unreachable" says (RFC 792, RFC 1812, RFC 4443).
pub(super) fn icmp(is_v6: bool, message: u8, code: u8, from: Option<IpAddr>) -> Icmp {
    let means = match (is_v6, message, code) {
        (false, 3, 0) => "net-unreachable",
        (false, 3, 1) => "host-unreachable",
        (false, 3, 2) => "protocol-unreachable",
        (false, 3, 3) | (true, 1, 4) => "port-unreachable",
        (false, 3, 9) => "net-prohibited",
        (false, 3, 10) => "host-prohibited",
        (false, 3, 13) | (true, 1, 1) => "admin-prohibited",
        (true, 1, 0) => "no-route",
        (true, 1, 2) => "beyond-scope",
        (true, 1, 3) => "addr-unreachable",
        (true, 1, 5) => "policy-fail",
        (true, 1, 6) => "reject-route",
        (false, 11, _) | (true, 3, _) => "time-exceeded",
        _ => "other",
    };
    Icmp { means, message, code, from }
}

/// What an attempt that failed was, from the error and the ICMP message that came with it.
pub(super) fn of_error(error: &Error, icmp: Option<Icmp>) -> Verdict {
    if let Some(icmp) = icmp {
        return Verdict::Unreachable { icmp };
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => Verdict::Refused,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Verdict::ResetAfterAccept,
        // The kernel's timer, not one of this process.
        ErrorKind::TimedOut if error.raw_os_error().is_some() => Verdict::Dropped,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Verdict::NoRoute,
        ErrorKind::PermissionDenied => Verdict::Denied,
        _ => Verdict::Failed { why: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_without_icmp_is_told_by_its_number() {
        for (number, verdict) in [
            (libc::ECONNREFUSED, Verdict::Refused),
            (libc::ECONNRESET, Verdict::ResetAfterAccept),
            (libc::ETIMEDOUT, Verdict::Dropped),
            (libc::EHOSTUNREACH, Verdict::NoRoute),
            (libc::ENETUNREACH, Verdict::NoRoute),
            (libc::EPERM, Verdict::Denied),
        ] {
            assert_eq!(of_error(&Error::from_raw_os_error(number), None), verdict);
        }
        // A timer of this process is not the kernel's.
        let ours = Error::from(std::io::ErrorKind::TimedOut);
        assert!(matches!(of_error(&ours, None), Verdict::Failed { .. }));
    }

    #[test]
    fn an_icmp_message_goes_before_the_error() {
        let refused = Error::from_raw_os_error(libc::ECONNREFUSED);
        for (v6, message, code, means) in [
            (false, 3, 0, "net-unreachable"),
            (false, 3, 1, "host-unreachable"),
            (false, 3, 3, "port-unreachable"),
            (false, 3, 13, "admin-prohibited"),
            (true, 1, 0, "no-route"),
            (true, 1, 1, "admin-prohibited"),
            (true, 1, 3, "addr-unreachable"),
            (true, 1, 4, "port-unreachable"),
            (true, 9, 9, "other"),
        ] {
            let icmp = icmp(v6, message, code, None);
            assert_eq!(icmp.means, means);
            assert_eq!(of_error(&refused, Some(icmp)), Verdict::Unreachable { icmp });
        }
    }
}
