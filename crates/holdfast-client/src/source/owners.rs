//! Names of users and groups, asked of the system once each. Leaves numbers to `stat`.

use std::collections::HashMap;
use std::sync::Arc;

use holdfast_types::Owner;
use nix::unistd::{Gid, Group, Uid, User};

/// The owners that a walk has met: an answer may come from a directory service far away, hence one question for each
/// number; and entries of one owner share it.
#[derive(Default)]
pub(super) struct Owners {
    users: HashMap<u32, Vec<u8>>,
    groups: HashMap<u32, Vec<u8>>,
    owners: HashMap<(u32, u32), Arc<Owner>>,
    /// Neighbours mostly belong to one owner.
    last: Option<Arc<Owner>>,
}

impl Owners {
    /// The owner with these numbers. Names that are unknown, or cannot be asked for, are empty.
    pub(super) fn get(&mut self, uid: u32, gid: u32) -> Arc<Owner> {
        if let Some(last) = self.last.as_ref().filter(|last| (last.uid, last.gid) == (uid, gid)) {
            return Arc::clone(last);
        }
        let (users, groups) = (&mut self.users, &mut self.groups);
        let owner = self.owners.entry((uid, gid)).or_insert_with(|| {
            let user = users.entry(uid).or_insert_with(|| user(uid)).clone();
            let group = groups.entry(gid).or_insert_with(|| group(gid)).clone();
            Arc::new(Owner { uid, gid, user, group })
        });
        self.last = Some(Arc::clone(owner));
        Arc::clone(owner)
    }
}

/// An owner, asked of the system now: for a single entry.
pub(super) fn ask(uid: u32, gid: u32) -> Arc<Owner> {
    Arc::new(Owner { uid, gid, user: user(uid), group: group(gid) })
}

fn user(uid: u32) -> Vec<u8> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map_or_else(Vec::new, |user| user.name.into_bytes())
}

fn group(gid: u32) -> Vec<u8> {
    Group::from_gid(Gid::from_raw(gid)).ok().flatten().map_or_else(Vec::new, |group| group.name.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_superuser_has_a_name_and_strangers_have_none() {
        let stranger = u32::MAX - 5;
        let mut owners = Owners::default();
        let first = owners.get(0, stranger);
        assert_eq!(*first, Owner { uid: 0, gid: stranger, user: b"root".to_vec(), group: Vec::new() });
        assert_eq!(
            *owners.get(stranger, 0),
            Owner { uid: stranger, gid: 0, user: Vec::new(), group: b"root".to_vec() }
        );
        assert!(Arc::ptr_eq(&first, &owners.get(0, stranger)));
        assert_eq!(ask(0, stranger), first);
    }
}
