/*
 * walk_read.c: a folder is entered and a piece of it read; see walk_state.h. Its invariant: each
 * entry that is wanted becomes a file, a folder to be read or an error, once; and trouble with a
 * folder is an error in the folder above it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "walk_state.h"

/* A folder while a piece of it is read. */
typedef struct piece {
    wi_walk *walk;
    wi_walk_reader *reader;
    wi_walk_folder *folder;
    size_t filled; /* bytes of the reader's entries */
    bool over;     /* the folder has no more */
    weir_error *err;
} piece;

/* ---- entering a folder ---- */

/* The folder's own trouble: an item of the folder above it. */
static weir_status folder_failed(piece *p, const weir_error *error)
{
    wi_walk_reader *reader = p->reader;
    const wi_walk_folder *folder = p->folder;
    const char *name = folder->parent ? folder->name : folder->root->open;
    size_t len = strlen(name);
    wi_walk_found what = {.kind = WI_WALK_ERROR, .type = DT_DIR};
    bool path = true;
    if (folder->parent)
        path = wi_walk_folder_path(folder->parent, &reader->path);
    else
        wi_buf_clear(&reader->path);
    wi_walk_reader_add(reader, &what, name, len, error);
    if (path && !reader->no_memory)
        reader->chunk =
            wi_walk_chunk_new(reader, NULL, 0, reader->n_found,
                              reader->path.data ? reader->path.data : "", reader->path.len);
    reader->n_found = 0;
    p->over = true;
    return reader->chunk ? WEIR_OK : wi_fail_nomem(p->err);
}

static weir_status folder_errno(piece *p, int error)
{
    weir_error fault;
    const char *path = p->reader->path.len ? p->reader->path.data : p->folder->root->open;
    wi_fail_errno(&fault, error, "cannot read folder %s", path);
    return folder_failed(p, &fault);
}

static int open_folder(piece *p)
{
    const wi_walk_folder *folder = p->folder;
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK;
    if (!folder->parent)
        return wi_walk_open_path(folder->root->open, flags);
    if (!folder->linked)
        flags |= O_NOFOLLOW;
    if (folder->parent->fd >= 0)
        return openat(folder->parent->fd, folder->name, flags);
    char *slash = p->reader->path.data + p->reader->path.len - 1; /* O_NOFOLLOW would see past it */
    *slash = '\0';
    int fd = wi_walk_open_path(p->reader->path.data, flags);
    *slash = '/';
    return fd;
}

/* Is it the same as one above it? Only a link can lead there. */
static const wi_walk_folder *loop_of(const wi_walk_folder *folder)
{
    for (const wi_walk_folder *above = folder->parent; folder->linked && above;
         above = above->parent)
        if (above->inode == folder->inode && above->device == folder->device)
            return above;
    return NULL;
}

/* What must be known of the folder itself; *skip if it is of no interest. */
static weir_status look_at_folder(piece *p, bool *skip)
{
    wi_walk_folder *folder = p->folder;
    struct stat st;
    if (!p->walk->options.follow && !p->walk->options.one_file_system)
        return WEIR_OK;
    if (fstat(folder->read_fd, &st) != 0) {
        *skip = true;
        return folder_errno(p, errno);
    }
    folder->device = st.st_dev;
    folder->inode = st.st_ino;
    if (!folder->parent)
        folder->root->device = st.st_dev;
    if (p->walk->options.one_file_system && st.st_dev != folder->root->device) {
        *skip = true;
        return WEIR_OK;
    }
    const wi_walk_folder *above = loop_of(folder);
    if (!above)
        return WEIR_OK;
    *skip = true;
    weir_error fault;
    wi_buf path = WI_BUF_INIT;
    if (!wi_walk_folder_path(above, &path))
        return wi_fail_nomem(p->err);
    wi_fail(&fault, WEIR_INVALID, "the link %.*s leads back to %s, a folder above it: left out",
            (int)p->reader->path.len - 1, p->reader->path.data, path.len ? path.data : ".");
    wi_buf_fini(&path);
    return folder_failed(p, &fault);
}

/* Which lists the folder has, if it was read whole: else they are to be looked for. */
static unsigned special_names(const piece *p)
{
    if (!p->over)
        return WI_IGNORE_ALL;
    unsigned special = 0;
    for (size_t at = 0; at < p->filled;) {
        const struct dirent64 *entry = (const void *)(p->reader->entries + at);
        if (entry->d_name[0] == '.')
            special |= wi_ignore_special(entry->d_name, strlen(entry->d_name));
        at += entry->d_reclen;
    }
    return special;
}

static weir_status enter_lists(piece *p)
{
    wi_walk_folder *folder = p->folder;
    wi_ignore_folder *above = folder->parent ? folder->parent->ignore : folder->root->above;
    wi_ignore_notes notes = {wi_walk_reader_note, p->reader};
    return wi_ignore_enter(p->walk->ignore, above, folder->read_fd, special_names(p),
                           p->reader->path.data, &notes, &folder->ignore, p->err);
}

/* Opens the folder; keeps its descriptor for others too if there may be so many. */
static weir_status begin_folder(piece *p, bool may_wait, bool *skip)
{
    wi_walk *walk = p->walk;
    wi_walk_folder *folder = p->folder;
    int fd = open_folder(p);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE) && may_wait)
        return WEIR_AGAIN;
    int error = errno;
    folder->entered = true;
    if (folder->parent)
        wi_walk_fd_unuse(folder->parent);
    if (fd < 0) {
        *skip = true;
        return folder_errno(p, error);
    }
    folder->read_fd = fd;
    if ((size_t)atomic_fetch_add(&walk->held, 1) < walk->max_fds) {
        atomic_store_explicit(&folder->fd_users, 1, memory_order_relaxed);
        folder->fd = fd;
    } else {
        atomic_fetch_sub(&walk->held, 1);
    }
    return look_at_folder(p, skip);
}

/* ---- entries ---- */

/* As many entries as fit, so that a folder that isn't large is known whole before it is judged. */
static void fill(piece *p)
{
    enum { LARGEST = 512 };
    wi_walk_reader *reader = p->reader;
    p->filled = 0;
    while (WI_WALK_PIECE - p->filled >= LARGEST) {
        ssize_t n =
            getdents64(p->folder->read_fd, reader->entries + p->filled, WI_WALK_PIECE - p->filled);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            p->over = true;
        if (n < 0 && errno != ENOENT) { /* which only says that it was removed meanwhile */
            weir_error fault;
            wi_walk_found what = {.kind = WI_WALK_ERROR, .type = DT_DIR};
            wi_fail_errno(&fault, errno, "cannot read all of folder %s",
                          reader->path.len ? reader->path.data : ".");
            wi_walk_reader_add(reader, &what, "", 0, &fault);
        }
        if (n <= 0)
            return;
        p->filled += (size_t)n;
    }
}

/* An entry of the folder, at the end of the reader's path. */
typedef struct entry {
    const char *name;
    size_t len;
    uint8_t type;
    bool linked;
    int error; /* why its type is not known */
} entry;

static void find_type(const piece *p, entry *e)
{
    struct stat st;
    bool follow = p->walk->options.follow;
    if (e->type != DT_UNKNOWN && !(follow && e->type == DT_LNK))
        return;
    if (fstatat(p->folder->read_fd, e->name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) {
        e->error = errno;
        return;
    }
    e->linked = S_ISLNK(st.st_mode);
    if (e->linked && follow && fstatat(p->folder->read_fd, e->name, &st, 0) != 0) {
        e->error = errno;
        return;
    }
    e->type = IFTODT(st.st_mode);
}

/* Does it match the glob that is the root? *inside if so; a folder may also hold what does. */
static bool matches_root(const piece *p, const entry *e, bool *inside)
{
    const wi_walk_root *root = p->folder->root;
    bool shell = !p->walk->options.hidden;
    char *path = p->reader->path.data;
    size_t len = p->reader->path.len + e->len;
    bool is_folder = e->type == DT_DIR;
    bool match =
        shell ? wi_glob_match_shell(root->glob, path, len) : wi_glob_match(root->glob, path, len);
    *inside = match;
    if (!is_folder)
        return match && !root->only_folders;
    if (match)
        return true;
    path[len] = '/';
    match = wi_glob_match_below(root->glob, path, len + 1, shell);
    path[len] = '\0';
    return match;
}

/* What --glob says; the lists and --hidden count only if it says nothing. */
static wi_verdict judge_globs(const piece *p, const wi_ignore_path *path)
{
    const wi_rules *globs = p->walk->globs;
    wi_verdict verdict = wi_rules_match(globs, path->path + path->view, path->len - path->view,
                                        path->name_len, path->is_folder);
    if (verdict == WI_VERDICT_IGNORE) /* they say what is wanted: the other way round */
        return WI_VERDICT_KEEP;
    if (verdict == WI_VERDICT_KEEP)
        return WI_VERDICT_IGNORE;
    bool some_wanted = wi_rules_keeps(globs) < wi_rules_len(globs);
    return some_wanted && !path->is_folder ? WI_VERDICT_IGNORE : WI_VERDICT_NONE;
}

static bool wanted(const piece *p, const entry *e, bool *inside)
{
    const wi_walk_reader *reader = p->reader;
    const wi_walk_folder *folder = p->folder;
    bool dot_meant = folder->root->glob && !folder->inside;
    wi_ignore_path path = {
        .path = reader->path.data,
        .len = reader->path.len + e->len,
        .name_len = e->len,
        .view = folder->root->view,
        .is_folder = e->type == DT_DIR,
    };
    *inside = folder->inside;
    if (dot_meant && !matches_root(p, e, inside))
        return false;
    if (reader->absolute.len) {
        path.absolute = reader->absolute.data;
        path.absolute_len = reader->absolute.len + e->len;
    }
    wi_verdict verdict = WI_VERDICT_NONE;
    if (p->walk->globs)
        verdict = judge_globs(p, &path);
    if (verdict == WI_VERDICT_NONE)
        verdict = wi_ignore_match(p->walk->ignore, folder->ignore, &path);
    if (verdict == WI_VERDICT_NONE && e->name[0] == '.' && !p->walk->options.hidden && !dot_meant)
        verdict = WI_VERDICT_IGNORE;
    return verdict != WI_VERDICT_IGNORE;
}

static weir_status keep_folder(piece *p, const entry *e, bool inside)
{
    wi_walk_reader *reader = p->reader;
    wi_walk_folder *folder = p->folder;
    const wi_walk_options *options = &p->walk->options;
    if (options->max_depth && folder->depth + 1 >= options->max_depth)
        return WEIR_OK;
    wi_walk_folder *sub = wi_walk_folder_new(p->walk, folder, folder->root, e->name, e->len);
    if (!sub)
        return wi_fail_nomem(p->err);
    wi_walk_fd_use(folder);
    sub->linked = e->linked;
    sub->inside = inside;
    if (!options->sorted) {
        wi_walk_reader_add_work(reader, &sub->work);
        return WEIR_OK;
    }
    wi_walk_found what = {.sub = sub};
    size_t before = reader->n_found;
    wi_walk_reader_add(reader, &what, e->name, e->len, NULL);
    if (reader->n_found == before) /* no memory, as will be said */
        wi_walk_folder_drop(sub);
    return WEIR_OK;
}

static weir_status take_entry(piece *p, const struct dirent64 *d)
{
    wi_walk_reader *reader = p->reader;
    entry e = {.name = d->d_name, .len = strlen(d->d_name), .type = d->d_type};
    bool inside;
    if (e.name[0] == '.' && (e.len == 1 || (e.len == 2 && e.name[1] == '.')))
        return WEIR_OK;
    find_type(p, &e);
    if (!e.error && e.type != DT_DIR && e.type != DT_REG)
        return WEIR_OK;
    memcpy(reader->path.data + reader->path.len, e.name, e.len + 1);
    if (reader->absolute.len)
        memcpy(reader->absolute.data + reader->absolute.len, e.name, e.len + 1);
    if (!wanted(p, &e, &inside))
        return WEIR_OK;
    if (e.error) {
        weir_error fault;
        wi_walk_found what = {.kind = WI_WALK_ERROR, .type = e.type};
        wi_fail_errno(&fault, e.error, "cannot look at %s", reader->path.data);
        wi_walk_reader_add(reader, &what, e.name, e.len, &fault);
        return WEIR_OK;
    }
    if (inside && p->folder->root->glob)
        atomic_store_explicit(&p->folder->root->matched, true, memory_order_relaxed);
    if (e.type == DT_DIR)
        return keep_folder(p, &e, inside);
    wi_walk_found what = {.kind = WI_WALK_FILE, .type = DT_REG};
    wi_walk_reader_add(reader, &what, e.name, e.len, NULL);
    return WEIR_OK;
}

static weir_status take_entries(piece *p)
{
    weir_status status = WEIR_OK;
    for (size_t at = 0; at < p->filled && status == WEIR_OK;) {
        const struct dirent64 *d = (const void *)(p->reader->entries + at);
        status = take_entry(p, d);
        at += d->d_reclen;
    }
    p->reader->path.data[p->reader->path.len] = '\0';
    if (status == WEIR_OK && p->reader->no_memory)
        status = wi_fail_nomem(p->err);
    return status;
}

/* ---- pieces ---- */

static weir_status set_absolute(piece *p)
{
    wi_walk_reader *reader = p->reader;
    const wi_walk_root *root = p->folder->root;
    wi_buf_clear(&reader->absolute);
    if (!wi_ignore_needs_absolute(p->folder->ignore))
        return WEIR_OK;
    wi_buf_puts(&reader->absolute, root->absolute);
    wi_buf_append(&reader->absolute, reader->path.data + root->prefix_len,
                  reader->path.len - root->prefix_len);
    return wi_buf_reserve(&reader->absolute, WI_WALK_NAME_ROOM) ? WEIR_OK : wi_fail_nomem(p->err);
}

static weir_status take_piece(piece *p, bool is_first)
{
    weir_status status = WEIR_OK;
    fill(p);
    if (is_first)
        status = enter_lists(p);
    if (status == WEIR_OK)
        status = set_absolute(p);
    return status == WEIR_OK ? take_entries(p) : status;
}

/* A chunk of what was found from..to; none if that is nothing. */
static weir_status make_chunk(piece *p, size_t from, size_t to, wi_walk_chunk **out)
{
    const wi_buf *path = &p->reader->path;
    if (from == to)
        return WEIR_OK;
    *out = wi_walk_chunk_new(p->reader, p->folder, from, to, path->data, path->len);
    return *out ? WEIR_OK : wi_fail_nomem(p->err);
}

static int compare(const void *a, const void *b, void *names)
{
    const wi_walk_found *one = a, *other = b;
    const char *base = names;
    return strcmp(base + one->name, base + other->name);
}

/* Chunks and folders in the order of their names, to stand on the stack together. */
static weir_status put_in_order(piece *p)
{
    wi_walk_reader *reader = p->reader;
    weir_status status = WEIR_OK;
    size_t from = 0;
    if (reader->n_found)
        qsort_r(reader->found, reader->n_found, sizeof *reader->found, compare, reader->names.data);
    for (size_t i = 0; i <= reader->n_found && status == WEIR_OK; i++) {
        if (i < reader->n_found && !reader->found[i].sub)
            continue;
        wi_walk_chunk *chunk = NULL;
        status = make_chunk(p, from, i, &chunk);
        if (chunk)
            wi_walk_reader_add_work(reader, &chunk->work);
        if (status == WEIR_OK && i < reader->n_found) {
            wi_walk_reader_add_work(reader, &reader->found[i].sub->work);
            reader->found[i].sub = NULL;
        }
        from = i + 1;
    }
    return status;
}

weir_status wi_walk_read(wi_walk *walk, wi_walk_reader *reader, wi_walk_folder *folder,
                         bool may_wait, weir_error *err)
{
    piece p = {.walk = walk, .reader = reader, .folder = folder, .err = err};
    bool is_first = !folder->entered, skip = false;
    weir_status status = WEIR_OK;
    if (!wi_walk_folder_path(folder, &reader->path))
        return wi_fail_nomem(err);
    if (is_first)
        status = begin_folder(&p, may_wait, &skip);
    if (status != WEIR_OK || skip)
        return status;
    do {
        status = take_piece(&p, is_first);
        is_first = false;
    } while (status == WEIR_OK && walk->options.sorted && !p.over && !atomic_load(&walk->stopped));
    if (status == WEIR_OK)
        status = walk->options.sorted ? put_in_order(&p)
                                      : make_chunk(&p, 0, reader->n_found, &reader->chunk);
    reader->more = status == WEIR_OK && !p.over;
    return status;
}
