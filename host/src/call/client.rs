//! The way from a running tool to whoever made the call: known secrets are taken out of what it says, a further attempt does not ask
//! a person again, and questions of inner calls are told apart from those of outer ones.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::Request;
use crate::{
    egress::{CallEgress, Redactor},
    sandbox::{AskError, AskFuture, Client, Progress, Question, Reply},
};

/// The client of one call, for all its attempts.
pub(super) struct CallClient {
    client: Arc<dyn Client>,
    /// The tool that is called, when another tool calls it.
    inner: Option<String>,
    /// Knows the secrets of the call, when it has any.
    redacting: Option<Arc<CallEgress>>,
    /// What the person was asked and replied.
    replies: Mutex<BTreeMap<String, (Question, Reply)>>,
}

impl CallClient {
    pub(super) fn shared(
        client: &Arc<dyn Client>,
        request: &Request,
        redacting: Option<&Arc<CallEgress>>,
    ) -> Arc<dyn Client> {
        Arc::new(Self {
            client: Arc::clone(client),
            inner: (request.depth > 0).then(|| request.tool.clone()),
            redacting: redacting.cloned(),
            replies: Mutex::default(),
        })
    }

    fn redactor(&self) -> Option<Arc<Redactor>> {
        self.redacting.as_ref().map(|egress| egress.redactor())
    }

    fn known(&self, question: &Question) -> Option<Reply> {
        let replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        replies.get(&question.key).filter(|(asked, _)| asked == question).map(|(_, reply)| reply.clone())
    }
}

impl Client for CallClient {
    fn progress(&self, mut progress: Progress) {
        if let Some(redactor) = self.redactor() {
            progress.message = progress.message.map(|text| redactor.text(&text).into_owned());
        }
        self.client.progress(progress);
    }

    fn ask(&self, mut question: Question) -> AskFuture<'_> {
        Box::pin(async move {
            if let Some(redactor) = self.redactor() {
                question.message = redactor.text(&question.message).into_owned();
                // Choices cannot be changed without changing what is chosen.
                let form = serde_json::Value::Object(question.form.schema().clone()).to_string();
                if matches!(redactor.text(&form), std::borrow::Cow::Owned(_)) {
                    return Err(AskError::Denied("the form of the question holds a secret".into()));
                }
            }
            if let Some(tool) = &self.inner {
                question.key = format!("{tool}/{}", question.key);
                question.from.get_or_insert_with(|| tool.clone());
            }
            if let Some(reply) = self.known(&question) {
                return Ok(reply);
            }
            let reply = self.client.ask(question.clone()).await?;
            let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
            replies.insert(question.key.clone(), (question, reply.clone()));
            Ok(reply)
        })
    }
}

#[cfg(test)]
mod tests {
    use rig_specs::rtp::CallContext;
    use serde_json::{Map, json};

    use super::*;
    use crate::{
        egress::{Gate, Reach, Settings},
        sandbox::Form,
        secrets::{CallSecrets, Marker, Secret},
    };

    /// Remembers what it was told and says yes.
    #[derive(Default)]
    struct Yes {
        asked: Mutex<Vec<Question>>,
        told: Mutex<Vec<Progress>>,
    }

    impl Client for Yes {
        fn progress(&self, progress: Progress) {
            self.told.lock().unwrap().push(progress);
        }

        fn ask(&self, question: Question) -> AskFuture<'_> {
            self.asked.lock().unwrap().push(question);
            Box::pin(async { Ok(Reply::Accepted(Map::new())) })
        }
    }

    fn request(tool: &str, depth: u32) -> Request {
        let context = CallContext { tenant_id: None, request_id: None, actor: None };
        Request { tool: tool.into(), args: "{}".into(), context, timeout: None, depth, client: None }
    }

    fn question(message: &str, schema: &serde_json::Value) -> Question {
        let form = Form::parse(&schema.to_string()).unwrap();
        Question { key: "sure".into(), from: None, message: message.into(), form }
    }

    fn plain() -> serde_json::Value {
        json!({ "type": "object", "properties": { "ok": { "type": "boolean" } } })
    }

    #[tokio::test]
    async fn a_further_attempt_does_not_ask_again() {
        let yes = Arc::new(Yes::default());
        let client: Arc<dyn Client> = yes.clone();
        let client = CallClient::shared(&client, &request("a.b.c", 0), None);
        for _ in 0..2 {
            assert_eq!(client.ask(question("Sure?", &plain())).await, Ok(Reply::Accepted(Map::new())));
        }
        assert_eq!(yes.asked.lock().unwrap().len(), 1);
        // Under the same key, another question is another question.
        assert!(client.ask(question("Delete it?", &plain())).await.is_ok());
        assert_eq!(yes.asked.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn questions_of_inner_calls_are_told_apart() {
        let yes = Arc::new(Yes::default());
        let client: Arc<dyn Client> = yes.clone();
        let outer = CallClient::shared(&client, &request("a.b.c", 0), None);
        let inner = CallClient::shared(&outer, &request("d.e.f", 1), None);
        let innermost = CallClient::shared(&inner, &request("g.h.i", 2), None);
        for client in [&outer, &inner, &innermost] {
            client.ask(question("Sure?", &plain())).await.unwrap();
        }
        let asked = yes.asked.lock().unwrap();
        let seen: Vec<_> = asked.iter().map(|question| (question.key.as_str(), question.from.as_deref())).collect();
        assert_eq!(seen, [("sure", None), ("d.e.f/sure", Some("d.e.f")), ("d.e.f/g.h.i/sure", Some("g.h.i"))]);
    }

    #[tokio::test]
    async fn secrets_do_not_reach_the_person() {
        let yes = Arc::new(Yes::default());
        let client: Arc<dyn Client> = yes.clone();
        let secrets =
            CallSecrets::none().with("TOKEN", Secret::new("canary-value".into()), Marker::Env("TOKEN".into()));
        let gate = Arc::new(Gate::new(&Settings::default()).unwrap());
        let egress = Arc::new(CallEgress::new(gate, Arc::new(Reach::default()), Arc::new(secrets)));
        let leak = "the token is canary-value";
        let titled = json!({ "type": "object", "properties": { "ok": { "type": "boolean", "title": leak } } });
        let progress = || Progress { done: 1.0, total: None, message: Some(leak.into()) };

        let guarded = CallClient::shared(&client, &request("a.b.c", 0), Some(&egress));
        guarded.progress(progress());
        guarded.ask(question(leak, &plain())).await.unwrap();
        let refused = guarded.ask(question("Sure?", &titled)).await;
        assert_eq!(refused, Err(AskError::Denied("the form of the question holds a secret".into())));
        assert!(!format!("{:?}{:?}", yes.asked.lock().unwrap(), yes.told.lock().unwrap()).contains("canary"));

        // Control: without a redactor all three come through.
        let open = CallClient::shared(&client, &request("a.b.c", 0), None);
        open.progress(progress());
        open.ask(question(leak, &plain())).await.unwrap();
        open.ask(question("Sure?", &titled)).await.unwrap();
        let seen = format!("{:?}{:?}", yes.asked.lock().unwrap(), yes.told.lock().unwrap());
        assert_eq!(seen.matches("canary-value").count(), 3, "{seen}");
    }
}
