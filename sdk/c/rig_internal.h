/* What the parts of the helper share; not for packs. */
#ifndef RIG_INTERNAL_H
#define RIG_INTERNAL_H

#include "bindings.h"
#include "rig_pack.h"

/* Hints of one error. */
#define RIG_HINTS 4

typedef struct { char *bytes; size_t length, capacity; } rig_buffer;

struct rig_answer {
    rig_buffer output;
    rig_error_kind kind;
    bool retryable;
    const char *message, *code, *hint[RIG_HINTS + 1];
    size_t hints;
};

/* Zeroed; never NULL: a pack without memory ends. */
void *rig_alloc(size_t size);
char *rig_copy(const void *bytes, size_t length);
pack_string_t rig_string(const char *text);
void rig_append(rig_buffer *buffer, const char *bytes, size_t length);
void rig_append_text(rig_buffer *buffer, const char *text);
void rig_append_integer(rig_buffer *buffer, int64_t number);
void rig_append_quoted(rig_buffer *buffer, const char *text);
void rig_append_json(rig_buffer *buffer, const rig_json *value);
bool rig_error_of(rig_call *call, rig_error_kind kind, bool retryable, const char *message, const char *code);
void rig_hint(rig_call *call, const char *hint);

#endif
