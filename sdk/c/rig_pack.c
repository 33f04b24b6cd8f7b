/* The tools of a pack in C as the component exports them. JSON stands in rig_json.c, HTTP in rig_http.c. */
#include "rig_internal.h"

#include <stdlib.h>
#include <string.h>

void *rig_alloc(size_t size) {
    void *block = calloc(1, size ? size : 1);
    if (!block) abort();
    return block;
}

char *rig_copy(const void *bytes, size_t length) {
    char *text = rig_alloc(length + 1);
    memcpy(text, bytes, length);
    return text;
}

pack_string_t rig_string(const char *text) {
    pack_string_t string;
    if (!text) text = "";
    string.len = strlen(text);
    string.ptr = (uint8_t *)rig_copy(text, string.len);
    return string;
}

void rig_append(rig_buffer *buffer, const char *bytes, size_t length) {
    if (buffer->length + length + 1 > buffer->capacity) {
        buffer->capacity = (buffer->length + length + 1) * 2;
        buffer->bytes = realloc(buffer->bytes, buffer->capacity);
        if (!buffer->bytes) abort();
    }
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    buffer->bytes[buffer->length] = 0;
}

void rig_append_text(rig_buffer *buffer, const char *text) {
    rig_append(buffer, text, strlen(text));
}

void rig_append_integer(rig_buffer *buffer, int64_t number) {
    char digits[24], *at = digits + sizeof digits;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    *--at = 0;
    do *--at = '0' + rest % 10; while (rest /= 10);
    if (number < 0) *--at = '-';
    rig_append_text(buffer, at);
}

/* ---- Answers ------------------------------------------------------------------------------------------------------------- */

static void member(rig_call *call, const char *name) {
    rig_buffer *output = &call->answer->output;
    if (output->length > 1) rig_append_text(output, ",");
    rig_append_quoted(output, name);
    rig_append_text(output, ":");
}

void rig_put_text(rig_call *call, const char *name, const char *text) {
    member(call, name);
    if (text) rig_append_quoted(&call->answer->output, text);
    else rig_append_text(&call->answer->output, "null");
}

void rig_put_integer(rig_call *call, const char *name, int64_t number) {
    member(call, name);
    rig_append_integer(&call->answer->output, number);
}

void rig_put_bool(rig_call *call, const char *name, bool value) {
    member(call, name);
    rig_append_text(&call->answer->output, value ? "true" : "false");
}

void rig_put_json(rig_call *call, const char *name, const rig_json *value) {
    member(call, name);
    rig_append_json(&call->answer->output, value);
}

bool rig_error_of(rig_call *call, rig_error_kind kind, bool retryable, const char *message, const char *code) {
    struct rig_answer *answer = call->answer;
    answer->kind = kind;
    answer->retryable = retryable;
    answer->message = message;
    answer->code = code;
    return false;
}

void rig_hint(rig_call *call, const char *hint) {
    struct rig_answer *answer = call->answer;
    if (hint && answer->hints < RIG_HINTS) answer->hint[answer->hints++] = hint;
}

bool rig_error(rig_call *call, rig_error_kind kind, const char *message, const char *hint) {
    rig_hint(call, hint);
    bool passing = kind == RIG_RATE_LIMITED || kind == RIG_TRANSIENT || kind == RIG_TIMEOUT;
    return rig_error_of(call, kind, passing, message, NULL);
}

/* ---- What the component exports ------------------------------------------------------------------------------------------- */

static pack_list_string_t strings(const char *const *texts, size_t most) {
    pack_list_string_t list = {rig_alloc(most * sizeof(pack_string_t)), 0};
    while (list.len < most && texts[list.len]) {
        list.ptr[list.len] = rig_string(texts[list.len]);
        list.len++;
    }
    return list;
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void define(const rig_tool *tool, rig_pack_types_tool_def_t *def) {
    def->name = rig_string(tool->name);
    def->title = rig_string(tool->title);
    def->description = rig_string(tool->description);
    def->input_schema = rig_string(tool->input_schema);
    def->output_schema = rig_string(tool->output_schema);
    def->error_schema = rig_string("{}");
    def->auth_slots = strings(tool->slots, COUNT(tool->slots));
    def->risk_class = tool->risk;
    def->tags = strings(tool->tags, COUNT(tool->tags));
    def->idempotent = tool->idempotent;
    def->policy_defaults = rig_string("{}");
    def->examples.ptr = rig_alloc(sizeof(rig_pack_types_example_t) * COUNT(tool->examples));
    def->examples.len = 0;
    for (size_t i = 0; i < COUNT(tool->examples) && tool->examples[i].description; i++) {
        rig_pack_types_example_t *example = &def->examples.ptr[def->examples.len++];
        example->description = rig_string(tool->examples[i].description);
        example->args = rig_string(tool->examples[i].args);
        example->output.is_some = tool->examples[i].output != NULL;
        if (example->output.is_some) example->output.val = rig_string(tool->examples[i].output);
    }
}

void exports_rig_pack_tools_describe(exports_rig_pack_tools_list_tool_def_t *ret) {
    size_t count = 0;
    while (rig_tools[count].name) count++;
    ret->ptr = rig_alloc(count * sizeof *ret->ptr);
    ret->len = count;
    for (size_t i = 0; i < count; i++) define(&rig_tools[i], &ret->ptr[i]);
}

bool exports_rig_pack_tools_call(pack_string_t *name, exports_rig_pack_tools_json_t *args,
                                 exports_rig_pack_tools_call_context_t *context, exports_rig_pack_tools_json_t *ret,
                                 exports_rig_pack_tools_tool_error_t *err) {
    (void)context;
    struct rig_answer answer = {0};
    rig_call call = {rig_parse((const char *)args->ptr, args->len), &answer};
    const char *wanted = rig_copy(name->ptr, name->len);
    const rig_tool *tool = rig_tools;
    while (tool->name && strcmp(tool->name, wanted)) tool++;
    bool done;
    if (!tool->name) {
        done = rig_error(&call, RIG_NOT_FOUND, "the pack has no tool of that name", NULL);
    } else if (!call.args || call.args->type != RIG_OBJECT) {
        done = rig_error(&call, RIG_VALIDATION_ERROR, "the arguments are not a JSON object", NULL);
    } else {
        rig_append_text(&answer.output, "{");
        done = tool->call(&call);
        rig_append_text(&answer.output, "}");
    }
    if (done) {
        ret->ptr = (uint8_t *)answer.output.bytes;
        ret->len = answer.output.length;
        return true;
    }
    if (!answer.message) rig_error(&call, RIG_INTERNAL_ERROR, "the tool failed without saying why", NULL);
    err->kind = answer.kind;
    err->message = rig_string(answer.message);
    err->retryable = answer.retryable;
    err->upstream_code.is_some = answer.code != NULL;
    if (answer.code) err->upstream_code.val = rig_string(answer.code);
    err->remediation_hints = strings(answer.hint, answer.hints);
    return false;
}

/* ---- The rest -------------------------------------------------------------------------------------------------------------- */

const char *rig_config(const char *name) {
    pack_string_t wanted = rig_string(name), value;
    if (!rig_pack_config_get(&wanted, &value)) return NULL;
    return rig_copy(value.ptr, value.len);
}

void rig_log(const char *message) {
    pack_string_t line = rig_string(message);
    rig_pack_log_write(RIG_PACK_LOG_LEVEL_INFO, &line);
}
