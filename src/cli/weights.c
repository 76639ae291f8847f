/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway weights: how links divide themselves between priorities and sites, and origins between classes, changed while they run (T3,
 * T4, L10).
 */
#include "cli/node.h"

#include "conf/conf.h"

#include <stdlib.h>

enum { WEIGHT_MOST = 255, SHARE_MOST = 100 };

static const struct kind {
    const char *word, *whose;
    size_t numbers;
    long least, most, sum_most;
    const char *needs;
} kinds[] = {
    {"peer", "peer", CONF_RINGS, 1, WEIGHT_MOST, CONF_RINGS *WEIGHT_MOST,
     "a peer needs five weights, the most urgent first"},
    {"site", "site", 1, 1, WEIGHT_MOST, WEIGHT_MOST, "a site needs one weight"},
    {"shares", "site", CONF_RINGS, 0, SHARE_MOST, SHARE_MOST,
     "a site's classes need five shares, the most urgent first"},
};

/* NULL: told why not. */
static json_t *read_numbers(const struct cli_arguments *arguments, const struct kind *kind)
{
    json_t *numbers = json_array();
    long sum = 0;
    for (size_t i = 2; i < arguments->word_count; i++) {
        char *end;
        long number = strtol(arguments->words[i], &end, 10);
        if (*end || end == arguments->words[i] || number < kind->least || number > kind->most) {
            json_decref(numbers);
            cli_fail("weights: '%s' is not a number from %ld to %ld", arguments->words[i],
                     kind->least, kind->most);
            return NULL;
        }
        sum += number;
        json_array_append_new(numbers, json_integer(number));
    }
    if (sum <= kind->sum_most)
        return numbers;
    json_decref(numbers);
    cli_fail("weights: these shares are %ld percent together", sum);
    return NULL;
}

static int run(const struct cli_arguments *arguments)
{
    const char *what = arguments->words[0];
    const struct kind *kind = kinds;
    while (kind < kinds + sizeof kinds / sizeof *kinds && strcmp(what, kind->word) != 0)
        kind++;
    if (kind == kinds + sizeof kinds / sizeof *kinds) {
        cli_fail("weights: '%s' is neither peer nor site nor shares", what);
        return CLI_USAGE;
    }
    if (arguments->word_count != 2 + kind->numbers) {
        cli_fail("weights: %s", kind->needs);
        return CLI_USAGE;
    }
    json_t *weights = read_numbers(arguments, kind);
    if (!weights)
        return CLI_USAGE;
    json_t *reply = node_ask(arguments, json_pack("{s:s, s:s, s:o}", "verb", "weights", what,
                                                  arguments->words[1], "weights", weights));
    if (!reply)
        return CLI_FAILED;
    int status = json_array_size(json_object_get(reply, "answers"))
                     ? node_print_answers(reply)
                     : cli_fail("this node knows no %s '%s'", kind->whose, arguments->words[1]);
    json_decref(reply);
    return status;
}

static const struct cli_option options[] = {NODE_OPTIONS, {0}};
const struct cli_verb verb_weights = {
    .name = "weights",
    .words = "peer|site|shares NAME NUMBER...",
    .summary = "Change how link and origins are divided",
    .help = "peer: five weights of the priorities for what this node sends to that one, the most "
            "urgent "
            "first, as\nlink.weights says it. site: the site's share of its priority, as its "
            "weight says "
            "it; 16 is ordinary.\nshares: what each class of a site gets at least of its origins' "
            "time, in percent, as its queue.shares\nsays it: in an edge's own buffer and in a "
            "gateway's queue, so tell it to both.\nIt holds until the configuration is loaded "
            "again.",
    .example = "causeway weights peer ams 32 8 4 2 1 -c causeway.yaml",
    .least_words = 3,
    .most_words = 2 + CONF_RINGS,
    .options = options,
    .run = run,
};
