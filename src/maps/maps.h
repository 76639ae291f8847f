/* SPDX-License-Identifier: Apache-2.0
 *
 * Maps of address space (R1, R3, R6): where a client is, as far as databases (MaxMind's MMDB) and text files say. Several
 * maps are stacked and compiled, at load, into one prefix tree; its leaves are numbers of *places*, each
 * distinct one once in a table. A query is one walk of that tree, or of its last few levels. Pure: bytes in, an
 * immutable table out; any number of threads reads it.
 *
 * Maps are laid over one another in the order in which they are added: of each network a later one replaces what it speaks of,
 * field by field, and leaves the rest (docs/maps.md). When all fields of a network are known, rules give it a region.
 */
#ifndef MAPS_MAPS_H
#define MAPS_MAPS_H

#include "base/address.h"
#include "base/error.h"
#include "base/text.h"

enum {
    MAPS_LIMIT = 16,           /* maps of a stack */
    MAPS_REGIONS_LIMIT = 1024, /* with MAPS_NO_REGION */
    MAPS_PLACES_LIMIT = 1 << 22,
    MAPS_FILE_BYTES = 1 << 30, /* of one map */
    MAPS_NO_REGION = 0,        /* nothing says where the client is */
    MAPS_FAR = 100,            /* distance between two regions of which nothing is known */
    MAPS_DISTANCE_LIMIT = 60000,
    MAPS_KM_PER_UNIT =
        100, /* of distances that follow from coordinates: a millisecond's round trip in fibre */
};

/* On the globe, in ten-thousandths of a degree (11 m), north and east positive. */
struct maps_point {
    int32_t latitude, longitude;
};
#define MAPS_NOWHERE ((struct maps_point){INT32_MAX, INT32_MAX})

static inline bool maps_point_is_known(struct maps_point point)
{
    return point.latitude != INT32_MAX;
}

/* "50.11,8.68". 0 or ERROR_INVALID. */
MUST_USE int maps_point_parse(struct span text, struct maps_point *point);
uint32_t maps_point_km(struct maps_point a, struct maps_point b); /* great circle; both known */

/* What is known of the clients of some networks. */
struct maps_place {
    struct maps_point point;
    uint32_t asn;           /* 0: not known */
    uint16_t region;        /* by a map, else by a rule, else the default one */
    uint8_t continent[2];   /* "EU"; zeroes: not known */
    uint8_t country[2];     /* "DE" */
    uint8_t subdivision[4]; /* "BY", behind the country in ISO 3166-2 */
};

struct maps;
struct maps_builder;

struct maps_builder *maps_builder_new(void);
void maps_builder_free(struct maps_builder *builder);

/* An MMDB or a text; what it is shows in its bytes, which stay the caller's and must last until the end of maps_builder_finish(). `file` is
 * the name in complaints ("file:line: sentence"). */
void maps_builder_add(struct maps_builder *builder, struct span bytes, const char *file);

/* NULL: there were complaints. The builder is gone either way. No maps at all are good too. */
struct maps *maps_builder_finish(struct maps_builder **builder, struct text *complaints);
void maps_free(struct maps *maps);

/* The number of the client's place, below maps_place_count(); 0: nothing is known. All addresses that share the first `bits` with
 * this one (NULL: not wanted) are at the same place: nothing more specific lies within, so that an answer may be scoped
 * by it (RFC 7871 section 7.2.1). */
uint32_t maps_find(const struct maps *maps, const struct address *client, unsigned *bits);

uint32_t maps_place_count(const struct maps *maps); /* at least 1 */
/* Place 0 has the default region, or MAPS_NO_REGION. */
const struct maps_place *maps_place(const struct maps *maps, uint32_t place);

/* ---- regions ---- */

uint32_t maps_region_count(const struct maps *maps); /* with MAPS_NO_REGION: numbers are below it */
uint32_t maps_region_number(const struct maps *maps,
                            struct span name); /* MAPS_NO_REGION: no such */
const char *maps_region_name(const struct maps *maps, uint32_t region);
const char *maps_region_nearest_name(const struct maps *maps, const char *word); /* or NULL */
struct maps_point maps_region_point(const struct maps *maps, uint32_t region);
/* The region that it lies in ("region NAME within OTHER"); MAPS_NO_REGION: none. */
uint32_t maps_region_parent(const struct maps *maps, uint32_t region);
/* As a map says, else from the points of both, else 1 more than from the region that one lies in, else MAPS_FAR. */
uint32_t maps_region_distance(const struct maps *maps, uint32_t a, uint32_t b);

/* ---- figures ---- */

struct maps_figures {
    uint64_t bytes;    /* of the compiled maps */
    uint32_t networks; /* leaves of the tree that are somewhere */
    uint32_t places;
};
struct maps_figures maps_figures(const struct maps *maps);

#endif
