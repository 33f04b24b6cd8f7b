//! Starting and ending.

use std::time::Instant;

use rig_host::runner::cell::{Ended, Error, Isolation};

use crate::attack::{PATIENCE, Setup, finish};

#[tokio::test(flavor = "multi_thread")]
async fn a_program_runs_and_is_spoken_with() {
    for setup in [
        Setup::python("import sys; print(sys.stdin.read().upper()); print('aside', file=sys.stderr); sys.exit(3)", &[]),
        Setup::node(
            "process.stdout.write(require('fs').readFileSync(0,'utf8').toUpperCase()); console.error('aside'); process.exitCode=3",
            &[],
        ),
    ] {
        let running = setup.start().await;
        assert_eq!(running.held.layers().isolation(), Isolation::Full, "{:?}", running.held.lacks());
        let came = finish(running, b"hello").await;
        assert_eq!((came.stdout.trim(), came.stderr.trim()), ("HELLO", "aside"));
        assert_eq!(came.ended, Ended::Exit(3));
    }
}

/// What is measured here is printed, not judged: the machine may be busy.
#[tokio::test(flavor = "multi_thread")]
async fn it_starts_soon() {
    for (name, setup) in
        [("python", Setup::python("print('up')", &[])), ("node", Setup::node("console.log('up')", &[]))]
    {
        let mut times = Vec::new();
        for _ in 0..5 {
            let begun = Instant::now();
            let running = setup.start().await;
            let spawned = begun.elapsed();
            assert_eq!(finish(running, b"").await.stdout, "up\n");
            times.push((begun.elapsed(), spawned));
        }
        let (up, spawned) = times.iter().min().unwrap();
        println!("{name}: {spawned:?} until the program is started, {up:?} until it has ended");
        assert!(*up < PATIENCE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_there_is_said() {
    let mut setup = Setup::python("", &[]);
    setup.cell.program = "/nowhere/python".into();
    let error = setup.cell.spawn().await.unwrap_err();
    assert!(matches!(error, Error::Program { .. }), "{error:?}");
    assert!(error.to_string().starts_with("/nowhere/python cannot be started in a cell: No such file"), "{error}");
    // The argument that starts a cell does nothing by itself.
    let bare = std::process::Command::new(rig_tests::rig_path()).args(["__cell", "inside"]).output().unwrap();
    assert!(!bare.status.success());
    assert_eq!((bare.stdout, bare.stderr), (Vec::new(), Vec::new()));
}
