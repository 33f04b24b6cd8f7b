//! What of the machine's files can be read and written.

use std::fs;

use rig_host::runner::cell::Ended;

use crate::attack::Setup;

/// Reads each file it is given, as Python or Node does it, and says whether it could.
const READ_PYTHON: &str = "
import sys
for path in sys.argv[1:]:
    try:
        print('read', path, open(path, 'rb').read(4096))
    except OSError as error:
        print('no', path, error.strerror)
";
const READ_NODE: &str = "
for (const path of process.argv.slice(1)) {
  try { console.log('read', path, require('fs').readFileSync(path, 'utf8').slice(0, 4096)); }
  catch (error) { console.log('no', path, error.code); }
}";

#[tokio::test(flavor = "multi_thread")]
async fn the_machines_files_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let secret = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "a-secret-of-the-machine").unwrap();
        path.to_str().unwrap().to_owned()
    };
    // Where a home, the store, rig's own files and another pack's would be, and what every machine has.
    let planted = [secret("home/.ssh/id_ed25519"), secret("home/.rig/audit.key"), secret("other-pack/lib/token.py")];
    let mut paths: Vec<&str> = planted.iter().map(String::as_str).collect();
    paths.extend([
        "/etc/hostname",
        "/etc/machine-id",
        "/etc/fstab",
        "/proc/1/environ",
        "/proc/cmdline",
        "/sys/kernel/osrelease",
    ]);
    let up = format!("{}/home/../../../../../../..{}", folder.path().display(), planted[0]);
    paths.push(&up);
    let there: Vec<&&str> = paths.iter().filter(|path| fs::read(path).is_ok()).collect();
    assert!(there.len() >= 6, "{there:?}");
    for setup in [Setup::python(READ_PYTHON, &paths), Setup::node(READ_NODE, &paths)] {
        let control = setup.control();
        assert_eq!(control.matches("a-secret-of-the-machine").count(), 4, "{control}");
        let came = setup.run().await;
        assert!(!came.stdout.contains("a-secret-of-the-machine"), "{came:?}");
        let read: Vec<&str> = came.stdout.lines().filter(|line| line.starts_with("read")).collect();
        // The name of the host is the cell's own.
        assert_eq!(read.len(), 1, "{came:?}");
        assert!(read[0].contains("/etc/hostname") && read[0].contains("cell"), "{read:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machines_users_are_not_known() {
    let script = "print(open('/etc/passwd').read()); import os,pwd; print(pwd.getpwuid(os.getuid()))";
    let setup = Setup::python(script, &[]);
    let own = fs::read_to_string("/etc/passwd").unwrap();
    let last = own.lines().next_back().unwrap();
    assert!(setup.control().contains(last));
    let came = setup.run().await;
    assert!(!came.stdout.contains(last), "{came:?}");
    assert!(came.stdout.starts_with("rig:x:1000:1000:"), "{came:?}");
    assert_eq!(came.ended, Ended::Exit(0), "{came:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_outside_the_scratch_folder() {
    let script = "
import os, sys, tempfile
def attempt(name, what):
    try:
        what(); print('did', name)
    except OSError as error:
        print('no', name, error.strerror)
outside, environment = sys.argv[1:]
attempt('a file outside', lambda: open(outside + '/written', 'w').close())
attempt('a file of its own', lambda: open(environment + '/pack.py', 'a').close())
attempt('a new file of its own', lambda: open(environment + '/new.py', 'w').close())
attempt('its mode', lambda: os.chmod(environment + '/pack.py', 0o777))
attempt('taking it away', lambda: os.unlink(environment + '/pack.py'))
attempt('another name', lambda: os.link(environment + '/pack.py', tempfile.gettempdir() + '/linked'))
attempt('the root', lambda: os.mkdir('/new'))
attempt('scratch', lambda: open(tempfile.gettempdir() + '/mine', 'w').close())
attempt('its own code', lambda: print(open(environment + '/pack.py').read().strip()))
";
    let folder = tempfile::tempdir().unwrap();
    let environment = folder.path().join("environment");
    fs::create_dir(&environment).unwrap();
    fs::write(environment.join("pack.py"), "the pack's code").unwrap();
    let (outside, own) = (folder.path().to_str().unwrap(), environment.to_str().unwrap());
    let mut setup = Setup::python(script, &[outside, own]);
    setup.cell.read_only.push(environment.clone());

    let came = setup.run().await;
    let did: Vec<&str> = came.stdout.lines().filter(|line| line.starts_with("did")).collect();
    assert_eq!(did, ["did scratch", "did its own code"], "{came:?}");
    assert!(came.stdout.contains("the pack's code"), "{came:?}");
    assert_eq!(fs::read_to_string(environment.join("pack.py")).unwrap(), "the pack's code");
    assert_eq!(fs::read_dir(&environment).unwrap().count(), 1);
    assert_eq!(
        fs::read_dir(&setup.cell.scratch).unwrap().count(),
        0,
        "what is in the scratch folder goes with the cell"
    );

    let control = setup.control();
    assert!(control.contains("did a file outside") && control.contains("did taking it away"), "{control}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scratch_folder_fills_up() {
    let script = "
import os, sys, tempfile
folder, most = tempfile.gettempdir(), int(sys.argv[1])
written, block = 0, b'x' * (1 << 20)
try:
    for number in range(64):
        with open(f'{folder}/{number}', 'wb', buffering=0) as file:
            for _ in range(4):
                written += file.write(block)
except OSError as error:
    print(error.strerror)
print(written >> 20)
try:
    for number in range(100_000): open(f'{folder}/empty{number}', 'w').close()
    print('all of them')
except OSError as error:
    print(error.strerror)
for number in range(64):
    try: os.unlink(f'{folder}/{number}')
    except OSError: pass
try:
    with open(f'{folder}/large', 'wb', buffering=0) as file:
        while file.write(block): pass
except OSError as error:
    print(error.strerror)
";
    let setup = Setup::python(script, &["0"]).limits(|limits| {
        limits.scratch = 16 << 20;
        limits.file_size = 6 << 20;
    });
    let came = setup.run().await;
    let lines: Vec<&str> = came.stdout.lines().collect();
    assert_eq!(lines[0], "No space left on device", "{came:?}");
    assert!(lines[1].parse::<u32>().unwrap() <= 16, "{came:?}");
    assert_eq!(lines[2..], ["No space left on device", "File too large"], "{came:?}");
    // Without a cell, a disk takes it; the file without end is left out of the control.
    let bounded = script.replace("while file.write(block): pass", "for _ in range(8): file.write(block)");
    let control = Setup::python(&bounded, &["0"]).control();
    assert!(control.starts_with("256\nall of them\n") && !control.contains("File too large"), "{control}");
}

/// Nothing of the environment that rig was started with comes in: neither names nor what they would do.
#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_empty() {
    let list = "import os; print(sorted(os.environ)); print(os.getcwd())";
    let mut setup = Setup::python(list, &[]);
    setup.cell.env.push(("LANG".into(), "C.UTF-8".into()));
    // The test's own environment is what rig would have been started with; it is never empty.
    assert!(std::env::vars().count() > 5);
    assert!(setup.control().contains("'PATH'"));
    let came = setup.run().await;
    let names = "['HOME', 'HTTPS_PROXY', 'HTTP_PROXY', 'LANG', 'TMPDIR', 'http_proxy', 'https_proxy']";
    assert_eq!(came.stdout, format!("{names}\n/tmp\n"), "{came:?}");
    let came = Setup::node("console.log(Object.keys(process.env).sort().join())", &[]).run().await;
    assert_eq!(came.stdout, "HOME,TMPDIR\n", "{came:?}");
}

/// The variables that make a program run other code, in a rig that has them: the control runs the program with the same ones.
#[tokio::test(flavor = "multi_thread")]
async fn variables_that_run_code_do_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let canary = folder.path().join("canary");
    let python = folder.path().join("sitecustomize.py");
    let node = folder.path().join("preload.js");
    fs::write(&python, format!("open({canary:?}, 'a').write('python ')")).unwrap();
    fs::write(&node, format!("require('fs').appendFileSync({canary:?}, 'node ')")).unwrap();
    let setups = [Setup::python("print('ran')", &[]), Setup::node("console.log('ran')", &[])];
    let variables = [
        ("PYTHONPATH", folder.path().as_os_str().to_owned()),
        ("NODE_OPTIONS", format!("--require={}", node.display()).into()),
        ("LD_PRELOAD", "/lib/does-not-exist.so".into()),
    ];
    for setup in &setups {
        // A rig with these variables is what `env` starts: the cell's launcher.
        let launcher = folder.path().join("launcher");
        let exports: Vec<String> = variables.iter().map(|(name, value)| format!("export {name}={value:?}\n")).collect();
        let exports = exports.concat();
        let rig = rig_tests::rig_path();
        fs::write(&launcher, format!("#!/bin/sh\n{exports}exec {rig:?} \"$@\"\n")).unwrap();
        fs::set_permissions(&launcher, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut with = Setup::python("", &[]);
        with.cell.clone_from(&setup.cell);
        with.cell.launcher = launcher;
        let came = with.run().await;
        assert_eq!(came.stdout, "ran\n", "{came:?}");
        assert!(!canary.exists(), "{}", fs::read_to_string(&canary).unwrap());
    }
    for setup in &setups {
        let mut control = std::process::Command::new(&setup.cell.program);
        assert!(control.args(&setup.cell.args).envs(variables.clone()).output().unwrap().status.success());
    }
    assert_eq!(fs::read_to_string(&canary).unwrap(), "python node ");
}
