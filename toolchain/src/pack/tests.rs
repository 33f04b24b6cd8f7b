//! Against a make-believe cargo: what it is told, and what is made of its answers.

use super::*;
use crate::testing::Machine;

const METADATA: &str = r#"{"packages":[{"name":"one","id":"path+file:///one#0.1.0","manifest_path":"TOP/one/Cargo.toml","targets":[{"kind":["cdylib","rlib"]}]},{"name":"two","id":"path+file:///two#0.1.0","manifest_path":"TOP/two/Cargo.toml","targets":[{"kind":["bin"]}]}],"workspace_root":"TOP","target_directory":"TOP/target"}"#;

/// A machine whose cargo answers with two packages, and compiles as `compile`, a shell script, says.
fn machine(compile: &str) -> (Machine, Toolchain) {
    let machine = Machine::new();
    let top = machine.at("").display().to_string();
    let metadata = METADATA.replace("TOP/", &top).replace("TOP", top.trim_end_matches('/'));
    for file in ["Cargo.toml", "one/Cargo.toml", "two/Cargo.toml"] {
        machine.file(file);
    }
    let library = "target/wasm32-unknown-unknown/release/deps";
    machine.program(
        "cargo",
        &format!(
            "[ \"$1\" = metadata ] && echo '{metadata}' && exit 0\n\
             if [ \"$1\" = build ]; then\n\
             /bin/mkdir -p {library}; : > {library}/libcore-1.rlib; : > {library}/libnothing-2.rlib; : > {library}/nothing.d\n\
             echo \"$RUSTC_BOOTSTRAP\" > \"$TOP/bootstrap\"; exit 0\nfi\n{compile}"
        ),
    );
    machine.file("rustc");
    let toolchain = Toolchain {
        route: Route::Debian,
        release: "1.96.0".into(),
        commit: "c0ffee".into(),
        rustc: machine.at("rustc"),
        cargo: machine.at("bin/cargo"),
        tools: machine.at("tools"),
        std_sources: machine.at("no sources"),
    };
    (machine, toolchain)
}

fn build(toolchain: &Toolchain, dir: &Path) -> (Result<PathBuf, Error>, Vec<String>) {
    let mut told = Vec::new();
    let built = build_pack(toolchain, dir, &BuildOptions::default(), &mut |step| told.push(step.to_string()));
    (built, told)
}

const SUCCESS: &str = r#"echo '{"reason":"compiler-artifact","package_id":"other","filenames":["/x/other.wasm"]}'
    echo '{"reason":"compiler-artifact","package_id":"path+file:///one#0.1.0","filenames":["/x/one.rlib","/x/one.wasm"]}'
    echo '{"reason":"build-finished","success":true}'
    echo '   Compiling one' >&2
    echo "$CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER|$RUSTC_BOOTSTRAP|$RUSTC|$CARGO_MANIFEST_DIR|${PATH%%:*}" > "$TOP/env"
    echo "$RIG_TOOL_SCHEMAS" > "$TOP/schemas"
    printf '%s' "$CARGO_ENCODED_RUSTFLAGS" | /usr/bin/tr '\037' '\n' > "$TOP/flags""#;

#[test]
fn debians_compiler_is_driven_as_it_needs() {
    let (machine, toolchain) = machine(SUCCESS);
    let (built, told) = build(&toolchain, &machine.at("one"));
    assert_eq!(built.unwrap(), Path::new("/x/one.wasm"));
    let library = "compiling the standard library for packs, once on this machine";
    assert_eq!(told, [library, "compiling one (profile release)", "   Compiling one"]);
    let (_, told) = build(&toolchain, &machine.at("one"));
    assert_eq!(told, ["compiling one (profile release)", "   Compiling one"], "the library is there");
    assert_eq!(fs::read_to_string(machine.at("bootstrap")).unwrap(), "1\n", "or `-Z` would be refused");

    let top = fs::canonicalize(machine.at("")).unwrap();
    let top = top.display();
    let log = fs::read_to_string(machine.at("log")).unwrap();
    assert_eq!(
        log.lines().last().unwrap(),
        format!(
            "cargo rustc --lib --crate-type cdylib --message-format json-render-diagnostics --target {TARGET} --profile \
             release --manifest-path {top}/one/Cargo.toml --target-dir {top}/target/wasm --color never"
        )
    );
    let env = fs::read_to_string(machine.at("env")).unwrap();
    assert_eq!(
        env.trim(),
        format!("{LINKER}||{}||{top}/tools", toolchain.rustc.display()),
        "an outer cargo must not be seen"
    );
    let flags = fs::read_to_string(machine.at("flags")).unwrap();
    assert!(flags.starts_with(&format!("--remap-path-prefix={top}=/pack\n")), "{flags}");
    assert!(flags.contains(&format!("--remap-path-prefix={top}/target/wasm=/target\n")), "{flags}");
    let (flags, sysroot) = flags.rsplit_once('\n').unwrap();
    assert!(flags.ends_with(&format!("--remap-path-prefix={top}/no sources=/rustc/c0ffee")), "{flags}");
    assert!(!flags.contains("/one"), "flags of one pack would compile what packs of a workspace share again: {flags}");
    let sysroot = Path::new(sysroot.strip_prefix("--sysroot=").unwrap());
    assert!(sysroot.starts_with(format!("{top}/target/wasm/library")), "{}", sysroot.display());
    let libraries = fs::read_dir(sysroot.join("lib/rustlib").join(TARGET).join("lib")).unwrap();
    let libraries: Vec<_> = libraries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(libraries, ["libcore-1.rlib"], "without the package that was compiled for them");
}

#[test]
fn rustups_compiler_needs_no_unstable_flags_and_the_workspace_chooses_the_profile() {
    let (machine, mut toolchain) = machine(SUCCESS);
    toolchain.route = Route::Rustup;
    fs::write(machine.at("Cargo.toml"), "[profile.pack]\ninherits = 'release'").unwrap();
    let (built, told) = build(&toolchain, &machine.at("one"));
    assert_eq!(built.unwrap(), Path::new("/x/one.wasm"));
    assert_eq!(told[0], "compiling one (profile pack)");
    let log = fs::read_to_string(machine.at("log")).unwrap();
    assert!(!log.contains("-Z"), "{log}");
    let env = fs::read_to_string(machine.at("env")).unwrap();
    assert!(env.starts_with(&format!("{LINKER}||")), "{env}");
}

#[test]
fn schemas_are_asked_for_and_given() {
    let (machine, toolchain) = machine(SUCCESS);
    let build = |schemas: Schemas| {
        let options = BuildOptions { schemas, ..BuildOptions::default() };
        build_pack(&toolchain, &machine.at("one"), &options, &mut |_| ()).unwrap();
        let log = fs::read_to_string(machine.at("log")).unwrap();
        let asked = log.lines().last().unwrap().ends_with(" -- -C opt-level=1 --cap-lints allow");
        (asked, fs::read_to_string(machine.at("schemas")).unwrap().trim().to_owned())
    };
    assert_eq!(build(Schemas::Computed), (false, String::new()));
    assert_eq!(build(Schemas::Asked), (true, "-".to_owned()));
    let file = fs::canonicalize(machine.at("")).unwrap().join("target/wasm/rig/one.json");
    assert_eq!(build(Schemas::Given("[1]".into())), (false, file.display().to_string()));
    assert_eq!(fs::read_to_string(&file).unwrap(), "[1]");
    let written = || fs::metadata(&file).unwrap().modified().unwrap();
    let before = written();
    build(Schemas::Given("[1]".into()));
    assert_eq!(written(), before, "what is the same is not written again");
    build(Schemas::Given("[2]".into()));
    assert_eq!(fs::read_to_string(&file).unwrap(), "[2]");
}

#[test]
fn what_is_no_pack_is_told() {
    let (machine, toolchain) = machine("echo 'error: it is wrong' >&2; exit 101");
    let (error, told) = build(&toolchain, &machine.at("one"));
    let error = error.unwrap_err();
    assert_eq!(error.to_string(), "the package `one` does not compile");
    assert!(matches!(error, Error::Compile { stderr, .. } if stderr == "error: it is wrong"));
    assert_eq!(told.last().unwrap(), "error: it is wrong");

    let message = |dir: &str| build(&toolchain, &machine.at(dir)).0.unwrap_err().to_string();
    assert_eq!(message("two"), "the package `two` has no library to make a component of");
    assert_eq!(message("none"), format!("{} has no Cargo.toml", machine.at("none").display()));
    let top = fs::canonicalize(machine.at("")).unwrap();
    assert_eq!(message(""), format!("{} is a workspace without a package of its own", top.display()));
}

#[test]
fn a_success_without_a_component_is_an_error() {
    let (machine, toolchain) = machine("echo '{\"reason\":\"build-finished\"}'; echo 'not json'");
    let (error, _) = build(&toolchain, &machine.at("one"));
    assert_eq!(error.unwrap_err().to_string(), "cargo compiled the package `one`, but named no .wasm file");
}

#[test]
fn packages_that_stand_alone_share_what_they_depend_on() {
    let (machine, mut toolchain) = machine(SUCCESS);
    toolchain.route = Route::Rustup;
    let shared = machine.at("shared");
    let options = BuildOptions {
        target_dir: Some(shared.clone()),
        alone_with: Some(".rig/sdk".into()),
        ..BuildOptions::default()
    };
    build_pack(&toolchain, &machine.at("one"), &options, &mut |_| ()).unwrap();
    let top = fs::canonicalize(machine.at("")).unwrap();
    let flags = fs::read_to_string(machine.at("flags")).unwrap();
    let start = format!("--remap-path-prefix=.rig/sdk=/sdk\n--remap-path-prefix={}=/target\n", shared.display());
    assert!(flags.starts_with(&start), "{flags}");
    assert!(!flags.contains("=/pack"), "the folder of one pack would compile everything again: {flags}");
    let log = fs::read_to_string(machine.at("log")).unwrap();
    let own = format!("--target-dir {} --color never -- --remap-path-prefix={}=/pack", shared.display(), top.display());
    assert!(log.trim_end().ends_with(&own), "{log}");

    let given = BuildOptions { schemas: Schemas::Given("[]".into()), ..options };
    build_pack(&toolchain, &machine.at("one"), &given, &mut |_| ()).unwrap();
    let file = fs::read_to_string(machine.at("schemas")).unwrap();
    assert!(file.trim().starts_with(&format!("{}/rig/one-", shared.display())), "{file}");
}
