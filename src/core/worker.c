/*
 * worker.c: the child's side of WEIR_PROCESSES. A constructor of the library looks whether this
 * process was started as a worker, and if so runs orders on the main thread and never comes back:
 * main is not called. A second thread reads what must not wait for a task: to cancel it, and the
 * parent's end, upon which the process ends at once. Its invariant: there is one reply to each
 * order.
 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "task.h"
#include "thread.h"

typedef struct worker {
    wi_module_cache functions;
    size_t at; /* what was read and not yet used: from at to end */
    size_t end;
    char bytes[16384];
    char name[WI_WORKER_NAME_MAX + 1];

    pthread_mutex_t lock; /* over all below */
    wi_task *running;
    uint64_t running_id;
    uint64_t cancelled_id; /* the order that is, or will be, asked to end */
} worker;

static worker self = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the sockets ---- */

/* The parent wants no more of this process, which ends as if main had returned, but for atexit. */
static _Noreturn void leave(void)
{
    fflush(NULL);
    _exit(0);
}

static size_t receive(void *bytes, size_t size)
{
    for (;;) {
        ssize_t n = recv(WI_WORKER_ORDERS, bytes, size, 0);
        if (n > 0)
            return (size_t)n;
        if (n == 0 || errno != EINTR)
            leave();
    }
}

/* Small parts come out of one buffer, large ones past it. */
static void read_all(void *to, size_t len)
{
    char *out = to;
    while (len) {
        size_t n = self.end - self.at;
        if (n == 0 && len >= sizeof self.bytes) {
            n = receive(out, len);
        } else {
            if (n == 0) {
                self.at = 0;
                self.end = n = receive(self.bytes, sizeof self.bytes);
            }
            if (n > len)
                n = len;
            memcpy(out, self.bytes + self.at, n);
            self.at += n;
        }
        out += n;
        len -= n;
    }
}

static void skip(uint64_t len)
{
    char scrap[4096];
    while (len) {
        size_t n = len < sizeof scrap ? (size_t)len : sizeof scrap;
        read_all(scrap, n);
        len -= n;
    }
}

static void reply(const wi_worker_reply *head, const void *bytes)
{
    struct iovec parts[2] = {{(void *)head, sizeof *head}, {(void *)bytes, head->len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = head->len ? 2 : 1};
    while (message.msg_iovlen) {
        ssize_t n = sendmsg(WI_WORKER_ORDERS, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            leave();
        while (message.msg_iovlen && (size_t)n >= message.msg_iov->iov_len) {
            n -= (ssize_t)message.msg_iov->iov_len;
            message.msg_iov++;
            message.msg_iovlen--;
        }
        if (message.msg_iovlen) {
            message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + n;
            message.msg_iov->iov_len -= (size_t)n;
        }
    }
}

static void reply_error(wi_worker_reply *head, const weir_error *error)
{
    head->status = (int32_t)error->status;
    head->sys_errno = error->sys_errno;
    head->has_value = 0;
    head->len = strnlen(error->text, sizeof error->text);
    reply(head, error->text);
}

/* ---- a task ---- */

typedef struct call {
    weir_task_fn fn;
    weir_status (*initializer)(void *arg, weir_error *err); /* instead of fn */
    weir_type result;
    int64_t timeout;
    uint64_t id;
    void *arg;
} call;

static void set_running(wi_task *task, uint64_t id)
{
    pthread_mutex_lock(&self.lock);
    self.running = task;
    self.running_id = id;
    if (task && self.cancelled_id == id)
        wi_task_cancel(task);
    pthread_mutex_unlock(&self.lock);
}

static void *run(const call *c, weir_error *error)
{
    void *result = NULL;
    wi_task task;
    wi_task_enter(&task, self.name[0] ? self.name : NULL, c->timeout);
    set_running(&task, c->id);
    *error = (weir_error){.status = WEIR_OK};
    if (c->fn) {
        result = c->fn(c->arg, error);
    } else if (c->initializer) {
        weir_status status = c->initializer(c->arg, error);
        if (status && !error->status)
            wi_fail(error, status, "the executor's initializer failed: %s",
                    weir_status_text(status));
        error->status = status;
    }
    wi_error_tidy(error);
    set_running(NULL, 0);
    wi_task_leave(&task);
    fflush(stdout);
    return result;
}

static void reply_result(const call *c, wi_worker_reply *head, const void *result)
{
    weir_error error;
    if (result && !c->result.size && !c->result.measure) {
        wi_fail(&error, WEIR_INVALID,
                "the task returned a pointer and its result has no size: set result.size or "
                "result.measure, or return NULL");
        reply_error(head, &error);
        return;
    }
    head->has_value = result != NULL;
    if (result)
        head->len = c->result.measure ? c->result.measure(result) : c->result.size;
    if (head->len > WI_WORKER_VALUE_MAX) {
        wi_fail(&error, WEIR_TOOLARGE, "the result has %llu bytes, and %llu can cross",
                (unsigned long long)head->len, (unsigned long long)WI_WORKER_VALUE_MAX);
        reply_error(head, &error);
        return;
    }
    reply(head, result);
}

static wi_worker_missing find_functions(const wi_worker_order *order, call *c)
{
    void *fn;
    void *measure;
    void *release;
    if (!wi_function_find(&self.functions, order->fn, &fn))
        return WI_WORKER_MISSES_FN;
    if (!wi_function_find(&self.functions, order->measure, &measure))
        return WI_WORKER_MISSES_MEASURE;
    if (!wi_function_find(&self.functions, order->release, &release))
        return WI_WORKER_MISSES_RELEASE;
    if (order->kind == WI_WORKER_RUN)
        c->fn = (weir_task_fn)fn;
    else
        c->initializer = (weir_status(*)(void *, weir_error *))fn;
    c->result.size = order->result_size;
    c->result.measure = (size_t(*)(const void *))measure;
    c->result.release = (void (*)(void *))release;
    return WI_WORKER_MISSES_NOTHING;
}

/* False: it failed. */
static bool call_and_reply(const call *c, wi_worker_reply *head)
{
    weir_error error;
    void *result = run(c, &error);
    if (error.status) {
        reply_error(head, &error);
        return false;
    }
    reply_result(c, head, result);
    if (result && result != c->arg && c->result.release)
        c->result.release(result);
    return true;
}

/* False: it failed. */
static bool obey(const wi_worker_order *order)
{
    call c = {.timeout = order->timeout, .id = order->id};
    wi_worker_reply head = {.kind = order->kind, .id = order->id};
    read_all(self.name, order->name_len);
    self.name[order->name_len] = '\0';
    if (order->has_arg)
        c.arg = malloc(order->arg_len ? order->arg_len : 1);
    if (order->has_arg && !c.arg) {
        weir_error error;
        skip(order->arg_len);
        wi_fail_nomem(&error);
        reply_error(&head, &error);
        return false;
    }
    read_all(c.arg, order->arg_len);
    head.missing = find_functions(order, &c);
    bool good = !head.missing;
    if (good)
        good = call_and_reply(&c, &head);
    else
        reply(&head, NULL);
    free(c.arg);
    return good;
}

static bool is_sound(const wi_worker_order *order)
{
    return (order->kind == WI_WORKER_INITIALIZE || order->kind == WI_WORKER_RUN) &&
           order->name_len <= WI_WORKER_NAME_MAX && order->arg_len <= WI_WORKER_VALUE_MAX &&
           (order->has_arg || !order->arg_len);
}

/* ---- the process ---- */

static void *watch_control(void *arg)
{
    (void)arg;
    uint64_t id;
    for (;;) {
        ssize_t n = recv(WI_WORKER_CONTROL, &id, sizeof id, MSG_WAITALL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != (ssize_t)sizeof id)
            _exit(0); /* the parent is gone, or will not wait */
        pthread_mutex_lock(&self.lock);
        self.cancelled_id = id;
        if (self.running && self.running_id == id)
            wi_task_cancel(self.running);
        pthread_mutex_unlock(&self.lock);
    }
    return NULL;
}

static void ignore(int signal)
{
    (void)signal;
}

/*
 * Ctrl-C reaches all processes of a terminal, and what it means is for the parent to say. A handler
 * and not SIG_IGN, which programs that a task starts would inherit.
 */
static void set_up_process(void)
{
    struct sigaction action = {.sa_handler = ignore, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &action, NULL);
    prctl(PR_SET_NAME, program_invocation_short_name);
    /* The end of the control socket says the same, unless a fork of the parent keeps it open. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    fcntl(WI_WORKER_ORDERS, F_SETFD, FD_CLOEXEC);
    fcntl(WI_WORKER_CONTROL, F_SETFD, FD_CLOEXEC);
}

static _Noreturn void work(void)
{
    set_up_process();
    pthread_t thread;
    if (wi_thread_start(&thread, "weir-control", watch_control, NULL, NULL))
        _exit(WI_WORKER_EXIT_THREAD);
    for (;;) {
        wi_worker_order order;
        read_all(&order, sizeof order);
        if (!is_sound(&order))
            leave();
        if (!obey(&order) && order.kind == WI_WORKER_INITIALIZE)
            leave(); /* the task that may be there already must not run */
    }
}

static bool is_socket(int fd)
{
    int type;
    socklen_t size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

static const char digits[] = "0123456789abcdef";

void wi_worker_entry(const unsigned char *token, char *entry)
{
    int at = snprintf(entry, WI_WORKER_ENTRY_SIZE, WI_WORKER_VARIABLE "=%d:", WI_WORKER_VERSION);
    for (int i = 0; i < WI_WORKER_TOKEN; i++) {
        entry[at++] = digits[token[i] >> 4];
        entry[at++] = digits[token[i] & 15];
    }
    entry[at] = '\0';
}

/* Whether the token of the variable's value lies in the control socket; takes it out if so. */
static bool is_expected(const char *hex)
{
    unsigned char token[WI_WORKER_TOKEN];
    char own[2 * WI_WORKER_TOKEN + 1];
    if (!is_socket(WI_WORKER_ORDERS) || !is_socket(WI_WORKER_CONTROL) ||
        recv(WI_WORKER_CONTROL, token, sizeof token, MSG_PEEK | MSG_DONTWAIT) != sizeof token)
        return false;
    for (int i = 0; i < WI_WORKER_TOKEN; i++) {
        own[2 * i] = digits[token[i] >> 4];
        own[2 * i + 1] = digits[token[i] & 15];
    }
    own[2 * WI_WORKER_TOKEN] = '\0';
    return strcmp(own, hex) == 0 &&
           recv(WI_WORKER_CONTROL, token, sizeof token, MSG_DONTWAIT) == sizeof token;
}

__attribute__((constructor)) static void become_worker(void)
{
    const char *value = secure_getenv(WI_WORKER_VARIABLE);
    if (!value)
        return;
    char *hex;
    long version = strtol(value, &hex, 10);
    bool expected = *hex == ':' && is_expected(hex + 1);
    unsetenv(WI_WORKER_VARIABLE);
    if (expected && version != WI_WORKER_VERSION)
        _exit(WI_WORKER_EXIT_STRANGE);
    if (expected)
        work();
}
