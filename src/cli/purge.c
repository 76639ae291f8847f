/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway purge: what edges have of a site is gone, or stale (C2). The node numbers it and writes it down; then this waits until the edges have
 * done it.
 */
#include "cli/node.h"

#include <stdlib.h>

enum {
    PURGE_NOT_EVERYWHERE = 3, /* exit status: it is written down, and some edge has yet to do it */
    POLL_MS = 20,
    WRITE_MS = 10000, /* longest wait for the gateway's disk */
};

static json_t *ask(const struct cli_arguments *arguments, json_t *question)
{
    json_object_set_new(question, "verb", json_string("purge"));
    json_object_set_new(question, "site", json_string(arguments->words[0]));
    return node_ask_well(arguments, question, "the process that numbers purges did not answer",
                         "this node is no gateway: run it at the site's first gateway");
}

/* What the options name. */
static json_t *read_items(const struct cli_arguments *arguments)
{
    static const char *const kinds[] = {"url", "prefix", "tag"};
    json_t *items = json_array();
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t at = 0;
        for (const char *what; (what = cli_next_value(arguments, kinds[i], &at)) != NULL;) {
            json_t *text = json_string(what);
            json_array_append_new(items, json_pack("{s:s, s:o}", "kind", kinds[i], "what",
                                                   text ? text : json_string("")));
        }
    }
    if (cli_value(arguments, "all"))
        json_array_append_new(items, json_pack("{s:s}", "kind", "all"));
    return items;
}

static bool is_any(json_t *answer, const char *state)
{
    size_t index;
    json_t *edge;
    json_array_foreach(json_object_get(answer, "edges"), index,
                       edge) if (strcmp(node_string(edge, "state"), state) == 0) return true;
    return false;
}

/* Until no edge is late, or time is up. */
static json_t *wait_for_edges(const struct cli_arguments *arguments, json_int_t ticket,
                              long wait_ms)
{
    long waited_ms = 0;
    for (;;) {
        json_t *answer =
            ask(arguments, json_pack("{s:s, s:I}", "action", "look", "ticket", ticket));
        bool is_writing = answer && strcmp(node_string(answer, "state"), "writing") == 0;
        if (!answer || (!is_writing && (!is_any(answer, "late") || waited_ms >= wait_ms)))
            return answer;
        json_decref(answer);
        if (is_writing && waited_ms >= WRITE_MS) {
            cli_fail("the purge is not written down yet: the gateway's disk does not answer");
            return NULL;
        }
        node_pause_ms(POLL_MS);
        waited_ms += POLL_MS;
    }
}

static int print(const struct cli_arguments *arguments, json_t *answer)
{
    static const struct {
        const char *state, *text;
    } texts[] = {{"done", "done"},
                 {"late", "late: it is connected, and has not done it yet"},
                 {"away", "away: it does it before it serves from its store again"}};
    struct text text = {0};
    size_t index;
    json_t *edge;
    if (cli_value(arguments, "json"))
        return node_print_json(answer);
    text_add_format(&text, "site %s: purge %.0f\n", arguments->words[0],
                    node_number(answer, "last"));
    json_array_foreach(json_object_get(answer, "edges"), index, edge)
    {
        const char *state = node_string(edge, "state");
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
            if (strcmp(state, texts[i].state) == 0)
                text_add_format(&text, "edge %-20s %s\n", node_string(edge, "name"), texts[i].text);
    }
    return cli_print(&text);
}

static int run(const struct cli_arguments *arguments)
{
    const char *value = cli_value(arguments, "wait");
    char *end = NULL;
    double wait_s = value ? strtod(value, &end) : 5;
    if (value && (end == value || *end || !(wait_s >= 0 && wait_s <= 3600))) {
        cli_fail("--wait is a number of seconds from 0 to 3600, not '%s'", value);
        return CLI_USAGE;
    }
    json_t *items = read_items(arguments);
    if (!json_array_size(items)) {
        json_decref(items);
        cli_fail("purge: of what? --url, --prefix, --tag or --all");
        return CLI_USAGE;
    }
    json_t *ticket = ask(arguments, json_pack("{s:s, s:o, s:b}", "action", "do", "items", items,
                                              "soft", cli_value(arguments, "soft") != NULL));
    if (!ticket)
        return CLI_FAILED;
    json_t *answer =
        wait_for_edges(arguments, json_integer_value(json_object_get(ticket, "ticket")),
                       (long)(wait_s * 1000));
    json_decref(ticket);
    if (!answer)
        return CLI_FAILED;
    int status = print(arguments, answer);
    if (status == CLI_DONE && (is_any(answer, "late") || is_any(answer, "away")))
        status = PURGE_NOT_EVERYWHERE;
    json_decref(answer);
    return status;
}

static const struct cli_option options[] = {
    NODE_OPTIONS,
    {"url", 'u', "URL", "all that is stored of it; without http:// or https:// of both"},
    {"prefix", 'p', "URL", "of all URLs that begin so"},
    {"tag", 't', "TAG", "of all answers with it in Cache-Tag or Surrogate-Key"},
    {"all", 'a', NULL, "everything of the site"},
    {"soft", 's', NULL, "stale instead of gone: asked for anew, and used where the origin fails"},
    {"wait", 'w', "SECONDS", "for edges to do it; default 5"},
    {"json", 0, NULL, "the numbers, and each edge's state, as one JSON object"},
    {0}};
const struct cli_verb verb_purge = {
    .name = "purge",
    .words = "SITE",
    .summary = "Take answers of a site out of the edges' stores",
    .help =
        "At the site's first gateway, which numbers purges and keeps them: an edge that is away "
        "hears of it before it\nserves from its store again. --url, --prefix and --tag may be "
        "given several times. URLs are those that the origin\nsees: as rules rewrote them.\n"
        "Exit status: 0 when every edge of the site has done it, 3 when it is written down and "
        "some edge has yet to\ndo it, 1 when nothing was done.",
    .example = "causeway purge shop --url shop.example/logo.png --tag prices -c causeway.yaml",
    .least_words = 1,
    .most_words = 1,
    .options = options,
    .run = run,
};
