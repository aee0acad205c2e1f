/*
 * weir/channel.h: a bounded queue between tasks of any kind (but not between processes).
 *
 * Values are pointers and pass from hand to hand. Any number may send and receive, from any thread
 * or fiber; each value is received once, in the order in which it was sent. A call that waits ends
 * early when the calling task is cancelled or past its deadline; nothing was sent or received then.
 * Those who wait are served in turn. Send and receive of a task that is to end fail even if they
 * would not have to wait; the try_ ones serve it to clear up.
 */
#ifndef WEIR_CHANNEL_H
#define WEIR_CHANNEL_H

#include <stddef.h>

#include "weir/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_channel weir_channel;

/*
 * Makes a channel with one reference. capacity: values sent and not yet received, at most 2^28; 0:
 * send waits until a receiver has the value. WEIR_INVALID, WEIR_NOMEM.
 */
weir_status weir_channel_new(size_t capacity, weir_channel **out, weir_error *err);

/* Takes one reference more; returns the channel. */
weir_channel *weir_channel_ref(weir_channel *channel);

/* Gives one reference back; the last frees it. Values still inside are lost, so close and drain it
 * first. NULL is fine. */
void weir_channel_unref(weir_channel *channel);

/* Sends a value, after waiting for room if there is none. WEIR_CLOSED: the channel is closed, and
 * the value is still the caller's. */
weir_status weir_channel_send(weir_channel *channel, void *value, weir_error *err);

/* Receives the next value, after waiting for it if there is none. WEIR_CLOSED: the channel is
 * closed, and empty. */
weir_status weir_channel_receive(weir_channel *channel, void **value, weir_error *err);

/* Sends or receives without waiting: WEIR_AGAIN where that would be needed. */
weir_status weir_channel_try_send(weir_channel *channel, void *value, weir_error *err);
weir_status weir_channel_try_receive(weir_channel *channel, void **value, weir_error *err);

/* Closes a channel: nothing can be sent any more, and those who wait to send, or to receive when
 * nothing comes, are told; what is inside can still be received. May be called again. */
void weir_channel_close(weir_channel *channel);

/* Counts the values inside, now. */
size_t weir_channel_len(const weir_channel *channel);

#ifdef __cplusplus
}
#endif
#endif
