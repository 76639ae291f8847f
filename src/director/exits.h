/* SPDX-License-Identifier: Apache-2.0
 *
 * Servers and exits (H4-H7, H9): content servers stand at *places* (H5 calls them sites), whose answers may leave
 * through any of several border routers. For a client's network every (place, border) pair has a path metric; a
 * choice is a server and the border through which it shall answer. Pure: facts go in, an immutable table comes out,
 * and a request looks up, adds a few weights and draws once.
 *
 * Times are one way and in microseconds, but for pings, which are round trips.
 */
#ifndef DIRECTOR_EXITS_H
#define DIRECTOR_EXITS_H

#include "base/address.h"
#include "base/random.h"
#include "director/facts.h"

enum {
    EXITS_PLACES_LIMIT = 64,
    EXITS_BORDERS_LIMIT = 64,
    EXITS_SERVERS_LIMIT = 4096,
    EXITS_SERVICES_LIMIT = 65536,
    EXITS_STATED_LIMIT = 1 << 20,
    EXITS_NETWORKS_LIMIT = 1 << 14, /* measured ones in a table; the others have what is stated */
    EXITS_SLICE = 1 << 12,          /* of the table of latencies, looked at anew for one table */
    EXITS_SILENT_US = 10000000, /* H3: stands in where no answer came to a ping, or none was sent */
    EXITS_INTERNAL_LIMIT_US = 60000000,
    EXITS_FACTOR_ONE = 1000,  /* factors are thousandths */
    AVAILABILITY_FULL = 1000, /* 0 is busy, higher is likelier */
};
#define EXITS_NONE UINT32_MAX /* a distance: no way leads there; a ping: nothing is known */

/* ---- H5: the metric ---- */

/* The last term of the metric: as published, or as its comment has it. */
enum exits_last_term { EXITS_LAST_BORDER, EXITS_LAST_PLACE };

/* Our own network, one way. */
struct exits_map {
    uint32_t place_count, border_count;
    const uint32_t *internal_us; /* [place][border]; EXITS_NONE: places have no exit there */
    const uint32_t *between_us;  /* [border][border] */
    /* [place]: from the border where clients come in, for EXITS_LAST_PLACE; no EXITS_NONE */
    const uint32_t *contact_us;
    uint32_t contact; /* the border where clients come in */
    enum exits_last_term last_term;
};

/* One-way times from a client's pings. A border without one counts as EXITS_SILENT_US; where the contact has none,
 * half of every ping is taken, and the least of them stands in for the contact's. Without a single one all are 0: the nearest
 * within our own network, to where the client came in, is best. */
struct exits_times {
    uint32_t contact_us;
    uint32_t border_us[EXITS_BORDERS_LIMIT];
};
void exits_times_from_pings(const struct exits_map *map, const uint32_t *ping_us,
                            struct exits_times *times);

/*     2 x one-way(border) + 2 x internal(place, border) + one-way(contact) + internal(border, contact)
 *
 * or, by `last_term`, with internal(contact, place) at the end. EXITS_NONE: there is no such exit. */
uint32_t exits_metric(const struct exits_map *map, const struct exits_times *times, uint32_t place,
                      uint32_t border);

/* ---- H6: the best border of each place ---- */

struct exits_way {
    uint32_t metric_us;
    uint16_t place, border;
};

/* The best way of each place that has one, the best first; how many. */
uint32_t exits_rank(const struct exits_map *map, const struct exits_times *times,
                    struct exits_way ways[EXITS_PLACES_LIMIT]);

/* Those at the front that are within the factor of the first: the candidates. */
uint32_t exits_candidates(const struct exits_way *ways, uint32_t count, uint32_t fuzz);

/* ---- H4: policies for servers ---- */

#define EXITS_POLICY_LIST(X)                                            \
    X(LOAD, "load")               /* least of its capacity is in use */ \
    X(CONNECTIONS, "connections") /* fewest open TCP connections */     \
    X(RAM, "ram")                 /* most free RAM */                   \
    X(SWAP, "swap")               /* most free swap */                  \
    X(CPU, "cpu")                 /* most CPU idle */                   \
    X(ICMP, "icmp")               /* fastest ICMP route: the best path metric */

enum exits_policy {
#define X(name, text) EXITS_BY_##name,
    EXITS_POLICY_LIST(X)
#undef X
        EXITS_POLICIES
};

/* How available each server is by the policies (bits 1 << policy) together: for each of them its value in proportion to the
 * best of the servers', multiplied. What is not known of a server counts half. 0 only of those that are not up or,
 * by EXITS_BY_LOAD, have no capacity left. EXITS_BY_ICMP depends on the client and is left to the choice. */
void exits_availability(unsigned policies, const struct director_node_facts *servers, size_t count,
                        uint32_t *availability);

/* ---- what is configured ---- */

/* PATHS: candidates by the metric, then a draw among their servers by availability. SERVERS: the most available server, then
 * its best border. */
enum exits_order { EXITS_ORDER_PATHS, EXITS_ORDER_SERVERS };

struct exits_server {
    uint32_t place;
    uint32_t weight; /* of the draw, besides its availability; 1 .. 1000 */
};

/* The servers of one published site. */
struct exits_service {
    uint32_t first_server, server_count; /* of `servers` */
    enum exits_order order;
    uint32_t fuzz;     /* factor, from EXITS_FACTOR_ONE on */
    unsigned policies; /* bits 1 << enum exits_policy */
};

/* A ping that the configuration states, for where nothing was measured. */
struct exits_stated {
    struct network network;
    uint32_t border, ping_us;
};

struct exits_options {
    struct exits_map map; /* the arrays are copied */
    const uint32_t *
        nodes; /* [border]: whose round trips in the table of latencies are its pings; EXITS_NONE */
    const struct exits_server *servers;
    size_t server_count;
    const struct exits_service *services;
    size_t service_count;
    const struct exits_stated *stated; /* the longest prefix wins, for each border */
    size_t stated_count;
};

struct exits; /* immutable */
struct exits *exits_new(const struct exits_options *options);
void exits_free(struct exits *exits);

/* ---- choices ---- */

struct exits_facts {
    const struct director_node_facts
        *servers; /* as configured; NULL: all are up, and nothing else is known */
    const struct latency_table *latencies; /* NULL: none */
    uint64_t now_ns;
    uint64_t latency_age_ns; /* older round trips are not looked at */
};

struct exits_table; /* immutable; the exits outlive it */
/* Takes over what `previous` (NULL: none) has of measured networks, but for the next slice of them, so that the work of a tick is
 * bounded. A network that is not measured any more leaves after two rounds of slices. */
struct exits_table *exits_table_new(const struct exits *exits, const struct exits_facts *facts,
                                    const struct exits_table *previous);
void exits_table_free(struct exits_table *table);

struct exits_choice {
    uint32_t server, border;
    uint32_t metric_us;
};

/* For a request; any thread. False: the service has no server that may be named. */
bool exits_table_choose(const struct exits_table *table, uint32_t service,
                        const struct address *client, struct random *random,
                        struct exits_choice *choice);

/* What a choice for the client looks at, to explain it: the ways of all places, the best first; how many. */
uint32_t exits_table_ways(const struct exits_table *table, const struct address *client,
                          const struct exits_way **ways);
/* What each of these ways has in a choice, thousandths. False: there is no choice. */
bool exits_table_chances(const struct exits_table *table, uint32_t service,
                         const struct address *client, uint32_t chances[EXITS_PLACES_LIMIT]);
/* Of a server at this moment. */
uint32_t exits_table_availability(const struct exits_table *table, uint32_t server);

struct exits_table_counts {
    size_t networks;    /* measured, with ways of their own */
    size_t passed_over; /* measured, of the last slice, without room */
    size_t busy;     /* services without an available server: any that is up or draining is named */
    size_t forsaken; /* services whose servers are all dead or down */
};
struct exits_table_counts exits_table_counts(const struct exits_table *table);

#endif
