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

#include "breaker.h"
#include "clock.h"
#include "limit.h"
#include "list.h"
#include "map.h"
#include "pace.h"
#include "quota.h"

#define MEMORY WI_SECOND

enum {
    SPARE_PART = 8,      /* of the total is kept for who may come */
    MOST_LOOKED_AT = 64, /* other origins, to see what they had */
};

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
    wi_list recent; /* in gate->recent */
    int64_t seen;
    int64_t used;    /* the most it had in flight lately, or would have had; */
    int64_t used_at; /* since then */
    wi_bucket given; /* the rate that the user gave */
    wi_pace pace;
    wi_quota quota;
    wi_breaker breaker;
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
    wi_list recent; /* origins that have a share of the total, longest unheard of first */
    int64_t active; /* so many */
    bool spared[WI_MAX_LANES]; /* turned away so that something is spared for other origins */
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
    wi_list_init(&gate->recent);
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
    const wi_gate_options *o = &gate->options;
    origin->given = (wi_bucket){.rate = o->rate, .burst = gate->burst, .tokens = gate->burst};
    wi_breaker_init(&origin->breaker, o->patience);
    wi_list_init(&origin->recent);
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

static void use(wi_origin *origin, int64_t n, int64_t now)
{
    origin->used = n;
    origin->used_at = now;
}

/* The origins with something in flight, or that were heard of in the last second, have a share. */
static void see(wi_gate *gate, wi_origin *origin, int64_t now)
{
    gate->active += wi_list_empty(&origin->recent);
    wi_list_remove(&origin->recent);
    wi_list_append(&gate->recent, &origin->recent);
    origin->seen = now;
    if (now - origin->used_at > MEMORY)
        use(origin, origin->in_flight, now);
    for (;;) {
        wi_origin *oldest = wi_container_of(gate->recent.next, wi_origin, recent);
        if (oldest->seen > now - MEMORY)
            return;
        wi_list_remove(&oldest->recent);
        use(oldest, oldest->in_flight, now);
        if (oldest->in_flight > 0) {
            wi_list_append(&gate->recent, &oldest->recent);
            oldest->seen = now;
        } else {
            gate->active--;
        }
    }
}

static int64_t fair_share(const wi_gate *gate)
{
    int64_t each = gate->options.total / gate->active;
    return each > 0 ? each : 1;
}

/* What others would still have if they had their share, as far as they want it. */
static int64_t kept_for_others(const wi_gate *gate, const wi_origin *origin)
{
    int64_t each = fair_share(gate);
    int64_t kept = 0;
    int64_t looked_at = 0;
    const wi_list *node = gate->recent.next;
    for (; node != &gate->recent && looked_at < MOST_LOOKED_AT; node = node->next, looked_at++) {
        const wi_origin *other = wi_container_of(node, wi_origin, recent);
        int64_t wanted = other->used < each ? other->used : each;
        if (other != origin && wanted > other->in_flight)
            kept += wanted - other->in_flight;
    }
    int64_t least = gate->active > 1 ? gate->options.total / SPARE_PART : 0;
    return kept > least ? kept : least;
}

/*
 * May it have one more of the total? Below its even share of that always; beyond, as long as what
 * the others had lately is left for them, and a little for who may come. So an origin that is slow
 * and keeps what it has cannot take it all from those that are quick and give theirs back; and
 * alone it may have everything.
 */
static bool is_fair(const wi_gate *gate, const wi_origin *origin)
{
    return origin->in_flight < fair_share(gate) ||
           gate->options.total - gate->in_flight > kept_for_others(gate, origin);
}

static bool slot_is_free(wi_gate *gate, wi_origin *origin, int lane, int64_t now, int64_t *again)
{
    const wi_gate_options *options = &gate->options;
    int64_t total = options->total;
    int64_t limit = wi_limit_now(&origin->limit, now);
    *again = WI_FOREVER;
    if (options->lane_most && gate->claims[lane].in_flight >= options->lane_most)
        return false; /* when one of its own ends it looks again by itself */
    if (gate->in_flight < total && !is_fair(gate, origin)) {
        gate->spared[lane] = true;
        return false;
    }
    if (gate->in_flight >= total || is_owed(gate, gate->claims, lane, total)) {
        use(origin, total, now); /* it would have more */
        wait_for(gate, &gate->claims[lane]);
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

/* Those who wait and have less than their share; and, if `all`, the others who wait too. */
static void choose(const wi_gate *gate, const claim *claims, int lane, int64_t limit, bool all,
                   bool poke[])
{
    int64_t each = share(gate, limit);
    for (int i = 0; i < gate->options.lanes; i++)
        if (i != lane && claims[i].ticket && (all || claims[i].in_flight < each))
            poke[i] = true;
}

static void choose_spared(wi_gate *gate, bool poke[])
{
    for (int i = 0; i < gate->options.lanes; i++) {
        poke[i] = poke[i] || gate->spared[i];
        gate->spared[i] = false;
    }
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
    wi_bucket_take(&origin->given);
    wi_bucket_take(&origin->pace.bucket);
    wi_quota_take(&origin->quota, now);
    wi_breaker_begin(&origin->breaker, now);
    if (++origin->in_flight > origin->used)
        use(origin, origin->in_flight, now);
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

/* Whatever concerns the origin alone, the latest of all. */
static bool origin_may(wi_origin *origin, int64_t now, int64_t *again)
{
    int64_t when = origin->held_until;
    int64_t other = 0;
    if (!wi_bucket_has(&origin->given, now, &other) && other > when)
        when = other;
    if (!wi_pace_may(&origin->pace, now, &other) && other > when)
        when = other;
    if (!wi_quota_may(&origin->quota, now, &other) && other > when)
        when = other;
    *again = when;
    return when <= now;
}

/* What is held back has no claim to a slot that others could use. */
static void give_way(wi_gate *gate, int lane)
{
    gate->claims[lane].ticket = 0;
}

/* What fails unasked does not come back for the slot that it waits for: those who let it go first
 * would wait for ever. */
static void give_up(const wi_gate *gate, wi_origin *origin, int lane, bool poke[])
{
    if (!origin->claims[lane].ticket)
        return;
    origin->claims[lane].ticket = 0;
    choose(gate, origin->claims, lane, (int64_t)origin->limit.limit, true, poke);
}

static wi_entry enter(wi_gate *gate, wi_origin *origin, int lane, bool beyond, int64_t now,
                      int64_t *again, bool poke[])
{
    bool gone = false;
    if (!wi_breaker_may(&origin->breaker, now, again, &gone) || !origin_may(origin, now, again)) {
        give_way(gate, lane);
        if (gone)
            give_up(gate, origin, lane, poke);
        return gone ? WI_ENTRY_GONE : WI_ENTRY_LATER;
    }
    see(gate, origin, now);
    if (!beyond && !slot_is_free(gate, origin, lane, now, again))
        return WI_ENTRY_LATER;
    return WI_ENTRY_IN;
}

wi_entry wi_gate_enter(wi_gate *gate, wi_origin *origin, int lane, bool beyond, int64_t now,
                       int64_t *again)
{
    bool poke[WI_MAX_LANES] = {false};
    pthread_mutex_lock(&gate->lock);
    wi_entry entry = enter(gate, origin, lane, beyond, now, again, poke);
    if (entry == WI_ENTRY_IN)
        take_slot(gate, origin, lane, now, poke);
    pthread_mutex_unlock(&gate->lock);
    poke_lanes(gate, poke);
    return entry;
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
    choose_spared(gate, poke);
}

/* The pace knows of refusals by a rate; as long as it has none, fewer at once will do. */
static void learn(wi_origin *origin, int64_t now, const wi_leaving *leaving)
{
    int64_t began = now - leaving->duration;
    wi_signal signal = leaving->signal;
    bool was_set = wi_pace_is_set(&origin->pace);
    bool alone = origin->in_flight == 1 || origin->limit.limit < 2;
    if (signal == WI_SIGNAL_FINE)
        wi_pace_accepted(&origin->pace, now, began);
    bool told = wi_rate_hint_is_whole(&leaving->hint);
    if ((signal == WI_SIGNAL_RATE && !told) || (signal == WI_SIGNAL_BUSY && (was_set || alone))) {
        bool set = wi_pace_refused(&origin->pace, now, began, alone);
        if (set && !was_set)
            wi_limit_restore(&origin->limit, now);
        if (set)
            return;
    }
    wi_limit_end(&origin->limit, now, leaving->duration, signal);
}

static void hold(wi_origin *origin, int64_t now, int64_t time)
{
    if (time <= 0 || now + time <= origin->held_until)
        return;
    int64_t already = origin->held_until > now ? origin->held_until - now : 0;
    wi_pace_held(&origin->pace, time - already);
    origin->held_until = now + time;
}

bool wi_gate_leave(wi_gate *gate, wi_origin *origin, int lane, int64_t now,
                   const wi_leaving *leaving)
{
    bool poke[WI_MAX_LANES] = {false};
    pthread_mutex_lock(&gate->lock);
    learn(origin, now, leaving);
    if (wi_breaker_end(&origin->breaker, now, leaving->signal, leaving->why))
        memset(poke, true, sizeof poke);
    bool excused = wi_breaker_excuses(&origin->breaker, leaving->signal);
    hold(origin, now, leaving->hold);
    if (wi_rate_hint_is_whole(&leaving->hint))
        wi_quota_hear(&origin->quota, now, &leaving->hint, origin->in_flight - 1,
                      gate->options.longest_hold);
    else
        wi_quota_hear_nothing(&origin->quota, now - leaving->duration);
    leave(gate, origin, lane, poke);
    pthread_mutex_unlock(&gate->lock);
    poke_lanes(gate, poke);
    return excused;
}

void wi_gate_leave_quietly(wi_gate *gate, wi_origin *origin, int lane)
{
    bool poke[WI_MAX_LANES] = {false};
    pthread_mutex_lock(&gate->lock);
    leave(gate, origin, lane, poke);
    pthread_mutex_unlock(&gate->lock);
    poke_lanes(gate, poke);
}

void wi_gate_describe(wi_gate *gate, wi_origin *origin, char *text, size_t size)
{
    pthread_mutex_lock(&gate->lock);
    wi_breaker_describe(&origin->breaker, text, size);
    pthread_mutex_unlock(&gate->lock);
}

int64_t wi_gate_origins(wi_gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    int64_t n = (int64_t)gate->by_name.len;
    pthread_mutex_unlock(&gate->lock);
    return n;
}

static int64_t held_until(const wi_origin *origin, int64_t now)
{
    int64_t until = origin->held_until;
    int64_t others[] = {wi_breaker_until(&origin->breaker), wi_quota_until(&origin->quota, now)};
    for (int i = 0; i < 2; i++)
        until = others[i] > until ? others[i] : until;
    return until;
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
        int64_t until = held_until(origin, now);
        if (until > now && until > numbers->held_until)
            numbers->held_until = until;
    }
    pthread_mutex_unlock(&gate->lock);
    if (numbers->limit > gate->options.total)
        numbers->limit = gate->options.total;
}
