//! What a pack author uses: tools as plain functions, compiled to a component that runs in a sandbox.
//!
//! ```
//! use rig_sdk::{Error, Result, http, tool};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! /// The weather in a place.
//! #[derive(Debug, Serialize, Deserialize, JsonSchema)]
//! pub struct Weather {
//!     /// Degrees Celsius.
//!     pub temperature: f64,
//!     /// A word for the sky; null at night.
//!     pub sky: Option<String>,
//! }
//!
//! /// Tells the current weather in a city. Ask for the country when the city's name is not unique.
//! #[tool(
//!     name = "weather.current.get",
//!     title = "Current weather",
//!     risk = "read",
//!     tags = ["weather"],
//!     slots = ["WEATHER_TOKEN"],
//!     idempotent,
//!     example(description = "In Oslo", args = r#"{"city": "Oslo"}"#, output = r#"{"temperature": -3.5, "sky": "snow"}"#)
//! )]
//! pub fn current(
//!     /// The name of the city.
//!     city: String,
//!     /// ISO 3166 code of the country.
//!     country: Option<String>,
//!     /// For how many minutes an older answer will do.
//!     #[tool(default = 10)]
//!     #[schemars(range(max = 60))]
//!     max_age: u32,
//! ) -> Result<Weather> {
//!     let response = http::get("https://api.example.com/v1/weather")
//!         .path(&[&city])
//!         .query_opt("country", country)
//!         .query("max_age", max_age)
//!         .send()?;
//!     match response.status() {
//!         200 => response.json(),
//!         404 => Err(Error::not_found(format!("no city is named {city}")).hint("add the country")),
//!         status => Err(response.failure(format!("the weather service answered {status}"))),
//!     }
//! }
//!
//! rig_sdk::export!(current);
//!
//! // In a test the function is called as it is, against a stand-in for the network.
//! # fn main() {
//! use rig_sdk::mock;
//!
//! let mock = mock::http(|_| Ok(mock::Response::new(200).body(r#"{"temperature": -3.5, "sky": null}"#)));
//! assert_eq!(current("Oslo".into(), None, 10).unwrap().temperature, -3.5);
//! assert_eq!(mock.requests()[0].url, "https://api.example.com/v1/weather/Oslo?max_age=10");
//! # }
//! ```
//!
//! The crate is a `cdylib` (and a `lib`, for its tests) that depends on `rig-sdk`, `serde` and `schemars`. Beside its
//! `Cargo.toml` stands `rig-pack.toml`, which says what the pack asks for: hosts, secrets, settings, storage.
//!
//! # Tools
//!
//! [`#[tool]`](macro@tool) stands on a free function and leaves it as it is.
//!
//! | Argument | |
//! |---|---|
//! | `name = "pack.noun.verb"` | required; the first part is the pack's id |
//! | `risk = "read"` | required; or `write`, `infra`, `money`, `destructive` |
//! | `title = "…"` | a short title for people |
//! | `tags = ["…"]` | words to find the tool by |
//! | `slots = ["…"]` | the secrets that the tool's requests carry; others are out of its reach |
//! | `idempotent` | calling twice has the effect of calling once, so the host may retry |
//! | `policy_defaults = r#"{…}"#` | defaults for the project's policy |
//! | `example(description = "…", args = r#"{…}"#, output = r#"{…}"#)` | as often as wanted; `output` may be left out |
//!
//! The doc comment of the function is the tool's description, and each parameter has one as well. Both are required: they are what
//! a model chooses by. Lines of a paragraph are joined.
//!
//! Parameters are owned types that implement serde's `Deserialize` and schemars' `JsonSchema`. `Option<T>` makes an argument
//! optional; `#[tool(default = value)]` or `#[tool(default)]` gives it a default; `#[schemars(...)]` and `#[serde(...)]` are handed
//! on, for example for a range, a pattern or another name. Unknown arguments are refused. A first parameter `ctx: &Context`, when
//! there is one, is the [`Context`] of the call: who calls, which attempt it is, the key to pass on where a service takes one.
//!
//! `#[schemars(...)]` on the function itself, below `#[tool]`, goes to the schema of the arguments as a whole, for example
//! `#[schemars(extend("minProperties" = 1))]`.
//!
//! The output is `Result<T>` with a struct `T` that implements `Serialize` and `JsonSchema`. Say in the comments of its fields what
//! can be null: the host checks outputs against the schema.
//!
//! # Where tools run
//!
//! Each call runs in a fresh instance: statics start anew. There are no files, environment, threads or sockets; what there is, is
//! in the modules here, and a component imports only those it uses. `std::time` and `println!` do not work in a pack: use
//! [`clock`] and [`log`]. A panic ends the call with an `internal_error`; its message goes to the log.
//!
//! Secrets are never seen: the host adds them to requests on their way out, where the manifest says so.

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

pub mod client;
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
    pub use crate::tool::{Entry, problems};
    pub use crate::{
        bindings,
        bindings::exports::rig::pack::tools::Guest,
        bindings::rig::pack::types::{ToolDef, ToolError},
        tool::{
            Example, Meta, call, describe, input_schema, install_panic_hook, output_schema, parse_args, write_output,
        },
    };
    pub use rig_sdk_macros::{call_tools, describe_tools};
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
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Pack;

            impl $crate::__private::Guest for Pack {
                fn describe() -> ::std::vec::Vec<$crate::__private::ToolDef> {
                    $crate::__private::install_panic_hook();
                    $crate::__private::describe_tools!($($tool),+)
                }

                fn call(
                    name: ::std::string::String,
                    args: ::std::string::String,
                    ctx: $crate::Context,
                ) -> ::std::result::Result<::std::string::String, $crate::__private::ToolError> {
                    $crate::__private::install_panic_hook();
                    ::std::result::Result::map_err(
                        $crate::__private::call_tools!(&name, &args, &ctx, $($tool),+),
                        ::std::convert::Into::into,
                    )
                }
            }

            $crate::__private::bindings::export_pack!(Pack with_types_in $crate::__private::bindings);
        };

        #[cfg(test)]
        #[test]
        fn rig_tools_are_well_formed() {
            let problems = $crate::__private::problems(&[$($crate::__private::Entry::of::<$tool>()),+]);
            assert!(problems.is_empty(), "{}", problems.join("\n"));
        }
    };
}
