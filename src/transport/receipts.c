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

void receipts_ask(struct receipts *receipts, const struct ack_asking *asking)
{
    if (asking->sequence > receipts->asked.sequence)
        receipts->asked = *asking;
}

static uint32_t owed_limit(const struct receipts *receipts)
{
    return receipts->asked.sequence ? receipts->asked.packets : ACK_FREQUENCY_PACKETS_MIN;
}

static uint64_t delay_limit(const struct receipts *receipts, uint64_t srtt_ns)
{
    uint64_t delay_ns = receipts->asked.sequence ? receipts->asked.delay_us * 1000ull : srtt_ns / 8;
    if (delay_ns > srtt_ns)
        delay_ns = srtt_ns;
    return delay_ns < ACK_DELAY_MAX_NS ? delay_ns : ACK_DELAY_MAX_NS;
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

    if (number < receipts->oldest_owed)
        receipts->oldest_owed = number;
    if (!is_eliciting)
        return;
    receipts->owed++;
    if (is_gap || receipts->owed >= owed_limit(receipts)) {
        receipts->due_ns = now_ns;
    } else if (receipts->due_ns == UINT64_MAX) {
        receipts->due_ns = now_ns + delay_limit(receipts, srtt_ns);
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
