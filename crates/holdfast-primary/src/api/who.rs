//! Who asks, and what he may: an operator on this host or elsewhere, or a host of the site for itself.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use holdfast_link::identity::{Identity, Role};

use super::Trouble;

/// An operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Operator {
    /// His token's id, by which he asks from elsewhere; none on the primary server's host.
    pub(crate) token: Option<String>,
    /// Whose token it is.
    pub(crate) name: String,
    /// Whether he may only look.
    pub(crate) read_only: bool,
    /// Good until then.
    pub(crate) expires: Option<u64>,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    /// Somebody who may do everything, or look at everything.
    Operator(Operator),
    /// A host of the site: what is its own.
    Host(Identity),
}

impl Who {
    /// Whoever may open the local socket.
    pub(crate) fn on_this_host() -> Self {
        let name = "an operator on the primary server's host".to_owned();
        Self::Operator(Operator { token: None, name, read_only: false, expires: None })
    }

    /// Who did something, for logs.
    pub(super) fn by(&self) -> String {
        match self {
            Self::Operator(Operator { token: None, .. }) => "an operator".to_owned(),
            Self::Operator(Operator { name, .. }) => format!("the operator {name}"),
            Self::Host(host) => format!("somebody on {}", host.host()),
        }
    }

    pub(super) fn operator(&self) -> Result<(), Trouble> {
        match self {
            Self::Operator(_) => Ok(()),
            Self::Host(_) => Err(Trouble::new(
                StatusCode::FORBIDDEN,
                "only an operator may do this",
                "do it on the primary server's host, or with an operator's token",
            )),
        }
    }

    /// Of which client what is asked may be seen; none: of all. A media server has no files of its own, whatever its name is.
    pub(super) fn only(&self) -> Result<Option<String>, Trouble> {
        match self {
            Self::Operator(_) => Ok(None),
            Self::Host(host) if host.role() == Role::Client => Ok(Some(host.host().to_owned())),
            Self::Host(_) => Err(Trouble::new(
                StatusCode::FORBIDDEN,
                "only clients and operators may ask this",
                "ask on a client, or on the primary server's host",
            )),
        }
    }

    /// The client that is meant, if it may be.
    pub(super) fn client(&self, wanted: Option<String>) -> Result<String, Trouble> {
        match (self, wanted) {
            (Self::Operator(_), Some(client)) => Ok(client),
            (Self::Operator(_), None) => Err(Trouble::bad("no client is named", "name one with --client")),
            (Self::Host(host), wanted)
                if host.role() == Role::Client
                    && wanted.as_ref().is_none_or(|wanted| wanted == host.host()) =>
            {
                Ok(host.host().to_owned())
            }
            (Self::Host(_), _) => Err(Trouble::new(
                StatusCode::FORBIDDEN,
                "a client may ask for itself only",
                "ask on the primary server's host",
            )),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Trouble> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Trouble::new(
                StatusCode::UNAUTHORIZED,
                "it is not known who asks",
                "ask through the local socket of the primary server or of an enrolled host",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(role: Role) -> Who {
        Who::Host(Identity::new("lab", role, "web1").unwrap())
    }

    #[test]
    fn a_media_server_is_not_the_client_of_its_name() {
        assert_eq!(host(Role::Client).only().unwrap().as_deref(), Some("web1"));
        assert_eq!(host(Role::Client).client(None).unwrap(), "web1");
        assert!(host(Role::Client).client(Some("web2".into())).is_err());
        for wanted in [None, Some("web1".to_owned())] {
            assert!(host(Role::Media).client(wanted).is_err());
        }
        assert!(host(Role::Media).only().is_err());
        assert!(host(Role::Client).operator().is_err());
        assert!(Who::on_this_host().only().unwrap().is_none());
    }
}
