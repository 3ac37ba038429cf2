//! Numbers and columns: SQLite's integers are signed, the catalog's are not. What does not fit is refused, never wrapped.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::{Error, MOST_ROWS, Result};

/// The number as it is stored. `what` names it in the error.
pub(crate) fn stored(value: u64, what: &'static str) -> Result<i64> {
    i64::try_from(value).map_err(|_| Error::TooLarge { what, value })
}

/// As [`stored`], of one that may be absent.
pub(crate) fn stored_if(value: Option<u64>, what: &'static str) -> Result<Option<i64>> {
    value.map(|value| stored(value, what)).transpose()
}

/// The stored number as it was given.
pub(crate) fn given(value: i64, what: &str) -> Result<u64> {
    u64::try_from(value).map_err(|_| Error::Damaged { what: format!("{what} is {value}") })
}

/// How many rows a question may be answered with.
pub(crate) fn bounded(limit: u32) -> i64 {
    i64::from(limit.min(MOST_ROWS))
}

/// The end of the texts that begin with `prefix`: none of them sorts at or after it, by bytes. (Text is UTF-8, where no
/// character's bytes sort after those of the last one.)
pub(crate) fn end_of(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

/// Columns of a row by name.
pub(crate) trait Columns {
    /// A number.
    fn number(&self, name: &str) -> Result<u64>;
    /// A number that may be absent.
    fn number_if(&self, name: &str) -> Result<Option<u64>>;
    /// A text.
    fn text(&self, name: &str) -> Result<String>;
    /// A text that may be absent.
    fn text_if(&self, name: &str) -> Result<Option<String>>;
}

impl Columns for SqliteRow {
    fn number(&self, name: &str) -> Result<u64> {
        given(self.try_get(name)?, name)
    }

    fn number_if(&self, name: &str) -> Result<Option<u64>> {
        let value: Option<i64> = self.try_get(name)?;
        value.map(|value| given(value, name)).transpose()
    }

    fn text(&self, name: &str) -> Result<String> {
        Ok(self.try_get(name)?)
    }

    fn text_if(&self, name: &str) -> Result<Option<String>> {
        Ok(self.try_get(name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_both_ways() {
        let most = i64::MAX.unsigned_abs();
        assert_eq!(stored(most, "it").unwrap(), i64::MAX);
        assert!(
            matches!(stored(most + 1, "it"), Err(Error::TooLarge { what: "it", value }) if value == most + 1)
        );
        assert!(matches!(stored_if(Some(u64::MAX), "it"), Err(Error::TooLarge { .. })));
        assert_eq!(stored_if(None, "it").unwrap(), None);
        assert_eq!(given(0, "it").unwrap(), 0);
        assert!(matches!(given(-1, "it"), Err(Error::Damaged { .. })));
    }

    #[test]
    fn the_end_of_a_prefix_is_behind_all_that_begin_so() {
        let end = end_of("ab");
        assert!("ab" < end.as_str() && "abzzz" < end.as_str() && "ab\u{10fffe}" < end.as_str());
        assert!("ac" > end.as_str());
    }
}
