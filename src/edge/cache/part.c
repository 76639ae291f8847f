/* SPDX-License-Identifier: Apache-2.0
 *
 * Parts as clients asked for them (RFC 9111 sections 3.3 and 3.4): a 206 is stored beside what there is of the same representation; where the
 * two touch or overlap they become one, and in the end the whole. One stretch is kept for each URL: what is asked for all over is
 * better served by slices. The client's own answer carries it to the store, at the client's pace: nobody waits for it.
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

/* Copies bytes of the older part. */
static void copy(struct edge_cached *cached, uint64_t from, uint64_t end)
{
    struct slice_queue bytes = {0};
    if (from >= end)
        return;
    store_object_body(cached->older, from - cached->facts.first, end - from, &bytes);
    while (bytes.count) {
        struct slice slice = slice_queue_pop(&bytes, UINT32_MAX);
        store_fill_data(cached->part, span_of(slice_data(&slice), slice.length), now_ns(cached));
        slice_release(&slice);
    }
}

/* The stored part that this one belongs to: cached->older, with its facts and fields in `cached`. */
static void find_older(struct edge_cached *cached, const struct cache_facts *facts,
                       const struct http_fields *fields)
{
    struct store_query query = edge_cached_query(cached);
    cached->older = store_find(store_of(cached), &query);
    if (cached->older && edge_cached_open(cached, cached->older) &&
        !(cached->facts.flags & CACHE_SLICED) && !store_object_is_purged(cached->older) &&
        store_object_body_bytes(cached->older) <= EDGE_COMBINE_MOST &&
        cache_parts_combine(&cached->facts, &cached->fields, facts, fields))
        return;
    store_object_release(store_of(cached), &cached->older);
}

static void begin(struct edge_cached *cached, const struct cache_facts *facts,
                  const struct http_fields *fields, uint64_t first)
{
    struct store_query query = edge_cached_query(cached);
    struct store_joined joined = {0};
    struct store_reader reader = {0};
    struct edge_packed packed = {0};
    struct store_object *seen = store_find(store_of(cached), &query);
    enum store_role role = store_join(store_of(cached), &query, seen, &reader, &joined);
    store_reader_close(&reader);
    store_object_release(store_of(cached), &joined.object);
    store_object_release(store_of(cached), &seen);
    if (role != STORE_FILL)
        return;
    cached->part = joined.fill;
    cached->refusal = edge_cached_pack(&packed, cached, facts, fields);
    if (cached->refusal != CACHE_REFUSAL_NONE)
        store_fill_leave(&cached->part);
    else if (store_fill_answer(&cached->part, &packed.answer,
                               (int64_t)(facts->last - facts->first + 1), now_ns(cached)) == 0 &&
             cached->older)
        copy(cached, cached->facts.first, first);
    edge_packed_clear(&packed);
}

void edge_part_store(struct edge_cached *cached, const struct http_head *answer)
{
    struct http_fields fields = {.arena = &cached->exchange->arena};
    struct cache_facts facts, both;
    if (!cached->ask.has_range || cached->ask.no_store || cached->slice_bytes || cached->object ||
        cached->ask.route != CACHE_ROUTE_LOOKUP || cached->why == CACHE_FORWARD_BYPASS ||
        !edge_cached_make_part_key(cached))
        return;
    cached->refusal = edge_cached_read(cached, answer, &facts, &fields);
    if (cached->refusal != CACHE_REFUSAL_NONE)
        return;
    cached->is_in_parts = true;
    find_older(cached, &facts, &fields);
    both = facts;
    if (cached->older) {
        struct http_fields merged = {.arena = fields.arena};
        if (cache_parts_fields(&merged, &cached->policy, &cached->fields, &answer->fields))
            return;
        fields = merged;
        cache_parts_facts(&both, &cached->facts, &facts);
        cached->older_from = facts.last + 1;
    } else if (http_fields_has(&cached->asked.fields, HTTP_NAME_IF_RANGE)) {
        return; /* such an answer may lack what the client knows (RFC 9110 section 15.3.7) */
    }
    cached->makes_whole = !(both.flags & CACHE_PARTIAL);
    begin(cached, &both, &fields, facts.first);
}

void edge_part_take_data(struct edge_exchange *exchange, const struct slice *data)
{
    struct edge_cached *cached = exchange->cached;
    if (cached && cached->part)
        store_fill_data(cached->part, span_of(slice_data(data), data->length), now_ns(cached));
}

/* What is complete is stored as the whole, too: the same bytes. */
static void promote(struct edge_cached *cached)
{
    struct store_query query = edge_cached_query(cached);
    struct store_object *whole = store_find(store_of(cached), &query);
    struct store_joined joined = {0};
    struct store_reader reader = {0};
    struct edge_packed packed = {0};
    cached->is_in_parts = false;
    query = edge_cached_query(cached);
    if (whole && edge_cached_open(cached, whole) && !(cached->facts.flags & CACHE_PARTIAL) &&
        edge_cached_pack(&packed, cached, &cached->facts, &cached->fields) == CACHE_REFUSAL_NONE &&
        store_join(store_of(cached), &query, NULL, &reader, &joined) == STORE_FILL)
        store_fill_refresh(&joined.fill, whole, &packed.answer);
    store_reader_close(&reader);
    store_object_release(store_of(cached), &joined.object);
    store_object_release(store_of(cached), &whole);
    edge_packed_clear(&packed);
}

void edge_part_end(struct edge_cached *cached)
{
    if (!cached->exchange->answer_ended) {
        store_fill_fail(&cached->part);
        return;
    }
    if (cached->older)
        copy(cached, cached->older_from, cached->facts.last + 1);
    store_fill_end(&cached->part);
    if (cached->makes_whole)
        promote(cached);
}
