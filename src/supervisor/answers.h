/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of a child's roles to questions of the supervisor: status, metrics, commands, inquiries.
 */
#ifndef SUPERVISOR_ANSWERS_H
#define SUPERVISOR_ANSWERS_H

#include "supervisor/supervisor.h"

struct running_role {
    const struct role *role;
    void *state;
};

/* `what`: "status", "metrics", "command" or "inquiry"; anything else is answered with nothing. */
void answers_write(const struct running_role *roles, size_t count, const char *what,
                   const json_t *argument, struct text *answer);

#endif
