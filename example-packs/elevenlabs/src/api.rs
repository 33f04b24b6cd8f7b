//! Requests to ElevenLabs' API.

use rig_sdk::{
    Result,
    http::{self, Request, Response},
};

use crate::failure;

const BASE: &str = "https://api.elevenlabs.io/v1";

pub(crate) fn voices() -> Request {
    http::get(BASE).path(&["voices"])
}

pub(crate) fn speech(voice: &str) -> Request {
    http::post(BASE).path(&["text-to-speech", voice])
}

/// Sends a request; a response that is not a success becomes the error that it stands for.
pub(crate) fn send(request: Request) -> Result<Response> {
    let response = request.send()?;
    if response.is_success() { Ok(response) } else { Err(failure::of(&response)) }
}
