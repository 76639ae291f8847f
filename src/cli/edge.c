/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway edge: an administrator's word on an edge. To a DNS node it concerns the answers, to the
 * edge itself what it reports and how it treats its clients.
 */
#include "cli/node.h"

#include <stdio.h>

static const char *const actions[] = {"up", "drain", "down"};

static int run(const struct cli_arguments *arguments)
{
    const char *action = arguments->words[0], *name = arguments->words[1];
    bool is_known = false;
    for (size_t i = 0; i < 3; i++)
        is_known |= strcmp(action, actions[i]) == 0;
    if (!is_known) {
        const char *nearest = nearest_word(action, actions, 3);
        cli_fail("edge: '%s' is none of up, drain, down%s%s", action,
                 nearest ? "; did you mean " : "", nearest ? nearest : "");
        return CLI_USAGE;
    }
    json_t *reply = node_ask(arguments, json_pack("{s:s, s:s, s:s}", "verb", "edge", "action",
                                                  action, "name", name));
    if (!reply)
        return CLI_FAILED;
    int status = json_array_size(json_object_get(reply, "answers"))
                     ? node_print_answers(reply)
                     : cli_fail("this node knows no edge '%s'", name);
    json_decref(reply);
    return status;
}

static const struct cli_option options[] = {NODE_OPTIONS, {0}};
const struct cli_verb verb_edge = {
    .name = "edge",
    .words = "up|drain|down NAME",
    .summary = "Take an edge out of the answers, or back in",
    .help = "Ask a DNS node, or the edge itself. down: it is named to nobody; drain: only when no "
            "other is left; up:\n"
            "its own reports decide again. It holds over reloads, until the node is started anew.",
    .example = "causeway edge drain fra -c causeway.yaml",
    .least_words = 2,
    .most_words = 2,
    .options = options,
    .run = run,
};
