/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the folder of an edge's cache will do: for `causeway doctor`, and for `causeway check` of one node.
 */
#include "cli/doctor.h"
#include "supervisor/supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

enum { SPARE_PERCENT = 2 }; /* of a file system: with less it counts as full */

static unsigned long long megabytes(uint64_t bytes)
{
    return bytes >> 20;
}

/* There or above it. */
static int look(const char *path, struct statvfs *status)
{
    char parent[4096];
    if (statvfs(path, status) == 0)
        return 0;
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = 0;
    return statvfs(slash ? parent : ".", status);
}

enum finding_level doctor_judge_cache(const struct conf_node *node, struct text *sentence,
                                      const char **advice)
{
    const struct conf_cache_disk *disk = node->edge->cache_disk;
    struct statvfs status;
    int result = supervisor_judge_folder(disk->path, node->user, sentence);
    *advice = "without it answers are kept in memory only";
    if (result && result != ERROR_NOT_FOUND)
        return FINDING_FAIL;
    text_clear(sentence);
    if (look(disk->path, &status)) {
        text_add_format(sentence, "%s: %s", disk->path, strerror(errno));
        return FINDING_FAIL;
    }
    uint64_t whole = (uint64_t)status.f_blocks * status.f_frsize;
    uint64_t free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    if (status.f_flag & ST_RDONLY) {
        text_add_format(sentence, "the file system of %s is read-only", disk->path);
        return FINDING_FAIL;
    }
    if (free_bytes < whole / 100 * SPARE_PERCENT) {
        text_add_format(sentence, "the file system of %s is full: %llu of %llu MB are free",
                        disk->path, megabytes(free_bytes), megabytes(whole));
        *advice =
            "fine when it is this cache that fills it and `size` is what it may take; else make "
            "room: nothing is written meanwhile";
        return FINDING_WARN;
    }
    if (whole < disk->bytes || (result == ERROR_NOT_FOUND && free_bytes < disk->bytes)) {
        text_add_format(
            sentence, "%s: the file system has %llu MB, %llu of them free; the cache may take %llu",
            disk->path, megabytes(whole), megabytes(free_bytes), megabytes(disk->bytes));
        *advice = "lower edge.cache.disk.size";
        return FINDING_WARN;
    }
    text_add_format(sentence, "%s%s, %llu MB are free", disk->path,
                    result ? " is made at the start" : " can be used", megabytes(free_bytes));
    return FINDING_OK;
}
