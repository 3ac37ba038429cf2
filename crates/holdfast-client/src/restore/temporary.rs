//! Names for what is not ready. They begin alike, so that a person finds what a killed restore left; the rest nobody can
//! guess, neither who would plant something there nor another run by chance.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::io::{Errno, Result};

use super::error::Error;

/// Names that are tried. That one is taken says that somebody watches and is quick; he may be slower next time.
const TRIES: usize = 8;

/// The names of one run.
pub(super) struct Temporary {
    run: u64,
    /// Makes them differ.
    serial: AtomicU64,
}

impl Temporary {
    pub(super) fn new() -> std::result::Result<Self, Error> {
        let mut run = [0; 8];
        getrandom::fill(&mut run).map_err(|error| Error::Random(error.to_string()))?;
        Ok(Self { run: u64::from_le_bytes(run), serial: AtomicU64::new(0) })
    }

    fn name(&self) -> Vec<u8> {
        let number = self.serial.fetch_add(1, Relaxed);
        format!(".holdfast-restore-{:016x}-{number:x}", self.run).into_bytes()
    }

    /// Makes something under such a name, and under another if that is taken. Returns the name too.
    pub(super) fn make<T>(&self, make: impl Fn(&[u8]) -> Result<T>) -> Result<(Vec<u8>, T)> {
        for _ in 1..TRIES {
            let name = self.name();
            match make(&name) {
                Err(Errno::EXIST) => {}
                result => return result.map(|made| (name, made)),
            }
        }
        let name = self.name();
        make(&name).map(|made| (name, made))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_name_that_is_taken_is_passed_over() {
        let names = Temporary::new().unwrap();
        let tried = RefCell::new(Vec::new());
        let free_at = |number: usize| {
            tried.borrow_mut().clear();
            names.make(|name| {
                tried.borrow_mut().push(name.to_vec());
                if tried.borrow().len() < number { Err(Errno::EXIST) } else { Ok(()) }
            })
        };
        let (name, ()) = free_at(3).unwrap();
        assert_eq!(tried.borrow().len(), 3);
        assert!(tried.borrow()[..2].iter().all(|taken| *taken != name));
        assert_eq!(free_at(usize::MAX), Err(Errno::EXIST));
        assert_eq!(tried.borrow().len(), TRIES);
        assert!(names.make(|_| Err::<(), _>(Errno::ACCESS)).is_err());
    }

    #[test]
    fn runs_do_not_know_each_others_names() {
        let name = || Temporary::new().unwrap().make(|_| Ok(())).unwrap().0;
        let (one, other) = (name(), name());
        assert_ne!(one, other);
        assert!(one.starts_with(b".holdfast-restore-") && other.starts_with(b".holdfast-restore-"));
    }
}
