/*
 * process.c: see process.h. Its invariants: what is sent lies in the order, in the task or in the
 * options until it is written, so nothing is copied; and only the pidfd says that a process is
 * gone, after all that it had replied was read.
 */
#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- what goes out ---- */

static void push(wi_process *process, const void *bytes, size_t len)
{
    if (len)
        process->parts[process->n_parts++] = (struct iovec){(void *)bytes, len};
}

static void await_room(wi_process *process, bool needed)
{
    if (process->awaits_room == needed)
        return;
    process->awaits_room = needed;
    wi_watch_want(&process->orders_watch, needed ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void advance(wi_process *process, size_t n)
{
    while (process->first < process->n_parts && n >= process->parts[process->first].iov_len)
        n -= process->parts[process->first++].iov_len;
    if (process->first == process->n_parts) {
        process->first = process->n_parts = 0;
        return;
    }
    struct iovec *part = &process->parts[process->first];
    part->iov_base = (char *)part->iov_base + n;
    part->iov_len -= n;
}

/* An error is the end of the process: its pidfd will tell. */
static void flush(wi_process *process)
{
    while (process->n_parts && process->orders_fd >= 0) {
        struct msghdr message = {.msg_iov = process->parts + process->first,
                                 .msg_iovlen = (size_t)(process->n_parts - process->first)};
        ssize_t n = sendmsg(process->orders_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            advance(process, (size_t)n);
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            await_room(process, true);
            return;
        } else if (errno != EINTR) {
            process->first = process->n_parts = 0;
            process->has_refused = true;
        }
    }
    await_room(process, false);
}

static weir_status name_function(wi_module_cache *functions, void *address, const char *what,
                                 wi_function *out, weir_error *err)
{
    if (wi_function_name(functions, address, out))
        return WEIR_OK;
    return wi_fail(err, WEIR_INVALID,
                   "%s at %p is in no file that is loaded: a worker process could not find it",
                   what, address);
}

static weir_status measure(const weir_type *type, const void *value, const char *what,
                           uint64_t *len, weir_error *err)
{
    *len = 0;
    if (!value)
        return WEIR_OK;
    if (!type->measure && !type->size)
        return wi_fail(err, WEIR_INVALID,
                       "%s is copied into another process and has no size: set the size or the "
                       "measure of its type, or pass NULL",
                       what);
    *len = type->measure ? type->measure(value) : type->size;
    if (*len > WI_WORKER_VALUE_MAX)
        return wi_fail(err, WEIR_TOOLARGE, "%s has %llu bytes, and %llu can cross", what,
                       (unsigned long long)*len, (unsigned long long)WI_WORKER_VALUE_MAX);
    return WEIR_OK;
}

static weir_status order_initialization(wi_process *process, wi_module_cache *functions,
                                        const weir_executor_options *options, weir_error *err)
{
    wi_worker_order *order = &process->orders[0];
    *order = (wi_worker_order){.kind = WI_WORKER_INITIALIZE};
    weir_status status =
        name_function(functions, (void *)options->initializer, "the initializer", &order->fn, err);
    const void *arg = options->initializer ? options->initializer_arg : NULL;
    if (!status)
        status = measure(&options->initializer_type, arg, "the initializer's argument",
                         &order->arg_len, err);
    if (status)
        return status;
    order->has_arg = arg != NULL;
    process->owes_ready = true;
    push(process, order, sizeof *order);
    push(process, arg, order->arg_len);
    return WEIR_OK;
}

weir_status wi_process_run(wi_process *process, wi_module_cache *functions, const weir_task *task,
                           weir_error *err)
{
    wi_worker_order *order = &process->orders[1];
    *order = (wi_worker_order){.kind = WI_WORKER_RUN,
                               .timeout = task->timeout,
                               .has_arg = task->arg != NULL,
                               .result_size = task->result.size};
    weir_status status =
        name_function(functions, (void *)task->fn, "the task's function", &order->fn, err);
    if (!status)
        status = name_function(functions, (void *)task->result.measure, "result.measure",
                               &order->measure, err);
    if (!status)
        status = name_function(functions, (void *)task->result.release, "result.release",
                               &order->release, err);
    if (!status)
        status = measure(&task->argument, task->arg, "the task's argument", &order->arg_len, err);
    if (status)
        return status;
    order->id = ++process->last_id;
    order->name_len = task->name ? (uint32_t)strnlen(task->name, WI_WORKER_NAME_MAX) : 0;
    process->task = task;
    process->owes_reply = true;
    push(process, order, sizeof *order);
    push(process, task->name, order->name_len);
    push(process, task->arg, order->arg_len);
    flush(process);
    return WEIR_OK;
}

void wi_process_cancel(wi_process *process)
{
    /* Eight bytes fit, or else its thread is stuck and would not read them either. */
    while (send(process->control_fd, &process->last_id, sizeof process->last_id,
                MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
           errno == EINTR)
        continue;
}

static void close_orders(wi_process *process)
{
    if (process->orders_fd < 0)
        return;
    wi_watch_fini(&process->orders_watch);
    close(process->orders_fd);
    process->orders_fd = -1;
}

void wi_process_leave(wi_process *process)
{
    process->is_leaving = true;
    close_orders(process);
}

void wi_process_kill(wi_process *process)
{
    close_orders(process);
    if (!process->is_dead)
        wi_spawn_kill(&process->spawned, SIGKILL, false);
}

/* ---- what comes in ---- */

static void fail_missing(const wi_process *process, weir_error *error)
{
    void *address = (void *)process->task->fn;
    const char *what = "the task's function";
    if (process->reply.missing == WI_WORKER_MISSES_MEASURE) {
        address = (void *)process->task->result.measure;
        what = "result.measure";
    } else if (process->reply.missing == WI_WORKER_MISSES_RELEASE) {
        address = (void *)process->task->result.release;
        what = "result.release";
    }
    const char *symbol;
    const char *file = wi_function_file(address, &symbol);
    wi_fail(error, WEIR_INVALID,
            "%s%s%s is in %s, which the worker process has not loaded when it starts: link the "
            "program to it",
            what, symbol ? " " : "", symbol ? symbol : "", file ? file : "an unknown file");
}

static void deliver(wi_process *process)
{
    const wi_worker_reply *reply = &process->reply;
    process->has_head = false;
    if (reply->kind == WI_WORKER_RUN)
        process->owes_reply = false;
    else
        process->owes_ready = false;
    void *result = NULL;
    weir_error *error = &process->error;
    if (reply->status || reply->missing) {
        char text[sizeof error->text];
        memcpy(text, error->text, sizeof text);
        text[reply->len] = '\0';
        wi_fail(error, (weir_status)reply->status, "%s", text);
        error->sys_errno = reply->sys_errno;
    } else {
        error->status = WEIR_OK;
        result = process->value;
    }
    process->value = NULL;
    if (reply->missing && reply->kind == WI_WORKER_RUN)
        fail_missing(process, error);
    else if (reply->missing)
        wi_fail(error, WEIR_INVALID,
                "the initializer is in a file that the worker process has not loaded when it "
                "starts: link the program to it");
    if (reply->kind == WI_WORKER_RUN)
        process->events->replied(process, result, error);
    else
        process->events->ready(process, error);
}

/* The head of a reply is there: room for the rest. */
static weir_status begin_reply(wi_process *process, weir_error *err)
{
    const wi_worker_reply *reply = &process->reply;
    bool is_run = reply->kind == WI_WORKER_RUN;
    bool failed = reply->status || reply->missing;
    bool owed = is_run ? process->owes_reply && !process->owes_ready : process->owes_ready;
    bool sound = owed && (is_run || reply->kind == WI_WORKER_INITIALIZE) &&
                 reply->id == (is_run ? process->last_id : 0) &&
                 (unsigned)reply->status <= WEIR_BROKEN &&
                 reply->len <= (failed                       ? sizeof process->error.text - 1
                                : is_run && reply->has_value ? WI_WORKER_VALUE_MAX
                                                             : 0);
    if (!sound)
        return wi_fail(err, WEIR_BROKEN, "wrote into the pool's own socket");
    process->has_head = true;
    process->got = 0;
    process->value = NULL;
    if (!failed && is_run && reply->has_value) {
        process->value = malloc(reply->len ? reply->len : 1);
        if (!process->value)
            return wi_fail(err, WEIR_NOMEM,
                           "was ended, since there is no memory for a result of %llu bytes",
                           (unsigned long long)reply->len);
    }
    return WEIR_OK;
}

static char *body(wi_process *process)
{
    return process->value ? process->value : process->error.text;
}

/* Uses up what was read; false: nothing more is to be read from this process. */
static bool digest(wi_process *process)
{
    size_t at = 0;
    bool whole = true; /* something was completed; there may be more */
    while (whole && process->orders_fd >= 0) {
        whole = false;
        if (!process->has_head && process->in_len - at >= sizeof process->reply) {
            memcpy(&process->reply, process->in + at, sizeof process->reply);
            at += sizeof process->reply;
            if (begin_reply(process, &process->fault)) {
                wi_process_kill(process);
                return false;
            }
        }
        if (process->has_head) {
            size_t n = process->reply.len - process->got;
            if (n > process->in_len - at)
                n = process->in_len - at;
            memcpy(body(process) + process->got, process->in + at, n);
            process->got += n;
            at += n;
            whole = process->got == process->reply.len;
            if (whole)
                deliver(process);
        }
    }
    process->in_len -= at;
    memmove(process->in, process->in + at, process->in_len);
    return process->orders_fd >= 0;
}

/* Reads what is there; a large result past the buffer. */
static void receive(wi_process *process)
{
    bool more = true;
    while (more && process->orders_fd >= 0) {
        bool direct = process->has_head;
        char *to = direct ? body(process) + process->got : process->in + process->in_len;
        size_t room =
            direct ? process->reply.len - process->got : sizeof process->in - process->in_len;
        ssize_t n = recv(process->orders_fd, to, room, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) { /* it ends, or has closed what is not its own: either way it is done for */
            wi_process_kill(process);
            return;
        }
        if (direct)
            process->got += (size_t)n;
        else
            process->in_len += (size_t)n;
        more = digest(process) && ((size_t)n == room || process->is_dead);
    }
}

static void on_orders(wi_watch *watch, uint32_t events)
{
    wi_process *process = wi_container_of(watch, wi_process, orders_watch);
    if (events & EPOLLOUT)
        flush(process);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        receive(process);
}

static void on_end(wi_watch *watch, uint32_t events)
{
    wi_process *process = wi_container_of(watch, wi_process, end_watch);
    if (!(events & EPOLLIN)) /* it cannot be watched */
        wi_process_kill(process);
    process->is_dead = true;
    receive(process);
    close_orders(process);
    wi_watch_fini(&process->end_watch);
    close(process->control_fd);
    free(process->value);
    process->value = NULL;
    wi_exit how = {.code = -1};
    wi_spawn_reap(&process->spawned, true, &how);
    weir_error why = process->fault;
    if (!why.status) {
        char text[128];
        wi_exit_text(how, text, sizeof text);
        wi_fail(&why, WEIR_BROKEN, "%s", text);
        if (how.code == WI_WORKER_EXIT_STRANGE)
            wi_fail(&why, WEIR_BROKEN, "was started with another version of the library");
        else if (how.code == WI_WORKER_EXIT_THREAD)
            wi_fail(&why, WEIR_BROKEN, "could not start a thread");
    }
    process->events->gone(process, &why);
}

/* ---- its beginning ---- */

typedef struct sockets {
    int orders[2]; /* ours, the child's */
    int control[2];
} sockets;

static weir_status open_sockets(sockets *s, weir_error *err)
{
    int type = SOCK_STREAM | SOCK_CLOEXEC;
    if (socketpair(AF_UNIX, type, 0, s->orders) != 0)
        return wi_fail_errno(err, errno, "cannot make the sockets of a worker process");
    if (socketpair(AF_UNIX, type, 0, s->control) != 0) {
        weir_status status =
            wi_fail_errno(err, errno, "cannot make the sockets of a worker process");
        close(s->orders[0]);
        close(s->orders[1]);
        return status;
    }
    return WEIR_OK;
}

/* The program's environment and one more entry; an entry of that name that it has is left out. */
static const char **environment_with(const char *entry)
{
    size_t n = 0;
    while (environ && environ[n])
        n++;
    const char **env = calloc(n + 2, sizeof *env);
    if (!env)
        return NULL;
    size_t len = sizeof WI_WORKER_VARIABLE "=" - 1;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], entry, len) != 0)
            env[kept++] = environ[i];
    env[kept] = entry;
    return env;
}

static weir_status spawn(wi_process *process, const sockets *s, weir_error *err)
{
    unsigned char token[WI_WORKER_TOKEN];
    char entry[WI_WORKER_ENTRY_SIZE];
    if (getrandom(token, sizeof token, 0) != sizeof token ||
        send(s->control[0], token, sizeof token, MSG_NOSIGNAL) != sizeof token)
        return wi_fail_errno(err, errno, "cannot prepare a worker process");
    wi_worker_entry(token, entry);
    const char **env = environment_with(entry);
    if (!env)
        return wi_fail_nomem(err);
    const char *argv[] = {program_invocation_name, NULL};
    int fds[] = {WI_SPAWN_NULL, WI_SPAWN_INHERIT, WI_SPAWN_INHERIT, s->orders[1], s->control[1]};
    wi_spawn_options options = {.path = "/proc/self/exe",
                                .argv = argv,
                                .env = env,
                                .fds = fds,
                                .n_fds = sizeof fds / sizeof *fds};
    weir_status status = wi_spawn(&options, &process->spawned, err);
    free(env);
    return status;
}

weir_status wi_process_start(wi_process *process, wi_loop *loop, wi_module_cache *functions,
                             const weir_executor_options *options, const wi_process_events *events,
                             weir_error *err)
{
    sockets s;
    weir_status status = order_initialization(process, functions, options, err);
    if (!status)
        status = open_sockets(&s, err);
    if (status)
        return status;
    status = spawn(process, &s, err);
    close(s.orders[1]);
    close(s.control[1]);
    if (status) {
        close(s.orders[0]);
        close(s.control[0]);
        return status;
    }
    process->events = events;
    process->orders_fd = s.orders[0];
    process->control_fd = s.control[0];
    wi_watch_init(&process->orders_watch, loop, process->orders_fd, on_orders);
    wi_watch_init(&process->end_watch, loop, process->spawned.pidfd, on_end);
    wi_watch_want(&process->orders_watch, EPOLLIN);
    wi_watch_want(&process->end_watch, EPOLLIN);
    flush(process);
    return WEIR_OK;
}
