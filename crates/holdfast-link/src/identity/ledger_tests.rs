//! What a ledger allows and refuses; and, for any order of events, that no token is used more often than it may be.

use super::super::credentials::HostKey;
use super::super::{Authority, Role};
use super::*;
use proptest::prelude::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + DAY * 20_000
}

fn client(name: &str) -> Identity {
    Identity::new("lab", Role::Client, name).unwrap()
}

fn key(number: u8) -> Fingerprint {
    Fingerprint([number; 32])
}

fn grant() -> Grant {
    Grant { role: Role::Client, host: None, uses: 1, life: DAY }
}

fn issued(ledger: &mut Ledger, grant: &Grant) -> Token {
    ledger.issue(grant, key(0), start()).unwrap()
}

fn wish(token: &Token, host: &Identity) -> Enrol {
    let (token, secret) = (token.id().0, token.secret().clone());
    Enrol { token, secret, identity: host.to_string(), request: vec![], channel_binding: [0; 32] }
}

/// Uses a token as a host that is not enrolled yet; the code of a refusal.
fn redeem(ledger: &mut Ledger, token: &Token, host: &Identity, by: u8, now: SystemTime) -> Result<(), Code> {
    let is_taken = ledger.is_taken(host, now);
    ledger.redeem(&wish(token, host), host, key(by), is_taken, now).map_err(|refused| refused.code)
}

#[test]
fn a_token_is_good_for_its_uses_and_a_retry_counts_none() {
    let mut ledger = Ledger::new("lab");
    let token = issued(&mut ledger, &Grant { uses: 2, ..grant() });
    for _ in 0..3 {
        assert_eq!(redeem(&mut ledger, &token, &client("web1"), 1, start()), Ok(()));
    }
    // The same host with another key is not the same host.
    assert_eq!(redeem(&mut ledger, &token, &client("web1"), 2, start()), Ok(()));
    assert_eq!(redeem(&mut ledger, &token, &client("web2"), 3, start()), Err(Code::TokenUsedUp));
    assert_eq!(redeem(&mut ledger, &token, &client("web1"), 3, start()), Err(Code::TokenUsedUp));
    assert_eq!(redeem(&mut ledger, &token, &client("web1"), 1, start()), Ok(()));
    assert_eq!(ledger.tokens().next().unwrap().uses_left, 0);
}

#[test]
fn each_refusal_says_which() {
    let mut ledger = Ledger::new("lab");
    let (token, web1) = (issued(&mut ledger, &grant()), client("web1"));
    let end = token.expires();
    assert_eq!(redeem(&mut ledger, &token, &web1, 1, end), Err(Code::TokenExpired));
    let media = Identity::new("lab", Role::Media, "web1").unwrap();
    assert_eq!(redeem(&mut ledger, &token, &media, 1, start()), Err(Code::OtherRole));
    let elsewhere = Identity::new("elsewhere", Role::Client, "web1").unwrap();
    assert_eq!(redeem(&mut ledger, &token, &elsewhere, 1, start()), Err(Code::OtherSite));
    let unknown = issued(&mut Ledger::new("lab"), &grant());
    assert_eq!(redeem(&mut ledger, &unknown, &web1, 1, start()), Err(Code::WrongToken));
    let mut guessed = wish(&token, &web1);
    guessed.secret[15] ^= 1;
    let refused = ledger.redeem(&guessed, &web1, key(1), false, start()).unwrap_err();
    assert_eq!(refused.code, Code::WrongToken);
    assert!(ledger.revoke_token(token.id()) && !ledger.revoke_token(token.id()));
    assert_eq!(redeem(&mut ledger, &token, &web1, 1, start()), Err(Code::TokenRevoked));
    // Who does not know the secret is not told that either.
    assert_eq!(ledger.redeem(&guessed, &web1, key(1), false, start()).unwrap_err(), refused);
    let bound = issued(&mut ledger, &Grant { host: Some("web2".into()), ..grant() });
    assert_eq!(redeem(&mut ledger, &bound, &web1, 1, start()), Err(Code::OtherHost));
}

/// Certifies for real, so that there are facts.
fn given(ledger: &mut Ledger, host: &Identity, by: u8, now: SystemTime) -> Facts {
    let authority = Authority::create("lab", now).unwrap();
    let request = HostKey::generate().unwrap().request().unwrap();
    let certificate = authority.certify(&request, host, now).unwrap();
    ledger.note(&certificate, key(by), now).unwrap();
    Facts::of(&certificate).unwrap()
}

#[test]
fn a_name_is_not_taken_over_but_by_a_token_that_was_made_for_it() {
    let mut ledger = Ledger::new("lab");
    given(&mut ledger, &client("Web1"), 1, start());
    let token = issued(&mut ledger, &grant());
    assert_eq!(redeem(&mut ledger, &token, &client("web1"), 2, start()), Err(Code::NameTaken));
    assert_eq!(ledger.tokens().next().unwrap().uses_left, 1, "a refusal uses up nothing");
    let bound = issued(&mut ledger, &Grant { host: Some("web1".into()), ..grant() });
    assert_eq!(redeem(&mut ledger, &bound, &client("web1"), 2, start()), Ok(()));
    // The name is free again when no certificate of it can be used or renewed any more.
    assert!(ledger.is_taken(&client("web1"), start() + DAY * 120));
    assert!(!ledger.is_taken(&client("web1"), start() + DAY * 123));
    assert!(!ledger.is_taken(&Identity::new("lab", Role::Media, "web1").unwrap(), start()));
}

#[test]
fn revocation_is_of_all_certificates_and_of_their_keys() {
    let mut ledger = Ledger::new("lab");
    let web1 = client("web1");
    let token = issued(&mut ledger, &grant());
    assert_eq!(redeem(&mut ledger, &token, &web1, 1, start()), Ok(()));
    let (first, second) = (given(&mut ledger, &web1, 1, start()), given(&mut ledger, &web1, 2, start()));
    let other = given(&mut ledger, &client("web2"), 3, start());
    assert!(ledger.revoke_host(&web1, start()) && !ledger.revoke_host(&web1, start()));
    let (number, entries) = ledger.revocations();
    let serials: Vec<_> = entries.iter().map(|entry| &entry.serial).collect();
    assert_eq!((number, serials.len()), (1, 2));
    assert!(serials.contains(&&first.serial) && serials.contains(&&second.serial));
    // Neither a retry nor a renewal nor a new token helps this key.
    assert_eq!(redeem(&mut ledger, &token, &web1, 1, start()), Err(Code::Revoked));
    assert_eq!(ledger.check_renewal(&web1, &first.serial, key(9)).unwrap_err().code, Code::Revoked);
    assert_eq!(ledger.check_renewal(&web1, &other.serial, key(2)).unwrap_err().code, Code::Revoked);
    let bound = Grant { host: Some("web1".into()), ..grant() };
    let bound = issued(&mut ledger, &bound);
    assert_eq!(redeem(&mut ledger, &bound, &web1, 2, start()), Err(Code::Revoked));
    assert_eq!(redeem(&mut ledger, &bound, &web1, 4, start()), Ok(()));
    assert!(ledger.check_renewal(&client("web2"), &other.serial, key(3)).is_ok());
    assert!(ledger.revoke_certificate(&other, start()));
    assert_eq!(ledger.revocations().0, 2);
}

#[test]
fn grants_and_certificates_are_bounded() {
    let mut ledger = Ledger::new("lab");
    let mut error = |grant: Grant| ledger.issue(&grant, key(0), start()).unwrap_err().to_string();
    assert!(error(Grant { life: GRANT_LIFE_MAX + DAY, ..grant() }).contains("30 days"));
    assert!(error(Grant { life: Duration::ZERO, ..grant() }).contains("30 days"));
    assert!(error(Grant { uses: 0, ..grant() }).contains("1 to 1000"));
    assert!(error(Grant { uses: USES_MAX + 1, ..grant() }).contains("1 to 1000"));
    assert!(error(Grant { uses: 2, host: Some("web1".into()), ..grant() }).contains("once"));
    assert!(error(Grant { host: Some("a/b".into()), ..grant() }).contains("not allowed"));
    given(&mut ledger, &client("web1"), 1, start());
    let certificate = ledger.again(&client("web1"), key(1), start()).unwrap();
    for _ in 1..CERTIFICATES_MAX {
        ledger.note(&certificate, key(1), start()).unwrap();
    }
    assert_eq!(ledger.note(&certificate, key(1), start()).unwrap_err().code, Code::Unavailable);
    assert!(ledger.note(&certificate, key(1), start() + DAY * 200).is_ok());
}

#[test]
fn the_same_certificate_is_given_for_a_day() {
    let mut ledger = Ledger::new("lab");
    let web1 = client("web1");
    let facts = given(&mut ledger, &web1, 1, start());
    given(&mut ledger, &web1, 2, start());
    let again = |ledger: &Ledger, by, after| ledger.again(&web1, key(by), start() + after);
    let hour = Duration::from_secs(3600);
    assert_eq!(Facts::of(&again(&ledger, 1, hour * 23).unwrap()).unwrap(), facts);
    assert_eq!(again(&ledger, 1, hour * 24), None);
    assert_eq!(again(&ledger, 3, hour), None);
    assert_eq!(ledger.again(&client("web2"), key(1), start()), None);
    ledger.revoke_certificate(&facts, start());
    assert_eq!(again(&ledger, 1, hour), None);
    assert!(again(&ledger, 2, hour).is_some());
}

#[test]
fn it_comes_back_from_its_text_which_holds_no_secret() {
    let mut ledger = Ledger::new("lab");
    let token = issued(&mut ledger, &Grant { uses: 2, ..grant() });
    redeem(&mut ledger, &token, &client("web1"), 1, start()).unwrap();
    given(&mut ledger, &client("web1"), 1, start());
    ledger.revoke_host(&client("web1"), start());
    let text = serde_json::to_string(&ledger).unwrap();
    assert!(!text.contains(&HEXLOWER.encode(token.secret().as_slice())));
    let mut again: Ledger = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
    assert_eq!(redeem(&mut again, &token, &client("web2"), 2, start()), Ok(()));
    assert_eq!(redeem(&mut again, &token, &client("web3"), 3, start()), Err(Code::TokenUsedUp));
}

#[test]
fn what_is_long_over_is_forgotten() {
    let mut ledger = Ledger::new("lab");
    issued(&mut ledger, &grant());
    given(&mut ledger, &client("web1"), 1, start());
    ledger.forget(start() + DAY * 30);
    assert_eq!((ledger.tokens().count(), ledger.hosts.len()), (1, 1));
    ledger.forget(start() + DAY * 200);
    assert_eq!((ledger.tokens().count(), ledger.hosts.len()), (0, 0));
}

proptest! {
    /// Any hosts, keys and times in any order: at most as many pairs of host and key are let in as the token has uses, a
    /// pair that was let in is let in again until the end, and after it nobody is.
    #[test]
    fn a_token_lets_in_no_more_than_it_has_uses(
        uses in 1u32..5,
        tries in proptest::collection::vec((0u8..4, 0u8..3, 0u64..30), 1..60),
        revoke_at in proptest::option::of(0usize..60),
    ) {
        let mut ledger = Ledger::new("lab");
        let token = issued(&mut ledger, &Grant { uses, ..grant() });
        let mut let_in = std::collections::BTreeSet::new();
        for (at, (host, by, hours)) in tries.into_iter().enumerate() {
            if revoke_at == Some(at) {
                ledger.revoke_token(token.id());
            }
            let now = start() + Duration::from_secs(hours * 3600);
            let done = redeem(&mut ledger, &token, &client(&format!("web{host}")), by, now);
            let expected = if revoke_at.is_some_and(|revoked| revoked <= at) {
                Err(Code::TokenRevoked)
            } else if hours >= 24 {
                Err(Code::TokenExpired)
            } else if let_in.contains(&(host, by)) || let_in.len() < uses as usize {
                Ok(())
            } else {
                Err(Code::TokenUsedUp)
            };
            prop_assert_eq!(done, expected);
            if done.is_ok() {
                let_in.insert((host, by));
            }
        }
        prop_assert!(let_in.len() <= uses as usize);
    }
}
