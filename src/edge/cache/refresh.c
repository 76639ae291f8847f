/* SPDX-License-Identifier: Apache-2.0
 *
 * A front without a client: asks for what a client just got stale, so that the next one gets it fresh (RFC 5861 section 3); for what is
 * popular and expires soon, for URLs of lists (C1), for slices. It goes the way of every request; what comes is thrown away behind the
 * store.
 */
#include "edge/cache/cached.h"

#include "base/memory.h"

static struct metric refreshes_ahead =
    METRIC(COUNTER, "causeway_edge_cache_ahead_total", "why=\"popular\"",
           "Fresh answers that were asked for anew, and lists' URLs that were looked at.");
static struct metric prefetches =
    METRIC(COUNTER, "causeway_edge_cache_ahead_total", "why=\"list\"",
           "Fresh answers that were asked for anew, and lists' URLs that were looked at.");
static struct metric prefetch_bad =
    METRIC(COUNTER, "causeway_edge_cache_ahead_total", "why=\"bad-url\"",
           "Fresh answers that were asked for anew, and lists' URLs that were looked at.");

void edge_refresh_register_metrics(void)
{
    metric_register(&refreshes_ahead);
    metric_register(&prefetches);
    metric_register(&prefetch_bad);
}

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

static struct refresh *new_refresh(struct edge_worker *worker)
{
    struct refresh *refresh = NEW(struct refresh);
    list_push_back(&worker->refreshes, &refresh->link);
    worker->refresh_count++;
    edge_exchange_init(&refresh->exchange, &edge_refresh_front, worker, &refresh->visitor);
    edge_exchange_begin(&refresh->exchange);
    return refresh;
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
    return refresh;
}

static void go(struct refresh *refresh)
{
    struct edge_exchange *own = &refresh->exchange;
    own->request_ended = true;
    edge_exchange_start(own);
    wake(own);
}

/* What is not due yet has time: it goes behind all that somebody waits for. */
static void set_ahead(struct refresh *refresh, uint32_t ahead_s)
{
    struct edge_exchange *own = &refresh->exchange;
    own->cached = ARENA_NEW(&own->arena, struct edge_cached);
    own->cached->is_ahead = true;
    own->cached->ahead_s = ahead_s;
    edge_exchange_set_urgency(own, 7);
}

void edge_refresh_start(const struct edge_exchange *exchange, bool is_ahead)
{
    struct refresh *refresh = begin(exchange, is_ahead ? EDGE_AHEAD_MOST : EDGE_REFRESHES_MOST);
    if (!refresh)
        return;
    if (is_ahead)
        set_ahead(refresh, UINT32_MAX);
    metric_add(is_ahead ? &refreshes_ahead : &edge_cache_refreshes, 1);
    go(refresh);
}

/* ---- URLs of lists */

static bool read_url(struct cache_url *url, struct arena *arena, const struct conf_site *site,
                     struct span text)
{
    if (!text.length || text.data[0] != '/')
        return cache_url_read(url, arena, text) == 0;
    *url = (struct cache_url){.is_https = site->tls != NULL, .target = text};
    for (size_t i = 0; i < site->hosts.count && !url->host.length; i++)
        if (site->hosts.items[i][0] != '*')
            url->host = arena_copy(arena, span_text(site->hosts.items[i]));
    return url->host.length > 0;
}

/* As most browsers ask for it. */
static bool write_head(struct edge_exchange *own, const struct conf_site *site, struct span text,
                       bool *is_https)
{
    struct http_head *head = &own->head;
    struct cache_url url;
    http_head_init(head, &own->arena);
    if (!read_url(&url, &own->arena, site, arena_copy(&own->arena, text)))
        return false;
    *is_https = url.is_https;
    head->method = HTTP_METHOD_GET;
    head->method_text = http_method_text(HTTP_METHOD_GET);
    head->target = head->target_received = url.target;
    head->host = url.host;
    head->port = url.port;
    head->minor = 1;
    return http_fields_add(&head->fields, HTTP_NAME_ACCEPT_ENCODING,
                           SPAN("gzip, deflate, br, zstd")) == 0 &&
           http_fields_add(&head->fields, HTTP_NAME_USER_AGENT, SPAN("causeway (prefetch)")) == 0;
}

bool edge_refresh_url(struct edge_worker *worker, const struct conf_site *site, struct span text,
                      uint32_t ahead_s)
{
    if (worker->refresh_count >= EDGE_AHEAD_MOST)
        return false;
    struct refresh *refresh = new_refresh(worker);
    bool is_https = false;
    if (!write_head(&refresh->exchange, site, text, &is_https)) {
        metric_add(&prefetch_bad, 1);
        refresh_free(refresh);
        return true;
    }
    refresh->visitor.address =
        (struct address){.family = 4, .bytes = {127, 0, 0, 1}}; /* ourselves */
    refresh->visitor.is_https = is_https;
    refresh->visitor.local_port = is_https ? 443 : 80;
    metric_add(&prefetches, 1);
    set_ahead(refresh, ahead_s);
    go(refresh);
    return true;
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
    go(refresh);
}

void edge_refreshes_abort(struct edge_worker *worker)
{
    while (!list_is_empty(&worker->refreshes))
        refresh_free(CONTAINER_OF(worker->refreshes.next, struct refresh, link));
}
