/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a child process without privileges.
 */
#ifndef SUPERVISOR_PROCESS_H
#define SUPERVISOR_PROCESS_H

#include "base/error.h"
#include "base/text.h"

#include <sys/types.h>

/* Whom children run as. `is_changed` false: the supervisor has no privileges to give up. */
struct identity {
    bool is_changed;
    uid_t user;
    gid_t group;
    char name[64];
};

/* `name` NULL: "causeway", else "nobody". ERROR_NOT_FOUND with a sentence. */
MUST_USE int identity_find(const char *name, struct identity *identity, struct text *why);

/* A folder of this identity's own, which is made with mode 0700 where it is missing and its parent is not, and taken over where it is root's and
 * empty; by a descriptor that leads there and allows nothing (O_PATH): this process may have no right to look into it. A sentence in `why` where that identity could not write to it. */
MUST_USE int folder_open(const char *path, const struct identity *identity, int *fd,
                         struct text *why);
MUST_USE int folder_make(const char *path, const struct identity *identity, struct text *why);
/* Whether folder_open() would do, without making anything: 0, ERROR_NOT_FOUND where it would be made, or why not. */
MUST_USE int folder_judge(const char *path, const struct identity *identity, struct text *why);

/* Executes this very program as `causeway child NAME`, with `socket` as descriptor 3 and nothing
 * else open but 0 to 2. The child is killed when the supervisor dies. The pid, or -1 with errno. */
pid_t process_start(const char *name, int socket, const struct identity *identity);

enum { PROCESS_CHILD_SOCKET = 3 };

/* What such a child does first: it has a name, cannot be dumped, leaves signals to the supervisor, and has room for its
 * descriptors. No thread may be started before. */
void process_begin(const char *name);

#endif
