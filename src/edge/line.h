/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/edge: the line before a site, over all workers of an edge (L4, L10). Each worker has a buffer of its own for the site (buffer.h), which
 * knows only its own requests; here it tells the first class that waits, and reads what others told, so that no worker launches a request
 * while another's of a higher class waits. No lock but to join and to leave: a worker writes one byte, in a cache line of its own.
 */
#ifndef EDGE_LINE_H
#define EDGE_LINE_H

#include "queue/queue.h"

enum { EDGE_LINE_NOBODY = QUEUE_CLASSES }; /* behind every class: nothing waits */

struct edge_lines; /* of a process, one for each site that has a buffer somewhere */
struct edge_line;

struct edge_lines *edge_lines_new(uint32_t workers);
void edge_lines_free(struct edge_lines **freed); /* nobody uses one any more */

struct edge_line *edge_line_join(struct edge_lines *lines, uint64_t site);
void edge_line_leave(struct edge_line **left, uint32_t worker); /* nulls */
/* `first`: the highest class that waits at this worker, or NOBODY. */
void edge_line_tell(struct edge_line *line, uint32_t worker, uint8_t first);
/* The highest class that waits at another worker, as of a moment ago; or NOBODY. */
uint8_t edge_line_first_elsewhere(const struct edge_line *line, uint32_t worker);

#endif
