/* SPDX-License-Identifier: Apache-2.0
 *
 * The finished zones, copied together: behind each node its name, its sets and their records, in the order in which a
 * query reads them; the nodes of a zone behind one another, in the order in which they came. Names are asked for at random, so that what a look-up costs is the cache lines that it touches.
 *
 *     | node, 64 | name | (to 8) | sets | records | (to 64) | node ...
 */
#include "dns/zone.h"

#include "base/memory.h"

_Static_assert(sizeof(struct dns_node) == DNS_UNIT_BYTES, "a node is a cache line");

static size_t round_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

static size_t sets_offset(const struct dns_node *node)
{
    return sizeof *node + round_up(node->name_length, _Alignof(struct dns_rrset));
}

static size_t block_bytes(const struct dns_node *node)
{
    size_t bytes = sets_offset(node) + node->rrset_count * sizeof *node->rrsets;
    for (unsigned i = 0; i < node->rrset_count; i++)
        bytes += node->rrsets[i].wire_bytes;
    return round_up(bytes, DNS_UNIT_BYTES);
}

const struct dns_node *dns_node_next(const struct dns_node *node)
{
    return node + block_bytes(node) / DNS_UNIT_BYTES;
}

/* Pointers to other nodes still lead to the old ones. */
static void copy_block(const struct dns_node *node, struct dns_node *to)
{
    uint8_t *start = (uint8_t *)to;
    struct dns_rrset *sets = (struct dns_rrset *)(void *)(start + sets_offset(node));
    uint8_t *wire = (uint8_t *)(sets + node->rrset_count);
    *to = *node;
    to->name = memcpy(start + sizeof *node, node->name, node->name_length);
    to->rrsets = sets;
    for (unsigned i = 0; i < node->rrset_count; i++) {
        sets[i] = node->rrsets[i];
        sets[i].wire = wire;
        memcpy(wire, node->rrsets[i].wire, sets[i].wire_bytes);
        wire += sets[i].wire_bytes;
    }
}

struct move {
    const struct dns_node *from; /* an array */
    struct dns_node *to;
    const uint32_t *units; /* by old index: where the node is now */
};

static const struct dns_node *moved(const struct move *move, const struct dns_node *node)
{
    return node ? &move->to[move->units[node - move->from]] : NULL;
}

static void move_pointers(struct dns_zones *zones, const struct move *move)
{
    for (size_t i = 0; i < zones->node_count; i++) {
        struct dns_node *node = &move->to[move->units[i]];
        node->cut = moved(move, node->cut);
        node->wildcard = moved(move, node->wildcard);
    }
    for (size_t i = 0; i < zones->zone_count; i++) {
        zones->zones[i].apex = moved(move, zones->zones[i].apex);
        zones->zones[i].soa = dns_node_rrset(zones->zones[i].apex, DNS_SOA);
    }
    for (size_t i = 0; i <= zones->mask; i++)
        if (zones->slots[i].node)
            zones->slots[i].node = move->units[zones->slots[i].node - 1] + 1;
}

void dns_zones_pack(struct dns_zones *zones)
{
    uint32_t *units = memory_new((zones->node_count + 1) * sizeof *units);
    size_t bytes = 0;
    uint64_t *starts = memory_new((zones->zone_count + 1) * sizeof *starts);
    for (size_t i = 0; i < zones->node_count; i++)
        starts[zones->nodes[i].zone - zones->zones + 1] += block_bytes(&zones->nodes[i]);
    for (size_t i = 0; i < zones->zone_count; i++)
        starts[i + 1] += starts[i];
    bytes = starts[zones->zone_count];
    INVARIANT(bytes / DNS_UNIT_BYTES < UINT32_MAX);
    void *memory = memory_new(bytes + DNS_UNIT_BYTES);
    uintptr_t start = round_up((uintptr_t)memory, DNS_UNIT_BYTES);
    struct move move = {zones->nodes, (struct dns_node *)start, units};
    for (size_t i = 0; i < zones->zone_count; i++) {
        zones->zones[i].first = &move.to[starts[i] / DNS_UNIT_BYTES];
        zones->zones[i].end = &move.to[starts[i + 1] / DNS_UNIT_BYTES];
    }
    for (size_t i = 0; i < zones->node_count; i++) {
        uint64_t *next = &starts[zones->nodes[i].zone - zones->zones];
        units[i] = (uint32_t)(*next / DNS_UNIT_BYTES);
        *next += block_bytes(&zones->nodes[i]);
    }
    memory_free(starts);
    for (size_t i = 0; i < zones->node_count; i++)
        copy_block(&zones->nodes[i], &move.to[units[i]]);
    move_pointers(zones, &move);
    memory_free(zones->memory);
    memory_free(units);
    zones->memory = memory;
    zones->nodes = move.to;
}
