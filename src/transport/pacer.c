/* SPDX-License-Identifier: Apache-2.0
 *
 * A token bucket whose tokens are 1e-9 bytes: rate x nanoseconds adds up without any rounding, so the invariant in the header
 * holds over days, from 10 kB/s to 10 GB/s. The bucket holds one burst, and more where the pacer alone was waited for: timers come
 * late on a busy machine, and a sender that never makes up for it measures a path that is ever slower. What is left unused beyond is
 * lost.
 */
#include "transport/pacer.h"

enum {
    PACER_BURST_PACKETS = 2,          /* the least burst */
    PACER_BURST_MAX = 65536,          /* the greatest: one GSO batch */
    PACER_BURSTS_PER_SECOND = 1000,   /* in between: what 1 ms carries */
    PACER_CATCH_UP_BURSTS = 8,        /* that a late caller may make up for */
    PACER_PARTS_PER_BYTE = 1000000000 /* credit is kept in 1e-9 bytes */
};

static int64_t burst_credit(const struct pacer *pacer)
{
    return (int64_t)pacer->burst_bytes * PACER_PARTS_PER_BYTE;
}

/* What the bucket holds. */
static int64_t most_credit(const struct pacer *pacer)
{
    return burst_credit(pacer) * (pacer->is_resting ? 1 : PACER_CATCH_UP_BURSTS);
}

/* A wake-up is worth half a burst: the other half absorbs the lateness of the timer. */
static int64_t worthwhile_credit(const struct pacer *pacer)
{
    uint64_t bytes = pacer->burst_bytes / 2;
    if (bytes < pacer->packet_bytes)
        bytes = pacer->packet_bytes;
    return (int64_t)bytes * PACER_PARTS_PER_BYTE;
}

static uint64_t burst_for(const struct pacer *pacer, uint64_t bytes_per_s)
{
    uint64_t burst = bytes_per_s / PACER_BURSTS_PER_SECOND;
    if (burst > PACER_BURST_MAX)
        burst = PACER_BURST_MAX;
    uint64_t least = (uint64_t)pacer->packet_bytes * PACER_BURST_PACKETS;
    return burst > least ? burst : least;
}

/* Brings the credit up to `now_ns`. The division comes first so that the product cannot overflow. */
static void accrue(struct pacer *pacer, uint64_t now_ns)
{
    if (now_ns <= pacer->updated_ns)
        return;
    uint64_t elapsed_ns = now_ns - pacer->updated_ns;
    pacer->updated_ns = now_ns;
    if (pacer->bytes_per_s == 0)
        return;
    uint64_t missing = (uint64_t)(most_credit(pacer) - pacer->credit_bytes_e9);
    if (elapsed_ns > missing / pacer->bytes_per_s)
        pacer->credit_bytes_e9 = most_credit(pacer);
    else
        pacer->credit_bytes_e9 += (int64_t)(elapsed_ns * pacer->bytes_per_s);
}

void pacer_init(struct pacer *pacer, uint32_t packet_bytes, uint64_t now_ns)
{
    *pacer = (struct pacer){.updated_ns = now_ns, .packet_bytes = packet_bytes, .is_resting = true};
    pacer->burst_bytes = burst_for(pacer, 0);
    pacer->credit_bytes_e9 = burst_credit(pacer);
}

void pacer_set_rate(struct pacer *pacer, uint64_t bytes_per_s, uint64_t now_ns)
{
    accrue(pacer, now_ns);
    if (bytes_per_s == pacer->bytes_per_s)
        return;
    pacer->bytes_per_s = bytes_per_s;
    pacer->burst_bytes = burst_for(pacer, bytes_per_s);
    if (pacer->credit_bytes_e9 > most_credit(pacer))
        pacer->credit_bytes_e9 = most_credit(pacer);
}

void pacer_set_resting(struct pacer *pacer, bool is_resting, uint64_t now_ns)
{
    if (is_resting == pacer->is_resting)
        return;
    accrue(pacer, now_ns);
    pacer->is_resting = is_resting;
    if (pacer->credit_bytes_e9 > most_credit(pacer))
        pacer->credit_bytes_e9 = most_credit(pacer);
}

uint64_t pacer_budget(struct pacer *pacer, uint64_t now_ns)
{
    if (pacer->bytes_per_s == 0)
        return UINT64_MAX;
    accrue(pacer, now_ns);
    if (pacer->credit_bytes_e9 < (int64_t)pacer->packet_bytes * PACER_PARTS_PER_BYTE)
        return 0;
    return (uint64_t)(pacer->credit_bytes_e9 / PACER_PARTS_PER_BYTE);
}

void pacer_spend(struct pacer *pacer, uint64_t bytes)
{
    if (pacer->bytes_per_s == 0)
        return;
    /* What goes out unasked (acknowledgements, probes) is paid later, but never more than a burst of it. */
    pacer->credit_bytes_e9 -= (int64_t)bytes * PACER_PARTS_PER_BYTE;
    if (pacer->credit_bytes_e9 < -burst_credit(pacer))
        pacer->credit_bytes_e9 = -burst_credit(pacer);
}

uint64_t pacer_next(const struct pacer *pacer, uint64_t now_ns)
{
    if (pacer->bytes_per_s == 0 || pacer->credit_bytes_e9 >= worthwhile_credit(pacer))
        return now_ns;
    uint64_t missing = (uint64_t)(worthwhile_credit(pacer) - pacer->credit_bytes_e9);
    uint64_t next_ns = pacer->updated_ns + (missing + pacer->bytes_per_s - 1) / pacer->bytes_per_s;
    return next_ns > now_ns ? next_ns : now_ns;
}
