/*
 * op.c: see op.h. Its invariant: nobody touches an operation after its waiter could see that it is
 * over. On a fiber that is so because all of it happens on one thread. For a thread, the service
 * loop says so under the service's lock, which the waiter takes once more before it returns.
 */
#include "op.h"

#include <stdlib.h>
#include <unistd.h>

#include "thread.h"

/* ---- the service loop: for threads that have none ---- */

static struct {
    pthread_mutex_t lock; /* over all below, and the last word about every thread's operation */
    wi_loop *loop;        /* NULL: it does not run */
    pthread_t thread;
    pid_t process;     /* that started it: a child of fork has no such thread */
    size_t operations; /* of threads, under way */
    bool stops_at_exit;
} service = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *serve(void *arg)
{
    wi_loop_run(arg, NULL);
    return NULL;
}

/* At exit. With an operation under way, on a thread that the program left behind, it stays. */
static void stop_service(void)
{
    pthread_mutex_lock(&service.lock);
    bool stops = service.loop && service.operations == 0 && service.process == getpid();
    wi_loop *loop = service.loop;
    pthread_t thread = service.thread;
    if (stops)
        service.loop = NULL;
    pthread_mutex_unlock(&service.lock);
    if (!stops)
        return;
    wi_loop_stop(loop);
    pthread_join(thread, NULL);
    wi_loop_free(loop); /* not before: wi_loop_stop may still be at work when the loop ends */
}

void wi_op_stop_first_at_exit(void)
{
    atexit(stop_service);
}

static weir_status start_service(weir_error *err)
{
    wi_loop *loop;
    weir_status status = wi_loop_new(wi_clock_real(), &loop, err);
    if (status != WEIR_OK)
        return status;
    status = wi_thread_start(&service.thread, "weir-io", serve, loop, err);
    if (status != WEIR_OK) {
        wi_loop_free(loop);
        return status;
    }
    service.loop = loop;
    service.process = getpid();
    if (!service.stops_at_exit)
        service.stops_at_exit = atexit(stop_service) == 0;
    return WEIR_OK;
}

static weir_status service_enter(wi_loop **loop, weir_error *err)
{
    pthread_mutex_lock(&service.lock);
    weir_status status = service.loop ? WEIR_OK : start_service(err);
    if (status == WEIR_OK) {
        service.operations++;
        *loop = service.loop;
    }
    pthread_mutex_unlock(&service.lock);
    return status;
}

static void service_leave(void)
{
    pthread_mutex_lock(&service.lock);
    service.operations--;
    pthread_mutex_unlock(&service.lock);
}

/* ---- operations ---- */

static bool over(wi_op *op)
{
    return atomic_load(&op->ended) && !atomic_load(&op->cancelling);
}

static void call_begin(void *arg)
{
    wi_op *op = arg;
    op->begin(op);
}

static void call_cancel(void *arg)
{
    wi_op *op = arg;
    op->cancel(op);
}

static void on_begin_post(wi_post *post)
{
    call_begin(wi_container_of(post, wi_op, begin_post));
}

static void on_cancel_post(wi_post *post)
{
    wi_op *op = wi_container_of(post, wi_op, cancel_post);
    if (!atomic_load(&op->ended))
        op->cancel(op);
    pthread_mutex_lock(&service.lock);
    atomic_store(&op->cancelling, false);
    wi_unpark(op->waiter);
    pthread_mutex_unlock(&service.lock);
}

void wi_op_end(wi_op *op)
{
    if (op->waiter->fiber) {
        atomic_store(&op->ended, true);
        wi_unpark(op->waiter);
        return;
    }
    pthread_mutex_lock(&service.lock);
    atomic_store(&op->ended, true);
    wi_unpark(op->waiter);
    pthread_mutex_unlock(&service.lock);
}

static weir_status begin_now(wi_op *op, weir_error *err)
{
    if (op->waiter->fiber) {
        op->loop = wi_fiber_loop(op->waiter->fiber);
        wi_fiber_call(call_begin, op);
        return WEIR_OK;
    }
    weir_status status = service_enter(&op->loop, err);
    if (status != WEIR_OK)
        return status;
    wi_post_init(&op->begin_post, on_begin_post);
    wi_loop_post(op->loop, &op->begin_post);
    return WEIR_OK;
}

static void cancel_now(wi_op *op)
{
    if (op->waiter->fiber) {
        wi_fiber_call(call_cancel, op);
        return;
    }
    atomic_store(&op->cancelling, true);
    wi_post_init(&op->cancel_post, on_cancel_post);
    wi_loop_post(op->loop, &op->cancel_post);
}

weir_status wi_op_run(wi_op *op, void (*begin)(wi_op *op), void (*cancel)(wi_op *op),
                      weir_error *err)
{
    weir_status status = op->begins_anyway ? WEIR_OK : wi_task_check(err);
    if (status != WEIR_OK)
        return status;
    wi_task_waiting waiting;
    wi_task_wait_begin(&waiting);
    op->begin = begin;
    op->cancel = cancel;
    op->waiter = waiting.parker;
    atomic_init(&op->ended, false);
    atomic_init(&op->cancelling, false);
    bool on_thread = !waiting.parker->fiber;
    status = begin_now(op, err);
    if (status != WEIR_OK) {
        wi_task_wait_end(&waiting);
        return status;
    }
    while (!over(op) && (status = wi_task_wait(&waiting, WI_FOREVER, err)) == WEIR_OK)
        continue;
    if (!over(op)) {
        cancel_now(op);
        while (!over(op))
            wi_task_wait_deaf(&waiting);
    }
    wi_task_wait_end(&waiting);
    if (on_thread)
        service_leave();
    return status;
}
