//! The meter: one Durable Object for each user. It alone admits calls; one object is one thread, so admission is
//! exact. Between reading what is used and writing what is used, nothing is awaited.

pub(crate) mod client;
mod ledger;
pub(crate) mod message;

use crate::clock;
use crate::configuration;
use crate::database::Database;
use crate::failure::{Failure, Outcome};
use crate::registration;
use crate::respond;
use ledger::Ledger;
use legis_core::account::{Account, Identity};
use legis_core::problem::Problem;
use legis_core::quota::{Cost, Decision, Usage, charge, decide, refund};
use message::{Admission, Knowledge, Message, Reply, Settlement};
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

/// How long an entitlement is believed without asking the database, should nobody tell the meter of a change.
const MAX_AGE_MILLIS: i64 = 10 * 60 * 1000;

/// The object.
#[durable_object(fetch)]
pub struct Meter {
    state: State,
    env: Env,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Meter")
    }
}

impl DurableObject for Meter {
    fn new(state: State, env: Env) -> Self {
        Self { state, env }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let answer = async {
            let body = request.bytes().await?;
            let message: Message = serde_json::from_slice(&body)
                .map_err(|error| Failure::corrupt("message to the meter", error))?;
            self.handle(message).await
        };
        let reply = answer.await.unwrap_or_else(|failure| {
            // The object's own log has the reason; the asking worker turns the problem into its answer.
            worker::console_error!("{}", failure.reason);
            Reply::failed(&failure)
        });
        respond::json(200, &reply)
    }
}

impl Meter {
    async fn handle(&self, message: Message) -> Outcome<Reply> {
        let ledger = Ledger::open(self.state.storage().sql())?;
        match message {
            Message::Admit(admission) => self.admit(&ledger, admission).await,
            Message::Settle(settlement) => settle(&ledger, &settlement),
            Message::Account {
                identity,
                knowledge,
            } => {
                let account = self.account(&ledger, &identity, knowledge).await?;
                Ok(Reply::Account { account })
            }
        }
    }

    /// Admits a call, or refuses it with everything the refusal needs.
    async fn admit(&self, ledger: &Ledger, admission: Admission) -> Outcome<Reply> {
        let cost = Cost::new(admission.cost)
            .ok_or_else(|| Failure::new(Problem::Internal, "a call without cost"))?;
        let known = self
            .account(ledger, &admission.identity, Knowledge::Recent)
            .await?;
        let now = clock::now();
        if let Decision::Refuse(_) = decide(&known.entitlement, &known.usage, cost, now) {
            // A paid upgrade must work on the very next call: nobody is refused on old knowledge.
            self.account(ledger, &admission.identity, Knowledge::Fresh)
                .await?;
        }
        // From here to the last write nothing is awaited. What was read before an await may be old by now.
        let mut account = ledger
            .account()?
            .ok_or_else(|| Failure::new(Problem::Internal, "the account is gone"))?
            .account;
        if ledger.forget_abandoned(&admission.call)? {
            return Err(Failure::new(
                Problem::Internal,
                "the caller gave the call up",
            ));
        }
        let now = clock::now();
        let (decision, charged) = charge(
            &account.entitlement,
            &account.usage,
            cost,
            admission.channel,
            now,
        );
        if let Some((usage, charge)) = charged {
            account.usage = usage;
            ledger.admit(&account, &admission.call, &charge, now)?;
        }
        Ok(Reply::Decided { decision, now })
    }

    /// The account: as it is known here, or as the database has it when it is not known, when the token says other
    /// things about the user, or when it must be fresh.
    async fn account(
        &self,
        ledger: &Ledger,
        identity: &Identity,
        knowledge: Knowledge,
    ) -> Outcome<Account> {
        let now = clock::now();
        if let Some(known) = ledger.account()?
            && knowledge == Knowledge::Recent
            && (0..MAX_AGE_MILLIS).contains(&now.since(known.asked_at))
            && !says_otherwise(identity, &known.account)
        {
            return Ok(known.account);
        }
        let database = Database::open(&self.env)?;
        let grace = configuration::grace(&self.env)?;
        let stored = registration::ensure(&database, identity, None, grace, now).await?;
        // Others may have been here during the wait: usage is theirs and ours, and an older entitlement never
        // replaces a newer one.
        let account = match ledger.account()?.map(|known| known.account) {
            Some(known) if known.entitlement.version > stored.entitlement.version => Account {
                user: stored.user,
                ..known
            },
            Some(known) => Account {
                user: stored.user,
                entitlement: stored.entitlement,
                usage: known.usage,
            },
            None => Account {
                usage: Usage::none(stored.user.created_at),
                user: stored.user,
                entitlement: stored.entitlement,
            },
        };
        ledger.learn(&account, now)?;
        Ok(account)
    }
}

fn says_otherwise(identity: &Identity, account: &Account) -> bool {
    let differs = |said: &Option<String>, known: &Option<String>| said.is_some() && said != known;
    differs(&identity.email, &account.user.email) || differs(&identity.name, &account.user.name)
}

/// Closes a call: charged, or taken back when our side or the upstream failed. Again changes nothing.
fn settle(ledger: &Ledger, settlement: &Settlement) -> Outcome<Reply> {
    let refunded = settlement.outcome.is_refunded();
    let Some(charge) = ledger.open_call(&settlement.call)? else {
        // The admission may still be on its way: it must not charge a call that nobody waits for.
        if refunded {
            ledger.abandon(&settlement.call, clock::now())?;
        }
        return Ok(Reply::Settled);
    };
    let account = ledger.account()?.filter(|_| refunded);
    let account = account.map(|known| known.account).map(|account| Account {
        usage: refund(&account.usage, charge),
        ..account
    });
    ledger.close(&settlement.call, account.as_ref())?;
    Ok(Reply::Settled)
}
