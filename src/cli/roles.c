/* SPDX-License-Identifier: Apache-2.0
 *
 * The roles of a node, in the order in which they start within their child.
 */
#include "cli/roles.h"

const struct role *const roles[] = {&front_role, &agent_role,    &vantage_role,
                                    &dns_role,   &director_role, &history_role,
                                    &acme_role,  &admin_role,    NULL};
