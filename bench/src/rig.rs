//! rig in process: the same pipeline that the command line uses, with the echo pack installed.

use std::{path::PathBuf, sync::Arc};

use rig_host::{
    approvals::Approvals,
    call::{Called, Caller, Request, Services, Snapshot, VerifiedPack},
    egress::{Gate, Settings},
    home::Home,
    install::{inspect, rig_version, store},
    sandbox::{PoolSize, Sandbox},
    secrets::Provider,
};
use rig_pack_echo::send;
use rig_sdk::{Context, Tool as _};
use rig_specs::{
    config::Config,
    lock::{LockedPack, Runtime},
    rtp::CallContext,
};
use tokio_util::sync::CancellationToken;

use crate::Failure;

/// The packs that were built for the run.
pub(crate) struct Packs {
    /// The folder with the index.
    pub(crate) dir: PathBuf,
    /// The echo pack.
    pub(crate) echo: Vec<u8>,
    /// The file of the pack whose tools misbehave.
    pub(crate) probe: PathBuf,
}

/// Finds what `cargo xtask build-packs` made.
pub(crate) fn packs() -> Result<Packs, Failure> {
    let dir = std::env::var_os("RIG_TEST_PACKS").map_or_else(|| PathBuf::from("target/packs"), PathBuf::from);
    let find = |prefix: &str| -> Result<PathBuf, Failure> {
        let missing = |why: &str| format!("{}: {why}; run `cargo xtask bench`", dir.display());
        let entries = std::fs::read_dir(&dir).map_err(|error| missing(&error.to_string()))?;
        let is_it = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with(prefix) && path.extension().is_some_and(|ending| ending == "wasm")
        };
        let found = entries.flatten().map(|entry| entry.path()).find(is_it);
        found.ok_or_else(|| missing(&format!("there is no pack {prefix}*")).into())
    };
    Ok(Packs { echo: std::fs::read(find("echo-")?)?, probe: find("probe-")?, dir })
}

/// The tool as a function of this process.
pub(crate) fn native(args: &str) -> Result<String, Failure> {
    let context = Context {
        request_id: "bench".into(),
        tenant_id: String::new(),
        actor: String::new(),
        attempt: 1,
        idempotency_key: "bench".into(),
        deadline: 0,
    };
    send::call(args, &context).map_err(|error| error.to_string().into())
}

/// A project with the echo pack, without the files of one.
pub(crate) struct Pipeline {
    caller: Arc<Caller>,
    sandbox: Sandbox,
    _home: tempfile::TempDir,
}

impl Pipeline {
    pub(crate) fn new(packs: &Packs) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let home = Home::new(folder.path().to_owned());
        let found = inspect::inspect(&packs.echo, &rig_version())?;
        std::fs::create_dir_all(home.store())?;
        std::fs::write(home.component(&found.sha256), &packs.echo)?;
        let info = &found.pack.manifest.pack;
        let locked = LockedPack {
            pack_id: info.id.clone(),
            package: info.id.to_string(),
            version: info.version.clone(),
            runtime: Runtime::Wasm,
            integrity: Some(found.sha256),
            installed_at: String::new(),
            source: None,
            size: Some(found.size),
            interface_hash: Some(found.interface_hash),
            tools_hash: Some(found.tools_hash),
            granted: found.pack.manifest.capabilities(),
            dependencies: std::collections::BTreeMap::new(),
            artifacts: Vec::new(),
            npm: None,
            origin: None,
        };
        store::read(&home, &found.sha256)?;
        let pack = VerifiedPack { locked, embedded: found.pack, digest: found.sha256, isolation: None };
        let snapshot = Arc::new(Snapshot::new(vec![pack], None));
        let sandbox = Sandbox::new(PoolSize(64), None)?;
        let gate = Arc::new(Gate::new(&Settings::default())?);
        let provider = Arc::new(Provider::new(folder.path().join(".env")));
        let config = Config::default();
        let services = Arc::new(Services {
            sandbox: sandbox.clone(),
            audit: None,
            approvals: Arc::new(Approvals::new(folder.path().join("approvals.sqlite"), home.keys())),
            limiter: Arc::default(),
            runners: Arc::default(),
            home,
        });
        let caller = Caller::new(snapshot, services, gate, provider, config, folder.path())?;
        Ok(Self { caller: Arc::new(caller), sandbox, _home: folder })
    }

    /// The engine that the pipeline runs on.
    pub(crate) fn engine(&self) -> &wasmtime::Engine {
        self.sandbox.engine()
    }

    /// One call through the whole pipeline.
    pub(crate) async fn call(&self, args: &str) -> Called {
        let request = Request {
            tool: "echo.message.send".into(),
            args: args.into(),
            context: CallContext { request_id: Some("bench".into()), ..CallContext::default() },
            timeout: None,
            depth: 0,
            client: None,
        };
        self.caller.call(request, CancellationToken::new()).await
    }
}
