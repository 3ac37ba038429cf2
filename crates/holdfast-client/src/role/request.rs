//! Orders to what the client does. Every number and path of an order is checked here.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use holdfast_link::identity::{Identity, Role};
use holdfast_link::net::host::Place;
use holdfast_proto::services::{Backup, Restore, Start, start::Work};
use holdfast_types::{ImageId, sanitise};

use super::key::Key;
use super::outcome::Failed;
use crate::backup;
use crate::network::{Request, RestoreRequest};
use crate::remote::Limit;
use crate::restore::{self, Overwrite, Target};
use crate::source::Selection;

/// How long a media server may be out of reach if the order does not say.
const RIDE_OUT: Duration = Duration::from_secs(24 * 3600);
/// Checkpoints are not made more often, whatever the order says.
const CHECKPOINT_MIN: (Duration, u64) = (Duration::from_millis(100), 1 << 20);
/// Rates of an order that are kept to.
const BANDS_MAX: usize = 1_000;

/// A media server of this site, and where it may be dialled.
pub(super) fn media(start: &Start, site: &str) -> Result<(Identity, Vec<Place>), Failed> {
    let media: Identity =
        start.media.parse().map_err(|_| Failed::bad_order("the order names no media server"))?;
    // The first media server of a site runs in the process of its primary server, and goes by its identity.
    if media.role() == Role::Client || media.site() != site {
        return Err(Failed::bad_order(format!("{media} is no media server of this site")));
    }
    Ok((media, start.addresses.iter().filter_map(|at| at.parse().ok()).collect()))
}

/// How long the media server may be out of reach.
pub(super) fn ride_out(start: &Start) -> Duration {
    let millis = match &start.work {
        Some(Work::Backup(backup)) => backup.ride_out_millis,
        Some(Work::Restore(restore)) => restore.ride_out_millis,
        None => 0,
    };
    if millis == 0 { RIDE_OUT } else { Duration::from_millis(millis) }
}

pub(super) fn backup(order: &Backup) -> Result<Request, Failed> {
    let roots: Result<Vec<PathBuf>, Failed> = order.paths.iter().map(|path| absolute(path)).collect();
    let selection = Selection {
        roots: roots?,
        excludes: order.excludes.clone(),
        exclude_caches: order.exclude_caches,
        one_file_system: order.one_file_system,
    };
    let mut options = backup::Options { rehash: order.rehash, ..backup::Options::default() };
    if order.checkpoint_every_millis > 0 {
        options.checkpoint_every = Duration::from_millis(order.checkpoint_every_millis).max(CHECKPOINT_MIN.0);
    }
    if order.checkpoint_bytes > 0 {
        options.checkpoint_bytes = order.checkpoint_bytes.max(CHECKPOINT_MIN.1);
    }
    let bands = order.bands.iter().take(BANDS_MAX);
    let bands = bands.map(|band| (Duration::from_millis(band.after_millis), band.bandwidth));
    Ok(Request { selection, options, limit: Arc::new(Limit::planned(order.bandwidth, bands)) })
}

pub(super) fn restore(order: &Restore, key: &Key) -> Result<RestoreRequest, Failed> {
    let image =
        ImageId::from_slice(&order.image).ok_or_else(|| Failed::bad_order("the order names no image"))?;
    let target = match order.to.as_slice() {
        [] => Target::InPlace,
        to => Target::Directory(absolute(to)?),
    };
    let mut options = restore::Options::to(target);
    options.overwrite = overwrite(order.overwrite, key.is_repeated())?;
    options.numeric_ids = order.numeric_ids;
    Ok(RestoreRequest { image: Some(image), paths: order.paths.clone(), options })
}

/// What an earlier attempt of the same job has written is not written again, and is not in the way (docs/jobs.md, section 6).
fn overwrite(number: u32, is_repeated: bool) -> Result<Overwrite, Failed> {
    Ok(match number {
        0 if is_repeated => Overwrite::Resume,
        0 => Overwrite::Refuse,
        1 => Overwrite::Never,
        2 => Overwrite::Older,
        3 if is_repeated => Overwrite::Changed,
        3 => Overwrite::Always,
        4 => Overwrite::Changed,
        _ => return Err(Failed::bad_order("the order says an --overwrite that this version does not know")),
    })
}

fn absolute(path: &[u8]) -> Result<PathBuf, Failed> {
    match path.first() {
        Some(b'/') if !path.contains(&0) => Ok(PathBuf::from(OsString::from_vec(path.to_vec()))),
        _ => Err(Failed::bad_order(format!("{} is no absolute path", sanitise(path)))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::tests::key;
    use super::*;
    use holdfast_proto::services::outcome::Kind;

    fn bad<T: std::fmt::Debug>(made: Result<T, Failed>) {
        assert_eq!(made.unwrap_err().kind, Kind::BadOrder);
    }

    #[test]
    fn orders_are_checked() {
        let order = Backup { paths: vec![b"/etc".to_vec()], checkpoint_every_millis: 1, ..Backup::default() };
        let request = backup(&order).unwrap();
        assert_eq!(request.selection.roots, [PathBuf::from("/etc")]);
        assert_eq!(request.options.checkpoint_every, CHECKPOINT_MIN.0);
        assert_eq!(request.options.checkpoint_bytes, backup::Options::default().checkpoint_bytes);
        bad(backup(&Backup { paths: vec![b"etc".to_vec()], ..Backup::default() }));
        bad(backup(&Backup { paths: vec![b"/e\0c".to_vec()], ..Backup::default() }));
        let order = Restore { image: vec![1; 16], to: b"/to".to_vec(), ..Restore::default() };
        let first = key(1, 1, 1);
        let request = restore(&order, &first).unwrap();
        assert_eq!(request.options.target, Target::Directory("/to".into()));
        bad(restore(&Restore { image: vec![1; 15], ..order.clone() }, &first));
        bad(restore(&Restore { to: b"to".to_vec(), ..order.clone() }, &first));
        bad(restore(&Restore { overwrite: 5, ..order }, &first));
    }

    #[test]
    fn what_an_earlier_attempt_wrote_is_not_in_the_way_of_the_next() {
        let order = |overwrite| Restore { image: vec![1; 16], overwrite, ..Restore::default() };
        let chosen =
            |overwrite, counter| restore(&order(overwrite), &key(1, 1, counter)).unwrap().options.overwrite;
        assert_eq!((chosen(0, 1), chosen(0, 2)), (Overwrite::Refuse, Overwrite::Resume));
        assert_eq!((chosen(3, 1), chosen(3, 2)), (Overwrite::Always, Overwrite::Changed));
    }

    #[test]
    fn a_media_server_is_one_of_this_site() {
        let start = |media: &str| Start {
            media: media.into(),
            addresses: vec!["192.0.2.1:7556".into(), "no place!".into()],
            ..Start::default()
        };
        let (media_server, places) = media(&start("holdfast://lab/media/store1"), "lab").unwrap();
        assert_eq!((media_server.host(), places.len()), ("store1", 1));
        bad(media(&start("holdfast://lab/client/web1"), "lab"));
        bad(media(&start("holdfast://other/media/store1"), "lab"));
        bad(media(&start(""), "lab"));
    }
}
