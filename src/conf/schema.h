/* SPDX-License-Identifier: Apache-2.0
 *
 * What a configuration may say: sections of settings, each setting one row. The parser, the checker, the JSON schema and the
 * reference page are all written from these rows, so a setting is added by adding its row.
 */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include "conf/conf.h"

struct loader;
struct section;
struct setting;

/* One scalar of the file, or of a default, on its way into the snapshot. */
struct value {
    struct loader *loader;
    const struct setting *setting;
    struct span text; /* NUL-terminated, printable */
};

/* A kind of scalar: a form in the file, and how it lies in memory. */
struct type {
    const char *name;    /* in the reference: "duration" */
    const char *noun;    /* in sentences: "a duration" */
    const char *form;    /* "like 250ms, 10s, 5m or 1h" */
    const char *pattern; /* JSON schema: regular expression of the text; NULL: any */
    const char *json;    /* JSON schema type; NULL: "string" */
    /* NULL when the value is at `out`; else why not: a sentence, or "" for "not <noun>". */
    const char *(*parse)(const struct value *value, void *out);
    uint64_t scale; /* numbers: one of the member is so many of the base unit (ns, byte) */
    bool is_text;   /* in memory a pointer to a text */
};

extern const struct type type_text, type_path, type_word, type_choice, type_boolean, type_integer,
    type_size, type_duration, type_seconds, type_address, type_listen, type_network, type_point,
    type_host, type_domain, type_mailbox, type_key, type_origin, type_record, type_node, type_site,
    type_border, type_exit, type_reach, type_ping, type_lines, type_pattern, type_template,
    type_flag, type_section;

enum shape {
    SHAPE_ONE,      /* the member itself; a section: a pointer to its struct */
    SHAPE_IN_PLACE, /* a section whose settings are members of the enclosing struct */
    SHAPE_ARRAY,    /* `limit` values in place */
    SHAPE_LIST,     /* a pointer to values, and a count */
    SHAPE_MAP,      /* the same, of sections whose first member is `name`: the key */
    SHAPE_PAIRS,    /* struct rules_pairs: any names, each with a text or a list of texts */
};

/* One of the words that a setting may be; the table ends with a row without text. */
struct word {
    const char *text;
    int value; /* of choices, which are enums in memory */
};

struct setting {
    const char *name;
    const struct type *type;
    enum shape shape;
    size_t offset, count_offset; /* of the member and of its count */
    size_t size;                 /* of one value */
    size_t limit;                /* most items of a list or map; the items of an array */
    const char *least, *most;    /* range, in the form of the file */
    const char *preset;          /* default, in the form of the file; of lists: "a, b" */
    const char *preset_note;     /* where the default follows from something else */
    const struct word *words;    /* of words and choices */
    const struct section *section;
    bool is_required;
    bool can_be_off;    /* a section that "off" switches off */
    bool can_be_one;    /* a list of one needs no [ ] */
    bool needs_restart; /* else a reload changes it */
    const char *help;
    const char *example; /* where type->form does not help */
};

struct section {
    const char *name; /* in sentences and as heading of the reference */
    const char *help;
    const struct setting *settings;
    size_t count;
    size_t size;           /* of its struct; 0: in place */
    const char *shorthand; /* the setting that a lone value is; NULL: it must be a map */
    const char *anchor;    /* of a section that occurs within itself: its name in the JSON schema */
};

extern const struct section schema_root;

/* True, with the number in base units (ns, bytes), for texts of the number types. */
bool number_parse(const struct type *type, struct span text, uint64_t *number);

#endif
