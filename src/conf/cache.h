/* SPDX-License-Identifier: Apache-2.0
 *
 * What edges store (docs/cache.md) and what they compress for clients (docs/encode.md). Part of conf.h.
 */
#ifndef CONF_CACHE_H
#define CONF_CACHE_H

#include "conf/values.h"

enum conf_eviction {
    CONF_EVICT_S3FIFO,
    CONF_EVICT_LRU,
    CONF_EVICT_LFU,
    CONF_EVICT_FIFO,
    CONF_EVICT_RANDOM,
};

struct conf_cache_disk {
    const char *path; /* a folder; the supervisor makes it, for the node's user alone */
    uint64_t bytes;   /* 10 GiB */
};

enum conf_set_cookie { CONF_SET_COOKIE_REFUSE, CONF_SET_COOKIE_STRIP, CONF_SET_COOKIE_KEEP };

/* What edges store of a site's answers (C1). */
struct conf_site_cache {
    bool is_on;                      /* false */
    enum conf_set_cookie set_cookie; /* REFUSE */
    bool hears_requests;             /* true */
    uint32_t heuristic_most_s;       /* a day */
    uint32_t lifetime_most_s;        /* a year */
    uint32_t while_revalidate_s;     /* 0 */
    uint32_t if_error_s;             /* 0 */
    uint64_t slice_bytes;            /* 0: whole answers */
    uint32_t refresh_hits;           /* 0: nothing is fetched anew before it expires */
    struct conf_texts prefetch;      /* URLs, or paths */
};

enum conf_encoding {
    CONF_ENCODING_GZIP,
    CONF_ENCODING_BROTLI,
    CONF_ENCODING_ZSTD,
    CONF_ENCODINGS,
};

enum conf_encode_answers { CONF_ENCODE_ALL, CONF_ENCODE_PUBLIC };
enum conf_encode_origin { CONF_ENCODE_ASK_IDENTITY, CONF_ENCODE_ASK_AS_CLIENT };

/* What edges compress for clients (C3). */
struct conf_site_encode {
    bool is_on;                    /* false */
    enum conf_encoding *encodings; /* zstd br gzip */
    size_t encoding_count;
    struct conf_texts types;          /* none: those that gain */
    uint64_t least_bytes;             /* 512 */
    enum conf_encode_answers answers; /* ALL */
    enum conf_encode_origin origin;   /* ASK_IDENTITY */
    bool is_kept;                     /* true: stored answers are encoded once */
    uint8_t levels[CONF_ENCODINGS];   /* 5 5 3 */
};

#endif
