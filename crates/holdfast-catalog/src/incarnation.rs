//! How often the catalog has begun anew. Epochs of attempts begin with it (docs/jobs.md, section 2): a catalog that was restored
//! from a copy has to rise above all that was given out before.

use sqlx::Row;

use crate::value::{Columns, given, stored};
use crate::{Catalog, Result};

impl Catalog {
    /// The incarnation; 1 in a new catalog.
    pub async fn incarnation(&self) -> Result<u64> {
        let row = sqlx::query("SELECT incarnation FROM catalog").fetch_one(&self.readers).await?;
        row.number("incarnation")
    }

    /// Raises the incarnation to this, unless it is as high already. Returns what it is then.
    pub async fn raise_incarnation(&self, to_at_least: u64) -> Result<u64> {
        let mut transaction = self.write().await?;
        let row = sqlx::query("UPDATE catalog SET incarnation = max(incarnation, ?1) RETURNING incarnation")
            .bind(stored(to_at_least, "the incarnation")?)
            .fetch_one(&mut *transaction)
            .await?;
        self.commit(transaction).await?;
        given(row.try_get(0)?, "the incarnation")
    }
}
