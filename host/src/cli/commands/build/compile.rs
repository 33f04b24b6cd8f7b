//! From the source of a pack to a component that has been asked for its tools.

use std::{
    env, fs,
    path::Path,
    time::{Duration, Instant},
};

use rig_host::{
    author::sdk::{self, Provided},
    build,
    sandbox::{CallLimits, PoolSize, Sandbox, Stop, ToolDef},
};
use rig_specs::{Sha256, manifest::Manifest};
use rig_toolchain::{BuildOptions, Choice, ForeignOptions, Language, Schemas, Step, Toolchain};

use crate::cli::{report::Failure, session::Session};

/// How long `describe` may take. It only builds a list.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where to look when a pack does not live to tell its tools.
const NOT_DESCRIBED: &str = "look at what runs before any call: the definitions of the tools and their examples; in C also whether \
                             `rig_tools` ends with an empty entry";

/// Compiles the pack in a folder; answers the component and what it says about its tools.
pub(super) fn pack(session: &Session, dir: &Path, manifest: &Manifest) -> Result<(Vec<u8>, Vec<ToolDef>), Failure> {
    let mut on_step = |step: Step| match step {
        Step::Line(line) => session.ui.detail(&line),
        step => session.ui.note(&step.to_string()),
    };
    // A runtime that needs more than the default says so in the manifest.
    let mut limits = CallLimits::default();
    if let Some(memory) = manifest.limits.memory {
        limits.memory = limits.memory.max(memory.as_usize());
    }
    let language = Language::of(dir)?;
    if language == Language::Rust {
        let choice = match env::var("RIG_WASM_TOOLCHAIN") {
            Ok(name) if !name.is_empty() => name.parse()?,
            _ => Choice::default(),
        };
        // Before cargo is asked anything about the pack.
        let sdk = sdk::provide(dir)?;
        let toolchain = rig_toolchain::find_or_install(choice, dir, &mut on_step)?;
        return rust(session, &toolchain, dir, sdk.as_ref(), &limits, &mut on_step);
    }
    let options = ForeignOptions { tools: session.toolchains(), offline: session.offline };
    let component = rig_toolchain::build_foreign(language, dir, &options, &mut on_step);
    let component = component.map_err(|error| complaints(session, error))?;
    let described = describe(&component, &limits)?;
    Ok((component, described))
}

/// Compiles a pack twice: what answers for the schemas of its tools is left out of the second one, which has the answers as
/// constants.
fn rust(
    session: &Session,
    toolchain: &Toolchain,
    dir: &Path,
    sdk: Option<&Provided>,
    limits: &CallLimits,
    on_step: &mut dyn FnMut(Step),
) -> Result<(Vec<u8>, Vec<ToolDef>), Failure> {
    let alone = sdk.filter(|sdk| sdk.alone);
    // The user's own choice of a target folder stands.
    let kept = alone.filter(|_| env::var_os("CARGO_TARGET_DIR").is_none()).map(|sdk| session.home.build(&sdk.digest));
    // Open until the build is done.
    let kept = kept.transpose().map_err(|error| Failure::of(&error, "check the permissions of rig's folder"))?;
    let shared = BuildOptions {
        offline: session.offline,
        library: Some(session.toolchains()),
        alone_with: alone.map(|_| sdk::FOLDER.to_owned()),
        target_dir: kept.as_ref().map(|(folder, _used)| folder.clone()),
        ..BuildOptions::default()
    };
    let mut build = |schemas: Schemas| -> Result<Vec<u8>, Failure> {
        let options = BuildOptions { schemas, ..shared.clone() };
        let linked = rig_toolchain::build_pack(toolchain, dir, &options, on_step);
        fs::read(linked.map_err(|error| complaints(session, error))?)
            .map_err(|error| Failure::of(&error, "build again"))
    };
    let asked = describe(&build(Schemas::Asked)?, limits)?;
    let component = build(Schemas::Given(build::schemas(&asked)))?;
    let described = describe(&component, limits)?;
    build::same_definitions(&asked, &described)?;
    Ok((component, described))
}

/// Shows the compiler's own words, as it coloured them; with --verbose they have been shown already.
fn complaints(session: &Session, error: rig_toolchain::Error) -> Failure {
    if let rig_toolchain::Error::Compile { stderr, .. } = &error
        && !session.ui.verbose
    {
        anstream::eprintln!("{}", stderr.trim_end());
    }
    Failure::from(error)
}

/// Asks a component for its tools.
fn describe(component: &[u8], limits: &CallLimits) -> Result<Vec<ToolDef>, Failure> {
    // Without the cache of compiled code: these bytes are not a pack yet, and change with every build.
    let sandbox = Sandbox::new(PoolSize::SINGLE, None)?;
    let program = sandbox.load(&Sha256::of(component), component)?;
    let deadline = Instant::now() + DESCRIBE_TIMEOUT;
    Session::block_on(program.describe(deadline, limits))?.map_err(|stop| {
        let failure = match &stop {
            // Nobody called anything yet, so that the usual advice would mislead.
            Stop::Timeout | Stop::Trap(_) => Failure::of(&stop, NOT_DESCRIBED),
            Stop::Memory { .. } => Failure::of(&stop, "raise `memory` in [limits] of rig-pack.toml"),
            _ => Failure::from(stop),
        };
        failure.context("the pack was run to ask it for its tools, and did not tell them")
    })
}
