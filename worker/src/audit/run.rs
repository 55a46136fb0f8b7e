//! Runs and findings, as they are stored.

use super::Step;
use crate::administration::{Action, record};
use crate::clock;
use crate::database::{Database, Statement, Value, first, rows};
use crate::failure::{Failure, Outcome};
use legis_core::audit::position::Position;
use legis_core::audit::{Code, Finding, Severity};
use legis_core::evaluate::json_text;
use legis_core::history::days_before;
use legis_core::json;
use legis_core::row;
use legis_core::time::Timestamp;
use serde::Serialize;

/// For how many days findings are kept.
const KEPT_DAYS: u32 = 90;

/// Who has it run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Every night; of what never changes only what is new is looked at.
    Cron,
    /// When asked; everything is looked at.
    Administrator,
}

impl Kind {
    const CRON: &str = "cron";

    fn of(started_by: &str) -> Self {
        match started_by {
            Self::CRON => Self::Cron,
            _ => Self::Administrator,
        }
    }
}

/// An audit.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) started_at: Timestamp,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) position: Position,
    pub(crate) checked: u64,
}

/// A run as an administrator sees it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShownRun<'r> {
    id: &'r str,
    started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Timestamp>,
    checked: u64,
}

impl Run {
    pub(crate) fn is_done(&self) -> bool {
        self.position == Position::Done
    }

    pub(crate) fn shown(&self) -> ShownRun<'_> {
        ShownRun {
            id: &self.id,
            started_at: self.started_at,
            finished_at: self.finished_at,
            checked: self.checked,
        }
    }
}

row! {
    struct RunRow {
        id: String,
        started_by: String,
        started_at: Timestamp,
        finished_at: Option<Timestamp>,
        position: String,
        checked: u64,
    }
}

impl RunRow {
    fn decode(self) -> Outcome<Run> {
        Ok(Run {
            kind: Kind::of(&self.started_by),
            started_at: self.started_at,
            finished_at: self.finished_at,
            position: json::read(self.position.as_bytes())
                .map_err(|_| Failure::corrupt("row of audit_runs", "position"))?,
            checked: self.checked,
            id: self.id,
        })
    }
}

const SELECT: &str =
    "SELECT id, started_by, started_at, finished_at, position, checked FROM audit_runs";

async fn find(database: &Database, condition: &str, value: &str) -> Outcome<Option<Run>> {
    let statement = Statement::new(&format!("{SELECT} {condition}"), &[Value::Text(value)]);
    let results = database.batch(vec![statement]).await?;
    let found: Option<RunRow> = first("row of audit_runs", results.first())?;
    found.map(RunRow::decode).transpose()
}

pub(crate) async fn load(database: &Database, id: &str) -> Outcome<Option<Run>> {
    find(database, "WHERE id = ?1", id).await
}

/// The last run of a kind.
pub(crate) async fn latest(database: &Database, kind: Kind) -> Outcome<Option<Run>> {
    let condition = match kind {
        Kind::Cron => "WHERE started_by = ?1 ORDER BY id DESC LIMIT 1",
        Kind::Administrator => "WHERE started_by <> ?1 ORDER BY id DESC LIMIT 1",
    };
    find(database, condition, Kind::CRON).await
}

pub(crate) async fn latest_finished(database: &Database) -> Outcome<Option<Run>> {
    let condition = "WHERE finished_at IS NOT NULL AND ?1 <> '' ORDER BY id DESC LIMIT 1";
    find(database, condition, Kind::CRON).await
}

/// When the cron's audit before this one began.
pub(crate) async fn previous_cron(database: &Database, id: &str) -> Outcome<Option<Timestamp>> {
    let condition = "WHERE id < ?1 AND started_by = 'cron' AND finished_at IS NOT NULL ORDER BY id DESC LIMIT 1";
    let run = find(database, condition, id).await?;
    Ok(run.map(|run| run.started_at))
}

pub(crate) async fn begin(
    database: &Database,
    kind: Kind,
    started_by: &str,
    now: Timestamp,
) -> Outcome<Run> {
    let run = Run {
        id: clock::id(),
        kind,
        started_at: now,
        finished_at: None,
        position: Position::FIRST,
        checked: 0,
    };
    let statement = Statement::new(
        "INSERT INTO audit_runs (id, started_by, started_at, position) VALUES (?1, ?2, ?3, ?4)",
        &[
            Value::Text(&run.id),
            Value::Text(started_by),
            Value::Moment(now),
            Value::Text(&json_text(&run.position)),
        ],
    );
    let mut statements = vec![statement];
    if kind == Kind::Administrator {
        statements.push(record(started_by, Action::BeginAudit, &run.id));
    }
    database.batch(statements).await?;
    Ok(run)
}

/// A finding as it is stored.
#[derive(Serialize)]
struct FindingRow<'f> {
    code: Code,
    subject: &'f str,
    severity: Severity,
    facts: String,
    repair: Option<String>,
}

/// Stores what a step found and where to go on. Where somebody else has taken the same step, their findings stand.
pub(crate) async fn advance(
    database: &Database,
    run: Run,
    step: Step,
    now: Timestamp,
) -> Outcome<Run> {
    let findings: Vec<FindingRow<'_>> = step.findings.iter().map(stored).collect();
    let next = Run {
        finished_at: (step.next == Position::Done).then_some(now),
        checked: run.checked.saturating_add(step.checked),
        position: step.next.clone(),
        ..run.clone()
    };
    let insert = Statement::new(
        "INSERT INTO audit_findings (run_id, code, subject, severity, facts, repair) \
         SELECT ?1, value ->> 'code', value ->> 'subject', value ->> 'severity', value ->> 'facts', value ->> 'repair' \
         FROM json_each(?2) WHERE true ON CONFLICT DO NOTHING",
        &[Value::Text(&run.id), Value::Text(&json_text(&findings))],
    );
    let update = Statement::new(
        "UPDATE audit_runs SET position = ?2, checked = ?3, finished_at = ?4 WHERE id = ?1 AND position = ?5",
        &[
            Value::Text(&run.id),
            Value::Text(&json_text(&next.position)),
            Value::Count(next.checked),
            Value::OptionalMoment(next.finished_at),
            Value::Text(&json_text(&run.position)),
        ],
    );
    let mut statements = vec![insert];
    statements.extend(superseded(&run.id, &step.findings));
    statements.push(update);
    database.batch(statements).await?;
    Ok(next)
}

/// Forgets what another finding about the same subject makes void, so that nobody makes its repair. Either may have come first.
fn superseded(run: &str, findings: &[Finding]) -> Vec<Statement> {
    let found = |code: Code| findings.iter().any(|finding| finding.code == code);
    let rules = Code::ALL.into_iter().flat_map(|code| {
        let void = code.supersedes().iter();
        void.map(move |void| (code, *void))
    });
    rules
        .filter(|(stands, void)| found(*stands) || found(*void))
        .map(|(stands, void)| {
            Statement::new(
                "DELETE FROM audit_findings WHERE run_id = ?1 AND code = ?3 AND subject IN \
                 (SELECT subject FROM audit_findings WHERE run_id = ?1 AND code = ?2)",
                &[
                    Value::Text(run),
                    Value::Text(stands.as_str()),
                    Value::Text(void.as_str()),
                ],
            )
        })
        .collect()
}

fn stored(finding: &Finding) -> FindingRow<'_> {
    FindingRow {
        code: finding.code,
        subject: &finding.subject,
        severity: finding.code.severity(),
        facts: json_text(&finding.facts),
        repair: finding.repair.as_ref().map(json_text),
    }
}

row! {
    /// How often a code was found.
    #[derive(Debug, Serialize)]
    pub(crate) struct Counted {
        code: Code,
        severity: Severity,
        findings: u32,
        repairable: u32,
        repaired: u32,
    }
}

pub(crate) async fn counts(database: &Database, run: &str) -> Outcome<Vec<Counted>> {
    let statement = Statement::new(
        "SELECT code, severity, count(*) AS findings, count(repair) AS repairable, count(repaired_at) AS repaired \
         FROM audit_findings WHERE run_id = ?1 GROUP BY code ORDER BY code",
        &[Value::Text(run)],
    );
    let results = database.batch(vec![statement]).await?;
    rows("rows of audit_findings", results.first())
}

/// A finding as an administrator sees it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShownFinding {
    code: Code,
    subject: String,
    severity: Severity,
    meaning: &'static str,
    facts: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    repair: Option<serde_json::Value>,
    remedy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    repaired_at: Option<Timestamp>,
}

row! {
    struct StoredFinding {
        code: Code,
        subject: String,
        facts: String,
        repair: Option<String>,
        repaired_at: Option<Timestamp>,
    }
}

impl StoredFinding {
    fn shown(self) -> Outcome<ShownFinding> {
        let json = |text: String| {
            json::read(text.as_bytes())
                .map_err(|error| Failure::corrupt("row of audit_findings", error))
        };
        Ok(ShownFinding {
            severity: self.code.severity(),
            meaning: self.code.meaning(),
            remedy: self.code.remedy(),
            facts: json(self.facts)?,
            repair: self.repair.map(json).transpose()?,
            repaired_at: self.repaired_at,
            code: self.code,
            subject: self.subject,
        })
    }
}

/// A place in the order of findings: a code and a subject, as `next` gives it.
fn place(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or((text, ""))
}

/// Findings of a run after a place in their order, and the place to go on from, where there are more.
pub(crate) async fn findings(
    database: &Database,
    run: &str,
    code: Option<Code>,
    after: &str,
    limit: u32,
) -> Outcome<(Vec<ShownFinding>, Option<String>)> {
    let after = place(after);
    let statement = Statement::new(
        "SELECT code, subject, facts, repair, repaired_at FROM audit_findings \
         WHERE run_id = ?1 AND (?2 IS NULL OR code = ?2) AND (code, subject) > (?3, ?4) ORDER BY code, subject LIMIT ?5",
        &[
            Value::Text(run),
            Value::OptionalText(code.map(Code::as_str)),
            Value::Text(after.0),
            Value::Text(after.1),
            Value::Id(limit),
        ],
    );
    let results = database.batch(vec![statement]).await?;
    let stored: Vec<StoredFinding> = rows("rows of audit_findings", results.first())?;
    let full = u32::try_from(stored.len()).unwrap_or(u32::MAX) == limit;
    let next = stored
        .last()
        .filter(|_| full)
        .map(|last| format!("{}/{}", last.code.as_str(), last.subject));
    let shown = stored.into_iter().map(StoredFinding::shown);
    Ok((shown.collect::<Outcome<_>>()?, next))
}

/// The repairs of a run that were not made, or those of them that are asked for, the first of them.
pub(crate) async fn unrepaired(
    database: &Database,
    run: &str,
    asked: Option<(Code, &str)>,
    after: &str,
    limit: u32,
) -> Outcome<Vec<Unrepaired>> {
    let after = place(after);
    let statement = Statement::new(
        "SELECT code, subject, repair FROM audit_findings WHERE run_id = ?1 AND repair IS NOT NULL AND repaired_at IS NULL \
         AND (?2 IS NULL OR code = ?2) AND (?3 IS NULL OR subject = ?3) AND (code, subject) > (?4, ?5) \
         ORDER BY code, subject LIMIT ?6",
        &[
            Value::Text(run),
            Value::OptionalText(asked.map(|(code, _)| code.as_str())),
            Value::OptionalText(asked.map(|(_, subject)| subject)),
            Value::Text(after.0),
            Value::Text(after.1),
            Value::Id(limit),
        ],
    );
    let results = database.batch(vec![statement]).await?;
    rows("rows of audit_findings", results.first())
}

row! {
    /// A repair that was not made.
    pub(crate) struct Unrepaired {
        pub(crate) code: Code,
        pub(crate) subject: String,
        pub(crate) repair: String,
    }
}

impl Unrepaired {
    /// Its place in the order of findings.
    pub(crate) fn place(&self) -> String {
        format!("{}/{}", self.code.as_str(), self.subject)
    }
}

/// Deletes runs that are older than they are kept, and with them their findings.
pub(crate) async fn forget_old(database: &Database, now: Timestamp) -> Outcome<()> {
    let statement = Statement::new(
        "DELETE FROM audit_runs WHERE started_at < ?1",
        &[Value::Moment(days_before(now, KEPT_DAYS))],
    );
    database.batch(vec![statement]).await.map(drop)
}
