/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway hot: what visitors of a site ask an edge for most; the list by which another edge is warmed (S10).
 */
#include "cli/node.h"

#include <stdlib.h>

static int print_urls(json_t *urls)
{
    struct text text = {0};
    json_t *row;
    size_t index;
    json_array_foreach(urls, index, row)
        text_add_format(&text, "%s\n", json_string_value(json_object_get(row, "url")));
    return cli_print(&text);
}

static int run(const struct cli_arguments *arguments)
{
    const char *count = cli_value(arguments, "count");
    json_t *reply =
        node_ask(arguments, json_pack("{s:s, s:s, s:i}", "verb", "hot", "site", arguments->words[0],
                                      "most", count ? atoi(count) : 0));
    if (!reply)
        return CLI_FAILED;
    json_t *answer = json_array_get(json_object_get(reply, "answers"), 0);
    const char *error = json_string_value(json_object_get(answer, "error"));
    json_t *urls = json_object_get(answer, "hot");
    int status;
    if (error)
        status = cli_fail("hot: '%s': %s", arguments->words[0], error);
    else if (!urls)
        status = cli_fail("this node is no edge: it keeps no answers");
    else
        status = cli_value(arguments, "json") ? node_print_json(urls) : print_urls(urls);
    json_decref(reply);
    return status;
}

static const struct cli_option options[] = {
    NODE_OPTIONS,
    {"count", 0, "N", "so many, 10000 at most; default 1000"},
    {"json", 0, NULL, "as JSON, for programs, with how often each was found"},
    {0}};
const struct cli_verb verb_hot = {
    .name = "hot",
    .words = "SITE",
    .summary = "List what visitors of a site ask an edge for most",
    .help = "The URLs that an edge stores and was asked for most often, one in each line, the most "
            "popular first.\n"
            "Another edge fetches them when it starts, where its setting edge.cache.prefetch names "
            "a file of them.",
    .example = "causeway hot shop -c causeway.yaml > hot.txt",
    .least_words = 1,
    .most_words = 1,
    .options = options,
    .run = run,
};
