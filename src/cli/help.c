/* SPDX-License-Identifier: Apache-2.0
 *
 * Help texts and the manual page, from the rows of the verbs.
 */
#include "cli/cli.h"

#include "cli/version.h"

#include <stdio.h>

static void add_usage(const struct cli_verb *verb, struct text *text)
{
    text_add_format(text, "causeway %s", verb->name);
    if (verb->words)
        text_add_format(text, verb->least_words ? " %s" : " [%s]", verb->words);
    for (const struct cli_option *option = verb->options; option && option->name; option++) {
        text_add(text, " [");
        if (option->letter)
            text_add_format(text, "-%c", option->letter);
        else
            text_add_format(text, "--%s", option->name);
        text_add_format(text, "%s%s]", option->value ? " " : "",
                        option->value ? option->value : "");
    }
}

void cli_write_help(const struct cli_verb *verb, struct text *text)
{
    text_add(text, "Usage: ");
    add_usage(verb, text);
    text_add_format(text, "\n\n%s.\n", verb->summary);
    if (verb->help)
        text_add_format(text, "%s\n", verb->help);
    text_add(text, "\n");
    for (const struct cli_option *option = verb->options; option && option->name; option++) {
        char left[64];
        int length = option->letter ? snprintf(left, sizeof left, "-%c, ", option->letter) : 0;
        snprintf(left + length, sizeof left - (size_t)length, "--%s%s%s", option->name,
                 option->value ? " " : "", option->value ? option->value : "");
        text_add_format(text, "  %-22s %s\n", left, option->help);
    }
    text_add_format(text, "  %-22s %s\n", "-h, --help", "this text");
    if (verb->example)
        text_add_format(text, "\nExample: %s\n", verb->example);
}

static int run_help(const struct cli_arguments *arguments)
{
    struct text text = {0};
    if (arguments->word_count) {
        for (size_t i = 0; cli_verbs[i]; i++)
            if (strcmp(cli_verbs[i]->name, arguments->words[0]) == 0) {
                cli_write_help(cli_verbs[i], &text);
                return cli_print(&text);
            }
        cli_fail("there is no verb '%s'; causeway help lists them", arguments->words[0]);
        return CLI_USAGE;
    }
    if (cli_value(arguments, "manual")) {
        cli_write_manual(&text);
        return cli_print(&text);
    }
    text_add(&text, "Usage: causeway VERB ...\n\n");
    for (size_t i = 0; cli_verbs[i]; i++)
        text_add_format(&text, "  %-10s %s\n", cli_verbs[i]->name, cli_verbs[i]->summary);
    text_add(&text, "\ncauseway VERB --help tells more of a verb.\n");
    return cli_print(&text);
}

static const struct cli_option help_options[] = {
    {"manual", 0, NULL, "the manual page causeway.1 (roff)"}, {0}};
const struct cli_verb verb_help = {
    .name = "help",
    .words = "VERB",
    .summary = "List the verbs, or tell of one",
    .example = "causeway help check",
    .most_words = 1,
    .options = help_options,
    .run = run_help,
};

/* --- causeway.1 ------------------------------------------------------------------------------- */

/* A backslash and a leading dot or quote mean something to roff. */
static void add_roff(struct text *text, const char *words)
{
    for (const char *at = words; *at; at++) {
        bool begins_line = at == words || at[-1] == '\n';
        if (begins_line && (*at == '.' || *at == '\''))
            text_add(text, "\\&");
        if (*at == '\\')
            text_add(text, "\\e");
        else if (*at == '-')
            text_add(text, "\\-");
        else
            text_add_span(text, span_of(at, 1));
    }
}

static void add_verb(const struct cli_verb *verb, struct text *text)
{
    struct text usage = {0};
    add_usage(verb, &usage);
    text_add(text, ".SS ");
    add_roff(text, usage.data);
    text_clear(&usage);
    text_add(text, "\n");
    add_roff(text, verb->summary);
    text_add(text, ".\n");
    if (verb->help) {
        add_roff(text, verb->help);
        text_add(text, "\n");
    }
    for (const struct cli_option *option = verb->options; option && option->name; option++) {
        text_add(text, ".TP\n.B ");
        if (option->letter)
            text_add_format(text, "\\-%c, ", option->letter);
        text_add(text, "\\-\\-");
        add_roff(text, option->name);
        if (option->value)
            text_add_format(text, " %s", option->value);
        text_add(text, "\n");
        add_roff(text, option->help);
        text_add(text, "\n");
    }
    if (verb->example) {
        text_add(text, ".PP\n.EX\n");
        add_roff(text, verb->example);
        text_add(text, "\n.EE\n");
    }
}

void cli_write_manual(struct text *text)
{
    text_add(text,
             ".TH CAUSEWAY 1 \"\" \"causeway " CAUSEWAY_VERSION "\"\n"
             ".SH NAME\ncauseway \\- a self\\-hosted delivery network\n"
             ".SH SYNOPSIS\n.B causeway\nVERB ...\n"
             ".SH DESCRIPTION\n"
             "Runs, checks and watches the nodes of a delivery network: DNS servers that name "
             "the best edges, edges that serve visitors, and gateways that ask the origin.\n"
             ".SH VERBS\n");
    for (size_t i = 0; cli_verbs[i]; i++)
        add_verb(cli_verbs[i], text);
    text_add(text, ".SH EXIT STATUS\n0 when done, 1 when it failed, 2 when the command line was "
                   "wrong.\n"
                   ".SH SEE ALSO\n.BR causeway.yaml (5)\n");
}
