/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway link: what the links of a running node are like.
 */
#include "base/memory.h"
#include "cli/link_show.h"
#include "cli/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_json(json_t *value)
{
    struct text text = {0};
    char *json = json_dumps(value, JSON_INDENT(2));
    text_add_format(&text, "%s\n", json ? json : "{}");
    free(json);
    json_decref(value);
    return cli_print(&text);
}

/* What the node says to a question about links: a new reference, or NULL after a sentence. */
static json_t *ask(const struct cli_arguments *arguments, json_t *question)
{
    json_object_set_new(question, "verb", json_string("link"));
    json_t *reply = node_ask(arguments, question);
    if (!reply)
        return NULL;
    json_t *answer = json_incref(json_array_get(json_object_get(reply, "answers"), 0));
    bool is_missing = json_array_size(json_object_get(reply, "missing")) > 0;
    json_decref(reply);
    if (!answer) {
        cli_fail(is_missing ? "the process that has the links did not answer"
                            : "this node is neither edge nor gateway: it has no links");
        return NULL;
    }
    const char *error = json_string_value(json_object_get(answer, "error"));
    if (!error)
        return answer;
    json_t *peers = json_object_get(answer, "peers");
    size_t count = json_array_size(peers);
    const char **names = memory_new((count + 1) * sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = json_string_value(json_array_get(peers, i));
    const char *asked = json_string_value(json_object_get(answer, "asked"));
    const char *nearest = asked ? nearest_word(asked, names, count) : NULL;
    cli_fail("%s%s%s%s", error, nearest ? "; did you mean '" : "", nearest ? nearest : "",
             nearest ? "'?" : "");
    memory_free((void *)names);
    json_decref(answer);
    return NULL;
}

static int show(const struct cli_arguments *arguments, const char *peer)
{
    json_t *answer = ask(arguments, json_pack("{s:s, s:s?, s:b}", "action", "show", "peer", peer,
                                              "history", true));
    if (!answer)
        return CLI_FAILED;
    if (cli_value(arguments, "json"))
        return print_json(answer);
    struct text text = {0};
    json_t *links = json_object_get(answer, "links"), *link;
    size_t index;
    if (!peer)
        link_show_all(links, &text);
    json_array_foreach(links, index, link)
    {
        if (!peer)
            break;
        text_add(&text, index ? "\n" : "");
        link_show_one(link, &text);
    }
    json_decref(answer);
    return cli_print(&text);
}

static int run(const struct cli_arguments *arguments)
{
    return show(arguments, arguments->word_count ? arguments->words[0] : NULL);
}

static const struct cli_option options[] = {NODE_OPTIONS,
                                            {"json", 0, NULL, "everything, as one JSON object"},
                                            {0}};
const struct cli_verb verb_link = {
    .name = "link",
    .words = "PEER",
    .summary = "Show the links of a running node: quality both ways, paths, rings, the last hour",
    .help = "Without PEER all links in short, those with something wrong first.",
    .example = "causeway link fra -c causeway.yaml",
    .most_words = 1,
    .options = options,
    .run = run,
};
