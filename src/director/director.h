/* SPDX-License-Identifier: Apache-2.0
 *
 * The director: which edges a client is sent to, and why (R1, R3, R5-R8, R12, H4, S9). Pure. A tick turns facts into rows of ranked
 * edges, a bounded piece at a time; a query reads one row, skips whoever may not be used at the moment, and copies addresses.
 *
 * One thread ticks and explains; any number of threads looks up. A row is two words of memory, each of which is good at any time, the states are
 * bytes: nothing is published, and a state that changes is in the very next answer. What is configured never changes: a new
 * configuration is a new director, which inherits what the old one has learned.
 */
#ifndef DIRECTOR_DIRECTOR_H
#define DIRECTOR_DIRECTOR_H

#include "base/address.h"
#include "base/error.h"
#include "base/text.h"
#include "director/exits.h"
#include "director/explain.h"
#include "director/facts.h"
#include "director/policy.h"
#include "dns/dns.h"
#include "maps/maps.h"

/* ---- what is configured ---- */

struct director_edge {
    const char *region; /* NULL: none */
    const struct address *addresses;
    size_t address_count;
    const struct maps_point *point; /* NULL: that of its region */
    uint32_t capacity;              /* beside other edges', in any unit; 0: 1 */
    uint32_t cost;                  /* of a connection, thousandths */
};

struct director_site {
    const uint32_t *edges; /* numbers, in the order of the configuration */
    size_t edge_count;
    uint32_t ttl_s;
    uint32_t answers;         /* 1..DNS_ADDRESSES_LIMIT */
    const uint32_t *gateways; /* that it is assigned to */
    size_t gateway_count;
    const struct director_policy *policy; /* NULL: the default */
    uint8_t
        floor_percent; /* of its edges, that health checks leave in use whatever they find; 0: none */
    bool fails_closed;  /* when all are dead: no answer, instead of one that may fail */
    bool has_inventory; /* facts say what edges hold of this site */
};

/* 0: the default. */
struct director_tuning {
    uint32_t networks_limit; /* client networks with rankings of their own: 16384 */
    uint16_t spread_from;    /* load, thousandths, from which an edge gives clients away: 800 */
    uint16_t settle_s;       /* until what answers do shows in loads: 20 */
    uint16_t margin_percent; /* by which a challenger has to be better: 10, */
    uint16_t margin_us;      /* and at least: 2000 */
    uint16_t patience_ms;    /* for so long: 10000 */
};

struct director_options {
    const struct maps *maps; /* must outlive the director */
    const struct director_edge *edges;
    size_t edge_count;
    size_t gateway_count;
    const struct director_site *sites;
    size_t site_count;
    struct director_tuning tuning;
};

enum {
    DIRECTOR_EDGES_LIMIT = 4096,
    DIRECTOR_GATEWAYS_LIMIT = 4096,
    DIRECTOR_ROWS_LIMIT = 1 << 21, /* 22 bytes each */
    DIRECTOR_NETWORKS_LIMIT = 1 << 18,
    DIRECTOR_AREAS_LIMIT = 4096, /* places near one another, whose clients are ranked together */
    DIRECTOR_FLOOR_PERCENT = 25, /* a good value of floor_percent */
    DIRECTOR_DAMP_ABOVE = 2500,  /* penalty for flapping; each death adds 1000 */
};
/* A ranking is made anew so often when the budget allows. */
#define DIRECTOR_ROUND_NS (3000ull * 1000000)
/* Ticks should be so far apart at most; and one is due when a state changed. */
#define DIRECTOR_TICK_NS (25ull * 1000000)

struct director;

/* Copies what it needs. NULL when the rows would pass their limit (too many different lists of edges times regions). */
struct director *director_new(const struct director_options *options);
void director_free(struct director *director);

/* Shares, flaps and corrections of distances go on. `old_edges` has for each edge its number in `old`, or DIRECTOR_NONE. */
void director_inherit(struct director *director, const struct director *old,
                      const uint32_t *old_edges);

/* ---- the tick ---- */

enum {
    DIRECTOR_BUDGET = 240000,          /* candidates: less than 10 ms */
    DIRECTOR_WHOLE_ROUND = UINT32_MAX, /* everything now; of use before the first look-up */
};

/* Takes the states, which answers follow at once; then shares; then ranks until the round is as far as its time, or `budget` candidates
 * were evaluated (0: states and shares only). */
void director_tick(struct director *director, const struct director_facts *facts, uint32_t budget);

#define DIRECTOR_FIGURE_LIST(X)                                                           \
    X(ticks)                                                                              \
    X(rounds)    /* in which everything was ranked once */                                \
    X(evaluated) /* candidates */                                                         \
    X(rankings)  /* rows written */                                                       \
    X(moves)     /* rows whose first edge became another */                               \
    X(held_back) /* rows whose first edge stayed only by hysteresis, counted each time */ \
    X(exhausted) /* ticks that their budget ended */                                      \
    X(promoted)  /* networks that got rankings of their own */                            \
    X(demoted)                                                                            \
    X(suppressed) /* times that an edge began to be damped */                             \
    X(unfiltered) /* rankings whose filters left nobody and were passed over */           \
    X(cut_short)  /* searches that ended early (R7) */

struct director_figures {
#define X(name) uint64_t name;
    DIRECTOR_FIGURE_LIST(X)
#undef X
    uint64_t round_ns;       /* that the last whole round took */
    uint64_t oldest_ns;      /* time of the oldest ranking in use */
    uint32_t evaluated_last; /* candidates, in the last tick */
    uint32_t networks;       /* with rankings of their own */
    uint32_t areas, classes, groups, rows;
    uint32_t forsaken; /* sites without a good edge: answers are a last resort */
    uint64_t bytes;    /* of memory */
};
void director_figures(const struct director *director, struct director_figures *figures);
uint32_t director_forsaken(const struct director *director); /* of the figures */

/* What the answers take an edge for: as reported, but FULL by its load, and DRAINING when it is damped. By the ticking thread. */
enum director_state director_edge_state(const struct director *director, uint32_t edge);
float director_edge_share(const struct director *director, uint32_t edge); /* 0..1 */

/* ---- answers: any thread ---- */

/* director_find() for this client comes soon: fetches from memory what it reads. */
void director_expect(const struct director *director, const struct address *client);
/* What `site` answers to the clients of `client`, of which `bits` are known. False: nothing (no such site, or it fails closed). `scope_bits`:
 * how many bits of the address decided, 0 for none. */
bool director_find(const struct director *director, uint32_t site, const struct address *client,
                   unsigned bits, struct dns_addresses *addresses, uint8_t *scope_bits);

#endif
