/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/edge: the bytes of a client's connection. A front reads and writes through its wire, so that what lies between it and
 * the socket is the wire's business alone. Results are those of socket_read() and socket_write().
 */
#ifndef EDGE_WIRE_H
#define EDGE_WIRE_H

#include "base/error.h"
#include "loop/loop.h"

struct edge_wire {
    struct loop_watch watch;
};

/* Takes the descriptor; `ready` is the watch's. */
void edge_wire_open(struct edge_wire *wire, int fd,
                    void (*ready)(struct loop *loop, struct loop_watch *watch, uint32_t events));
/* The connection goes on with another owner; `from` is no more. */
void edge_wire_move(struct edge_wire *to, struct edge_wire *from, struct loop *loop,
                    void (*ready)(struct loop *loop, struct loop_watch *watch, uint32_t events));
MUST_USE int edge_wire_read(struct edge_wire *wire, struct slice_queue *bytes, uint32_t limit,
                            bool *ended);
MUST_USE int edge_wire_write(struct edge_wire *wire, struct slice_queue *bytes);
/* What its owner waits for: EPOLLIN, EPOLLOUT. */
MUST_USE int edge_wire_want(struct edge_wire *wire, struct loop *loop, uint32_t events);
void edge_wire_shut(struct edge_wire *wire);      /* no more will be written; reading goes on */
void edge_wire_set_reset(struct edge_wire *wire); /* its close must not look like an end */
void edge_wire_close(struct edge_wire *wire, struct loop *loop);

static inline int edge_wire_fd(const struct edge_wire *wire)
{
    return wire->watch.fd;
}

#endif
