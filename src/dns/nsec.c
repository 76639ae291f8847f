/* SPDX-License-Identifier: Apache-2.0
 *
 * The chain of a zone's names, NSEC records of its links, and which links deny a name or a type (RFC 4035 section 3.1.3).
 */
#include "dns/nsec.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "dns/canonical.h"

#include <stdlib.h>

/* `prefix`: the first bytes of the name's sort key, so that most of a search stays within the array. */
struct link {
    uint64_t prefix;
    const struct dns_node *node;
};

struct dns_chain {
    size_t count, apex_bytes;
    struct link links[];
};

struct sorted {
    struct link link;
    struct span key;
};

/* ---- making it ---- */

/* A zone of ours right below another one stands in that one's chain as the delegation that it is. */
static const struct dns_zone *zone_of_link(const struct dns_node *node)
{
    const struct dns_zone *zone = node->zone;
    return zone->apex == node && zone->parent ? zone->parent : NULL;
}

/* Names without records, and those behind a delegation, are no links. */
static bool is_link(const struct dns_node *node)
{
    return (node->rrset_count || node->site != DNS_NO_SITE) && (!node->cut || node->cut == node);
}

static uint64_t prefix_of(const uint8_t *key, size_t length)
{
    uint8_t first[8] = {0};
    memcpy(first, key, length < sizeof first ? length : sizeof first);
    return load_u64(first);
}

static int compare_sorted(const void *left, const void *right)
{
    const struct sorted *a = left, *b = right;
    if (a->link.prefix != b->link.prefix)
        return a->link.prefix < b->link.prefix ? -1 : 1;
    size_t shorter = a->key.length < b->key.length ? a->key.length : b->key.length;
    int order = memcmp(a->key.data, b->key.data, shorter);
    return order                            ? order
           : a->key.length == b->key.length ? 0
           : a->key.length < b->key.length  ? -1
                                            : 1;
}

static void add_sorted(struct sorted *sorted, const struct dns_node *node, size_t apex_bytes,
                       struct arena *arena)
{
    uint8_t key[DNS_SORT_KEY_BYTES];
    size_t length = dns_name_sort_key(node->name, node->name_length, apex_bytes, key);
    *sorted =
        (struct sorted){{prefix_of(key, length), node}, arena_copy(arena, span_of(key, length))};
}

static struct dns_chain *make_chain(const struct dns_zone *zone, struct sorted *sorted,
                                    size_t count)
{
    qsort(sorted, count, sizeof *sorted, compare_sorted);
    INVARIANT(count && sorted[0].link.node == zone->apex);
    struct dns_chain *chain = memory_new(sizeof *chain + count * sizeof *chain->links);
    chain->count = count;
    chain->apex_bytes = zone->apex->name_length;
    for (size_t i = 0; i < count; i++)
        chain->links[i] = sorted[i].link;
    return chain;
}

/* All nodes once for counting and once for keeping; each zone's part of one array. */
void dns_zones_chain(struct dns_zones *zones)
{
    size_t *ends = memory_new((zones->zone_count + 1) * sizeof *ends);
    bool is_any = false;
    for (size_t i = 0; i < zones->zone_count; i++)
        is_any |= zones->zones[i].has_chain;
    struct sorted *all = NULL;
    struct arena arena = {0};
    for (unsigned turn = 0; is_any && turn < 2; turn++) {
        size_t total = 0;
        for (size_t i = 0; i < zones->zone_count; i++) {
            size_t count = ends[i];
            ends[i] = total;
            total += count;
        }
        if (turn)
            all = memory_new((total + 1) * sizeof *all);
        else
            memset(ends, 0, zones->zone_count * sizeof *ends);
        for (size_t slot = 0; slot <= zones->mask; slot++) {
            if (!zones->slots[slot].node)
                continue;
            const struct dns_node *node = &zones->nodes[zones->slots[slot].node - 1];
            const struct dns_zone *both[] = {node->zone, zone_of_link(node)};
            for (unsigned k = 0; k < 2; k++) {
                if (!both[k] || !both[k]->has_chain || !is_link(node))
                    continue;
                size_t *end = &ends[both[k] - zones->zones];
                if (turn)
                    add_sorted(&all[*end], node, both[k]->apex->name_length, &arena);
                ++*end;
            }
        }
    }
    size_t from = 0;
    for (size_t i = 0; is_any && i < zones->zone_count; i++) {
        if (zones->zones[i].has_chain)
            zones->zones[i].chain = make_chain(&zones->zones[i], all + from, ends[i] - from);
        from = ends[i];
    }
    arena_clear(&arena);
    memory_free(all);
    memory_free(ends);
}

void dns_chain_free(struct dns_chain *chain)
{
    memory_free(chain);
}

size_t dns_chain_count(const struct dns_chain *chain)
{
    return chain->count;
}

const struct dns_node *dns_chain_node(const struct dns_chain *chain, size_t link)
{
    return chain->links[link].node;
}

uint32_t dns_chain_find(const struct dns_chain *chain, const struct dns_name *name)
{
    uint8_t key[DNS_SORT_KEY_BYTES];
    size_t length = dns_name_sort_key(name->wire, name->length, chain->apex_bytes, key);
    uint64_t prefix = prefix_of(key, length);
    size_t low = 0, high = chain->count; /* the link is in [low, high) */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        const struct link *link = &chain->links[middle];
        bool is_behind = link->prefix != prefix
                             ? link->prefix > prefix
                             : dns_name_compare(link->node->name, name->wire) > 0;
        if (is_behind)
            high = middle;
        else
            low = middle;
    }
    return (uint32_t)low;
}

/* ---- records ---- */

struct bitmap {
    uint8_t *at;
    uint8_t *window; /* number, length, bits; NULL: none yet */
};

/* Types come in ascending order. */
static void add_type(struct bitmap *bitmap, uint16_t type)
{
    uint8_t number = (uint8_t)(type >> 8), byte = (uint8_t)(type & 0xff) / 8;
    if (!bitmap->window || bitmap->window[0] != number) {
        bitmap->window = bitmap->at;
        bitmap->window[0] = number;
        bitmap->window[1] = 0;
        memset(bitmap->window + 2, 0, 32);
    }
    bitmap->window[1] = (uint8_t)(byte + 1);
    bitmap->window[2 + byte] |= (uint8_t)(0x80 >> (type & 7));
    bitmap->at = bitmap->window + 2 + bitmap->window[1];
}

enum { EXTRAS = 8 };

/* Types that no stored set stands for, in ascending order. */
static unsigned find_extras(const struct dns_zone *zone, const struct dns_node *node,
                            const struct dns_keyset *keyset, uint16_t extras[EXTRAS])
{
    unsigned count = 0;
    bool is_computed = node && node->zone == zone && node->site != DNS_NO_SITE;
    if (is_computed)
        extras[count++] = DNS_A;
    if (is_computed)
        extras[count++] = DNS_AAAA;
    extras[count++] = DNS_RRSIG;
    extras[count++] = DNS_NSEC;
    if (!node)
        extras[count++] = DNS_NXNAME;
    for (size_t i = 0; node == zone->apex && i < keyset->set_count; i++)
        extras[count++] = keyset->sets[i]->type;
    return count;
}

/* At a delegation only its own records are this zone's; at an apex DS is the parent's. */
static bool is_type_here(const struct dns_zone *zone, const struct dns_node *node, uint16_t type)
{
    bool is_delegation = node->zone != zone || node->cut;
    if (is_delegation)
        return type == DNS_NS || type == DNS_DS;
    return type != DNS_DS || node != zone->apex;
}

static uint8_t *write_bitmap(const struct dns_zone *zone, const struct dns_node *node,
                             const struct dns_keyset *keyset, uint16_t without, uint8_t *to)
{
    struct bitmap bitmap = {.at = to};
    uint16_t extras[EXTRAS];
    unsigned extra_count = find_extras(zone, node, keyset, extras), extra = 0, own = 0;
    unsigned own_count = node ? node->rrset_count : 0;
    while (extra < extra_count || own < own_count) {
        bool is_own =
            own < own_count && (extra == extra_count || node->rrsets[own].type < extras[extra]);
        uint16_t type = is_own ? node->rrsets[own++].type : extras[extra++];
        if (type != without && (!is_own || is_type_here(zone, node, type)))
            add_type(&bitmap, type);
    }
    return bitmap.at;
}

static void write_nsec(struct dns_nsec *nsec, const struct dns_zone *zone, struct span owner,
                       struct span next, const struct dns_node *node,
                       const struct dns_keyset *keyset, uint16_t without)
{
    nsec->owner = owner.data;
    nsec->owner_length = owner.length;
    uint8_t *to = store_u16(nsec->wire, DNS_OWNER_POINTER);
    to = store_u16(store_u16(to, DNS_NSEC), 1);
    to = store_u32(to, zone->negative_ttl_s); /* RFC 9077 */
    uint8_t *data = to + 2;
    memcpy(data, next.data, next.length);
    uint8_t *end = write_bitmap(zone, node, keyset, without, data + next.length);
    store_u16(to, (uint16_t)(end - data));
    nsec->rrset = (struct dns_rrset){.type = DNS_NSEC,
                                     .count = 1,
                                     .wire = nsec->wire,
                                     .wire_bytes = (uint32_t)(end - nsec->wire)};
}

void dns_nsec_of_link(struct dns_nsec *nsec, const struct dns_zone *zone, uint32_t link,
                      const struct dns_keyset *keyset, uint16_t without)
{
    const struct dns_chain *chain = zone->chain;
    const struct dns_node *node = chain->links[link].node;
    const struct dns_node *next = chain->links[link + 1 < chain->count ? link + 1 : 0].node;
    write_nsec(nsec, zone, span_of(node->name, node->name_length),
               span_of(next->name, next->name_length), node, keyset, without);
}

/* The name that comes right behind (RFC 4470): \000 in front of it, or where that is too long one that is greater in its
 * first label. */
static bool find_successor(const struct dns_name *name, struct dns_name *next)
{
    if (name->length + 2 <= DNS_NAME_LIMIT) {
        next->length = (uint8_t)(name->length + 2);
        next->wire[0] = 1;
        next->wire[1] = 0;
        memcpy(next->wire + 2, name->wire, name->length);
        return true;
    }
    *next = *name;
    for (unsigned i = next->wire[0]; i; i--)
        if (next->wire[i] != 0xff) {
            next->wire[i]++;
            return true;
        }
    return false;
}

bool dns_nsec_compact(struct dns_nsec *nsec, const struct dns_zone *zone,
                      const struct dns_name *name, const struct dns_node *node,
                      const struct dns_keyset *keyset, uint16_t without)
{
    struct dns_name next;
    if (!find_successor(name, &next))
        return false;
    write_nsec(nsec, zone, span_of(name->wire, name->length), span_of(next.wire, next.length), node,
               keyset, without);
    return true;
}

/* ---- which ones ---- */

static void add_link(struct dns_denial *denial, uint32_t link)
{
    if (!denial->count || denial->links[0] != link)
        denial->links[denial->count++] = link;
}

static void name_of_node(const struct dns_node *node, struct dns_name *name)
{
    name->length = node->name_length;
    name->labels = node->labels;
    memcpy(name->wire, node->name, node->name_length);
}

/* "*." in front of the closest encloser, which is shorter than a name that does not exist. */
static void wildcard_below(const struct dns_node *encloser, struct dns_name *name)
{
    name->length = (uint8_t)(encloser->name_length + 2);
    name->labels = (uint8_t)(encloser->labels + 1);
    name->wire[0] = 1;
    name->wire[1] = '*';
    memcpy(name->wire + 2, encloser->name, encloser->name_length);
}

struct dns_denial dns_denial_of(const struct dns_match *match)
{
    const struct dns_chain *chain = match->zone->chain;
    struct dns_denial denial = {0};
    struct dns_name other;
    add_link(&denial, dns_chain_find(chain, match->name));
    if (!match->encloser)
        return denial; /* the name is there: its own link, or the one that covers an empty name */
    if (match->node)
        name_of_node(match->node, &other);
    else
        wildcard_below(match->encloser, &other);
    add_link(&denial, dns_chain_find(chain, &other));
    return denial;
}
