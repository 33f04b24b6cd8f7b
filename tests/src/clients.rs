//! The outside programs that `cargo xtask clients` installs, and how they are run: the official MCP clients, driven by the programs
//! in `tests/clients/`, and anything else that is installed there.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    Gateway, Project, Run, artifacts,
    described::Description,
    npm::{self, Package},
};

/// The installed programs.
pub struct Clients {
    dir: PathBuf,
}

/// An official client, as its users have it: with the revision that it chooses by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// `@modelcontextprotocol/sdk`: the generation that most programs still use.
    TypeScript1,
    /// `@modelcontextprotocol/client`, which begins with `initialize` unless told otherwise.
    TypeScript2,
    /// The same, told to find out what the server speaks.
    TypeScript2Auto,
    /// `mcp` from PyPI, which prefers the stateless revision.
    Python,
    /// The same, told to begin with `initialize`.
    PythonLegacy,
}

impl Client {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::TypeScript1, Self::TypeScript2, Self::TypeScript2Auto, Self::Python, Self::PythonLegacy];

    /// The revision of the protocol that it ends up with when the server speaks all.
    #[must_use]
    pub fn revision(self) -> &'static str {
        match self {
            Self::TypeScript1 | Self::TypeScript2 | Self::PythonLegacy => "2025-11-25",
            Self::TypeScript2Auto | Self::Python => "2026-07-28",
        }
    }

    fn plan(self) -> Value {
        match self {
            Self::TypeScript1 => json!({ "sdk": "v1" }),
            Self::TypeScript2 => json!({ "sdk": "v2" }),
            Self::TypeScript2Auto => json!({ "sdk": "v2", "protocol": "auto" }),
            Self::Python => json!({}),
            Self::PythonLegacy => json!({ "protocol": "legacy" }),
        }
    }
}

/// How a client reaches rig.
#[derive(Clone, Copy)]
pub enum Server<'a> {
    /// The client starts `rig serve mcp` and talks to it over its pipes.
    Stdio,
    /// The client talks to `/mcp` of a gateway.
    Http(&'a Gateway),
}

impl Clients {
    /// The installed programs. Nothing when they are not installed: then the reason is printed, and the test that asked is to end.
    /// With `RIG_TEST_CLIENTS=required` that is a failure instead.
    #[must_use]
    pub fn find() -> Option<Self> {
        Self::with(&["node", "python", "sdks", "tuf", "descriptions"])
    }

    /// As [`Clients::find`], for a test that runs [`Clients::oras`] only.
    #[must_use]
    pub fn find_oras() -> Option<Self> {
        Self::with(&["oras"])
    }

    /// As [`Clients::find`], for a test that has packs with SDKs in them installed.
    #[must_use]
    pub fn find_sdk_packs() -> Option<Self> {
        Self::with(&["node", "python", "sdk-packs"])
    }

    #[allow(clippy::print_stdout, reason = "what is skipped on a machine is said")]
    fn with(groups: &[&str]) -> Option<Self> {
        let dir = artifacts::clients();
        let missing = groups.iter().find(|group| !dir.join(group).join(".stamp").is_file());
        let Some(group) = missing else { return Some(Self { dir }) };
        let why = format!("{} is not installed: `cargo xtask clients` does that", dir.join(group).display());
        let required = env::var_os("RIG_TEST_CLIENTS").is_some_and(|value| value == "required");
        assert!(!required, "{why}");
        println!("SKIPPED: {why}");
        None
    }

    /// A run of Node in a project's environment, with the installed packages in reach.
    pub fn node(&self, project: &Project, script: &str) -> Run {
        let dir = self.dir.join("node");
        // Our programs stand there as links, and Node is to look for packages beside the link.
        let script = dir.join(script).to_str().expect("a path that is text").to_owned();
        project.run_other(&dir.join("node_modules/.bin/node")).args(["--preserve-symlinks-main", &script])
    }

    /// A run of an installed Python program, for example `python` itself.
    pub fn python(&self, project: &Project, program: &str) -> Run {
        project.run_other(&self.dir.join("python/venv/bin").join(program))
    }

    /// A run of the reference client of The Update Framework.
    pub fn tuf(&self, project: &Project) -> Run {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/tuf/client.py");
        project.run_other(&self.dir.join("tuf/venv/bin/python")).args(["-B", program])
    }

    /// A run of ORAS, a client of OCI registries.
    pub fn oras(&self, project: &Project) -> Run {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/oras/client.py");
        project.run_other(&self.dir.join("oras/venv/bin/python")).args(["-B", program])
    }

    /// A folder with the wheels of SDKs that packs for Python use, and of all that those need.
    #[must_use]
    pub fn sdk_wheels(&self) -> PathBuf {
        self.dir.join("sdk-packs/wheels")
    }

    /// The packages of SDKs that packs for Node use, and of all that those need.
    #[must_use]
    pub fn sdk_packages(&self) -> Vec<Package> {
        let dir = self.dir.join("sdk-packs");
        npm::of_lock(&dir.join("package-lock.json"), &dir.join("npm"))
    }

    /// Python with the services' official SDKs.
    pub(crate) fn sdk_python(&self) -> PathBuf {
        self.dir.join("sdks/venv/bin/python")
    }

    /// A service's published description of its API, by the name of its file.
    #[must_use]
    pub fn description(&self, file: &str) -> Description {
        Description::read(&self.dir.join("descriptions").join(file))
    }

    /// One of Google's, which its SDK carries.
    #[must_use]
    pub fn google_description(&self, file: &str) -> Description {
        let lib = self.dir.join("sdks/venv/lib");
        let pythons = fs::read_dir(&lib).unwrap_or_else(|error| panic!("{}: {error}", lib.display()));
        let documents = "site-packages/googleapiclient/discovery_cache/documents";
        let mut found = pythons.filter_map(Result::ok).map(|python| python.path().join(documents).join(file));
        Description::read(
            &found.find(|path| path.is_file()).unwrap_or_else(|| panic!("no {file} in {}", lib.display())),
        )
    }

    /// Stripe's, as far as its SDK says it: of these services.
    #[must_use]
    pub fn stripe_description(&self, services: &[&str]) -> Description {
        let home = tempfile::tempdir().expect("a temporary folder");
        let run = Run::new(self.sdk_python(), home.path(), BTreeMap::new(), Vec::new());
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/sdks/stripe_openapi.py");
        let output = run.args(["-B", program]).args(services).output();
        output.ok();
        Description::of(output.json())
    }

    /// Connects a client to rig in a project, has it do the steps, and returns what it saw. What a plan and its steps can say
    /// stands at the top of `tests/clients/node/client.mjs`.
    #[must_use]
    #[track_caller]
    pub fn run(&self, client: Client, project: &Project, server: Server<'_>, more: &Value, steps: &Value) -> Seen {
        let mut plan = client.plan();
        let mut add = |fields: &Value| {
            let fields = fields.as_object().expect("an object").clone();
            plan.as_object_mut().expect("an object").extend(fields);
        };
        match server {
            Server::Http(gateway) => add(&json!({ "url": gateway.url("/mcp") })),
            Server::Stdio => add(&json!({
                "command": artifacts::rig(), "args": ["serve", "mcp"], "cwd": project.dir(), "env": project.env()
            })),
        }
        add(&json!({ "steps": steps }));
        add(more);
        let run = match client {
            Client::Python | Client::PythonLegacy => {
                let program = fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/clients/python/client.py"));
                let program = program.expect("the program is part of the sources");
                self.python(project, "python").args([program.to_str().expect("a path that is text")])
            }
            _ => self.node(project, "client.mjs"),
        };
        let output = run.args([plan.to_string()]).output();
        output.ok();
        Seen { seen: output.json(), stderr: output.stderr }
    }
}

/// What a client saw.
#[derive(Debug)]
pub struct Seen {
    /// The object that the program printed.
    pub seen: Value,
    /// What the client, and over stdio rig too, wrote to stderr.
    pub stderr: String,
}

impl Seen {
    /// What a step left, after checking that the connection went well.
    #[must_use]
    #[track_caller]
    pub fn step(&self, n: usize) -> &Value {
        assert_eq!(self.seen["error"], Value::Null, "{self:#?}");
        assert!(self.seen["steps"][n].is_object(), "step {n}: {self:#?}");
        &self.seen["steps"][n]
    }

    /// The result of a step that called a tool.
    #[must_use]
    #[track_caller]
    pub fn result(&self, n: usize) -> &Value {
        let step = self.step(n);
        assert_eq!(step["error"], Value::Null, "{self:#?}");
        &step["result"]
    }

    /// The names that a step listed, sorted.
    #[must_use]
    #[track_caller]
    pub fn tools(&self, n: usize) -> Vec<&str> {
        let tools = self.step(n)["tools"].as_array().unwrap_or_else(|| panic!("step {n} lists no tools: {self:#?}"));
        let mut names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
        names.sort_unstable();
        names
    }
}
