# The sample services on local workerd: one process, a port each. `cargo xtask dev` gives the ports and the key.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "issuer", worker = .issuer),
    (name = "upstream", worker = .upstream),
  ],
  sockets = [
    (name = "issuer", http = (), service = "issuer"),
    (name = "upstream", http = (), service = "upstream"),
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
