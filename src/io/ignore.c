/*
 * ignore.c: see ignore.h. Its invariant: a folder that was made has at least one list or is the
 * top of a working tree; all others share that of the folder above.
 */
#include "ignore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "git.h"
#include "glob.h"

enum { MAX_FILE = 16 << 20, RG = 0, DOT, GIT, EXCLUDE, LISTS };

struct wi_ignore {
    bool no_dot;
    bool no_exclude;
    bool no_parent;
    bool no_vcs;
    bool no_require_git;
    unsigned git_flags; /* of globs */
    unsigned rg_flags;
    wi_rules *global; /* NULL if there is none */
    wi_rules **files; /* from the last to the first */
    size_t n_files;
};

struct wi_ignore_folder {
    atomic_int refs;
    wi_ignore_folder *parent;
    wi_rules *lists[LISTS]; /* NULL if there is none */
    size_t base;            /* where the part of a path that is below this folder begins */
    bool above;             /* that is so of the absolute path */
    bool is_top;            /* of a working tree */
    bool in_git;            /* it or one above it is */
    bool needs_absolute;
};

static const struct special {
    const char *name;
    unsigned bit;
} specials[] = {
    {".rgignore", WI_IGNORE_RG},
    {".ignore", WI_IGNORE_DOT},
    {".gitignore", WI_IGNORE_GIT},
    {".git", WI_IGNORE_TOP},
};

unsigned wi_ignore_special_name(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++)
        if (strlen(specials[i].name) == len && memcmp(specials[i].name, name, len) == 0)
            return specials[i].bit;
    return 0;
}

/* ---- lists ---- */

typedef struct list_file {
    int folder;
    const char *shown; /* the folder, for messages; with its slash */
    const char *name;
    unsigned glob_flags;
    int open_flags;
    const wi_ignore_notes *notes;
} list_file;

static void note(const list_file *file, const weir_error *fault, size_t faults)
{
    weir_error whole;
    if (!file->notes)
        return;
    if (faults > 1)
        wi_fail(&whole, fault->status, "%s%s: %s (%zu of its lines are wrong)", file->shown,
                file->name, fault->text, faults);
    else
        wi_fail(&whole, fault->status, "%s%s: %s", file->shown, file->name, fault->text);
    whole.sys_errno = fault->sys_errno;
    file->notes->add(file->notes->arg, &whole);
}

/* NULL in *out if the file has no patterns; fails if it cannot be read. */
static weir_status read_list(const list_file *file, wi_rules **out, weir_error *err)
{
    wi_buf text;
    wi_rules *rules = NULL;
    weir_error first;
    size_t faults = 0;
    wi_buf_init(&text, MAX_FILE);
    weir_status status = wi_git_read(file->folder, file->name, file->open_flags, &text, err);
    if (status == WEIR_OK)
        status = wi_rules_new(file->glob_flags, &rules, err);
    if (status == WEIR_OK)
        status = wi_rules_add_text(rules, text.data, text.len, &faults, &first, err);
    wi_buf_fini(&text);
    if (status == WEIR_OK && faults)
        note(file, &first, faults);
    if (status == WEIR_OK && wi_rules_len(rules))
        *out = rules;
    else
        wi_rules_free(rules);
    return status;
}

/* The same of a file that need not be there. */
static weir_status look_for_list(const list_file *file, wi_rules **out, weir_error *err)
{
    weir_error fault = {0};
    weir_status status = read_list(file, out, &fault);
    if (status == WEIR_NOMEM)
        return wi_fail_nomem(err);
    int e = fault.sys_errno;
    bool absent =
        e == ENOENT || e == ENOTDIR || e == ELOOP || e == EISDIR || e == EINVAL || e == ENXIO;
    if (status != WEIR_OK && !absent)
        note(file, &fault, 1);
    return WEIR_OK;
}

/* ---- what holds everywhere ---- */

static weir_status read_global(wi_ignore *ignore, const wi_ignore_notes *notes, weir_error *err)
{
    wi_buf path = WI_BUF_INIT;
    weir_status status = wi_git_excludes_path(&path, err);
    if (status == WEIR_OK && path.len) {
        const char *name = wi_buf_cstr(&path);
        list_file file = {AT_FDCWD, "", name, ignore->git_flags, 0, notes};
        status = name ? look_for_list(&file, &ignore->global, err) : wi_fail_nomem(err);
    }
    wi_buf_fini(&path);
    return status;
}

static weir_status read_files(wi_ignore *ignore, const wi_ignore_options *options,
                              const wi_ignore_notes *notes, weir_error *err)
{
    if (options->n_files == 0)
        return WEIR_OK;
    ignore->files = calloc(options->n_files, sizeof(wi_rules *));
    if (!ignore->files)
        return wi_fail_nomem(err);
    for (size_t i = options->n_files; i-- > 0;) {
        wi_rules *rules = NULL;
        list_file file = {AT_FDCWD, "", options->files[i], ignore->rg_flags, 0, notes};
        weir_status status = read_list(&file, &rules, err);
        if (status != WEIR_OK)
            return status;
        if (rules)
            ignore->files[ignore->n_files++] = rules;
    }
    return WEIR_OK;
}

weir_status wi_ignore_new(const wi_ignore_options *options, const wi_ignore_notes *notes,
                          wi_ignore **out, weir_error *err)
{
    wi_ignore *ignore = calloc(1, sizeof *ignore);
    if (!ignore)
        return wi_fail_nomem(err);
    ignore->no_dot = options->no_dot;
    ignore->no_exclude = options->no_exclude;
    ignore->no_parent = options->no_parent;
    ignore->no_vcs = options->no_vcs;
    ignore->no_require_git = options->no_require_git;
    ignore->git_flags = options->nocase ? WI_GLOB_NOCASE : 0;
    ignore->rg_flags = ignore->git_flags | WI_GLOB_BRACES;
    weir_status status = WEIR_OK;
    if (!options->no_vcs && !options->no_global)
        status = read_global(ignore, notes, err);
    if (status == WEIR_OK)
        status = read_files(ignore, options, notes, err);
    if (status == WEIR_OK)
        *out = ignore;
    else
        wi_ignore_free(ignore);
    return status;
}

void wi_ignore_free(wi_ignore *ignore)
{
    if (!ignore)
        return;
    wi_rules_free(ignore->global);
    for (size_t i = 0; i < ignore->n_files; i++)
        wi_rules_free(ignore->files[i]);
    free(ignore->files);
    free(ignore);
}

/* ---- folders ---- */

wi_ignore_folder *wi_ignore_folder_ref(wi_ignore_folder *folder)
{
    if (folder)
        atomic_fetch_add_explicit(&folder->refs, 1, memory_order_relaxed);
    return folder;
}

void wi_ignore_folder_unref(wi_ignore_folder *folder)
{
    while (folder && atomic_fetch_sub_explicit(&folder->refs, 1, memory_order_acq_rel) == 1) {
        wi_ignore_folder *parent = folder->parent;
        for (int i = 0; i < LISTS; i++)
            wi_rules_free(folder->lists[i]);
        free(folder);
        folder = parent;
    }
}

/* A folder while it is looked at. */
typedef struct visit {
    const wi_ignore *ignore;
    wi_ignore_folder *parent;
    int fd;
    unsigned special;
    bool above;
    const char *path;
    size_t base;
    const wi_ignore_notes *notes;
    wi_ignore_folder found; /* not yet one of its own */
} visit;

static weir_status visit_list(visit *v, int which, const char *name, int flags, weir_error *err)
{
    unsigned glob_flags = which < GIT ? v->ignore->rg_flags : v->ignore->git_flags;
    const char *shown = *name == '/' ? "" : v->path;
    list_file file = {v->fd, shown, name, glob_flags, flags, v->notes};
    return look_for_list(&file, &v->found.lists[which], err);
}

/* Is it a working tree's top, and what has that in info/exclude? */
static weir_status visit_top(visit *v, bool lists, weir_error *err)
{
    wi_buf exclude = WI_BUF_INIT;
    weir_status status = wi_git_top(v->fd, &v->found.is_top, &exclude, err);
    if (status == WEIR_OK && v->found.is_top && lists && !v->ignore->no_exclude)
        status = visit_list(v, EXCLUDE, exclude.data, 0, err);
    wi_buf_fini(&exclude);
    return status;
}

static weir_status visit_lists(visit *v, weir_error *err)
{
    const wi_ignore *ignore = v->ignore;
    weir_status status = WEIR_OK;
    bool lists = !(v->above && ignore->no_parent);
    if (v->special & WI_IGNORE_TOP && !ignore->no_vcs)
        status = visit_top(v, lists, err);
    v->found.in_git = v->found.is_top || (v->parent && v->parent->in_git);
    if (!lists)
        return status;
    if (status == WEIR_OK && v->special & WI_IGNORE_RG && !ignore->no_dot)
        status = visit_list(v, RG, ".rgignore", 0, err);
    if (status == WEIR_OK && v->special & WI_IGNORE_DOT && !ignore->no_dot)
        status = visit_list(v, DOT, ".ignore", 0, err);
    if (status == WEIR_OK && v->special & WI_IGNORE_GIT && !ignore->no_vcs &&
        (v->found.in_git || ignore->no_require_git))
        status = visit_list(v, GIT, ".gitignore", O_NOFOLLOW, err); /* git follows none either */
    return status;
}

static bool needs_absolute(const visit *v)
{
    if (v->parent && v->parent->needs_absolute)
        return true;
    for (int i = 0; v->above && i < LISTS; i++)
        if (v->found.lists[i] && wi_rules_need_path(v->found.lists[i]))
            return true;
    /* The user's excludes are seen from the top of the working tree. */
    const wi_rules *global = v->ignore->global;
    return v->above && v->found.is_top && global && wi_rules_need_path(global);
}

static weir_status visit_folder(visit *v, wi_ignore_folder **out, weir_error *err)
{
    weir_status status = visit_lists(v, err);
    bool something = v->found.is_top;
    for (int i = 0; i < LISTS; i++)
        something |= v->found.lists[i] != NULL;
    wi_ignore_folder *folder = NULL;
    if (status == WEIR_OK && !something) {
        *out = wi_ignore_folder_ref(v->parent);
        return WEIR_OK;
    }
    if (status == WEIR_OK) {
        folder = malloc(sizeof *folder);
        status = folder ? WEIR_OK : wi_fail_nomem(err);
    }
    if (status != WEIR_OK) {
        for (int i = 0; i < LISTS; i++)
            wi_rules_free(v->found.lists[i]);
        return status;
    }
    *folder = v->found;
    atomic_init(&folder->refs, 1);
    folder->parent = wi_ignore_folder_ref(v->parent);
    folder->base = v->base;
    folder->above = v->above;
    folder->needs_absolute = needs_absolute(v);
    *out = folder;
    return WEIR_OK;
}

weir_status wi_ignore_enter(const wi_ignore *ignore, wi_ignore_folder *parent, int fd,
                            unsigned special, const char *path, const wi_ignore_notes *notes,
                            wi_ignore_folder **out, weir_error *err)
{
    if (special == 0) {
        *out = wi_ignore_folder_ref(parent);
        return WEIR_OK;
    }
    visit v = {
        .ignore = ignore,
        .parent = parent,
        .fd = fd,
        .special = special,
        .path = path,
        .base = strlen(path),
        .notes = notes,
    };
    return visit_folder(&v, out, err);
}

/* One folder above a root: the first `len` bytes of an absolute path, with their slash. */
static weir_status enter_above(const wi_ignore *ignore, char *path, size_t len,
                               const wi_ignore_notes *notes, wi_ignore_folder **folder,
                               weir_error *err)
{
    char after = path[len];
    path[len] = '\0';
    weir_status status = WEIR_OK;
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) { /* else nobody can read a list there */
        visit v = {
            .ignore = ignore,
            .parent = *folder,
            .fd = fd,
            .special = WI_IGNORE_ALL,
            .above = true,
            .path = path,
            .base = len,
            .notes = notes,
        };
        wi_ignore_folder *below = NULL;
        status = visit_folder(&v, &below, err);
        if (status == WEIR_OK) {
            wi_ignore_folder_unref(*folder);
            *folder = below;
        }
        close(fd);
    }
    path[len] = after;
    return status;
}

weir_status wi_ignore_above(const wi_ignore *ignore, const char *absolute,
                            const wi_ignore_notes *notes, wi_ignore_folder **out, weir_error *err)
{
    wi_ignore_folder *folder = NULL;
    weir_status status = WEIR_OK;
    bool nothing = ignore->no_vcs && (ignore->no_dot || ignore->no_parent);
    char *path = strdup(absolute);
    if (!path)
        return wi_fail_nomem(err);
    for (size_t i = 0; !nothing && status == WEIR_OK && path[i]; i++)
        if (path[i] == '/' && path[i + 1])
            status = enter_above(ignore, path, i + 1, notes, &folder, err);
    free(path);
    if (status == WEIR_OK)
        *out = folder;
    else
        wi_ignore_folder_unref(folder);
    return status;
}

/* ---- verdicts ---- */

bool wi_ignore_needs_absolute(const wi_ignore_folder *folder)
{
    return folder && folder->needs_absolute;
}

/* What a list says that is seen from `folder`. */
static wi_verdict ask(const wi_rules *rules, const wi_ignore_folder *folder,
                      const wi_ignore_path *path)
{
    const char *text = folder->above ? path->absolute : path->path;
    size_t len = folder->above ? path->absolute_len : path->len;
    size_t base = folder->base;
    if (!text) { /* none of its patterns needs more than the name */
        text = path->path;
        len = path->len;
        base = len - path->name_len;
    }
    return wi_rules_match(rules, text + base, len - base, path->name_len, path->is_folder);
}

static wi_verdict ask_global(const wi_rules *global, const wi_ignore_folder *folder,
                             const wi_ignore_path *path)
{
    while (folder && !folder->is_top)
        folder = folder->parent;
    if (folder)
        return ask(global, folder, path);
    return wi_rules_match(global, path->path + path->view, path->len - path->view, path->name_len,
                          path->is_folder);
}

wi_verdict wi_ignore_match(const wi_ignore *ignore, const wi_ignore_folder *folder,
                           const wi_ignore_path *path)
{
    wi_verdict verdicts[LISTS] = {WI_VERDICT_NONE};
    bool git = ignore->no_require_git || (folder && folder->in_git);
    bool in_tree = git; /* not yet above its top */
    for (const wi_ignore_folder *at = folder; at; at = at->parent) {
        for (int i = 0; i < (in_tree ? LISTS : GIT); i++)
            if (at->lists[i] && verdicts[i] == WI_VERDICT_NONE)
                verdicts[i] = ask(at->lists[i], at, path);
        if (verdicts[RG] != WI_VERDICT_NONE)
            return verdicts[RG];
        in_tree = in_tree && !at->is_top;
    }
    for (int i = DOT; i < LISTS; i++)
        if (verdicts[i] != WI_VERDICT_NONE)
            return verdicts[i];
    wi_verdict verdict = WI_VERDICT_NONE;
    if (ignore->global && git)
        verdict = ask_global(ignore->global, folder, path);
    for (size_t i = 0; i < ignore->n_files && verdict == WI_VERDICT_NONE; i++)
        verdict = wi_rules_match(ignore->files[i], path->path + path->view, path->len - path->view,
                                 path->name_len, path->is_folder);
    return verdict;
}
