//! A site for the lab: an authority and hosts with their keys, in a directory.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use holdfast_link::identity::authority::{Authority, to_pem};
use holdfast_link::identity::credentials::HostKey;
use holdfast_link::identity::{Credentials, Identity};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};

use super::out::{Answer, Failure};

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}

/// Makes an authority for `site` and credentials of `hosts` (`holdfast://SITE/ROLE/HOST`) in `directory`.
pub(crate) fn init(command: &Value) -> Answer {
    let directory = PathBuf::from(command["directory"].as_str().unwrap_or_default());
    let now = SystemTime::now();
    let authority = Authority::create(command["site"].as_str().unwrap_or_default(), now).map_err(failed)?;
    std::fs::create_dir_all(&directory)?;
    write(&directory.join("authority.pem"), &to_pem(authority.certificate()))?;
    let hosts = command["hosts"].as_array().into_iter().flatten();
    for identity in hosts.filter_map(Value::as_str) {
        let identity: Identity = identity.parse().map_err(failed)?;
        let key = HostKey::generate().map_err(failed)?;
        let request = key.request().map_err(failed)?;
        let certificate = authority.certify(&request, &identity, now).map_err(failed)?;
        let name = file(&identity);
        write(&directory.join(format!("{name}.key")), &key.to_pem())?;
        write(&directory.join(format!("{name}.pem")), &to_pem(&certificate))?;
    }
    Ok(json!({}))
}

fn file(identity: &Identity) -> String {
    format!("{}-{}", identity.role().as_str(), identity.host())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    Ok(options.open(path)?.write_all(text.as_bytes())?)
}

/// The credentials of a host of the site in this directory.
pub(crate) fn load(directory: &Path, identity: &Identity) -> Result<Credentials, Failure> {
    let read = |name: String| std::fs::read_to_string(directory.join(name));
    let name = file(identity);
    let key = HostKey::from_pem(&read(format!("{name}.key"))?).map_err(failed)?;
    let der = |text: String| CertificateDer::from_pem_slice(text.as_bytes()).map_err(failed);
    let certificate = der(read(format!("{name}.pem"))?)?;
    let authority = der(read("authority.pem".to_owned())?)?;
    Credentials::new(key, certificate, authority).map_err(failed)
}
