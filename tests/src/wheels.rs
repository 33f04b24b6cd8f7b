//! Packs for Python, made in a moment: wheels with the code that a test gives, and folders of them that stand for an index.

use std::{
    fmt::Write as _,
    fs,
    io::{Cursor, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rig_specs::Sha256;
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

/// A wheel to be made.
#[derive(Debug, Clone)]
pub struct Wheel {
    name: String,
    version: String,
    tag: String,
    metadata: Vec<String>,
    entry_points: String,
    files: Vec<(String, String)>,
}

impl Wheel {
    /// A wheel of that name without anything in it.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            tag: "py3-none-any".into(),
            metadata: Vec::new(),
            entry_points: String::new(),
            files: Vec::new(),
        }
    }

    /// A pack: the module `<name>` with this code, which ends in an object `pack` that the entry point names.
    #[must_use]
    pub fn pack(name: &str, version: &str, code: &str) -> Self {
        let module = name.replace('-', "_");
        Self::new(name, version)
            .requires("rig-core>=0.1.0")
            .entry_points(&format!("[rig.packs]\n{name} = {module}:pack\n"))
            .file(&format!("{module}/__init__.py"), code)
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.into(), text.into()));
        self
    }

    /// Adds a requirement.
    #[must_use]
    pub fn requires(self, what: &str) -> Self {
        self.metadata(&format!("Requires-Dist: {what}"))
    }

    /// Adds a line of metadata.
    #[must_use]
    pub fn metadata(mut self, line: &str) -> Self {
        self.metadata.push(line.into());
        self
    }

    /// Sets the entry points.
    #[must_use]
    pub fn entry_points(mut self, text: &str) -> Self {
        self.entry_points = text.into();
        self
    }

    /// Sets the tag that says which machines it is for.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.tag = tag.into();
        self
    }

    /// The name of the project.
    #[must_use]
    pub fn project(&self) -> String {
        self.name.clone()
    }

    /// The name of the file.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}-{}-{}.whl", self.name.replace('-', "_"), self.version, self.tag)
    }

    /// Writes the wheel into a folder.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join(self.file_name());
        fs::create_dir_all(folder).expect("make a folder of this test");
        fs::write(&path, self.bytes()).expect("write a file of this test");
        path
    }

    /// The bytes, the same for the same contents.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let info = format!("{}-{}.dist-info", self.name.replace('-', "_"), self.version);
        let mut metadata = format!("Metadata-Version: 2.1\nName: {}\nVersion: {}\n", self.name, self.version);
        for line in &self.metadata {
            let _ = writeln!(metadata, "{line}");
        }
        let wheel = format!("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {}\n", self.tag);
        let mut files = self.files.clone();
        files.push((format!("{info}/METADATA"), metadata));
        files.push((format!("{info}/WHEEL"), wheel));
        if !self.entry_points.is_empty() {
            files.push((format!("{info}/entry_points.txt"), self.entry_points.clone()));
        }
        let record = |(path, text): &(String, String)| {
            let hash = URL_SAFE_NO_PAD.encode(Sha256::of(text.as_bytes()).as_bytes());
            format!("{path},sha256={hash},{}\n", text.len())
        };
        let list: String = files.iter().map(record).collect();
        files.push((format!("{info}/RECORD"), format!("{list}{info}/RECORD,,\n")));
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::DEFAULT);
        for (path, text) in &files {
            zip.start_file(path.as_str(), options).expect("a zip in memory");
            zip.write_all(text.as_bytes()).expect("a zip in memory");
        }
        zip.finish().expect("a zip in memory").into_inner()
    }
}

/// The code of a pack whose tools are these, by name: each a risk class, slots, and the body of its function
/// `impl(args, secrets, ctx)`.
#[must_use]
pub fn pack_code(id: &str, version: &str, tools: &[(&str, &str)]) -> String {
    let mut code = String::from(
        "from rig_core.rtp import ToolDef, ToolError, ToolResult, CallContext\n\
         from rig_core.runtime import RegisteredTool, RigToolRaised\n\
         import asyncio, os, sys, time\n\nTOOLS = {}\n\n\
         def tool(name, **more):\n    def register(impl):\n        TOOLS[name] = (ToolDef(name=name, description='Does ' + name + '.', \
         **more), impl)\n        return impl\n    return register\n\n",
    );
    for (head, body) in tools {
        let _ = writeln!(code, "@tool({head})\ndef _(args, secrets, ctx):");
        for line in body.lines() {
            let _ = writeln!(code, "    {line}");
        }
        code.push('\n');
    }
    let _ = write!(
        code,
        "class Pack:\n    def rig_pack_metadata(self):\n        return {{'name': {id:?}, 'version': {version:?}}}\n\
         \n    def rig_tools(self):\n        return [tool for tool, _ in TOOLS.values()]\n\
         \n    def rig_impls(self):\n        return {{name: RegisteredTool(tool, impl, {id:?}, {version:?}) for name, (tool, impl) in \
         TOOLS.items()}}\n\npack = Pack()\n"
    );
    code
}
