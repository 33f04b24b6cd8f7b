//! The bodies of the two functions that a pack exports, as `rig build` wants them.
//!
//! What makes schemas of types is much code that no call needs. `rig build` therefore compiles a pack twice: first only to ask for
//! the schemas, then with the answers as constants in place of that code. A plain `cargo build` makes a pack that computes them.

use std::{env, fs};

use proc_macro2::{Span, TokenStream};
use quote::quote;
use serde_json::Value;
use syn::{
    Error, Expr, Path, Result, Token,
    parse::{Parse, ParseStream},
    parse2,
    punctuated::Punctuated,
};

/// Names the file with the schemas of this pack's tools, or is [`ASKED`]. Not set by a plain `cargo build`.
const VARIABLE: &str = "RIG_TOOL_SCHEMAS";

/// The pack will be asked for its schemas and for nothing else.
const ASKED: &str = "-";

type Tools = Punctuated<Path, Token![,]>;

/// `describe`: the tools' definitions, with schemas as `rig build` says.
pub(crate) fn describe(tools: TokenStream) -> Result<TokenStream> {
    let tools = syn::parse::Parser::parse2(Tools::parse_terminated, tools)?;
    let Some(file) = env::var(VARIABLE).ok().filter(|file| !file.is_empty() && file != ASKED) else {
        let definitions = tools.iter().map(|tool| {
            quote! {(
                &<#tool as ::rig_sdk::Tool>::META,
                <#tool as ::rig_sdk::Tool>::input_schema(),
                <#tool as ::rig_sdk::Tool>::output_schema(),
            )}
        });
        let tracked = tracked(None);
        return Ok(quote!({ #tracked ::rig_sdk::__private::describe(&[#(#definitions),*]) }));
    };
    let schemas = read(&file).map_err(|why| {
        Error::new(Span::call_site(), format!("{VARIABLE} names {file}, which is not a list of schemas: {why}"))
    })?;
    if schemas.len() != tools.len() {
        let why = format!("{VARIABLE} names {file}, which has {} tools; the pack has {}", schemas.len(), tools.len());
        return Err(Error::new(Span::call_site(), why));
    }
    let definitions = tools
        .iter()
        .zip(schemas)
        .map(|(tool, (input, output))| quote!((&<#tool as ::rig_sdk::Tool>::META, #input, #output)));
    let tracked = tracked(Some(&file));
    Ok(quote!({ #tracked ::rig_sdk::__private::describe(&[#(#definitions),*]) }))
}

/// `call`: `name, args, context, tools`.
pub(crate) fn call(input: TokenStream) -> Result<TokenStream> {
    let Call { name, args, context, tools } = parse2(input)?;
    let tracked = tracked(None);
    if env::var(VARIABLE).is_ok_and(|file| file == ASKED) {
        let why = "this build of the pack only describes its tools";
        return Ok(quote!({
            #tracked
            let _ = (#name, #args, #context);
            ::std::result::Result::<::std::string::String, _>::Err(::rig_sdk::Error::internal(#why))
        }));
    }
    let tools =
        tools.iter().map(|tool| quote!((<#tool as ::rig_sdk::Tool>::META.name, <#tool as ::rig_sdk::Tool>::call)));
    Ok(quote!({ #tracked ::rig_sdk::__private::call(&[#(#tools),*], #name, #args, #context) }))
}

struct Call {
    name: Expr,
    args: Expr,
    context: Expr,
    tools: Tools,
}

impl Parse for Call {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let next = || {
            let expr = input.parse()?;
            input.parse::<Token![,]>()?;
            Ok::<Expr, Error>(expr)
        };
        Ok(Self { name: next()?, args: next()?, context: next()?, tools: Tools::parse_terminated(input)? })
    }
}

/// Has cargo compile the pack again when the variable or the file changes.
fn tracked(file: Option<&str>) -> TokenStream {
    let file = file.map(|file| {
        quote!(
            const _: &[u8] = ::core::include_bytes!(#file);
        )
    });
    quote! {
        const _: ::core::option::Option<&str> = ::core::option_env!(#VARIABLE);
        #file
    }
}

/// The schemas of arguments and output, in the order of the tools.
fn read(file: &str) -> std::result::Result<Vec<(String, String)>, String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let schemas: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let pair = |pair: &Value| Some((pair.get(0)?.as_str()?.to_owned(), pair.get(1)?.as_str()?.to_owned()));
    let schemas = schemas.as_array().and_then(|schemas| schemas.iter().map(pair).collect());
    schemas.ok_or_else(|| "not pairs of texts".into())
}
