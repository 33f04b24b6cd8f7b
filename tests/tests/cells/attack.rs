//! An attack: a program that says what it got, run in a cell and without one.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
    time::Duration,
};

use rig_host::{
    egress::{Gate, Reach, Settings},
    runner::cell::{Cell, CellLimits, Ended, Isolation, Running},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A machine that is busy takes this long for what takes a second.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// An interpreter and the folders that it needs, by asking it.
#[derive(Debug, Clone)]
pub(crate) struct Interpreter {
    pub program: PathBuf,
    pub folders: Vec<PathBuf>,
}

/// The machine's Python.
pub(crate) fn python() -> &'static Interpreter {
    static FOUND: OnceLock<Interpreter> = OnceLock::new();
    FOUND.get_or_init(|| {
        let asked = "import os,sys; print(os.path.realpath(sys.executable)); print(sys.base_prefix)";
        let lines = ask("python3", &["-c", asked]);
        let (program, prefix) = (PathBuf::from(&lines[0]), PathBuf::from(&lines[1]));
        // The system's own Python is in /usr, of which a cell needs the libraries only, and has them.
        let folders = if prefix == Path::new("/usr") { Vec::new() } else { vec![prefix] };
        Interpreter { program, folders }
    })
}

/// The machine's Node.
pub(crate) fn node() -> &'static Interpreter {
    static FOUND: OnceLock<Interpreter> = OnceLock::new();
    FOUND.get_or_init(|| Interpreter {
        program: ask("node", &["-p", "process.execPath"])[0].clone().into(),
        folders: Vec::new(),
    })
}

fn ask(program: &str, args: &[&str]) -> Vec<String> {
    let output = Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// A cell to be, and what belongs to it.
pub(crate) struct Setup {
    pub cell: Cell,
    _folder: tempfile::TempDir,
}

/// What came of a program.
#[derive(Debug)]
pub(crate) struct Came {
    pub stdout: String,
    pub stderr: String,
    pub ended: Ended,
}

impl Setup {
    /// A program that reaches nothing.
    pub(crate) fn new(interpreter: &Interpreter, script: &str, args: &[&str]) -> Self {
        let flag = if interpreter.program.ends_with("node") { "-e" } else { "-c" };
        let folder = tempfile::tempdir().unwrap();
        let scratch = folder.path().join("scratch");
        std::fs::create_dir(&scratch).unwrap();
        let args = [flag, script].iter().chain(args).map(OsString::from).collect();
        let cell = Cell {
            program: interpreter.program.clone(),
            args,
            env: Vec::new(),
            read_only: interpreter.folders.clone(),
            listed: Vec::new(),
            scratch,
            network: Arc::default(),
            gate: gate(&[]),
            proxy_variables: !interpreter.program.ends_with("node"),
            limits: CellLimits::default(),
            level: Isolation::Full,
            launcher: rig_tests::rig_path(),
        };
        Self { cell, _folder: folder }
    }

    pub(crate) fn python(script: &str, args: &[&str]) -> Self {
        Self::new(python(), script, args)
    }

    pub(crate) fn node(script: &str, args: &[&str]) -> Self {
        Self::new(node(), script, args)
    }

    /// Grants hosts, each as `scheme://host:port`, and lets the private ones among them be reached.
    pub(crate) fn granted(mut self, grants: &[&str], allow_private: &[&str]) -> Self {
        let rules: Vec<serde_json::Value> = grants
            .iter()
            .map(|grant| {
                let (scheme, rest) = grant.split_once("://").unwrap();
                let (host, port) = rest.rsplit_once(':').unwrap();
                serde_json::json!({ "scheme": scheme, "host": host, "port": port.parse::<u16>().unwrap() })
            })
            .collect();
        let granted = serde_json::from_value(serde_json::json!({ "network": rules })).unwrap();
        self.cell.network = Arc::new(Reach::compile(&granted, &BTreeMap::new()).unwrap());
        self.cell.gate = gate(allow_private);
        self
    }

    pub(crate) fn limits(mut self, set: impl FnOnce(&mut CellLimits)) -> Self {
        set(&mut self.cell.limits);
        self
    }

    pub(crate) async fn start(&self) -> Running {
        self.cell.spawn().await.unwrap_or_else(|error| panic!("{error}\n{:?}", error.hint("x")))
    }

    /// Runs the program in the cell to its end.
    pub(crate) async fn run(&self) -> Came {
        finish(self.start().await, b"").await
    }

    /// Runs the same program with the same arguments without a cell.
    pub(crate) fn control(&self) -> String {
        let output =
            Command::new(&self.cell.program).args(&self.cell.args).env("TMPDIR", &self.cell.scratch).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }
}

pub(crate) fn gate(allow_private: &[&str]) -> Arc<Gate> {
    let allow_private = allow_private.iter().map(ToString::to_string).collect();
    Arc::new(Gate::new(&Settings { allow_private, ..Settings::default() }).unwrap())
}

/// Writes, reads everything, and waits for the end.
pub(crate) async fn finish(mut running: Running, stdin: &[u8]) -> Came {
    tokio::time::timeout(PATIENCE, async {
        running.stdin.write_all(stdin).await.unwrap();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        // Closed, so that a program that reads to the end finds one.
        let (nothing, _) = tokio::net::unix::pipe::pipe().unwrap();
        drop(std::mem::replace(&mut running.stdin, nothing));
        let (read, noted) =
            tokio::join!(running.stdout.read_to_end(&mut stdout), running.stderr.read_to_end(&mut stderr));
        read.and(noted).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Came { stdout: text(&stdout), stderr: text(&stderr), ended: running.held.ended().await }
    })
    .await
    .expect("a program that ends")
}
