//! Attempts: their order, and how they end.

use std::fmt;

use holdfast_types::ImageId;
use serde::{Deserialize, Serialize};

use crate::status::Status;

/// A number that grows with every attempt or takeover of a job. After a catalog was restored from a copy its incarnation is
/// higher than any before, so that no number is given out twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Epoch {
    /// How often the catalog has begun anew.
    pub incarnation: u64,
    /// From 1 within a job and incarnation.
    pub counter: u64,
}

impl Epoch {
    /// The first of a job, or the next after another.
    #[must_use]
    pub fn after(before: Option<Self>, incarnation: u64) -> Self {
        match before {
            Some(before) if before.incarnation >= incarnation => {
                Self { incarnation: before.incarnation, counter: before.counter + 1 }
            }
            _ => Self { incarnation, counter: 1 },
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.incarnation, self.counter)
    }
}

/// How an attempt ended, as its client has said.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// All was done.
    Done,
    /// Done, with entries in trouble.
    Partly,
    /// Cancelled by order.
    Cancelled,
    /// The media server has another process now: to be resumed at once.
    MediaLost,
    /// A later epoch has taken over.
    Fenced,
    /// No route to the media server within the limit.
    NotConnected,
    /// The vault is full.
    VaultFull,
    /// None of the paths is there.
    NoFiles,
    /// A command of the policy has failed.
    CommandFailed,
    /// The media server refused.
    Refused,
    /// The vault has failed otherwise.
    VaultFailed,
    /// Writing restored files has failed as a whole.
    WriteFailed,
    /// Reading has failed as a whole.
    ReadFailed,
    /// The order makes no sense.
    BadOrder,
    /// A defect of the program.
    Defect,
    /// The media server has too much to do.
    Busy,
}

/// What is done about an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The job is done, with this status.
    Done(Status),
    /// The next attempt begins at once.
    Resume,
    /// The job is tried again as its policy says; this is its status if it is not.
    Again(Status),
}

impl Kind {
    /// What it means for the job.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Done => Verdict::Done(Status::Done),
            Self::Partly => Verdict::Done(Status::Partly),
            Self::Cancelled => Verdict::Done(Status::Cancelled),
            // The attempt that fenced it may be lost too: then the next takes over.
            Self::MediaLost | Self::Fenced => Verdict::Resume,
            Self::Busy => Verdict::Again(Status::MediaBusy),
            Self::NotConnected => Verdict::Again(Status::CannotConnect),
            Self::VaultFull => Verdict::Again(Status::VaultFull),
            Self::VaultFailed => Verdict::Again(Status::MediaWriteFailed),
            Self::WriteFailed => Verdict::Again(Status::FileWriteFailed),
            Self::ReadFailed => Verdict::Again(Status::FileReadFailed),
            Self::CommandFailed => Verdict::Again(Status::CommandFailed),
            // What will not pass by itself is not tried again.
            Self::NoFiles => Verdict::Done(Status::NoFiles),
            Self::Refused => Verdict::Done(Status::NotAllowed),
            Self::BadOrder => Verdict::Done(Status::BadOrder),
            Self::Defect => Verdict::Again(Status::Defect),
        }
    }
}

/// The end of an attempt.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// How.
    pub kind: Kind,
    /// Why, for people; empty if all was done.
    pub cause: String,
    /// The image, if it made one.
    #[serde(with = "image")]
    pub image: Option<ImageId>,
}

/// Image ids as text.
pub(crate) mod image {
    use holdfast_types::ImageId;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(image: &Option<ImageId>, to: S) -> Result<S::Ok, S::Error> {
        match image {
            Some(image) => to.serialize_some(&image.to_string()),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ImageId>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_only_grow() {
        let first = Epoch::after(None, 3);
        let second = Epoch::after(Some(first), 3);
        let restored = Epoch::after(Some(second), 4);
        // A catalog that was restored badly, and counts lower than what was seen.
        let odd = Epoch::after(Some(restored), 2);
        assert!(first < second && second < restored && restored < odd);
        assert_eq!((first.to_string(), odd.to_string()), ("3.1".into(), "4.2".into()));
    }
}
