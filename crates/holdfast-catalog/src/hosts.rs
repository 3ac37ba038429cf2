//! Hosts that were seen: which program they run, where they were, when, and the labels that people gave them.

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::value::{Columns, stored};
use crate::{Catalog, Result};

/// A host that has just been seen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HostSeen {
    /// `client`, `media` or `primary`.
    pub role: String,
    /// Its name; with the role, the key.
    pub name: String,
    /// The program that it runs, with its version.
    pub program: String,
    /// Where it was, if that is known. The last one that was known stays.
    pub address: Option<String>,
    /// When.
    pub at: u64,
}

/// A host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HostRow {
    /// `client`, `media` or `primary`.
    pub role: String,
    /// Its name; with the role, the key.
    pub name: String,
    /// What people have said of it.
    pub labels: BTreeMap<String, String>,
    /// The program that it ran when it was last seen.
    pub program: String,
    /// Where it was when that was last known.
    pub address: Option<String>,
    /// When it was first seen.
    pub first_seen: u64,
    /// When it was last seen.
    pub last_seen: u64,
}

impl Catalog {
    /// Remembers that a host was seen.
    pub async fn saw_host(&self, seen: &HostSeen) -> Result<()> {
        let mut transaction = self.write().await?;
        sqlx::query(
            "INSERT INTO hosts (role, name, program, address, first_seen, last_seen) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
             ON CONFLICT (role, name) DO UPDATE SET program = excluded.program,
                 address = coalesce(excluded.address, address), last_seen = excluded.last_seen",
        )
        .bind(&seen.role)
        .bind(&seen.name)
        .bind(&seen.program)
        .bind(&seen.address)
        .bind(stored(seen.at, "the time when a host was seen")?)
        .execute(&mut *transaction)
        .await?;
        self.commit(transaction).await
    }

    /// All hosts, by role and name.
    pub async fn hosts(&self) -> Result<Vec<HostRow>> {
        // In one statement, so that hosts and labels are of one moment.
        let rows = sqlx::query(
            "SELECT hosts.*, labels.key, labels.value
             FROM hosts LEFT JOIN labels ON labels.role = hosts.role AND labels.host = hosts.name
             ORDER BY hosts.role, hosts.name",
        )
        .fetch_all(&self.readers)
        .await?;
        let mut hosts: Vec<HostRow> = Vec::new();
        for row in &rows {
            let host = host(row)?;
            match hosts.last_mut() {
                Some(last) if last.role == host.role && last.name == host.name => {
                    last.labels.extend(host.labels);
                }
                _ => hosts.push(host),
            }
        }
        Ok(hosts)
    }

    /// Gives a host these labels and no others. False, and nothing is done, if there is no such host.
    pub async fn set_labels(
        &self,
        role: &str,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<bool> {
        let mut transaction = self.write().await?;
        let found = sqlx::query("SELECT 1 FROM hosts WHERE role = ?1 AND name = ?2")
            .bind(role)
            .bind(name)
            .fetch_optional(&mut *transaction)
            .await?;
        if found.is_none() {
            return Ok(false);
        }
        sqlx::query("DELETE FROM labels WHERE role = ?1 AND host = ?2")
            .bind(role)
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        for (key, value) in labels {
            sqlx::query("INSERT INTO labels (role, host, key, value) VALUES (?1, ?2, ?3, ?4)")
                .bind(role)
                .bind(name)
                .bind(key)
                .bind(value)
                .execute(&mut *transaction)
                .await?;
        }
        self.commit(transaction).await?;
        Ok(true)
    }
}

/// A host with at most one of its labels.
fn host(row: &SqliteRow) -> Result<HostRow> {
    let label: (Option<String>, Option<String>) = (row.try_get("key")?, row.try_get("value")?);
    Ok(HostRow {
        role: row.text("role")?,
        name: row.text("name")?,
        labels: label.0.zip(label.1).into_iter().collect(),
        program: row.text("program")?,
        address: row.text_if("address")?,
        first_seen: row.number("first_seen")?,
        last_seen: row.number("last_seen")?,
    })
}
