/* SPDX-License-Identifier: Apache-2.0
 *
 * The schema table as JSON Schema (draft 2020-12), for editors and for checking what a program writes.
 */
#include "conf/schema.h"

struct writer {
    struct text *text;
    unsigned depth;
    bool has_member;              /* of the object being written */
    const struct section *within; /* the innermost one that occurs within itself */
};

static void line(struct writer *writer)
{
    text_add(writer->text, writer->has_member ? ",\n" : "\n");
    for (unsigned i = 0; i < writer->depth; i++)
        text_add(writer->text, "  ");
    writer->has_member = true;
}

static void name(struct writer *writer, const char *key)
{
    line(writer);
    text_add_json(writer->text, span_text(key));
    text_add(writer->text, ": ");
}

static void open_object(struct writer *writer, const char *key)
{
    name(writer, key);
    text_add(writer->text, "{");
    writer->depth++;
    writer->has_member = false;
}

static void close_object(struct writer *writer)
{
    writer->depth--;
    writer->has_member = false;
    line(writer);
    text_add(writer->text, "}");
}

static void member(struct writer *writer, const char *key, const char *value)
{
    name(writer, key);
    text_add_json(writer->text, span_text(value));
}

static void member_number(struct writer *writer, const char *key, uint64_t value)
{
    name(writer, key);
    text_add_format(writer->text, "%llu", (unsigned long long)value);
}

/* A value as JSON: numbers and booleans bare. */
static void add_value(struct writer *writer, const struct type *type, struct span value)
{
    uint64_t number;
    bool is_bare = type == &type_boolean || span_number(value, &number) == 0;
    if (is_bare)
        text_add_span(writer->text, value);
    else
        text_add_json(writer->text, value);
}

static void add_preset(struct writer *writer, const struct setting *setting)
{
    struct span rest = span_text(setting->preset);
    bool is_many = setting->shape == SHAPE_ARRAY, is_list = is_many || setting->shape == SHAPE_LIST;
    name(writer, "default");
    text_add(writer->text, is_list ? "[" : "");
    for (bool is_first = true; rest.length; is_first = false) {
        size_t length = is_many ? span_find(rest, ',') : rest.length;
        text_add(writer->text, is_first ? "" : ", ");
        add_value(writer, setting->type, span_of(rest.data, length));
        rest = span_trim(span_from(rest, length + 1));
    }
    text_add(writer->text, is_list ? "]" : "");
}

static void open_choice(struct writer *writer)
{
    name(writer, "anyOf");
    text_add(writer->text, "[{");
    writer->depth++;
    writer->has_member = false;
}

static void next_choice(struct writer *writer)
{
    close_object(writer);
    text_add(writer->text, ", {");
    writer->depth++;
    writer->has_member = false;
}

static void close_choice(struct writer *writer)
{
    close_object(writer);
    text_add(writer->text, "]");
}

static void add_section(struct writer *writer, const struct section *section);

/* What one value of the setting may be. */
static void add_type(struct writer *writer, const struct setting *setting)
{
    const struct type *type = setting->type;
    const struct section *section = setting->section;
    if (type == &type_section && section->anchor && section == writer->within) {
        name(writer, "$ref");
        text_add_format(writer->text, "\"#%s\"", section->anchor);
        return;
    }
    if (type == &type_section && section->shorthand) {
        open_choice(writer);
        for (size_t i = 0; i < section->count; i++)
            if (strcmp(section->settings[i].name, section->shorthand) == 0)
                add_type(writer, &section->settings[i]);
        next_choice(writer);
        add_section(writer, section);
        close_choice(writer);
        return;
    }
    if (type == &type_section) {
        add_section(writer, section);
        return;
    }
    bool can_be_number = type == &type_size || type == &type_seconds;
    if (can_be_number) {
        name(writer, "type");
        text_add(writer->text, "[\"integer\", \"string\"]");
    } else {
        member(writer, "type", type->json ? type->json : "string");
    }
    if (type->pattern)
        member(writer, "pattern", type->pattern);
    else if (type->is_text)
        member_number(writer, "minLength", 1);
    if (setting->words) {
        name(writer, "enum");
        for (const struct word *word = setting->words; word->text; word++) {
            text_add(writer->text, word == setting->words ? "[" : ", ");
            text_add_json(writer->text, span_text(word->text));
        }
        text_add(writer->text, "]");
    }
    if (type == &type_integer && setting->least) {
        name(writer, "minimum");
        text_add(writer->text, setting->least);
        name(writer, "maximum");
        text_add(writer->text, setting->most);
    }
}

static void add_list(struct writer *writer, const struct setting *setting)
{
    bool is_array = setting->shape == SHAPE_ARRAY;
    member(writer, "type", "array");
    if (is_array || setting->is_required)
        member_number(writer, "minItems", is_array ? setting->limit : 1);
    member_number(writer, "maxItems", setting->limit);
    open_object(writer, "items");
    add_type(writer, setting);
    close_object(writer);
}

static void add_one_or_list(struct writer *writer, const struct setting *setting)
{
    open_choice(writer);
    add_type(writer, setting);
    next_choice(writer);
    add_list(writer, setting);
    close_choice(writer);
}

static void add_map(struct writer *writer, const struct setting *setting)
{
    member(writer, "type", "object");
    if (setting->is_required)
        member_number(writer, "minProperties", 1);
    member_number(writer, "maxProperties", setting->limit);
    open_object(writer, "additionalProperties");
    add_type(writer, setting);
    close_object(writer);
}

static void add_setting(struct writer *writer, const struct setting *setting)
{
    open_object(writer, setting->name);
    member(writer, "description", setting->help);
    switch (setting->shape) {
    case SHAPE_ARRAY:
    case SHAPE_LIST:
        if (setting->can_be_one)
            add_one_or_list(writer, setting);
        else
            add_list(writer, setting);
        break;
    case SHAPE_PAIRS:
        member(writer, "type", "object");
        member_number(writer, "maxProperties", setting->limit);
        open_object(writer, "additionalProperties");
        add_one_or_list(writer, setting);
        close_object(writer);
        break;
    case SHAPE_MAP:
        add_map(writer, setting);
        break;
    case SHAPE_ONE:
    case SHAPE_IN_PLACE:
        if (!setting->can_be_off) {
            add_type(writer, setting);
            break;
        }
        name(writer, "anyOf");
        text_add(writer->text, "[{\"const\": \"off\"}, {");
        writer->depth++;
        writer->has_member = false;
        add_type(writer, setting);
        close_choice(writer);
    }
    if (setting->preset)
        add_preset(writer, setting);
    close_object(writer);
}

static void add_section(struct writer *writer, const struct section *section)
{
    size_t required = 0;
    if (section->anchor) {
        member(writer, "$anchor", section->anchor);
        writer->within = section;
    }
    for (size_t i = 0; i < section->count; i++)
        required += section->settings[i].is_required;
    name(writer, "type"); /* "edge:" alone means every default */
    text_add(writer->text, required ? "\"object\"" : "[\"object\", \"null\"]");
    name(writer, "additionalProperties");
    text_add(writer->text, "false");
    if (required) {
        const char *separator = "[";
        name(writer, "required");
        for (size_t i = 0; i < section->count; i++)
            if (section->settings[i].is_required) {
                text_add(writer->text, separator);
                text_add_json(writer->text, span_text(section->settings[i].name));
                separator = ", ";
            }
        text_add(writer->text, "]");
    }
    open_object(writer, "properties");
    for (size_t i = 0; i < section->count; i++)
        add_setting(writer, &section->settings[i]);
    close_object(writer);
}

void conf_write_schema(struct text *text)
{
    struct writer writer = {.text = text, .depth = 1};
    text_add(text, "{");
    member(&writer, "$schema", "https://json-schema.org/draft/2020-12/schema");
    member(&writer, "title", "Causeway configuration");
    add_section(&writer, &schema_root);
    close_object(&writer);
    text_add(text, "\n");
}
