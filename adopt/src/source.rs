//! An old database, read row by row and never written.

use anyhow::{Context, Result, bail};
use legis_core::adoption::shape::{Found, OldTable, Recognised, recognise};
use legis_core::adoption::{Columns, OldRow, OldValue};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use std::path::Path;

/// An open file.
pub struct Source {
    connection: Connection,
    /// Its tables, those that are known first and in the order they are carried over.
    pub tables: Vec<Table>,
    /// What it is.
    pub recognised: Recognised,
}

/// A table of it.
pub struct Table {
    pub name: String,
    /// Which table of the old services; none for one that nobody knows.
    pub known: Option<OldTable>,
    columns: Columns,
    key: Key,
}

/// What a row is known by, the same whenever it is read.
enum Key {
    /// The column of that number, which no two rows share.
    Column(usize),
    /// SQLite's own number of it, by the name that no column took.
    Rowid(&'static str),
    /// The columns of the primary key.
    Primary(Vec<usize>),
}

impl Source {
    /// Opens a file and tells what it is.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.is_file() {
            bail!("There is no file {}.", path.display());
        }
        let connection = connect(path)?;
        let mut tables = list(&connection)?;
        tables.sort_by_key(|table| table.known.map_or((1, None), |known| (0, Some(known))));
        let found: Vec<Found> = tables
            .iter()
            .map(|table| Found {
                name: table.name.clone(),
                columns: table.columns.to_vec(),
            })
            .collect();
        let recognised = recognise(&found)?;
        // What is read twice is the same twice, even while somebody writes.
        connection.execute_batch("BEGIN")?;
        Ok(Self {
            connection,
            tables,
            recognised,
        })
    }

    /// The table that is known as `wanted`, if there is one.
    pub fn table(&self, wanted: OldTable) -> Option<&Table> {
        self.tables.iter().find(|table| table.known == Some(wanted))
    }

    /// Gives every row of a table to `take`, in the order in which they are stored.
    pub fn each(&self, table: &Table, mut take: impl FnMut(&OldRow) -> Result<()>) -> Result<()> {
        let quoted = quote(&table.name);
        let sql = match table.key {
            Key::Rowid(rowid) => format!("SELECT *, {rowid} FROM {quoted}"),
            Key::Column(_) | Key::Primary(_) => format!("SELECT * FROM {quoted}"),
        };
        let damaged = || {
            format!(
                "cannot read the table {}: the file may be damaged",
                table.name
            )
        };
        let mut statement = self.connection.prepare(&sql).with_context(damaged)?;
        let mut rows = statement.query([]).with_context(damaged)?;
        while let Some(row) = rows.next().with_context(damaged)? {
            take(&table.row(row)?)?;
        }
        Ok(())
    }

    /// How many rows a table has.
    pub fn count(&self, table: &Table) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM {}", quote(&table.name));
        let count: i64 = self.connection.query_row(&sql, [], |row| row.get(0))?;
        Ok(u64::try_from(count)?)
    }
}

impl Table {
    fn row(&self, row: &Row<'_>) -> Result<OldRow> {
        let mut values = (0..self.columns.len())
            .map(|index| Ok(value(row.get_ref(index)?)))
            .collect::<Result<Vec<_>>>()?;
        let key = match &self.key {
            Key::Column(index) => values[*index].json().to_string(),
            Key::Rowid(_) => row.get::<_, i64>(self.columns.len())?.to_string(),
            Key::Primary(columns) => {
                let parts = columns.iter().map(|index| values[*index].json());
                serde_json::Value::from_iter(parts).to_string()
            }
        };
        values.shrink_to_fit();
        Ok(OldRow {
            key,
            columns: self.columns.clone(),
            values,
        })
    }
}

fn value(value: ValueRef<'_>) -> OldValue {
    match value {
        ValueRef::Null => OldValue::Null,
        ValueRef::Integer(number) => OldValue::Integer(number),
        ValueRef::Real(number) => OldValue::Real(number),
        ValueRef::Blob(bytes) => OldValue::Blob(bytes.to_vec()),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => OldValue::Text(text.to_owned()),
            Err(_) => OldValue::BrokenText(bytes.to_vec()),
        },
    }
}

/// Opens a file without ever writing it, not even beside it.
fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let looks = |connection: &Connection| {
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
    };
    let connection = Connection::open_with_flags(path, flags)?;
    match looks(&connection) {
        Ok(()) => return Ok(connection),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            bail!(
                "{} is not an SQLite file.\n  An export of D1 is text: make a file of it with `sqlite3 old.sqlite < export.sql`.",
                path.display()
            )
        }
        Err(_) => {}
    }
    // A file in WAL mode in a folder that cannot be written: as it stands.
    let name = path.canonicalize()?.to_string_lossy().replace('%', "%25");
    let name = name.replace('?', "%3f").replace('#', "%23");
    let connection = Connection::open_with_flags(
        format!("file:{name}?immutable=1"),
        flags | OpenFlags::SQLITE_OPEN_URI,
    )?;
    looks(&connection).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(connection)
}

fn list(connection: &Connection) -> Result<Vec<Table>> {
    let mut statement = connection.prepare(
        "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow') \
         AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )?;
    let names = statement
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?
        .collect::<Result<Vec<(String, bool)>, _>>()?;
    names
        .into_iter()
        .map(|(name, without_rowid)| describe(connection, name, without_rowid))
        .collect()
}

fn describe(connection: &Connection, name: String, without_rowid: bool) -> Result<Table> {
    let quoted = quote(&name);
    let columns: Columns = connection
        .prepare(&format!("SELECT * FROM {quoted}"))
        .with_context(|| format!("cannot read the table {name}"))?
        .column_names()
        .map(str::to_owned)
        .collect();
    let key = match id_column(connection, &quoted, &columns)? {
        Some(index) => Key::Column(index),
        None if without_rowid => Key::Primary(primary_key(connection, &name, &columns)?),
        None => {
            let is_free =
                |rowid: &&str| !columns.iter().any(|name| name.eq_ignore_ascii_case(rowid));
            let rowid = ["rowid", "_rowid_", "oid"].into_iter().find(is_free);
            Key::Rowid(rowid.with_context(|| {
                format!("the rows of {name} have no name of their own: rename its column oid")
            })?)
        }
    };
    Ok(Table {
        known: OldTable::parse(&name),
        name,
        columns,
        key,
    })
}

/// The column `id`, where every row has one and no two rows share it.
fn id_column(connection: &Connection, quoted: &str, columns: &Columns) -> Result<Option<usize>> {
    let Some(index) = columns
        .iter()
        .position(|name| name.eq_ignore_ascii_case("id"))
    else {
        return Ok(None);
    };
    let sql = format!(
        "SELECT NOT EXISTS (SELECT 1 FROM {quoted} WHERE id IS NULL) \
         AND NOT EXISTS (SELECT 1 FROM {quoted} GROUP BY id HAVING count(*) > 1)"
    );
    let is_key: bool = connection.query_row(&sql, [], |row| row.get(0))?;
    Ok(is_key.then_some(index))
}

fn primary_key(connection: &Connection, name: &str, columns: &Columns) -> Result<Vec<usize>> {
    let mut statement =
        connection.prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?;
    let names = statement
        .query_map([name], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    let indexes = names
        .iter()
        .filter_map(|key| columns.iter().position(|column| column == key));
    Ok(indexes.collect())
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
