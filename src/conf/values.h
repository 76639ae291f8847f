/* SPDX-License-Identifier: Apache-2.0
 *
 * Values that many parts of the configuration have: lists, files. Part of conf.h.
 */
#ifndef CONF_VALUES_H
#define CONF_VALUES_H

#include "base/address.h"
#include "base/span.h"

struct conf_addresses {
    struct address *items;
    size_t count;
};

struct conf_networks {
    struct network *items;
    size_t count;
};

struct conf_texts {
    const char **items;
    size_t count;
};

/* A zone file, or one that it includes. */
struct conf_file {
    const char *path;
    struct span content;
};

struct conf_map {
    const char *path;
    struct span content; /* an MMDB or a text (docs/maps.md) */
};

enum conf_log_format { CONF_LOG_TEXT, CONF_LOG_JSON, CONF_LOG_COMBINED };

#endif
