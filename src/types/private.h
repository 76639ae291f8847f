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

/* ---- next.c: what the next request of a type will take at a server */

#define BORROWED_WEIGHT 4.0 /* what is expected of a pair counts as so many requests */

/* What came last counts most: a server that has changed is known after some dozen requests. */
struct recent {
    double sum, weight;
};
void next_recent_add(struct recent *recent, double value);
void next_recent_decay(struct recent *recent, double factor);

/* Of each type a row by server. A row depends on the type's mean everywhere, which moves with every request of it: it is renewed when it is asked
 * for. Zero-initialised: no servers. */
struct next {
    size_t servers;
    struct recent *recents;           /* [type][server] */
    double *parts;                    /* [type][server]: 1 / (weight + BORROWED_WEIGHT) */
    double *next_ns;                  /* [type][server] */
    double *slowness;                 /* [server] */
    double everywhere_ns[TYPES_MOST]; /* that the rows were made of */
    uint32_t forgotten;               /* bits: rows to be renewed */
};
void next_init(struct next *next, size_t servers);
void next_clear(struct next *next);
void next_take_server(struct next *to, size_t server, const struct next *from, size_t former);
void next_renumber(struct next *next, const uint8_t to[TYPES_MOST]);
void next_decay(struct next *next, double factor);
void next_set_slowness(struct next *next, size_t server, double slowness); /* before next_decay() */
void next_add(struct next *next, size_t server, uint8_t type, double service_ns, double slowness);
void next_forget_row(struct next *next, uint8_t type);
bool next_is_forgotten(const struct next *next, uint8_t type);
void next_renew_row(struct next *next, uint8_t type, double everywhere_ns);
/* Rows of `type` and of all that is pending are not forgotten. */
void next_expect(const struct next *next, uint8_t type, const struct types_load *load, size_t count,
                 double *expected_ns);

#endif
