/*
 * wait_fd.c: weir_wait_readable and weir_wait_writable. A loop has one watch for each descriptor
 * that was ever waited for on it, so that any number of tasks may wait for the same one, and a wait
 * costs one system call besides the loop's own.
 *
 * Its invariant: a watch is asked for what its waiters want together; one without waiters may still
 * get an event, which is then nobody's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "list.h"
#include "op.h"
#include "weir/wait.h"

typedef struct watched {
    wi_watch watch;
    wi_list waiters;
} watched;

typedef struct watched_fds {
    watched **by_fd;
    size_t len;
} watched_fds;

typedef struct fd_wait {
    wi_op op;
    wi_list node; /* in waiters */
    int fd;
    uint32_t events;
    int failed; /* errno */
} fd_wait;

static const char fds_key;

static void fds_free(void *value)
{
    watched_fds *fds = value;
    for (size_t i = 0; i < fds->len; i++) {
        if (!fds->by_fd[i])
            continue;
        wi_watch_fini(&fds->by_fd[i]->watch);
        free(fds->by_fd[i]);
    }
    free(fds->by_fd);
    free(fds);
}

static watched_fds *fds_of(wi_loop *loop)
{
    watched_fds *fds = wi_loop_get(loop, &fds_key);
    if (fds)
        return fds;
    fds = calloc(1, sizeof *fds);
    if (fds && !wi_loop_attach(loop, &fds_key, fds, fds_free)) {
        free(fds);
        return NULL;
    }
    return fds;
}

/* A number that stands for no descriptor must not make the table grow. */
static int fds_grow(watched_fds *fds, int fd)
{
    if (fcntl(fd, F_GETFD) < 0)
        return errno;
    size_t len = ((size_t)fd + 32) * 3 / 2;
    watched **by_fd = realloc(fds->by_fd, len * sizeof(watched *));
    if (!by_fd)
        return ENOMEM;
    memset(by_fd + fds->len, 0, (len - fds->len) * sizeof(watched *));
    fds->by_fd = by_fd;
    fds->len = len;
    return 0;
}

static void wake_waiters(watched *w, uint32_t events, int failed)
{
    wi_list *next;
    for (wi_list *node = w->waiters.next; node != &w->waiters; node = next) {
        next = node->next;
        fd_wait *wait = wi_container_of(node, fd_wait, node);
        if (!(events & wait->events) && !failed)
            continue;
        wait->failed = failed;
        wi_list_remove(node);
        wi_op_end(&wait->op);
    }
}

/* Whatever stands in the way is for all waiters; what is always ready is for none to wait for. */
static void ask(watched *w)
{
    uint32_t events = 0;
    for (wi_list *node = w->waiters.next; node != &w->waiters; node = node->next)
        events |= wi_container_of(node, fd_wait, node)->events;
    int failed = events ? wi_watch_once(&w->watch, events & (EPOLLIN | EPOLLOUT)) : 0;
    if (failed == EPERM)
        wake_waiters(w, EPOLLIN | EPOLLOUT, 0);
    else if (failed)
        wake_waiters(w, 0, failed);
}

static void on_ready(wi_watch *watch, uint32_t events)
{
    watched *w = wi_container_of(watch, watched, watch);
    wake_waiters(w, events, 0);
    ask(w);
}

static int watched_get(wi_loop *loop, int fd, watched **out)
{
    watched_fds *fds = fds_of(loop);
    if (!fds)
        return ENOMEM;
    int failed = (size_t)fd < fds->len ? 0 : fds_grow(fds, fd);
    if (failed)
        return failed;
    watched *w = fds->by_fd[fd];
    if (!w) {
        w = calloc(1, sizeof *w);
        if (!w)
            return ENOMEM;
        wi_watch_init(&w->watch, loop, fd, on_ready);
        wi_list_init(&w->waiters);
        fds->by_fd[fd] = w;
    }
    *out = w;
    return 0;
}

static void begin(wi_op *op)
{
    fd_wait *wait = wi_container_of(op, fd_wait, op);
    watched *w = NULL;
    wait->failed = watched_get(op->loop, wait->fd, &w);
    if (wait->failed) {
        wi_op_end(op);
        return;
    }
    wi_list_append(&w->waiters, &wait->node);
    ask(w);
}

static void cancel(wi_op *op)
{
    fd_wait *wait = wi_container_of(op, fd_wait, op);
    wi_list_remove(&wait->node);
    wi_op_end(op);
}

/*
 * On a fiber, who waits has usually met EAGAIN before, so the loop is asked at once. On a thread
 * the way to the service loop and back is long, so the system is asked first.
 */
static weir_status wait_for(int fd, uint32_t events, const char *what, weir_error *err)
{
    if (fd < 0)
        return wi_fail(err, WEIR_INVALID, "cannot wait to %s descriptor %d: it is not open", what,
                       fd);
    if (!wi_fiber_current()) {
        weir_status status = wi_task_check(err);
        if (status != WEIR_OK)
            return status;
        struct pollfd now = {.fd = fd, .events = events & EPOLLIN ? POLLIN : POLLOUT};
        if (poll(&now, 1, 0) > 0 && !(now.revents & POLLNVAL))
            return WEIR_OK;
    }
    /* Errors and hang-ups are for everybody: the read or write that follows says more. */
    fd_wait wait = {.fd = fd, .events = events | EPOLLERR | EPOLLHUP};
    weir_status status = wi_op_run(&wait.op, begin, cancel, err);
    if (status != WEIR_OK || !wait.failed)
        return status;
    if (wait.failed == EBADF)
        return wi_fail(err, WEIR_INVALID, "cannot wait to %s descriptor %d: it is not open", what,
                       fd);
    return wi_fail_errno(err, wait.failed, "cannot wait to %s descriptor %d", what, fd);
}

weir_status weir_wait_readable(int fd, weir_error *err)
{
    return wait_for(fd, EPOLLIN, "read from", err);
}

weir_status weir_wait_writable(int fd, weir_error *err)
{
    return wait_for(fd, EPOLLOUT, "write to", err);
}
