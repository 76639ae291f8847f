/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes back from the origin: handed over to the store; a 304 that makes a stored answer fresh again; an error that a stale one
 * covers; an answer to an unsafe request, which makes others invalid.
 */
#include "edge/cache/cached.h"

static struct store *store_of(const struct edge_exchange *exchange)
{
    return exchange->worker->edge->store;
}

static uint64_t now_ns(const struct edge_cached *cached)
{
    return loop_now_ns(cached->exchange->worker->loop);
}

/* ---- storing */

enum { TAGS_TEXT_MOST = 4096 };

/* Surrogate-Key by spaces, Cache-Tag by commas. */
size_t edge_cached_tags(struct span tags[STORE_TAGS_MOST], const struct http_fields *fields)
{
    size_t count = 0;
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->list[i];
        bool is_key = field->id == HTTP_NAME_SURROGATE_KEY;
        bool is_tag =
            field->id == HTTP_NAME_OTHER && span_equal_nocase(field->name, SPAN("Cache-Tag"));
        struct span rest = field->value;
        while ((is_key || is_tag) && rest.length && count < STORE_TAGS_MOST) {
            size_t end = 0;
            while (end < rest.length && rest.data[end] != (is_key ? ' ' : ','))
                end++;
            struct span tag = span_trim(span_of(rest.data, end));
            if (tag.length)
                tags[count++] = tag;
            rest = span_from(rest, end + 1);
        }
    }
    return count;
}

enum cache_refusal edge_cached_pack(struct edge_packed *packed, const struct edge_cached *cached,
                                    const struct cache_facts *facts,
                                    const struct http_fields *fields)
{
    if (cache_head_pack(&packed->head, fields))
        return CACHE_REFUSAL_FIELDS;
    if (cache_vary_names(&packed->rule, fields) || packed->rule.length > STORE_RULE_MOST)
        return CACHE_REFUSAL_VARY;
    if (cache_vary_variant(&packed->selector, text_span(&packed->rule), &cached->asked.fields))
        return CACHE_REFUSAL_VARY;
    packed->answer = (struct store_answer){.head = text_span(&packed->head),
                                           .facts = span_of(facts, sizeof *facts),
                                           .rule = text_span(&packed->rule),
                                           .selector = text_span(&packed->selector),
                                           .tags = packed->tags,
                                           .tag_count = edge_cached_tags(packed->tags, fields)};
    return CACHE_REFUSAL_NONE;
}

void edge_packed_clear(struct edge_packed *packed)
{
    text_clear(&packed->head);
    text_clear(&packed->rule);
    text_clear(&packed->selector);
}

/* Nobody waits for the like of it for a while; an error is another matter each time. */
static void pass(struct edge_cached *cached, unsigned status)
{
    store_fill_pass(&cached->fill, now_ns(cached),
                    cache_status_is_error(status) ? 0 : EDGE_PASS_NS);
}

enum cache_refusal edge_cached_read(const struct edge_cached *cached,
                                    const struct http_head *answer, struct cache_facts *facts,
                                    struct http_fields *fields)
{
    struct edge_exchange *exchange = cached->exchange;
    uint64_t response_s = edge_cached_now_s();
    enum cache_refusal refusal = cache_response_judge(facts, &cached->policy, &exchange->head,
                                                      answer, cached->request_s, response_s);
    facts->content = random_u64(&exchange->worker->random);
    if (refusal == CACHE_REFUSAL_NONE &&
        cache_response_fields(fields, &cached->policy, &answer->fields, response_s))
        refusal = CACHE_REFUSAL_FIELDS;
    return refusal;
}

static void store_it(struct edge_cached *cached, const struct http_head *answer)
{
    struct http_fields fields = {.arena = &cached->exchange->arena};
    struct edge_packed packed = {0};
    struct cache_facts facts;
    cached->refusal = edge_cached_read(cached, answer, &facts, &fields);
    if (cached->refusal == CACHE_REFUSAL_NONE)
        cached->refusal = edge_cached_pack(&packed, cached, &facts, &fields);
    int64_t length = answer->has_length ? (int64_t)answer->content_length : STORE_LENGTH_UNKNOWN;
    if (cached->refusal != CACHE_REFUSAL_NONE)
        pass(cached, answer->status);
    else if (store_fill_answer(&cached->fill, &packed.answer, length, now_ns(cached)) == 0)
        cached->is_filling = true;
    else /* it is too large */
        edge_slices_note(cached, &facts, &fields);
    edge_packed_clear(&packed);
}

void edge_cached_purge(struct edge_cached *cached, bool is_soft)
{
    struct store_purge purge = {.site = cached->site,
                                .kind = STORE_PURGE_KEY,
                                .is_soft = is_soft,
                                .what = edge_cached_query(cached).key};
    if (store_purge(store_of(cached->exchange), &purge))
        metric_add(&edge_cache_purges_refused, 1);
}

/* ---- validation */

/* 304: the stored answer with its new head, for us and for everybody. */
static enum edge_next take_not_modified(struct edge_cached *cached, const struct http_head *answer)
{
    struct edge_exchange *exchange = cached->exchange;
    struct http_fields *updated = ARENA_NEW(&exchange->arena, struct http_fields);
    struct edge_packed packed = {0};
    struct cache_facts facts = cached->facts;
    updated->arena = &exchange->arena;
    if (!cache_validation_matches(answer, &cached->facts, &cached->fields)) {
        edge_cached_purge(cached, false);
        edge_exchange_page(exchange, 502, "the origin confirmed an answer that is not stored");
        return EDGE_TAKEN;
    }
    uint64_t now_s = edge_cached_now_s();
    enum cache_refusal refusal =
        cache_validation_freshen(&facts, updated, &cached->policy, &exchange->head, answer,
                                 &cached->fields, cached->request_s, now_s);
    if (refusal == CACHE_REFUSAL_FIELDS) {
        edge_exchange_page(exchange, 502, "the answer has too many fields");
        return EDGE_TAKEN;
    }
    if (refusal == CACHE_REFUSAL_NONE)
        refusal = edge_cached_pack(&packed, cached, &facts, updated);
    if (cached->fill && refusal == CACHE_REFUSAL_NONE)
        store_fill_refresh(&cached->fill, cached->object, &packed.answer);
    else if (cached->fill)
        pass(cached, 200);
    if (refusal != CACHE_REFUSAL_NONE)
        edge_cached_purge(cached, false); /* it must not be stored any more */
    edge_packed_clear(&packed);
    if (exchange->front == &edge_refresh_front)
        return EDGE_NEXT; /* nobody wants the content */
    cached->fields = *updated;
    cached->facts = facts;
    cached->forward_status = 304;
    cached->judgement.age_s = facts.initial_age_s;
    cached->judgement.ttl_s = (int64_t)facts.lifetime_s - facts.initial_age_s;
    return edge_cached_answer(cached);
}

/* The stored answer with the new head, unless somebody is about to fetch it. */
static void freshen(struct edge_cached *cached, const struct http_head *answer)
{
    struct edge_exchange *exchange = cached->exchange;
    struct http_fields updated = {.arena = &exchange->arena};
    struct cache_facts facts = cached->facts;
    struct edge_packed packed = {0};
    struct store_query query = edge_cached_query(cached);
    struct store_joined joined = {0};
    struct store_reader reader = {0};
    if (cache_validation_freshen(&facts, &updated, &cached->policy, &exchange->head, answer,
                                 &cached->fields, cached->request_s,
                                 edge_cached_now_s()) == CACHE_REFUSAL_NONE &&
        edge_cached_pack(&packed, cached, &facts, &updated) == CACHE_REFUSAL_NONE &&
        store_join(store_of(exchange), &query, cached->object, &reader, &joined) == STORE_FILL)
        store_fill_refresh(&joined.fill, cached->object, &packed.answer);
    store_reader_close(&reader);
    store_object_release(store_of(exchange), &joined.object);
    edge_packed_clear(&packed);
}

/* RFC 9111 section 4.3.5: an answer to HEAD updates the stored one, or tells that it is old. */
static void take_head_of(struct edge_cached *cached, const struct http_head *answer)
{
    if (answer->status != 200)
        return;
    if (cache_validation_matches(answer, &cached->facts, &cached->fields))
        freshen(cached, answer);
    else
        edge_cached_purge(cached, true);
}

/* ---- invalidation */

static void invalidate(struct edge_cached *cached, const struct http_head *answer)
{
    struct edge_exchange *exchange = cached->exchange;
    struct cache_invalid invalid;
    cache_invalid_find(&invalid, span_text(exchange->site), exchange->visitor->is_https,
                       &cached->asked, answer);
    for (size_t i = 0; i < invalid.count; i++) {
        struct store_purge purge = {.site = cached->site,
                                    .kind = STORE_PURGE_KEY,
                                    .what = text_span(&invalid.keys[i])};
        if (store_purge(store_of(exchange), &purge))
            metric_add(&edge_cache_purges_refused, 1);
    }
    cache_invalid_clear(&invalid);
}

/* ---- what the step sees */

static void fail(struct edge_cached *cached)
{
    if (cached->fill)
        store_fill_fail(&cached->fill);
}

/* From here on it is fetched for everybody: who asked first reads it like the others. */
static enum edge_next share(struct edge_cached *cached)
{
    struct edge_exchange *exchange = cached->exchange;
    bool is_read = !exchange->front->is_background;
    if (is_read) {
        store_fill_read(cached->fill, &cached->reader);
        (void)store_reader_look(&cached->reader); /* its content is what we want */
    }
    edge_fetch_start(exchange, &cached->fill);
    if (is_read)
        return edge_cached_answer_fetched(cached);
    edge_exchange_own_head(exchange)->status = 204; /* to nobody */
    edge_exchange_answer(exchange, &(struct slice_queue){0});
    return EDGE_TAKEN;
}

static bool is_covered(const struct edge_cached *cached, const struct http_head *answer)
{
    return cached->object && cached->judgement.may_answer_for_errors &&
           cache_status_is_error(answer->status) && cached->exchange->front != &edge_refresh_front;
}

enum edge_next edge_cached_take_head(struct edge_exchange *exchange, struct http_head *answer)
{
    struct edge_cached *cached = exchange->cached;
    if (!cached)
        return EDGE_NEXT;
    if (cached->gather)
        return edge_gather_take_head(cached, answer);
    if (is_covered(cached, answer)) {
        fail(cached);
        cached->forward_status = answer->status;
        return edge_cached_answer(cached);
    }
    if (exchange->stream) { /* the origin's word, not a page of ours */
        if (cached->ask.route == CACHE_ROUTE_INVALIDATE)
            invalidate(cached, answer);
        if (cached->is_validation && answer->status == 304)
            return take_not_modified(cached, answer);
        if (cached->ask.is_head && cached->object)
            take_head_of(cached, answer);
        if (cached->fill && !exchange->stream_finished)
            store_fill_leave(
                &cached->fill); /* its request is still on its way: it may not be left */
        else if (cached->fill)
            store_it(cached, answer);
        else if (answer->status == 206)
            edge_part_store(cached, answer);
        if (!cached->fill)
            edge_exchange_set_wanted(exchange, 0); /* it has become the client's own */
        metric_add(&edge_cache_misses, cached->ask.route == CACHE_ROUTE_LOOKUP);
    } else {          /* and so not to be told of (RFC 9211 section 2) */
        fail(cached); /* those who wait need not wait for each other's failures */
        return EDGE_NEXT;
    }
    if (edge_cached_add_status(cached, &answer->fields, false)) {
        edge_exchange_page(exchange, 502, "the answer has too many fields");
        return EDGE_TAKEN;
    }
    return cached->is_filling ? share(cached) : EDGE_NEXT;
}
