/*
 * loop.c: see loop.h. Its invariants: a timer in the heap always had room reserved for it; an event
 * is delivered only to a watch that is still alive, because ending a watch erases its events from
 * the batch being delivered; and the inbox' eventfd is readable whenever the inbox is not empty.
 */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    EVENTS_PER_TURN = 32,
    DEFERRED_PER_TURN = 4096, /* then descriptors get their turn again */
};

typedef struct attached attached;

struct attached {
    attached *older;
    const void *key;
    void *value;
    void (*release)(void *value);
};

struct wi_loop {
    wi_clock *clock;
    int64_t now;
    int epoll_fd;
    atomic_bool stopped;
    wi_heap timers;
    size_t timers_len; /* initialised, set or not: what the heap has room for */
    wi_list dirty;     /* watches whose wanted and armed may differ */
    wi_list deferred;
    _Atomic(wi_post *) inbox; /* a stack, newest first */
    wi_watch inbox_watch;
    attached *newest;
    int event_count;
    struct epoll_event events[EVENTS_PER_TURN];
};

static void wake(wi_loop *loop)
{
    uint64_t one = 1;
    while (write(loop->inbox_watch.fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

void wi_loop_take_posts(wi_loop *loop)
{
    wi_post *newest = atomic_exchange(&loop->inbox, NULL);
    wi_post *oldest = NULL;
    while (newest) {
        wi_post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        wi_post *next = oldest->next;
        atomic_store(&oldest->queued, false);
        oldest->fn(oldest);
        oldest = next;
    }
}

static void read_inbox(wi_watch *watch, uint32_t events)
{
    (void)events;
    uint64_t count;
    while (read(watch->fd, &count, sizeof count) < 0 && errno == EINTR)
        continue;
    wi_loop_take_posts(watch->loop);
}

/* At once: a loop that could not hear of its inbox would sleep for ever. */
static bool watch_inbox(wi_loop *loop, int event_fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &loop->inbox_watch};
    wi_watch_init(&loop->inbox_watch, loop, event_fd, read_inbox);
    loop->inbox_watch.wanted = loop->inbox_watch.armed = EPOLLIN;
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, event_fd, &event) == 0;
}

weir_status wi_loop_new(wi_clock *clock, wi_loop **out, weir_error *err)
{
    wi_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return wi_fail_nomem(err);
    loop->clock = clock;
    loop->now = wi_clock_now(clock);
    wi_list_init(&loop->dirty);
    wi_list_init(&loop->deferred);
    int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int event_errno = errno;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (event_fd < 0 || loop->epoll_fd < 0 || !watch_inbox(loop, event_fd)) {
        weir_status status =
            wi_fail_errno(err, event_fd < 0 ? event_errno : errno, "cannot make an event loop");
        if (event_fd >= 0)
            close(event_fd);
        if (loop->epoll_fd >= 0)
            close(loop->epoll_fd);
        free(loop);
        return status;
    }
    *out = loop;
    return WEIR_OK;
}

/* One may use an older one until its own end, so each is taken off just before it is freed. */
static void free_attached(wi_loop *loop)
{
    attached *object;
    while ((object = loop->newest)) {
        loop->newest = object->older;
        object->release(object->value);
        free(object);
    }
}

void wi_loop_free(wi_loop *loop)
{
    if (!loop)
        return;
    free_attached(loop);
    wi_list_remove(&loop->inbox_watch.dirty);
    close(loop->inbox_watch.fd);
    close(loop->epoll_fd);
    wi_heap_fini(&loop->timers);
    free(loop);
}

int64_t wi_loop_now(const wi_loop *loop)
{
    return loop->now;
}

int64_t wi_loop_clock(const wi_loop *loop)
{
    return wi_clock_now(loop->clock);
}

void wi_loop_stop(wi_loop *loop)
{
    atomic_store(&loop->stopped, true);
    wake(loop);
}

void *wi_loop_get(wi_loop *loop, const void *key)
{
    for (attached *object = loop->newest; object; object = object->older)
        if (object->key == key)
            return object->value;
    return NULL;
}

bool wi_loop_attach(wi_loop *loop, const void *key, void *value, void (*release)(void *value))
{
    attached *object = malloc(sizeof *object);
    if (!object)
        return false;
    *object = (attached){.older = loop->newest, .key = key, .value = value, .release = release};
    loop->newest = object;
    return true;
}

bool wi_timer_init(wi_timer *timer, wi_loop *loop, void (*fn)(wi_timer *timer))
{
    if (!wi_heap_reserve(&loop->timers, loop->timers_len + 1))
        return false;
    loop->timers_len++;
    *timer = (wi_timer){.loop = loop, .fn = fn};
    return true;
}

void wi_timer_fini(wi_timer *timer)
{
    if (!timer->loop)
        return;
    wi_timer_clear(timer);
    timer->loop->timers_len--;
    timer->loop = NULL;
}

void wi_timer_set(wi_timer *timer, int64_t when)
{
    wi_timer_clear(timer);
    if (when != WI_FOREVER)
        wi_heap_push(&timer->loop->timers, &timer->node, when);
}

void wi_timer_clear(wi_timer *timer)
{
    wi_heap_remove(&timer->loop->timers, &timer->node);
}

void wi_watch_init(wi_watch *watch, wi_loop *loop, int fd,
                   void (*fn)(wi_watch *watch, uint32_t events))
{
    *watch = (wi_watch){.loop = loop, .fd = fd, .fn = fn};
    wi_list_init(&watch->dirty);
}

void wi_watch_want(wi_watch *watch, uint32_t events)
{
    watch->wanted = events;
    if (wi_list_empty(&watch->dirty))
        wi_list_append(&watch->loop->dirty, &watch->dirty);
}

/* 0, or epoll's errno. The descriptor may have been closed, and its number used for another. */
static int arm(wi_watch *watch, uint32_t events)
{
    int epoll_fd = watch->loop->epoll_fd;
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (!watch->armed || epoll_ctl(epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) != 0) {
        if (watch->armed && errno != ENOENT)
            return errno;
        watch->armed = 0;
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) != 0)
            return errno;
    }
    watch->armed = events;
    return 0;
}

static void disarm(wi_watch *watch)
{
    if (watch->armed)
        epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->armed = 0;
}

int wi_watch_once(wi_watch *watch, uint32_t events)
{
    return arm(watch, events | EPOLLONESHOT);
}

void wi_watch_fini(wi_watch *watch)
{
    disarm(watch);
    wi_watch_forget(watch);
}

void wi_watch_forget(wi_watch *watch)
{
    wi_loop *loop = watch->loop;
    wi_list_remove(&watch->dirty);
    watch->armed = 0;
    for (int i = 0; i < loop->event_count; i++)
        if (loop->events[i].data.ptr == watch)
            loop->events[i].data.ptr = NULL;
}

void wi_defer_init(wi_defer *defer, void (*fn)(wi_defer *defer))
{
    wi_list_init(&defer->node);
    defer->fn = fn;
}

void wi_defer_set(wi_loop *loop, wi_defer *defer)
{
    if (wi_list_empty(&defer->node))
        wi_list_append(&loop->deferred, &defer->node);
}

void wi_defer_clear(wi_defer *defer)
{
    wi_list_remove(&defer->node);
}

void wi_post_init(wi_post *post, void (*fn)(wi_post *post))
{
    post->next = NULL;
    atomic_init(&post->queued, false);
    post->fn = fn;
}

void wi_loop_post(wi_loop *loop, wi_post *post)
{
    if (atomic_exchange(&post->queued, true))
        return;
    wi_post *newest = atomic_load(&loop->inbox);
    do {
        post->next = newest;
    } while (!atomic_compare_exchange_weak(&loop->inbox, &newest, post));
    if (!newest)
        wake(loop);
}

static void apply_interests(wi_loop *loop)
{
    wi_list refused;
    wi_list_init(&refused);
    wi_list *node;
    while ((node = wi_list_shift(&loop->dirty))) {
        wi_watch *watch = wi_container_of(node, wi_watch, dirty);
        bool settled = watch->wanted == watch->armed && !watch->asleep;
        watch->asleep = !watch->wanted;
        if (watch->wanted && !settled && arm(watch, watch->wanted) != 0)
            wi_list_append(&refused, &watch->dirty);
    }
    while ((node = wi_list_shift(&refused))) {
        wi_watch *watch = wi_container_of(node, wi_watch, dirty);
        watch->fn(watch, EPOLLERR);
    }
}

/* epoll_pwait2 waits to the nanosecond; an older kernel, or one whose filter of system calls does
 * not know it, gets the next whole millisecond. */
static int wait_for_events(wi_loop *loop, int64_t timeout)
{
    static atomic_bool no_pwait2;
    if (timeout > 0 && timeout != WI_FOREVER && !atomic_load(&no_pwait2)) {
        struct timespec span = {timeout / WI_SECOND, timeout % WI_SECOND};
        int n = epoll_pwait2(loop->epoll_fd, loop->events, EVENTS_PER_TURN, &span, NULL);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM))
            return n;
        atomic_store(&no_pwait2, true);
    }
    int64_t ms = timeout / WI_MILLISECOND + (timeout % WI_MILLISECOND != 0);
    int wait = timeout == WI_FOREVER ? -1 : ms > 1000000 ? 1000000 : (int)ms;
    return epoll_wait(loop->epoll_fd, loop->events, EVENTS_PER_TURN, wait);
}

static int64_t time_to_wait(wi_loop *loop, bool wait)
{
    if (!wait || !wi_list_empty(&loop->deferred) || atomic_load(&loop->stopped))
        return 0;
    wi_heap_node *first = wi_heap_top(&loop->timers);
    if (!first)
        return WI_FOREVER;
    if (loop->clock->is_virtual)
        return 0;
    int64_t left = first->key - wi_clock_now(loop->clock);
    return left > 0 ? left : 0;
}

static void run_timers(wi_loop *loop)
{
    wi_heap_node *first;
    while ((first = wi_heap_top(&loop->timers)) && first->key <= loop->now) {
        wi_timer *timer = wi_container_of(first, wi_timer, node);
        wi_timer_clear(timer);
        timer->fn(timer);
    }
}

static void run_deferred(wi_loop *loop)
{
    for (int i = 0; i < DEFERRED_PER_TURN; i++) {
        wi_list *node = wi_list_shift(&loop->deferred);
        if (!node)
            return;
        wi_defer *defer = wi_container_of(node, wi_defer, node);
        defer->fn(defer);
    }
}

weir_status wi_loop_turn(wi_loop *loop, bool wait, weir_error *err)
{
    apply_interests(loop);
    int n = wait_for_events(loop, time_to_wait(loop, wait));
    weir_status status = WEIR_OK;
    if (n < 0 && errno != EINTR) {
        status = wi_fail_errno(err, errno, "cannot wait for events");
        wi_loop_take_posts(loop); /* nobody will be told of them */
    }
    wi_heap_node *first = wi_heap_top(&loop->timers);
    if (wait && n == 0 && first && loop->clock->is_virtual && wi_list_empty(&loop->deferred))
        wi_clock_advance_to(loop->clock, first->key);
    loop->now = wi_clock_now(loop->clock);
    loop->event_count = n > 0 ? n : 0;
    for (int i = 0; i < loop->event_count; i++) {
        wi_watch *next = i + 1 < loop->event_count ? loop->events[i + 1].data.ptr : NULL;
        if (next && next->soon)
            next->soon(next);
        wi_watch *watch = loop->events[i].data.ptr;
        if (watch && watch->asleep)
            disarm(watch);
        else if (watch)
            watch->fn(watch, loop->events[i].events);
    }
    loop->event_count = 0;
    run_timers(loop);
    run_deferred(loop);
    return status;
}

weir_status wi_loop_run(wi_loop *loop, weir_error *err)
{
    weir_status status = WEIR_OK;
    while (status == WEIR_OK && !atomic_load(&loop->stopped))
        status = wi_loop_turn(loop, true, err);
    atomic_store(&loop->stopped, false);
    return status;
}
