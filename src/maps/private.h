/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of maps/ know of each other: a *layer* is one map as it was read, a *fact* what it says of a network, a
 * *cursor* a position in its tree.
 */
#ifndef MAPS_PRIVATE_H
#define MAPS_PRIVATE_H

#include "maps/maps.h"

/* ---- index.c: numbers to numbers */

/* Zero-initialised is empty. */
struct index {
    struct index_slot {
        uint64_t key; /* 0: free */
        uint32_t value;
    } * slots;
    uint32_t mask, count;
};

/* Where the key's value is: a new one is 0. Valid until the next call. Keys are not 0. */
uint32_t *maps_index_at(struct index *index, uint64_t key);
uint32_t maps_index_find(const struct index *index, uint64_t key); /* 0: none */
void maps_index_clear(struct index *index);

/* ---- tree.c: the compiled tree */

enum { TREE_LEAF = INT32_MIN }; /* bit of a reference that is the number of a place, and no node */

/* Both children of a node differ, or are nodes: nothing can be merged. */
struct tree {
    struct tree_node {
        uint32_t child[2];
    } * nodes;
    uint32_t count, capacity;
    uint32_t root;
    struct tree_jump { /* of each 16 bits at the front; NULL: the tree is small */
        uint32_t at;
        uint8_t depth; /* of a leaf */
    } * jumps;
};

/* A reference for both halves; the same leaf twice is that leaf. */
uint32_t maps_tree_join(struct tree *tree, uint32_t left, uint32_t right);
void maps_tree_seal(struct tree *tree, uint32_t root);
uint32_t maps_tree_find(const struct tree *tree, const struct address *address, unsigned *bits);
uint64_t maps_tree_bytes(const struct tree *tree);
void maps_tree_clear(struct tree *tree);

/* ---- regions.c: names, rules and distances */

enum rule_kind { RULE_ASN = 1, RULE_COUNTRY, RULE_CONTINENT };

struct regions {
    char **names; /* by number; 0 is MAPS_NO_REGION */
    uint32_t count;
    struct index numbers; /* by hash of the name */
    struct maps_point *points;
    uint16_t *parents;      /* in which they lie */
    struct index rules;     /* key of what is known to region */
    struct index distances; /* key of two regions to their distance, and 1 */
    uint32_t outside;       /* the default */
};

void maps_regions_init(struct regions *regions);
void maps_regions_clear(struct regions *regions);
uint32_t maps_regions_number(const struct regions *regions, struct span name);
/* A new one where there was none; MAPS_NO_REGION when there are too many. */
uint32_t maps_regions_take(struct regions *regions, struct span name);
/* False: it would lie in itself, or too deep. */
MUST_USE bool maps_regions_set_parent(struct regions *regions, uint32_t region, uint32_t parent);
void maps_regions_set_distance(struct regions *regions, uint32_t a, uint32_t b, uint32_t distance);
uint32_t maps_regions_distance(const struct regions *regions, uint32_t a, uint32_t b);
/* The key that a place of which only this is known has among the rules. */
uint64_t maps_regions_rule(enum rule_kind kind, const struct maps_place *place);
/* Of a place whose own region is not set: by number of network, subdivision, country, continent, or the nearest. */
uint32_t maps_regions_of_place(const struct regions *regions, const struct maps_place *place);

/* ---- layers */

enum {
    NO_NODE = -1,          /* nothing more specific follows */
    COMPLAINTS_LIMIT = 20, /* of one map; a file of the wrong kind would fill the screen */
};

/* Equal facts are equal memory. */
struct fact {
    struct maps_place place; /* region 0, point nowhere and zeroes: not said */
    bool is_whole;           /* it says all that is known: earlier maps are not asked */
};

struct cursor {
    uint32_t node; /* NO_NODE */
    uint32_t fact; /* of the longest network so far; 0: none */
};

struct layer {
    const struct layer_kind *kind;
    const char *file; /* borrowed */
    struct text *complaints;
    unsigned complaint_count;
    struct fact *facts; /* by number; 0 says nothing */
    uint32_t fact_count, fact_capacity;
    uint32_t node_count; /* all that a walk can meet, unless the file is forged */
    void *state;
};

struct layer_kind {
    struct cursor (*root)(struct layer *layer, unsigned family);
    struct cursor (*child)(struct layer *layer, struct cursor cursor, unsigned bit);
    void (*close)(struct layer *layer);
};

/* mmdb.c, text.c: what was wrong was complained of. */
bool mmdb_is(struct span bytes);
void mmdb_open(struct layer *layer, struct span bytes);
void text_map_open(struct layer *layer, struct span bytes, struct regions *regions);

/* layer.c */
__attribute__((format(printf, 3, 4))) void layer_complain(struct layer *layer, unsigned line,
                                                          const char *format, ...);
uint32_t layer_add_fact(struct layer *layer, const struct fact *fact);
void fact_init(struct fact *fact);
void layer_close(struct layer *layer);

/* ---- compile.c */

struct maps {
    struct tree ipv4, ipv6;
    struct maps_place *places;
    uint32_t place_count, place_capacity;
    uint32_t networks;
    struct regions regions;
};

/* False: there were complaints. */
bool maps_compile(struct maps *maps, struct layer *layers, size_t count, struct text *complaints);

#endif
