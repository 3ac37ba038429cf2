//! Two manifests side by side: what `diff` needs, and a backup that looks at the one before. Takes any two streams of
//! entries in order, and holds one entry of each.

use std::iter::Fuse;

use super::Placed;

/// One of two streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The first.
    Left,
    /// The second.
    Right,
}

/// What stands at one place: on the left, on the right, or on both.
pub type Pair = (Option<Placed>, Option<Placed>);

/// Merges two streams of entries by place. An error of a stream is given with its side, and the rest follows; entries
/// that the error cost look absent on that side, so who hears of one must not call what comes after added or removed
/// with certainty.
pub fn compare<A, B, E>(left: A, right: B) -> Compare<A::IntoIter, B::IntoIter>
where
    A: IntoIterator<Item = Result<Placed, E>>,
    B: IntoIterator<Item = Result<Placed, E>>,
{
    Compare { left: Stream::new(left.into_iter()), right: Stream::new(right.into_iter()) }
}

/// The places of two streams in order.
#[derive(Debug)]
pub struct Compare<A, B> {
    left: Stream<A>,
    right: Stream<B>,
}

#[derive(Debug)]
struct Stream<I> {
    entries: Fuse<I>,
    next: Option<Placed>,
}

impl<I: Iterator<Item = Result<Placed, E>>, E> Stream<I> {
    fn new(entries: I) -> Self {
        Self { entries: entries.fuse(), next: None }
    }

    fn look(&mut self) -> Result<(), E> {
        if self.next.is_none() {
            self.next = self.entries.next().transpose()?;
        }
        Ok(())
    }
}

impl<A, B, E> Iterator for Compare<A, B>
where
    A: Iterator<Item = Result<Placed, E>>,
    B: Iterator<Item = Result<Placed, E>>,
{
    type Item = Result<Pair, (Side, E)>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.left.look() {
            return Some(Err((Side::Left, error)));
        }
        if let Err(error) = self.right.look() {
            return Some(Err((Side::Right, error)));
        }
        let order = match (&self.left.next, &self.right.next) {
            (None, None) => return None,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(left), Some(right)) => left.compare(&right.directory, &right.entry.name),
        };
        let left = if order.is_le() { self.left.next.take() } else { None };
        let right = if order.is_ge() { self.right.next.take() } else { None };
        Some(Ok((left, right)))
    }
}
