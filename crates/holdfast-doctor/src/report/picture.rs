//! Pictures of time: lanes one under the other, on them spans and instants drawn to scale. What they show is each
//! examination's; how they are drawn is `svg`'s.

use jiff::civil::DateTime;

/// Spans and instants that a picture shows at most: more would be neither seen nor read.
pub const MARKS_MAX: usize = 200;

/// Lanes that a picture shows at most.
pub const LANES_MAX: usize = 60;

/// Something that happened over time, on some hosts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    /// What it shows, in a line.
    pub title: String,
    /// What stands at its left edge. Times of marks count from here.
    pub begin: DateTime,
    /// From top to bottom. Lanes of one host stand together.
    pub lanes: Vec<Lane>,
    /// In the order of their numbers.
    pub marks: Vec<Mark>,
    /// What is not shown, and why.
    pub omitted: Option<String>,
}

/// A line of the picture: a process, a connection, a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lane {
    /// The host that it belongs to.
    pub host: String,
    /// What it is.
    pub name: String,
}

/// What a span or an instant is. Each has its own look also without colours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Work that goes on, a connection that is good.
    Good,
    /// Waiting that costs time.
    Delay,
    /// Nothing is heard: idle, or forgotten by a firewall.
    Silent,
    /// A failure.
    Failure,
    /// Something to know.
    Note,
}

/// A span of time or an instant on a lane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Index of its lane.
    pub lane: usize,
    /// Milliseconds from the picture's begin.
    pub from: u64,
    /// Milliseconds from the picture's begin; the same as `from` if it is an instant.
    pub to: u64,
    /// What it is.
    pub kind: Kind,
    /// What happened.
    pub label: String,
}

impl Picture {
    /// An empty one.
    #[must_use]
    pub fn new(title: String, begin: DateTime) -> Self {
        Self { title, begin, lanes: Vec::new(), marks: Vec::new(), omitted: None }
    }

    /// The lane of this name; `None` when there are too many.
    pub fn lane(&mut self, host: &str, name: &str) -> Option<usize> {
        let found = self.lanes.iter().position(|lane| lane.host == host && lane.name == name);
        if found.is_some() {
            return found;
        }
        if self.lanes.len() >= LANES_MAX {
            self.omitted = Some(format!("More than {LANES_MAX} lines: the rest is not drawn."));
            return None;
        }
        self.lanes.push(Lane { host: host.to_owned(), name: name.to_owned() });
        Some(self.lanes.len() - 1)
    }

    /// Draws something. Beyond [`MARKS_MAX`], it is only said that there is more.
    pub fn mark(&mut self, mark: Mark) {
        if self.marks.len() >= MARKS_MAX {
            self.omitted = Some(format!("More than {MARKS_MAX} marks: the rest is not drawn."));
        } else {
            self.marks.push(mark);
        }
    }

    /// Milliseconds that it spans.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.marks.iter().map(|mark| mark.to.max(mark.from)).max().unwrap_or(0)
    }
}
