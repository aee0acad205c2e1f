/*
 * fuzz_worker.c: whatever a worker process writes into its socket, its parent hears at most one
 * word of being ready and one reply to each task, in that order, and at last that it is gone; and
 * how the bytes are cut makes no difference. A worker that a task has spoilt may write anything.
 *
 * The input is a script: letters with what they need behind them, see play.
 */
#include "fuzz.h"

#include "process.c" /* for a process that is no process: a socket and an end to be told */

#include <fcntl.h>
#include <sys/eventfd.h>

#include "buf.h"

typedef struct stage {
    wi_process process;
    wi_loop *loop;
    wi_module_cache functions;
    int worker;  /* the other end of its socket */
    int control; /* and of the other one */
    int end;     /* to tell that it has ended */
    bool ready, busy, gone;
    wi_buf told;
    uint64_t asked;
} stage;

static void *nothing(void *arg, weir_error *err)
{
    (void)err;
    return arg;
}

static const weir_task task = {.fn = nothing, .name = "nothing"};

static void note(stage *s, const char *what, const weir_error *error)
{
    wi_buf_printf(&s->told, "%s %d", what, (int)error->status);
    if (error->status) {
        CHECK(strnlen(error->text, sizeof error->text) < sizeof error->text);
        wi_buf_printf(&s->told, " %d %s", error->sys_errno, error->text);
    }
    wi_buf_putc(&s->told, '\n');
}

static void on_ready(wi_process *process, const weir_error *error)
{
    stage *s = process->owner;
    CHECK(!s->ready && !s->gone);
    s->ready = true;
    note(s, "ready", error);
    if (error->status)
        wi_process_leave(process);
}

static void on_replied(wi_process *process, void *result, const weir_error *error)
{
    stage *s = process->owner;
    CHECK(s->ready && s->busy && !s->gone && !(result && error->status));
    s->busy = false;
    note(s, "replied", error);
    if (result)
        wi_buf_append(&s->told, result, process->reply.len);
    free(result);
}

static void on_gone(wi_process *process, const weir_error *why)
{
    stage *s = process->owner;
    CHECK(!s->gone && why->status);
    s->gone = true;
    note(s, "gone", why);
}

static const wi_process_events events = {on_ready, on_replied, on_gone};

/* What the parent sends is an order, and nobody reads it otherwise. */
static void check_orders(stage *s)
{
    wi_worker_order order;
    char name[WI_WORKER_NAME_MAX];
    while (recv(s->worker, &order, sizeof order, MSG_DONTWAIT) == sizeof order) {
        CHECK(order.kind == (order.id ? WI_WORKER_RUN : WI_WORKER_INITIALIZE));
        CHECK(order.id == s->asked && order.name_len <= sizeof name && !order.arg_len);
        CHECK(!order.name_len ||
              recv(s->worker, name, order.name_len, 0) == (ssize_t)order.name_len);
    }
}

static void turn(stage *s)
{
    CHECK(wi_loop_turn(s->loop, false, NULL) == WEIR_OK);
    check_orders(s);
}

static void open_stage(stage *s)
{
    sockets both;
    weir_executor_options options = {.size = sizeof options};
    CHECK(open_sockets(&both, NULL) == WEIR_OK);
    CHECK(order_initialization(&s->process, &s->functions, &options, NULL) == WEIR_OK);
    s->worker = both.orders[1];
    s->control = both.control[1];
    s->end = eventfd(0, EFD_CLOEXEC);
    s->process.owner = s;
    s->process.events = &events;
    s->process.orders_fd = both.orders[0];
    s->process.control_fd = both.control[0];
    s->process.spawned = (wi_spawned){.pidfd = fcntl(s->end, F_DUPFD_CLOEXEC, 0)};
    CHECK(s->end >= 0 && s->process.spawned.pidfd >= 0);
    wi_watch_init(&s->process.orders_watch, s->loop, both.orders[0], on_orders);
    wi_watch_init(&s->process.end_watch, s->loop, s->process.spawned.pidfd, on_end);
    wi_watch_want(&s->process.orders_watch, EPOLLIN);
    wi_watch_want(&s->process.end_watch, EPOLLIN);
    flush(&s->process);
    turn(s);
}

static void close_stage(stage *s)
{
    uint64_t one = 1;
    CHECK(write(s->end, &one, sizeof one) == sizeof one);
    close(s->worker);
    for (int i = 0; i < 3 && !s->gone; i++)
        CHECK(wi_loop_turn(s->loop, false, NULL) == WEIR_OK);
    CHECK(s->gone && !s->process.value);
    close(s->control);
    close(s->end);
}

static void say(stage *s, const void *bytes, size_t len, size_t step)
{
    for (size_t at = 0, n; at < len; at += n) {
        n = len - at < step ? len - at : step;
        if (send(s->worker, (const char *)bytes + at, n, MSG_NOSIGNAL) != (ssize_t)n)
            return; /* nobody listens any more */
        turn(s);
    }
}

/* A reply of mostly sound fields, and what follows it. */
static void reply(stage *s, const uint8_t *f, const uint8_t *bytes, size_t len, size_t step)
{
    wi_worker_reply head = {
        .kind = f[0] & 1 ? WI_WORKER_RUN : WI_WORKER_INITIALIZE,
        .status = (int8_t)f[1],
        .sys_errno = f[1] ? 5 : 0,
        .missing = f[0] >> 1 & 3,
        .id = f[0] & 8   ? f[2]
              : f[0] & 1 ? s->process.last_id
                         : 0,
        .has_value = f[0] & 16 ? 1 : 0,
        .len = f[0] & 32 ? (uint64_t)f[3] << (f[2] & 63) : len,
    };
    if (f[0] & 64)
        ((uint8_t *)&head)[f[2] % sizeof head] ^= f[3];
    if (head.len > 1 << 20 && head.len <= WI_WORKER_VALUE_MAX)
        head.len = 1 << 20; /* what is only asked for is not worth the sanitizer's time */
    char whole[sizeof head + 255];
    memcpy(whole, &head, sizeof head);
    memcpy(whole + sizeof head, bytes, len);
    say(s, whole, sizeof head + len, step);
}

static size_t play(stage *s, const uint8_t *script, size_t left, size_t step)
{
    switch (script[0] % 8) {
    case 0: /* a task */
        if (s->ready && !s->busy && !s->process.is_leaving && s->process.orders_fd >= 0) {
            s->busy = true;
            s->asked = s->process.last_id + 1;
            CHECK(wi_process_run(&s->process, &s->functions, &task, NULL) == WEIR_OK);
            turn(s);
        }
        return 1;
    case 1:
        wi_process_cancel(&s->process);
        return 1;
    case 2:
        wi_process_leave(&s->process);
        return 1;
    case 3: { /* any bytes */
        size_t len = left < 2 ? 0 : script[1] < left - 2 ? script[1] : left - 2;
        say(s, script + 2, len, step);
        return 2 + len;
    }
    default: { /* a reply */
        if (left < 6)
            return left;
        size_t len = script[5] < left - 6 ? script[5] : left - 6;
        reply(s, script + 1, script + 6, len, step);
        return 6 + len;
    }
    }
}

static wi_buf perform(const uint8_t *script, size_t size, size_t step)
{
    static wi_loop *loop;
    if (!loop)
        CHECK(wi_loop_new(wi_clock_real(), &loop, NULL) == WEIR_OK);
    stage *s = calloc(1, sizeof *s);
    CHECK(s);
    s->loop = loop;
    open_stage(s);
    for (size_t at = 0; at < size && !s->gone;)
        at += play(s, script + at, size - at, step);
    close_stage(s);
    wi_buf told = s->told;
    free(s);
    return told;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 2048)
        return 0;
    wi_buf whole = perform(data + 1, size - 1, SIZE_MAX);
    wi_buf cut = perform(data + 1, size - 1, 1 + data[0] % 32);
    CHECK(whole.len == cut.len && memcmp(whole.data, cut.data, cut.len) == 0);
    wi_buf_fini(&whole);
    wi_buf_fini(&cut);
    return 0;
}
