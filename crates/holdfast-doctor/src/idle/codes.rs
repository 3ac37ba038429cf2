//! The kinds of findings of `doctor idle`.

use crate::code::Code;

const fn code(name: &'static str, title: &'static str, meaning: &'static str, action: &'static str) -> Code {
    Code { name, title, meaning, action }
}

/// All of them.
pub const CODES: &[Code] = &[
    code(
        "idle-forgotten",
        "The path forgets idle connections silently",
        "A firewall, NAT or load balancer on the way keeps a table of connections, and takes one out on which nothing was sent for a \
         while. It tells neither end: later packets are dropped. A control connection that waits for a job to end is lost like \
         that; its owner notices when keepalive does, two hours later if nothing was set, and records a finished job as failed (for \
         the classic system: status 40).",
        "Let keepalive or heartbeats come at most half of that time apart, or have the limit raised.",
    ),
    code(
        "idle-forgotten-reset",
        "The path forgets idle connections and resets them",
        "Something on the way forgets a connection on which nothing was sent for a while. It answers later packets with RST, or \
         sends RST when the time has come: who sends next gets an error at once, and who only waits hears nothing until then.",
        "Let keepalive or heartbeats come at most half of that time apart, or have the limit raised.",
    ),
    code(
        "idle-kept",
        "The path keeps idle connections as long as was examined",
        "A connection on which nothing was sent for that long was still known to everything on the way. What happens after longer was \
         not seen.",
        "Nothing; or examine longer times with --longest.",
    ),
    code(
        "idle-closed",
        "The other end closes idle connections itself",
        "The service, or a proxy in its place, ended the connection: it does not wait longer for somebody who says nothing. The path \
         was still there. What the path would do after longer cannot be seen with this service.",
        "Examine another port of the same host whose service waits longer; on hosts of a Holdfast site, its exchange.",
    ),
    code(
        "idle-not-idle",
        "A connection was not idle",
        "Packets came or went although this end sent nothing: the service says something from time to time, or its kernel sends \
         keepalive probes of its own. So this service keeps its connections known to the path, and says nothing of its limit.",
        "Examine another port of the same host.",
    ),
    code(
        "idle-path-away",
        "The path was away during the examination",
        "A connection that was in use all the time went unanswered, was reset or refused. What was lost at that time says nothing of \
         idle connections.",
        "Look at what happened at that time; then examine again.",
    ),
    code(
        "idle-contradiction",
        "Connections were forgotten after less time than others were kept",
        "The path does not treat all connections alike: there are several ways, or several firewalls that share the load, or a table \
         that is full and loses the oldest.",
        "Examine again; then ask who has the firewalls whether there are several, and whether their tables fill up.",
    ),
];
