//! The kinds of findings of `doctor connect`.

use crate::code::Code;

const fn code(name: &'static str, title: &'static str, meaning: &'static str, action: &'static str) -> Code {
    Code { name, title, meaning, action }
}

/// All of them.
pub const CODES: &[Code] = &[
    code(
        "name-unresolved",
        "A name does not resolve",
        "No address is known for the name on this host, so that nothing can connect to it by name. How long the answer took \
         matters too: a resolver that is not reached delays each connection.",
        "Correct the name, DNS or the hosts file of this host.",
    ),
    code(
        "port-dropped",
        "A port is silently dropped",
        "Neither a connection nor a refusal came within the wait: a firewall drops the packets, the host is down, its listen \
         queue is full, or the answer is lost on the way back. Who connects must wait for a timer. A system that tries ports \
         in turn pays that on every connect, until something else in the job expires (for the classic one: status 25).",
        "Ask the firewall's owner to answer with a TCP reset instead of dropping, or to allow the port.",
    ),
    code(
        "port-refused",
        "A port is refused",
        "A TCP reset came: the host answers and nothing listens there, or a firewall refuses in its name; from outside these \
         look the same. It costs no time.",
        "Start the service, if it should be there; otherwise nothing.",
    ),
    code(
        "port-unreachable",
        "An ICMP message refuses a port",
        "A router, a firewall or the host said by ICMP that it cannot be reached. Linux fails at once; Windows ignores such \
         messages by default when it connects, so that to a Windows host the port looks silently dropped.",
        "Ask who owns the sender of the message; a TCP reset is understood by all systems.",
    ),
    code(
        "port-no-route",
        "There is no way there from this host",
        "This host has no route, or its next hop does not answer. No packet reached a firewall.",
        "Look at this host's routes and addresses (`ip route get ADDRESS`).",
    ),
    code(
        "port-denied-here",
        "This host itself forbids the connection",
        "The attempt failed in this host: a rule of its own firewall or a security policy.",
        "Look at the firewall of this host.",
    ),
    code(
        "port-ends-after-accept",
        "A connection is accepted and ended at once",
        "TCP connects, then the connection is reset or closed before a byte came: a service that does not know this host (an \
         access list), a proxy whose server is down, or an inspecting firewall.",
        "Look at the log of the service for this host's address; if it has none, at what stands between.",
    ),
    code(
        "port-ends-at-hello",
        "A connection ends upon a TLS hello",
        "TCP connects and nothing is said; to a TLS hello the other end answers with a reset or an end, without a byte. Services \
         that are no TLS do so, and it means nothing there. Where TLS should answer, a firewall that inspects connections may \
         have ended it.",
        "If a service should answer in TLS there: ask on its host, and the firewall's owner. Otherwise nothing.",
    ),
    code(
        "port-mute",
        "A port accepts and says nothing",
        "The kernel accepts, and no byte came, nor to a TLS hello. Some services wait for their own protocol's first message; \
         but a frozen process looks just so, since the kernel accepts in its name, and so does a proxy.",
        "See whether the process of the service works on its host.",
    ),
    code(
        "port-intercepted",
        "Something else answers in the place of a host of this site",
        "A host of the site should answer in TLS, and what came was not signed by the site's authority, came from who does not \
         have the key, or was no TLS 1.3 of Holdfast's. A firewall that inspects TLS does that; so does another service on the \
         port, or a host that was enrolled in another site. Hosts refuse such a peer: no session begins, and nothing is \
         disclosed.",
        "Ask on the host itself who answers there; if it is the right one, ask the firewall's owner to exempt the hosts from \
         TLS inspection.",
    ),
    code(
        "port-ours-flawed",
        "A host of this site answers, but not as it should",
        "The host has proved who it is, so that nothing stands between. But its certificate has expired, was revoked or is not \
         valid yet, another host is known to listen there, or it does not take Holdfast's sessions; others may refuse it.",
        "Look on the host whether its role runs and reaches the primary server, and compare the clocks.",
    ),
    code(
        "ports-in-turn",
        "Trying ports in turn costs time on every connect",
        "A system that tries ports one after the other, each with a wait of 10 s, loses the wait for each silently dropped one \
         before the one that works, on every connect. A socket offered for a rendezvous expires after 120 s; so many delays in \
         a job and it is gone when it is wanted.",
        "Have the dropped ports answered with a TCP reset, or allowed.",
    ),
];
