/*
 * child.c: see child.h. Its invariant: while the process is not reaped its pid, and the group named
 * by it, cannot be anybody else's; so signals are sent only before, and reaping is the last step.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { PIECE = 64 << 10, PIECES_PER_TURN = 16 };

/* ---- pipes ---- */

static void pipe_close(wi_child_pipe *p)
{
    if (p->fd < 0)
        return;
    if (p->child->loop)
        wi_watch_fini(&p->watch);
    close(p->fd);
    p->fd = -1;
}

/* The parent's end, which alone does not block; the child's is `other`. */
static int pipe_open(wi_child_pipe *p, bool reads, int *other)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return errno;
    p->fd = fds[reads ? 0 : 1];
    *other = fds[reads ? 1 : 0];
    return fcntl(p->fd, F_SETFL, O_NONBLOCK) == 0 ? 0 : errno;
}

/* ---- the end ---- */

static void close_pipes(wi_child *child)
{
    pipe_close(&child->in);
    pipe_close(&child->out);
    pipe_close(&child->errors);
}

static void send_signal(wi_child *child, int signal)
{
    if (!child->lost)
        wi_spawn_kill(&child->process, signal, true);
}

static void kill_group(wi_child *child)
{
    child->killed = true;
    wi_timer_clear(&child->timer);
    send_signal(child, SIGKILL);
}

static void start_grace(wi_child *child)
{
    if (child->grace <= 0)
        kill_group(child);
    else if (!wi_timer_is_set(&child->timer))
        wi_timer_set(&child->timer, wi_loop_clock(child->loop) + child->grace);
}

static void reap(wi_child *child)
{
    wi_guard_leave(child->guard, child->place);
    wi_spawn_reap(&child->process, true, &child->how);
}

static void finish(wi_child *child)
{
    if (child->ending && !child->killed)
        kill_group(child); /* what is left of it */
    close_pipes(child);
    wi_watch_fini(&child->watch);
    wi_timer_fini(&child->timer);
    reap(child);
    child->done(child);
}

/* Over, or what else has to happen for that? */
static void go_on(wi_child *child)
{
    if (!child->ended || child->owed)
        return;
    pipe_close(&child->in);
    bool open = child->out.fd >= 0 || child->errors.fd >= 0;
    if (open && !child->killed)
        start_grace(child);
    if (!open || child->killed)
        finish(child);
}

static void listen(wi_child *child, uint32_t events)
{
    if (child->out.fd >= 0)
        wi_watch_want(&child->out.watch, events);
    if (child->errors.fd >= 0)
        wi_watch_want(&child->errors.watch, events);
}

static void end_with(wi_child *child, weir_status status)
{
    if (child->ending)
        return;
    child->ending = true;
    child->owed = 0; /* from now on what comes is dropped */
    listen(child, EPOLLIN);
    child->status = status;
    pipe_close(&child->in);
    if (child->grace > 0)
        send_signal(child, SIGTERM);
    start_grace(child);
}

/* ---- what the loop says ---- */

/* True while the pipe is open and may have more. What comes from a command that is being ended is
 * read, so that it does not stand still, and dropped. */
static bool read_piece(wi_child_pipe *p)
{
    char bytes[PIECE];
    wi_child *child = p->child;
    ssize_t n;
    do {
        n = read(p->fd, bytes, sizeof bytes);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return false;
    if (n <= 0) {
        pipe_close(p);
        return false;
    }
    if (child->ending)
        return true;
    bool too_large = (size_t)n > p->bytes.max - 1 - p->bytes.len; /* one is for the 0 behind it */
    if (!too_large)
        wi_buf_append(&p->bytes, bytes, (size_t)n);
    if (too_large)
        child->too_large = p == &child->out ? "standard output" : "standard error";
    if (too_large || p->bytes.failed) {
        end_with(child, too_large ? WEIR_TOOLARGE : WEIR_NOMEM);
    } else if (child->may_grow && !child->may_grow(child, (size_t)n)) {
        child->owed = (size_t)n;
        listen(child, 0);
    }
    return true;
}

static void read_pieces(wi_child_pipe *p)
{
    for (int i = 0; i < PIECES_PER_TURN && p->fd >= 0 && !p->child->owed && read_piece(p); i++)
        continue;
}

/* epoll would not take it: who can't be listened to has to end. */
static bool refused(wi_child *child, const wi_watch *watch)
{
    if (watch->armed)
        return false;
    end_with(child, WEIR_IO);
    return true;
}

static void on_output(wi_watch *watch, uint32_t events)
{
    (void)events;
    wi_child_pipe *p = wi_container_of(watch, wi_child_pipe, watch);
    if (refused(p->child, watch))
        pipe_close(p);
    else
        read_pieces(p);
    go_on(p->child);
}

/* A command that does not read all of its input is nothing unusual. */
static void on_input(wi_watch *watch, uint32_t events)
{
    (void)events;
    wi_child_pipe *p = wi_container_of(watch, wi_child_pipe, watch);
    wi_child *child = p->child;
    if (refused(child, watch)) /* which closes it */
        return;
    ssize_t n = 0;
    while (child->input_len > 0) {
        n = write(p->fd, child->input, child->input_len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        child->input += n;
        child->input_len -= (size_t)n;
    }
    if (child->input_len == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK))
        pipe_close(p);
}

/* What an ended command wrote stands in the pipes. */
static void read_rest(wi_child *child)
{
    if (child->out.fd >= 0)
        read_pieces(&child->out);
    if (child->errors.fd >= 0)
        read_pieces(&child->errors);
    go_on(child);
}

/*
 * It has ended. A program that ignores SIGCHLD, or waits for all
 * children, has taken its end away, and with it the safety of its number.
 */
static void on_end(wi_watch *watch, uint32_t events)
{
    (void)events;
    wi_child *child = wi_container_of(watch, wi_child, watch);
    if (refused(child, watch) && !child->killed)
        kill_group(child);
    child->lost = wi_spawn_is_lost(&child->process);
    child->ended = true;
    wi_watch_want(watch, 0);
    read_rest(child);
}

static void on_grace_over(wi_timer *timer)
{
    wi_child *child = wi_container_of(timer, wi_child, timer);
    if (child->owed) { /* it is we who keep the output waiting */
        start_grace(child);
        return;
    }
    kill_group(child);
    go_on(child);
}

/* ---- the beginning ---- */

static int open_pipes(wi_child *child, int theirs[3])
{
    int failed = 0;
    if (child->input_len)
        failed = pipe_open(&child->in, false, &theirs[0]);
    if (!failed)
        failed = pipe_open(&child->out, true, &theirs[1]);
    if (!failed)
        failed = pipe_open(&child->errors, true, &theirs[2]);
    return failed;
}

static weir_status spawn(wi_child *child, const wi_child_options *options, weir_error *err)
{
    int theirs[3] = {WI_SPAWN_NULL, WI_SPAWN_NULL, WI_SPAWN_NULL};
    int failed = open_pipes(child, theirs);
    weir_status status = WEIR_OK;
    if (failed)
        status = wi_fail_errno(err, failed, "cannot make the pipes of %s", options->spawn.argv[0]);
    wi_spawn_options spawn = options->spawn;
    spawn.fds = theirs;
    spawn.n_fds = 3;
    spawn.own_group = true;
    if (status == WEIR_OK) {
        child->place = wi_guard_enter(child->guard, child->out.fd);
        status = wi_spawn(&spawn, &child->process, err);
        if (status == WEIR_OK)
            wi_guard_set(child->guard, child->place, child->process.pid);
        else
            wi_guard_leave(child->guard, child->place);
    }
    for (int i = 0; i < 3; i++)
        if (theirs[i] >= 0)
            close(theirs[i]);
    return status;
}

weir_status wi_child_start(wi_child *child, const wi_child_options *options, weir_error *err)
{
    *child = (wi_child){
        .input = options->input,
        .input_len = options->input_len,
        .grace = options->grace,
        .may_grow = options->may_grow,
        .guard = options->guard,
        .in = {.child = child, .fd = -1},
        .out = {.child = child, .fd = -1},
        .errors = {.child = child, .fd = -1},
    };
    wi_buf_init(&child->out.bytes, options->max_output + 1);
    wi_buf_init(&child->errors.bytes, options->max_output + 1);
    weir_status status = spawn(child, options, err);
    if (status != WEIR_OK)
        close_pipes(child);
    return status;
}

void wi_child_abandon(wi_child *child)
{
    close_pipes(child);
    send_signal(child, SIGKILL);
    reap(child);
}

static void watch(wi_child *child, wi_watch *watch, int fd, uint32_t events,
                  void (*fn)(wi_watch *watch, uint32_t events))
{
    if (fd < 0)
        return;
    wi_watch_init(watch, child->loop, fd, fn);
    wi_watch_want(watch, events);
}

weir_status wi_child_attend(wi_child *child, wi_loop *loop, void (*done)(wi_child *child),
                            weir_error *err)
{
    if (!wi_timer_init(&child->timer, loop, on_grace_over)) {
        wi_child_abandon(child);
        return wi_fail_nomem(err);
    }
    child->loop = loop;
    child->done = done;
    watch(child, &child->watch, child->process.pidfd, EPOLLIN, on_end);
    watch(child, &child->in.watch, child->in.fd, EPOLLOUT, on_input);
    watch(child, &child->out.watch, child->out.fd, EPOLLIN, on_output);
    watch(child, &child->errors.watch, child->errors.fd, EPOLLIN, on_output);
    return WEIR_OK;
}

void wi_child_resume(wi_child *child)
{
    if (!child->owed || !child->may_grow(child, child->owed))
        return;
    child->owed = 0;
    listen(child, EPOLLIN);
    if (child->ended)
        read_rest(child);
}

void wi_child_cancel(wi_child *child)
{
    end_with(child, WEIR_CANCELLED);
    go_on(child);
}
