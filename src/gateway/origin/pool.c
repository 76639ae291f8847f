/* SPDX-License-Identifier: Apache-2.0
 *
 * Origins and the connections kept to them: one pool for each address and worker. A connection is used by one request at a
 * time, and kept only after an answer that ended where it said.
 */
#include "base/memory.h"
#include "gateway/attempt.h"
#include "gateway/owner/orders.h"

#include <errno.h>

void gateway_pool_on_ready(struct origin_connection *connection, uint32_t events)
{
    if (connection->attempt)
        gateway_attempt_on_ready(connection->attempt, events);
    else if (!origin_connection_is_quiet(connection))
        gateway_pool_close(&connection);
}

static void on_idle(struct loop *loop, struct loop_timer *timer)
{
    struct origin_connection *connection =
        CONTAINER_OF(timer, struct origin_connection, idle_timer);
    (void)loop;
    gateway_pool_close(&connection);
}

/* A site's origin at one of its addresses. */
struct place {
    const struct conf_origin *origin;
    struct address address;
    struct origin_manner *manner;
    const char *name; /* for TLS; NULL: none */
    char text[ADDRESS_TEXT_BYTES];
};

static void place_of(struct gateway_worker *worker, const struct conf_site *site,
                     const struct conf_origin *origin, const struct address *address,
                     struct place *place)
{
    place->origin = origin;
    place->address = *address;
    place->manner = gateway_manner_of(worker, site, origin);
    place->name = !origin->is_tls       ? NULL
                  : place->manner->name ? place->manner->name
                  : origin->host        ? origin->host
                                        : address_text(&origin->address, false, place->text);
}

static bool is_at(const struct origin_pool *pool, const struct place *place)
{
    return pool->manner == place->manner && address_equal(&pool->address, &place->address) &&
           (!place->name || strcmp(pool->name, place->name) == 0);
}

static char *copy_text(const char *text)
{
    return text ? memory_text(text, strlen(text)) : NULL;
}

static struct origin_pool *find_or_add(struct gateway_worker *worker, const struct place *place)
{
    struct address_table_item *item = address_table_first(&worker->pool_table, &place->address);
    for (; item; item = address_table_next(&worker->pool_table, item)) {
        struct origin_pool *pool = CONTAINER_OF(item, struct origin_pool, by_address);
        if (is_at(pool, place))
            return pool;
    }
    struct origin_pool *pool = NEW(struct origin_pool);
    pool->worker = worker;
    pool->address = place->address;
    pool->manner = gateway_manner_retain(worker, place->manner);
    pool->share = origin_share_get(worker, &place->address);
    pool->path = copy_text(place->origin->path);
    pool->name = copy_text(place->name);
    list_init(&pool->idle);
    list_push_back(&worker->pools, &pool->link);
    address_table_add(&worker->pool_table, &pool->by_address, &pool->address);
    return pool;
}

static void free_pool(struct origin_pool *pool)
{
    list_remove(&pool->link);
    address_table_remove(&pool->worker->pool_table, &pool->by_address);
    gateway_manner_release(pool->worker, &pool->manner);
    origin_share_release(&pool->share);
    tls_memory_clear(&pool->memory);
    memory_free(pool->path);
    memory_free(pool->name);
    memory_free(pool);
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
    return port && origin->path ? 0 : count; /* a Unix socket has no other port */
}

static void free_if_unused(struct origin_pool *pool)
{
    if (pool->is_configured || pool->connection_count || pool->holds)
        return;
    free_pool(pool);
}

static void close_idle(struct origin_pool *pool)
{
    LIST_EACH (item, after, &pool->idle) {
        struct origin_connection *connection = CONTAINER_OF(item, struct origin_connection, link);
        gateway_pool_close(&connection);
    }
}

/* Those of a site, for as long as they are configured. */
struct site_pools {
    struct origin_pool **list;
    size_t count;
};

static void free_site_pools(struct gateway_worker *worker)
{
    for (size_t i = 0; i < worker->site_pool_count; i++)
        memory_free(worker->site_pools[i].list);
    memory_free(worker->site_pools);
    worker->site_pools = NULL;
    worker->site_pool_count = 0;
    worker->pools_of = NULL;
}

static void configure(struct gateway_worker *worker, const struct conf_site *site,
                      const struct conf_origin *origin)
{
    struct site_pools *pools = &worker->site_pools[site->index];
    struct address addresses[RESOLVED_ADDRESSES];
    size_t count = origin_addresses(worker, origin, 0, addresses);
    pools->list = memory_resize(pools->list, pools->count + count, sizeof(struct origin_pool *));
    for (size_t i = 0; i < count; i++) {
        struct place place;
        place_of(worker, site, origin, &addresses[i], &place);
        struct origin_pool *pool = find_or_add(worker, &place);
        uint32_t limit = origin->limit ? origin->limit : site->connections_limit;
        if (!pool->is_configured || limit < pool->limit)
            pool->limit = limit;
        pool->is_configured = true;
        pools->list[pools->count++] = pool;
    }
}

void gateway_pools_reload(struct gateway_worker *worker)
{
    const struct conf *conf = gateway_conf(worker);
    gateway_manners_reload(worker);
    free_site_pools(worker);
    LIST_EACH (item, after, &worker->pools)
        CONTAINER_OF(item, struct origin_pool, link)->is_configured = false;
    worker->site_pools = memory_new(conf->site_count * sizeof *worker->site_pools);
    worker->site_pool_count = conf->site_count;
    worker->pools_of = conf;
    for (size_t i = 0; i < conf->site_count; i++)
        for (size_t k = 0; conf_site_origin(&conf->sites[i], k); k++)
            if (gateway_orders_find(worker->gateway->orders, conf->sites[i].name,
                                    conf_site_origin(&conf->sites[i], k)) != GATEWAY_ORDER_MAINTAIN)
                configure(worker, &conf->sites[i], conf_site_origin(&conf->sites[i], k));
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
        free_pool(pool);
    }
    address_table_clear(&worker->pool_table);
    free_site_pools(worker);
    gateway_manners_clear(worker);
}

/* Loopback and link-local destinations (the metadata services of clouds among them) and Unix sockets only where the owner says so. */
static bool may_connect(const struct conf *conf, const struct address *address)
{
    if (conf->self->gateway && conf->self->gateway->allow_local)
        return true;
    return address->family != ADDRESS_UNIX && !address_is_loopback(address) &&
           !address_is_link_local(address) && !address_is_any(address);
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

/* The slow way: names or the configuration have changed, and this worker hears of it later than whoever chose the address. A named
 * origin may be at any address then; who answers there has to prove it, if TLS does. */
static struct origin_pool *look_for(struct gateway_worker *worker, const struct conf_site *site,
                                    const struct address *address)
{
    const struct conf_origin *found = NULL;
    bool is_there = false;
    for (size_t i = 0; !is_there && conf_site_origin(site, i); i++) {
        const struct conf_origin *origin = conf_site_origin(site, i);
        struct address addresses[RESOLVED_ADDRESSES];
        size_t count = origin_addresses(worker, origin, 0, addresses);
        for (size_t k = 0; k < count && !is_there; k++)
            is_there = address_equal(&addresses[k], address);
        if (is_there || (!found && origin->host))
            found = origin;
    }
    if (!found)
        return NULL;
    struct place place;
    place_of(worker, site, found, address, &place);
    return find_or_add(worker, &place);
}

struct origin_pool *gateway_pool_at(struct gateway_worker *worker, const struct conf_site *site,
                                    const struct address *address)
{
    if (worker->pools_of == gateway_conf(worker)) {
        const struct site_pools *pools = &worker->site_pools[site->index];
        for (size_t i = 0; i < pools->count; i++)
            if (address_equal(&pools->list[i]->address, address))
                return pools->list[i];
    }
    return look_for(worker, site, address);
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

/* One on which something lies is of no more use: it would be taken for the answer to the next request. */
struct origin_connection *gateway_pool_take(struct origin_pool *pool,
                                            const struct origin_caller *caller)
{
    LIST_EACH (item, after, &pool->idle) {
        struct origin_connection *connection = CONTAINER_OF(item, struct origin_connection, link);
        if (!origin_connection_is_for(connection, caller))
            continue;
        if (!origin_connection_is_quiet(connection)) {
            gateway_pool_close(&connection);
            continue;
        }
        list_remove(item);
        pool->idle_count--;
        origin_share_count(pool->share, pool->worker, 0, -1);
        loop_timer_stop(connection->worker->loop, &connection->idle_timer);
        connection->is_reused = true;
        metric_add(&gateway_connections_reused, 1);
        return connection;
    }
    return NULL;
}

int gateway_pool_connect(struct gateway_worker *worker, struct origin_pool *pool,
                         const struct origin_caller *caller, struct origin_connection **made)
{
    if (pool->is_configured)
        origin_share_make_room(pool->share, worker, pool->limit);
    int result = origin_connection_open(worker, pool, caller, made);
    if (result < 0)
        return result;
    origin_share_count(pool->share, worker, 1, 0);
    (*made)->idle_timer.fire = on_idle;
    pool->connection_count++;
    metric_add(&gateway_connections, 1);
    return 0;
}

void gateway_pool_keep(struct origin_connection *connection, uint64_t idle_timeout_ns,
                       uint32_t keep_most)
{
    struct origin_pool *pool = connection->pool;
    if (!pool->is_configured || connection->in.bytes || connection->out.bytes ||
        !origin_share_may_keep(pool->share, pool->worker, keep_most) ||
        origin_connection_want(connection, EPOLLIN) < 0) {
        gateway_pool_close(&connection);
        return;
    }
    slice_queue_clear(&connection->in);
    slice_queue_clear(&connection->out);
    list_push_front(&pool->idle, &connection->link);
    pool->idle_count++;
    origin_share_count(pool->share, pool->worker, 0, 1);
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
        origin_share_count(pool->share, pool->worker, 0, -1);
    }
    origin_connection_free(&connection);
    origin_share_count(pool->share, pool->worker, -1, 0);
    pool->connection_count--;
    free_if_unused(pool);
}

void gateway_pool_yield(struct gateway_worker *worker, const struct address *address)
{
    struct address_table_item *item = address_table_first(&worker->pool_table, address);
    for (; item; item = address_table_next(&worker->pool_table, item)) {
        struct origin_pool *pool = CONTAINER_OF(item, struct origin_pool, by_address);
        if (!pool->idle_count || !address_equal(&pool->address, address))
            continue;
        struct origin_connection *oldest =
            CONTAINER_OF(pool->idle.previous, struct origin_connection, link);
        gateway_pool_close(&oldest);
        return;
    }
}

uint32_t gateway_pool_origins(const struct gateway_worker *worker, const struct conf_site *site,
                              const char *group, enum balance_need need)
{
    struct conf_group found;
    struct address addresses[RESOLVED_ADDRESSES];
    size_t count = 0;
    if (!conf_find_group(site, group, &found))
        return 0;
    for (size_t i = 0; i < found.origin_count; i++)
        if (need != BALANCE_NEEDS_ORIGINAL || found.origins[i].role != BALANCE_MIRROR)
            count += gateway_pool_addresses(worker, &found.origins[i], 0, addresses);
    return (uint32_t)count;
}
