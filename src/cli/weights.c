/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway weights: how links divide themselves between priorities and sites, changed while they run (T3, T4).
 */
#include "cli/node.h"

#include "conf/conf.h"

#include <stdlib.h>

enum { PEER_WORDS = 2 + CONF_RINGS, SITE_WORDS = 3, WEIGHT_MOST = 255 };

static int run(const struct cli_arguments *arguments)
{
    const char *what = arguments->words[0];
    bool is_peer = strcmp(what, "peer") == 0;
    if (!is_peer && strcmp(what, "site") != 0) {
        cli_fail("weights: '%s' is neither peer nor site", what);
        return CLI_USAGE;
    }
    if (arguments->word_count != (is_peer ? PEER_WORDS : SITE_WORDS)) {
        cli_fail("weights: %s", is_peer ? "a peer needs five weights, the most urgent first"
                                        : "a site needs one weight");
        return CLI_USAGE;
    }
    json_t *weights = json_array();
    for (size_t i = 2; i < arguments->word_count; i++) {
        char *end;
        long weight = strtol(arguments->words[i], &end, 10);
        if (*end || weight < 1 || weight > WEIGHT_MOST) {
            json_decref(weights);
            cli_fail("weights: '%s' is not a weight of 1 to 255", arguments->words[i]);
            return CLI_USAGE;
        }
        json_array_append_new(weights, json_integer(weight));
    }
    json_t *reply = node_ask(arguments, json_pack("{s:s, s:s, s:o}", "verb", "weights", what,
                                                  arguments->words[1], "weights", weights));
    if (!reply)
        return CLI_FAILED;
    int status = json_array_size(json_object_get(reply, "answers"))
                     ? node_print_answers(reply)
                     : cli_fail("this node knows no %s '%s'", what, arguments->words[1]);
    json_decref(reply);
    return status;
}

static const struct cli_option options[] = {NODE_OPTIONS, {0}};
const struct cli_verb verb_weights = {
    .name = "weights",
    .words = "peer|site NAME WEIGHT...",
    .summary = "Change how the link is divided",
    .help = "peer: five weights of the priorities for what this node sends to that one, the most "
            "urgent "
            "first, as\nlink.weights says it. site: the site's share of its priority, as its "
            "weight says "
            "it; 16 is ordinary.\nIt holds until the configuration is loaded again.",
    .example = "causeway weights peer ams 32 8 4 2 1 -c causeway.yaml",
    .least_words = 3,
    .most_words = PEER_WORDS,
    .options = options,
    .run = run,
};
