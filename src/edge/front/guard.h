/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/edge: connections on their way in. Each belongs to a client network, which may have so many; each owes a request, and
 * where no more connections are to be had the one that has owed its request longest goes.
 */
#ifndef EDGE_GUARD_H
#define EDGE_GUARD_H

#include "base/address.h"
#include "base/list.h"
#include "edge/front/shares.h"

struct edge_worker;

/* A connection before anybody speaks with it, handed from one to the next. */
struct edge_arrival {
    int fd;
    struct address client;    /* whose it is: the kernel's word, or a trusted proxy's */
    struct address local;     /* what the client connected to; family 0: what the socket says */
    bool is_proxied;          /* by a trusted proxy's word */
    struct edge_share *share; /* of the client's network; NULL: not counted */
};

/* Counts the connection to its client's network. False: it has its share already; the arrival is as before. */
bool edge_guard_admit(struct edge_worker *worker, struct edge_arrival *arrival);
/* The connection is refused: nothing is said to the client. Takes the descriptor. */
void edge_guard_refuse(struct edge_worker *worker, int fd);
void edge_guard_register_metrics(void);

/* ---- answers that clients do not take */
enum { EDGE_UNREAD_KIB = 16 }; /* less than that is on its way */
/* What a connection holds of them, as its network was told. */
struct edge_unread {
    uint32_t kib;
};
void edge_unread_tell(struct edge_worker *worker, struct edge_share *share,
                      struct edge_unread *unread, uint32_t kib);
/* Behind each turn of a connection, and with 0 bytes before it leaves its network. Those that are read are told nothing of. */
static inline void edge_unread_note(struct edge_worker *worker, struct edge_share *share,
                                    struct edge_unread *unread, uint64_t bytes)
{
    uint32_t kib = (uint32_t)(bytes / 1024) & ~(EDGE_UNREAD_KIB - 1u);
    if (kib != unread->kib)
        edge_unread_tell(worker, share, unread, kib);
}

/* ---- connections that owe a request, or the next one */
struct edge_waiting {
    struct list link; /* in edge_worker.waiting, those that wait longest first */
    uint64_t since_ns;
    const struct edge_share *share;              /* of its network; NULL: not counted */
    void (*evict)(struct edge_waiting *waiting); /* ends the connection at once */
};
void edge_waiting_init(struct edge_waiting *waiting, const struct edge_share *share,
                       void (*evict)(struct edge_waiting *waiting));
void edge_waiting_begin(struct edge_worker *worker, struct edge_waiting *waiting); /* or again */
static inline void edge_waiting_end(struct edge_waiting *waiting)
{
    list_remove(&waiting->link); /* harmless where it is in none */
}
/* Ends the connection that has waited longest, for a second at least, or one of a network that crowds the others out. 0, or when there will
 * be one to end; UINT64_MAX: none is in sight. */
uint64_t edge_guard_make_room(struct edge_worker *worker);

#endif
