//! Answers that are given again to whoever repeats a request, because the first answer was lost on the way.

use sqlx::Row;

use crate::database::{Catalog, Result, signed};

/// They are kept for a day.
const LIFE_MILLIS: u64 = 24 * 3_600_000;

impl Catalog {
    /// The answer that was given.
    pub async fn answer(&self, key: &str) -> Result<Option<String>> {
        let found = sqlx::query("SELECT answer FROM answers WHERE key = ?").bind(key);
        let found = found.fetch_optional(&self.readers).await?;
        Ok(found.map(|row| row.try_get(0)).transpose()?)
    }

    /// Keeps an answer, and forgets those of the day before.
    pub async fn keep_answer(&self, key: &str, answer: &str, at: u64) -> Result<()> {
        let old = signed(at.saturating_sub(LIFE_MILLIS))?;
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM answers WHERE at < ?").bind(old).execute(&mut *transaction).await?;
        let keep = sqlx::query("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)");
        keep.bind(key).bind(answer).bind(signed(at)?).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }
}
