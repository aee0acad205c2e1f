/*
 * Makes the files that weir scan is measured over: log lines (log_lines.h), small, large or
 * gzipped.
 *
 * The same arguments make the same bytes. Files are shared out to two processes, since making a
 * hundred thousand takes longer than searching them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "log_lines.h"

enum {
    PROCESSES = 2,
    IN_A_FOLDER = 100,
    BLOCK = 1 << 20,
};

typedef enum { SMALL, LARGE, GZIPPED } kind;

static void die(const char *what)
{
    fprintf(stderr, "scan_files: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void write_all(int fd, const char *bytes, size_t len, const char *path)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            die(path);
        bytes += n;
        len -= (size_t)n;
    }
}

/* Fills a block with whole lines, up to about `bytes`. */
static size_t fill(log_lines *log, char *block, size_t bytes)
{
    char *to = block;
    while ((size_t)(to - block) < bytes)
        to = log_line(log, to);
    return (size_t)(to - block);
}

static void make(kind of, uint64_t number, const char *path, size_t bytes, char *block)
{
    log_lines log;
    log_begin(&log, number);
    if (of == SMALL)
        bytes = 1024 + (size_t)(log_random(&log) % (bytes - 1024));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        die(path);
    gzFile archive = of == GZIPPED ? gzdopen(fd, "wb6") : NULL;
    for (size_t done = 0; done < bytes;) {
        size_t len = fill(&log, block, bytes - done < BLOCK ? bytes - done : BLOCK);
        if (of != GZIPPED)
            write_all(fd, block, len, path);
        else if (archive == NULL || gzwrite(archive, block, (unsigned)len) != (int)len)
            die(path);
        done += len;
    }
    if ((archive != NULL ? gzclose(archive) : close(fd)) != 0)
        die(path);
}

/* Every PROCESSES-th folder, or file where there are no folders. */
static void make_share(kind of, const char *folder, uint64_t files, size_t bytes, unsigned share)
{
    char path[4096];
    char *block = malloc(BLOCK + LOG_LINE_MOST);
    if (block == NULL)
        die("block");
    for (uint64_t i = 0; i < files; i++) {
        uint64_t of_folder = i / IN_A_FOLDER;
        if ((of == SMALL ? of_folder : i) % PROCESSES != share)
            continue;
        if (of == SMALL && i % IN_A_FOLDER == 0) {
            snprintf(path, sizeof path, "%s/%04u", folder, (unsigned)of_folder);
            if (mkdir(path, 0755) != 0)
                die(path);
        }
        if (of == SMALL)
            snprintf(path, sizeof path, "%s/%04u/%06u.log", folder, (unsigned)of_folder,
                     (unsigned)i);
        else
            snprintf(path, sizeof path, "%s/%03u.log%s", folder, (unsigned)i,
                     of == GZIPPED ? ".gz" : "");
        make(of, i, path, bytes, block);
    }
    free(block);
}

int main(int argc, char **argv)
{
    static const char *const kinds[] = {"small", "large", "gzipped"};
    unsigned of = 0;
    while (argc == 5 && of < 3 && strcmp(argv[1], kinds[of]) != 0)
        of++;
    if (argc != 5 || of == 3) {
        fprintf(stderr, "usage: scan_files small|large|gzipped FOLDER FILES BYTES_AT_MOST\n");
        return 2;
    }
    uint64_t files = strtoull(argv[3], NULL, 10);
    size_t bytes = (size_t)strtoull(argv[4], NULL, 10);
    if (bytes <= 1024) {
        fprintf(stderr, "scan_files: more than 1,024 bytes for each file, please\n");
        return 2;
    }
    if (mkdir(argv[2], 0755) != 0)
        die(argv[2]);
    int failed = 0;
    for (unsigned share = 0; share < PROCESSES; share++) {
        pid_t child = fork();
        if (child < 0)
            die("fork");
        if (child == 0) {
            make_share((kind)of, argv[2], files, bytes, share);
            _exit(0);
        }
    }
    for (int status; wait(&status) > 0;)
        failed |= status;
    return failed != 0;
}
