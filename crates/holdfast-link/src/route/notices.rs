//! What the kernel of Linux tells of links, addresses and routes (rtnetlink), read from its bytes, and the bytes with which
//! it is asked. Reading and asking is `net::changes`'s; what counts as a change is `own`'s.
//!
//! Only what tells one address or route from another is kept of each, as a digest. Lifetimes, statistics and flags that
//! come and go are left out, and so is what every host has: addresses of the host itself and of single links, entries for
//! local delivery, broadcast and multicast, cached routes.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Types of messages (linux/netlink.h, linux/rtnetlink.h).
mod kind {
    pub(super) const ERROR: u16 = 2;
    pub(super) const DONE: u16 = 3;
    pub(super) const NEW_LINK: u16 = 16;
    pub(super) const DEL_LINK: u16 = 17;
    pub(super) const NEW_ADDRESS: u16 = 20;
    pub(super) const DEL_ADDRESS: u16 = 21;
    pub(super) const NEW_ROUTE: u16 = 24;
    pub(super) const DEL_ROUTE: u16 = 25;
}

const HEADER: usize = 16;
/// NLM_F_MULTI: part of an answer of many.
const MULTI: u16 = 0x2;
/// NLM_F_REPLACE.
const REPLACE: u16 = 0x100;
/// NLM_F_REQUEST and NLM_F_DUMP.
const DUMP: u16 = 0x1 | 0x300;
/// IFF_UP and IFF_RUNNING: switched on, and something at the other end.
const RUNNING: u32 = 0x1 | 0x40;
/// RT_SCOPE_LINK and narrower: good for one link, or for this host only.
const NARROW: u8 = 253;
/// IFA_F_DADFAILED and IFA_F_TENTATIVE: not to be used, or not yet.
const NOT_USABLE: u32 = 0x08 | 0x40;
/// IFA_F_OPTIMISTIC: usable although it is tentative.
const OPTIMISTIC: u32 = 0x04;
/// RTM_F_CLONED: a route of the cache.
const CLONED: u32 = 0x200;
/// RT_TABLE_LOCAL.
const TABLE_LOCAL: u32 = 255;
/// RTN_UNICAST, and what forbids: RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT, RTN_THROW. Not local delivery, broadcast,
/// anycast or multicast.
const ROUTE_TYPES: [u8; 5] = [1, 6, 7, 8, 9];

/// What the kernel tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News {
    /// How a link is now.
    Link {
        /// The link.
        index: u32,
        /// Whether it carries anything.
        running: bool,
    },
    /// An address that is there, or is no more.
    Address {
        /// What tells it from others.
        digest: u64,
        /// Its link.
        index: u32,
        /// Whether it can be used.
        there: bool,
    },
    /// A route that is there, or is no more.
    Route {
        /// What tells its destination from others.
        slot: u64,
        /// What tells its way from others.
        way: u64,
        /// Whether it is there.
        there: bool,
        /// Whether it takes the place of others to the same destination.
        replaces: bool,
    },
    /// The end of an answer, good or not.
    End,
}

/// One message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// What it tells; `None`: nothing that is of interest here.
    pub news: Option<News>,
    /// The number of the request that it answers; `None` if it came by itself.
    pub answers: Option<u32>,
}

/// What can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ask {
    /// All links.
    Links,
    /// All addresses.
    Addresses,
    /// All routes.
    Routes,
}

/// A request for all of a kind, with this number.
pub fn request(ask: Ask, number: u32) -> [u8; 20] {
    // RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE; the body is one byte, any family, and three of padding.
    let kind: u16 = match ask {
        Ask::Links => 18,
        Ask::Addresses => 22,
        Ask::Routes => 26,
    };
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(&20u32.to_ne_bytes());
    bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
    bytes[6..8].copy_from_slice(&DUMP.to_ne_bytes());
    bytes[8..12].copy_from_slice(&number.to_ne_bytes());
    bytes
}

/// The messages of a datagram. What is cut off or makes no sense ends them: the kernel does not say such things.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Message> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(rest, 0)?).ok().filter(|length| *length >= HEADER)?;
        // A notice of a link may be longer than the datagram: its beginning is enough.
        let message = rest.get(..length).unwrap_or(rest);
        rest = after(rest, length);
        parse(message)
    })
}

fn parse(message: &[u8]) -> Option<Message> {
    let (kind, flags) = (u16_at(message, 4)?, u16_at(message, 6)?);
    let number = u32_at(message, 8)?;
    let body = message.get(HEADER..)?;
    let news = match kind {
        kind::ERROR | kind::DONE => Some(News::End),
        kind::NEW_LINK | kind::DEL_LINK => link(body, kind == kind::NEW_LINK),
        kind::NEW_ADDRESS | kind::DEL_ADDRESS => address(body, kind == kind::NEW_ADDRESS),
        kind::NEW_ROUTE | kind::DEL_ROUTE => route(body, kind == kind::NEW_ROUTE, flags & REPLACE != 0),
        _ => None,
    };
    // Notices carry the number of whoever caused them, so that the number alone does not tell.
    let is_answer = flags & MULTI != 0 || kind == kind::ERROR;
    Some(Message { news, answers: is_answer.then_some(number) })
}

/// struct ifinfomsg: family, padding, type, index, flags, change.
fn link(body: &[u8], there: bool) -> Option<News> {
    let running = there && u32_at(body, 8)? & RUNNING == RUNNING;
    Some(News::Link { index: u32_at(body, 4)?, running })
}

/// struct ifaddrmsg: family, length of the prefix, flags, scope, index; then attributes.
fn address(body: &[u8], there: bool) -> Option<News> {
    const ADDRESS: u16 = 1;
    const LOCAL: u16 = 2;
    const FLAGS: u16 = 8;
    let &[family, prefix, flags, scope, ..] = body else { return None };
    if scope >= NARROW {
        return None;
    }
    let index = u32_at(body, 4)?;
    let (mut flags, mut address, mut local) = (u32::from(flags), None, None);
    for (kind, value) in attributes(body.get(8..)?) {
        match kind {
            ADDRESS => address = Some(value),
            LOCAL => local = Some(value),
            // The wider field, if there is one.
            FLAGS => flags = u32_at(value, 0).unwrap_or(flags),
            _ => {}
        }
    }
    let usable = flags & NOT_USABLE == 0 || flags & OPTIMISTIC != 0;
    let digest = digest((family, prefix, index, local.or(address)?));
    Some(News::Address { digest, index, there: there && usable })
}

/// struct rtmsg: family, lengths of destination and source, type of service, table, protocol, scope, type, flags; then
/// attributes.
fn route(body: &[u8], there: bool, replaces: bool) -> Option<News> {
    const DESTINATION: u16 = 1;
    const SOURCE: u16 = 2;
    const LINK: u16 = 4;
    const GATEWAY: u16 = 5;
    const PRIORITY: u16 = 6;
    const PREFERRED_SOURCE: u16 = 7;
    const HOPS: u16 = 9;
    const TABLE: u16 = 15;
    const VIA: u16 = 18;
    let &[family, to_length, from_length, service, table, _protocol, _scope, route_type, ..] = body else {
        return None;
    };
    let mut table = u32::from(table);
    let (mut slot, mut way) = (DefaultHasher::new(), DefaultHasher::new());
    (family, to_length, from_length, service).hash(&mut slot);
    route_type.hash(&mut way);
    let mut is_narrow = false;
    for (kind, value) in attributes(body.get(12..)?) {
        match kind {
            TABLE => table = u32_at(value, 0)?,
            DESTINATION => {
                is_narrow = is_link_local(value) && to_length >= 8;
                (kind, value).hash(&mut slot);
            }
            SOURCE | PRIORITY => (kind, value).hash(&mut slot),
            LINK | GATEWAY | PREFERRED_SOURCE | VIA => (kind, value).hash(&mut way),
            HOPS => hops(value).for_each(|hop| hop.hash(&mut way)),
            _ => {}
        }
    }
    let is_cached = u32_at(body, 8)? & CLONED != 0;
    if is_cached || is_narrow || table == TABLE_LOCAL || !ROUTE_TYPES.contains(&route_type) {
        return None;
    }
    table.hash(&mut slot);
    Some(News::Route { slot: slot.finish(), way: way.finish(), there, replaces })
}

/// fe80::/10, ff00::/8, 169.254.0.0/16 and 224.0.0.0/4.
fn is_link_local(address: &[u8]) -> bool {
    match address {
        [169, 254, _, _] | [224..=239, _, _, _] => true,
        [0xff, ..] => address.len() == 16,
        [0xfe, second, ..] => address.len() == 16 && second & 0xc0 == 0x80,
        _ => false,
    }
}

/// struct rtnexthop, each: length, flags, hops, index; then attributes. The flags say whether the link is down, which its
/// own notice says too.
fn hops(bytes: &[u8]) -> impl Iterator<Item = (u8, u32, Option<&[u8]>)> {
    const GATEWAYS: [u16; 2] = [5, 18];
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let hop = rest.get(..length).filter(|hop| hop.len() >= 8)?;
        rest = after(rest, length);
        let gateway = attributes(&hop[8..]).find(|(kind, _)| GATEWAYS.contains(kind)).map(|(_, value)| value);
        Some((hop[3], u32_at(hop, 4)?, gateway))
    })
}

/// struct rtattr, each: length, type; then the value.
fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let attribute = rest.get(..length).filter(|attribute| attribute.len() >= 4)?;
        // The two highest bits say how the value is to be read.
        let kind = u16_at(rest, 2)? & 0x3fff;
        rest = after(rest, length);
        Some((kind, &attribute[4..]))
    })
}

/// What comes after so many bytes and their padding.
fn after(bytes: &[u8], length: usize) -> &[u8] {
    length.checked_next_multiple_of(4).and_then(|length| bytes.get(length..)).unwrap_or_default()
}

/// The same in every run of one process, which is as long as it is kept.
fn digest(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}
