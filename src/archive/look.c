/* SPDX-License-Identifier: Apache-2.0
 *
 * A status as a flat list: each number and each word with its way from the root. Members of lists are named by what they call
 * themselves; lists of nameless things are left out, since their places mean nothing an hour later.
 */
#include "archive/private.h"

#include <math.h>
#include <string.h>

enum { DEPTH_LIMIT = 12 };

struct walk {
    const struct look_sink *sink;
    struct text way;
    int depth;
};

static const char *own_name(const json_t *item)
{
    static const char *const words[] = {"name", "peer", "node", "site"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *name = json_string_value(json_object_get(item, words[i]));
        if (name && *name)
            return name;
    }
    return NULL;
}

static void walk_value(struct walk *walk, json_t *value);

static void walk_below(struct walk *walk, const char *name, json_t *value)
{
    if (walk->depth == DEPTH_LIMIT)
        return;
    size_t before = walk->way.length;
    if (before)
        text_add(&walk->way, ".");
    for (; *name; name++) /* nothing in a name may look like a step or a pattern */
        text_add_format(&walk->way, "%c",
                        *name == '.' || *name == '*' || (uint8_t)*name <= 0x20 || *name == 0x7f
                            ? '_'
                            : *name);
    walk->depth++;
    walk_value(walk, value);
    walk->depth--;
    walk->way.length = before;
}

static void walk_value(struct walk *walk, json_t *value)
{
    const char *key;
    json_t *item;
    size_t index;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        json_object_foreach(value, key, item) walk_below(walk, key, item);
        return;
    case JSON_ARRAY:
        json_array_foreach(value, index, item)
        {
            const char *name = json_is_object(item) ? own_name(item) : NULL;
            if (name)
                walk_below(walk, name, item);
        }
        return;
    case JSON_INTEGER:
    case JSON_REAL:
        if (isfinite(json_number_value(value)))
            walk->sink->number(walk->sink->owner, text_span(&walk->way), json_number_value(value));
        return;
    case JSON_TRUE:
    case JSON_FALSE:
        walk->sink->word(walk->sink->owner, text_span(&walk->way),
                         json_is_true(value) ? "yes" : "no");
        return;
    case JSON_STRING:
        walk->sink->word(walk->sink->owner, text_span(&walk->way), json_string_value(value));
        return;
    case JSON_NULL:
        return;
    }
}

void look_walk(const json_t *status, const struct look_sink *sink)
{
    struct walk walk = {.sink = sink};
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)status, key, item) walk_below(&walk, key, item);
    text_clear(&walk.way);
}
