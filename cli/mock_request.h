/*
 * mock_request.h: one request from its first line to the end of its answer, and the state of the
 * mock that all requests share. Only the mock's thread may use any of it.
 */
#ifndef CLI_MOCK_REQUEST_H
#define CLI_MOCK_REQUEST_H

#include "mock.h"
#include "mock_bucket.h"
#include "mock_fault.h"
#include "mock_hold.h"
#include "mock_library.h"
#include "mock_stats.h"
#include "mock_text.h"

enum {
    MOCK_UPLOAD_MAX = 16 << 20,         /* of one request's body */
    MOCK_UPLOADS_TOTAL_MAX = 256 << 20, /* of all bodies held at once */
};

typedef struct mock_state {
    mock_options options;
    mock_faults faults;
    mock_bucket bucket;
    mock_holds holds;
    mock_counters counters;
    uint64_t uploads; /* bytes of request bodies in memory */
    bool stopping;    /* no request is held or answered any more */
} mock_state;

/* Where the bytes of an answer come from. */
typedef enum mock_source {
    MOCK_SOURCE_BYTES,   /* `bytes` */
    MOCK_SOURCE_PATTERN, /* lines of text without end */
    MOCK_SOURCE_CHUNKS,  /* numbered lines of MOCK_CHUNK bytes */
} mock_source;

enum { MOCK_CHUNK = 16 };

typedef struct mock_body {
    mock_source source;
    mock_text bytes;
    uint64_t len; /* of the other sources */
    uint64_t cut; /* close the connection after so many bytes; 0: don't */
    size_t piece; /* send at most so many bytes at once; 0: as many as fit */
    int64_t gap;  /* ns between pieces */
    int64_t next_at;
    bool chunked; /* send no Content-Length */
} mock_body;

typedef struct mock_request {
    mock_state *state;
    struct MHD_Connection *connection;
    const char *method;
    const char *path; /* decoded, without the query */
    char *uri;        /* as it was sent */
    int64_t begun_at; /* 0: not yet */
    bool counted;     /* requests for /stats and /health are not */

    mock_text upload;
    uint64_t upload_len;     /* with what was not kept */
    const char *upload_over; /* why it was not kept; NULL: it was */

    mock_hold hold;
    bool waited; /* the handler's wait was asked for */
    bool has_fate;
    mock_fate fate;

    mock_body body;  /* of the answer */
    unsigned status; /* 0: there was no answer */
    uint64_t sent;   /* the body's length */
} mock_request;

int64_t mock_now(void);

/* libmicrohttpd's callbacks; cls is the mock_state. */
void *mock_request_new(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result mock_request_handle(void *cls, struct MHD_Connection *connection, const char *path,
                                    const char *method, const char *version, const char *upload,
                                    size_t *upload_len, void **context);
void mock_request_free(void *cls, struct MHD_Connection *connection, void **context,
                       enum MHD_RequestTerminationCode code);
void mock_connection_notify(void *cls, struct MHD_Connection *connection, void **context,
                            enum MHD_ConnectionNotificationCode code);

/*
 * Holds the request for so long. True: it is suspended now, so return MHD_YES and be called again
 * when the time has passed; false: it has. A handler may wait once.
 */
bool mock_request_wait(mock_request *request, int64_t ns);

/* The value of a query argument or header; NULL: there is none. */
const char *mock_request_arg(const mock_request *request, const char *name);
const char *mock_request_header(const mock_request *request, const char *name);

/* Adds what was sent as JSON members, without braces: method, path, query, headers, body. */
void mock_request_add_json(mock_text *text, const mock_request *request, bool whole);

#endif
