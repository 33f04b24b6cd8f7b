//! What a pack author uses.

// So that the generated code and the macro name this crate the same way inside and outside of it.
extern crate self as rig_sdk;

#[doc(hidden)]
#[allow(
    missing_docs,
    missing_debug_implementations,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    reason = "generated; a test holds it equal to the WIT world"
)]
pub mod bindings;

#[cfg(any(test, all(target_arch = "wasm32", feature = "arena")))]
mod alloc;
mod error;
mod host;
mod tool;

pub mod clock;
pub mod config;
pub mod http;
pub mod invoke;
pub mod json;
pub mod log;
#[cfg(not(target_arch = "wasm32"))]
pub mod mock;
pub mod random;
pub mod storage;

pub use error::{Error, ErrorKind, Result};
pub use rig_sdk_macros::tool;
pub use tool::{Context, RiskClass, Tool};

/// What the macros need. Not for use by hand.
#[doc(hidden)]
pub mod __private {
    #[cfg(not(target_arch = "wasm32"))]
    pub use crate::tool::problems;
    pub use crate::{
        bindings,
        bindings::exports::rig::pack::tools::Guest,
        bindings::rig::pack::types::{ToolDef, ToolError},
        tool::{
            Entry, Example, Meta, call, describe, input_schema, install_panic_hook, output_schema, parse_args,
            write_output,
        },
    };
    pub use schemars;
    pub use serde;
    pub use wit_bindgen::rt;
}

/// Makes the crate a pack that offers these tools: functions that carry `#[tool]`, by name or path.
///
/// Stands once, in the crate's root. Built for `wasm32-unknown-unknown` the crate then exports the world of `rig:pack`;
/// built natively it gets a test instead, which checks that the tools are well-formed.
#[macro_export]
macro_rules! export {
    ($($tool:path),+ $(,)?) => {
        #[doc(hidden)]
        #[allow(dead_code, reason = "natively only the test below uses it")]
        const __RIG_TOOLS: &[$crate::__private::Entry] = &[$($crate::__private::Entry::of::<$tool>()),+];

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Pack;

            impl $crate::__private::Guest for Pack {
                fn describe() -> ::std::vec::Vec<$crate::__private::ToolDef> {
                    $crate::__private::install_panic_hook();
                    $crate::__private::describe(__RIG_TOOLS)
                }

                fn call(
                    name: ::std::string::String,
                    args: ::std::string::String,
                    ctx: $crate::Context,
                ) -> ::std::result::Result<::std::string::String, $crate::__private::ToolError> {
                    $crate::__private::install_panic_hook();
                    ::std::result::Result::map_err(
                        $crate::__private::call(__RIG_TOOLS, &name, &args, &ctx),
                        ::std::convert::Into::into,
                    )
                }
            }

            $crate::__private::bindings::export_pack!(Pack with_types_in $crate::__private::bindings);
        };

        #[cfg(test)]
        #[test]
        fn rig_tools_are_well_formed() {
            let problems = $crate::__private::problems(__RIG_TOOLS);
            assert!(problems.is_empty(), "{}", problems.join("\n"));
        }
    };
}
