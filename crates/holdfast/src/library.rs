//! Where images are looked at: in a vault that this process opens, or at the site that this host belongs to. Commands that read
//! do not know which.

use bytes::Bytes;
use holdfast_client::depot::{Error as DepotError, LocalDepot, ReadDepot};
use holdfast_format::manifest::{NodeSource, Reader};
use holdfast_format::record::ImageRecord;
use holdfast_types::ChunkName;
use holdfast_vault::Vault;

use crate::console::Console;
use crate::errors::Result;
use crate::open::VaultArgs;
use crate::select::At;
use crate::site::asked;
use crate::site::browse::Browser;

/// Images, wherever they are.
pub(crate) enum Library {
    /// In a vault.
    Here(Vault),
    /// At the site.
    There(Box<Browser>),
}

/// An image that can be read.
pub(crate) struct Opened {
    /// What its record says.
    pub(crate) record: ImageRecord,
    depot: Box<dyn ReadDepot>,
}

impl Opened {
    pub(crate) fn new(record: ImageRecord, depot: Box<dyn ReadDepot>) -> Self {
        Self { record, depot }
    }

    /// Where its chunks come from.
    pub(crate) fn depot(&self) -> &dyn ReadDepot {
        &*self.depot
    }

    /// Its list of entries.
    pub(crate) fn manifest(&self) -> Reader<'_, Self> {
        Reader::new(self, self.record.manifest)
    }
}

impl NodeSource for Opened {
    type Error = DepotError;

    fn node(&self, name: &ChunkName, length: u32) -> std::result::Result<Bytes, DepotError> {
        self.depot.node(name, length)
    }
}

impl Library {
    /// The one that the command line means. `client`: only images of this one, of a site.
    pub(crate) fn open(vault: &VaultArgs, client: Option<&str>, console: &Console) -> Result<Self> {
        match asked::is_meant(vault)? {
            true => Ok(Self::There(Box::new(Browser::new(client)?))),
            false => Ok(Self::Here(vault.read(console)?)),
        }
    }

    /// The image that is meant.
    pub(crate) fn image(&self, at: &At, image: &str) -> Result<Opened> {
        match self {
            Self::Here(vault) => {
                let record = at.find(vault, image)?;
                Ok(Opened::new(record, Box::new(LocalDepot(vault.clone()))))
            }
            Self::There(browser) => {
                // The same words mean the same, wherever images are.
                at.selector(image)?;
                browser.open(image, at.at)
            }
        }
    }

    /// Every image, the newest first; how many cannot be looked at.
    pub(crate) fn each(&self, console: &Console, look: &mut dyn FnMut(&Opened) -> Result<()>) -> Result<u64> {
        let mut lost = 0;
        match self {
            Self::Here(vault) => {
                for listed in vault.images()? {
                    match listed.record {
                        Ok(record) => look(&Opened::new(record, Box::new(LocalDepot(vault.clone()))))?,
                        Err(error) => {
                            lost += 1;
                            console.trouble(&format!("image {} cannot be searched: {error}", listed.image));
                        }
                    }
                }
            }
            Self::There(browser) => {
                for id in browser.ids()? {
                    look(&browser.open(&id, None)?)?;
                }
            }
        }
        Ok(lost)
    }
}
