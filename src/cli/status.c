/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway status: asks a running node through its control socket.
 */
#include "cli/node.h"
#include "cli/status_wrong.h"

#include <stdlib.h>

/* Strings come from processes that speak to strangers: nothing in them may drive the terminal. */
static void add_plain(struct text *text, const char *string)
{
    for (; *string; string++) {
        uint8_t byte = (uint8_t)*string;
        text_add_format(text, "%c", byte < 0x20 || byte >= 0x7f ? '?' : byte);
    }
}

/* One line for each scalar; objects and lists below their name, indented. */
static void add_value(struct text *text, const char *name, json_t *value, int depth)
{
    text_add_format(text, "%*s%-*s", depth * 2, "", 24 - depth * 2, name);
    const char *key;
    json_t *item;
    size_t index;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        text_add(text, "\n");
        json_object_foreach(value, key, item) add_value(text, key, item, depth + 1);
        return;
    case JSON_ARRAY:
        text_add(text, "\n");
        json_array_foreach(value, index, item)
        {
            const char *own = json_string_value(json_object_get(item, "name"));
            if (!own)
                own = json_string_value(json_object_get(item, "peer"));
            add_value(text, own ? own : "-", item, depth + 1);
        }
        return;
    case JSON_STRING:
        text_add(text, " ");
        add_plain(text, json_string_value(value));
        text_add(text, "\n");
        return;
    case JSON_INTEGER:
        text_add_format(text, " %lld\n", (long long)json_integer_value(value));
        return;
    case JSON_REAL:
        text_add_format(text, " %.3f\n", json_real_value(value));
        return;
    case JSON_TRUE:
        text_add(text, " yes\n");
        return;
    case JSON_FALSE:
        text_add(text, " no\n");
        return;
    case JSON_NULL:
        text_add(text, " -\n");
        return;
    }
}

static void add_children(struct text *text, json_t *children)
{
    size_t index;
    json_t *child;
    text_add(text, "\nchild    state         pid  respawns    uptime  worker age  last end\n");
    json_array_foreach(children, index, child)
    {
        json_t *ages = json_object_get(child, "last_turn_ages_ms");
        json_int_t oldest = 0;
        for (size_t i = 0; i < json_array_size(ages); i++) {
            json_int_t age = json_integer_value(json_array_get(ages, i));
            oldest = age > oldest ? age : oldest;
        }
        const char *end = json_string_value(json_object_get(child, "last_end"));
        text_add_format(text, "%-8s %-9s %7lld %9lld %8.0fs %8lld ms  %s\n",
                        json_string_value(json_object_get(child, "name")),
                        json_string_value(json_object_get(child, "state")),
                        (long long)json_integer_value(json_object_get(child, "pid")),
                        (long long)json_integer_value(json_object_get(child, "respawns")),
                        json_real_value(json_object_get(child, "uptime_s")), (long long)oldest,
                        end ? end : "-");
    }
}

/* What is wrong first; `is_all`: every figure behind it. */
static void add_readable(struct text *text, json_t *status, bool is_all)
{
    json_t *configuration = json_object_get(status, "configuration"), *roles;
    struct text counts = {0};
    const char *name;
    text_add_format(text, "node %s, causeway %s, %s, up %.0f s\n",
                    json_string_value(json_object_get(status, "node")),
                    json_string_value(json_object_get(status, "version")),
                    json_is_true(json_object_get(status, "ready")) ? "ready" : "not ready",
                    json_real_value(json_object_get(status, "uptime_s")));
    text_add_format(text, "configuration %s, hash %s\n",
                    json_string_value(json_object_get(configuration, "file")),
                    json_string_value(json_object_get(configuration, "hash")));
    text_add(text, "\n");
    if (!status_add_wrong(text, status))
        text_add(text, "nothing is wrong now\n");
    status_add_counts(&counts, status);
    if (counts.length)
        text_add_format(text, "\nsince the start\n%s", counts.data);
    text_clear(&counts);
    add_children(text, json_object_get(status, "children"));
    if (!is_all) {
        text_add(text, "\nroles   ");
        json_object_foreach(json_object_get(status, "roles"), name, roles)
            text_add_format(text, " %s", name);
        text_add(text, "; --all shows every figure, causeway top the rates\n");
        return;
    }
    json_object_foreach(json_object_get(status, "roles"), name, roles)
    {
        text_add(text, "\n");
        add_value(text, name, roles, 0);
    }
}

static int run(const struct cli_arguments *arguments)
{
    json_t *request = json_pack("{s:s}", "verb", "status");
    json_t *status = node_ask(arguments, request);
    if (!status)
        return CLI_FAILED;
    if (cli_value(arguments, "json")) {
        int result = node_print_json(status);
        json_decref(status);
        return result;
    }
    struct text text = {0};
    add_readable(&text, status, cli_value(arguments, "all") != NULL);
    json_decref(status);
    return cli_print(&text);
}

static const struct cli_option options[] = {NODE_OPTIONS,
                                            {"all", 'a', NULL, "every figure of every role"},
                                            {"json", 0, NULL, "everything, as one JSON object"},
                                            {0}};
const struct cli_verb verb_status = {
    .name = "status",
    .summary = "Show what is wrong with a running node, and what it does",
    .help =
        "First what is wrong now, each with what to do, then what went wrong since the start, and "
        "the processes.\n--all and --json: what /status of the admin listener shows.",
    .example = "causeway status -c causeway.yaml",
    .options = options,
    .run = run,
};
