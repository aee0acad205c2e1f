/*
 * plan.c: see plan.h. Its invariant: every item looked at is either faulty or counted at its
 * origin.
 */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "text.h"

typedef struct look {
    wi_plan *plan;
    weir_job_plan *made;
    wi_buf origin;
    size_t examples_at[WI_PLAN_EXAMPLES];
    size_t fault_at;
    int64_t *per_origin;
    size_t per_origin_len;
    int64_t most_at_one;
} look;

void wi_plan_fini(wi_plan *plan)
{
    wi_buf_fini(&plan->text);
}

static size_t add_text(look *l, const char *text, size_t len)
{
    size_t at = l->plan->text.len;
    char line[400];
    size_t n = wi_text_printable(line, sizeof line, text, len);
    wi_buf_append(&l->plan->text, line, n + 1);
    return at;
}

static weir_status count_origin(look *l)
{
    wi_origin *origin = wi_gate_origin(l->plan->gate, l->origin.data, l->origin.len);
    if (!origin)
        return WEIR_NOMEM;
    size_t index = wi_origin_index(origin);
    if (index >= l->per_origin_len) {
        size_t len = (index + 16) * 2;
        int64_t *grown = realloc(l->per_origin, len * sizeof *grown);
        if (!grown)
            return WEIR_NOMEM;
        memset(grown + l->per_origin_len, 0, (len - l->per_origin_len) * sizeof *grown);
        l->per_origin = grown;
        l->per_origin_len = len;
    }
    if (++l->per_origin[index] > l->most_at_one)
        l->most_at_one = l->per_origin[index];
    return WEIR_OK;
}

static void add_example(look *l, const wi_item *item)
{
    if (l->made->examples_len == WI_PLAN_EXAMPLES)
        return;
    wi_buf text = WI_BUF_INIT;
    l->plan->kind->describe(item, &text);
    l->examples_at[l->made->examples_len++] = add_text(l, text.data ? text.data : "", text.len);
    wi_buf_fini(&text);
}

static weir_status look_at_item(look *l, wi_item *item)
{
    weir_error fault;
    const char *bad_row = item->batch ? wi_batch_fault(item->batch, item->row) : NULL;
    weir_status status = bad_row
                             ? wi_fail(&fault, WEIR_INVALID, "%s", bad_row)
                             : l->plan->kind->prepare(l->plan->job, NULL, item, &l->origin, &fault);
    l->made->counted++;
    if (status == WEIR_OK) {
        status = count_origin(l);
        add_example(l, item);
    } else if (status != WEIR_NOMEM) {
        status = WEIR_OK;
        if (l->made->faulty++ == 0)
            l->fault_at = add_text(l, fault.text, strlen(fault.text));
    }
    l->plan->kind->release(item);
    return status;
}

static weir_status look_at_block(look *l, const wi_block *block, weir_error *err)
{
    size_t size = l->plan->kind->item_size;
    wi_item *item = malloc(size);
    weir_status status = item ? WEIR_OK : WEIR_NOMEM;
    for (uint32_t i = 0; status == WEIR_OK && i < block->count; i++) {
        memset(item, 0, size);
        item->number = block->number + i;
        item->batch = block->batch;
        item->row = (size_t)((block->first_index + i) / block->choices);
        item->choice = (block->first_index + i) % block->choices;
        wi_buf_clear(&l->origin);
        status = look_at_item(l, item);
    }
    wi_batch_unref(block->batch);
    free(item);
    return status == WEIR_OK ? WEIR_OK : wi_fail_nomem(err);
}

static weir_status finish(look *l, bool whole, weir_error *err)
{
    wi_plan *plan = l->plan;
    weir_job_plan *made = l->made;
    if (plan->text.failed)
        return wi_fail_nomem(err);
    for (size_t i = 0; i < made->examples_len; i++)
        plan->examples[i] = plan->text.data + l->examples_at[i];
    made->examples = plan->examples;
    made->first_fault = made->faulty ? plan->text.data + l->fault_at : NULL;
    made->items = whole ? made->counted : -1;
    return WEIR_OK;
}

/* What the gate and the source know beyond the items. */
static void add_origins(look *l)
{
    wi_plan *plan = l->plan;
    weir_job_plan *made = l->made;
    wi_gate_numbers gate;
    wi_gate_numbers_get(plan->gate, 0, &gate);
    wi_source_numbers source;
    wi_source_numbers_get(plan->source, &source);
    if (made->items < 0)
        made->items = source.total;
    made->origins = gate.origins;
    if (plan->rate > 0 && l->most_at_one > 0)
        made->shortest = (int64_t)((double)(l->most_at_one - 1) / plan->rate * WI_SECOND);
}

static weir_status look_at_blocks(look *l, int64_t max_items, bool *end, weir_error *err)
{
    weir_status status = WEIR_OK;
    while (status == WEIR_OK && !*end && (max_items <= 0 || l->made->counted < max_items)) {
        wi_block block;
        status = wi_source_next(l->plan->source, &block, end, err);
        if (status == WEIR_OK && !*end)
            status = look_at_block(l, &block, err);
    }
    return status;
}

/* ---- of a kind whose work blocks ---- */

static void count_named(look *l, weir_status status, const wi_buf *name, const weir_error *fault)
{
    l->made->counted++;
    if (status != WEIR_OK && l->made->faulty++ == 0)
        l->fault_at = add_text(l, fault->text, strlen(fault->text));
    if (status == WEIR_OK && l->made->examples_len < WI_PLAN_EXAMPLES)
        l->examples_at[l->made->examples_len++] =
            add_text(l, name->data ? name->data : "", name->len);
}

/* WEIR_INVALID is of an item; any other failure ends the looking. */
static weir_status look_at_named(look *l, int64_t max_items, bool *end, weir_error *err)
{
    const wi_blocking *kind = l->plan->kind->blocking;
    weir_error fault;
    wi_buf name = WI_BUF_INIT;
    weir_status status = kind->begin(l->plan->job, err);
    while (status == WEIR_OK && (max_items <= 0 || l->made->counted < max_items)) {
        wi_buf_clear(&name);
        status = kind->plan(l->plan->job, &name, &fault);
        if (status == WEIR_END)
            break;
        if (status == WEIR_OK || status == WEIR_INVALID)
            count_named(l, status, &name, &fault);
        else if (err)
            *err = fault;
        if (status == WEIR_INVALID)
            status = WEIR_OK;
    }
    wi_buf_fini(&name);
    *end = status == WEIR_END;
    return *end ? WEIR_OK : status;
}

weir_status wi_plan_make(wi_plan *plan, int64_t max_items, weir_job_plan *made, weir_error *err)
{
    look l = {.plan = plan, .made = made};
    bool end = false;
    bool named = plan->kind->blocking != NULL;
    weir_status status =
        named ? look_at_named(&l, max_items, &end, err) : look_at_blocks(&l, max_items, &end, err);
    if (status == WEIR_OK)
        status = finish(&l, end, err);
    if (status == WEIR_OK && !named)
        add_origins(&l);
    wi_buf_fini(&l.origin);
    free(l.per_origin);
    return status;
}
