/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/types: compiled types, the guess, what was learnt, histograms.
 */
#ifndef TYPES_PRIVATE_H
#define TYPES_PRIVATE_H

#include "types/types.h"

struct types {
    struct arena arena;
    const char *names[TYPES_MOST];
    int repeatable[TYPES_MOST]; /* enum rules_yes_no */
    size_t count;
    struct rules_rule
        *list; /* a row with conditions each: it stops, so that the first is the only one */
    uint8_t *type_of_rule;
    size_t rule_count;
    struct rules *rules; /* NULL: no row has conditions */
    bool learns;
};

/* ---- guess.c: by the head alone */
uint8_t guess_type(const struct http_head *head);
struct span path_of(struct span target); /* without the query */

/* ---- learner.c */
/* `guess`: what it looks like; files and pages of one folder are apart. */
void shapes_of(const struct http_head *head, uint64_t site, uint8_t guess, uint64_t shapes[2]);
/* False: too little was learnt. */
bool learner_find(const struct types_learner *learner, const uint64_t shapes[2], uint8_t *type);

/* ---- histogram.c: of numbers from `unit` to 2^22 units in quarters of octaves; what was counted long ago weighs less */
enum { HISTOGRAM_OCTAVES = 22, HISTOGRAM_BUCKETS = HISTOGRAM_OCTAVES * 4 };

struct histogram {
    float buckets[HISTOGRAM_BUCKETS];
    float weight;
    double sum;
};

void histogram_add(struct histogram *histogram, uint64_t unit, uint64_t value);
void histogram_decay(struct histogram *histogram, float factor);
uint64_t histogram_quantile(const struct histogram *histogram, uint64_t unit, unsigned permille);

#endif
