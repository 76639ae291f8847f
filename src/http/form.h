/* SPDX-License-Identifier: Apache-2.0
 *
 * The numbers of the message form (docs/protocol/message.md), shared by its writer and its reader.
 * Private to http/.
 */
#ifndef HTTP_FORM_H
#define HTTP_FORM_H

#include "http/http.h"

enum form_frame {
    FORM_HEADERS = 1,
    FORM_INFORMATIONAL = 2,
    FORM_DATA = 3,
    FORM_TRAILERS = 4,
    FORM_END = 5,
    FORM_PACKED = 6,         /* DATA, packed */
    FORM_PACKED_HEADERS = 7, /* HEADERS, packed */
    FORM_TIMES = 8,          /* answers: how long the gateway's part took */
};

enum { FORM_PACKED_CONTINUES = 1 }; /* refers to the packed content before it */

enum form_flag {
    FORM_FLAG_CONTENT = 1,  /* content follows */
    FORM_FLAG_LENGTH = 2,   /* a content length is given */
    FORM_FLAG_UPGRADE = 4,  /* an upgrade is asked for or accepted */
    FORM_FLAG_HTTP_1_0 = 8, /* the message came as HTTP/1.0 */
    FORM_FLAG_HTTPS = 16,   /* requests: the client used https */
    FORM_FLAG_GROUP = 32,   /* requests: a group of origins is named */
};

enum {
    FORM_FRAME_HEADER_MOST = 9,  /* type and length */
    FORM_PACKED_HEADER_MOST = 5, /* flags and length of what is packed */
    FORM_NAME_LITERAL = 0,       /* else below FORM_PAIR_FIRST a name, from there on a pair */
    FORM_PAIR_FIRST = 128,
    FORM_FIELDS_EXTRA = 32, /* beyond the limit for a client: what edge and rules may add */
    FORM_TIMES_BYTES = 64,  /* payload of TIMES: room for what later versions tell */
    FORM_TIMES_FRAMES = 2,  /* of an answer */
};

/* The pair's code, or 0. */
uint8_t http_pair_of(enum http_name id, struct span value);
/* False where no pair has that code. */
bool http_pair_at(uint8_t code, enum http_name *id, struct span *value);

#endif
