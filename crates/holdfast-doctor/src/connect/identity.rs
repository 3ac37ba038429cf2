//! Findings about who answers in TLS: something in the place of a host of this site, or one of its hosts with a flaw. Other
//! verdicts are `rules`'s; how an identity is known is `holdfast_link::probe`'s.

use holdfast_link::probe::{Attempt, Mismatch, TlsIdentity};

use super::facts::{Host, told};
use super::rules::source;
use crate::finding::{Evidence, Finding, Severity};

/// What an identity means, if it is worth a finding.
pub(super) fn finding(host: &Host, attempt: &Attempt, identity: &TlsIdentity) -> Option<Finding> {
    let title =
        format!("{}: tcp port {} of {}: {}", host.name, attempt.to.port(), attempt.to.ip(), told(attempt));
    match identity {
        TlsIdentity::Intercepted { subject, issuer, expected, why } => {
            let shown = certificate(subject.as_deref(), issuer.as_deref());
            Some(Finding {
                code: "port-intercepted",
                severity: Severity::Problem,
                title,
                evidence: intercepted(attempt, &shown, expected),
                cause: cause(*why).into(),
                action: forward(attempt, &shown, *why),
            })
        }
        TlsIdentity::Ours { name, flaw: Some(flaw) } => Some(Finding {
            code: "port-ours-flawed",
            severity: Severity::Warning,
            title,
            evidence: vec![Evidence::Fact(format!(
                "from {} to {}: {name} has proved that it is this host; but {flaw}",
                source(attempt.from),
                attempt.to
            ))],
            cause:
                "Nothing stands between, but a host that dials it for a session is refused, or refuses it."
                    .into(),
            action: format!(
                "on {name}: see that its role runs and can reach the primary server, which renews its certificate; compare \
                 its clock with this host's"
            ),
        }),
        _ => None,
    }
}

fn intercepted(attempt: &Attempt, shown: &str, expected: &str) -> Vec<Evidence> {
    let (from, to, seconds) = (source(attempt.from), attempt.to, attempt.connect_seconds);
    vec![
        Evidence::Fact(format!("from {from} to {to}: connected after {seconds:.3} s, and got {shown}")),
        Evidence::Fact(format!("expected: {expected}")),
    ]
}

fn certificate(subject: Option<&str>, issuer: Option<&str>) -> String {
    match (subject, issuer) {
        (Some(subject), Some(issuer)) => format!("a certificate of {subject:?}, issued by {issuer:?}"),
        _ => "no certificate that can be read".into(),
    }
}

/// Interception is never the only explanation: the others are named with it.
fn cause(why: Mismatch) -> &'static str {
    match why {
        Mismatch::NotSigned => {
            "A host of this site is known to listen there, and this site's authority has not signed what came: something on \
             the way answers in its place, as a firewall that inspects TLS. Or another service has taken the port or the \
             address, or the host was enrolled anew, in another site."
        }
        Mismatch::NameForged => {
            "What answers calls itself a host of this site, and another authority than this site's has signed that: something \
             on the way answers in its place, as a firewall that inspects TLS. Or the site was made anew and one of the two \
             hosts is still enrolled in the old one, or another site has the same name."
        }
        Mismatch::NoKey => {
            "What answers shows the certificate of a host of this site and does not have its key: something on the way \
             pretends to be that host. The other explanation is a defect in the program that answers."
        }
        Mismatch::Protocol => {
            "A host of this site is known to listen there, and every one takes TLS 1.3 and Holdfast's protocol; what answers \
             refused: something on the way answers in its place, as a firewall that inspects TLS. Or another service has \
             taken the port or the address."
        }
    }
}

fn forward(attempt: &Attempt, shown: &str, why: Mismatch) -> String {
    let (from, to, port) = (source(attempt.from), attempt.to.ip(), attempt.to.port());
    let what = match why {
        Mismatch::Protocol => "by something that refuses TLS 1.3 or their application protocol (ALPN)".into(),
        Mismatch::NoKey => format!("by something that shows {shown}, without having its key"),
        Mismatch::NotSigned | Mismatch::NameForged => format!("with {shown}, which is not the host's own"),
    };
    format!(
        "on {to} itself, `holdfast doctor connect {}` says who answers without the network between; if that is another than \
         from here, forward: \"Connections from {from} to {to}, tcp port {port}, are answered {what}. Please exempt these \
         hosts from TLS inspection: both ends check each other's certificate and refuse any other.\"",
        attempt.to
    )
}

#[cfg(test)]
mod tests {
    use holdfast_link::probe::Verdict;

    use super::*;

    fn found(identity: TlsIdentity) -> Option<Finding> {
        let attempt = Attempt {
            to: ([10, 0, 0, 2], 7556).into(),
            from: Some([10, 0, 0, 1].into()),
            verdict: Verdict::Tls { identity: identity.clone() },
            errno: None,
            connect_seconds: 0.001,
            seconds: 1.0,
        };
        let host = Host {
            name: "store1".into(),
            resolve_seconds: 0.001,
            error: None,
            attempts: vec![attempt.clone()],
        };
        finding(&host, &attempt, &identity)
    }

    fn intercepted(why: Mismatch) -> Finding {
        let (subject, issuer) = match why {
            Mismatch::Protocol => (None, None),
            _ => (Some("CN=store1".to_owned()), Some("CN=Inspection".to_owned())),
        };
        let expected = "holdfast://lab/media/store1".to_owned();
        found(TlsIdentity::Intercepted { subject, issuer, expected, why }).unwrap()
    }

    #[test]
    fn what_is_intercepted_names_both_ends_the_certificate_and_what_was_expected() {
        for why in [Mismatch::NotSigned, Mismatch::NameForged, Mismatch::NoKey, Mismatch::Protocol] {
            let finding = intercepted(why);
            assert_eq!((finding.code, finding.severity), ("port-intercepted", Severity::Problem));
            assert!(crate::code::find(finding.code).is_some());
            let facts: Vec<_> = finding
                .evidence
                .iter()
                .map(|evidence| match evidence {
                    Evidence::Fact(fact) => fact.as_str(),
                    Evidence::Line(_) => panic!("{evidence:?}"),
                })
                .collect();
            let shown = match why {
                Mismatch::Protocol => "got no certificate",
                _ => "got a certificate of \"CN=store1\", issued by \"CN=Inspection\"",
            };
            assert!(
                facts[0].contains("from 10.0.0.1 to 10.0.0.2:7556") && facts[0].contains(shown),
                "{facts:?}"
            );
            assert_eq!(facts[1], "expected: holdfast://lab/media/store1");
            assert!(
                finding.action.contains("forward: \"Connections from 10.0.0.1 to 10.0.0.2, tcp port 7556")
            );
            assert!(finding.action.contains("exempt these hosts from TLS inspection"), "{}", finding.action);
        }
    }

    #[test]
    fn interception_is_never_said_without_the_other_explanation() {
        for (why, other) in [
            (Mismatch::NotSigned, "another service has taken the port"),
            (Mismatch::NotSigned, "enrolled anew"),
            (Mismatch::NameForged, "the site was made anew"),
            (Mismatch::NoKey, "a defect"),
            (Mismatch::Protocol, "another service has taken the port"),
        ] {
            let cause = intercepted(why).cause;
            assert!(cause.contains(other), "{why:?}: {cause}");
        }
    }

    #[test]
    fn our_own_host_is_a_finding_only_with_a_flaw() {
        let name = "holdfast://lab/media/store1".to_owned();
        assert!(found(TlsIdentity::Ours { name: name.clone(), flaw: None }).is_none());
        let flawed =
            found(TlsIdentity::Ours { name, flaw: Some("the certificate has expired".into()) }).unwrap();
        assert_eq!(flawed.severity, Severity::Warning);
        assert!(crate::code::find(flawed.code).is_some() && flawed.title.contains("expired"), "{flawed:?}");
    }
}
