/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway config: what a configuration may say, for editors and for people.
 */
#include "cli/cli.h"
#include "conf/conf.h"

static const struct {
    const char *name;
    void (*write)(struct text *text);
} forms[] = {{"schema", conf_write_schema},
             {"reference", conf_write_reference},
             {"manual", conf_write_manual}};

enum { FORMS = sizeof forms / sizeof *forms };

static int run_config(const struct cli_arguments *arguments)
{
    const char *names[FORMS];
    for (size_t i = 0; i < FORMS; i++) {
        names[i] = forms[i].name;
        if (strcmp(arguments->words[0], names[i]) == 0) {
            struct text text = {0};
            forms[i].write(&text);
            return cli_print(&text);
        }
    }
    const char *nearest = nearest_word(arguments->words[0], names, FORMS);
    cli_fail("config: '%s' is none of schema, reference, manual%s%s", arguments->words[0],
             nearest ? "; did you mean " : "", nearest ? nearest : "");
    return CLI_USAGE;
}

const struct cli_verb verb_config = {
    .name = "config",
    .words = "schema|reference|manual",
    .summary = "Print what a configuration may say",
    .help = "As JSON Schema (draft 2020-12), as a Markdown page, or as the manual page "
            "causeway.yaml.5.",
    .example = "causeway config schema > causeway.schema.json",
    .least_words = 1,
    .most_words = 1,
    .run = run_config,
};
