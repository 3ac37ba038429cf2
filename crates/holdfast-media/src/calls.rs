//! How many calls that hold memory while they last one caller may have at a time, over however many sessions.

use std::collections::HashMap;
use std::sync::Arc;

use holdfast_link::identity::Identity;
use parking_lot::Mutex;

use crate::error::{Error, Result};

/// What a call is for. A backup has one to claim, one to put and two to look while it lasts, a restore one to look and one to
/// fetch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Kind {
    Claim,
    Put,
    Look,
    Fetch,
}

impl Kind {
    /// Of one caller (docs/jobs.md, section 7).
    fn max(self) -> usize {
        match self {
            Self::Claim | Self::Put | Self::Fetch => 16,
            Self::Look => 32,
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Claim => "calls of this host that claim chunks",
            Self::Put => "calls of this host that send chunks",
            Self::Look => "calls of this host that look at images",
            Self::Fetch => "calls of this host that fetch chunks",
        }
    }
}

type Counts = HashMap<(Identity, Kind), usize>;

/// The calls of all callers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(Arc<Mutex<Counts>>);

/// The place of one call, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    calls: Calls,
    key: (Identity, Kind),
}

impl Calls {
    /// A place for one more call, if the caller has not too many.
    pub(crate) fn begin(&self, caller: &Identity, kind: Kind) -> Result<Place> {
        let key = (caller.clone(), kind);
        let mut counts = self.0.lock();
        let count = counts.entry(key.clone()).or_default();
        if *count >= kind.max() {
            return Err(Error::Busy(kind.what()));
        }
        *count += 1;
        Ok(Place { calls: self.clone(), key })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.calls.0.lock();
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_link::identity::Role;

    impl Calls {
        pub(crate) fn is_empty(&self) -> bool {
            self.0.lock().is_empty()
        }
    }

    #[test]
    fn each_caller_has_its_own_bound_for_each_kind() {
        let host = |name| Identity::new("lab", Role::Client, name).unwrap();
        let (calls, one, other) = (Calls::default(), host("web1"), host("web2"));
        let begin = |caller: &Identity, kind| calls.begin(caller, kind);
        for _ in 0..2 {
            let mut all: Vec<Place> = (0..Kind::Put.max()).map(|_| begin(&one, Kind::Put).unwrap()).collect();
            assert!(matches!(begin(&one, Kind::Put), Err(Error::Busy(_))));
            assert!(begin(&one, Kind::Fetch).is_ok() && begin(&other, Kind::Put).is_ok());
            all.pop();
            assert!(begin(&one, Kind::Put).is_ok());
        }
        assert!(calls.is_empty());
    }
}
