//! What was asked and what came: the facts of `doctor connect`, and as a table for a person.

use std::fmt::Write;

use holdfast_link::probe::{Attempt, TlsIdentity, Verdict};
use serde::Serialize;

/// Ports that a kind of system uses, in the order in which it tries them.
pub const PRESETS: &[(&str, &[u16])] = &[
    ("holdfast", &[7556]),
    ("classic", &[1556, 13724, 13782]),
    ("bareos", &[9101, 9102, 9103]),
    ("proxmox", &[8007]),
];

/// What was asked and what came.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// Seconds that an attempt was waited for.
    pub wait_seconds: f64,
    /// Whether the ports are those that one system tries in turn until one connects.
    pub in_turn: InTurn,
    /// The hosts.
    pub hosts: Vec<Host>,
}

/// Whether ports are tried in turn until one connects.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InTurn {
    /// The system whose ports they are does so.
    Yes,
    /// The user gave a list: nobody has said who tries them, and how.
    Perhaps,
    /// No.
    No,
}

/// A host.
#[derive(Clone, Debug, Serialize)]
pub struct Host {
    /// As the user named it.
    pub name: String,
    /// Seconds to resolve it.
    pub resolve_seconds: f64,
    /// Why it does not resolve.
    pub error: Option<String>,
    /// Each address and port, the ports of an address in the order in which they were given.
    pub attempts: Vec<Attempt>,
}

impl Facts {
    /// As a table.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for host in &self.hosts {
            // Writing to a string does not fail.
            let _ = match &host.error {
                Some(why) => writeln!(text, "{}: {why} ({:.3} s)", host.name, host.resolve_seconds),
                None => writeln!(text, "{} (resolved in {:.3} s)", host.name, host.resolve_seconds),
            };
            let width = host.attempts.iter().map(|attempt| attempt.to.to_string().len()).max().unwrap_or(0);
            for attempt in &host.attempts {
                let to = attempt.to.to_string();
                let _ =
                    writeln!(text, "  {to:width$}  {:>8.3} s  {}", attempt.connect_seconds, told(attempt));
            }
        }
        text
    }
}

/// A verdict in words.
pub(super) fn told(attempt: &Attempt) -> String {
    let errno = attempt.errno.map_or_else(String::new, |errno| format!(" (errno {errno})"));
    match &attempt.verdict {
        Verdict::Refused => format!("refused by RST{errno}"),
        Verdict::Unreachable { icmp } => {
            let from = icmp.from.map_or_else(String::new, |from| format!(" from {from}"));
            format!("ICMP {}{from}, type {} code {}{errno}", icmp.means, icmp.message, icmp.code)
        }
        Verdict::Dropped => "silently dropped: no answer".into(),
        Verdict::NoRoute => format!("no route from here, or the next hop does not answer{errno}"),
        Verdict::Denied => format!("this host itself does not allow it{errno}"),
        Verdict::ResetAfterAccept => format!("reset after accept{errno}"),
        Verdict::ClosedAfterAccept => "closed after accept".into(),
        Verdict::Speaks { banner } => format!("open, says {banner:?}"),
        Verdict::Tls { identity } => match identity {
            TlsIdentity::Ours { name, flaw: None } => format!("open, TLS, is {name}"),
            TlsIdentity::Ours { name, flaw: Some(flaw) } => format!("open, TLS, is {name}, but {flaw}"),
            TlsIdentity::Intercepted { subject, expected, .. } => {
                let subject =
                    subject.as_deref().unwrap_or("something without a certificate that can be read");
                format!("intercepted: {subject} answers in TLS, expected was {expected}")
            }
            TlsIdentity::Holdfast { name } => format!("open, TLS, says it is {name}"),
            TlsIdentity::Foreign { subject, issuer } => format!("open, TLS, {subject} (issuer {issuer})"),
            TlsIdentity::Unknown { why } => format!("open, TLS, {why}"),
        },
        Verdict::Open => "open, not TLS".into(),
        Verdict::EndsAtHello { reset, .. } => {
            format!("open, but {} upon a TLS hello", if *reset { "reset" } else { "closed" })
        }
        Verdict::Mute => "open, but says nothing, nor to a TLS hello".into(),
        Verdict::Failed { why } => format!("failed: {why}{errno}"),
    }
}

/// Whether TCP connects, so that who tries ports in turn stops there.
pub(super) fn connects(verdict: &Verdict) -> bool {
    use Verdict as V;
    match verdict {
        V::Speaks { .. }
        | V::Tls { .. }
        | V::Open
        | V::EndsAtHello { .. }
        | V::Mute
        | V::ResetAfterAccept
        | V::ClosedAfterAccept => true,
        V::Refused | V::Unreachable { .. } | V::Dropped | V::NoRoute | V::Denied | V::Failed { .. } => false,
    }
}
