/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/edge: the edge's own buffer (L4). While the queues of a site's gateways stand, requests wait here instead of there: by class, and
 * each goes to whichever channel can take one first, before older ones that could only wait behind others. A site has none on a worker until a queue
 * stood for the first time.
 *
 * Its servers are the channels of the site's route, their weights the shares, their slots what is let through: it shrinks while the gateway's queue
 * stands, and grows while it does not. The queue is src/queue's.
 */
#ifndef EDGE_BUFFER_H
#define EDGE_BUFFER_H

#include "edge/channels_private.h"

struct edge_ticket; /* of an exchange that waits, or is under way by a slot */

/* With each update of the route: `reports` by place in it, NULL where nothing is known. A queue that stands makes the buffer; what is let through
 * follows from what gateways tell. */
void edge_buffer_follow(struct edge_worker *worker, struct edge_site_route *of,
                        const struct conf_site *site,
                        const struct loads_report *const reports[ROUTE_CHANNELS_MOST],
                        uint64_t now_ns);
/* The route is gone: who waits will be answered, and the buffer goes with the last that is under way. */
void edge_buffer_retire(struct edge_buffer **retired);

/* False: there is none, the exchange goes at once. True: it waits, and edge_exchange_launch() follows behind this turn; or it is answered. */
bool edge_buffer_take(struct edge_buffer *buffer, struct edge_exchange *exchange);
void edge_buffer_leave(struct edge_exchange *exchange); /* harmless where it is in none */
void edge_buffer_hand_over(struct edge_exchange *from, struct edge_exchange *to);
void edge_buffer_reclass(struct edge_exchange *exchange, uint8_t class); /* likewise */
uint32_t edge_buffer_waiting(const struct edge_buffer *buffer);          /* 0 for NULL */
void edge_buffer_register_metrics(void);

#endif
