//! The attribute `#[tool]` of `rig-sdk`, which documents it. Nothing here is for use without that crate.

mod attribute;
mod doc;
mod expand;
mod params;
mod world;

use proc_macro::TokenStream;

/// Makes a function a tool; see the documentation of `rig_sdk`.
#[proc_macro_attribute]
pub fn tool(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    match expand::tool(attribute.into(), &item) {
        Ok(tokens) => tokens.into(),
        // The function stays, without what only `#[tool]` understands, so that its callers do not fail as well.
        Err(error) => {
            let (error, function) = (error.into_compile_error(), expand::function_alone(item));
            quote::quote!(#error #function).into()
        }
    }
}

/// The body of the exported `describe`; of `rig_sdk::export!` alone.
#[doc(hidden)]
#[proc_macro]
pub fn describe_tools(tools: TokenStream) -> TokenStream {
    world::describe(tools.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// The body of the exported `call`; of `rig_sdk::export!` alone.
#[doc(hidden)]
#[proc_macro]
pub fn call_tools(input: TokenStream) -> TokenStream {
    world::call(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
