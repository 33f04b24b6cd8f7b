//! From the name of a package to a part of a plan: versions chosen, files fetched and hashed, the pack asked for its tools in a process
//! that reaches nothing.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use rig_specs::{
    PackId, Sha256,
    config::Isolation,
    index::{IndexPack, LegacyPackage, Publisher},
    lock::{Artifact, LockedPack, Origin, Runtime},
    manifest::Capabilities,
    rtp,
};
use semver::Version;

use super::{
    Grants, Legacy, LegacyError, Wish, grant,
    node::Npm,
    pip::{Fetched, Pip},
    program,
    python::Environment,
    tools, version, wheel,
};
use crate::{
    install::{
        Action, InstallError, Installer, Options, Plan, Progress,
        index::IndexError,
        inspect::Inspected,
        plan::{Planned, Planner},
        source::Wanted,
    },
    project::Project,
    runner::{Described, Program},
    words::plain,
};

/// What is known of a package before it is fetched.
pub(super) struct Found {
    /// The id that it must have, when the index or the lock says so.
    pub(super) expected: Option<PackId>,
    /// Its name in its ecosystem.
    pub(super) package: String,
    pub(super) granted: Capabilities,
    pub(super) origin: Option<Origin>,
    pub(super) publisher: Option<Publisher>,
    pub(super) from_index: bool,
}

impl Installer<'_> {
    /// Resolves, fetches and inspects packages of another ecosystem. Nothing in the project changes.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub async fn plan_packages(
        &self,
        project: &Project,
        (runtime, wishes): (Runtime, &[Wish]),
        options: &Options,
        grants: &Grants,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Plan, InstallError> {
        let given = grants.capabilities()?;
        let mut planner = Planner::new(self, project, options, progress);
        let mut packs: Vec<Planned> = Vec::new();
        for wish in wishes {
            if let Some(locked) = installed(project, runtime, wish).filter(|locked| {
                grants.is_empty() && wish.version.as_ref().is_none_or(|wanted| wanted.matches(&locked.version))
            }) {
                packs.push(planner.kept_package(locked)?);
                continue;
            }
            let mut found = planner.package(runtime, wish).await?;
            if !grants.is_empty() {
                found.granted.clone_from(&given);
            }
            let pack = planner.fetch_package(runtime, found, wish, &packs).await?;
            for (slot, users) in
                grant::missing(&pack.inspected.pack.manifest.capabilities(), &pack.inspected.pack.tools)
            {
                planner.warn(format!(
                    "{} needs the secret {}, which is not granted: add `--slot {}`",
                    users.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", "),
                    plain(&slot),
                    plain(&slot),
                ));
            }
            packs.push(pack);
        }
        Ok(planner.plan(packs, "install"))
    }
}

/// The installed pack that a wish names, by its id or its package.
fn installed<'a>(project: &'a Project, runtime: Runtime, wish: &Wish) -> Option<&'a LockedPack> {
    let mut packs = project.lock().packs.values().filter(|locked| locked.runtime == runtime);
    packs.find(|locked| locked.pack_id.as_str() == wish.name || same_package(runtime, &locked.package, &wish.name))
}

fn same_package(runtime: Runtime, one: &str, other: &str) -> bool {
    if runtime == Runtime::Python { wheel::normal(one) == wheel::normal(other) } else { one == other }
}

impl Planner<'_> {
    /// What the index, else the lock, says of a name; else it is that of a package.
    async fn package(&mut self, runtime: Runtime, wish: &Wish) -> Result<Found, InstallError> {
        let named: Option<PackId> = wish.name.parse().ok();
        let loaded = match self.index().await {
            Ok(loaded) => Some(loaded),
            Err(IndexError::NotConfigured) => None,
            // A scoped name is in no index.
            Err(_) if named.is_none() => None,
            Err(error) => return Err(error.into()),
        };
        let entry = loaded.zip(named.as_ref()).and_then(|(loaded, id)| {
            let pack = loaded.index.packs.get(id)?;
            Some((legacy(pack, runtime)?.clone(), pack.slots.clone(), pack.publisher.clone(), loaded.origin()))
        });
        if let Some((package, slots, publisher, origin)) = entry {
            let granted = Grants { hosts: package.network, slots }.capabilities()?;
            let (package, expected) = (package.package, named);
            return Ok(Found { expected, package, granted, origin: Some(origin), publisher, from_index: true });
        }
        let locked = installed(self.project, runtime, wish);
        Ok(Found {
            expected: locked.map(|locked| locked.pack_id.clone()),
            package: locked.map_or_else(|| wish.name.clone(), |locked| locked.package.clone()),
            granted: locked.map(|locked| locked.granted.clone()).unwrap_or_default(),
            origin: None,
            publisher: None,
            from_index: false,
        })
    }

    /// The newest version of an installed package, or the one that is wanted; nothing when it is installed already.
    pub(in crate::install) async fn newer_package(
        &mut self,
        locked: &LockedPack,
        wanted: Option<&Wanted>,
        planned: &[Planned],
    ) -> Result<Option<Planned>, InstallError> {
        let name = if locked.origin.is_some() { locked.pack_id.to_string() } else { locked.package.clone() };
        let wish = Wish { name, version: wanted.cloned() };
        let mut found = self.package(locked.runtime, &wish).await?;
        found.expected = Some(locked.pack_id.clone());
        let newer = self.fetch_package(locked.runtime, found, &wish, planned).await?;
        let back = wanted.is_none() && *newer.version() < locked.version;
        Ok(Some(newer).filter(|newer| newer.action != Action::Keep && !back))
    }

    /// An installed pack that was named again, as it is.
    fn kept_package(&self, locked: &LockedPack) -> Result<Planned, InstallError> {
        let (_, pack) = crate::install::load_pack(&self.installer.home, locked)?;
        let inspected = inspected(locked.integrity.unwrap_or(*super::core::SHA256), locked.size.unwrap_or(0), pack);
        let mut planned = Planned::of_package(inspected, Action::Keep, Some(locked.clone()), legacy_of(locked));
        planned.source = locked.source.clone().unwrap_or_default();
        planned.origin.clone_from(&locked.origin);
        Ok(planned)
    }

    /// Fetches a package with all that it needs, and asks it for its tools.
    pub(super) async fn fetch_package(
        &self,
        runtime: Runtime,
        found: Found,
        wish: &Wish,
        planned: &[Planned],
    ) -> Result<Planned, InstallError> {
        let level = self.level(&wish.name, &found);
        let made = match runtime {
            Runtime::Node => self.node_package(&found, wish.version.as_ref(), level).await?,
            _ => self.python_package(&found, wish.version.as_ref(), planned, level).await?,
        };
        let Made { described, mut legacy, version, file, size } = made;
        let package = legacy.package.clone();
        let said = described.about.name.to_ascii_lowercase().replace('_', "-");
        let id: PackId = said.parse().map_err(|error: rig_specs::PackIdError| LegacyError::Unsound {
            package: package.clone(),
            problems: vec![error.to_string()],
        })?;
        if let Some(expected) = found.expected.as_ref().filter(|expected| **expected != id) {
            let (expected, found) = (expected.clone(), said);
            return Err(LegacyError::OtherPack { package, expected, found }.into());
        }
        let problems = tools::problems(&id, &version, &described.tools);
        if !problems.is_empty() {
            return Err(LegacyError::Unsound { package, problems }.into());
        }
        let previous = self.project.locked(&id).cloned();
        let action = match &previous {
            None => Action::Install,
            Some(locked) if locked.integrity == Some(file) && locked.granted == found.granted => Action::Keep,
            Some(locked) => Action::Replace { from: locked.version.clone() },
        };
        legacy.granted.clone_from(&found.granted);
        let pack = tools::embedded(&id, &version, (runtime, &package), &found.granted, described.tools);
        let mut planned = Planned::of_package(inspected(file, size, pack), action, previous, legacy);
        let ecosystem = if runtime == Runtime::Node { "npm" } else { "pypi" };
        planned.source = format!("{ecosystem}:{package}@{}", described.about.distribution);
        planned.from_index = found.from_index;
        planned.origin = found.origin;
        planned.publisher = found.publisher;
        Ok(planned)
    }

    /// How far a pack is kept apart, by its id; before that is known, by what was named.
    fn level(&self, named: &str, found: &Found) -> Isolation {
        let set = &self.project.config().isolation;
        let id = |name: &str| name.parse::<PackId>().ok();
        let short = named.strip_prefix("rig-pack-").unwrap_or(named);
        let keys = [found.expected.clone(), id(named), id(short)];
        keys.into_iter().flatten().find_map(|key| set.get(&key).copied()).unwrap_or_default()
    }

    async fn python_package(
        &self,
        found: &Found,
        wanted: Option<&Wanted>,
        planned: &[Planned],
        level: Isolation,
    ) -> Result<Made, InstallError> {
        let package = wheel::normal(&found.package);
        let wish = wanted.map(version::to_pip).unwrap_or_default();
        let mut fixed = BTreeMap::new();
        let of_others = self.project.lock().packs.values().filter(|locked| {
            locked.runtime == Runtime::Python && !same_package(Runtime::Python, &locked.package, &package)
        });
        let also = planned.iter().filter_map(|planned| planned.legacy.as_deref());
        let artifacts = of_others.flat_map(|locked| &locked.artifacts).chain(also.flat_map(|legacy| &legacy.artifacts));
        fixed.extend(artifacts.filter_map(|artifact| wheel::of_file(&artifact.file)));
        let (project, machine) = (self.project.clone(), self.options.machine.clone());
        let (offline, home, name) = (self.options.offline(), self.installer.home.clone(), package.clone());
        let fetch = move || {
            let environment = Environment::of(&project, &machine)?;
            let folder = temporary(&home)?;
            let pip = Pip::new(&environment, &machine, &project, offline)?;
            let files = pip.fetch(&name, &wish, &fixed, folder.path())?;
            let program = unpacked(&home, &environment, &files, &name, folder.path(), level)?;
            Ok::<_, LegacyError>((files, program, folder))
        };
        let fetched = tokio::task::spawn_blocking(fetch).await;
        let (files, program, folder) = fetched.map_err(|_| LegacyError::BrokenOff)??;
        let described = program.describe().await;
        let described = described.map_err(|error| LegacyError::Pack { package: found.package.clone(), error })?;
        drop(folder);
        let own = files.iter().find(|file| file.wheel.name == package);
        let own = own.ok_or_else(|| LegacyError::File {
            file: package.clone(),
            why: "it is not among what was fetched".into(),
        })?;
        let version = readable(&package, &own.wheel.version, version::of_pypi)?;
        let (sha256, size) = (own.sha256, own.bytes.len() as u64);
        let artifact = |file: &Fetched| Artifact { file: file.file.clone(), integrity: file.sha256 };
        let legacy = Legacy {
            runtime: Runtime::Python,
            package,
            granted: Capabilities::default(),
            artifacts: files.iter().map(artifact).collect(),
            npm: None,
            files: files.into_iter().map(|file| (file.sha256, file.bytes)).collect(),
        };
        Ok(Made { described, legacy, version, file: sha256, size })
    }
}

impl Planner<'_> {
    async fn node_package(
        &self,
        found: &Found,
        wanted: Option<&Wanted>,
        level: Isolation,
    ) -> Result<Made, InstallError> {
        let (project, machine) = (self.project.clone(), self.options.machine.clone());
        let (offline, home, package) = (self.options.offline(), self.installer.home.clone(), found.package.clone());
        // The conditions of semver are npm's own, apart from the comma.
        let wish = wanted.map(|wanted| wanted.to_string().replace(',', " ")).unwrap_or_default();
        let fetch = move || {
            let npm = Npm::find(&machine, &project, &home, offline)?;
            let folder = temporary(&home)?;
            let chosen = npm.choose(&package, &wish, folder.path())?;
            let mut program = program::node(&home, &npm.node, folder.path(), level)?;
            program.pack.clone_from(&package);
            program.package = package;
            Ok::<_, LegacyError>((chosen, program, folder))
        };
        let fetched = tokio::task::spawn_blocking(fetch).await;
        let (chosen, program, folder) = fetched.map_err(|_| LegacyError::BrokenOff)??;
        let described = program.describe().await;
        let described = described.map_err(|error| LegacyError::Pack { package: found.package.clone(), error })?;
        drop(folder);
        let version = readable(&found.package, &chosen.version, |text| text.parse().ok())?;
        let legacy = Legacy {
            runtime: Runtime::Node,
            package: found.package.clone(),
            granted: Capabilities::default(),
            artifacts: chosen.artifacts,
            npm: Some(chosen.packages),
            files: Vec::new(),
        };
        Ok(Made { described, legacy, version, file: chosen.own, size: chosen.size })
    }
}

/// What fetching a package made.
pub(super) struct Made {
    pub(super) described: Described,
    pub(super) legacy: Legacy,
    pub(super) version: Version,
    /// Of the pack's own file.
    pub(super) file: Sha256,
    pub(super) size: u64,
}

pub(super) fn readable(
    package: &str,
    text: &str,
    read: impl Fn(&str) -> Option<Version>,
) -> Result<Version, LegacyError> {
    read(text).ok_or_else(|| LegacyError::Unsound {
        package: package.to_owned(),
        problems: vec![format!("its version `{}` cannot be read", plain(text))],
    })
}

/// A folder for the time of a plan.
pub(super) fn temporary(home: &crate::home::Home) -> Result<tempfile::TempDir, LegacyError> {
    let folder = home.root().join("scratch");
    let failed = |source| LegacyError::io("make", &folder, source);
    crate::home::private_dir(&folder).map_err(failed)?;
    tempfile::Builder::new().prefix("plan-").tempdir_in(&folder).map_err(failed)
}

/// A program of wheels that are installed nowhere yet. It reaches nothing.
pub(super) fn unpacked(
    home: &crate::home::Home,
    environment: &Environment,
    files: &[Fetched],
    package: &str,
    folder: &Path,
    level: Isolation,
) -> Result<Program, LegacyError> {
    let packages = folder.join("packages");
    std::fs::create_dir_all(&packages).map_err(|source| LegacyError::io("make", &packages, source))?;
    for file in files {
        wheel::unpack(&file.bytes, &packages).map_err(|why| LegacyError::File { file: plain(&file.file), why })?;
    }
    let compiled = folder.join("compiled");
    let mut program = program::python(home, &environment.interpreter, &compiled, vec![packages.clone()], level)?;
    package.clone_into(&mut program.pack);
    package.clone_into(&mut program.package);
    program.paths = vec![packages];
    program.network = Arc::default();
    Ok(program)
}

fn legacy(pack: &IndexPack, runtime: Runtime) -> Option<&LegacyPackage> {
    match runtime {
        Runtime::Wasm => None,
        Runtime::Python => pack.python.as_ref(),
        Runtime::Node => pack.node.as_ref(),
    }
}

fn legacy_of(locked: &LockedPack) -> Legacy {
    Legacy {
        runtime: locked.runtime,
        package: locked.package.clone(),
        granted: locked.granted.clone(),
        artifacts: locked.artifacts.clone(),
        npm: locked.npm.clone(),
        files: Vec::new(),
    }
}

/// In the form that consent and the transition take.
fn inspected(sha256: Sha256, size: u64, pack: rig_specs::manifest::EmbeddedPack) -> Inspected {
    let defs = || pack.tools.iter().map(|tool| &tool.def);
    Inspected {
        interface_hash: rtp::interface_hash(defs()),
        tools_hash: rtp::tools_hash(defs()),
        imports: Vec::new(),
        exports: Vec::new(),
        sha256,
        size,
        pack,
    }
}
