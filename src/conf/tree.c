/* SPDX-License-Identifier: Apache-2.0
 *
 * libfyaml's events become items. An alias shares the item that it names; the weight of an item counts what it stands
 * for, so that a few lines cannot expand to billions. An alias within the item that it names is unknown yet
 * when it is met, and refused: the tree has no cycles.
 */
#include "conf/tree.h"

#include "base/error.h"
#include "conf/table.h"

#include <libfyaml.h>

enum { KEYS_UNSORTED = 16 }; /* a map with more keys gets a table to find duplicates */

/* A list or map that is open, and the key that waits for its value. */
struct level {
    struct item *item;
    struct span anchor;
    struct span key;
    struct place key_place;
    bool has_key;
    struct table keys;
};

struct builder {
    struct arena *arena;
    struct report *report;
    struct table anchors;
    struct level levels[TREE_DEPTH_LIMIT];
    size_t depth;
    const struct item *root;
    struct place last;
    size_t documents;
    bool is_broken; /* reading stopped within the text */
};

static struct span token_text(struct arena *arena, struct fy_token *token)
{
    size_t length = 0;
    const char *text = token ? fy_token_get_text(token, &length) : NULL;
    return arena_copy(arena, span_of(text, text ? length : 0));
}

static struct place place_of(struct builder *builder, struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);
    if (mark && mark->line >= 0 && mark->column >= 0)
        builder->last = (struct place){(uint32_t)mark->line + 1, (uint32_t)mark->column + 1};
    return builder->last;
}

static bool is_repeated(struct builder *builder, struct level *level)
{
    struct item *map = level->item;
    if (map->count == KEYS_UNSORTED) {
        level->keys.arena = builder->arena;
        for (struct child *child = map->first; child; child = child->next)
            table_put(&level->keys, child->key, child);
    }
    const struct child *same = NULL;
    if (map->count >= KEYS_UNSORTED) {
        same = table_find(&level->keys, level->key);
    } else {
        for (struct child *child = map->first; child && !same; child = child->next)
            if (span_equal(child->key, level->key))
                same = child;
    }
    if (same)
        report_error(builder->report, level->key_place, "%s is given twice, first in line %u",
                     report_quote(builder->report, level->key), same->place.line);
    return same != NULL;
}

/* Gives a complete item to the level that waits for it. */
static bool attach(struct builder *builder, const struct item *item)
{
    if (builder->depth == 0) {
        builder->root = item;
        return true;
    }
    struct level *level = &builder->levels[builder->depth - 1];
    struct item *parent = level->item;
    parent->weight += item->weight;
    if (parent->weight > TREE_ITEMS_LIMIT) {
        report_error(builder->report, item->place,
                     "the configuration is too large: more than %d values, aliases expanded",
                     TREE_ITEMS_LIMIT);
        return false;
    }
    bool is_first = parent->kind == ITEM_LIST || !is_repeated(builder, level);
    level->has_key = false;
    if (!is_first)
        return true;
    struct child *child = ARENA_NEW(builder->arena, struct child);
    child->key = level->key;
    child->place = parent->kind == ITEM_LIST ? item->place : level->key_place;
    child->value = item;
    *parent->end = child;
    parent->end = &child->next;
    parent->count++;
    if (level->keys.arena)
        table_put(&level->keys, child->key, child);
    return true;
}

static void remember(struct builder *builder, struct span anchor, const struct item *item)
{
    if (anchor.length && !table_put(&builder->anchors, anchor, item))
        report_error(builder->report, item->place, "anchor %s is defined twice",
                     report_quote(builder->report, anchor));
}

static struct item *new_item(struct builder *builder, enum item_kind kind, struct fy_event *event)
{
    struct item *item = ARENA_NEW(builder->arena, struct item);
    item->kind = kind;
    item->place = place_of(builder, event);
    item->end = &item->first;
    item->weight = 1;
    return item;
}

/* True when a map waits for a key. */
static bool wants_key(const struct builder *builder)
{
    const struct level *level = builder->depth ? &builder->levels[builder->depth - 1] : NULL;
    return level && level->item->kind == ITEM_MAP && !level->has_key;
}

static bool on_scalar(struct builder *builder, struct fy_event *event)
{
    struct item *item = new_item(builder, ITEM_SCALAR, event);
    item->text = token_text(builder->arena, event->scalar.value);
    enum fy_node_style style = fy_event_get_node_style(event);
    item->is_quoted = style != FYNS_PLAIN && style != FYNS_ANY;
    if ((style == FYNS_SINGLE_QUOTED || style == FYNS_DOUBLE_QUOTED) && item->place.column > 1)
        item->place.column--; /* the mark is behind the quote */
    remember(builder, token_text(builder->arena, fy_event_get_anchor_token(event)), item);
    if (!wants_key(builder))
        return attach(builder, item);
    struct level *level = &builder->levels[builder->depth - 1];
    level->key = item->text;
    level->key_place = item->place;
    level->has_key = true;
    return true;
}

static bool on_alias(struct builder *builder, struct fy_event *event)
{
    struct place place = place_of(builder, event);
    struct span name = token_text(builder->arena, event->alias.anchor);
    const struct item *item = table_find(&builder->anchors, name);
    if (!item) {
        report_error(builder->report, place, "alias %s names nothing that is complete before it",
                     report_quote(builder->report, name));
        return false;
    }
    if (wants_key(builder)) {
        report_error(builder->report, place, "a key must be a word, not an alias");
        return false;
    }
    return attach(builder, item);
}

static bool on_open(struct builder *builder, struct fy_event *event, enum item_kind kind)
{
    struct item *item = new_item(builder, kind, event);
    if (wants_key(builder)) {
        report_error(builder->report, item->place,
                     "a key must be a word, not a list or map; what has colons stands in quotes, "
                     "like \"[::]:80\"");
        return false;
    }
    if (builder->depth == TREE_DEPTH_LIMIT) {
        report_error(builder->report, item->place, "more than %d levels within one another",
                     TREE_DEPTH_LIMIT);
        return false;
    }
    struct span anchor = token_text(builder->arena, fy_event_get_anchor_token(event));
    builder->levels[builder->depth++] = (struct level){.item = item, .anchor = anchor};
    return true;
}

static bool on_close(struct builder *builder)
{
    INVARIANT(builder->depth > 0); /* the parser's events are balanced */
    struct level *level = &builder->levels[--builder->depth];
    remember(builder, level->anchor, level->item);
    return attach(builder, level->item);
}

/* False: stop reading. */
static bool on_event(struct builder *builder, struct fy_event *event)
{
    if (fy_event_get_tag_token(event)) {
        report_error(builder->report, place_of(builder, event),
                     "tags ('!...') have no meaning here");
        return false;
    }
    switch (event->type) {
    case FYET_NONE:
    case FYET_STREAM_START:
    case FYET_STREAM_END:
    case FYET_DOCUMENT_END:
        return true;
    case FYET_DOCUMENT_START:
        if (builder->documents++) {
            report_error(builder->report, place_of(builder, event),
                         "a second document begins here; a configuration is one document");
            return false;
        }
        return true;
    case FYET_MAPPING_START:
        return on_open(builder, event, ITEM_MAP);
    case FYET_SEQUENCE_START:
        return on_open(builder, event, ITEM_LIST);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        return on_close(builder);
    case FYET_SCALAR:
        return on_scalar(builder, event);
    case FYET_ALIAS:
        return on_alias(builder, event);
    }
    return true;
}

/* What libfyaml found wrong, as errors of ours. */
static void report_syntax(struct builder *builder, struct fy_diag *diag)
{
    size_t before = builder->report->errors;
    builder->is_broken = true;
    void *position = NULL;
    for (struct fy_diag_error *error; (error = fy_diag_errors_iterate(diag, &position));)
        if (error->type >= FYET_ERROR) {
            struct place place = builder->last;
            if (error->line > 0 && error->column > 0)
                place = (struct place){(uint32_t)error->line, (uint32_t)error->column};
            const char *what = error->msg ? error->msg : "syntax error";
            const char *hint =
                strstr(what, "wrongly indented flow") ? ": is a bracket before it still open?" : "";
            report_error(builder->report, place, "this is not YAML: %s%s", what, hint);
        }
    if (builder->report->errors == before)
        report_error(builder->report, builder->last, "this is not YAML");
}

static void parse(struct builder *builder, struct span text)
{
    struct fy_diag_cfg diag_config;
    fy_diag_cfg_default(&diag_config);
    diag_config.fp = NULL;
    diag_config.colorize = false;
    struct fy_diag *diag = fy_diag_create(&diag_config);
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg config = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG, .diag = diag};
    struct fy_parser *parser = fy_parser_create(&config);
    bool is_open = true;
    if (!parser || fy_parser_set_string(parser, (const char *)text.data, text.length) < 0)
        report_syntax(builder, diag);
    else
        while (is_open) {
            struct fy_event *event = fy_parser_parse(parser);
            if (!event) {
                if (fy_parser_get_stream_error(parser))
                    report_syntax(builder, diag);
                break;
            }
            builder->is_broken = !on_event(builder, event);
            is_open = !builder->is_broken && event->type != FYET_STREAM_END;
            fy_parser_event_free(parser, event);
        }
    if (parser)
        fy_parser_destroy(parser);
    fy_diag_destroy(diag);
}

/* libfyaml takes the first byte that is not UTF-8 for the end. */
static bool is_text(struct span text, struct report *report)
{
    struct place place = {1, 1};
    while (text.length) {
        uint8_t byte = text.data[0];
        size_t length = utf8_length(text);
        bool is_control = byte == 0x7f || (byte < 0x20 && !strchr("\t\n\r", byte)) || !byte;
        if (!length || is_control) {
            report_error(report, place, "this is not YAML: byte 0x%02x is no text in UTF-8", byte);
            return false;
        }
        place.column++;
        if (byte == '\n')
            place = (struct place){place.line + 1, 1};
        text = span_from(text, length);
    }
    return true;
}

const struct item *tree_parse(struct span text, struct arena *arena, struct report *report)
{
    struct builder builder = {
        .arena = arena, .report = report, .anchors.arena = arena, .last = {1, 1}};
    if (!is_text(text, report))
        return NULL;
    if (text.length)
        parse(&builder, text);
    if (builder.is_broken)
        return NULL;
    if (!builder.root) {
        struct item *empty = ARENA_NEW(arena, struct item);
        *empty = (struct item){.kind = ITEM_MAP, .place = {1, 1}, .weight = 1};
        return empty;
    }
    return builder.root;
}

const struct child *tree_find(const struct item *map, const char *key)
{
    for (const struct child *child = map->first; child; child = child->next)
        if (span_equal(child->key, span_text(key)))
            return child;
    return NULL;
}
