//! The tools against a stand-in for ElevenLabs.

use rig_sdk::{
    Error,
    json::{Value, json},
    mock::{self, HttpError, Response},
};

use super::*;

fn speak() -> Result<Speech> {
    create_speech("v".into(), "Hello".into(), None)
}

fn failing<T: std::fmt::Debug>(call: fn() -> Result<T>, response: Response) -> Error {
    let _mock = mock::http(move |_| Ok(response.clone()));
    call().unwrap_err()
}

fn kind(error: &Error) -> String {
    error.to_string().split(':').next().unwrap_or_default().to_owned()
}

#[test]
fn voices_are_listed() {
    let mock = mock::http(|_| {
        Ok(Response::json(
            200,
            &json!({ "voices": [
                {
                    "voice_id": "JBF", "name": "George", "category": "premade", "description": null, "samples": null,
                    "labels": { "accent": "british", "age": null }, "preview_url": "https://p", "settings": {}
                },
                { "voice_id": "x", "labels": null },
            ] }),
        ))
    });
    let answer = list_voices().unwrap();
    let sent = &mock.requests()[0];
    assert_eq!((sent.method.as_str(), sent.url.as_str()), ("GET", "https://api.elevenlabs.io/v1/voices"));
    assert_eq!(sent.header("xi-api-key"), None);
    assert_eq!(
        json!(answer),
        json!({ "voices": [
            {
                "voice_id": "JBF", "name": "George", "category": "premade", "description": null,
                "labels": { "accent": "british" }, "preview_url": "https://p"
            },
            { "voice_id": "x", "name": null, "category": null, "description": null, "labels": {}, "preview_url": null },
        ] })
    );
}

#[test]
fn a_text_is_spoken() {
    let mock = mock::http(|_| Ok(Response::new(200).header("content-type", "audio/mpeg").body([0xff, 0xfb, 0x90])));
    let answer = create_speech("a/b?c#d".into(), "Zoë \u{1F44B}".into(), Some("eleven_flash_v2_5".into())).unwrap();
    assert_eq!(json!(answer), json!({ "audio": "//uQ", "content_type": "audio/mpeg", "size": 3 }));
    let sent = &mock.requests()[0];
    assert_eq!(
        (sent.method.as_str(), sent.url.as_str()),
        ("POST", "https://api.elevenlabs.io/v1/text-to-speech/a%2Fb%3Fc%23d")
    );
    assert_eq!(sent.json::<Value>().unwrap(), json!({ "text": "Zoë \u{1F44B}", "model_id": "eleven_flash_v2_5" }));
    speak().unwrap();
    assert_eq!(mock.requests()[1].text(), r#"{"text":"Hello"}"#, "what was not given is not sent");
    for voice in ["", ".", "..", "a/../b"] {
        assert_eq!(kind(&create_speech(voice.into(), "x".into(), None).unwrap_err()), "validation_error");
    }
    assert_eq!(mock.requests().len(), 2);
}

#[test]
fn what_is_no_sound_is_an_error() {
    let audio = || Response::new(200).header("content-type", "audio/mpeg");
    for (response, why) in [
        (audio(), "ElevenLabs answered with no sound"),
        (Response::json(200, &json!({})), "ElevenLabs answered with something other than sound"),
        (Response::new(200).body("x"), "ElevenLabs answered with something other than sound"),
    ] {
        let error = failing(speak, response);
        assert_eq!((kind(&error).as_str(), error.message()), ("upstream_error", why));
        assert_eq!(error.hints(), ["the characters may have been used up all the same"]);
    }
    let error = failing(speak, audio().body(vec![0; AUDIO_LIMIT + 1]));
    assert!(error.hints()[0].contains("split the text"), "{error}");
    let _mock = mock::http(move |_| Ok(audio().body(vec![0; AUDIO_LIMIT])));
    assert!(speak().unwrap().audio.len() < 16 << 20);
}

#[test]
fn a_status_becomes_a_kind() {
    for (status, expected, retryable) in [
        (302, "upstream_error", false),
        (400, "validation_error", false),
        (401, "auth_error", false),
        (403, "permission_error", false),
        (404, "not_found", false),
        (409, "conflict", false),
        (422, "validation_error", false),
        (429, "rate_limited", true),
        (500, "upstream_error", true),
        (503, "transient", true),
    ] {
        for body in [
            r#"{"detail": {"status": "the_code", "message": "Why"}}"#,
            r#"{"detail": "Why"}"#,
            "",
            "<html>",
            "[]",
            "{}",
        ] {
            let error = failing(list_voices, Response::new(status).body(body));
            assert_eq!((kind(&error).as_str(), error.is_retryable()), (expected, retryable), "{status} {body}");
            let code = if body.contains("the_code") { "the_code".to_owned() } else { status.to_string() };
            let message = if body.contains("Why") {
                "ElevenLabs: Why".to_owned()
            } else {
                format!("ElevenLabs answered with status {status} and no explanation")
            };
            assert_eq!((error.message(), error.code()), (message.as_str(), Some(code.as_str())));
        }
    }
    let limited = failing(list_voices, Response::new(429).header("retry-after", "4"));
    assert_eq!(limited.hints()[0], "retry after 4 s");
}

#[test]
fn codes_say_more_than_the_status() {
    for (status, code, expected, retryable) in [
        (401, "quota_exceeded", "rate_limited", false),
        (401, "missing_permissions", "permission_error", false),
        (401, "invalid_api_key", "auth_error", false),
        (400, "voice_not_found", "not_found", false),
        (400, "max_character_limit_exceeded", "validation_error", false),
        (429, "too_many_concurrent_requests", "rate_limited", true),
    ] {
        for detail in [
            json!({ "status": code, "message": "m" }),
            json!({ "type": "t", "code": code, "message": "m", "status": "s" }),
        ] {
            let error = failing(list_voices, Response::json(status, &json!({ "detail": detail })));
            assert_eq!((kind(&error).as_str(), error.is_retryable(), error.code()), (expected, retryable, Some(code)));
            assert!(!error.hints().is_empty(), "{code}");
        }
    }
    let fields = json!({ "detail": [
        { "loc": ["body", "text"], "msg": "Field required", "type": "missing" }, { "loc": ["body", 0], "msg": null }, 7,
    ] });
    let error = failing(speak, Response::json(422, &fields));
    assert_eq!(error.message(), "ElevenLabs: body.text: Field required; body: invalid; : invalid");
    let long = failing(speak, Response::json(400, &json!({ "detail": "ä".repeat(5000) })));
    assert_eq!(long.message().chars().count(), 601);
    let _mock = mock::http(|_| Err(HttpError::Timeout("too late".into())));
    assert_eq!(speak().unwrap_err().hints(), ["the characters may have been used up all the same"]);
}
