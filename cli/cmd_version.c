/* cmd_version.c: weir version, which is also weir --version. The plain version touches no library
 * beyond libc, so that scripts may ask for it often. */
#include <stdio.h>
#include <string.h>

#include "weir/version.h"

#include "commands.h"

typedef struct version_args {
    int verbose;
} version_args;

static const option version_options[] = {
    OPTION_GROUP("Options"),
    {.name = "verbose",
     .letter = 'v',
     .kind = OPTION_FLAG,
     .offset = offsetof(version_args, verbose),
     .help = "also the libraries in use"},
    OPTION_END,
};

int version_print(bool verbose)
{
    printf("weir %s\n", weir_version());
    if (verbose) {
        const char *details = weir_version_details();
        size_t len = strlen(details);
        printf("%s%s", details, len && details[len - 1] != '\n' ? "\n" : "");
    }
    return output_finish(&cmd_version);
}

static int version_run(int argc, char **argv)
{
    version_args args = {0};
    int code;
    if (!options_parse(&cmd_version, &args, argc, argv, &code))
        return code;
    return version_print(args.verbose);
}

const command cmd_version = {
    .name = "version",
    .summary = "print the version, and with --verbose the libraries",
    .usage = "[--verbose]",
    .about = "Prints the version of Weir and, with `--verbose`, of the libraries it uses.",
    .options = version_options,
    .run = version_run,
};
