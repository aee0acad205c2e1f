/*
 * mock_hold.c: a heap of suspended connections. Its invariant: a hold is in the heap exactly while
 * its connection is suspended and watched, so whoever takes it out resumes it.
 */
#include "mock_hold.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "mock_library.h"

/* On every resume libmicrohttpd walks the list of all suspended connections. Releasing in steps of
 * this much time per held connection keeps that walk a small part of the work. */
enum { NS_PER_HELD = 500 };

bool mock_holds_init(mock_holds *holds, size_t cap, int epoll_fd)
{
    *holds = (mock_holds){.cap = cap, .epoll_fd = epoll_fd};
    holds->heap = calloc(cap, sizeof(*holds->heap));
    return holds->heap != NULL;
}

void mock_holds_fini(mock_holds *holds)
{
    free(holds->heap);
}

static void place(mock_holds *holds, size_t i, mock_hold *hold)
{
    holds->heap[i] = hold;
    hold->index = i + 1;
}

static void sift_up(mock_holds *holds, size_t i, mock_hold *hold)
{
    for (size_t up; i > 0 && holds->heap[up = (i - 1) / 2]->until > hold->until; i = up)
        place(holds, i, holds->heap[up]);
    place(holds, i, hold);
}

static void sift_down(mock_holds *holds, size_t i, mock_hold *hold)
{
    for (size_t down; (down = 2 * i + 1) < holds->len; i = down) {
        if (down + 1 < holds->len && holds->heap[down + 1]->until < holds->heap[down]->until)
            down++;
        if (holds->heap[down]->until >= hold->until)
            break;
        place(holds, i, holds->heap[down]);
    }
    place(holds, i, hold);
}

static void resume(mock_holds *holds, mock_hold *hold)
{
    size_t i = hold->index - 1;
    mock_hold *last = holds->heap[--holds->len];
    if (last != hold) {
        if (i > 0 && holds->heap[(i - 1) / 2]->until > last->until)
            sift_up(holds, i, last);
        else
            sift_down(holds, i, last);
    }
    hold->index = 0;
    epoll_ctl(holds->epoll_fd, EPOLL_CTL_DEL, hold->fd, NULL);
    mock_mhd.resume_connection(hold->connection);
}

bool mock_holds_add(mock_holds *holds, mock_hold *hold, struct MHD_Connection *connection,
                    int64_t until)
{
    if (holds->len == holds->cap)
        return false;
    hold->until = until;
    hold->connection = connection;
    hold->fd =
        mock_mhd.get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    struct epoll_event event = {.events = EPOLLRDHUP, .data.ptr = hold};
    if (epoll_ctl(holds->epoll_fd, EPOLL_CTL_ADD, hold->fd, &event) != 0)
        return false;
    mock_mhd.suspend_connection(connection);
    sift_up(holds, holds->len++, hold);
    return true;
}

void mock_holds_gone(mock_holds *holds, mock_hold *hold)
{
    hold->gone = true;
    resume(holds, hold);
}

/* When the first hold may be released. */
static int64_t due(const mock_holds *holds)
{
    int64_t step = holds->released_at + (int64_t)holds->len * NS_PER_HELD;
    return holds->heap[0]->until > step ? holds->heap[0]->until : step;
}

void mock_holds_release(mock_holds *holds, int64_t now)
{
    if (holds->len == 0 || due(holds) > now)
        return;
    holds->released_at = now;
    while (holds->len && holds->heap[0]->until <= now)
        resume(holds, holds->heap[0]);
}

void mock_holds_release_all(mock_holds *holds)
{
    while (holds->len)
        resume(holds, holds->heap[holds->len - 1]);
}

int mock_holds_timeout(const mock_holds *holds, int64_t now)
{
    if (holds->len == 0 || holds->heap[0]->until == MOCK_HOLD_FOREVER)
        return -1;
    int64_t left = due(holds) - now;
    if (left <= 0)
        return 0;
    int64_t ms = (left - 1) / 1000000 + 1;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}
