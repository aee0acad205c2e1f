/*
 * fuzz_guard.c: whatever the table holds that a guard finds when its program has ended, it is
 * another's or of its size, and the guard ends groups of processes that the table names, and never
 * all processes of the user or one that is no group.
 *
 * The input is the table, behind a byte that says whether its token is meant.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/types.h>

static int pretend_to_kill(pid_t pid, int signal);
#define kill pretend_to_kill
#include "guard.c"
#undef kill

static const table *ours; /* the table that was found */

static int pretend_to_kill(pid_t pid, int signal)
{
    CHECK(pid < -1 && (signal == SIGKILL || signal == SIGTERM || signal == 0));
    bool named = false;
    for (size_t i = 0; i < ours->most; i++)
        named = named || ours->places[i].leader == -pid;
    CHECK(named);
    return 0;
}

static void put_table(const uint8_t *bytes, size_t len)
{
    static int fd = -1;
    if (fd < 0) { /* a guard's is at this place, where nothing else is yet */
        int made = memfd_create("fuzz", MFD_CLOEXEC);
        CHECK(made >= 0);
        if (made != TABLE) {
            CHECK(fcntl(TABLE, F_GETFD) < 0 && dup3(made, TABLE, O_CLOEXEC) == TABLE);
            close(made);
        }
        fd = TABLE;
    }
    CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, len, 0) == (ssize_t)len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char value[32] = "0123456789abcdef";
    uint64_t token = 0;
    if (size < 1 || size > sizeof(table) + 40 * sizeof(place) + 1)
        return 0;
    put_table(data + 1, size - 1);
    if (size - 1 >= sizeof token && data[0] & 1) {
        memcpy(&token, data + 1, sizeof token);
        snprintf(value, sizeof value, "%016" PRIx64, token);
    }
    table *t = find_table(value);
    if (!t)
        return 0;
    CHECK(size - 1 >= sizeof *t && t->most <= (size - 1 - sizeof *t) / sizeof(place));
    ours = t;
    if (any_being_started(t))
        enter_if_being_started(t, getpid());
    end_all(t, SIGTERM);
    all_ended(t);
    end_all(t, SIGKILL);
    munmap(t, size - 1);
    return 0;
}
