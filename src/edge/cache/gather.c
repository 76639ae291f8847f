/* SPDX-License-Identifier: Apache-2.0
 *
 * Exchanges without a client that bring slices (slices.c): the first one of a representation together with its index; one of a known
 * index; or the word that a stale index is still right. What the origin answers otherwise ends the errand at once: nobody wants it.
 */
#include "edge/cache/cached.h"

static struct store *store_of(const struct edge_cached *cached)
{
    return cached->exchange->worker->edge->store;
}

static uint64_t now_ns(const struct edge_cached *cached)
{
    return loop_now_ns(cached->exchange->worker->loop);
}

void edge_gather_clear(struct edge_gather *gather, struct store *store)
{
    store_fill_fail(&gather->index);
    store_fill_fail(&gather->slice);
    store_object_release(store, &gather->known);
}

/* ---- what is asked */

static int ask(struct edge_cached *cached, struct http_fields *fields)
{
    const struct edge_gather *gather = cached->gather;
    struct cache_range range = {.first = gather->number * gather->slice_bytes};
    if (gather->index && gather->known)
        return cache_validation_ask(fields, &cached->fields) ? 0 : ERROR_NOT_FOUND;
    if (gather->known)
        range = cache_slice_range(&cached->facts, gather->number);
    else
        range.last = range.first + gather->slice_bytes - 1;
    return cache_slice_ask(fields, &range, gather->known ? &cached->fields : NULL);
}

enum edge_next edge_gather_take(struct edge_cached *cached)
{
    struct edge_exchange *exchange = cached->exchange;
    const struct edge_gather *gather = cached->gather;
    struct http_fields fields = {.arena = &exchange->arena};
    if (!edge_cached_make_part_key(cached) ||
        (gather->known && !edge_cached_open(cached, gather->known)) ||
        http_fields_copy(&fields, &exchange->head.fields) || ask(cached, &fields))
        return edge_cached_give_up(exchange);
    cached->is_in_parts = true;
    exchange->head.fields = fields;
    edge_cached_follow(cached);
    return EDGE_NEXT;
}

/* ---- what comes back */

static enum edge_next stop(struct edge_cached *cached)
{
    edge_gather_clear(cached->gather, store_of(cached));
    return edge_cached_give_up(cached->exchange);
}

/* The content goes to the store by itself (fetch.c). */
static enum edge_next take_slice(struct edge_cached *cached, const struct cache_range *range)
{
    struct edge_gather *gather = cached->gather;
    static const struct store_answer nothing; /* the index says it all */
    int64_t length = (int64_t)(range->last - range->first + 1);
    if (gather->slice && cached->exchange->stream_finished &&
        store_fill_answer(&gather->slice, &nothing, length, now_ns(cached)) == 0)
        edge_fetch_start(cached->exchange, &gather->slice);
    return stop(cached);
}

/* The slice has its fill before others learn of the index, so that they wait for it. */
static void join_slice(struct edge_cached *cached, const struct cache_facts *index)
{
    struct edge_gather *gather = cached->gather;
    struct store_joined joined = {0};
    struct store_reader reader = {0};
    struct text key = {0};
    struct store_query query = edge_slices_query(cached, index, gather->number, &key);
    if (store_join(store_of(cached), &query, NULL, &reader, &joined) == STORE_FILL)
        gather->slice = joined.fill;
    store_reader_close(&reader);
    store_object_release(store_of(cached), &joined.object);
    text_clear(&key);
}

/* 206 of something that was not known: its index, and this slice. */
static enum edge_next take_first(struct edge_cached *cached, const struct http_head *answer)
{
    struct edge_exchange *exchange = cached->exchange;
    struct edge_gather *gather = cached->gather;
    struct http_fields fields = {.arena = &exchange->arena};
    struct edge_packed packed = {0};
    struct cache_facts facts, index;
    bool is_good = answer->status == 206 &&
                   edge_cached_read(cached, answer, &facts, &fields) == CACHE_REFUSAL_NONE &&
                   cache_slices_index(&index, &facts, gather->slice_bytes,
                                      random_u64(&exchange->worker->random)) &&
                   cache_slice_matches(answer, &index, &fields, gather->number) &&
                   edge_cached_pack(&packed, cached, &index, &fields) == CACHE_REFUSAL_NONE;
    if (is_good)
        join_slice(cached, &index); /* the answer of the index wakes who waits for it */
    is_good = is_good && store_fill_answer(&gather->index, &packed.answer, 0, now_ns(cached)) == 0;
    edge_packed_clear(&packed);
    if (!is_good) {
        store_fill_pass(&gather->index, now_ns(cached),
                        cache_status_is_error(answer->status) ? 0 : EDGE_UNSLICED_NS);
        return stop(cached);
    }
    store_fill_end(&gather->index);
    struct cache_range range = cache_slice_range(&index, gather->number);
    return take_slice(cached, &range);
}

/* Is the index still right? */
static enum edge_next take_word(struct edge_cached *cached, const struct http_head *answer)
{
    struct edge_exchange *exchange = cached->exchange;
    struct edge_gather *gather = cached->gather;
    struct http_fields updated = {.arena = &exchange->arena};
    struct edge_packed packed = {0};
    struct cache_facts facts = cached->facts;
    bool is_right =
        answer->status == 304 && cache_validation_matches(answer, &cached->facts, &cached->fields);
    bool is_storable = is_right &&
                       cache_validation_freshen(&facts, &updated, &cached->policy, &exchange->head,
                                                answer, &cached->fields, cached->request_s,
                                                edge_cached_now_s()) == CACHE_REFUSAL_NONE &&
                       edge_cached_pack(&packed, cached, &facts, &updated) == CACHE_REFUSAL_NONE;
    if (is_storable)
        store_fill_refresh(&gather->index, gather->known, &packed.answer);
    else if (!cache_status_is_error(answer->status)) {
        edge_cached_purge(cached, false);
        store_fill_pass(&gather->index, now_ns(cached), 0);
    }
    edge_packed_clear(&packed);
    return stop(cached);
}

/* The slice of a known index. What is about something else makes the index worthless. */
static enum edge_next take_next(struct edge_cached *cached, const struct http_head *answer)
{
    struct edge_gather *gather = cached->gather;
    struct http_fields fields = {.arena = &cached->exchange->arena};
    struct cache_range range = cache_slice_range(&cached->facts, gather->number);
    struct cache_facts facts;
    if (cache_slice_matches(answer, &cached->facts, &cached->fields, gather->number) &&
        edge_cached_read(cached, answer, &facts, &fields) == CACHE_REFUSAL_NONE)
        return take_slice(cached, &range);
    if (!cache_status_is_error(answer->status))
        edge_cached_purge(cached, false);
    return stop(cached);
}

enum edge_next edge_gather_take_head(struct edge_cached *cached, struct http_head *answer)
{
    struct edge_gather *gather = cached->gather;
    if (!cached->exchange->stream) { /* a page of ours: there was no answer */
        edge_gather_clear(gather, store_of(cached));
        return EDGE_NEXT;
    }
    if (!gather->index)
        return take_next(cached, answer);
    return gather->known ? take_word(cached, answer) : take_first(cached, answer);
}
