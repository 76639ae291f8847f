/* SPDX-License-Identifier: Apache-2.0
 *
 * The schema table as pages for people: the Markdown reference (docs/configuration.md) and the manual page
 * causeway.yaml(5). A page format is a small table of functions.
 */
#include "conf/schema.h"

#include <stdio.h>

enum { PATH_TEXT_BYTES = 256 };

struct format {
    void (*begin)(struct text *text);
    void (*type)(struct text *text, const struct type *type);
    void (*section)(struct text *text, const char *path, const char *help);
    void (*setting)(struct text *text, const char *path, const struct setting *setting);
};

/* --- facts of a row --------------------------------------------------------------------------- */

static void add_type_name(struct text *text, const struct setting *setting)
{
    const char *type = setting->type->name;
    if (setting->section) {
        text_add(text, setting->shape == SHAPE_MAP    ? "map, below"
                       : setting->section->anchor     ? "such a section"
                       : setting->shape == SHAPE_LIST ? "list, below"
                                                      : "section, below");
        if (setting->can_be_one)
            text_add(text, ", or a list of them");
        return;
    }
    switch (setting->shape) {
    case SHAPE_ARRAY:
        text_add_format(text, "%zu of %s", setting->limit, type);
        break;
    case SHAPE_LIST:
        text_add_format(text, setting->can_be_one ? "%s, or a list" : "list of %s", type);
        break;
    case SHAPE_MAP:
    case SHAPE_PAIRS:
        text_add_format(text, "map of %s", type);
        break;
    case SHAPE_ONE:
    case SHAPE_IN_PLACE:
        text_add(text, type);
    }
    for (const struct word *word = setting->words; word && word->text; word++)
        text_add_format(text, "%s%s", word == setting->words ? ": " : ", ", word->text);
    if (setting->least)
        text_add_format(text, ", %s to %s", setting->least, setting->most);
}

static const char *default_of(const struct setting *setting)
{
    return setting->is_required                                          ? "required"
           : setting->preset                                             ? setting->preset
           : setting->preset_note                                        ? setting->preset_note
           : setting->shape == SHAPE_LIST || setting->shape == SHAPE_MAP ? "empty"
                                                                         : "none";
}

/* --- Markdown --------------------------------------------------------------------------------- */

static void markdown_begin(struct text *text)
{
    text_add(
        text,
        "# Configuration\n\n"
        "One YAML file describes all nodes and sites of a network; every node gets the same "
        "file, and `--node NAME` says\nwhich part is its own. Private keys stay outside: the "
        "file names theirs. `causeway check -c FILE` finds mistakes,\n`causeway config schema` "
        "prints a JSON Schema for editors. This page is the output of `causeway config "
        "reference`.\n\n"
        "Relative paths are relative to the folder of the file. On SIGHUP the file is read "
        "again; settings marked *restart* then\nkeep their old value until the node is "
        "restarted, the others change at once; a file with a mistake changes nothing.\n"
        "YAML anchors and aliases may be used; tags and several documents may not.\n\n"
        "A file with a single node may leave out its keys and `link`: its roles then speak "
        "with one another under a key made\nat each start.\n\n"
        "## Forms\n\n| form | written |\n|---|---|\n");
}

static void add_cell(struct text *text, const char *words)
{
    for (; *words; words++)
        text_add_format(text, *words == '|' ? "\\%c" : "%c", *words);
}

static void markdown_type(struct text *text, const struct type *type)
{
    text_add_format(text, "| %s | ", type->name);
    add_cell(text, type->form);
    text_add(text, " |\n");
}

static void markdown_section(struct text *text, const char *path, const char *help)
{
    text_add_format(text,
                    "\n## %s\n\n%s\n\n| setting | form | default | changes | meaning |\n"
                    "|---|---|---|---|---|\n",
                    path, help);
}

static void markdown_setting(struct text *text, const char *path, const struct setting *setting)
{
    text_add_format(text, "| `%s` | ", path);
    add_type_name(text, setting);
    text_add_format(text, setting->preset ? " | `%s` | " : " | %s | ", default_of(setting));
    text_add(text, setting->needs_restart ? "restart | " : "live | ");
    add_cell(text, setting->help);
    text_add(text, " |\n");
}

static const struct format markdown = {markdown_begin, markdown_type, markdown_section,
                                       markdown_setting};

/* --- roff ------------------------------------------------------------------------------------- */

static void add_roff(struct text *text, const char *words)
{
    for (const char *at = words; *at; at++) {
        if (at == words && (*at == '.' || *at == '\''))
            text_add(text, "\\&");
        if (*at == '\\')
            text_add(text, "\\e");
        else
            text_add_format(text, *at == '-' ? "\\%c" : "%c", *at);
    }
}

static void roff_begin(struct text *text)
{
    text_add(text, ".TH CAUSEWAY.YAML 5\n.SH NAME\ncauseway.yaml \\- configuration of Causeway\n"
                   ".SH DESCRIPTION\nOne YAML file describes all nodes and sites of a network. "
                   "Settings marked (restart) keep their value until the node is restarted; the "
                   "others change on SIGHUP.\n.SH FORMS\n");
}

static void roff_type(struct text *text, const struct type *type)
{
    text_add_format(text, ".TP\n.I %s\n", type->name);
    add_roff(text, type->form);
    text_add(text, "\n");
}

static void roff_section(struct text *text, const char *path, const char *help)
{
    text_add_format(text, ".SH \"%s\"\n", path);
    add_roff(text, help);
    text_add(text, "\n");
}

static void roff_setting(struct text *text, const char *path, const struct setting *setting)
{
    text_add(text, ".TP\n.B ");
    add_roff(text, path);
    text_add(text, "\n");
    add_roff(text, setting->help);
    text_add(text, "\nForm: ");
    add_type_name(text, setting);
    text_add(text, "; default: ");
    add_roff(text, default_of(setting));
    text_add(text, setting->needs_restart ? " (restart).\n" : ".\n");
}

static const struct format roff = {roff_begin, roff_type, roff_section, roff_setting};

/* --- the walk --------------------------------------------------------------------------------- */

static const struct type *const explained[] = {
    &type_duration, &type_seconds, &type_size,    &type_address,  &type_listen,
    &type_network,  &type_point,   &type_host,    &type_domain,   &type_origin,
    &type_record,   &type_key,     &type_pattern, &type_template, NULL,
};

/* Rows of the section; those of groups come with the group's name before theirs. */
static void write_rows(struct text *text, const struct format *format, const char *prefix,
                       const struct section *section)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *setting = &section->settings[i];
        char path[PATH_TEXT_BYTES];
        if (setting->shape == SHAPE_IN_PLACE) {
            snprintf(path, sizeof path, "%s%s.", prefix, setting->name);
            write_rows(text, format, path, setting->section);
        } else {
            snprintf(path, sizeof path, "%s%s", prefix, setting->name);
            format->setting(text, path, setting);
        }
    }
}

static void write_section(struct text *text, const struct format *format, const char *path,
                          const struct section *section);

/* The sections within it, those of its groups among them. */
static void write_inner(struct text *text, const struct format *format, const char *path,
                        const struct section *section)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *setting = &section->settings[i];
        static const char *const behind[] = {
            [SHAPE_ONE] = "", [SHAPE_IN_PLACE] = "", [SHAPE_LIST] = "[]", [SHAPE_MAP] = ".NAME"};
        if (setting->type != &type_section || setting->section == section)
            continue;
        char inner[PATH_TEXT_BYTES];
        snprintf(inner, sizeof inner, "%s%s%s%s", path, *path ? "." : "", setting->name,
                 behind[setting->shape]);
        if (setting->shape == SHAPE_IN_PLACE)
            write_inner(text, format, inner, setting->section);
        else
            write_section(text, format, inner, setting->section);
    }
}

static void write_section(struct text *text, const struct format *format, const char *path,
                          const struct section *section)
{
    format->section(text, *path ? path : "The file", section->help);
    write_rows(text, format, "", section);
    write_inner(text, format, path, section);
}

static void write_document(struct text *text, const struct format *format)
{
    format->begin(text);
    for (size_t i = 0; explained[i]; i++)
        format->type(text, explained[i]);
    write_section(text, format, "", &schema_root);
}

void conf_write_reference(struct text *text)
{
    write_document(text, &markdown);
}

void conf_write_manual(struct text *text)
{
    write_document(text, &roff);
}
