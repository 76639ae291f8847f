/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/edge: the bytes of a client's connection. A front reads and writes through its wire, so that what lies between it and
 * the socket is the wire's business alone: nothing, or TLS. Results are those of socket_read() and socket_write().
 */
#ifndef EDGE_WIRE_H
#define EDGE_WIRE_H

#include "base/error.h"
#include "loop/loop.h"
#include "tls/tls.h"

struct edge_wire {
    struct loop_watch watch;
    /* The front's; gets EPOLLIN also for what the socket does not announce. */
    void (*ready)(struct loop *loop, struct loop_watch *watch, uint32_t events);
    struct tls_session *tls; /* NULL: in clear */
    struct loop_task again;  /* decrypted bytes wait */
    bool was_counted;        /* the handshake */
    bool is_shutting;        /* our last word waits for the socket */
    bool is_reset;
};

/* Takes the descriptor; `ready` is the watch's. */
void edge_wire_open(struct edge_wire *wire, int fd,
                    void (*ready)(struct loop *loop, struct loop_watch *watch, uint32_t events));
/* The connection goes on with another owner; `from` is no more. */
void edge_wire_move(struct edge_wire *to, struct edge_wire *from, struct loop *loop,
                    void (*ready)(struct loop *loop, struct loop_watch *watch, uint32_t events));
/* Before the first byte: what follows is TLS. `protocols`: those that fronts speak (TLS_HTTP_1 ...). */
void edge_wire_secure(struct edge_wire *wire, struct tls_context *context, unsigned protocols);
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

/* No handshake is under way. */
static inline bool edge_wire_is_ready(const struct edge_wire *wire)
{
    return !wire->tls || tls_session_is_open(wire->tls);
}

#endif
