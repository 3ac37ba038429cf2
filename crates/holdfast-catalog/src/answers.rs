//! Answers that were given, for a day: a request that is repeated, because its answer was lost, gets the same one and does
//! nothing a second time.

use sqlx::Row;

use crate::value::stored;
use crate::{Catalog, Result};

/// How long an answer is kept, in milliseconds.
const DAY: u64 = 24 * 3_600_000;

impl Catalog {
    /// The answer that was kept under this key.
    pub async fn answer(&self, key: &str) -> Result<Option<String>> {
        let row = sqlx::query("SELECT answer FROM answers WHERE key = ?1")
            .bind(key)
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Keeps an answer, and deletes those that are older than a day. If there is one under this key already, it stays: it
    /// was given to somebody.
    pub async fn keep_answer(&self, key: &str, answer: &str, at: u64) -> Result<()> {
        let kept_at = stored(at, "the time of an answer")?;
        let oldest = stored(at.saturating_sub(DAY), "the time of an answer")?;
        let mut transaction = self.write().await?;
        sqlx::query("DELETE FROM answers WHERE at < ?1").bind(oldest).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO answers (key, answer, at) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO NOTHING")
            .bind(key)
            .bind(answer)
            .bind(kept_at)
            .execute(&mut *transaction)
            .await?;
        self.commit(transaction).await
    }
}
