/*
 * gate.c: see gate.h. Its invariant: in_flight is the sum of what lanes entered and did not leave,
 * in total and per origin, and never above what enter was asked to respect at that moment.
 */
#include "gate.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "limit.h"
#include "list.h"
#include "map.h"

struct wi_origin {
    wi_origin *next;
    size_t index;
    wi_limit limit;
    int64_t in_flight;
    double tokens;
    int64_t tokens_at;
    int64_t held_until;
    size_t name_len;
    char name[];
};

struct wi_gate {
    wi_gate_options options;
    double burst;
    pthread_mutex_t lock; /* everything below */
    wi_map by_name;
    wi_origin *origins;
    int64_t in_flight;
    int64_t peak;
    int64_t lane_in_flight[WI_MAX_LANES];
    bool waits[WI_MAX_LANES]; /* was turned away for want of a slot */
};

weir_status wi_gate_new(const wi_gate_options *options, wi_gate **out, weir_error *err)
{
    wi_gate *gate = calloc(1, sizeof *gate);
    if (!gate)
        return wi_fail_nomem(err);
    gate->options = *options;
    /* A twentieth of a second's worth may start at once: smooth, yet no timer per request. */
    gate->burst = options->rate / 20 > 1 ? options->rate / 20 : 1;
    pthread_mutex_init(&gate->lock, NULL);
    *out = gate;
    return WEIR_OK;
}

void wi_gate_free(wi_gate *gate)
{
    if (!gate)
        return;
    while (gate->origins) {
        wi_origin *origin = gate->origins;
        gate->origins = origin->next;
        free(origin);
    }
    wi_map_fini(&gate->by_name);
    pthread_mutex_destroy(&gate->lock);
    free(gate);
}

static wi_origin *origin_new(wi_gate *gate, const char *name, size_t len)
{
    wi_origin *origin = calloc(1, sizeof *origin + len + 1);
    if (!origin)
        return NULL;
    memcpy(origin->name, name, len);
    origin->name_len = len;
    origin->tokens = gate->burst;
    const wi_gate_options *o = &gate->options;
    int64_t most = o->per_origin > 0 && o->per_origin < o->total ? o->per_origin : o->total;
    wi_limit_init(&origin->limit, o->find_limit ? 0 : most, most);
    if (!wi_map_put(&gate->by_name, origin->name, len, origin)) {
        free(origin);
        return NULL;
    }
    origin->index = gate->by_name.len - 1;
    origin->next = gate->origins;
    gate->origins = origin;
    return origin;
}

wi_origin *wi_gate_origin(wi_gate *gate, const char *name, size_t len)
{
    pthread_mutex_lock(&gate->lock);
    wi_origin *origin = wi_map_get(&gate->by_name, name, len);
    if (!origin)
        origin = origin_new(gate, name, len);
    pthread_mutex_unlock(&gate->lock);
    return origin;
}

size_t wi_origin_index(const wi_origin *origin)
{
    return origin->index;
}

const char *wi_origin_name(const wi_origin *origin)
{
    return origin->name;
}

static int64_t share(const wi_gate *gate)
{
    int64_t each = gate->options.total / gate->options.lanes;
    return each > 0 ? each : 1;
}

/* Is there a lane other than this one that waits and has less than its share? */
static bool owed_to_another(const wi_gate *gate, int lane)
{
    int64_t each = share(gate);
    for (int i = 0; i < gate->options.lanes; i++)
        if (i != lane && gate->waits[i] && gate->lane_in_flight[i] < each)
            return true;
    return false;
}

static bool slot_is_free(wi_gate *gate, wi_origin *origin, int lane, int64_t now, int64_t *again)
{
    int64_t limit = wi_limit_now(&origin->limit, now);
    bool full = gate->in_flight >= gate->options.total || origin->in_flight >= limit;
    bool owed = gate->lane_in_flight[lane] >= share(gate) && owed_to_another(gate, lane);
    if (!full && !owed)
        return true;
    gate->waits[lane] = true;
    *again = origin->in_flight >= limit ? wi_limit_next_rise(&origin->limit, now) : WI_FOREVER;
    return false;
}

static bool token_is_there(wi_gate *gate, wi_origin *origin, int64_t now, int64_t *again)
{
    double rate = gate->options.rate;
    if (rate <= 0)
        return true;
    if (origin->tokens_at) {
        origin->tokens += (double)(now - origin->tokens_at) * rate / WI_SECOND;
        if (origin->tokens > gate->burst)
            origin->tokens = gate->burst;
    }
    origin->tokens_at = now;
    if (origin->tokens >= 1)
        return true;
    *again = now + (int64_t)((1 - origin->tokens) * WI_SECOND / rate) + 1;
    return false;
}

bool wi_gate_enter(wi_gate *gate, wi_origin *origin, int lane, bool beyond, int64_t now,
                   int64_t *again)
{
    pthread_mutex_lock(&gate->lock);
    bool may = now >= origin->held_until;
    if (!may)
        *again = origin->held_until;
    may = may && (beyond || slot_is_free(gate, origin, lane, now, again)) &&
          token_is_there(gate, origin, now, again);
    if (may) {
        origin->tokens -= gate->options.rate > 0;
        origin->in_flight++;
        gate->lane_in_flight[lane]++;
        if (++gate->in_flight > gate->peak)
            gate->peak = gate->in_flight;
        wi_limit_begin(&origin->limit, now, origin->in_flight >= wi_limit_now(&origin->limit, now));
    }
    pthread_mutex_unlock(&gate->lock);
    return may;
}

static void leave(wi_gate *gate, wi_origin *origin, int lane, bool poke[])
{
    origin->in_flight--;
    gate->in_flight--;
    gate->lane_in_flight[lane]--;
    int64_t each = share(gate);
    for (int i = 0; i < gate->options.lanes; i++) {
        poke[i] =
            i != lane && gate->waits[i] && (gate->lane_in_flight[i] < each || !gate->waits[lane]);
        if (poke[i])
            gate->waits[i] = false;
    }
}

static void poke_lanes(wi_gate *gate, const bool poke[])
{
    for (int i = 0; i < gate->options.lanes; i++)
        if (poke[i])
            gate->options.poke(gate->options.poke_arg, i);
}

void wi_gate_leave(wi_gate *gate, wi_origin *origin, int lane, int64_t now, int64_t duration,
                   bool overload, int64_t hold)
{
    bool poke[WI_MAX_LANES];
    pthread_mutex_lock(&gate->lock);
    wi_limit_end(&origin->limit, now, duration, overload);
    if (hold > 0 && now + hold > origin->held_until)
        origin->held_until = now + hold;
    leave(gate, origin, lane, poke);
    pthread_mutex_unlock(&gate->lock);
    poke_lanes(gate, poke);
}

void wi_gate_leave_quietly(wi_gate *gate, wi_origin *origin, int lane)
{
    bool poke[WI_MAX_LANES];
    pthread_mutex_lock(&gate->lock);
    leave(gate, origin, lane, poke);
    pthread_mutex_unlock(&gate->lock);
    poke_lanes(gate, poke);
}

void wi_gate_forget(wi_gate *gate, int lane)
{
    bool poke[WI_MAX_LANES] = {false};
    pthread_mutex_lock(&gate->lock);
    gate->waits[lane] = false;
    if (gate->in_flight < gate->options.total)
        for (int i = 0; i < gate->options.lanes; i++) {
            poke[i] = gate->waits[i];
            gate->waits[i] = false;
        }
    pthread_mutex_unlock(&gate->lock);
    poke_lanes(gate, poke);
}

void wi_gate_numbers_get(wi_gate *gate, int64_t now, wi_gate_numbers *numbers)
{
    *numbers = (wi_gate_numbers){0};
    pthread_mutex_lock(&gate->lock);
    numbers->in_flight = gate->in_flight;
    numbers->peak = gate->peak;
    numbers->origins = (int64_t)gate->by_name.len;
    for (wi_origin *origin = gate->origins; origin; origin = origin->next) {
        numbers->limit += wi_limit_now(&origin->limit, now);
        if (origin->held_until > now && origin->held_until > numbers->held_until)
            numbers->held_until = origin->held_until;
    }
    pthread_mutex_unlock(&gate->lock);
    if (numbers->limit > gate->options.total)
        numbers->limit = gate->options.total;
}
