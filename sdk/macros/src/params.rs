//! The parameters of a tool: an optional context and the arguments.

use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, Ident, Lit, Pat, Result, Signature, Token, Type,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    spanned::Spanned,
};

use crate::doc;

/// An argument of the tool.
pub(crate) struct Param {
    pub ident: Ident,
    pub ty: Type,
    pub doc: String,
    pub default: Option<Default>,
    /// `#[serde(...)]` and `#[schemars(...)]`, handed on to the field.
    pub handed_on: Vec<Attribute>,
}

/// `#[tool(default)]` or `#[tool(default = value)]`.
pub(crate) struct Default(pub Option<Expr>);

impl Parse for Default {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key: Ident = input.parse()?;
        if key != "default" {
            return Err(Error::new(key.span(), "a parameter takes `#[tool(default)]` or `#[tool(default = value)]`"));
        }
        let value = if input.is_empty() {
            None
        } else {
            input.parse::<Token![=]>()?;
            Some(input.parse()?)
        };
        Ok(Self(value))
    }
}

impl Default {
    /// Whether the value is a text, which becomes a `String` where one is wanted.
    pub(crate) const fn is_text(&self) -> bool {
        matches!(self.0, Some(Expr::Lit(ExprLit { lit: Lit::Str(_), .. })))
    }
}

impl Param {
    /// The name of the argument in JSON. None when serde is told another.
    pub(crate) fn json_name(&self) -> Option<String> {
        self.handed_on.is_empty().then(|| self.ident.unraw().to_string())
    }

    /// Whether a call without it fails, as far as can be seen.
    pub(crate) fn is_required(&self) -> bool {
        self.default.is_none() && last_segment(&self.ty).is_none_or(|ident| ident != "Option")
    }
}

/// Takes what belongs to `#[tool]` off the parameters and reads it: whether a context comes first, and the arguments.
pub(crate) fn take(signature: &mut Signature) -> Result<(bool, Vec<Param>)> {
    let mut with_context = false;
    let mut params = Vec::new();
    for (position, input) in signature.inputs.iter_mut().enumerate() {
        let FnArg::Typed(input) = input else {
            return Err(Error::new(input.span(), "a tool is a free function, not a method"));
        };
        let (ours, rest) = input.attrs.drain(..).partition(is_ours);
        input.attrs = rest;
        let ours: Vec<Attribute> = ours;
        if let Type::Reference(reference) = &*input.ty {
            if position == 0 && last_segment(&reference.elem).is_some_and(|ident| ident == "Context") {
                with_context = true;
                continue;
            }
            let why =
                "arguments are owned, for example `String`; only a first parameter `ctx: &Context` is a reference";
            return Err(Error::new(input.ty.span(), why));
        }
        if let Some(cfg) = input.attrs.iter().find(|attribute| attribute.path().is_ident("cfg")) {
            return Err(Error::new(cfg.span(), "a tool has the same arguments in every build"));
        }
        let Pat::Ident(pattern) = &*input.pat else {
            return Err(Error::new(input.pat.span(), "an argument is a plain name, not a pattern"));
        };
        if let Some(part) = pattern.by_ref.map(|t| t.span()).or(pattern.subpat.as_ref().map(|(at, _)| at.span())) {
            return Err(Error::new(part, "an argument is a plain name, not a pattern"));
        }
        if let Type::ImplTrait(ty) = &*input.ty {
            return Err(Error::new(ty.span(), "an argument has a concrete type"));
        }
        let doc = doc::text(&ours);
        if doc.is_empty() {
            let why =
                format!("the argument `{}` needs a doc comment: models read it as its description", pattern.ident);
            return Err(Error::new(pattern.ident.span(), why));
        }
        let mut default = None;
        let mut handed_on = Vec::new();
        for attribute in ours {
            if attribute.path().is_ident("tool") {
                default = Some(attribute.parse_args()?);
            } else if !attribute.path().is_ident("doc") {
                handed_on.push(attribute);
            }
        }
        params.push(Param { ident: pattern.ident.clone(), ty: (*input.ty).clone(), doc, default, handed_on });
    }
    Ok((with_context, params))
}

/// Takes what belongs to `#[tool]` off the parameters.
pub(crate) fn strip(signature: &mut Signature) {
    for input in &mut signature.inputs {
        if let FnArg::Typed(input) = input {
            input.attrs.retain(|attribute| !is_ours(attribute));
        }
    }
}

fn is_ours(attribute: &Attribute) -> bool {
    ["doc", "tool", "serde", "schemars"].iter().any(|name| attribute.path().is_ident(name))
}

/// The last name of a path type.
pub(crate) fn last_segment(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        _ => None,
    }
}
