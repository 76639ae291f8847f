/* SPDX-License-Identifier: Apache-2.0
 *
 * How what is known of an edge becomes its rank: components, each in its own unit and as a penalty in milliseconds, and
 * programs of a few steps that combine them (R6, R7, H4). A program is data: read from a line of text, replaced at run time.
 *
 *     sum latency link loss load*2 cost*0.5          the least sum of weighted penalties is best
 *     product latency load                           the least product of (1 + penalty) to the power of its weight
 *     filter load < 900 | filter region | sort latency | take 3
 *     sort connections                               fewest first (H4); `sort` always puts the best first
 *     enough 30 | most 16 | sum latency link         three of 30 ms end the search; so do 16 candidates (R7)
 *
 * Steps run in their order. Sorts are stable: the last one matters most.
 */
#ifndef DIRECTOR_POLICY_H
#define DIRECTOR_POLICY_H

#include "base/text.h"

/* name, word, unit of the value */
#define DIRECTOR_COMPONENT_LIST(X)                                                              \
    X(LATENCY, "latency", "ms")          /* visitor-edge round trip, of all that is known */    \
    X(PROBE, "icmp", "ms")               /* the same, of probes alone */                        \
    X(DISTANCE, "distance", "")          /* as the maps say */                                  \
    X(LINK, "link", "ms")                /* round trip to the best gateway */                   \
    X(LOSS, "loss", "ppm")               /* on that link */                                     \
    X(SETUP, "setup", "ms")              /* to make the link first, where none is up */         \
    X(LOAD, "load", "thousandths")       /* of the edge's capacity */                           \
    X(GATEWAY, "gateway", "thousandths") /* load of the best gateway */                         \
    X(COST, "cost", "thousandths")       /* of a unit of money for each connection */           \
    X(HELD, "held", "thousandths")       /* of the site's content and functions, at the edge */ \
    X(CONNECTIONS, "connections", "")                                                           \
    X(REQUESTS, "requests", "/s")                                                               \
    X(RAM, "ram", "MiB free")                                                                   \
    X(SWAP, "swap", "MiB free")                                                                 \
    X(CPU, "cpu", "thousandths idle")                                                           \
    X(GAUGE_0, "gauge0", "")                                                                    \
    X(GAUGE_1, "gauge1", "")                                                                    \
    X(GAUGE_2, "gauge2", "")                                                                    \
    X(GAUGE_3, "gauge3", "")

enum director_component {
#define X(name, word, unit) DIRECTOR_##name,
    DIRECTOR_COMPONENT_LIST(X)
#undef X
        DIRECTOR_COMPONENTS
};

const char *director_component_word(enum director_component component);
const char *director_component_unit(enum director_component component);

enum {
    DIRECTOR_STEPS_LIMIT = 16,
    DIRECTOR_SORTS_LIMIT = 4,
    DIRECTOR_POLICY_BYTES = 512, /* of a program's text */
};

enum director_step_kind {
    DIRECTOR_STEP_SUM,
    DIRECTOR_STEP_PRODUCT,
    DIRECTOR_STEP_FILTER, /* by a component's value */
    DIRECTOR_STEP_REGION, /* filter: of the client's region */
    DIRECTOR_STEP_SORT,
    DIRECTOR_STEP_TAKE,
    DIRECTOR_STEP_ENOUGH,
    DIRECTOR_STEP_MOST,
};

struct director_step {
    enum director_step_kind kind;
    enum director_component component;  /* FILTER, SORT */
    bool is_below;                      /* FILTER: kept are values < limit; else > limit */
    float limit;                        /* FILTER, ENOUGH: ms; TAKE, MOST: candidates */
    float weights[DIRECTOR_COMPONENTS]; /* SUM, PRODUCT; SORT: 1 for its component */
    uint8_t sort;                       /* SORT: its number among the sorts */
};

struct director_policy {
    struct director_step steps[DIRECTOR_STEPS_LIMIT];
    uint8_t step_count;
    uint8_t sort_count;
    char text[DIRECTOR_POLICY_BYTES]; /* as it was written */
};

/* A program's text, or the name of one that is built in ("fewest-connections"); an empty text is the default. False: a
 * sentence in `complaint`, without newline. */
bool director_policy_parse(struct span text, struct director_policy *policy,
                           struct text *complaint);

/* Whether any step looks at the component. */
bool director_policy_reads(const struct director_policy *policy, enum director_component component);

/* The built-in ones by number: name and text; false behind the last. */
bool director_policy_builtin(size_t index, const char **name, const char **text);

#endif
