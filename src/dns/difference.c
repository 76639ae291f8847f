/* SPDX-License-Identifier: Apache-2.0
 *
 * What differs between two versions of a zone, record by record, for incremental transfers (RFC 1995). Computed
 * addresses have no version: they are no part of it.
 */
#include "base/bytes.h"
#include "base/memory.h"
#include "dns/zone.h"

const struct dns_zone *dns_zones_zone(const struct dns_zones *zones, const struct dns_name *name)
{
    const struct dns_node *node = dns_zones_exact(zones, name);
    return node && node->zone->apex == node ? node->zone : NULL;
}

bool dns_zone_computed(const struct dns_zone *zone, struct dns_name *name)
{
    for (const struct dns_node *node = zone->first; node != zone->end; node = dns_node_next(node)) {
        if (node->site == DNS_NO_SITE)
            continue;
        name->length = node->name_length;
        name->labels = node->labels;
        memcpy(name->wire, node->name, node->name_length);
        return true;
    }
    return false;
}

uint32_t dns_soa_serial(const struct dns_rrset *soa)
{
    return load_u32(soa->wire + soa->wire_bytes - DNS_SOA_NUMBERS_BYTES);
}

uint32_t dns_zone_serial(const struct dns_zone *zone)
{
    return dns_soa_serial(zone->soa);
}

bool dns_serial_is_newer(uint32_t a, uint32_t b)
{
    return a != b && a - b < 1u << 31;
}

/* Records as they lie in sets, one behind the other. */
static const uint8_t *behind(const uint8_t *record)
{
    return record + DNS_RR_FIXED_BYTES + load_u16(record + 10);
}

static bool has_record(const struct dns_rrset *set, const uint8_t *record)
{
    size_t length = (size_t)(behind(record) - record);
    const uint8_t *at = set ? set->wire : NULL;
    for (unsigned i = 0; set && i < set->count; i++, at = behind(at))
        if ((size_t)(behind(at) - at) == length && memcmp(at, record, length) == 0)
            return true;
    return false;
}

/* Called for each record of a node that the other version's node lacks. */
struct walk {
    const struct dns_zones *other;
    const struct dns_zone *other_zone;
    struct text *out; /* NULL: the first one is enough */
    bool ignores_serial;
    bool has_found;
};

static bool is_same_set(const struct dns_rrset *a, const struct dns_rrset *b)
{
    return b && a->wire_bytes == b->wire_bytes && memcmp(a->wire, b->wire, a->wire_bytes) == 0;
}

static bool is_soa_alike(const struct dns_rrset *a, const struct dns_rrset *b)
{
    return b && a->wire_bytes == b->wire_bytes &&
           memcmp(a->wire, b->wire, a->wire_bytes - 20) == 0 &&
           memcmp(a->wire + a->wire_bytes - 16, b->wire + b->wire_bytes - 16, 16) == 0;
}

static void walk_set(struct walk *walk, const struct dns_node *node, const struct dns_rrset *set,
                     const struct dns_rrset *other)
{
    if (is_same_set(set, other))
        return;
    if (set->type == DNS_SOA) { /* at the beginning already */
        walk->has_found |= !walk->ignores_serial || !is_soa_alike(set, other);
        return;
    }
    const uint8_t *record = set->wire;
    for (unsigned i = 0; i < set->count; i++, record = behind(record)) {
        if (has_record(other, record))
            continue;
        walk->has_found = true;
        if (!walk->out)
            return;
        text_add_span(walk->out, span_of(node->name, node->name_length));
        text_add_span(walk->out, span_of(record, (size_t)(behind(record) - record)));
    }
}

/* False: the two cannot be compared, since a name is computed in one of them only. */
static bool walk_zone(struct walk *walk, const struct dns_zone *zone)
{
    for (const struct dns_node *node = zone->first; node != zone->end; node = dns_node_next(node)) {
        const struct dns_node *other = dns_zones_probe(walk->other, dns_node_name(node));
        if (other && other->zone != walk->other_zone)
            other = NULL;
        bool is_computed = node->site != DNS_NO_SITE;
        if (is_computed != (other && other->site != DNS_NO_SITE))
            return false;
        for (unsigned i = 0; i < node->rrset_count; i++)
            walk_set(walk, node, &node->rrsets[i],
                     other ? dns_node_rrset(other, node->rrsets[i].type) : NULL);
        if (walk->out ? walk->out->is_cut : walk->has_found)
            return true;
    }
    return true;
}

static void add_soa(struct text *out, const struct dns_zone *zone)
{
    text_add_span(out, dns_node_name(zone->apex));
    text_add_span(out, span_of(zone->soa->wire, zone->soa->wire_bytes));
}

bool dns_zones_differ(const struct dns_zones *old, const struct dns_zone *old_zone,
                      const struct dns_zones *fresh, const struct dns_zone *fresh_zone)
{
    struct walk gone = {old, old_zone, .ignores_serial = true};
    struct walk come = {fresh, fresh_zone, .ignores_serial = true};
    return !walk_zone(&gone, fresh_zone) || gone.has_found || !walk_zone(&come, old_zone) ||
           come.has_found;
}

struct dns_difference *dns_difference_new(const struct dns_zones *old,
                                          const struct dns_zone *old_zone,
                                          const struct dns_zones *fresh,
                                          const struct dns_zone *fresh_zone, size_t limit_bytes)
{
    struct text removed = {.limit = limit_bytes}, added = {.limit = limit_bytes};
    struct walk gone = {fresh, fresh_zone, .out = &removed};
    struct walk come = {old, old_zone, .out = &added};
    struct dns_difference *difference = NULL;
    add_soa(&removed, old_zone);
    add_soa(&added, fresh_zone);
    size_t bytes = 0;
    if (limit_bytes && walk_zone(&gone, old_zone) && walk_zone(&come, fresh_zone))
        bytes = removed.length + added.length;
    if (bytes && bytes <= limit_bytes && !removed.is_cut && !added.is_cut) {
        difference = memory_raw(sizeof *difference + bytes);
        uint8_t *to = (uint8_t *)(difference + 1);
        memcpy(to, removed.data, removed.length);
        memcpy(to + removed.length, added.data, added.length);
        *difference = (struct dns_difference){.from = dns_zone_serial(old_zone),
                                              .to = dns_zone_serial(fresh_zone),
                                              .bytes = bytes,
                                              .removed = span_of(to, removed.length),
                                              .added = span_of(to + removed.length, added.length)};
    }
    text_clear(&removed);
    text_clear(&added);
    return difference;
}

void dns_difference_free(struct dns_difference *difference)
{
    memory_free(difference);
}
