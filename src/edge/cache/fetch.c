/* SPDX-License-Identifier: Apache-2.0
 *
 * A fetch that goes on by itself (C1): once the head of an answer is there and it is to be stored, its stream is no client's any more. It
 * brings the content to the store as fast as that takes it, and everybody reads it there at his own pace: who asked first is
 * one of them, and may be slow, or leave, and nobody else notices. It is as urgent as the most urgent of them (T3). Without a reader it goes
 * on for those to come, as far as there are not too many like it.
 */
#include "edge/cache/cached.h"

#include "base/memory.h"

struct fetch {
    struct list link; /* of the worker's */
    struct edge_visitor visitor;
    struct edge_exchange exchange;
    struct store_fill *fill; /* NULL: it has ended */
    bool is_unread;
};

static struct fetch *of(const struct edge_exchange *exchange)
{
    return CONTAINER_OF(exchange, struct fetch, exchange);
}

/* ---- the front */

static int take_head(struct edge_exchange *exchange, struct http_head *answer)
{
    (void)exchange;
    (void)answer;
    return 0; /* it is there since before */
}

static void take_data(struct edge_exchange *exchange, struct slice data)
{
    store_fill_data(of(exchange)->fill, span_of(slice_data(&data), data.length),
                    loop_now_ns(exchange->worker->loop));
    slice_release(&data);
    edge_exchange_made_progress(exchange);
}

/* Trailers are not stored. */
static int take_end(struct edge_exchange *exchange, const struct http_fields *trailers)
{
    (void)trailers;
    store_fill_end(&of(exchange)->fill);
    return 0;
}

static void take_abort(struct edge_exchange *exchange)
{
    store_fill_fail(&of(exchange)->fill);
}

static uint64_t room(const struct edge_exchange *exchange)
{
    return store_fill_room(of(exchange)->fill);
}

/* Where there is no room its readers have not taken what is there, in their own time. */
static uint64_t held(const struct edge_exchange *exchange)
{
    const struct fetch *fetch = CONTAINER_OF(exchange, struct fetch, exchange);
    return fetch->fill && !store_fill_room(fetch->fill);
}

/* ---- life */

static void set_unread(struct fetch *fetch, bool is_unread)
{
    struct edge_worker *worker = fetch->exchange.worker;
    if (fetch->is_unread == is_unread)
        return;
    fetch->is_unread = is_unread;
    if (is_unread)
        worker->fetches_unread++;
    else
        worker->fetches_unread--;
}

static bool is_in_vain(struct fetch *fetch)
{
    if (!fetch->fill)
        return false;
    set_unread(fetch, !store_fill_is_read(fetch->fill));
    return fetch->is_unread && (!store_fill_is_kept(fetch->fill) ||
                                fetch->exchange.worker->fetches_unread > EDGE_FETCHES_UNREAD_MOST);
}

static void fetch_free(struct fetch *fetch)
{
    set_unread(fetch, false);
    store_fill_fail(&fetch->fill);
    list_remove(&fetch->link);
    edge_exchange_clear(&fetch->exchange);
    memory_free(fetch);
}

static void wake(struct edge_exchange *exchange)
{
    struct fetch *fetch = of(exchange);
    if (is_in_vain(fetch) && !edge_exchange_is_over(exchange))
        edge_exchange_conclude(exchange);
    else
        edge_exchange_run(exchange);
    if (edge_exchange_is_over(exchange))
        fetch_free(fetch);
    else
        edge_exchange_made_room(exchange);
}

static const struct edge_front fetch_front = {.protocols = {"-", "-"},
                                              .is_background = true,
                                              .times_reader = true,
                                              .head = take_head,
                                              .data = take_data,
                                              .end = take_end,
                                              .abort = take_abort,
                                              .room = room,
                                              .held = held,
                                              .wake = wake};

static void follow(struct fetch *fetch)
{
    if (fetch->fill)
        edge_exchange_set_wanted(&fetch->exchange, store_fill_urgency(fetch->fill));
}

static void on_change(void *context)
{
    struct fetch *fetch = context;
    follow(fetch);
    wake(&fetch->exchange);
}

void edge_fetch_start(struct edge_exchange *exchange, struct store_fill **fill)
{
    struct edge_worker *worker = exchange->worker;
    struct fetch *fetch = NEW(struct fetch);
    fetch->fill = *fill;
    *fill = NULL;
    fetch->visitor = *exchange->visitor;
    fetch->visitor.tls = NULL; /* it may end before this does */
    fetch->visitor.share = NULL;
    list_push_back(&worker->fetches, &fetch->link);
    edge_exchange_init(&fetch->exchange, &fetch_front, worker, &fetch->visitor);
    edge_exchange_hand_over(exchange, &fetch->exchange);
    store_fill_watch(fetch->fill, on_change, fetch);
    follow(fetch);
    wake(&fetch->exchange);
}

void edge_fetches_abort(struct edge_worker *worker)
{
    while (!list_is_empty(&worker->fetches))
        fetch_free(CONTAINER_OF(worker->fetches.next, struct fetch, link));
}
