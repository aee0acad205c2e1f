/*
 * walk.c: what was found is handed out, and who finds nothing to be handed out gets work; see
 * walk.h. Its invariant: the walk is over when nothing lies ready, nothing stands on the stack,
 * nobody reads and no root is left; until then whoever waits is woken by whoever adds to these.
 */
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "walk_state.h"

enum { MOST_EARLY = 1024 }; /* roots that are looked at before one that was named earlier */

/* ---- making and freeing ---- */

static size_t fds_allowed(size_t wanted)
{
    enum { ENOUGH = 256, LEAST = 2 };
    struct rlimit limit;
    if (wanted)
        return wanted;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / 8 > ENOUGH)
        return ENOUGH;
    return limit.rlim_cur / 8 < LEAST ? LEAST : (size_t)limit.rlim_cur / 8;
}

static weir_status find_cwd(wi_walk *walk, weir_error *err)
{
    char cwd[PATH_MAX + 1];
    if (!getcwd(cwd, PATH_MAX) || cwd[0] != '/')
        cwd[0] = '\0'; /* it was removed, or is out of reach: no absolute path is below it */
    else if (cwd[1])
        memcpy(cwd + strlen(cwd), "/", 2);
    walk->cwd = strdup(cwd);
    return walk->cwd ? WEIR_OK : wi_fail_nomem(err);
}

static weir_status add_globs(wi_walk *walk, const char *const *globs, size_t n, bool nocase,
                             weir_error *err)
{
    weir_status status = WEIR_OK;
    if (n && !walk->globs)
        status = wi_rules_new(0, &walk->globs, err);
    if (n && status == WEIR_OK)
        wi_rules_set_flags(walk->globs, WI_GLOB_BRACES | (nocase ? WI_GLOB_NOCASE : 0));
    for (size_t i = 0; i < n && status == WEIR_OK; i++)
        status = wi_rules_add(walk->globs, globs[i], strlen(globs[i]), err);
    return status;
}

/* What is wrong in the user's own lists comes before all files. */
static weir_status read_lists(wi_walk *walk, const wi_walk_options *options, weir_error *err)
{
    wi_walk_reader *reader = wi_walk_reader_new();
    if (!reader)
        return wi_fail_nomem(err);
    walk->idle = reader;
    wi_ignore_notes notes = {wi_walk_reader_note, reader};
    weir_status status = wi_ignore_new(&options->ignore, &notes, &walk->ignore, err);
    if (status == WEIR_OK && reader->no_memory)
        status = wi_fail_nomem(err);
    if (status == WEIR_OK && reader->n_found) {
        walk->ready = walk->ready_last = wi_walk_chunk_new(reader, NULL, 0, reader->n_found, "", 0);
        status = walk->ready ? WEIR_OK : wi_fail_nomem(err);
    }
    wi_walk_reader_reset(reader);
    return status;
}

weir_status wi_walk_new(const wi_walk_options *options, wi_walk **out, weir_error *err)
{
    wi_walk *walk = calloc(1, sizeof *walk);
    if (!walk)
        return wi_fail_nomem(err);
    walk->options = *options;
    walk->max_fds = fds_allowed(options->max_fds);
    pthread_mutex_init(&walk->lock, NULL);
    pthread_cond_init(&walk->changed, NULL);
    weir_status status = find_cwd(walk, err);
    if (status == WEIR_OK)
        status = add_globs(walk, options->globs, options->n_globs, options->glob_nocase, err);
    if (status == WEIR_OK)
        status = add_globs(walk, options->iglobs, options->n_iglobs, true, err);
    if (status == WEIR_OK)
        status = read_lists(walk, options, err);
    if (status == WEIR_OK)
        *out = walk;
    else
        wi_walk_free(walk);
    return status;
}

void wi_walk_free(wi_walk *walk)
{
    if (!walk)
        return;
    wi_walk_work_drop(walk->stack);
    for (wi_walk_early *early = walk->early, *next; early; early = next) {
        next = early->next;
        wi_walk_work_drop(early->first);
        if (early->chunk)
            wi_walk_chunk_unref(early->chunk);
        free(early);
    }
    for (wi_walk_chunk *chunk = walk->ready, *next; chunk; chunk = next) {
        next = (wi_walk_chunk *)chunk->work.next;
        wi_walk_chunk_unref(chunk);
    }
    for (wi_walk_reader *reader = walk->idle, *next; reader; reader = next) {
        next = reader->next;
        wi_walk_reader_free(reader);
    }
    wi_ignore_free(walk->ignore);
    wi_rules_free(walk->globs);
    pthread_cond_destroy(&walk->changed);
    pthread_mutex_destroy(&walk->lock);
    free(walk->cwd);
    free(walk);
}

/* ---- handing out; all with the lock ---- */

static void wake(wi_walk *walk, size_t n)
{
    size_t waiting = (size_t)atomic_load(&walk->waiting);
    if (n >= waiting && waiting)
        pthread_cond_broadcast(&walk->changed);
    else
        while (n-- > 0)
            pthread_cond_signal(&walk->changed);
}

static void add_ready(wi_walk *walk, wi_walk_chunk *chunk)
{
    chunk->work.next = NULL;
    if (walk->ready)
        walk->ready_last->work.next = &chunk->work;
    else
        walk->ready = chunk;
    walk->ready_last = chunk;
}

static bool take_ready(wi_walk *walk, size_t max, wi_walk_batch *batch)
{
    wi_walk_chunk *chunk = walk->ready;
    if (!chunk)
        return false;
    size_t n = chunk->n - chunk->taken;
    bool all = max == 0 || n <= max;
    n = all ? n : max;
    *batch = (wi_walk_batch){
        .items = chunk->items + chunk->taken,
        .n = n,
        .folder = chunk->path,
        .folder_len = chunk->path_len,
        .first = walk->given,
        .number = walk->batches++,
        .chunk = chunk,
    };
    chunk->taken += n;
    walk->given += n;
    if (all) /* its own reference goes with the last of it */
        walk->ready = (wi_walk_chunk *)chunk->work.next;
    else
        atomic_fetch_add_explicit(&chunk->refs, 1, memory_order_relaxed);
    return true;
}

static wi_walk_folder *pop_folder(wi_walk *walk)
{
    wi_walk_work *work = walk->stack;
    if (!work)
        return NULL;
    walk->stack = work->next;
    return (wi_walk_folder *)work;
}

static bool pop_chunk(wi_walk *walk)
{
    wi_walk_work *work = walk->stack;
    if (!work || !work->is_chunk)
        return false;
    walk->stack = work->next;
    add_ready(walk, (wi_walk_chunk *)work);
    return true;
}

static bool may_read(const wi_walk *walk)
{
    if (walk->reading == 0)
        return true;
    return !walk->options.sorted &&
           walk->reading + (size_t)atomic_load(&walk->held) < walk->max_fds;
}

static bool may_ask_root(const wi_walk *walk)
{
    return !walk->stack && !walk->roots_over && !walk->asking_root &&
           walk->roots_asked - walk->roots_seen < MOST_EARLY;
}

/* Before a thread leaves: one that waits goes on in its place. */
static void pass_on(wi_walk *walk)
{
    if (atomic_load(&walk->waiting) == 0)
        return;
    if (walk->ready || ((walk->stack || may_ask_root(walk)) && may_read(walk)))
        pthread_cond_signal(&walk->changed);
}

static void push_first(wi_walk *walk, wi_walk_work *first, wi_walk_work *last)
{
    if (!first)
        return;
    last->next = walk->stack;
    walk->stack = first;
}

static void fail(wi_walk *walk, weir_status status, const weir_error *error)
{
    if (walk->failure.status == WEIR_OK) {
        walk->failure = *error;
        walk->failure.status = status;
    }
    atomic_store(&walk->stopped, true);
    pthread_cond_broadcast(&walk->changed);
}

/* A root that is a glob and found nothing is as wrong as a file that isn't there. */
static weir_status say_nothing_matches(wi_walk *walk, wi_walk_reader *reader,
                                       const wi_walk_root *root, weir_error *err)
{
    weir_error fault;
    wi_walk_found what = {.kind = WI_WALK_ERROR, .type = DT_UNKNOWN};
    wi_fail(&fault, WEIR_NOTFOUND, "nothing matches %s, or all that does is hidden or ignored",
            root->given);
    wi_walk_reader_reset(reader);
    wi_walk_reader_add(reader, &what, root->given, strlen(root->given), &fault);
    wi_walk_chunk *chunk =
        reader->no_memory ? NULL : wi_walk_chunk_new(reader, NULL, 0, reader->n_found, "", 0);
    if (!chunk)
        return wi_fail_nomem(err);
    add_ready(walk, chunk);
    return WEIR_OK;
}

/* ---- reading ---- */

static wi_walk_reader *take_reader(wi_walk *walk)
{
    wi_walk_reader *reader = walk->idle;
    if (!reader)
        return wi_walk_reader_new();
    walk->idle = reader->next;
    return reader;
}

static void put_reader(wi_walk *walk, wi_walk_reader *reader)
{
    wi_walk_reader_reset(reader);
    reader->next = walk->idle;
    walk->idle = reader;
}

static void publish_found(wi_walk *walk, wi_walk_chunk *chunk, wi_walk_work *first,
                          wi_walk_work *last, size_t n_work)
{
    size_t n = n_work;
    if (chunk) {
        n += 1 + chunk->n / 64;
        add_ready(walk, chunk);
    }
    push_first(walk, first, last);
    wake(walk, n);
}

/* Takes over what a reader found. */
static void publish(wi_walk *walk, wi_walk_reader *reader)
{
    publish_found(walk, reader->chunk, reader->first, reader->last, reader->n_work);
    reader->chunk = NULL;
    reader->first = reader->last = NULL;
}

/*
 * Puts back a folder that is to be read on. Below its subfolders, so that no more of these wait
 * than one piece has; but if too many descriptors are kept already, above them, to be done with it.
 */
static void push_rest(wi_walk *walk, wi_walk_reader *reader, wi_walk_folder *folder)
{
    if (folder->fd >= 0) {
        push_first(walk, &folder->work, &folder->work);
        publish(walk, reader);
    } else {
        publish(walk, reader);
        push_first(walk, &folder->work, &folder->work);
    }
    wake(walk, 1);
}

/* No descriptor was left: fewer threads may read at a time. */
static void read_later(wi_walk *walk, wi_walk_folder *folder)
{
    size_t used = walk->reading + (size_t)atomic_load(&walk->held);
    if (used < walk->max_fds)
        walk->max_fds = used;
    push_first(walk, &folder->work, &folder->work);
}

/* With the lock, which is given up meanwhile. */
static void read_folder(wi_walk *walk, wi_walk_folder *folder, wi_walk_reader *reader)
{
    weir_error err = {0};
    bool may_wait = ++walk->reading > 1;
    pthread_mutex_unlock(&walk->lock);
    weir_status status = wi_walk_read(walk, reader, folder, may_wait, &err);
    pthread_mutex_lock(&walk->lock);
    walk->reading--;
    wi_walk_root *root = folder->root;
    if (status == WEIR_AGAIN) {
        read_later(walk, folder);
        return;
    }
    root->pending += reader->n_folders;
    if (status == WEIR_OK && reader->more) {
        push_rest(walk, reader, folder);
        return;
    }
    if (status == WEIR_OK)
        publish(walk, reader);
    if (--root->pending == 0 && root->glob && !atomic_load(&root->matched) && status == WEIR_OK)
        status = say_nothing_matches(walk, reader, root, &err);
    if (status != WEIR_OK)
        fail(walk, status, &err);
    pthread_mutex_unlock(&walk->lock);
    wi_walk_folder_drop(folder);
    pthread_mutex_lock(&walk->lock);
}

/* The next root's path; WEIR_END if there is none; WEIR_NOTFOUND if it is missing where it should
 * be. Without the lock, but by one thread at a time. */
static weir_status next_root(wi_walk *walk, wi_buf *path, bool *is_default, weir_error *err)
{
    const wi_walk_options *options = &walk->options;
    size_t i = walk->next_root++;
    *is_default = !options->next_root && options->n_roots == 0;
    wi_buf_clear(path);
    if (options->next_root) {
        weir_status status = options->next_root(options->arg, path, err);
        if (status != WEIR_OK && status != WEIR_NOTFOUND)
            return status;
        return wi_buf_cstr(path) ? status : wi_fail_nomem(err);
    } else if (*is_default && i == 0) {
        wi_buf_putc(path, '.');
    } else if (i < options->n_roots) {
        wi_buf_puts(path, options->roots[i]);
    } else {
        return WEIR_END;
    }
    return wi_buf_cstr(path) ? WEIR_OK : wi_fail_nomem(err);
}

static weir_status keep_early(wi_walk *walk, wi_walk_reader *reader, uint64_t root, weir_error *err)
{
    wi_walk_early **at = &walk->early, *early = malloc(sizeof *early);
    if (!early)
        return wi_fail_nomem(err);
    while (*at && (*at)->root < root)
        at = &(*at)->next;
    *early = (wi_walk_early){
        .next = *at,
        .root = root,
        .chunk = reader->chunk,
        .first = reader->first,
        .last = reader->last,
        .n_work = reader->n_work,
    };
    *at = early;
    reader->chunk = NULL;
    reader->first = reader->last = NULL;
    return WEIR_OK;
}

/* Takes over what was found at a root, when its turn has come: files that are named one after the
 * other are given so. */
static weir_status publish_root(wi_walk *walk, wi_walk_reader *reader, uint64_t root,
                                weir_error *err)
{
    if (root != walk->roots_seen)
        return keep_early(walk, reader, root, err);
    publish(walk, reader);
    walk->roots_seen++;
    for (wi_walk_early *early; (early = walk->early) && early->root == walk->roots_seen;) {
        walk->early = early->next;
        publish_found(walk, early->chunk, early->first, early->last, early->n_work);
        walk->roots_seen++;
        free(early);
    }
    return WEIR_OK;
}

/* With the lock, which is given up meanwhile: asks for a root and looks at it. */
static void read_root(wi_walk *walk, wi_walk_reader *reader)
{
    weir_error err = {0};
    bool is_default;
    wi_buf path = WI_BUF_INIT;
    walk->asking_root = true;
    walk->reading++;
    pthread_mutex_unlock(&walk->lock);
    weir_status status = next_root(walk, &path, &is_default, &err);
    pthread_mutex_lock(&walk->lock);
    walk->asking_root = false;
    uint64_t root = walk->roots_asked;
    if (status == WEIR_OK || status == WEIR_NOTFOUND) {
        weir_error missing = err;
        walk->roots_asked++;
        wake(walk, !walk->options.sorted);
        pthread_mutex_unlock(&walk->lock);
        status = status == WEIR_OK ? wi_walk_look_at_root(walk, reader, path.data, is_default, &err)
                                   : wi_walk_miss_root(walk, reader, path.data, &missing, &err);
        pthread_mutex_lock(&walk->lock);
    }
    walk->reading--;
    if (status == WEIR_OK) {
        if (reader->first)
            ((wi_walk_folder *)reader->first)->root->pending = 1;
        status = publish_root(walk, reader, root, &err);
    }
    if (status == WEIR_END)
        walk->roots_over = true;
    else if (status != WEIR_OK)
        fail(walk, status, &err);
    wi_buf_fini(&path);
}

/* Does a piece of work, if there is one for this thread. */
static bool work(wi_walk *walk)
{
    if (!may_read(walk) || (!walk->stack && !may_ask_root(walk)))
        return false;
    if (pop_chunk(walk))
        return true;
    wi_walk_reader *reader = take_reader(walk);
    if (!reader) {
        weir_error err;
        fail(walk, wi_fail_nomem(&err), &err);
        return true;
    }
    wi_walk_folder *folder = pop_folder(walk);
    if (folder)
        read_folder(walk, folder, reader);
    else
        read_root(walk, reader);
    put_reader(walk, reader);
    if (walk->reading == 0 && !walk->stack)
        pthread_cond_broadcast(&walk->changed); /* it may be over */
    return true;
}

static weir_status why_stopped(wi_walk *walk, weir_error *err)
{
    if (walk->failure.status == WEIR_OK)
        return wi_fail(err, WEIR_CANCELLED, "the walk was stopped");
    if (err)
        *err = walk->failure;
    return walk->failure.status;
}

weir_status wi_walk_next(wi_walk *walk, size_t max, wi_walk_batch *batch, weir_error *err)
{
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&walk->lock);
    for (;;) {
        if (atomic_load(&walk->stopped)) {
            status = why_stopped(walk, err);
            break;
        }
        if (take_ready(walk, max, batch)) {
            pass_on(walk);
            break;
        }
        if (work(walk))
            continue;
        if (walk->reading == 0 && !walk->stack && walk->roots_over) {
            status = WEIR_END;
            break;
        }
        atomic_fetch_add(&walk->waiting, 1);
        pthread_cond_wait(&walk->changed, &walk->lock);
        atomic_fetch_sub(&walk->waiting, 1);
    }
    pthread_mutex_unlock(&walk->lock);
    return status;
}

int wi_walk_waiting(const wi_walk *walk)
{
    return (int)atomic_load(&walk->waiting);
}

void wi_walk_release(wi_walk_batch *batch)
{
    wi_walk_chunk *chunk = batch->chunk;
    batch->chunk = NULL;
    if (chunk)
        wi_walk_chunk_unref(chunk);
}

void wi_walk_stop(wi_walk *walk)
{
    pthread_mutex_lock(&walk->lock);
    atomic_store(&walk->stopped, true);
    pthread_cond_broadcast(&walk->changed);
    pthread_mutex_unlock(&walk->lock);
}

/* ---- items ---- */

void wi_walk_append_path(const wi_walk_batch *batch, const wi_walk_item *item, wi_buf *path)
{
    wi_buf_append(path, batch->folder, batch->folder_len);
    wi_buf_append(path, item->name, item->name_len);
}

int wi_walk_open(const wi_walk_batch *batch, const wi_walk_item *item, int flags)
{
    const wi_walk_folder *folder = batch->chunk->folder;
    if (folder && folder->fd >= 0)
        return openat(folder->fd, item->name, flags | O_CLOEXEC);
    wi_buf path = WI_BUF_INIT;
    wi_walk_append_path(batch, item, &path);
    const char *text = wi_buf_cstr(&path);
    int fd = text ? wi_walk_open_path(text, flags) : (errno = ENOMEM, -1);
    wi_buf_fini(&path);
    return fd;
}

int wi_walk_stat(const wi_walk_batch *batch, const wi_walk_item *item, int flags, struct stat *st)
{
    const wi_walk_folder *folder = batch->chunk->folder;
    if (folder && folder->fd >= 0)
        return fstatat(folder->fd, item->name, st, flags);
    wi_buf path = WI_BUF_INIT;
    wi_walk_append_path(batch, item, &path);
    const char *text = wi_buf_cstr(&path);
    int result = text ? wi_walk_stat_path(text, flags, st) : (errno = ENOMEM, -1);
    wi_buf_fini(&path);
    return result;
}
