/*
 * template_internal.h: what a template is made of, for template*.c only.
 *
 * A parsed template is a row of segments; all their bytes lie in one buffer. It does not change
 * after parsing.
 */
#ifndef WI_TEMPLATE_INTERNAL_H
#define WI_TEMPLATE_INTERNAL_H

#include <stdbool.h>

#include "template.h"

typedef enum wi_hole {
    WI_HOLE_TEXT, /* none: literal text */
    WI_HOLE_COLUMN,
    WI_HOLE_SECRET,
    WI_HOLE_NUMBER,
    WI_HOLE_CHOSEN, /* {#N} */
    WI_HOLE_RANGE,
    WI_HOLE_LIST,
    WI_HOLE_VALUE, /* {} of a command: the only column, or the only list */
} wi_hole;

/* What of a value is meant, in a command. */
typedef enum wi_part {
    WI_PART_ALL,
    WI_PART_STEM,      /* {.} */
    WI_PART_NAME,      /* {/} */
    WI_PART_FOLDER,    /* {//} */
    WI_PART_NAME_STEM, /* {/.} */
} wi_part;

/* How a value has to look where it stands. */
typedef enum wi_place {
    WI_PLACE_RAW,
    WI_PLACE_PERCENT,
    WI_PLACE_JSON_VALUE,
    WI_PLACE_JSON_STRING,
    WI_PLACE_HEADER,
    WI_PLACE_PATH,
    WI_PLACE_WORD,
    WI_PLACE_SHELL,
} wi_place;

typedef struct wi_span {
    size_t at;
    size_t len;
} wi_span;

typedef struct wi_segment {
    wi_hole hole;
    wi_place place;
    wi_part part;
    wi_span span;    /* in bytes: text, column name, secret; for a list, in items */
    size_t source;   /* where it stood, an offset into the template's text */
    uint64_t count;  /* range, list: how many values; else 1 */
    uint64_t stride; /* range, list: how many choices pass before this one moves on */
    size_t chosen;   /* N - 1 of {#N} */
    int64_t first;   /* range; letters are their ASCII codes */
    uint64_t step;   /* range; two's complement when it goes down */
    int width;       /* range; zero-padded to this, 0: not padded */
    bool letters;
} wi_segment;

struct wi_template {
    wi_template_mode mode;
    bool secrets;
    uint64_t count;
    char *what;
    wi_buf text;  /* as it was given, for messages */
    wi_buf bytes; /* what spans refer to */
    wi_segment *segments;
    size_t segments_len, segments_cap;
    wi_span *items;
    size_t items_len, items_cap;
    size_t *choices; /* the segments that are ranges or lists */
    size_t choices_len, choices_cap;
};

static inline bool wi_template_is_of_command(const wi_template *t)
{
    return t->mode == WI_TEMPLATE_WORD || t->mode == WI_TEMPLATE_SHELL ||
           t->mode == WI_TEMPLATE_STDIN;
}

/* "column 27" or "line 3, column 7" for an offset into the text. */
typedef struct wi_position {
    char text[64];
} wi_position;
wi_position wi_template_position(const wi_template *template_, size_t offset);

enum { WI_TEMPLATE_EXCERPT = 60 };

/* Leaves of what was appended since `from` only the part that is meant. */
void wi_template_cut(wi_buf *out, size_t from, wi_part part);

/* The last range or list moves fastest. */
void wi_template_set_strides(wi_template *template_);

/* At most this many of the len bytes, cut at a character's end: for "%.*s" in messages. */
int wi_template_clip(const char *bytes, size_t len, size_t max);

#endif
