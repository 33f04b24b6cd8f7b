//! Every kind of content that an answer can have, and an error.

use rig_sdk::{Error, Result, tool};
use schemars::JsonSchema;
use serde::Serialize;

use crate::Text;

/// One red pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC";

/// Eight samples, a millisecond of sound.
const WAV: &str = "UklGRiwAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQgAAACA/4AAgP+AAA==";

/// A picture.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Image {
    /// The picture.
    #[schemars(extend("contentEncoding" = "base64", "contentMediaType" = "image/png"))]
    pub image: String,
}

/// A sound.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Audio {
    /// The sound.
    #[schemars(extend("contentEncoding" = "base64", "contentMediaType" = "audio/wav"))]
    pub audio: String,
}

/// A resource that comes with the answer.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// What the resource is called.
    pub uri: String,
    /// The media type of the text.
    pub mime_type: String,
    /// The text of the resource.
    pub text: String,
}

/// A resource, and nothing else.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Embedded {
    /// The resource.
    #[schemars(extend("format" = "mcp-resource"))]
    pub resource: Resource,
}

/// A text, a picture and a resource.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Mixed {
    /// The text.
    #[schemars(extend("format" = "mcp-text"))]
    pub text: String,
    /// The picture.
    #[schemars(extend("contentEncoding" = "base64", "contentMediaType" = "image/png"))]
    pub image: String,
    /// The resource.
    #[schemars(extend("format" = "mcp-resource"))]
    pub resource: Resource,
}

/// Answers with a text.
#[tool(name = "conformance.test.simple_text", risk = "read", tags = ["content"])]
pub fn simple_text() -> Result<Text> {
    Ok(Text::of("This is a simple text response for testing."))
}

/// Answers with a picture: one red pixel.
#[tool(name = "conformance.test.image_content", risk = "read", tags = ["content"])]
pub fn image_content() -> Result<Image> {
    Ok(Image { image: PNG.into() })
}

/// Answers with a sound: a millisecond of it.
#[tool(name = "conformance.test.audio_content", risk = "read", tags = ["content"])]
pub fn audio_content() -> Result<Audio> {
    Ok(Audio { audio: WAV.into() })
}

/// Answers with a resource.
#[tool(name = "conformance.test.embedded_resource", risk = "read", tags = ["content"])]
pub fn embedded_resource() -> Result<Embedded> {
    Ok(Embedded {
        resource: Resource {
            uri: "test://embedded-resource".into(),
            mime_type: "text/plain".into(),
            text: "This is an embedded resource content.".into(),
        },
    })
}

/// Answers with a text, a picture and a resource.
#[tool(name = "conformance.test.multiple_content_types", risk = "read", tags = ["content"])]
pub fn multiple_content_types() -> Result<Mixed> {
    Ok(Mixed {
        text: "Multiple content types test:".into(),
        image: PNG.into(),
        resource: Resource {
            uri: "test://mixed-content-resource".into(),
            mime_type: "application/json".into(),
            text: r#"{"test":"data","value":123}"#.into(),
        },
    })
}

/// Fails, always.
#[tool(name = "conformance.test.error_handling", risk = "read", tags = ["content"])]
pub fn error_handling() -> Result<Text> {
    Err(Error::internal("This tool intentionally returns an error for testing"))
}
