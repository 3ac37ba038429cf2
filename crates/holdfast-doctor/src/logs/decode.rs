//! What the text of a line says. Wording differs between releases: words are looked for wherever they stand, and what is not
//! known for certain is not said.

use super::address::Endpoint;
use super::fact::{Fact, Job, Why};
use super::format::Format;

/// All that a line says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Said {
    /// In the order in which it is to be taken in.
    pub facts: Vec<Fact>,
    /// The job that it speaks of.
    pub job: Option<Job>,
    /// Whether it says that it speaks of none: `jobid=-1`.
    pub is_of_no_job: bool,
}

/// What a text says.
#[must_use]
pub fn decode(format: Format, text: &str) -> Said {
    let is_of_no_job = text.contains("jobid=-") || text.contains("jobid=0 ");
    let mut said = Said { facts: Vec::new(), job: job(text), is_of_no_job };
    let facts = &mut said.facts;
    facts.extend(rendezvous(text));
    facts.extend(waits(text));
    facts.extend(request(text));
    match link(text) {
        Some(link) => facts.push(link),
        None if text.contains("connect in progress") => facts.push(Fact::Dialling { to: None }),
        None => facts.extend(failure(text)),
    }
    facts.extend(lookup(text));
    // That such windows are probed is a setting, and no window that is closed.
    if ["zero window", "Zero window", "ZeroWindow"].iter().any(|words| text.contains(words))
        && !text.contains("probe")
    {
        facts.push(Fact::ClosedWindow);
    }
    if text.contains("WRITE DONE") {
        facts.push(Fact::Finished);
    }
    facts.extend(ending(format, text).map(|status| Fact::Ended { status }));
    said
}

/// `CONNECT FROM a TO b`, `ACCEPT FROM a TO b`; with `async` before it, it only begins.
fn link(text: &str) -> Option<Fact> {
    let (before, rest) = text.split_once(" FROM ")?;
    let (from, rest) = rest.split_once(" TO ")?;
    let from = Endpoint::parse(from.trim())?;
    let to = Endpoint::parse(rest.split_whitespace().next()?)?;
    let mut words = before.split_whitespace().rev();
    let verb = words.next()?;
    match verb {
        "CONNECT" if words.next() == Some("async") => Some(Fact::Dialling { to: Some(to) }),
        "CONNECT" => Some(Fact::Link { by_dialler: true, from, to }),
        "ACCEPT" | "ACCEPTED" => Some(Fact::Link { by_dialler: false, from, to }),
        _ => None,
    }
}

/// A connection that failed. What is not about connections is left to others.
fn failure(text: &str) -> Option<Fact> {
    let lower = text.to_ascii_lowercase();
    let errno = errno(&lower);
    // ETIME is 62 where these programs run. Else it must be a read: threads and timers expire as well.
    let has_expired = lower.contains("timer expired") || is_timeout(&lower);
    if has_expired && (errno == Some(62) || reads(&lower)) {
        return Some(Fact::Silence);
    }
    let by_number = match errno {
        Some(111 | 10061 | 146 | 239 | 79) => Some(Why::Refused),
        Some(110 | 10060 | 145 | 238 | 78) => Some(Why::TimedOut),
        Some(104 | 10054 | 131 | 232 | 73) => Some(Why::Reset),
        Some(32) => Some(Why::Pipe),
        _ => None,
    };
    let why = if lower.contains("connection refused")
        || lower.contains("connrefused")
        || lower.contains("connect_refused")
        || lower.contains("actively refused")
    {
        Why::Refused
    } else if lower.contains("broken pipe") || lower.contains("epipe") || lower.contains("sigpipe") {
        Why::Pipe
    } else if lower.contains("connect") && is_timeout(&lower) {
        Why::TimedOut
    } else if let Some(why) = by_number {
        why
    } else if lower.contains("connect_failed") || lower.contains("connect failed") {
        Why::Other
    } else {
        return None;
    };
    Some(Fact::Failed { why, errno, to: aim(text) })
}

/// Whether a word says that something is read.
fn reads(lower: &str) -> bool {
    let mut words = lower.split(|character: char| !character.is_ascii_alphanumeric());
    words.any(|word| ["read", "reading", "recv", "readline", "readstring"].contains(&word))
}

fn is_timeout(lower: &str) -> bool {
    lower.contains("timed out") || lower.contains("timeout expired") || lower.contains("time out expired")
}

/// The address that a failure names: a word that is an address with a port, or an address and the way that was tried.
fn aim(text: &str) -> Option<Endpoint> {
    let words = || text.split([' ', '\t', '(', ')', '[', ']', '=', ';', ',']).filter(|word| word.len() > 6);
    if let Some(whole) = words().filter_map(Endpoint::parse).find(|end| !end.ip.is_unspecified()) {
        return Some(whole);
    }
    let (_, to) = text.split_once(" TO ")?;
    let ip = to.split_whitespace().find_map(|word| word.parse().ok())?;
    let port = match to.split_once(" VIA ").map(|(_, way)| way.trim().to_ascii_lowercase()) {
        Some(way) if way.starts_with("pbx") => PREFERRED[0],
        Some(way) if way.starts_with("vnetd") => PREFERRED[1],
        None if to.contains("bpcd") => PREFERRED[2],
        _ => return None,
    };
    Some(Endpoint { ip, port })
}

/// The ports in the order in which they are tried.
pub const PREFERRED: [u16; 3] = [1556, 13724, 13782];

/// The number of an error, in a text in small letters.
fn errno(lower: &str) -> Option<u32> {
    let after = |word: &str| lower.match_indices(word).find_map(|(at, _)| number(&lower[at + word.len()..]));
    let named = ["errno", "so_error returned", "system:", "wsaerror"].iter().find_map(|word| after(word));
    // Many things are errors; those of sockets of Windows have large numbers.
    named.or_else(|| after("error").filter(|number| (10_000..11_100).contains(number)))
}

/// The number that follows, after signs but no words.
fn number(text: &str) -> Option<u32> {
    let text = text.trim_start_matches([' ', '=', ':', '(', '[', '#']);
    let digits = text.len() - text.trim_start_matches(|character: char| character.is_ascii_digit()).len();
    text[..digits.min(9)].parse().ok()
}

/// `NAME(6)` of a request to a peer, or the name alone.
fn request(text: &str) -> Option<Fact> {
    let at = text.find("VN_REQUEST_").or_else(|| text.find("CONNECT_FORWARD_SOCKET"))?;
    let name = text[at..].trim_start_matches("VN_REQUEST_");
    let end = name
        .find(|character: char| !character.is_ascii_uppercase() && character != '_')
        .unwrap_or(name.len());
    (end > 0 && end < 64).then(|| Fact::Request { name: name[..end].to_owned() })
}

/// `vnet_sock_ready: ... max_time: 120`.
fn waits(text: &str) -> Option<Fact> {
    let (_, rest) = text.split_once("max_time")?;
    let seconds = number(rest)?;
    (text.contains("sock_ready") && (1..=86_400).contains(&seconds)).then_some(Fact::Waits { seconds })
}

/// `57276;c432...;10;600`, or the port and the secret apart.
fn rendezvous(text: &str) -> Option<Fact> {
    for word in text.split([' ', '\t', ',', '/', '=']) {
        let mut parts = word.split(';');
        let (Some(port), Some(hash)) = (parts.next(), parts.next()) else { continue };
        if let (Ok(port), true) = (port.parse(), is_hash(hash)) {
            return Some(Fact::Rendezvous { port, hash: Some(hash.to_ascii_lowercase()) });
        }
    }
    let (_, rest) = text.split_once("ipc_string")?;
    let port = number(rest).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)?;
    let hash = text.split([' ', '\t', ',', ';', ':', '=']).find(|word| is_hash(word));
    Some(Fact::Rendezvous { port, hash: hash.map(str::to_ascii_lowercase) })
}

fn is_hash(word: &str) -> bool {
    (16..=128).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn lookup(text: &str) -> Option<Fact> {
    if !["addrinfo", "nameinfo", "gethostby"].iter().any(|word| text.contains(word)) {
        return None;
    }
    // What was found in a cache, or found at all, says nothing of how long it took: the thread may have been idle before.
    let is_end = ["ailed", "RV="].iter().any(|word| text.contains(word));
    if !is_end && ["found", "eturned", "ucceeded", "cache"].iter().any(|word| text.contains(word)) {
        return None;
    }
    Some(Fact::Lookup { is_end })
}

/// The status with which a process or a job ended; not every status that a line names.
fn ending(format: Format, text: &str) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    if lower.contains("exit status") || lower.contains("terminatealljobs") {
        return lower
            .match_indices("status")
            .find_map(|(at, word)| number(&lower[at + word.len()..]))
            .filter(is_status);
    }
    if format == Format::JobDetails {
        let (words, code) = text.trim_end().strip_suffix(')')?.rsplit_once('(')?;
        let status = code.parse().ok().filter(is_status)?;
        let is_end = words.contains("end writing") || (!words.contains("pid=") && status > 0);
        return (is_end && !words.trim().is_empty()).then_some(status);
    }
    None
}

fn is_status(status: &u32) -> bool {
    *status < 10_000
}

/// `jobid=3 parentid=1`.
fn job(text: &str) -> Option<Job> {
    let after = |word: &str| {
        let (_, rest) = text.split_once(word)?;
        let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse::<u64>().ok().filter(|id| *id > 0)
    };
    let id = after("jobid=")?;
    Some(Job { id, parent: after("parentid=").filter(|parent| *parent != id) })
}

#[cfg(test)]
mod tests {
    use super::super::needles::Needles;
    use super::*;

    #[track_caller]
    fn check(text: &str, facts: &[Fact]) {
        // A line in which the search finds no word is never decoded.
        assert!(facts.is_empty() || Needles::new().find(text.as_bytes()).is_some(), "{text}");
        assert_eq!(decode(Format::Legacy, text).facts, facts, "{text}");
    }

    fn end(word: &str) -> Endpoint {
        Endpoint::parse(word).unwrap()
    }

    #[test]
    fn connections_are_understood() {
        check("vnet_async_connect: ... 0: connect in progress: 1 0x00000001", &[Fact::Dialling { to: None }]);
        let (from, to) = (end("10.0.0.1.57357"), end("10.0.0.2.13724"));
        check(
            "logconnections: BPCD CONNECT FROM 10.0.0.1.57357 TO 10.0.0.2.13724 fd = 8",
            &[Fact::Link { by_dialler: true, from, to }],
        );
        check(
            "bpcd main: BPCD ACCEPT FROM 10.0.0.1.57357 TO 10.0.0.2.13724 fd = 8",
            &[Fact::Link { by_dialler: false, from, to }],
        );
        check(
            "vnet_async_connect: 0: connect: async CONNECT FROM 10.0.0.1.57357 TO 10.0.0.2.13724 fd = 8",
            &[Fact::Dialling { to: Some(to) }],
        );
    }

    #[test]
    fn failures_are_understood() {
        for (text, why, errno, to) in [
            (
                "async_connect: [c:1] getsockopt SO_ERROR returned 10060 0x274c",
                Why::TimedOut,
                Some(10060),
                None,
            ),
            (
                "connect to 127.0.0.1.57276 failed, error 10061",
                Why::Refused,
                Some(10061),
                Some("127.0.0.1.57276"),
            ),
            (
                "status: FAILED, (42) CONNECT_REFUSED; system: (111) Connection refused; FROM 0.0.0.0 TO c7 10.0.0.2 bpcd VIA pbx",
                Why::Refused,
                Some(111),
                Some("10.0.0.2.1556"),
            ),
            ("flush_archive(): ERR - write failed, errno = 32: Broken pipe", Why::Pipe, Some(32), None),
            ("connect_to_service: connect failed STATUS (18) CONNECT_FAILED", Why::Other, None, None),
        ] {
            check(text, &[Fact::Failed { why, errno, to: to.map(end) }]);
        }
        check("bpbrm readline: socket read failed: errno = 62 - Timer expired", &[Fact::Silence]);
        check("bpbrm: client read timed out", &[Fact::Silence]);
        for text in [
            "worker thread 4: timeout expired, going idle",
            "ready: keepalive timer expired",
            "already timed out",
            "an ordinary line that failed with error 5",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn sockets_and_requests_are_understood() {
        let hash = "c432cfc40d6d02d80f592f6c03015c49";
        check(
            &format!("bpbrm multiplexed_backup: mpx_ipc: 57276;{hash};10;600"),
            &[Fact::Rendezvous { port: 57276, hash: Some(hash.into()) }],
        );
        check(
            &format!("process_connect_forward_socket: ipc_string: 57276 hash_str1: {hash}"),
            &[Fact::Rendezvous { port: 57276, hash: Some(hash.into()) }],
        );
        check("vnet_sock_ready: max_time: 120", &[Fact::Waits { seconds: 120 }]);
        check("x: Request VN_REQUEST_SERVICE_SOCKET(6)", &[Fact::Request { name: "SERVICE_SOCKET".into() }]);
        check("mpx_ipc: a;b;c", &[]);
    }

    #[test]
    fn endings_and_jobs_are_understood() {
        check(
            "bpbrm Exit: client backup EXIT STATUS = 25: cannot connect on socket",
            &[Fact::Ended { status: 25 }],
        );
        check("bpbkar: INF - EXIT STATUS 0: the requested operation", &[Fact::Ended { status: 0 }]);
        let said =
            decode(Format::UnifiedLong, "[jobid=3 parentid=1] 6 [X::terminateAllJobs] status 40(X.cpp:1)");
        assert_eq!(
            said,
            Said {
                facts: vec![Fact::Ended { status: 40 }],
                job: Some(Job { id: 3, parent: Some(1) }),
                is_of_no_job: false
            }
        );
        let own = decode(Format::UnifiedLong, "[jobid=3 parentid=3] WRITE DONE");
        assert_eq!(
            own,
            Said { facts: vec![Fact::Finished], job: Some(Job { id: 3, parent: None }), is_of_no_job: false }
        );
        let details = decode(Format::JobDetails, "end writing; write time: 0:06:00 file read failed (13)");
        assert_eq!(details.facts, [Fact::Ended { status: 13 }]);
        assert!(
            decode(Format::UnifiedLong, "[jobid=-1 parentid=-1] terminateAllJobs status 40").is_of_no_job
        );
        check("tcp zero window probes are on", &[]);
        check("the status of x is 5", &[]);
        check("vnet_cached_getaddrinfo: found in cache c7", &[]);
        check("retry_getaddrinfo() failed RV=-2", &[Fact::Lookup { is_end: true }]);
        check("retry_getaddrinfo: c7", &[Fact::Lookup { is_end: false }]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it(
            words in proptest::collection::vec(proptest::prelude::prop_oneof![
                proptest::prelude::any::<String>(),
                proptest::sample::select(vec![" FROM ", " TO ", "CONNECT", "max_time", "ipc_string", "errno", "status",
                    "EXIT STATUS", "jobid=", "VN_REQUEST_", ";", "(", ")", "9999999999999", "1.2.3.4.5", "é", " VIA "])
                    .prop_map(str::to_owned),
            ], 0..12),
        ) {
            for format in Format::ALL {
                let _ = decode(format, &words.concat());
            }
        }
    }
    use proptest::strategy::Strategy;
}
