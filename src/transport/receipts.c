/* SPDX-License-Identifier: Apache-2.0
 *
 * Received packet numbers and the policy of acknowledging them.
 */
#include "transport/receipts.h"

#include "transport/rtt.h"

void receipts_init(struct receipts *receipts)
{
    *receipts = (struct receipts){.due_ns = UINT64_MAX, .oldest_owed = UINT64_MAX};
}

void receipts_clear(struct receipts *receipts)
{
    ranges_clear(&receipts->numbers);
    receipts_init(receipts);
}

/* On a long path acks in large batches would cost the sender its share beside connections that
 * are acknowledged one by one: its window is shut for part of each round trip. On a short one
 * they only cost time. */
static uint32_t owed_limit(const struct receipts *receipts, uint64_t srtt_ns)
{
    uint32_t packets = receipts->round_packets > receipts->last_round_packets
                           ? receipts->round_packets
                           : receipts->last_round_packets;
    uint32_t every = packets / (srtt_ns >= RECEIPTS_LONG_PATH_NS ? 32 : 8);
    return every < RECEIPTS_EVERY_MIN   ? RECEIPTS_EVERY_MIN
           : every > RECEIPTS_EVERY_MAX ? RECEIPTS_EVERY_MAX
                                        : every;
}

void receipts_note(struct receipts *receipts, uint64_t number, bool is_eliciting, uint64_t srtt_ns,
                   uint64_t now_ns)
{
    struct ranges *numbers = &receipts->numbers;
    bool is_gap = receipts->next && number != receipts->next;
    ranges_add(numbers, number, number + 1);
    if (numbers->count > RECEIPTS_RANGES_MAX)
        ranges_drop_first(numbers, numbers->count - RECEIPTS_RANGES_MAX);
    if (number >= receipts->next) {
        receipts->next = number + 1;
        receipts->largest_ns = now_ns;
    }

    if (now_ns >= receipts->round_ends_ns) {
        receipts->last_round_packets = receipts->round_packets;
        receipts->round_packets = 0;
        receipts->round_ends_ns = now_ns + srtt_ns;
    }
    receipts->round_packets++;
    if (number < receipts->oldest_owed)
        receipts->oldest_owed = number;
    if (!is_eliciting)
        return;
    receipts->owed++;
    if (is_gap || receipts->owed >= owed_limit(receipts, srtt_ns)) {
        receipts->due_ns = now_ns;
    } else if (receipts->due_ns == UINT64_MAX) {
        uint64_t delay = srtt_ns / 8 < ACK_DELAY_MAX_NS ? srtt_ns / 8 : ACK_DELAY_MAX_NS;
        receipts->due_ns = now_ns + delay;
    }
}

void receipts_note_ecn(struct receipts *receipts, uint8_t codepoint, uint64_t now_ns)
{
    bool is_ce = (codepoint & ECN_CE) == ECN_CE;
    ecn_count(&receipts->ecn, codepoint, 1);
    /* Not for acks alone: marked acks would be answered by marked acks for ever. */
    if (is_ce != receipts->was_ce && receipts->owed)
        receipts->due_ns = now_ns;
    receipts->was_ce = is_ce;
}

void receipts_acked(struct receipts *receipts)
{
    receipts->owed = 0;
    receipts->due_ns = UINT64_MAX;
    receipts->oldest_owed = UINT64_MAX;
}

void receipts_prune(struct receipts *receipts, uint64_t below)
{
    /* A latecomer may be below what the peer has been told of: it has not. */
    ranges_remove(&receipts->numbers, 0,
                  below < receipts->oldest_owed ? below : receipts->oldest_owed);
}
