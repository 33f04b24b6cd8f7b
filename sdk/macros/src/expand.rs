//! What `#[tool]` emits: the function as it was, and beside it a type of the same name that implements `Tool`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{
    Attribute, Error, GenericArgument, ItemFn, PathArguments, Result, ReturnType, Signature, Type, parse2,
    spanned::Spanned,
};

use crate::{
    attribute::{self, Example},
    doc,
    params::{self, Param},
};

/// Outputs that are not JSON objects, as far as a name tells. The test that `export!` makes finds the others.
const NOT_OBJECTS: [&str; 22] = [
    "String", "str", "bool", "char", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128",
    "isize", "f32", "f64", "Vec", "VecDeque", "BTreeSet", "Option",
];

pub(crate) fn tool(attribute: TokenStream, item: &TokenStream) -> Result<TokenStream> {
    let mut function: ItemFn = parse2(item.clone()).map_err(|_| not_free(item))?;
    let attribute: attribute::Attribute = parse2(attribute)?;
    check_signature(&function.sig)?;
    let description = doc::text(&function.attrs);
    if description.is_empty() {
        let why = "a tool needs a doc comment: models read it as the description, and choose by it";
        return Err(Error::new(function.sig.ident.span(), why));
    }
    let output = output_type(&function.sig)?.clone();
    let (with_context, params) = params::take(&mut function.sig)?;
    let (of_args, own): (Vec<_>, Vec<_>) = function.attrs.into_iter().partition(is_of_args);
    function.attrs = own;
    for example in &attribute.examples {
        check_example(example, &params)?;
    }

    let (ident, vis) = (&function.sig.ident, &function.vis);
    let meta = meta(&attribute, &description);
    let args = args(&params, &of_args);
    let fields: Vec<_> = params.iter().map(|param| &param.ident).collect();
    let context = with_context.then(|| quote!(__ctx,));
    let call = quote_spanned!(output.span()=> __rig::write_output::<#output>(&output));
    Ok(quote! {
        #[allow(
            clippy::needless_pass_by_value,
            clippy::too_many_arguments,
            clippy::unnecessary_wraps,
            clippy::missing_errors_doc,
            reason = "the shape of a tool: owned arguments, each a property of its schema, and a result"
        )]
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types, clippy::empty_enums, reason = "the tool goes by the name of its function")]
        #vis enum #ident {}

        #[doc(hidden)]
        #[allow(clippy::pedantic, reason = "generated")]
        const _: () = {
            use ::rig_sdk::__private as __rig;

            #args

            #[automatically_derived]
            impl ::rig_sdk::Tool for #ident {
                const META: __rig::Meta = #meta;

                fn input_schema() -> ::std::string::String {
                    __rig::input_schema::<__RigArgs>()
                }

                fn output_schema() -> ::std::string::String {
                    __rig::output_schema::<#output>()
                }

                fn call(
                    args: &::std::primitive::str,
                    __ctx: &::rig_sdk::Context,
                ) -> ::rig_sdk::Result<::std::string::String> {
                    let __RigArgs { #(#fields),* } = __rig::parse_args(args)?;
                    let output = #ident(#context #(#fields),*)?;
                    #call
                }

                fn check_args(args: &::std::primitive::str) -> ::rig_sdk::Result<()> {
                    __rig::parse_args::<__RigArgs>(args).map(|_| ())
                }
            }
        };
    })
}

/// The function without what only `#[tool]` understands; anything else as it is.
pub(crate) fn function_alone(item: TokenStream) -> TokenStream {
    let Ok(mut function) = parse2::<ItemFn>(item.clone()) else { return item };
    params::strip(&mut function.sig);
    function.attrs.retain(|attribute| !is_of_args(attribute));
    quote!(#[allow(dead_code)] #function)
}

/// Whether an attribute of the function belongs to the struct of its arguments.
fn is_of_args(attribute: &Attribute) -> bool {
    attribute.path().is_ident("schemars")
}

fn not_free(item: &TokenStream) -> Error {
    Error::new_spanned(item, "`#[tool]` stands on a free function with a body")
}

fn check_signature(signature: &Signature) -> Result<()> {
    let refuse = |span, why: &str| Err(Error::new(span, why));
    if let Some(token) = &signature.asyncness {
        return refuse(token.span(), "a tool is not async: the functions of the host wait by themselves");
    }
    if let syn::Safety::Unsafe(token) = &signature.safety {
        return refuse(token.span(), "a tool is not unsafe");
    }
    if let Some(abi) = &signature.abi {
        return refuse(abi.span(), "a tool is an ordinary Rust function");
    }
    if !signature.generics.params.is_empty() || signature.generics.where_clause.is_some() {
        return refuse(signature.generics.span(), "a tool is not generic: its schema is made from concrete types");
    }
    if let Some(variadic) = &signature.variadic {
        return refuse(variadic.span(), "a tool has a fixed number of arguments");
    }
    Ok(())
}

/// The `T` of `Result<T, Error>`.
fn output_type(signature: &Signature) -> Result<&Type> {
    const WHY: &str = "a tool returns `rig_sdk::Result<T>` with a struct `T`";
    let ReturnType::Type(_, ty) = &signature.output else {
        return Err(Error::new(signature.ident.span(), WHY));
    };
    let arguments = match &**ty {
        Type::Path(path) => path.path.segments.last().filter(|last| last.ident == "Result").map(|last| &last.arguments),
        _ => None,
    };
    let output = match arguments {
        Some(PathArguments::AngleBracketed(arguments)) => arguments.args.first(),
        _ => None,
    };
    let Some(GenericArgument::Type(output)) = output else {
        return Err(Error::new(ty.span(), WHY));
    };
    let named = params::last_segment(output).is_some_and(|ident| NOT_OBJECTS.iter().any(|name| ident == name));
    if named || !matches!(output, Type::Path(_) | Type::Macro(_) | Type::Group(_) | Type::Paren(_)) {
        return Err(Error::new(output.span(), "the output of a tool is a JSON object: use a struct with named fields"));
    }
    Ok(output)
}

fn check_example(example: &Example, params: &[Param]) -> Result<()> {
    let Some(names) = params.iter().map(Param::json_name).collect::<Option<Vec<_>>>() else {
        // Serde may have other names for them; the test that `export!` makes checks all examples by reading them.
        return Ok(());
    };
    if let Some(key) = example.keys.iter().find(|key| !names.contains(key)) {
        return Err(Error::new(example.args.span(), format!("the tool has no argument `{key}`")));
    }
    let missing = params.iter().zip(&names).find(|(param, name)| param.is_required() && !example.keys.contains(name));
    match missing {
        Some((_, name)) => Err(Error::new(example.args.span(), format!("the example lacks the argument `{name}`"))),
        None => Ok(()),
    }
}

fn meta(attribute: &attribute::Attribute, description: &str) -> TokenStream {
    let attribute::Attribute { name, risk, tags, slots, idempotent, .. } = attribute;
    let title = attribute.title.as_ref().map_or_else(String::new, syn::LitStr::value);
    let policy_defaults = attribute.policy_defaults.as_ref().map_or_else(|| "{}".into(), syn::LitStr::value);
    let examples = attribute.examples.iter().map(|Example { description, args, output, .. }| {
        let output = output
            .as_ref()
            .map_or_else(|| quote!(::std::option::Option::None), |output| quote!(::std::option::Option::Some(#output)));
        quote!(__rig::Example { description: #description, args: #args, output: #output })
    });
    quote! {
        __rig::Meta {
            name: #name,
            title: #title,
            description: #description,
            risk: ::rig_sdk::RiskClass::#risk,
            tags: &[#(#tags),*],
            slots: &[#(#slots),*],
            idempotent: #idempotent,
            policy_defaults: #policy_defaults,
            examples: &[#(#examples),*],
        }
    }
}

/// The struct that the arguments are read into, and the functions that give the defaults.
fn args(params: &[Param], of_args: &[Attribute]) -> TokenStream {
    let mut defaults = TokenStream::new();
    let fields = params.iter().map(|Param { ident, ty, doc, default, handed_on }| {
        let attribute = default.as_ref().map(|default| {
            let Some(value) = &default.0 else { return quote!(#[serde(default)]) };
            let function = format_ident!("__rig_default_{ident}");
            let name = function.to_string();
            let value = if default.is_text() {
                quote_spanned!(value.span()=> ::std::convert::Into::into(#value))
            } else {
                quote!(#value)
            };
            defaults.extend(quote!(fn #function() -> #ty { #value }));
            quote!(#[serde(default = #name)])
        });
        quote!(#[doc = #doc] #attribute #(#handed_on)* #ident: #ty)
    });
    let fields: Vec<_> = fields.collect();
    quote! {
        #[derive(__rig::serde::Deserialize, __rig::schemars::JsonSchema)]
        #[serde(crate = "::rig_sdk::__private::serde", deny_unknown_fields)]
        #[schemars(crate = "::rig_sdk::__private::schemars")]
        #(#of_args)*
        struct __RigArgs {
            #(#fields,)*
        }

        #defaults
    }
}
