/*
 * options.h: a command and its options, described once.
 *
 * A command is a table. Parsing, the short help, the long help, the man page and the shell
 * completions are all made from it, so that they cannot disagree. A command's own file holds a
 * struct for what the options set, filled with the defaults before options_parse runs over it:
 *
 *     typedef struct nap_args {
 *         int64_t latency;
 *         int loud;
 *     } nap_args;
 *
 *     static const option nap_options[] = {
 *         OPTION_GROUP("Sleeping"),
 *         {.name = "latency", .letter = 'l', .arg = "TIME", .kind = OPTION_DURATION,
 *          .offset = offsetof(nap_args, latency), .min = 0, .max = 60 * UNITS_SEC,
 *          .help = "how long to sleep (default 100ms)"},
 *         {.name = "loud", .kind = OPTION_FLAG, .offset = offsetof(nap_args, loud),
 *          .help = "snore"},
 *         OPTION_END,
 *     };
 *
 *     static int nap_run(int argc, char **argv)
 *     {
 *         nap_args args = {.latency = 100 * UNITS_MS};
 *         int code;
 *         if (!options_parse(&cmd_nap, &args, argc, argv, &code))
 *             return code;
 *         ...
 *
 *     const command cmd_nap = {.name = "nap", .summary = "sleep a little", .options = nap_options,
 *                              .run = nap_run, ...};
 *
 * Strings that options set point into argv or into copies that live as long as the process.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum option_kind {
    OPTION_KIND_END,
    OPTION_KIND_GROUP,
    OPTION_FLAG,     /* int: 1, or 0 by --no-NAME if negatable */
    OPTION_TIMES,    /* int: how often it was given; takes no value */
    OPTION_STRING,   /* const char * */
    OPTION_LIST,     /* string_list: each use appends */
    OPTION_COUNT,    /* int64_t */
    OPTION_DURATION, /* int64_t, nanoseconds */
    OPTION_SIZE,     /* int64_t, bytes */
    OPTION_RATE,     /* double, per second; more than 0 */
    OPTION_PERCENT,  /* double, 0 to 1 */
    OPTION_CHOICE,   /* int: the index in choices */
    OPTION_CALL      /* what `call` makes of it */
} option_kind;

typedef struct string_list {
    const char **items;
    size_t len;
    size_t cap;
} string_list;

/* Sets args from value; false with a reason ("is no ...; write ...") that follows the value. */
typedef bool (*option_call)(void *args, const char *value, char *why, size_t why_size);

typedef struct option {
    const char *name;  /* without dashes; of a group: its heading */
    const char *alias; /* another long name, or NULL */
    const char *arg;   /* "FILE"; NULL for flags. FILE and DIR complete as paths */
    const char *help;  /* one line; with its default, without a full stop */
    const char *more;  /* what else `weir help` says: sentences; `code` in backticks, or NULL */
    option_kind kind;
    char letter; /* 0: none */
    size_t offset;
    int64_t min, max;           /* of counts, durations and sizes; both 0: any */
    const char *word;           /* a word taken instead of a number, e.g. "auto", or NULL */
    int64_t word_value;         /* what it stands for */
    const char *const *choices; /* ends with NULL */
    option_call call;
    bool negatable; /* a flag with a --no-NAME */
    bool rare;      /* not in the short help */
    bool secret;    /* the value is wiped from argv, and not repeated in errors */
} option;

#define OPTION_GROUP(heading)                        \
    {                                                \
        .name = (heading), .kind = OPTION_KIND_GROUP \
    }
#define OPTION_END              \
    {                           \
        .kind = OPTION_KIND_END \
    }

typedef struct command_example {
    const char *what; /* "200 products, in order" */
    const char *line; /* "weir fetch ..." */
} command_example;

/* More for the long help and the man page: a heading and paragraphs. An empty line parts two
 * paragraphs, lines that begin with a space stay as they are, `code` stands in backticks. */
typedef struct command_section {
    const char *heading; /* "Exit status" */
    const char *text;
} command_section;

typedef struct command {
    const char *name;      /* "" for the program itself, whose help lists the commands */
    const char *summary;   /* "fetch many URLs at once", for lists and the man page's NAME */
    const char *usage;     /* what follows the name: "[OPTION]... URL..." */
    const char *about;     /* paragraphs, as in a section */
    const option *options; /* ends with OPTION_END; NULL: none */
    const command_example *examples; /* ends with {NULL}; NULL: none */
    const command_section *sections; /* ends with {NULL}; NULL: none */
    size_t operands_offset;          /* of a string_list, if takes_operands */
    const char *words; /* its operands, if they are chosen from a few; NULL: they are not */
    bool takes_operands;
    bool operands_end_options; /* what follows the first is an operand too, dashes or not */
    bool (*operand_is_secret)(const char *operand); /* wiped from argv then; NULL: none is */
    bool man;                          /* has a man page of its own, named in the others */
    bool hidden;                       /* not in lists */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns the exit code */
} command;

typedef enum options_result {
    OPTIONS_OK,
    OPTIONS_HELP, /* --help was asked for */
    OPTIONS_BAD   /* `why` says what is wrong */
} options_result;

/*
 * Fills args. Options and operands may be mixed; "--" ends the options. Of an option given twice
 * the last counts. `why` is one printable line without the command's name.
 */
options_result options_read(const command *cmd, void *args, int argc, char **argv, char *why,
                            size_t why_size);

/* options_read with its consequences: true to go on; false with the exit code if help was printed
 * (0) or the command line was wrong (2). */
bool options_parse(const command *cmd, void *args, int argc, char **argv, int *exit_code);

/* Frees the lists that options_parse left in args; where it returned false it has done so. */
void options_free(const command *cmd, void *args);

/* Prints "weir fetch: MESSAGE" to standard error and returns 2, for `return command_fail(...)`. */
int command_fail(const command *cmd, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* False: no memory. The text is not copied; free(list->items) frees the list. */
bool string_list_add(string_list *list, const char *text);

/* Which of the names (NULL-ended) is meant by text, or NULL. */
const char *options_nearest(const char *text, const char *const *names);

/* "weir fetch", or "weir" of the program. */
#define COMMAND_TITLE_SIZE 64
const char *command_title(char title[COMMAND_TITLE_SIZE], const command *cmd);

/* All commands, NULL-ended, and the program itself (commands.c). */
extern const command *const commands[];
extern const command program;

/* NULL: there is none of that name. */
const command *command_find(const char *name);

/* The command whose name is nearest to one that does not exist, or NULL. */
const command *command_nearest(const char *name);

#endif
