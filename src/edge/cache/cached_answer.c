/* SPDX-License-Identifier: Apache-2.0
 *
 * An answer from the store: its head, then its content as far as the client takes it, straight from the stored slices.
 */
#include "edge/cache/cached.h"

static struct span write_status(const struct edge_cached *cached, struct span node,
                                char out[CACHE_STATUS_MOST])
{
    struct cache_status status = {.cache = node,
                                  .is_hit = cached->was_hit,
                                  .why = cached->why,
                                  .forward_status = cached->forward_status,
                                  .is_stored = cached->is_filling || cached->part,
                                  .is_collapsed = cached->reader.fill && !cached->waits_for_slice};
    if (cached->was_hit || cached->object) {
        status.has_ttl = true;
        status.ttl_s = cached->judgement.ttl_s;
    }
    if (cached->refusal != CACHE_REFUSAL_NONE)
        status.detail = span_text(cache_refusal_name(cached->refusal));
    return cache_status_write(&status, out);
}

int edge_cached_add_status(struct edge_cached *cached, struct http_fields *fields, bool is_hit)
{
    char out[CACHE_STATUS_MOST];
    struct span node = span_text(edge_conf(cached->exchange->worker)->self->name);
    cached->was_hit = is_hit;
    struct span status = arena_copy(fields->arena, write_status(cached, node, out));
    return http_fields_borrow(fields,
                              &(struct http_field){.name = http_name_text(HTTP_NAME_CACHE_STATUS),
                                                   .value = status,
                                                   .id = HTTP_NAME_CACHE_STATUS});
}

struct span edge_cached_words(const struct edge_exchange *exchange, char out[CACHE_STATUS_MOST])
{
    struct span somebody = SPAN("x");
    if (!exchange->cached)
        return (struct span){0};
    return span_from(write_status(exchange->cached, somebody, out), somebody.length + 1);
}

/* ---- content */

static struct store *store_of(const struct edge_exchange *exchange)
{
    return exchange->worker->edge->store;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The whole, from where we are. */
static int pull_whole(struct edge_exchange *exchange, struct slice_queue *out, uint64_t limit,
                      bool *ended)
{
    struct edge_cached *cached = exchange->cached;
    uint64_t whole = store_object_body_bytes(cached->object);
    uint64_t part = least(limit, whole - cached->at);
    store_object_body(cached->object, cached->at, part, out);
    cached->at += part;
    *ended = cached->at == whole;
    return 0;
}

bool edge_cached_is_whole(const struct edge_exchange *exchange)
{
    return exchange->pull == pull_whole;
}

static void pull_part_head(struct edge_cached *cached, struct slice_queue *out)
{
    char text[CACHE_PART_HEAD_MOST];
    slice_queue_append(out, cache_answer_part_head(&cached->answer, cached->index, &cached->facts,
                                                   &cached->fields, text));
    cached->is_head_due = false;
}

/* Bytes of the representation; how many, or negative. */
static int64_t take(struct edge_cached *cached, uint64_t from, uint64_t limit,
                    struct slice_queue *out)
{
    if (cached->facts.flags & CACHE_SLICED)
        return edge_slices_take(cached, from, limit, out);
    store_object_body(cached->object, from - cached->facts.first, limit, out);
    return (int64_t)limit;
}

/* Ranges, one after the other; each behind its head where there are several. All of a representation in slices is one of them. */
static int pull_ranges(struct edge_exchange *exchange, struct slice_queue *out, uint64_t limit,
                       bool *ended)
{
    struct edge_cached *cached = exchange->cached;
    const struct cache_range whole = {0, cached->facts.length - 1};
    uint32_t count = cached->answer.count ? cached->answer.count : 1;
    const struct cache_range *range =
        cached->answer.count ? &cached->answer.ranges[cached->index] : &whole;
    if (cached->is_head_due)
        pull_part_head(cached, out);
    if (cached->index < count) {
        uint64_t from = range->first + cached->at;
        int64_t taken = take(cached, from, least(limit, range->last + 1 - from), out);
        if (taken < 0)
            return ERROR_CLOSED;
        cached->at += (uint64_t)taken;
        if (range->first + cached->at <= range->last)
            return 0;
        cached->index++;
        cached->at = 0;
        cached->is_head_due = cached->answer.is_multipart;
    }
    if (cached->index == count && cached->is_head_due)
        pull_part_head(cached, out);
    *ended = cached->index == count;
    return 0;
}

/* What another request fetches, as it comes. */
static int pull_reader(struct edge_exchange *exchange, struct slice_queue *out, uint64_t limit,
                       bool *ended)
{
    struct edge_cached *cached = exchange->cached;
    store_reader_pull(&cached->reader, out, limit);
    *ended = store_reader_is_at_end(&cached->reader);
    if (!*ended && store_reader_look(&cached->reader) == STORE_READER_FAILED)
        return ERROR_CLOSED;
    return 0;
}

/* ---- head */

static int add_own_fields(struct edge_exchange *exchange, struct http_fields *fields)
{
    int result = http_add_via(fields, 1, span_text(edge_conf(exchange->worker)->self->name));
    if (result == 0)
        result = http_fields_set_own(fields, HTTP_NAME_X_REQUEST_ID, edge_exchange_id(exchange));
    return result;
}

static int write_head(struct edge_cached *cached, struct http_head *head)
{
    struct edge_exchange *exchange = cached->exchange;
    int result = cache_answer_head(head, &cached->answer, &cached->judgement, &cached->facts,
                                   &cached->fields);
    if (result == 0)
        result = add_own_fields(exchange, &head->fields);
    if (result == 0)
        result = edge_cached_add_status(cached, &head->fields,
                                        cached->why == CACHE_FORWARD_NONE ||
                                            cached->judgement.use == CACHE_USE_REFRESH);
    return result;
}

static void count(const struct edge_cached *cached)
{
    if (cached->forward_status == 304)
        metric_add(&edge_cache_validated, 1);
    else if (cached->reader.fill && !cached->waits_for_slice)
        metric_add(&edge_cache_collapsed, 1);
    else
        metric_add(cached->judgement.is_stale ? &edge_cache_stale : &edge_cache_hits, 1);
}

enum edge_next edge_cached_answer(struct edge_cached *cached)
{
    struct edge_exchange *exchange = cached->exchange;
    uint64_t seed = random_u64(&exchange->worker->random);
    if (cache_answer_choose(&cached->answer, &cached->ask, &cached->asked, &cached->facts,
                            &cached->fields, seed)) {
        cached->why = CACHE_FORWARD_PARTIAL;
        store_object_release(store_of(exchange), &cached->object);
        return EDGE_NEXT;
    }
    struct http_head *head = edge_exchange_own_head(exchange);
    if (write_head(cached, head)) {
        edge_exchange_page(exchange, 502, "the stored answer cannot be passed on");
        return EDGE_TAKEN;
    }
    count(cached);
    exchange->was_held = !cached->reader.fill;
    cached->at = cached->index = 0;
    cached->is_head_due = cached->answer.is_multipart;
    if (!cached->answer.has_content)
        edge_exchange_answer(exchange, &(struct slice_queue){0});
    else if (!cached->object)
        edge_exchange_answer_from(exchange, pull_reader);
    else
        edge_exchange_answer_from(exchange,
                                  cached->answer.count || (cached->facts.flags & CACHE_SLICED)
                                      ? pull_ranges
                                      : pull_whole);
    return EDGE_TAKEN;
}

enum edge_next edge_cached_answer_fetched(struct edge_cached *cached)
{
    struct edge_exchange *exchange = cached->exchange;
    if (add_own_fields(exchange, &exchange->answer.fields))
        edge_exchange_page(exchange, 502, "the answer has too many fields");
    else
        edge_exchange_answer_from(exchange, pull_reader);
    return EDGE_TAKEN;
}
