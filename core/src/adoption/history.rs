//! The old `api_usage` and `mcp_logs`: calls that were made.

use super::{Carried, OldRow, OldValue, Reason, Refused};
use crate::call::CallStatus;
use crate::time::Timestamp;

/// What stands where an old database does not say what was called.
const UNSAID: &str = "unknown";

/// Whose row it is, by the old name of the user.
#[must_use]
pub fn whose(row: &OldRow) -> Option<String> {
    row.read().peek("user_id").key()
}

/// A row of the old `api_usage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldCall<'r> {
    /// When.
    pub at: Timestamp,
    /// The path.
    pub endpoint: &'r str,
    /// The method.
    pub method: &'r str,
    /// How it ended.
    pub status: CallStatus,
    /// What it is charged: what failed on the services' side is not.
    pub cost: u32,
    /// The status of the answer.
    pub status_code: Option<u64>,
    /// How long it took.
    pub response_time_ms: Option<u64>,
    /// What went wrong.
    pub error_message: Option<&'r str>,
    /// The caller's address.
    pub ip_address: Option<&'r str>,
    /// The caller's program.
    pub user_agent: Option<&'r str>,
}

fn moment(row: &OldRow) -> Result<Timestamp, Refused> {
    row.read()
        .moment("timestamp")
        .ok_or_else(|| Refused::new(Reason::UnreadableTimestamp, "timestamp"))
}

/// Reads a row of `api_usage`.
///
/// # Errors
/// When nobody can tell when it was.
pub fn call(row: &OldRow) -> Result<Carried<OldCall<'_>>, Refused> {
    let at = moment(row)?;
    let mut reading = row.read();
    for column in ["id", "user_id", "timestamp"] {
        reading.place(column, true);
    }
    let status_code = reading.value("status_code", |value| {
        value.whole(599).filter(|code| *code >= 100)
    });
    let row = OldCall {
        at,
        endpoint: reading.text("endpoint").unwrap_or(UNSAID),
        method: reading.text("method").unwrap_or(UNSAID),
        status: status_code.map_or(CallStatus::Unknown, CallStatus::of),
        cost: u32::from(status_code.is_none_or(|code| code < 500)),
        status_code,
        response_time_ms: reading.whole("response_time_ms", u64::from(u32::MAX)),
        error_message: reading.text("error_message"),
        ip_address: reading.text("ip_address"),
        user_agent: reading.text("user_agent"),
    };
    Ok(Carried {
        row,
        aside: reading.aside(),
    })
}

/// A row of the old `mcp_logs`. It costs nothing: the old services counted the data calls that a tool made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldToolCall<'r> {
    /// When.
    pub at: Timestamp,
    /// The tool.
    pub tool_name: &'r str,
    /// What it was told.
    pub request_data: Option<&'r str>,
    /// What it answered.
    pub response_data: Option<&'r str>,
    /// How it ended.
    pub status: CallStatus,
    /// What went wrong.
    pub error_message: Option<&'r str>,
    /// How long it took.
    pub response_time_ms: Option<u64>,
    /// Tokens of the language model.
    pub tokens_used: Option<u64>,
}

/// Reads a row of `mcp_logs`.
///
/// # Errors
/// When nobody can tell when it was.
pub fn tool_call(row: &OldRow) -> Result<Carried<OldToolCall<'_>>, Refused> {
    let at = moment(row)?;
    let mut reading = row.read();
    for column in ["id", "user_id", "timestamp"] {
        reading.place(column, true);
    }
    let status = reading.value("status", |value| match value {
        OldValue::Text(word) => match word.trim().to_ascii_lowercase().as_str() {
            "success" => Some(CallStatus::Success),
            "error" => Some(CallStatus::Error),
            "timeout" => Some(CallStatus::Timeout),
            _ => None,
        },
        _ => None,
    });
    let row = OldToolCall {
        at,
        tool_name: reading.text("tool_name").unwrap_or(UNSAID),
        request_data: reading.json("request_data"),
        response_data: reading.json("response_data"),
        status: status.unwrap_or(CallStatus::Unknown),
        error_message: reading.text("error_message"),
        response_time_ms: reading.whole("response_time_ms", u64::from(u32::MAX)),
        tokens_used: reading.whole("tokens_used", u64::from(u32::MAX)),
    };
    Ok(Carried {
        row,
        aside: reading.aside(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(columns: &[(&str, OldValue)]) -> OldRow {
        OldRow {
            key: "1".into(),
            columns: columns.iter().map(|(name, _)| (*name).to_owned()).collect(),
            values: columns.iter().map(|(_, value)| value.clone()).collect(),
        }
    }

    const WHEN: (&str, OldValue) = ("timestamp", OldValue::Integer(1_769_854_530));

    #[test]
    fn what_failed_on_our_side_is_not_charged() {
        for (code, cost, status) in [
            (200, 1, CallStatus::Success),
            (404, 1, CallStatus::Error),
            (500, 0, CallStatus::Error),
            (504, 0, CallStatus::Timeout),
        ] {
            let row = row(&[WHEN, ("status_code", OldValue::Integer(code))]);
            let call = call(&row).unwrap().row;
            assert_eq!((call.cost, call.status), (cost, status), "{code}");
        }
    }

    #[test]
    fn values_that_cannot_be_are_set_aside_and_the_call_is_kept() {
        let row = row(&[
            WHEN,
            ("status_code", OldValue::Integer(0)),
            ("response_time_ms", OldValue::Integer(-4)),
            ("region", OldValue::Text("eu".into())),
            ("endpoint", OldValue::Null),
        ]);
        let carried = call(&row).unwrap();
        assert_eq!(carried.row.endpoint, UNSAID);
        assert_eq!((carried.row.status_code, carried.row.cost), (None, 1));
        assert_eq!(
            carried.aside.as_deref(),
            Some(r#"{"region":"eu","response_time_ms":-4,"status_code":0}"#)
        );
    }

    #[test]
    fn a_tool_call_keeps_only_json_as_json() {
        let row = row(&[
            WHEN,
            ("tool_name", OldValue::Text("get-bill".into())),
            ("status", OldValue::Text("fine".into())),
            ("request_data", OldValue::Text("{\"a\":1}".into())),
            ("response_data", OldValue::Text("{oops".into())),
        ]);
        let carried = tool_call(&row).unwrap();
        assert_eq!(carried.row.status, CallStatus::Unknown);
        assert_eq!(carried.row.request_data, Some("{\"a\":1}"));
        assert_eq!(
            carried.aside.as_deref(),
            Some(r#"{"response_data":"{oops","status":"fine"}"#)
        );
    }

    #[test]
    fn a_call_of_which_nobody_can_tell_when_it_was_is_refused() {
        let row = row(&[("timestamp", OldValue::Text("soon".into()))]);
        let reason = Reason::UnreadableTimestamp;
        assert_eq!(call(&row).unwrap_err().reason, reason);
        assert_eq!(tool_call(&row).unwrap_err().reason, reason);
    }
}
