//! Shapes, keys and the canonical form.

use super::*;

fn root() -> Root {
    let mut root = Root::empty(1, "2030-01-01T00:00:00Z".into());
    let key = PublicKey::from_bytes([7; 32]);
    root.keys.insert(key.id(), key.key());
    for role in root.roles.values_mut() {
        role.keyids = vec![key.id()];
    }
    root
}

#[test]
fn the_canonical_form_is_that_of_the_framework() {
    let value = json!({ "b": [1, true, null], "a": "tab\t \"q\" \\ é", "": { "z": -1, "é": 2 } });
    let expected = "{\"\":{\"z\":-1,\"é\":2},\"a\":\"tab\t \\\"q\\\" \\\\ é\",\"b\":[1,true,null]}";
    assert_eq!(String::from_utf8(canonical(&value).unwrap()).unwrap(), expected);
    let error = canonical(&json!({ "x": [1.5] })).unwrap_err();
    assert_eq!(error.to_string(), "it holds the number 1.5, and only whole numbers can be signed");
}

#[test]
fn keys_have_one_text_and_the_id_of_the_framework() {
    let key = PublicKey::from_bytes([0xab; 32]);
    assert_eq!(key.to_string().parse(), Ok(key));
    let message = format!(r#"{{"keytype":"ed25519","keyval":{{"public":"{}"}},"scheme":"ed25519"}}"#, "ab".repeat(32));
    assert_eq!(key.id(), Sha256::of(message.as_bytes()).hex());
    for bad in ["", "ed25519:", &"ab".repeat(32), &format!("ed25519:{}", "AB".repeat(32)), "rsa:00"] {
        assert!(bad.parse::<PublicKey>().is_err(), "{bad:?} passed");
    }
}

#[test]
fn a_root_must_make_sense() {
    assert_eq!(root().problem(), None);
    let check = |change: &dyn Fn(&mut Root), problem: &str| {
        let mut root = root();
        change(&mut root);
        let found = root.problem().unwrap_or_default();
        assert!(found.starts_with(problem), "{found}");
    };
    check(&|root| root.consistent_snapshot = false, "it does not have `consistent_snapshot`");
    check(&|root| drop(root.roles.remove(&RoleName::Snapshot)), "it names no keys for `snapshot`");
    let set = |root: &mut Root, role, threshold| root.roles.get_mut(&role).unwrap().threshold = threshold;
    check(&|root| set(root, RoleName::Root, 0), "`root` needs 0 signatures and has 1 keys");
    check(&|root| set(root, RoleName::Targets, 2), "`targets` needs 2 signatures and has 1 keys");
    check(&|root| root.keys.values_mut().for_each(|key| key.scheme = "x".into()), "the id of the key `");
    // The same key under a second id, made by a field that nobody looks at, is still one key.
    let twice = |root: &mut Root| {
        let mut key = PublicKey::from_bytes([7; 32]).key();
        key.other.insert("note".into(), json!("another"));
        root.roles.get_mut(&RoleName::Root).unwrap().keyids.push(key.id());
        root.keys.insert(key.id(), key);
        set(root, RoleName::Root, 2);
    };
    check(&twice, "`root` needs 2 signatures and has 1 keys");
}

#[test]
fn documents_keep_what_they_do_not_know() {
    let mut value = serde_json::to_value(root()).unwrap();
    value["x-note"] = json!({ "deep": [1] });
    let envelope = Envelope { signatures: Vec::new(), signed: value.clone() };
    let read: Root = envelope.read(RoleName::Root).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), value);
    let other = envelope.read::<Targets>(RoleName::Targets).unwrap_err();
    assert_eq!(other, "its `_type` is not `targets`");
    value["spec_version"] = json!("2.0.0");
    let newer = Envelope { signatures: Vec::new(), signed: value };
    assert_eq!(newer.read::<Root>(RoleName::Root).unwrap_err(), "it follows another specification than 1.*: `2.0.0`");
}
