/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway latency: what a DNS node knows of the round trips between a client's network and the edges.
 */
#include "cli/node.h"

#include <stdio.h>
#include <stdlib.h>

static int print_table(json_t *latencies)
{
    struct text text = {0};
    json_t *row;
    size_t index;
    if (!json_array_size(latencies))
        text_add(&text, "nothing is known of this network\n");
    else
        text_add_format(&text, "%-16s %-9s %10s %8s %8s\n", "edge", "from", "rtt", "samples",
                        "age");
    json_array_foreach(latencies, index, row)
    {
        char rtt[32] = "silent";
        if (!json_is_true(json_object_get(row, "silent")))
            snprintf(rtt, sizeof rtt, "%.1f ms",
                     (double)json_integer_value(json_object_get(row, "rtt_us")) / 1000);
        text_add_format(&text, "%-16s %-9s %10s %8lld %6lld s\n",
                        json_string_value(json_object_get(row, "edge")),
                        json_string_value(json_object_get(row, "source")), rtt,
                        (long long)json_integer_value(json_object_get(row, "samples")),
                        (long long)json_integer_value(json_object_get(row, "ms_ago")) / 1000);
    }
    return cli_print(&text);
}

static int run(const struct cli_arguments *arguments)
{
    json_t *reply = node_ask(arguments, json_pack("{s:s, s:s}", "verb", "latency", "client",
                                                  arguments->words[0]));
    if (!reply)
        return CLI_FAILED;
    json_t *answer = json_array_get(json_object_get(reply, "answers"), 0);
    const char *error = json_string_value(json_object_get(answer, "error"));
    json_t *latencies = json_object_get(answer, "latencies");
    int status;
    if (error)
        status = cli_fail("latency: '%s': %s", arguments->words[0], error);
    else if (!latencies)
        status = cli_fail("this node has no DNS role: nothing is told to it");
    else
        status = cli_value(arguments, "json") ? node_print_json(latencies) : print_table(latencies);
    json_decref(reply);
    return status;
}

static const struct cli_option options[] = {NODE_OPTIONS,
                                            {"json", 0, NULL, "as JSON, for programs"},
                                            {0}};
const struct cli_verb verb_latency = {
    .name = "latency",
    .words = "ADDRESS",
    .summary = "Show how far a client's network is from the edges",
    .help = "Asks a DNS node what visitors' connections and probes have shown of the network of "
            "the address\n"
            "(its /24, its /48).",
    .example = "causeway latency 192.0.2.7 -c causeway.yaml",
    .least_words = 1,
    .most_words = 1,
    .options = options,
    .run = run,
};
