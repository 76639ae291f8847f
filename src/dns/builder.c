/* SPDX-License-Identifier: Apache-2.0
 *
 * Zones in the making: rows in any order become nodes, record sets and delegations; what cannot be right is told
 * in sentences, all of it at once.
 */
#include "dns/nsec.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    NAMES_LIMIT = 1 << 24,     /* in one store */
    RRSET_BYTES_LIMIT = 32768, /* so that any answer fits a TCP message with room to spare */
    COMPLAINTS_BYTES = 16384,
    NO_TYPE = 0,      /* a computed name's row */
    SMALL_GROUP = 24, /* rows of one name that are sorted by insertion */
};

enum { SIGNED = 1, CHAINED = 2 };

struct row {
    struct span owner; /* as given */
    struct span rdata;
    uint32_t node; /* index; set by place_rows() */
    uint32_t ttl_s;
    uint32_t order;
    uint32_t site;
    uint32_t zone; /* number + 1 of the zone whose file it is of; 0: of none */
    uint16_t type;
    uint8_t labels;
};

struct dns_builder {
    struct dns_zones *zones;
    struct arena arena; /* names and records until they are packed */
    struct row *rows;
    size_t row_count, row_capacity;
    size_t node_capacity, zone_capacity;
    uint32_t *apexes;   /* node index of each zone */
    uint32_t file_zone; /* as struct row's */
    uint8_t *signs;     /* of each zone: enum */
    struct text complaints;
    struct text *warnings; /* the caller's */
};

struct dns_builder *dns_builder_new(uint64_t seed)
{
    struct dns_builder *builder = NEW(struct dns_builder);
    builder->complaints.limit = COMPLAINTS_BYTES;
    struct dns_zones *zones = builder->zones = NEW(struct dns_zones);
    zones->seed = seed;
    zones->mask = 63;
    zones->slots = memory_new((zones->mask + 1) * sizeof *zones->slots);
    return builder;
}

void dns_builder_free(struct dns_builder *builder)
{
    if (!builder)
        return;
    dns_zones_free(builder->zones);
    memory_free(builder->rows);
    memory_free(builder->apexes);
    memory_free(builder->signs);
    arena_clear(&builder->arena);
    text_clear(&builder->complaints);
    memory_free(builder);
}

static void tell(struct text *to, struct span name, const char *sentence)
{
    struct dns_name copy = {.length = (uint8_t)name.length};
    char text[DNS_NAME_TEXT_BYTES];
    memcpy(copy.wire, name.data, name.length);
    text_add_format(to, "%s: %s\n", dns_name_text(&copy, text), sentence);
}

static void complain(struct dns_builder *builder, struct span name, const char *sentence)
{
    tell(&builder->complaints, name, sentence);
}

static void warn(struct dns_builder *builder, struct span name, const char *sentence)
{
    tell(builder->warnings, name, sentence);
}

static struct span node_name(const struct dns_node *node)
{
    return span_of(node->name, node->name_length);
}

static struct span parent_name(struct span name)
{
    return span_from(name, (size_t)name.data[0] + 1);
}

static bool is_wildcard(struct span name)
{
    return name.length > 2 && name.data[0] == 1 && name.data[1] == '*';
}

/* ---- the table ---- */

static void put_slot(struct dns_zones *zones, uint32_t index)
{
    uint64_t hash = hash_span(node_name(&zones->nodes[index]), zones->seed);
    uint32_t at = (uint32_t)hash & zones->mask;
    while (zones->slots[at].node)
        at = (at + 1) & zones->mask;
    zones->slots[at] = (struct dns_slot){(uint32_t)(hash >> 32), index + 1};
}

/* Keeps at least half of the slots free: every probe ends. */
static void make_room(struct dns_builder *builder)
{
    struct dns_zones *zones = builder->zones;
    if (zones->node_count == builder->node_capacity) {
        builder->node_capacity = builder->node_capacity ? builder->node_capacity * 2 : 64;
        zones->nodes = memory_resize(zones->nodes, builder->node_capacity, sizeof *zones->nodes);
        zones->memory = zones->nodes;
    }
    if ((zones->node_count + 1) * 2 <= (size_t)zones->mask + 1)
        return;
    zones->mask = zones->mask * 2 + 1;
    memory_free(zones->slots);
    zones->slots = memory_new(((size_t)zones->mask + 1) * sizeof *zones->slots);
    for (uint32_t i = 0; i < zones->node_count; i++)
        put_slot(zones, i);
}

/* A new node; returns its index. */
static uint32_t put_node(struct dns_builder *builder, struct span name, uint8_t labels,
                         const struct dns_zone *zone)
{
    make_room(builder);
    struct dns_zones *zones = builder->zones;
    uint32_t index = (uint32_t)zones->node_count++;
    zones->nodes[index] = (struct dns_node){.name = arena_copy(&builder->arena, name).data,
                                            .name_length = (uint8_t)name.length,
                                            .labels = labels,
                                            .site = DNS_NO_SITE,
                                            .zone = zone};
    if (labels > zones->labels_most)
        zones->labels_most = labels;
    put_slot(zones, index);
    return index;
}

/* ---- rows ---- */

static void add_row(struct dns_builder *builder, const struct dns_name *owner, struct row row)
{
    if (builder->row_count == NAMES_LIMIT) {
        complain(builder, span_of(owner->wire, owner->length), "too many records");
        return;
    }
    if (builder->row_count == builder->row_capacity) {
        builder->row_capacity = builder->row_capacity ? builder->row_capacity * 2 : 64;
        builder->rows = memory_resize(builder->rows, builder->row_capacity, sizeof *builder->rows);
    }
    struct dns_name lower = *owner;
    dns_name_lower(&lower);
    row.owner = arena_copy(&builder->arena, span_of(lower.wire, lower.length));
    row.labels = owner->labels;
    row.zone = builder->file_zone;
    row.order = (uint32_t)builder->row_count;
    builder->rows[builder->row_count++] = row;
}

void dns_builder_add_zone(struct dns_builder *builder, const struct dns_name *apex)
{
    struct dns_zones *zones = builder->zones;
    struct dns_name lower = *apex;
    dns_name_lower(&lower);
    struct span name = span_of(lower.wire, lower.length);
    if (dns_zones_probe(zones, name)) {
        complain(builder, name, "the zone is there twice");
        return;
    }
    if (zones->zone_count == builder->zone_capacity) {
        builder->zone_capacity = builder->zone_capacity ? builder->zone_capacity * 2 : 16;
        builder->apexes =
            memory_resize(builder->apexes, builder->zone_capacity, sizeof *builder->apexes);
        builder->signs =
            memory_resize(builder->signs, builder->zone_capacity, sizeof *builder->signs);
    }
    builder->signs[zones->zone_count] = 0;
    builder->apexes[zones->zone_count++] = put_node(builder, name, lower.labels, NULL);
}

void dns_builder_sign_zone(struct dns_builder *builder, const struct dns_name *apex,
                           bool is_compact)
{
    struct dns_zones *zones = builder->zones;
    struct dns_name lower = *apex;
    dns_name_lower(&lower);
    const struct dns_node *node = dns_zones_exact(zones, &lower);
    for (size_t i = 0; node && i < zones->zone_count; i++)
        if (&zones->nodes[builder->apexes[i]] == node)
            builder->signs[i] = is_compact ? SIGNED : SIGNED | CHAINED;
}

void dns_builder_add(struct dns_builder *builder, const struct dns_name *owner, uint16_t type,
                     uint32_t ttl_s, struct span rdata)
{
    struct span name = span_of(owner->wire, owner->length);
    if (type == NO_TYPE || !dns_rdata_is_valid(type, rdata)) {
        complain(builder, name, "a record's data does not fit its type");
        return;
    }
    add_row(builder, owner,
            (struct row){.type = type,
                         .ttl_s = ttl_s & 0x7fffffff, /* RFC 2181 section 8 */
                         .rdata = arena_copy(&builder->arena, rdata)});
}

void dns_builder_add_text(struct dns_builder *builder, const struct dns_name *owner,
                          const char *type, uint32_t ttl_s, const char *rdata,
                          const struct dns_name *origin)
{
    uint8_t wire[DNS_RDATA_LIMIT];
    size_t length;
    uint16_t number = dns_type_number(span_text(type));
    if (dns_rdata_parse(number, span_text(rdata), origin, wire, &length) == 0) {
        dns_builder_add(builder, owner, number, ttl_s, span_of(wire, length));
        return;
    }
    char sentence[160];
    snprintf(sentence, sizeof sentence,
             number ? "\"%.80s\" is not the data of a record of type %.20s"
                    : "\"%.80s\" is of type \"%.20s\", which zones here cannot hold",
             rdata, type);
    complain(builder, span_of(owner->wire, owner->length), sentence);
}

void dns_builder_add_computed(struct dns_builder *builder, const struct dns_name *owner,
                              uint32_t site)
{
    INVARIANT(site <= INT32_MAX);
    add_row(builder, owner, (struct row){.type = NO_TYPE, .site = site});
}

/* ---- from rows to zones ---- */

/* The nearest existing name at or above `name`, or NULL. Until all rows are in, only apexes exist. */
static const struct dns_node *nearest_node(const struct dns_zones *zones, struct span name)
{
    for (;; name = parent_name(name)) {
        const struct dns_node *node = dns_zones_probe(zones, name);
        if (node || name.length == 1)
            return node;
    }
}

bool dns_builder_has(const struct dns_builder *builder, const struct dns_name *name)
{
    struct dns_name lower = *name;
    dns_name_lower(&lower);
    return nearest_node(builder->zones, span_of(lower.wire, lower.length)) != NULL;
}

void dns_builder_begin_file(struct dns_builder *builder, const struct dns_name *apex,
                            struct text *warnings)
{
    builder->warnings = warnings;
    struct dns_name lower = *apex;
    dns_name_lower(&lower);
    const struct dns_node *node =
        dns_zones_probe(builder->zones, span_of(lower.wire, lower.length));
    for (uint32_t i = 0; i < builder->zones->zone_count; i++)
        if (node == &builder->zones->nodes[builder->apexes[i]])
            builder->file_zone = i + 1;
    INVARIANT(builder->file_zone);
}

void dns_builder_end_file(struct dns_builder *builder)
{
    builder->file_zone = 0;
}

/* Every zone's apex has its node before any other name, so the nearest existing name tells the zone. */
static void make_zones(struct dns_builder *builder)
{
    struct dns_zones *zones = builder->zones;
    zones->zones = memory_new((zones->zone_count + 1) * sizeof *zones->zones);
    for (size_t i = 0; i < builder->row_count; i++)
        if (builder->rows[i].zone)
            zones->zones[builder->rows[i].zone - 1].is_file = true;
    for (size_t i = 0; i < zones->zone_count; i++) {
        zones->nodes[builder->apexes[i]].zone = &zones->zones[i];
        zones->zones[i].is_signed = builder->signs[i] & SIGNED;
        zones->zones[i].has_chain = builder->signs[i] & CHAINED;
    }
}

/* Makes the empty names between a zone and its parent's apex, which are the parent's. */
static void join_zones(struct dns_builder *builder)
{
    struct dns_zones *zones = builder->zones;
    for (size_t i = 0; i < zones->zone_count; i++) {
        const struct dns_node *apex = &zones->nodes[builder->apexes[i]];
        struct span name = node_name(apex);
        uint8_t labels = apex->labels;
        if (name.length == 1)
            continue;
        name = parent_name(name);
        const struct dns_node *above = nearest_node(zones, name);
        if (!above)
            continue;
        const struct dns_zone *parent = zones->zones[i].parent = above->zone;
        while (labels--, !dns_zones_probe(zones, name)) {
            put_node(builder, name, labels, parent);
            name = parent_name(name);
        }
    }
}

/* One table for all that may come, instead of many that grow. */
static void make_slots(struct dns_builder *builder)
{
    struct dns_zones *zones = builder->zones;
    size_t mask = zones->mask;
    while (mask + 1 < 2 * (zones->node_count + builder->row_count))
        mask = mask * 2 + 1;
    if (mask == zones->mask || mask > UINT32_MAX)
        return;
    zones->mask = (uint32_t)mask;
    memory_free(zones->slots);
    zones->slots = memory_new((mask + 1) * sizeof *zones->slots);
    for (uint32_t i = 0; i < zones->node_count; i++)
        put_slot(zones, i);
}

/* The node of the row's owner, made with the empty names between it and its apex where it is new; NULL and a word about
 * it: the row belongs nowhere. */
static const struct dns_node *place_row(struct dns_builder *builder, const struct row *row)
{
    struct dns_zones *zones = builder->zones;
    const struct dns_node *node = dns_zones_probe(zones, row->owner);
    const struct dns_node *nearest = node ? node : nearest_node(zones, row->owner);
    if (!nearest) {
        complain(builder, row->owner, "the name is in none of the zones");
        return NULL;
    }
    const struct dns_zone *zone = nearest->zone;
    /* DS of a zone below is the upper one's own */
    bool is_ds = row->type == DNS_DS && node == &zones->nodes[builder->apexes[zone - zones->zones]];
    if (row->zone && zone != &zones->zones[row->zone - 1] && !is_ds) {
        warn(builder, row->owner,
             "left out of the zone file: a zone below it, which is served here too, has this name");
        return NULL;
    }
    if (node)
        return node;
    size_t between = nearest->name_length;
    uint32_t index = put_node(builder, row->owner, row->labels, zone);
    struct span name = parent_name(row->owner);
    for (uint8_t labels = row->labels; name.length > between; name = parent_name(name))
        put_node(builder, name, --labels, zone);
    return &zones->nodes[index];
}

static void place_rows(struct dns_builder *builder)
{
    struct dns_zones *zones = builder->zones;
    size_t kept = 0;
    const struct dns_node *node = NULL;
    make_slots(builder);
    for (size_t i = 0; i < builder->row_count; i++) {
        struct row *row = &builder->rows[i];
        bool is_same = kept && span_equal(builder->rows[kept - 1].owner, row->owner) &&
                       builder->rows[kept - 1].zone == row->zone;
        uint32_t before = kept ? builder->rows[kept - 1].node : 0;
        if (!is_same) {
            node = place_row(builder, row);
            if (!node)
                continue;
        }
        row->node = is_same ? before : (uint32_t)(node - zones->nodes);
        builder->rows[kept++] = *row;
    }
    builder->row_count = kept;
}

static int compare_rows(const void *left, const void *right)
{
    const struct row *a = left, *b = right;
    if (a->node != b->node)
        return a->node < b->node ? -1 : 1;
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

/* The rows in the order of their nodes: files come nearly so, and else each node's rows are counted. */
static void gather_rows(struct dns_builder *builder)
{
    struct row *rows = builder->rows;
    size_t i = 1;
    while (i < builder->row_count && rows[i - 1].node <= rows[i].node)
        i++;
    if (i >= builder->row_count)
        return;
    uint32_t *starts = memory_new((builder->zones->node_count + 1) * sizeof *starts);
    struct row *gathered = memory_raw(builder->row_count * sizeof *gathered);
    for (i = 0; i < builder->row_count; i++)
        starts[rows[i].node + 1]++;
    for (i = 0; i < builder->zones->node_count; i++)
        starts[i + 1] += starts[i];
    for (i = 0; i < builder->row_count; i++)
        gathered[starts[rows[i].node]++] = rows[i];
    memory_free(starts);
    memory_free(rows);
    builder->rows = gathered;
    builder->row_capacity = builder->row_count;
}

static void sort_group(struct row *rows, size_t count)
{
    if (count > SMALL_GROUP) {
        qsort(rows, count, sizeof *rows, compare_rows);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        if (compare_rows(&rows[i - 1], &rows[i]) < 0)
            continue;
        struct row row = rows[i];
        size_t at = i;
        for (; at && compare_rows(&rows[at - 1], &row) > 0; at--)
            rows[at] = rows[at - 1];
        rows[at] = row;
    }
}

static bool is_repeated(const struct row *first, const struct row *row)
{
    for (; first < row; first++)
        if (span_equal(first->rdata, row->rdata))
            return true; /* RFC 2181 section 5: a set holds each record once */
    return false;
}

static void make_rrset(struct dns_builder *builder, const struct row *rows, size_t count,
                       struct dns_rrset *rrset)
{
    uint32_t ttl_s = rows[0].ttl_s;
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += DNS_RR_FIXED_BYTES + rows[i].rdata.length;
        /* RFC 2181 section 5.2: one TTL for the set. Of a zone file's it is the first, as in BIND and its secondaries. */
        if (!rows[i].zone && rows[i].ttl_s < ttl_s)
            ttl_s = rows[i].ttl_s;
    }
    if (bytes > RRSET_BYTES_LIMIT) {
        complain(builder, rows[0].owner, "too many records of one type");
        count = 0;
    }
    uint8_t *wire = arena_take(&builder->arena, bytes), *to = wire;
    const struct dns_type *type = dns_type_find(rows[0].type);
    bool has_names = type && strchr(type->layout, 'n');
    *rrset =
        (struct dns_rrset){.type = rows[0].type, .wire = wire, .compress = has_names ? type : NULL};
    for (size_t i = 0; i < count; i++) {
        if (is_repeated(rows, &rows[i]))
            continue;
        to = store_u16(to, DNS_OWNER_POINTER);
        to = store_u16(to, rows[i].type);
        to = store_u16(to, 1); /* IN */
        /* signatures of several sets stand at one name, each with its set's TTL (RFC 4034 section 3) */
        to = store_u32(to, rows[i].type == DNS_RRSIG ? rows[i].ttl_s : ttl_s);
        to = store_u16(to, (uint16_t)rows[i].rdata.length);
        memcpy(to, rows[i].rdata.data, rows[i].rdata.length);
        to += rows[i].rdata.length;
        rrset->count++;
    }
    rrset->wire_bytes = (uint32_t)(to - wire);
}

static bool is_address(uint16_t type)
{
    return type == DNS_A || type == DNS_AAAA;
}

/* The sorted rows of one node. */
static void fill_node(struct dns_builder *builder, const struct row *rows, size_t count)
{
    struct dns_node *node = &builder->zones->nodes[rows[0].node];
    size_t i = 0;
    for (; i < count && rows[i].type == NO_TYPE; i++) {
        if (node->site != DNS_NO_SITE && (uint32_t)node->site != rows[i].site)
            complain(builder, rows[i].owner, "the name belongs to two sites");
        node->site = (int32_t)rows[i].site;
    }
    bool is_computed = node->site != DNS_NO_SITE;
    struct dns_rrset *rrsets = ARENA_ARRAY(&builder->arena, struct dns_rrset, count - i);
    node->rrsets = rrsets;
    while (i < count) {
        size_t same = 1;
        while (i + same < count && rows[i + same].type == rows[i].type)
            same++;
        if (is_computed && rows[i].zone && is_address(rows[i].type))
            warn(builder, rows[i].owner,
                 "its addresses in the zone file are left out: it is a host of a site");
        else
            make_rrset(builder, &rows[i], same, &rrsets[node->rrset_count++]);
        i += same;
    }
}

static void fill_nodes(struct dns_builder *builder)
{
    gather_rows(builder);
    for (size_t i = 0; i < builder->row_count;) {
        size_t same = 1;
        while (i + same < builder->row_count &&
               builder->rows[i + same].node == builder->rows[i].node)
            same++;
        sort_group(&builder->rows[i], same);
        fill_node(builder, &builder->rows[i], same);
        i += same;
    }
}

static bool is_apex(const struct dns_node *node)
{
    return node->zone->apex == node;
}

/* Of several delegations above one another the topmost counts: below it nothing is ours. */
static const struct dns_node *find_cut(const struct dns_zones *zones, const struct dns_node *node)
{
    const struct dns_node *cut = NULL;
    while (!is_apex(node)) {
        if (dns_node_rrset(node, DNS_NS))
            cut = node;
        node = dns_zones_probe(zones, parent_name(node_name(node)));
    }
    return cut;
}

/* The array of nodes has its final place now: pointers into it may be taken. */
static void link_nodes(struct dns_builder *builder)
{
    struct dns_zones *zones = builder->zones;
    for (size_t i = 0; i < zones->zone_count; i++)
        zones->zones[i].apex = &zones->nodes[builder->apexes[i]];
    for (size_t i = 0; i < zones->node_count; i++) {
        struct dns_node *node = &zones->nodes[i];
        node->cut = find_cut(zones, node);
        if (is_wildcard(node_name(node)) && !is_apex(node))
            dns_zones_probe(zones, parent_name(node_name(node)))->wildcard = node;
    }
    for (size_t i = 0; i < zones->zone_count; i++) {
        struct dns_zone *zone = &zones->zones[i];
        if (zone->parent && dns_zones_probe(zones, parent_name(node_name(zone->apex)))->cut)
            zone->parent = NULL; /* it delegated away a name in between */
    }
}

/* ---- what must hold ---- */

static void check_zone(struct dns_builder *builder, struct dns_zone *zone)
{
    struct span name = node_name(zone->apex);
    zone->soa = dns_node_rrset(zone->apex, DNS_SOA);
    if (!zone->soa || zone->soa->count != 1) {
        complain(builder, name,
                 zone->soa ? "the zone has more than one SOA record"
                           : "the zone has no SOA record");
        return;
    }
    if (!dns_node_rrset(zone->apex, DNS_NS))
        complain(builder, name, "the zone has no NS record");
    const uint8_t *end = zone->soa->wire + zone->soa->wire_bytes;
    uint32_t ttl_s = load_u32(zone->soa->wire + 6), minimum_s = load_u32(end - 4);
    zone->negative_ttl_s = ttl_s < minimum_s ? ttl_s : minimum_s;
}

/* Records that signing makes, so that others of the kind would contradict them. */
static bool has_made_set(const struct dns_node *node)
{
    static const uint16_t types[] = {DNS_RRSIG,  DNS_NSEC,    DNS_NSEC3, DNS_NSEC3PARAM,
                                     DNS_DNSKEY, DNS_CDNSKEY, DNS_CDS};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (dns_node_rrset(node, types[i]))
            return true;
    return false;
}

/* What may stand beside an alias: its own proofs (RFC 4035 section 2.5). */
static bool is_proof(uint16_t type)
{
    return type == DNS_RRSIG || type == DNS_NSEC;
}

static void check_alias(struct dns_builder *builder, const struct dns_node *node)
{
    struct span name = node_name(node);
    const struct dns_rrset *cname = dns_node_rrset(node, DNS_CNAME);
    const struct dns_rrset *dname = dns_node_rrset(node, DNS_DNAME);
    unsigned proofs = 0;
    for (unsigned i = 0; i < node->rrset_count; i++)
        proofs += is_proof(node->rrsets[i].type);
    if (cname && (cname->count > 1 || node->rrset_count > proofs + 1 || node->site != DNS_NO_SITE))
        complain(builder, name, "a CNAME record must be the only record of its name");
    if (dname && dname->count > 1)
        complain(builder, name, "a name has one DNAME record at most");
    if (dname && dns_node_rrset(node, DNS_NS) && !is_apex(node))
        complain(builder, name, "a name that is delegated away cannot have a DNAME record");
}

/* Below a delegation others answer: what is here beside addresses is never seen. Zone files may have such rests. */
static void check_delegated(struct dns_builder *builder, const struct dns_node *node)
{
    struct span name = node_name(node);
    if (node->site != DNS_NO_SITE)
        complain(builder, name, "the name of a site is in a zone that is delegated away");
    if (node->zone->is_file)
        return;
    if (is_wildcard(name))
        complain(builder, name, "a wildcard cannot be in another server's zone");
    for (unsigned i = 0; i < node->rrset_count; i++) {
        uint16_t type = node->rrsets[i].type;
        bool is_delegation = node == node->cut && (type == DNS_NS || type == DNS_DS);
        if (!is_delegation && !is_address(type) && type != DNS_NS)
            complain(builder, name, "a name that is delegated away can only have addresses here");
    }
}

static void check_node(struct dns_builder *builder, const struct dns_node *node)
{
    struct span name = node_name(node);
    check_alias(builder, node);
    if (node->site != DNS_NO_SITE &&
        (dns_node_rrset(node, DNS_A) || dns_node_rrset(node, DNS_AAAA)))
        complain(builder, name, "the name of a site has addresses of its own");
    if (dns_node_rrset(node, DNS_SOA) && !is_apex(node))
        complain(builder, name, "an SOA record stands only at the top of a zone");
    if (node->zone->is_signed && has_made_set(node))
        complain(builder, name,
                 "the zone is signed here, which makes its DNSKEY, CDS, CDNSKEY, RRSIG, NSEC and "
                 "NSEC3 records");
    if (node->cut)
        check_delegated(builder, node);
}

static void check_all(struct dns_builder *builder)
{
    struct dns_zones *zones = builder->zones;
    for (size_t i = 0; i < zones->zone_count; i++)
        check_zone(builder, &zones->zones[i]);
    for (size_t i = 0; i < zones->node_count; i++)
        check_node(builder, &zones->nodes[i]);
}

struct dns_zones *dns_builder_finish(struct dns_builder **owned, struct text *complaints)
{
    struct dns_builder *builder = *owned;
    *owned = NULL;
    make_zones(builder);
    join_zones(builder);
    place_rows(builder);
    fill_nodes(builder);
    link_nodes(builder);
    check_all(builder);
    struct dns_zones *zones = builder->zones;
    if (builder->complaints.length) {
        text_add_span(complaints, text_span(&builder->complaints));
        zones = NULL;
    } else {
        dns_zones_pack(zones);
        dns_zones_chain(zones);
        builder->zones = NULL;
    }
    dns_builder_free(builder);
    return zones;
}
