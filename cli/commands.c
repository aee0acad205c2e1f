/* commands.c: the list of commands, the program's own table, and what all commands share. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "options.h"
#include "term.h"

const command *const commands[] = {
    &cmd_fetch, &cmd_scan,       &cmd_exec,    &cmd_demo, &cmd_mock,
    &cmd_help,  &cmd_completion, &cmd_version, NULL,
};

/* clang-format off */
#define AT(field) .offset = offsetof(program_args, field)
static const option program_options[] = {
    OPTION_GROUP("Options"),
    {.name = "version", .letter = 'V', .kind = OPTION_FLAG, AT(version),
     .help = "print the version"},
    {.name = "verbose", .kind = OPTION_FLAG, AT(verbose),
     .help = "with --version: also the libraries in use"},
    OPTION_END,
};
/* clang-format on */

static const command_example program_examples[] = {
    {"200 products, all at once, in order",
     "weir fetch 'https://api.example.com/products/{1..200}' -o out.ndjson"},
    {"a command for each line of a file, eight at once, what it printed in a row",
     "weir exec -i videos.txt -j 8 -o out.ndjson -- ffprobe -of json {}"},
    {"the lines that match, of all files below a folder, archives included",
     "weir scan logs -e 'ERROR (?<code>[0-9]+)' -o errors.ndjson"},
    {"see what it does, on this machine", "weir demo"},
    {NULL, NULL},
};

static const command_section program_sections[] = {
    {"Exit status",
     "  0    all is well\n"
     "  1    some items (requests, files, commands) failed, were cancelled or not started\n"
     "  2    the command could not run, or was not understood\n"
     "  130  Ctrl-C ended a run early (143: SIGTERM, 129: SIGHUP)"},
    {NULL, NULL},
};

const command program = {
    .name = "",
    .summary = "thousands of slow things in flight",
    .usage = "COMMAND [OPTION]...",
    .about = "Weir does work that waits. It keeps thousands of requests, files or commands in "
             "flight on a few threads, and turns what comes back into ordered rows. What takes a "
             "script two "
             "hundred seconds, one answer after the other, takes as long as the slowest answer.",
    .options = program_options,
    .examples = program_examples,
    .sections = program_sections,
    .operands_offset = offsetof(program_args, operands),
    .takes_operands = true,
};

const command *command_find(const char *name)
{
    for (const command *const *c = commands; *c; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

const command *command_nearest(const char *name)
{
    const char *names[sizeof commands / sizeof commands[0]] = {NULL};
    for (size_t i = 0, n = 0; commands[i]; i++)
        if (!commands[i]->hidden)
            names[n++] = commands[i]->name;
    const char *meant = options_nearest(name, names);
    return meant ? command_find(meant) : NULL;
}

int command_unknown(const char *name)
{
    char shown[96];
    const command *meant = command_nearest(name);
    term_escape(shown, sizeof shown, name);
    if (meant)
        return command_fail(&program,
                            "unknown command \"%s\"; did you mean \"%s\"? See weir --help.", shown,
                            meant->name);
    return command_fail(&program, "unknown command \"%s\". See weir --help.", shown);
}

int output_finish(const command *cmd)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    if (errno == EPIPE)
        return 0;
    return command_fail(cmd, "standard output: %s", strerror(errno));
}
