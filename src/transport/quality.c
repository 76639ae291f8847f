/* SPDX-License-Identifier: Apache-2.0
 *
 * Buckets of one second.
 */
#include "transport/quality.h"

enum { BUCKETS = QUALITY_SECONDS + 1 };
#define SECOND_NS 1000000000ull

void quality_roll(struct quality *quality, uint64_t now_ns)
{
    uint64_t second = now_ns / SECOND_NS;
    uint64_t passed = second > quality->second ? second - quality->second : 0;
    for (uint64_t i = 1; i <= passed && i <= BUCKETS; i++)
        quality->seconds[(quality->second + i) % BUCKETS] = (struct quality_second){0};
    if (passed > BUCKETS)
        for (uint32_t i = 0; i < BUCKETS; i++)
            quality->seconds[i] = (struct quality_second){0};
    quality->second += passed;
}

static struct quality_second *present(struct quality *quality, uint64_t now_ns)
{
    quality_roll(quality, now_ns);
    return &quality->seconds[quality->second % BUCKETS];
}

void quality_acked(struct quality *quality, uint64_t now_ns, uint32_t bytes)
{
    struct quality_second *second = present(quality, now_ns);
    second->sent++;
    second->delivered_bytes += bytes;
    quality->known++;
}

void quality_lost(struct quality *quality, uint64_t now_ns)
{
    struct quality_second *second = present(quality, now_ns);
    second->sent++;
    second->lost++;
    quality->known++;
    quality->lost++;
}

void quality_spurious(struct quality *quality, uint64_t now_ns)
{
    struct quality_second *second = present(quality, now_ns);
    if (second->lost)
        second->lost--;
    if (quality->lost)
        quality->lost--;
}

void quality_marked(struct quality *quality, uint64_t now_ns, uint32_t packets)
{
    present(quality, now_ns)->marked += packets;
}

static struct quality_second sum(const struct quality *quality, uint32_t seconds)
{
    struct quality_second sum = {0};
    for (uint32_t i = 1; i <= seconds; i++) {
        const struct quality_second *second =
            &quality->seconds[(quality->second + BUCKETS - i) % BUCKETS];
        sum.sent += second->sent;
        sum.lost += second->lost;
        sum.marked += second->marked;
    }
    return sum;
}

static uint32_t share_ppm(uint64_t part, uint64_t whole)
{
    return !whole ? 0 : part < whole ? (uint32_t)(part * 1000000 / whole) : 1000000;
}

uint32_t quality_loss_ppm(const struct quality *quality, uint32_t seconds)
{
    struct quality_second all = sum(quality, seconds);
    return share_ppm(all.lost, all.sent);
}

uint32_t quality_ce_ppm(const struct quality *quality, uint32_t seconds)
{
    struct quality_second all = sum(quality, seconds);
    return share_ppm(all.marked, all.sent);
}

void quality_add(struct quality *quality, const struct quality *other)
{
    for (uint32_t i = 0; i < BUCKETS; i++) {
        quality->seconds[i].sent += other->seconds[i].sent;
        quality->seconds[i].lost += other->seconds[i].lost;
        quality->seconds[i].marked += other->seconds[i].marked;
        quality->seconds[i].delivered_bytes += other->seconds[i].delivered_bytes;
    }
}

uint64_t quality_delivery_bytes_per_s(const struct quality *quality)
{
    return quality->seconds[(quality->second + BUCKETS - 1) % BUCKETS].delivered_bytes;
}
