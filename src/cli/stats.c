/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway stats: what a node was like (R11), from its history.
 */
#include "base/memory.h"
#include "cli/node.h"
#include "conf/conf.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DAY_S = 86400 };

/* "90", "90s", "15m", "6h", "2d"; false: none of these. */
static bool parse_seconds(const char *text, json_int_t *seconds)
{
    static const struct {
        char unit;
        int factor;
    } units[] = {{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', DAY_S}};
    char *end;
    long long number = strtoll(text, &end, 10);
    if (end == text || number < 0 || number > 100000000)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (*end != units[i].unit || (*end && end[1]))
            continue;
        *seconds = number * units[i].factor;
        return true;
    }
    return false;
}

static int take_seconds(const struct cli_arguments *arguments, const char *option, json_t *question)
{
    const char *text = cli_value(arguments, option);
    json_int_t seconds;
    if (!text)
        return CLI_DONE;
    if (!parse_seconds(text, &seconds)) {
        cli_fail("stats: --%s %s: a number with s, m, h or d, like 15m", option, text);
        return CLI_USAGE;
    }
    json_object_set_new(question, option, json_integer(seconds));
    return CLI_DONE;
}

static void add_time(struct text *text, json_t *row)
{
    time_t when = (time_t)json_integer_value(json_object_get(row, "time"));
    struct tm parts;
    char shown[32];
    localtime_r(&when, &parts);
    strftime(shown, sizeof shown, "%Y-%m-%d %H:%M:%S", &parts);
    text_add_format(text, "%s  ", shown);
}

static void add_events(struct text *text, json_t *rows)
{
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row)
    {
        const char *from = json_string_value(json_object_get(row, "from"));
        add_time(text, row);
        text_add_format(text, "%s: %s%s%s\n", json_string_value(json_object_get(row, "series")),
                        from ? from : "", from ? " -> " : "",
                        json_string_value(json_object_get(row, "to")));
    }
}

static void add_values(struct text *text, json_t *rows, bool has_steps)
{
    static const char *const columns[] = {"least", "mean", "greatest", "last", "per_second"};
    size_t index, widest = 6;
    json_t *row;
    json_array_foreach(rows, index, row)
    {
        size_t width = strlen(json_string_value(json_object_get(row, "series")));
        widest = width > widest ? width : widest;
    }
    text_add_format(text, "%s%-*s", has_steps ? "time                 " : "", (int)widest,
                    "series");
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        text_add_format(text, " %14s", columns[i]);
    text_add(text, "\n");
    json_array_foreach(rows, index, row)
    {
        if (has_steps)
            add_time(text, row);
        text_add_format(text, "%-*s", (int)widest,
                        json_string_value(json_object_get(row, "series")));
        for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
            text_add_format(text, " %14.6g", json_number_value(json_object_get(row, columns[i])));
        text_add(text, "\n");
    }
}

static int show(const struct cli_arguments *arguments, json_t *answer)
{
    struct text text = {0};
    const char *error = json_string_value(json_object_get(answer, "error"));
    if (error)
        return cli_fail("%s", error);
    json_t *rows = json_object_get(answer, "rows");
    if (cli_value(arguments, "json"))
        return node_print_json(answer);
    if (!json_array_size(rows))
        return cli_fail(
            "nothing of that kind is in the history; `causeway stats '*'` shows what is");
    if (cli_value(arguments, "events"))
        add_events(&text, rows);
    else
        add_values(&text, rows, cli_value(arguments, "step") != NULL);
    if (json_is_true(json_object_get(answer, "is_cut")))
        text_add(&text, "... and more: ask for less\n");
    return cli_print(&text);
}

static int run(const struct cli_arguments *arguments)
{
    json_t *question = json_pack("{s:s, s:s, s:s}", "verb", "stats", "what",
                                 cli_value(arguments, "events") ? "events" : "values", "series",
                                 arguments->word_count ? arguments->words[0] : "*");
    if (take_seconds(arguments, "since", question) || take_seconds(arguments, "step", question)) {
        json_decref(question);
        return CLI_USAGE;
    }
    json_t *reply = node_ask(arguments, question);
    if (!reply)
        return CLI_FAILED;
    json_t *answer = json_array_get(json_object_get(reply, "answers"), 0);
    int status = answer ? show(arguments, answer)
                        : cli_fail("this node keeps no history: give it a section `history`");
    json_decref(reply);
    return status;
}

static const struct cli_option options[] = {
    NODE_OPTIONS,
    {"since", 0, "TIME", "how far back, like 15m, 6h or 2d; default 1h"},
    {"step", 0, "TIME",
     "one line for each so long; from 5m on the five minutes are read, which go "
     "further back"},
    {"events", 0, NULL, "what changed, instead of numbers: states, answers, who is first"},
    {"json", 0, NULL, "rows, as one JSON object"},
    {0}};
const struct cli_verb verb_stats = {
    .name = "stats",
    .words = "[SERIES]",
    .summary = "Show what a node was like",
    .help = "SERIES is the way through what `causeway status` shows, with * for anything, like "
            "'dns.edges.*.load'.\nThe node keeps a history where its section `history` says so.",
    .example = "causeway stats 'dns.edges.*.load' --since 6h --step 15m -c causeway.yaml",
    .most_words = 1,
    .options = options,
    .run = run,
};
