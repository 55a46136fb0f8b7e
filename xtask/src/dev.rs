//! The whole product on this machine: gateway, data service, identity issuer and page.

mod services;

use crate::process::{command, output, quiet};
use crate::{build, paths, report};
use anyhow::{Context, Result, bail};
use legis_core::plan::{PlanId, row_id};
use serde::{Deserialize, Serialize};
use services::{Services, Wait, samples};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// The default of `--state`.
pub const STATE: &str = ".wrangler/state";
/// The default of `--port`.
pub const PORT: u16 = 8787;

/// The audience of the local deployment's tokens.
const AUDIENCE: &str = "urn:legis-api";
const SCOPE: &str =
    "openid profile email offline_access read:bills read:members read:votes read:committees";

/// The administrator that every local database has.
const ADMINISTRATOR: &str = "local|administrator";

/// The secret that signs the local account's events. It is none: it is the same everywhere, and good for nothing else.
pub const WEBHOOK_SECRET: &str = "whsec_local_events_of_this_machine";
/// What the local gateway and the sample MCP server share. No secret either, for the same reason.
const SIGNING_SECRET: &str = "mcp_local_identities_of_this_machine";
/// A price that no row of `plans` has; other deployments have retired ones and those of contracts here.
const FURTHER_PRICES: &str = r#"{"price_local_enterprise_year":"enterprise"}"#;

/// What `token` must know of the last start.
#[derive(Serialize, Deserialize)]
struct Local {
    issuer: String,
}

/// Where the services listen: side by side from the gateway's port on.
struct Ports {
    gateway: u16,
    issuer: u16,
    upstream: u16,
    mcp: u16,
}

impl Ports {
    fn from(gateway: u16) -> Result<Self> {
        let next = |by: u16| gateway.checked_add(by).context("--port is too high");
        Ok(Self {
            gateway,
            issuer: next(1)?,
            upstream: next(2)?,
            mcp: next(3)?,
        })
    }

    fn check_free(&self) -> Result<()> {
        for port in [self.gateway, self.issuer, self.upstream, self.mcp] {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|_| {
                anyhow::anyhow!("Port {port} is in use.\n  Stop what listens there, or choose another, with a state of its own: cargo xtask dev --port 9000 --state .wrangler/other")
            })?;
        }
        Ok(())
    }
}

/// Runs until Ctrl-C.
pub fn run(port: u16, state: &Path, reset: bool) -> Result<()> {
    let start = Instant::now();
    let state = absolute(state);
    let ports = Ports::from(port)?;
    build::all()?;
    ports.check_free()?;
    fs::create_dir_all(&state)?;
    // Held until the end: two gateways on one state would each trust the other's issuer.
    let _lock = lock(&state)?;
    if reset {
        report::step("Removing the old state");
        clear(&state)?;
    }
    samples()?;
    let key = issuer_key(&state)?;
    prepare_database(&state, &ports)?;
    fs::write(
        state.join("local.json"),
        serde_json::to_string(&Local {
            issuer: format!("http://127.0.0.1:{}/", ports.issuer),
        })?,
    )?;
    let (stop, stopped) = channel();
    stop_on_signal(stop)?;
    let log_path = state.join("dev.log");
    let mut services = Services::start(&state, &ports, &key, &log_path)?;
    let Wait::Ready = services.wait_until_ready(ports.gateway, &log_path, &stopped)? else {
        println!("Stopping");
        return Ok(());
    };
    announce(&ports, &state, start);
    loop {
        match stopped.recv_timeout(Duration::from_millis(500)) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => services.check(&log_path)?,
        }
    }
    println!("Stopping");
    Ok(())
}

const LOCK: &str = "dev.lock";

/// Keeps every other `dev` from a state.
pub fn lock(state: &Path) -> Result<File> {
    let file = File::create(state.join(LOCK))?;
    if file.try_lock().is_err() {
        bail!(
            "Another dev is running on {}.\n  Stop it, or give this one a state of its own: cargo xtask dev --port 9000 --state .wrangler/other",
            paths::short(state)
        );
    }
    Ok(file)
}

/// Empties the state, all but the lock.
fn clear(state: &Path) -> Result<()> {
    for entry in fs::read_dir(state)? {
        let path = entry?.path();
        if path.is_dir() {
            fs::remove_dir_all(path)?;
        } else if !path.ends_with(LOCK) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn stop_on_signal(stop: Sender<()>) -> Result<()> {
    ctrlc::set_handler(move || {
        let _ = stop.send(());
    })
    .context("cannot listen for Ctrl-C")
}

/// What a command is told of a state that is not the usual one.
pub fn option(state: &Path) -> String {
    match absolute(state) == absolute(Path::new(STATE)) {
        true => String::new(),
        false => format!(" --state {}", state.display()),
    }
}

fn announce(ports: &Ports, state: &Path, start: Instant) {
    let gateway = format!("http://localhost:{}", ports.gateway);
    println!("\n  page          {gateway}/");
    println!("  API           {gateway}/api/health");
    println!("  issuer        http://127.0.0.1:{}/", ports.issuer);
    println!("  data service  http://127.0.0.1:{}/bills", ports.upstream);
    println!("  MCP           {gateway}/mcp");
    println!("  state         {}", paths::short(state));
    println!("  log           {}", paths::short(&state.join("dev.log")));
    println!(
        "\nReady in {:.1} s. Ctrl-C stops everything.\n",
        start.elapsed().as_secs_f32()
    );
    let of = option(state);
    println!("Try, in another terminal:");
    println!("  TOKEN=$(cargo xtask token --sub 'local|ada' --email ada@example.com{of})");
    println!("  curl -X POST -H \"Authorization: Bearer $TOKEN\" {gateway}/api/users/register");
    println!(
        "  curl -i -H \"Authorization: Bearer $TOKEN\" '{gateway}/api/bills?q=infrastructure'"
    );
    println!(
        "  cargo xtask webhook customer.subscription.created --user 'local|ada' --plan professional --send {gateway}{of}"
    );
    let _ = std::io::stdout().flush();
}

// Tokens of the local issuer.

/// What a token is asked for.
pub struct Token {
    pub sub: String,
    pub email: Option<String>,
    pub name: Option<String>,
    pub scope: Option<String>,
    pub azp: Option<String>,
    pub expires: Option<i64>,
    pub issued_at: Option<i64>,
}

impl Token {
    /// One of the administrator that every local database has.
    pub fn administrator() -> Self {
        Self {
            sub: ADMINISTRATOR.to_owned(),
            email: None,
            name: None,
            scope: Some("admin".to_owned()),
            azp: None,
            expires: None,
            issued_at: None,
        }
    }
}

/// Prints an access token of the local issuer.
pub fn token(asked: &Token, state: &Path) -> Result<()> {
    crate::setup::node()?;
    println!("{}", signed(asked, state)?);
    Ok(())
}

/// An access token of the local issuer.
pub fn signed(asked: &Token, state: &Path) -> Result<String> {
    let state = absolute(state);
    if !state.join("local.json").exists() {
        eprintln!(
            "! No dev has run on {} yet; the token will fit the first one on port {PORT}.",
            paths::short(&state)
        );
    }
    let issuer = fs::read(state.join("local.json"))
        .ok()
        .and_then(|json| serde_json::from_slice::<Local>(&json).ok())
        .map_or_else(
            || format!("http://127.0.0.1:{}/", PORT + 1),
            |local| local.issuer,
        );
    let grant = serde_json::json!({
        "issuer": issuer,
        "audience": AUDIENCE,
        "sub": asked.sub,
        "scope": asked.scope.as_deref().unwrap_or(SCOPE),
        "client": asked.azp.as_deref().unwrap_or("local-frontend"),
        "email": asked.email,
        "name": asked.name,
        "expires": asked.expires,
        "issuedAt": asked.issued_at,
    });
    output(
        command("node")
            .args([
                "--disable-warning=ExperimentalWarning",
                "samples/issuer/cli.ts",
                "token",
            ])
            .arg(key_file(&state))
            .arg(present(&grant).to_string()),
    )
}

/// An object without the members that have no value: they would be `null`, where only absent ones are known.
pub fn present(object: &serde_json::Value) -> serde_json::Value {
    object
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn key_file(state: &Path) -> PathBuf {
    state.join("issuer-key.json")
}

fn issuer_key(state: &Path) -> Result<String> {
    let file = key_file(state);
    if !file.exists() {
        report::step("Making a key for the local issuer");
        quiet(
            command("node")
                .args([
                    "--disable-warning=ExperimentalWarning",
                    "samples/issuer/cli.ts",
                    "key",
                ])
                .arg(&file),
        )?;
    }
    Ok(fs::read_to_string(file)?)
}

// The database.

/// Applies the migrations and points `auth_config` at the local issuer, unless that was done already.
fn prepare_database(state: &Path, ports: &Ports) -> Result<()> {
    let folder = paths::root().join("worker/migrations");
    let mut names: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    names.sort();
    let seed = auth_config_sql(ports);
    let mut digest = Sha256::new();
    for name in &names {
        digest.update(fs::read(name)?);
    }
    digest.update(&seed);
    let wanted: String = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let stamp = state.join("database.stamp");
    if fs::read_to_string(&stamp).ok().as_deref() == Some(&wanted) {
        return Ok(());
    }
    migrate(state)?;
    let file = state.join("auth_config.sql");
    fs::write(&file, seed)?;
    report::timed("Trusting the local issuer", || {
        quiet(
            d1().args(["execute", "DB", "--file"])
                .arg(&file)
                .args(local(state)),
        )
    })?;
    fs::write(stamp, wanted)?;
    Ok(())
}

/// Applies the migrations that a local database lacks.
pub fn migrate(state: &Path) -> Result<()> {
    report::timed("Applying the migrations", || {
        quiet(d1().args(["migrations", "apply", "DB"]).args(local(state)))
    })
}

fn d1() -> Command {
    let mut wrangler = command("wrangler");
    wrangler.arg("d1");
    wrangler
}

fn local(state: &Path) -> Vec<std::ffi::OsString> {
    vec![
        "--local".into(),
        "--config".into(),
        "worker/wrangler.jsonc".into(),
        "--persist-to".into(),
        state.into(),
    ]
}

/// The local issuer is just another row.
fn auth_config_sql(ports: &Ports) -> String {
    let pages = format!(
        "[\"http://localhost:{0}\",\"http://127.0.0.1:{0}\"]",
        ports.gateway
    );
    let callbacks = format!(
        "[\"http://localhost:{0}/\",\"http://127.0.0.1:{0}/\"]",
        ports.gateway
    );
    let row = |name: &str, client: &str| {
        format!(
            "('{name}', '127.0.0.1:{}', '{client}', '{AUDIENCE}', '{SCOPE}', '{callbacks}', '{callbacks}', '{pages}', 1)",
            ports.issuer
        )
    };
    format!(
        "INSERT INTO auth_config (config_name, auth0_domain, auth0_client_id, auth0_audience, auth0_scope, \
         allowed_callback_urls, allowed_logout_urls, allowed_origins, is_active) VALUES\n{},\n{}\n\
         ON CONFLICT (config_name) DO UPDATE SET auth0_domain = excluded.auth0_domain, auth0_client_id = excluded.auth0_client_id, \
         auth0_audience = excluded.auth0_audience, auth0_scope = excluded.auth0_scope, \
         allowed_callback_urls = excluded.allowed_callback_urls, allowed_logout_urls = excluded.allowed_logout_urls, \
         allowed_origins = excluded.allowed_origins, is_active = excluded.is_active;\n\
         UPDATE plans SET stripe_price_id = 'price_local_' || slug || CASE billing_frequency WHEN 'monthly' THEN '_month' \
         ELSE '_year' END WHERE billing_frequency <> 'one_time';\n\
         INSERT INTO users (auth0_user_id, current_plan_id, is_admin, created_at, updated_at) \
         VALUES ('{ADMINISTRATOR}', {free}, 1, {now}, {now}) ON CONFLICT (auth0_user_id) DO UPDATE SET is_admin = 1;\n",
        row("frontend", "local-frontend"),
        row("mcp_server", "local-mcp-server"),
        free = row_id(PlanId::Free),
        now = "CAST(unixepoch() * 1000 AS INTEGER)",
    )
}

pub fn absolute(path: &Path) -> PathBuf {
    paths::root().join(path)
}
