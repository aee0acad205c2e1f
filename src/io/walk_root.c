/*
 * walk_root.c: what a root is: a file, a folder, a glob, or nothing that is there; see
 * walk_state.h. Its invariant: each root makes a folder to be read, or a chunk, or both.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>

#include "walk_state.h"

/* A root while it is looked at. */
typedef struct look {
    wi_walk *walk;
    wi_walk_reader *reader;
    const char *path;
    size_t len;
    weir_error *err;
} look;

/* The root itself is all there is: a file, or an error. */
static weir_status only_itself(look *l, const wi_walk_found *what, const weir_error *error)
{
    wi_walk_reader *reader = l->reader;
    wi_walk_reader_add(reader, what, l->path, l->len, error);
    if (!reader->no_memory)
        reader->chunk = wi_walk_chunk_new(reader, NULL, 0, reader->n_found, "", 0);
    return reader->chunk ? WEIR_OK : wi_fail_nomem(l->err);
}

static weir_status trouble(look *l, const weir_error *error)
{
    wi_walk_found what = {.kind = WI_WALK_ERROR, .type = DT_UNKNOWN};
    return only_itself(l, &what, error);
}

/* Where that part of the root's paths begins which is seen from the working directory. */
static size_t view_of(const wi_walk *walk, const char *prefix)
{
    size_t at = 0, cwd = strlen(walk->cwd);
    if (cwd && strncmp(prefix, walk->cwd, cwd) == 0)
        return cwd;
    while (prefix[at] == '.' && prefix[at + 1] == '/')
        for (at++; prefix[at] == '/'; at++)
            ;
    return at;
}

/* The lists above the root, which are found by its real path. */
static weir_status look_above(look *l, wi_walk_root *root)
{
    char real[PATH_MAX];
    if (!realpath(root->open, real)) /* then it will not be read either */
        return WEIR_OK;
    size_t len = strlen(real);
    root->absolute = malloc(len + 2);
    if (!root->absolute)
        return wi_fail_nomem(l->err);
    memcpy(root->absolute, real, len + 1);
    if (real[len - 1] != '/')
        memcpy(root->absolute + len, "/", 2);
    weir_error fault;
    weir_status status =
        wi_ignore_above(l->walk->ignore, real, &(wi_ignore_notes){wi_walk_reader_note, l->reader},
                        &root->above, &fault);
    return status == WEIR_OK ? WEIR_OK : wi_fail_nomem(l->err);
}

/* A folder to begin with, whose paths begin with `prefix`; takes root over. */
static weir_status begin_at(look *l, wi_walk_root *root, const char *prefix, size_t prefix_len)
{
    wi_walk_reader *reader = l->reader;
    weir_status status = look_above(l, root);
    wi_walk_folder *folder = NULL;
    if (status == WEIR_OK) {
        folder = wi_walk_folder_new(l->walk, NULL, root, prefix, prefix_len);
        status = folder ? WEIR_OK : wi_fail_nomem(l->err);
    }
    if (status == WEIR_OK) {
        root->prefix_len = prefix_len;
        root->view = view_of(l->walk, folder->name);
        wi_walk_reader_add_work(reader, &folder->work);
        if (reader->n_found) { /* what is wrong in lists above it */
            reader->chunk = wi_walk_chunk_new(reader, NULL, 0, reader->n_found, prefix, prefix_len);
            status = reader->chunk && !reader->no_memory ? WEIR_OK : wi_fail_nomem(l->err);
        }
    }
    wi_walk_root_unref(root);
    return status;
}

static wi_walk_root *root_new(const look *l, const char *open, size_t open_len)
{
    wi_walk_root *root = calloc(1, sizeof *root);
    if (!root)
        return NULL;
    atomic_init(&root->refs, 1);
    root->given = strdup(l->path);
    root->open = strndup(open, open_len);
    if (root->given && root->open)
        return root;
    wi_walk_root_unref(root);
    return NULL;
}

static weir_status a_folder(look *l, bool is_default)
{
    wi_walk_root *root = root_new(l, l->path, l->len);
    wi_buf prefix = WI_BUF_INIT;
    if (!root)
        return wi_fail_nomem(l->err);
    wi_buf_append(&prefix, l->path, is_default ? 0 : l->len);
    if (prefix.len && prefix.data[prefix.len - 1] != '/')
        wi_buf_putc(&prefix, '/');
    const char *text = wi_buf_cstr(&prefix);
    weir_status status;
    if (text) {
        status = begin_at(l, root, text, prefix.len);
    } else {
        wi_walk_root_unref(root);
        status = wi_fail_nomem(l->err);
    }
    wi_buf_fini(&prefix);
    return status;
}

/* The folder that is written without wildcards is read, and all in it must match. */
static weir_status a_glob(look *l)
{
    size_t len = l->len, prefix = wi_glob_plain_prefix(l->path, l->len);
    while (prefix && l->path[prefix - 1] != '/')
        prefix--;
    while (len > prefix && l->path[len - 1] == '/')
        len--;
    wi_glob *glob = NULL;
    weir_error fault;
    weir_status status = wi_glob_new(l->path, len, WI_GLOB_BRACES, &glob, &fault);
    if (status == WEIR_NOMEM)
        return wi_fail_nomem(l->err);
    if (status != WEIR_OK) {
        weir_error whole;
        wi_fail(&whole, WEIR_NOTFOUND, "there is no such file: %s", fault.text);
        return trouble(l, &whole);
    }
    wi_walk_root *root = root_new(l, prefix ? l->path : ".", prefix ? prefix : 1);
    if (!root) {
        wi_glob_free(glob);
        return wi_fail_nomem(l->err);
    }
    root->glob = glob;
    root->only_folders = len < l->len;
    return begin_at(l, root, l->path, prefix);
}

weir_status wi_walk_look_at_root(wi_walk *walk, wi_walk_reader *reader, const char *path,
                                 bool is_default, weir_error *err)
{
    look l = {.walk = walk, .reader = reader, .path = path, .len = strlen(path), .err = err};
    struct stat st;
    if (strcmp(path, "-") == 0) {
        wi_walk_found stream = {.kind = WI_WALK_FILE, .type = DT_FIFO};
        return only_itself(&l, &stream, NULL);
    }
    if (wi_walk_stat_path(path, 0, &st) != 0) {
        int error = errno;
        if ((error == ENOENT || error == ENOTDIR) && strpbrk(path, "*?[{"))
            return a_glob(&l);
        weir_error fault;
        wi_fail_errno(&fault, error, "cannot look at %s", path);
        return trouble(&l, &fault);
    }
    if (S_ISDIR(st.st_mode))
        return a_folder(&l, is_default);
    wi_walk_found what = {.kind = WI_WALK_FILE, .type = IFTODT(st.st_mode)};
    return only_itself(&l, &what, NULL);
}

weir_status wi_walk_miss_root(wi_walk *walk, wi_walk_reader *reader, const char *path,
                              const weir_error *why, weir_error *err)
{
    look l = {.walk = walk, .reader = reader, .path = path, .len = strlen(path), .err = err};
    return trouble(&l, why);
}
