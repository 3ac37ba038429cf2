//! Opening a vault, for reading or for writing, with the key that it needs; making the default vault on first use.
//!
//! Reading changes nothing, anywhere. What is in a vault is the vault's business.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use holdfast_format::VaultKey;
use holdfast_format::chunker::Sizes;
use holdfast_format::config;
use holdfast_store::{Error as StoreError, LocalStore, MemoryStore, Store};
use holdfast_types::{KeyId, VaultId, sanitise};
use holdfast_vault::{Error as VaultError, Mode, Vault};

use crate::console::Console;
use crate::errors::{Failure, Result};
use crate::keys::{self, Keys};
use crate::state::State;

/// How long to wait for another process that writes the vault: long enough for a backup, and not for ever.
const WRITER_WAIT_MAX: Duration = Duration::from_secs(3600);
/// A clean-up keeps readers away for single steps only.
const READER_WAIT_MAX: Duration = Duration::from_secs(60);

/// `--vault DIR`.
#[derive(Args, Debug, Default)]
pub(crate) struct VaultArgs {
    /// The vault's directory; else $HOLDFAST_VAULT, else `vault` in the state directory
    #[arg(long, value_name = "DIR")]
    pub(crate) vault: Option<PathBuf>,
}

/// The vault that was chosen, and the keys of this host.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// The vault's directory.
    pub(crate) dir: PathBuf,
    /// Nobody chose it.
    is_default: bool,
    /// A backup makes it, if its directory is to be made too. A directory that is there and holds no vault may be a
    /// mount point whose disk is missing: only `vault init` makes a vault in it. One with a store's own files and no config
    /// was being made when that run ended. And where no key is, no default vault ever was.
    is_made: bool,
    /// Where keys lie.
    pub(crate) keys: Keys,
}

impl VaultArgs {
    /// Whether somebody has chosen one.
    pub(crate) fn is_named(&self) -> bool {
        self.vault.is_some() || std::env::var_os("HOLDFAST_VAULT").is_some_and(|value| !value.is_empty())
    }

    /// By the flag, the environment, or the default.
    pub(crate) fn choose(&self) -> Result<Chosen> {
        let state = State::find()?;
        let named = std::env::var_os("HOLDFAST_VAULT").filter(|value| !value.is_empty()).map(PathBuf::from);
        let named = self.vault.clone().or(named);
        let is_default = named.is_none();
        let dir = named.unwrap_or_else(|| state.vault());
        // An absolute path in messages and beside the key says more.
        let dir = std::path::absolute(&dir).unwrap_or(dir);
        let parent_there = || is_default || dir.parent().is_some_and(Path::is_dir);
        let keys = Keys::new(state.keys());
        // In this order: another process that makes it now lays the store out before it writes the key.
        let is_new = is_default && keys.list()?.is_empty();
        let begun = is_default && ["reserve", "tmp"].iter().any(|own| dir.join(own).exists());
        let is_made = is_new || begun || (std::fs::symlink_metadata(&dir).is_err() && parent_there());
        Ok(Chosen { dir, is_default, is_made, keys })
    }

    /// Opens the chosen vault for reading.
    pub(crate) fn read(&self, console: &Console) -> Result<Vault> {
        self.choose()?.read(console)
    }

    /// Opens the chosen vault for writing. It must exist.
    pub(crate) fn write(&self, console: &Console) -> Result<Vault> {
        let chosen = self.choose()?;
        if !chosen.exists() {
            return Err(chosen.missing());
        }
        chosen.write(console)
    }
}

impl Chosen {
    /// Whether a vault seems to be there. If that cannot be told, opening it will tell why.
    fn exists(&self) -> bool {
        let there = |name: &str| self.dir.join(name).try_exists().unwrap_or(true);
        there(config::OBJECT_KEY) || there(config::COPY_KEY)
    }

    fn missing(&self) -> Failure {
        let next = if self.is_default && self.is_made {
            "`holdfast backup PATH` makes it; --vault or $HOLDFAST_VAULT chooses another".to_owned()
        } else if self.dir.is_dir() {
            "that directory is there: if its disk is missing, mount it; `holdfast vault init DIR` makes a vault in an \
             empty one"
                .to_owned()
        } else {
            "check the path; `holdfast vault init DIR` makes a vault".to_owned()
        };
        Failure::failed(format!("there is no vault in {}", show(&self.dir)), next)
    }

    /// The key that the vault needs, without opening it.
    pub(crate) fn key_needed(&self, console: &Console) -> Result<KeyId> {
        Ok(self.key_id(&self.read_store(console)?)?)
    }

    /// Whether the vault can be asked for its key: it is there, or somebody said that it is.
    pub(crate) fn is_expected(&self) -> bool {
        self.exists() || !self.is_default
    }

    fn read_store(&self, console: &Console) -> Result<LocalStore> {
        if !self.exists() {
            return Err(self.missing());
        }
        let mut on_wait =
            || console.say(&format!("the vault {} is being cleaned up; waiting", show(&self.dir)));
        Ok(LocalStore::open_reading(&self.dir, READER_WAIT_MAX, &mut on_wait)?)
    }

    fn key_id(&self, store: &LocalStore) -> std::result::Result<KeyId, VaultError> {
        Vault::key_needed(store, &|id| self.keys.has(id))
    }

    fn key(&self, id: KeyId) -> Result<VaultKey> {
        self.keys.get_for(id, &format!("the vault in {}", show(&self.dir)))
    }

    /// Opens the vault for reading.
    pub(crate) fn read(&self, console: &Console) -> Result<Vault> {
        let store = self.read_store(console)?;
        let key = self.key(self.key_id(&store)?)?;
        Ok(Vault::open(Arc::new(store), &key, Mode::Read)?)
    }

    /// Opens the vault for writing, waiting for others that write it, and makes it if a backup may.
    pub(crate) fn write(&self, console: &Console) -> Result<Vault> {
        let store = self.write_store(console)?;
        let key = match self.key_id(&store) {
            Ok(id) => self.key(id)?,
            // Made by nobody yet, or by a run that ended before it had a key: nothing is in it.
            Err(VaultError::NoVault { .. }) if self.is_made && is_bare(&store)? => {
                let (_, key) = set_up(&store, &self.keys)?;
                announce_key(console, &self.dir, &self.keys, key.id());
                key
            }
            Err(VaultError::NoVault { .. }) => return Err(self.missing()),
            Err(error) => return Err(error.into()),
        };
        Ok(Vault::open(Arc::new(store), &key, Mode::Write)?)
    }

    fn write_store(&self, console: &Console) -> Result<LocalStore> {
        if self.is_made && !self.exists() {
            match LocalStore::create(&self.dir) {
                // Another process makes it just now, or was about to.
                Err(StoreError::Busy { .. } | StoreError::NotEmpty { .. }) => {}
                created => return Ok(created?),
            }
        }
        let mut on_wait = || {
            console.say(&format!(
                "the vault {} is being written by another process; waiting (at most 1 h)",
                show(&self.dir)
            ));
        };
        match LocalStore::open_waiting(&self.dir, WRITER_WAIT_MAX, &mut on_wait) {
            Err(StoreError::Place { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => {
                Err(self.missing())
            }
            opened => Ok(opened?),
        }
    }

    /// Opens the vault for a dry run of a backup: as it is, or as it would be made.
    pub(crate) fn read_or_imagine(&self, console: &Console) -> Result<Vault> {
        if self.exists() || !self.is_made {
            return self.read(console);
        }
        let (store, key) = (MemoryStore::new(), keys::generate()?);
        Vault::init(&store, &key, Sizes::DEFAULT)?;
        Ok(Vault::open(Arc::new(store), &key, Mode::Read)?)
    }
}

/// Makes a vault in a directory that is empty or not there.
pub(crate) fn init(dir: &Path, keys: &Keys) -> Result<(VaultId, KeyId)> {
    let store = LocalStore::create(dir)?;
    let (vault, key) = set_up(&store, keys)?;
    Ok((vault, key.id()))
}

/// The key is durable before anything is sealed with it.
fn set_up(store: &LocalStore, keys: &Keys) -> Result<(VaultId, VaultKey)> {
    let key = keys::generate()?;
    keys.put(&key)?;
    let vault = Vault::init(store, &key, Sizes::DEFAULT)?;
    Ok((vault, key))
}

/// Whether a store has no objects.
fn is_bare(store: &LocalStore) -> Result<bool> {
    let mut count = 0u64;
    for prefix in ["packs", "index", "images", "marks"] {
        store.list(prefix, &mut |_| {
            count += 1;
            Ok(())
        })?;
    }
    Ok(count == 0)
}

/// Says where the key of a new vault is, and how to keep a copy.
pub(crate) fn announce_key(console: &Console, dir: &Path, keys: &Keys, id: KeyId) {
    console.say(&format!(
        "made a vault in {}\n\
         its key is in {}: without it nobody can read the vault, this host neither\n\
         keep a copy of it elsewhere: `holdfast key export` prints it as a short text",
        show(dir),
        show(&keys.path(id)),
    ));
}

/// A path of this host, safe on a terminal.
pub(crate) fn show(path: &Path) -> String {
    sanitise(path.as_os_str().as_encoded_bytes())
}
