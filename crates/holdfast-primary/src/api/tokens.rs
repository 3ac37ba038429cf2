//! Tokens: those that let hosts in, which the ledger knows, and those of operators elsewhere, which the catalog knows. Of
//! either only a hash of the secret is kept.

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use holdfast_catalog::{Kept, NewOperator, OperatorRow};
use holdfast_link::identity::registrar::Error as OfficeError;
use holdfast_link::identity::token::TokenId;
use holdfast_link::identity::{Fingerprint, Grant, OperatorToken};
use holdfast_link::rpc::operator::SCHEME;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::hosts::{broken, role};
use super::{Answer, Api, NO_STORE, Operator, Trouble, Who};

/// How long an operator's token may be good.
const LIFE_MAX: Duration = Duration::from_secs(3_660 * 24 * 3_600);
const LIFE_MIN: Duration = Duration::from_secs(60);
/// Characters of an operator's name.
const NAME_MAX: usize = 64;
/// When a token was used is written down once in so many milliseconds.
const USED_EVERY: u64 = 60_000;
const NEW_TOKEN: &str = "`holdfast token create --role operator`, on the primary server's host, makes one";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    role: String,
    #[serde(default = "once")]
    uses: u32,
    life_seconds: u64,
    host: Option<String>,
    /// Of an operator.
    name: Option<String>,
    #[serde(default)]
    read_only: bool,
}

fn once() -> u32 {
    1
}

pub(super) async fn make(
    State(api): State<Api>,
    who: Who,
    Json(wish): Json<Wish>,
) -> Result<Response, Trouble> {
    who.operator()?;
    let text = match wish.role.as_str() {
        "operator" => of_operator(&api, &who, wish).await?,
        _ => of_host(&api, wish).await?,
    };
    let answer = Json(json!({ "token": text.as_str() }));
    Ok(([(header::CACHE_CONTROL, NO_STORE)], answer).into_response())
}

async fn of_host(api: &Api, wish: Wish) -> Result<Zeroizing<String>, Trouble> {
    if wish.name.is_some() || wish.read_only {
        return Err(Trouble::bad("only an operator's token has a name or is read-only", SEE_HELP));
    }
    let role = role(&wish.role)?;
    let life = Duration::from_secs(wish.life_seconds);
    let grant = Grant { role, host: wish.host, uses: wish.uses, life };
    let office = std::sync::Arc::clone(&api.office);
    // It writes the ledger.
    let issued = tokio::task::spawn_blocking(move || office.issue_token(&grant, SystemTime::now())).await;
    let issued = issued.map_err(|error| broken(&error))?;
    let token = issued.map_err(|error| match error {
        OfficeError::Grant(error) => Trouble::bad(error.to_string(), SEE_HELP),
        error => broken(&error),
    })?;
    Ok(token.to_text())
}

const SEE_HELP: &str = "see `holdfast token create --help`";

async fn of_operator(api: &Api, who: &Who, wish: Wish) -> Result<Zeroizing<String>, Trouble> {
    let life = Duration::from_secs(wish.life_seconds);
    if !(LIFE_MIN..=LIFE_MAX).contains(&life) {
        return Err(Trouble::bad("an operator's token is good for 1 minute to 10 years", SEE_HELP));
    }
    if wish.host.is_some() || wish.uses != 1 {
        return Err(Trouble::bad("an operator's token is for no host, and has no number of uses", SEE_HELP));
    }
    let drawn = OperatorToken::draw(api.here.site(), SystemTime::now() + life, api.office.authority());
    let token = drawn.map_err(|error| broken(&error))?;
    let id = token.id().to_string();
    let name = match wish.name {
        Some(name) => checked(name)?,
        None => format!("operator-{}", &id[..6]),
    };
    let millis = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    };
    let new = NewOperator {
        id,
        name,
        secret: token.hidden().to_string(),
        read_only: wish.read_only,
        made_by: who.by(),
        created: crate::day_millis(),
        expires: millis(token.expires()),
    };
    match api.catalog.add_operator(&new).await? {
        Kept::Yes => Ok(token.to_text()),
        Kept::NameTaken => Err(Trouble::bad(
            format!("there is a token of the name {} that is good", new.name),
            "choose another --name, or take it back with `holdfast token revoke`",
        )),
        Kept::TooMany => Err(Trouble::bad(
            "there are 1,000 operators' tokens that are good",
            "`holdfast token list` lists them",
        )),
    }
}

fn checked(name: String) -> Result<String, Trouble> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
    let is_good = !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(good);
    // What looks like an id would be taken for one.
    if !is_good || TokenId::try_from(name.clone()).is_ok() {
        let cause = format!("{name:?} cannot be the name of an operator's token");
        return Err(Trouble::bad(cause, "take 1 to 64 letters, digits, `.`, `-`, `_` and `@`"));
    }
    Ok(name)
}

pub(super) async fn me(State(api): State<Api>, who: Who) -> Answer<Value> {
    let mut told = json!({ "site": api.here.site(), "program": api.program });
    match who {
        Who::Operator(operator) => {
            told["operator"] = operator.name.into();
            told["read_only"] = operator.read_only.into();
            told["expires"] = operator.expires.into();
        }
        Who::Host(host) => told["host"] = host.to_string().into(),
    }
    Ok(Json(told))
}

pub(super) async fn list(State(api): State<Api>, who: Who) -> Answer<Vec<Value>> {
    who.operator()?;
    let now = crate::day_millis();
    let mut all = Vec::new();
    for OperatorRow { token, revoked, used } in api.catalog.operators().await? {
        all.push(json!({
            "id": token.id, "role": "operator", "name": token.name, "read_only": token.read_only,
            "made_by": token.made_by, "created": token.created, "expires": token.expires,
            "revoked": revoked, "used": used, "good": revoked.is_none() && now < token.expires,
        }));
    }
    for token in api.office.ledger().tokens() {
        let expires = token.expires.saturating_mul(1_000);
        let good = !token.revoked && token.uses_left > 0 && now < expires;
        all.push(json!({
            "id": token.id.to_string(), "role": token.role.as_str(), "host": token.host,
            "uses_left": token.uses_left, "expires": expires, "good": good,
        }));
    }
    Ok(Json(all))
}

pub(super) async fn revoke(State(api): State<Api>, who: Who, Path(wanted): Path<String>) -> Answer<Value> {
    who.operator()?;
    let mut revoked = api.catalog.revoke_operator(&wanted, crate::day_millis()).await?;
    if revoked > 0 {
        api.revoked.send_modify(|number| *number += 1);
    } else if let Ok(id) = TokenId::try_from(wanted.clone()) {
        let office = std::sync::Arc::clone(&api.office);
        let done = tokio::task::spawn_blocking(move || office.revoke_token(id)).await;
        revoked = u64::from(done.map_err(|error| broken(&error))?.map_err(|error| broken(&error))?);
    }
    match revoked {
        0 => Err(Trouble::missing(
            format!("there is no token {wanted} that is good"),
            "`holdfast token list` lists them; write a name or a whole id",
        )),
        revoked => Ok(Json(json!({ "revoked": revoked }))),
    }
}

impl Api {
    /// Who asks from elsewhere: the operator whose token the request shows.
    pub(crate) async fn operator(&self, headers: &HeaderMap) -> Result<Operator, Trouble> {
        let shown = headers
            .get(header::AUTHORIZATION)
            .ok_or_else(|| Trouble::nobody("an operator's token is needed to ask from here", NEW_TOKEN))?;
        let text = shown.to_str().ok().and_then(|text| text.strip_prefix(SCHEME));
        let text = text.ok_or_else(|| {
            Trouble::nobody("the header `authorization` is not `Bearer TOKEN`", "write it so")
        })?;
        let token: OperatorToken =
            text.parse().map_err(|error| Trouble::nobody(format!("{error}"), NEW_TOKEN))?;
        let row = self.catalog.operator(&token.id().to_string()).await?;
        let now = crate::day_millis();
        let row = judge(row, &token, self.here.site(), now)?;
        if row.used.is_none_or(|used| now.saturating_sub(used) >= USED_EVERY) {
            // It is for people to look at: a request does not fail for it.
            let _ = self.catalog.used_operator(&row.token.id, now).await;
        }
        let NewOperator { id, name, read_only, expires, .. } = row.token;
        Ok(Operator { token: Some(id), name, read_only, expires: Some(expires) })
    }

    /// Whether a token was not taken back. One that cannot be looked up was not.
    pub(crate) async fn is_unrevoked(&self, id: &str) -> bool {
        self.catalog.operator(id).await.map_or(true, |row| row.is_some_and(|row| row.revoked.is_none()))
    }

    /// Changes whenever an operator's token is taken back.
    pub(crate) fn revocations(&self) -> tokio::sync::watch::Receiver<u64> {
        self.revoked.subscribe()
    }
}

/// The token's row, if the token is good now.
fn judge(
    row: Option<OperatorRow>,
    token: &OperatorToken,
    site: &str,
    now: u64,
) -> Result<OperatorRow, Trouble> {
    // Who does not know the secret learns nothing else.
    let Some(row) = row.filter(|row| is_secret(&row.token.secret, token)) else {
        return Err(Trouble::nobody(
            format!("the site {site} does not know this operator's token"),
            NEW_TOKEN,
        ));
    };
    let no_more = if row.revoked.is_some() {
        "was revoked"
    } else if now >= row.token.expires {
        "has expired"
    } else {
        return Ok(row);
    };
    Err(Trouble::nobody(format!("the token of the operator {} {no_more}", row.token.name), NEW_TOKEN))
}

/// Compares in a time that does not depend on where they differ.
fn is_secret(kept: &str, token: &OperatorToken) -> bool {
    Fingerprint::try_from(kept.to_owned()).is_ok_and(|kept| kept.is(&token.hidden()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> OperatorToken {
        OperatorToken::draw("lab", SystemTime::now(), Fingerprint([3; 32])).unwrap()
    }

    fn row(token: &OperatorToken) -> OperatorRow {
        let (secret, name) = (token.hidden().to_string(), "alice".to_owned());
        let token = NewOperator { secret, name, created: 10, expires: 100, ..NewOperator::default() };
        OperatorRow { token, ..OperatorRow::default() }
    }

    #[test]
    fn a_token_is_good_until_it_expires_or_is_taken_back_and_for_who_knows_its_secret() {
        let (token, other) = (self::token(), self::token());
        let cause = |row, token, now| judge(row, token, "lab", now).map_err(|trouble| trouble.cause);
        assert_eq!(cause(Some(row(&token)), &token, 99), Ok(row(&token)));
        assert!(cause(Some(row(&token)), &token, 100).unwrap_err().ends_with("alice has expired"));
        let revoked = OperatorRow { revoked: Some(50), ..row(&token) };
        assert!(cause(Some(revoked.clone()), &token, 60).unwrap_err().ends_with("alice was revoked"));
        // Who only guesses is told the same whatever there is.
        let unknown = "the site lab does not know this operator's token";
        for row in [None, Some(row(&token)), Some(revoked)] {
            assert_eq!(cause(row, &other, 60).unwrap_err(), unknown);
        }
        let damaged = NewOperator { secret: "no hash".into(), ..row(&token).token };
        let damaged = OperatorRow { token: damaged, ..OperatorRow::default() };
        assert_eq!(cause(Some(damaged), &token, 60).unwrap_err(), unknown);
    }

    #[test]
    fn names_are_for_logs_and_are_no_ids() {
        for good in ["alice", "alice@example.org", "ci-1", "0123456789abcde"] {
            assert!(checked(good.into()).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a\n", "0123456789abcdef", &"a".repeat(65)] {
            assert!(checked(bad.into()).is_err(), "{bad:?}");
        }
    }
}
