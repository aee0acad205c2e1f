/* main.c: finds the command and runs it. Loads nothing and starts nothing itself. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "commands.h"
#include "help.h"
#include "term.h"

static int answer(const program_args *args)
{
    if (args->operands.len)
        return command_unknown(args->operands.items[0]);
    if (args->version || args->verbose)
        return version_print(args->verbose);
    help_short(stderr, &program, term_style_for(TERM_COLOR_AUTO, STDERR_FILENO));
    return 2;
}

/* What stands before a command, or in its place. */
static int run_program(int argc, char **argv)
{
    program_args args = {0};
    int code;
    if (!options_parse(&program, &args, argc, argv, &code))
        return code;
    code = answer(&args);
    options_free(&program, &args);
    return code;
}

/* Whoever starts us may have closed them. Then nothing else may get their numbers, or it would be
 * read as "-" or have messages written into it. What stands there instead fails as a closed one
 * does: it is open the wrong way round. */
static void hold_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return;
}

int main(int argc, char **argv)
{
    hold_standard_descriptors();
    /* a reader that goes away is told by EPIPE where it can be handled */
    signal(SIGPIPE, SIG_IGN);
    /* Thread heaps grow by this much at a time; the default costs a system call per 128 KiB. */
    mallopt(M_TOP_PAD, 1 << 20);
    const command *cmd = argc > 1 ? command_find(argv[1]) : NULL;
    if (cmd)
        return cmd->run(argc - 1, argv + 1);
    return run_program(argc, argv);
}
