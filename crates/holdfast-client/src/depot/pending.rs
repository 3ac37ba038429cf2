//! An answer that is waited for later.

use super::Error;

/// An answer, or how to wait for it.
pub struct Pending<T>(State<T>);

enum State<T> {
    Here(Result<T, Error>),
    Later(Box<dyn FnOnce() -> Result<T, Error> + Send>),
}

impl<T> std::fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_here() { "Pending(here)" } else { "Pending" })
    }
}

impl<T> Pending<T> {
    /// An answer that is there already.
    pub fn here(answer: Result<T, Error>) -> Self {
        Self(State::Here(answer))
    }

    /// An answer that this gives. It must end when the depot does.
    pub fn later(wait: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Self {
        Self(State::Later(Box::new(wait)))
    }

    /// Whether it is there for certain.
    pub fn is_here(&self) -> bool {
        matches!(self.0, State::Here(_))
    }

    /// The answer.
    pub fn wait(self) -> Result<T, Error> {
        match self.0 {
            State::Here(answer) => answer,
            State::Later(wait) => wait(),
        }
    }
}
