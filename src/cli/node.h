/* SPDX-License-Identifier: Apache-2.0
 *
 * Verbs that speak to a running node through its control socket.
 */
#ifndef CLI_NODE_H
#define CLI_NODE_H

#include "cli/cli.h"

#include <jansson.h>

#define NODE_OPTIONS                                                                   \
    {"config", 'c', "FILE", "the node's configuration; default " CLI_CONFIG_FILE},     \
        {"node", 'n', "NAME", "which node of the file; default the only one"},         \
    {                                                                                  \
        "run-dir", 0, "DIR", "where its control socket is, instead of a configuration" \
    }

/* Sends the request (steals it) to the node that the options name. NULL after a sentence on
 * standard error. */
json_t *node_ask(const struct cli_arguments *arguments, json_t *request);

/* The same; what the node's side says against it is told in `why` only. */
json_t *node_try(const struct cli_arguments *arguments, json_t *request, struct text *why);

/* For questions that one process answers: its answer, which may have a member "error"; a new reference. NULL after a sentence: `silent`, if
 * that process did not answer, or `none`, if this node has none. */
json_t *node_ask_one(const struct cli_arguments *arguments, json_t *request, const char *silent,
                     const char *none);
/* The same, but an "error" is a sentence on standard error, and NULL, too. */
json_t *node_ask_well(const struct cli_arguments *arguments, json_t *request, const char *silent,
                      const char *none);
void node_pause_ms(long ms); /* between two questions */

/* One value, indented, with a newline: what --json of such a verb prints. The exit status. */
int node_print_json(const json_t *value);

/* Members of an answer; 0 and "-" where they are missing. */
double node_number(const json_t *object, const char *name);
const char *node_string(const json_t *object, const char *name);

/* What the roles answered to a command, for people. The exit status. */
int node_print_answers(json_t *reply);

/* What causeway explain and replay suppose: of edges ("edge=fra:down,edge=nyc:load=950") and of the policy; NULL: nothing. */
json_t *cli_suppositions(const char *edges, const char *policy);

#endif
