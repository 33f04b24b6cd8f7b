//! Holds the committed `src/bindings.rs` equal to what the WIT world generates. Packs then build without the generator, which is
//! most of a clean build. `UPDATE_BINDINGS=1 cargo test -p rig-sdk --test bindings` writes the file anew.

use std::{fs, path::Path};

use wit_bindgen_core::{Files, WorldGenerator, wit_parser::Resolve};
use wit_bindgen_rust::Opts;

#[test]
fn the_committed_bindings_are_those_of_the_world() {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(sdk.join("../wit/0.1.0")).expect("the WIT package parses");
    let world = resolve.select_world(&[package], Some("pack")).expect("the package has a world `pack`");
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

    let path = sdk.join("src/bindings.rs");
    if std::env::var_os("UPDATE_BINDINGS").is_some() {
        fs::write(&path, &generated).expect("the bindings can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "src/bindings.rs is not what wit/0.1.0 generates: run with UPDATE_BINDINGS=1");
}
