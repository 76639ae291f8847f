/* SPDX-License-Identifier: Apache-2.0
 *
 * Which packets of the peer have arrived, and when to say so: after as many
 * packets or as much time as the peer has asked for (ack_frequency.h), at least once a round trip,
 * and at once on a new gap or where congestion marks begin or end. Acks of our acks shorten the list.
 */
#ifndef TRANSPORT_RECEIPTS_H
#define TRANSPORT_RECEIPTS_H

#include "transport/ack_frequency.h"
#include "transport/ecn.h"
#include "transport/ranges.h"

enum {
    RECEIPTS_RANGES_MAX = 64, /* the oldest are forgotten: their packets will be sent again */
};

/* Embed it. */
struct receipts {
    struct ranges numbers;
    uint64_t next;        /* one more than the greatest number ever noted */
    uint64_t largest_ns;  /* when the greatest number arrived */
    uint64_t due_ns;      /* UINT64_MAX: no ack is owed */
    uint64_t oldest_owed; /* least number that no ACK of ours has told; UINT64_MAX: none */
    uint32_t owed;        /* ack-eliciting packets since the last ack */
    struct ack_asking asked;
    struct ecn_counts ecn; /* of all packets noted */
    bool was_ce;           /* the last one */
};

void receipts_init(struct receipts *receipts);
void receipts_clear(struct receipts *receipts);
void receipts_note(struct receipts *receipts, uint64_t number, bool is_eliciting, uint64_t srtt_ns,
                   uint64_t now_ns);
/* The ECN bits of the packet just noted. */
void receipts_note_ecn(struct receipts *receipts, uint8_t codepoint, uint64_t now_ns);
void receipts_ask(struct receipts *receipts, const struct ack_asking *asking); /* unless stale */
void receipts_acked(struct receipts *receipts); /* an ACK frame has been written */
void receipts_prune(struct receipts *receipts,
                    uint64_t below); /* the peer knows that these arrived */

#endif
