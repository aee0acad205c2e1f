/*
 * scan.c: the kind `scan`; see scan.h. Its invariant: every file that a batch of the walk gives is
 * counted once in the batch's portions: ok, failed, cancelled or not started.
 */
#include "scan.h"

#include <stdlib.h>
#include <string.h>

#include "source.h"
#include "text.h"

enum {
    FEW = 4,      /* files that are not worth a question to their file system */
    PLANNED = 64, /* files that a plan asks for at once */
};

/* ---- a hand's life ---- */

static void close_hand(void *state)
{
    wi_scan_hand *h = state;
    pthread_mutex_lock(&h->scan->lock);
    wi_list_remove(&h->node);
    pthread_mutex_unlock(&h->scan->lock);
    wi_pieces_free(h->pieces);
    wi_search_free(h->search);
    wi_scan_rows_free(h->rows);
    wi_digest_free(h->digest);
    wi_buf_fini(&h->path);
    wi_buf_fini(&h->whole);
    free(h->groups);
    free(h);
}

static bool is_stopping(const void *hand)
{
    return wi_hand_is_stopping(hand);
}

bool wi_scan_hold(wi_scan_hand *h, wi_scan_held what, size_t bytes)
{
    size_t all = 0;
    if (h->held[what] == bytes)
        return true;
    h->held[what] = bytes;
    for (size_t i = 0; i < WI_SCAN_HELDS; i++)
        all += h->held[i];
    bool goes_on = wi_hand_hold(h->hand, (int64_t)all);
    if (h->is_stream) /* more of it may come in a year */
        wi_hand_yield(h->hand);
    return goes_on;
}

static bool has_room(void *hand, size_t bytes)
{
    return wi_scan_hold(hand, WI_SCAN_HELD_LINE, bytes);
}

static weir_status equip(wi_scan_hand *h, weir_error *err)
{
    wi_scan *scan = h->scan;
    weir_status status = wi_scan_rows_new(scan->shape, &h->rows, err);
    if (status == WEIR_OK && scan->hashes)
        status = wi_digest_new(scan->digest, &h->digest, err);
    if (status == WEIR_OK && scan->matcher)
        status = wi_search_new(scan->matcher, &h->search, err);
    if (h->search)
        wi_search_stop_when(h->search, is_stopping, h->hand);
    size_t groups = scan->judges_lines && scan->matcher ? wi_matcher_columns(scan->matcher) : 0;
    if (status == WEIR_OK && groups && !(h->groups = calloc(groups, sizeof *h->groups)))
        status = wi_fail_nomem(err);
    if (status == WEIR_OK && (scan->read != WEIR_SCAN_FACTS || scan->hashes)) {
        wi_pieces_options options = {.max_line = scan->max_row,
                                     .no_decompress = scan->no_decompress || scan->hashes,
                                     .no_nul = scan->text || scan->read != WEIR_SCAN_LINES,
                                     .may_grow = has_room,
                                     .arg = h};
        status = wi_pieces_new(&options, &h->pieces, err);
    }
    return status;
}

static weir_status open_hand(void *job, wi_hand *hand, void **state, weir_error *err)
{
    wi_scan_hand *h = calloc(1, sizeof *h);
    if (!h)
        return wi_fail_nomem(err);
    h->scan = job;
    h->hand = hand;
    wi_list_init(&h->node);
    weir_status status = equip(h, err);
    if (status != WEIR_OK) {
        close_hand(h);
        return status;
    }
    pthread_mutex_lock(&h->scan->lock);
    wi_list_append(&h->scan->hands, &h->node);
    pthread_mutex_unlock(&h->scan->lock);
    *state = h;
    return status;
}

/* ---- an outcome for every file ---- */

/* Few words, the same for all files that it happens to. */
static const char *reason_of(const weir_error *error)
{
    const char *known = error->sys_errno ? strerrordesc_np(error->sys_errno) : NULL;
    return known ? known : weir_status_text(error->status);
}

static weir_status put_failure(wi_scan_hand *h, const weir_error *error, weir_error *err)
{
    const char *path = wi_buf_cstr(&h->path);
    if (!path)
        return wi_fail_nomem(err);
    wi_portion_fail(h->portion, reason_of(error), path);
    weir_status status = wi_scan_rows_failure(h->rows, error->text, err);
    return status == WEIR_OK ? wi_scan_rows_done(h->rows, true, err) : status;
}

static weir_status scan_item(wi_scan_hand *h, const wi_walk_batch *batch, const wi_walk_item *item,
                             weir_error *err)
{
    weir_error fault;
    h->bytes = 0;
    wi_hand_item_begins(h->hand);
    weir_status status = wi_scan_file(h, batch, item, &fault);
    wi_hand_item_ended(h->hand, h->bytes);
    if (status == WEIR_NOMEM) {
        h->portion->cancelled++;
        return wi_fail_nomem(err);
    }
    if (status == WEIR_CANCELLED) {
        h->portion->cancelled++;
        return wi_scan_rows_cut(h->rows, err);
    }
    if (status != WEIR_OK)
        return put_failure(h, &fault, err);
    if (h->faults) /* which have rows of their own */
        wi_portion_fail(h->portion, "faulty records", h->path.data);
    else
        h->portion->ok++;
    return wi_scan_rows_done(h->rows, h->faults != 0, err);
}

/* Something is wrong in a list of ignored files: said at the end. */
static void keep_note(wi_scan *scan, const weir_error *error)
{
    int i = atomic_fetch_add(&scan->notes_len, 1);
    if (i < WI_SCAN_NOTES)
        scan->notes[i] = strdup(error->text);
}

static weir_status take_item(wi_scan_hand *h, const wi_walk_batch *batch, const wi_walk_item *item,
                             weir_error *err)
{
    if (item->kind == WI_WALK_NOTE) {
        keep_note(h->scan, item->error);
        return WEIR_OK;
    }
    wi_buf_clear(&h->path);
    wi_walk_append_path(batch, item, &h->path);
    if (!wi_buf_cstr(&h->path)) {
        h->portion->cancelled++;
        return wi_fail_nomem(err);
    }
    if (wi_hand_claim(h->hand, h->path.data, h->path.len))
        return WEIR_OK;
    wi_scan_rows_begin(h->rows, h->path.data, h->path.len, h->portion);
    return item->error ? put_failure(h, item->error, err) : scan_item(h, batch, item, err);
}

/* Is another file? */
static bool is_wanted(const wi_scan_hand *h)
{
    bool enough = h->scan->limit && h->kept >= h->scan->limit;
    return !enough && !wi_hand_is_draining(h->hand);
}

static weir_status take_batch(wi_scan_hand *h, const wi_walk_batch *batch, weir_error *err)
{
    weir_status status = WEIR_OK;
    int64_t files = 0;
    for (size_t i = 0; i < batch->n; i++)
        files += batch->items[i].kind != WI_WALK_NOTE;
    atomic_fetch_add_explicit(&h->scan->found, files, memory_order_relaxed);
    h->kept = 0;
    h->passed_on = 0;
    if (h->pieces && batch->n >= FEW && batch->folder_len && !h->scan->walk_options.follow)
        wi_pieces_enter_folder(h->pieces);
    else if (h->pieces) /* what a user names, and what links lead to, may lie anywhere */
        wi_pieces_leave_folder(h->pieces);
    size_t i = 0;
    for (; i < batch->n && status == WEIR_OK && is_wanted(h); i++)
        status = take_item(h, batch, &batch->items[i], err);
    for (; i < batch->n; i++)
        h->portion->not_started += batch->items[i].kind != WI_WALK_NOTE;
    if (status == WEIR_OK)
        status = wi_scan_rows_settle(h->rows, err);
    return status;
}

static weir_status work(void *state, weir_error *err)
{
    wi_scan_hand *h = state;
    wi_walk_batch batch;
    weir_status status = wi_walk_next(h->scan->walk, wi_hand_share(h->hand), &batch, err);
    if (status == WEIR_END)
        atomic_store(&h->scan->ended, true);
    if (status != WEIR_OK)
        return status;
    h->portion = wi_hand_begin(h->hand, batch.number);
    if (h->portion) {
        status = take_batch(h, &batch, err);
        if (status == WEIR_OK) /* else the crew does, which then knows that it is torn */
            wi_hand_end(h->hand);
    } else {
        status = wi_fail_nomem(err);
    }
    wi_walk_release(&batch);
    return status;
}

/* ---- the job ---- */

static weir_status next_root(void *arg, wi_buf *path, weir_error *err)
{
    wi_scan *scan = arg;
    return wi_scan_list_next(scan->list, path, err);
}

weir_status wi_scan_make_walk(wi_scan *scan, weir_error *err)
{
    if (scan->list) {
        scan->walk_options.next_root = next_root;
        scan->walk_options.arg = scan;
    }
    return wi_walk_new(&scan->walk_options, &scan->walk, err);
}

static weir_status begin(void *job, weir_error *err)
{
    (void)job, (void)err;
    return WEIR_OK; /* the walk was made with the job, which so knows what is wrong with it */
}

/* Who waits in a pipe, and is not to finish what has begun, is woken. */
static void interrupt_streams(wi_scan *scan)
{
    pthread_mutex_lock(&scan->lock);
    for (wi_list *node = scan->hands.next; node != &scan->hands; node = node->next) {
        wi_scan_hand *h = wi_container_of(node, wi_scan_hand, node);
        if (h->pieces && wi_hand_is_stopping(h->hand))
            wi_pieces_interrupt(h->pieces);
    }
    pthread_mutex_unlock(&scan->lock);
}

static void stop(void *job)
{
    wi_scan *scan = job;
    interrupt_streams(scan);
    wi_walk_stop(scan->walk);
    if (scan->list)
        wi_scan_list_interrupt(scan->list);
}

static int idle(const void *job)
{
    return wi_walk_waiting(((const wi_scan *)job)->walk);
}

static void numbers(const void *job, wi_source_numbers *numbers)
{
    const wi_scan *scan = job;
    bool ended = atomic_load(&scan->ended);
    int64_t found = atomic_load(&scan->found);
    *numbers = (wi_source_numbers){
        .total = ended ? found : -1, .estimate = -1, .read = found, .taken = found, .ended = ended};
}

static wi_schema *header(void *job)
{
    const wi_scan *scan = job;
    return wi_scan_shape_header(scan->shape);
}

static wi_schema *failed_header(void *job)
{
    const wi_scan *scan = job;
    return wi_scan_shape_failure_header(scan->shape);
}

static weir_status rest(void *job, wi_portion *portion, weir_error *err)
{
    const wi_scan *scan = job;
    return wi_scan_shape_rest(scan->shape, portion, err);
}

static weir_status continues(void *job, const char *header, size_t len, weir_error *err)
{
    const wi_scan *scan = job;
    return wi_scan_shape_continue(scan->shape, header, len, err);
}

static void put_files(wi_buf *out, int64_t n, const char *what)
{
    wi_buf_put_i64(out, n);
    wi_buf_puts(out, n == 1 ? " file " : " files ");
    wi_buf_puts(out, what);
}

/* How many files were passed over and why, then the notes of the walk. */
static const char *note(void *job, size_t i, wi_buf *out)
{
    wi_scan *scan = job;
    wi_buf_clear(out);
    int64_t binary = atomic_load(&scan->binary), unknown = atomic_load(&scan->unknown);
    int notes = atomic_load(&scan->notes_len);
    size_t kept = notes < WI_SCAN_NOTES ? (size_t)notes : WI_SCAN_NOTES;
    if (binary && i-- == 0)
        put_files(out, binary, "not searched, being binary (--text searches them, too)");
    else if (unknown && i-- == 0)
        put_files(out, unknown,
                  "not read: their names don't tell what records they hold "
                  "(--records csv, tsv or ndjson does)");
    else if (i < kept)
        wi_buf_puts(out, scan->notes[i] ? scan->notes[i] : "");
    else if (i == kept && notes > WI_SCAN_NOTES)
        wi_buf_printf(out, "%d more faults in lists of ignored files", notes - WI_SCAN_NOTES);
    else
        return NULL;
    return wi_buf_cstr(out);
}

static weir_status plan(void *job, wi_buf *out, weir_error *err)
{
    wi_scan *scan = job;
    for (;;) {
        wi_walk_batch *batch = &scan->planned;
        if (batch->chunk && scan->planned_at == batch->n)
            wi_walk_release(batch);
        if (!batch->chunk) {
            scan->planned_at = 0;
            weir_status status = wi_walk_next(scan->walk, PLANNED, batch, err);
            if (status != WEIR_OK) {
                batch->chunk = NULL;
                return status;
            }
        }
        const wi_walk_item *item = &batch->items[scan->planned_at++];
        if (item->kind == WI_WALK_NOTE)
            continue;
        wi_walk_append_path(batch, item, out);
        if (item->error)
            return wi_fail(err, WEIR_INVALID, "%s", item->error->text);
        return out->failed ? wi_fail_nomem(err) : WEIR_OK;
    }
}

void wi_scan_free(void *job)
{
    wi_scan *scan = job;
    if (scan->planned.chunk)
        wi_walk_release(&scan->planned);
    wi_walk_free(scan->walk);
    wi_scan_list_close(scan->list);
    wi_scan_shape_free(scan->shape);
    wi_matcher_free(scan->matcher);
    wi_expr_free(scan->where);
    for (size_t i = 0; i < WI_SCAN_NOTES; i++)
        free(scan->notes[i]);
    for (size_t i = 0; i < scan->kept_len; i++)
        free(scan->kept[i]);
    free(scan->kept);
    pthread_mutex_destroy(&scan->lock);
    free(scan);
}

static const wi_blocking blocking = {
    .begin = begin,
    .stop = stop,
    .open = open_hand,
    .close = close_hand,
    .work = work,
    .idle = idle,
    .numbers = numbers,
    .header = header,
    .failed_header = failed_header,
    .rest = rest,
    .continues = continues,
    .note = note,
    .plan = plan,
};

const wi_kind wi_scan_kind = {
    .name = "scan",
    .descriptors = 2,
    .free = wi_scan_free,
    .blocking = &blocking,
};
