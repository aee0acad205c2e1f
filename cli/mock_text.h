/*
 * mock_text.h: bytes that grow up to a cap. A failure (no memory, the cap) sticks, so that a text
 * can be written in one go and checked once at its end.
 */
#ifndef CLI_MOCK_TEXT_H
#define CLI_MOCK_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum { MOCK_TEXT_MAX = 128 << 20 };

typedef struct mock_text {
    char *bytes;
    size_t len;
    size_t cap;
    bool failed;
} mock_text;

void mock_text_fini(mock_text *text);

void mock_text_add(mock_text *text, const void *bytes, size_t len);
void mock_text_add_str(mock_text *text, const char *str);
void mock_text_addf(mock_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void mock_text_add_json(mock_text *text, const char *bytes, size_t len);

void mock_text_add_base64(mock_text *text, const char *bytes, size_t len);

/* Printable ASCII as it is, everything else as \xNN: safe on a terminal. */
void mock_text_add_printable(mock_text *text, const char *bytes, size_t len);

/* The length of the UTF-8 character that begins at bytes; 0: none does. */
size_t mock_utf8_len(const char *bytes, size_t len);

bool mock_is_utf8(const char *bytes, size_t len);

/* Decimal digits only, at most max; false: something else. */
bool mock_number(const char *str, unsigned long long max, unsigned long long *out);

#endif
