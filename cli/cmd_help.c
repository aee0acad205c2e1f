/* cmd_help.c: weir help. The long help of a command, or its man page's source. */
#include <stdio.h>
#include <unistd.h>

#include "commands.h"
#include "help.h"
#include "term.h"

#define WIDEST 96 /* lines longer than this are hard to read */

typedef struct help_args {
    int man;
    string_list operands;
} help_args;

static const option help_options[] = {
    OPTION_GROUP("Options"),
    {.name = "man",
     .kind = OPTION_FLAG,
     .offset = offsetof(help_args, man),
     .help = "print the source of the man page"},
    OPTION_END,
};

static int print_help(const help_args *args)
{
    const command *cmd = &program;
    if (args->operands.len > 1)
        return command_fail(&cmd_help, "it takes one command; %zu were given", args->operands.len);
    if (args->operands.len == 1 && !(cmd = command_find(args->operands.items[0])))
        return command_unknown(args->operands.items[0]);
    if (args->man) {
        help_man(stdout, cmd);
    } else {
        int width = term_width(STDOUT_FILENO);
        help_long(stdout, cmd, term_style_for(TERM_COLOR_AUTO, STDOUT_FILENO),
                  width < WIDEST ? width : WIDEST);
    }
    return output_finish(&cmd_help);
}

static int help_run(int argc, char **argv)
{
    help_args args = {0};
    int code;
    if (!options_parse(&cmd_help, &args, argc, argv, &code))
        return code;
    code = print_help(&args);
    options_free(&cmd_help, &args);
    return code;
}

static const command_example help_examples[] = {
    {"all about fetching", "weir help fetch"},
    {"the man page, where it is not installed", "weir help --man fetch | man -l -"},
    {NULL, NULL},
};

const command cmd_help = {
    .name = "help",
    .summary = "say all there is to say of a command",
    .usage = "[COMMAND]",
    .about = "Prints everything there is to know of a command: what it does, each option, "
             "examples. `weir COMMAND --help` prints the short form.",
    .options = help_options,
    .examples = help_examples,
    .operands_offset = offsetof(help_args, operands),
    .takes_operands = true,
    .run = help_run,
};
