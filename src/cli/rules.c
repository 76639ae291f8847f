/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway rules: what a site's rules say of a request that is only supposed (L10, S8). The request goes through the parser of the edge,
 * and the rules are those that the edge would have.
 */
#include "rules/rules.h"
#include "cli/cli.h"
#include "cli/node.h"
#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>

struct trial {
    struct arena arena;
    struct http_parser parser;
    struct http_head head;
    struct rules_facts facts;
    struct rules_matcher *matcher;
    struct rules_decision decision;
    const struct conf_site *site;
};

/* ---- the request */

static bool number_of(const struct cli_arguments *arguments, const char *option, uint64_t most,
                      uint32_t factor, uint32_t *number)
{
    const char *text = cli_value(arguments, option);
    uint64_t value;
    if (!text)
        return true;
    if (span_number(span_text(text), &value) < 0 || value > most) {
        cli_fail("rules: --%s %s: a number up to %llu", option, text, (unsigned long long)most);
        return false;
    }
    *number = (uint32_t)value * factor;
    return true;
}

static bool read_facts(const struct cli_arguments *arguments, struct rules_facts *facts)
{
    const char *client = cli_value(arguments, "client");
    const char *country = cli_value(arguments, "country");
    const char *version = cli_value(arguments, "tls"), *name = cli_value(arguments, "server-name");
    if (address_parse(span_text(client ? client : "192.0.2.1"), &facts->client) < 0) {
        cli_fail("rules: --client %s: this is no address", client);
        return false;
    }
    if (country && strlen(country) != 2) {
        cli_fail("rules: --country %s: a country has two letters, like DE", country);
        return false;
    }
    for (size_t i = 0; country && i < 2; i++)
        facts->country[i] = (uint8_t)(ascii_lower((uint8_t)country[i]) & 0xdf);
    facts->has_certificate = cli_value(arguments, "certificate") != NULL;
    facts->tls_version = span_text(version);
    facts->server_name = span_text(name);
    facts->is_tls = version || name || facts->has_certificate;
    facts->rtt_us = facts->loss_ppm = facts->load_percent = RULES_UNKNOWN;
    return number_of(arguments, "rtt", 60000, 1000, &facts->rtt_us) &&
           number_of(arguments, "loss", 100, 10000, &facts->loss_ppm) &&
           number_of(arguments, "load", 100, 1, &facts->load_percent);
}

static void write_request(const struct cli_arguments *arguments, const char *host,
                          struct text *request)
{
    const char *line = cli_value(arguments, "request"), *field;
    bool has_method = line && strchr(line, ' ');
    if (!line)
        line = "/";
    text_add_format(request, "%s%s HTTP/1.1\r\nHost: %s\r\n", has_method ? "" : "GET ", line, host);
    for (size_t at = 0; (field = cli_next_value(arguments, "header", &at));)
        text_add_format(request, "%s\r\n", field);
    text_add(request, "\r\n");
}

static bool parse_request(const struct cli_arguments *arguments, struct trial *trial)
{
    const char *host = cli_value(arguments, "host");
    struct text request = {0};
    struct span data;
    size_t used;
    if (!host)
        host = trial->site->hosts.items[0];
    write_request(arguments, strncmp(host, "*.", 2) == 0 ? host + 2 : host, &request);
    http_parser_start_request(&trial->parser, &http_limits_default, &trial->head, &trial->arena);
    struct span bytes = arena_copy(&trial->arena, text_span(&request));
    text_clear(&request);
    if (http_parser_feed(&trial->parser, bytes, &used, &data) == HTTP_EVENT_HEAD)
        return true;
    cli_fail("rules: an edge would refuse this request: %s", http_cause_text(trial->parser.cause));
    return false;
}

/* ---- what was decided */

static const char *name_of(const struct rules *rules, size_t number, char out[32])
{
    const char *name = rules_at(rules, number)->name;
    snprintf(out, 32, "rule %zu", number + 1);
    return name ? name : out;
}

static void add_outcome(struct text *text, const struct trial *trial)
{
    const struct rules_decision *decision = &trial->decision;
    struct span target = decision->target.length ? decision->target : trial->head.target;
    switch (decision->outcome) {
    case RULES_PASS:
        text_add_format(text, "goes on as %.*s", SPAN_ARGS(target));
        break;
    case RULES_REDIRECT:
        text_add_format(text, "%u to %.*s", decision->status, SPAN_ARGS(decision->location));
        break;
    case RULES_BLOCK:
    case RULES_ANSWER:
        text_add_format(text, "answered with %u", decision->status);
        break;
    case RULES_FILES:
        text_add_format(text, "answered from the files in %s", decision->by->files->root);
        break;
    case RULES_FAILED:
        text_add_format(text, "answered with %u: %s", decision->status, decision->cause);
    }
}

static void add_edits(struct text *text, const char *whose, const struct rules_edits *edits)
{
    for (size_t i = 0; i < edits->count; i++) {
        const struct rules_edit *edit = &edits->list[i];
        text_add_format(text, "  %-9s %s %.*s%s%.*s\n", whose,
                        edit->kind == RULES_EDIT_REMOVE ? "without"
                        : edit->kind == RULES_EDIT_SET  ? "with"
                                                        : "and",
                        SPAN_ARGS(edit->name), edit->kind == RULES_EDIT_REMOVE ? "" : ": ",
                        SPAN_ARGS(edit->value));
    }
}

static int print_plain(const struct trial *trial)
{
    const struct rules *rules = trial->site->rules;
    const struct rules_decision *decision = &trial->decision;
    struct text text = {0}, lines = {0};
    char name[32];
    text_add_format(&text, "%.*s %.*s: ", SPAN_ARGS(trial->head.method_text),
                    SPAN_ARGS(trial->head.target));
    add_outcome(&text, trial);
    text_add(&text, "\n\n");
    for (size_t i = 0; i < decision->matched_count; i++) {
        size_t number = decision->matched[i];
        text_add_format(&text, "%4zu %s\n", number + 1, name_of(rules, number, name));
        text_reset(&lines);
        rules_describe(rules_at(rules, number), &lines);
        for (struct span rest = text_span(&lines); rest.length;) {
            size_t length = span_find(rest, '\n');
            text_add_format(&text, "       %.*s\n", (int)length, (const char *)rest.data);
            rest = span_from(rest, length + 1);
        }
    }
    text_add_format(&text, "%s  rules     %zu, of which %zu might match, and %zu did\n",
                    decision->matched_count ? "\n" : "", rules_count(rules), decision->considered,
                    decision->matched_count);
    text_add_format(&text, "  path      %.*s\n", SPAN_ARGS(decision->path));
    text_add_format(&text, "  ring      %d\n",
                    decision->priority < 0 ? trial->site->ring : decision->priority);
    if (decision->session_class >= 0)
        text_add_format(&text,
                        "  session   ring %d for %llu s, behind an answer that is no error\n",
                        decision->session_class,
                        (unsigned long long)(decision->session_class_ns / 1000000000));
    add_edits(&text, "request", &decision->request);
    add_edits(&text, "response", &decision->response);
    text_clear(&lines);
    return cli_print(&text);
}

static json_t *json_of(struct span span)
{
    struct text text = {0};
    text_add_json(&text, span); /* whose bytes are UTF-8 then */
    json_t *value = json_loadb(text.data, text.length, JSON_DECODE_ANY, NULL);
    text_clear(&text);
    return value ? value : json_null();
}

static json_t *edits_json(const struct rules_edits *edits)
{
    static const char *const kinds[] = {"set", "add", "remove"};
    json_t *list = json_array();
    for (size_t i = 0; i < edits->count; i++)
        json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "kind", kinds[edits->list[i].kind],
                                              "name", json_of(edits->list[i].name), "value",
                                              json_of(edits->list[i].value)));
    return list;
}

static json_t *matched_json(const struct trial *trial)
{
    const struct rules *rules = trial->site->rules;
    json_t *list = json_array();
    struct text lines = {0};
    char name[32];
    for (size_t i = 0; i < trial->decision.matched_count; i++) {
        size_t number = trial->decision.matched[i];
        json_t *does = json_array();
        text_reset(&lines);
        rules_describe(rules_at(rules, number), &lines);
        for (struct span rest = text_span(&lines); rest.length;) {
            size_t length = span_find(rest, '\n');
            json_array_append_new(does, json_of(span_of(rest.data, length)));
            rest = span_from(rest, length + 1);
        }
        json_array_append_new(
            list, json_pack("{s:I, s:o, s:o}", "rule", (json_int_t)number + 1, "name",
                            json_of(span_text(name_of(rules, number, name))), "does", does));
    }
    text_clear(&lines);
    return list;
}

static int print_json(const struct trial *trial)
{
    const struct rules_decision *decision = &trial->decision;
    struct span target = decision->target.length ? decision->target : trial->head.target;
    json_t *told =
        json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:s?, s:I, s:I, s:b, s:b, s:I, "
                  "s:o, s:o, s:o}",
                  "site", trial->site->name, "outcome", rules_outcome_name(decision->outcome),
                  "status", (json_int_t)decision->status, "target", json_of(target), "location",
                  json_of(decision->location), "path", json_of(decision->path), "ring",
                  (json_int_t)(decision->priority < 0 ? trial->site->ring : decision->priority),
                  "session_ring", (json_int_t)decision->session_class, "session_s",
                  (json_int_t)(decision->session_class_ns / 1000000000), "origins",
                  decision->origins, "limits", (json_int_t)decision->toll_count, "ttl_s",
                  (json_int_t)(decision->cache.ttl_ns / 1000000000), "bypass",
                  decision->cache.bypass == RULES_YES, "encode", decision->encode != RULES_NO,
                  "considered", (json_int_t)decision->considered, "matched", matched_json(trial),
                  "request", edits_json(&decision->request), "response",
                  edits_json(&decision->response));
    int status = node_print_json(told);
    json_decref(told);
    return status;
}

/* ---- the verb */

static const struct conf_site *find_site(const struct cli_arguments *arguments,
                                         const struct conf *conf)
{
    const char *name = cli_value(arguments, "site"), *host = cli_value(arguments, "host");
    const struct conf_site *site = name                    ? conf_find_site(conf, span_text(name))
                                   : host                  ? conf_find_host(conf, span_text(host))
                                   : conf->site_count == 1 ? &conf->sites[0]
                                                           : NULL;
    if (site || (!name && !host)) {
        if (!site)
            cli_fail("rules: of which site? --site NAME");
        return site;
    }
    const char **names = calloc(conf->site_count + 1, sizeof *names);
    for (size_t i = 0; names && i < conf->site_count; i++)
        names[i] = conf->sites[i].name;
    const char *nearest = names && name ? nearest_word(name, names, conf->site_count) : NULL;
    cli_fail("rules: no site %s %s%s%s%s", name ? "is" : "has the host", name ? name : host,
             nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    free((void *)names);
    return NULL;
}

static struct conf *load(const char *file)
{
    struct text content = {.limit = CONF_FILE_BYTES}, findings = {0};
    struct conf *conf = NULL;
    if (conf_read_file(file, &content, &findings) < 0) {
        cli_fail("%s: %s", file, findings.data);
    } else {
        struct conf_reader reader = conf_file_reader();
        conf = conf_load(file, text_span(&content), CONF_NO_NODE, &reader, &findings);
        if (!conf)
            fputs(findings.data, stderr);
    }
    text_clear(&content);
    text_clear(&findings);
    return conf;
}

static int test(const struct cli_arguments *arguments, const struct conf *conf)
{
    struct trial trial = {.site = find_site(arguments, conf)};
    int status = CLI_FAILED;
    if (trial.site && read_facts(arguments, &trial.facts) && parse_request(arguments, &trial)) {
        trial.facts.head = &trial.head;
        trial.matcher = rules_matcher_new(0);
        rules_decide(trial.site->rules, trial.matcher, &trial.facts, &trial.arena, &trial.decision);
        status = cli_value(arguments, "json") ? print_json(&trial) : print_plain(&trial);
        rules_matcher_free(&trial.matcher);
    }
    arena_clear(&trial.arena);
    return status;
}

static int run(const struct cli_arguments *arguments)
{
    const char *file = cli_value(arguments, "config");
    if (strcmp(arguments->words[0], "test") != 0) {
        cli_fail("rules: '%s' is not what it does; did you mean 'test'?", arguments->words[0]);
        return CLI_USAGE;
    }
    struct conf *conf = load(file ? file : CLI_CONFIG_FILE);
    int status = conf ? test(arguments, conf) : CLI_FAILED;
    conf_free(conf);
    return status;
}

static const struct cli_option options[] = {
    {"config", 'c', "FILE", "the configuration; default " CLI_CONFIG_FILE},
    {"site", 0, "NAME", "whose rules; default that of --host, or the only one"},
    {"request", 0, "LINE", "'GET /x?y'; default GET /"},
    {"header", 0, "FIELD", "'Name: value'; may be given several times"},
    {"host", 0, "NAME", "default the first of the site"},
    {"client", 0, "ADDRESS", "who asks; default 192.0.2.1"},
    {"country", 0, "CODE", "where the client is"},
    {"tls", 0, "VERSION", "1.2 or 1.3: it comes over TLS"},
    {"server-name", 0, "NAME", "and asked for this name"},
    {"certificate", 0, NULL, "and showed a certificate that was verified"},
    {"rtt", 0, "MS", "round trip of the site's best link"},
    {"loss", 0, "PERCENT", "its loss"},
    {"load", 0, "PERCENT", "load of the site"},
    {"json", 0, NULL, "everything, as one JSON object"},
    {0}};
const struct cli_verb verb_rules = {
    .name = "rules",
    .words = "test",
    .summary = "Show what a site's rules do with a request",
    .help = "Which rules match, what each of them does, and what becomes of the request. Nothing "
            "is asked of a running node; what is not said of the\nrequest is not known, and "
            "matches nothing. Rate limits are shown, not counted.",
    .example = "causeway rules test --site shop --request 'GET /admin/' --client 203.0.113.9",
    .least_words = 1,
    .most_words = 1,
    .options = options,
    .run = run,
};
