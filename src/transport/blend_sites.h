/* SPDX-License-Identifier: Apache-2.0
 *
 * Sites as the blender knows them (T4): a number that the opener of a stream gave, a weight, and a queue for each ring, so that
 * sites share a ring fairly however many streams each of them has. A site comes to be with its first stream and is kept, with its
 * counters, until the limit calls for its place.
 */
#ifndef TRANSPORT_BLEND_SITES_H
#define TRANSPORT_BLEND_SITES_H

#include "base/list.h"
#include "transport/transport.h"

enum {
    BLEND_SITES_LIMIT = 4096,      /* known at once; streams of others count as of site 0 */
    BLEND_SITE_WEIGHT_DEFAULT = 16 /* one packet of each turn around the sites of a ring */
};

/* One site's ready buffers in one ring. */
struct blend_queue {
    struct list link; /* in its ring's list of queues with something ready */
    struct list ready;
    struct blend_site *site;
    uint64_t ready_count;
    int64_t credit; /* bytes that it may give before the next site's turn; negative: overdrawn */
};

struct blend_site {
    struct blend_queue queues[TRANSPORT_RINGS];
    struct list link; /* in `idle` while it has no member */
    uint64_t members; /* buffers */
    uint64_t sent_bytes;
    uint32_t at; /* in `all` */
    uint16_t number;
    uint8_t weight;
};

/* blend_sites_init() makes it usable, blend_sites_clear() frees what it holds. */
struct blend_sites {
    struct blend_site **all; /* in no order; all[0] is site 0 */
    uint16_t *places;        /* hash of numbers: 1 + index into `all`; at most half full */
    uint32_t count, capacity, places_size;
    struct list idle;                      /* longest idle first */
    struct transport_site_weight *weights; /* sorted by number */
    size_t weight_count;
};

void blend_sites_init(struct blend_sites *sites);
void blend_sites_clear(struct blend_sites *sites); /* no site has members any more */
void blend_sites_weigh(struct blend_sites *sites, const struct transport_site_weight *weights,
                       size_t count); /* of the sites named; others have the default */

/* The site for another buffer: made where it is unknown. */
struct blend_site *blend_site_join(struct blend_sites *sites, uint16_t number);
void blend_site_leave(struct blend_sites *sites, struct blend_site *site);

/* As transport_read_sites(). */
size_t blend_sites_read(const struct blend_sites *sites, struct transport_site_facts *facts,
                        size_t count);

#endif
