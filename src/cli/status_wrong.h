/* SPDX-License-Identifier: Apache-2.0
 *
 * What somebody has to know of a node first: what is wrong now, and what went wrong since it was started.
 */
#ifndef CLI_STATUS_WRONG_H
#define CLI_STATUS_WRONG_H

#include "base/text.h"

#include <jansson.h>

/* Sentences with advice; how many. */
size_t status_add_wrong(struct text *text, json_t *status);
/* Lines of counters that should be zero and are not. */
void status_add_counts(struct text *text, json_t *status);

#endif
