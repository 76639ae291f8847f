/* SPDX-License-Identifier: Apache-2.0
 *
 * The zones as they lie in memory: nodes in one hash table over all zones, keyed by the whole lower-case name. A
 * name that exists costs one probe. Only for a missing one the labels are walked, from the deepest that any zone
 * has, to the closest encloser (RFC 4592 section 3.3.1).
 *
 * Empty non-terminals are nodes without records, so that they answer NODATA (RFC 8020).
 */
#ifndef DNS_ZONE_H
#define DNS_ZONE_H

#include "dns/types.h"

enum { DNS_NO_SITE = -1 };

/* Records of one type, ready for the wire: each with the owner as a pointer to the question's name. */
struct dns_rrset {
    uint16_t type;
    uint16_t count;
    uint32_t wire_bytes;
    const uint8_t *wire;
    const struct dns_type
        *compress; /* NULL: no field to compress, the bytes may be copied as they are */
};

struct dns_node {
    const uint8_t *name; /* lower case */
    uint8_t name_length;
    uint8_t labels;
    uint16_t rrset_count;
    int32_t site; /* computed name: its site; else DNS_NO_SITE */
    const struct dns_zone *zone;
    const struct dns_rrset *rrsets;
    const struct dns_node *cut;      /* the delegation at or above this node; NULL: authoritative */
    const struct dns_node *wildcard; /* the child "*" */
    uint8_t unused[16];              /* to a whole cache line */
};

enum { DNS_UNIT_BYTES = 64, DNS_SOA_NUMBERS_BYTES = 20 };

uint32_t dns_soa_serial(const struct dns_rrset *soa);

struct dns_chain;

struct dns_zone {
    const struct dns_node *apex;
    uint32_t negative_ttl_s; /* RFC 2308 section 5 */
    bool is_signed, has_chain;
    const struct dns_rrset *soa;
    bool is_file;                  /* some of it is from a zone file */
    const struct dns_zone *parent; /* of ours, that delegates this one; NULL: somebody else's */
    const struct dns_node *first, *end; /* its nodes lie together */
    struct dns_chain *chain;            /* of a signed zone, unless its denials are compact */
};

/* Owner pointer, type, class, TTL, RDLENGTH. */
enum { DNS_RR_FIXED_BYTES = 12, DNS_OWNER_POINTER = 0xc000 | DNS_HEADER_BYTES };

struct dns_match {
    const struct dns_zone *zone; /* NULL: in no zone of ours */
    const struct dns_node *node; /* whose data answers; NULL: there is no such name */
    const struct dns_node *cut;  /* set: not ours to answer, refer to its NS */
    /* Set when no node has the very name: the one that is nearest above it. */
    const struct dns_node *encloser;
    const struct dns_name *name; /* what was looked for: the caller's */
};

/* `name` in lower case. */
struct dns_match dns_zones_find(const struct dns_zones *zones, const struct dns_name *name);

/* The node of exactly this name, cut or not (for glue), or NULL. */
const struct dns_node *dns_zones_exact(const struct dns_zones *zones, const struct dns_name *name);

static inline const struct dns_rrset *dns_node_rrset(const struct dns_node *node, uint16_t type)
{
    for (unsigned i = 0; i < node->rrset_count; i++)
        if (node->rrsets[i].type == type)
            return &node->rrsets[i];
    return NULL;
}

static inline struct span dns_node_name(const struct dns_node *node)
{
    return span_of(node->name, node->name_length);
}

/* The store itself. While it is built `nodes` is an array; dns_zones_pack() then spreads the nodes over as many units
 * as each needs with its name and records. */
struct dns_slot {
    uint32_t tag;  /* of the hash */
    uint32_t node; /* unit + 1; 0: free */
};

struct dns_zones {
    uint64_t seed;
    uint32_t mask; /* slots - 1 */
    uint8_t labels_most;
    struct dns_slot *slots;
    struct dns_node *nodes; /* in units */
    struct dns_zone *zones;
    size_t node_count, zone_count;
    void *memory; /* that the nodes lie in */
};

void dns_zones_pack(struct dns_zones *zones);
/* The node that lies behind this one. */
const struct dns_node *dns_node_next(const struct dns_node *node);

struct dns_node *dns_zones_probe(const struct dns_zones *zones, struct span name);

#endif
