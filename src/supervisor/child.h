/* SPDX-License-Identifier: Apache-2.0
 *
 * What of a child its own admin role may use besides the public part.
 */
#ifndef SUPERVISOR_CHILD_H
#define SUPERVISOR_CHILD_H

#include "supervisor/supervisor.h"

/* A question to all children of the node; only the admin child's are answered. Its parts come as
 * JSON text or what else the kind of question gives; `child` "supervisor" is the supervisor's own.
 * At the end `missing` names those that did not answer (a JSON array). Embed it, with both
 * callbacks set. */
struct child_question {
    struct list link;
    struct child *child;
    json_int_t id;
    void (*on_part)(struct child_question *question, const char *child, struct span content);
    void (*on_end)(struct child_question *question, const json_t *missing);
};
/* ERROR_LIMIT: too many at once. */
/* Steals `argument`, which may be NULL. */
MUST_USE int child_ask(struct child *child, struct child_question *question, const char *what,
                       json_t *argument);
void child_forget(struct child_question *question); /* nothing more is told */

#endif
