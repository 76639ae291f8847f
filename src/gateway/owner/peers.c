/* SPDX-License-Identifier: Apache-2.0
 *
 * Other gateways that serve the same sites, as edges tell of them (src/loads): how many they are and what slots they need together. Owners
 * take their part of the origins' slots by it. Where nobody has told of others for a while, all slots are ours.
 */
#include "base/memory.h"
#include "base/sorted.h"
#include "gateway/private.h"
#include "loads/loads.h"

#include <pthread.h>

struct peer_row {
    uint64_t site; /* purge_site() */
    uint32_t own_milli, others, others_milli;
    uint64_t heard_ns;
};

struct gateway_peers {
    pthread_mutex_t lock;  /* some ten times a second and site */
    struct peer_row *rows; /* ascending by site */
    size_t count, capacity;
};

struct gateway_peers *gateway_peers_new(void)
{
    struct gateway_peers *peers = NEW(struct gateway_peers);
    pthread_mutex_init(&peers->lock, NULL);
    return peers;
}

void gateway_peers_free(struct gateway_peers **freed)
{
    struct gateway_peers *peers = *freed;
    *freed = NULL;
    pthread_mutex_destroy(&peers->lock);
    memory_free(peers->rows);
    memory_free(peers);
}

static struct peer_row *find(const struct gateway_peers *peers, uint64_t site)
{
    return sorted_find(peers->rows, peers->count, sizeof *peers->rows, site);
}

void gateway_peers_need(struct gateway_peers *peers, uint64_t site, uint32_t need_milli)
{
    pthread_mutex_lock(&peers->lock);
    struct peer_row *row = find(peers, site);
    if (!row && peers->count < CONF_SITES_LIMIT) {
        peers->rows =
            sorted_insert(peers->rows, &peers->count, &peers->capacity, sizeof *peers->rows, site);
        row = find(peers, site);
    }
    if (row)
        row->own_milli = need_milli;
    pthread_mutex_unlock(&peers->lock);
}

/* Of several edges the one counts that has heard of most. */
void gateway_peers_heard(struct gateway_peers *peers, uint64_t site, uint32_t others,
                         uint32_t need_milli, uint64_t now_ns)
{
    pthread_mutex_lock(&peers->lock);
    struct peer_row *row = find(peers, site);
    bool is_stale = row && now_ns > row->heard_ns + LOADS_STALE_NS;
    if (row && (is_stale || others > row->others ||
                (others == row->others && need_milli >= row->others_milli))) {
        row->others = others;
        row->others_milli = need_milli;
        row->heard_ns = now_ns;
    }
    pthread_mutex_unlock(&peers->lock);
}

uint32_t gateway_peers_part(struct gateway_peers *peers, uint64_t site, uint32_t slots,
                            uint64_t now_ns)
{
    pthread_mutex_lock(&peers->lock);
    const struct peer_row *row = find(peers, site);
    bool has_others = row && row->others && now_ns < row->heard_ns + 2 * LOADS_STALE_NS;
    if (has_others)
        slots = queue_divide(slots, row->others, row->own_milli, row->others_milli);
    pthread_mutex_unlock(&peers->lock);
    return slots;
}
