//! What the first process of a cell gives up before it starts the program: rights, resources, files.

use std::os::fd::AsFd as _;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use rustix::{
    io::Errno,
    process::{Resource, Rlimit, setrlimit},
    thread::{
        CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set,
        set_capabilities,
    },
};

use super::{
    Layer,
    message::{Explain as _, Outcome, Plan},
    root::Place,
};

/// The newest rules that are asked for; an older kernel holds those that it has.
const NEWEST: ABI = ABI::V7;

/// Hard limits, so that they cannot be raised again.
pub(super) fn limits(plan: &Plan) -> Outcome<()> {
    let limits = &plan.limits;
    if plan.layers.contains(&Layer::Namespaces) {
        // Of the cell's user. Without the namespaces that is rig's, whose other processes would count.
        limit(Resource::Nproc, limits.processes)?;
    }
    for (resource, most) in [
        // One process's own memory. Not its addresses: JavaScript engines reserve many gigabytes of those and use none.
        (Resource::Data, limits.memory),
        (Resource::Nofile, limits.open_files),
        (Resource::Fsize, limits.file_size),
        // A picture of the memory would hold secrets.
        (Resource::Core, 0),
        // Locked memory and queues of messages are memory of the kernel.
        (Resource::Memlock, 64 << 10),
        (Resource::Msgqueue, 0),
    ] {
        limit(resource, most)?;
    }
    Ok(())
}

fn limit(resource: Resource, most: u64) -> Outcome<()> {
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(resource, limit).setup(&format!("setting the limit {resource:?}"))
}

/// Gives up every capability, and the chance to get one with another program.
pub(super) fn capabilities() -> Outcome<()> {
    clear_ambient_capability_set().setup("giving up ambient capabilities")?;
    for number in 0..u64::BITS {
        let Some(one) = 1_u64.checked_shl(number).map(CapabilitySet::from_bits_retain) else { break };
        match remove_capability_from_bounding_set(one) {
            // Without the namespaces an ordinary user has none to give up, and may not shorten the list of those to come.
            Ok(()) | Err(Errno::PERM) => {}
            // The first number that this kernel does not know.
            Err(_) => break,
        }
    }
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .setup("giving up capabilities")
}

/// Files can be read where the cell shows them and written in the scratch folder only; processes outside get no signals, and abstract
/// sockets outside no connections. Without a network namespace only the proxy's port can be connected to.
pub(super) fn landlock(plan: &Plan, place: &Place) -> Outcome<()> {
    const DOING: &str = "setting the rules";
    let read = AccessFs::from_read(NEWEST);
    let write = AccessFs::from_all(NEWEST) & !BitFlags::from(AccessFs::Execute);
    let in_namespace = plan.layers.contains(&Layer::Namespaces);

    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
        .lacking(Layer::Landlock, DOING)?;
    if !in_namespace {
        rules = rules.handle_access(AccessNet::from_all(NEWEST)).lacking(Layer::Landlock, DOING)?;
    }
    let mut rules = rules.create().lacking(Layer::Landlock, DOING)?;
    if let Some(proxy) = plan.proxy.as_ref().filter(|_| !in_namespace) {
        rules = rules.add_rule(NetPort::new(proxy.port, AccessNet::ConnectTcp)).lacking(Layer::Landlock, DOING)?;
    }
    let mut allow = |path: &std::path::Path, access: BitFlags<AccessFs>| -> Outcome<()> {
        // What is not there needs no rule.
        let Ok(opened) = PathFd::new(path) else { return Ok(()) };
        let is_folder = std::fs::metadata(path).is_ok_and(|found| found.is_dir());
        let access = if is_folder { access } else { access & AccessFs::from_file(NEWEST) };
        (&mut rules).add_rule(PathBeneath::new(opened.as_fd(), access)).map(drop).lacking(Layer::Landlock, DOING)
    };
    for path in &place.readable {
        allow(path, read)?;
    }
    for path in &plan.listed {
        allow(path, AccessFs::ReadDir.into())?;
    }
    if place.own_proc {
        allow("/proc".as_ref(), AccessFs::ReadFile | AccessFs::ReadDir)?;
    }
    if plan.layers.contains(&Layer::Root) {
        allow("/etc".as_ref(), AccessFs::ReadFile | AccessFs::ReadDir)?;
        allow("/dev".as_ref(), AccessFs::ReadFile | AccessFs::ReadDir)?;
    }
    allow("/dev/null".as_ref(), AccessFs::ReadFile | AccessFs::WriteFile)?;
    allow(&place.scratch, write)?;
    let held = rules.restrict_self().lacking(Layer::Landlock, DOING)?;
    if held.ruleset == RulesetStatus::NotEnforced {
        return Err("this kernel does not have it").lacking(Layer::Landlock, DOING);
    }
    Ok(())
}
