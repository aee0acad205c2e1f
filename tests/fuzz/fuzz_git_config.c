/*
 * fuzz_git_config.c: any bytes are a configuration of git; what stands last in it counts, whatever
 * came before.
 */
#include "fuzz.h"
#include "git.h"

static const char home[] = "/home/me";
static const char last[] = "\n\n[core]\nexcludesFile = z\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wi_buf path = WI_BUF_INIT, text = WI_BUF_INIT;
    bool found = wi_git_config_excludes((const char *)data, size, home, &path);
    CHECK(found || path.len == 0);
    CHECK(path.len <= size + sizeof home - 1);
    CHECK(!path.len || !memchr(path.data, '\0', path.len));
    wi_buf_append(&text, data, size);
    wi_buf_puts(&text, last);
    CHECK(!text.failed && wi_git_config_excludes(text.data, text.len, home, &path));
    CHECK(path.len == 1 && path.data[0] == 'z');
    wi_buf_fini(&path);
    wi_buf_fini(&text);
    return 0;
}
