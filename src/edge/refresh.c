/* SPDX-License-Identifier: Apache-2.0
 *
 * A front without a client: asks for what a client just got stale, so that the next one gets it fresh (RFC 5861 section 3). It goes the
 * way of every request; what comes is thrown away behind the store.
 */
#include "edge/cached.h"

#include "base/memory.h"

struct refresh {
    struct list link; /* of the worker's */
    struct edge_visitor visitor;
    struct edge_exchange exchange;
};

static int take_head(struct edge_exchange *exchange, struct http_head *answer)
{
    (void)exchange;
    (void)answer;
    return 0;
}

static void take_data(struct edge_exchange *exchange, struct slice data)
{
    (void)exchange;
    slice_release(&data);
}

static int take_end(struct edge_exchange *exchange, const struct http_fields *trailers)
{
    (void)exchange;
    (void)trailers;
    return 0;
}

static void take_abort(struct edge_exchange *exchange)
{
    (void)exchange;
}

static uint64_t room(const struct edge_exchange *exchange)
{
    (void)exchange;
    return EDGE_HELD_MOST;
}

static uint64_t held(const struct edge_exchange *exchange)
{
    (void)exchange;
    return 0;
}

static void refresh_free(struct refresh *refresh)
{
    struct edge_worker *worker = refresh->exchange.worker;
    list_remove(&refresh->link);
    worker->refresh_count--;
    edge_exchange_clear(&refresh->exchange);
    memory_free(refresh);
}

static void wake(struct edge_exchange *exchange)
{
    edge_exchange_run(exchange);
    if (edge_exchange_is_over(exchange))
        refresh_free(CONTAINER_OF(exchange, struct refresh, exchange));
    else
        edge_exchange_made_room(exchange);
}

const struct edge_front edge_refresh_front = {.protocols = {"-", "-"},
                                              .is_background = true,
                                              .head = take_head,
                                              .data = take_data,
                                              .end = take_end,
                                              .abort = take_abort,
                                              .room = room,
                                              .held = held,
                                              .wake = wake};

/* GET, as the client asked, but for what is its own affair: conditions, ranges, Cache-Control. */
static bool copy_head(struct edge_exchange *to, const struct http_head *from)
{
    static const enum http_name own[] = {
        HTTP_NAME_IF_NONE_MATCH, HTTP_NAME_IF_MODIFIED_SINCE, HTTP_NAME_IF_RANGE,
        HTTP_NAME_RANGE,         HTTP_NAME_CACHE_CONTROL,     HTTP_NAME_PRAGMA,
        HTTP_NAME_EXPECT,
    };
    struct http_head *head = &to->head;
    http_head_init(head, &to->arena);
    head->method = HTTP_METHOD_GET;
    head->method_text = http_method_text(HTTP_METHOD_GET);
    head->target = head->target_received = arena_copy(&to->arena, from->target);
    head->host = arena_copy(&to->arena, from->host);
    head->port = from->port;
    head->minor = 1;
    if (http_fields_copy(&head->fields, &from->fields))
        return false;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        http_fields_remove(&head->fields, own[i]);
    return true;
}

/* NULL: there are too many, or its head is too large; a later request may have more luck. */
static struct refresh *begin(const struct edge_exchange *exchange, uint32_t most)
{
    struct edge_worker *worker = exchange->worker;
    if (worker->refresh_count >= most)
        return NULL;
    struct refresh *refresh = NEW(struct refresh);
    struct edge_exchange *own = &refresh->exchange;
    refresh->visitor = *exchange->visitor;
    refresh->visitor.tls = NULL; /* it may end before this does */
    refresh->visitor.share = NULL;
    list_push_back(&worker->refreshes, &refresh->link);
    worker->refresh_count++;
    edge_exchange_init(own, &edge_refresh_front, worker, &refresh->visitor);
    edge_exchange_begin(own);
    edge_rules_repeat(own, exchange);
    if (!copy_head(own, &exchange->head)) {
        refresh_free(refresh);
        return NULL;
    }
    own->request_ended = true;
    return refresh;
}

void edge_refresh_start(const struct edge_exchange *exchange)
{
    struct refresh *refresh = begin(exchange, EDGE_REFRESHES_MOST);
    if (!refresh)
        return;
    metric_add(&edge_cache_refreshes, 1);
    edge_exchange_start(&refresh->exchange);
    wake(&refresh->exchange);
}

void edge_gather_start(const struct edge_exchange *exchange, struct edge_gather *plan)
{
    struct refresh *refresh = begin(exchange, EDGE_GATHERERS_MOST);
    if (!refresh) {
        edge_gather_clear(plan, exchange->worker->edge->store);
        return;
    }
    struct edge_exchange *own = &refresh->exchange;
    own->cached = ARENA_NEW(&own->arena, struct edge_cached);
    own->cached->gather = ARENA_NEW(&own->arena, struct edge_gather);
    *own->cached->gather = *plan;
    edge_exchange_start(own);
    wake(own);
}

void edge_refreshes_abort(struct edge_worker *worker)
{
    while (!list_is_empty(&worker->refreshes))
        refresh_free(CONTAINER_OF(worker->refreshes.next, struct refresh, link));
}
