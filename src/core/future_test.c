/* future_test.c: one future of the program's own: states, moving results, callbacks, races. */
#include "weir/future.h"

#include <pthread.h>
#include <stdlib.h>

#include "clock.h"
#include "future_state.h"
#include "on_fibers.h"
#include "torture.h"
#include "weir/wait.h"

static int released;

static void count_release(void *value)
{
    (void)value;
    released++;
}

static weir_future *new_future(void)
{
    weir_future *future = NULL;
    released = 0;
    EXPECT(weir_future_new(count_release, &future, NULL) == WEIR_OK);
    return future;
}

/* ---- states ---- */

TEST(a_future_goes_from_pending_to_running_to_finished)
{
    int value = 7;
    void *got = NULL;
    weir_future *f = new_future();
    EXPECT_INT(weir_future_get_state(f), WEIR_FUTURE_PENDING);
    EXPECT(!weir_future_done(f) && !weir_future_running(f) && !weir_future_cancelled(f));
    EXPECT_INT(weir_future_start(f), 1);
    EXPECT_INT(weir_future_start(f), 0);
    EXPECT(!weir_future_done(f) && weir_future_running(f));
    EXPECT_INT(weir_future_complete(f, &value), 1);
    EXPECT_INT(weir_future_complete(f, NULL), 0);
    EXPECT_INT(weir_future_fail(f, &(weir_error){.status = WEIR_IO}), 0);
    EXPECT_INT(weir_future_start(f), 0);
    EXPECT(weir_future_done(f) && !weir_future_running(f) && !weir_future_cancelled(f));
    EXPECT_INT(weir_future_error(f, -1, NULL), WEIR_OK);
    EXPECT_INT(weir_future_result(f, -1, &got, NULL), WEIR_OK);
    EXPECT(got == &value);
    weir_future_unref(f);
    EXPECT_INT(released, 0);
}

TEST(a_result_is_given_once)
{
    int value;
    void *got = NULL;
    weir_error err;
    weir_future *f = new_future();
    weir_future_complete(f, &value);
    EXPECT_INT(weir_future_result(f, 0, &got, NULL), WEIR_OK);
    got = NULL;
    EXPECT_INT(weir_future_result(f, 0, &got, &err), WEIR_INVALID);
    EXPECT(!got && strstr(err.text, "taken before"));
    EXPECT_INT(weir_future_error(f, 0, NULL), WEIR_OK);
    weir_future_unref(f);
    EXPECT_INT(released, 0);
}

TEST(what_nobody_took_is_released)
{
    int value;
    weir_future *f = weir_future_ref(new_future());
    weir_future_complete(f, &value);
    weir_future_unref(f);
    EXPECT_INT(released, 0);
    weir_future_unref(f);
    EXPECT_INT(released, 1);
    weir_future_unref(new_future()); /* there was nothing to release */
    EXPECT_INT(released, 0);
    weir_future_unref(NULL);
}

TEST(an_error_is_copied_and_stays)
{
    void *got = &released;
    weir_error why = {.status = WEIR_IO, .sys_errno = 5, .text = "the disk is gone"};
    weir_error err;
    weir_future *f = new_future();
    EXPECT_INT(weir_future_fail(f, &(weir_error){.status = WEIR_OK}), 0);
    EXPECT_INT(weir_future_fail(f, &why), 1);
    memset(&why, 0, sizeof why);
    EXPECT_INT(weir_future_get_state(f), WEIR_FUTURE_FINISHED);
    for (int i = 0; i < 2; i++) {
        EXPECT_INT(weir_future_result(f, -1, &got, &err), WEIR_IO);
        EXPECT_INT(err.status, WEIR_IO);
        EXPECT_INT(err.sys_errno, 5);
        EXPECT_STR(err.text, "the disk is gone");
        EXPECT_INT(weir_future_error(f, -1, NULL), WEIR_IO);
    }
    EXPECT(got == &released);
    weir_future_unref(f);
}

TEST(cancelling_in_each_state)
{
    weir_error err;
    void *got = &released;
    weir_future *f = new_future();
    EXPECT_INT(weir_future_cancel(f), WEIR_CANCEL_DONE);
    EXPECT_INT(weir_future_cancel(f), WEIR_CANCEL_DONE);
    EXPECT(weir_future_done(f) && weir_future_cancelled(f));
    EXPECT_INT(weir_future_start(f), 0);
    EXPECT_INT(weir_future_complete(f, &released), 0);
    EXPECT_INT(weir_future_result(f, 0, &got, &err), WEIR_CANCELLED);
    EXPECT_STR(err.text, "the future was cancelled");
    EXPECT(got == &released);
    weir_future_unref(f);
    EXPECT_INT(released, 0);

    f = new_future();
    EXPECT_INT(weir_future_start(f), 1);
    EXPECT_INT(weir_future_cancel(f), WEIR_CANCEL_TOO_LATE);
    EXPECT(weir_future_running(f));
    weir_future_fail(f, &(weir_error){.status = WEIR_CANCELLED});
    EXPECT_INT(weir_future_get_state(f), WEIR_FUTURE_FINISHED);
    EXPECT_INT(weir_future_cancel(f), WEIR_CANCEL_TOO_LATE);
    weir_future_unref(f);
}

TEST(a_timeout_of_0_does_not_wait)
{
    weir_error err;
    void *got;
    weir_future *f = new_future();
    EXPECT_INT(weir_future_result(f, 0, &got, &err), WEIR_TIMEDOUT);
    EXPECT_INT(weir_future_error(f, 0, &err), WEIR_TIMEDOUT);
    EXPECT_INT(weir_future_error(f, 1, &err), WEIR_TIMEDOUT);
    EXPECT(!weir_future_done(f));
    weir_future_unref(f);
}

/* ---- callbacks ---- */

typedef struct note {
    char *text;
    char mark;
} note;

static void write_note(weir_future *future, void *arg)
{
    note *n = arg;
    EXPECT(weir_future_done(future));
    n->text[strlen(n->text)] = n->mark;
}

static void write_note_and_add(weir_future *future, void *arg)
{
    note now = {((note *)arg)->text, 'x'};
    write_note(future, arg);
    EXPECT_INT(weir_future_add_done_callback(future, write_note, &now, NULL), WEIR_OK);
}

TEST(callbacks_come_in_the_order_they_were_added)
{
    for (int ending = 0; ending < 3; ending++) {
        char text[8] = "";
        note notes[] = {{text, 'a'}, {text, 'b'}, {text, 'c'}, {text, 'd'}};
        weir_future *f = new_future();
        weir_future_add_done_callback(f, write_note, &notes[0], NULL);
        weir_future_add_done_callback(f, write_note_and_add, &notes[1], NULL);
        weir_future_add_done_callback(f, write_note, &notes[2], NULL);
        EXPECT_STR(text, "");
        if (ending == 0)
            weir_future_complete(f, NULL);
        else if (ending == 1)
            weir_future_fail(f, &(weir_error){.status = WEIR_IO});
        else
            weir_future_cancel(f);
        EXPECT_STR(text, "abxc");
        weir_future_add_done_callback(f, write_note, &notes[3], NULL);
        EXPECT_STR(text, "abxcd");
        weir_future_unref(f);
    }
}

static void drop(weir_future *future, void *arg)
{
    weir_future_unref(arg);
    EXPECT(weir_future_done(future));
}

TEST(a_future_lives_until_its_callbacks_have_returned)
{
    char text[8] = "";
    note after = {text, 'a'};
    weir_future *f = new_future();
    weir_future_add_done_callback(f, drop, f, NULL);
    weir_future_add_done_callback(f, write_note, &after, NULL);
    weir_future_complete(f, &released);
    EXPECT_STR(text, "a");
    EXPECT_INT(released, 1);
    f = new_future(); /* and those of one that never ended are not called */
    weir_future_add_done_callback(f, write_note, &after, NULL);
    weir_future_unref(f);
    EXPECT_STR(text, "a");
}

/* ---- races ---- */

enum { RACERS = 4, RACES = 400 };

typedef struct race {
    weir_future *future;
    pthread_barrier_t start;
    atomic_int won;
    atomic_int called;
    atomic_int taken;
    atomic_int ticket;
} race;

static void count_call(weir_future *future, void *arg)
{
    race *r = arg;
    EXPECT(weir_future_done(future));
    atomic_fetch_add(&r->called, 1);
}

static void *compete(void *arg)
{
    race *r = arg;
    int me = atomic_fetch_add(&r->ticket, 1);
    void *got = NULL;
    pthread_barrier_wait(&r->start);
    weir_future_add_done_callback(r->future, count_call, r, NULL);
    if (me % 3 == 0)
        r->won += weir_future_cancel(r->future) == WEIR_CANCEL_DONE ? 100 : 0;
    else if (weir_future_complete(r->future, r))
        r->won++;
    weir_status status = weir_future_result(r->future, -1, &got, NULL);
    if (!status) {
        EXPECT(got == r);
        atomic_fetch_add(&r->taken, 1);
    } else
        EXPECT(status == WEIR_CANCELLED || status == WEIR_INVALID);
    weir_future_unref(r->future);
    return NULL;
}

TEST(a_future_ends_once_whoever_tries)
{
    for (int i = 0; i < RACES; i++) {
        race r = {.future = new_future()};
        pthread_t threads[RACERS];
        pthread_barrier_init(&r.start, NULL, RACERS);
        for (int t = 0; t < RACERS; t++) {
            weir_future_ref(r.future);
            REQUIRE(pthread_create(&threads[t], NULL, compete, &r) == 0);
        }
        for (int t = 0; t < RACERS; t++)
            pthread_join(threads[t], NULL);
        bool cancelled = weir_future_cancelled(r.future);
        EXPECT(cancelled ? r.won >= 100 && r.won % 100 == 0 : r.won == 1);
        EXPECT_INT(r.taken, !cancelled);
        EXPECT_INT(r.called, RACERS);
        weir_future_unref(r.future);
        pthread_barrier_destroy(&r.start);
    }
}

static void *complete_it(void *arg)
{
    EXPECT_INT(weir_future_complete(arg, arg), 1);
    weir_future_unref(arg);
    return NULL;
}

TEST(waiting_and_completing_at_once)
{
    for (int i = 0; i < RACES; i++) {
        void *got = NULL;
        weir_future *f = new_future();
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, complete_it, weir_future_ref(f)) == 0);
        weir_status status = weir_future_result(f, i % 2 ? -1 : i * 500, &got, NULL);
        if (i % 2 || status != WEIR_TIMEDOUT)
            EXPECT(status == WEIR_OK && got == f);
        weir_future_unref(f);
        pthread_join(thread, NULL);
    }
}

/* ---- on fibers ---- */

static void ask_for_it(void *arg)
{
    void *got = NULL;
    EXPECT_INT(weir_future_result(arg, 100, &got, NULL), WEIR_TIMEDOUT);
    EXPECT_INT(wi_park_now(), 1100);
    EXPECT_INT(weir_future_result(arg, -1, &got, NULL), WEIR_OK);
    EXPECT_INT(wi_park_now(), 1300);
    EXPECT(got == arg);
}

static void give_it(void *arg)
{
    EXPECT_INT(weir_sleep(300, NULL), WEIR_OK);
    EXPECT_INT(weir_future_complete(arg, arg), 1);
}

TEST(a_fiber_waits_for_another)
{
    on_fibers fibers;
    weir_future *f = new_future();
    REQUIRE(fibers_begin(&fibers));
    fibers_go(&fibers, ask_for_it, f);
    fibers_go(&fibers, give_it, f);
    fibers_end(&fibers);
    weir_future_unref(f);
}

/* ---- without memory ---- */

static weir_status use_one(void)
{
    weir_future *f;
    char text[8] = "";
    note n = {text, 'a'};
    weir_error err;
    weir_status status = weir_future_new(NULL, &f, &err);
    if (status)
        return status;
    status = weir_future_add_done_callback(f, write_note, &n, &err);
    EXPECT_INT(weir_future_fail(f, &(weir_error){.status = WEIR_IO, .text = "why"}), 1);
    EXPECT_STR(text, status ? "" : "a");
    EXPECT_INT(weir_future_error(f, -1, &err), WEIR_IO);
    EXPECT(strcmp(err.text, "why") == 0 || strcmp(err.text, "input/output error") == 0);
    weir_future_unref(f);
    return status;
}

TEST(futures_survive_lack_of_memory)
{
    TORTURE(use_one());
}

TESTS(CASE(a_future_goes_from_pending_to_running_to_finished), CASE(a_result_is_given_once),
      CASE(what_nobody_took_is_released), CASE(an_error_is_copied_and_stays),
      CASE(cancelling_in_each_state), CASE(a_timeout_of_0_does_not_wait),
      CASE(callbacks_come_in_the_order_they_were_added),
      CASE(a_future_lives_until_its_callbacks_have_returned),
      CASE(a_future_ends_once_whoever_tries), CASE(waiting_and_completing_at_once),
      CASE(a_fiber_waits_for_another), CASE(futures_survive_lack_of_memory))
