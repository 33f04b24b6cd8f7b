//! Speech from text with ElevenLabs, over version 1 of its API.
//!
//! The pack sees no key: the host adds it to the requests to `api.elevenlabs.io`.

mod api;
mod failure;
mod model;

use base64::{Engine, engine::general_purpose::STANDARD};
use rig_sdk::{Error, Result, tool};
use serde::Serialize;

pub use model::{Speech, Voice, Voices};

/// How much audio one call answers: as base64 it must fit into the 16 MiB that a tool may answer. About twelve minutes.
const AUDIO_LIMIT: usize = 11 << 20;

/// Lists the voices that this account can speak with: those that come with ElevenLabs and those that were made or added.
#[tool(
    name = "elevenlabs.voices.list",
    title = "List voices",
    risk = "read",
    tags = ["voices"],
    slots = ["ELEVENLABS_API_KEY"],
    idempotent,
    example(description = "All voices", args = "{}")
)]
pub fn list_voices() -> Result<Voices> {
    api::send(api::voices())?.json()
}

/// Speaks a text and answers the sound as an MP3 file in base64. It uses up the account's characters. Split long texts: a call takes
/// at most half a minute.
#[tool(
    name = "elevenlabs.textToSpeech.create",
    title = "Speak a text",
    risk = "write",
    tags = ["speech", "audio"],
    slots = ["ELEVENLABS_API_KEY"],
    example(
        description = "A sentence with a model for many languages",
        args = r#"{"voice_id": "JBFqnCBsd6RMkjVDRZzb", "text": "The first move is what sets everything in motion.", "model_id": "eleven_multilingual_v2"}"#
    )
)]
pub fn create_speech(
    /// The id of a voice, from `elevenlabs.voices.list`.
    #[schemars(length(min = 1, max = 200))]
    voice_id: String,
    /// The text to speak.
    #[schemars(length(min = 1))]
    text: String,
    /// The model to speak with, for example `eleven_multilingual_v2` or `eleven_flash_v2_5`. ElevenLabs chooses when it is left out.
    #[schemars(length(min = 1))]
    model_id: Option<String>,
) -> Result<Speech> {
    #[derive(Serialize)]
    struct NewSpeech {
        text: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        model_id: Option<String>,
    }
    let response = api::send(api::speech(&voice_id).json(&NewSpeech { text, model_id })).map_err(failure::of_write)?;
    let content_type = response.header("content-type").unwrap_or_default().to_owned();
    if !content_type.starts_with("audio/") || response.bytes().is_empty() {
        let what = if response.bytes().is_empty() { "no sound" } else { "something other than sound" };
        return Err(failure::of_write(
            Error::upstream(format!("ElevenLabs answered with {what}")).upstream_code(response.status()),
        ));
    }
    let audio = response.bytes();
    if audio.len() > AUDIO_LIMIT {
        return Err(Error::upstream(format!(
            "the sound has {} bytes, which is more than a tool may answer",
            audio.len()
        ))
        .hint("split the text and speak each part by itself"));
    }
    Ok(Speech { audio: STANDARD.encode(audio), content_type, size: audio.len() })
}

rig_sdk::export!(list_voices, create_speech);

#[cfg(test)]
mod tests;
