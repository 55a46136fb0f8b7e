//! What is written, as SQL: statements no longer than D1 takes, in files that are applied whole or not at all.

use crate::target::Target;
use anyhow::Result;

/// D1 takes statements of up to 100,000 bytes.
const STATEMENT: usize = 90_000;
/// What is applied at once.
const SCRIPT: usize = 16_000_000;
/// A piece of a text that no statement can hold; all of it may be quotes, which are written twice.
const PIECE: usize = 40_000;

/// A value.
#[derive(Debug, Clone, Copy)]
pub enum Sql<'v> {
    Null,
    Number(i64),
    Text(&'v str),
}

impl Sql<'_> {
    pub fn count(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }

    fn push(self, out: &mut String) {
        use std::fmt::Write;
        match self {
            Self::Null => out.push_str("NULL"),
            Self::Number(number) => {
                let _ = write!(out, "{number}");
            }
            Self::Text(text) => push_text(text, out),
        }
    }
}

impl<'v> From<Option<&'v str>> for Sql<'v> {
    fn from(text: Option<&'v str>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl From<Option<u64>> for Sql<'_> {
    fn from(number: Option<u64>) -> Self {
        number.map_or(Self::Null, Self::count)
    }
}

impl From<legis_core::time::Timestamp> for Sql<'_> {
    fn from(moment: legis_core::time::Timestamp) -> Self {
        Self::Number(moment.millis())
    }
}

impl From<Option<legis_core::time::Timestamp>> for Sql<'_> {
    fn from(moment: Option<legis_core::time::Timestamp>) -> Self {
        moment.map_or(Self::Null, Self::from)
    }
}

/// A text as SQL.
pub fn text(text: &str) -> String {
    let mut out = String::new();
    push_text(text, &mut out);
    out
}

fn push_text(text: &str, out: &mut String) {
    // Wrangler takes these words for a statement wherever they stand; a NUL would end the text.
    if text.contains("BEGIN TRANSACTION") || text.contains('\0') {
        let hex = legis_core::adoption::value::hex(text.as_bytes());
        out.push_str(&format!("CAST(X'{hex}' AS TEXT)"));
        return;
    }
    out.push('\'');
    for (index, part) in text.split('\'').enumerate() {
        if index > 0 {
            out.push_str("''");
        }
        out.push_str(part);
    }
    out.push('\'');
}

/// Rows of one kind, many to a statement: what stands before and after their values.
#[derive(Debug, PartialEq)]
pub struct Rows {
    /// Statements of a lower rank come first.
    pub rank: u8,
    pub head: &'static str,
    pub tail: &'static str,
}

/// Gathers statements and has them applied.
pub struct Script<'t> {
    target: &'t mut dyn Target,
    /// Statements that are complete.
    sql: String,
    /// Values that are to be a statement yet.
    open: Vec<(&'static Rows, String)>,
    /// How much was applied before.
    applied: usize,
}

impl<'t> Script<'t> {
    pub fn new(target: &'t mut dyn Target) -> Self {
        Self {
            target,
            sql: String::new(),
            open: Vec::new(),
            applied: 0,
        }
    }

    /// Writes a row.
    pub fn row(&mut self, rows: &'static Rows, values: &[Sql<'_>]) {
        let mut tuple = String::from("(");
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                tuple.push(',');
            }
            value.push(&mut tuple);
        }
        tuple.push(')');
        if tuple.len() > STATEMENT {
            self.close();
            self.row_in_pieces(rows, values);
            return;
        }
        if !self.open.iter().any(|(open, _)| *open == rows) {
            self.open.push((rows, String::new()));
            self.open.sort_by_key(|(open, _)| open.rank);
        }
        let is_full = |text: &String| text.len() + tuple.len() > STATEMENT;
        if self
            .open
            .iter()
            .any(|(open, text)| *open == rows && is_full(text))
        {
            self.close();
            self.open.push((rows, String::new()));
        }
        for (open, text) in &mut self.open {
            if *open == rows {
                if !text.is_empty() {
                    text.push(',');
                }
                text.push_str(&tuple);
            }
        }
    }

    /// A row that no statement can hold: its long texts are stored piece by piece, put together, and the pieces removed,
    /// all at once.
    fn row_in_pieces(&mut self, rows: &'static Rows, values: &[Sql<'_>]) {
        let mut tuple = Vec::new();
        for (index, value) in values.iter().enumerate() {
            match value {
                Sql::Text(text) if text.len() > PIECE / 4 => {
                    let name = format!("pieces of value {index}");
                    for (number, piece) in pieces(text, PIECE).into_iter().enumerate() {
                        self.statement(&format!(
                            "INSERT INTO quarantine (id, source, table_name, reason, row_data, quarantined_at) \
                             VALUES ('{name} {number:04}', '', '', '{name}', json_object('piece', {}), 0)",
                            self::text(piece)
                        ));
                    }
                    tuple.push(format!(
                        "(SELECT group_concat(row_data ->> 'piece', '') FROM (SELECT row_data FROM quarantine \
                         WHERE source = '' AND reason = '{name}' ORDER BY id))"
                    ));
                }
                value => {
                    let mut short = String::new();
                    value.push(&mut short);
                    tuple.push(short);
                }
            }
        }
        self.statement(&format!("{}({}){}", rows.head, tuple.join(","), rows.tail));
        self.statement("DELETE FROM quarantine WHERE source = ''");
    }

    /// Writes a statement, after all rows that were written before it.
    pub fn statement(&mut self, sql: &str) {
        debug_assert!(sql.len() < 100_000, "D1 takes no longer statements");
        self.close();
        self.sql.push_str(sql);
        self.sql.push_str(";\n");
    }

    /// Makes statements of all values.
    fn close(&mut self) {
        for (rows, values) in self.open.drain(..) {
            self.sql.push_str(rows.head);
            self.sql.push_str(&values);
            self.sql.push_str(rows.tail);
            self.sql.push_str(";\n");
        }
    }

    /// Says that what was written until now may be applied without what follows.
    pub fn checkpoint(&mut self) -> Result<()> {
        let open: usize = self.open.iter().map(|(_, values)| values.len()).sum();
        if self.sql.len() + open > SCRIPT {
            self.apply()?;
        }
        Ok(())
    }

    /// Applies what was written.
    pub fn apply(&mut self) -> Result<()> {
        self.close();
        if !self.sql.is_empty() {
            self.target.apply(&self.sql)?;
            self.applied += self.sql.len();
            self.sql.clear();
        }
        Ok(())
    }

    /// The database, with all that was written applied.
    pub fn target(&mut self) -> Result<&mut dyn Target> {
        self.apply()?;
        Ok(self.target)
    }
}

/// Cuts a text into pieces of at most so many bytes, never inside of a character.
pub fn pieces(text: &str, size: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = size.min(rest.len());
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_written_so_that_nobody_misreads_them() {
        assert_eq!(text("it's; -- fine"), "'it''s; -- fine'");
        assert_eq!(text("''"), "''''''");
        assert!(text("BEGIN TRANSACTION").starts_with("CAST(X'"));
    }

    #[test]
    fn pieces_never_cut_a_character() {
        assert_eq!(pieces("aäöü", 2), ["a", "ä", "ö", "ü"]);
        assert_eq!(pieces("abc", 2), ["ab", "c"]);
    }
}
