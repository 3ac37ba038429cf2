//! The local socket of a role: a person's programs on this host ask through it. Whoever may open the socket's directory may
//! do what this host may do, so the directory is its owner's alone.
//!
//! A socket's path has at most 107 bytes, and a state directory may be longer. So it is reached by way of the open directory
//! (`/proc/self/fd`), whatever its name.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::identity::{Identity, Role};

pub use tokio::net::UnixListener as Listener;
use tokio::net::UnixStream;

/// The socket's directory in the state directory, and its name there.
const DIRECTORY: &str = "run";
const SOCKET: &str = "socket";

/// Listens in a state directory. A socket that a dead process has left is replaced: the caller holds the lock of the role, so
/// that no living one is.
pub fn bind(state: &Path) -> io::Result<Listener> {
    let directory = state.join(DIRECTORY);
    match DirBuilder::new().mode(0o700).create(&directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
        }
        made => made?,
    }
    let opened = File::open(&directory)?;
    let path = by_way_of(&opened);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    Listener::bind(path)
}

/// Connects to the role that runs with this state directory.
pub async fn connect(state: &Path) -> io::Result<UnixStream> {
    let opened = File::open(state.join(DIRECTORY))?;
    UnixStream::connect(by_way_of(&opened)).await
}

/// For whom a request through a local socket is, as its authority says: `media.NAME`, else the primary server.
pub fn wanted(uri: &http::Uri, primary: &Identity) -> Option<Identity> {
    match uri.authority().and_then(|authority| authority.host().strip_prefix("media.")) {
        Some(name) => Identity::new(primary.site(), Role::Media, name).ok(),
        None => Some(primary.clone()),
    }
}

/// The authority of requests for this host.
pub fn authority(host: &Identity) -> String {
    match host.role() {
        Role::Media => format!("media.{}", host.host()),
        Role::Primary | Role::Client => "primary".to_owned(),
    }
}

fn by_way_of(directory: &File) -> PathBuf {
    format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn a_request_says_for_whom_it_is() {
        let primary = Identity::primary("lab").unwrap();
        let media = Identity::new("lab", Role::Media, "store-1.example").unwrap();
        for host in [&primary, &media] {
            let uri = format!("http://{}/x", authority(host)).parse().unwrap();
            assert_eq!(wanted(&uri, &primary).as_ref(), Some(host));
        }
        assert_eq!(wanted(&"/x".parse().unwrap(), &primary), Some(primary.clone()));
    }

    #[tokio::test]
    async fn a_state_directory_may_have_a_long_name_and_an_old_socket() {
        let place = tempfile::tempdir().unwrap();
        let state = place.path().join("s".repeat(200));
        std::fs::create_dir(&state).unwrap();
        drop(bind(&state).unwrap());
        assert!(connect(&state).await.is_err());
        let listener = bind(&state).unwrap();
        let (near, far) = tokio::join!(connect(&state), listener.accept());
        let (mut near, (mut far, _)) = (near.unwrap(), far.unwrap());
        near.write_all(b"x").await.unwrap();
        assert_eq!(far.read_u8().await.unwrap(), b'x');
        let mode = std::fs::metadata(state.join(DIRECTORY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
