/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/link: carriage of the link's packets over TCP, where UDP does not get through (L2). A carriage is one TCP connection with TLS
 * 1.3 around it; each packet stands in it behind its length (2 bytes, big-endian). The packets, their keys and numbers are those of UDP:
 * for the core it is a path of another kind.
 *
 * Whoever connects is a stranger until the lane sends something to him, which it does only behind a packet that it could
 * authenticate. Strangers cost little: of each worker at most CARRIAGE_STRANGERS at once and CARRIAGE_ACCEPTS a second, each
 * for at most CARRIAGE_STRANGER_NS.
 */
#ifndef LINK_TCP_H
#define LINK_TCP_H

#include "link/driver.h"
#include "link/tls.h"
#include "observe/observe.h"

enum {
    CARRIAGE_STRANGERS = 64,
    CARRIAGE_ACCEPTS = 128,            /* connections accepted in a second */
    CARRIAGES_OF_LANE = 4,             /* the oldest makes way */
    CARRIAGE_PACKET_BYTES = 65535,     /* what two bytes can say */
    CARRIAGE_STRANGER_BYTES = 4096,    /* buffer of a stranger: an INIT fits */
    CARRIAGE_IN_BYTES = 128 * 1024,    /* of others */
    CARRIAGE_UNSENT_BYTES = 32 * 1024, /* in the kernel, beyond what is in flight */
    CARRIAGE_BATCHES = 2,              /* of the next, at once */
    CARRIAGE_BATCH_BYTES =
        16 * 1024, /* handed to a carriage at once: what comes later may be more urgent */
    CARRIAGE_OUT_BYTES =
        128 * 1024, /* waiting before the kernel; what does not fit is lost, as packets may be */
};
#define CARRIAGE_STRANGER_NS (5ull * 1000000000)

// clang-format off
#define CARRIAGE_STATE_LIST(X)                          \
    X(CONNECTING, "connecting")                         \
    X(GREETING, "TLS handshake")                        \
    X(OPEN, "open")
// clang-format on

enum carriage_state {
#define X(name, text) CARRIAGE_##name,
    CARRIAGE_STATE_LIST(X)
#undef X
};

struct carriage {
    struct list link;    /* in the driver's, or in the lane's list */
    struct message move; /* to the worker of its lane */
    struct driver *driver;
    struct lane *lane; /* NULL: it is not known yet whose it is */
    enum carriage_state state;
    bool is_ours;     /* dialled from here */
    bool is_stranger; /* the lane has not answered to it */
    struct address peer;
    struct loop_watch watch;
    struct loop_timer timer; /* as long as it is a stranger, or not open yet */
    struct loop_timer again; /* more was read than one turn may take */
    struct link_tls_session *tls;
    uint32_t waits;          /* for these events it waits, besides bytes */
    uint32_t waits_to_write; /* with bytes to write; 0: it takes more */
    uint8_t *in;
    uint32_t in_at, in_bytes, in_capacity;
    uint8_t *out; /* CARRIAGE_OUT_BYTES once there was something to send */
    uint32_t out_bytes;
    struct link *moves_to; /* while it is on its way to another worker, with what it brought */
    struct transport_hello *hello;
};

/* ---- the listening side */
MUST_USE int carriage_listen(struct driver *driver); /* on the worker's listening sockets */
void carriage_close_listeners(struct driver *driver);

/* ---- the dialling side */
/* NULL: no socket. What becomes of it is seen by its state, and by its absence from the lane. */
struct carriage *carriage_dial(struct lane *lane, const struct address *to);

/* ---- both */
/* False: it holds back now; the lane is flushed when it takes more. */
bool carriage_send(struct lane *lane, const struct transport_transmit *transmit);
bool carriage_is_blocked(const struct lane *lane); /* one of them holds back */
void carriages_close(struct lane *lane);

void carriage_register_metrics(void);

/* ---- fallback.c: when a lane that dials uses TCP, and when it stops */
void fallback_start(struct lane *lane);
void fallback_stop(struct lane *lane);
void fallback_opened(struct lane *lane); /* its carriage is open */

extern struct metric link_carriages_opened, link_carriages_accepted, link_carriages_refused,
    link_carriages_open;

#endif
