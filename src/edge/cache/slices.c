/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers from slices: large representations that are fetched and stored in pieces of one size, so that who asks for a part of a film waits
 * for that part only, and everybody after him gets it from the store.
 *
 *   look up --> index --> the slice that the answer begins with --> answer: slice after slice
 *                 |  missing, or stale         |  missing
 *                 `----- an exchange without a client brings it (gather.c), once for all who wait
 *
 * The next slice is asked for while one is read.
 */
#include "edge/cache/cached.h"

static struct metric slices_stored =
    METRIC(COUNTER, "causeway_edge_cache_slices_total", "from=\"store\"",
           "Slices that answers were made of, by where they came from.");
static struct metric slices_fetched =
    METRIC(COUNTER, "causeway_edge_cache_slices_total", "from=\"origin\"",
           "Slices that answers were made of, by where they came from.");

void edge_slices_register_metrics(void)
{
    metric_register(&slices_stored);
    metric_register(&slices_fetched);
}

static struct store *store_of(const struct edge_cached *cached)
{
    return cached->exchange->worker->edge->store;
}

static uint64_t now_ns(const struct edge_cached *cached)
{
    return loop_now_ns(cached->exchange->worker->loop);
}

struct store_query edge_slices_query(struct edge_cached *cached, const struct cache_facts *index,
                                     uint64_t number, struct text *key)
{
    struct span name = text_span(&cached->key);
    name.length = span_find(name, 0);
    int result = cache_slice_key(key, name, index, number);
    INVARIANT(result == 0); /* edge_cached_make_part_key() left room */
    return (
        struct store_query){.site = cached->site, .key = text_span(key), .now_ns = now_ns(cached)};
}

/* ---- one slice */

enum slice_state { SLICE_READY, SLICE_COMES, SLICE_FAILED };

static void on_wake(struct store_reader *reader);

static void close_slice(struct edge_cached *cached)
{
    store_object_release(store_of(cached), &cached->slice);
    store_reader_close(&cached->reader);
    cached->slice_at = 0;
}

static void fetch(struct edge_cached *cached, uint64_t number, struct store_fill *fill)
{
    struct edge_gather plan = {.known = store_object_retain(cached->object),
                               .slice = fill,
                               .number = number};
    metric_add(&slices_fetched, 1);
    edge_gather_start(cached->exchange, &plan);
}

/* So that it is there when its turn comes. */
static void read_ahead(struct edge_cached *cached)
{
    const struct cache_answer *answer = &cached->answer;
    uint64_t last = answer->count ? answer->ranges[cached->index].last : cached->facts.length - 1;
    uint64_t number = cached->slice_number + 1;
    struct store_reader reader = {0};
    struct store_joined joined = {0};
    struct text key = {0};
    if (number * cached->facts.slice_bytes > last)
        return;
    struct store_query query = edge_slices_query(cached, &cached->facts, number, &key);
    if (store_join(store_of(cached), &query, NULL, &reader, &joined) == STORE_FILL)
        fetch(cached, number, joined.fill);
    store_reader_close(&reader);
    store_object_release(store_of(cached), &joined.object);
    text_clear(&key);
}

static enum slice_state open_slice(struct edge_cached *cached)
{
    struct cache_range range = cache_slice_range(&cached->facts, cached->slice_number);
    struct text key = {0};
    struct store_query query =
        edge_slices_query(cached, &cached->facts, cached->slice_number, &key);
    struct store_joined joined = {0};
    enum slice_state state = SLICE_COMES;
    cached->slice = store_find(store_of(cached), &query);
    if (!cached->slice) {
        cached->reader.wake = on_wake;
        switch (store_join(store_of(cached), &query, NULL, &cached->reader, &joined)) {
        case STORE_FOUND:
            cached->slice = joined.object;
            break;
        case STORE_FILL:
            store_fill_read(joined.fill, &cached->reader);
            fetch(cached, cached->slice_number, joined.fill);
            break;
        case STORE_WAIT:
            break;
        case STORE_ALONE:
            state = SLICE_FAILED;
            break;
        }
    }
    if (cached->slice) {
        bool is_whole = store_object_body_bytes(cached->slice) == range.last - range.first + 1;
        state = is_whole ? SLICE_READY : SLICE_FAILED;
        metric_add(&slices_stored, 1);
    }
    if (state != SLICE_FAILED)
        read_ahead(cached);
    text_clear(&key);
    return state;
}

/* What has become of the one that comes? */
static enum slice_state look_at_slice(struct edge_cached *cached)
{
    switch (store_reader_look(&cached->reader)) {
    case STORE_READER_WAITING:
        return SLICE_COMES;
    case STORE_READER_FLOWING:
    case STORE_READER_WHOLE:
        return SLICE_READY;
    case STORE_READER_NONE:
    case STORE_READER_ALONE:
    case STORE_READER_AGAIN:
    case STORE_READER_FAILED:
        break;
    }
    close_slice(cached);
    if (cached->was_repeated)
        return SLICE_FAILED;
    cached->was_repeated = true;
    return open_slice(cached);
}

static enum slice_state turn_to(struct edge_cached *cached, uint64_t number)
{
    bool is_open = cached->slice || cached->reader.fill;
    if (is_open && cached->slice_number == number)
        return cached->slice ? SLICE_READY : look_at_slice(cached);
    close_slice(cached);
    cached->slice_number = number;
    cached->was_repeated = false;
    return open_slice(cached);
}

/* ---- content */

/* From the reader, which gives a slice from its beginning. */
static int64_t read_slice(struct edge_cached *cached, uint64_t offset, uint64_t limit,
                          struct slice_queue *out)
{
    struct slice_queue skipped = {0};
    uint64_t pulled = 1;
    while (cached->slice_at < offset && pulled) {
        pulled = store_reader_pull(&cached->reader, &skipped, offset - cached->slice_at);
        cached->slice_at += pulled;
        slice_queue_clear(&skipped);
    }
    if (cached->slice_at < offset)
        return 0;
    pulled = store_reader_pull(&cached->reader, out, limit);
    cached->slice_at += pulled;
    return (int64_t)pulled;
}

int64_t edge_slices_take(struct edge_cached *cached, uint64_t from, uint64_t limit,
                         struct slice_queue *out)
{
    uint64_t number = from / cached->facts.slice_bytes;
    struct cache_range range = cache_slice_range(&cached->facts, number);
    uint64_t offset = from - range.first;
    if (cached->slice_number == number && offset < cached->slice_at)
        close_slice(cached); /* ranges may go back */
    switch (turn_to(cached, number)) {
    case SLICE_COMES:
        return 0;
    case SLICE_FAILED:
        return ERROR_CLOSED;
    case SLICE_READY:
        break;
    }
    if (limit > range.last + 1 - from)
        limit = range.last + 1 - from;
    if (!cached->slice)
        return read_slice(cached, offset, limit, out);
    store_object_body(cached->slice, offset, limit, out);
    return (int64_t)limit;
}

/* ---- looking up */

/* As if there were nothing in parts. */
static enum edge_next forget(struct edge_cached *cached)
{
    close_slice(cached);
    store_object_release(store_of(cached), &cached->object);
    cached->is_in_parts = cached->waits_for_slice = false;
    edge_cached_judge(cached);
    return EDGE_NEXT;
}

/* Answers by the index that is open, as soon as the first slice is there. */
static enum edge_next begin(struct edge_cached *cached)
{
    struct cache_answer *answer = &cached->answer;
    if (cache_answer_choose(answer, &cached->ask, &cached->asked, &cached->facts, &cached->fields,
                            0))
        return forget(cached);
    if (!answer->has_content)
        return edge_cached_answer(cached);
    uint64_t first = answer->count ? answer->ranges[0].first : 0;
    switch (turn_to(cached, first / cached->facts.slice_bytes)) {
    case SLICE_READY:
        return edge_cached_answer(cached);
    case SLICE_COMES:
        if (cached->why == CACHE_FORWARD_NONE)
            cached->why = CACHE_FORWARD_PARTIAL;
        cached->waits_for_slice = true;
        return EDGE_WAITS;
    case SLICE_FAILED:
        break;
    }
    return forget(cached);
}

/* By one that just came. */
static enum edge_next begin_by(struct edge_cached *cached, struct store_object *index)
{
    enum cache_forward why = cached->object ? CACHE_FORWARD_STALE : CACHE_FORWARD_MISS;
    store_object_release(store_of(cached), &cached->object);
    cached->object = index;
    edge_cached_judge(cached);
    bool is_of_use =
        cached->judgement.use == CACHE_USE_ANSWER || cached->judgement.use == CACHE_USE_REFRESH;
    if (!cached->object || !is_of_use || !(cached->facts.flags & CACHE_SLICED))
        return forget(cached);
    cached->why = why;
    return begin(cached);
}

/* What has become of the index that we wait for? */
static enum edge_next look_at_index(struct edge_cached *cached)
{
    struct store_object *index = NULL;
    switch (store_reader_look(&cached->reader)) {
    case STORE_READER_WAITING:
        return EDGE_WAITS;
    case STORE_READER_FLOWING:
    case STORE_READER_WHOLE:
        index = (struct store_object *)(uintptr_t)store_reader_object(&cached->reader);
        break;
    case STORE_READER_AGAIN: /* it was on disk, or who asked is gone */
        store_reader_close(&cached->reader);
        store_object_release(store_of(cached), &cached->object);
        return edge_slices_look_up(cached);
    case STORE_READER_NONE:
    case STORE_READER_ALONE:
    case STORE_READER_FAILED:
        break;
    }
    if (index)
        store_object_retain(index);
    store_reader_close(&cached->reader);
    if (index)
        return begin_by(cached, index);
    return cached->object && cached->judgement.may_answer_for_errors ? begin(cached)
                                                                     : forget(cached);
}

static void on_wake(struct store_reader *reader)
{
    struct edge_cached *cached = CONTAINER_OF(reader, struct edge_cached, reader);
    enum edge_next next = EDGE_TAKEN;
    if (cached->exchange->state == EXCHANGE_STEPS)
        next = cached->waits_for_slice ? begin(cached) : look_at_index(cached);
    edge_cached_go_on(cached->exchange, next);
}

static struct edge_gather plan_index(struct edge_cached *cached, struct store_fill *fill)
{
    return (struct edge_gather){.index = fill,
                                .known =
                                    cached->object ? store_object_retain(cached->object) : NULL,
                                .number = cache_range_begin(&cached->asked) / cached->slice_bytes,
                                .slice_bytes = cached->slice_bytes};
}

/* Waits for an index, or for the word that the stored one is still right. */
static enum edge_next join_index(struct edge_cached *cached)
{
    struct store_query query = edge_cached_query(cached);
    struct store_joined joined = {0};
    struct edge_gather plan;
    cached->reader.wake = on_wake;
    switch (store_join(store_of(cached), &query, cached->object, &cached->reader, &joined)) {
    case STORE_FOUND:
        return begin_by(cached, joined.object);
    case STORE_WAIT:
        return EDGE_WAITS;
    case STORE_FILL:
        plan = plan_index(cached, joined.fill);
        store_fill_read(joined.fill, &cached->reader);
        edge_gather_start(cached->exchange, &plan);
        return EDGE_WAITS;
    case STORE_ALONE:
        break;
    }
    return forget(cached);
}

/* The stale index answers meanwhile. */
static void confirm(struct edge_cached *cached)
{
    struct store_query query = edge_cached_query(cached);
    struct store_joined joined = {0};
    struct store_reader reader = {0};
    if (store_join(store_of(cached), &query, cached->object, &reader, &joined) == STORE_FILL) {
        struct edge_gather plan = plan_index(cached, joined.fill);
        edge_gather_start(cached->exchange, &plan);
    }
    store_reader_close(&reader);
    store_object_release(store_of(cached), &joined.object);
}

static enum edge_next use_index(struct edge_cached *cached)
{
    switch (cached->judgement.use) {
    case CACHE_USE_ANSWER:
        if (cached->slice_bytes && edge_cached_is_due(cached))
            confirm(cached);
        return begin(cached);
    case CACHE_USE_REFRESH:
        if (cached->slice_bytes &&
            store_object_claim(cached->object, (uint32_t)edge_cached_now_s()))
            confirm(cached);
        return begin(cached);
    case CACHE_USE_VALIDATE:
        return cached->ask.no_store || !cached->slice_bytes ? forget(cached) : join_index(cached);
    case CACHE_USE_REFUSE:
        return edge_cached_refuse(cached->exchange);
    case CACHE_USE_FORWARD:
        break;
    }
    return forget(cached);
}

enum edge_next edge_slices_look_up(struct edge_cached *cached)
{
    const struct cache_ask *ask = &cached->ask;
    if (!edge_cached_look_for_parts(cached))
        return EDGE_NEXT;
    if (cached->object && (cached->facts.flags & CACHE_SLICED))
        return use_index(cached);
    bool is_part = cached->object != NULL;
    if (is_part && cached->judgement.use == CACHE_USE_ANSWER &&
        edge_cached_answer(cached) == EDGE_TAKEN)
        return EDGE_TAKEN;
    store_object_release(store_of(cached), &cached->object);
    if (cached->slice_bytes && ask->has_range && !ask->no_store && !ask->is_for_origin &&
        !ask->only_if_cached)
        return join_index(cached);
    enum edge_next next = forget(cached);
    if (is_part)
        cached->why = CACHE_FORWARD_PARTIAL;
    return next;
}

/* ---- what is too large to be stored as a whole */

void edge_slices_note(struct edge_cached *cached, const struct cache_facts *facts,
                      const struct http_fields *fields)
{
    const struct http_field *accepts = http_fields_find(fields, HTTP_NAME_ACCEPT_RANGES);
    struct store_joined joined = {0};
    struct store_reader reader = {0};
    struct edge_packed packed = {0};
    struct cache_facts index;
    if (!cached->slice_bytes || !accepts || !span_equal(accepts->value, SPAN("bytes")) ||
        !cache_slices_index(&index, facts, cached->slice_bytes,
                            random_u64(&cached->exchange->worker->random)) ||
        !edge_cached_make_part_key(cached) ||
        edge_cached_pack(&packed, cached, &index, fields) != CACHE_REFUSAL_NONE) {
        edge_packed_clear(&packed);
        return;
    }
    struct store_query query = edge_cached_query(cached);
    query.key = text_span(&cached->part_key);
    if (store_join(store_of(cached), &query, NULL, &reader, &joined) == STORE_FILL &&
        store_fill_answer(&joined.fill, &packed.answer, 0, now_ns(cached)) == 0)
        store_fill_end(&joined.fill);
    store_reader_close(&reader);
    store_object_release(store_of(cached), &joined.object);
    edge_packed_clear(&packed);
}
