/* SPDX-License-Identifier: Apache-2.0
 *
 * The event loop, worker threads, sockets and messages between workers: the only code of the
 * program that reads a clock. One loop for each worker thread, on epoll; a connection lives and
 * dies on one worker; workers share immutable snapshots (liburcu QSBR) and talk through messages.
 *
 * Threads: everything here is called on the worker that owns the loop, except worker_post() and the
 * queries that say so.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include "base/address.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/slice.h"

#include <stdatomic.h>
#include <sys/epoll.h>

struct loop;
struct worker;

/* ---- time: nanoseconds. Monotonic for everything but what people and other machines read. */
uint64_t clock_now_ns(void);
uint64_t clock_wall_ns(void); /* since 1970 */
/* The same as of the kernel's last tick, some milliseconds ago at most, for a sixth of the cost: where seconds count. */
uint64_t clock_rough_now_ns(void);
uint64_t clock_rough_wall_ns(void);

/* ---- the loop */
struct loop *loop_new(void);
void loop_free(struct loop **pointer);         /* nulls */
void loop_run(struct loop *loop);              /* until loop_stop(), also one before the run */
void loop_stop(struct loop *loop);             /* from any thread and from a signal handler */
uint64_t loop_now_ns(const struct loop *loop); /* as of this turn of the loop; cheap */
uint64_t
loop_turn(const struct loop
              *loop); /* its number, from 1: what was read of a snapshot holds until it changes */

/* A timer; embed it, zeroed, with `fire` set. Fires once, never early; several due at once fire in
 * order of time. One that is started by a firing timer fires in the next turn at the earliest. */
struct loop_timer {
    struct heap_node node;
    void (*fire)(struct loop *loop, struct loop_timer *timer);
};
void loop_timer_start(struct loop *loop, struct loop_timer *timer,
                      uint64_t due_ns);                            /* or moves it */
void loop_timer_stop(struct loop *loop, struct loop_timer *timer); /* harmless when not running */
bool loop_timer_is_running(const struct loop_timer *timer);

/* A watched descriptor; embed it, zeroed, with `fd` and `ready` set. Level-triggered. `events` are
 * EPOLLIN, EPOLLOUT, EPOLLRDHUP, ERR and HUP always. Removal inside any callback is safe: no event
 * of the same turn reaches a removed watch. */
struct loop_watch {
    int fd;
    uint32_t events; /* as set; 0: not watched. Read only. */
    void (*ready)(struct loop *loop, struct loop_watch *watch, uint32_t events);
};
/* Adds, changes; 0 removes. */
MUST_USE int loop_watch_set(struct loop *loop, struct loop_watch *watch, uint32_t events);
/* Before the descriptor is closed. */
void loop_watch_remove(struct loop *loop, struct loop_watch *watch);
/* Removes it and closes its descriptor, which must be the only one of its socket: then the kernel
 * forgets the watch by itself, and a system call is saved. */
void loop_watch_close(struct loop *loop, struct loop_watch *watch);

/* Something to do once, before this turn of the loop ends (batching: many causes, one flush). Embed
 * it, zeroed, with `run` set. */
struct loop_task {
    struct list link;
    bool is_queued;
    void (*run)(struct loop *loop, struct loop_task *task);
};
/* Twice in a turn runs once; queued by a task of this turn: still this turn. */
void loop_task_queue(struct loop *loop, struct loop_task *task);
void loop_task_cancel(struct loop *loop, struct loop_task *task);

/* ---- workers: a thread with a loop each */
enum { WORKERS_LIMIT = 1024 }; /* 10 bits of a receiver index */

struct worker_set;
/* Calls init on each worker's own thread before its loop runs, stop when it was told to end (free
 * what belongs to the worker). */
struct worker_hooks {
    int (*start)(struct worker *worker, void *argument);
    void (*stop)(struct worker *worker, void *argument);
    void *argument;
};
/* 0, or the first error of a start hook (everything is stopped again then). `count` 0: one for each
 * core this process may use. */
MUST_USE int workers_start(struct worker_set **set, uint32_t count, const char *name,
                           const struct worker_hooks *hooks);
void workers_stop(struct worker_set **pointer); /* tells all, waits for all, frees */
uint32_t workers_default(void); /* cores that this process may use, at most WORKERS_LIMIT */
uint32_t workers_count(const struct worker_set *set);
struct worker *workers_get(const struct worker_set *set, uint32_t id);

struct worker *worker_current(void); /* NULL on a thread that is none */
uint32_t worker_id(const struct worker *worker);
struct loop *worker_loop(const struct worker *worker);
/* Any thread: when its loop last began a turn (R8: age of the last loop). */
uint64_t worker_last_turn_ns(const struct worker *worker);
const struct worker_set *worker_peers(const struct worker *worker);

/* A message to another worker: embed it, with `deliver` set. It belongs to the receiver until
 * delivered; posting one that is under way does nothing (messages coalesce: what was written before
 * that post is seen by the delivery). Order is kept between two workers. The number under way is
 * bounded by the objects that embed them: there is at most one for each. Posting wakes the receiver
 * at most once a turn, and only when it sleeps. When workers stop, messages posted before any stop
 * hook runs are delivered; later ones are discarded when all stop hooks have run. */
struct message {
    struct message *next;
    _Atomic bool is_posted; /* cleared just before deliver() or discard() is called */
    void (*deliver)(struct worker *receiver, struct message *message);
    /* Instead of deliver(): frees what the message owns. NULL: it owns nothing. On the receiver's
     * thread, when everything else of it is gone; the peers do the same at that time. */
    void (*discard)(struct message *message);
};
void worker_post(struct worker *receiver, struct message *message);

/* Runs `run` on every worker, in a turn of its loop. Called from no worker it returns when all ran;
 * called from a worker it does not wait. */
void workers_run_on_all(struct worker_set *set, void (*run)(struct worker *worker, void *argument),
                        void *argument);

/* ---- read-copy-update (liburcu QSBR): a loop is a reader that is quiescent between turns */
#define snapshot_read(pointer) atomic_load_explicit((pointer), memory_order_consume)
/* Swaps the pointer and frees the old one by `release` once no worker can still see it. Any thread.
 * Does not block. */
void snapshot_publish(void *_Atomic *pointer, void *fresh, void (*release)(void *old));
/* Waits until everything that was published over is freed; on no worker. workers_stop() does it. */
void snapshot_settle(void);

/* A thread that runs no loop but reads snapshots enters once, and is offline wherever it blocks: it
 * holds no snapshot from there until it is online again. Threads with a loop do this by themselves;
 * nested entries are counted. */
void reader_enter(void);
void reader_leave(void);
void reader_offline(void);
void reader_online(void);

/* ---- sockets: all non-blocking and close-on-exec. A negative `enum error`, with errno kept, on
 * failure. */
enum socket_option {
    SOCKET_REUSEPORT = 1, /* several of one address, one for each worker */
    SOCKET_V6ONLY = 2,    /* always set for IPv6 listeners */
    SOCKET_TRANSPARENT = 4,
};
/* Backlog 4096, SO_REUSEADDR. */
MUST_USE int socket_listen_tcp(const struct address *address, unsigned options, int *fd);
/* Port 0: any. */
MUST_USE int socket_bind_udp(const struct address *address, unsigned options, int *fd);
/* In progress; EPOLLOUT tells, then socket_error(). */
MUST_USE int socket_connect_tcp(const struct address *to, int *fd);
/* A stream socket to another program of this machine; connected, or ERROR_UNREACHABLE: nobody takes connections there. */
MUST_USE int socket_connect_unix(const char *path, int *fd);
/* A datagram socket that talks to `to` only. */
MUST_USE int socket_connect_udp(const struct address *to, int *fd);
/* Where socket_bind_udp() gave the socket no address of its own: socket_receive_from() says to which each datagram came. */
MUST_USE int socket_want_local(int fd);
/* One datagram: its length (that of a truncated one is above `room`), or ERROR_AGAIN, ERROR_IO. `local` (may be NULL): the address it came
 * to, family 0 where unknown. */
MUST_USE int socket_receive_from(int fd, uint8_t *data, uint32_t room, struct address *from,
                                 struct address *local);
/* From that address; `local` family 0: the kernel chooses. 0; ERROR_AGAIN, ERROR_IO: the datagram is lost. */
int socket_send_from(int fd, struct span data, const struct address *to,
                     const struct address *local);
/* ERROR_AGAIN; ERROR_LIMIT out of descriptors. */
MUST_USE int socket_accept(int listener, struct address *peer, int *fd);
int socket_error(int fd); /* SO_ERROR as errno value, 0 for none */
void socket_set_nodelay(int fd);
/* Readable means that so many bytes are there; 1 is usual. */
void socket_set_low_mark(int fd, size_t bytes);
/* The peer sees a reset, not an end (truncation must be visible). */
void socket_set_reset_on_close(int fd);
struct socket_buffers {
    uint32_t receive_bytes, send_bytes;
};
/* SO_RCVBUFFORCE, or SO_RCVBUF where the socket has less, likewise for sending; what the kernel gave. */
struct socket_buffers socket_force_buffers(int fd, uint32_t bytes);
MUST_USE int socket_local(int fd, struct address *address);
MUST_USE int socket_peer(int fd, struct address *address);
/* Reads up to `limit` bytes (at most INT32_MAX) to the end of `bytes`, and returns how many: 0 for
 * none now, or ERROR_RESET, ERROR_IO. *ended: the peer will send no more. */
MUST_USE int socket_read(int fd, struct slice_queue *bytes, uint32_t limit, bool *ended);
/* Writes from the front of `bytes` what the socket takes now; returns how many, or ERROR_RESET,
 * ERROR_IO. */
MUST_USE int socket_write(int fd, struct slice_queue *bytes);
void address_to_sockaddr(const struct address *address, void *sockaddr_storage, unsigned *length);
struct address address_from_sockaddr(const void *sockaddr_storage);

#endif
