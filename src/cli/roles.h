/* SPDX-License-Identifier: Apache-2.0
 *
 * The roles that a node can have: one row each in roles.c.
 */
#ifndef CLI_ROLES_H
#define CLI_ROLES_H

#include "supervisor/supervisor.h"

extern const struct role front_role; /* link, gateway, edge */
extern const struct role dns_role;

extern const struct role *const roles[]; /* NULL at the end */

int cli_run_child(const char *name); /* run.c: what `causeway child NAME` does */

#endif
