/* SPDX-License-Identifier: Apache-2.0
 *
 * Layers become one tree: all are walked together, a bit at a time, and where nothing more specific follows in any of them their facts
 * are laid over one another. Equal neighbours merge on the way up. The work is that of one walk over each map.
 */
#include "base/hash.h"
#include "base/memory.h"
#include "maps/private.h"

struct compiler {
    struct maps *maps;
    struct layer *layers;
    size_t count;
    struct index places;   /* hash of a place to its number */
    struct index overlays; /* hash of the layers' facts to where they lie in `tuples`, and 1 */
    uint32_t *tuples;      /* of each overlay `count` facts, and the place that they make */
    uint32_t tuple_count, tuple_capacity;
    uint64_t budget; /* steps that are left: a forged map's nodes may have many parents */
    bool has_too_many_places;
};

/* Probes by key + 2, so that hashes may collide. Keys are odd: never 0. */
static uint64_t first_key(const void *data, size_t length)
{
    return hash_span(span_of(data, length), 0) | 1;
}

static uint32_t place_number(struct compiler *compiler, const struct maps_place *place)
{
    struct maps *maps = compiler->maps;
    for (uint64_t key = first_key(place, sizeof *place);; key += 2) {
        uint32_t *at = maps_index_at(&compiler->places, key);
        if (*at && memcmp(&maps->places[*at - 1], place, sizeof *place) != 0)
            continue;
        if (*at)
            return *at - 1;
        if (maps->place_count == MAPS_PLACES_LIMIT) {
            compiler->has_too_many_places = true;
            return 0;
        }
        if (maps->place_count == maps->place_capacity) {
            maps->place_capacity = maps->place_capacity ? maps->place_capacity * 2 : 64;
            maps->places = memory_resize(maps->places, maps->place_capacity, sizeof *maps->places);
        }
        memcpy(&maps->places[maps->place_count++], place, sizeof *place);
        return (*at = maps->place_count) - 1;
    }
}

/* A country replaces the subdivision too: that of another country would be nonsense. */
static void lay_over(struct maps_place *place, const struct maps_place *over)
{
    if (maps_point_is_known(over->point))
        place->point = over->point;
    if (over->asn)
        place->asn = over->asn;
    if (over->region)
        place->region = over->region;
    if (over->continent[0])
        memcpy(place->continent, over->continent, sizeof place->continent);
    if (over->country[0]) {
        memcpy(place->country, over->country, sizeof place->country);
        memcpy(place->subdivision, over->subdivision, sizeof place->subdivision);
    }
}

static uint32_t make_place(struct compiler *compiler, const uint32_t *facts)
{
    struct fact whole;
    fact_init(&whole);
    for (size_t i = 0; i < compiler->count; i++) {
        const struct fact *fact = &compiler->layers[i].facts[facts[i]];
        if (fact->is_whole)
            fact_init(&whole);
        lay_over(&whole.place, &fact->place);
    }
    if (!whole.place.region)
        whole.place.region =
            (uint16_t)maps_regions_of_place(&compiler->maps->regions, &whole.place);
    return place_number(compiler, &whole.place);
}

static uint32_t place_of(struct compiler *compiler, const struct cursor *cursors)
{
    size_t count = compiler->count, row = count + 1;
    uint32_t facts[MAPS_LIMIT];
    for (size_t i = 0; i < count; i++)
        facts[i] = cursors[i].fact;
    for (uint64_t key = first_key(facts, count * sizeof *facts);; key += 2) {
        uint32_t *at = maps_index_at(&compiler->overlays, key);
        if (*at) {
            const uint32_t *tuple = &compiler->tuples[(*at - 1) * row];
            if (memcmp(tuple, facts, count * sizeof *facts) == 0)
                return tuple[count];
            continue;
        }
        if (compiler->tuple_count == compiler->tuple_capacity) {
            compiler->tuple_capacity = compiler->tuple_capacity ? compiler->tuple_capacity * 2 : 64;
            compiler->tuples = memory_resize(compiler->tuples, compiler->tuple_capacity,
                                             row * sizeof *compiler->tuples);
        }
        uint32_t *tuple = &compiler->tuples[compiler->tuple_count * row];
        memcpy(tuple, facts, count * sizeof *facts);
        *at = ++compiler->tuple_count;
        return tuple[count] = make_place(compiler, facts);
    }
}

static bool are_at_end(const struct compiler *compiler, const struct cursor *cursors)
{
    for (size_t i = 0; i < compiler->count; i++)
        if (cursors[i].node != (uint32_t)NO_NODE)
            return false;
    return true;
}

/* As deep as addresses are long. */
static uint32_t walk(struct compiler *compiler, struct tree *tree, const struct cursor *cursors,
                     unsigned bits_left)
{
    if (!bits_left || !compiler->budget || are_at_end(compiler, cursors))
        return place_of(compiler, cursors) | (uint32_t)TREE_LEAF;
    compiler->budget--;
    uint32_t halves[2];
    for (unsigned bit = 0; bit < 2; bit++) {
        struct cursor below[MAPS_LIMIT];
        for (size_t i = 0; i < compiler->count; i++) {
            struct layer *layer = &compiler->layers[i];
            below[i] = cursors[i];
            if (below[i].node != (uint32_t)NO_NODE)
                below[i] = layer->kind->child(layer, below[i], bit);
        }
        halves[bit] = walk(compiler, tree, below, bits_left - 1);
    }
    return maps_tree_join(tree, halves[0], halves[1]);
}

static void walk_family(struct compiler *compiler, struct tree *tree, unsigned family)
{
    struct cursor roots[MAPS_LIMIT];
    for (size_t i = 0; i < compiler->count; i++)
        roots[i] = compiler->layers[i].kind->root(&compiler->layers[i], family);
    maps_tree_seal(tree, walk(compiler, tree, roots, family == 4 ? 32 : 128));
}

static void count_networks(struct maps *maps, const struct tree *tree)
{
    if (tree->root & (uint32_t)TREE_LEAF)
        maps->networks += tree->root != (uint32_t)TREE_LEAF;
    for (uint32_t i = 0; i < tree->count; i++)
        for (unsigned bit = 0; bit < 2; bit++)
            maps->networks += tree->nodes[i].child[bit] > (uint32_t)TREE_LEAF;
}

static void tell_failure(const struct compiler *compiler, struct text *complaints)
{
    if (compiler->has_too_many_places)
        text_add_format(complaints, "maps: more than %d distinct places\n", MAPS_PLACES_LIMIT);
    if (!compiler->budget)
        for (size_t i = 0; i < compiler->count; i++)
            text_add_format(complaints,
                            "%s: this or another map is no tree: walks meet its nodes again\n",
                            compiler->layers[i].file);
}

bool maps_compile(struct maps *maps, struct layer *layers, size_t count, struct text *complaints)
{
    struct compiler compiler = {.maps = maps, .layers = layers, .count = count, .budget = 1};
    for (size_t i = 0; i < count; i++)
        compiler.budget += layers[i].node_count;
    size_t before = complaints->length;
    static const struct cursor nothing[MAPS_LIMIT];
    uint32_t unknown = place_of(&compiler, nothing);
    INVARIANT(unknown == 0);
    walk_family(&compiler, &maps->ipv4, 4);
    walk_family(&compiler, &maps->ipv6, 6);
    count_networks(maps, &maps->ipv4);
    count_networks(maps, &maps->ipv6);
    tell_failure(&compiler, complaints);
    maps_index_clear(&compiler.places);
    maps_index_clear(&compiler.overlays);
    memory_free(compiler.tuples);
    return complaints->length == before;
}
