/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway queue: who waits at a gateway for which origins, and for how long.
 */
#include "cli/node.h"

static const char *word_of(json_t *server)
{
    if (json_is_true(json_object_get(server, "leaving")))
        return "leaves";
    if (!json_is_true(json_object_get(server, "usable")))
        return node_number(server, "weight") > 0 ? "down" : "drained";
    return node_number(server, "weight") > 0 ? "" : "nothing new";
}

static void add_queue(struct text *text, json_t *queue)
{
    json_t *row;
    size_t index;
    const char *reason;
    text_add_format(text,
                    "%s: %.0f waiting, %.0f pending of %.0f slots, load %.1f %%, %.1f a second",
                    node_string(queue, "site"), node_number(queue, "waiting"),
                    node_number(queue, "pending"), node_number(queue, "slots"),
                    node_number(queue, "load_permille") / 10, node_number(queue, "per_second"));
    if (node_number(queue, "waiting") > 0)
        text_add_format(text, ", served in %.0f ms", node_number(queue, "drain_ms"));
    text_add_format(text, "\n  %-7s %9s %12s %12s\n", "class", "waiting", "would wait", "served");
    json_array_foreach(json_object_get(queue, "classes"), index, row)
        text_add_format(text, "  %-7zu %9.0f %9.0f ms %12.0f  %s\n", index,
                        node_number(row, "waiting"), node_number(row, "wait_ms"),
                        node_number(row, "launched"),
                        json_is_true(json_object_get(row, "stands")) ? "stands" : "");
    text_add_format(text, "  %-30s %8s %8s %10s %10s %8s\n", "origin", "pending", "slots", "takes",
                    "served", "failed");
    json_array_foreach(json_object_get(queue, "servers"), index, row) text_add_format(
        text, "  %-30s %8.0f %7.0f%s %7.0f ms %10.0f %8.0f  %s\n", node_string(row, "address"),
        node_number(row, "pending"), node_number(row, "slots"),
        json_is_true(json_object_get(row, "found")) ? "*" : " ", node_number(row, "service_ms"),
        node_number(row, "finished"), node_number(row, "failed"), word_of(row));
    text_add_format(text, "  refused:");
    json_object_foreach(json_object_get(queue, "dropped"), reason, row)
        text_add_format(text, " %s %lld", reason, (long long)json_integer_value(row));
    text_add_format(text, ", left %.0f\n", node_number(queue, "cancelled"));
}

static int print_queues(json_t *queues)
{
    struct text text = {0};
    json_t *queue;
    size_t index;
    if (!json_array_size(queues))
        text_add(&text, "no request has come yet\n");
    json_array_foreach(queues, index, queue) add_queue(&text, queue);
    return cli_print(&text);
}

static int run(const struct cli_arguments *arguments)
{
    json_t *question = json_pack("{s:s}", "verb", "queue");
    if (arguments->word_count)
        json_object_set_new(question, "site", json_string(arguments->words[0]));
    json_t *reply = node_ask(arguments, question);
    if (!reply)
        return CLI_FAILED;
    json_t *answer = json_array_get(json_object_get(reply, "answers"), 0);
    const char *error = json_string_value(json_object_get(answer, "error"));
    json_t *queues = json_object_get(answer, "queues");
    int status;
    if (error)
        status = cli_fail("queue: '%s': %s", arguments->words[0], error);
    else if (!queues)
        status = cli_fail("this node is no gateway: nothing waits here for origins");
    else
        status = cli_value(arguments, "json") ? node_print_json(queues) : print_queues(queues);
    json_decref(reply);
    return status;
}

static const struct cli_option options[] = {NODE_OPTIONS,
                                            {"json", 0, NULL, "as JSON, for programs"},
                                            {0}};
const struct cli_verb verb_queue = {
    .name = "queue",
    .words = "SITE",
    .summary = "Show who waits at a gateway for which origins",
    .help =
        "For each site, or one: how many requests wait in each class and how long one that comes "
        "now would\nwait; how many requests each origin has pending of how many slots (* found "
        "by measuring), how long it\ntakes for one. Sites that share an origin share a queue.",
    .example = "causeway queue shop -c causeway.yaml",
    .least_words = 0,
    .most_words = 1,
    .options = options,
    .run = run,
};
