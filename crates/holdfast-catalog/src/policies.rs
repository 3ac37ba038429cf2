//! Policies as their texts, and marks: when something of a policy was last made due. What a text means is `holdfast-jobs`'
//! business.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::value::{Columns, stored};
use crate::{Catalog, Error, Result};

/// A policy.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PolicyRow {
    /// Its name: the key.
    pub name: String,
    /// The TOML text of its own table.
    pub text: String,
    /// When this text was applied.
    pub applied: u64,
    /// Who applied it; empty if that was not kept.
    pub by: String,
}

impl Catalog {
    /// Stores these policies, all or none. One that is there gets the new text and keeps its marks; others stay.
    pub async fn put_policies(&self, policies: &[PolicyRow]) -> Result<()> {
        let mut transaction = self.write().await?;
        for policy in policies {
            // Not "OR REPLACE": that deletes the old row, and its marks with it.
            sqlx::query(
                "INSERT INTO policies (name, text, applied, applied_by) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE SET text = excluded.text, applied = excluded.applied,
                     applied_by = excluded.applied_by",
            )
            .bind(&policy.name)
            .bind(&policy.text)
            .bind(stored(policy.applied, "the time when a policy was applied")?)
            .bind(&policy.by)
            .execute(&mut *transaction)
            .await?;
        }
        self.commit(transaction).await
    }

    /// Deletes a policy and its marks. False if there is none.
    pub async fn delete_policy(&self, name: &str) -> Result<bool> {
        let mut transaction = self.write().await?;
        let delete = sqlx::query("DELETE FROM policies WHERE name = ?1").bind(name);
        let done = delete.execute(&mut *transaction).await?;
        self.commit(transaction).await?;
        Ok(done.rows_affected() > 0)
    }

    /// All policies, by name.
    pub async fn policies(&self) -> Result<Vec<PolicyRow>> {
        let rows = sqlx::query("SELECT * FROM policies ORDER BY name").fetch_all(&self.readers).await?;
        rows.iter().map(policy).collect()
    }

    /// All marks, by policy and key.
    pub async fn marks(&self) -> Result<BTreeMap<(String, String), u64>> {
        let rows = sqlx::query("SELECT * FROM marks").fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok(((row.text("policy")?, row.text("key")?), row.number("at")?))).collect()
    }

    /// Sets a mark of a policy, which must be there.
    pub async fn set_mark(&self, policy: &str, key: &str, at: u64) -> Result<()> {
        let mut transaction = self.write().await?;
        mark(&mut transaction, policy, key, at).await?;
        self.commit(transaction).await
    }
}

/// Sets a mark within a transaction.
pub(crate) async fn mark(transaction: &mut SqliteConnection, policy: &str, key: &str, at: u64) -> Result<()> {
    sqlx::query(
        "INSERT INTO marks (policy, key, at) VALUES (?1, ?2, ?3) ON CONFLICT (policy, key) DO UPDATE SET at = excluded.at",
    )
    .bind(policy)
    .bind(key)
    .bind(stored(at, "a mark")?)
    .execute(transaction)
    .await
    .map_err(|cause| Error::or_absent(cause, || Error::NoPolicy { policy: policy.into() }))?;
    Ok(())
}

fn policy(row: &SqliteRow) -> Result<PolicyRow> {
    Ok(PolicyRow {
        name: row.text("name")?,
        text: row.text("text")?,
        applied: row.number("applied")?,
        by: row.text("applied_by")?,
    })
}
