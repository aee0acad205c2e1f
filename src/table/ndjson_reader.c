/*
 * ndjson_reader.c: one JSON object a line. Its invariant: what is put into a batch is a minified
 * part of a line that wi_json_check has passed, with every digit as it came.
 */
#include <string.h>

#include "json.h"
#include "reader_state.h"

/* Where the line's first byte that is not blank stands; len if there is none. */
static size_t first_byte(const char *row, size_t len)
{
    size_t at = 0;
    while (at < len && (row[at] == ' ' || row[at] == '\t' || row[at] == '\r'))
        at++;
    return at;
}

/* Checks the line and faults what is wrong with it. */
static wi_json_result check(wi_reader *reader, const char *row, size_t len)
{
    wi_json_result result = wi_json_check(row, len);
    if (row[first_byte(row, len)] == '[')
        wi_reader_fault(reader, row, NULL,
                        "every line must be one JSON object, but this begins an array: "
                        "jq -c '.[]' turns it into such lines");
    else if (result.type == WI_JSON_INVALID)
        wi_reader_fault(reader, row, row + result.offset, "%s", result.why);
    else if (result.type != WI_JSON_OBJECT)
        wi_reader_fault(reader, row, NULL, "every line must be one JSON object");
    return result;
}

static weir_status add_column(wi_reader *reader, wi_name name, weir_error *err)
{
    wi_schema *wider = NULL;
    weir_status status = wi_schema_extend(reader->schema, &name, 1, &wider, err);
    if (status)
        return status;
    status = wi_batch_extend(reader->batch, wider, err);
    if (status) {
        wi_schema_unref(wider);
        return status;
    }
    wi_schema_unref(reader->schema);
    reader->schema = wider;
    return WEIR_OK;
}

/*
 * The column of a key, new if need be; -1 when there is no place for one more. Rows mostly have
 * their keys in the same order, so the guess, one after the last, mostly is right.
 */
static weir_status find_column(wi_reader *reader, const wi_json_member *member, int guess,
                               int *column, weir_error *err)
{
    wi_name key = {.bytes = member->key, .len = member->key_len};
    if (member->key_escaped) {
        wi_buf_clear(&reader->scratch);
        wi_json_append_unescaped(&reader->scratch, member->key, member->key_len);
        if (reader->scratch.failed)
            return wi_fail_nomem(err);
        key = (wi_name){.bytes = reader->scratch.data, .len = reader->scratch.len};
    }
    size_t n = wi_schema_columns(reader->schema);
    if ((size_t)guess < n) {
        wi_name name = wi_schema_name(reader->schema, (size_t)guess);
        if (name.len == key.len && memcmp(name.bytes, key.bytes, key.len) == 0) {
            *column = guess;
            return WEIR_OK;
        }
    }
    int found = wi_schema_find(reader->schema, key.bytes, key.len);
    if (found < 0 && n < WI_SCHEMA_MAX_COLUMNS) {
        weir_status status = add_column(reader, key, err);
        if (status)
            return status;
        found = (int)n;
    }
    *column = found;
    return WEIR_OK;
}

static weir_status put(wi_reader *reader, size_t column, const wi_json_member *member,
                       bool has_space, weir_error *err)
{
    bool nested = member->value_type == WI_JSON_OBJECT || member->value_type == WI_JSON_ARRAY;
    if (member->value_type == WI_JSON_NULL) {
        wi_batch_put_null(reader->batch, column);
    } else if (nested && has_space) {
        wi_buf_clear(&reader->scratch);
        wi_json_append_minified(&reader->scratch, member->value, member->value_len);
        if (reader->scratch.failed)
            return wi_fail_nomem(err);
        wi_batch_put(reader->batch, column, WI_JSON, reader->scratch.data, reader->scratch.len);
    } else {
        wi_batch_put(reader->batch, column, WI_JSON, member->value, member->value_len);
    }
    return WEIR_OK;
}

static weir_status put_members(wi_reader *reader, const char *row, size_t len, bool has_space,
                               weir_error *err)
{
    wi_json_object object;
    wi_json_member member;
    int column = -1;
    wi_json_object_begin(&object, row, len);
    while (wi_json_object_next(&object, &member)) {
        weir_status status = find_column(reader, &member, column + 1, &column, err);
        if (status)
            return status;
        if (column < 0) {
            wi_reader_fault(reader, row, member.key,
                            "one key too many: at most %d different keys are possible",
                            WI_SCHEMA_MAX_COLUMNS);
            continue;
        }
        status = put(reader, (size_t)column, &member, has_space, err);
        if (status)
            return status;
    }
    return WEIR_OK;
}

static weir_status take(wi_reader *reader, const char *row, size_t len, weir_error *err)
{
    if (first_byte(row, len) == len)
        return WEIR_OK;
    if (!wi_reader_clean(reader, &row, &len))
        return wi_fail_nomem(err);
    weir_status status = wi_reader_begin_row(reader, err);
    if (status)
        return status;
    wi_json_result result = check(reader, row, len);
    if (result.type == WI_JSON_OBJECT)
        status = put_members(reader, row, len, result.has_space, err);
    return status ? status : wi_reader_end_row(reader, err);
}

const wi_reader_kind wi_reader_ndjson = {.find_end = wi_reader_find_lf, .take = take};
