/*
 * crew.c: the foreman of a crew; see crew.h. Its invariant: a hand's thread is started and joined
 * by the foreman alone, and `ended` is called once, when none runs.
 */
#include <stdlib.h>
#include <time.h>

#include "collector.h"
#include "crew_state.h"
#include "thread.h"

enum {
    LOOKED_AT = 8,   /* hands, at once */
    PIECE_BITS = 16, /* of work, for the speed: an item, or 64 KiB of one */
};

/* How often there is a look round; more often as long as little is known. */
#define ROUND (5 * WI_MILLISECOND)
#define FIRST_ROUNDS (1 * WI_MILLISECOND)
#define FIRST_TIME (50 * WI_MILLISECOND)

static const wi_blocking *blocking_of(const wi_crew *crew)
{
    return crew->options.kind->blocking;
}

/* ---- hands ---- */

static weir_status add_hand(wi_crew *crew, weir_error *err)
{
    int index = atomic_load(&crew->made);
    wi_hand *hand = wi_hand_new(crew, index);
    if (!hand)
        return wi_fail_nomem(err);
    char name[16];
    wi_thread_name(name, "weir-hand", index + 1);
    crew->hands[index] = hand;
    pthread_mutex_lock(&crew->lock);
    crew->busy++;
    pthread_mutex_unlock(&crew->lock);
    weir_status status = wi_thread_start(&hand->thread, name, wi_hand_run, hand, err);
    if (status == WEIR_OK) {
        atomic_store(&crew->made, index + 1);
        return WEIR_OK;
    }
    pthread_mutex_lock(&crew->lock);
    crew->busy--;
    pthread_mutex_unlock(&crew->lock);
    crew->hands[index] = NULL;
    wi_hand_free(hand);
    return status;
}

/* Has so many work, if they can be had: fewer will do as well, but for one. */
static void want(wi_crew *crew, int wanted)
{
    weir_error err;
    int before = atomic_load(&crew->wanted);
    atomic_store(&crew->wanted, wanted);
    while (atomic_load(&crew->made) < wanted)
        if (add_hand(crew, &err) != WEIR_OK) {
            int made = atomic_load(&crew->made);
            wi_crew_size_cap(&crew->size, made);
            atomic_store(&crew->wanted, made);
            if (!made)
                crew->options.fault(crew->options.arg, &err);
            break;
        }
    if (wanted <= before)
        return;
    pthread_mutex_lock(&crew->lock);
    pthread_cond_broadcast(&crew->call);
    pthread_mutex_unlock(&crew->lock);
}

/* ---- rounds ---- */

static bool is_at_work(int doing)
{
    return doing == WI_HAND_WORKING || doing == WI_HAND_SEEKING;
}

/* What all of them tell by themselves. */
static void count_hands(wi_crew *crew, wi_crew_sample *sample)
{
    int made = atomic_load(&crew->made);
    for (int i = 0; i < made; i++) {
        const wi_hand *hand = crew->hands[i];
        int doing = atomic_load_explicit(&hand->doing, memory_order_relaxed);
        sample->present += doing == WI_HAND_HELD || is_at_work(doing);
        sample->idle |= doing == WI_HAND_HELD;
        sample->done += hand->attempts + (hand->bytes >> PIECE_BITS);
    }
}

/* What the kernel tells of some of them. */
static void look_at_hands(wi_crew *crew, wi_crew_sample *sample)
{
    int made = atomic_load(&crew->made), wanted = atomic_load(&crew->wanted);
    int n = made < wanted ? made : wanted;
    for (int i = 0; i < n && i < LOOKED_AT; i++) {
        crew->cursor = (crew->cursor + 1) % n;
        const wi_hand *hand = crew->hands[crew->cursor];
        int doing = atomic_load_explicit(&hand->doing, memory_order_relaxed);
        bool blocked;
        if (is_at_work(doing) && wi_hand_look(hand, &blocked))
            *(blocked ? &sample->blocked : &sample->runnable) += 1;
    }
}

static void find_size(wi_crew *crew, int64_t now)
{
    wi_crew_sample sample = {.now = now};
    const wi_blocking *kind = blocking_of(crew);
    struct timespec cpu = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    sample.cpu = cpu.tv_sec * WI_SECOND + cpu.tv_nsec;
    count_hands(crew, &sample);
    look_at_hands(crew, &sample);
    if (kind->idle && kind->idle(crew->options.job) > 0)
        sample.idle = true;
    int wanted = wi_crew_size_next(&crew->size, &sample);
    if (wanted != atomic_load(&crew->wanted))
        want(crew, wanted);
}

static void hand_over_all(wi_crew *crew)
{
    int made = atomic_load(&crew->made);
    for (int i = 0; i < made; i++)
        wi_hand_hand_over(crew->hands[i]);
}

static void look_round(wi_crew *crew, bool over, bool *deadline_passed)
{
    int64_t now = wi_clock_now(wi_clock_real());
    int64_t deadline = crew->deadline_at;
    if (deadline && now >= deadline && !*deadline_passed) {
        *deadline_passed = true;
        crew->options.deadline(crew->options.arg);
    }
    hand_over_all(crew);
    if (crew->find && !over)
        find_size(crew, now);
}

/* With the lock: until a hand has ended or the time has come for the next round. */
static void wait_a_round(wi_crew *crew, int64_t began)
{
    int64_t now = wi_clock_now(wi_clock_real());
    int64_t at = now + (now - began < FIRST_TIME ? FIRST_ROUNDS : ROUND);
    struct timespec until = {at / WI_SECOND, at % WI_SECOND};
    pthread_cond_timedwait(&crew->news, &crew->lock, &until);
}

/* What rows there are already say how those to come are to look. */
static weir_status go_on(wi_crew *crew, weir_error *err)
{
    wi_outputs *outputs = wi_collector_outputs(crew->collector);
    const wi_blocking *kind = blocking_of(crew);
    wi_buf line = WI_BUF_INIT;
    if (!kind->continues || !wi_outputs_has_journal(outputs))
        return WEIR_OK;
    weir_status status = wi_outputs_header(outputs, WI_OUTPUTS_ROWS, &line, err);
    if (status == WEIR_OK && line.failed)
        status = wi_fail_nomem(err);
    if (status == WEIR_OK && line.len)
        status = kind->continues(crew->options.job, line.data, line.len, err);
    wi_buf_fini(&line);
    return status;
}

static bool begin(wi_crew *crew)
{
    weir_error err;
    weir_status status = blocking_of(crew)->begin(crew->options.job, &err);
    if (status == WEIR_OK)
        status = go_on(crew, &err);
    if (status != WEIR_OK) {
        crew->options.fault(crew->options.arg, &err);
        return false;
    }
    pthread_mutex_lock(&crew->lock);
    crew->begun = true;
    pthread_mutex_unlock(&crew->lock);
    if (atomic_load(crew->options.stopping))
        wi_crew_stop(crew);
    return true;
}

static void work(wi_crew *crew)
{
    bool deadline_passed = false;
    int64_t began = wi_clock_now(wi_clock_real());
    want(crew, crew->find ? crew->size.hands : (int)crew->descriptors.in_flight);
    pthread_mutex_lock(&crew->lock);
    while (crew->busy) {
        wait_a_round(crew, began);
        bool over = crew->over;
        pthread_mutex_unlock(&crew->lock);
        look_round(crew, over, &deadline_passed);
        pthread_mutex_lock(&crew->lock);
    }
    pthread_mutex_unlock(&crew->lock);
    int made = atomic_load(&crew->made);
    for (int i = 0; i < made; i++)
        pthread_join(crew->hands[i]->thread, NULL);
    if (made && crew->failed == made)
        crew->options.fault(crew->options.arg, &crew->failure);
}

static void *oversee(void *arg)
{
    wi_crew *crew = arg;
    if (begin(crew))
        work(crew);
    crew->options.ended(crew->options.arg);
    return NULL;
}

/* ---- life ---- */

static void plan_numbers(wi_crew *crew)
{
    const weir_job_options *o = &crew->options.options->common;
    int each = crew->options.kind->descriptors + 1; /* it is watched by one */
    crew->ordered = !o->unordered;
    crew->find = o->in_flight <= 0;
    crew->descriptors =
        wi_descriptors_plan(crew->find ? WI_CREW_MOST : o->in_flight, 1, each, false);
    wi_crew_size_init(&crew->size, wi_processors(), (int)crew->descriptors.in_flight);
}

weir_status wi_crew_new(const wi_works_options *options, wi_crew **out, weir_error *err)
{
    wi_crew *crew = calloc(1, sizeof *crew);
    if (!crew)
        return wi_fail_nomem(err);
    crew->options = *options;
    plan_numbers(crew);
    crew->hands = calloc((size_t)crew->descriptors.in_flight, sizeof *crew->hands);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&crew->news, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&crew->room, NULL);
    pthread_cond_init(&crew->call, NULL);
    pthread_mutex_init(&crew->lock, NULL);
    if (!crew->hands) {
        wi_crew_free(crew);
        return wi_fail_nomem(err);
    }
    *out = crew;
    return WEIR_OK;
}

weir_status wi_crew_start(wi_crew *crew, wi_collector *collector, int64_t deadline_at,
                          weir_error *err)
{
    weir_error failure;
    crew->collector = collector;
    crew->deadline_at = deadline_at;
    weir_status status = wi_thread_start(&crew->thread, "weir-foreman", oversee, crew, &failure);
    crew->started = status == WEIR_OK;
    if (status != WEIR_OK) {
        crew->options.fault(crew->options.arg, &failure);
        crew->options.ended(crew->options.arg);
        if (err)
            *err = failure;
    }
    return status;
}

void wi_crew_relieve(wi_crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    pthread_cond_broadcast(&crew->room);
    pthread_mutex_unlock(&crew->lock);
}

void wi_crew_stop(wi_crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    bool begun = crew->begun;
    pthread_cond_broadcast(&crew->room);
    pthread_mutex_unlock(&crew->lock);
    if (begun)
        blocking_of(crew)->stop(crew->options.job);
}

void wi_crew_free(wi_crew *crew)
{
    if (!crew)
        return;
    if (crew->started)
        pthread_join(crew->thread, NULL);
    for (int i = 0; crew->hands && i < atomic_load(&crew->made); i++)
        wi_hand_free(crew->hands[i]);
    free(crew->hands);
    pthread_cond_destroy(&crew->news);
    pthread_cond_destroy(&crew->room);
    pthread_cond_destroy(&crew->call);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}

/* ---- numbers ---- */

const wi_descriptors *wi_crew_descriptors(const wi_crew *crew)
{
    return &crew->descriptors;
}

void wi_crew_stats(wi_crew *crew, weir_job_stats *stats)
{
    wi_histogram durations = {0};
    int made = atomic_load(&crew->made);
    for (int i = 0; i < made; i++) {
        const wi_hand *hand = crew->hands[i];
        stats->in_flight += hand->in_flight;
        stats->attempts += hand->attempts;
        stats->waited += hand->waited;
        stats->bytes += hand->bytes;
        wi_histogram_merge(&durations, &hand->durations);
    }
    stats->p50 = wi_histogram_quantile(&durations, 0.50);
    stats->p99 = wi_histogram_quantile(&durations, 0.99);
    stats->limit = atomic_load(&crew->wanted);
    stats->peak_in_flight = atomic_load(&crew->peak);
}
