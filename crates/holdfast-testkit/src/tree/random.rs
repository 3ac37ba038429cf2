//! Random plans. They follow from the seed alone: who runs the test and where decides only what `create` refuses.

use super::content::Content;
use super::names::{any_name, long};
use super::plan::{Attributes, Node, Plan, Segment, What};
use crate::at;
use crate::random::Random;

impl Plan {
    /// A random tree of about `steps` things.
    ///
    /// The plan of fewer steps is a beginning of the plan of more, so a property test that takes `(seed, steps)` shrinks
    /// by its number of steps: `(any::<u64>(), 0..80usize).prop_map(|(seed, steps)| Plan::random(seed, steps))`.
    pub fn random(seed: u64, steps: usize) -> Self {
        let mut random = Random::new(seed);
        let root = Node {
            path: Vec::new(),
            what: What::Directory,
            attributes: attributes(&mut random, &What::Directory),
        };
        let mut growth = Growth { nodes: vec![root], directories: vec![Vec::new()], random };
        for _ in 0..steps {
            growth.step();
        }
        Self { nodes: growth.nodes }
    }
}

struct Growth {
    nodes: Vec<Node>,
    directories: Vec<Vec<u8>>,
    random: Random,
}

impl Growth {
    fn step(&mut self) {
        let Some(path) = self.free_path() else { return };
        match self.random.below(100) {
            0..4 => self.deep(path),
            4..6 => self.crowd(path),
            6..22 => self.directory(path),
            22..30 => self.hard_link(path),
            _ => {
                let what = self.leaf();
                self.add(path, what);
            }
        }
    }

    /// A name that is not taken, in a directory of which later ones are likelier, so that trees grow deep too.
    fn free_path(&mut self) -> Option<Vec<u8>> {
        let count = self.directories.len();
        let at = self.random.index(count).max(self.random.index(count));
        let path = at::join(self.directories.get(at)?, &any_name(&mut self.random));
        (!self.nodes.iter().any(|node| node.path == path)).then_some(path)
    }

    fn add(&mut self, path: Vec<u8>, what: What) {
        let attributes = attributes(&mut self.random, &what);
        self.nodes.push(Node { path, what, attributes });
    }

    fn directory(&mut self, path: Vec<u8>) {
        self.directories.push(path.clone());
        self.add(path, What::Directory);
    }

    /// A chain of directories whose whole path is over 4,096 bytes, with something at its end.
    fn deep(&mut self, mut path: Vec<u8>) {
        while path.len() <= 4200 {
            self.directory(path.clone());
            path = at::join(&path, &long(&mut self.random, 230));
        }
        let what = self.leaf();
        self.add(path, what);
    }

    /// A directory with many names in it.
    fn crowd(&mut self, path: Vec<u8>) {
        self.directory(path.clone());
        for number in 0..self.random.between(200, 400) {
            let what = What::File(vec![Segment::Data(Content::Text { seed: number, length: number % 50 })]);
            let path = at::join(&path, number.to_string().as_bytes());
            self.nodes.push(Node { path, what, attributes: Attributes::default() });
        }
    }

    fn hard_link(&mut self, path: Vec<u8>) {
        let files =
            self.nodes.iter().filter(|node| !matches!(node.what, What::Directory | What::HardLink(_)));
        let files: Vec<_> = files.map(|node| node.path.clone()).collect();
        if let Some(first) = self.random.pick(&files) {
            let what = What::HardLink(first.clone());
            self.add(path, what);
        }
    }

    fn leaf(&mut self) -> What {
        let random = &mut self.random;
        match random.below(100) {
            0..70 => {
                let length = file_length(random);
                What::File(vec![Segment::Data(Content::random(random, length))])
            }
            70..80 => What::File(holey(random)),
            80..84 => What::Symlink(any_name(random)),
            84..88 => What::Symlink([b"../".as_slice(), &any_name(random)].concat()),
            88..90 => What::Symlink(b".".to_vec()),
            90..92 => What::Symlink([b"/".as_slice(), &[b'x'; 4000]].concat()),
            92..95 => What::Fifo,
            95..97 => What::Socket,
            97..99 => What::CharacterDevice(1, 3),
            _ => What::BlockDevice(7, 200),
        }
    }
}

fn file_length(random: &mut Random) -> u64 {
    match random.below(100) {
        0..15 => 0,
        15..60 => random.between(1, 4 << 10),
        60..80 => random.between(4 << 10, 64 << 10),
        80..97 => random.between(64 << 10, 700 << 10),
        _ => random.between(1 << 20, 5 << 20),
    }
}

/// Data and holes in turn, aligned and not, a hole at the beginning, at the end, or nothing else.
fn holey(random: &mut Random) -> Vec<Segment> {
    let mut segments = Vec::new();
    for _ in 0..random.between(1, 5) {
        let unit = if random.chance(70) { 4096 } else { 1 };
        if random.chance(50) {
            segments.push(Segment::Hole(random.between(1, 300) * 4096 / unit * unit));
        } else {
            let length = random.between(1, 40) * unit;
            segments.push(Segment::Data(Content::random(random, length)));
        }
    }
    segments
}

/// Directories can be entered and files read by their owner, or who is not root could not back them up.
fn attributes(random: &mut Random, what: &What) -> Attributes {
    let mut attributes = Attributes::default();
    if random.chance(70) {
        let bits = u32::try_from(random.below(0o10000)).unwrap_or(0);
        let common = if random.chance(70) { 0o777 } else { 0o7777 };
        attributes.mode = Some(bits & common | if *what == What::Directory { 0o700 } else { 0o400 });
    }
    if random.chance(70) {
        attributes.mtime = Some(time(random));
    }
    if random.chance(20) {
        let id = |random: &mut Random| u32::try_from(random.below(70_000)).unwrap_or(0);
        attributes.owner = Some((id(random), id(random)));
    }
    attributes.xattrs = xattrs(random, what);
    attributes
}

/// The kernel takes `user.` names and access lists on files and directories only, `trusted.` names on all, from root.
fn xattrs(random: &mut Random, what: &What) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut xattrs = Vec::new();
    if !matches!(what, What::Directory | What::File(_)) {
        if random.chance(20) {
            xattrs.push((b"trusted.odd".to_vec(), any_name(random)));
        }
        return xattrs;
    }
    if random.chance(15) {
        xattrs.push((b"user.comment".to_vec(), any_name(random)));
        xattrs.push((b"user.\xffodd".to_vec(), Vec::new()));
    }
    if random.chance(3) {
        let mut value = vec![0; random.index(3000)];
        random.fill(&mut value);
        xattrs.push((b"user.large".to_vec(), value));
    }
    if random.chance(8) {
        xattrs.push((b"system.posix_acl_access".to_vec(), access_list(random)));
    }
    if random.chance(5) && *what == What::Directory {
        xattrs.push((b"system.posix_acl_default".to_vec(), access_list(random)));
    }
    if random.chance(5) && *what != What::Directory {
        xattrs.push((b"security.capability".to_vec(), CAPABILITY.to_vec()));
    }
    xattrs
}

fn time(random: &mut Random) -> (i64, u32) {
    let nanoseconds = [0, 1, 999_999_999, u32::try_from(random.below(1_000_000_000)).unwrap_or(0)];
    let recent = i64::try_from(random.below(1 << 31)).unwrap_or(0);
    let seconds = [recent, recent, recent, -recent, 0, -1, (1 << 32) + recent];
    (random.pick(&seconds).copied().unwrap_or(0), random.pick(&nanoseconds).copied().unwrap_or(0))
}

/// `cap_net_raw` permitted and effective, as the kernel stores it (revision 2).
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A POSIX access list as the kernel takes it: version 2; owner, one named user, group, mask, others.
fn access_list(random: &mut Random) -> Vec<u8> {
    const NO_ID: u32 = u32::MAX;
    let user = u32::try_from(random.between(1, 60_000)).unwrap_or(1);
    let mut value = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in
        [(1u16, 7u16, NO_ID), (2, 5, user), (4, 4, NO_ID), (16, 5, NO_ID), (32, 0, NO_ID)]
    {
        value.extend(tag.to_le_bytes());
        value.extend(permissions.to_le_bytes());
        value.extend(id.to_le_bytes());
    }
    value
}
