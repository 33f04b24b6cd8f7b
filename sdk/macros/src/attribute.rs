//! The arguments of `#[tool(...)]`.

use proc_macro2::Span;
use serde_json::{Map, Value};
use syn::{
    Error, Ident, LitStr, Result, Token, bracketed, parenthesized,
    parse::{Parse, ParseStream},
};

const RISKS: [(&str, &str); 5] =
    [("read", "Read"), ("write", "Write"), ("infra", "Infra"), ("money", "Money"), ("destructive", "Destructive")];

const KEYS: &str = "name, title, risk, tags, slots, idempotent, policy_defaults, example";

/// What the attribute says.
pub(crate) struct Attribute {
    pub name: LitStr,
    pub title: Option<LitStr>,
    /// The variant of `RiskClass`.
    pub risk: Ident,
    pub tags: Vec<LitStr>,
    pub slots: Vec<LitStr>,
    pub idempotent: bool,
    pub policy_defaults: Option<LitStr>,
    pub examples: Vec<Example>,
}

/// `example(description = "...", args = "{...}", output = "{...}")`.
pub(crate) struct Example {
    pub description: LitStr,
    pub args: LitStr,
    pub keys: Vec<String>,
    pub output: Option<LitStr>,
}

impl Parse for Attribute {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut name = None;
        let mut title = None;
        let mut risk = None;
        let mut tags = None;
        let mut slots = None;
        let mut idempotent = None;
        let mut policy_defaults = None;
        let mut examples = Vec::new();
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            match key.to_string().as_str() {
                "name" => set(&mut name, &key, tool_name(text(input)?)?)?,
                "title" => set(&mut title, &key, text(input)?)?,
                "risk" => set(&mut risk, &key, risk_class(&text(input)?)?)?,
                "tags" => set(&mut tags, &key, texts(input)?)?,
                "slots" => set(&mut slots, &key, texts(input)?.into_iter().map(slot).collect::<Result<_>>()?)?,
                "idempotent" => set(&mut idempotent, &key, ())?,
                "policy_defaults" => {
                    let json = text(input)?;
                    object(&json, "policy_defaults")?;
                    set(&mut policy_defaults, &key, json)?;
                }
                "example" => {
                    let content;
                    parenthesized!(content in input);
                    examples.push(example(&key, &content)?);
                }
                other => return Err(Error::new(key.span(), format!("unknown key `{other}`: the keys are {KEYS}"))),
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let missing = |what: &str| Error::new(Span::call_site(), format!("a tool needs {what}"));
        Ok(Self {
            name: name.ok_or_else(|| missing(r#"a name: `name = "pack.noun.verb"`"#))?,
            title,
            risk: risk.ok_or_else(|| {
                missing(r#"a risk class: `risk = "read"`, or "write", "infra", "money", "destructive""#)
            })?,
            tags: tags.unwrap_or_default(),
            slots: slots.unwrap_or_default(),
            idempotent: idempotent.is_some(),
            policy_defaults,
            examples,
        })
    }
}

fn set<T>(place: &mut Option<T>, key: &Ident, value: T) -> Result<()> {
    if place.replace(value).is_some() {
        return Err(Error::new(key.span(), format!("`{key}` is given twice")));
    }
    Ok(())
}

fn text(input: ParseStream<'_>) -> Result<LitStr> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn texts(input: ParseStream<'_>) -> Result<Vec<LitStr>> {
    input.parse::<Token![=]>()?;
    let content;
    bracketed!(content in input);
    Ok(content.parse_terminated(<LitStr as Parse>::parse, Token![,])?.into_iter().collect())
}

fn tool_name(name: LitStr) -> Result<LitStr> {
    let text = name.value();
    let good = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if text.len() > 128 || !text.contains('.') || !text.split('.').all(good) {
        let why = "a tool is named `pack.noun.verb`: letters, digits, `-` and `_` in each part, 128 at most in all";
        return Err(Error::new(name.span(), why));
    }
    Ok(name)
}

fn risk_class(risk: &LitStr) -> Result<Ident> {
    match RISKS.iter().find(|(text, _)| *text == risk.value()) {
        Some((_, variant)) => Ok(Ident::new(variant, risk.span())),
        None => Err(Error::new(risk.span(), "a risk class is one of read, write, infra, money, destructive")),
    }
}

fn slot(slot: LitStr) -> Result<LitStr> {
    let text = slot.value();
    let good = text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if good { Ok(slot) } else { Err(Error::new(slot.span(), "a slot is written in capitals, digits and underscores")) }
}

fn example(key: &Ident, input: ParseStream<'_>) -> Result<Example> {
    let mut description = None;
    let mut args = None;
    let mut output = None;
    while !input.is_empty() {
        let key: Ident = input.parse()?;
        match key.to_string().as_str() {
            "description" => set(&mut description, &key, text(input)?)?,
            "args" => set(&mut args, &key, text(input)?)?,
            "output" => set(&mut output, &key, text(input)?)?,
            other => {
                let why = format!("unknown key `{other}`: the keys of an example are description, args, output");
                return Err(Error::new(key.span(), why));
            }
        }
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    let missing = |what: &str| Error::new(key.span(), format!("an example needs {what}"));
    let description = description.ok_or_else(|| missing("a description"))?;
    let args = args.ok_or_else(|| missing("args"))?;
    if let Some(output) = &output {
        object(output, "the output of an example")?;
    }
    let keys = object(&args, "the args of an example")?.into_iter().map(|(key, _)| key).collect();
    Ok(Example { description, args, keys, output })
}

fn object(json: &LitStr, what: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(&json.value())
        .map_err(|error| Error::new(json.span(), format!("{what} must be a JSON object: {error}")))
}
