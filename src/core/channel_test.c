/* channel_test.c: each value arrives once and in order, whoever waits, ends or closes. */
#include "weir/channel.h"

#include <pthread.h>
#include <stdlib.h>

#include "clock.h"
#include "on_fibers.h"
#include "task.h"
#include "torture.h"
#include "weir/wait.h"

static weir_channel *new_channel(size_t capacity)
{
    weir_channel *channel = NULL;
    EXPECT(weir_channel_new(capacity, &channel, NULL) == WEIR_OK);
    return channel;
}

static void *value_of(int number)
{
    return (void *)(intptr_t)number;
}

TEST(values_come_out_in_their_order)
{
    void *got = NULL;
    weir_error err;
    weir_channel *c = new_channel(3);
    for (int round = 0; round < 5; round++) {
        for (int i = 1; i <= 3; i++)
            EXPECT_INT(weir_channel_send(c, value_of(i), NULL), WEIR_OK);
        EXPECT_INT(weir_channel_len(c), 3);
        EXPECT_INT(weir_channel_try_send(c, value_of(4), &err), WEIR_AGAIN);
        EXPECT_INT(weir_channel_receive(c, &got, NULL), WEIR_OK);
        EXPECT(got == value_of(1));
        EXPECT_INT(weir_channel_try_send(c, value_of(4), NULL), WEIR_OK);
        for (int i = 2; i <= 4; i++) {
            EXPECT_INT(weir_channel_try_receive(c, &got, NULL), WEIR_OK);
            EXPECT(got == value_of(i));
        }
        EXPECT_INT(weir_channel_try_receive(c, &got, &err), WEIR_AGAIN);
        EXPECT(got == value_of(4));
    }
    weir_channel_unref(c);
    weir_channel_unref(NULL);
}

TEST(what_is_inside_outlasts_the_close)
{
    void *got = NULL;
    weir_error err;
    weir_channel *c = new_channel(2);
    weir_channel_send(c, value_of(1), NULL);
    weir_channel_close(c);
    weir_channel_close(c);
    EXPECT_INT(weir_channel_send(c, value_of(2), &err), WEIR_CLOSED);
    EXPECT_STR(err.text, "the channel is closed");
    EXPECT_INT(weir_channel_try_send(c, value_of(2), NULL), WEIR_CLOSED);
    EXPECT_INT(weir_channel_receive(c, &got, NULL), WEIR_OK);
    EXPECT(got == value_of(1));
    EXPECT_INT(weir_channel_receive(c, &got, &err), WEIR_CLOSED);
    EXPECT_INT(weir_channel_try_receive(c, &got, NULL), WEIR_CLOSED);
    EXPECT(got == value_of(1));
    weir_channel_unref(c);
}

/* ---- fibers ---- */

typedef struct party {
    weir_channel *channel;
    int number;
    weir_status status;
    int64_t timeout;
} party;

/* What happened, in its order. */
static char trace[32];
static char *at;

static void mark(char c)
{
    *at++ = c;
}

static void send_one(void *arg)
{
    party *p = arg;
    p->status = weir_channel_send(p->channel, value_of(p->number), NULL);
    mark((char)('a' + p->number));
}

static void receive_one(void *arg)
{
    void *got = value_of(25);
    party *p = arg;
    p->status = weir_channel_receive(p->channel, &got, NULL);
    p->number = (int)(intptr_t)got;
    mark('r');
}

static void begin_trace(on_fibers *f)
{
    memset(trace, 0, sizeof trace);
    at = trace;
    EXPECT(fibers_begin(f));
}

TEST(without_room_a_sender_waits_for_its_receiver)
{
    on_fibers f;
    weir_channel *c = new_channel(0);
    party senders[] = {{c, .number = 0}, {c, .number = 1}, {c, .number = 2}};
    party receivers[] = {{c}, {c}, {c}};
    begin_trace(&f);
    EXPECT_INT(weir_channel_try_send(c, &f, NULL), WEIR_AGAIN);
    for (int i = 0; i < 3; i++)
        fibers_go(&f, send_one, &senders[i]);
    for (int i = 0; i < 5; i++)
        wi_loop_turn(f.loop, false, NULL);
    EXPECT_STR(trace, "");
    EXPECT_INT(weir_channel_len(c), 0);
    for (int i = 0; i < 3; i++)
        fibers_go(&f, receive_one, &receivers[i]);
    fibers_end(&f);
    for (int i = 0; i < 3; i++) {
        EXPECT_INT(senders[i].status, WEIR_OK);
        EXPECT_INT(receivers[i].status, WEIR_OK);
        EXPECT_INT(receivers[i].number, i);
    }
    weir_channel_unref(c);
}

TEST(those_who_wait_are_served_in_turn)
{
    on_fibers f;
    weir_channel *c = new_channel(1);
    party receivers[] = {{c}, {c}, {c}, {c}};
    party senders[] = {{c, .number = 0}, {c, .number = 1}, {c, .number = 2}, {c, .number = 3}};
    begin_trace(&f);
    for (int i = 0; i < 4; i++)
        fibers_go(&f, receive_one, &receivers[i]);
    for (int i = 0; i < 4; i++)
        fibers_go(&f, send_one, &senders[i]);
    fibers_end(&f);
    for (int i = 0; i < 4; i++)
        EXPECT_INT(receivers[i].number, i);
    EXPECT_STR(trace, "abcdrrrr");
    weir_channel_unref(c);
}

static void close_it(void *arg)
{
    EXPECT_INT(weir_sleep(10, NULL), WEIR_OK);
    weir_channel_close(arg);
}

TEST(closing_wakes_all)
{
    on_fibers f;
    weir_channel *empty = new_channel(1);
    weir_channel *full = new_channel(0);
    party receivers[] = {{empty}, {empty}};
    party senders[] = {{full, .number = 0}, {full, .number = 1}};
    begin_trace(&f);
    for (int i = 0; i < 2; i++) {
        fibers_go(&f, receive_one, &receivers[i]);
        fibers_go(&f, send_one, &senders[i]);
    }
    fibers_go(&f, close_it, empty);
    fibers_go(&f, close_it, full);
    fibers_end(&f);
    for (int i = 0; i < 2; i++) {
        EXPECT_INT(receivers[i].status, WEIR_CLOSED);
        EXPECT_INT(receivers[i].number, 25);
        EXPECT_INT(senders[i].status, WEIR_CLOSED);
    }
    weir_channel_unref(empty);
    weir_channel_unref(full);
}

static void in_vain(void *arg)
{
    party *p = arg;
    void *got = NULL;
    wi_task task;
    wi_task_enter(&task, "vain", p->timeout);
    p->status = p->number ? weir_channel_send(p->channel, value_of(p->number), NULL)
                          : weir_channel_receive(p->channel, &got, NULL);
    EXPECT(!got);
    EXPECT_INT(wi_park_now(), 1000 + p->timeout);
    wi_task_leave(&task);
}

static void later(void *arg)
{
    party *p = arg;
    EXPECT_INT(weir_sleep(100, NULL), WEIR_OK);
    if (p->number)
        send_one(p);
    else
        receive_one(p);
}

/* Whoever gives up leaves no trace: the next is served, and nothing was sent. */
TEST(giving_up_loses_nothing)
{
    for (int sends = 0; sends < 2; sends++) {
        on_fibers f;
        weir_channel *c = new_channel(0);
        party leaves = {c, .number = sends ? 9 : 0, .timeout = 50};
        party stays = {c, .number = 8};
        party comes = {c, .number = sends ? 0 : 8};
        begin_trace(&f);
        fibers_go(&f, in_vain, &leaves);
        fibers_go(&f, sends ? send_one : receive_one, &stays);
        fibers_go(&f, later, &comes);
        fibers_end(&f);
        EXPECT_INT(leaves.status, WEIR_TIMEDOUT);
        EXPECT_INT(stays.status, WEIR_OK);
        EXPECT_INT(comes.status, WEIR_OK);
        EXPECT_INT(stays.number, 8);
        EXPECT_INT(comes.number, 8);
        weir_channel_unref(c);
    }
}

TEST(a_task_that_is_to_end_neither_sends_nor_receives)
{
    void *got = NULL;
    weir_channel *c = new_channel(2);
    wi_task task;
    weir_channel_send(c, value_of(1), NULL);
    wi_task_enter(&task, "late", 0);
    wi_task_cancel(&task);
    EXPECT_INT(weir_channel_send(c, value_of(2), NULL), WEIR_CANCELLED);
    EXPECT_INT(weir_channel_receive(c, &got, NULL), WEIR_CANCELLED);
    EXPECT(!got && weir_channel_len(c) == 1);
    EXPECT_INT(weir_channel_try_receive(c, &got, NULL), WEIR_OK); /* but it may clear up */
    wi_task_leave(&task);
    weir_channel_unref(c);
}

/* ---- threads ---- */

enum { THREADS = 4, EACH = 3000 };

typedef struct crowd {
    weir_channel *channel;
    atomic_int ticket;
    atomic_int seen[THREADS * EACH];
} crowd;

static void *send_many(void *arg)
{
    crowd *c = arg;
    int first = atomic_fetch_add(&c->ticket, 1) * EACH;
    for (int i = 0; i < EACH; i++)
        EXPECT_INT(weir_channel_send(c->channel, value_of(first + i + 1), NULL), WEIR_OK);
    return NULL;
}

static void *receive_many(void *arg)
{
    crowd *c = arg;
    int last[THREADS] = {0};
    void *got;
    weir_status status;
    while (!(status = weir_channel_receive(c->channel, &got, NULL))) {
        int number = (int)(intptr_t)got;
        int *before = &last[(number - 1) / EACH];
        EXPECT(number > *before); /* of one sender, in its order */
        *before = number;
        atomic_fetch_add(&c->seen[number - 1], 1);
    }
    EXPECT_INT(status, WEIR_CLOSED);
    return NULL;
}

TEST(many_threads_share_a_channel)
{
    for (size_t capacity = 0; capacity <= 20; capacity += 10) {
        crowd *c = calloc(1, sizeof *c);
        REQUIRE(c != NULL);
        c->channel = new_channel(capacity);
        pthread_t senders[THREADS];
        pthread_t receivers[THREADS];
        for (int i = 0; i < THREADS; i++) {
            REQUIRE(pthread_create(&senders[i], NULL, send_many, c) == 0);
            REQUIRE(pthread_create(&receivers[i], NULL, receive_many, c) == 0);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(senders[i], NULL);
        weir_channel_close(c->channel);
        for (int i = 0; i < THREADS; i++)
            pthread_join(receivers[i], NULL);
        int wrong = 0;
        for (int i = 0; i < THREADS * EACH; i++)
            wrong += c->seen[i] != 1;
        EXPECT_INT(wrong, 0);
        weir_channel_unref(c->channel);
        free(c);
    }
}

typedef struct fickle {
    weir_channel *channel;
    _Atomic(wi_task *) task;
    atomic_bool over;
    void *got;
    weir_status status;
} fickle;

static void *receive_fickly(void *arg)
{
    fickle *me = arg;
    wi_task task;
    wi_task_enter(&task, "fickle", 0);
    atomic_store(&me->task, &task);
    me->status = weir_channel_receive(me->channel, &me->got, NULL);
    while (!atomic_load(&me->over))
        weir_yield(NULL);
    wi_task_leave(&task);
    return NULL;
}

/* Either the receiver has the value or it is still there: never both, never neither. */
TEST(cancelling_races_with_handing_over)
{
    for (int i = 0; i < 500; i++) {
        fickle r = {.channel = new_channel(1)};
        pthread_t thread;
        void *left = NULL;
        REQUIRE(pthread_create(&thread, NULL, receive_fickly, &r) == 0);
        while (!atomic_load(&r.task))
            continue;
        for (int spin = 0; spin < i % 25 * 100; spin++)
            wi_park_now();
        if (i % 2) {
            EXPECT_INT(weir_channel_send(r.channel, &r, NULL), WEIR_OK);
            wi_task_cancel(atomic_load(&r.task));
        } else {
            wi_task_cancel(atomic_load(&r.task));
            EXPECT_INT(weir_channel_send(r.channel, &r, NULL), WEIR_OK);
        }
        atomic_store(&r.over, true);
        pthread_join(thread, NULL);
        weir_status status = weir_channel_try_receive(r.channel, &left, NULL);
        EXPECT(r.status == WEIR_OK ? r.got == &r && status == WEIR_AGAIN
                                   : r.status == WEIR_CANCELLED && left == &r && !r.got);
        weir_channel_unref(r.channel);
    }
}

static weir_status use_one(void)
{
    weir_channel *c;
    weir_status status = weir_channel_new(5, &c, NULL);
    if (!status)
        weir_channel_unref(c);
    return status;
}

TEST(channels_survive_lack_of_memory)
{
    TORTURE(use_one());
}

TEST(a_channel_has_its_bounds)
{
    weir_channel *c = NULL;
    EXPECT_INT(weir_channel_new(SIZE_MAX, &c, NULL), WEIR_INVALID);
    EXPECT_INT(weir_channel_new(SIZE_MAX / sizeof(void *), &c, NULL), WEIR_INVALID);
    EXPECT(!c);
}

TESTS(CASE(values_come_out_in_their_order), CASE(what_is_inside_outlasts_the_close),
      CASE(without_room_a_sender_waits_for_its_receiver), CASE(those_who_wait_are_served_in_turn),
      CASE(closing_wakes_all), CASE(giving_up_loses_nothing),
      CASE(a_task_that_is_to_end_neither_sends_nor_receives), CASE(many_threads_share_a_channel),
      CASE(cancelling_races_with_handing_over), CASE(channels_survive_lack_of_memory),
      CASE(a_channel_has_its_bounds))
