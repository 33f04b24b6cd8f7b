//! From a project's files to a pipeline: every enabled pack checked against `rig.lock` and the store. Used by the command line for one
//! call and by the gateway for every version of the project that it serves.

use std::sync::Arc;

use rig_specs::PackId;

use super::{Caller, Snapshot, VerifiedPack, approval, limits::Limiter};
use crate::{
    approvals::Approvals,
    audit::{self, Audit},
    egress::{self, Gate, Settings},
    home::{Home, projects},
    install::{self, InstallError, LoadError},
    project::Project,
    runner::Runners,
    sandbox::Sandbox,
    secrets::Provider,
};

/// What outlives every snapshot of a project: one a process and project.
pub struct Services {
    /// Runs components.
    pub sandbox: Sandbox,
    /// The machine's folder.
    pub home: Home,
    /// Keeps a row for every call. None for a program that embeds the pipeline and records calls itself.
    pub audit: Option<Audit>,
    /// Keeps the calls that wait for a person.
    pub approvals: Arc<Approvals>,
    /// Counts calls.
    pub limiter: Arc<Limiter>,
    /// The processes of packs from PyPI and npm.
    pub runners: Arc<Runners>,
}

impl Services {
    /// For a project. Opens no file yet.
    #[must_use]
    pub fn new(project: &Project, home: &Home, sandbox: Sandbox) -> Self {
        let config = project.config();
        let audit = Audit::new(audit::Settings {
            path: project.resolve(&config.audit_db_path.0),
            anchors: home.anchors(),
            retention_days: config.audit.retention_days,
        });
        let approvals = Approvals::new(project.state_dir().join(approval::FILE), home.keys());
        Self {
            sandbox,
            home: home.clone(),
            audit: Some(audit),
            approvals: Arc::new(approvals),
            limiter: Arc::default(),
            runners: Arc::default(),
        }
    }
}

/// The tools of the enabled packs, each pack checked against the lock and the store; and the packs that failed the check, whose
/// tools are left out. One damaged pack does not take the others with it.
#[must_use]
pub fn snapshot(project: &Project, home: &Home) -> (Snapshot, Vec<(PackId, InstallError)>) {
    // A home that cannot be written is not pruned from here either.
    let _ = projects::note(home, project.root());
    let (mut packs, mut broken) = (Vec::new(), Vec::new());
    for id in &project.config().packs {
        match verified(project, home, id) {
            Ok(pack) => packs.push(pack),
            Err(error) => broken.push((id.clone(), error)),
        }
    }
    let locked = project.lock().packs.values().flat_map(|locked| locked.granted.secrets.keys().cloned());
    let tenants = project.config().tenants.values().flat_map(|tenant| &tenant.secrets);
    let slots = locked.chain(tenants.flat_map(|secrets| secrets.values().cloned()));
    (Snapshot::new(packs, project.config().pack_set_version.clone()).with_slots(slots), broken)
}

fn verified(project: &Project, home: &Home, id: &PackId) -> Result<VerifiedPack, InstallError> {
    let locked = project.locked(id).ok_or_else(|| InstallError::NotLocked { pack: id.clone() })?;
    let (_, embedded) = install::load_pack(home, locked)?;
    let digest = locked.integrity.ok_or_else(|| LoadError::NoHash { pack: id.clone() })?;
    let isolation = install::isolation(project, locked);
    Ok(VerifiedPack { locked: locked.clone(), embedded, digest, isolation })
}

/// The gate with the project's network settings.
///
/// # Errors
/// When a setting cannot be used.
pub fn gate(project: &Project, offline: bool) -> Result<Gate, egress::Error> {
    Gate::new(&network(project, offline))
}

/// The project's network settings, with their paths resolved.
#[must_use]
pub fn network(project: &Project, offline: bool) -> Settings {
    let network = &project.config().network;
    Settings {
        proxy: network.proxy.clone(),
        extra_ca: network.extra_ca.iter().map(|path| project.resolve(path)).collect(),
        offline,
        allow_private: network.allow_private.clone(),
    }
}

/// A pipeline for a snapshot of a project.
///
/// # Errors
/// As for [`Caller::new`].
pub fn caller(
    project: &Project,
    snapshot: Snapshot,
    gate: Arc<Gate>,
    services: Arc<Services>,
) -> Result<Caller, String> {
    let provider = Arc::new(Provider::new(project.env_path()));
    Caller::new(Arc::new(snapshot), services, gate, provider, project.config().clone(), project.root())
}
