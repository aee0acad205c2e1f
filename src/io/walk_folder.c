/*
 * walk_folder.c: folders and roots as things that are shared: references, descriptors, paths; see
 * walk_state.h. Its invariant: a folder's descriptor is closed by the last of its users, once.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "walk_state.h"

wi_walk_folder *wi_walk_folder_new(wi_walk *walk, wi_walk_folder *parent, wi_walk_root *root,
                                   const char *name, size_t len)
{
    wi_walk_folder *folder = malloc(sizeof *folder + len + 1);
    if (!folder)
        return NULL;
    *folder = (wi_walk_folder){
        .walk = walk,
        .parent = parent,
        .root = root,
        .fd = -1,
        .read_fd = -1,
        .depth = parent ? parent->depth + 1 : 0,
        .inside = parent && parent->inside,
        .path_len = parent ? parent->path_len + len + 1 : len,
        .name_len = len,
    };
    atomic_init(&folder->refs, 1);
    memcpy(folder->name, name, len);
    folder->name[len] = '\0';
    atomic_fetch_add_explicit(&root->refs, 1, memory_order_relaxed);
    if (parent)
        wi_walk_folder_ref(parent);
    return folder;
}

void wi_walk_folder_ref(wi_walk_folder *folder)
{
    atomic_fetch_add_explicit(&folder->refs, 1, memory_order_relaxed);
}

void wi_walk_folder_unref(wi_walk_folder *folder)
{
    while (folder && atomic_fetch_sub_explicit(&folder->refs, 1, memory_order_acq_rel) == 1) {
        wi_walk_folder *parent = folder->parent;
        wi_walk_root_unref(folder->root);
        wi_ignore_folder_unref(folder->ignore);
        free(folder);
        folder = parent;
    }
}

void wi_walk_folder_drop(wi_walk_folder *folder)
{
    if (folder->fd >= 0)
        wi_walk_fd_unuse(folder);
    else if (folder->read_fd >= 0)
        close(folder->read_fd);
    if (!folder->entered && folder->parent)
        wi_walk_fd_unuse(folder->parent);
    wi_walk_folder_unref(folder);
}

void wi_walk_fd_use(wi_walk_folder *folder)
{
    if (folder->fd >= 0)
        atomic_fetch_add_explicit(&folder->fd_users, 1, memory_order_relaxed);
}

void wi_walk_fd_unuse(wi_walk_folder *folder)
{
    if (folder->fd < 0 ||
        atomic_fetch_sub_explicit(&folder->fd_users, 1, memory_order_acq_rel) != 1)
        return;
    wi_walk *walk = folder->walk;
    close(folder->fd); /* nobody looks at the number any more */
    atomic_fetch_sub(&walk->held, 1);
    if (atomic_load(&walk->waiting)) {
        pthread_mutex_lock(&walk->lock);
        pthread_cond_signal(&walk->changed);
        pthread_mutex_unlock(&walk->lock);
    }
}

void wi_walk_root_unref(wi_walk_root *root)
{
    if (!root || atomic_fetch_sub_explicit(&root->refs, 1, memory_order_acq_rel) != 1)
        return;
    wi_glob_free(root->glob);
    wi_ignore_folder_unref(root->above);
    free(root->given);
    free(root->open);
    free(root->absolute);
    free(root);
}

bool wi_walk_folder_path(const wi_walk_folder *folder, wi_buf *path)
{
    wi_buf_clear(path);
    if (!wi_buf_reserve(path, folder->path_len + WI_WALK_NAME_ROOM))
        return false;
    char *end = path->data + folder->path_len;
    *end = '\0';
    path->len = folder->path_len;
    for (; folder->parent; folder = folder->parent) {
        *--end = '/';
        end -= folder->name_len;
        memcpy(end, folder->name, folder->name_len);
    }
    memcpy(path->data, folder->name, folder->name_len);
    return true;
}

/* ---- paths longer than the system takes at once ---- */

/*
 * Goes down from `path` by as many components at once as may be, until what is left is short
 * enough; *at is the folder it is seen from. Returns NULL, with errno, where that fails.
 */
static const char *go_down(const char *path, int *at)
{
    *at = AT_FDCWD;
    while (strlen(path) >= PATH_MAX) {
        char part[PATH_MAX];
        const char *slash = memrchr(path + 1, '/', PATH_MAX - 2);
        int fd = -1;
        if (slash) {
            memcpy(part, path, (size_t)(slash - path));
            part[slash - path] = '\0';
            fd = openat(*at, part, O_PATH | O_DIRECTORY | O_CLOEXEC);
        } else {
            errno = ENAMETOOLONG;
        }
        int error = errno;
        if (*at >= 0)
            close(*at);
        *at = fd;
        errno = error;
        if (fd < 0)
            return NULL;
        for (path = slash + 1; *path == '/'; path++)
            ;
    }
    return path;
}

static void come_back(int at)
{
    int error = errno;
    if (at >= 0)
        close(at);
    errno = error;
}

int wi_walk_open_path(const char *path, int flags)
{
    int at;
    const char *rest = go_down(path, &at);
    if (!rest)
        return -1;
    int fd = openat(at, rest, flags | O_CLOEXEC);
    come_back(at);
    return fd;
}

int wi_walk_stat_path(const char *path, int flags, struct stat *st)
{
    int at;
    const char *rest = go_down(path, &at);
    if (!rest)
        return -1;
    int result = fstatat(at, rest, st, flags);
    come_back(at);
    return result;
}
