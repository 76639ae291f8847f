/* SPDX-License-Identifier: Apache-2.0
 *
 * The map of address space: networks to regions, and distances between regions.
 */
#include "director/director.h"

#include "base/memory.h"
#include "base/prefix_tree.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    NAME_LIMIT = 63,
    COMPLAINTS_LIMIT = 20, /* shown; a file of the wrong kind would fill the screen */
};

struct regions {
    struct prefix_tree *networks;
    char **names; /* by number; 0 is REGION_NONE */
    uint32_t count;
    uint32_t outside;    /* where clients of no network are taken to be */
    uint16_t *distances; /* count x count */
};

struct distance {
    uint32_t a, b;
    uint16_t value;
};

struct parser {
    struct regions *regions;
    const char *file;
    unsigned line;
    struct text *complaints;
    unsigned complaint_count;
    struct distance *distances; /* kept until all regions are known */
    size_t distance_count, distance_capacity;
};

static const char *const words[] = {"distance", "default"};

__attribute__((format(printf, 2, 3))) static void complain(struct parser *parser,
                                                           const char *format, ...)
{
    if (parser->complaint_count++ >= COMPLAINTS_LIMIT)
        return;
    char sentence[320];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    text_add_format(parser->complaints, "%s:%u: %s\n", parser->file, parser->line, sentence);
}

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

static bool is_name(struct span word)
{
    if (!word.length || word.length > NAME_LIMIT)
        return false;
    for (size_t i = 0; i < word.length; i++) {
        uint8_t c = ascii_lower(word.data[i]);
        bool is_letter = (uint8_t)(c - 'a') < 26 || (uint8_t)(c - '0') < 10;
        if (!is_letter && c != '-' && c != '_')
            return false;
    }
    return true;
}

uint32_t regions_number(const struct regions *regions, struct span name)
{
    for (uint32_t i = 1; i < regions->count; i++)
        if (span_equal_nocase(span_text(regions->names[i]), name))
            return i;
    return REGION_NONE;
}

static void add_region(struct regions *regions, struct span name)
{
    regions->names = memory_resize(regions->names, regions->count + 1, sizeof *regions->names);
    regions->names[regions->count++] = memory_text((const char *)name.data, name.length);
}

/* The region of that name, new or known; REGION_NONE after a complaint. */
static uint32_t take_region(struct parser *parser, struct span *line)
{
    struct span word = take_word(line);
    if (!is_name(word)) {
        if (!word.length)
            complain(parser, "the name of a region is missing");
        else
            complain(parser,
                     "\"%.*s\" is not a name for a region: up to %d letters, digits, - and _",
                     SPAN_ARGS(word), NAME_LIMIT);
        return REGION_NONE;
    }
    uint32_t region = regions_number(parser->regions, word);
    if (region != REGION_NONE)
        return region;
    if (parser->regions->count == REGIONS_LIMIT) {
        complain(parser, "more than %d regions", REGIONS_LIMIT - 1);
        return REGION_NONE;
    }
    add_region(parser->regions, word);
    return parser->regions->count - 1;
}

static void expect_end(struct parser *parser, struct span line)
{
    line = span_trim(line);
    if (line.length)
        complain(parser, "\"%.*s\" is too much on this line", SPAN_ARGS(line));
}

static void read_distance(struct parser *parser, struct span line)
{
    uint32_t a = take_region(parser, &line);
    uint32_t b = a == REGION_NONE ? REGION_NONE : take_region(parser, &line);
    if (b == REGION_NONE)
        return;
    struct span word = take_word(&line);
    uint64_t value;
    if (span_number(word, &value) < 0 || value > REGION_DISTANCE_LIMIT) {
        complain(parser, "a distance is a number up to %d, not \"%.*s\"", REGION_DISTANCE_LIMIT,
                 SPAN_ARGS(word));
        return;
    }
    if (a == b && value) {
        complain(parser, "the distance of a region to itself is 0");
        return;
    }
    expect_end(parser, line);
    if (parser->distance_count == parser->distance_capacity) {
        parser->distance_capacity = parser->distance_capacity ? parser->distance_capacity * 2 : 16;
        parser->distances =
            memory_resize(parser->distances, parser->distance_capacity, sizeof *parser->distances);
    }
    parser->distances[parser->distance_count++] = (struct distance){a, b, (uint16_t)value};
}

static void read_default(struct parser *parser, struct span line)
{
    uint32_t region = take_region(parser, &line);
    if (region == REGION_NONE)
        return;
    if (parser->regions->outside != REGION_NONE)
        complain(parser, "a second default region");
    parser->regions->outside = region;
    expect_end(parser, line);
}

static void read_network(struct parser *parser, struct span word, struct span line)
{
    struct network network;
    if (network_parse(word, &network) < 0) {
        char copy[NAME_LIMIT + 1];
        size_t length = word.length < NAME_LIMIT ? word.length : NAME_LIMIT;
        memcpy(copy, word.data, length);
        copy[length] = 0;
        const char *nearest = nearest_word(copy, words, sizeof words / sizeof *words);
        complain(
            parser,
            "\"%s\" is not a network such as 192.0.2.0/24 (the bits behind its length zero)%s%s%s",
            copy, nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
        return;
    }
    uint32_t region = take_region(parser, &line);
    if (region == REGION_NONE)
        return;
    expect_end(parser, line);
    prefix_tree_put(parser->regions->networks, &network, region);
}

static void read_line(struct parser *parser, struct span line)
{
    line = span_of(line.data, span_find(line, '#'));
    if (line.length && line.data[line.length - 1] == '\r')
        line.length--;
    struct span word = take_word(&line);
    if (!word.length)
        return;
    if (span_equal(word, SPAN("distance")))
        read_distance(parser, line);
    else if (span_equal(word, SPAN("default")))
        read_default(parser, line);
    else
        read_network(parser, word, line);
}

static void fill_distances(struct parser *parser)
{
    struct regions *regions = parser->regions;
    size_t count = regions->count;
    regions->distances = memory_new(count * count * sizeof *regions->distances);
    for (size_t a = 0; a < count; a++)
        for (size_t b = 0; b < count; b++)
            regions->distances[a * count + b] = a == b && a != REGION_NONE ? 0 : REGION_FAR;
    for (size_t i = 0; i < parser->distance_count; i++) {
        const struct distance *distance = &parser->distances[i];
        regions->distances[distance->a * count + distance->b] = distance->value;
        regions->distances[distance->b * count + distance->a] = distance->value;
    }
}

struct regions *regions_parse(struct span text, const char *file, struct text *complaints)
{
    struct parser parser = {.regions = NEW(struct regions), .file = file, .complaints = complaints};
    parser.regions->networks = prefix_tree_new();
    add_region(parser.regions, SPAN("(none)"));
    while (text.length) {
        size_t end = span_find(text, '\n');
        parser.line++;
        read_line(&parser, span_of(text.data, end));
        text = span_from(text, end + 1);
    }
    prefix_tree_seal(parser.regions->networks);
    fill_distances(&parser);
    memory_free(parser.distances);
    if (!parser.complaint_count)
        return parser.regions;
    if (parser.complaint_count > COMPLAINTS_LIMIT)
        text_add_format(complaints, "%s: %u more\n", file,
                        parser.complaint_count - COMPLAINTS_LIMIT);
    regions_free(parser.regions);
    return NULL;
}

void regions_free(struct regions *regions)
{
    if (!regions)
        return;
    prefix_tree_free(regions->networks);
    for (uint32_t i = 0; i < regions->count; i++)
        memory_free(regions->names[i]);
    memory_free(regions->names);
    memory_free(regions->distances);
    memory_free(regions);
}

uint32_t regions_count(const struct regions *regions)
{
    return regions->count;
}

uint32_t regions_find(const struct regions *regions, const struct address *client)
{
    int64_t region = prefix_tree_find(regions->networks, client, NULL);
    return region < 0 ? regions->outside : (uint32_t)region;
}

const char *regions_name(const struct regions *regions, uint32_t region)
{
    return regions->names[region];
}

uint32_t regions_distance(const struct regions *regions, uint32_t a, uint32_t b)
{
    return regions->distances[(size_t)a * regions->count + b];
}

const char *regions_nearest_name(const struct regions *regions, const char *word)
{
    return nearest_word(word, (const char *const *)regions->names + 1, regions->count - 1);
}
