//! What the tools answer: the part of ElevenLabs' objects that a caller acts on.
//!
//! Only what names the object must be there: the rest is null when it is missing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// The voices of the account.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Voices {
    /// The voices, in ElevenLabs' order.
    pub voices: Vec<Voice>,
}

/// A voice.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Voice {
    /// The id, which `elevenlabs.textToSpeech.create` takes.
    pub voice_id: String,
    /// The name; null when ElevenLabs sends none.
    pub name: Option<String>,
    /// Where it comes from: `premade`, `cloned`, `generated`, `professional`; null when ElevenLabs sends none.
    pub category: Option<String>,
    /// How it sounds, in a sentence; null when nobody wrote one.
    pub description: Option<String>,
    /// What it is like, for example its accent, gender, age and use. Empty when nothing is known.
    #[serde(default, deserialize_with = "texts")]
    pub labels: BTreeMap<String, String>,
    /// A sample to listen to; null when there is none.
    pub preview_url: Option<String>,
}

/// A spoken text.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Speech {
    /// The sound, an MP3 file in base64.
    #[schemars(extend("contentEncoding" = "base64", "contentMediaType" = "audio/mpeg"))]
    pub audio: String,
    /// The media type of the sound as ElevenLabs says it, usually `audio/mpeg`.
    pub content_type: String,
    /// How many bytes the sound has before it is encoded.
    pub size: usize,
}

/// Labels, or null; those that have no value are left out.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let labels = Option::<BTreeMap<String, Option<String>>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(labels.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}
