//! Holds the committed bindings equal to what the WIT world generates: `src/bindings.rs` for Rust, which spares packs the generator,
//! most of a clean build, and `c/bindings.h` and `.c`. `UPDATE_BINDINGS=1 cargo test -p rig-sdk --test bindings` writes them anew.

#![allow(clippy::expect_used, reason = "all of this program is tests")]

use std::{fs, path::Path};

use wit_bindgen_core::{
    Files, WorldGenerator,
    wit_parser::{Resolve, WorldId},
};
use wit_bindgen_rust::Opts;

fn sdk() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn world() -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(sdk().join("../wit/0.1.0")).expect("the WIT package parses");
    let world = resolve.select_world(&[package], Some("pack")).expect("the package has a world `pack`");
    (resolve, world)
}

fn is_committed(path: &str, generated: &str) {
    let file = sdk().join(path);
    if std::env::var_os("UPDATE_BINDINGS").is_some() {
        fs::write(&file, generated).expect("the bindings can be written");
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == generated, "{path} is not what wit/0.1.0 generates: run with UPDATE_BINDINGS=1");
}

#[test]
fn the_bindings_for_c_are_those_of_the_world() {
    let (mut resolve, world) = world();
    let mut files = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files).expect("the world generates");
    for (name, generated) in files.iter() {
        let Ok(generated) = std::str::from_utf8(generated) else { continue };
        // What follows forces an object file in that describes the world; `rig build` does that when it makes the component.
        let (text, _) = generated.split_once("// Ensure that the *_component_type.o").unwrap_or((generated, ""));
        let text = text.replace("\"pack.h\"", "\"bindings.h\"").trim_end().to_owned() + "\n";
        is_committed(&format!("c/{}", name.replace("pack.", "bindings.")), &text);
    }
}

#[test]
fn the_bindings_for_rust_are_those_of_the_world() {
    let (mut resolve, world) = world();
    let options = Opts {
        format: true,
        runtime_path: Some("::rig_sdk::__private::rt".into()),
        default_bindings_module: Some("::rig_sdk::__private::bindings".into()),
        export_macro_name: Some("export_pack".into()),
        pub_export_macro: true,
        generate_all: true,
        ..Opts::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).expect("the world generates");
    let generated: Vec<_> = files.iter().collect();
    let [(_, generated)] = generated[..] else { panic!("one file, not {}", generated.len()) };
    let generated = String::from_utf8(generated.to_vec()).expect("the generated code is text");

    is_committed("src/bindings.rs", &generated);
}
