/*
 * git.h: the little that is read of a git repository and of git's configuration: where lists of
 * ignored files are. Whatever is missing, unreadable or no regular file is simply not there.
 */
#ifndef WI_GIT_H
#define WI_GIT_H

#include <stdbool.h>

#include "buf.h"
#include "error.h"

/*
 * A file read whole into `to`, which is cleared; at most to->max bytes. Never waits for anybody:
 * what is no regular file fails, with EISDIR or EINVAL. flags as those of open, such as O_NOFOLLOW.
 */
weir_status wi_git_read(int folder, const char *path, int flags, wi_buf *to, weir_error *err);

/*
 * The file of what a user ignores everywhere: core.excludesFile, of ~/.gitconfig, git/config in the
 * user's folder of configuration, or the system's; else git/ignore in that folder. Empty if there
 * can be none.
 */
weir_status wi_git_excludes_path(wi_buf *path, weir_error *err);

/* The same from the text of one such file; false if it says nothing of it. `home` may be NULL. */
bool wi_git_config_excludes(const char *text, size_t len, const char *home, wi_buf *path);

/*
 * Is `folder` the top of a working tree? If so, *exclude is where its info/exclude is, seen from
 * `folder`: the repository may be elsewhere, as that of a submodule or a second working tree.
 */
weir_status wi_git_top(int folder, bool *is_top, wi_buf *exclude, weir_error *err);

#endif
