/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a client is sent where it is sent: everything that went into one ranking, as values (R6, R11). Text is made of
 * it elsewhere. The same functions rank here and in the tick; nothing here changes a director.
 */
#ifndef DIRECTOR_EXPLAIN_H
#define DIRECTOR_EXPLAIN_H

#include "director/facts.h"
#include "director/policy.h"

enum { DIRECTOR_NONE = UINT32_MAX }; /* no edge, no gateway */

/* Where a value comes from. */
#define DIRECTOR_SOURCE_LIST(X)                                                       \
    X(UNKNOWN, "unknown") /* of nothing: a neutral penalty stands in */               \
    X(CONFIGURED, "configured")                                                       \
    X(MAP, "map")         /* distance */                                              \
    X(LEARNED, "learned") /* distance, corrected by measurements of its neighbours */ \
    X(PROBE, "probe")                                                                 \
    X(PASSIVE, "passive") /* real visitors */                                         \
    X(BLEND, "blend")     /* passive and probe */                                     \
    X(REPORT, "report")   /* the node's own */

enum director_source {
#define X(name, text) DIRECTOR_FROM_##name,
    DIRECTOR_SOURCE_LIST(X)
#undef X
};
const char *director_source_text(enum director_source source);

struct director_value {
    float value;      /* in the component's unit; NAN: not known */
    float penalty_ms; /* what the programs reckon with */
    float
        weighted; /* its part of a sum (ms) or of a product (a factor) of this policy; 0 or 1: none */
    float confidence; /* 0..1 */
    enum director_source source;
    uint64_t age_ns; /* UINT64_MAX: not of a time */
};

/* What became of a candidate, the best first. */
#define DIRECTOR_FATE_LIST(X)                                                                 \
    X(ANSWERED, "answered")                                                                   \
    X(BEHIND, "behind") /* ranked, not needed */                                              \
    X(FULL, "full")     /* at its capacity: only behind all that are not */                   \
    X(SHED, "shed")     /* sheds load, and this client's network is of the share that goes */ \
    X(CUT, "cut")       /* taken off by a step `take` */                                      \
    X(UNSEEN, "unseen") /* not evaluated: too far away, or the search had ended */            \
    X(FILTERED, "filtered")                                                                   \
    X(DAMPED, "damped") /* up, but it came and went too often */                              \
    X(DRAINING, "draining")                                                                   \
    X(DEAD, "dead")                                                                           \
    X(DOWN, "down")

enum director_fate {
#define X(name, text) DIRECTOR_FATE_##name,
    DIRECTOR_FATE_LIST(X)
#undef X
};
const char *director_fate_text(enum director_fate fate);

struct director_candidate {
    uint32_t edge;
    uint32_t gateway;          /* of the channel; DIRECTOR_NONE */
    enum director_state state; /* as reported */
    enum director_fate fate;
    bool is_pardoned; /* not usable, but used: too few others are left */
    uint8_t filter;   /* FILTERED, CUT: number of the step, from 0 */
    float score;      /* of the sum, product or last sort, ms; NAN: not evaluated */
    float share;      /* 0..1: of its clients that the edge takes */
    float place;      /* 0..1: this network's among them; below the share it stays */
    float flaps;      /* penalty for flapping; above DIRECTOR_DAMP_ABOVE it is damped */
    struct director_value values[DIRECTOR_COMPONENTS];
};

/* A try: what would be answered if. Fields that are not set stay as they are. */
struct director_what_if {
    uint32_t edge;
    bool has_state, has_load;
    enum director_state state;
    uint16_t load; /* thousandths */
};

enum { DIRECTOR_WHAT_IFS_LIMIT = 64 };

struct director_explanation {
    /* the client */
    struct network network; /* /24, /48: all of it is answered alike */
    bool is_measured;       /* it has rankings of its own; else those of its area and class */
    uint32_t place, region; /* of the maps */
    uint32_t area, class;
    /* the site */
    uint32_t site;
    struct director_policy policy;
    uint32_t ttl_s, answers;
    uint8_t scope_bits;
    /* candidates in the order of the ranking; those that are not ranked behind */
    struct director_candidate *candidates;
    size_t candidate_count;
    uint32_t evaluated;  /* candidates that the search looked at */
    bool was_cut_short;  /* by `enough` or `most` (R7) */
    bool was_unfiltered; /* the filters left nobody and were passed over */
    /* hysteresis */
    uint32_t incumbent;     /* edge that was first; DIRECTOR_NONE */
    uint32_t challenger;    /* edge that is better and has to stay so; DIRECTOR_NONE */
    uint64_t waiting_ns;    /* for how long it is */
    float margin_ms;        /* by which it has to be better than the incumbent */
    uint64_t ranked_age_ns; /* of the ranking that is answered from */
    /* edges that are answered, now (nothing supposed) or if */
    uint32_t answered[8];
    size_t answered_count;
    bool is_forsaken; /* no good edge is left */
};

struct director;

struct director_supposition {
    const struct director_what_if *what_ifs;
    size_t count;
    const struct director_policy *policy; /* NULL: the site's own */
};

/* By the thread that ticks. With a supposition (NULL: none) the ranking is made as if, without hysteresis, which would hide its effect.
 * NULL: no such site. */
struct director_explanation *director_explain(const struct director *director,
                                              const struct director_facts *facts, uint32_t site,
                                              const struct address *client,
                                              const struct director_supposition *supposed);
void director_explanation_free(struct director_explanation *explanation);

#endif
