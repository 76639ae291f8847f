/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway origin: takes an origin out of service for work on it, and back; shows how origins are. Orders are of the node that is asked: each
 * gateway of a site has its own.
 */
#include "cli/node.h"

#include <stdlib.h>

enum {
    ORIGIN_STILL_BUSY =
        3,           /* exit status: the order holds, and requests are still under way there */
    POLL_MS = 150,   /* longer than gateways' reports are apart, so that two differ */
    QUIET_POLLS = 2, /* in which nothing was under way */
    WAIT_MOST_S = 86400,
};

static const char *const actions[] = {"drain", "maintain", "return", "show"};

/* NULL after a sentence. */
static json_t *ask(const struct cli_arguments *arguments, json_t *question)
{
    json_object_set_new(question, "verb", json_string("origin"));
    return node_ask_well(arguments, question, "the gateway's process did not answer",
                         "this node is no gateway");
}

static json_t *ask_show(const struct cli_arguments *arguments, const char *site)
{
    json_t *question = json_pack("{s:s}", "action", "show");
    if (site)
        json_object_set_new(question, "site", json_string(site));
    return ask(arguments, question);
}

/* ---- orders */

/* Requests at the origin, or -1 after a sentence. */
static double count_pending(const struct cli_arguments *arguments, const char *site,
                            const char *origin)
{
    double pending = 0;
    size_t index;
    json_t *row, *shown = ask_show(arguments, site);
    if (!shown)
        return -1;
    json_array_foreach(json_object_get(shown, "origins"), index,
                       row) if (strcmp(node_string(row, "origin"), origin) == 0) pending +=
        node_number(row, "pending");
    json_decref(shown);
    return pending;
}

static int wait_until_quiet(const struct cli_arguments *arguments, const json_t *given, long wait_s)
{
    double pending = 0;
    for (long waited_ms = 0, quiet = 0; quiet < QUIET_POLLS; waited_ms += POLL_MS) {
        node_pause_ms(POLL_MS);
        pending =
            count_pending(arguments, node_string(given, "site"), node_string(given, "origin"));
        if (pending < 0)
            return CLI_FAILED;
        quiet = pending > 0 ? 0 : quiet + 1;
        if (pending > 0 && waited_ms >= wait_s * 1000) {
            cli_fail("%.0f requests are still under way at %s", pending,
                     node_string(given, "origin"));
            return ORIGIN_STILL_BUSY;
        }
    }
    return CLI_DONE;
}

static int print_order(const struct cli_arguments *arguments, const json_t *given)
{
    struct text text = {0};
    if (cli_value(arguments, "json"))
        return node_print_json(given);
    text_add_format(&text, "site %s: origin %s is %s\n", node_string(given, "site"),
                    node_string(given, "origin"), node_string(given, "state"));
    if (json_is_false(json_object_get(given, "is_lasting")))
        text_add(&text, "it could not be written down: it ends with the gateway's process\n");
    return cli_print(&text);
}

static int order(const struct cli_arguments *arguments, long wait_s)
{
    if (arguments->word_count != 3) {
        cli_fail("origin: %s which origin of which site?", arguments->words[0]);
        return CLI_USAGE;
    }
    json_t *given =
        ask(arguments, json_pack("{s:s, s:s, s:s, s:b}", "action", arguments->words[0], "site",
                                 arguments->words[1], "origin", arguments->words[2], "force",
                                 cli_value(arguments, "force") != NULL));
    if (!given)
        return CLI_FAILED;
    int status = CLI_DONE;
    if (wait_s >= 0 && strcmp(arguments->words[0], "return") != 0)
        status = wait_until_quiet(arguments, given, wait_s);
    if (status == CLI_DONE)
        status = print_order(arguments, given);
    json_decref(given);
    return status;
}

/* ---- show */

static void add_origin(struct text *text, json_t *row)
{
    size_t index;
    json_t *server;
    text_add_format(text, "%-16s %-32s %-15s", node_string(row, "site"), node_string(row, "origin"),
                    node_string(row, "state"));
    json_array_foreach(json_object_get(row, "servers"), index, server)
    {
        text_add_format(text, "%s%*s%-22s %4.0f of %.0f %s", index ? "\n" : "", index ? 66 : 1, "",
                        node_string(server, "address"), node_number(server, "pending"),
                        node_number(server, "slots"), node_string(server, "condition"));
        if (node_number(server, "ejected_s") > 0)
            text_add_format(text, " for %.0f s", node_number(server, "ejected_s"));
    }
    text_add(text, "\n");
}

static int show(const struct cli_arguments *arguments)
{
    struct text text = {0};
    size_t index;
    json_t *row, *shown;
    if (arguments->word_count > 2) {
        cli_fail("origin: show takes a site at most");
        return CLI_USAGE;
    }
    shown = ask_show(arguments, arguments->word_count == 2 ? arguments->words[1] : NULL);
    if (!shown)
        return CLI_FAILED;
    if (cli_value(arguments, "json")) {
        int status = node_print_json(shown);
        json_decref(shown);
        return status;
    }
    text_add_format(&text, "%-16s %-32s %-15s %-22s %s\n", "site", "origin", "order", "address",
                    "under way, condition");
    json_array_foreach(json_object_get(shown, "origins"), index, row) add_origin(&text, row);
    json_decref(shown);
    return cli_print(&text);
}

static int run(const struct cli_arguments *arguments)
{
    const char *action = arguments->words[0], *value = cli_value(arguments, "wait");
    char *end = NULL;
    long wait_s = value ? strtol(value, &end, 10) : -1;
    if (value && (end == value || *end || wait_s < 0 || wait_s > WAIT_MOST_S)) {
        cli_fail("--wait is a number of seconds up to %d, not '%s'", WAIT_MOST_S, value);
        return CLI_USAGE;
    }
    for (size_t i = 0; i < 3; i++)
        if (strcmp(action, actions[i]) == 0)
            return order(arguments, wait_s);
    if (strcmp(action, "show") == 0)
        return show(arguments);
    const char *nearest = nearest_word(action, actions, 4);
    cli_fail("origin: '%s' is none of drain, maintain, return, show%s%s", action,
             nearest ? "; did you mean " : "", nearest ? nearest : "");
    return CLI_USAGE;
}

static const struct cli_option options[] = {NODE_OPTIONS,
                                            {"wait", 'w', "SECONDS",
                                             "until nothing is under way there"},
                                            {"force", 'f', NULL, "even the last origin in service"},
                                            {"json", 0, NULL, "as one JSON object"},
                                            {0}};
const struct cli_verb verb_origin = {
    .name = "origin",
    .words = "drain|maintain|return|show [SITE [ORIGIN]]",
    .summary = "Take an origin out of service, or back in",
    .help =
        "Ask a gateway; each has orders of its own. drain: nothing new goes there, what is under "
        "way ends by itself.\nmaintain: nor are connections to it kept, nor is it checked. "
        "return: it serves again, slowly at first. show: how\nthe origins of a site, or of all, "
        "are. An origin is named as in the configuration, or by host and port.\nOrders hold over "
        "reloads and upgrades, until the node is started anew.\nExit status: 0 when it is done, "
        "3 when requests are still under way after --wait, 1 when nothing was done.",
    .example = "causeway origin drain shop 10.0.0.7:8080 --wait 60 -c causeway.yaml",
    .least_words = 1,
    .most_words = 3,
    .options = options,
    .run = run,
};
