# The sample services on local workerd: one process, a port each. `cargo xtask dev` gives the ports and the secrets.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "issuer", worker = .issuer),
    (name = "upstream", worker = .upstream),
    (name = "mcp", worker = .mcp),
  ],
  sockets = [
    (name = "issuer", http = (), service = "issuer"),
    (name = "upstream", http = (), service = "upstream"),
    (name = "mcp", http = (), service = "mcp"),
  ],
);

const issuer :Workerd.Worker = (
  modules = [(name = "issuer", esModule = embed "dist/issuer.js")],
  bindings = [(name = "KEY", fromEnvironment = "ISSUER_KEY")],
  compatibilityDate = "2026-11-01",
);

const upstream :Workerd.Worker = (
  modules = [(name = "upstream", esModule = embed "dist/upstream.js")],
  compatibilityDate = "2026-11-01",
);

const mcp :Workerd.Worker = (
  modules = [(name = "mcp", esModule = embed "dist/mcp.js")],
  bindings = [
    (name = "SIGNING_SECRET", fromEnvironment = "MCP_SIGNING_SECRET"),
    (name = "SIMULATE", fromEnvironment = "MCP_SIMULATE"),
  ],
  compatibilityDate = "2026-11-01",
  # Without it a tool is not told that its caller has gone.
  compatibilityFlags = ["enable_request_signal"],
);
