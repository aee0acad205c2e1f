/*
 * fuzz_ignore.c: whatever a folder's lists and its .git hold, the verdict on a path is that of the
 * first list that has one, in the order that ignore.h gives. The first byte has the options; then,
 * parted by NULs, come .rgignore, .ignore, .gitignore, the file .git, its commondir, the list of
 * excludes, and the path. An empty one is not there.
 */
#include "fuzz.h"
#include "glob.h"
#include "ignore.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RG, DOT, LIST, GIT, COMMON, EXCLUDE, FILES };

typedef struct text {
    const char *bytes;
    size_t len;
} text;

static char home[64]; /* the folder of the list, and others beside it */
static int folder = -1;

static const char *const names[FILES] = {".rgignore", ".ignore",          ".gitignore",
                                         ".git",      "../git/commondir", "../git/info/exclude"};

static void remove_all(void)
{
    for (int i = 0; i < FILES; i++)
        unlinkat(folder, names[i], 0);
    unlinkat(folder, "../git/info", AT_REMOVEDIR);
    unlinkat(folder, "../git", AT_REMOVEDIR);
    unlinkat(folder, "../folder", AT_REMOVEDIR);
    rmdir(home);
}

static void set_up(void)
{
    const char *parent = getenv("TMPDIR");
    char path[80];
    snprintf(home, sizeof home, "%.30s/weir-fuzz-XXXXXX", parent ? parent : "/tmp");
    CHECK(mkdtemp(home));
    snprintf(path, sizeof path, "%s/folder", home);
    CHECK(mkdir(path, 0700) == 0);
    folder = open(path, O_DIRECTORY | O_CLOEXEC);
    CHECK(folder >= 0 && mkdirat(folder, "../git", 0700) == 0);
    CHECK(mkdirat(folder, "../git/info", 0700) == 0);
    atexit(remove_all);
}

static void put(int which, text content)
{
    unlinkat(folder, names[which], 0);
    if (!content.len)
        return;
    int fd = openat(folder, names[which], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, content.bytes, content.len) == (ssize_t)content.len);
    close(fd);
}

static wi_verdict ask(text list, unsigned flags, const wi_ignore_path *path)
{
    wi_rules *rules = NULL;
    weir_error first;
    size_t faults;
    CHECK(wi_rules_new(flags, &rules, NULL) == WEIR_OK);
    CHECK(wi_rules_add_text(rules, list.bytes, list.len, &faults, &first, NULL) == WEIR_OK);
    wi_verdict verdict =
        wi_rules_match(rules, path->path + 2, path->len - 2, path->name_len, path->is_folder);
    wi_rules_free(rules);
    return verdict;
}

static void note(void *arg, const weir_error *fault)
{
    CHECK(fault->text[0]);
    ++*(int *)arg;
}

/* Does .git lead to our list of excludes? */
static bool leads_to_excludes(text git, text common)
{
    while (git.len && strchr("\r\n", git.bytes[git.len - 1]))
        git.len--;
    while (common.len && strchr("\r\n", common.bytes[common.len - 1]))
        common.len--;
    return git.len == 14 && memcmp(git.bytes, "gitdir: ../git", 14) == 0 &&
           (!common.len || (common.len == 1 && common.bytes[0] == '.'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    text parts[FILES + 1] = {{NULL, 0}};
    wi_ignore *ignore = NULL;
    wi_ignore_folder *top = NULL;
    char path[300] = "f/";
    if (size < 2 || size > 4096)
        return 0;
    const char *at = (const char *)data + 1, *end = (const char *)data + size;
    for (int i = 0; i <= FILES && at < end; i++) {
        const char *nul = memchr(at, '\0', (size_t)(end - at));
        parts[i] = (text){at, (size_t)((nul ? nul : end) - at)};
        at = nul ? nul + 1 : end;
    }
    text name = parts[FILES];
    if (!name.len || name.len > 250 || name.bytes[0] == '/' || name.bytes[name.len - 1] == '/')
        return 0;
    if (folder < 0)
        set_up();
    for (int i = 0; i < FILES; i++)
        put(i, parts[i]);
    memcpy(path + 2, name.bytes, name.len);
    const char *slash = memrchr(name.bytes, '/', name.len);
    wi_ignore_path p = {.path = path,
                        .len = 2 + name.len,
                        .name_len = slash ? (size_t)(name.bytes + name.len - slash - 1) : name.len,
                        .is_folder = data[0] & 1};
    wi_ignore_options options = {.no_dot = data[0] & 2,
                                 .no_exclude = data[0] & 4,
                                 .no_global = true,
                                 .no_vcs = data[0] & 8,
                                 .no_require_git = data[0] & 16,
                                 .nocase = data[0] & 32};
    int notes_taken = 0;
    wi_ignore_notes notes = {note, &notes_taken};
    CHECK(wi_ignore_new(&options, &notes, &ignore, NULL) == WEIR_OK);
    CHECK(wi_ignore_enter(ignore, NULL, folder, WI_IGNORE_ALL, "f/", &notes, &top, NULL) ==
          WEIR_OK);
    unsigned nocase = options.nocase ? WI_GLOB_NOCASE : 0;
    wi_verdict want = WI_VERDICT_NONE;
    bool git = (parts[GIT].len || options.no_require_git) && !options.no_vcs;
    if (!options.no_dot)
        want = ask(parts[RG], nocase | WI_GLOB_BRACES, &p);
    if (want == WI_VERDICT_NONE && !options.no_dot)
        want = ask(parts[DOT], nocase | WI_GLOB_BRACES, &p);
    if (want == WI_VERDICT_NONE && git)
        want = ask(parts[LIST], nocase, &p);
    bool excludes = parts[GIT].len && !options.no_vcs && !options.no_exclude;
    if (want == WI_VERDICT_NONE && excludes && leads_to_excludes(parts[GIT], parts[COMMON])) {
        want = ask(parts[EXCLUDE], nocase, &p);
        excludes = false;
    }
    wi_verdict got = wi_ignore_match(ignore, top, &p);
    /* where .git leads to elsewhere, a list may be found that is not known here */
    CHECK(got == want || (excludes && want == WI_VERDICT_NONE));
    wi_ignore_folder_unref(top);
    wi_ignore_free(ignore);
    return 0;
}
