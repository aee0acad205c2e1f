/*
 * json.h: reading JSON (RFC 8259) without ever changing a value.
 *
 * A scanner, not a tree: data passes through Weir as it came, so numbers keep their digits and
 * objects their order, which no parser into C types would promise. Strict: no comments, no trailing
 * commas, no NaN, valid UTF-8 only; nesting up to WI_JSON_MAX_DEPTH. The scanner does not recurse.
 */
#ifndef WI_JSON_H
#define WI_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

#define WI_JSON_MAX_DEPTH 512

typedef enum wi_json_type {
    WI_JSON_INVALID = 0,
    WI_JSON_NULL,
    WI_JSON_BOOL,
    WI_JSON_NUMBER,
    WI_JSON_STRING,
    WI_JSON_ARRAY,
    WI_JSON_OBJECT,
} wi_json_type;

/* What a scan found. On failure `offset` is the offending byte and `why` a static text. */
typedef struct wi_json_result {
    wi_json_type type; /* of the outermost value; WI_JSON_INVALID on failure */
    size_t offset;
    const char *why;
    bool has_space;   /* white space outside strings, so minifying would change it; */
    bool has_newline; /* some of it ends lines, so the value cannot stand in NDJSON as it is */
} wi_json_result;

/* Checks that text is exactly one JSON value with optional white space around it. */
wi_json_result wi_json_check(const char *text, size_t len);

/* Appends checked JSON without the white space outside its strings. */
void wi_json_append_minified(wi_buf *out, const char *text, size_t len);

/* One member of an object: spans into its text, the key still escaped and without quotes. */
typedef struct wi_json_member {
    const char *key;
    size_t key_len;
    bool key_escaped; /* the key holds backslashes: unescape before comparing */
    const char *value;
    size_t value_len;
    wi_json_type value_type;
} wi_json_member;

typedef struct wi_json_object {
    const char *at;
    const char *end;
} wi_json_object;

/* Walks the members of a checked object; next is false at its end. */
void wi_json_object_begin(wi_json_object *object, const char *text, size_t len);
bool wi_json_object_next(wi_json_object *object, wi_json_member *member);

/*
 * Appends the characters of a checked string (text between the quotes) as UTF-8. A lone surrogate
 * becomes U+FFFD.
 */
void wi_json_append_unescaped(wi_buf *out, const char *text, size_t len);

/*
 * Appends UTF-8 as the inside of a JSON string, without the quotes. Control characters, quote and
 * backslash are escaped, and so is DEL and C1 (a terminal would obey them); the rest stays as is.
 */
void wi_json_append_escaped(wi_buf *out, const char *text, size_t len);

/* The same, if the bytes are text: valid UTF-8 without NUL. If not, out stays as it was: false. */
bool wi_json_append_text(wi_buf *out, const char *bytes, size_t len);

/* wi_json_append_escaped with the quotes around it. */
void wi_json_append_string(wi_buf *out, const char *text, size_t len);

/*
 * Appends checked JSON as it is, but for DEL and C1 inside its strings: JSON lets them stand, a
 * terminal would obey them, so they are escaped. The value stays the same.
 */
void wi_json_append_tame(wi_buf *out, const char *text, size_t len);

#endif
