//! What an operator watches, in the text format of Prometheus
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use crate::audit::Code;
use crate::quota::{Channel, Reason};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt::{Display, Write};

/// The media type of what [`text`] writes.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What became of a call, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Admitted and charged.
    Charged,
    /// Admitted, and taken back.
    Refunded,
    /// Made on the way of a tool call, which is charged.
    Free,
    /// Reported with nothing left.
    OverLimit,
    /// Refused: nothing was left.
    AllowanceExhausted,
    /// Refused: it costs more than a whole period allows.
    CostExceedsAllowance,
}

impl From<Reason> for Outcome {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::AllowanceExhausted => Self::AllowanceExhausted,
            Reason::CostExceedsAllowance => Self::CostExceedsAllowance,
        }
    }
}

impl Outcome {
    const ALL: [Self; 6] = [
        Self::Charged,
        Self::Refunded,
        Self::Free,
        Self::OverLimit,
        Self::AllowanceExhausted,
        Self::CostExceedsAllowance,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Charged => "charged",
            Self::Refunded => "refunded",
            Self::Free => "free",
            Self::OverLimit => "over_limit",
            Self::AllowanceExhausted => "allowance_exhausted",
            Self::CostExceedsAllowance => "cost_exceeds_allowance",
        }
    }

    const fn is_refusal(self) -> bool {
        matches!(self, Self::AllowanceExhausted | Self::CostExceedsAllowance)
    }
}

/// How many calls came to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallCount {
    /// To what.
    pub outcome: Outcome,
    /// Who made them.
    pub channel: Channel,
    /// How many, ever.
    pub count: u64,
    /// The milliseconds from the end of each to its row, together.
    pub delay: u64,
}

/// What the last finished audit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFound {
    /// When it was finished.
    pub finished_at: Timestamp,
    /// How often each code was found and is not repaired.
    pub findings: Vec<(Code, u64)>,
}

/// The last run of a task of the cron.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRun {
    /// Its name.
    pub task: String,
    /// When it began.
    pub started_at: Timestamp,
    /// Whether it succeeded; one that runs yet has not.
    pub outcome: TaskOutcome,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskOutcome {
    /// As it should.
    Succeeded,
    /// It did not, or not yet.
    Failed,
}

/// What is there to be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Calls, by what became of them.
    pub calls: Vec<CallCount>,
    /// Events of Stripe's that failed.
    pub failed_events: u64,
    /// Events of Stripe's that wait for somebody.
    pub pending_events: u64,
    /// Users whose billing somebody must look at.
    pub alerting_users: u64,
    /// The last finished audit.
    pub audit: Option<AuditFound>,
    /// The last run of each task.
    pub tasks: Vec<TaskRun>,
    /// The newest migration.
    pub schema: String,
    /// The fingerprint of the contract.
    pub contract: String,
}

/// Something that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// `legis_calls_total`
    Calls,
    /// `legis_calls_refused_total`
    Refusals,
    /// `legis_history_delay_seconds_total`
    HistoryDelay,
    /// `legis_stripe_events`
    StripeEvents,
    /// `legis_billing_alert_users`
    BillingAlerts,
    /// `legis_audit_findings`
    AuditFindings,
    /// `legis_audit_finished_seconds`
    AuditFinished,
    /// `legis_cron_started_seconds`
    CronStarted,
    /// `legis_cron_succeeded`
    CronSucceeded,
    /// `legis_info`
    Info,
}

impl Metric {
    /// Each of them.
    pub const ALL: [Self; 10] = [
        Self::Calls,
        Self::Refusals,
        Self::HistoryDelay,
        Self::StripeEvents,
        Self::BillingAlerts,
        Self::AuditFindings,
        Self::AuditFinished,
        Self::CronStarted,
        Self::CronSucceeded,
        Self::Info,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.described().0
    }

    /// Whether it only grows (`counter`) or goes up and down (`gauge`).
    #[must_use]
    pub const fn kind(self) -> &'static str {
        self.described().1
    }

    /// What it says.
    #[must_use]
    pub const fn help(self) -> &'static str {
        self.described().2
    }

    const fn described(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Calls => (
                "legis_calls_total",
                "counter",
                "Calls whose rows are written, by outcome (charged, refunded, free, over_limit) and channel (rest, mcp).",
            ),
            Self::Refusals => (
                "legis_calls_refused_total",
                "counter",
                "Calls that were refused, by reason and channel. Those of a meter that is stopped within ten seconds are missing.",
            ),
            Self::HistoryDelay => (
                "legis_history_delay_seconds_total",
                "counter",
                "From the end of each call to its row, together. Its rate over that of legis_calls_total is how long the rows waited that are written: ten seconds. Rows that are not written are not in it: then legis_calls_total stands still.",
            ),
            Self::StripeEvents => (
                "legis_stripe_events",
                "gauge",
                "Events of Stripe's that are stored and not applied, by status: failed, or pending until somebody registers.",
            ),
            Self::BillingAlerts => (
                "legis_billing_alert_users",
                "gauge",
                "Users whose billing somebody must look at.",
            ),
            Self::AuditFindings => (
                "legis_audit_findings",
                "gauge",
                "What the last finished audit found and nobody repaired, by code and severity.",
            ),
            Self::AuditFinished => (
                "legis_audit_finished_seconds",
                "gauge",
                "When the last audit was finished, in seconds since 1970.",
            ),
            Self::CronStarted => (
                "legis_cron_started_seconds",
                "gauge",
                "When each task of the cron last began, in seconds since 1970.",
            ),
            Self::CronSucceeded => (
                "legis_cron_succeeded",
                "gauge",
                "Whether that run succeeded: 1, or 0.",
            ),
            Self::Info => (
                "legis_info",
                "gauge",
                "1, with the newest migration and the fingerprint of the contract.",
            ),
        }
    }
}

/// The text that is scraped. What never happened is 0, so that a rate has something to begin with.
#[must_use]
pub fn text(found: &Snapshot) -> String {
    let mut page = Page::default();
    page.metric(Metric::Calls);
    for (outcome, channel) in every(|outcome| !outcome.is_refusal()) {
        let labels = [("channel", channel.as_str()), ("outcome", outcome.as_str())];
        page.sample(Metric::Calls, &labels, found.count(outcome, channel));
    }
    page.metric(Metric::Refusals);
    for (reason, channel) in every(Outcome::is_refusal) {
        let labels = [("channel", channel.as_str()), ("reason", reason.as_str())];
        page.sample(Metric::Refusals, &labels, found.count(reason, channel));
    }
    page.metric(Metric::HistoryDelay);
    let delay = found.calls.iter();
    let delay = delay.fold(0_u64, |sum, calls| sum.saturating_add(calls.delay));
    let (seconds, millis) = (delay.div_euclid(1000), delay.rem_euclid(1000));
    page.sample(
        Metric::HistoryDelay,
        &[],
        format_args!("{seconds}.{millis:03}"),
    );
    page.metric(Metric::StripeEvents);
    page.sample(
        Metric::StripeEvents,
        &[("status", "failed")],
        found.failed_events,
    );
    page.sample(
        Metric::StripeEvents,
        &[("status", "pending")],
        found.pending_events,
    );
    page.metric(Metric::BillingAlerts);
    page.sample(Metric::BillingAlerts, &[], found.alerting_users);
    if let Some(audit) = &found.audit {
        page.metric(Metric::AuditFindings);
        for code in Code::ALL {
            let counted = audit.findings.iter().find(|(found, _)| *found == code);
            let labels = [
                ("code", code.as_str()),
                ("severity", code.severity().as_str()),
            ];
            page.sample(
                Metric::AuditFindings,
                &labels,
                counted.map_or(0, |(_, count)| *count),
            );
        }
        page.metric(Metric::AuditFinished);
        page.sample(Metric::AuditFinished, &[], audit.finished_at.seconds());
    }
    page.metric(Metric::CronStarted);
    for run in &found.tasks {
        page.sample(
            Metric::CronStarted,
            &[("task", &run.task)],
            run.started_at.seconds(),
        );
    }
    page.metric(Metric::CronSucceeded);
    for run in &found.tasks {
        let succeeded = u8::from(run.outcome == TaskOutcome::Succeeded);
        page.sample(Metric::CronSucceeded, &[("task", &run.task)], succeeded);
    }
    page.metric(Metric::Info);
    let labels = [
        ("contract", found.contract.as_str()),
        ("schema", &found.schema),
    ];
    page.sample(Metric::Info, &labels, 1);
    page.0
}

fn every(fits: impl Fn(Outcome) -> bool) -> impl Iterator<Item = (Outcome, Channel)> {
    let outcomes = Outcome::ALL
        .into_iter()
        .filter(move |outcome| fits(*outcome));
    outcomes.flat_map(|outcome| [Channel::Rest, Channel::Mcp].map(|channel| (outcome, channel)))
}

impl Snapshot {
    fn count(&self, outcome: Outcome, channel: Channel) -> u64 {
        let calls = self.calls.iter();
        let mut counted = calls.filter(|of| of.outcome == outcome && of.channel == channel);
        counted.next().map_or(0, |calls| calls.count)
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn metric(&mut self, metric: Metric) {
        let (name, kind, help) = (metric.name(), metric.kind(), metric.help());
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, metric: Metric, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(metric.name());
        for (index, (name, value)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let _ = write!(self.0, "{before}{name}=\"{value}\"");
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::{AuditFound, CallCount, Metric, Outcome, Snapshot, TaskOutcome, TaskRun, text};
    use crate::audit::Code;
    use crate::quota::Channel;
    use crate::time::Timestamp;

    fn found() -> Snapshot {
        Snapshot {
            calls: vec![
                CallCount {
                    outcome: Outcome::Charged,
                    channel: Channel::Rest,
                    count: 7,
                    delay: 61_005,
                },
                CallCount {
                    outcome: Outcome::AllowanceExhausted,
                    channel: Channel::Mcp,
                    count: 2,
                    delay: 0,
                },
            ],
            failed_events: 1,
            pending_events: 3,
            alerting_users: 4,
            audit: Some(AuditFound {
                finished_at: Timestamp::EPOCH.plus_millis(5_000),
                findings: vec![(Code::MeterDiffers, 6)],
            }),
            tasks: vec![TaskRun {
                task: "a \"task\"".into(),
                started_at: Timestamp::EPOCH.plus_millis(9_000),
                outcome: TaskOutcome::Failed,
            }],
            schema: "0006_counts.sql".into(),
            contract: "0123".into(),
        }
    }

    #[test]
    fn says_each_figure_with_its_labels() {
        let text = text(&found());
        for line in [
            "legis_calls_total{channel=\"rest\",outcome=\"charged\"} 7",
            "legis_calls_total{channel=\"mcp\",outcome=\"charged\"} 0",
            "legis_calls_refused_total{channel=\"mcp\",reason=\"allowance_exhausted\"} 2",
            "legis_history_delay_seconds_total 61.005",
            "legis_stripe_events{status=\"failed\"} 1",
            "legis_stripe_events{status=\"pending\"} 3",
            "legis_billing_alert_users 4",
            "legis_audit_findings{code=\"meter_differs\",severity=\"warning\"} 6",
            "legis_audit_findings{code=\"event_stuck\",severity=\"critical\"} 0",
            "legis_audit_finished_seconds 5",
            "legis_cron_started_seconds{task=\"a \\\"task\\\"\"} 9",
            "legis_cron_succeeded{task=\"a \\\"task\\\"\"} 0",
            "legis_info{contract=\"0123\",schema=\"0006_counts.sql\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn each_metric_is_explained_once_and_before_its_samples() {
        let text = text(&found());
        for metric in Metric::ALL {
            let (name, kind) = (metric.name(), metric.kind());
            assert_eq!(text.matches(&format!("# TYPE {name} {kind}\n")).count(), 1);
            let sample = text.find(&format!("\n{name}"));
            assert!(text.find(&format!("# HELP {name} ")) < sample, "{name}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        }
    }
}
