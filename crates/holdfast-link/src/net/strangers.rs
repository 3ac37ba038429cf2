//! Places for those who have dialled and not shown yet who they are: so many in all, so many from one network. Who comes
//! beyond takes the place of the oldest, so that those who stay mute keep nobody out. No I/O, no clock.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// In all (docs/protocol.md, section 8).
pub(super) const ALL_MAX: usize = 256;
/// From one address; of IPv6 from one /64, which is one network, and often one host.
pub(super) const EACH_MAX: usize = 16;

struct Place {
    number: u64,
    from: IpAddr,
    /// It has begun a handshake.
    speaks: bool,
    /// Dropped when the place is given to another.
    _leave: oneshot::Sender<()>,
}

#[derive(Default)]
struct Places {
    /// The oldest first.
    taken: VecDeque<Place>,
    next: u64,
}

impl Places {
    /// Who gives way: the oldest of those that have said nothing yet, or else the oldest.
    fn oldest(&self, among: impl Fn(&Place) -> bool) -> Option<usize> {
        let mute = self.taken.iter().position(|place| among(place) && !place.speaks);
        mute.or_else(|| self.taken.iter().position(among))
    }
}

/// The places.
#[derive(Clone, Default)]
pub(super) struct Strangers(Arc<Mutex<Places>>);

impl std::fmt::Debug for Strangers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Strangers({})", self.0.lock().taken.len())
    }
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Ticket {
    strangers: Strangers,
    number: u64,
    leave: oneshot::Receiver<()>,
}

impl Strangers {
    /// Somebody has dialled.
    pub(super) fn admit(&self, from: IpAddr) -> Ticket {
        let from = network(from);
        let mut places = self.0.lock();
        let same = places.taken.iter().filter(|place| place.from == from).count();
        let oldest = if same >= EACH_MAX {
            places.oldest(|place| place.from == from)
        } else if places.taken.len() >= ALL_MAX {
            places.oldest(|_| true)
        } else {
            None
        };
        if let Some(oldest) = oldest {
            places.taken.remove(oldest);
        }
        let number = places.next;
        places.next += 1;
        let (stay, leave) = oneshot::channel();
        places.taken.push_back(Place { number, from, speaks: false, _leave: stay });
        Ticket { strangers: self.clone(), number, leave }
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.0.lock().taken.len()
    }
}

impl Ticket {
    /// To be called once it has begun a handshake: who stays mute gives way before it.
    pub(super) fn voice(&self) -> impl Fn() + Send + use<> {
        let (strangers, number) = (self.strangers.clone(), self.number);
        move || {
            let mut places = strangers.0.lock();
            if let Ok(at) = places.taken.binary_search_by_key(&number, |place| place.number) {
                places.taken[at].speaks = true;
            }
        }
    }

    /// Ends when the place is wanted for another.
    pub async fn taken_away(&mut self) {
        let _ = (&mut self.leave).await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut places = self.strangers.0.lock();
        if let Ok(at) = places.taken.binary_search_by_key(&self.number, |place| place.number) {
            places.taken.remove(at);
        }
    }
}

fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(from) => IpAddr::V6(Ipv6Addr::from_bits(from.to_bits() >> 64 << 64)),
        from => from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_gone(ticket: &mut Ticket) -> bool {
        ticket.leave.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn a_flood_from_one_network_takes_its_own_places_only() {
        let strangers = Strangers::default();
        let mut known = strangers.admit("192.0.2.1".parse().unwrap());
        let mut flood: Vec<Ticket> = (0..5_000u16)
            .map(|number| strangers.admit(format!("2001:db8::{number:x}").parse().unwrap()))
            .collect();
        assert_eq!(strangers.count(), 1 + EACH_MAX);
        assert!(!is_gone(&mut known) && is_gone(&mut flood[0]) && !is_gone(&mut flood[4_999]));
        drop(flood);
        assert_eq!(strangers.count(), 1);
    }

    #[test]
    fn who_speaks_stays_before_who_is_mute() {
        let strangers = Strangers::default();
        let mut known = strangers.admit("10.0.0.1".parse().unwrap());
        known.voice()();
        let _flood: Vec<Ticket> =
            (0..5_000u32).map(|number| strangers.admit(IpAddr::V4((0x0b00_0000 + number).into()))).collect();
        assert!(!is_gone(&mut known));
        assert_eq!(strangers.count(), ALL_MAX);
    }

    #[test]
    fn a_flood_from_everywhere_takes_the_oldest_places() {
        let strangers = Strangers::default();
        let mut tickets: Vec<Ticket> = (0..=u32::try_from(ALL_MAX).unwrap())
            .map(|number| strangers.admit(IpAddr::V4((0x0a00_0000 + number).into())))
            .collect();
        assert_eq!(strangers.count(), ALL_MAX);
        assert!(is_gone(&mut tickets[0]) && !is_gone(&mut tickets[1]));
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), "192.0.2.1".parse::<IpAddr>().unwrap());
    }
}
