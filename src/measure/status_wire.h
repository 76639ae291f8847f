/* SPDX-License-Identifier: Apache-2.0
 *
 * STATUS and EPOCH on the wire: docs/protocol/status.md. Private to measure/.
 */
#ifndef MEASURE_STATUS_WIRE_H
#define MEASURE_STATUS_WIRE_H

#include "base/bytes.h"
#include "measure/measure.h"

/* First bytes; beside the packet types of the link, so that one socket could serve both. */
enum {
    STATUS_TYPE_STATUS = 0x60,
    STATUS_TYPE_MEASURE = 0x61,
    STATUS_TYPE_EPOCH = 0x70,
    STATUS_TYPE_REQUEST = 0x71,
};

enum {
    STATUS_HEADER_BYTES = 28,
    STATUS_FIXED_BYTES = 36, /* of the contents, before workers and gateways */
    STATUS_GATEWAY_BYTES = 17,
    STATUS_CONTENTS_MAX =
        STATUS_FIXED_BYTES + 2 * STATUS_WORKERS_MAX + STATUS_GATEWAY_BYTES * STATUS_GATEWAYS_MAX,
    STATUS_DATAGRAM_MIN = STATUS_HEADER_BYTES + STATUS_FIXED_BYTES + AEAD_TAG_BYTES,

    EPOCH_HEADER_BYTES = 44,

    MEASURE_STANDING_BYTES = 16, /* epoch and turn, before the sections */
    REQUEST_HEADER_BYTES = 36,
};
_Static_assert(STATUS_HEADER_BYTES + STATUS_CONTENTS_MAX + AEAD_TAG_BYTES == STATUS_DATAGRAM_MAX,
               "the greatest report fits exactly");
_Static_assert(STATUS_HEADER_BYTES + MEASURE_STANDING_BYTES + MEASURE_SECTIONS_MAX +
                       AEAD_TAG_BYTES ==
                   MEASURE_DATAGRAM_MAX,
               "the greatest message fits exactly");
_Static_assert(EPOCH_HEADER_BYTES + 8 + AEAD_TAG_BYTES == STATUS_EPOCH_BYTES, "EPOCH layout");
_Static_assert((int)STATUS_EPOCH_BYTES <= (int)STATUS_DATAGRAM_MIN, "answers never amplify");

struct status_header {
    uint64_t tag, incarnation, sequence;
};

/* What a report claims: the receiver's epoch, and its process's turn in it. */
struct status_standing {
    uint64_t epoch, turn;
};

struct epoch_header {
    uint64_t tag, epoch, counter, incarnation, sequence;
};

struct request_header {
    uint64_t tag, epoch, counter, incarnation;
};

/* A context for one incarnation's reports or measurements, or one epoch's answers and requests: a
 * key of its own, so that sequence and counter make the nonce. */
struct aead *status_report_aead(const struct crypto *crypto, const struct status_pair *pair,
                                uint64_t incarnation);
struct aead *status_measure_aead(const struct crypto *crypto, const struct status_pair *pair,
                                 uint64_t incarnation);
struct aead *status_answer_aead(const struct crypto *crypto, const struct status_pair *pair,
                                uint64_t epoch);

static inline void status_nonce(uint64_t number, uint8_t nonce[AEAD_NONCE_BYTES])
{
    store_u64(store_u32(nonce, 0), number);
}

/* Returns the length of the datagram. */
size_t status_write(struct aead *aead, const struct status_header *header,
                    struct status_standing standing, const struct status_report *report,
                    uint8_t out[STATUS_DATAGRAM_MAX]);
/* The head that STATUS and MEASURE have alike: type, version, tag, incarnation, sequence. */
uint8_t *status_put_head(uint8_t *at, uint8_t type, const struct status_header *header);
MUST_USE int status_take_head(struct span datagram, uint8_t type, struct status_header *header);

/* The header in clear, nothing proven: ERROR_INVALID when it is no STATUS. */
MUST_USE int status_read_header(struct span datagram, struct status_header *header);
/* ERROR_AUTH, or ERROR_INVALID where the authentic contents do not parse. `datagram` passed
 * status_read_header(). */
MUST_USE int status_read(struct aead *aead, struct span datagram, struct status_standing *standing,
                         struct status_report *report);

void epoch_write(struct aead *aead, const struct epoch_header *header, uint64_t turn,
                 uint8_t out[STATUS_EPOCH_BYTES]);
MUST_USE int epoch_read_header(struct span datagram, struct epoch_header *header);
MUST_USE int epoch_read(struct aead *aead, struct span datagram, uint64_t *turn);

/* As their namesakes above. */
size_t measure_write(struct aead *aead, const struct status_header *header,
                     struct status_standing standing, const struct measure_message *message,
                     uint8_t out[MEASURE_DATAGRAM_MAX]);
MUST_USE int measure_read_header(struct span datagram, struct status_header *header);
MUST_USE int measure_read(struct aead *aead, struct span datagram, struct status_standing *standing,
                          struct measure_message *message);
size_t request_write(struct aead *aead, const struct request_header *header,
                     const struct measure_message *message, uint8_t out[MEASURE_DATAGRAM_MAX]);
MUST_USE int request_read_header(struct span datagram, struct request_header *header);
MUST_USE int request_read(struct aead *aead, struct span datagram, struct measure_message *message);

bool window_has(const struct status_window *window, uint64_t number); /* seen, or too old to say */
void window_take(struct status_window *window, uint64_t number);

#endif
