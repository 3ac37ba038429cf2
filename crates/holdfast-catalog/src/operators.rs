//! Operators elsewhere: their tokens, of which only a hash of the secret is here. Whether a token is good, its caller decides.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::value::{Columns, bounded, stored};
use crate::{Catalog, MOST_ROWS, Result};

/// Tokens that are good at one time.
const LIVING_MAX: i64 = 1_000;
/// A token that is good no more is remembered for so long, in milliseconds.
const REMEMBERED: u64 = 366 * 24 * 3_600_000;

/// A token that is to be kept.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NewOperator {
    /// The token's id: the key.
    pub id: String,
    /// Whose it is. Of those that are good, one has a name.
    pub name: String,
    /// The hash of its secret, as text.
    pub secret: String,
    /// Whether it may only look.
    pub read_only: bool,
    /// Who made it.
    pub made_by: String,
    /// When it was made.
    pub created: u64,
    /// Good until then.
    pub expires: u64,
}

/// A token as it stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OperatorRow {
    /// As it was made.
    pub token: NewOperator,
    /// When it was taken back.
    pub revoked: Option<u64>,
    /// When somebody used it last, roughly.
    pub used: Option<u64>,
}

/// What became of a token that was to be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// It is kept.
    Yes,
    /// One that is good has its name.
    NameTaken,
    /// There are too many that are good.
    TooMany,
}

impl Catalog {
    /// Keeps a new token, and forgets those that ended a year ago.
    pub async fn add_operator(&self, new: &NewOperator) -> Result<Kept> {
        let created = stored(new.created, "the time when a token was made")?;
        let oldest = stored(new.created.saturating_sub(REMEMBERED), "the time when a token was made")?;
        let mut transaction = self.write().await?;
        sqlx::query("DELETE FROM operators WHERE min(expires, coalesce(revoked, expires)) < ?1")
            .bind(oldest)
            .execute(&mut *transaction)
            .await?;
        let living = sqlx::query(
            "SELECT count(*), coalesce(sum(name = ?2), 0) FROM operators WHERE revoked IS NULL AND expires > ?1",
        )
        .bind(created)
        .bind(&new.name)
        .fetch_one(&mut *transaction)
        .await?;
        if living.try_get::<i64, _>(1)? > 0 {
            return Ok(Kept::NameTaken);
        }
        if living.try_get::<i64, _>(0)? >= LIVING_MAX {
            return Ok(Kept::TooMany);
        }
        sqlx::query(
            "INSERT INTO operators (id, name, secret, read_only, made_by, created, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .bind(&new.id)
        .bind(&new.name)
        .bind(&new.secret)
        .bind(new.read_only)
        .bind(&new.made_by)
        .bind(created)
        .bind(stored(new.expires, "the time when a token expires")?)
        .execute(&mut *transaction)
        .await?;
        self.commit(transaction).await?;
        Ok(Kept::Yes)
    }

    /// The token of this id.
    pub async fn operator(&self, id: &str) -> Result<Option<OperatorRow>> {
        let row = sqlx::query("SELECT * FROM operators WHERE id = ?1")
            .bind(id)
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(operator).transpose()
    }

    /// All tokens, the newest first.
    pub async fn operators(&self) -> Result<Vec<OperatorRow>> {
        let rows = sqlx::query("SELECT * FROM operators ORDER BY created DESC, id LIMIT ?1")
            .bind(bounded(MOST_ROWS))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(operator).collect()
    }

    /// Takes the token of this id, or those of this name, back. How many there were that had not been.
    pub async fn revoke_operator(&self, wanted: &str, at: u64) -> Result<u64> {
        let mut transaction = self.write().await?;
        let done = sqlx::query(
            "UPDATE operators SET revoked = ?2 WHERE (id = ?1 OR name = ?1) AND revoked IS NULL AND expires > ?2",
        )
        .bind(wanted)
        .bind(stored(at, "the time when a token was revoked")?)
        .execute(&mut *transaction)
        .await?;
        self.commit(transaction).await?;
        Ok(done.rows_affected())
    }

    /// Remembers that a token was used.
    pub async fn used_operator(&self, id: &str, at: u64) -> Result<()> {
        let mut transaction = self.write().await?;
        sqlx::query("UPDATE operators SET used = ?2 WHERE id = ?1")
            .bind(id)
            .bind(stored(at, "the time when a token was used")?)
            .execute(&mut *transaction)
            .await?;
        self.commit(transaction).await
    }
}

fn operator(row: &SqliteRow) -> Result<OperatorRow> {
    Ok(OperatorRow {
        token: NewOperator {
            id: row.text("id")?,
            name: row.text("name")?,
            secret: row.text("secret")?,
            read_only: row.number("read_only")? != 0,
            made_by: row.text("made_by")?,
            created: row.number("created")?,
            expires: row.number("expires")?,
        },
        revoked: row.number_if("revoked")?,
        used: row.number_if("used")?,
    })
}
