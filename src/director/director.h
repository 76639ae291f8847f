/* SPDX-License-Identifier: Apache-2.0
 *
 * The director: which edges a client is sent to (R1, R3, R5, R8). Pure: facts go in, an immutable snapshot comes out,
 * and a query reads the snapshot: two look-ups, nothing computed.
 *
 * This is its first form: the client's region from a map of address space, the edges of a site ranked by the
 * distance between regions, equal ones spread over the clients' networks, and the states of the edges. Measured
 * quality joins by changing how `order` in rank.c is made; snapshot and look-up stay.
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

/* ---- regions: a map of address space ---- */

enum {
    REGIONS_LIMIT = 1024, /* names in a map */
    REGION_NONE = 0,      /* the client is in no network of the map */
    REGION_FAR = 100,     /* distance between two regions of which the map says nothing */
    REGION_DISTANCE_LIMIT = 60000,
};

struct regions;

/* Reads the map (docs/dns.md):
 *
 *     192.0.2.0/24  europe           a network and its region; the longest prefix wins
 *     distance europe asia 60        both ways; 0 is the distance of a region to itself
 *     default europe                 where clients are taken to be that no network holds
 *
 * `file` is the name in complaints ("file:line: sentence"). NULL: there were any. An empty text is a map without regions. */
struct regions *regions_parse(struct span text, const char *file, struct text *complaints);
void regions_free(struct regions *regions);

uint32_t regions_count(const struct regions *regions); /* with REGION_NONE: numbers are below it */
uint32_t regions_find(const struct regions *regions, const struct address *client);
uint32_t regions_number(const struct regions *regions, struct span name); /* REGION_NONE: no such */
const char *regions_name(const struct regions *regions, uint32_t region);
uint32_t regions_distance(const struct regions *regions, uint32_t a, uint32_t b);
const char *regions_nearest_name(const struct regions *regions, const char *word); /* or NULL */

/* ---- what is configured ---- */

struct director_edge {
    const char *region; /* NULL: none */
    const struct address *addresses;
    size_t address_count;
};

struct director_site {
    const uint32_t *edges; /* numbers, in the order of the configuration */
    size_t edge_count;
    uint32_t ttl_s;
    uint32_t answers; /* 1..DNS_ADDRESSES_LIMIT */
};

struct director_options {
    const struct regions *regions; /* must outlive the director and its snapshots */
    const struct director_edge *edges;
    size_t edge_count;
    const struct director_site *sites;
    size_t site_count;
};

enum {
    DIRECTOR_EDGES_LIMIT = 4096,
    DIRECTOR_ROWS_LIMIT = 1 << 20, /* of a snapshot's table; 72 bytes each */
    /* Clients' networks fall into so many classes, which take equally near edges in different orders. 4!: with two,
     * three and four such edges each stands first, and second, equally often. */
    DIRECTOR_SPREAD = 24,
};

struct director; /* immutable */

/* Copies what it needs. NULL when the table would pass its limit (too many different lists of edges times regions). */
struct director *director_new(const struct director_options *options);
void director_free(struct director *director);

/* ---- answers ---- */

struct director_snapshot;

/* Ranks everything; `states` has one for each edge. The director must outlive the snapshot. */
struct director_snapshot *director_rank(const struct director *director,
                                        const enum director_state *states);
void director_snapshot_free(struct director_snapshot *snapshot);

/* What `site` answers to a client. Any thread; valid as long as the snapshot. */
const struct dns_addresses *director_snapshot_find(const struct director_snapshot *snapshot,
                                                   uint32_t site, const struct address *client);

/* Sites whose edges are all dead, draining or down: their answers are a last resort. */
size_t director_snapshot_forsaken(const struct director_snapshot *snapshot);

#endif
