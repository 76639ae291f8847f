/* SPDX-License-Identifier: Apache-2.0
 *
 * Field sections on their way down: the encoder of HPACK (RFC 7541). Its table remembers what was sent, so that a field that comes
 * again is one or two bytes. Fields are found by what http/ already knows of their names, not by hashing their text: each known name
 * has a chain of the entries that bear it, the latest first. What will not come again (an Age, a request's id) enters no table and
 * is sent as it is; what enters it is Huffman-coded where that is shorter.
 *
 * Field sections must be encoded in the order in which they are sent, and everything that was encoded must be sent.
 */
#ifndef H2_HPACK_H
#define H2_HPACK_H

#include "http/http.h"

enum {
    HPACK_TABLE_BYTES = 4096, /* at most, whatever the client offers; RFC 7541 section 4.2 */
    HPACK_ENTRY_BYTES = 32,   /* what an entry counts beyond its text; section 4.1 */
    HPACK_ENTRY_MOST = HPACK_TABLE_BYTES / 2,
    HPACK_OTHER_CHAINS = 32,  /* for the names that http/ does not know */
    HPACK_FIELD_BYTES = 16,   /* what a field takes at most beyond its text */
    HPACK_SECTION_BYTES = 32, /* likewise what precedes the fields: sizes of the table, :status */
};

enum { HPACK_ENTRIES = HPACK_TABLE_BYTES / HPACK_ENTRY_BYTES };

/* Entries are numbered as they come, from 1; chains end where a number is that of an entry that has gone. */
struct hpack_entry {
    uint64_t previous; /* in its chain */
    uint32_t at;       /* its text: the name where it is not a known one, the value */
    uint16_t name_length, value_length;
};

/* Zero-initialised and hpack_encoder_init() is a new one. */
struct hpack_encoder {
    uint64_t newest, oldest; /* entries; oldest > newest: none */
    uint32_t bytes, limit;   /* as RFC 7541 counts them */
    uint32_t smallest;       /* limit since the last section */
    bool is_resized;         /* the next section says so */
    uint32_t text_at;
    uint64_t chains[HTTP_NAME_COUNT + HPACK_OTHER_CHAINS]; /* the latest of each */
    struct hpack_entry entries[HPACK_ENTRIES];             /* by number, modulo */
    /* A ring, larger than the table by the largest entry: none crosses its end. */
    uint8_t text[HPACK_TABLE_BYTES + HPACK_ENTRY_MOST];
};

void hpack_encoder_init(struct hpack_encoder *encoder);
/* The client's SETTINGS_HEADER_TABLE_SIZE. */
void hpack_encoder_limit(struct hpack_encoder *encoder, uint32_t bytes);

/* Each writes at `out` and returns the end of it. A section: hpack_begin(), hpack_status() unless they are trailers, the fields. */
uint8_t *hpack_begin(struct hpack_encoder *encoder, uint8_t *out);
uint8_t *hpack_status(uint8_t *out, unsigned status);
/* Its name is in lower case. */
uint8_t *hpack_field(struct hpack_encoder *encoder, uint8_t *out, const struct http_field *field);

/* ---- huffman.c (RFC 7541 section 5.2) */
size_t hpack_huffman_length(struct span text);
uint8_t *hpack_huffman(uint8_t *out, struct span text);

#endif
