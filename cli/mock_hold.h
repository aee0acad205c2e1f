/*
 * mock_hold.h: requests that wait: suspended connections in the order in which they end.
 *
 * A held connection is also watched for its client going away, which libmicrohttpd does not see
 * while it is suspended. Only the mock's thread may use it.
 */
#ifndef CLI_MOCK_HOLD_H
#define CLI_MOCK_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct MHD_Connection;

#define MOCK_HOLD_FOREVER INT64_MAX

/* Lives inside a request. Watched with itself as the epoll event's data. */
typedef struct mock_hold {
    int64_t until;
    size_t index; /* place in the heap + 1; 0: not held */
    struct MHD_Connection *connection;
    int fd;
    bool gone; /* the client went away while it was held */
} mock_hold;

typedef struct mock_holds {
    mock_hold **heap; /* a binary min-heap by `until` */
    size_t len;
    size_t cap;
    int epoll_fd; /* where held connections are watched; not owned */
    int64_t released_at;
} mock_holds;

/* Room for `cap` holds at once, so that adding one cannot fail. false: no memory. */
bool mock_holds_init(mock_holds *holds, size_t cap, int epoll_fd);
void mock_holds_fini(mock_holds *holds);

/* Suspends the connection, in one of libmicrohttpd's callbacks for it, until the time given.
 * false: there is no room. */
bool mock_holds_add(mock_holds *holds, mock_hold *hold, struct MHD_Connection *connection,
                    int64_t until);

/* The client of a held connection went away: resumes it, marked as gone. */
void mock_holds_gone(mock_holds *holds, mock_hold *hold);

/* Resumes what is due. */
void mock_holds_release(mock_holds *holds, int64_t now);

/* Resumes everything. */
void mock_holds_release_all(mock_holds *holds);

/* Milliseconds until something is due, rounded up; -1: nothing will be. */
int mock_holds_timeout(const mock_holds *holds, int64_t now);

#endif
