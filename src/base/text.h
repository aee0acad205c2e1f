/*
 * text.h: bytes that become text somewhere: UTF-8, terminals, URLs, base64, numbers with units.
 * No function here allocates except through the wi_buf it is given.
 */
#ifndef WI_TEXT_H
#define WI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "buf.h"

/* The length of the character that the bytes begin with; 0: they begin with none. At least one is
 * left. */
size_t wi_utf8_length(const char *bytes, size_t left);

/* The length of the longest prefix that is valid UTF-8 (RFC 3629); len if all of it is. */
size_t wi_utf8_valid_prefix(const char *bytes, size_t len);

/* Is it text: valid UTF-8 without NUL? */
bool wi_text_is(const char *bytes, size_t len);

/* Appends bytes with every invalid UTF-8 byte replaced by U+FFFD. */
void wi_utf8_append_lossy(wi_buf *out, const char *bytes, size_t len);

/*
 * Copies bytes into dst (of `size` bytes, always terminated) so that they are one printable line:
 * control characters (C0, DEL, C1, and the bidirectional overrides) and invalid UTF-8 become
 * \xNN or \u{NNNN} escapes, \n \r \t their usual names. Cuts at a character's end, with "..."
 * when it had to cut. dst may not overlap bytes. Returns the length written. Safe in a signal
 * handler.
 */
size_t wi_text_printable(char *dst, size_t size, const char *bytes, size_t len);

/* The same, without an end. */
void wi_text_append_printable(wi_buf *out, const char *bytes, size_t len);

/* RFC 3986: everything but the unreserved characters as %XX. */
void wi_text_append_percent(wi_buf *out, const char *bytes, size_t len);

/* RFC 4648, section 4, with padding. */
void wi_text_append_base64(wi_buf *out, const void *bytes, size_t len);

/* Are these the same but for the case of ASCII letters, whatever the locale? */
bool wi_text_same_nocase(const char *a, const char *b, size_t len);

/* Here, so that the length of a known b is known too: most texts that are compared differ in it. */
static inline bool wi_text_equal_nocase(const char *a, size_t a_len, const char *b)
{
    return a_len == strlen(b) && wi_text_same_nocase(a, b, a_len);
}

/* Decimal digits only, no sign or space; false if empty, not digits or past INT64_MAX. */
bool wi_text_parse_i64(const char *text, size_t len, int64_t *value);

/* "75" or "64-78"; false unless both are numbers in order and within least and most. */
bool wi_text_parse_range(const char *text, size_t len, int64_t least, int64_t most, int64_t *from,
                         int64_t *to);

#endif
