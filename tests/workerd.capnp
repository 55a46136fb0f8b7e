# The package in workerd without wrangler: the bundle and the module beside it.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = .main)],
  sockets = [(name = "http", http = (), service = "main")],
);

const main :Workerd.Worker = (
  modules = [
    (name = "workerd.js", esModule = embed "dist/workerd.js"),
    (name = "core.wasm", wasm = embed "../pkg/dist/core.wasm"),
  ],
  compatibilityDate = "2026-11-01",
);
