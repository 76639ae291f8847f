/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of the network, in flat tables: collectors write numbers here, the director reads them once a tick,
 * and neither calls the other (R6, R8, S9, H2, H3). One thread owns the tables. Every number says when it was taken;
 * times are of this node's monotonic clock, 0 stands for never.
 *
 * Edges, gateways and servers are numbered as they are configured.
 */
#ifndef DIRECTOR_FACTS_H
#define DIRECTOR_FACTS_H

#include "base/address.h"
#include "base/error.h"

/* In order of preference. */
enum director_state {
    DIRECTOR_UP,
    DIRECTOR_FULL,     /* behind all that are up, however near */
    DIRECTOR_DRAINING, /* only when none of the former is left */
    DIRECTOR_DEAD, /* only when nothing else is left: an answer that may fail is better than none that can succeed */
    DIRECTOR_DOWN, /* by its administrator: never */
    DIRECTOR_STATES,
};

const char *director_state_text(enum director_state state); /* "up", "full" ... */

enum {
    LOAD_FULL = 1000, /* load values are thousandths of a node's capacity */
    LOAD_UNKNOWN = UINT16_MAX,
};

/* What a load daemon or the node itself reports (H2). UINT64_MAX, UINT32_MAX, LOAD_UNKNOWN: not known. */
struct director_load {
    uint64_t taken_ns;
    uint64_t free_ram_bytes, free_swap_bytes;
    uint32_t connections; /* open TCP connections */
    uint32_t requests_per_s;
    uint16_t cpu_idle; /* thousandths */
    uint16_t
        load; /* thousandths of capacity, the greatest of what limits the node; may pass LOAD_FULL */
    uint32_t gauges[4]; /* of the owner's own, by the number of their configuration */
};

/* Edges, gateways and content servers alike. */
struct director_node_facts {
    enum director_state state; /* of reports, health checks and the administrator together */
    bool is_presumed; /* nobody has heard of it yet: what it turns out to be is no change */
    struct director_load load;
};

/* A link as its edge sees it (T8). */
struct director_link_facts {
    uint64_t taken_ns;
    uint32_t rtt_us; /* smoothed */
    uint32_t loss_ppm;
    bool is_up;
};

/* ---- round trips between client networks and nodes (H3, R6) ---- */

/* In order of trust. */
enum latency_source {
    LATENCY_PASSIVE, /* of real visitors, from the kernel's TCP_INFO at an edge */
    LATENCY_PROBE,   /* ICMP echo or TCP handshake, on request */
    LATENCY_SOURCES,
};

struct latency_value {
    uint64_t taken_ns; /* 0: nothing is known */
    uint32_t rtt_us;
    uint32_t samples; /* that it stands for; bounded: newer ones outweigh old ones */
    bool is_silent;   /* probes went out and nothing came back: rtt_us is a large value */
};

/* Client networks are /24 and /48. Bounded: the least recently written make room. One thread owns it. */
struct latency_table;

enum {
    LATENCY_ROWS_LIMIT =
        1 << 22, /* of (client network, node, source); 48 bytes each, 32 for each network */
    LATENCY_SAMPLES_LIMIT = 64,    /* that a value stands for at most */
    LATENCY_EXPIRE_STEP = 1024,    /* rows forgotten in one call */
    LATENCY_NODES_LIMIT = 1 << 30, /* node numbers are below it */
};

/* `seed` keys the hash: strangers choose the networks. */
struct latency_table *latency_table_new(uint32_t rows_limit, uint64_t seed);
void latency_table_free(struct latency_table *table);

/* A measurement of `samples` round trips with this median. An exponential mean by samples joins it with what was there; silence and round trips
 * replace each other. A time before that of the row's value does not take it back. */
void latency_table_put(struct latency_table *table, const struct address *client, uint32_t node,
                       enum latency_source source, uint32_t rtt_us, uint32_t samples,
                       bool is_silent, uint64_t now_ns);
/* All zero when nothing is known. */
struct latency_value latency_table_find(const struct latency_table *table,
                                        const struct address *client, uint32_t node,
                                        enum latency_source source);
/* Forgets what was last written before. Work is bounded per call; true: there is more. */
bool latency_table_expire(struct latency_table *table, uint64_t before_ns);
/* Nodes have other numbers now: numbers[old], UINT32_MAX for one that has gone, whose rows are forgotten. */
void latency_table_renumber(struct latency_table *table, const uint32_t *numbers, size_t count);
size_t latency_table_count(const struct latency_table *table);
/* Rows that gave way to others before they expired: more is measured than the table holds. */
uint64_t latency_table_evicted(const struct latency_table *table);

/* All rows of a client's network: row = first(); while (row != LATENCY_END) row = next(table, row, &found). */
enum { LATENCY_END = UINT32_MAX };
struct latency_row {
    uint32_t node;
    enum latency_source source;
    struct latency_value value;
};
uint32_t latency_table_first(const struct latency_table *table, const struct address *client);
uint32_t latency_table_next(const struct latency_table *table, uint32_t row,
                            struct latency_row *found);
/* Fetches from memory what first() and next() will read: called with 2, and some time later with 1. */
void latency_table_expect(const struct latency_table *table, const struct address *client,
                          int steps);

/* The networks that have rows, by slots that may be empty (false). A network keeps its slot as long as it has rows. */
struct latency_activity {
    struct network network;
    uint32_t samples; /* of real visitors lately: a count that halves every LATENCY_HALF_LIFE_NS */
    uint32_t rows;
};
#define LATENCY_HALF_LIFE_NS (600ull * 1000000000)
uint32_t latency_table_slots(const struct latency_table *table);
bool latency_table_slot(const struct latency_table *table, uint32_t slot, uint64_t now_ns,
                        struct latency_activity *activity);

/* The client's network as the table keys it: /24, /48. */
struct network latency_network(const struct address *client);

/* ---- the whole ---- */

struct director_facts {
    const struct director_node_facts *edges;    /* edge_count of the director */
    const struct director_node_facts *gateways; /* gateway_count */
    const struct director_link_facts *links;    /* [edge][gateway] */
    const struct latency_table *latencies;      /* nodes are edge numbers; NULL: none */
    const uint16_t *
        held; /* [edge][site]: thousandths of its content and functions; LOAD_UNKNOWN; NULL: none */
    uint64_t now_ns;
};

#endif
