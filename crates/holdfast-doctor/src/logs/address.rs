//! Addresses as debug logs write them: the port is one more part after a dot, `10.1.2.3.13724`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Serialize, Serializer};

/// An address and a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Endpoint {
    /// The address.
    pub ip: IpAddr,
    /// The port.
    pub port: u16,
}

impl Endpoint {
    /// From a word of a log.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let word = word.trim_end_matches([',', ';', ')', '.']);
        if let Ok(both) = word.parse::<SocketAddr>() {
            return Some(Self { ip: both.ip(), port: both.port() });
        }
        let (ip, port) = word.rsplit_once('.')?;
        Some(Self { ip: ip.parse().ok()?, port: port.parse().ok()? })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.ip, self.port).fmt(f)
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_one_more_part() {
        for (word, told) in [
            ("10.1.2.3.13724", Some("10.1.2.3:13724")),
            ("10.1.2.3:1556,", Some("10.1.2.3:1556")),
            ("fd00::7.13782", Some("[fd00::7]:13782")),
            ("[fd00::7]:1", Some("[fd00::7]:1")),
            ("10.1.2.3", None),
            ("10.1.2.3.99999", None),
            ("0.0.0.0", None),
            ("client", None),
        ] {
            assert_eq!(Endpoint::parse(word).map(|one| one.to_string()).as_deref(), told, "{word}");
        }
    }
}
