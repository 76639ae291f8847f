/* SPDX-License-Identifier: Apache-2.0
 *
 * What the workers have of an origin together: each keeps its own connections, but what is idle at one may not keep another from the
 * origin. So many are kept by all as the site says, of which each worker may always have its share; and where the origin's limit is reached
 * by connections that idle, the worker with most of them closes one for each that is opened elsewhere.
 */
#include "gateway/private.h"

#include "base/memory.h"

#include <pthread.h>

/* A worker's part of it. */
struct seat {
    struct message yield; /* close the connection that has been idle for longest */
    _Atomic bool is_asked;
    _Atomic uint32_t idle; /* written by its worker alone */
    struct origin_share *share;
};

struct origin_share {
    struct address_table_item by_address;
    uint32_t references;
    struct gateway *gateway;
    struct address address;
    _Atomic uint32_t connections, idle; /* of all workers */
    struct seat seats[];
};

struct gateway_shares {
    pthread_mutex_t lock; /* of the table and of references, at reloads and where one is to yield */
    struct address_table table;
};

static uint32_t number_of(const struct gateway_worker *worker)
{
    return (uint32_t)(worker - worker->gateway->workers);
}

/* ---- life */

static void release(struct origin_share *share)
{
    struct gateway_shares *shares = share->gateway->shares;
    pthread_mutex_lock(&shares->lock);
    bool is_last = --share->references == 0;
    if (is_last)
        address_table_remove(&shares->table, &share->by_address);
    pthread_mutex_unlock(&shares->lock);
    if (is_last)
        memory_free(share);
}

static void retain(struct origin_share *share)
{
    struct gateway_shares *shares = share->gateway->shares;
    pthread_mutex_lock(&shares->lock);
    share->references++;
    pthread_mutex_unlock(&shares->lock);
}

static void deliver(struct worker *receiver, struct message *message)
{
    struct seat *seat = CONTAINER_OF(message, struct seat, yield);
    struct gateway *gateway = seat->share->gateway;
    (void)receiver;
    atomic_store_explicit(&seat->is_asked, false, memory_order_relaxed);
    gateway_pool_yield(&gateway->workers[seat - seat->share->seats], &seat->share->address);
    release(seat->share);
}

static void discard(struct message *message)
{
    release(CONTAINER_OF(message, struct seat, yield)->share);
}

static struct origin_share *make(struct gateway *gateway, const struct address *address)
{
    uint32_t workers = gateway->options.workers;
    struct origin_share *share = memory_new(sizeof *share + workers * sizeof *share->seats);
    share->gateway = gateway;
    share->address = *address;
    for (uint32_t i = 0; i < workers; i++) {
        share->seats[i].yield.deliver = deliver;
        share->seats[i].yield.discard = discard;
        share->seats[i].share = share;
    }
    return share;
}

struct origin_share *origin_share_get(struct gateway_worker *worker, const struct address *address)
{
    struct gateway_shares *shares = worker->gateway->shares;
    struct origin_share *found = NULL;
    pthread_mutex_lock(&shares->lock);
    struct address_table_item *item = address_table_first(&shares->table, address);
    for (; item; item = address_table_next(&shares->table, item)) {
        struct origin_share *share = CONTAINER_OF(item, struct origin_share, by_address);
        if (address_equal(&share->address, address))
            found = share;
    }
    if (!found) {
        found = make(worker->gateway, address);
        address_table_add(&shares->table, &found->by_address, address);
    }
    found->references++;
    pthread_mutex_unlock(&shares->lock);
    return found;
}

void origin_share_release(struct origin_share **released)
{
    struct origin_share *share = *released;
    *released = NULL;
    if (share)
        release(share);
}

struct gateway_shares *gateway_shares_new(void)
{
    struct gateway_shares *shares = NEW(struct gateway_shares);
    pthread_mutex_init(&shares->lock, NULL);
    return shares;
}

void gateway_shares_free(struct gateway_shares **freed)
{
    struct gateway_shares *shares = *freed;
    *freed = NULL;
    address_table_clear(&shares->table);
    pthread_mutex_destroy(&shares->lock);
    memory_free(shares);
}

/* ---- what there is of it */

void origin_share_count(struct origin_share *share, const struct gateway_worker *worker,
                        int connections, int idle)
{
    struct seat *seat = &share->seats[number_of(worker)];
    atomic_fetch_add_explicit(&share->connections, (uint32_t)connections, memory_order_relaxed);
    atomic_fetch_add_explicit(&share->idle, (uint32_t)idle, memory_order_relaxed);
    atomic_fetch_add_explicit(&seat->idle, (uint32_t)idle, memory_order_relaxed);
}

/* The one with most idle connections closes one. */
static void ask_the_richest(struct origin_share *share, struct gateway_worker *worker)
{
    struct gateway *gateway = worker->gateway;
    uint32_t richest = 0, most = 0;
    for (uint32_t i = 0; i < gateway->options.workers; i++) {
        uint32_t idle = atomic_load_explicit(&share->seats[i].idle, memory_order_relaxed);
        if (idle > most) {
            most = idle;
            richest = i;
        }
    }
    if (!most)
        return;
    struct seat *seat = &share->seats[richest];
    if (richest == number_of(worker)) {
        gateway_pool_yield(worker, &share->address);
    } else if (!atomic_exchange_explicit(&seat->is_asked, true, memory_order_relaxed)) {
        retain(share);
        worker_post(gateway->workers[richest].worker, &seat->yield);
    }
}

bool origin_share_may_keep(struct origin_share *share, struct gateway_worker *worker,
                           uint32_t keep_most)
{
    const struct seat *seat = &share->seats[number_of(worker)];
    uint32_t own = atomic_load_explicit(&seat->idle, memory_order_relaxed);
    uint32_t fair = (keep_most + worker->gateway->options.workers - 1) /
                    worker->gateway->options.workers; /* at least one, where any is kept */
    if (atomic_load_explicit(&share->idle, memory_order_relaxed) < keep_most)
        return true;
    if (own >= fair)
        return false;
    ask_the_richest(share, worker);
    return true;
}

void origin_share_make_room(struct origin_share *share, struct gateway_worker *worker,
                            uint32_t limit)
{
    if (atomic_load_explicit(&share->connections, memory_order_relaxed) >= limit &&
        atomic_load_explicit(&share->idle, memory_order_relaxed))
        ask_the_richest(share, worker);
}
