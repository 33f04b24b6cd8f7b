//! Packs made from WebAssembly text: they do exactly what a test writes down, instruction by instruction, so that no toolchain or
//! library stands between a test and what a malicious or foreign pack could do.
//!
//! A pack has one tool, `<id>.probe.run`, that takes any arguments. Its body leaves an address and a length on the stack, and the
//! tool answers with the bytes there, as hex: `{"trace":"…"}` ([`trace`]).

use std::{fmt::Write as _, path::Path};

use rig_specs::manifest::EmbeddedPack;
use serde_json::{Value, json};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::packs;

/// Where the memory of a pack is free for a test: from here to [`FREE_END`], all zeros.
pub const FREE: u32 = 4096;
/// The end of what is free; allocations for what the host passes in follow.
pub const FREE_END: u32 = 32 * 1024;

/// A pack that is about to be made.
#[derive(Debug, Clone)]
pub struct Guest {
    id: String,
    imports: Vec<String>,
    parts: String,
    body: String,
    texts: Vec<(u32, Vec<u8>)>,
    next: u32,
    manifest: Value,
    slots: Vec<String>,
}

impl Guest {
    /// A pack that asks for nothing and answers with nothing.
    #[must_use]
    pub fn new(id: &str) -> Self {
        let about = json!({ "id": id, "version": "1.0.0", "display-name": id, "description": "A pack of a test." });
        let body = format!("(i32.const {FREE}) (i32.const 0)");
        let (imports, texts, slots) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            id: id.to_owned(),
            imports,
            parts: String::new(),
            body,
            texts,
            next: 256,
            manifest: json!({ "pack": about }),
            slots,
        }
    }

    /// Imports a function as the core module sees it: the interface with its version, the function, and its core type, for example
    /// `(param i32) (result i32)`. In the text it is `$` and the name.
    #[must_use]
    pub fn import(mut self, interface: &str, function: &str, name: &str, core_type: &str) -> Self {
        if !self.imports.iter().any(|import| import == interface) {
            self.imports.push(interface.to_owned());
        }
        writeln!(self.parts, r#"(import "{interface}" "{function}" (func ${name} {core_type}))"#).expect("a string");
        self
    }

    /// Puts a text into the memory; its address is the value of the global `$` and the name.
    #[must_use]
    pub fn text(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let (bytes, at) = (bytes.as_ref(), self.next);
        writeln!(self.parts, "(global ${name} i32 (i32.const {at}))").expect("a string");
        self.next += u32::try_from(bytes.len()).expect("a short text").next_multiple_of(16);
        assert!(self.next <= FREE, "too many texts");
        self.texts.push((at, bytes.to_vec()));
        self
    }

    /// What the tool does. It may use the locals `$i`, `$j` and `$k`, and leaves the address and the length of its answer.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    /// Sets one table of the manifest, for example `network`.
    #[must_use]
    pub fn asks(mut self, table: &str, value: Value) -> Self {
        self.manifest[table] = value;
        self
    }

    /// Lets the tool use a secret.
    #[must_use]
    pub fn slot(mut self, slot: &str) -> Self {
        self.slots.push(slot.to_owned());
        self
    }

    /// Takes the tool's secrets away; the pack still asks for them.
    #[must_use]
    pub fn without_slots(mut self) -> Self {
        self.slots.clear();
        self
    }

    /// The pack's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name of the tool.
    #[must_use]
    pub fn tool(&self) -> String {
        format!("{}.probe.run", self.id)
    }

    /// The component, ready to be installed.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let component = self.component();
        let tool = json!({
            "def": {
                "name": self.tool(), "description": "Does what the test says.", "input_schema": { "type": "object" },
                "output_schema": { "type": "object" }, "error_schema": {}, "auth_slots": self.slots, "risk_class": "read",
                "tags": [], "policy_defaults": {}, "examples": []
            }
        });
        let pack: EmbeddedPack =
            serde_json::from_value(json!({ "format": 1, "manifest": self.manifest, "tools": [tool] }))
                .expect("an EmbeddedPack");
        assert_eq!(pack.problems(), Vec::<String>::new());
        packs::with_section(&component, &serde_json::to_vec(&pack).expect("an EmbeddedPack is JSON"))
    }

    fn component(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.module()).unwrap_or_else(|error| panic!("{error}"));
        let mut resolve = Resolve::default();
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/0.1.0");
        resolve.push_path(own).expect("the interface of packs");
        let imports: String = self.imports.iter().fold(String::new(), |all, import| all + "import " + import + ";\n");
        let text = include_str!("guest/wasi.wit");
        let text = format!("package test:guest;\nworld guest {{ include rig:pack/pack@0.1.0;\n{imports} }}\n{text}");
        let package = resolve.push_str("guest.wit", &text).unwrap_or_else(|error| panic!("{error:#}"));
        let world = resolve.select_world(&[package], Some("guest")).expect("the world");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("metadata");
        let component = ComponentEncoder::default().module(&module).and_then(|encoder| encoder.validate(true).encode());
        component.unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn module(&self) -> String {
        let Self { parts, body, .. } = self;
        let mut data = String::new();
        for (at, bytes) in &self.texts {
            let bytes: String = bytes.iter().fold(String::new(), |all, byte| all + &format!("\\{byte:02x}"));
            writeln!(data, "(data (i32.const {at}) \"{bytes}\")").expect("a string");
        }
        format!(
            r#"(module
            {parts}
            (memory $memory (export "memory") 8)
            {data}
            (data (i32.const 64) "0123456789abcdef")
            (data (i32.const 80) "{{\"trace\":\"")
            (global $heap (mut i32) (i32.const {FREE_END}))
            (func (export "cabi_realloc") (param $old i32) (param $old_len i32) (param $align i32) (param $len i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
                (global.set $heap (i32.add (local.get $at) (local.get $len)))
                (memory.copy (local.get $at) (local.get $old) (local.get $old_len))
                (local.get $at))
            ;; Writes the bytes as hex between the two parts of the answer, and gives the address of a result that points there.
            (func $answer (param $from i32) (param $len i32) (result i32)
                (local $to i32)
                (memory.copy (i32.const 262144) (i32.const 80) (i32.const 10))
                (local.set $to (i32.const 262154))
                (block $done
                    (loop $more
                        (br_if $done (i32.eqz (local.get $len)))
                        (i32.store8 (local.get $to)
                            (i32.load8_u offset=64 (i32.shr_u (i32.load8_u (local.get $from)) (i32.const 4))))
                        (i32.store8 offset=1 (local.get $to)
                            (i32.load8_u offset=64 (i32.and (i32.load8_u (local.get $from)) (i32.const 15))))
                        (local.set $to (i32.add (local.get $to) (i32.const 2)))
                        (local.set $from (i32.add (local.get $from) (i32.const 1)))
                        (local.set $len (i32.sub (local.get $len) (i32.const 1)))
                        (br $more)))
                (i32.store16 (local.get $to) (i32.const 0x7d22))
                (i32.store (i32.const 262100) (i32.const 0))
                (i32.store (i32.const 262104) (i32.const 262144))
                (i32.store (i32.const 262108) (i32.sub (i32.add (local.get $to) (i32.const 2)) (i32.const 262144)))
                (i32.const 262100))
            (func (export "rig:pack/tools@0.1.0#describe") (result i32) unreachable)
            (func (export "rig:pack/tools@0.1.0#call")
                (param $name i32) (param $name_len i32) (param $args i32) (param $args_len i32)
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)
                (local $i i32) (local $j i32) (local $k i32)
                {body}
                (call $answer)))"#
        )
    }
}

/// The bytes that a tool of such a pack answered with.
#[must_use]
#[track_caller]
pub fn trace(output: &Value) -> Vec<u8> {
    let trace = output["trace"].as_str().unwrap_or_else(|| panic!("not an answer of a test pack: {output}"));
    hex::decode(trace).unwrap_or_else(|error| panic!("{error}: {trace}"))
}
