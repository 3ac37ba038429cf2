//! Tickets: what a host may do at a media server, signed by the site's authority (docs/jobs.md, section 4). What the rights
//! mean is the media server's business; here they are signed, and checked for who holds them, where, and until when.

use std::time::{Duration, SystemTime};

use holdfast_proto::services::{SignedTicket, Ticket};
use prost::Message;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::primitives::is_signed;
use super::revocation::seconds;
use super::{Authority, Identity, Result};

/// What a signed text begins with, as no certificate and no revocation list does.
const CONTEXT: &[u8] = b"holdfast ticket v1\0";
/// Bytes of an encoded ticket.
const TICKET_MAX: usize = 4 << 10;
/// How far clocks of hosts may differ before a ticket is over too early.
const CLOCKS: Duration = Duration::from_secs(3600);

/// Why a ticket is not good.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// It is no ticket.
    #[error("the ticket cannot be read")]
    Unreadable,
    /// The site's authority has not signed it.
    #[error("the ticket is not signed by this site's authority")]
    Unsigned,
    /// It is somebody else's.
    #[error("the ticket is for {holder}, not for {caller}")]
    Holder {
        /// Who may use it.
        holder: String,
        /// Who has come with it.
        caller: Identity,
    },
    /// It is for another place.
    #[error("the ticket is for the media server {media}, not for {here}")]
    Elsewhere {
        /// Where it is good.
        media: String,
        /// Where it was shown.
        here: Identity,
    },
    /// Its time is over.
    #[error("the ticket is over: if this is sudden, compare the clocks of the hosts")]
    Over,
}

/// Signs a ticket. It must be for a host of the authority's site.
pub fn sign(authority: &Authority, ticket: &Ticket) -> Result<SignedTicket> {
    let ticket = ticket.encode_to_vec();
    let signature = authority.sign(&[CONTEXT, &ticket].concat())?;
    Ok(SignedTicket { ticket, signature })
}

/// The ticket, if the authority has signed it for this caller and this media server, and it is not over.
pub fn check(
    signed: &SignedTicket,
    authority: &CertificateDer<'_>,
    caller: &Identity,
    here: &Identity,
    now: SystemTime,
) -> std::result::Result<Ticket, Refused> {
    if signed.ticket.len() > TICKET_MAX {
        return Err(Refused::Unreadable);
    }
    let message = [CONTEXT, &signed.ticket].concat();
    let good = X509Certificate::from_der(authority).is_ok_and(|(_, authority)| {
        is_signed(&authority.public_key().subject_public_key.data, &message, &signed.signature)
    });
    if !good {
        return Err(Refused::Unsigned);
    }
    let ticket = Ticket::decode(signed.ticket.as_slice()).map_err(|_| Refused::Unreadable)?;
    if ticket.holder != caller.to_string() {
        return Err(Refused::Holder { holder: ticket.holder, caller: caller.clone() });
    }
    if ticket.media != here.to_string() || ticket.site != here.site() {
        return Err(Refused::Elsewhere { media: ticket.media, here: here.clone() });
    }
    if seconds(now) > ticket.expires.saturating_add(CLOCKS.as_secs()) {
        return Err(Refused::Over);
    }
    Ok(ticket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Role;

    fn host(role: Role, name: &str) -> Identity {
        Identity::new("lab", role, name).unwrap()
    }

    fn ticket(now: SystemTime) -> Ticket {
        Ticket {
            site: "lab".into(),
            holder: host(Role::Client, "web1").to_string(),
            media: host(Role::Media, "store1").to_string(),
            expires: seconds(now) + 60,
            right: None,
        }
    }

    #[test]
    fn a_ticket_is_good_for_its_holder_there_and_then_only() {
        let now = SystemTime::now();
        let authority = Authority::create("lab", now).unwrap();
        let stranger = Authority::create("lab", now).unwrap();
        let signed = sign(&authority, &ticket(now)).unwrap();
        let (web1, store1) = (host(Role::Client, "web1"), host(Role::Media, "store1"));
        let check = |signed: &SignedTicket, caller: &Identity, here: &Identity, at| {
            super::check(signed, authority.certificate(), caller, here, at)
        };
        assert_eq!(check(&signed, &web1, &store1, now), Ok(ticket(now)));
        assert!(matches!(
            check(&signed, &host(Role::Client, "web2"), &store1, now),
            Err(Refused::Holder { .. })
        ));
        assert!(matches!(
            check(&signed, &web1, &host(Role::Media, "store2"), now),
            Err(Refused::Elsewhere { .. })
        ));
        let late = now + CLOCKS + Duration::from_secs(62);
        assert_eq!(check(&signed, &web1, &store1, late), Err(Refused::Over));
        let forged = sign(&stranger, &ticket(now)).unwrap();
        assert_eq!(check(&forged, &web1, &store1, now), Err(Refused::Unsigned));
        for at in 0..signed.ticket.len() {
            let mut changed = signed.clone();
            changed.ticket[at] ^= 1;
            assert_eq!(check(&changed, &web1, &store1, now), Err(Refused::Unsigned), "byte {at}");
        }
    }
}
