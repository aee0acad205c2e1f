/*
 * batch.c: see batch.h. Its invariant: a column has at most rows + 1 cells, the last of them only
 * while a row is being put; it may have fewer, and those that it lacks are absent. So a row costs
 * only the cells that it has, however many columns there are.
 */
#include "batch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "text.h"

enum { KIND_BITS = 3, KIND_MASK = 7 };

typedef struct column {
    wi_buf bytes;
    wi_buf cells; /* uint64_t each: where its bytes end, shifted by KIND_BITS, and its kind */
} column;

typedef struct fault {
    size_t row;
    size_t at;  /* in fault_text, where it ends with NUL; */
    size_t len; /* of the row behind that, as it was */
} fault;

struct wi_batch {
    atomic_size_t refs;
    wi_schema *schema;
    size_t n;
    column *columns;
    size_t rows;
    bool failed;
    wi_buf lines;  /* int64_t each; may be shorter than rows */
    wi_buf faults; /* fault each, by row; most rows have none */
    wi_buf fault_text;
};

weir_status wi_batch_new(wi_schema *schema, wi_batch **out, weir_error *err)
{
    size_t n = wi_schema_columns(schema);
    wi_batch *batch = calloc(1, sizeof *batch);
    column *columns = calloc(n ? n : 1, sizeof *columns);
    if (!batch || !columns) {
        free(batch);
        free(columns);
        return wi_fail_nomem(err);
    }
    atomic_init(&batch->refs, 1);
    batch->schema = wi_schema_ref(schema);
    batch->n = n;
    batch->columns = columns;
    *out = batch;
    return WEIR_OK;
}

wi_batch *wi_batch_ref(wi_batch *batch)
{
    atomic_fetch_add_explicit(&batch->refs, 1, memory_order_relaxed);
    return batch;
}

void wi_batch_unref(wi_batch *batch)
{
    if (!batch || atomic_fetch_sub_explicit(&batch->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < batch->n; i++) {
        wi_buf_fini(&batch->columns[i].bytes);
        wi_buf_fini(&batch->columns[i].cells);
    }
    free(batch->columns);
    wi_buf_fini(&batch->lines);
    wi_buf_fini(&batch->faults);
    wi_buf_fini(&batch->fault_text);
    wi_schema_unref(batch->schema);
    free(batch);
}

void wi_batch_clear(wi_batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        wi_buf_clear(&batch->columns[i].bytes);
        wi_buf_clear(&batch->columns[i].cells);
    }
    wi_buf_clear(&batch->lines);
    wi_buf_clear(&batch->faults);
    wi_buf_clear(&batch->fault_text);
    batch->rows = 0;
    batch->failed = false;
}

wi_schema *wi_batch_schema(const wi_batch *batch)
{
    return batch->schema;
}

size_t wi_batch_rows(const wi_batch *batch)
{
    return batch->rows;
}

size_t wi_batch_bytes(const wi_batch *batch)
{
    size_t sum = sizeof *batch + batch->n * sizeof *batch->columns + batch->lines.cap +
                 batch->faults.cap + batch->fault_text.cap;
    for (size_t i = 0; i < batch->n; i++)
        sum += batch->columns[i].bytes.cap + batch->columns[i].cells.cap;
    return sum;
}

/* ---- putting ---- */

static inline uint64_t *cells_of(const column *c)
{
    return (uint64_t *)c->cells.data;
}

static inline size_t count_of(const column *c)
{
    return c->cells.len / sizeof(uint64_t);
}

static inline size_t end_of(const column *c, size_t cell)
{
    return (size_t)(cells_of(c)[cell] >> KIND_BITS);
}

/* Takes back the cell of the row that is being put, if there is one. */
static void take_back(wi_batch *batch, column *c)
{
    if (count_of(c) <= batch->rows)
        return;
    c->cells.len = batch->rows * sizeof(uint64_t);
    c->bytes.len = batch->rows ? end_of(c, batch->rows - 1) : 0;
}

void wi_batch_put(wi_batch *batch, size_t column_, wi_cell_kind kind, const char *bytes, size_t len)
{
    column *c = &batch->columns[column_];
    take_back(batch, c);
    size_t count = count_of(c);
    size_t missing = batch->rows - count;
    if (!wi_buf_reserve(&c->cells, (missing + 1) * sizeof(uint64_t)) ||
        !wi_buf_reserve(&c->bytes, len)) {
        batch->failed = true;
        return;
    }
    uint64_t *cells = cells_of(c) + count;
    for (size_t i = 0; i < missing; i++)
        *cells++ = (uint64_t)c->bytes.len << KIND_BITS | WI_ABSENT;
    if (len)
        memcpy(c->bytes.data + c->bytes.len, bytes, len);
    c->bytes.len += len;
    *cells = (uint64_t)c->bytes.len << KIND_BITS | kind;
    c->cells.len = (batch->rows + 1) * sizeof(uint64_t);
}

void wi_batch_put_null(wi_batch *batch, size_t column_)
{
    wi_batch_put(batch, column_, WI_NULL, NULL, 0);
}

void wi_batch_put_int(wi_batch *batch, size_t column_, int64_t value)
{
    wi_batch_put(batch, column_, WI_INT, (const char *)&value, sizeof value);
}

void wi_batch_put_double(wi_batch *batch, size_t column_, double value)
{
    wi_batch_put(batch, column_, WI_DOUBLE, (const char *)&value, sizeof value);
}

void wi_batch_put_cell(wi_batch *batch, size_t column_, const wi_cell *cell)
{
    switch (cell->kind) {
    case WI_ABSENT:
        break;
    case WI_INT:
        wi_batch_put_int(batch, column_, cell->i);
        break;
    case WI_DOUBLE:
        wi_batch_put_double(batch, column_, cell->d);
        break;
    case WI_NULL:
    case WI_STRING:
    case WI_JSON:
    case WI_BINARY:
        wi_batch_put(batch, column_, cell->kind, cell->bytes, cell->len);
        break;
    }
}

static size_t fault_count(const wi_batch *batch)
{
    return batch->faults.len / sizeof(fault);
}

static fault *fault_at(const wi_batch *batch, size_t i)
{
    return (fault *)batch->faults.data + i;
}

static void take_back_fault(wi_batch *batch)
{
    size_t n = fault_count(batch);
    if (!n || fault_at(batch, n - 1)->row != batch->rows)
        return;
    batch->fault_text.len = fault_at(batch, n - 1)->at;
    batch->faults.len -= sizeof(fault);
}

weir_status wi_batch_drop_row(wi_batch *batch, weir_error *err)
{
    bool failed = batch->failed;
    for (size_t i = 0; i < batch->n; i++) {
        take_back(batch, &batch->columns[i]);
        batch->columns[i].bytes.failed = false;
        batch->columns[i].cells.failed = false;
    }
    take_back_fault(batch);
    if (batch->lines.len > batch->rows * sizeof(int64_t))
        batch->lines.len = batch->rows * sizeof(int64_t);
    batch->lines.failed = batch->faults.failed = batch->fault_text.failed = false;
    batch->failed = false;
    return failed ? wi_fail_nomem(err) : WEIR_OK;
}

void wi_batch_lack(wi_batch *batch)
{
    batch->failed = true;
}

weir_status wi_batch_end_row(wi_batch *batch, weir_error *err)
{
    if (batch->failed)
        return wi_batch_drop_row(batch, err);
    batch->rows++;
    return WEIR_OK;
}

weir_status wi_batch_extend(wi_batch *batch, wi_schema *schema, weir_error *err)
{
    size_t n = wi_schema_columns(schema);
    if (n > batch->n) {
        column *columns = realloc(batch->columns, n * sizeof *columns);
        if (!columns)
            return wi_fail_nomem(err);
        memset(columns + batch->n, 0, (n - batch->n) * sizeof *columns);
        batch->columns = columns;
        batch->n = n;
    }
    wi_schema *old = batch->schema;
    batch->schema = wi_schema_ref(schema);
    wi_schema_unref(old);
    return WEIR_OK;
}

wi_cell wi_batch_cell(const wi_batch *batch, size_t row, size_t column_)
{
    const column *c = &batch->columns[column_];
    if (row >= count_of(c))
        return (wi_cell){.kind = WI_ABSENT};
    size_t begin = row ? end_of(c, row - 1) : 0;
    const char *bytes = c->bytes.data ? c->bytes.data + begin : "";
    wi_cell cell = {.kind = (wi_cell_kind)(cells_of(c)[row] & KIND_MASK)};
    switch (cell.kind) {
    case WI_INT:
        memcpy(&cell.i, bytes, sizeof cell.i);
        break;
    case WI_DOUBLE:
        memcpy(&cell.d, bytes, sizeof cell.d);
        break;
    default:
        cell.bytes = bytes;
        cell.len = end_of(c, row) - begin;
    }
    return cell;
}

/* ---- where a row stood, and what is wrong with it ---- */

void wi_batch_set_line(wi_batch *batch, int64_t line)
{
    size_t count = batch->lines.len / sizeof line;
    if (count > batch->rows)
        count = batch->rows;
    batch->lines.len = count * sizeof line;
    size_t missing = batch->rows - count;
    if (!wi_buf_reserve(&batch->lines, (missing + 1) * sizeof line)) {
        batch->failed = true;
        return;
    }
    int64_t *lines = (int64_t *)batch->lines.data;
    memset(lines + count, 0, missing * sizeof line);
    lines[batch->rows] = line;
    batch->lines.len = (batch->rows + 1) * sizeof line;
}

void wi_batch_set_fault(wi_batch *batch, const char *text)
{
    char printable[WEIR_ERROR_TEXT_SIZE];
    take_back_fault(batch);
    size_t len = wi_text_printable(printable, sizeof printable, text, strlen(text));
    fault entry = {.row = batch->rows, .at = batch->fault_text.len};
    if (!wi_buf_reserve(&batch->fault_text, len + 1) ||
        !wi_buf_reserve(&batch->faults, sizeof entry)) {
        batch->failed = true;
        return;
    }
    wi_buf_append(&batch->fault_text, printable, len + 1);
    wi_buf_append(&batch->faults, &entry, sizeof entry);
}

void wi_batch_set_faulty(wi_batch *batch, const char *bytes, size_t len)
{
    size_t n = fault_count(batch);
    if (batch->failed || !n || fault_at(batch, n - 1)->row != batch->rows)
        return;
    if (!wi_buf_reserve(&batch->fault_text, len)) {
        batch->failed = true;
        return;
    }
    wi_buf_append(&batch->fault_text, bytes, len);
    fault_at(batch, n - 1)->len = len;
}

int64_t wi_batch_line(const wi_batch *batch, size_t row)
{
    return row < batch->lines.len / sizeof(int64_t) ? ((int64_t *)batch->lines.data)[row] : 0;
}

static const fault *find_fault(const wi_batch *batch, size_t row)
{
    size_t low = 0;
    size_t high = fault_count(batch);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (fault_at(batch, middle)->row < row)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < fault_count(batch) && fault_at(batch, low)->row == row;
    return found ? fault_at(batch, low) : NULL;
}

const char *wi_batch_fault(const wi_batch *batch, size_t row)
{
    const fault *found = find_fault(batch, row);
    return found ? batch->fault_text.data + found->at : NULL;
}

const char *wi_batch_faulty(const wi_batch *batch, size_t row, size_t *len)
{
    const fault *found = find_fault(batch, row);
    const char *text = found ? batch->fault_text.data + found->at : NULL;
    *len = found ? found->len : 0;
    return found ? text + strlen(text) + 1 : NULL;
}
