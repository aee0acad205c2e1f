/*
 * channel.c: see weir/channel.h. Its invariant: values pass from hand to hand under the lock, so
 * that somebody waits to send only while the channel is full, and to receive only while it is empty
 * and nobody waits to send; whoever comes new cannot overtake.
 */
#include "weir/channel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "error.h"
#include "list.h"
#include "task.h"

static const size_t CAPACITY_MAX = (size_t)1 << 28;

struct weir_channel {
    atomic_int refs;
    size_t capacity;

    pthread_mutex_t lock; /* over all below */
    bool closed;
    wi_list senders;
    wi_list receivers;
    size_t first;
    size_t len;
    void *values[]; /* a ring */
};

/* Somebody who waits; in its list until it was served or the channel was closed. */
typedef struct waiter {
    wi_list node;
    wi_parker *parker;
    void *value;
    bool served;
} waiter;

weir_status weir_channel_new(size_t capacity, weir_channel **out, weir_error *err)
{
    if (capacity > CAPACITY_MAX)
        return wi_fail(err, WEIR_INVALID, "a channel holds at most %zu values, not %zu",
                       CAPACITY_MAX, capacity);
    weir_channel *channel = malloc(sizeof *channel + capacity * sizeof(void *));
    if (!channel)
        return wi_fail_nomem(err);
    *channel = (weir_channel){.refs = 1, .capacity = capacity};
    pthread_mutex_init(&channel->lock, NULL);
    wi_list_init(&channel->senders);
    wi_list_init(&channel->receivers);
    *out = channel;
    return WEIR_OK;
}

weir_channel *weir_channel_ref(weir_channel *channel)
{
    atomic_fetch_add_explicit(&channel->refs, 1, memory_order_relaxed);
    return channel;
}

void weir_channel_unref(weir_channel *channel)
{
    if (!channel || atomic_fetch_sub_explicit(&channel->refs, 1, memory_order_acq_rel) > 1)
        return;
    pthread_mutex_destroy(&channel->lock);
    free(channel);
}

/* ---- under the lock ---- */

static void push(weir_channel *channel, void *value)
{
    channel->values[(channel->first + channel->len++) % channel->capacity] = value;
}

static void *pop(weir_channel *channel)
{
    void *value = channel->values[channel->first];
    channel->first = (channel->first + 1) % channel->capacity;
    channel->len--;
    return value;
}

static waiter *serve_first(wi_list *waiters)
{
    wi_list *node = wi_list_shift(waiters);
    if (!node)
        return NULL;
    waiter *first = wi_container_of(node, waiter, node);
    first->served = true;
    wi_unpark(first->parker);
    return first;
}

static weir_status say_closed(weir_error *err)
{
    return wi_fail(err, WEIR_CLOSED, "the channel is closed");
}

static weir_status send_now(weir_channel *channel, void *value, weir_error *err)
{
    if (channel->closed)
        return say_closed(err);
    waiter *receiver = serve_first(&channel->receivers);
    if (receiver)
        receiver->value = value;
    else if (channel->len < channel->capacity)
        push(channel, value);
    else
        return wi_fail(err, WEIR_AGAIN, "the channel is full");
    return WEIR_OK;
}

static weir_status receive_now(weir_channel *channel, void **value, weir_error *err)
{
    if (channel->len) {
        *value = pop(channel);
        waiter *sender = serve_first(&channel->senders);
        if (sender)
            push(channel, sender->value);
        return WEIR_OK;
    }
    waiter *sender = serve_first(&channel->senders);
    if (sender)
        *value = sender->value;
    else if (channel->closed)
        return say_closed(err);
    else
        return wi_fail(err, WEIR_AGAIN, "the channel is empty");
    return WEIR_OK;
}

/* Waits to be served, which is looked at before anything else: what was handed over was. Gives the
 * lock away meanwhile. */
static weir_status wait_in(weir_channel *channel, wi_list *waiters, void **value, weir_error *err)
{
    weir_status status = WEIR_OK;
    wi_task_waiting waiting;
    wi_task_wait_begin(&waiting);
    waiter me = {.parker = waiting.parker, .value = *value};
    wi_list_append(waiters, &me.node);
    while (!me.served && !channel->closed && !status) {
        pthread_mutex_unlock(&channel->lock);
        status = wi_task_wait(&waiting, WI_FOREVER, err);
        pthread_mutex_lock(&channel->lock);
    }
    wi_list_remove(&me.node);
    wi_task_wait_end(&waiting);
    if (me.served) {
        *value = me.value;
        return WEIR_OK;
    }
    return status ? status : say_closed(err);
}

/* ---- in public ---- */

weir_status weir_channel_send(weir_channel *channel, void *value, weir_error *err)
{
    weir_status status = wi_task_check(err);
    if (status)
        return status;
    pthread_mutex_lock(&channel->lock);
    status = send_now(channel, value, NULL);
    if (status == WEIR_AGAIN)
        status = wait_in(channel, &channel->senders, &value, err);
    else if (status)
        say_closed(err);
    pthread_mutex_unlock(&channel->lock);
    return status;
}

weir_status weir_channel_receive(weir_channel *channel, void **value, weir_error *err)
{
    void *got = NULL;
    weir_status status = wi_task_check(err);
    if (status)
        return status;
    pthread_mutex_lock(&channel->lock);
    status = receive_now(channel, &got, NULL);
    if (status == WEIR_AGAIN)
        status = wait_in(channel, &channel->receivers, &got, err);
    else if (status)
        say_closed(err);
    pthread_mutex_unlock(&channel->lock);
    if (!status)
        *value = got;
    return status;
}

weir_status weir_channel_try_send(weir_channel *channel, void *value, weir_error *err)
{
    pthread_mutex_lock(&channel->lock);
    weir_status status = send_now(channel, value, err);
    pthread_mutex_unlock(&channel->lock);
    return status;
}

weir_status weir_channel_try_receive(weir_channel *channel, void **value, weir_error *err)
{
    pthread_mutex_lock(&channel->lock);
    weir_status status = receive_now(channel, value, err);
    pthread_mutex_unlock(&channel->lock);
    return status;
}

void weir_channel_close(weir_channel *channel)
{
    wi_list *node;
    pthread_mutex_lock(&channel->lock);
    channel->closed = true;
    while ((node = wi_list_shift(&channel->senders)))
        wi_unpark(wi_container_of(node, waiter, node)->parker);
    while ((node = wi_list_shift(&channel->receivers)))
        wi_unpark(wi_container_of(node, waiter, node)->parker);
    pthread_mutex_unlock(&channel->lock);
}

size_t weir_channel_len(const weir_channel *channel)
{
    weir_channel *open = (weir_channel *)channel; /* the lock is no part of its value */
    pthread_mutex_lock(&open->lock);
    size_t len = open->len;
    pthread_mutex_unlock(&open->lock);
    return len;
}
