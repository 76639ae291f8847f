/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking a name up: exact, else closest encloser, wildcard, delegation (RFC 1034 section 4.3.2, RFC 4592).
 */
#include "dns/zone.h"

#include "base/hash.h"
#include "base/memory.h"
#include "dns/nsec.h"

struct dns_node *dns_zones_probe(const struct dns_zones *zones, struct span name)
{
    uint64_t hash = hash_span(name, zones->seed);
    uint32_t tag = (uint32_t)(hash >> 32);
    for (uint32_t at = (uint32_t)hash & zones->mask;; at = (at + 1) & zones->mask) {
        const struct dns_slot *slot = &zones->slots[at];
        if (!slot->node)
            return NULL;
        if (slot->tag != tag)
            continue;
        struct dns_node *node = &zones->nodes[slot->node - 1];
        if (span_equal(span_of(node->name, node->name_length), name))
            return node;
    }
}

const struct dns_node *dns_zones_exact(const struct dns_zones *zones, const struct dns_name *name)
{
    return dns_zones_probe(zones, span_of(name->wire, name->length));
}

/* The deepest existing name at or above `name`, which itself does not exist. */
static const struct dns_node *closest_encloser(const struct dns_zones *zones,
                                               const struct dns_name *name)
{
    struct span rest = span_of(name->wire, name->length);
    for (unsigned labels = name->labels; labels; labels--) {
        rest = span_from(rest, (size_t)rest.data[0] + 1);
        if (labels - 1 > zones->labels_most)
            continue;
        const struct dns_node *node = dns_zones_probe(zones, rest);
        if (node)
            return node;
    }
    return NULL;
}

struct dns_match dns_zones_find(const struct dns_zones *zones, const struct dns_name *name)
{
    const struct dns_node *node = dns_zones_exact(zones, name);
    if (node)
        return (struct dns_match){node->zone, node, node->cut, NULL, name};
    node = closest_encloser(zones, name);
    if (!node)
        return (struct dns_match){0};
    return (struct dns_match){node->zone, node->wildcard, node->cut, node, name};
}

bool dns_zones_computed(const struct dns_zones *zones, const struct dns_name *name,
                        uint32_t *number)
{
    struct dns_name lower = *name;
    dns_name_lower(&lower);
    struct dns_match match = dns_zones_find(zones, &lower);
    if (!match.node || match.node->site == DNS_NO_SITE)
        return false;
    *number = (uint32_t)match.node->site;
    return true;
}

void dns_zones_free(struct dns_zones *zones)
{
    if (!zones)
        return;
    for (size_t i = 0; zones->zones && i < zones->zone_count; i++)
        dns_chain_free(zones->zones[i].chain);
    memory_free(zones->slots);
    memory_free(zones->memory);
    memory_free(zones->zones);
    memory_free(zones);
}

size_t dns_zones_count(const struct dns_zones *zones)
{
    return zones->zone_count;
}

int dns_zones_number(const struct dns_zones *zones, const struct dns_name *apex)
{
    struct dns_name lower = *apex;
    dns_name_lower(&lower);
    const struct dns_node *node = dns_zones_exact(zones, &lower);
    return node && node->zone->apex == node ? (int)(node->zone - zones->zones) : ERROR_NOT_FOUND;
}

size_t dns_zones_names(const struct dns_zones *zones)
{
    return zones->node_count;
}
