/*
 * fuzz_shell.c: where a quoted word may stand ('@' in the input), reading one leads to the same
 * place as being told that it is there; and what is lost stays so.
 */
#include "fuzz.h"
#include "shell.h"

static void compare(const wi_shell *told, const wi_shell *before)
{
    static const char word[] = "'; touch x $(y) `z` \" # \\'";
    wi_shell read = *before;
    if (read.depth == WI_SHELL_DEPTH) /* there is no room for quotes */
        return;
    for (const char *c = word; *c; c++)
        wi_shell_read(&read, *c);
    CHECK(!read.lost && read.depth == told->depth && read.parens == told->parens);
    CHECK(memcmp(read.nested, told->nested, told->depth) == 0);
    CHECK(read.in_word == told->in_word && read.spelled == told->spelled && !read.escaped);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wi_shell shell = {0};
    bool lost = false;
    for (size_t i = 0; i < size; i++) {
        wi_shell before = shell;
        if (data[i] != '@')
            wi_shell_read(&shell, (char)data[i]);
        else if (!wi_shell_word(&shell))
            compare(&shell, &before);
        CHECK(shell.depth <= WI_SHELL_DEPTH && shell.depth <= i + 1);
        CHECK(shell.lost || !lost);
        lost = shell.lost;
    }
    return 0;
}
