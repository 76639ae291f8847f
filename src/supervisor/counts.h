/* SPDX-License-Identifier: Apache-2.0
 *
 * The supervisor's own metrics, and those that every process has.
 */
#ifndef SUPERVISOR_COUNTS_H
#define SUPERVISOR_COUNTS_H

#include "base/text.h"

#include <stdint.h>

enum { COUNTS_CHILDREN = 5 }; /* front, dns, history, acme, admin */

void counts_start(void); /* the calling thread counts from here on */
void counts_respawn(unsigned child);
void counts_ready(unsigned child, bool is_ready);
void counts_reload(bool is_good);
void counts_loaded(uint64_t wall_ns); /* a configuration came into force */

/* Any process: its metrics as metrics_export(), with how many log lines it lost. */
void counts_export(struct text *text);

#endif
