/* SPDX-License-Identifier: Apache-2.0
 *
 * The cache step: what the store has is judged; what it does not have is fetched once for all who want it.
 */
#include "edge/cache/cached.h"

#include "base/hash.h"
#include "edge/cache/purges.h"

uint64_t edge_cached_now_s(void)
{
    return clock_rough_wall_ns() / 1000000000;
}

static struct store *store_of(const struct edge_exchange *exchange)
{
    return exchange->worker->edge->store;
}

static void read_policy(struct cache_policy *policy, const struct conf_site_cache *conf)
{
    *policy = (struct cache_policy){.cookies = (enum cache_cookies)conf->set_cookie,
                                    .ignores_requests = !conf->hears_requests,
                                    .heuristic_most_s = conf->heuristic_most_s,
                                    .lifetime_s = CACHE_SECONDS_NONE,
                                    .lifetime_most_s = conf->lifetime_most_s,
                                    .while_revalidate_s = conf->while_revalidate_s,
                                    .if_error_s = conf->if_error_s};
}

/* What the site's rules say of this request. False: it goes by the cache. */
static bool follow_rules(struct cache_policy *policy, const struct rules_decision *decision)
{
    if (!decision)
        return true;
    if (decision->cache.ttl_ns)
        policy->lifetime_s = (uint32_t)(decision->cache.ttl_ns / 1000000000);
    if (decision->cache.store_cookies == RULES_YES)
        policy->cookies = CACHE_COOKIES_KEEP;
    return decision->cache.bypass != RULES_YES;
}

static struct rules_facts facts_of(struct edge_exchange *exchange)
{
    struct rules_facts facts = {.head = &exchange->head,
                                .client = exchange->visitor->address,
                                .is_tls = exchange->visitor->is_https};
    edge_countries_find(exchange, facts.country);
    return facts;
}

/* The URL as far as it makes a difference and, behind a NUL byte, what else does: a purge of the URL takes it all. */
static bool make_key(struct edge_cached *cached)
{
    struct edge_exchange *exchange = cached->exchange;
    const struct http_head *head = &cached->asked;
    if (cache_key_make(&cached->key, span_text(exchange->site), exchange->visitor->is_https,
                       head->host, head->port, head->target))
        return false;
    if (!exchange->decision)
        return true;
    struct rules_facts facts = facts_of(exchange);
    struct text part = {0};
    rules_cache_part(exchange->decision, &facts, &exchange->arena, &part);
    bool fits = cached->key.length + 1 + part.length <= CACHE_KEY_MOST;
    if (part.length && fits) {
        text_add_span(&cached->key, span_of("", 1));
        text_add_span(&cached->key, text_span(&part));
    }
    text_clear(&part);
    return fits;
}

/* ---- looking up */

static uint32_t select_variant(void *context, struct span rule,
                               uint8_t selector[STORE_SELECTOR_MOST])
{
    const struct edge_cached *cached = context;
    struct text variant = {0};
    uint32_t length = 1;
    if (cache_vary_variant(&variant, rule, &cached->asked.fields) == 0 &&
        variant.length <= STORE_SELECTOR_MOST) {
        length = (uint32_t)variant.length;
        memcpy(selector, variant.data, variant.length);
    } else {
        selector[0] = 0; /* no variant begins so: it matches nothing */
    }
    text_clear(&variant);
    return length;
}

struct store_query edge_cached_query(struct edge_cached *cached)
{
    return (struct store_query){.site = cached->site,
                                .key = text_span(cached->is_in_parts ? &cached->part_key
                                                                     : &cached->key),
                                .now_ns = loop_now_ns(cached->exchange->worker->loop),
                                .select = select_variant,
                                .context = cached};
}

bool edge_cached_open(struct edge_cached *cached, const struct store_object *object)
{
    struct span facts = store_object_facts(object);
    if (facts.length != sizeof cached->facts ||
        cache_head_unpack(&cached->fields, &cached->exchange->arena, store_object_head(object)))
        return false;
    memcpy(&cached->facts, facts.data, sizeof cached->facts);
    if (cached->facts.length == UINT64_MAX)
        cached->facts.length = store_object_body_bytes(object);
    if (store_object_is_purged(object) && cached->facts.lifetime_s > cached->facts.initial_age_s)
        cached->facts.lifetime_s = cached->facts.initial_age_s; /* as if stale since it came */
    return true;
}

void edge_cached_judge(struct edge_cached *cached)
{
    if (cached->object && !edge_cached_open(cached, cached->object))
        store_object_release(store_of(cached->exchange), &cached->object);
    cached->judgement =
        cache_judge(cached->object ? &cached->facts : NULL, &cached->ask, edge_cached_now_s());
    cached->why = cached->judgement.why;
}

/* ---- what is not there, or not fresh */

/* Sent on as a question whether the stored answer is still right. */
static void ask_for_validation(struct edge_cached *cached)
{
    struct edge_exchange *exchange = cached->exchange;
    struct http_fields fields = {.arena = &exchange->arena};
    if (!cached->object || http_fields_copy(&fields, &exchange->head.fields))
        return;
    cached->is_validation = cache_validation_ask(&fields, &cached->fields);
    exchange->head.fields = fields;
}

/* Parts, conditions and HEAD go by the store where it has nothing to validate: their answers are not what others wait for. */
static bool is_for_all(const struct edge_cached *cached)
{
    const struct cache_ask *ask = &cached->ask;
    if (ask->is_head || ask->is_for_origin || ask->no_store)
        return false;
    return cached->object ? cached->judgement.use == CACHE_USE_VALIDATE
                          : !ask->has_range && !ask->has_conditions;
}

static enum edge_next join(struct edge_cached *cached);
static enum edge_next look_up(struct edge_cached *cached);

/* What another request fetches is there, as far as it has come. */
static enum edge_next answer_from_reader(struct edge_cached *cached)
{
    struct edge_exchange *exchange = cached->exchange;
    store_object_release(store_of(exchange), &cached->object);
    if (!edge_cached_open(cached, store_reader_object(&cached->reader)))
        return EDGE_NEXT;
    if (store_reader_look(&cached->reader) != STORE_READER_WHOLE && cached->ask.has_range)
        return EDGE_NEXT;
    cached->judgement = cache_judge(&cached->facts, &cached->ask, edge_cached_now_s());
    if (cached->judgement.use != CACHE_USE_ANSWER && cached->judgement.use != CACHE_USE_REFRESH)
        return EDGE_NEXT;
    return edge_cached_answer(cached);
}

/* What has become of the one that we wait for? */
static enum edge_next look(struct edge_cached *cached)
{
    enum edge_next next = EDGE_NEXT;
    switch (store_reader_look(&cached->reader)) {
    case STORE_READER_WAITING:
        return EDGE_WAITS;
    case STORE_READER_FLOWING:
    case STORE_READER_WHOLE:
        next = answer_from_reader(cached);
        break;
    case STORE_READER_AGAIN:
        store_reader_close(&cached->reader);
        return cached->is_recalling ? look_up(cached) : join(cached);
    case STORE_READER_NONE:
    case STORE_READER_ALONE:
    case STORE_READER_FAILED:
        break;
    }
    if (next == EDGE_NEXT)
        store_reader_close(&cached->reader);
    return next;
}

static void on_wake(struct store_reader *reader)
{
    struct edge_cached *cached = CONTAINER_OF(reader, struct edge_cached, reader);
    struct edge_exchange *exchange = cached->exchange;
    edge_cached_go_on(exchange, exchange->state == EXCHANGE_STEPS ? look(cached) : EDGE_TAKEN);
}

void edge_cached_go_on(struct edge_exchange *exchange, enum edge_next next)
{
    switch (next) {
    case EDGE_NEXT:
        edge_exchange_proceed(exchange);
        break;
    case EDGE_WAITS:
        break;
    case EDGE_TAKEN:
        exchange->front->wake(exchange);
        break;
    }
}

static enum edge_next take_found(struct edge_cached *cached, struct store_object *found)
{
    store_object_release(store_of(cached->exchange), &cached->object);
    cached->object = found;
    edge_cached_judge(cached);
    if (cached->judgement.use == CACHE_USE_ANSWER || cached->judgement.use == CACHE_USE_REFRESH)
        return edge_cached_answer(cached);
    ask_for_validation(cached);
    return EDGE_NEXT;
}

/* ---- how urgent it is (T3) */

static uint8_t urgency_of(const struct store_fill *fill)
{
    return fill ? store_fill_urgency(fill) : 0;
}

static void on_fill_change(void *context)
{
    struct edge_cached *cached = context;
    const struct edge_gather *gather = cached->gather;
    uint8_t urgency = urgency_of(cached->fill);
    if (gather && urgency < urgency_of(gather->index))
        urgency = urgency_of(gather->index);
    if (gather && urgency < urgency_of(gather->slice))
        urgency = urgency_of(gather->slice);
    edge_exchange_set_wanted(cached->exchange, urgency);
}

void edge_cached_follow(struct edge_cached *cached)
{
    struct store_fill *fills[] = {cached->fill, cached->gather ? cached->gather->index : NULL,
                                  cached->gather ? cached->gather->slice : NULL};
    for (size_t i = 0; i < sizeof fills / sizeof *fills; i++) // NOLINT(bugprone-sizeof-expression)
        if (fills[i])
            store_fill_watch(fills[i], on_fill_change, cached);
    on_fill_change(cached);
}

void edge_cached_reclass(struct edge_exchange *exchange)
{
    if (exchange->cached && !exchange->front->is_background)
        store_reader_set_urgency(&exchange->cached->reader, edge_exchange_urgency(exchange));
}

static enum edge_next join(struct edge_cached *cached)
{
    struct store_query query = edge_cached_query(cached);
    struct store_joined joined = {0};
    cached->reader.wake = on_wake;
    switch (
        store_join(store_of(cached->exchange), &query, cached->object, &cached->reader, &joined)) {
    case STORE_FOUND:
        return take_found(cached, joined.object);
    case STORE_WAIT:
        return EDGE_WAITS;
    case STORE_FILL:
        cached->fill = joined.fill;
        edge_cached_follow(cached);
        break;
    case STORE_ALONE:
        break;
    }
    ask_for_validation(cached);
    return EDGE_NEXT;
}

enum edge_next edge_cached_refuse(struct edge_exchange *exchange)
{
    edge_exchange_page(exchange, 504, "only stored answers are wanted, and none may be used");
    return EDGE_TAKEN;
}

enum edge_next edge_cached_give_up(struct edge_exchange *exchange)
{
    edge_exchange_own_head(exchange)->status = 204;
    edge_exchange_answer(exchange, &(struct slice_queue){0});
    return EDGE_TAKEN;
}

bool edge_cached_make_part_key(struct edge_cached *cached)
{
    static const char behind[] = "\0parts"; /* a part of the name, in the store's sense */
    enum { SLICE_KEY_MOST = 48 };           /* bytes that make the key of a slice of it */
    if (cached->key.length + SLICE_KEY_MOST > CACHE_KEY_MOST)
        return false;
    text_reset(&cached->part_key);
    text_add_span(&cached->part_key, text_span(&cached->key));
    text_add_span(&cached->part_key, span_of(behind, sizeof behind - 1));
    return true;
}

bool edge_cached_look_for_parts(struct edge_cached *cached)
{
    if (!edge_cached_make_part_key(cached))
        return false;
    cached->is_in_parts = true;
    struct store_query query = edge_cached_query(cached);
    cached->object = store_find(store_of(cached->exchange), &query);
    edge_cached_judge(cached);
    return true;
}

/* ---- before its time */

/* The last fifth of its life or less, so that what came together does not go together; at least `least_s`, but never more than half of it. */
static bool expires_soon(const struct edge_cached *cached, uint32_t least_s)
{
    uint32_t lifetime_s = cached->facts.lifetime_s;
    uint64_t spread = hash_span(text_span(&cached->key), cached->facts.response_s) % 16;
    uint64_t lead_s = (uint64_t)lifetime_s * (5 + spread) / 100;
    if (lead_s < least_s)
        lead_s = least_s;
    if (lead_s > lifetime_s / 2)
        lead_s = lifetime_s / 2;
    return cached->judgement.ttl_s <= (int64_t)lead_s;
}

bool edge_cached_is_due(const struct edge_cached *cached)
{
    return cached->refresh_hits && cached->object &&
           store_object_hits(cached->object) >= cached->refresh_hits && expires_soon(cached, 1) &&
           store_object_claim(cached->object, (uint32_t)edge_cached_now_s());
}

/* Behind a client's back: only to be fetched, by whoever comes first. Else it is over, with an answer to nobody. */
static enum edge_next take_refresh(struct edge_cached *cached)
{
    bool is_due = cached->judgement.use != CACHE_USE_ANSWER ||
                  (cached->is_ahead && expires_soon(cached, cached->ahead_s));
    if (is_due && join(cached) == EDGE_NEXT && cached->fill)
        return EDGE_NEXT;
    return edge_cached_give_up(cached->exchange);
}

/* What is not in memory may be on disk: also what is asked for in parts, with conditions, or not to be fetched. */
static bool recall(struct edge_cached *cached)
{
    enum { TRIES = 2 }; /* only with what came at first may it be known by what the answers vary */
    struct store_query query = edge_cached_query(cached);
    cached->reader.wake = on_wake;
    cached->is_recalling =
        cached->recalls++ < TRIES &&
        store_recall(store_of(cached->exchange), &query, &cached->reader) == STORE_WAIT;
    return cached->is_recalling;
}

static enum edge_next look_up(struct edge_cached *cached)
{
    struct edge_exchange *exchange = cached->exchange;
    struct store_query query = edge_cached_query(cached);
    exchange->was_looked_up = true;
    cached->object = store_find(store_of(exchange), &query);
    if (!cached->object && recall(cached))
        return EDGE_WAITS;
    edge_cached_judge(cached);
    if (exchange->front == &edge_refresh_front)
        return take_refresh(cached);
    if (!cached->object && (cached->slice_bytes || cached->ask.has_range)) {
        enum edge_next next = edge_slices_look_up(cached);
        if (next != EDGE_NEXT || cached->is_in_parts)
            return next;
    }
    switch (cached->judgement.use) {
    case CACHE_USE_ANSWER:
        if (edge_cached_is_due(cached))
            edge_refresh_start(exchange, true);
        return edge_cached_answer(cached);
    case CACHE_USE_REFRESH:
        if (store_object_claim(cached->object, (uint32_t)edge_cached_now_s()))
            edge_refresh_start(exchange, false);
        return edge_cached_answer(cached);
    case CACHE_USE_REFUSE:
        return edge_cached_refuse(exchange);
    case CACHE_USE_VALIDATE:
    case CACHE_USE_FORWARD:
        break;
    }
    return is_for_all(cached) ? join(cached) : EDGE_NEXT;
}

/* ---- the step */

/* An answer whose slices are gathered began when it might. */
static bool may_use_store(const struct edge_cached *cached, const struct conf_site *site)
{
    return cached->gather ||
           edge_purges_allow(cached->exchange->worker->edge, site->index, cached->site);
}

/* A store that is small has small slices, too. */
static uint32_t slice_bytes(const struct edge_exchange *exchange, const struct conf_site *site)
{
    const struct conf_edge *edge = edge_conf(exchange->worker)->self->edge;
    uint64_t most = edge->cache_bytes / EDGE_SLICE_SHARE, bytes = site->cache.slice_bytes;
    if (!bytes)
        return 0;
    if (bytes > most)
        bytes = most;
    return bytes > EDGE_SLICE_LEAST ? (uint32_t)bytes : EDGE_SLICE_LEAST;
}

static enum edge_next take(struct edge_exchange *exchange)
{
    const struct conf_site *site = edge_exchange_site(exchange);
    struct http_head *head = &exchange->head;
    struct edge_cached *cached = exchange->cached; /* of an errand: it knows what it is for */
    if (!store_of(exchange) || !site || !site->cache.is_on)
        return cached ? edge_cached_give_up(exchange) : EDGE_NEXT;
    if (!cached)
        cached = ARENA_NEW(&exchange->arena, struct edge_cached);
    exchange->cached = cached;
    cached->exchange = exchange;
    edge_cached_reclass(exchange);
    cached->asked = *head;
    if (exchange->decision) {
        struct rules_facts facts = facts_of(exchange);
        cached->asked.target = rules_cache_target(exchange->decision, &facts, &exchange->arena);
    }
    cached->site = purge_site(span_text(exchange->site));
    cached->request_s = edge_cached_now_s();
    read_policy(&cached->policy, &site->cache);
    cached->slice_bytes = slice_bytes(exchange, site);
    cached->refresh_hits = site->cache.refresh_hits;
    cache_ask_read(&cached->ask, &cached->policy, head);
    cached->why = CACHE_FORWARD_METHOD;
    if (cached->ask.route != CACHE_ROUTE_LOOKUP)
        return EDGE_NEXT;
    cached->why = CACHE_FORWARD_BYPASS;
    if (!follow_rules(&cached->policy, exchange->decision) || !may_use_store(cached, site) ||
        !make_key(cached))
        return exchange->front->is_background ? edge_cached_give_up(exchange) : EDGE_NEXT;
    return cached->gather ? edge_gather_take(cached) : look_up(cached);
}

static void over(struct edge_exchange *exchange)
{
    struct edge_cached *cached = exchange->cached;
    if (!cached)
        return;
    if (cached->gather)
        edge_gather_clear(cached->gather, store_of(exchange));
    if (cached->part)
        edge_part_end(cached);
    store_fill_leave(&cached->fill);
    store_reader_close(&cached->reader);
    store_object_release(store_of(exchange), &cached->object);
    store_object_release(store_of(exchange), &cached->slice);
    store_object_release(store_of(exchange), &cached->older);
    text_clear(&cached->key);
    text_clear(&cached->part_key);
    exchange->cached = NULL;
}

const struct edge_step edge_step_cache = {.name = "cache",
                                          .take = take,
                                          .answer = edge_cached_take_head,
                                          .data = edge_part_take_data,
                                          .over = over};
