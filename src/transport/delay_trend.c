/* SPDX-License-Identifier: Apache-2.0
 *
 * One-way delay: base, skew, trend.
 */
#include "transport/delay_trend.h"

enum { SMOOTHING = 8 };
#define CLEAN_RTT_NS 1000000ull /* a window's least round trip may stand so much above the base's */

static struct delay_window *window_of(struct delay_trend *trend, uint64_t number)
{
    return &trend->windows[number % DELAY_WINDOWS];
}

/* What the peer's clock gains on ours in `span_ns`. */
static int64_t gain_us(const struct delay_trend *trend, int64_t span_ns)
{
    return trend->skew_ppb * (span_ns / 1000) / 1000000000;
}

static uint64_t least_rtt(const struct delay_trend *trend)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < DELAY_WINDOWS; i++)
        if (trend->windows[i].least_rtt_ns && trend->windows[i].least_rtt_ns < least)
            least = trend->windows[i].least_rtt_ns;
    return least;
}

/* The slope between the least delays of the older and of the newer half of the clean windows. */
static void learn_skew(struct delay_trend *trend)
{
    const struct delay_window *clean[DELAY_WINDOWS];
    uint32_t count = 0;
    uint64_t least = least_rtt(trend), most = least + least / 64 + CLEAN_RTT_NS;
    uint64_t first = trend->window + 1 > DELAY_WINDOWS ? trend->window + 1 - DELAY_WINDOWS : 0;
    for (uint64_t number = first; number <= trend->window; number++) {
        const struct delay_window *window = window_of(trend, number);
        if (window->least_rtt_ns && window->least_rtt_ns <= most)
            clean[count++] = window;
    }
    if (count < DELAY_WINDOWS_FOR_SKEW)
        return;
    const struct delay_window *older = clean[0], *newer = clean[count / 2];
    for (uint32_t i = 1; i < count; i++) {
        const struct delay_window **half = i < count / 2 ? &older : &newer;
        if (clean[i]->least_us < (*half)->least_us)
            *half = clean[i];
    }
    int64_t apart_us = (int64_t)(newer->least_at_ns - older->least_at_ns) / 1000;
    if (apart_us <= 0)
        return;
    int64_t skew = (newer->least_us - older->least_us) * 1000000000 / apart_us;
    trend->skew_ppb = skew > DELAY_SKEW_PPB_MAX    ? DELAY_SKEW_PPB_MAX
                      : skew < -DELAY_SKEW_PPB_MAX ? -DELAY_SKEW_PPB_MAX
                                                   : skew;
}

static void note_window(struct delay_trend *trend, uint64_t rtt_ns)
{
    uint64_t number = trend->last_ns / DELAY_WINDOW_NS;
    if (trend->samples == 1) {
        trend->window = number;
    } else if (number > trend->window) {
        learn_skew(trend);
        uint64_t passed = number - trend->window;
        for (uint64_t i = 1; i <= passed && i <= DELAY_WINDOWS; i++)
            *window_of(trend, trend->window + i) = (struct delay_window){0};
        if (passed > DELAY_WINDOWS)
            *window_of(trend, number) = (struct delay_window){0};
        trend->window = number;
    }
    struct delay_window *window = window_of(trend, number);
    if (!window->least_rtt_ns || rtt_ns < window->least_rtt_ns)
        window->least_rtt_ns = rtt_ns;
    if (!window->least_at_ns || trend->relative_us < window->least_us) {
        window->least_us = trend->relative_us;
        window->least_at_ns = trend->last_ns;
    }
}

static void note_bucket(struct delay_trend *trend)
{
    uint64_t number = trend->last_ns / DELAY_BUCKET_NS;
    struct delay_bucket *bucket = &trend->buckets[number % DELAY_BUCKETS];
    if (bucket->number != number || !bucket->count)
        *bucket = (struct delay_bucket){.number = number};
    bucket->sum_us += trend->relative_us;
    bucket->count++;
}

void delay_trend_sample(struct delay_trend *trend, uint64_t sent_ns, uint32_t arrival_us,
                        uint64_t rtt_ns)
{
    if (trend->samples && sent_ns < trend->last_ns)
        return; /* of an acknowledgement that was overtaken */
    uint32_t raw_us = arrival_us - (uint32_t)(sent_ns / 1000);
    if (trend->samples++)
        trend->relative_us += (int32_t)(raw_us - trend->last_raw_us);
    trend->last_raw_us = raw_us;
    trend->last_ns = sent_ns;
    trend->smoothed_us =
        trend->samples == 1
            ? trend->relative_us
            : trend->smoothed_us + (trend->relative_us - trend->smoothed_us) / SMOOTHING;
    note_window(trend, rtt_ns ? rtt_ns : 1);
    note_bucket(trend);
}

int64_t delay_trend_us_per_s(const struct delay_trend *trend, uint64_t now_ns)
{
    uint64_t last = trend->last_ns / DELAY_BUCKET_NS, first = UINT64_MAX;
    if (!trend->samples || now_ns > trend->last_ns + DELAY_BUCKETS * DELAY_BUCKET_NS)
        return 0;
    /* Least squares over the buckets' means; x is the bucket's place. */
    int64_t n = 0, x_sum = 0, y_sum = 0, xx_sum = 0, xy_sum = 0;
    for (int i = 0; i < DELAY_BUCKETS; i++) {
        const struct delay_bucket *bucket = &trend->buckets[i];
        if (!bucket->count || bucket->number + DELAY_BUCKETS <= last)
            continue;
        int64_t x = (int64_t)(bucket->number + DELAY_BUCKETS - 1 - last);
        int64_t y = bucket->sum_us / bucket->count - trend->smoothed_us;
        first = bucket->number < first ? bucket->number : first;
        n++;
        x_sum += x;
        y_sum += y;
        xx_sum += x * x;
        xy_sum += x * y;
    }
    if (n < 3 || last - first < DELAY_BUCKETS / 2)
        return 0;
    int64_t per_bucket_x1000 = (n * xy_sum - x_sum * y_sum) * 1000 / (n * xx_sum - x_sum * x_sum);
    return per_bucket_x1000 * DELAY_BUCKETS / 1000 - trend->skew_ppb / 1000;
}

static uint64_t above_base_us(const struct delay_trend *trend, int64_t delay_us)
{
    int64_t base_us = INT64_MAX;
    for (int i = 0; i < DELAY_WINDOWS; i++) {
        const struct delay_window *window = &trend->windows[i];
        if (!window->least_rtt_ns)
            continue;
        int64_t at_now =
            window->least_us + gain_us(trend, (int64_t)(trend->last_ns - window->least_at_ns));
        base_us = at_now < base_us ? at_now : base_us;
    }
    return trend->samples && delay_us > base_us ? (uint64_t)(delay_us - base_us) : 0;
}

uint64_t delay_trend_queue_us(const struct delay_trend *trend)
{
    return above_base_us(trend, trend->smoothed_us);
}

uint64_t delay_trend_last_queue_us(const struct delay_trend *trend)
{
    return above_base_us(trend, trend->relative_us);
}
