//! Whether a database is the one that a release was built for: which migrations were applied to it, and that none of them
//! was another file.

use serde::{Deserialize, Serialize};

crate::row! { Migration { name, sha256 } }

/// A migration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// Its file name, which begins with its number.
    pub name: String,
    /// SHA-256 of what it does, in hexadecimal digits.
    pub sha256: String,
}

/// Why a database does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// Migrations are missing: the first of them.
    Behind(String),
    /// One was applied that this release does not know.
    Ahead(String),
    /// One was applied as another file, or is not the one that was released.
    Edited(String),
    /// The rows of `plans` with these ids differ from the catalog.
    Plans(Vec<u32>),
    /// A table or a column is not there, though the migrations say so.
    Altered,
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Behind(name) => write!(
                out,
                "The migration {name} was not applied. Run `wrangler d1 migrations apply DB`."
            ),
            Self::Ahead(name) => write!(
                out,
                "The migration {name} was applied, which this release does not know. Deploy the release that brought it."
            ),
            Self::Edited(name) => write!(
                out,
                "The migration {name} was applied as another file than this release has. Restore a backup, or deploy the release that applied it."
            ),
            Self::Plans(ids) => {
                let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
                write!(
                    out,
                    "The rows of plans with the ids {} differ from the catalog. Run `cargo xtask audit --repair`.",
                    ids.join(", ")
                )
            }
            Self::Altered => write!(
                out,
                "A table or a column is missing that the applied migrations made. Restore a backup."
            ),
        }
    }
}

/// Whether a database to which `applied` was applied, with the `stored` checksums, is what `released` makes.
///
/// ```
/// use legis_core::migration::{fits, Migration, Unfit};
/// let file = |name: &str, sha256: &str| Migration { name: name.into(), sha256: sha256.into() };
/// let released = [file("0001_a.sql", "aa"), file("0002_b.sql", "bb")];
/// assert_eq!(fits(&["0001_a.sql", "0002_b.sql"], &released, &released), Ok(()));
/// assert_eq!(fits(&["0001_a.sql"], &released[..1], &released), Err(Unfit::Behind("0002_b.sql".into())));
/// let other = [released[0].clone(), file("0002_b.sql", "b0")];
/// assert_eq!(fits(&["0001_a.sql", "0002_b.sql"], &other, &released), Err(Unfit::Edited("0002_b.sql".into())));
/// ```
///
/// # Errors
/// Why not: what is missing first, then what is too much, then what differs.
pub fn fits<N: AsRef<str>>(
    applied: &[N],
    stored: &[Migration],
    released: &[Migration],
) -> Result<(), Unfit> {
    let is_applied = |migration: &&Migration| {
        applied
            .iter()
            .any(|name| name.as_ref() == migration.name.as_str())
    };
    if let Some(missing) = released.iter().find(|migration| !is_applied(migration)) {
        return Err(Unfit::Behind(missing.name.clone()));
    }
    let is_known = |name: &&N| {
        released
            .iter()
            .any(|migration| migration.name == name.as_ref())
    };
    if let Some(unknown) = applied.iter().find(|name| !is_known(name)) {
        return Err(Unfit::Ahead(unknown.as_ref().to_owned()));
    }
    match released
        .iter()
        .find(|migration| !stored.contains(migration))
    {
        Some(edited) => Err(Unfit::Edited(edited.name.clone())),
        None => Ok(()),
    }
}
