//! The name of a host: `holdfast://SITE/ROLE/HOST`, the one SAN URI of its certificate. Sessions belong to it.

use std::fmt;
use std::str::FromStr;

use super::{Error, Result};

const SCHEME: &str = "holdfast://";
/// As a label of DNS (RFC 1035).
const SITE_MAX: usize = 63;
/// As a name of DNS.
const HOST_MAX: usize = 253;

/// What a host does in its site.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The primary server.
    Primary,
    /// A media server.
    Media,
    /// A client.
    Client,
}

impl Role {
    pub(super) const ALL: [Self; 3] = [Self::Primary, Self::Media, Self::Client];

    /// As it stands in the name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Media => "media",
            Self::Client => "client",
        }
    }
}

/// Who a host is.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Identity {
    site: String,
    role: Role,
    host: String,
}

impl Identity {
    /// A host of a site. The site is 1 to 63 of a-z, 0-9 and `-`; the host 1 to 253 of letters, digits, `.`, `-` and `_`.
    pub fn new(site: &str, role: Role, host: &str) -> Result<Self> {
        let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let wide = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        check("site", site, SITE_MAX, lower)?;
        check("host", host, HOST_MAX, wide)?;
        Ok(Self { site: site.to_owned(), role, host: host.to_owned() })
    }

    /// The primary server of a site: there is one, and it is called so, whatever machine it runs on.
    pub fn primary(site: &str) -> Result<Self> {
        Self::new(site, Role::Primary, "primary")
    }

    /// The site.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// The role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The host.
    pub fn host(&self) -> &str {
        &self.host
    }
}

fn check(what: &'static str, name: &str, bound: usize, allowed: impl Fn(u8) -> bool) -> Result<()> {
    let why = match name.bytes().find(|byte| !allowed(*byte)) {
        Some(_) => "it has a character that is not allowed",
        None if name.is_empty() => "it is empty",
        None if name.len() > bound => "it is too long",
        // Never a path: hosts become names of files and parts of addresses.
        None if name.starts_with('.') => "it begins with a dot",
        None => return Ok(()),
    };
    Err(Error::Name { what, name: name.chars().take(bound).collect(), why })
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}/{}", self.site, self.role.as_str(), self.host)
    }
}

impl FromStr for Identity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why| Error::Name { what: "host of a site", name: text.chars().take(400).collect(), why };
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| wrong("it does not begin with holdfast://"))?;
        let mut parts = rest.split('/');
        let (Some(site), Some(role), Some(host), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong("it is not holdfast://SITE/ROLE/HOST"));
        };
        let role = Role::ALL.into_iter().find(|known| known.as_str() == role);
        Self::new(site, role.ok_or_else(|| wrong("its role is none of primary, media and client"))?, host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        let identity = Identity::new("berlin-1", Role::Media, "Store_2.example.org").unwrap();
        assert_eq!(identity.to_string(), "holdfast://berlin-1/media/Store_2.example.org");
        assert_eq!(identity.to_string().parse::<Identity>().unwrap(), identity);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = format!("holdfast://a/client/{}", "h".repeat(254));
        for bad in [
            "",
            "http://a/client/h",
            "holdfast://a/client",
            "holdfast://a/client/h/",
            "holdfast://a/root/h",
            "holdfast://A/client/h",
            "holdfast:///client/h",
            "holdfast://a/client/..",
            "holdfast://a/client/h\n",
            "holdfast://a/client/h%2e",
            &long,
        ] {
            assert!(bad.parse::<Identity>().is_err(), "{bad}");
        }
    }
}
