//! Doc comments as descriptions.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The text of the doc comments among the attributes. Lines of a paragraph are joined, because where they break in the source
/// means nothing to a reader; lists, tables and code keep theirs.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    let mut in_code = false;
    for line in attributes.iter().filter_map(line).flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
    {
        let trimmed = line.trim();
        let fence = trimmed.starts_with("```");
        if text.is_empty() || text.ends_with('\n') {
            // The first line of a paragraph.
        } else if trimmed.is_empty() || in_code || fence || trimmed.starts_with(['-', '*', '|', '#', '>']) {
            text.push('\n');
        } else {
            text.push(' ');
        }
        in_code ^= fence;
        if trimmed.is_empty() {
            if !text.is_empty() && !text.ends_with("\n\n") {
                text.push('\n');
            }
        } else {
            text.push_str(if in_code { line.strip_prefix(' ').unwrap_or(&line) } else { trimmed });
            if fence && !in_code {
                text.push('\n');
            }
        }
    }
    text.trim().to_owned()
}

/// The text of one doc comment; empty lines count as such.
fn line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(meta) = &attribute.meta else { return None };
    match &meta.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if meta.path.is_ident("doc") => {
            let text = text.value();
            Some(if text.is_empty() { "\n".into() } else { text })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use syn::{ItemFn, parse_str};

    #[test]
    fn paragraphs_are_joined_and_lists_are_kept() {
        let cases = [
            ("/// One.", "One."),
            ("/// One\n/// two.", "One two."),
            ("/// One.\n///\n/// Two\n/// three.", "One.\n\nTwo three."),
            ("/// List:\n/// - a\n/// - b\n///   c", "List:\n- a\n- b c"),
            ("/** One\n two. */", "One two."),
            ("/// A:\n/// ```\n/// x\n///   y\n/// ```\n/// B", "A:\n```\nx\n  y\n```\nB"),
            ("#[inline]", ""),
            ("///", ""),
        ];
        for (source, expected) in cases {
            let function: ItemFn = parse_str(&format!("{source}\nfn f() {{}}")).unwrap();
            assert_eq!(super::text(&function.attrs), expected, "{source}");
        }
    }
}
