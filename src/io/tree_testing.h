/* tree_testing.h: files with the folders above them, for tests of what walks through them. */
#ifndef WI_TREE_TESTING_H
#define WI_TREE_TESTING_H

#include "folder.h"

static inline void put(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s", in_folder(name));
    for (char *slash = path + strlen(test_folder) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    put_file(path, text, strlen(text));
}

#endif
