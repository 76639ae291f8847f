/* SPDX-License-Identifier: Apache-2.0
 *
 * The search for a path's packet size.
 */
#include "transport/mtu.h"

/* UDP payloads of usual networks, greatest first: jumbo frames, Ethernet with IPv4 and IPv6, PPPoE, tunnels. */
static const uint16_t common[] = {8972, 8952, 4442, 1472, 1452, 1444, 1424, 1400, 1372, 1332, 1280};

void mtu_init(struct mtu *mtu, uint16_t least, uint16_t most)
{
    *mtu = (struct mtu){.least = least < most ? least : most, .most = most};
    mtu->bytes = mtu->least;
}

static void search_again(struct mtu *mtu)
{
    mtu->failing = mtu->probing = 0;
    mtu->losses = 0;
    mtu->raise_at_ns = 0;
}

void mtu_set_most(struct mtu *mtu, uint16_t most)
{
    mtu->most = most;
    if (mtu->least > most)
        mtu->least = most;
    if (mtu->bytes > most)
        mtu->bytes = most;
    search_again(mtu);
}

/* What to try next between what passes and what does not; 0: it is known closely enough. */
static uint16_t candidate(const struct mtu *mtu)
{
    if (mtu->bytes >= mtu->most)
        return 0;
    if (!mtu->failing)
        return mtu->most;
    for (unsigned i = 0; i < sizeof common / sizeof *common; i++)
        if (common[i] < mtu->failing && common[i] < mtu->most && common[i] > mtu->bytes)
            return common[i];
    if (mtu->failing - mtu->bytes <= MTU_STEP_BYTES)
        return 0;
    return (uint16_t)(mtu->bytes + (mtu->failing - mtu->bytes) / 2);
}

uint16_t mtu_due(const struct mtu *mtu, uint64_t now_ns)
{
    if (mtu->probing)
        return 0;
    uint16_t bytes = candidate(mtu);
    if (bytes)
        return bytes;
    return mtu->bytes < mtu->most && now_ns >= mtu->raise_at_ns ? mtu->most : 0;
}

void mtu_probe_sent(struct mtu *mtu, uint16_t bytes, uint64_t number)
{
    if (mtu->failing && bytes >= mtu->failing)
        search_again(mtu); /* it was long ago */
    mtu->probing = bytes;
    mtu->probe_number = number;
}

static void fail(struct mtu *mtu, uint16_t bytes, uint64_t now_ns)
{
    mtu->failing = bytes;
    mtu->losses = 0;
    mtu->raise_at_ns = now_ns + MTU_RAISE_NS;
}

void mtu_on_acked(struct mtu *mtu, uint64_t number, uint32_t bytes, uint64_t now_ns)
{
    if (mtu_is_probe(mtu, number)) {
        mtu->probing = 0;
        mtu->losses = 0;
    }
    /* Also one that was taken for lost. */
    if (bytes > mtu->bytes && bytes <= mtu->most) {
        mtu->bytes = (uint16_t)bytes;
        mtu->raise_at_ns = now_ns + MTU_RAISE_NS;
        if (mtu->failing <= bytes)
            mtu->failing = 0;
    }
    if (bytes > mtu->least && number >= mtu->large_arrived) {
        mtu->large_arrived = number + 1;
        mtu->large_lost = 0;
    }
}

static void fall_back(struct mtu *mtu)
{
    mtu->holes++;
    mtu->large_lost = 0;
    mtu->bytes = mtu->least;
    search_again(mtu);
}

void mtu_on_lost(struct mtu *mtu, uint64_t number, uint32_t bytes, uint64_t now_ns)
{
    if (mtu_is_probe(mtu, number)) {
        uint16_t probed = mtu->probing;
        mtu->probing = 0;
        if (++mtu->losses >= MTU_PROBES)
            fail(mtu, probed, now_ns);
        return;
    }
    if (bytes <= mtu->least || bytes > mtu->bytes || number < mtu->large_arrived)
        return;
    if (++mtu->large_lost >= MTU_HOLE_LOSSES)
        fall_back(mtu);
}

void mtu_on_refused(struct mtu *mtu, uint32_t bytes, uint64_t now_ns)
{
    if (mtu->probing && bytes == mtu->probing) {
        mtu->probing = 0;
        fail(mtu, (uint16_t)bytes, now_ns);
    } else if (bytes > mtu->least && bytes <= mtu->bytes) {
        fall_back(mtu);
    }
}
