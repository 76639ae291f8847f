/* SPDX-License-Identifier: Apache-2.0
 *
 * Cache directives of a message: Cache-Control (RFC 9111 section 5.2), or of a response the targeted field that takes its place
 * (RFC 9213). Private to src/cache.
 */
#ifndef CACHE_DIRECTIVES_H
#define CACHE_DIRECTIVES_H

#include "http/http.h"

/* name, spelling, kind */
// clang-format off
#define DIRECTIVE_LIST(X) \
    X(NO_STORE, "no-store", FLAG) X(NO_CACHE, "no-cache", NAMES) X(PRIVATE, "private", NAMES) \
    X(PUBLIC, "public", FLAG) X(MUST_REVALIDATE, "must-revalidate", FLAG) \
    X(PROXY_REVALIDATE, "proxy-revalidate", FLAG) X(MUST_UNDERSTAND, "must-understand", FLAG) \
    X(IMMUTABLE, "immutable", FLAG) X(ONLY_IF_CACHED, "only-if-cached", FLAG) \
    X(MAX_AGE, "max-age", SECONDS) X(S_MAXAGE, "s-maxage", SECONDS) X(MIN_FRESH, "min-fresh", SECONDS) \
    X(MAX_STALE, "max-stale", SECONDS) X(STALE_WHILE_REVALIDATE, "stale-while-revalidate", SECONDS) \
    X(STALE_IF_ERROR, "stale-if-error", SECONDS)
// clang-format on

enum directive {
#define X(name, text, kind) DIRECTIVE_##name,
    DIRECTIVE_LIST(X)
#undef X
        DIRECTIVE_COUNT
};

struct directives {
    uint32_t present; /* a bit for each; those with field names: only without any */
    uint32_t named;   /* no-cache and private with field names */
    uint32_t invalid; /* present, of the wrong form */
    uint32_t seconds[DIRECTIVE_COUNT];
    bool is_targeted; /* Expires does not count either */
};

static inline bool directives_have(const struct directives *directives, enum directive directive)
{
    return directives->present >> directive & 1;
}

/* Cache-Control alone. */
void directives_read(struct directives *directives, const struct http_fields *fields);
/* Of a response: Causeway-Cache-Control, else CDN-Cache-Control, else Cache-Control. */
void directives_read_response(struct directives *directives, const struct http_fields *fields);

/* Whether the response's no-cache or private (of the fields that count) name this field. */
bool directives_name_field(const struct directives *directives, const struct http_fields *fields,
                           struct span name);

/* Digits alone, at most CACHE_SECONDS_MOST. 0 or ERROR_INVALID. */
MUST_USE int directives_read_seconds(struct span text, uint32_t *seconds);

#endif
