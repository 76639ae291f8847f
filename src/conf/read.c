/* SPDX-License-Identifier: Apache-2.0
 *
 * Items become structs, setting by setting along the schema. Whatever cannot be read is reported with its place and the
 * nearest known word, and reading goes on behind it.
 */
#include "conf/load.h"

struct member_place {
    const void *member;
    struct place place;
};

void place_set(struct loader *loader, const void *member, struct place place)
{
    struct span key = span_of(&member, sizeof member);
    struct member_place *known = table_find(&loader->places, key);
    if (!known) {
        known = ARENA_NEW(&loader->scratch, struct member_place);
        known->member = member;
        table_put(&loader->places, span_of(&known->member, sizeof known->member), known);
    }
    known->place = place;
}

struct place place_of(const struct loader *loader, const void *member)
{
    const struct member_place *known = table_find(&loader->places, span_of(&member, sizeof member));
    return known ? known->place : (struct place){0};
}

struct place place_or(const struct loader *loader, const void *member, const void *otherwise)
{
    return place_of(loader, is_set(loader, member) ? member : otherwise);
}

static const char *quote(struct loader *loader, struct span text)
{
    return report_quote(&loader->report, text);
}

/* --- one value -------------------------------------------------------------------------------- */

static bool is_null(const struct item *item)
{
    return item->kind == ITEM_SCALAR && !item->is_quoted &&
           (!item->text.length || span_equal(item->text, SPAN("~")) ||
            span_equal(item->text, SPAN("null")));
}

static bool is_printable(struct span text, bool has_lines)
{
    for (size_t i = 0; i < text.length; i++) {
        bool is_break = text.data[i] == '\n' || text.data[i] == '\t';
        if ((text.data[i] < 0x20 && !(has_lines && is_break)) || text.data[i] == 0x7f)
            return false;
    }
    return true;
}

static void read_scalar(struct loader *loader, const struct setting *setting,
                        const struct item *item, void *out)
{
    const struct type *type = setting->type;
    if (item->kind != ITEM_SCALAR) {
        report_error(&loader->report, item->place, "%s must be %s (%s)", setting->name, type->noun,
                     type->form);
        return;
    }
    if (is_null(item)) {
        report_error(&loader->report, item->place, "%s has no value", setting->name);
        return;
    }
    place_set(loader, out, item->place);
    struct value value = {loader, setting, item->text};
    const char *reason = is_printable(item->text, type == &type_lines)
                             ? type->parse(&value, out)
                             : "control characters and line breaks have no place in it";
    if (!reason)
        return;
    if (*reason)
        report_error(&loader->report, item->place, "%s: %s: %s", setting->name,
                     quote(loader, item->text), reason);
    else
        report_error(&loader->report, item->place, "%s: %s is not %s (%s)", setting->name,
                     quote(loader, item->text), type->noun, type->form);
}

static void read_value(struct loader *loader, const struct setting *setting,
                       const struct item *item, struct place place, void *out)
{
    if (setting->type != &type_section) {
        read_scalar(loader, setting, item, out);
        return;
    }
    place_set(loader, out, place);
    read_section(loader, setting->section, item, place, out);
}

/* --- lists and maps --------------------------------------------------------------------------- */

static void *allocate_items(struct loader *loader, const struct setting *setting, char *base,
                            size_t count)
{
    void *items = arena_take(&loader->conf->arena, setting->size * count);
    *(void **)(void *)(base + setting->offset) = items;
    *(size_t *)(void *)(base + setting->count_offset) = count;
    return items;
}

static void read_list(struct loader *loader, const struct setting *setting, const struct item *item,
                      char *base)
{
    enum item_kind single = setting->type == &type_section ? ITEM_MAP : ITEM_SCALAR;
    if (setting->can_be_one && item->kind == single) {
        read_value(loader, setting, item, item->place, allocate_items(loader, setting, base, 1));
        return;
    }
    if (item->kind != ITEM_LIST) {
        report_error(&loader->report, item->place, "%s must be a list in [ ], each %s (%s)",
                     setting->name, setting->type->noun, setting->type->form);
        return;
    }
    char *out = base + setting->offset;
    if (setting->shape == SHAPE_ARRAY) {
        if (item->count != setting->limit) {
            report_error(&loader->report, item->place, "%s must have %zu items, not %zu",
                         setting->name, setting->limit, item->count);
            return;
        }
    } else {
        if (item->count > setting->limit) {
            report_error(&loader->report, item->place, "%s has %zu items, %zu at most",
                         setting->name, item->count, setting->limit);
            return;
        }
        if (item->count == 0 && setting->is_required)
            report_error(&loader->report, item->place, "%s is empty", setting->name);
        out = allocate_items(loader, setting, base, item->count);
    }
    for (const struct child *child = item->first; child; child = child->next, out += setting->size)
        read_value(loader, setting, child->value, child->value->place, out);
}

static const struct setting pair_values = {.name = "value",
                                           .type = &type_template,
                                           .shape = SHAPE_LIST,
                                           .can_be_one = true,
                                           .limit = 1024,
                                           .offset = offsetof(struct rules_pair, values.items),
                                           .count_offset =
                                               offsetof(struct rules_pair, values.count),
                                           .size = sizeof(const char *)};

static void read_pairs(struct loader *loader, const struct setting *setting,
                       const struct item *item, char *base)
{
    if (item->kind != ITEM_MAP) {
        report_error(&loader->report, item->place, "%s must be a map: a name, then %s (%s)",
                     setting->name, setting->type->noun, setting->type->form);
        return;
    }
    if (item->count > setting->limit) {
        report_error(&loader->report, item->place, "%s has %zu names, %zu at most", setting->name,
                     item->count, setting->limit);
        return;
    }
    struct rules_pair *pair = allocate_items(loader, setting, base, item->count);
    for (const struct child *child = item->first; child; child = child->next, pair++) {
        struct setting values = pair_values;
        values.name = setting->name;
        values.type = setting->type;
        pair->name = (const char *)arena_copy(&loader->conf->arena, child->key).data;
        place_set(loader, &pair->name, child->place);
        if (!child->key.length || !is_printable(child->key, false))
            report_error(&loader->report, child->place, "%s: %s is not a name", setting->name,
                         quote(loader, child->key));
        read_list(loader, &values, child->value, (char *)pair);
    }
}

/* The first member of the section's struct is its name, set by declare_names() or here. */
static void read_map(struct loader *loader, const struct setting *setting, const struct item *item,
                     char *base)
{
    char *out = *(char **)(void *)(base + setting->offset);
    bool is_empty = item->kind == ITEM_MAP ? item->count == 0 : is_null(item);
    if (is_empty && setting->is_required)
        report_error(&loader->report, item->place, "%s is empty", setting->name);
    if (!out || item->kind != ITEM_MAP)
        return; /* declare_names() said what is wrong */
    for (const struct child *child = item->first; child; child = child->next, out += setting->size)
        read_value(loader, setting, child->value, child->place, out);
}

static const char *name_error(const struct child *child)
{
    size_t length = child->key.length;
    if (length == 0 || length > 63)
        return "a name has 1 to 63 characters";
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = ascii_lower(child->key.data[i]);
        if ((uint8_t)(byte - 'a') >= 26 && (uint8_t)(byte - '0') >= 10 && !strchr("-_.", byte))
            return "a name has letters, digits, '-', '_' and '.' only";
    }
    return NULL;
}

static void declare_map(struct loader *loader, const struct setting *setting,
                        const struct item *item, struct table *names)
{
    char *base = (char *)loader->conf;
    if (is_null(item))
        return;
    if (item->kind != ITEM_MAP) {
        report_error(&loader->report, item->place, "%s must be a map: a name, then its settings",
                     setting->name);
        return;
    }
    if (item->count > setting->limit) {
        report_error(&loader->report, item->place, "%s: %zu are too many, %zu at most",
                     setting->name, item->count, setting->limit);
        return;
    }
    char *out = allocate_items(loader, setting, base, item->count);
    for (const struct child *child = item->first; child;
         child = child->next, out += setting->size) {
        const char *error = NULL;
        char zone[DOMAIN_TEXT_BYTES];
        if (names) {
            *(const char **)(void *)out =
                (const char *)arena_copy(&loader->conf->arena, child->key).data;
            table_put(names, child->key, out);
            error = name_error(child);
        } else if (domain_parse(child->key, NULL, false, zone)) {
            *(const char **)(void *)out = arena_text(&loader->conf->arena, zone);
        } else {
            error = "this is not a domain name";
        }
        if (error)
            report_error(&loader->report, child->place, "%s: %s: %s", setting->name,
                         quote(loader, child->key), error);
    }
}

void declare_names(struct loader *loader, const struct item *root)
{
    for (size_t i = 0; i < schema_root.count; i++) {
        const struct setting *setting = &schema_root.settings[i];
        const struct child *child = tree_find(root, setting->name);
        if (setting->shape != SHAPE_MAP || !child)
            continue;
        struct table *names = setting->offset == offsetof(struct conf, nodes)   ? &loader->names[0]
                              : setting->offset == offsetof(struct conf, sites) ? &loader->names[1]
                              : setting->offset == offsetof(struct conf, borders)
                                  ? &loader->names[2]
                                  : NULL;
        declare_map(loader, setting, child->value, names);
    }
}

/* --- sections --------------------------------------------------------------------------------- */

static void apply_preset(struct loader *loader, const struct setting *setting, char *base)
{
    char *out = base + setting->offset;
    struct span rest = span_text(setting->preset);
    bool is_many = setting->shape == SHAPE_ARRAY || setting->shape == SHAPE_LIST;
    size_t items = 1;
    for (size_t i = 0; i < rest.length; i++)
        items += rest.data[i] == ',';
    if (setting->shape == SHAPE_LIST)
        out = allocate_items(loader, setting, base, items);
    for (; rest.length; out += setting->size) {
        size_t length = is_many ? span_find(rest, ',') : rest.length;
        char *copy =
            (char *)(uintptr_t)arena_copy(&loader->scratch, span_of(rest.data, length)).data;
        struct value value = {loader, setting, span_of(copy, length)};
        INVARIANT(setting->type->parse(&value, out) == NULL);
        rest = span_trim(span_from(rest, length + 1));
    }
}

static void read_absent(struct loader *loader, const struct section *section,
                        const struct setting *setting, struct place place, char *base)
{
    if (setting->shape == SHAPE_IN_PLACE)
        read_section(loader, setting->section, NULL, place, base + setting->offset);
    else if (setting->preset)
        apply_preset(loader, setting, base);
    else if (setting->is_required)
        report_error(&loader->report, place, "%s: '%s' is missing", section->name, setting->name);
}

static void read_setting(struct loader *loader, const struct setting *setting,
                         const struct child *child, char *base)
{
    const struct item *item = child->value;
    char *out = base + setting->offset;
    if (setting->shape != SHAPE_IN_PLACE)
        place_set(loader, out, child->place);
    switch (setting->shape) {
    case SHAPE_IN_PLACE:
        read_section(loader, setting->section, item, child->place, out);
        return;
    case SHAPE_ARRAY:
    case SHAPE_LIST:
        read_list(loader, setting, item, base);
        return;
    case SHAPE_MAP:
        read_map(loader, setting, item, base);
        return;
    case SHAPE_PAIRS:
        read_pairs(loader, setting, item, base);
        return;
    case SHAPE_ONE:
        break;
    }
    if (setting->type != &type_section) {
        read_scalar(loader, setting, item, out);
        return;
    }
    if (setting->can_be_off && item->kind == ITEM_SCALAR && span_equal(item->text, SPAN("off")))
        return;
    void *inner = arena_take(&loader->conf->arena, setting->section->size);
    *(void **)(void *)out = inner;
    read_section(loader, setting->section, item, child->place, inner);
}

static const struct setting *find_setting(const struct section *section, struct span name)
{
    for (size_t i = 0; i < section->count; i++)
        if (span_equal(span_text(section->settings[i].name), name))
            return &section->settings[i];
    return NULL;
}

/* The section one level within or beside this one that knows the name; NULL: none. */
static const struct section *find_owner(const struct section *section, struct span name)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct section *inner = section->settings[i].section;
        if (inner && find_setting(inner, name))
            return inner;
    }
    return NULL;
}

static void report_unknown(struct loader *loader, const struct section *section,
                           const struct child *child)
{
    const char *names[64];
    size_t count = 0;
    for (; count < section->count && count < 64; count++)
        names[count] = section->settings[count].name;
    const char *nearest = nearest_word((const char *)child->key.data, names, count);
    const struct section *owner = find_owner(section, child->key);
    const char *name = quote(loader, child->key);
    if (owner && nearest)
        report_error(&loader->report, child->place,
                     "unknown setting %s in %s; did you mean '%s'? It belongs in '%s'", name,
                     section->name, nearest, owner->name);
    else if (owner)
        report_error(&loader->report, child->place, "unknown setting %s in %s; it belongs in '%s'",
                     name, section->name, owner->name);
    else if (nearest)
        report_error(&loader->report, child->place, "unknown setting %s in %s; did you mean '%s'?",
                     name, section->name, nearest);
    else
        report_error(&loader->report, child->place, "unknown setting %s in %s", name,
                     section->name);
}

void read_section(struct loader *loader, const struct section *section, const struct item *item,
                  struct place place, void *base)
{
    if (section->size)
        place_set(loader, base, place);
    if (item && is_null(item))
        item = NULL; /* "edge:" alone: everything at its default */
    struct child lone = {0};
    struct item map = {.kind = ITEM_MAP, .place = place, .first = &lone, .count = 1};
    if (item && item->kind == ITEM_SCALAR && section->shorthand) {
        lone = (struct child){.key = span_text(section->shorthand),
                              .place = item->place,
                              .value = item};
        item = &map;
    }
    if (item && item->kind != ITEM_MAP) {
        report_error(&loader->report, item->place, "%s must be a map of settings", section->name);
        return;
    }
    for (const struct child *child = item ? item->first : NULL; child; child = child->next)
        if (!find_setting(section, child->key))
            report_unknown(loader, section, child);
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *setting = &section->settings[i];
        const struct child *child = item ? tree_find(item, setting->name) : NULL;
        if (child)
            read_setting(loader, setting, child, base);
        else
            read_absent(loader, section, setting, place, base);
    }
}
