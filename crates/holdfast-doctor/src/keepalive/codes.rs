//! What the kinds of findings mean, whatever the values.

use crate::code::Code;

/// The kinds of findings of this examination.
pub const CODES: &[Code] = &[
    Code {
        name: "keepalive-late",
        title: "a lost connection is noticed too late",
        meaning: "When the path dies under an idle connection, only keepalive tells. Until its first probe and all probes after it have gone without an answer, the program waits: a job whose work ended hours ago may then fail with status 40 (network connection broken), or hang as long.",
        action: "Lower the idle time, and then interval and number of probes, with the commands of the report. The program must have switched keepalive on.",
    },
    Code {
        name: "keepalive-never",
        title: "keepalive never ends a connection",
        meaning: "The limit of probing is 0: probes are sent for ever, and a dead connection is kept until the program ends.",
        action: "Set a limit with the commands of the report.",
    },
    Code {
        name: "keepalive-after-idle-timeout",
        title: "the first probe comes after a firewall has forgotten the connection",
        meaning: "Firewalls and load balancers forget connections on which nothing is sent for a while, most of them silently. A probe that comes later is dropped like all else: it does not keep the connection, it only finds that it is dead.",
        action: "Let the first probe come at half of the shortest idle timeout on the way, or earlier.",
    },
    Code {
        name: "keepalive-race",
        title: "the first probe comes at the very time at which the firewall forgets",
        meaning: "Idle time and idle timeout are the same: which is first is chance, and the connection lives on some days and dies on others. Such failures are the hardest to find.",
        action: "Let the first probe come at half of the idle timeout, or earlier.",
    },
    Code {
        name: "keepalive-tight",
        title: "the first probe comes late before the firewall forgets",
        meaning: "It comes before the idle timeout, but later than at half of it: one lost probe, or a firewall that forgets earlier under load, is enough to lose the connection.",
        action: "Let the first probe come at half of the idle timeout, or earlier.",
    },
    Code {
        name: "keepalive-short-retry",
        title: "probing ends so soon that a short outage kills idle connections",
        meaning: "Probes follow each other so fast, or are so few, that an outage of less than a minute, which data would survive, ends every idle connection. Jobs then fail with 13 (file read failed), 14 (file write failed), 24 (socket write failed), 42 (network read failed), 44 (network write failed) or 636 (read from input socket failed).",
        action: "Lengthen the interval or send more probes: what is saved before the first probe can be spent on probing.",
    },
    Code {
        name: "keepalive-impatient",
        title: "keepalive gives up before data would",
        meaning: "With data under way TCP sends it again for a time that is longer than keepalive probes an idle connection. An outage between the two ends idle connections only, such as the control connection of a job whose data goes on.",
        action: "Nothing, if outages of that length are rare; else more probes, as far as the wanted time to notice a loss allows.",
    },
    Code {
        name: "keepalive-data-late",
        title: "a loss with data under way is noticed later than wanted",
        meaning: "With data that is not acknowledged keepalive sends nothing: the retransmission timer rules, and ends the connection only at its own limit.",
        action: "A program that sets TCP_USER_TIMEOUT bounds it for itself; the system's limit of retransmissions bounds it for all.",
    },
    Code {
        name: "keepalive-data-short",
        title: "data is sent again for so short a time that a short outage ends transfers",
        meaning: "The limit of retransmissions has been lowered so far that an outage of less than a minute ends connections with data under way: status 24 (socket write failed), also 14 and 44.",
        action: "Set the limit back to what the system has from its maker.",
    },
    Code {
        name: "keepalive-unit",
        title: "a value looks as if it were meant in another unit",
        meaning: "Each system counts in its own unit: AIX half-seconds, HP-UX, Solaris, Windows, macOS and FreeBSD milliseconds, Linux seconds. A value copied from another system's instructions is off by a factor of 2 or 1000.",
        action: "Look at what was meant, and set it in the unit of this system.",
    },
    Code {
        name: "keepalive-fixed",
        title: "a value cannot be changed on this system",
        meaning: "Windows sends 10 probes since Vista and Server 2008, whatever is set; older instructions that name TcpMaxDataRetransmissions for it no longer apply.",
        action: "Set the interval instead: the time of probing is 10 times it.",
    },
];
