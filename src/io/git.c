/*
 * git.c: see git.h. Its invariant: nothing here waits for anybody or fails but for want of memory,
 * since a repository that is broken or not ours to read is no reason to read no files.
 */
#include "git.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

enum { MAX_CONFIG = 1 << 20, MAX_LINK = 64 << 10 };

static weir_status read_all(int fd, const char *path, wi_buf *to, weir_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return wi_fail_errno(err, errno, "cannot read %s", path);
    if (!S_ISREG(st.st_mode))
        return wi_fail_errno(err, S_ISDIR(st.st_mode) ? EISDIR : EINVAL, "cannot read %s", path);
    for (;;) {
        size_t room = to->max - to->len < 4096 ? to->max - to->len : 4096;
        if (room == 0)
            return wi_fail(err, WEIR_TOOLARGE, "%s is larger than %zu bytes", path, to->max);
        if (!wi_buf_reserve(to, room))
            return wi_fail_nomem(err);
        ssize_t n = read(fd, to->data + to->len, to->cap - to->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return wi_fail_errno(err, errno, "cannot read %s", path);
        if (n == 0)
            return WEIR_OK;
        to->len += (size_t)n;
    }
}

weir_status wi_git_read(int folder, const char *path, int flags, wi_buf *to, weir_error *err)
{
    wi_buf_clear(to);
    int fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    if (fd < 0)
        return wi_fail_errno(err, errno, "cannot read %s", path);
    weir_status status = read_all(fd, path, to, err);
    close(fd);
    return status;
}

/* ---- configuration ---- */

typedef struct config {
    const char *at;
    const char *end;
} config;

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void skip_spaces(config *c)
{
    while (c->at < c->end && is_space(*c->at))
        c->at++;
}

static void skip_line(config *c)
{
    const char *newline = memchr(c->at, '\n', (size_t)(c->end - c->at));
    c->at = newline ? newline + 1 : c->end;
}

/* After '[': is this "[core]"? */
static bool section_is_core(config *c)
{
    const char *begin = c->at;
    while (c->at < c->end && *c->at != ']' && *c->at != '\n')
        c->at++;
    size_t len = (size_t)(c->at - begin);
    c->at += c->at < c->end && *c->at == ']';
    return wi_text_equal_nocase(begin, len, "core");
}

/* One escape after its backslash; what is none of git's is left out, and the file is no valid one.
 */
static void value_escape(config *c, wi_buf *value)
{
    static const char names[] = "nt b\"\\", bytes[] = "\n\t \b\"\\";
    if (c->at == c->end)
        return;
    char name = *c->at++;
    if (name == '\r' && c->at < c->end && *c->at == '\n')
        name = *c->at++;
    const char *known = name == '\n' || name == 0 ? NULL : strchr(names, name);
    if (known)
        wi_buf_putc(value, bytes[known - names]);
}

/* After '=': up to the line's end or a comment, without the spaces around it. */
static void value_read(config *c, wi_buf *value)
{
    bool quoted = false;
    size_t kept = 0; /* without the spaces that may be the last */
    wi_buf_clear(value);
    skip_spaces(c);
    while (c->at < c->end && *c->at != '\n') {
        char byte = *c->at;
        if (!quoted && (byte == '#' || byte == ';'))
            break;
        c->at++;
        if (byte == '"')
            quoted = !quoted;
        else if (byte == '\\')
            value_escape(c, value);
        else
            wi_buf_putc(value, byte);
        if (quoted || !is_space(byte))
            kept = value->len;
    }
    value->len = kept;
    skip_line(c);
}

static bool key_is_excludes(config *c)
{
    const char *begin = c->at;
    while (c->at < c->end && !is_space(*c->at) && *c->at != '=' && *c->at != '\n')
        c->at++;
    size_t len = (size_t)(c->at - begin);
    skip_spaces(c);
    return wi_text_equal_nocase(begin, len, "excludesfile");
}

bool wi_git_config_excludes(const char *text, size_t len, const char *home, wi_buf *path)
{
    config c = {.at = text, .end = text + len};
    wi_buf value = WI_BUF_INIT;
    bool in_core = false, found = false;
    while (c.at < c.end) {
        skip_spaces(&c);
        if (c.at < c.end && *c.at == '[') {
            c.at++;
            in_core = section_is_core(&c);
            continue;
        }
        bool mine = in_core && key_is_excludes(&c);
        if (!mine || c.at == c.end || *c.at != '=') {
            skip_line(&c);
            continue;
        }
        c.at++;
        value_read(&c, &value);
        found = true;
        wi_buf_clear(path);
        const char *rest = wi_buf_cstr(&value);
        if (rest && home && strncmp(rest, "~/", 2) == 0) {
            wi_buf_puts(path, home);
            rest++;
        }
        wi_buf_puts(path, rest ? rest : "");
        path->failed |= value.failed;
    }
    wi_buf_fini(&value);
    return found;
}

static bool config_excludes(const char *file, const char *home, wi_buf *text, wi_buf *path)
{
    return wi_git_read(AT_FDCWD, file, 0, text, NULL) == WEIR_OK &&
           wi_git_config_excludes(text->data, text->len, home, path);
}

/* The user's folder of configuration, and a file in it; empty if there is none. */
static const char *user_file(const char *home, const char *name, wi_buf *path)
{
    const char *folder = getenv("XDG_CONFIG_HOME");
    wi_buf_clear(path);
    if (folder && *folder)
        wi_buf_printf(path, "%s/%s", folder, name);
    else if (home)
        wi_buf_printf(path, "%s/.config/%s", home, name);
    return wi_buf_cstr(path);
}

static bool find_excludes(const char *home, wi_buf *file, wi_buf *text, wi_buf *path)
{
    if (home) {
        wi_buf_printf(file, "%s/.gitconfig", home);
        const char *name = wi_buf_cstr(file);
        if (name && config_excludes(name, home, text, path))
            return true;
    }
    const char *name = user_file(home, "git/config", file);
    return (name && config_excludes(name, home, text, path)) ||
           config_excludes("/etc/gitconfig", home, text, path);
}

weir_status wi_git_excludes_path(wi_buf *path, weir_error *err)
{
    wi_buf file = WI_BUF_INIT, text = WI_BUF_INIT;
    wi_buf_init(&text, MAX_CONFIG);
    const char *home = getenv("HOME");
    if (home && !*home)
        home = NULL;
    wi_buf_clear(path);
    if (!find_excludes(home, &file, &text, path))
        user_file(home, "git/ignore", path);
    bool failed = path->failed || file.failed || (text.failed && text.len < text.max);
    wi_buf_fini(&file);
    wi_buf_fini(&text);
    return failed ? wi_fail_nomem(err) : WEIR_OK;
}

/* ---- working trees ---- */

/* A line of a file as a path, seen from `base`; leaves to as it is if there is none. */
static bool read_link_file(int folder, const char *file, const char *begin, const char *base,
                           wi_buf *to)
{
    wi_buf text;
    wi_buf_init(&text, MAX_LINK);
    size_t skip = strlen(begin);
    bool there = wi_git_read(folder, file, 0, &text, NULL) == WEIR_OK && text.len > skip &&
                 memcmp(text.data, begin, skip) == 0;
    to->failed |= text.failed && text.len < text.max;
    while (there && text.len > skip && strchr("\r\n", text.data[text.len - 1]))
        text.len--;
    if (there && text.len > skip) {
        wi_buf_clear(to);
        if (text.data[skip] != '/' && *base)
            wi_buf_printf(to, "%s/", base);
        wi_buf_append(to, text.data + skip, text.len - skip);
    }
    wi_buf_fini(&text);
    return there;
}

weir_status wi_git_top(int folder, bool *is_top, wi_buf *exclude, weir_error *err)
{
    struct stat st;
    wi_buf_clear(exclude);
    if (fstatat(folder, ".git", &st, 0) != 0) {
        *is_top = false;
        return WEIR_OK;
    }
    wi_buf git = WI_BUF_INIT, shared = WI_BUF_INIT, file = WI_BUF_INIT;
    wi_buf_puts(&git, ".git");
    if (S_ISREG(st.st_mode))
        read_link_file(folder, ".git", "gitdir: ", "", &git);
    wi_buf_append(&shared, git.data, git.len);
    if (S_ISREG(st.st_mode) && wi_buf_cstr(&git)) {
        wi_buf_printf(&file, "%s/commondir", git.data);
        if (wi_buf_cstr(&file))
            read_link_file(folder, file.data, "", git.data, &shared);
    }
    wi_buf_append(exclude, shared.data, shared.len);
    wi_buf_puts(exclude, "/info/exclude");
    bool failed =
        exclude->failed || git.failed || shared.failed || file.failed || !wi_buf_cstr(exclude);
    wi_buf_fini(&git);
    wi_buf_fini(&shared);
    wi_buf_fini(&file);
    if (failed)
        return wi_fail_nomem(err);
    *is_top = true;
    return WEIR_OK;
}
