//! Jobs and their events: the rows. `write` stores a job together with what happened to it, `read` finds jobs. What a state
//! means is `holdfast-jobs`' business; here only `done` is known, since most questions are about what is not.

mod read;
mod write;

/// A job.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JobRow {
    /// Its UUID as text: the key.
    pub id: String,
    /// `backup` or `restore`.
    pub kind: String,
    /// The client whose files it reads or writes.
    pub client: String,
    /// The policy that made it.
    pub policy: Option<String>,
    /// The media server that it is bound to.
    pub media: String,
    /// The name that its image gets, or that people see.
    pub label: String,
    /// Its state; `done` is the last one.
    pub state: String,
    /// What it has ended with.
    pub status: Option<i32>,
    /// How many attempts it has had.
    pub attempts: u32,
    /// The image that it has made, or reads.
    pub image: Option<String>,
    /// Rises whenever the job is stored.
    pub version: u64,
    /// When it was made.
    pub created: u64,
    /// When its first attempt began.
    pub started: Option<u64>,
    /// When it was done.
    pub ended: Option<u64>,
    /// What to do, as JSON.
    pub work: String,
    /// The machine that decides about it, as JSON.
    pub machine: String,
    /// How far it is, as JSON.
    pub progress: String,
    /// Why it is in its state, in words.
    pub cause: String,
    /// Which of those that wait comes first.
    pub priority: i32,
}

/// Something that has happened to a job, before it has a number.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NewEvent {
    /// When.
    pub at: u64,
    /// What kind of thing.
    pub kind: String,
    /// What it was, in words.
    pub text: String,
    /// What it was, as JSON.
    pub detail: String,
}

/// Something that has happened to a job.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventRow {
    /// Its number within the job: from 1, without gaps.
    pub number: u64,
    /// When.
    pub at: u64,
    /// What kind of thing.
    pub kind: String,
    /// What it was, in words.
    pub text: String,
    /// What it was, as JSON.
    pub detail: String,
}

/// A job that is to be made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NewJob {
    /// The job.
    pub row: JobRow,
    /// Its first events.
    pub events: Vec<NewEvent>,
    /// The mark that says that it was made: policy, key, time. So a schedule makes a job once, whenever the program dies.
    pub mark: Option<(String, String, u64)>,
}

/// Which jobs are asked for: those that meet all that is set.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JobFilter {
    /// Not done. With `failed`: those that are either.
    pub active: bool,
    /// Done with a status above 1, or with none.
    pub failed: bool,
    /// Made at this time or later.
    pub since: Option<u64>,
    /// Of this client.
    pub client: Option<String>,
    /// Made by this policy.
    pub policy: Option<String>,
    /// How many at most; never more than [`MOST_ROWS`](crate::MOST_ROWS).
    pub limit: u32,
    /// Those that follow this job in the list: the last one of the page before.
    pub before: Option<String>,
}
