//! Policies as texts, and the marks of what their schedules have made.

use std::collections::BTreeMap;

use sqlx::{Row, Sqlite, Transaction};

use crate::database::{Catalog, Result, signed, unsigned};

/// A policy.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PolicyRow {
    /// Its name.
    pub name: String,
    /// What it says.
    pub text: String,
    /// When it was applied, in milliseconds since 1970 UTC.
    pub applied: u64,
}

impl Catalog {
    /// Stores policies, all or none, in the place of those with their names.
    pub async fn put_policies(&self, policies: &[PolicyRow]) -> Result<()> {
        let mut transaction = self.begin().await?;
        for policy in policies {
            let put = sqlx::query(
                "INSERT INTO policies VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET text = ?2, applied = ?3",
            );
            let put = put.bind(&policy.name).bind(&policy.text).bind(signed(policy.applied)?);
            put.execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Deletes a policy and its marks. Whether there was one.
    pub async fn delete_policy(&self, name: &str) -> Result<bool> {
        let delete = sqlx::query("DELETE FROM policies WHERE name = ?").bind(name);
        Ok(delete.execute(&self.writer).await?.rows_affected() > 0)
    }

    /// All policies, by name.
    pub async fn policies(&self) -> Result<Vec<PolicyRow>> {
        let rows = sqlx::query("SELECT name, text, applied FROM policies ORDER BY name");
        let read = |row: sqlx::sqlite::SqliteRow| {
            Ok(PolicyRow { name: row.try_get(0)?, text: row.try_get(1)?, applied: unsigned(&row, 2)? })
        };
        rows.fetch_all(&self.readers).await?.into_iter().map(read).collect()
    }

    /// When something was made due last, by policy and key, in milliseconds since 1970 UTC.
    pub async fn marks(&self) -> Result<BTreeMap<(String, String), u64>> {
        let rows = sqlx::query("SELECT policy, key, at FROM marks").fetch_all(&self.readers).await?;
        let read =
            |row: &sqlx::sqlite::SqliteRow| Ok(((row.try_get(0)?, row.try_get(1)?), unsigned(row, 2)?));
        rows.iter().map(read).collect()
    }

    /// Sets a mark of a policy; nothing happens if there is no such policy.
    pub async fn set_mark(&self, policy: &str, key: &str, at: u64) -> Result<()> {
        let mut transaction = self.begin().await?;
        set_mark(&mut transaction, policy, key, at).await?;
        Ok(transaction.commit().await?)
    }
}

pub(crate) async fn set_mark(
    transaction: &mut Transaction<'static, Sqlite>,
    policy: &str,
    key: &str,
    at: u64,
) -> Result<()> {
    let set = sqlx::query(
        "INSERT INTO marks SELECT name, ?2, ?3 FROM policies WHERE name = ?1 ON CONFLICT DO UPDATE SET at = ?3",
    );
    set.bind(policy).bind(key).bind(signed(at)?).execute(&mut **transaction).await?;
    Ok(())
}
