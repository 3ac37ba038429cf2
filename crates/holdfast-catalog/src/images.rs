//! Images that media servers have committed, as the primary server was told of them. The truth is the image record in the
//! vault; this is the list that one can ask without it.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

use crate::value::{Columns, bounded, end_of, stored};
use crate::{Catalog, Result};

/// An image.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ImageRow {
    /// Its id: the key.
    pub id: String,
    /// The job that made it.
    pub job: String,
    /// The client whose files it holds.
    pub client: String,
    /// The name that it was given.
    pub name: String,
    /// The media server whose vault holds it.
    pub media: String,
    /// When its backup began.
    pub started: u64,
    /// When it was committed.
    pub finished: u64,
    /// What was backed up, as JSON.
    pub roots: String,
    /// How many files it has.
    pub files: u64,
    /// The bytes of their content.
    pub bytes_source: u64,
    /// How many entries could not be read.
    pub errors: u64,
    /// The policy that it was made for; none if its client asked for it, or if nobody knows any more.
    pub policy: Option<String>,
    /// What else is known, as JSON that only the caller reads.
    pub record: String,
}

/// Which images are asked for: those that have all that is given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ImageFilter {
    /// Of this client.
    pub client: Option<String>,
    /// Of exactly this name.
    pub name: Option<String>,
    /// Whose id begins so.
    pub prefix: Option<String>,
    /// Made by this job.
    pub job: Option<String>,
    /// Begun then or before.
    pub until: Option<u64>,
    /// After this one in the list: when it was begun, and its id.
    pub after: Option<(u64, String)>,
    /// How many at most; never more than [`MOST_ROWS`](crate::MOST_ROWS).
    pub limit: u32,
}

impl Catalog {
    /// Stores an image; one that is there under this id is replaced.
    pub async fn put_image(&self, image: &ImageRow) -> Result<()> {
        let mut transaction = self.write().await?;
        sqlx::query(
            "INSERT OR REPLACE INTO images (id, job, client, name, media, started, finished, roots, files, bytes_source,
                 errors, record, policy)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )
        .bind(&image.id)
        .bind(&image.job)
        .bind(&image.client)
        .bind(&image.name)
        .bind(&image.media)
        .bind(stored(image.started, "the beginning of an image")?)
        .bind(stored(image.finished, "the end of an image")?)
        .bind(&image.roots)
        .bind(stored(image.files, "the number of an image's files")?)
        .bind(stored(image.bytes_source, "the number of an image's bytes")?)
        .bind(stored(image.errors, "the number of an image's errors")?)
        .bind(&image.record)
        .bind(&image.policy)
        .execute(&mut *transaction)
        .await?;
        self.commit(transaction).await
    }

    /// Forgets images: all of these that are there, or none.
    pub async fn delete_images(&self, ids: &[String]) -> Result<()> {
        let mut transaction = self.write().await?;
        for id in ids {
            sqlx::query("DELETE FROM images WHERE id = ?1").bind(id).execute(&mut *transaction).await?;
        }
        self.commit(transaction).await
    }

    /// The ids of the images of a media server.
    pub async fn images_of_media(&self, media: &str) -> Result<Vec<String>> {
        let ids = sqlx::query("SELECT id FROM images WHERE media = ?1").bind(media);
        ids.fetch_all(&self.readers).await?.iter().map(|row| row.text("id")).collect()
    }

    /// The image with this id.
    pub async fn image(&self, id: &str) -> Result<Option<ImageRow>> {
        let row =
            sqlx::query("SELECT * FROM images WHERE id = ?1").bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(image).transpose()
    }

    /// The images that the filter asks for, those that began last first.
    pub async fn images(&self, filter: &ImageFilter) -> Result<Vec<ImageRow>> {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT * FROM images WHERE 1");
        let exact = [("client", &filter.client), ("name", &filter.name), ("job", &filter.job)];
        for (column, wanted) in exact {
            if let Some(wanted) = wanted {
                query.push(format_args!(" AND {column} = ")).push_bind(wanted);
            }
        }
        if let Some(prefix) = &filter.prefix {
            query.push(" AND id >= ").push_bind(prefix).push(" AND id < ").push_bind(end_of(prefix));
        }
        if let Some(until) = filter.until {
            query.push(" AND started <= ").push_bind(stored(until, "a time")?);
        }
        if let Some((started, id)) = &filter.after {
            let started = stored(*started, "a time")?;
            query.push(" AND (started, id) < (").push_bind(started).push(", ").push_bind(id).push(")");
        }
        query.push(" ORDER BY started DESC, id DESC LIMIT ").push_bind(bounded(filter.limit));
        let rows = query.build().fetch_all(&self.readers).await?;
        rows.iter().map(image).collect()
    }
}

fn image(row: &SqliteRow) -> Result<ImageRow> {
    Ok(ImageRow {
        id: row.text("id")?,
        job: row.text("job")?,
        client: row.text("client")?,
        name: row.text("name")?,
        media: row.text("media")?,
        started: row.number("started")?,
        finished: row.number("finished")?,
        roots: row.text("roots")?,
        files: row.number("files")?,
        bytes_source: row.number("bytes_source")?,
        errors: row.number("errors")?,
        record: row.text("record")?,
        policy: row.text_if("policy")?,
    })
}
