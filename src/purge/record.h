/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/purge: what messages and the log have in common.
 */
#ifndef PURGE_RECORD_H
#define PURGE_RECORD_H

#include "purge/purge.h"

void record_write(struct text *out, const struct purge *purge);
/* All of `bytes` is the record: 0 or ERROR_INVALID. `what` borrows. */
MUST_USE int record_read(struct span bytes, struct purge *purge);

#endif
