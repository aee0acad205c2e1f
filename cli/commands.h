/* commands.h: one line per command, each defined in its cmd_NAME.c and listed in commands.c. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "nouns.h"
#include "options.h"

extern const command cmd_completion;
extern const command cmd_demo;
extern const command cmd_exec;
extern const command cmd_fetch;
extern const command cmd_help;
extern const command cmd_mock;
extern const command cmd_scan;
extern const command cmd_version;

extern const job_nouns fetch_nouns; /* of demo, too */

/* What stands before a command. */
typedef struct program_args {
    int version;
    int verbose;
    string_list operands;
} program_args;

/* "weir 0.1.0" and, if verbose, the libraries. Returns the exit code. */
int version_print(bool verbose);

/* Says that there is no such command, and which may be meant; returns 2. */
int command_unknown(const char *name);

/* Flushes standard output; 0, or 2 with a message if it could not be written. A reader that went
 * away is no failure. */
int output_finish(const command *cmd);

#endif
