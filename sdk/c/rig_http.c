/* Requests, and what a response means for the call. */
#include "rig_internal.h"

#include <string.h>

static void percent(rig_buffer *out, const char *text, const char *literal) {
    static const char hex[] = "0123456789ABCDEF";
    for (; *text; text++) {
        uint8_t c = *text;
        bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || strchr(literal, c);
        char coded[] = {'%', hex[c >> 4], hex[c & 15]};
        rig_append(out, plain ? text : coded, plain ? 1 : sizeof coded);
    }
}

/* The whole URL; NULL when a segment would change it: then the call has its error. */
static const char *url_of(rig_call *call, const rig_request *request) {
    rig_buffer url = {0};
    rig_append_text(&url, request->url);
    while (request->path && url.length && url.bytes[url.length - 1] == '/') url.length--;
    for (const char *const *segment = request->path; segment && *segment; segment++) {
        if (!**segment || !strcmp(*segment, ".") || !strcmp(*segment, "..")) {
            rig_error(call, RIG_VALIDATION_ERROR, "an empty text, `.` or `..` cannot be part of a URL's path", NULL);
            return NULL;
        }
        rig_append_text(&url, "/");
        percent(&url, *segment, "-._~");
    }
    const char *between = url.bytes && strchr(url.bytes, '?') ? "&" : "?";
    for (const rig_field *field = request->query; field && field->name; field++) {
        if (!field->value) continue;
        rig_append_text(&url, between);
        percent(&url, field->name, "-._~[]");
        rig_append_text(&url, "=");
        percent(&url, field->value, "-._~");
        between = "&";
    }
    return url.bytes;
}

/* Why there is no response, in the order of the variant in bindings.h. */
static bool no_response(rig_call *call, const rig_pack_http_http_error_t *error) {
    static const struct { rig_error_kind kind; const char *meaning; } kinds[] = {
        {RIG_PERMISSION_ERROR, "the request is not granted: "},
        {RIG_INTERNAL_ERROR, "the request is malformed: "},
        {RIG_TRANSIENT, "the host's name does not resolve: "},
        {RIG_TRANSIENT, "the host cannot be reached: "},
        {RIG_UPSTREAM_ERROR, "the host's certificate or TLS is at fault: "},
        {RIG_TIMEOUT, "the host did not answer in time: "},
        {RIG_UPSTREAM_ERROR, "the request or the response is too large: "},
        {RIG_UPSTREAM_ERROR, "the host broke the protocol: "},
    };
    rig_buffer message = {0};
    rig_append_text(&message, kinds[error->tag].meaning);
    /* Each case holds a text and nothing else. */
    rig_append(&message, (const char *)error->val.denied.ptr, error->val.denied.len);
    return rig_error(call, kinds[error->tag].kind, message.bytes, NULL);
}

bool rig_send(rig_call *call, const rig_request *request, rig_response *response) {
    const char *url = url_of(call, request);
    if (!url) return false;
    size_t count = 0;
    while (request->headers && request->headers[count].name) count++;
    rig_pack_http_request_t wire = {0};
    wire.method = rig_string(request->method ? request->method : "GET");
    wire.url = rig_string(url);
    wire.headers.ptr = rig_alloc(count * sizeof *wire.headers.ptr);
    wire.headers.len = count;
    for (size_t i = 0; i < count; i++) {
        wire.headers.ptr[i].f0 = rig_string(request->headers[i].name);
        wire.headers.ptr[i].f1 = rig_string(request->headers[i].value);
    }
    if (request->body) {
        wire.body.is_some = true;
        wire.body.val.ptr = (uint8_t *)request->body;
        wire.body.val.len = request->body_length;
    }
    rig_pack_http_response_t answer;
    rig_pack_http_http_error_t error;
    if (!rig_pack_http_send(&wire, &answer, &error)) return no_response(call, &error);
    rig_field *headers = rig_alloc((answer.headers.len + 1) * sizeof *headers);
    for (size_t i = 0; i < answer.headers.len; i++) {
        headers[i].name = rig_copy(answer.headers.ptr[i].f0.ptr, answer.headers.ptr[i].f0.len);
        headers[i].value = rig_copy(answer.headers.ptr[i].f1.ptr, answer.headers.ptr[i].f1.len);
    }
    response->status = answer.status;
    response->headers = headers;
    response->body = rig_copy(answer.body.ptr, answer.body.len);
    response->body_length = answer.body.len;
    return true;
}

bool rig_get(rig_call *call, const char *url, const char *const *path, rig_response *response) {
    rig_request request = {.url = url, .path = path};
    return rig_send(call, &request, response);
}

const char *rig_header(const rig_response *response, const char *name) {
    for (const rig_field *header = response->headers; header->name; header++)
        if (!strcmp(header->name, name)) return header->value;
    return NULL;
}

static const char *code(const rig_response *response) {
    rig_buffer text = {0};
    rig_append_integer(&text, response->status);
    return text.bytes;
}

const rig_json *rig_body(rig_call *call, const rig_response *response) {
    const rig_json *body = rig_parse(response->body, response->body_length);
    if (!body) {
        rig_error_of(call, RIG_UPSTREAM_ERROR, false, "the service answered with a body that is not JSON", code(response));
    }
    return body;
}

bool rig_failure(rig_call *call, const rig_response *response, const char *message) {
    static const struct { uint16_t status; rig_error_kind kind; } kinds[] = {
        {401, RIG_AUTH_ERROR}, {402, RIG_PERMISSION_ERROR}, {403, RIG_PERMISSION_ERROR}, {404, RIG_NOT_FOUND},
        {407, RIG_AUTH_ERROR}, {408, RIG_TIMEOUT}, {409, RIG_CONFLICT}, {410, RIG_NOT_FOUND}, {412, RIG_CONFLICT},
        {423, RIG_CONFLICT}, {425, RIG_TRANSIENT}, {429, RIG_RATE_LIMITED}, {451, RIG_PERMISSION_ERROR},
        {502, RIG_TRANSIENT}, {503, RIG_TRANSIENT}, {504, RIG_TRANSIENT},
    };
    uint16_t status = response->status;
    rig_error_kind kind = status >= 400 && status < 500 ? RIG_VALIDATION_ERROR : RIG_UPSTREAM_ERROR;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].status == status) kind = kinds[i].kind;
    bool passing = status == 500 || kind == RIG_TIMEOUT || kind == RIG_RATE_LIMITED || kind == RIG_TRANSIENT;
    const char *wait = passing ? rig_header(response, "retry-after") : NULL;
    if (wait && *wait) {
        rig_buffer hint = {0};
        size_t length = strlen(wait);
        rig_append_text(&hint, "retry after ");
        rig_append(&hint, wait, length < 64 ? length : 64);
        if (strspn(wait, "0123456789") == length) rig_append_text(&hint, " s");
        rig_hint(call, hint.bytes);
    }
    return rig_error_of(call, kind, passing, message, code(response));
}
