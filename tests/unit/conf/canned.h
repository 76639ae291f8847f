/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys and a reader of files that exist only in a table.
 */
#ifndef TESTS_UNIT_CONF_CANNED_H
#define TESTS_UNIT_CONF_CANNED_H

#include "base/error.h"
#include "conf/conf.h"

/* Made by `causeway keygen` for these tests. */
#define KEY_A         "AWJNil1jCuX6Mk75tsx/oxMPSxr1ZMzMYlkj2G742mg="
#define PRIVATE_KEY_A "AH+g37jY7hJ2UNOWeJgv5RIOeEKsR8ZatCns3E4FOUw="
#define KEY_B         "ENR/SloD0MbotwIpXBoqJuxj/3Ptlr+crq/zkbrt5yU="
#define PRIVATE_KEY_B "8JPbQ+9CBKhJ3MiG4StGKOhdbakx+kfwrnGCSdPEM0Q="
#define KEY_C         "YvIP2/MZRpOOJgqASV5tb+HUiPrpc7p2Tm9S50KPFFk="
#define PRIVATE_KEY_C "cHzsPDnDNGeySP+WPaCexlHrxokaH4RjJyCbJhhU4Xs="

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
    return (struct conf_reader){.read = canned_read,
                                .read_zone_key = canned_read,
                                .read_site_key = canned_read,
                                .argument = (void *)(uintptr_t)files};
}

#endif
