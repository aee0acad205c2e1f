/*
 * gate.c: see gate.h. Its invariants: in_flight is the sum of what lanes entered and did not leave,
 * in total and per origin, and never above what enter was asked to respect at that moment; and a
 * lane that was turned away keeps its ticket until it enters, so that who is quicker at hand does
 * not take every slot before it.
 */
#include "gate.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "limit.h"
#include "list.h"
#include "map.h"

#define LONGEST_WAIT ((int64_t)1 << 60)

/* What one lane has of a limit. */
typedef struct claim {
    int64_t in_flight;
    uint64_t ticket; /* since when it waits for a slot; 0: it does not */
} claim;

struct wi_origin {
    wi_origin *next;
    size_t index;
    wi_limit limit;
    int64_t in_flight;
    double tokens;
    int64_t tokens_at;
    int64_t held_until;
    const char *name;
    claim claims[]; /* by lane; the name stands behind them */
};

struct wi_gate {
    wi_gate_options options;
    double burst;
    pthread_mutex_t lock; /* everything below */
    wi_map by_name;
    wi_origin *origins;
    int64_t in_flight;
    int64_t peak;
    uint64_t last_ticket;
    claim claims[WI_MAX_LANES]; /* on the total */
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
    size_t claims = (size_t)gate->options.lanes * sizeof(claim);
    wi_origin *origin = calloc(1, sizeof *origin + claims + len + 1);
    if (!origin)
        return NULL;
    origin->name = memcpy((char *)origin->claims + claims, name, len);
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

static int64_t share(const wi_gate *gate, int64_t limit)
{
    int64_t each = limit / gate->options.lanes;
    return each > 0 ? each : 1;
}

/*
 * Is the next slot another lane's? One that waits and has less than its share comes before those
 * that have theirs; and where there are fewer slots than lanes, who waits longest comes first.
 */
static bool is_owed(const wi_gate *gate, const claim *claims, int lane, int64_t limit)
{
    int64_t each = share(gate, limit);
    const claim *mine = &claims[lane];
    for (int i = 0; i < gate->options.lanes; i++) {
        if (i == lane || !claims[i].ticket || claims[i].in_flight >= each)
            continue;
        bool longer = !mine->ticket || claims[i].ticket < mine->ticket;
        if (mine->in_flight >= each || (limit < gate->options.lanes && longer))
            return true;
    }
    return false;
}

static void wait_for(wi_gate *gate, claim *mine)
{
    if (!mine->ticket)
        mine->ticket = ++gate->last_ticket;
}

static bool slot_is_free(wi_gate *gate, wi_origin *origin, int lane, int64_t now, int64_t *again)
{
    const wi_gate_options *options = &gate->options;
    int64_t total = options->total;
    int64_t limit = wi_limit_now(&origin->limit, now);
    if (options->lane_most && gate->claims[lane].in_flight >= options->lane_most) {
        *again = WI_FOREVER; /* when one of its own ends it looks again by itself */
        return false;
    }
    if (gate->in_flight >= total || is_owed(gate, gate->claims, lane, total)) {
        wait_for(gate, &gate->claims[lane]);
        *again = WI_FOREVER;
        return false;
    }
    gate->claims[lane].ticket = 0;
    if (origin->in_flight >= limit || is_owed(gate, origin->claims, lane, limit)) {
        wait_for(gate, &origin->claims[lane]);
        *again = wi_limit_next_rise(&origin->limit, now);
        return false;
    }
    return true;
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
    double wait = (1 - origin->tokens) * WI_SECOND / rate;
    *again = now + (wait < LONGEST_WAIT ? (int64_t)wait : LONGEST_WAIT) + 1;
    return false;
}

/* Those who wait and have less than their share; and, if `all`, the others who wait too. */
static void choose(const wi_gate *gate, const claim *claims, int lane, int64_t limit, bool all,
                   bool poke[])
{
    int64_t each = share(gate, limit);
    for (int i = 0; i < gate->options.lanes; i++)
        if (i != lane && claims[i].ticket && (all || claims[i].in_flight < each))
            poke[i] = true;
}

static void poke_lanes(wi_gate *gate, const bool poke[])
{
    for (int i = 0; i < gate->options.lanes; i++)
        if (poke[i])
            gate->options.poke(gate->options.poke_arg, i);
}

/* Those who let the lane go first may find that there is room for them too. */
static void take_slot(wi_gate *gate, wi_origin *origin, int lane, int64_t now, bool poke[])
{
    int64_t total = gate->options.total;
    int64_t limit = wi_limit_now(&origin->limit, now);
    bool waited = gate->claims[lane].ticket || origin->claims[lane].ticket;
    origin->tokens -= gate->options.rate > 0;
    origin->in_flight++;
    origin->claims[lane].in_flight++;
    origin->claims[lane].ticket = 0;
    gate->claims[lane].in_flight++;
    gate->claims[lane].ticket = 0;
    if (++gate->in_flight > gate->peak)
        gate->peak = gate->in_flight;
    wi_limit_begin(&origin->limit, now, origin->in_flight >= limit);
    if (!waited || gate->in_flight >= total)
        return;
    choose(gate, gate->claims, lane, total, false, poke);
    if (origin->in_flight < limit)
        choose(gate, origin->claims, lane, limit, false, poke);
}

bool wi_gate_enter(wi_gate *gate, wi_origin *origin, int lane, bool beyond, int64_t now,
                   int64_t *again)
{
    bool poke[WI_MAX_LANES] = {false};
    pthread_mutex_lock(&gate->lock);
    bool may = now >= origin->held_until;
    if (!may)
        *again = origin->held_until;
    may = may && (beyond || slot_is_free(gate, origin, lane, now, again)) &&
          token_is_there(gate, origin, now, again);
    if (may)
        take_slot(gate, origin, lane, now, poke);
    pthread_mutex_unlock(&gate->lock);
    poke_lanes(gate, poke);
    return may;
}

static void leave(wi_gate *gate, wi_origin *origin, int lane, bool poke[])
{
    origin->in_flight--;
    origin->claims[lane].in_flight--;
    gate->in_flight--;
    gate->claims[lane].in_flight--;
    int64_t limit = (int64_t)origin->limit.limit;
    choose(gate, gate->claims, lane, gate->options.total, !gate->claims[lane].ticket, poke);
    choose(gate, origin->claims, lane, limit, !origin->claims[lane].ticket, poke);
}

void wi_gate_leave(wi_gate *gate, wi_origin *origin, int lane, int64_t now, int64_t duration,
                   bool overload, int64_t hold)
{
    bool poke[WI_MAX_LANES] = {false};
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
    bool poke[WI_MAX_LANES] = {false};
    pthread_mutex_lock(&gate->lock);
    leave(gate, origin, lane, poke);
    pthread_mutex_unlock(&gate->lock);
    poke_lanes(gate, poke);
}

int64_t wi_gate_origins(wi_gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    int64_t n = (int64_t)gate->by_name.len;
    pthread_mutex_unlock(&gate->lock);
    return n;
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
