/* SPDX-License-Identifier: Apache-2.0
 *
 * One direction of a wide-area network as a pure model: packets and the time go in, packets come out when they
 * are due. In order: drop-tail queue and bottleneck, random loss, burst loss, corruption, delay with jitter,
 * reordering, duplication. Loss comes after the bottleneck, so that a lost packet has used capacity: the most
 * that a transport can deliver is rate x (1 - loss).
 */
#ifndef WAN_PATH_H
#define WAN_PATH_H

#include "base/heap.h"
#include "base/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HELD_LIMIT = 400000,   /* packets in one direction: 4 s at 1 Gbit/s and 1250 bytes */
    LATENESS_BUCKETS = 400 /* of 25 us each; the last takes all beyond */
};

struct packet {
    struct heap_node due; /* key: when it leaves, ns */
    struct packet *next_free;
    uint32_t length;
    uint32_t flow; /* the carrier's own mark, kept as it came */
    uint8_t data[];
};

/* Packets that were freed, for the next. */
struct packet_pool {
    struct packet *free;
    size_t packet_bytes; /* room for data in each */
};

struct packet *packet_new(struct packet_pool *pool);
void packet_free(struct packet_pool *pool, struct packet *packet);
void packet_pool_clear(struct packet_pool *pool);

/* What the direction does to packets. Chances are in [0, 1]. */
struct impairment {
    uint64_t rate_bps; /* 0: no bottleneck, hence no queue */
    uint64_t overhead_bytes;
    uint64_t queue_ns;    /* a packet that would wait longer is dropped; 0: no such limit */
    uint64_t queue_bytes; /* the same in waiting bytes */
    uint64_t delay_ns;
    uint64_t jitter_ns;        /* delay +- this */
    uint64_t jitter_period_ns; /* correlated in time: a new point of a random path each period */
    bool jitter_reorders;      /* instead a new draw for every packet, order not kept */
    double loss;
    double burst_enter, burst_leave; /* Gilbert-Elliott: good -> bad, bad -> good, per packet */
    double burst_bad, burst_good;    /* loss in each state */
    double corrupt;                  /* one bit flipped */
    double reorder;                  /* held back by reorder_ns */
    uint64_t reorder_ns;
    double duplicate;
    bool is_down;
};

// clang-format off
#define PATH_COUNTERS(X)                                                          \
    X(received) X(received_bytes) X(delivered) X(delivered_bytes)                 \
    X(lost_random) X(lost_burst) X(dropped_queue) X(dropped_down) X(dropped_limit) \
    X(corrupted) X(reordered) X(duplicated) X(errors)
// clang-format on

struct path_counters {
#define X(name) uint64_t name;
    PATH_COUNTERS(X)
#undef X
    uint64_t queue_max_ns;
    uint64_t late_max_ns, late_sum_ns;
    uint64_t late[LATENESS_BUCKETS]; /* how much after its due time a packet left */
};

/* One generator for each effect, so that a change of one setting leaves the draws of the others alone. */
#define PATH_EFFECTS(X) X(loss) X(burst) X(corrupt) X(jitter) X(reorder) X(duplicate)

struct path {
    struct impairment set;
    struct path_counters count;
    struct packet_pool *pool;
    struct heap held;
    uint64_t link_free_ns; /* when the bottleneck has sent all that waits */
    uint64_t link_carry;   /* remainder of its division, in 1/rate ns */
    uint64_t last_due_ns;  /* order is kept by never being due before this */
    uint64_t jitter_at_ns; /* start of the current piece of the jitter path; 0: none yet */
    double jitter_from, jitter_to;
    bool in_burst;
    struct {
#define X(name) struct random name;
        PATH_EFFECTS(X)
#undef X
    } random;
};

void path_init(struct path *path, struct packet_pool *pool);
void path_clear(struct path *path); /* frees the packets that it holds */

/* Starts the random draws anew; the two directions of one link differ by `direction`. */
void path_seed(struct path *path, uint64_t seed, unsigned direction);

/* Takes the packet, which comes in now. */
void path_put(struct path *path, struct packet *packet, uint64_t now_ns);

/* When the next packet is due; UINT64_MAX: none. */
uint64_t path_wake(const struct path *path);

/* The next packet that is due by `until_ns`, or NULL; the caller frees it. Lateness is counted against
 * `now_ns`, which may be a little before `until_ns`. */
struct packet *path_take(struct path *path, uint64_t now_ns, uint64_t until_ns);

/* Lateness in ns that the share (0 to 1) of delivered packets did not exceed. */
uint64_t path_lateness(const struct path *path, double share);

#endif
