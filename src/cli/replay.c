/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway replay: what another policy, or the loss of an edge, would have changed for clients that did ask (R6, R11).
 */
#include "base/hash.h"
#include "base/memory.h"
#include "cli/node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CASES_LIMIT = 20000, /* different clients and names; further ones are left out, and told */
    LINE_BYTES = 8192,
    SHOWN = 20,
};

/* One name and client, however often the log has them. */
struct replay_case {
    char *name, *client;
    uint64_t queries;
};

struct replay {
    const struct cli_arguments *arguments;
    json_t *suppose;
    struct replay_case *cases;
    uint32_t count, *slots; /* open addressing: number + 1 */
    uint64_t lines, malformed, left_out;
    uint64_t queries, refused, first_changed, any_changed;
    double was_ms, would_be_ms; /* sums of what is known of the first edge's latency */
    uint64_t latencies;
    json_t *moves; /* "fra -> nyc": queries */
};

enum { SLOTS = 4 * CASES_LIMIT };

static void add_case(struct replay *replay, const char *name, const char *client)
{
    struct text key = {0};
    text_add_format(&key, "%s %s", name, client);
    uint32_t at = (uint32_t)hash_span(text_span(&key), 0) % SLOTS;
    text_clear(&key);
    for (; replay->slots[at]; at = (at + 1) % SLOTS) {
        struct replay_case *other = &replay->cases[replay->slots[at] - 1];
        if (strcmp(other->name, name) == 0 && strcmp(other->client, client) == 0) {
            other->queries++;
            return;
        }
    }
    if (replay->count == CASES_LIMIT) {
        replay->left_out++;
        return;
    }
    replay->cases[replay->count++] = (struct replay_case){memory_text(name, strlen(name)),
                                                          memory_text(client, strlen(client)), 1};
    replay->slots[at] = replay->count;
}

static bool read_log(struct replay *replay, const char *path)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char line[LINE_BYTES];
    if (!file) {
        cli_fail("%s: %s", path, strerror(errno));
        return false;
    }
    while (fgets(line, sizeof line, file)) {
        json_t *said = json_loads(line, 0, NULL);
        const char *name = json_string_value(json_object_get(said, "name"));
        const char *client = json_string_value(json_object_get(said, "client"));
        replay->lines++;
        if (name && client)
            add_case(replay, name, client);
        else
            replay->malformed++;
        json_decref(said);
    }
    bool is_read = !ferror(file);
    if (file != stdin)
        fclose(file);
    if (!is_read)
        cli_fail("%s: it cannot be read to its end", path);
    return is_read;
}

/* What the node says now, or would say; NULL: no answer at all, which has been told. */
static json_t *ask(const struct replay *replay, const struct replay_case *item, bool is_supposed)
{
    json_t *question =
        json_pack("{s:s, s:s, s:s}", "verb", "explain", "name", item->name, "client", item->client);
    if (is_supposed)
        json_object_set(question, "suppose", replay->suppose);
    json_t *reply = node_ask(replay->arguments, question);
    json_t *told = json_incref(json_array_get(json_object_get(reply, "answers"), 0));
    json_decref(reply);
    if (reply && !told)
        cli_fail("this node has no DNS role: ask one that answers names");
    return told;
}

static const char *first_of(json_t *told)
{
    const char *name = json_string_value(json_array_get(json_object_get(told, "answered"), 0));
    return name ? name : "nobody";
}

static double latency_of_first(json_t *told)
{
    json_t *values =
        json_object_get(json_array_get(json_object_get(told, "candidates"), 0), "values");
    json_t *value = json_object_get(json_object_get(values, "latency"), "value");
    return json_is_number(value) ? json_number_value(value) : -1;
}

static void compare(struct replay *replay, const struct replay_case *item, json_t *is,
                    json_t *would_be)
{
    const char *from = first_of(is), *to = first_of(would_be);
    double was_ms = latency_of_first(is), would_be_ms = latency_of_first(would_be);
    replay->queries += item->queries;
    if (!json_equal(json_object_get(is, "answered"), json_object_get(would_be, "answered")))
        replay->any_changed += item->queries;
    if (was_ms >= 0 && would_be_ms >= 0) {
        replay->latencies += item->queries;
        replay->was_ms += was_ms * (double)item->queries;
        replay->would_be_ms += would_be_ms * (double)item->queries;
    }
    if (strcmp(from, to) == 0)
        return;
    replay->first_changed += item->queries;
    struct text move = {0};
    text_add_format(&move, "%s -> %s", from, to);
    json_int_t before = json_integer_value(json_object_get(replay->moves, move.data));
    json_object_set_new(replay->moves, move.data, json_integer(before + (json_int_t)item->queries));
    text_clear(&move);
}

/* False: a mistake in what is supposed, or no node; it has been told. */
static bool run_cases(struct replay *replay)
{
    for (uint32_t i = 0; i < replay->count; i++) {
        const struct replay_case *item = &replay->cases[i];
        json_t *is = ask(replay, item, false), *would_be = is ? ask(replay, item, true) : NULL;
        bool was_known = is && !json_object_get(is, "error");
        const char *error = json_string_value(json_object_get(would_be, "error"));
        bool is_wrong = was_known && error;
        if (is_wrong)
            cli_fail("replay: %s", error);
        else if (was_known && would_be)
            compare(replay, item, is, would_be);
        else
            replay->refused += item->queries;
        bool is_there = is && would_be;
        json_decref(is);
        json_decref(would_be);
        if (!is_there || is_wrong)
            return false;
    }
    return true;
}

static json_t *most_frequent(json_t *moves)
{
    const char *best = NULL, *move;
    json_t *queries;
    json_int_t most = 0;
    json_object_foreach(moves, move, queries)
    {
        if (json_integer_value(queries) > most) {
            most = json_integer_value(queries);
            best = move;
        }
    }
    return best ? json_pack("{s:s, s:I}", "move", best, "queries", most) : NULL;
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static int print(struct replay *replay)
{
    struct text text = {0};
    json_t *move;
    text_add_format(
        &text,
        "%llu queries, %u different; %llu lines that are none, %llu for names unknown here\n",
        (unsigned long long)replay->queries, replay->count, (unsigned long long)replay->malformed,
        (unsigned long long)replay->refused);
    if (replay->left_out)
        text_add_format(&text, "%llu more were left out: at most %d different ones are replayed\n",
                        (unsigned long long)replay->left_out, (int)CASES_LIMIT);
    text_add_format(
        &text, "another first edge  %llu (%.1f %%)\nanother answer      %llu (%.1f %%)\n",
        (unsigned long long)replay->first_changed, percent(replay->first_changed, replay->queries),
        (unsigned long long)replay->any_changed, percent(replay->any_changed, replay->queries));
    if (replay->latencies)
        text_add_format(&text, "mean latency        %.1f ms, was %.1f ms\n",
                        replay->would_be_ms / (double)replay->latencies,
                        replay->was_ms / (double)replay->latencies);
    for (int i = 0; i < SHOWN && (move = most_frequent(replay->moves)); i++) {
        const char *name = json_string_value(json_object_get(move, "move"));
        text_add_format(&text, "%12lld  %s\n",
                        (long long)json_integer_value(json_object_get(move, "queries")), name);
        json_object_del(replay->moves, name);
        json_decref(move);
    }
    return cli_print(&text);
}

static int print_json(const struct replay *replay)
{
    json_t *all =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:O}", "queries",
                  (json_int_t)replay->queries, "different", (json_int_t)replay->count, "malformed",
                  (json_int_t)replay->malformed, "unknown", (json_int_t)replay->refused, "left_out",
                  (json_int_t)replay->left_out, "first_changed", (json_int_t)replay->first_changed,
                  "any_changed", (json_int_t)replay->any_changed, "mean_latency_ms",
                  replay->latencies ? replay->would_be_ms / (double)replay->latencies : 0.0,
                  "mean_latency_was_ms",
                  replay->latencies ? replay->was_ms / (double)replay->latencies : 0.0, "moves",
                  replay->moves);
    int status = node_print_json(all);
    json_decref(all);
    return status;
}

static int run(const struct cli_arguments *arguments)
{
    json_t *suppose =
        cli_suppositions(cli_value(arguments, "what-if"), cli_value(arguments, "policy"));
    if (!json_array_size(suppose)) {
        json_decref(suppose);
        cli_fail("replay: what is supposed? --policy POLICY or --what-if EDGES");
        return CLI_USAGE;
    }
    struct replay *replay = NEW(struct replay);
    *replay = (struct replay){.arguments = arguments,
                              .suppose = suppose,
                              .cases = memory_new(CASES_LIMIT * sizeof *replay->cases),
                              .slots = memory_new(SLOTS * sizeof *replay->slots),
                              .moves = json_object()};
    int status = CLI_FAILED;
    if (read_log(replay, arguments->words[0]) && run_cases(replay))
        status = cli_value(arguments, "json") ? print_json(replay) : print(replay);
    for (uint32_t i = 0; i < replay->count; i++) {
        memory_free(replay->cases[i].name);
        memory_free(replay->cases[i].client);
    }
    memory_free(replay->cases);
    memory_free(replay->slots);
    json_decref(replay->suppose);
    json_decref(replay->moves);
    memory_free(replay);
    return status;
}

static const struct cli_option options[] = {
    NODE_OPTIONS,
    {"policy", 0, "POLICY",
     "suppose another policy for every site, as the configuration writes it"},
    {"what-if", 0, "EDGES",
     "suppose edges up, full, draining, dead, down or loaded: "
     "edge=fra:down,edge=nyc:load=950"},
    {"json", 0, NULL, "as one JSON object"},
    {0}};
const struct cli_verb verb_replay = {
    .name = "replay",
    .words = "LOG",
    .summary = "Show what another policy would have changed",
    .help = "LOG is what dns.decisions writes, or any lines of JSON with name and client; - for "
            "standard input. Each different client is "
            "asked about\ntwice at a running DNS node, as it is and as if, by what the node knows "
            "now; nothing is changed by it.",
    .example = "causeway replay decisions.log --policy 'sum latency link*2' -c causeway.yaml",
    .least_words = 1,
    .most_words = 1,
    .options = options,
    .run = run,
};
