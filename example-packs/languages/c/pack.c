/* A pack in C with one tool: it tells how many people starred a repository on GitHub. */
#include "rig_pack.h"

static bool get(rig_call *call) {
    const char *path[] = {"repos", rig_text(call->args, "owner"), rig_text(call->args, "name"), NULL};
    rig_field headers[] = {{"user-agent", "rig"}, {0}};
    rig_request request = {.url = "https://api.github.com", .path = path, .headers = headers};
    rig_response response;
    if (!rig_send(call, &request, &response)) return false;
    if (response.status != 200) return rig_failure(call, &response, "GitHub did not answer with the repository");
    const rig_json *repository = rig_body(call, &response);
    if (!repository) return false;
    rig_put_text(call, "full_name", rig_text(repository, "full_name"));
    rig_put_integer(call, "stargazers_count", rig_integer(repository, "stargazers_count", 0));
    return true;
}

const rig_tool rig_tools[] = {
    {
        .name = "stars-c.repo.get",
        .title = "Stars of a repository",
        .description = "Tells how many people starred a repository on GitHub.",
        .risk = RIG_READ,
        .idempotent = true,
        .slots = {"GITHUB_TOKEN"},
        .tags = {"github"},
        .input_schema = "{\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"owner\", \"name\"], \"properties\": {"
                        "\"owner\": {\"type\": \"string\", \"description\": \"Who the repository belongs to\"},"
                        "\"name\": {\"type\": \"string\", \"description\": \"The name of the repository\"}}}",
        .output_schema = "{\"type\": \"object\", \"required\": [\"full_name\", \"stargazers_count\"], \"properties\": {"
                         "\"full_name\": {\"type\": \"string\", \"description\": \"Its owner and its name\"},"
                         "\"stargazers_count\": {\"type\": \"integer\", \"description\": \"How many people starred it\"}}}",
        .examples = {{"The Rust compiler", "{\"owner\": \"rust-lang\", \"name\": \"rust\"}", NULL}},
        .call = get,
    },
    {0},
};
