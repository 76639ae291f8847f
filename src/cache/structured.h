/* SPDX-License-Identifier: Apache-2.0
 *
 * Structured fields (RFC 8941, obsoleted by RFC 9651 without a change here), as far as targeted cache control needs them:
 * dictionaries, strictly. Private to src/cache.
 */
#ifndef CACHE_STRUCTURED_H
#define CACHE_STRUCTURED_H

#include "base/error.h"
#include "base/span.h"

enum structured_type {
    STRUCTURED_BOOLEAN,
    STRUCTURED_INTEGER,
    STRUCTURED_DECIMAL,
    STRUCTURED_STRING,
    STRUCTURED_TOKEN,
    STRUCTURED_BYTES,
    STRUCTURED_LIST, /* an inner list: read, and of no use here */
};

struct structured_member {
    struct span key;
    enum structured_type type;
    bool boolean;
    int64_t integer;
    struct span text; /* of a string, between its quotes and with its backslashes; of a token */
};

/* Takes the next member off `rest`, which begins as one whole field value; its parameters are skipped. 1, 0 at the end, or
 * ERROR_INVALID: the whole field is then to be ignored. */
MUST_USE int structured_dictionary_next(struct span *rest, struct structured_member *member);

#endif
