/*
 * A file system in which every operation takes a set time, and any number of them side by side:
 * what a network file system with that latency is, without its limits.
 *
 * It is a tree of folders of log files (log_lines.h), held nowhere: names and contents follow from
 * numbers. Nothing is cached by the kernel, so that every lookup, getattr, open, read, readdir
 * and statfs comes here. One thread takes requests in and queues their answers, another sends each
 * when it is due. As all wait equally long, the queue is in order of time by itself.
 *
 * libfuse only mounts and unmounts: that of Debian 12 does not pass FUSE_PARALLEL_DIROPS on,
 * without which the kernel looks up one name at a time in a folder. What the kernel asks is read
 * and answered here, in the words of <linux/fuse.h>.
 *
 * SIGTERM or SIGINT unmounts it. Then it writes how many operations there were, and how many were
 * waited for at once at most, as a line of JSON to its standard output. Closing is delayed, too,
 * but counted apart, since no program waits for it.
 */
#define FUSE_USE_VERSION 314

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "log_lines.h"

enum {
    IN_A_FOLDER = 100,
    QUEUE = 1 << 16,
    FIRST_FILE = 1 << 24, /* inode numbers: 1, folders from 2, files from here */
    FILE_MOST = 8192,
    REQUEST_MOST = 256 << 10,
    READ_MOST = 128 << 10,
};

typedef struct answer {
    struct timespec due;
    struct fuse_out_header header;
    union {
        struct fuse_entry_out entry;
        struct fuse_attr_out attr;
        struct fuse_open_out opened;
        struct fuse_statfs_out statfs;
    } body;
    char *bytes; /* instead of the body; freed once sent */
    bool waited_for;
} answer;

static struct {
    unsigned files, folders;
    unsigned *sizes;
    long latency_us;
    int fd;
    unsigned long lookups, getattrs, opens, reads, statfs, closed; /* of the reading thread */

    pthread_mutex_t lock;
    pthread_cond_t added;
    answer *queue; /* a ring */
    size_t head, len;
    unsigned long in_flight, most;
    bool ended;
} fs = {.lock = PTHREAD_MUTEX_INITIALIZER, .added = PTHREAD_COND_INITIALIZER};

/* ---- answers, delayed ---- */

static void send_answer(answer *a)
{
    size_t len = a->header.len - sizeof a->header;
    struct iovec parts[] = {{&a->header, sizeof a->header},
                            {a->bytes != NULL ? (void *)a->bytes : (void *)&a->body, len}};
    /* ENOENT: who asked was killed meanwhile. */
    if (writev(fs.fd, parts, len > 0 ? 2 : 1) < 0 && errno != ENOENT && errno != ENODEV)
        fprintf(stderr, "slowfs: answer: %s\n", strerror(errno));
    free(a->bytes);
}

static void delay(answer a)
{
    clock_gettime(CLOCK_MONOTONIC, &a.due);
    a.due.tv_nsec += fs.latency_us % 1000000 * 1000;
    a.due.tv_sec += fs.latency_us / 1000000 + a.due.tv_nsec / 1000000000;
    a.due.tv_nsec %= 1000000000;

    pthread_mutex_lock(&fs.lock);
    if (a.waited_for && ++fs.in_flight > fs.most)
        fs.most = fs.in_flight;
    if (fs.len == QUEUE) {
        fprintf(stderr, "slowfs: more than %d operations at once\n", QUEUE);
        abort();
    }
    fs.queue[(fs.head + fs.len) % QUEUE] = a;
    if (fs.len++ == 0)
        pthread_cond_signal(&fs.added);
    pthread_mutex_unlock(&fs.lock);
}

/* Sends each answer when it is due. */
static void *sender(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&fs.lock);
    while (!fs.ended || fs.len > 0) {
        if (fs.len == 0) {
            pthread_cond_wait(&fs.added, &fs.lock);
            continue;
        }
        answer a = fs.queue[fs.head];
        pthread_mutex_unlock(&fs.lock);
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &a.due, NULL) == EINTR)
            ;
        /* Out of flight before it is sent, or what it sets going would count beside it. */
        pthread_mutex_lock(&fs.lock);
        fs.head = (fs.head + 1) % QUEUE;
        fs.len--;
        fs.in_flight -= a.waited_for;
        pthread_mutex_unlock(&fs.lock);
        send_answer(&a);
        pthread_mutex_lock(&fs.lock);
    }
    pthread_mutex_unlock(&fs.lock);
    return NULL;
}

static answer to(const struct fuse_in_header *in, size_t len)
{
    return (answer){
        .header = {.len = (uint32_t)(sizeof(struct fuse_out_header) + len), .unique = in->unique},
        .waited_for = true};
}

/* At once: what the kernel asks once and then never again, and what was asked wrongly. */
static void refuse(const struct fuse_in_header *in, int error)
{
    answer a = to(in, 0);
    a.header.error = -error;
    send_answer(&a);
}

/* ---- the tree ---- */

static size_t contents(unsigned file, char block[FILE_MOST + LOG_LINE_MOST])
{
    log_lines log;
    log_begin(&log, file);
    size_t bytes = 1024 + (size_t)(log_random(&log) % (FILE_MOST - 1024));
    char *end = block;
    while ((size_t)(end - block) < bytes)
        end = log_line(&log, end);
    return (size_t)(end - block);
}

static struct fuse_attr attributes(uint64_t inode)
{
    bool file = inode >= FIRST_FILE;
    return (struct fuse_attr){.ino = inode,
                              .mode = file ? S_IFREG | 0444 : S_IFDIR | 0555,
                              .nlink = file ? 1 : 2,
                              .size = file ? fs.sizes[inode - FIRST_FILE] : 0,
                              .blksize = 4096};
}

/* The inode of a name in a folder; 0: there is none. */
static uint64_t inode_of(uint64_t folder, const char *name)
{
    unsigned number;
    int end = 0;
    if (folder == 1 && sscanf(name, "%4u%n", &number, &end) == 1 && name[end] == '\0')
        return number < fs.folders ? number + 2 : 0;
    if (folder > 1 && sscanf(name, "%6u.log%n", &number, &end) == 1 && end && name[end] == '\0')
        return number < fs.files && number / IN_A_FOLDER == folder - 2 ? FIRST_FILE + number : 0;
    return 0;
}

static void on_lookup(const struct fuse_in_header *in, const char *name)
{
    fs.lookups++;
    answer a = to(in, sizeof a.body.entry);
    uint64_t inode = inode_of(in->nodeid, name);
    if (inode == 0) {
        a = to(in, 0);
        a.header.error = -ENOENT;
    } else {
        a.body.entry = (struct fuse_entry_out){.nodeid = inode, .attr = attributes(inode)};
    }
    delay(a);
}

static void on_getattr(const struct fuse_in_header *in)
{
    fs.getattrs++;
    answer a = to(in, sizeof a.body.attr);
    a.body.attr = (struct fuse_attr_out){.attr = attributes(in->nodeid)};
    delay(a);
}

static void on_open(const struct fuse_in_header *in)
{
    fs.opens++;
    answer a = to(in, sizeof a.body.opened);
    a.body.opened =
        (struct fuse_open_out){.open_flags = FOPEN_DIRECT_IO * (in->opcode == FUSE_OPEN)};
    delay(a);
}

static void on_statfs(const struct fuse_in_header *in)
{
    fs.statfs++;
    answer a = to(in, sizeof a.body.statfs);
    a.body.statfs =
        (struct fuse_statfs_out){.st = {.files = fs.files, .bsize = 4096, .namelen = 255}};
    delay(a);
}

static void on_close(const struct fuse_in_header *in)
{
    fs.closed++;
    answer a = to(in, 0);
    a.waited_for = false;
    delay(a);
}

static size_t read_file(uint64_t inode, const struct fuse_read_in *read, char *bytes)
{
    char block[FILE_MOST + LOG_LINE_MOST];
    size_t len = contents((unsigned)(inode - FIRST_FILE), block);
    size_t from = read->offset < len ? (size_t)read->offset : len;
    len = len - from < read->size ? len - from : read->size;
    memcpy(bytes, block + from, len);
    return len;
}

/* The entries of a folder from one on; an entry's offset is its number. */
static size_t read_folder(uint64_t inode, const struct fuse_read_in *read, char *bytes)
{
    unsigned first = inode == 1 ? 0 : (unsigned)(inode - 2) * IN_A_FOLDER;
    unsigned end = inode == 1 ? fs.folders : first + IN_A_FOLDER;
    if (inode > 1 && end > fs.files)
        end = fs.files;
    size_t len = 0;
    for (unsigned i = first + (unsigned)read->offset; i < end; i++) {
        char name[16];
        int name_len = snprintf(name, sizeof name, inode == 1 ? "%04u" : "%06u.log", i);
        struct fuse_dirent entry = {.ino = inode == 1 ? i + 2 : FIRST_FILE + i,
                                    .off = i - first + 1,
                                    .namelen = (uint32_t)name_len,
                                    .type = inode == 1 ? DT_DIR : DT_REG};
        size_t more = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + (size_t)name_len);
        if (more > read->size - len)
            break;
        memset(bytes + len, 0, more);
        memcpy(bytes + len, &entry, FUSE_NAME_OFFSET);
        memcpy(bytes + len + FUSE_NAME_OFFSET, name, (size_t)name_len);
        len += more;
    }
    return len;
}

static void on_read(const struct fuse_in_header *in, const struct fuse_read_in *read)
{
    fs.reads++;
    /* A file's bytes are fewer than a reader may have asked for. */
    size_t room = in->opcode == FUSE_READ ? FILE_MOST + LOG_LINE_MOST : READ_MOST;
    char *bytes = malloc(read->size < room ? read->size : room);
    if (bytes == NULL || (in->opcode == FUSE_READDIR && read->size > room)) {
        free(bytes);
        refuse(in, ENOMEM);
        return;
    }
    answer a = to(in, in->opcode == FUSE_READ ? read_file(in->nodeid, read, bytes)
                                              : read_folder(in->nodeid, read, bytes));
    a.bytes = bytes;
    delay(a);
}

/* ---- what the kernel asks ---- */

/* Closing and the like count as background, which the kernel would hold to twelve at once. */
static void on_init(const struct fuse_in_header *in, const struct fuse_init_in *init)
{
    struct fuse_init_out out = {
        .major = FUSE_KERNEL_VERSION,
        .minor = init->minor < FUSE_KERNEL_MINOR_VERSION ? init->minor : FUSE_KERNEL_MINOR_VERSION,
        .flags = init->flags & (FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES),
        .max_background = 65535,
        .congestion_threshold = 65535,
        .max_write = READ_MOST,
        .max_pages = READ_MOST / 4096,
        .time_gran = 1,
    };
    answer a = to(in, sizeof out);
    struct iovec parts[] = {{&a.header, sizeof a.header}, {&out, sizeof out}};
    if (writev(fs.fd, parts, 2) < 0)
        perror("slowfs: first answer");
}

static void on_request(const struct fuse_in_header *in)
{
    const void *rest = in + 1;
    switch (in->opcode) {
    case FUSE_INIT:
        on_init(in, rest);
        break;
    case FUSE_LOOKUP:
        on_lookup(in, rest);
        break;
    case FUSE_GETATTR:
        on_getattr(in);
        break;
    case FUSE_OPEN:
    case FUSE_OPENDIR:
        on_open(in);
        break;
    case FUSE_READ:
    case FUSE_READDIR:
        on_read(in, rest);
        break;
    case FUSE_STATFS:
        on_statfs(in);
        break;
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
        on_close(in);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break; /* are not answered */
    case FUSE_DESTROY:
        refuse(in, 0);
        break;
    default:
        refuse(in, ENOSYS);
    }
}

/* Until it is unmounted. */
static int serve(void)
{
    static _Alignas(uint64_t) char request[REQUEST_MOST];
    for (;;) {
        ssize_t n = read(fs.fd, request, sizeof request - 1);
        if (n < 0 && errno == ENODEV)
            return 0;
        if (n < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT) {
            perror("slowfs: request");
            return 1;
        }
        if (n >= (ssize_t)sizeof(struct fuse_in_header)) {
            request[n] = '\0';
            on_request((const struct fuse_in_header *)request);
        }
    }
}

/* ---- the program ---- */

static sigset_t ends;

static void *unmount_at_the_end(void *session)
{
    int signal;
    sigwait(&ends, &signal);
    fuse_session_unmount(session);
    return NULL;
}

static bool make_tree(unsigned files)
{
    char block[FILE_MOST + LOG_LINE_MOST];
    fs.files = files;
    fs.folders = (files + IN_A_FOLDER - 1) / IN_A_FOLDER;
    fs.sizes = calloc(files, sizeof *fs.sizes);
    fs.queue = calloc(QUEUE, sizeof *fs.queue);
    if (fs.sizes == NULL || fs.queue == NULL)
        return false;
    for (unsigned i = 0; i < files; i++)
        fs.sizes[i] = (unsigned)contents(i, block);
    return true;
}

/* Mounted already: answers until it is not. */
static int run(struct fuse_session *session)
{
    pthread_t sends, unmounts;
    /* libfuse closes its own descriptor before it unmounts. */
    fs.fd = fcntl(fuse_session_fd(session), F_DUPFD_CLOEXEC, 3);
    if (fs.fd < 0 || pthread_create(&unmounts, NULL, unmount_at_the_end, session) != 0 ||
        pthread_create(&sends, NULL, sender, NULL) != 0) {
        fprintf(stderr, "slowfs: cannot begin\n");
        fuse_session_unmount(session);
        return 1;
    }
    int failed = serve();
    pthread_mutex_lock(&fs.lock);
    fs.ended = true;
    pthread_cond_signal(&fs.added);
    pthread_mutex_unlock(&fs.lock);
    pthread_join(sends, NULL);
    pthread_kill(unmounts, SIGTERM); /* if somebody else has unmounted it */
    pthread_join(unmounts, NULL);
    printf("{\"waited\": %lu, \"most\": %lu, \"lookups\": %lu, \"getattrs\": %lu, \"opens\": %lu, "
           "\"reads\": %lu, \"statfs\": %lu, \"closed\": %lu}\n",
           fs.lookups + fs.getattrs + fs.opens + fs.reads + fs.statfs, fs.most, fs.lookups,
           fs.getattrs, fs.opens, fs.reads, fs.statfs, fs.closed);
    return failed;
}

int main(int argc, char **argv)
{
    unsigned long files = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    fs.latency_us = argc == 4 ? strtol(argv[3], NULL, 10) : -1;
    if (files == 0 || files > 900000 || fs.latency_us < 0) {
        fprintf(stderr, "usage: slowfs MOUNT_POINT FILES LATENCY_IN_US\n");
        return 2;
    }
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    /* It stands for another machine, which ours does not slow down when busy. Where permitted. */
    sched_setscheduler(0, SCHED_RR, &(struct sched_param){.sched_priority = 1});
    if (!make_tree((unsigned)files)) {
        fprintf(stderr, "slowfs: not enough memory\n");
        return 1;
    }
    char *mount_options[] = {argv[0], "-oro,fsname=slowfs", NULL};
    struct fuse_args args = FUSE_ARGS_INIT(2, mount_options);
    struct fuse_lowlevel_ops none = {0};
    struct fuse_session *session = fuse_session_new(&args, &none, sizeof none, NULL);
    if (session == NULL || fuse_session_mount(session, argv[1]) != 0)
        return 1;
    int failed = run(session);
    fuse_session_destroy(session);
    fuse_opt_free_args(&args);
    free(fs.sizes);
    free(fs.queue);
    return failed;
}
