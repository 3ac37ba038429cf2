//! Readers come and go: by right, not by ticket, and none locks the others out.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use holdfast_link::identity::Role;
use holdfast_link::identity::ticket::Refused;
use holdfast_proto::services::{Ticket, ticket};

use super::*;

fn host(name: &str) -> Identity {
    Identity::new("lab", Role::Client, name).unwrap()
}

/// A ticket for an image: the site's word for it is `signed`.
fn signed(image: u32, number: u32) -> SignedTicket {
    SignedTicket { ticket: image.to_le_bytes().to_vec(), signature: number.to_le_bytes().to_vec() }
}

/// Finds every ticket good while `is_over` is 0, and counts.
#[derive(Default)]
struct Site {
    checked: AtomicUsize,
    is_over: AtomicUsize,
}

impl TicketCheck for Site {
    fn check(&self, signed: &SignedTicket, _: &Identity) -> std::result::Result<Ticket, Refused> {
        self.checked.fetch_add(1, SeqCst);
        if self.is_over.load(SeqCst) > 0 {
            return Err(Refused::Over);
        }
        let image = signed.ticket.repeat(4);
        let read = ticket::Read { client: "web1".into(), image, attempt: None };
        Ok(Ticket { right: Some(ticket::Right::Read(read)), ..Ticket::default() })
    }
}

fn readers() -> Readers {
    Readers::new(&Arc::new(NameBudget::new(1 << 20)))
}

fn count(readers: &Readers) -> (usize, usize) {
    let living = readers.living.lock();
    assert_eq!(living.tickets.len(), living.seats.values().map(|seat| seat.tickets.len()).sum::<usize>());
    (living.seats.len(), living.tickets.len())
}

#[test]
fn any_number_of_images_may_be_looked_at_and_who_is_at_work_stays() {
    let (readers, site, gateway) = (readers(), Site::default(), host("gateway"));
    let at_work = readers.find(Some(&signed(0, 0)), &gateway, &site).unwrap();
    let find = |caller: &Identity| readers.find(Some(&signed(0, 0)), caller, &site).unwrap();
    let restore = Arc::clone(&find(&host("web2")).with);
    for image in 1..3000 {
        readers.find(Some(&signed(image, image)), &gateway, &site).unwrap();
    }
    assert_eq!(count(&readers).0, BOUNDS.each + 1);
    assert!(Arc::ptr_eq(&find(&gateway).with, &at_work.with), "who is at work was forgotten");
    assert!(Arc::ptr_eq(&find(&host("web2")).with, &restore), "another caller was driven out");
}

#[test]
fn many_callers_make_room_for_the_next() {
    let (readers, site) = (readers(), Site::default());
    for caller in 0..30 {
        for image in 0..100 {
            readers.find(Some(&signed(image, 0)), &host(&format!("host{caller}")), &site).unwrap();
        }
    }
    assert_eq!(count(&readers), (BOUNDS.all, BOUNDS.all));
}

#[test]
fn who_is_at_work_everywhere_hears_that_it_is_too_much() {
    let (readers, site, caller) = (readers(), Site::default(), host("web1"));
    let find = |image| readers.find(Some(&signed(image, 0)), &caller, &site);
    let all: Vec<_> = (0..u32::try_from(BOUNDS.each).unwrap()).map(|image| find(image).unwrap()).collect();
    assert!(matches!(find(9999), Err(Error::Busy("readers"))));
    assert!(readers.find(Some(&signed(9999, 0)), &host("web2"), &site).is_ok());
    drop(all);
    assert!(find(9999).is_ok());
}

#[test]
fn a_new_ticket_for_the_same_right_is_the_same_reader() {
    let (readers, site, caller) = (readers(), Site::default(), host("web1"));
    let first = readers.find(Some(&signed(1, 0)), &caller, &site).unwrap();
    for number in 0..200 {
        // The first is shown all the time, as a long restore does.
        for shown in [signed(1, 0), signed(1, number)] {
            let found = readers.find(Some(&shown), &caller, &site).unwrap();
            assert!(Arc::ptr_eq(&found.with, &first.with));
        }
    }
    assert_eq!((count(&readers), site.checked.load(SeqCst)), ((1, TICKETS_MAX), 200));
    // One that was found good stays so while its reader lives, in its caller's hand only.
    site.is_over.store(1, SeqCst);
    assert!(readers.find(Some(&signed(1, 0)), &caller, &site).is_ok());
    assert!(readers.find(Some(&signed(1, 7777)), &caller, &site).is_err());
    assert!(readers.find(Some(&signed(1, 0)), &host("web2"), &site).is_err());
    drop(first);
    readers.forget_idle(Instant::now() + IDLE);
    assert_eq!(count(&readers), (0, 0));
    assert!(readers.find(Some(&signed(1, 0)), &caller, &site).is_err());
}
