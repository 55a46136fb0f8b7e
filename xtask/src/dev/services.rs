//! What runs while the product does: the gateway and the sample services, each in a process group of its own.

use super::{FURTHER_PRICES, Ports, SIGNING_SECRET, WEBHOOK_SECRET};
use crate::process::{command, quiet};
use crate::{paths, report};
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Bundles the sample services; a tenth of a second, so always.
pub(super) fn samples() -> Result<()> {
    quiet(command("esbuild").args([
        "issuer=samples/issuer/worker.ts",
        "upstream=samples/upstream/worker.ts",
        "mcp=samples/mcp/worker.ts",
        "--bundle",
        "--format=esm",
        "--target=es2022",
        "--outdir=samples/dist",
        "--log-level=warning",
    ]))
}

/// How waiting for the services ended.
pub(super) enum Wait {
    Ready,
    Stopped,
}

/// What was started, each in a process group of its own; dropping it stops them with all their children.
pub(super) struct Services(Vec<(&'static str, Child)>);

impl Services {
    pub(super) fn start(state: &Path, ports: &Ports, key: &str, log: &Path) -> Result<Self> {
        let log = File::create(log)?;
        let mut services = Self(Vec::new());
        let mut samples = command("workerd");
        samples
            .args(["serve", "samples/local.capnp"])
            .arg(format!("--socket-addr=issuer=127.0.0.1:{}", ports.issuer))
            .arg(format!(
                "--socket-addr=upstream=127.0.0.1:{}",
                ports.upstream
            ))
            .arg(format!("--socket-addr=mcp=127.0.0.1:{}", ports.mcp))
            .env("ISSUER_KEY", key)
            .env("MCP_SIGNING_SECRET", SIGNING_SECRET);
        services.spawn("sample services", samples, &log)?;
        let mut gateway = command("wrangler");
        gateway
            .args([
                "dev",
                "--config",
                "worker/wrangler.jsonc",
                "--local",
                "--ip",
                "127.0.0.1",
            ])
            .args([
                "--port",
                &ports.gateway.to_string(),
                "--inspector-port",
                "0",
            ])
            .arg("--show-interactive-dev-session=false")
            .arg("--persist-to")
            .arg(state)
            .arg("--var")
            .arg(format!("UPSTREAM_URL:http://127.0.0.1:{}", ports.upstream))
            .arg(format!(
                "MCP_UPSTREAM_URL:http://127.0.0.1:{}/mcp",
                ports.mcp
            ))
            .arg(format!("MCP_SIGNING_SECRET:{SIGNING_SECRET}"))
            .arg(format!("STRIPE_WEBHOOK_SECRET:{WEBHOOK_SECRET}"))
            .arg("STRIPE_MODE:test")
            .arg(format!("STRIPE_PRICES:{FURTHER_PRICES}"));
        services.spawn("gateway", gateway, &log)?;
        Ok(services)
    }

    fn spawn(&mut self, name: &'static str, mut command: Command, log: &File) -> Result<()> {
        let child = command
            .process_group(0)
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .spawn()
            .with_context(|| format!("cannot start the {name}"))?;
        self.0.push((name, child));
        Ok(())
    }

    /// Fails when one of them has ended.
    pub(super) fn check(&mut self, log: &Path) -> Result<()> {
        for (name, child) in &mut self.0 {
            if let Some(status) = child.try_wait()? {
                bail!(
                    "the {name} ended ({status}). The end of {}:\n{}",
                    paths::short(log),
                    tail(log)
                );
            }
        }
        Ok(())
    }

    pub(super) fn wait_until_ready(
        &mut self,
        port: u16,
        log: &Path,
        stopped: &Receiver<()>,
    ) -> Result<Wait> {
        report::step("Starting workerd");
        let start = Instant::now();
        loop {
            self.check(log)?;
            match get(port, "/api/ready") {
                Some(200) => return Ok(Wait::Ready),
                _ if stopped.try_recv().is_ok() => return Ok(Wait::Stopped),
                answer if start.elapsed() > Duration::from_secs(60) => bail!(
                    "the gateway is not ready after a minute (last answer: {answer:?}). The end of {}:\n{}",
                    paths::short(log),
                    tail(log)
                ),
                _ => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        for (_, child) in &self.0 {
            signal(child, Signal::SIGTERM);
        }
        let start = Instant::now();
        for (_, child) in &mut self.0 {
            while start.elapsed() < Duration::from_secs(5) && matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(50));
            }
            // What did not end by itself; killing only the leader would leave its children serving.
            signal(child, Signal::SIGKILL);
            let _ = child.wait();
        }
    }
}

/// Tells the whole process group of `child`; one that has ended already need not be told.
fn signal(child: &Child, signal: Signal) {
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), signal);
    }
}

/// The status of a local GET, if there is an answer.
fn get(port: u16, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: localhost:{port}\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.take(64).read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
