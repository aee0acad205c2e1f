/* commands.c: the list of commands, and the program's own table. */
#include <string.h>

#include "commands.h"
#include "options.h"

const command *const commands[] = {
    &cmd_help,
    &cmd_version,
    NULL,
};

static const option program_options[] = {
    OPTION_GROUP("Options"),
    {.name = "version",
     .letter = 'V',
     .kind = OPTION_FLAG,
     .offset = offsetof(program_args, version),
     .help = "print the version"},
    {.name = "verbose",
     .kind = OPTION_FLAG,
     .offset = offsetof(program_args, verbose),
     .help = "with --version: also the libraries in use"},
    OPTION_END,
};

static const command_example program_examples[] = {
    {"200 products, all at once, in order",
     "weir fetch 'https://api.example.com/products/{1..200}' -o products.ndjson"},
    {"one request for each row of a file, a hundred a second",
     "weir fetch -i ids.csv 'https://api.example.com/products/{id}' --rate 100/s"},
    {"see what it does, on this machine", "weir demo"},
    {NULL, NULL},
};

const command program = {
    .name = "",
    .summary = "thousands of slow things in flight",
    .usage = "COMMAND [OPTION]...",
    .about = "Weir does work that waits. It keeps thousands of requests in flight on a few "
             "threads, and turns what comes back into ordered rows. What takes a script two "
             "hundred seconds, one answer after the other, takes as long as the slowest answer.",
    .options = program_options,
    .examples = program_examples,
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
