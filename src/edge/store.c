/* SPDX-License-Identifier: Apache-2.0
 *
 * The edge's one store, which all workers share: opened with the configured budget, and its regular work.
 */
#include "store/store.h"

#include "crypto/crypto.h"
#include "edge/private.h"

#define TICK_NS (10ull * 1000000)

static const char *policy_name(enum conf_eviction policy)
{
    static const char *const names[] = {[CONF_EVICT_S3FIFO] = "s3fifo",
                                        [CONF_EVICT_LRU] = "lru",
                                        [CONF_EVICT_LFU] = "lfu",
                                        [CONF_EVICT_FIFO] = "fifo",
                                        [CONF_EVICT_RANDOM] = "random"};
    return names[policy];
}

void edge_store_open(struct edge *edge)
{
    const struct conf_edge *settings = conf_current(&edge->options.conf)->self->edge;
    if (!settings || !settings->cache_bytes)
        return;
    struct store_options options = {.memory_bytes = settings->cache_bytes,
                                    .policy = policy_name(settings->cache_policy)};
    crypto_openssl()->random(crypto_openssl()->random_state, (uint8_t *)&options.seed,
                             sizeof options.seed);
    int result = store_open(&edge->store, &options);
    if (result < 0)
        log_error("edge", "no cache: %s", error_text(result));
}

void edge_store_close(struct edge *edge)
{
    if (edge->store)
        store_close(&edge->store);
}

static void on_tick(struct loop *loop, struct loop_timer *timer)
{
    struct edge_worker *worker = CONTAINER_OF(timer, struct edge_worker, store_tick);
    store_tick(worker->edge->store, loop_now_ns(loop));
    loop_timer_start(loop, timer, loop_now_ns(loop) + TICK_NS);
}

void edge_store_start(struct edge_worker *worker)
{
    if (!worker->edge->store || worker_id(worker->worker) != 0)
        return;
    worker->store_tick.fire = on_tick;
    on_tick(worker->loop, &worker->store_tick);
}

void edge_store_stop(struct edge_worker *worker)
{
    loop_timer_stop(worker->loop, &worker->store_tick);
}

json_t *edge_store_status(const struct edge *edge)
{
    struct store_counts counts;
    json_t *status = json_object();
    if (!edge->store)
        return status;
    store_count(edge->store, &counts);
#define X(name, text) json_object_set_new(status, #name, json_integer((json_int_t)counts.name));
    STORE_COUNT_LIST(X)
#undef X
    return status;
}
