//! `rig build`: compile, ask the component for its tools, embed both manifest and tools.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rig_host::{
    author::{self, sdk::Provided},
    build,
    sandbox::{CallLimits, PoolSize, Sandbox, ToolDef},
};
use rig_specs::Sha256;
use rig_toolchain::{BuildOptions, Choice, Schemas, Step, Toolchain};

use crate::cli::{
    args::Build,
    render,
    report::{Failure, exit},
    session::Session,
};

/// How long `describe` may take. It only builds a list.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

/// A pack that was built.
pub struct Built {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

pub fn run(session: &Session, args: &Build) -> Result<u8, Failure> {
    let Built { path, bytes } = make(session, &args.dir, args.output.as_deref())?;
    render::out(&format!("{}\n{} bytes\n{}", path.display(), bytes.len(), Sha256::of(&bytes)));
    Ok(exit::DONE)
}

/// Builds the pack in a folder.
pub fn make(session: &Session, dir: &Path, output: Option<&Path>) -> Result<Built, Failure> {
    let dir: PathBuf = session.start.join(dir).components().collect();
    let manifest = read_manifest(&dir)?;
    let output = match output {
        Some(path) => session.start.join(path),
        None => dir.join(format!("{}-{}.wasm", manifest.pack.id, manifest.pack.version)),
    };
    let mut on_step = |step: Step| match step {
        Step::Line(line) => session.ui.detail(&line),
        step => session.ui.note(&step.to_string()),
    };
    let choice = match env::var("RIG_WASM_TOOLCHAIN") {
        Ok(name) if !name.is_empty() => name.parse()?,
        _ => Choice::default(),
    };
    let sdk = author::sdk::provide(&dir)?;
    let toolchain = rig_toolchain::find_or_install(choice, &dir, &mut on_step)?;
    let component = compile(session, &toolchain, &dir, sdk.as_ref(), &mut on_step)?;
    let described = describe(&component)?;
    let (bytes, pack) = build::assemble(&component, manifest, described)?;
    write(&output, &bytes)?;

    let tools = render::count(pack.tools.len(), "tool");
    session.ui.done(&format!("built {} {} with {tools}", pack.manifest.pack.id, pack.manifest.pack.version));
    Ok(Built { path: output, bytes })
}

/// Compiles a pack twice: what answers for the schemas of its tools is left out of the second one, which has the answers as
/// constants.
fn compile(
    session: &Session,
    toolchain: &Toolchain,
    dir: &Path,
    sdk: Option<&Provided>,
    on_step: &mut dyn FnMut(Step),
) -> Result<Vec<u8>, Failure> {
    let alone = sdk.filter(|sdk| sdk.alone);
    let shared = BuildOptions {
        offline: session.offline,
        library: Some(session.toolchains()),
        alone_with: alone.map(|_| author::sdk::FOLDER.to_owned()),
        // The user's own choice of a target folder stands.
        target_dir: alone
            .filter(|_| env::var_os("CARGO_TARGET_DIR").is_none())
            .map(|sdk| session.home.cargo(&sdk.digest)),
        ..BuildOptions::default()
    };
    let mut build = |schemas: Schemas| -> Result<Vec<u8>, Failure> {
        let options = BuildOptions { schemas, ..shared.clone() };
        let linked = rig_toolchain::build_pack(toolchain, dir, &options, on_step).map_err(|error| {
            if let rig_toolchain::Error::Compile { stderr, .. } = &error
                && !session.ui.verbose
            {
                // The compiler's own words, as it coloured them; with --verbose they have been shown already.
                anstream::eprintln!("{}", stderr.trim_end());
            }
            Failure::from(error)
        })?;
        fs::read(&linked).map_err(|error| Failure::of(&error, "build again"))
    };
    let asked = describe(&build(Schemas::Asked)?)?;
    let component = build(Schemas::Given(build::schemas(&asked)))?;
    build::same_definitions(&asked, &describe(&component)?)?;
    Ok(component)
}

/// Asks a component for its tools.
fn describe(component: &[u8]) -> Result<Vec<ToolDef>, Failure> {
    // Without the cache of compiled code: these bytes are not a pack yet, and change with every build.
    let sandbox = Sandbox::new(PoolSize::SINGLE, None)?;
    let program = sandbox.load(&Sha256::of(component), component)?;
    let deadline = Instant::now() + DESCRIBE_TIMEOUT;
    Ok(Session::block_on(program.describe(deadline, &CallLimits::default()))??)
}

pub fn read_manifest(dir: &Path) -> Result<rig_specs::manifest::Manifest, Failure> {
    let path = dir.join("rig-pack.toml");
    let text = fs::read_to_string(&path).map_err(|error| {
        Failure::of(&error, "give the folder of a pack: it holds rig-pack.toml beside Cargo.toml")
            .context(&format!("{} cannot be read", path.display()))
    })?;
    Ok(build::manifest(&text)?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(folder)
        .and_then(|()| tempfile::NamedTempFile::new_in(folder))
        .and_then(|mut file| std::io::Write::write_all(&mut file, bytes).map(|()| file))
        .and_then(|file| {
            // A temporary file is private; a pack is for everybody.
            fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).map(|()| file)
        })
        .and_then(|file| file.persist(path).map_err(|error| error.error));
    written.map(drop).map_err(|error| {
        Failure::of(&error, "choose another place with --output")
            .context(&format!("{} cannot be written", path.display()))
    })
}
