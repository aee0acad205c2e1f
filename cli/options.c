/* options.c: reading a command line by a command's table. Every message names the option, says
 * what was wrong and what is right; the value of a secret option is never repeated. */
#include "options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "help.h"
#include "term.h"
#include "units.h"

#define SHOWN_SIZE 96 /* of a value repeated in an error */

/* What is read, for the functions that share it. */
typedef struct reading {
    const command *cmd;
    char *args;
    char *why;
    size_t why_size;
} reading;

static const option help_option = {.name = "help", .letter = 'h', .kind = OPTION_FLAG};

__attribute__((format(printf, 2, 3))) static bool refuse(reading *r, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(r->why, r->why_size, format, ap);
    va_end(ap);
    return false;
}

bool string_list_add(string_list *list, const char *text)
{
    if (list->len == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 8;
        const char **items = realloc(list->items, cap * sizeof *items);
        if (!items)
            return false;
        list->items = items;
        list->cap = cap;
    }
    list->items[list->len++] = text;
    return true;
}

/* Copies of secret arguments; a list, so that each still has an owner when the process ends. */
typedef struct hidden {
    struct hidden *next;
    char text[];
} hidden;

static hidden *all_hidden;

/* A copy of an argument that lives as long as the process; the original is wiped, so that a list of
 * processes does not show it. NULL: no memory. */
static const char *hide(char *text)
{
    size_t size = strlen(text) + 1;
    hidden *copy = malloc(sizeof *copy + size);
    if (!copy)
        return NULL;
    memcpy(copy->text, text, size);
    copy->next = all_hidden;
    all_hidden = copy;
    explicit_bzero(text, size);
    return copy->text;
}

/* The length of text's part before a "=". */
static size_t name_length(const char *text)
{
    return strcspn(text, "=");
}

static bool is_name(const char *name, const char *text, size_t len)
{
    return name && strlen(name) == len && memcmp(name, text, len) == 0;
}

/* A long option, of text's first len bytes; *negated if it was meant by its --no-NAME. */
static const option *find_long(const command *cmd, const char *text, size_t len, bool *negated)
{
    *negated = false;
    if (is_name("help", text, len))
        return &help_option;
    for (const option *o = cmd->options; o && o->kind != OPTION_KIND_END; o++) {
        if (o->kind == OPTION_KIND_GROUP)
            continue;
        if (is_name(o->name, text, len) || is_name(o->alias, text, len))
            return o;
        if (o->negatable && len > 3 && memcmp(text, "no-", 3) == 0 &&
            is_name(o->name, text + 3, len - 3)) {
            *negated = true;
            return o;
        }
    }
    return NULL;
}

static const option *find_letter(const command *cmd, char letter)
{
    if (letter == 'h')
        return &help_option;
    for (const option *o = cmd->options; o && o->kind != OPTION_KIND_END; o++)
        if (o->kind != OPTION_KIND_GROUP && o->letter == letter)
            return o;
    return NULL;
}

static bool is_flag(const option *o)
{
    return o->kind == OPTION_FLAG || o->kind == OPTION_TIMES;
}

static void set_flag(reading *r, const option *o, bool negated)
{
    int *target = (int *)(void *)(r->args + o->offset);
    *target = o->kind == OPTION_TIMES ? *target + 1 : !negated;
}

/* The edits (insert, drop, replace, swap neighbours) between a and b, at most `most` + 1. */
static size_t distance(const char *a, const char *b)
{
    enum { MOST = 32 };
    size_t rows[3][MOST + 1];
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > MOST || b_len > MOST)
        return MOST;
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b_len; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
        size_t *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b_len];
}

const char *options_nearest(const char *text, const char *const *names)
{
    const char *best = NULL;
    size_t best_distance = 0, len = strlen(text);
    for (; len && *names; names++) {
        size_t d = distance(text, *names);
        size_t allowed = (len + 1) / 3;
        /* the beginning of a longer name is more likely than any slip of the finger */
        if (len >= 3 && strncmp(*names, text, len) == 0)
            d = 0;
        if (d <= allowed && (!best || d < best_distance)) {
            best = *names;
            best_distance = d;
        }
    }
    return best;
}

static bool unknown_long(reading *r, const char *text, size_t len)
{
    char name[SHOWN_SIZE], shown[SHOWN_SIZE];
    snprintf(name, sizeof name, "%.*s", len < sizeof name ? (int)len : (int)sizeof name - 1, text);
    term_escape(shown, sizeof shown, name);
    string_list names = {0};
    bool fine = string_list_add(&names, "help");
    for (const option *o = r->cmd->options; o && o->kind != OPTION_KIND_END; o++) {
        if (o->kind == OPTION_KIND_GROUP)
            continue;
        fine = fine && string_list_add(&names, o->name);
        if (o->alias)
            fine = fine && string_list_add(&names, o->alias);
    }
    const char *meant =
        fine && string_list_add(&names, NULL) ? options_nearest(name, names.items) : NULL;
    free(names.items);
    if (meant)
        return refuse(r, "unknown option \"--%s\"; did you mean \"--%s\"?", shown, meant);
    return refuse(r, "unknown option \"--%s\"", shown);
}

/* A bound as its option would take it. */
static const char *bound_text(units_text *to, option_kind kind, int64_t value)
{
    return kind == OPTION_DURATION ? units_duration(to, value)
           : kind == OPTION_SIZE   ? units_size(to, value)
                                   : units_count(to, value);
}

/* `"VALUE" REASON` for a value that was not taken; without the value where it is secret. */
__attribute__((format(printf, 4, 5))) static bool
refuse_value(reading *r, const option *o, const char *value, const char *format, ...)
{
    char reason[256], shown[SHOWN_SIZE];
    va_list ap;
    va_start(ap, format);
    vsnprintf(reason, sizeof reason, format, ap);
    va_end(ap);
    if (o->secret)
        return refuse(r, "--%s: the value %s", o->name, reason);
    return refuse(r, "--%s: \"%s\" %s", o->name, term_escape(shown, sizeof shown, value), reason);
}

static bool set_number(reading *r, const option *o, const char *value)
{
    static const struct {
        bool (*parse)(const char *, int64_t *);
        const char *what;
    } kinds[] = {
        [OPTION_COUNT] = {units_parse_count, "is no number; write digits, such as 10"},
        [OPTION_DURATION] = {units_parse_duration, "is no time; write 250ms, 5s, 2m or 1h"},
        [OPTION_SIZE] = {units_parse_size, "is no size; write 4K, 64M or 1G"},
    };
    int64_t *target = (int64_t *)(void *)(r->args + o->offset);
    const char *or_word = o->word ? " or " : "";
    const char *word = o->word ? o->word : "";
    int64_t number;
    if (o->word && strcmp(value, o->word) == 0) {
        *target = o->word_value;
        return true;
    }
    if (!kinds[o->kind].parse(value, &number))
        return refuse_value(r, o, value, "%s%s%s", kinds[o->kind].what, or_word, word);
    if ((o->min || o->max) && (number < o->min || number > o->max)) {
        units_text low, high;
        return refuse_value(r, o, value, "is out of range; it can be from %s to %s%s%s",
                            bound_text(&low, o->kind, o->min), bound_text(&high, o->kind, o->max),
                            or_word, word);
    }
    *target = number;
    return true;
}

static bool set_fraction(reading *r, const option *o, const char *value)
{
    double *target = (double *)(void *)(r->args + o->offset);
    double number;
    if (o->kind == OPTION_PERCENT) {
        if (!units_parse_percent(value, &number))
            return refuse_value(r, o, value, "is no percentage; write 0%% to 100%%, such as 5%%");
    } else if (!units_parse_rate(value, &number)) {
        return refuse_value(r, o, value, "is no rate; write 100/s, 30/m or 5/h");
    } else if (number <= 0) {
        return refuse_value(r, o, value, "is no rate to work at; it must be more than 0");
    }
    *target = number;
    return true;
}

static bool set_choice(reading *r, const option *o, const char *value)
{
    char all[160] = "";
    for (int i = 0; o->choices[i]; i++) {
        if (strcmp(value, o->choices[i]) == 0) {
            *(int *)(void *)(r->args + o->offset) = i;
            return true;
        }
        size_t at = strlen(all);
        snprintf(all + at, sizeof all - at, "%s%s",
                 i == 0              ? ""
                 : o->choices[i + 1] ? ", "
                                     : " or ",
                 o->choices[i]);
    }
    return refuse_value(r, o, value, "is not one of its values; it can be %s", all);
}

static bool set_call(reading *r, const option *o, const char *value)
{
    char reason[256] = "cannot be used";
    if (o->call(r->args, value, reason, sizeof reason))
        return true;
    return refuse_value(r, o, value, "%s", reason);
}

/* Gives an option its value; `value` stands in argv. */
static bool set_value(reading *r, const option *o, char *value)
{
    char *target = r->args + o->offset;
    const char *kept = value;
    if (o->secret && !(kept = hide(value)))
        return refuse(r, "out of memory");
    switch (o->kind) {
    case OPTION_STRING:
        *(const char **)(void *)target = kept;
        return true;
    case OPTION_LIST:
        return string_list_add((string_list *)(void *)target, kept) || refuse(r, "out of memory");
    case OPTION_COUNT:
    case OPTION_DURATION:
    case OPTION_SIZE:
        return set_number(r, o, kept);
    case OPTION_RATE:
    case OPTION_PERCENT:
        return set_fraction(r, o, kept);
    case OPTION_CHOICE:
        return set_choice(r, o, kept);
    default:
        return set_call(r, o, kept);
    }
}

/* One "--name", "--name=value" or "--name value"; *i moves past a value of its own. */
static bool read_long(reading *r, int argc, char **argv, int *i, bool *help)
{
    char *text = argv[*i] + 2;
    size_t len = name_length(text);
    bool negated;
    const option *o = find_long(r->cmd, text, len, &negated);
    if (!o)
        return unknown_long(r, text, len);
    char *value = text[len] == '=' ? text + len + 1 : NULL;
    if (is_flag(o)) {
        if (value)
            return refuse(r, "--%.*s takes no value", (int)len, text);
        if (o == &help_option)
            *help = true;
        else
            set_flag(r, o, negated);
        return true;
    }
    if (!value) {
        if (*i + 1 >= argc)
            return refuse(r, "--%s needs a value: --%s %s", o->name, o->name, o->arg);
        value = argv[++*i];
    }
    return set_value(r, o, value);
}

/* A cluster of letters: flags, and at its end perhaps one option with its value behind it. */
static bool read_letters(reading *r, int argc, char **argv, int *i, bool *help)
{
    for (char *text = argv[*i] + 1; *text; text++) {
        const option *o = find_letter(r->cmd, *text);
        if (!o) {
            char one[2] = {*text, '\0'}, shown[16];
            return refuse(r, "unknown option \"-%s\"", term_escape(shown, sizeof shown, one));
        }
        if (o == &help_option) {
            *help = true;
        } else if (is_flag(o)) {
            set_flag(r, o, false);
        } else if (text[1]) {
            return set_value(r, o, text + 1);
        } else if (*i + 1 < argc) {
            return set_value(r, o, argv[++*i]);
        } else {
            return refuse(r, "-%c needs a value: --%s %s", *text, o->name, o->arg);
        }
    }
    return true;
}

static bool read_operand(reading *r, char *text)
{
    char shown[SHOWN_SIZE];
    const char *kept = text;
    if (!r->cmd->takes_operands)
        return refuse(r, "there is nothing to do with \"%s\"; it takes options only",
                      term_escape(shown, sizeof shown, text));
    if (r->cmd->operand_is_secret && r->cmd->operand_is_secret(text))
        kept = hide(text);
    if (!kept || !string_list_add((string_list *)(void *)(r->args + r->cmd->operands_offset), kept))
        return refuse(r, "out of memory");
    return true;
}

options_result options_read(const command *cmd, void *args, int argc, char **argv, char *why,
                            size_t why_size)
{
    reading r = {.cmd = cmd, .args = args, .why = why, .why_size = why_size};
    bool help = false, ended = false, fine = true;
    for (int i = 1; i < argc && fine && !help; i++) {
        char *text = argv[i];
        if (ended || text[0] != '-' || !text[1]) {
            fine = read_operand(&r, text);
            ended = ended || cmd->operands_end_options;
        } else if (strcmp(text, "--") == 0) {
            ended = true;
        } else if (text[1] == '-') {
            fine = read_long(&r, argc, argv, &i, &help);
        } else {
            fine = read_letters(&r, argc, argv, &i, &help);
        }
    }
    return help ? OPTIONS_HELP : fine ? OPTIONS_OK : OPTIONS_BAD;
}

static void free_list(void *args, size_t offset)
{
    string_list *list = (string_list *)(void *)((char *)args + offset);
    free(list->items);
    *list = (string_list){0};
}

void options_free(const command *cmd, void *args)
{
    for (const option *o = cmd->options; o && o->kind != OPTION_KIND_END; o++)
        if (o->kind == OPTION_LIST)
            free_list(args, o->offset);
    if (cmd->takes_operands)
        free_list(args, cmd->operands_offset);
}

bool options_parse(const command *cmd, void *args, int argc, char **argv, int *exit_code)
{
    char why[512], title[COMMAND_TITLE_SIZE];
    switch (options_read(cmd, args, argc, argv, why, sizeof why)) {
    case OPTIONS_OK:
        return true;
    case OPTIONS_HELP:
        help_short(stdout, cmd, term_style_for(TERM_COLOR_AUTO, STDOUT_FILENO));
        *exit_code = output_finish(cmd);
        break;
    default:
        *exit_code =
            command_fail(cmd, "%s%s See %s --help.", why, why[strlen(why) - 1] == '?' ? "" : ".",
                         command_title(title, cmd));
    }
    options_free(cmd, args);
    return false;
}

const char *command_title(char title[COMMAND_TITLE_SIZE], const command *cmd)
{
    snprintf(title, COMMAND_TITLE_SIZE, "weir%s%s", *cmd->name ? " " : "", cmd->name);
    return title;
}

int command_fail(const command *cmd, const char *format, ...)
{
    char text[1024], title[COMMAND_TITLE_SIZE];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    const term_style *style = term_style_for(TERM_COLOR_AUTO, STDERR_FILENO);
    fprintf(stderr, "%s%s:%s %s\n", style->red, command_title(title, cmd), style->reset, text);
    return 2;
}
