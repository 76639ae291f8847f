/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the control socket: by --run-dir, or in the configuration.
 */
#include "cli/node.h"

#include "base/memory.h"
#include "conf/conf.h"
#include "supervisor/supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Without a name: the only node, or the one whose key can be read here. */
static const struct conf_node *pick(const struct conf *conf, const char *name)
{
    if (name)
        return conf_find_node(conf, name);
    return conf->node_count == 1 ? &conf->nodes[0] : conf->self;
}

/* A file with mistakes is just when one asks what the node does, which goes on with the file before. Where nothing in it speaks of a run_dir
 * the node has the usual one. */
static char *guess_run_dir(const char *file, const struct text *content,
                           const struct text *findings)
{
    static const char usual[] = "/run/causeway";
    fputs(findings->data, stderr);
    if (!memmem(content->data, content->length, "run_dir", strlen("run_dir"))) {
        cli_fail("%s has mistakes; the node of %s is asked all the same", file, usual);
        return memory_text(usual, strlen(usual));
    }
    cli_fail("%s has mistakes: --run-dir DIR asks the running node without it", file);
    return NULL;
}

static void fail_without_node(const char *file, const struct conf *conf, const char *name)
{
    const char *nearest = conf_nearest_node(conf, name);
    cli_fail("%s: there is no node '%s'%s%s%s", file, name, nearest ? "; did you mean '" : "",
             nearest ? nearest : "", nearest ? "'?" : "");
}

/* The caller frees it; NULL after a sentence on standard error. */
static char *find_run_dir(const char *file, const char *name)
{
    struct text content = {.limit = CONF_FILE_BYTES}, why = {0}, findings = {0};
    struct conf *conf = NULL;
    char *run_dir = NULL;
    if (conf_read_file(file, &content, &why)) {
        cli_fail("%s: %s", file, why.data);
    } else {
        struct conf_reader reader = conf_file_reader();
        conf = conf_load(file, text_span(&content), name ? CONF_NO_NODE : NULL, &reader, &findings);
        if (!conf && !name) {
            text_reset(&findings);
            conf = conf_load(file, text_span(&content), CONF_NO_NODE, &reader, &findings);
        }
        const struct conf_node *node = conf ? pick(conf, name) : NULL;
        if (node)
            run_dir = memory_text(node->run_dir, strlen(node->run_dir));
        else if (conf && name)
            fail_without_node(file, conf, name);
        else if (conf)
            cli_fail("%s: which node? Name it by --node", file);
        else
            run_dir = guess_run_dir(file, &content, &findings);
    }
    conf_free(conf);
    text_clear(&content);
    text_clear(&why);
    text_clear(&findings);
    return run_dir;
}

json_t *node_ask(const struct cli_arguments *arguments, json_t *request)
{
    struct text why = {0};
    json_t *answer = node_try(arguments, request, &why);
    if (!answer && why.length)
        cli_fail("%s", why.data);
    text_clear(&why);
    return answer;
}

json_t *node_try(const struct cli_arguments *arguments, json_t *request, struct text *why)
{
    const char *file = cli_value(arguments, "config"), *run_dir = cli_value(arguments, "run-dir");
    char *found = NULL;
    if (!run_dir)
        run_dir = found = find_run_dir(file ? file : CLI_CONFIG_FILE, cli_value(arguments, "node"));
    json_t *answer = NULL;
    if (run_dir)
        answer = control_ask(run_dir, request, why);
    memory_free(found);
    json_decref(request);
    return answer;
}

json_t *node_ask_one(const struct cli_arguments *arguments, json_t *request, const char *silent,
                     const char *none)
{
    json_t *reply = node_ask(arguments, request);
    if (!reply)
        return NULL;
    json_t *answer = json_incref(json_array_get(json_object_get(reply, "answers"), 0));
    bool is_missing = json_array_size(json_object_get(reply, "missing")) > 0;
    json_decref(reply);
    if (!answer)
        cli_fail("%s", is_missing ? silent : none);
    return answer;
}

json_t *node_ask_well(const struct cli_arguments *arguments, json_t *request, const char *silent,
                      const char *none)
{
    json_t *answer = node_ask_one(arguments, request, silent, none);
    const char *error = json_string_value(json_object_get(answer, "error"));
    if (!error)
        return answer;
    cli_fail("%s", error);
    json_decref(answer);
    return NULL;
}

void node_pause_ms(long ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

int node_print_json(const json_t *value)
{
    struct text text = {0};
    char *json = json_dumps(value, JSON_INDENT(2));
    text_add_format(&text, "%s\n", json ? json : "null");
    free(json);
    return cli_print(&text);
}

double node_number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

const char *node_string(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value ? value : "-";
}

int node_print_answers(json_t *reply)
{
    json_t *answers = json_object_get(reply, "answers"), *answer;
    size_t index;
    bool is_done = true;
    struct text text = {0};
    json_array_foreach(answers, index, answer)
    {
        bool is_good = json_is_true(json_object_get(answer, "done"));
        is_done &= is_good;
        text_add_format(&text, "%s: %s\n", json_string_value(json_object_get(answer, "role")),
                        json_string_value(json_object_get(answer, "answer")));
    }
    int status = cli_print(&text);
    if (json_array_size(json_object_get(reply, "missing")))
        return cli_fail("not every process of the node answered");
    return is_done ? status : CLI_FAILED;
}
