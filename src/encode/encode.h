/* SPDX-License-Identifier: Apache-2.0
 *
 * Content encodings towards clients (C3): what a client accepts, which answers gain by it, what an encoded answer's head says, and
 * the encoders themselves behind one table. Pure: heads and bytes in, decisions and bytes out.
 *
 * An encoded answer is another representation (RFC 9110 section 8.8.3): its strong entity tag gets the encoding's name as a suffix, "abc"
 * is "abc+br". Behind this folder, in cache and origin, there is only "abc": conditions of requests are translated on their way in.
 */
#ifndef ENCODE_ENCODE_H
#define ENCODE_ENCODE_H

#include "base/error.h"
#include "base/slice.h"
#include "http/http.h"

enum encoding {
    ENCODING_IDENTITY,
    ENCODING_GZIP,
    ENCODING_BROTLI,
    ENCODING_ZSTD,
    ENCODING_COUNT,
};

/* In Accept-Encoding and Content-Encoding: "br". */
struct span encoding_name(enum encoding encoding);
/* Of a file that is encoded so: ".br"; empty of identity. */
const char *encoding_suffix(enum encoding encoding);

/* ---- what a client accepts (RFC 9110 section 12.5.3) */

struct encode_wishes {
    uint16_t quality[ENCODING_COUNT]; /* thousandths; 0: refused, or not asked for */
};

/* Without the field nothing but identity is meant, as clients mean it. An element that is malformed is not there. */
void encode_wishes_read(struct encode_wishes *wishes, const struct http_fields *request);
/* The client's preference, then that of the site: the first of `order` among equals. A client that refuses identity, too, gets it all
 * the same: it can read more of that than of a 406. */
enum encoding encode_choose(const struct encode_wishes *wishes, const enum encoding *order,
                            size_t count);

/* ---- which answers */

/* name, text: why an answer is left as it is. */
// clang-format off
#define ENCODE_REASON_LIST(X)                                                                       \
    X(FITS,      "may be encoded")                                                                  \
    X(STATUS,    "no content")                                                                      \
    X(PART,      "a part: of encoded content there are none; but there was a choice")               \
    X(CODED,     "encoded already")                                                                 \
    X(TYPE,      "of a type that gains nothing")                                                    \
    X(SMALL,     "too small")                                                                       \
    X(FORBIDDEN, "no-transform")                                                                    \
    X(DIGEST,    "says a digest of its bytes")                                                      \
    X(SECRET,    "may hold a secret, and the site wants these left as they are")
// clang-format on
enum encode_reason {
#define X(name, text) ENCODE_##name,
    ENCODE_REASON_LIST(X)
#undef X
        ENCODE_REASON_COUNT
};

/* What a site wants. */
struct encode_policy {
    const char *const
        *types; /* media types, "text/" and '*', '*' and "+json"; NULL: those that gain */
    size_t type_count;
    uint64_t least_bytes; /* smaller ones are left as they are */
    bool only_public;     /* nor what may hold a visitor's secret */
};

/* A media type with its parameters. */
bool encode_type_gains(const struct encode_policy *policy, struct span content_type);
/* Whether this answer comes encoded to whoever wants it so. Of HEAD the same as of GET. */
enum encode_reason encode_judge(const struct encode_policy *policy, const struct http_head *request,
                                const struct http_head *answer);

/* ---- heads. Negative: the fields are too many, or one of them too long. */

/* The choice depends on the client's field, whatever came of it. */
MUST_USE int encode_add_vary(struct http_fields *answer);
/* The answer's content will be encoded so, and of that length; UINT64_MAX: it is not known. */
MUST_USE int encode_head(struct http_head *answer, enum encoding encoding, uint64_t length);
/* If-None-Match and If-Match name tags of ours: those without the suffix besides them. If-Range stays: no ranges are served of
 * what is encoded. */
MUST_USE int encode_translate_conditions(struct http_fields *request,
                                         const struct encode_wishes *wishes);
/* 304: what is still right is what the client has, `asked` the fields as they came. 1: that is encoded; 0: it is not. */
MUST_USE int encode_not_modified(struct http_fields *answer, const struct http_fields *asked,
                                 enum encoding chosen);

/* ---- encoders */

enum encode_then {
    ENCODE_MORE,  /* follows at once */
    ENCODE_FLUSH, /* may take long: everything so far has to be of use */
    ENCODE_END,
};

enum {
    ENCODE_WINDOW_LOG = 18,        /* of an encoder on the fly: it refers back so far */
    ENCODE_WINDOW_LOG_STORED = 22, /* of one that has time, one at once; RFC 9659 allows 23 */
    ENCODE_IDLE_MOST = 8,          /* of an encoding, kept for the next answer */
    ENCODE_STORED_LARGE = 512 << 10,
};

struct encode_settings {
    int level;
    unsigned window_log;
    uint64_t length; /* UINT64_MAX: not known; may be wrong */
};

struct encode_coder {
    int level_least, level_most; /* on the fly */
    /* Where it is done once for many, and not on a loop; from ENCODE_STORED_LARGE bytes on. */
    int level_stored, level_stored_large;
    uint32_t bytes_most; /* of one with ENCODE_WINDOW_LOG, up to level_most */
    void *(*open)(const struct encode_settings *settings);
    void (*restart)(void *state, const struct encode_settings *settings); /* NULL: it cannot */
    void (*close)(void *state);
    /* Appends what comes of `data` to `out`. */
    void (*put)(void *state, struct span data, enum encode_then then, struct slice_queue *out);
    size_t (*bytes)(const void *state); /* that it holds */
};
extern const struct encode_coder encode_gzip, encode_brotli, encode_zstd;
const struct encode_coder *encode_coder(enum encoding encoding); /* not of identity */

/* Those of a worker: no more than so many at once, idle ones are used again. */
struct encoders;
struct encoder;
struct encoders *encoders_new(void);
void encoders_free(struct encoders **freed); /* when all are back */
/* NULL: so many run already. */
struct encoder *encoders_take(struct encoders *encoders, uint32_t most, enum encoding encoding,
                              const struct encode_settings *settings);
void encoders_give_back(struct encoders *encoders, struct encoder **pointer); /* nulls */
uint32_t encoders_running(const struct encoders *encoders);

enum encoding encoder_encoding(const struct encoder *encoder);
void encoder_put(struct encoder *encoder, struct span data, enum encode_then then,
                 struct slice_queue *out);

#endif
