/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway explain: why a client is sent to the edges that it is sent to (R6), and where it would be sent if.
 */
#include "cli/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 12 }; /* candidates, unless all are asked for */

static const char *string_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

static double number_of(json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void add_list(struct text *text, json_t *names)
{
    size_t index;
    json_t *name;
    if (!json_array_size(names))
        text_add(text, "nobody");
    json_array_foreach(names, index, name)
        text_add_format(text, "%s%s", index ? ", " : "", json_string_value(name));
}

static void add_head(struct text *text, json_t *told)
{
    text_add_format(text, "%s for %s: ", string_of(told, "name"), string_of(told, "client"));
    add_list(text, json_object_get(told, "answered"));
    text_add_format(text, "\n\n  for       %.0f s, to all of %s (ECS scope %.0f)\n",
                    number_of(told, "ttl_s"), string_of(told, "network"),
                    number_of(told, "scope_bits"));
    text_add_format(text, "  region    %s%s\n", string_of(told, "region"),
                    json_is_true(json_object_get(told, "measured"))
                        ? "; the network has a ranking of its own"
                        : "; ranked as all of its area");
    text_add_format(text, "  policy    %s\n", string_of(told, "policy"));
    text_add_format(text, "  ranking   %.1f s old, %.0f candidates looked at%s\n",
                    number_of(told, "ranked_ms_ago") / 1000, number_of(told, "evaluated"),
                    json_is_true(json_object_get(told, "cut_short")) ? ", search cut short" : "");
    if (json_is_string(json_object_get(told, "challenger")))
        text_add_format(text, "  kept      %s; %s is better since %.1f s (by %.1f ms it must be)\n",
                        string_of(told, "incumbent"), string_of(told, "challenger"),
                        number_of(told, "waiting_ms") / 1000, number_of(told, "margin_ms"));
    if (json_is_true(json_object_get(told, "unfiltered")))
        text_add(text, "  !         the filters left nobody and were passed over\n");
    if (json_is_true(json_object_get(told, "forsaken")))
        text_add(text, "  !         no edge of the site is good: the answer is a last resort\n");
}

static void add_age(struct text *text, json_t *value)
{
    if (json_is_integer(json_object_get(value, "ms_ago")))
        text_add_format(text, " %.0f s ago", number_of(value, "ms_ago") / 1000);
}

/* "latency 21.0 ms (passive 3 s ago, 90 %)": what is known, or what the score has of it. */
static void add_value(struct text *text, const char *name, json_t *value)
{
    json_t *known = json_object_get(value, "value");
    const char *unit = string_of(value, "unit"), *from = string_of(value, "from");
    double confidence = number_of(value, "confidence");
    if (!json_is_number(known) && strcmp(from, "unknown") == 0)
        return;
    text_add_format(text, "      %-12s", name);
    if (json_is_number(known))
        text_add_format(text, " %8.4g %-18s", json_number_value(known), unit);
    else
        text_add_format(text, " %8s %-18s", "-", unit);
    text_add_format(text, " %+8.2f ms  %s", number_of(value, "penalty_ms"), from);
    add_age(text, value);
    if (confidence > 0 && confidence < 1)
        text_add_format(text, ", %.0f %% sure", confidence * 100);
    text_add(text, "\n");
}

static void add_candidate(struct text *text, size_t place, json_t *candidate, bool is_whole)
{
    json_t *score = json_object_get(candidate, "score"), *value;
    const char *name;
    text_add_format(text, "%4zu %-16s %-10s", place, string_of(candidate, "edge"),
                    string_of(candidate, "fate"));
    if (json_is_number(score))
        text_add_format(text, " %10.2f", json_number_value(score));
    else
        text_add_format(text, " %10s", "-");
    text_add_format(text, "  %-9s via %-12s", string_of(candidate, "state"),
                    string_of(candidate, "gateway"));
    if (json_is_number(json_object_get(candidate, "step")))
        text_add_format(text, " by step %.0f", number_of(candidate, "step"));
    if (number_of(candidate, "share") < 1)
        text_add_format(text, " takes %.0f %% of its clients", number_of(candidate, "share") * 100);
    if (number_of(candidate, "flaps") >= 1)
        text_add_format(text, " flaps %.0f", number_of(candidate, "flaps"));
    if (json_is_true(json_object_get(candidate, "pardoned")))
        text_add(text, " pardoned: too few others are left");
    text_add(text, "\n");
    if (is_whole)
        json_object_foreach(json_object_get(candidate, "values"), name, value)
            add_value(text, name, value);
}

static void add_exit(struct text *text, size_t place, json_t *exit)
{
    size_t index;
    json_t *server;
    text_add_format(text, "%4zu by %-12s %10.2f ms %7.1f %%\n", place, string_of(exit, "border"),
                    number_of(exit, "metric_ms"), number_of(exit, "chance") * 100);
    json_array_foreach(json_object_get(exit, "servers"), index, server)
        text_add_format(text, "      %-16s at %-12s %5.0f available  %s\n",
                        string_of(server, "name"), string_of(server, "place"),
                        number_of(server, "availability"), string_of(server, "url"));
}

/* Of content servers: server and exit are drawn, by these chances. */
static void add_exits(struct text *text, json_t *told)
{
    size_t index;
    json_t *exit;
    text_add_format(text, "%s for %s: redirected to the servers of %s\n\n     %-15s %13s %9s\n",
                    string_of(told, "name"), string_of(told, "client"), string_of(told, "site"),
                    "exit", "path metric", "chance");
    json_array_foreach(json_object_get(told, "exits"), index, exit) add_exit(text, index + 1, exit);
}

static int print(const struct cli_arguments *arguments, json_t *told)
{
    struct text text = {0};
    if (json_object_get(told, "exits"))
        add_exits(&text, told);
    if (!json_object_get(told, "candidates") && !json_object_get(told, "alias"))
        return cli_print(&text);
    if (text.length)
        text_add(&text, "\n");
    json_t *candidates = json_object_get(told, "candidates"), *candidate;
    size_t index, most = cli_value(arguments, "all") ? SIZE_MAX : SHOWN;
    if (json_is_string(json_object_get(told, "alias"))) {
        text_add_format(&text, "%s for %s: an alias, %s: another level answers\n",
                        string_of(told, "name"), string_of(told, "client"),
                        string_of(told, "alias"));
        return cli_print(&text);
    }
    add_head(&text, told);
    text_add_format(&text, "\n     %-16s %-10s %10s  %s\n", "edge", "", "score", "reported");
    json_array_foreach(candidates, index, candidate)
    {
        if (index == most) {
            text_add_format(&text, "     ... %zu more: --all\n",
                            json_array_size(candidates) - index);
            break;
        }
        add_candidate(&text, index + 1, candidate,
                      cli_value(arguments, "all") ||
                          strcmp(string_of(candidate, "fate"), "answered") == 0 || index < 3);
    }
    return cli_print(&text);
}

static int show(const struct cli_arguments *arguments, json_t *told)
{
    const char *error = json_string_value(json_object_get(told, "error"));
    if (error)
        return cli_fail("explain: %s", error);
    return cli_value(arguments, "json") ? node_print_json(told) : print(arguments, told);
}

json_t *cli_suppositions(const char *edges, const char *policy)
{
    json_t *list = json_array();
    while (edges && *edges) {
        size_t length = strcspn(edges, ",");
        json_array_append_new(list, json_stringn(edges, length));
        edges += length + (edges[length] == ',');
    }
    if (policy) {
        struct text word = {0};
        text_add_format(&word, "policy=%s", policy);
        json_array_append_new(list, json_string(word.data));
        text_clear(&word);
    }
    return list;
}

/* Of the roles that know the name, what all of them say; else why the first one does not. */
static json_t *merge(json_t *answers)
{
    json_t *told = NULL, *answer;
    size_t index;
    json_array_foreach(answers, index, answer)
    {
        if (json_object_get(answer, "error"))
            continue;
        if (told)
            json_object_update_missing(told, answer);
        else
            told = json_incref(answer);
    }
    return told ? told : json_incref(json_array_get(answers, 0));
}

static int run(const struct cli_arguments *arguments)
{
    const char *client = cli_value(arguments, "client");
    if (!client) {
        cli_fail("explain: whose answer? --client ADDRESS");
        return CLI_USAGE;
    }
    json_t *suppose =
        cli_suppositions(cli_value(arguments, "what-if"), cli_value(arguments, "policy"));
    json_t *reply =
        node_ask(arguments, json_pack("{s:s, s:s, s:s, s:o}", "verb", "explain", "name",
                                      arguments->words[0], "client", client, "suppose", suppose));
    if (!reply)
        return CLI_FAILED;
    json_t *told = merge(json_object_get(reply, "answers"));
    int status = told ? show(arguments, told)
                      : cli_fail("this node has neither the DNS role nor that of the director: ask "
                                 "one that answers");
    json_decref(told);
    json_decref(reply);
    return status;
}

static const struct cli_option options[] = {
    NODE_OPTIONS,
    {"client", 0, "ADDRESS", "who asks: the client, or a resolver that sends no client subnet"},
    {"what-if", 0, "EDGES",
     "suppose edges up, full, draining, dead, down or loaded: "
     "edge=fra:down,edge=nyc:load=950"},
    {"policy", 0, "POLICY", "suppose another policy for the site, as the configuration writes it"},
    {"all", 0, NULL, "every candidate with every value"},
    {"json", 0, NULL, "everything, as one JSON object"},
    {0}};
const struct cli_verb verb_explain = {
    .name = "explain",
    .words = "NAME",
    .summary = "Show why a client is sent where it is sent",
    .help = "The edges that a DNS node names to the client, and all candidates in their order: "
            "what is known of each, from where and how old, "
            "what it\nweighs in the score, and what became of it. Suppositions change nothing. On "
            "a node with the director role: the exits and servers that\nthe client may be "
            "redirected to, and the chance of each.",
    .example = "causeway explain www.shop.example --client 203.0.113.9 --what-if edge=fra:down",
    .least_words = 1,
    .most_words = 1,
    .options = options,
    .run = run,
};
