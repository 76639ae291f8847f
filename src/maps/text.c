/* SPDX-License-Identifier: Apache-2.0
 *
 * Maps as text (docs/maps.md): networks and what is known of them, rules that give places their regions, and the regions' distances. Within
 * one text the longest prefix alone speaks for a network.
 */
#include "base/memory.h"
#include "maps/private.h"

#include <stdio.h>

enum { NAME_LIMIT = 63, ASN_LIMIT = UINT32_MAX };

struct node {
    uint32_t child[2]; /* 0: none */
    uint32_t fact;     /* 0: no network ends here */
};

struct trie {
    struct node *nodes;
    uint32_t count, capacity;
};

/* Of one text while it is walked. */
struct state {
    struct trie ipv4, ipv6;
};

struct parser {
    struct layer *layer;
    struct state *state;
    struct regions *regions;
    struct index facts; /* hash to number: of the networks of a file few differ */
    unsigned line;
    bool has_default;
};

#define COMPLAIN(parser, ...) layer_complain((parser)->layer, (parser)->line, __VA_ARGS__)

/* ---- the trie */

static uint32_t add_node(struct trie *trie)
{
    if (trie->count == trie->capacity) {
        trie->capacity = trie->capacity ? trie->capacity * 2 : 64;
        trie->nodes = memory_resize(trie->nodes, trie->capacity, sizeof *trie->nodes);
    }
    trie->nodes[trie->count] = (struct node){0};
    return trie->count++;
}

static void put(struct trie *trie, const struct network *network, uint32_t fact)
{
    uint32_t at = 0;
    for (unsigned i = 0; i < network->bits; i++) {
        unsigned bit = network->address.bytes[i / 8] >> (7 - i % 8) & 1;
        if (!trie->nodes[at].child[bit]) {
            uint32_t child = add_node(trie);
            trie->nodes[at].child[bit] = child;
        }
        at = trie->nodes[at].child[bit];
    }
    trie->nodes[at].fact = fact;
}

/* Nodes of IPv6 have the highest bit set. */
enum { IPV6_NODE = INT32_MIN };

static struct cursor at_node(const struct state *state, uint32_t number, uint32_t fact)
{
    const struct trie *trie = number & (uint32_t)IPV6_NODE ? &state->ipv6 : &state->ipv4;
    const struct node *node = &trie->nodes[number & ~(uint32_t)IPV6_NODE];
    bool is_end = !node->child[0] && !node->child[1];
    return (struct cursor){is_end ? (uint32_t)NO_NODE : number, node->fact ? node->fact : fact};
}

static struct cursor text_root(struct layer *layer, unsigned family)
{
    return at_node(layer->state, family == 4 ? 0 : (uint32_t)IPV6_NODE, 0);
}

static struct cursor text_child(struct layer *layer, struct cursor cursor, unsigned bit)
{
    const struct state *state = layer->state;
    uint32_t family = cursor.node & (uint32_t)IPV6_NODE;
    const struct trie *trie = family ? &state->ipv6 : &state->ipv4;
    uint32_t child = trie->nodes[cursor.node & ~(uint32_t)IPV6_NODE].child[bit];
    return child ? at_node(state, child | family, cursor.fact)
                 : (struct cursor){(uint32_t)NO_NODE, cursor.fact};
}

static void text_close(struct layer *layer)
{
    struct state *state = layer->state;
    memory_free(state->ipv4.nodes);
    memory_free(state->ipv6.nodes);
    memory_free(state);
}

static const struct layer_kind text_kind = {text_root, text_child, text_close};

/* ---- words */

static struct span take_word(struct span *line)
{
    *line = span_trim(*line);
    size_t length = 0;
    while (length < line->length && line->data[length] != ' ' && line->data[length] != '\t')
        length++;
    struct span word = span_of(line->data, length);
    *line = span_from(*line, length);
    return word;
}

static bool is_alphanumeric(uint8_t c)
{
    c = ascii_lower(c);
    return (uint8_t)(c - 'a') < 26 || (uint8_t)(c - '0') < 10;
}

static bool is_name(struct span word)
{
    if (!word.length || word.length > NAME_LIMIT)
        return false;
    for (size_t i = 0; i < word.length; i++)
        if (!is_alphanumeric(word.data[i]) && word.data[i] != '-' && word.data[i] != '_')
            return false;
    return true;
}

/* The region of that name, new or known; MAPS_NO_REGION after a complaint. */
static uint32_t region_of_word(struct parser *parser, struct span word)
{
    if (!is_name(word)) {
        if (!word.length)
            COMPLAIN(parser, "the name of a region is missing");
        else
            COMPLAIN(parser,
                     "\"%.*s\" is not a name for a region: up to %d letters, digits, - and _",
                     SPAN_ARGS(word), NAME_LIMIT);
        return MAPS_NO_REGION;
    }
    uint32_t region = maps_regions_take(parser->regions, word);
    if (region == MAPS_NO_REGION)
        COMPLAIN(parser, "more than %d regions", MAPS_REGIONS_LIMIT - 1);
    return region;
}

static uint32_t take_region(struct parser *parser, struct span *line)
{
    return region_of_word(parser, take_word(line));
}

static void expect_end(struct parser *parser, struct span line)
{
    line = span_trim(line);
    if (line.length)
        COMPLAIN(parser, "\"%.*s\" is too much on this line", SPAN_ARGS(line));
}

/* Upper case, `least` to `most` letters and digits, the rest of `out` zero. */
static bool read_code(struct span word, size_t least, size_t most, uint8_t *out)
{
    if (word.length < least || word.length > most)
        return false;
    for (size_t i = 0; i < word.length; i++) {
        if (!is_alphanumeric(word.data[i]))
            return false;
        uint8_t lower = ascii_lower(word.data[i]);
        out[i] = (uint8_t)(lower - 'a') < 26 ? (uint8_t)(lower & ~0x20) : lower;
    }
    return true;
}

static bool read_asn(struct parser *parser, struct span word, struct maps_place *place)
{
    struct span digits = word;
    if (digits.length > 2 && span_equal_nocase(span_of(word.data, 2), SPAN("as")))
        digits = span_from(word, 2);
    uint64_t asn;
    if (span_number(digits, &asn) == 0 && asn && asn <= ASN_LIMIT) {
        place->asn = (uint32_t)asn;
        return true;
    }
    COMPLAIN(parser, "\"%.*s\" is not the number of an autonomous system such as 64500",
             SPAN_ARGS(word));
    return false;
}

static bool read_country(struct parser *parser, struct span word, struct maps_place *place)
{
    size_t dash = span_find(word, '-');
    if (read_code(span_of(word.data, dash), 2, sizeof place->country, place->country) &&
        (dash == word.length ||
         read_code(span_from(word, dash + 1), 1, sizeof place->subdivision, place->subdivision)))
        return true;
    COMPLAIN(parser, "\"%.*s\" is not the code of a country or subdivision such as DE or US-CA",
             SPAN_ARGS(word));
    return false;
}

static bool read_continent(struct parser *parser, struct span word, struct maps_place *place)
{
    if (read_code(word, 2, sizeof place->continent, place->continent))
        return true;
    COMPLAIN(parser, "\"%.*s\" is not the code of a continent such as EU", SPAN_ARGS(word));
    return false;
}

static bool read_point(struct parser *parser, struct span word, struct maps_place *place)
{
    if (maps_point_parse(word, &place->point) == 0)
        return true;
    COMPLAIN(parser, "\"%.*s\" is not a point such as 50.11,8.68 (degrees north and east)",
             SPAN_ARGS(word));
    return false;
}

/* ---- lines */

static void read_distance(struct parser *parser, struct span line)
{
    uint32_t a = take_region(parser, &line);
    uint32_t b = a == MAPS_NO_REGION ? a : take_region(parser, &line);
    if (b == MAPS_NO_REGION)
        return;
    struct span word = take_word(&line);
    uint64_t value;
    if (span_number(word, &value) < 0 || value > MAPS_DISTANCE_LIMIT) {
        COMPLAIN(parser, "a distance is a number up to %d, not \"%.*s\"", MAPS_DISTANCE_LIMIT,
                 SPAN_ARGS(word));
        return;
    }
    if (a == b && value) {
        COMPLAIN(parser, "the distance of a region to itself is 0");
        return;
    }
    expect_end(parser, line);
    maps_regions_set_distance(parser->regions, a, b, (uint32_t)value);
}

static void read_default(struct parser *parser, struct span line)
{
    uint32_t region = take_region(parser, &line);
    if (region == MAPS_NO_REGION)
        return;
    if (parser->has_default)
        COMPLAIN(parser, "a second default region");
    parser->has_default = true;
    parser->regions->outside = region;
    expect_end(parser, line);
}

/* "region europe at 50.11,8.68", "region berlin within europe" */
static void read_region(struct parser *parser, struct span line)
{
    uint32_t region = take_region(parser, &line);
    if (region == MAPS_NO_REGION)
        return;
    struct span word = take_word(&line);
    if (span_equal(word, SPAN("at"))) {
        struct maps_place place;
        if (!read_point(parser, take_word(&line), &place))
            return;
        parser->regions->points[region] = place.point;
    } else if (span_equal(word, SPAN("within"))) {
        uint32_t parent = take_region(parser, &line);
        if (parent == MAPS_NO_REGION)
            return;
        if (!maps_regions_set_parent(parser->regions, region, parent)) {
            COMPLAIN(parser, "a region cannot lie within itself, or too deep");
            return;
        }
    } else {
        COMPLAIN(parser, "where a region lies is written: region NAME at 50.11,8.68, or within "
                         "OTHER");
        return;
    }
    expect_end(parser, line);
}

static void read_rule(struct parser *parser, struct span line, enum rule_kind kind,
                      bool (*read)(struct parser *, struct span, struct maps_place *))
{
    struct maps_place place = {0};
    if (!read(parser, take_word(&line), &place))
        return;
    uint32_t region = take_region(parser, &line);
    if (region == MAPS_NO_REGION)
        return;
    *maps_index_at(&parser->regions->rules, maps_regions_rule(kind, &place)) = region;
    expect_end(parser, line);
}

static void read_asn_rule(struct parser *parser, struct span line)
{
    read_rule(parser, line, RULE_ASN, read_asn);
}

static void read_country_rule(struct parser *parser, struct span line)
{
    read_rule(parser, line, RULE_COUNTRY, read_country);
}

static void read_continent_rule(struct parser *parser, struct span line)
{
    read_rule(parser, line, RULE_CONTINENT, read_continent);
}

static const struct {
    struct span word;
    void (*read)(struct parser *parser, struct span line);
} statements[] = {
    {{(const uint8_t *)"distance", 8}, read_distance},
    {{(const uint8_t *)"default", 7}, read_default},
    {{(const uint8_t *)"region", 6}, read_region},
    {{(const uint8_t *)"country", 7}, read_country_rule},
    {{(const uint8_t *)"continent", 9}, read_continent_rule},
    {{(const uint8_t *)"asn", 3}, read_asn_rule},
};
enum { STATEMENTS = sizeof statements / sizeof *statements };

static const struct {
    struct span name;
    bool (*read)(struct parser *parser, struct span word, struct maps_place *place);
} fields[] = {
    {{(const uint8_t *)"at", 2}, read_point},
    {{(const uint8_t *)"asn", 3}, read_asn},
    {{(const uint8_t *)"country", 7}, read_country},
    {{(const uint8_t *)"continent", 9}, read_continent},
};

/* "country=DE", or the name of a region. */
static bool read_field(struct parser *parser, struct span word, struct maps_place *place)
{
    size_t equals = span_find(word, '=');
    if (equals == word.length) {
        if (place->region) {
            COMPLAIN(parser, "\"%.*s\" is too much on this line", SPAN_ARGS(word));
            return false;
        }
        place->region = (uint16_t)region_of_word(parser, word);
        return place->region != MAPS_NO_REGION;
    }
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (span_equal(span_of(word.data, equals), fields[i].name))
            return fields[i].read(parser, span_from(word, equals + 1), place);
    COMPLAIN(parser, "\"%.*s\" cannot be said of a network: at, asn, continent or country can",
             (int)equals, (const char *)word.data);
    return false;
}

static uint32_t fact_number(struct parser *parser, const struct fact *fact)
{
    uint64_t hash =
        0xcbf29ce484222325ull; /* FNV-1a: the facts are few, the keys only spread them */
    for (size_t i = 0; i < sizeof *fact; i++)
        hash = (hash ^ ((const uint8_t *)fact)[i]) * 0x100000001b3ull;
    for (uint64_t key = hash | 1;; key += 2) {
        uint32_t *at = maps_index_at(&parser->facts, key);
        if (!*at)
            return *at = layer_add_fact(parser->layer, fact);
        if (memcmp(&parser->layer->facts[*at], fact, sizeof *fact) == 0)
            return *at;
    }
}

static void complain_of_start(struct parser *parser, struct span word)
{
    char copy[NAME_LIMIT + 1];
    size_t length = word.length < NAME_LIMIT ? word.length : NAME_LIMIT;
    memcpy(copy, word.data, length);
    copy[length] = 0;
    const char *words[STATEMENTS];
    for (size_t i = 0; i < STATEMENTS; i++)
        words[i] = (const char *)statements[i].word.data;
    const char *nearest = nearest_word(copy, words, STATEMENTS);
    COMPLAIN(parser,
             "\"%s\" is not a network such as 192.0.2.0/24 (the bits behind its length zero)%s%s%s",
             copy, nearest ? "; did you mean \"" : "", nearest ? nearest : "",
             nearest ? "\"?" : "");
}

/* "192.0.2.0/24 europe country=DE"; "192.0.2.0/24 = europe": that, and nothing that earlier maps say. */
static void read_network(struct parser *parser, struct span start, struct span line)
{
    struct network network;
    if (network_parse(start, &network) < 0) {
        complain_of_start(parser, start);
        return;
    }
    struct fact fact;
    fact_init(&fact);
    struct span word = take_word(&line);
    fact.is_whole = span_equal(word, SPAN("="));
    if (fact.is_whole)
        word = take_word(&line);
    else if (!word.length) {
        COMPLAIN(parser, "the name of a region is missing");
        return;
    }
    for (; word.length; word = take_word(&line))
        if (!read_field(parser, word, &fact.place))
            return;
    put(network.address.family == 4 ? &parser->state->ipv4 : &parser->state->ipv6, &network,
        fact_number(parser, &fact));
}

static void read_line(struct parser *parser, struct span line)
{
    line = span_of(line.data, span_find(line, '#'));
    if (line.length && line.data[line.length - 1] == '\r')
        line.length--;
    struct span word = take_word(&line);
    if (!word.length)
        return;
    for (size_t i = 0; i < STATEMENTS; i++)
        if (span_equal(word, statements[i].word)) {
            statements[i].read(parser, line);
            return;
        }
    read_network(parser, word, line);
}

void text_map_open(struct layer *layer, struct span bytes, struct regions *regions)
{
    struct parser parser = {.layer = layer, .state = NEW(struct state), .regions = regions};
    layer->kind = &text_kind;
    layer->state = parser.state;
    add_node(&parser.state->ipv4);
    add_node(&parser.state->ipv6);
    if (span_find(bytes, 0) < bytes.length) {
        layer_complain(layer, 0, "neither a whole MMDB nor a text");
        return;
    }
    while (bytes.length && layer->complaint_count <= COMPLAINTS_LIMIT) {
        size_t end = span_find(bytes, '\n');
        parser.line++;
        read_line(&parser, span_of(bytes.data, end));
        bytes = span_from(bytes, end + 1);
    }
    maps_index_clear(&parser.facts);
    layer->node_count = parser.state->ipv4.count + parser.state->ipv6.count;
}
