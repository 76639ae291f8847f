/* SPDX-License-Identifier: Apache-2.0
 *
 * The roles that a node can have: one row each in roles.c.
 */
#ifndef CLI_ROLES_H
#define CLI_ROLES_H

#include "supervisor/supervisor.h"

extern const struct role front_role;   /* link, gateway, edge */
extern const struct role agent_role;   /* reports of all that the node is to the DNS nodes */
extern const struct role vantage_role; /* checks of other edges, round trips on request */
extern const struct role dns_role;
extern const struct role director_role; /* the front end of content servers */
extern const struct role history_role;  /* what the node was like */
extern const struct role acme_role;     /* certificates */

/* The server of the dns role, for roles behind it in the same child; NULL: not this node's. */
struct dnsd;
struct dnsd *dns_role_server(const struct child *child);

/* What the front role consists of, for roles behind it in the same child; NULL: not this node's. */
struct front;
struct edge *front_edge(const struct front *front);
const struct gateway *front_gateway(const struct front *front);
struct link_set *front_links(const struct front *front);

/* A row of what the acme role tells the others: {"name": HOST, "digest": base64 for URLs}. False: it is none. */
struct measure_proof;
bool proof_of_command(const json_t *row, struct measure_proof *proof);

/* The agent of that role, for the one behind it. */
struct agent_role;
struct agent *agent_of_role(const struct agent_role *role);

extern const struct role *const roles[]; /* NULL at the end */

int cli_run_child(const char *name); /* run.c: what `causeway child NAME` does */

#endif
