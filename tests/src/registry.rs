//! OCI registries: Debian's `docker-registry`, started on loopback with a folder of its own, and artifacts as other clients make them.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{self, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rig_specs::Sha256;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::artifacts;

/// The user of a registry that asks who is there, and the password.
pub const USER: (&str, &str) = ("ann", "canary-password-7731");
/// The password as the registry has it: bcrypt at its lowest cost, and not secret.
const HASHED: &str = "ann:$2y$05$abcdefghijklmnopqrstuunUJNO0wSbC/0YCtzNGF96N0Fj2mNhq2\n";
/// How long a registry may take to start on a busy machine.
const START: Duration = Duration::from_mins(1);

/// A running registry; ends when dropped.
pub struct Registry {
    process: process::Child,
    address: String,
    _folder: TempDir,
}

impl Registry {
    /// A registry that lets everybody in. Nothing when this machine has no such program: then the reason is printed, and the test that
    /// asked is to end. With `RIG_TEST_CLIENTS=required` that is a failure instead.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::with(false)
    }

    /// A registry that lets in [`USER`] only.
    #[must_use]
    pub fn with_password() -> Option<Self> {
        Self::with(true)
    }

    fn with(password: bool) -> Option<Self> {
        let program = Self::program()?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let auth = if password {
            fs::write(folder.path().join("htpasswd"), HASHED).expect("write the password");
            format!("auth:\n  htpasswd:\n    realm: tests\n    path: {}\n", path("htpasswd"))
        } else {
            String::new()
        };
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n{auth}",
            path("data")
        );
        fs::write(folder.path().join("config.yml"), config).expect("write the configuration");
        let mut process = Command::new(&program)
            .args(["serve", &path("config.yml")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let log = BufReader::new(process.stderr.take().expect("piped"));
        let (send, receive) = mpsc::channel();
        // To the end: a registry whose log nobody reads stands still.
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("listening on ") {
                    let address: String =
                        rest.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect();
                    let _ = send.send(address);
                }
            }
        });
        let Ok(address) = receive.recv_timeout(START) else {
            let _ = process.kill();
            panic!("{} did not start", program.display());
        };
        Some(Self { process, address, _folder: folder })
    }

    /// The program of this machine, or the one that `cargo xtask clients` unpacked.
    #[must_use]
    #[allow(clippy::print_stdout, reason = "what is skipped on a machine is said")]
    pub fn program() -> Option<PathBuf> {
        let unpacked = artifacts::clients().join("docker-registry/usr/bin");
        let folders = env::var("PATH").unwrap_or_default();
        let folders = env::split_paths(&folders).chain(["/usr/bin".into(), unpacked]).collect::<Vec<_>>();
        let found = folders.into_iter().map(|folder| folder.join("docker-registry")).find(|path| path.is_file());
        if found.is_none() {
            let why = "there is no docker-registry: `cargo xtask clients` unpacks Debian's";
            let required = env::var_os("RIG_TEST_CLIENTS").is_some_and(|value| value == "required");
            assert!(!required, "{why}");
            println!("SKIPPED: {why}");
        }
        found
    }

    /// `127.0.0.1:<port>`
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `oci://127.0.0.1:<port>/<rest>`
    #[must_use]
    pub fn oci(&self, rest: &str) -> String {
        format!("oci://{}/{rest}", self.address)
    }

    /// The manifest under a tag or digest, as it is stored.
    #[must_use]
    pub fn manifest(&self, repository: &str, under: &str) -> Vec<u8> {
        let (status, _, body) = self.send("GET", &format!("/v2/{repository}/manifests/{under}"), MANIFEST, &[]);
        assert_eq!(status, 200, "{repository} {under}: {}", String::from_utf8_lossy(&body));
        body
    }

    /// What is stored under a digest.
    #[must_use]
    pub fn blob(&self, repository: &str, digest: &str) -> Vec<u8> {
        let (status, _, body) = self.send("GET", &format!("/v2/{repository}/blobs/{digest}"), MANIFEST, &[]);
        assert_eq!(status, 200, "{repository} {digest}");
        body
    }

    /// Puts an artifact under a tag, whatever is there.
    pub fn put(&self, repository: &str, tag: &str, artifact: &Artifact) {
        for blob in &artifact.blobs {
            let (status, head, _) = self.send("POST", &format!("/v2/{repository}/blobs/uploads/"), MANIFEST, &[]);
            assert_eq!(status, 202);
            let place = head.lines().find_map(|line| line.strip_prefix("Location: ")).expect("where to upload to");
            let path = place.split_once(&self.address).map_or(place, |(_, path)| path).trim();
            let path = format!("{path}&digest={}", Sha256::of(blob));
            assert_eq!(self.send("PUT", &path, "application/octet-stream", blob).0, 201);
        }
        let path = format!("/v2/{repository}/manifests/{tag}");
        let (status, _, body) = self.send("PUT", &path, &artifact.kind, &artifact.manifest);
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    }

    /// One request: status, head and body of the answer. Nothing of rig's own is used to look at what rig did.
    fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).expect("the registry runs");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAccept: {kind}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("send a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("read the answer");
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("the end of the head");
        let head = String::from_utf8_lossy(&answer[..end]).replace("\r\n", "\n");
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
        (status, head, answer[end + 4..].to_vec())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The media type of a manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an index.
pub const IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Something for a registry: a manifest, and what it names.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// The media type of the manifest.
    pub kind: String,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// What it names.
    pub blobs: Vec<Vec<u8>>,
}

impl Artifact {
    /// A component as `wkg oci push` makes an artifact of it: with the time of the push in the config, and everything in wkg's order.
    #[must_use]
    pub fn by_wkg(component: &[u8]) -> Self {
        let config = format!(
            r#"{{"created":"2026-11-21T12:34:56.789012345Z","author":null,"architecture":"wasm","os":"wasip2","layerDigests":["{}"],"component":{{"exports":["rig:pack/tools@0.1.0"],"imports":["rig:pack/http@0.1.0"],"target":null}}}}"#,
            Sha256::of(component)
        );
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.wasm.config.v0+json","digest":"{}","size":{}}},"layers":[{{"mediaType":"application/wasm","digest":"{}","size":{}}}],"annotations":{{"org.opencontainers.image.version":"0.0.0"}}}}"#,
            Sha256::of(config.as_bytes()),
            config.len(),
            Sha256::of(component),
            component.len()
        );
        Self {
            kind: MANIFEST.into(),
            manifest: manifest.into_bytes(),
            blobs: vec![config.into_bytes(), component.to_vec()],
        }
    }

    /// The same with the manifest changed.
    #[must_use]
    pub fn changed(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let mut value = serde_json::from_slice(&self.manifest).expect("a manifest is JSON");
        change(&mut value);
        self.manifest = value.to_string().into_bytes();
        self
    }

    /// An index of these manifests, each with what is said of it there.
    #[must_use]
    pub fn index(entries: &[(&Self, Value)]) -> Self {
        let entry = |(artifact, said): &(&Self, Value)| {
            let mut entry = json!({
                "mediaType": artifact.kind, "digest": artifact.digest(), "size": artifact.manifest.len(),
            });
            let more = said.as_object().expect("an object").clone();
            entry.as_object_mut().expect("an object").extend(more);
            entry
        };
        let entries: Vec<Value> = entries.iter().map(entry).collect();
        let manifest = json!({ "schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": entries });
        Self { kind: IMAGE_INDEX.into(), manifest: manifest.to_string().into_bytes(), blobs: Vec::new() }
    }

    /// Of the manifest.
    #[must_use]
    pub fn digest(&self) -> String {
        Sha256::of(&self.manifest).to_string()
    }
}
