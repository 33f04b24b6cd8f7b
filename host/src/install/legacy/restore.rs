//! Packs from PyPI and npm of a lock, made sure of: their files in the store, each with the hash that the lock has, and their tools.

use std::collections::BTreeMap;

use rig_specs::{
    Sha256,
    config::Isolation,
    lock::{LockedPack, Runtime},
    rtp,
};

use super::{
    LegacyError, core, environment,
    node::{self, Npm},
    pip::{Fetched, Pip},
    plan::{temporary, unpacked},
    program,
    python::Environment,
    tools, wheel,
};
use crate::{
    install::{InstallError, Installer, LoadError, Options, load_pack, restore::Restored, store},
    project::Project,
    runner::{Program, RunnerError},
};

impl Installer<'_> {
    /// Makes sure that the store has the files of a pack and its tools.
    pub(in crate::install) async fn ensure_package(
        &self,
        project: &Project,
        locked: &LockedPack,
        options: &Options,
    ) -> Result<Restored, InstallError> {
        if locked.runtime == Runtime::Node {
            return self.ensure_node(project, locked, options).await;
        }
        let missing = self.missing(locked);
        let tools = match load_pack(&self.home, locked) {
            Ok(_) => true,
            Err(LoadError::Store { error, .. }) if error.is_repairable() => false,
            Err(error) => return Err(error.into()),
        };
        if missing.is_empty() && tools {
            return Ok(Restored::Present);
        }
        if !missing.is_empty() {
            let (project, machine, home) = (project.clone(), options.machine.clone(), self.home.clone());
            let (offline, pack) = (options.offline(), locked.pack_id.to_string());
            let fetch = move || {
                let environment = Environment::of(&project, &machine)?;
                let folder = temporary(&home)?;
                let pip = Pip::new(&environment, &machine, &project, offline)?;
                let files = pip.fetch_locked(&pack, &missing, folder.path())?;
                for file in files {
                    tools::keep_bytes(&home, &file.bytes)?;
                }
                Ok::<_, InstallError>(())
            };
            tokio::task::spawn_blocking(fetch).await.map_err(|_| LegacyError::BrokenOff)??;
        }
        if !tools {
            self.tell_again(project, locked, options).await?;
        }
        Ok(Restored::Fetched)
    }

    /// The folder of a pack from npm is made where packages are installed; here only its tools are made sure of.
    async fn ensure_node(
        &self,
        project: &Project,
        locked: &LockedPack,
        options: &Options,
    ) -> Result<Restored, InstallError> {
        let there = node::found(&self.home, project.root(), locked).is_ok();
        match load_pack(&self.home, locked) {
            Ok(_) if there => return Ok(Restored::Present),
            Ok(_) => return Ok(Restored::Fetched),
            Err(LoadError::Store { error, .. }) if error.is_repairable() => {}
            Err(error) => return Err(error.into()),
        }
        let (machine, home, folder) = (options.machine.clone(), self.home.clone(), temporary(&self.home)?);
        let (project, copy, offline) = (project.clone(), locked.clone(), options.offline());
        let fill = move || {
            let npm = Npm::find(&machine, &project, &home, offline)?;
            let packages = copy.npm.unwrap_or_default();
            npm.fill(&copy.package, &packages, folder.path())?;
            let level = project.config().isolation.get(&copy.pack_id).copied().unwrap_or_default();
            let mut program = program::node(&home, &npm.node, folder.path(), level)?;
            program.pack.clone_from(&copy.package);
            program.package = copy.package;
            Ok::<_, LegacyError>((program, folder))
        };
        let filled = tokio::task::spawn_blocking(fill).await;
        let (program, folder) = filled.map_err(|_| LegacyError::BrokenOff)??;
        self.told(locked, &program).await?;
        drop(folder);
        Ok(Restored::Fetched)
    }

    /// Has a pack tell its tools, which must be those that the lock has, and keeps them.
    async fn told(&self, locked: &LockedPack, program: &Program) -> Result<(), InstallError> {
        let failed = |error| LegacyError::Pack { package: locked.package.clone(), error };
        let described = program.describe().await.map_err(failed)?;
        if locked.tools_hash != Some(rtp::tools_hash(described.tools.iter().map(|tool| &tool.def))) {
            return Err(failed(RunnerError::OtherTools).into());
        }
        tools::keep(&self.home, &described.tools)?;
        Ok(())
    }

    /// The files that the store does not have, by name.
    fn missing(&self, locked: &LockedPack) -> BTreeMap<String, Sha256> {
        let gone = |digest: &Sha256| *digest != *core::SHA256 && store::read(&self.home, digest).is_err();
        let files = locked.artifacts.iter().filter(|artifact| gone(&artifact.integrity));
        files.map(|artifact| (artifact.file.clone(), artifact.integrity)).collect()
    }

    /// Asks a pack for its tools again; they must be those that the lock has.
    async fn tell_again(&self, project: &Project, locked: &LockedPack, options: &Options) -> Result<(), InstallError> {
        let folder = temporary(&self.home)?;
        let level: Isolation = project.config().isolation.get(&locked.pack_id).copied().unwrap_or_default();
        let environment = Environment::of(project, &options.machine)?;
        let files = environment::wheels(&self.home, locked)?.into_iter().map(|(file, (bytes, wheel))| Fetched {
            sha256: Sha256::of(&bytes),
            file,
            bytes,
            wheel,
        });
        let files: Vec<Fetched> = files.collect();
        let package = wheel::normal(&locked.package);
        let program = unpacked(&self.home, &environment, &files, &package, folder.path(), level)?;
        self.told(locked, &program).await
    }
}

/// What is wrong with the installed files of a pack, if anything is.
pub(in crate::install) fn problem(
    home: &crate::home::Home,
    project: &Project,
    locked: &LockedPack,
) -> Option<LegacyError> {
    if locked.runtime == Runtime::Wasm {
        return None;
    }
    super::program(home, project.root(), locked, Isolation::Reduced).err()
}
