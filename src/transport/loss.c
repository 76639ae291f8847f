/* SPDX-License-Identifier: Apache-2.0
 *
 * Loss detection (RFC 9002 section 6).
 */
#include "transport/loss.h"

void loss_init(struct loss *loss)
{
    *loss = (struct loss){.loss_at_ns = UINT64_MAX, .packet_threshold = LOSS_PACKET_THRESHOLD};
}

static uint64_t time_threshold(const struct rtt *rtt)
{
    uint64_t base = rtt->latest_ns > rtt->smoothed_ns ? rtt->latest_ns : rtt->smoothed_ns;
    uint64_t threshold = base + base / 8;
    return threshold > RTT_GRANULARITY_NS ? threshold : RTT_GRANULARITY_NS;
}

bool loss_next(struct loss *loss, const struct sent_log *log, const struct rtt *rtt,
               uint64_t now_ns, uint64_t *cursor)
{
    uint64_t threshold_ns = time_threshold(rtt);
    loss->loss_at_ns = UINT64_MAX;
    for (uint64_t number = *cursor; number < loss->next_acked && log->in_flight; number++) {
        const struct sent_packet *packet = sent_log_packet(log, number);
        if (packet->state != SENT_IN_FLIGHT)
            continue;
        if (loss->next_acked - 1 - number >= loss->packet_threshold ||
            packet->sent_ns + threshold_ns <= now_ns) {
            *cursor = number + 1;
            return true;
        }
        /* Packets behind it were sent later and are nearer to the greatest acknowledged: they
         * cannot be lost yet. */
        loss->loss_at_ns = packet->sent_ns + threshold_ns;
        return false;
    }
    return false;
}

void loss_acked(struct loss *loss, uint64_t largest)
{
    loss->probe_timeouts = 0;
    if (largest >= loss->next_acked)
        loss->next_acked = largest + 1;
}

void loss_spurious(struct loss *loss, uint64_t number)
{
    uint64_t apart = loss->next_acked > number ? loss->next_acked - number : 0;
    if (apart > LOSS_PACKET_THRESHOLD_MAX)
        apart = LOSS_PACKET_THRESHOLD_MAX;
    if (apart > loss->packet_threshold)
        loss->packet_threshold = (uint32_t)apart;
}

uint64_t loss_timer(const struct loss *loss, const struct sent_log *log, const struct rtt *rtt)
{
    if (!log->in_flight)
        return UINT64_MAX;
    if (loss->loss_at_ns != UINT64_MAX)
        return loss->loss_at_ns;
    uint32_t backoff =
        loss->probe_timeouts < LOSS_BACKOFF_MAX ? loss->probe_timeouts : LOSS_BACKOFF_MAX;
    uint64_t first_ns = rtt_probe_timeout(rtt), wait_ns = first_ns << backoff;
    uint64_t most_ns = loss->probe_timeouts < LOSS_SOON_PROBES ? LOSS_SOON_NS : LOSS_LATER_NS;
    if (most_ns < first_ns)
        most_ns = first_ns;
    if (wait_ns > most_ns)
        wait_ns = most_ns;
    /* What goes out now and then for other reasons must not put it off for ever. */
    uint64_t sent_ns = loss->last_sent_ns + wait_ns,
             silent_ns = loss->waiting_since_ns + 2 * wait_ns;
    return sent_ns < silent_ns ? sent_ns : silent_ns;
}
