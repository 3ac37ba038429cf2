//! Linux's error queue of a socket: which ICMP message came about a connection? RST and ICMP port-unreachable give the same
//! errno, so that nothing else tells them apart. No library that is here reads this queue.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};

use super::verdict::{Icmp, icmp};

/// Bytes for what comes beside a message: the error and the address of who sent it, and room to spare.
const BESIDE: usize = 512;
/// Messages that are read from one queue.
const MESSAGES_MAX: usize = 16;

/// Asks the kernel to keep ICMP messages for this socket.
#[allow(unsafe_code)]
pub(super) fn keep(socket: &impl AsFd, is_v6: bool) -> io::Result<()> {
    let (level, option) =
        if is_v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) } else { (libc::IPPROTO_IP, libc::IP_RECVERR) };
    let on: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of::<libc::c_int>()).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open while it is borrowed, and `on` is an int of that size that lives through the call.
    let result =
        unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, (&raw const on).cast(), size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The first ICMP "unreachable" that came for this socket; takes all messages out of its queue.
pub(super) fn take(socket: &impl AsFd) -> Option<Icmp> {
    let mut first = None;
    for _ in 0..MESSAGES_MAX {
        match receive(socket) {
            Some(found) => first = first.or(found),
            None => break,
        }
    }
    first
}

/// Takes one message. `None`: there is none. `Some(None)`: it is not ICMP's.
#[allow(unsafe_code)]
#[allow(clippy::unnecessary_cast, reason = "the length has another type in musl than in glibc")]
fn receive(socket: &impl AsFd) -> Option<Option<Icmp>> {
    #[repr(C, align(8))]
    struct Beside([u8; BESIDE]);
    let mut beside = Beside([0; BESIDE]);
    let mut data = [0u8; 1];
    let mut part = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    // SAFETY: all zeros are a valid msghdr.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut beside).cast();
    message.msg_controllen = BESIDE as _;
    // SAFETY: the header points to buffers of the lengths that it says, which live through the call.
    let got = unsafe {
        libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT)
    };
    if got < 0 {
        return None;
    }
    let filled = (message.msg_controllen as usize).min(BESIDE);
    Some(parse(&beside.0[..filled]))
}

/// Finds the error among control messages: a header of length, level and type, then `sock_extended_err`, then the address of
/// who sent it.
fn parse(mut control: &[u8]) -> Option<Icmp> {
    let head = size_of::<libc::cmsghdr>();
    while control.len() >= head {
        let length = usize::from_ne_bytes(*control.first_chunk()?);
        let level = i32_at(control, size_of::<usize>())?;
        let kind = i32_at(control, size_of::<usize>() + 4)?;
        let body = control.get(head..length)?;
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_RECVERR) => return error(body, false),
            (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => return error(body, true),
            _ => {}
        }
        control = control.get(length.next_multiple_of(size_of::<usize>())..).unwrap_or(&[]);
    }
    None
}

/// errno (4 bytes), origin, type, code, padding, info (4), data (4), then a sockaddr.
fn error(body: &[u8], is_v6: bool) -> Option<Icmp> {
    let (origin, message, code) = (*body.get(4)?, *body.get(5)?, *body.get(6)?);
    let offender = body.get(size_of::<libc::sock_extended_err>()..).and_then(address);
    match origin {
        libc::SO_EE_ORIGIN_ICMP => Some(icmp(false, message, code, offender)),
        libc::SO_EE_ORIGIN_ICMP6 => Some(icmp(is_v6, message, code, offender)),
        _ => None,
    }
}

fn address(sockaddr: &[u8]) -> Option<IpAddr> {
    let family = i32::from(u16::from_ne_bytes(*sockaddr.first_chunk()?));
    match family {
        libc::AF_INET => sockaddr.get(4..)?.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes).into()),
        libc::AF_INET6 => sockaddr.get(8..)?.first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes).into()),
        _ => None,
    }
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..)?.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A control message with a port-unreachable (3, 3) from 10.0.0.1.
    fn message() -> Vec<u8> {
        let mut body = vec![111, 0, 0, 0, libc::SO_EE_ORIGIN_ICMP, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        body.extend(2u16.to_ne_bytes());
        body.extend([0, 0, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut bytes = (16 + body.len()).to_ne_bytes().to_vec();
        bytes.extend(libc::IPPROTO_IP.to_ne_bytes());
        bytes.extend(libc::IP_RECVERR.to_ne_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn the_error_is_read_and_cut_ones_are_harmless() {
        let found = parse(&message()).unwrap();
        assert_eq!(found, icmp(false, 3, 3, Some(Ipv4Addr::new(10, 0, 0, 1).into())));
        for length in 0..16 + 7 {
            assert_eq!(parse(&message()[..length]), None, "{length}");
        }
        assert_eq!(parse(&[0; 64]), None);
    }
}
