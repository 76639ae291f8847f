/* SPDX-License-Identifier: Apache-2.0
 *
 * Rings of samples; when enough of a tier are there, they become one of the next.
 */
#include "link/history.h"

#include "base/memory.h"

#include <stddef.h>

static const struct {
    uint32_t seconds, limit;
} tiers[HISTORY_TIERS] = {
#define X(name, seconds, count) {seconds, count},
    HISTORY_TIER_LIST(X)
#undef X
};

struct tier {
    struct history_sample *samples;
    uint64_t count; /* ever */
};

struct history {
    struct tier tiers[HISTORY_TIERS];
    struct transport_facts last; /* as of the sample before: counters become differences */
    bool has_last;
};

struct history *history_new(void)
{
    struct history *history = NEW(struct history);
    for (int i = 0; i < HISTORY_TIERS; i++)
        history->tiers[i].samples = memory_new(tiers[i].limit * sizeof(struct history_sample));
    return history;
}

void history_free(struct history **freed)
{
    struct history *history = *freed;
    if (!history)
        return;
    *freed = NULL;
    for (int i = 0; i < HISTORY_TIERS; i++)
        memory_free(history->tiers[i].samples);
    memory_free(history);
}

uint32_t history_tier_seconds(enum history_tier tier)
{
    return tiers[tier].seconds;
}

uint32_t history_tier_limit(enum history_tier tier)
{
    return tiers[tier].limit;
}

static const struct history_sample *sample_at(const struct history *history, int tier,
                                              uint64_t number)
{
    return &history->tiers[tier].samples[number % tiers[tier].limit];
}

/* How members become one. `weight`: seconds for which the value holds. */
struct sum {
    uint64_t sum, most, weighted, weights;
};

static void sum_add(struct sum *sum, uint32_t value, uint32_t weight)
{
    sum->sum += value;
    sum->most = value > sum->most ? value : sum->most;
    sum->weighted += (uint64_t)value * weight;
    sum->weights += weight;
}

static uint32_t clip(uint64_t value)
{
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static uint32_t sum_result(const struct sum *sum, enum history_how how)
{
    switch (how) {
    case HISTORY_SUM:
        return clip(sum->sum);
    case HISTORY_MOST:
        return clip(sum->most);
    case HISTORY_MEAN:
        return clip(sum->weights ? sum->weighted / sum->weights : 0);
    }
    return 0;
}

const struct history_member history_members[] = {
#define X(name, how) {#name, offsetof(struct history_sample, name), HISTORY_##how},
    HISTORY_MEMBER_LIST(X)
#undef X
        {0}};

uint32_t history_value(const struct history_sample *sample, const struct history_member *member)
{
    uint32_t value;
    memcpy(&value, (const char *)sample + member->offset, sizeof value);
    return value;
}

/* The last `count` samples of a tier as one. */
static struct history_sample merge(const struct history *history, int tier, uint32_t count)
{
    uint64_t end = history->tiers[tier].count;
    struct history_sample merged = {.end_ns = sample_at(history, tier, end - 1)->end_ns};
    for (const struct history_member *member = history_members; member->name; member++) {
        struct sum sum = {0};
        for (uint64_t i = end - count; i < end; i++) {
            const struct history_sample *one = sample_at(history, tier, i);
            sum_add(&sum, history_value(one, member), one->up_s);
        }
        uint32_t result = sum_result(&sum, member->how);
        memcpy((char *)&merged + member->offset, &result, sizeof result);
    }
    return merged;
}

static void push(struct history *history, int tier, const struct history_sample *sample)
{
    struct tier *ring = &history->tiers[tier];
    ring->samples[ring->count++ % tiers[tier].limit] = *sample;
    if (tier + 1 == HISTORY_TIERS)
        return;
    uint32_t count = tiers[tier + 1].seconds / tiers[tier].seconds;
    if (ring->count % count)
        return;
    struct history_sample merged = merge(history, tier, count);
    push(history, tier + 1, &merged);
}

static uint32_t grown(uint64_t now, uint64_t before)
{
    return now > before ? clip(now - before) : 0;
}

void history_add(struct history *history, const struct transport_facts *facts, uint64_t now_ns)
{
    const struct transport_facts *last = history->has_last ? &history->last : facts;
    const struct transport_quality *out = &facts->quality, *in = &facts->peer_quality;
    bool is_up = facts->state == TRANSPORT_STATE_UP;
    struct history_sample sample = {
        .end_ns = now_ns,
        .up_s = is_up,
        .reconnects = grown(facts->sessions, last->sessions),
        .packets_out = grown(facts->packets_sent, last->packets_sent),
        .lost_out = grown(facts->packets_lost + last->packets_spurious,
                          last->packets_lost + facts->packets_spurious),
        .marked_out = grown(facts->packets_ce, last->packets_ce),
        .probe_timeouts = grown(facts->probe_timeouts, last->probe_timeouts),
    };
    if (is_up) {
        sample.loss_ppm_in = in->loss_ppm_1s;
        sample.srtt_us = sample.srtt_most_us = out->srtt_us;
        sample.queue_us_out = out->queue_us;
        sample.queue_us_in = in->queue_us;
        sample.delivered_kib_out = clip(out->delivery_bytes_per_s / 1024);
        sample.delivered_kib_in = clip(in->delivery_bytes_per_s / 1024);
        sample.window_kib = clip(facts->window_bytes / 1024);
        sample.hosted = facts->hosted;
        sample.streams = clip(facts->streams_open);
    }
    uint32_t *carried[] = {&sample.ring0_kib, &sample.ring1_kib, &sample.ring2_kib,
                           &sample.ring3_kib, &sample.ring4_kib};
    uint32_t *ready[] = {&sample.ring0_ready, &sample.ring1_ready, &sample.ring2_ready,
                         &sample.ring3_ready, &sample.ring4_ready};
    for (int i = 0; i < TRANSPORT_RINGS; i++) {
        *carried[i] = grown(facts->rings[i].sent_bytes >> 10, last->rings[i].sent_bytes >> 10);
        *ready[i] = clip(facts->rings[i].ready);
    }
    history->last = *facts;
    history->has_last = true;
    push(history, 0, &sample);
}

uint32_t history_read(const struct history *history, enum history_tier tier,
                      struct history_sample *samples)
{
    uint64_t end = history->tiers[tier].count;
    uint32_t count = end < tiers[tier].limit ? (uint32_t)end : tiers[tier].limit;
    for (uint32_t i = 0; i < count; i++)
        samples[i] = *sample_at(history, (int)tier, end - count + i);
    return count;
}
