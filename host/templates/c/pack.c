/* Two tools: one asks a web API, the other only computes. */
#include "rig_pack.h"

static bool get_repo(rig_call *call) {
    const char *path[] = {"repos", rig_text(call->args, "owner"), rig_text(call->args, "name"), NULL};
    rig_response response;
    if (!rig_get(call, "https://api.github.com", path, &response)) return false;
    if (response.status != 200) return rig_failure(call, &response, "GitHub did not answer with a public repository");
    const rig_json *repository = rig_body(call, &response);
    if (!repository) return false;
    rig_put_text(call, "full_name", rig_text(repository, "full_name"));
    rig_put_integer(call, "stargazers_count", rig_integer(repository, "stargazers_count", 0));
    rig_put_text(call, "language", rig_text(repository, "language"));
    return true;
}

static bool count(rig_call *call) {
    int64_t words = 0, characters = 0;
    bool inside = false;
    for (const char *c = rig_text(call->args, "text"); c && *c; c++) {
        bool space = *c == ' ' || *c == '\t' || *c == '\n' || *c == '\r';
        words += !space && !inside;
        inside = !space;
        /* In UTF-8 every byte but those that continue a character begins one. */
        characters += (*c & 0xc0) != 0x80;
    }
    if (words == 0) {
        return rig_error(call, RIG_VALIDATION_ERROR, "the text has no words", "send a text with at least one word");
    }
    rig_put_integer(call, "words", words);
    rig_put_integer(call, "characters", characters);
    return true;
}

const rig_tool rig_tools[] = {
    {
        .name = "{{id}}.repo.get",
        .title = "Look at a repository",
        .description = "Tells how many people starred a repository on GitHub, and in which language most of it is written.",
        .risk = RIG_READ,
        .idempotent = true,
        .tags = {"github"},
        .input_schema = "{\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"owner\", \"name\"], \"properties\": {"
                        "\"owner\": {\"type\": \"string\", \"description\": \"Who the repository belongs to\"},"
                        "\"name\": {\"type\": \"string\", \"description\": \"The name of the repository\"}}}",
        .output_schema = "{\"type\": \"object\", \"required\": [\"full_name\", \"stargazers_count\", \"language\"], \"properties\": {"
                         "\"full_name\": {\"type\": \"string\", \"description\": \"Its owner and its name\"},"
                         "\"stargazers_count\": {\"type\": \"integer\", \"description\": \"How many people starred it\"},"
                         "\"language\": {\"type\": [\"string\", \"null\"], \"description\":"
                         " \"The language that most of it is written in; null when there is none\"}}}",
        .examples = {{"The Rust compiler", "{\"owner\": \"rust-lang\", \"name\": \"rust\"}", NULL}},
        .call = get_repo,
    },
    {
        .name = "{{id}}.text.count",
        .title = "Count words",
        .description = "Counts the words and the characters of a text.",
        .risk = RIG_READ,
        .idempotent = true,
        .tags = {"text"},
        .input_schema = "{\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"text\"], \"properties\": {"
                        "\"text\": {\"type\": \"string\", \"description\": \"The text\"}}}",
        .output_schema = "{\"type\": \"object\", \"required\": [\"words\", \"characters\"], \"properties\": {"
                         "\"words\": {\"type\": \"integer\", \"description\": \"How many words there are\"},"
                         "\"characters\": {\"type\": \"integer\", \"description\": \"How many characters there are, spaces included\"}}}",
        .examples = {{"A short text", "{\"text\": \"to be or not to be\"}", "{\"words\": 6, \"characters\": 18}"}},
        .call = count,
    },
    {0},
};
