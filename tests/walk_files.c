/*
 * walk_files.c: lists the files of a walk, as `rg --files` does, for tests that compare the two or
 * ask git, and to measure.
 *
 *     walk_files [options of ripgrep's] [-j THREADS] [--batch N] [--open] [--null] [PATH...]
 */
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "walk.h"

typedef struct listing {
    wi_walk *walk;
    size_t batch;
    bool open;
    char end;
    pthread_mutex_t lock; /* of standard output, error and failed */
    bool failed;
} listing;

static void flush(listing *l, wi_buf *out)
{
    pthread_mutex_lock(&l->lock);
    for (size_t at = 0; at < out->len;) {
        ssize_t n = write(STDOUT_FILENO, out->data + at, out->len - at);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    pthread_mutex_unlock(&l->lock);
    wi_buf_clear(out);
}

static void say(listing *l, const weir_error *error)
{
    pthread_mutex_lock(&l->lock);
    fprintf(stderr, "%s\n", error->text);
    l->failed = true;
    pthread_mutex_unlock(&l->lock);
}

static void take(listing *l, const wi_walk_batch *batch, wi_buf *out)
{
    for (size_t i = 0; i < batch->n; i++) {
        const wi_walk_item *item = &batch->items[i];
        if (item->error) {
            say(l, item->error);
            continue;
        }
        if (l->open) {
            int fd = wi_walk_open(batch, item, O_RDONLY);
            if (fd >= 0)
                close(fd);
        }
        wi_walk_append_path(batch, item, out);
        wi_buf_putc(out, l->end);
    }
}

static void *run(void *arg)
{
    listing *l = arg;
    wi_buf out = WI_BUF_INIT;
    wi_walk_batch batch;
    weir_error err;
    weir_status status;
    while ((status = wi_walk_next(l->walk, l->batch, &batch, &err)) == WEIR_OK) {
        take(l, &batch, &out);
        wi_walk_release(&batch);
        if (out.len > 32 << 10)
            flush(l, &out);
    }
    flush(l, &out);
    wi_buf_fini(&out);
    if (status != WEIR_END)
        say(l, &err);
    return NULL;
}

enum { MOST = 64, MOST_THREADS = 256 };

typedef struct arguments {
    wi_walk_options walk;
    const char *globs[MOST], *iglobs[MOST], *files[MOST];
    int threads, sorted, hidden, follow, one, nocase, no_dot, no_exclude, no_global, no_parent;
    int no_vcs, no_require_git, no_ignore, files_nocase, open, null;
    size_t batch;
} arguments;

static void one_option(arguments *a, int c)
{
    if (c == 'g' && a->walk.n_globs < MOST)
        a->globs[a->walk.n_globs++] = optarg;
    else if (c == 'i' && a->walk.n_iglobs < MOST)
        a->iglobs[a->walk.n_iglobs++] = optarg;
    else if (c == 'f' && a->walk.ignore.n_files < MOST)
        a->files[a->walk.ignore.n_files++] = optarg;
    else if (c == 'd')
        a->walk.max_depth = (uint32_t)atoi(optarg);
    else if (c == 'j')
        a->threads = atoi(optarg) < MOST_THREADS ? atoi(optarg) : MOST_THREADS;
    else if (c == 'b')
        a->batch = (size_t)atoi(optarg);
    else if (c != 0)
        exit(2);
}

static void read_options(arguments *a, int argc, char **argv)
{
    const struct option options[] = {
        {"glob", 1, NULL, 'g'},
        {"iglob", 1, NULL, 'i'},
        {"ignore-file", 1, NULL, 'f'},
        {"max-depth", 1, NULL, 'd'},
        {"threads", 1, NULL, 'j'},
        {"batch", 1, NULL, 'b'},
        {"sort", 0, &a->sorted, 1},
        {"hidden", 0, &a->hidden, 1},
        {"follow", 0, &a->follow, 1},
        {"one-file-system", 0, &a->one, 1},
        {"glob-case-insensitive", 0, &a->nocase, 1},
        {"ignore-file-case-insensitive", 0, &a->files_nocase, 1},
        {"no-ignore", 0, &a->no_ignore, 1},
        {"no-ignore-dot", 0, &a->no_dot, 1},
        {"no-ignore-exclude", 0, &a->no_exclude, 1},
        {"no-ignore-global", 0, &a->no_global, 1},
        {"no-ignore-parent", 0, &a->no_parent, 1},
        {"no-ignore-vcs", 0, &a->no_vcs, 1},
        {"no-require-git", 0, &a->no_require_git, 1},
        {"open", 0, &a->open, 1},
        {"null", 0, &a->null, 1},
        {0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "g:j:", options, NULL)) != -1)
        one_option(a, c);
    a->walk.roots = (const char *const *)argv + optind;
    a->walk.n_roots = (size_t)(argc - optind);
    a->walk.globs = a->globs;
    a->walk.iglobs = a->iglobs;
    a->walk.sorted = a->sorted;
    a->walk.hidden = a->hidden;
    a->walk.follow = a->follow;
    a->walk.one_file_system = a->one;
    a->walk.glob_nocase = a->nocase;
    a->walk.ignore.files = a->files;
    a->walk.ignore.nocase = a->files_nocase;
    a->walk.ignore.no_dot = a->no_dot || a->no_ignore;
    a->walk.ignore.no_exclude = a->no_exclude || a->no_ignore;
    a->walk.ignore.no_global = a->no_global || a->no_ignore;
    a->walk.ignore.no_parent = a->no_parent || a->no_ignore;
    a->walk.ignore.no_vcs = a->no_vcs || a->no_ignore;
    a->walk.ignore.no_require_git = a->no_require_git;
}

int main(int argc, char **argv)
{
    arguments a = {.threads = 1};
    weir_error err;
    read_options(&a, argc, argv);
    listing l = {.batch = a.batch, .open = a.open, .end = a.null ? '\0' : '\n'};
    if (wi_walk_new(&a.walk, &l.walk, &err) != WEIR_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    pthread_mutex_init(&l.lock, NULL);
    pthread_t threads[MOST_THREADS];
    int n = 0;
    while (n < a.threads - 1 && pthread_create(&threads[n], NULL, run, &l) == 0)
        n++;
    run(&l);
    while (n > 0)
        pthread_join(threads[--n], NULL);
    wi_walk_free(l.walk);
    return l.failed;
}
