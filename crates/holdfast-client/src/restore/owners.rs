//! Which local user and group an entry is given to. Sets nothing.
//!
//! As rsync and tar do: a name that this host knows decides, since numbers differ from host to host. 0 is root
//! everywhere and is never mapped.

use std::collections::HashMap;

use holdfast_types::Owner;
use nix::unistd::{Group, User};

/// Names that are remembered; an image with more than this makes us ask again, not grow.
const REMEMBERED_MAX: usize = 16_384;

/// A local user and group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ids {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Asks the host for names, and remembers its answers.
pub(super) struct Owners {
    numeric: bool,
    users: HashMap<Vec<u8>, Option<u32>>,
    groups: HashMap<Vec<u8>, Option<u32>>,
    /// Neighbours mostly have the same owner.
    last: Option<(Owner, Ids)>,
}

impl Owners {
    pub(super) fn new(numeric: bool) -> Self {
        Self { numeric, users: HashMap::new(), groups: HashMap::new(), last: None }
    }

    /// Whom an entry of this owner is given to.
    pub(super) fn resolve(&mut self, owner: &Owner) -> Ids {
        if let Some((known, ids)) = &self.last
            && known == owner
        {
            return *ids;
        }
        let ids = if self.numeric {
            Ids { uid: owner.uid, gid: owner.gid }
        } else {
            Ids {
                uid: lookup(&mut self.users, &owner.user, owner.uid, |name| {
                    User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
                }),
                gid: lookup(&mut self.groups, &owner.group, owner.gid, |name| {
                    Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw())
                }),
            }
        };
        self.last = Some((owner.clone(), ids));
        ids
    }
}

fn lookup(
    known: &mut HashMap<Vec<u8>, Option<u32>>,
    name: &[u8],
    number: u32,
    ask: impl Fn(&str) -> Option<u32>,
) -> u32 {
    if number == 0 || name.is_empty() || name.contains(&0) {
        return number;
    }
    if known.len() > REMEMBERED_MAX {
        known.clear();
    }
    if let Some(answer) = known.get(name) {
        return answer.unwrap_or(number);
    }
    let answer = std::str::from_utf8(name).ok().and_then(ask);
    known.insert(name.to_vec(), answer);
    answer.unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(numeric: bool, uid: u32, user: &str, expected: u32) {
        let owner = Owner { uid, gid: 12_345, user: user.as_bytes().to_vec(), group: Vec::new() };
        assert_eq!(Owners::new(numeric).resolve(&owner), Ids { uid: expected, gid: 12_345 });
    }

    #[test]
    fn a_known_name_decides_and_root_stays_root() {
        check(false, 4_000_000, "root", 0);
        check(true, 4_000_000, "root", 4_000_000);
        check(false, 4_000_000, "nobody-has-this-name", 4_000_000);
        check(false, 0, "nobody", 0);
        check(false, 4_000_000, "a\0b", 4_000_000);
    }

    #[test]
    fn answers_are_remembered_for_each_owner() {
        let mut owners = Owners::new(false);
        let of = |uid, user: &str| Owner { uid, gid: 1, user: user.as_bytes().to_vec(), group: Vec::new() };
        for _ in 0..2 {
            assert_eq!(owners.resolve(&of(70_000, "root")).uid, 0);
            assert_eq!(owners.resolve(&of(70_001, "nobody-has-this-name")).uid, 70_001);
            assert_eq!(owners.resolve(&of(70_002, "nobody-has-this-name")).uid, 70_002);
        }
    }
}
