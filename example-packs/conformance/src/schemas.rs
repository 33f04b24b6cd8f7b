//! Schemas that a server must hand on as they are: parameters that stand in headers too, capabilities that a client must have, and
//! what JSON Schema 2020-12 has beyond types.

use rig_sdk::{
    Result,
    json::{Value, json},
    tool,
};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::Text;

/// Needs a client that offers sampling, and so is refused to one that does not say that it does.
#[tool(name = "conformance.test.missing_capability", risk = "read", tags = ["schemas"])]
#[schemars(extend("x-mcp-client-capabilities" = { "sampling": {} }))]
pub fn missing_capability() -> Result<Text> {
    Ok(Text::of("The client said that it offers sampling."))
}

/// Takes parameters that MCP clients repeat in HTTP headers, so that those in between can route by them.
#[tool(name = "conformance.test.custom_headers", risk = "read", tags = ["schemas"])]
pub fn custom_headers(
    /// In the header `Mcp-Param-Region`.
    #[schemars(extend("x-mcp-header" = "Region"))]
    region: String,
    /// In the header `Mcp-Param-Priority`.
    #[schemars(extend("x-mcp-header" = "Priority"))]
    priority: i32,
    /// In the header `Mcp-Param-Verbose`.
    #[tool(default = false)]
    #[schemars(extend("x-mcp-header" = "Verbose"))]
    verbose: bool,
    /// In no header.
    query: String,
) -> Result<Text> {
    let given = json!({ "region": region, "priority": priority, "verbose": verbose, "query": query });
    Ok(Text::of(format!("Custom headers test completed: {given}")))
}

/// A contact, as it was given.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Contact {
    /// How the contact is reached; null when nobody said.
    pub reached_by: Option<String>,
}

/// Where somebody lives.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Address {
    /// The street.
    pub street: Option<String>,
    /// The city.
    pub city: Option<String>,
}

/// How somebody wants to be reached.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// By phone.
    Phone,
    /// By e-mail.
    Email,
}

/// The suite's schema has no nulls and no titles, and refers to the schema of an address in `$defs`.
fn as_in_the_suite(schema: &mut Schema) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        let schema = match name.as_str() {
            "address" => json!({ "$ref": "#/$defs/address" }),
            "contactMethod" => json!({ "type": "string", "enum": ["phone", "email"] }),
            _ => json!({ "type": "string" }),
        };
        let description = property.get("description").cloned();
        *property = schema;
        property["description"] = description.unwrap_or_default();
    }
}

/// Takes a contact, whose schema uses much of what JSON Schema 2020-12 has: an anchor, a reference, and conditions.
#[tool(name = "conformance.json.schema_2020_12_tool", risk = "read", tags = ["schemas"])]
#[schemars(extend(
    "$schema" = "https://json-schema.org/draft/2020-12/schema",
    "$defs" = {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
        },
    },
    "allOf" = [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
    "if" = { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
    "then" = { "required": ["phone"] },
    "else" = { "required": ["email"] },
), transform = as_in_the_suite)]
pub fn schema_2020_12_tool(
    /// Who it is.
    name: Option<String>,
    /// Where they live.
    address: Option<Address>,
    /// How they want to be reached.
    #[serde(rename = "contactMethod")]
    contact_method: Option<Method>,
    /// The number, for those who want to be reached by phone.
    phone: Option<String>,
    /// The address, for those who want to be reached by e-mail.
    email: Option<String>,
) -> Result<Contact> {
    let preferred = if matches!(contact_method, Some(Method::Phone)) { phone.or(email) } else { email.or(phone) };
    let city = address.and_then(|address| address.city);
    let parts: Vec<String> = [name, city, preferred].into_iter().flatten().collect();
    Ok(Contact { reached_by: (!parts.is_empty()).then(|| parts.join(", ")) })
}
