//! IMAGE and PATH as they stand on the command line. Finding the image is the vault's.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::Args;
use holdfast_format::record::ImageRecord;
use holdfast_types::{check_component, sanitise};
use holdfast_vault::{Listed, Selector, Vault};

use crate::errors::{Failure, Result};
use crate::time;

/// `--at TIME`.
#[derive(Args, Debug, Default)]
pub(crate) struct At {
    /// With `latest`: the newest image that was begun at this time or before
    ///
    /// A time like 2026-11-22T10:00:00Z, '2026-11-22 10:00' (local time), 2026-11-22 (up to the end of that day), or an
    /// age like 2h or '3 days'.
    #[arg(long, value_name = "TIME", value_parser = time::parse_at)]
    pub(crate) at: Option<u64>,
}

impl At {
    /// The image that is meant.
    pub(crate) fn find(&self, vault: &Vault, image: &str) -> Result<ImageRecord> {
        Ok(vault.find_image(&self.selector(image)?)?)
    }

    /// The image that is meant, also one whose record cannot be read, if it is named by its id.
    pub(crate) fn find_listed(&self, vault: &Vault, image: &str) -> Result<Listed> {
        Ok(vault.find_listed(&self.selector(image)?)?)
    }

    /// Checks the words for an image before a vault is opened.
    pub(crate) fn selector(&self, image: &str) -> Result<Selector> {
        let name = match image.strip_prefix("latest") {
            Some("") => None,
            Some(name) if name.starts_with(':') => Some(name[1..].to_owned()),
            _ => return self.id(image),
        };
        Ok(Selector::Latest { name, at_millis: self.at })
    }

    fn id(&self, image: &str) -> Result<Selector> {
        if self.at.is_some() {
            return Err(Failure::usage(
                format!("--at goes with `latest`, and {} is one image", sanitise(image.as_bytes())),
                "leave one of them out",
            ));
        }
        let is_id =
            !image.is_empty() && image.len() <= 32 && image.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id {
            return Err(Failure::failed(
                format!("no image is called {:?}", sanitise(image.as_bytes())),
                "`holdfast images` lists the images; an IMAGE is an id, its beginning, `latest` or `latest:NAME`",
            ));
        }
        Ok(Selector::Id(image.to_owned()))
    }
}

/// A path of an image: absolute, without doubled slashes or one at its end.
pub(crate) fn image_path(given: &OsString) -> Result<Vec<u8>> {
    let bytes = given.as_bytes();
    let parts = || bytes.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
    if bytes.first() != Some(&b'/') || parts().any(|part| check_component(part).is_err()) {
        return Err(Failure::usage(
            format!("{:?} is no path of an image: those are absolute, without . and ..", sanitise(bytes)),
            "give the path as it was on the source, as `holdfast ls` prints it",
        ));
    }
    let path = parts().flat_map(|part| [b"/", part].concat()).collect::<Vec<u8>>();
    Ok(if path.is_empty() { b"/".to_vec() } else { path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_ids_or_latest() {
        let at = At { at: Some(5) };
        let latest =
            |name: Option<&str>, at_millis| Selector::Latest { name: name.map(str::to_owned), at_millis };
        assert_eq!(At::default().selector("latest").unwrap(), latest(None, None));
        assert_eq!(at.selector("latest:web1").unwrap(), latest(Some("web1"), Some(5)));
        assert_eq!(At::default().selector("0aF").unwrap(), Selector::Id("0aF".into()));
        for bad in ["", "latestx", "latest-x", "xyz", &"0".repeat(33)] {
            assert!(At::default().selector(bad).is_err(), "{bad}");
        }
        assert!(matches!(at.selector("0a"), Err(Failure::Told { status: crate::errors::Status::Usage, .. })));
    }

    #[test]
    fn paths_are_absolute() {
        assert_eq!(image_path(&"//a///b/".into()).unwrap(), b"/a/b");
        assert_eq!(image_path(&"/".into()).unwrap(), b"/");
        for bad in ["", "a", "/a/../b", "./a"] {
            assert!(image_path(&bad.into()).is_err(), "{bad}");
        }
    }
}
