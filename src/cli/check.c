/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway check: reads a configuration as `run` would, and says what is wrong with it.
 */
#include "cli/cli.h"
#include "cli/doctor.h"
#include "conf/conf.h"
#include "dnsd/dnsd.h"

#include <stdio.h>
#include <stdlib.h>

/* "file:line:column: warning: sentence" as one JSON object; the position is missing for what concerns the whole file. */
static void add_finding(struct text *text, const char *file, struct span line)
{
    size_t prefix = strlen(file) + 1; /* with its colon */
    const char *rest = (const char *)line.data + prefix;
    char *end;
    unsigned long number = strtoul(rest, &end, 10), column = 0;
    bool has_position = end > rest && *end == ':';
    if (has_position) {
        column = strtoul(end + 1, &end, 10);
        rest = end + 1;
    }
    struct span sentence =
        span_trim(span_of(rest, (size_t)((const char *)line.data + line.length - rest)));
    bool is_warning = span_starts(sentence, SPAN("warning: "));
    if (is_warning)
        sentence = span_from(sentence, strlen("warning: "));
    text_add_format(text, "{\"severity\":\"%s\"", is_warning ? "warning" : "error");
    if (has_position)
        text_add_format(text, ",\"line\":%lu,\"column\":%lu", number, column);
    text_add(text, ",\"sentence\":");
    text_add_json(text, sentence);
    text_add(text, "}");
}

static void write_json(struct text *text, const char *file, const struct conf *conf, bool is_good,
                       struct span findings)
{
    text_add(text, "{\"file\":");
    text_add_json(text, span_text(file));
    text_add_format(text, ",\"good\":%s,\"findings\":[", is_good ? "true" : "false");
    for (bool is_first = true; findings.length; is_first = false) {
        size_t length = span_find(findings, '\n');
        if (!is_first)
            text_add(text, ",");
        add_finding(text, file, span_of(findings.data, length));
        findings = span_from(findings, length + 1);
    }
    text_add(text, "]");
    if (conf)
        text_add_format(text, ",\"hash\":\"%s\",\"nodes\":%zu,\"sites\":%zu,\"zones\":%zu",
                        conf->hash, conf->node_count, conf->site_count, conf->zone_count);
    text_add(text, "}\n");
}

/* What the DNS server would complain of at its start, as findings on the whole file. */
static bool has_good_zones(const struct conf *conf, struct text *findings)
{
    bool has_dns = false;
    for (size_t i = 0; i < conf->node_count; i++)
        has_dns |= conf->nodes[i].dns != NULL;
    struct text why = {0};
    bool is_good = !has_dns || dnsd_check(conf, &why) == 0;
    for (struct span rest = text_span(&why); rest.length;) {
        size_t length = span_find(rest, '\n');
        text_add_format(findings, "%s: %.*s\n", conf->file, (int)length, (const char *)rest.data);
        rest = span_from(rest, length + 1);
    }
    text_clear(&why);
    return is_good;
}

/* Not having it keeps no node from starting. */
static void look_at_cache(const struct conf *conf, struct text *findings)
{
    struct text sentence = {0};
    const char *advice;
    if (conf->self && conf->self->edge && conf->self->edge->cache_disk &&
        doctor_judge_cache(conf->self, &sentence, &advice) != FINDING_OK)
        text_add_format(findings, "%s: warning: %s; %s\n", conf->file, sentence.data, advice);
    text_clear(&sentence);
}

static int run_check(const struct cli_arguments *arguments)
{
    const char *file = cli_value(arguments, "config");
    const char *node = cli_value(arguments, "node");
    if (!file)
        file = CLI_CONFIG_FILE;
    struct text content = {.limit = CONF_FILE_BYTES}, why = {0}, findings = {0}, answer = {0};
    if (conf_read_file(file, &content, &why) < 0) {
        cli_fail("%s: %s", file, why.data);
        text_clear(&content);
        text_clear(&why);
        return CLI_FAILED;
    }
    struct conf_reader reader = conf_file_reader();
    struct conf *conf =
        conf_load(file, text_span(&content), node ? node : CONF_NO_NODE, &reader, &findings);
    bool is_good = conf && has_good_zones(conf, &findings);
    if (conf)
        look_at_cache(conf, &findings);
    if (cli_value(arguments, "json")) {
        write_json(&answer, file, conf, is_good, text_span(&findings));
    } else {
        if (findings.length)
            fputs(findings.data, stderr);
        if (is_good)
            text_add_format(&answer, "%s: good (nodes: %zu, sites: %zu, zones: %zu)\n", file,
                            conf->node_count, conf->site_count, conf->zone_count);
    }
    conf_free(conf);
    text_clear(&content);
    text_clear(&why);
    text_clear(&findings);
    int status = cli_print(&answer);
    return is_good ? status : CLI_FAILED;
}

static const struct cli_option options[] = {
    {"config", 'c', "FILE", "the configuration; default " CLI_CONFIG_FILE},
    {"node", 'n', "NAME",
     "check what this node needs as well: its private key, its cache's folder"},
    {"json", 0, NULL, "findings as one JSON object"},
    {0}};
const struct cli_verb verb_check = {
    .name = "check",
    .summary = "Check a configuration file",
    .help = "Prints every mistake with file, line and column; exits with 0 when there is none.",
    .example = "causeway check -c causeway.yaml",
    .options = options,
    .run = run_check,
};
