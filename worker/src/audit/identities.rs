//! Whom the identity issuer knows: as an administrator sends it, or as its Management API lists it.

use super::Step;
use super::step::step;
use crate::administration::{Action, record};
use crate::answer::Answer;
use crate::clock;
use crate::configuration;
use crate::database::{Database, Statement, Value, changes};
use crate::failure::{Failure, Outcome};
use crate::platform::{self, Outbound};
use crate::request::{Request, parameter};
use crate::variable;
use legis_core::audit::position::Position;
use legis_core::auth::claims::Caller;
use legis_core::auth::issuer::issuer;
use legis_core::json;
use legis_core::payload::AuthClient;
use legis_core::problem::{Dependency, Problem};
use legis_core::settings::{
    AUTH0_MANAGEMENT_CLIENT_ID, AUTH0_MANAGEMENT_CLIENT_SECRET, AUTH0_MANAGEMENT_DOMAIN,
};
use legis_core::time::Timestamp;
use serde::Deserialize;
use serde_json::json;
use std::cell::RefCell;
use std::time::Duration;
use wasm_bindgen::JsValue;
use worker::Env;

/// How long the issuer may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// How many users a page has, and how many of one query the API gives at most.
/// <https://auth0.com/docs/manage-users/user-search/view-search-results-by-page>
const PER_PAGE: u32 = 100;
const PAGES: u32 = 10;
/// The most identities in one message.
const MOST: usize = 5_000;

/// `POST /api/admin/identities?listing=&last=`: a JSON array of subjects, part of a listing of everybody the issuer knows.
/// Without `listing` a new one begins; with `last=true` it is finished.
pub(crate) async fn receive(
    request: &Request,
    env: &Env,
    administrator: &Caller,
) -> Outcome<Answer> {
    let query = request.query.as_str();
    let body = request.json().await?;
    let subs: Vec<String> = json::read(&body)
        .ok()
        .filter(|subs: &Vec<String>| subs.len() <= MOST)
        .ok_or(Problem::InvalidParameter(
            "The body must be a JSON array of at most 5,000 subjects.",
        ))?;
    let last = match parameter(query, "last") {
        Some("true") => true,
        None | Some("false") => false,
        Some(_) => return Err(Problem::InvalidParameter("last must be true or false.").into()),
    };
    let database = Database::open(env)?;
    let now = clock::now();
    let listing = match parameter(query, "listing") {
        Some(id) => id.to_owned(),
        None => begin(&database, Some(administrator), now).await?,
    };
    // One that is not there, or is finished, takes nothing.
    if !store(&database, &listing, &subs).await? {
        return Err(Problem::NotFound.into());
    }
    if last {
        finish(&database, &listing, Some(administrator), now).await?;
    }
    Ok(Answer::json(
        200,
        &json!({ "listing": listing, "received": subs.len() }),
    ))
}

/// Begins a listing, an administrator's or the cron's own.
async fn begin(database: &Database, by: Option<&Caller>, now: Timestamp) -> Outcome<String> {
    let id = clock::id();
    let begin = Statement::new(
        "INSERT INTO auth0_listings (id, started_at) VALUES (?1, ?2)",
        &[Value::Text(&id), Value::Moment(now)],
    );
    let recorded = by.map(|caller| record(&caller.identity.sub, Action::BeginListing, &id));
    let statements = std::iter::once(begin).chain(recorded).collect();
    database.batch(statements).await?;
    Ok(id)
}

/// Stores part of a listing; whether that is there and not finished.
async fn store(database: &Database, listing: &str, subs: &[String]) -> Outcome<bool> {
    let touch = Statement::new(
        "UPDATE auth0_listings SET started_at = started_at WHERE id = ?1 AND finished_at IS NULL",
        &[Value::Text(listing)],
    );
    let insert = Statement::new(
        "INSERT INTO auth0_identities (listing, sub) SELECT auth0_listings.id, value FROM json_each(?2), auth0_listings \
         WHERE auth0_listings.id = ?1 AND finished_at IS NULL AND length(value) BETWEEN 1 AND 255 ON CONFLICT DO NOTHING",
        &[Value::Text(listing), Value::Text(&json!(subs).to_string())],
    );
    let results = database.batch(vec![touch, insert]).await?;
    Ok(changes(results.first()) > 0)
}

/// From now on this listing says who is missing; earlier ones are forgotten.
async fn finish(
    database: &Database,
    listing: &str,
    by: Option<&Caller>,
    now: Timestamp,
) -> Outcome<()> {
    let finish = Statement::new(
        "UPDATE auth0_listings SET finished_at = ?2 WHERE id = ?1 AND finished_at IS NULL",
        &[Value::Text(listing), Value::Moment(now)],
    );
    let forget = |table: &str, column: &str| {
        Statement::new(
            &format!(
                "DELETE FROM {table} WHERE {column} < ?1 AND EXISTS (SELECT 1 FROM auth0_listings WHERE id = ?1)"
            ),
            &[Value::Text(listing)],
        )
    };
    let mut statements = vec![
        finish,
        forget("auth0_identities", "listing"),
        forget("auth0_listings", "id"),
    ];
    statements
        .extend(by.map(|caller| record(&caller.identity.sub, Action::FinishListing, listing)));
    database.batch(statements).await.map(drop)
}

/// Whether the Management API is meant to be asked, and if so, whether it can be.
pub(crate) fn check(env: &Env) -> Outcome<()> {
    let is_set = |name| variable::text(env, name).is_some();
    let missing = match (
        is_set(AUTH0_MANAGEMENT_CLIENT_ID),
        is_set(AUTH0_MANAGEMENT_CLIENT_SECRET),
    ) {
        (true, false) => AUTH0_MANAGEMENT_CLIENT_SECRET,
        (false, true) => AUTH0_MANAGEMENT_CLIENT_ID,
        _ => return Ok(()),
    };
    let reason = format!("{missing} is missing");
    Err(Failure::new(Problem::Misconfigured, reason))
}

/// What asking the Management API needs.
struct Management {
    domain: String,
    client_id: String,
    client_secret: String,
}

/// A token of it, until it ends.
struct Grant {
    token: String,
    ends_at: Timestamp,
}

thread_local! {
    static GRANT: RefCell<Option<Grant>> = const { RefCell::new(None) };
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u32,
}

#[derive(Deserialize)]
struct ListedUser {
    user_id: String,
    created_at: String,
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::unavailable(Dependency::Issuer, error)
}

impl Management {
    /// `None` where the issuer is never asked.
    async fn read(env: &Env, now: Timestamp) -> Outcome<Option<Self>> {
        let (Some(client_id), Some(client_secret)) = (
            variable::text(env, AUTH0_MANAGEMENT_CLIENT_ID),
            variable::text(env, AUTH0_MANAGEMENT_CLIENT_SECRET),
        ) else {
            return Ok(None);
        };
        let configured = configuration::read(env, now).await?;
        let own = configured
            .client(AuthClient::Frontend)
            .map(|config| config.auth0_domain.as_str().to_owned());
        Ok(variable::text(env, AUTH0_MANAGEMENT_DOMAIN)
            .or(own)
            .map(|domain| Self {
                domain,
                client_id,
                client_secret,
            }))
    }

    async fn token(&self, now: Timestamp) -> Outcome<String> {
        let known = GRANT.with_borrow(|grant| {
            let grant = grant.as_ref().filter(|grant| grant.ends_at > now);
            grant.map(|grant| grant.token.clone())
        });
        if let Some(token) = known {
            return Ok(token);
        }
        let asked = json!({
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "audience": format!("{}api/v2/", issuer(&self.domain)),
        });
        let granted: Granted = self
            .ask("oauth/token", None, Some(asked.to_string()))
            .await?;
        // A minute early: a token must not end on its way.
        let seconds = i64::from(granted.expires_in).saturating_sub(60);
        GRANT.set(Some(Grant {
            token: granted.access_token.clone(),
            ends_at: now.plus_millis(seconds.saturating_mul(1000)),
        }));
        Ok(granted.access_token)
    }

    /// A page of the users who came at `from` or later, the earliest first.
    async fn users(&self, from: &str, page: u32, now: Timestamp) -> Outcome<Vec<ListedUser>> {
        let token = self.token(now).await?;
        let query = match from {
            "" => String::new(),
            from => format!(
                "&q=created_at:%5B{}%20TO%20*%5D&search_engine=v3",
                from.replace(':', "%3A")
            ),
        };
        let path = format!(
            "api/v2/users?per_page={PER_PAGE}&page={page}&sort=created_at:1&fields=user_id,created_at&include_fields=true{query}"
        );
        self.ask(&path, Some(&token), None).await
    }

    async fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        token: Option<&str>,
        body: Option<String>,
    ) -> Outcome<T> {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let authorization = bearer.as_deref().map(|bearer| ("Authorization", bearer));
        let request = Outbound {
            url: format!("{}{path}", issuer(&self.domain)),
            method: if body.is_some() { "POST" } else { "GET" }.to_owned(),
            headers: platform::lines(
                [("Content-Type", "application/json")]
                    .into_iter()
                    .chain(authorization),
            ),
            body: body.map_or(JsValue::UNDEFINED, |body| JsValue::from_str(&body)),
        };
        let (status, body) = request.ask(TIME_LIMIT, Dependency::Issuer).await?;
        if status != 200 {
            let path = path.split('?').next().unwrap_or_default();
            return Err(failed(format!("{path}: status {status}")));
        }
        json::read(&body).map_err(failed)
    }
}

/// Fetches a page of the listing, where the issuer can be asked.
pub(super) async fn fetch(
    env: &Env,
    database: &Database,
    at: &Position,
    listing: Option<&str>,
    from: &str,
    page: u32,
    now: Timestamp,
) -> Outcome<Step> {
    let Some(management) = Management::read(env, now).await? else {
        return Ok(step(Vec::new(), 0, at.next()));
    };
    let listing = match listing {
        Some(listing) => listing.to_owned(),
        None => begin(database, None, now).await?,
    };
    let users = management.users(from, page, now).await?;
    let subs: Vec<String> = users.iter().map(|user| user.user_id.clone()).collect();
    store(database, &listing, &subs).await?;
    let full = u32::try_from(users.len()).unwrap_or(u32::MAX) >= PER_PAGE;
    let next = match users.last() {
        Some(last) if full => going_on(listing, from, page, &last.created_at)?,
        _ => {
            finish(database, &listing, None, now).await?;
            at.next()
        }
    };
    Ok(step(Vec::new(), users.len(), next))
}

/// Where a listing goes on after a full page: with the next page, or, where a query gives no more, with a query that begins
/// at the last moment of this one.
fn going_on(listing: String, from: &str, page: u32, last: &str) -> Outcome<Position> {
    let page = page.saturating_add(1);
    let (from, page) = match page < PAGES {
        true => (from, page),
        false if last == from => {
            return Err(failed("more than 1,000 users of one moment"));
        }
        false => (last, 0),
    };
    Ok(Position::Listing {
        listing: Some(listing),
        from: from.to_owned(),
        page,
    })
}
