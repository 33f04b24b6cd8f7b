/* JSON: a text to a tree, and back. */
#include "rig_internal.h"

#include <string.h>

/* How deep values may be nested: the reader calls itself for each level. */
#define MAX_DEPTH 128

typedef struct { const char *at, *end; int depth; } reader;

static rig_json *value(reader *in);

static char peek(reader *in) {
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\n' || *in->at == '\r' || *in->at == '\t')) in->at++;
    return in->at < in->end ? *in->at : 0;
}

static bool word(reader *in, const char *text) {
    size_t length = strlen(text);
    if ((size_t)(in->end - in->at) < length || memcmp(in->at, text, length)) return false;
    in->at += length;
    return true;
}

static bool hex(reader *in, uint32_t *unit) {
    if (in->end - in->at < 4) return false;
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        char c = *in->at++;
        uint32_t digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 16;
        if (digit == 16) return false;
        *unit = *unit << 4 | digit;
    }
    return true;
}

static void utf8(rig_buffer *out, uint32_t c) {
    char bytes[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; c >>= 6) bytes[i] = 0x80 | (c & 0x3f);
    bytes[0] = first[n] | c;
    rig_append(out, bytes, n);
}

static bool escape(reader *in, rig_buffer *out) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (in->at == in->end) return false;
    char c = *in->at++;
    const char *known = strchr(from, c);
    if (c && known) {
        rig_append(out, &to[known - from], 1);
        return true;
    }
    uint32_t unit, low;
    if (c != 'u' || !hex(in, &unit)) return false;
    if (unit >= 0xd800 && unit < 0xdc00) {
        if (!word(in, "\\u") || !hex(in, &low) || low < 0xdc00 || low > 0xdfff) return false;
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    } else if (unit >= 0xdc00 && unit < 0xe000) {
        return false;
    }
    utf8(out, unit);
    return true;
}

static const char *string(reader *in) {
    rig_buffer out = {0};
    rig_append(&out, "", 0);
    in->at++;
    for (;;) {
        const char *start = in->at;
        while (in->at < in->end && *in->at != '"' && *in->at != '\\' && (uint8_t)*in->at >= 0x20) in->at++;
        rig_append(&out, start, in->at - start);
        if (in->at == in->end) return NULL;
        char c = *in->at++;
        if (c == '"') return out.bytes;
        if (c != '\\' || !escape(in, &out)) return NULL;
    }
}

static bool digits(reader *in) {
    const char *start = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9') in->at++;
    return in->at > start;
}

static const char *number(reader *in) {
    const char *start = in->at;
    if (*in->at == '-') in->at++;
    if (in->at < in->end && *in->at == '0') in->at++;
    else if (!digits(in)) return NULL;
    if (in->at < in->end && *in->at == '.' && (in->at++, !digits(in))) return NULL;
    if (in->at < in->end && (*in->at | 32) == 'e') {
        in->at++;
        if (in->at < in->end && (*in->at == '+' || *in->at == '-')) in->at++;
        if (!digits(in)) return NULL;
    }
    return rig_copy(start, in->at - start);
}

static bool members(reader *in, rig_json *of, char close) {
    rig_json **end = &of->first;
    in->at++;
    if (in->depth-- == 0) return false;
    if (peek(in) != close) {
        for (;;) {
            const char *name = NULL;
            if (of->type == RIG_OBJECT) {
                if (peek(in) != '"' || !(name = string(in)) || peek(in) != ':') return false;
                in->at++;
            }
            if (!(*end = value(in))) return false;
            (*end)->name = name;
            end = &(*end)->next;
            if (peek(in) != ',') break;
            in->at++;
        }
    }
    in->depth++;
    if (peek(in) != close) return false;
    in->at++;
    return true;
}

static rig_json *value(reader *in) {
    rig_json *of = rig_alloc(sizeof *of);
    char c = peek(in);
    bool good;
    if (c == '{') of->type = RIG_OBJECT, good = members(in, of, '}');
    else if (c == '[') of->type = RIG_ARRAY, good = members(in, of, ']');
    else if (c == '"') of->type = RIG_TEXT, good = (of->text = string(in)) != NULL;
    else if (c == '-' || (c >= '0' && c <= '9')) of->type = RIG_NUMBER, good = (of->text = number(in)) != NULL;
    else if (c == 't') of->type = RIG_TRUE, good = word(in, "true");
    else if (c == 'f') of->type = RIG_FALSE, good = word(in, "false");
    else of->type = RIG_NULL, good = word(in, "null");
    return good ? of : NULL;
}

const rig_json *rig_parse(const char *text, size_t length) {
    reader in = {text, text + length, MAX_DEPTH};
    const rig_json *read = value(&in);
    return read && !peek(&in) && in.at == in.end ? read : NULL;
}

const rig_json *rig_member(const rig_json *object, const char *name) {
    if (!object || object->type != RIG_OBJECT) return NULL;
    for (const rig_json *member = object->first; member; member = member->next)
        if (!strcmp(member->name, name)) return member;
    return NULL;
}

const char *rig_text(const rig_json *object, const char *name) {
    const rig_json *member = rig_member(object, name);
    return member && member->type == RIG_TEXT ? member->text : NULL;
}

int64_t rig_integer(const rig_json *object, const char *name, int64_t otherwise) {
    const rig_json *member = rig_member(object, name);
    if (!member || member->type != RIG_NUMBER) return otherwise;
    bool negative = member->text[0] == '-';
    uint64_t number = 0, most = (uint64_t)INT64_MAX + negative;
    for (const char *at = member->text + negative; *at; at++) {
        if (*at < '0' || *at > '9' || number > (most - (*at - '0')) / 10) return otherwise;
        number = number * 10 + (*at - '0');
    }
    return negative ? (int64_t)-number : (int64_t)number;
}

bool rig_is_true(const rig_json *object, const char *name) {
    const rig_json *member = rig_member(object, name);
    return member && member->type == RIG_TRUE;
}

void rig_append_quoted(rig_buffer *out, const char *text) {
    static const char hex[] = "0123456789abcdef";
    rig_append_text(out, "\"");
    for (; *text; text++) {
        uint8_t c = *text;
        char unit[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        if (c == '"' || c == '\\') rig_append_text(out, "\\");
        if (c < 0x20) rig_append(out, unit, sizeof unit);
        else rig_append(out, text, 1);
    }
    rig_append_text(out, "\"");
}

void rig_append_json(rig_buffer *out, const rig_json *value) {
    static const char *const words[] = {"null", "false", "true"};
    if (!value) rig_append_text(out, "null");
    else if (value->type <= RIG_TRUE) rig_append_text(out, words[value->type]);
    else if (value->type == RIG_NUMBER) rig_append_text(out, value->text);
    else if (value->type == RIG_TEXT) rig_append_quoted(out, value->text);
    else {
        bool object = value->type == RIG_OBJECT;
        rig_append_text(out, object ? "{" : "[");
        for (const rig_json *member = value->first; member; member = member->next) {
            if (member != value->first) rig_append_text(out, ",");
            if (object) rig_append_quoted(out, member->name), rig_append_text(out, ":");
            rig_append_json(out, member);
        }
        rig_append_text(out, object ? "}" : "]");
    }
}
