//! Hosts of the site: when they were seen, and what an administrator calls them besides their names.

use std::collections::BTreeMap;

use sqlx::Row;

use crate::database::{Catalog, Result, signed, unsigned};

/// A host has attended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HostSeen {
    /// `client`, `media` or `primary`.
    pub role: String,
    /// Its name.
    pub name: String,
    /// Program and version.
    pub program: String,
    /// Where it came from, if that is known.
    pub address: Option<String>,
    /// When, in milliseconds since 1970 UTC.
    pub at: u64,
}

/// What is known of a host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HostRow {
    /// `client`, `media` or `primary`.
    pub role: String,
    /// Its name.
    pub name: String,
    /// What an administrator calls it.
    pub labels: BTreeMap<String, String>,
    /// Program and version.
    pub program: String,
    /// Where it came from last, if that is known.
    pub address: Option<String>,
    /// When it was seen first, in milliseconds since 1970 UTC.
    pub first_seen: u64,
    /// And last.
    pub last_seen: u64,
}

impl Catalog {
    /// Notes that a host has attended.
    pub async fn saw_host(&self, seen: &HostSeen) -> Result<()> {
        let at = signed(seen.at)?;
        sqlx::query(
            "INSERT INTO hosts VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT DO UPDATE SET
             program = ?3, address = coalesce(?4, address), last_seen = max(last_seen, ?5)",
        )
        .bind(&seen.role)
        .bind(&seen.name)
        .bind(&seen.program)
        .bind(&seen.address)
        .bind(at)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// All hosts, by role and name.
    pub async fn hosts(&self) -> Result<Vec<HostRow>> {
        let rows = sqlx::query(
            "SELECT role, name, program, address, first_seen, last_seen FROM hosts ORDER BY role, name",
        );
        let mut hosts: BTreeMap<(String, String), HostRow> = BTreeMap::new();
        for row in rows.fetch_all(&self.readers).await? {
            let host = HostRow {
                role: row.try_get(0)?,
                name: row.try_get(1)?,
                labels: BTreeMap::new(),
                program: row.try_get(2)?,
                address: row.try_get(3)?,
                first_seen: unsigned(&row, 4)?,
                last_seen: unsigned(&row, 5)?,
            };
            hosts.insert((host.role.clone(), host.name.clone()), host);
        }
        for row in sqlx::query("SELECT role, name, key, value FROM labels").fetch_all(&self.readers).await? {
            if let Some(host) = hosts.get_mut(&(row.try_get(0)?, row.try_get(1)?)) {
                host.labels.insert(row.try_get(2)?, row.try_get(3)?);
            }
        }
        Ok(hosts.into_values().collect())
    }

    /// Sets a host's labels, all of them. False: there is no such host.
    pub async fn set_labels(
        &self,
        role: &str,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let known = sqlx::query("SELECT 1 FROM hosts WHERE role = ? AND name = ?").bind(role).bind(name);
        if known.fetch_optional(&mut *transaction).await?.is_none() {
            return Ok(false);
        }
        let delete = sqlx::query("DELETE FROM labels WHERE role = ? AND name = ?").bind(role).bind(name);
        delete.execute(&mut *transaction).await?;
        for (key, value) in labels {
            let insert = sqlx::query("INSERT INTO labels VALUES (?, ?, ?, ?)");
            insert.bind(role).bind(name).bind(key).bind(value).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }
}
