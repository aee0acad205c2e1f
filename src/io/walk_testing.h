/* walk_testing.h: walks by several threads, and what they gave, for tests. */
#ifndef WI_WALK_TESTING_H
#define WI_WALK_TESTING_H

#include <pthread.h>

#include "tree_testing.h"
#include "walk.h"

/* What a walk gave: paths in their order, or sorted, each with a newline; errors and notes apart.
 */
typedef struct result {
    pthread_mutex_t lock;
    wi_buf paths;
    wi_buf trouble; /* "path: text" of errors, "path! text" of notes */
    size_t files, errors, notes;
    uint64_t numbers; /* sum of the items' numbers */
    bool numbered;    /* paths are to have them before them */
    size_t batch;
    wi_walk *walk;
    weir_status status;
} result;

static inline void take(result *r, const wi_walk_batch *batch)
{
    pthread_mutex_lock(&r->lock);
    EXPECT(batch->n > 0 && (!r->batch || batch->n <= r->batch));
    EXPECT(batch->folder[batch->folder_len] == '\0');
    for (size_t i = 0; i < batch->n; i++) {
        const wi_walk_item *item = &batch->items[i];
        bool file = item->kind == WI_WALK_FILE;
        wi_buf *to = file ? &r->paths : &r->trouble;
        EXPECT(file == !item->error && strlen(item->name) == item->name_len);
        if (file && r->numbered)
            wi_buf_printf(to, "%03d ", (int)(batch->first + i));
        wi_walk_append_path(batch, item, to);
        if (!file)
            wi_buf_printf(to, "%s %s", item->kind == WI_WALK_NOTE ? "!" : ":", item->error->text);
        wi_buf_putc(to, '\n');
        r->files += file;
        r->errors += item->kind == WI_WALK_ERROR;
        r->notes += item->kind == WI_WALK_NOTE;
        r->numbers += batch->first + i;
    }
    pthread_mutex_unlock(&r->lock);
}

static inline void *run(void *arg)
{
    result *r = arg;
    wi_walk_batch batch;
    weir_status status;
    while ((status = wi_walk_next(r->walk, r->batch, &batch, NULL)) == WEIR_OK) {
        take(r, &batch);
        wi_walk_release(&batch);
    }
    pthread_mutex_lock(&r->lock);
    r->status = status;
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static inline int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void sort_lines(wi_buf *buf)
{
    char *text = buf->len ? strdup(wi_buf_cstr(buf)) : NULL, *rest = text, *line;
    char **lines = calloc(buf->len + 1, sizeof *lines);
    size_t n = 0;
    while (text && (line = strsep(&rest, "\n")) && rest)
        lines[n++] = line;
    qsort(lines, n, sizeof *lines, compare_lines);
    wi_buf_clear(buf);
    for (size_t i = 0; i < n; i++) {
        wi_buf_puts(buf, lines[i]);
        wi_buf_putc(buf, '\n');
    }
    free(lines);
    free(text);
}

/* The same into a result that says what is wanted. */
static inline void walk_into(result *r, const wi_walk_options *options, int threads)
{
    enum { MOST = 16 };
    pthread_t others[MOST];
    pthread_mutex_init(&r->lock, NULL);
    if (!EXPECT(wi_walk_new(options, &r->walk, NULL) == WEIR_OK))
        return;
    for (int i = 0; i < threads - 1; i++)
        EXPECT(pthread_create(&others[i], NULL, run, r) == 0);
    run(r);
    for (int i = 0; i < threads - 1; i++)
        pthread_join(others[i], NULL);
    wi_walk_free(r->walk);
    EXPECT_INT(r->status, WEIR_END);
    size_t n = r->files + r->errors + r->notes;
    EXPECT_INT(r->numbers, n ? n * (n - 1) / 2 : 0); /* each number once */
    if (!options->sorted)
        sort_lines(&r->paths);
}

static inline void walk_with(result *r, const wi_walk_options *options, int threads, size_t batch)
{
    *r = (result){.batch = batch, .numbered = options->sorted && threads > 1};
    walk_into(r, options, threads);
}

static inline void forget(result *r)
{
    wi_buf_fini(&r->paths);
    wi_buf_fini(&r->trouble);
    pthread_mutex_destroy(&r->lock);
}

static int old_cwd;

static inline bool begin(void)
{
    old_cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return folder_begin() && EXPECT(chdir(test_folder) == 0);
}

static inline void end(void)
{
    EXPECT(fchdir(old_cwd) == 0);
    close(old_cwd);
    folder_end();
}

#endif
