//! What `#[tool]` says about mistakes, and where it points. `TRYBUILD=overwrite cargo test -p rig-sdk --test ui` writes the
//! expected messages anew.

#[test]
fn mistakes_are_pointed_at() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
