//! Who reaches whom in a site: from what each host has found when it tried the others' addresses, and what the sessions know.
//! Asking the hosts is the primary server's business.
//!
//! | module | question it answers |
//! |---|---|
//! | [`facts`] | what did the hosts find? |
//! | [`rules`] | what does it mean for the site? |
//! | [`draw`] | how does it look as text and as a table? |

pub mod draw;
pub mod facts;
pub mod rules;

use crate::code::Code;

/// The kinds of findings of this examination.
pub const CODES: &[Code] = &[
    Code {
        name: "no-way",
        title: "two hosts that must work together cannot reach each other in either direction",
        meaning: "A session between two hosts needs one direction in which one of them can dial the other; which one does not \
                  matter. Here neither can. Jobs that need this pair wait until their ride-out limit is over, and then end \
                  with status 58 or 40.",
        action: "Have one direction allowed in the firewall: from either host to the other's port (7556 unless it was chosen \
                 otherwise). Or let the host that can be reached listen: `client run --listen ADDR:PORT`.",
    },
    Code {
        name: "way-dropped",
        title: "a firewall drops what one host sends to another's port, and says nothing",
        meaning: "The connection attempt got no answer at all. Holdfast remembers such a route and tries others first, so jobs \
                  lose nothing by it. Systems that try ports in turn lose their whole wait with each connect.",
        action: "If the direction is not wanted, have the firewall answer with a TCP reset instead; if it is, have it allowed.",
    },
    Code {
        name: "way-foreign",
        title: "at a host's address answers somebody who is not that host",
        meaning: "The address is reached, but what answers has no certificate of this site: another service, or a device that \
                  opens TLS connections and reads along. Holdfast does not talk to it.",
        action: "Exempt the site's port from TLS inspection, or correct the address.",
    },
    Code {
        name: "host-away",
        title: "a host of the site does not attend, so nothing is known from its side",
        meaning: "The host's program is not running, or neither side can reach the other. What others find at its addresses is \
                  in the matrix all the same.",
        action: "On the host: is the program running, and what does its log say? `holdfast doctor connect PRIMARY` there says \
                 what the network does.",
    },
];
