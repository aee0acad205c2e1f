/*
 * replay.c: runs a fuzz target over the inputs of its corpus, as a TAP test, where libFuzzer is
 * not linked. An input that once broke a parser so stays a test of every build.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The file's bytes in storage of exactly their size, so that a sanitizer sees a read past them. */
static uint8_t *read_whole(const char *path, size_t *size)
{
    static uint8_t bytes[LARGEST];
    FILE *file = fopen(path, "rbe");
    if (!file)
        return NULL;
    *size = fread(bytes, 1, sizeof bytes, file);
    bool bad = ferror(file) || fgetc(file) != EOF;
    fclose(file);
    uint8_t *copy = bad ? NULL : malloc(*size ? *size : 1);
    if (copy)
        memcpy(copy, bytes, *size);
    return copy;
}

static bool replay(const char *folder, const char *name)
{
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return false;
    size_t size = 0;
    uint8_t *data = read_whole(path, &size);
    if (!data) {
        printf("# cannot read %s, or it is larger than %d bytes\n", path, LARGEST);
        return false;
    }
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return true;
}

int main(int argc, char **argv)
{
    struct dirent **entries;
    int n = argc == 2 ? scandir(argv[1], &entries, NULL, alphasort) : -1;
    if (n < 0) {
        fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
        return 2;
    }
    int count = 0, failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("TAP version 13\n");
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        if (name[0] != '.') {
            bool ok = replay(argv[1], name);
            failed += !ok;
            printf("%sok %d - %s\n", ok ? "" : "not ", ++count, name);
        }
        free(entries[i]);
    }
    free(entries);
    if (count == 0) {
        printf("not ok 1 - the corpus is empty\n");
        failed = count = 1;
    }
    printf("1..%d\n", count);
    return failed != 0;
}
