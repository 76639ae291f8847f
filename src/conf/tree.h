/* SPDX-License-Identifier: Apache-2.0
 *
 * A YAML text as a tree of items with positions, before any setting is known. Bounded in depth and in size with
 * aliases expanded; keys of a mapping are texts and unique.
 */
#ifndef CONF_TREE_H
#define CONF_TREE_H

#include "base/arena.h"
#include "conf/report.h"

enum {
    TREE_DEPTH_LIMIT = 32,
    TREE_ITEMS_LIMIT = 4 * 1024 * 1024, /* with every alias counted as what it stands for */
};

enum item_kind { ITEM_SCALAR, ITEM_LIST, ITEM_MAP };

struct item {
    enum item_kind kind;
    bool is_quoted; /* "off" in quotes is a text, never a switch */
    struct place place;
    struct span text;    /* of a scalar; NUL-terminated */
    struct child *first; /* of a list or map */
    struct child **end;
    size_t count;  /* children */
    size_t weight; /* items within, itself included, aliases expanded */
};

struct child {
    struct child *next;
    struct span key; /* of a map's child; NUL-terminated */
    struct place place;
    const struct item *value;
};

/* The root item in `arena`, or NULL with errors in the report. An empty text is an empty map. */
const struct item *tree_parse(struct span text, struct arena *arena, struct report *report);

/* The child with this key, or NULL. */
const struct child *tree_find(const struct item *map, const char *key);

#endif
