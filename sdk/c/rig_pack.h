/* What the author of a pack in C uses: tools as functions in a table, compiled to a component that runs in a sandbox.
 *
 *     static bool current(rig_call *call) {
 *         const char *path[] = {"v1", rig_text(call->args, "city"), NULL};
 *         rig_response response;
 *         if (!rig_get(call, "https://api.example.com", path, &response)) return false;
 *         if (response.status != 200) return rig_failure(call, &response, "the weather service refused");
 *         const rig_json *weather = rig_body(call, &response);
 *         if (!weather) return false;
 *         rig_put_text(call, "sky", rig_text(weather, "sky"));
 *         return true;
 *     }
 *
 *     const rig_tool rig_tools[] = {{.name = "weather.current.get", .risk = RIG_READ, .call = current, ...}, {0}};
 *
 * Every call runs in a fresh instance and is over soon, so nothing is ever freed. Texts are UTF-8 and end with a zero byte; a text
 * with a zero byte in it is read up to there. What is looked up and is not there is NULL, which every function here takes as well.
 */
#ifndef RIG_PACK_H
#define RIG_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { RIG_READ, RIG_WRITE, RIG_INFRA, RIG_MONEY, RIG_DESTRUCTIVE } rig_risk;

/* The kinds of failure that an agent can act on. */
typedef enum {
    RIG_VALIDATION_ERROR, RIG_AUTH_ERROR, RIG_PERMISSION_ERROR, RIG_NOT_FOUND, RIG_CONFLICT, RIG_RATE_LIMITED, RIG_TRANSIENT,
    RIG_TIMEOUT, RIG_UPSTREAM_ERROR, RIG_POLICY_BLOCKED, RIG_APPROVAL_REQUIRED, RIG_INTERNAL_ERROR
} rig_error_kind;

/* ---- JSON ---------------------------------------------------------------------------------------------------------------- */

typedef enum { RIG_NULL, RIG_FALSE, RIG_TRUE, RIG_NUMBER, RIG_TEXT, RIG_ARRAY, RIG_OBJECT } rig_type;

/* A value. The members of an array or object hang together by `next`; those of an object have a `name`. */
typedef struct rig_json {
    rig_type type;
    const char *text; /* of a text or a number */
    const char *name;
    struct rig_json *first, *next;
} rig_json;

/* Reads a text; NULL when it is not JSON. */
const rig_json *rig_parse(const char *text, size_t length);
/* The member of an object. */
const rig_json *rig_member(const rig_json *object, const char *name);
/* The text of a member; NULL when there is none, or when it is of another type. */
const char *rig_text(const rig_json *object, const char *name);
/* The whole number of a member; `otherwise` when there is none, or when it is of another type. */
int64_t rig_integer(const rig_json *object, const char *name, int64_t otherwise);
/* Whether a member is true. */
bool rig_is_true(const rig_json *object, const char *name);

/* ---- Calls --------------------------------------------------------------------------------------------------------------- */

/* One call: its arguments, and what will be answered. */
typedef struct rig_call {
    const rig_json *args;
    struct rig_answer *answer;
} rig_call;

/* Add a member to the output; a NULL text is null. */
void rig_put_text(rig_call *call, const char *name, const char *text);
void rig_put_integer(rig_call *call, const char *name, int64_t number);
void rig_put_bool(rig_call *call, const char *name, bool value);
void rig_put_json(rig_call *call, const char *name, const rig_json *value);

/* Ends the call with an error: `return rig_error(...)`. The message is one sentence; the hint, if any, says what can be done. */
bool rig_error(rig_call *call, rig_error_kind kind, const char *message, const char *hint);

/* ---- HTTP ---------------------------------------------------------------------------------------------------------------- */

typedef struct { const char *name, *value; } rig_field;

/* Names, paths and fields end with a NULL. Secrets are added by the host: there is nothing to do for them here. */
typedef struct {
    const char *method;         /* GET when absent */
    const char *url;            /* the beginning of the URL */
    const char *const *path;    /* segments, each percent-encoded, so that none can change the URL */
    const rig_field *query;     /* fields without a value are left out */
    const rig_field *headers;
    const char *body;           /* with its length; sent when it is not NULL */
    size_t body_length;
} rig_request;

typedef struct {
    uint16_t status;
    const char *body; /* ends with a zero byte, which is not part of it */
    size_t body_length;
    const rig_field *headers; /* names in lower case */
} rig_response;

/* Sends a request and waits for the whole response. False when there is none: then the call has its error. */
bool rig_send(rig_call *call, const rig_request *request, rig_response *response);
/* A GET without anything else. */
bool rig_get(rig_call *call, const char *url, const char *const *path, rig_response *response);
/* The body as JSON. NULL when it is none: then the call has its error. */
const rig_json *rig_body(rig_call *call, const rig_response *response);
/* The first header of that name, written in lower case. */
const char *rig_header(const rig_response *response, const char *name);
/* Ends the call with the error that the status stands for: 401 is `auth_error`, 404 `not_found`, 429 `rate_limited` and so on. */
bool rig_failure(rig_call *call, const rig_response *response, const char *message);

/* ---- The rest ------------------------------------------------------------------------------------------------------------ */

/* A setting that rig-pack.toml declares. */
const char *rig_config(const char *name);
/* Writes a line to the pack's log. */
void rig_log(const char *message);

typedef struct { const char *description, *args, *output; } rig_example;

/* A tool. `name` and `call` are needed, and so are the description and the schemas, which are JSON texts: models choose by them. */
typedef struct {
    const char *name, *title, *description;
    rig_risk risk;
    const char *input_schema, *output_schema;
    bool idempotent;
    const char *slots[8], *tags[8];
    rig_example examples[4];
    bool (*call)(rig_call *call);
} rig_tool;

/* The tools of the pack; the last one has no name. Defined by the pack. */
extern const rig_tool rig_tools[];

#endif
