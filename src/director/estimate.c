/* SPDX-License-Identifier: Apache-2.0
 *
 * Round trips from one network, or one area, to all edges (R6): what was measured, and what the map says where nothing was,
 * blended by confidence, so that nothing jumps when a measurement comes or grows old. Maps are corrected by what is measured:
 * for each area and edge by the mean error there, for each network by its own (its last mile).
 */
#include "director/private.h"

#include "base/memory.h"

/* How much is believed, beside a map's distance, which weighs 1. */
static const float weights[LATENCY_SOURCES] = {[LATENCY_PASSIVE] = 24, [LATENCY_PROBE] = 16};
static const float half_samples = 3;  /* so many samples have half of the weight */
static const float half_life_s = 900; /* and lose half of it in this time */
static const float local_ms = 5;      /* to an edge next door, as far as a map can tell */
static const float detour = 1.4f;     /* of cables, beside the great circle */
static const float map_confidence = 0.1f, learned_confidence = 0.5f;
static const float offset_shrink = 0.3f; /* a network's own error is taken for less than measured */
static const float near_ms = 30; /* errors count less for edges that are farther away than this */
static const float learn_rate = 0.05f, error_most_ms = 300;
enum { LEARNED_MOST = 200 };

/* As fmaxf() and fminf(), which are calls because of NANs; there are none here. */
static inline float larger(float a, float b)
{
    return a > b ? a : b;
}

static inline float smaller(float a, float b)
{
    return a < b ? a : b;
}

/* ---- maps ---- */

static float map_ms(const struct director *director, const struct area *area, uint32_t number)
{
    const struct edge *edge = &director->edges[number];
    float distance = area->has_point && edge->has_point
                         ? sphere_ms(area->point, edge->point)
                         : (float)director->distances[area->region * director->edge_count + number];
    return local_ms + detour * distance;
}

/* The error that maps make for this area and edge; for the edge at large where little is known of the area. */
static float learned_ms(const struct director *director, uint32_t area, uint32_t edge)
{
    if (!director->learned)
        return director->edge_learned[edge];
    size_t at = (size_t)area * director->edge_count + edge;
    float count = director->learned_of[at];
    return (count * director->learned[at] + director->edge_learned[edge]) / (count + 1);
}

static float learned_confidence_of(const struct director *director, uint32_t area, uint32_t edge)
{
    if (!director->learned)
        return map_confidence;
    float count = director->learned_of[(size_t)area * director->edge_count + edge];
    return map_confidence + (learned_confidence - map_confidence) * count / (count + 5);
}

static void learn(struct director *director, uint32_t area, uint32_t edge, float error_ms)
{
    error_ms = larger(-error_most_ms, smaller(error_most_ms, error_ms));
    director->edge_learned[edge] += learn_rate / 20 * (error_ms - director->edge_learned[edge]);
    if (!director->learned)
        return;
    size_t at = (size_t)area * director->edge_count + edge;
    if (director->learned_of[at] < LEARNED_MOST)
        director->learned_of[at]++;
    float rate = larger(learn_rate, 1 / (float)director->learned_of[at]);
    director->learned[at] += rate * (error_ms - director->learned[at]);
}

/* ---- measurements ---- */

static float weight_of(const struct latency_row *row, uint64_t now_ns)
{
    float samples = (float)row->value.samples;
    float age_s = now_ns > row->value.taken_ns ? (float)(now_ns - row->value.taken_ns) / 1e9f : 0;
    return weights[row->source] * samples / (samples + half_samples) * exp2f(-age_s / half_life_s);
}

/* Silence of all says nothing of any: many networks do not answer probes. */
static bool are_probes_answered(const struct latency_table *table, uint32_t row)
{
    struct latency_row found;
    while (row != LATENCY_END) {
        row = latency_table_next(table, row, &found);
        if (found.source == LATENCY_PROBE && !found.value.is_silent)
            return true;
    }
    return false;
}

/* Sums of weights in `confidence`, of weighted values in `ms`; the edges measured are listed in `shortlist`. */
static uint32_t gather(struct estimate *estimate, const struct director *director,
                       const struct director_facts *facts)
{
    uint32_t row = latency_table_first(facts->latencies, estimate->network), count = 0;
    bool is_answered = are_probes_answered(facts->latencies, row);
    struct latency_row found;
    while (row != LATENCY_END) {
        row = latency_table_next(facts->latencies, row, &found);
        estimate->work++;
        if (found.node >= director->edge_count || (found.value.is_silent && !is_answered))
            continue;
        float weight = weight_of(&found, facts->now_ns), ms = (float)found.value.rtt_us / 1000;
        if (estimate->confidence[found.node] == 0)
            estimate->shortlist[count++] = (uint16_t)found.node;
        else
            estimate->sources[found.node] = DIRECTOR_FROM_BLEND;
        if (estimate->sources[found.node] != DIRECTOR_FROM_BLEND)
            estimate->sources[found.node] =
                found.source == LATENCY_PROBE ? DIRECTOR_FROM_PROBE : DIRECTOR_FROM_PASSIVE;
        if (found.source == LATENCY_PROBE)
            estimate->probe_ms[found.node] = ms;
        estimate->confidence[found.node] += weight + 1e-6f;
        estimate->ms[found.node] += (weight + 1e-6f) * ms;
    }
    return count;
}

/* By how much all that was measured of this network is more than what was expected. */
static float offset_of(const struct estimate *estimate, const struct director *director,
                       uint32_t measured)
{
    float sum = 0, all = offset_shrink;
    for (uint32_t i = 0; i < measured; i++) {
        uint32_t edge = estimate->shortlist[i];
        float expected = map_ms(director, estimate->area, edge) +
                         learned_ms(director, estimate->area_number, edge);
        float sure = estimate->confidence[edge] / (estimate->confidence[edge] + 1);
        float weight = sure / (1 + larger(expected, 0) / near_ms);
        sum += weight * (estimate->ms[edge] / estimate->confidence[edge] - expected);
        all += weight;
    }
    return sum / all;
}

static void learn_all(const struct estimate *estimate, struct director *director, uint32_t measured,
                      float offset)
{
    for (uint32_t i = 0; i < measured; i++) {
        uint32_t edge = estimate->shortlist[i];
        if (estimate->confidence[edge] < 1)
            continue;
        float ms = estimate->ms[edge] / estimate->confidence[edge];
        learn(director, estimate->area_number, edge,
              ms - offset - map_ms(director, estimate->area, edge));
    }
}

static void blend(struct estimate *estimate, const struct director *director, uint32_t edge,
                  float offset)
{
    float known = learned_confidence_of(director, estimate->area_number, edge);
    float expected = map_ms(director, estimate->area, edge) +
                     learned_ms(director, estimate->area_number, edge) + offset;
    float weight = estimate->confidence[edge];
    if (weight == 0)
        estimate->sources[edge] =
            known > map_confidence ? DIRECTOR_FROM_LEARNED : DIRECTOR_FROM_MAP;
    estimate->ms[edge] = larger(1, (estimate->ms[edge] + larger(1, expected)) / (weight + 1));
    estimate->confidence[edge] = 1 - (1 - known) / (1 + weight);
    /* What is little known costs: of two that look alike the better known one is taken. */
    estimate->penalty_ms[edge] =
        estimate->ms[edge] + (1 - estimate->confidence[edge]) * (2 + estimate->ms[edge] * 0.1f);
}

/* ---- the nearest ---- */

/* The `rank`-th least of `values`, which are put in disorder. */
static float select_least(float *values, uint32_t count, uint32_t rank)
{
    uint32_t low = 0, high = count - 1;
    while (low < high) {
        float pivot = values[(low + high) / 2];
        uint32_t i = low, k = high;
        while (i <= k) {
            while (values[i] < pivot)
                i++;
            while (values[k] > pivot)
                k--;
            if (i > k)
                break;
            float swap = values[i];
            values[i++] = values[k];
            values[k] = swap;
            if (k-- == 0)
                break;
        }
        if (rank <= k && k < count)
            high = k;
        else if (rank >= i)
            low = i;
        else
            break;
    }
    return values[rank];
}

void estimate_choose(struct estimate *estimate, const struct lot *lot)
{
    uint32_t from = (uint32_t)(lot->order * (float)estimate->tie_count);
    estimate->shortlist_count = estimate->near_count;
    for (uint32_t i = 0; i < estimate->tie_count && estimate->shortlist_count < SHORTLIST_MOST; i++)
        estimate->shortlist[estimate->shortlist_count++] =
            estimate->ties[(from + i) % estimate->tie_count];
}

/* Without a map that tells them apart, a thousand edges may be equally near: nobody looks at all, and all are looked at. */
static void shorten(struct estimate *estimate, const struct director *director,
                    const struct lot *lot)
{
    memcpy(estimate->spare, estimate->penalty_ms, director->edge_count * sizeof *estimate->spare);
    float last =
        select_least(estimate->spare, director->edge_count,
                     director->edge_count < SHORTLIST ? director->edge_count - 1 : SHORTLIST - 1);
    float most = spread_tier(last), sure = (last - 1) / 1.05f;
    estimate->near_count = estimate->tie_count = 0;
    for (uint32_t i = 0; i < director->edge_count; i++) {
        if (estimate->penalty_ms[i] < sure)
            estimate->shortlist[estimate->near_count++] = (uint16_t)i;
        else if (estimate->penalty_ms[i] <= most)
            estimate->ties[estimate->tie_count++] = (uint16_t)i;
    }
    estimate_choose(estimate, lot);
    estimate->work += director->edge_count / 16;
}

/* ---- the whole ---- */

void estimate_make(struct estimate *estimate, const struct director *director,
                   const struct director_facts *facts, const struct area *area,
                   uint32_t area_number, const struct address *network, const struct lot *lot,
                   struct director *student)
{
    estimate->area = area;
    estimate->area_number = area_number;
    estimate->network = network;
    estimate->work = 0;
    memset(estimate->ms, 0, director->edge_count * sizeof *estimate->ms);
    memset(estimate->confidence, 0, director->edge_count * sizeof *estimate->confidence);
    for (uint32_t i = 0; i < director->edge_count; i++)
        estimate->probe_ms[i] = NAN;
    float offset = 0;
    if (network && facts->latencies) {
        uint32_t measured = gather(estimate, director, facts);
        offset = offset_of(estimate, director, measured);
        if (student)
            learn_all(estimate, student, measured, offset);
    }
    for (uint32_t i = 0; i < director->edge_count; i++)
        blend(estimate, director, i, offset);
    if (director->has_large_groups)
        shorten(estimate, director, lot);
}

void estimate_init(struct estimate *estimate, const struct director *director)
{
    size_t count = director->edge_count;
    *estimate = (struct estimate){0};
    estimate->ms = memory_new(count * sizeof(float));
    estimate->probe_ms = memory_new(count * sizeof(float));
    estimate->penalty_ms = memory_new(count * sizeof(float));
    estimate->confidence = memory_new(count * sizeof(float));
    estimate->spare = memory_new(count * sizeof(float));
    estimate->sources = memory_new(count);
    estimate->shortlist = memory_new(count * sizeof *estimate->shortlist);
    estimate->ties = memory_new(count * sizeof *estimate->ties);
}

void estimate_clear(struct estimate *estimate)
{
    memory_free(estimate->ms);
    memory_free(estimate->probe_ms);
    memory_free(estimate->penalty_ms);
    memory_free(estimate->confidence);
    memory_free(estimate->spare);
    memory_free(estimate->sources);
    memory_free(estimate->shortlist);
    memory_free(estimate->ties);
}
