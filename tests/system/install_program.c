/* install_program.c: what a user's first program looks like; C99 and C++ both. */
#include <stdio.h>
#include <string.h>

#include <weir/weir.h>

int main(void)
{
    weir_fetch_options options = WEIR_FETCH_OPTIONS_INIT;
    weir_job *job = NULL;
    weir_error err;
    const char *url = "http://127.0.0.1:1/{1..2";

    memset(&err, 0, sizeof err);
    options.urls = &url;
    options.urls_len = 1;
    if (weir_fetch_new(&options, &job, &err) != WEIR_INVALID || err.text[0] == '\0') {
        fprintf(stderr, "the unbalanced brace was not found: %s\n", err.text);
        return 1;
    }
    printf("%s\n", weir_version());
    return 0;
}
