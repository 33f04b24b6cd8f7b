//! What is accepted as a pack, and each reason for which something is not.

use super::*;
use crate::install::test_packs::{component, embedded as described, pack, with_section};

fn rig() -> Version {
    Version::new(0, 1, 0)
}

fn refusal(bytes: &[u8]) -> InspectError {
    inspect(bytes, &rig()).unwrap_err()
}

fn with_imports(imports: &str) -> Vec<u8> {
    let text = serde_json::to_vec(&described("echo", "1.0.0")).unwrap();
    with_section(component(imports, TOOLS), SECTION, &text)
}

#[test]
fn a_pack_is_read_without_running_it() {
    let imports = r#"
        (import "rig:pack/clock@0.1.0" (instance (export "now-ms" (func (result u64)))))
        (import "wasi:cli/environment@0.2.3" (instance))
        (import "wasi:cli/exit@0.2.6" (instance))"#;
    let bytes = with_imports(imports);
    let found = inspect(&bytes, &rig()).unwrap();
    assert_eq!(found.pack, described("echo", "1.0.0"));
    assert_eq!(found.imports.join(" "), "rig:pack/clock@0.1.0 wasi:cli/environment@0.2.3 wasi:cli/exit@0.2.6");
    assert_eq!((found.sha256, found.size), (Sha256::of(&bytes), bytes.len() as u64));
    assert_eq!(embedded(&bytes).unwrap(), found.pack);
}

#[test]
fn other_files_are_refused_each_with_its_own_words() {
    let sound = pack(&described("echo", "1.0.0"));
    let module = wat::parse_str("(module)").unwrap();
    let text = serde_json::to_vec(&described("echo", "1.0.0")).unwrap();
    let bare = component("", TOOLS);
    let section = |data: &[u8]| with_section(bare.clone(), SECTION, data);
    // A section of a module inside does not speak for the component.
    let hidden = wat::parse_str(format!(r#"(component (core module (@custom "{SECTION}" "{{}}")))"#)).unwrap();
    assert!(parts(&hidden).unwrap().sections.is_empty());
    let mut other_format = described("echo", "1.0.0");
    other_format.format = 2;
    let mut unsound = described("echo", "1.0.0");
    unsound.tools.clear();
    let mut newer = described("echo", "1.0.0");
    newer.manifest.pack.min_rig = Some(Version::new(9, 0, 0));
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "the file is empty"),
        (b"<html>".to_vec(), "the file is not WebAssembly"),
        (b"\0as".to_vec(), "the file is not WebAssembly"),
        (module, "the file is a core WebAssembly module, not a component"),
        (sound[..sound.len() - 1].to_vec(), "the component is not valid: unexpected end"),
        (
            component("", "rig:pack/tools@0.2.0"),
            "the component does not export `rig:pack/tools@0.1.0`, but `rig:pack/tools@0.2.0`",
        ),
        (component("", "a:b/c"), "the component does not export `rig:pack/tools@0.1.0`"),
        (bare.clone(), "the component has no `rig-pack` section"),
        (with_section(sound.clone(), SECTION, &text), "the component has 2 `rig-pack` sections"),
        (
            section(&vec![b' '; MAX_SECTION + 1]),
            "the `rig-pack` section has 4194305 bytes, more than the 4194304 allowed",
        ),
        (section(b"{"), "the `rig-pack` section is malformed: `.`: EOF"),
        (
            section(&serde_json::to_vec(&other_format).unwrap()),
            "the `rig-pack` section has format 2, and this rig reads 1",
        ),
        (
            section(br#"{"format":1,"manifest":{"pack":5},"tools":[]}"#),
            "the `rig-pack` section is malformed: `manifest.pack`: invalid type",
        ),
        (pack(&unsound), "the pack `echo` is not sound: the pack has no tools"),
        (pack(&newer), "the pack `echo` needs rig 9.0.0 or later; this is rig 0.1.0"),
    ];
    for (bytes, message) in cases {
        let error = refusal(&bytes);
        assert!(error.to_string().starts_with(message), "{error}\nexpected: {message}");
    }
    assert!(inspect(&sound, &rig()).is_ok());
}

#[test]
fn a_changed_byte_of_code_is_noticed_by_validation() {
    let mut bytes = pack(&described("echo", "1.0.0"));
    let at = bytes.windows(8).position(|window| window == b"describe").unwrap();
    bytes[at - 1] = 0xff;
    assert!(matches!(refusal(&bytes), InspectError::Invalid { .. }));
}

#[test]
fn imports_that_the_host_does_not_have_are_named() {
    let cases = [
        (r#"(import "evil:host/shell@1.0.0" (instance))"#, "`evil:host/shell@1.0.0`"),
        (r#"(import "rig:pack/secrets@0.1.0" (instance))"#, "`rig:pack/secrets@0.1.0`"),
        (r#"(import "rig:pack/http@0.2.0" (instance))"#, "`rig:pack/http@0.2.0`"),
        (r#"(import "rig:pack/http@0.1.0-rc" (instance))"#, "`rig:pack/http@0.1.0-rc`"),
        (r#"(import "rig:pack/http" (instance))"#, "`rig:pack/http`"),
        (r#"(import "wasi:cli/environment@0.3.0" (instance))"#, "`wasi:cli/environment@0.3.0`"),
        (r#"(import "wasi:nn/graph@0.2.0" (instance))"#, "`wasi:nn/graph@0.2.0`"),
        (r#"(import "print" (func))"#, "`print`"),
        (
            r#"(import "rig:pack/clock@0.1.3" (instance (export "now-ms" (func)) (export "secret" (func))))"#,
            "`secret` of `rig:pack/clock@0.1.3`",
        ),
        (r#"(import "b" (func)) (import "a:b/c@1.0.0" (instance))"#, "`a:b/c@1.0.0`, `b`"),
    ];
    for (imports, named) in cases {
        let error = refusal(&with_imports(imports));
        assert_eq!(error.to_string(), format!("the component imports what this rig does not offer: {named}"));
    }
}

#[test]
fn texts_of_a_pack_cannot_write_on_the_terminal() {
    let mut nasty = described("echo", "1.0.0");
    nasty.tools[0].def.name = "echo.\u{1b}[2Jx\u{202e}".into();
    let error = refusal(&pack(&nasty)).to_string();
    assert!(!error.contains(['\u{1b}', '\u{202e}']), "{error:?}");
}
