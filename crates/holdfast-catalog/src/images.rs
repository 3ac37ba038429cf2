//! Images: what the vaults' records say, for lists. The records are the truth.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row};

use crate::database::{Catalog, Result, signed, unsigned};

/// Most images of a list.
const LIST_MAX: u32 = 100_000;

/// An image. Times are milliseconds since 1970 UTC.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ImageRow {
    /// Its id, as it is printed.
    pub id: String,
    /// The job that made it.
    pub job: String,
    /// The client whose files they are.
    pub client: String,
    /// Its label.
    pub name: String,
    /// The identity of the media server that has it.
    pub media: String,
    /// When its job was made.
    pub started: u64,
    /// When it was done.
    pub finished: u64,
    /// The paths: JSON.
    pub roots: String,
    /// Files in it.
    pub files: u64,
    /// Bytes of their content.
    pub bytes_source: u64,
    /// Entries in trouble.
    pub errors: u64,
    /// What else is known: JSON.
    pub record: String,
}

/// Which images are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ImageFilter {
    /// Only this client's.
    pub client: Option<String>,
    /// Only those with this label.
    pub name: Option<String>,
    /// Only those whose id begins so.
    pub prefix: Option<String>,
    /// Only this job's.
    pub job: Option<String>,
    /// Only those whose job was made then or before.
    pub until: Option<u64>,
    /// At most so many.
    pub limit: u32,
}

const COLUMNS: &str = "SELECT id, job, client, name, media, started, finished, roots, files, bytes_source, errors, record \
                       FROM images WHERE 1";

fn read(row: &SqliteRow) -> Result<ImageRow> {
    Ok(ImageRow {
        id: row.try_get(0)?,
        job: row.try_get(1)?,
        client: row.try_get(2)?,
        name: row.try_get(3)?,
        media: row.try_get(4)?,
        started: unsigned(row, 5)?,
        finished: unsigned(row, 6)?,
        roots: row.try_get(7)?,
        files: unsigned(row, 8)?,
        bytes_source: unsigned(row, 9)?,
        errors: unsigned(row, 10)?,
        record: row.try_get(11)?,
    })
}

impl Catalog {
    /// Stores an image, in the place of what was known of it.
    pub async fn put_image(&self, image: &ImageRow) -> Result<()> {
        sqlx::query("INSERT OR REPLACE INTO images VALUES (?,?,?,?,?,?,?,?,?,?,?,?)")
            .bind(&image.id)
            .bind(&image.job)
            .bind(&image.client)
            .bind(&image.name)
            .bind(&image.media)
            .bind(signed(image.started)?)
            .bind(signed(image.finished)?)
            .bind(&image.roots)
            .bind(signed(image.files)?)
            .bind(signed(image.bytes_source)?)
            .bind(signed(image.errors)?)
            .bind(&image.record)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// An image by its whole id.
    pub async fn image(&self, id: &str) -> Result<Option<ImageRow>> {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" AND id = ").push_bind(id);
        query.build().fetch_optional(&self.readers).await?.as_ref().map(read).transpose()
    }

    /// Some images, the newest first.
    pub async fn images(&self, filter: &ImageFilter) -> Result<Vec<ImageRow>> {
        let mut query = QueryBuilder::new(COLUMNS);
        for (column, wanted) in [("client", &filter.client), ("name", &filter.name), ("job", &filter.job)] {
            if let Some(wanted) = wanted {
                query.push(" AND ").push(column).push(" = ").push_bind(wanted);
            }
        }
        if let Some(prefix) = &filter.prefix {
            // Ids are hexadecimal digits, which all come before a tilde.
            query.push(" AND id >= ").push_bind(prefix).push(" AND id < ").push_bind(format!("{prefix}~"));
        }
        if let Some(until) = filter.until {
            query.push(" AND started <= ").push_bind(signed(until)?);
        }
        query.push(" ORDER BY started DESC, id DESC LIMIT ").push_bind(filter.limit.min(LIST_MAX));
        query.build().fetch_all(&self.readers).await?.iter().map(read).collect()
    }
}
