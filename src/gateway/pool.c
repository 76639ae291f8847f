/* SPDX-License-Identifier: Apache-2.0
 *
 * Origins and the connections kept to them: one pool for each address and worker. A connection is used by one request at a
 * time, and kept only after an answer that ended where it said.
 */
#include "base/memory.h"
#include "gateway/attempt.h"

#include <errno.h>

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct origin_connection *connection = CONTAINER_OF(watch, struct origin_connection, watch);
    (void)loop;
    if (connection->attempt) {
        gateway_attempt_on_ready(connection->attempt, events);
        return;
    }
    gateway_pool_close(
        &connection); /* an idle origin connection that speaks or ends is of no more use */
}

static void on_idle(struct loop *loop, struct loop_timer *timer)
{
    struct origin_connection *connection =
        CONTAINER_OF(timer, struct origin_connection, idle_timer);
    (void)loop;
    gateway_pool_close(&connection);
}

static struct origin_pool *find(struct gateway_worker *worker, const struct address *address)
{
    LIST_EACH (item, after, &worker->pools) {
        struct origin_pool *pool = CONTAINER_OF(item, struct origin_pool, link);
        if (address_equal(&pool->address, address))
            return pool;
    }
    return NULL;
}

static struct origin_pool *find_or_add(struct gateway_worker *worker, const struct address *address)
{
    struct origin_pool *pool = find(worker, address);
    if (pool)
        return pool;
    pool = NEW(struct origin_pool);
    pool->address = *address;
    list_init(&pool->idle);
    list_push_back(&worker->pools, &pool->link);
    return pool;
}

/* The addresses of an origin, written as number or name, with its port (or `port` unless 0). Returns how many. */
static size_t origin_addresses(const struct gateway_worker *worker,
                               const struct conf_origin *origin, uint16_t port,
                               struct address addresses[RESOLVED_ADDRESSES])
{
    const struct resolved_name *name =
        origin->host ? gateway_names_find(worker->names, worker->name_count, origin->host) : NULL;
    size_t count = name ? name->count : origin->address.family ? 1 : 0;
    for (size_t i = 0; i < count; i++) {
        addresses[i] = name ? name->addresses[i] : origin->address;
        addresses[i].port = port ? port : origin->port;
    }
    return count;
}

static void free_if_unused(struct origin_pool *pool)
{
    if (pool->is_configured || pool->connection_count || pool->holds)
        return;
    list_remove(&pool->link);
    memory_free(pool);
}

static void close_idle(struct origin_pool *pool)
{
    LIST_EACH (item, after, &pool->idle) {
        struct origin_connection *connection = CONTAINER_OF(item, struct origin_connection, link);
        gateway_pool_close(&connection);
    }
}

static void configure(struct gateway_worker *worker, const struct conf_origin *origin)
{
    struct address addresses[RESOLVED_ADDRESSES];
    size_t count = origin_addresses(worker, origin, 0, addresses);
    for (size_t i = 0; i < count; i++)
        find_or_add(worker, &addresses[i])->is_configured = true;
}

void gateway_pools_reload(struct gateway_worker *worker)
{
    const struct conf *conf = gateway_conf(worker);
    LIST_EACH (item, after, &worker->pools)
        CONTAINER_OF(item, struct origin_pool, link)->is_configured = false;
    for (size_t i = 0; i < conf->site_count; i++)
        for (size_t k = 0; conf_site_origin(&conf->sites[i], k); k++)
            configure(worker, conf_site_origin(&conf->sites[i], k));
    LIST_EACH (item, after, &worker->pools) {
        struct origin_pool *pool = CONTAINER_OF(item, struct origin_pool, link);
        if (pool->is_configured)
            continue;
        gateway_pool_hold(pool); /* keeps it through the closing of its last connection */
        close_idle(pool);
        gateway_pool_release(pool);
    }
}

void gateway_pools_free(struct gateway_worker *worker)
{
    LIST_EACH (item, after, &worker->pools) {
        struct origin_pool *pool = CONTAINER_OF(item, struct origin_pool, link);
        pool->is_configured = true; /* not freed with its last connection */
        close_idle(pool);
        list_remove(&pool->link);
        memory_free(pool);
    }
}

/* Loopback and link-local destinations (the metadata services of clouds among them) only where the owner says so. */
static bool may_connect(const struct conf *conf, const struct address *address)
{
    if (conf->self->gateway && conf->self->gateway->allow_local)
        return true;
    return !address_is_loopback(address) && !address_is_link_local(address) &&
           !address_is_any(address);
}

size_t gateway_pool_addresses(const struct gateway_worker *worker, const struct conf_origin *origin,
                              uint16_t port, struct address addresses[RESOLVED_ADDRESSES])
{
    size_t count = origin_addresses(worker, origin, port, addresses), kept = 0;
    for (size_t i = 0; i < count; i++)
        if (may_connect(gateway_conf(worker), &addresses[i]))
            addresses[kept++] = addresses[i];
    return kept;
}

struct origin_pool *gateway_pool_at(struct gateway_worker *worker, const struct address *address)
{
    return find_or_add(worker, address);
}

void gateway_pool_hold(struct origin_pool *pool)
{
    pool->holds++;
}

void gateway_pool_release(struct origin_pool *pool)
{
    INVARIANT(pool->holds > 0);
    pool->holds--;
    free_if_unused(pool);
}

struct origin_connection *gateway_pool_take(struct origin_pool *pool)
{
    struct list *item = list_pop_front(&pool->idle);
    if (!item)
        return NULL;
    struct origin_connection *connection = CONTAINER_OF(item, struct origin_connection, link);
    pool->idle_count--;
    loop_timer_stop(connection->worker->loop, &connection->idle_timer);
    connection->is_reused = true;
    metric_add(&gateway_connections_reused, 1);
    return connection;
}

int gateway_pool_connect(struct gateway_worker *worker, struct origin_pool *pool,
                         struct origin_connection **made)
{
    int fd;
    *made = NULL;
    int result = socket_connect_tcp(&pool->address, &fd);
    if (result < 0)
        return result;
    socket_set_nodelay(fd);
    struct origin_connection *connection = NEW(struct origin_connection);
    connection->worker = worker;
    connection->pool = pool;
    connection->watch.fd = fd;
    connection->watch.ready = on_ready;
    connection->idle_timer.fire = on_idle;
    connection->is_connecting = true;
    list_init(&connection->link);
    pool->connection_count++;
    metric_add(&gateway_connections, 1);
    if (loop_watch_set(worker->loop, &connection->watch, EPOLLIN | EPOLLOUT) < 0) {
        gateway_pool_close(&connection);
        return ERROR_LIMIT;
    }
    *made = connection;
    return 0;
}

void gateway_pool_keep(struct origin_connection *connection, uint64_t idle_timeout_ns,
                       uint32_t keep_most)
{
    struct origin_pool *pool = connection->pool;
    if (pool->idle_count >= keep_most || !pool->is_configured || connection->in.bytes ||
        connection->out.bytes ||
        loop_watch_set(connection->worker->loop, &connection->watch, EPOLLIN) < 0) {
        gateway_pool_close(&connection);
        return;
    }
    slice_queue_clear(&connection->in);
    slice_queue_clear(&connection->out);
    list_push_front(&pool->idle, &connection->link);
    pool->idle_count++;
    loop_timer_start(connection->worker->loop, &connection->idle_timer,
                     loop_now_ns(connection->worker->loop) + idle_timeout_ns);
}

void gateway_pool_close(struct origin_connection **closed)
{
    struct origin_connection *connection = *closed;
    if (!connection)
        return;
    *closed = NULL;
    struct origin_pool *pool = connection->pool;
    if (!list_is_empty(&connection->link)) {
        list_remove(&connection->link);
        pool->idle_count--;
    }
    loop_timer_stop(connection->worker->loop, &connection->idle_timer);
    loop_watch_close(connection->worker->loop, &connection->watch);
    slice_queue_clear(&connection->in);
    slice_queue_clear(&connection->out);
    memory_free(connection);
    pool->connection_count--;
    free_if_unused(pool);
}
