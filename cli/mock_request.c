/*
 * mock_request.c: the life of a request. Its invariant: a request is counted as in flight from its
 * first callback to its last, and memory and counts are given back in the last one only.
 */
#include "mock_request.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "mock_answer.h"
#include "mock_route.h"

int64_t mock_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* Runs when the first line is read. NULL (no memory) makes mock_request_handle refuse it. */
void *mock_request_new(void *cls, const char *uri, struct MHD_Connection *connection)
{
    mock_request *request = calloc(1, sizeof *request);
    if (!request)
        return NULL;
    request->state = cls;
    request->connection = connection;
    request->uri = strdup(uri);
    if (request->uri)
        return request;
    free(request);
    return NULL;
}

const char *mock_request_arg(const mock_request *request, const char *name)
{
    return mock_mhd.lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *mock_request_header(const mock_request *request, const char *name)
{
    return mock_mhd.lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

bool mock_request_wait(mock_request *request, int64_t ns)
{
    if (request->waited || ns <= 0)
        return false;
    request->waited = true;
    int64_t until = ns == MOCK_HOLD_FOREVER ? ns : mock_now() + ns;
    return mock_holds_add(&request->state->holds, &request->hold, request->connection, until);
}

static void upload_drop(mock_request *request, const char *why)
{
    request->state->uploads -= request->upload.len;
    mock_text_fini(&request->upload);
    request->upload_over = why;
}

static void upload_add(mock_request *request, const char *bytes, size_t len)
{
    request->upload_len += len;
    if (request->upload_over)
        return;
    if (request->upload_len > MOCK_UPLOAD_MAX) {
        upload_drop(request, "the body is larger than 16 MiB");
        return;
    }
    if (request->state->uploads + len > MOCK_UPLOADS_TOTAL_MAX) {
        upload_drop(request, "the bodies sent at once are larger than 256 MiB together");
        return;
    }
    mock_text_add(&request->upload, bytes, len);
    if (request->upload.failed)
        upload_drop(request, "there is no memory for the body");
    else
        request->state->uploads += len;
}

static enum MHD_Result begin(mock_request *request, const char *path, const char *method)
{
    mock_counters *counters = &request->state->counters;
    request->method = method;
    request->path = path;
    request->begun_at = mock_now();
    request->counted = !mock_route_uncounted(path);
    if (request->counted) {
        mock_count(&counters->requests, 1);
        mock_count_peak(&counters->in_flight, &counters->peak_in_flight);
    }
    /* An answer that comes before the body spares both sides the body. */
    const char *announced = mock_request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    unsigned long long len;
    if (announced && mock_number(announced, UINT64_MAX, &len) && len > MOCK_UPLOAD_MAX)
        return mock_answer_error(request, 413, "the body is larger than 16 MiB", NULL);
    return MHD_YES;
}

enum MHD_Result mock_request_handle(void *cls, struct MHD_Connection *connection, const char *path,
                                    const char *method, const char *version, const char *upload,
                                    size_t *upload_len, void **context)
{
    mock_request *request = *context;
    (void)cls, (void)connection, (void)version;
    if (!request || request->hold.gone || request->state->stopping)
        return MHD_NO;
    if (!request->begun_at)
        return begin(request, path, method);
    if (*upload_len) {
        upload_add(request, upload, *upload_len);
        *upload_len = 0;
        return MHD_YES;
    }
    if (request->upload_over)
        return mock_answer_error(request, 413, request->upload_over, NULL);
    return mock_route(request);
}

static void log_access(const mock_request *request)
{
    mock_text line = {0};
    mock_text_add_printable(&line, request->method, strlen(request->method));
    mock_text_add_str(&line, " ");
    mock_text_add_printable(&line, request->uri, strlen(request->uri));
    if (request->status)
        mock_text_addf(&line, " %u %" PRIu64, request->status, request->sent);
    else
        mock_text_add_str(&line, " - 0");
    mock_text_addf(&line, " %.1fms", (double)(mock_now() - request->begun_at) * 1e-6);
    if (request->fate.fault)
        mock_text_addf(&line, " fault=%s", mock_fault_name(request->fate.fault));
    if (request->hold.gone)
        mock_text_add_str(&line, " abandoned");
    mock_text_add_str(&line, "\n");
    if (!line.failed)
        fwrite(line.bytes, 1, line.len, request->state->options.access_log);
    mock_text_fini(&line);
}

void mock_request_free(void *cls, struct MHD_Connection *connection, void **context,
                       enum MHD_RequestTerminationCode code)
{
    mock_request *request = *context;
    (void)cls, (void)connection, (void)code;
    if (!request)
        return;
    mock_counters *counters = &request->state->counters;
    if (request->counted)
        mock_count(&counters->in_flight, -1);
    if (request->hold.gone)
        mock_count(&counters->abandoned, 1);
    if (request->begun_at && request->state->options.access_log)
        log_access(request);
    upload_drop(request, NULL);
    mock_text_fini(&request->body.bytes);
    free(request->uri);
    free(request);
    *context = NULL;
}

void mock_connection_notify(void *cls, struct MHD_Connection *connection, void **context,
                            enum MHD_ConnectionNotificationCode code)
{
    mock_counters *counters = &((mock_state *)cls)->counters;
    (void)connection, (void)context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        mock_count(&counters->open_connections, -1);
        return;
    }
    mock_count(&counters->connections, 1);
    mock_count_peak(&counters->open_connections, &counters->peak_connections);
}

enum { HEADERS_MAX = 256 };

typedef struct header_list {
    const char *names[HEADERS_MAX];
    const char *values[HEADERS_MAX];
    int len;
} header_list;

static enum MHD_Result list_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    header_list *list = cls;
    (void)kind;
    if (list->len == HEADERS_MAX)
        return MHD_NO;
    list->names[list->len] = name;
    list->values[list->len++] = value ? value : "";
    return MHD_YES;
}

/* Headers of one name become one member, their values joined as HTTP allows. */
static void add_headers(mock_text *text, const mock_request *request)
{
    header_list list = {.len = 0};
    mock_mhd.get_connection_values(request->connection, MHD_HEADER_KIND, list_header, &list);
    mock_text_add_str(text, "{");
    for (int i = 0, members = 0; i < list.len; i++) {
        const char *name = list.names[i];
        if (!name)
            continue;
        mock_text value = {0};
        mock_text_add_str(&value, list.values[i]);
        for (int k = i + 1; k < list.len; k++) {
            if (!list.names[k] || strcasecmp(list.names[k], name) != 0)
                continue;
            mock_text_addf(&value, ", %s", list.values[k]);
            list.names[k] = NULL;
        }
        mock_text_add_str(text, members++ ? ", " : "");
        mock_text_add_json(text, name, strlen(name));
        mock_text_add_str(text, ": ");
        mock_text_add_json(text, value.bytes, value.len);
        text->failed |= value.failed;
        mock_text_fini(&value);
    }
    mock_text_add_str(text, "}");
}

static void add_body(mock_text *text, const mock_text *body)
{
    if (mock_is_utf8(body->bytes, body->len)) {
        mock_text_add_str(text, ", \"body\": ");
        mock_text_add_json(text, body->bytes, body->len);
        return;
    }
    mock_text_add_str(text, ", \"body_encoding\": \"base64\", \"body\": \"");
    mock_text_add_base64(text, body->bytes, body->len);
    mock_text_add_str(text, "\"");
}

void mock_request_add_json(mock_text *text, const mock_request *request, bool whole)
{
    const char *uri = request->uri;
    size_t path_len = strcspn(uri, "?");
    const char *query = uri[path_len] ? uri + path_len + 1 : "";
    const char *type = mock_request_header(request, MHD_HTTP_HEADER_CONTENT_TYPE);
    mock_text_add_str(text, "\"method\": ");
    mock_text_add_json(text, request->method, strlen(request->method));
    mock_text_add_str(text, ", \"path\": ");
    mock_text_add_json(text, uri, path_len);
    if (whole) {
        mock_text_add_str(text, ", \"query\": ");
        mock_text_add_json(text, query, strlen(query));
        mock_text_add_str(text, ", \"headers\": ");
        add_headers(text, request);
    } else {
        mock_text_addf(
            text, ", \"headers\": %d",
            mock_mhd.get_connection_values(request->connection, MHD_HEADER_KIND, NULL, NULL));
    }
    mock_text_addf(text, ", \"size\": %" PRIu64, request->upload_len);
    if (whole || (type && strcasestr(type, "json")))
        add_body(text, &request->upload);
}
