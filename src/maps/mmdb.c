/* SPDX-License-Identifier: Apache-2.0
 *
 * MaxMind's MMDB, format 2.0: a binary search tree, 16 zero bytes, the data that its leaves refer to, and a description at the end. Read
 * from memory, unlike by libmaxminddb, which opens paths: the DNS server has no files, and a mapped file that is rewritten in place
 * ends its reader. Nothing in the file is trusted.
 */
#include "base/bytes.h"
#include "base/memory.h"
#include "maps/private.h"

#include <math.h>

enum {
    DESCRIPTION_MOST = 128 * 1024, /* it lies within so many bytes of the end */
    SEPARATOR_BYTES = 16,
    MAJOR_VERSION = 2,
    IPV4_DEPTH = 96, /* of ::/96 in a tree of IPv6 */
    NO_OFFSET = -1,
};

static const uint8_t marker[] = "\xab\xcd\xefMaxMind.com";

enum type {
    TYPE_EXTENDED,
    TYPE_POINTER,
    TYPE_TEXT,
    TYPE_DOUBLE,
    TYPE_BYTES,
    TYPE_UINT16,
    TYPE_UINT32,
    TYPE_MAP,
    TYPE_INT32,
    TYPE_UINT64,
    TYPE_UINT128,
    TYPE_ARRAY,
    TYPE_CONTAINER,
    TYPE_END,
    TYPE_BOOLEAN,
    TYPE_FLOAT,
};

/* A section of values, and how much more may be read of it: many records may share parts, few do so more than this. */
struct section {
    struct span bytes;
    uint64_t items_left;
};

/* One value: what lies at `at` are its bytes, or its first item. */
struct item {
    uint32_t type;
    uint32_t size; /* bytes, or items; pairs of a map */
    size_t at;
};

struct mmdb {
    struct span tree;
    struct section data;
    uint32_t node_count;
    uint32_t record_bits; /* 24, 28 or 32; two records are a node */
    uint32_t ip_version;
    struct cursor ipv4; /* ::/96 */
    struct index facts; /* offset in the data, and 1, to the fact and 1 */
};

bool mmdb_is(struct span bytes)
{
    size_t most = bytes.length < DESCRIPTION_MOST ? bytes.length : DESCRIPTION_MOST;
    return most && memmem(bytes.data + bytes.length - most, most, marker, sizeof marker - 1);
}

/* ---- values */

static bool read_number(const struct section *section, size_t *at, unsigned bytes, uint32_t *number)
{
    if (section->bytes.length - *at < bytes)
        return false;
    *number = 0;
    for (unsigned i = 0; i < bytes; i++)
        *number = *number << 8 | section->bytes.data[(*at)++];
    return true;
}

/* The header of the value at `*at`, which moves behind it. A pointer's `at` is where it leads. */
static bool read_header(struct section *section, size_t *at, struct item *item)
{
    static const uint32_t size_bases[] = {29, 285, 65821};
    static const uint32_t pointer_bases[] = {0, 2048, 526336, 0};
    uint32_t control, more = 0;
    if (!section->items_left || *at > section->bytes.length ||
        !read_number(section, at, 1, &control))
        return false;
    section->items_left--;
    item->type = control >> 5;
    item->size = control & 31;
    if (item->type == TYPE_POINTER) {
        unsigned form = item->size >> 3;
        if (!read_number(section, at, form + 1, &more))
            return false;
        if (form < 3)
            more |= (item->size & 7) << 8 * (form + 1);
        item->at = (size_t)more + pointer_bases[form];
        return item->at < section->bytes.length;
    }
    if (item->type == TYPE_EXTENDED) {
        if (!read_number(section, at, 1, &more) || more + 7 < TYPE_INT32 || more + 7 > TYPE_FLOAT)
            return false;
        item->type = more + 7;
    }
    if (item->size >= 29) {
        unsigned form = item->size - 29;
        if (!read_number(section, at, form + 1, &more))
            return false;
        item->size = more + size_bases[form];
    }
    item->at = *at;
    return true;
}

/* How many bytes the value has behind its header, without items. */
static uint32_t own_bytes(const struct item *item)
{
    bool has_none = item->type == TYPE_MAP || item->type == TYPE_ARRAY ||
                    item->type == TYPE_BOOLEAN || item->type == TYPE_POINTER ||
                    item->type == TYPE_CONTAINER || item->type == TYPE_END;
    return has_none ? 0 : item->size;
}

static bool skip(struct section *section, size_t *at)
{
    for (uint64_t left = 1; left; left--) {
        struct item item;
        if (!read_header(section, at, &item) || section->bytes.length - *at < own_bytes(&item))
            return false;
        *at += own_bytes(&item);
        left += item.type == TYPE_MAP ? 2ull * item.size : item.type == TYPE_ARRAY ? item.size : 0;
    }
    return true;
}

/* The value at `*at`, one pointer followed; `*at` moves behind it as it stands there. */
static bool read_item(struct section *section, size_t *at, struct item *item)
{
    size_t start = *at;
    if (!read_header(section, at, item))
        return false;
    if (item->type == TYPE_POINTER) {
        size_t target = item->at;
        return read_header(section, &target, item) && item->type != TYPE_POINTER &&
               section->bytes.length - target >= own_bytes(item);
    }
    *at = start;
    return skip(section, at);
}

static struct span bytes_of(const struct section *section, const struct item *item)
{
    return span_of(section->bytes.data + item->at, item->size);
}

/* One pair of a map. */
static bool read_pair(struct section *section, size_t *at, struct span *key, struct item *value)
{
    struct item item;
    if (!read_item(section, at, &item) || item.type != TYPE_TEXT)
        return false;
    *key = bytes_of(section, &item);
    return read_item(section, at, value);
}

/* Of a map, the value of that key; a missing one has the type of an end. False: the data are malformed. */
static bool find(struct section *section, const struct item *map, const char *name,
                 struct item *out)
{
    *out = (struct item){.type = TYPE_END};
    size_t at = map->at;
    for (uint32_t i = 0; map->type == TYPE_MAP && i < map->size; i++) {
        struct span key;
        struct item value;
        if (!read_pair(section, &at, &key, &value))
            return false;
        if (span_equal(key, span_text(name))) {
            *out = value;
            return true;
        }
    }
    return true;
}

static uint32_t number_of(const struct section *section, const struct item *item)
{
    if ((item->type != TYPE_UINT16 && item->type != TYPE_UINT32 && item->type != TYPE_UINT64) ||
        item->size > 8)
        return 0;
    uint64_t number = 0;
    for (uint32_t i = 0; i < item->size; i++)
        number = number << 8 | section->bytes.data[item->at + i];
    return number > UINT32_MAX ? 0 : (uint32_t)number;
}

/* ---- records */

static bool take_code(struct section *section, const struct item *map, const char *name,
                      uint8_t *out, size_t most)
{
    struct item item;
    if (!find(section, map, name, &item))
        return false;
    if (item.type == TYPE_TEXT && item.size && item.size <= most) {
        memset(out, 0, most);
        memcpy(out, section->bytes.data + item.at, item.size);
    }
    return true;
}

static bool take_continent(struct section *section, const struct item *value,
                           struct maps_place *place)
{
    return take_code(section, value, "code", place->continent, sizeof place->continent);
}

static bool take_country(struct section *section, const struct item *value,
                         struct maps_place *place)
{
    return take_code(section, value, "iso_code", place->country, sizeof place->country);
}

/* Where addresses are registered stands in for where they are used, when that is not known. */
static bool take_registered(struct section *section, const struct item *value,
                            struct maps_place *place)
{
    return place->country[0] || take_country(section, value, place);
}

static bool take_subdivision(struct section *section, const struct item *value,
                             struct maps_place *place)
{
    if (value->type != TYPE_ARRAY || !value->size)
        return true;
    size_t at = value->at;
    struct item first;
    return read_item(section, &at, &first) &&
           take_code(section, &first, "iso_code", place->subdivision, sizeof place->subdivision);
}

static bool read_degrees(const struct section *section, const struct item *item, double most,
                         int32_t *out)
{
    if (item->type != TYPE_DOUBLE || item->size != sizeof(double))
        return false;
    uint64_t bits = load_u64(section->bytes.data + item->at);
    double degrees;
    memcpy(&degrees, &bits, sizeof degrees);
    if (!(degrees >= -most && degrees <= most))
        return false;
    *out = (int32_t)lround(degrees * 10000);
    return true;
}

static bool take_location(struct section *section, const struct item *value,
                          struct maps_place *place)
{
    struct item north, east;
    if (!find(section, value, "latitude", &north) || !find(section, value, "longitude", &east))
        return false;
    struct maps_point point;
    if (read_degrees(section, &north, 90, &point.latitude) &&
        read_degrees(section, &east, 180, &point.longitude))
        place->point = point;
    return true;
}

static bool take_asn(struct section *section, const struct item *value, struct maps_place *place)
{
    place->asn = number_of(section, value);
    return true;
}

/* In the order in which they are taken. */
static const struct {
    const char *key;
    bool (*take)(struct section *section, const struct item *value, struct maps_place *place);
} fields[] = {
    {"continent", take_continent},
    {"country", take_country},
    {"registered_country", take_registered},
    {"subdivisions", take_subdivision},
    {"location", take_location},
    {"autonomous_system_number", take_asn},
};
enum { FIELDS = sizeof fields / sizeof *fields };

static bool read_record(struct section *section, size_t at, struct maps_place *place)
{
    struct item record, values[FIELDS] = {{0}};
    if (!read_item(section, &at, &record) || record.type != TYPE_MAP)
        return false;
    at = record.at;
    for (uint32_t i = 0; i < record.size; i++) {
        struct span key;
        struct item value;
        if (!read_pair(section, &at, &key, &value))
            return false;
        for (size_t k = 0; k < FIELDS; k++)
            if (span_equal(key, span_text(fields[k].key)))
                values[k] = value;
    }
    for (size_t i = 0; i < FIELDS; i++)
        if (values[i].type && !fields[i].take(section, &values[i], place))
            return false;
    if (!place->country[0])
        memset(place->subdivision, 0, sizeof place->subdivision);
    return true;
}

/* ---- the tree */

static uint32_t record_of(const struct mmdb *mmdb, uint32_t node, unsigned bit)
{
    const uint8_t *at = mmdb->tree.data + (size_t)node * mmdb->record_bits / 4;
    if (mmdb->record_bits == 24)
        return bit ? load_u32(at + 2) & 0xffffff : load_u32(at) >> 8;
    if (mmdb->record_bits == 32)
        return load_u32(at + 4 * bit);
    return bit ? load_u32(at + 3) & 0xfffffff : (uint32_t)at[3] >> 4 << 24 | load_u32(at) >> 8;
}

static uint32_t fact_at(struct layer *layer, struct mmdb *mmdb, uint32_t offset)
{
    uint32_t *number = maps_index_at(&mmdb->facts, (uint64_t)offset + 1);
    if (*number)
        return *number - 1;
    struct fact fact;
    fact_init(&fact);
    if (!read_record(&mmdb->data, offset, &fact.place)) {
        layer_complain(layer, 0, "the record at offset %u of its data is malformed", offset);
        fact_init(&fact);
    }
    uint32_t added = layer_add_fact(layer, &fact);
    *number = added + 1;
    return added;
}

static struct cursor cursor_at(struct layer *layer, uint32_t record)
{
    struct mmdb *mmdb = layer->state;
    struct cursor nothing = {(uint32_t)NO_NODE, 0};
    if (record < mmdb->node_count)
        return (struct cursor){record, 0};
    if (record == mmdb->node_count)
        return nothing;
    if (record < mmdb->node_count + SEPARATOR_BYTES) {
        layer_complain(layer, 0, "its tree refers to where there is nothing");
        return nothing;
    }
    uint32_t offset = record - mmdb->node_count - SEPARATOR_BYTES;
    return (struct cursor){(uint32_t)NO_NODE, fact_at(layer, mmdb, offset)};
}

/* The nodes of IPv4 hang in several places of a tree of IPv6 (also 2002::/16, ::ffff:0:0/96): they are walked
 * from ::/96 alone. */
static struct cursor mmdb_child(struct layer *layer, struct cursor cursor, unsigned bit)
{
    struct mmdb *mmdb = layer->state;
    uint32_t record = record_of(mmdb, cursor.node, bit);
    if (mmdb->ip_version == 6 && record == mmdb->ipv4.node)
        return (struct cursor){(uint32_t)NO_NODE, 0};
    return cursor_at(layer, record);
}

static struct cursor mmdb_root(struct layer *layer, unsigned family)
{
    const struct mmdb *mmdb = layer->state;
    struct cursor nothing = {(uint32_t)NO_NODE, 0};
    if (family == 4)
        return mmdb->ipv4;
    return mmdb->ip_version == 6 && mmdb->node_count ? (struct cursor){0, 0} : nothing;
}

static void mmdb_close(struct layer *layer)
{
    struct mmdb *mmdb = layer->state;
    maps_index_clear(&mmdb->facts);
    memory_free(mmdb);
}

static const struct layer_kind mmdb_kind = {mmdb_root, mmdb_child, mmdb_close};

/* ---- the description */

static size_t marker_end(struct span bytes)
{
    size_t least = bytes.length < DESCRIPTION_MOST ? 0 : bytes.length - DESCRIPTION_MOST;
    for (size_t at = bytes.length - (sizeof marker - 1); at > least; at--)
        if (memcmp(bytes.data + at, marker, sizeof marker - 1) == 0)
            return at + sizeof marker - 1;
    return least + sizeof marker - 1; /* mmdb_is(): it is there */
}

/* NULL, or a sentence. */
static const char *read_description(struct mmdb *mmdb, struct span bytes)
{
    size_t start = marker_end(bytes), at = 0;
    struct section section = {span_from(bytes, start), DESCRIPTION_MOST};
    struct item map, nodes, bits, version, major;
    if (!section.bytes.length || !read_item(&section, &at, &map) || map.type != TYPE_MAP ||
        !find(&section, &map, "node_count", &nodes) ||
        !find(&section, &map, "record_size", &bits) ||
        !find(&section, &map, "ip_version", &version) ||
        !find(&section, &map, "binary_format_major_version", &major))
        return "the description at its end is malformed";
    if (number_of(&section, &major) != MAJOR_VERSION)
        return "an MMDB of another version than 2";
    mmdb->node_count = number_of(&section, &nodes);
    mmdb->record_bits = number_of(&section, &bits);
    mmdb->ip_version = number_of(&section, &version);
    if (mmdb->record_bits != 24 && mmdb->record_bits != 28 && mmdb->record_bits != 32)
        return "the records of its tree are neither 24 nor 28 nor 32 bits";
    if (mmdb->ip_version != 4 && mmdb->ip_version != 6)
        return "neither for IPv4 nor for IPv6";
    size_t maps_tree_bytes = (size_t)mmdb->node_count * mmdb->record_bits / 4;
    size_t data_end = start - (sizeof marker - 1);
    if (maps_tree_bytes + SEPARATOR_BYTES > data_end || mmdb->node_count > INT32_MAX)
        return "it is cut short: its tree is longer than the file";
    mmdb->tree = span_of(bytes.data, maps_tree_bytes);
    size_t data_start = maps_tree_bytes + SEPARATOR_BYTES;
    mmdb->data.bytes = span_of(bytes.data + data_start, data_end - data_start);
    mmdb->data.items_left = 4096 + 4 * (uint64_t)bytes.length;
    return NULL;
}

static struct cursor find_ipv4(struct layer *layer)
{
    const struct mmdb *mmdb = layer->state;
    struct cursor cursor = cursor_at(layer, 0);
    for (unsigned i = 0; mmdb->ip_version == 6 && i < IPV4_DEPTH; i++) {
        if (cursor.node == (uint32_t)NO_NODE)
            break;
        cursor = cursor_at(layer, record_of(mmdb, cursor.node, 0));
    }
    return cursor;
}

void mmdb_open(struct layer *layer, struct span bytes)
{
    struct mmdb *mmdb = NEW(struct mmdb);
    layer->kind = &mmdb_kind;
    layer->state = mmdb;
    mmdb->ipv4 = (struct cursor){(uint32_t)NO_NODE, 0};
    const char *why = read_description(mmdb, bytes);
    if (why) {
        layer_complain(layer, 0, "%s", why);
        mmdb->node_count = 0;
        return;
    }
    layer->node_count = mmdb->node_count;
    if (mmdb->node_count)
        mmdb->ipv4 = find_ipv4(layer);
}
