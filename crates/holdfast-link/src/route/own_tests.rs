//! What the kernel said (Linux 6.18, in a network of its own, bytes as they came on a little-endian machine), and what that
//! means; and whatever it might say.

use proptest::prelude::*;

use super::*;

/// The processes that asked for them had these numbers; they mean nothing here.
fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// 192.0.2.1/24 on link 3: new, and with another lifetime, and gone.
const ADDRESS: &str = "4c0000001400000093d3036b622e0000021880000300000008000100c000020108000200c00002010700030076300000080008008000000014000600ffffffffffffffff6a2326006a232600";
const ADDRESS_RENEWED: &str = "4c0000001400000093d3036b7d2e0000021800000300000008000100c000020108000200c00002010700030076300000080008000000000014000600c80000002c0100006a232600a6232600";
const ADDRESS_GONE: &str = "4c0000001500000098d3036bca2e0000021800000300000008000100c000020108000200c00002010700030076300000080008000000000014000600c4000000280100006a232600a6232600";
/// The entries that the kernel makes for it: itself, its network, its broadcast address.
const ENTRY_LOCAL: &str = "3c00000018000006000000000000000002200000ff02fe020000000008000f00ff00000008000100c000020108000700c00002010800040003000000";
const ENTRY_NETWORK: &str = "3c00000018000006000000000000000002180000fe02fd010000000008000f00fe00000008000100c000020008000700c00002010800040003000000";
const ENTRY_BROADCAST: &str = "3c00000018000006000000000000000002200000ff02fd030000000008000f00ff00000008000100c00002ff08000700c00002010800040003000000";
/// default via 192.0.2.254; replaced by via 192.0.2.253; that one gone.
const DEFAULT: &str = "340000001800000694d3036b7f2e000002000000fe0300010000000008000f00fe00000008000500c00002fe0800040003000000";
const DEFAULT_REPLACED: &str = "340000001800000194d3036b812e000002000000fe0300010000000008000f00fe00000008000500c00002fd0800040003000000";
const DEFAULT_GONE: &str = "340000001900000096d3036ba22e000002000000fe0300010000000008000f00fe00000008000500c00002fd0800040003000000";
/// 198.51.100.0/24 by two ways.
const TWO_WAYS: &str = "500000001800000696d3036b9b2e000002180000fe0300010000000008000f00fe00000008000100c633640024000900100000000300000008000500c0000202100000000300000008000500c0000203";
/// 2001:db8::1/64 on link 3, and with another lifetime.
const ADDRESS_V6: &str = "480000001400000000000000000000000a408200030000001400010020010db800000000000000000000000114000600ffffffffffffffff02242600022426000800080082000000";
const ADDRESS_V6_RENEWED: &str = "480000001400000000000000000000000a400000030000001400010020010db800000000000000000000000114000600c80000002c01000002242600202426000800080000000000";
/// fe80::/10 on link 3: every link has one.
const ADDRESS_OF_LINK: &str = "500000001400000000000000000000000a4080fd0300000014000100fe80000000000000488a81fffe98789914000600ffffffffffffffffe3212600e3212600080008008000000005000b0003000000";
/// ff00::/8 on link 2.
const ENTRY_MULTICAST: &str = "740000001800000400000000000000000a080000ff0200050000000008000f00ff00000014000100ff0000000000000000000000000000000800060000010000080004000200000024000c0000000000000000000000000000000000000000000000000000000000000000000500140000000000";
/// fe80::/64 on link 2.
const ENTRY_OF_LINK: &str = "740000001800000400000000000000000a400000fe0200010000000008000f00fe00000014000100fe8000000000000000000000000000000800060000010000080004000200000024000c0000000000000000000000000000000000000000000000000000000000000000000500140000000000";
/// Link 3 up and running, and without anything at its other end: cut off after their heads, as a short buffer would.
const LINK_RUNNING: &str = "d4050000100000000000000000000000000001000300000043100100000000000700030076300000";
const LINK_ALONE: &str = "d4050000100000000000000000000000000001000300000003100000000000000700030076300000";
/// The end of an answer to request 7.
const DONE_7: &str = "140000000300020007000000302e000000000000";

/// Everything has been asked for and answered: there is nothing.
fn settled() -> Own {
    let mut own = Own::new();
    answer(&mut own, &[]);
    own
}

/// Answers all requests, each with all of these messages: whatever was asked, they are there.
fn answer(own: &mut Own, parts: &[&str]) {
    while let Some(request) = own.request() {
        let number = &request[8..12];
        let answers = |text: &str| {
            let mut part = hex(text);
            part[6] |= 2;
            part[8..12].copy_from_slice(number);
            part
        };
        let mut datagram: Vec<u8> = parts.iter().copied().flat_map(answers).collect();
        datagram.extend(answers(DONE_7));
        assert!(!own.take(&datagram), "an answer is no change");
    }
}

#[track_caller]
fn check(own: &mut Own, told: &str, expected: bool) {
    assert_eq!(own.take(&hex(told)), expected);
}

#[test]
fn new_and_gone_are_changes_and_renewed_is_none() {
    let mut own = settled();
    for (told, expected) in [
        (ADDRESS, true),
        (ENTRY_LOCAL, false),
        (ENTRY_NETWORK, true),
        (ENTRY_BROADCAST, false),
        (ADDRESS, false),
        (ADDRESS_RENEWED, false),
        (DEFAULT, true),
        (DEFAULT, false),
        (DEFAULT_REPLACED, true),
        (DEFAULT_REPLACED, false),
        (DEFAULT, true),
        (DEFAULT_REPLACED, true),
        (DEFAULT_GONE, true),
        (DEFAULT_GONE, false),
        (TWO_WAYS, true),
        (TWO_WAYS, false),
        (ADDRESS_V6, true),
        (ADDRESS_V6_RENEWED, false),
        (ADDRESS_OF_LINK, false),
        (ENTRY_MULTICAST, false),
        (ENTRY_OF_LINK, false),
        (ADDRESS_GONE, true),
        (ADDRESS_GONE, false),
    ] {
        check(&mut own, told, expected);
    }
}

#[test]
fn an_address_counts_when_it_can_be_used() {
    let mut own = settled();
    let mut tentative = hex(ADDRESS_V6);
    let flags = tentative.len() - 4;
    tentative[flags] = 0x40;
    assert!(!own.take(&tentative));
    check(&mut own, ADDRESS_V6, true);
}

#[test]
fn a_link_counts_if_it_carries_an_address() {
    let mut own = settled();
    check(&mut own, LINK_RUNNING, false);
    check(&mut own, LINK_ALONE, false);
    check(&mut own, ADDRESS, true);
    check(&mut own, LINK_ALONE, false);
    check(&mut own, LINK_RUNNING, true);
    check(&mut own, LINK_RUNNING, false);
}

#[test]
fn what_was_there_before_is_no_change() {
    let mut own = Own::new();
    answer(&mut own, &[ADDRESS, ENTRY_NETWORK, DEFAULT]);
    for told in [ADDRESS_RENEWED, ENTRY_NETWORK, DEFAULT] {
        check(&mut own, told, false);
    }
    check(&mut own, DEFAULT_REPLACED, true);
}

#[test]
fn what_vanishes_silently_is_found_by_asking_again() {
    let mut own = settled();
    for told in [ADDRESS, DEFAULT] {
        check(&mut own, told, true);
    }
    own.ask_again();
    // Until the answer is there, what was known counts as known.
    check(&mut own, ADDRESS_RENEWED, false);
    check(&mut own, DEFAULT, false);
    own.ask_again();
    answer(&mut own, &[ADDRESS]);
    // The route was not in the answer: now it is new.
    check(&mut own, ADDRESS_RENEWED, false);
    check(&mut own, DEFAULT, true);
}

#[test]
fn one_request_is_under_way_at_a_time_and_an_error_ends_it() {
    let mut own = Own::new();
    let first = own.request().unwrap();
    assert_eq!((first[4], own.request()), (18, None));
    // The end of another answer.
    own.take(&hex("140000000300020063000000302e000000000000"));
    assert_eq!(own.request(), None);
    // NLMSG_ERROR: EBUSY, and the request.
    let mut error = hex("2400000002000000010000000000000000000000");
    error[0] = 20;
    error[16..20].copy_from_slice(&(-16i32).to_ne_bytes());
    own.take(&error);
    assert_eq!(own.request().map(|next| next[4]), Some(22));
}

#[test]
fn it_is_bounded() {
    let mut own = settled();
    let mut address = hex(ADDRESS);
    let bound = u32::try_from(KEPT_MAX).unwrap();
    for number in 0..bound + 100 {
        // IFA_LOCAL.
        address[36..40].copy_from_slice(&number.to_be_bytes());
        assert_eq!(own.take(&address), number < bound);
    }
    assert_eq!(own.known.addresses.len(), KEPT_MAX);
}

/// The messages that may come at any time and mean nothing, if the first five are known.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let told = [
        ADDRESS,
        ADDRESS_RENEWED,
        ENTRY_NETWORK,
        DEFAULT,
        TWO_WAYS,
        ADDRESS_V6,
        ADDRESS_V6_RENEWED,
        ENTRY_LOCAL,
        ENTRY_BROADCAST,
        ENTRY_MULTICAST,
        ENTRY_OF_LINK,
        ADDRESS_OF_LINK,
        LINK_RUNNING,
        DONE_7,
    ];
    let again = (proptest::sample::select(told.to_vec()), any::<[u8; 8]>(), any::<u32>()).prop_map(
        |(told, lifetime, number)| {
            let mut message = hex(told);
            message[8..12].copy_from_slice(&number.to_ne_bytes());
            // IFA_CACHEINFO begins with the lifetimes.
            if let Some(at) = message.windows(4).position(|window| window == [20, 0, 6, 0]) {
                message[at + 4..at + 12].copy_from_slice(&lifetime);
            }
            message
        },
    );
    // Neighbours, rules, prefixes of advertisements, counters: other types, any body.
    let other = (28u16..200, proptest::collection::vec(any::<u8>(), 0..64)).prop_map(|(kind, body)| {
        let mut message = vec![0; 16];
        message[..4].copy_from_slice(&u32::try_from(16 + body.len()).unwrap().to_ne_bytes());
        message[4..6].copy_from_slice(&kind.to_ne_bytes());
        message.extend(body);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    });
    prop_oneof![again, other]
}

proptest! {
    /// However often and in whatever order, in one datagram or many.
    #[test]
    fn noise_is_no_change(noise in proptest::collection::vec(noise(), 0..40), together in any::<bool>()) {
        let mut own = Own::new();
        answer(&mut own, &[ADDRESS, ENTRY_NETWORK, DEFAULT, TWO_WAYS, ADDRESS_V6]);
        check(&mut own, LINK_RUNNING, false);
        // A notice of a link is cut off here, so that nothing can follow it.
        if together && noise.iter().all(|message| message[4] != 16) {
            prop_assert!(!own.take(&noise.concat()));
        } else {
            for message in noise {
                prop_assert!(!own.take(&message), "{message:02x?}");
            }
        }
    }

    /// It says that there is a change exactly when a set of what there is changes.
    #[test]
    fn it_agrees_with_a_set(steps in proptest::collection::vec((0u8..8, any::<bool>(), any::<bool>()), 0..100)) {
        let mut own = settled();
        let mut there = std::collections::BTreeSet::new();
        for (number, is_route, comes) in steps {
            let mut message = hex(if is_route { DEFAULT } else { ADDRESS });
            // The gateway, or IFA_LOCAL.
            let at = if is_route { 43 } else { 39 };
            message[at] = number;
            message[4] += u8::from(!comes);
            let thing = (is_route, number);
            let differs = if comes { there.insert(thing) } else { there.remove(&thing) };
            prop_assert_eq!(own.take(&message), differs);
        }
    }

    /// Nothing that a kernel could say does harm, and what is kept stays bounded.
    #[test]
    fn any_bytes_do(
        datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20),
        kinds in proptest::collection::vec(16u16..26, 20),
    ) {
        let mut own = Own::new();
        for (mut datagram, kind) in datagrams.into_iter().zip(kinds) {
            let length = u32::try_from(datagram.len()).unwrap();
            if datagram.len() >= 16 {
                datagram[..4].copy_from_slice(&length.to_ne_bytes());
                datagram[4..6].copy_from_slice(&kind.to_ne_bytes());
            }
            own.take(&datagram);
            own.ask_again();
            own.request();
            prop_assert!(messages(&datagram).count() <= datagram.len() / 16 + 1);
        }
        prop_assert!(own.known.routes.len() + own.known.addresses.len() + own.links.len() <= 300);
    }
}
