/* cmd_completion.c: weir completion SHELL. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "completion.h"
#include "term.h"

typedef struct completion_args {
    string_list operands;
} completion_args;

static int print_completion(const completion_args *args)
{
    static const struct {
        const char *name;
        void (*print)(FILE *out);
    } shells[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};
    char shown[96];
    if (args->operands.len != 1)
        return command_fail(&cmd_completion, "name one shell: bash, zsh or fish");
    const char *name = args->operands.items[0];
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(name, shells[i].name) == 0) {
            shells[i].print(stdout);
            return output_finish(&cmd_completion);
        }
    }
    return command_fail(&cmd_completion,
                        "there is no completion for \"%s\"; name bash, zsh or fish",
                        term_escape(shown, sizeof shown, name));
}

static int completion_run(int argc, char **argv)
{
    completion_args args = {0};
    int code;
    if (!options_parse(&cmd_completion, &args, argc, argv, &code))
        return code;
    code = print_completion(&args);
    options_free(&cmd_completion, &args);
    return code;
}

static const command_example completion_examples[] = {
    {"in this bash, now", "source <(weir completion bash)"},
    {"in every zsh", "weir completion zsh > ~/.zfunc/_weir"},
    {"in every fish", "weir completion fish > ~/.config/fish/completions/weir.fish"},
    {NULL, NULL},
};

const command cmd_completion = {
    .name = "completion",
    .summary = "print the completion script for bash, zsh or fish",
    .usage = "bash|zsh|fish",
    .about = "Prints a script that teaches a shell to complete Weir's commands, options and their "
             "values.",
    .examples = completion_examples,
    .words = "bash zsh fish",
    .operands_offset = offsetof(completion_args, operands),
    .takes_operands = true,
    .run = completion_run,
};
