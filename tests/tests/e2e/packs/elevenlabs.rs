//! The ElevenLabs pack against its SDK and against what ElevenLabs answers.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rig_tests::{
    Recorded, Reply,
    sdk::{Allowed, Part},
};
use serde_json::{Value, json};

use super::Service;

const HOST: &str = "api.elevenlabs.io";
const KEY: &str = "sk_0123456789abcdef0123456789abcdef0123456789abcdef";
const VOICE: &str = "JBFqnCBsd6RMkjVDRZzb";
/// The head of an MP3 file, and bytes that are no text.
const SOUND: &[u8] = b"ID3\x04\x00\xff\xfb\x90\x64\x00\x00\x80";

fn setup() -> Service {
    let service = Service::start("elevenlabs", &[("ELEVENLABS_API_KEY", KEY)]);
    service.on(HOST, answer);
    service
}

fn answer(request: &Recorded) -> Reply {
    match (request.method.as_str(), request.path()) {
        ("GET", "/v1/voices") => Reply::json(
            200,
            json!({ "voices": [{
                "voice_id": VOICE, "name": "George", "samples": null, "category": "premade",
                "fine_tuning": { "is_allowed_to_fine_tune": true, "state": {}, "language": "en" },
                "labels": { "accent": "british", "description": "mature", "age": "middle_aged", "gender": "male" },
                "description": "Warm resonance that instantly captivates listeners.",
                "preview_url": "https://storage.googleapis.com/eleven-public-prod/premade/voices/x.mp3",
                "available_for_tiers": [], "settings": null, "sharing": null, "high_quality_base_model_ids": ["eleven_v2_flash"],
                "safety_control": null, "voice_verification": null, "permission_on_resource": null, "is_owner": false,
                "is_legacy": false, "is_mixed": false, "created_at_unix": null
            }] }),
        ),
        ("POST", path) if path.starts_with("/v1/text-to-speech/") => {
            Reply::new(200, SOUND).header("Content-Type", "audio/mpeg").header("Character-Cost", "5")
        }
        _ => Reply::json(404, json!({ "detail": "Not Found" })),
    }
}

fn calls() -> [(&'static str, &'static [&'static str], Value); 2] {
    [
        ("elevenlabs.voices.list", &[], json!({})),
        (
            "elevenlabs.textToSpeech.create",
            &["voice_id", "text"],
            json!({ "voice_id": VOICE, "text": "Zoë said: \"hi\" \u{1F44B}\n", "model_id": "eleven_multilingual_v2" }),
        ),
    ]
}

#[test]
fn every_tool_sends_what_the_sdk_sends() {
    let service = setup();
    let names = ["language", "runtime", "platform", "sdk-name", "sdk-version"];
    let names = names.map(|name| format!("x-fern-{name}"));
    let allowed: Vec<Allowed<'_>> = names
        .iter()
        .map(|name| Allowed { part: Part::Header(name), why: "the SDK tells ElevenLabs what it is and runs on" })
        .collect();
    let minimal = ("elevenlabs.textToSpeech.create", json!({ "voice_id": VOICE, "text": "Hello" }));
    for (tool, args) in calls().map(|(tool, _, args)| (tool, args)).into_iter().chain([minimal]) {
        service.sends_what_the_sdk_sends(tool, &args, &allowed);
    }
}

#[test]
fn answers_hold_what_a_caller_acts_on() {
    let service = setup();
    let [voices, speech] = calls().map(|(tool, _, args)| service.output(tool, &args));
    assert_eq!(
        voices,
        json!({ "voices": [{
            "voice_id": VOICE, "name": "George", "category": "premade",
            "description": "Warm resonance that instantly captivates listeners.",
            "labels": { "accent": "british", "description": "mature", "age": "middle_aged", "gender": "male" },
            "preview_url": "https://storage.googleapis.com/eleven-public-prod/premade/voices/x.mp3"
        }] })
    );
    assert_eq!(speech, json!({ "audio": STANDARD.encode(SOUND), "content_type": "audio/mpeg", "size": SOUND.len() }));
    // An MCP client gets the sound as a sound.
    let tool = service.api("GET", "/v1/tools/elevenlabs.textToSpeech.create");
    assert_eq!(tool["output_schema"]["properties"]["audio"]["contentMediaType"], "audio/mpeg");
}

#[test]
fn refusals_of_elevenlabs_are_told() {
    let service = setup();
    let error = |status: u16, code: &str| {
        Reply::json(status, json!({ "detail": { "status": code, "message": "What is wrong" } }))
    };
    let fields = json!({ "detail": [{ "loc": ["body", "text"], "msg": "Field required", "type": "missing" }] });
    let calls = calls().map(|(tool, _, args)| (tool, args));
    service.answers_become_kinds(
        HOST,
        &calls,
        [
            (error(400, "voice_not_found"), "not_found", "voice_not_found", false),
            (error(401, "invalid_api_key"), "auth_error", "invalid_api_key", false),
            (error(401, "quota_exceeded"), "rate_limited", "quota_exceeded", false),
            (error(401, "missing_permissions"), "permission_error", "missing_permissions", false),
            (error(403, "only_for_creator+"), "permission_error", "only_for_creator+", false),
            (Reply::json(404, json!({ "detail": "Not Found" })), "not_found", "404", false),
            (error(409, "already_running"), "conflict", "already_running", false),
            (Reply::json(422, fields), "validation_error", "422", false),
            (
                error(429, "too_many_concurrent_requests").header("Retry-After", "17"),
                "rate_limited",
                "too_many_concurrent_requests",
                true,
            ),
            (Reply::json(500, json!({})), "upstream_error", "500", true),
            (Reply::html(503, "<h1>Unavailable</h1>"), "transient", "503", true),
        ],
    );
    service.upstream.reply(HOST, error(401, "invalid_api_key"));
    let error = service.error(calls[0].0, &calls[0].1, "auth_error");
    assert!(error["remediation_hints"].to_string().contains("ELEVENLABS_API_KEY"), "{error}");
}

#[test]
fn nonsense_is_the_service_s_fault() {
    let service = setup();
    let calls = calls().map(|(tool, _, args)| (tool, args));
    service.nonsense_is_the_service_s_fault(HOST, &calls);
    // Sound of no length, and sound that breaks off.
    for reply in [Reply::new(200, ""), Reply::new(200, SOUND).cut_at(5)] {
        service.upstream.reply(HOST, reply.header("Content-Type", "audio/mpeg"));
        let error = service.error(calls[1].0, &calls[1].1, "upstream_error");
        assert!(error["remediation_hints"].to_string().contains("used up"), "{error}");
    }
}

#[test]
fn bad_arguments_are_not_sent() {
    let service = setup();
    for (tool, required, args) in calls() {
        service.bad_arguments_are_not_sent(tool, required, &args);
    }
    for args in [json!({ "voice_id": "", "text": "x" }), json!({ "voice_id": VOICE, "text": "" })] {
        service.error("elevenlabs.textToSpeech.create", &args, "validation_error");
        service.upstream.assert_untouched();
    }
}

#[test]
fn an_id_cannot_change_the_request() {
    let service = setup();
    let [_, (tool, _, args)] = calls();
    service.path_keeps_its_shape(HOST, tool, &args, "voice_id");
}
