//! Status codes: the field's numbers, each with one cause here. docs/status-codes.md has a section for each; a test compares.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal, $cause:literal, $next:literal;)*) => {
        /// What a job ends with.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(into = "u16", try_from = "u16")]
        #[repr(u16)]
        pub enum Status {
            $($(#[$doc])* $name = $number,)*
        }

        impl Status {
            /// All of them, by number.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What it means, in a few words.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What has brought it about.
            pub fn cause(self) -> &'static str {
                match self { $(Self::$name => $cause,)* }
            }

            /// What to do.
            pub fn next(self) -> &'static str {
                match self { $(Self::$name => $next,)* }
            }
        }
    };
}

codes! {
    /// 0
    Done = 0, "done",
        "Everything that was asked for is in the image, or was restored.",
        "Nothing.";
    /// 1
    Partly = 1, "partly done",
        "The image is there and good, but some entries could not be read or written whole. They are listed with the job.",
        "Look at the list: files that are open, gone or forbidden. What is in the image can be restored.";
    /// 13
    FileReadFailed = 13, "reading files failed",
        "The client could not go on reading its file systems at all.",
        "The job's cause names the path and the error: a file system that is gone, a disk that fails.";
    /// 14
    FileWriteFailed = 14, "writing files failed",
        "A restore could not go on writing on the client.",
        "Is there space, and may the client write there? The restore goes on where it stopped when the job is tried again.";
    /// 20
    BadOrder = 20, "the order makes no sense",
        "A path or a pattern of the policy is wrong, or the host's program is too old for what it says.",
        "Mend the policy, or update the host. It is not tried again by itself.";
    /// 25
    CannotConnect = 25, "cannot connect",
        "No route has led from the client to the media server within the ride-out limit.",
        "The job lists every route with what became of it. `holdfast doctor connect` tells what is in the way.";
    /// 40
    ConnectionBroken = 40, "a host stayed out of reach",
        "The primary server has not heard of a host for longer than the ride-out limit. Work that was finished all the same makes the job successful when it is heard of.",
        "Is the host up, and its Holdfast running? `holdfast doctor connect` tells what is in the way.";
    /// 41
    TimedOut = 41, "no progress",
        "The hosts are alive, but nothing has moved for longer than the policy's stall limit.",
        "The job shows its phase: a disk or a command that hangs on the client, a vault that does not take more.";
    /// 46
    NotAllowed = 46, "not allowed",
        "The media server has refused what the attempt asked for.",
        "The cause says what: another client's image, a ticket that is over (compare the clocks), a host that was shut out.";
    /// 71
    NoFiles = 71, "none of the paths is there",
        "None of the paths of the policy exists on the client.",
        "Is a file system not mounted, or a path misspelt? It is not tried again by itself.";
    /// 77
    CommandFailed = 77, "a command has failed",
        "The command before or after the backup has failed, or did not end in time, and the policy says that this counts.",
        "The cause has the end of what the command said.";
    /// 84
    MediaWriteFailed = 84, "the vault cannot be written",
        "The media server could not store, for another reason than a full disk.",
        "The cause says what its disk said. `holdfast verify` tells whether what is there is whole.";
    /// 129
    VaultFull = 129, "the vault is full",
        "There is no space left for the vault.",
        "Free some: `holdfast forget` and `holdfast cleanup`, or a larger disk. The next attempt goes on from what is stored.";
    /// 130
    Defect = 130, "a defect of the program",
        "Something has happened that must not. The image, if there is one, is not affected.",
        "Report it with the job's log.";
    /// 134
    MediaBusy = 134, "the media server is busy",
        "The media server had too much to do to take the job on, at every try.",
        "Spread the schedules, limit the jobs that run at once, or add a media server. The next attempt goes on from what is stored.";
    /// 150
    Cancelled = 150, "cancelled",
        "Somebody has cancelled the job. The log says who.",
        "`holdfast jobs retry` begins it again.";
    /// 196
    WindowOver = 196, "the window was over before it began",
        "The job waited for a place until its window had ended.",
        "Widen the window, raise the limits, or spread the schedules. It runs at the next window.";
}

impl Status {
    /// The number.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// Whether there is an image, or the files are back.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Done | Self::Partly)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.number(), self.text())
    }
}

impl From<Status> for u16 {
    fn from(status: Status) -> Self {
        status.number()
    }
}

impl TryFrom<u16> for Status {
    type Error = String;

    fn try_from(number: u16) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|status| status.number() == number);
        found.copied().ok_or_else(|| format!("{number} is no status code of this version"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_section_for_each_code_and_says_the_same() {
        let page = include_str!("../../../docs/status-codes.md");
        let sections: Vec<&str> = page.split("\n## ").skip(1).collect();
        let written: Vec<String> = Status::ALL
            .iter()
            .map(|status| {
                let (number, text) = (status.number(), status.text());
                format!("{number}: {text}\n\n{}\n\n**Do:** {}", status.cause(), status.next())
            })
            .collect();
        let joined = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let sections: Vec<String> = sections.into_iter().map(joined).collect();
        let written: Vec<String> = written.iter().map(|text| joined(text)).collect();
        assert_eq!(sections, written);
    }

    #[test]
    fn numbers_read_back() {
        for status in Status::ALL {
            assert_eq!(Status::try_from(status.number()), Ok(*status));
        }
        assert!(Status::try_from(999).is_err());
    }
}
