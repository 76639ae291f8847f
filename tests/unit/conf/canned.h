/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys and a reader of files that exist only in a table.
 */
#ifndef TESTS_UNIT_CONF_CANNED_H
#define TESTS_UNIT_CONF_CANNED_H

#include "base/error.h"
#include "conf/conf.h"

/* 1, 2 or 3, then 31 bytes that are zero */
#define KEY_A "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY_B "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY_C "AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

struct canned_file {
    const char *path, *content;
    bool is_private; /* mode 0600 */
};

static int canned_read(void *argument, const char *path, bool is_secret, struct text *content,
                       struct text *why)
{
    for (const struct canned_file *file = argument; file->path; file++) {
        if (strcmp(file->path, path) != 0)
            continue;
        if (is_secret && !file->is_private) {
            text_add(why, "others can read it");
            return ERROR_DENIED;
        }
        text_add(content, file->content);
        return 0;
    }
    text_add(why, "no such file");
    return ERROR_NOT_FOUND;
}

/* The table ends with a row without path. */
static inline struct conf_reader canned_reader(const struct canned_file *files)
{
    return (struct conf_reader){canned_read, (void *)(uintptr_t)files};
}

#endif
