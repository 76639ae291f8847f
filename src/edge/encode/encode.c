/* SPDX-License-Identifier: Apache-2.0
 *
 * Content encodings (C3): the step, and encoding on the fly between an answer's content and the front.
 */
#include "edge/encode/encoded.h"

#include "base/memory.h"
#include "edge/cache/cached.h"

/* ---- what the site says */

static void read_policy(struct encode_policy *policy, const struct conf_site_encode *conf)
{
    *policy = (struct encode_policy){.types = conf->types.count ? conf->types.items : NULL,
                                     .type_count = conf->types.count,
                                     .least_bytes = conf->least_bytes,
                                     .only_public = conf->answers == CONF_ENCODE_PUBLIC};
}

static enum encoding encoding_of(enum conf_encoding encoding)
{
    static const enum encoding encodings[CONF_ENCODINGS] = {[CONF_ENCODING_GZIP] = ENCODING_GZIP,
                                                            [CONF_ENCODING_BROTLI] =
                                                                ENCODING_BROTLI,
                                                            [CONF_ENCODING_ZSTD] = ENCODING_ZSTD};
    return encodings[encoding];
}

static enum encoding choose(const struct edge_encode *encode, const struct conf_site_encode *conf)
{
    enum encoding order[CONF_ENCODINGS];
    for (size_t i = 0; i < conf->encoding_count; i++)
        order[i] = encoding_of(conf->encodings[i]);
    return encode_choose(&encode->wishes, order, conf->encoding_count);
}

size_t edge_encode_best_order(const struct conf_site_encode *conf,
                              enum encoding order[CONF_ENCODINGS])
{
    static const enum conf_encoding best[] = {CONF_ENCODING_BROTLI, CONF_ENCODING_ZSTD,
                                              CONF_ENCODING_GZIP};
    size_t count = 0;
    for (size_t i = 0; i < sizeof best / sizeof *best; i++)
        for (size_t j = 0; j < conf->encoding_count; j++)
            if (conf->encodings[j] == best[i]) {
                order[count++] = encoding_of(best[i]);
                break;
            }
    return count;
}

/* ---- the request */

static enum edge_next take(struct edge_exchange *exchange)
{
    struct http_fields *fields = &exchange->head.fields;
    const struct conf_site *site = exchange->encodes ? edge_exchange_site(exchange) : NULL;
    bool is_left = exchange->decision && exchange->decision->encode == RULES_NO;
    if (!site || is_left || exchange->head.upgrades)
        return EDGE_NEXT;
    struct edge_encode *encode = ARENA_NEW(&exchange->arena, struct edge_encode);
    exchange->encode = encode;
    encode->exchange = exchange;
    list_init(&encode->waiting);
    encode->asked = *fields;
    encode->asked.capacity = fields->count;
    encode->asked.list = ARENA_ARRAY(&exchange->arena, struct http_field, fields->count);
    if (fields->count)
        memcpy(encode->asked.list, fields->list, fields->count * sizeof *fields->list);
    encode_wishes_read(&encode->wishes, fields);
    int result = encode_translate_conditions(fields, &encode->wishes);
    if (result == 0 && site->encode.origin == CONF_ENCODE_ASK_IDENTITY)
        result = http_fields_set(fields, HTTP_NAME_ACCEPT_ENCODING, SPAN("identity"));
    if (result == 0)
        return EDGE_NEXT;
    edge_exchange_page(exchange, 431, "the request's conditions are too long");
    return EDGE_TAKEN;
}

void edge_encode_leave(struct edge_exchange *exchange)
{
    if (!exchange->encode)
        return;
    exchange->head.fields = exchange->encode->asked;
    exchange->encode = NULL; /* nothing runs yet */
}

/* ---- on the fly */

static void stop(struct edge_encode *encode)
{
    struct edge_worker *worker = encode->exchange->worker;
    encode->exchange->filter = NULL;
    list_remove(&encode->waiting);
    if (!encode->encoder)
        return;
    loop_timer_stop(worker->loop, &encode->flush);
    encoders_give_back(worker->encoding->encoders, &encode->encoder);
    edge_encode_count_running(-1);
}

static void put(struct edge_encode *encode, struct span data, enum encode_then then)
{
    struct slice_queue out = {0};
    uint64_t before_ns = clock_now_ns();
    encoder_put(encode->encoder, data, then, &out);
    edge_encode_count_work(encoder_encoding(encode->encoder), data.length, out.bytes,
                           clock_now_ns() - before_ns);
    while (out.count)
        edge_exchange_give(encode->exchange, slice_queue_pop(&out, CHUNK_BYTES));
    slice_queue_clear(&out);
}

static void on_flush(struct loop *loop, struct loop_timer *timer)
{
    struct edge_encode *encode = CONTAINER_OF(timer, struct edge_encode, flush);
    (void)loop;
    put(encode, (struct span){0}, ENCODE_FLUSH);
    encode->exchange->front->wake(encode->exchange);
}

static void on_again(struct loop *loop, struct loop_timer *timer)
{
    struct edge_encoding *encoding = CONTAINER_OF(timer, struct edge_encoding, again);
    struct list batch, *item;
    (void)loop;
    list_init(&batch);
    while ((item = list_pop_front(&encoding->waiting)) != NULL)
        list_push_back(&batch, item);
    while ((item = list_pop_front(&batch)) != NULL) {
        struct edge_exchange *exchange = CONTAINER_OF(item, struct edge_encode, waiting)->exchange;
        exchange->front->wake(exchange);
    }
}

static bool wants(struct edge_exchange *exchange)
{
    struct edge_encoding *encoding = exchange->worker->encoding;
    struct edge_encode *encode = exchange->encode;
    struct loop *loop = exchange->worker->loop;
    if (encoding->turn_ns != loop_now_ns(loop)) {
        encoding->turn_ns = loop_now_ns(loop);
        encoding->left = EDGE_ENCODE_TURN_BYTES;
    }
    if (encoding->left)
        return true;
    if (list_is_empty(&encode->waiting))
        list_push_back(&encoding->waiting, &encode->waiting);
    if (!loop_timer_is_running(&encoding->again))
        loop_timer_start(loop, &encoding->again, encoding->turn_ns);
    return false;
}

static void take_data(struct edge_exchange *exchange, struct slice data)
{
    struct edge_encoding *encoding = exchange->worker->encoding;
    struct edge_encode *encode = exchange->encode;
    struct loop *loop = exchange->worker->loop;
    encoding->left -= data.length < encoding->left ? data.length : encoding->left;
    put(encode, span_of(slice_data(&data), data.length), ENCODE_MORE);
    slice_release(&data);
    if (!loop_timer_is_running(&encode->flush))
        loop_timer_start(loop, &encode->flush, loop_now_ns(loop) + EDGE_ENCODE_FLUSH_NS);
}

static void take_end(struct edge_exchange *exchange)
{
    put(exchange->encode, (struct span){0}, ENCODE_END);
    stop(exchange->encode);
}

static const struct edge_filter filter = {.wants = wants, .data = take_data, .end = take_end};

static int start(struct edge_encode *encode, const struct conf_site_encode *conf,
                 enum encoding encoding, struct http_head *head)
{
    static const enum conf_encoding level_of[ENCODING_COUNT] = {
        [ENCODING_GZIP] = CONF_ENCODING_GZIP,
        [ENCODING_BROTLI] = CONF_ENCODING_BROTLI,
        [ENCODING_ZSTD] = CONF_ENCODING_ZSTD};
    struct edge_exchange *exchange = encode->exchange;
    struct edge_worker *worker = exchange->worker;
    const struct conf_edge *edge = edge_conf(worker)->self->edge;
    struct encode_settings settings = {.level = conf->levels[level_of[encoding]],
                                       .window_log = ENCODE_WINDOW_LOG,
                                       .length =
                                           head->has_length ? head->content_length : UINT64_MAX};
    bool is_head = exchange->head.method == HTTP_METHOD_HEAD || head->body == HTTP_BODY_NONE;
    if (!is_head)
        encode->encoder = encoders_take(worker->encoding->encoders, edge ? edge->encoders_limit : 0,
                                        encoding, &settings);
    if (!is_head && !encode->encoder) {
        edge_encode_count_left(EDGE_ENCODE_LEFT_LIMIT);
        return 0;
    }
    if (encode->encoder) {
        edge_encode_count_running(1);
        encode->flush.fire = on_flush;
        exchange->filter = &filter;
    }
    edge_encode_count(encoding, EDGE_ENCODE_FLY);
    return encode_head(head, encoding, UINT64_MAX);
}

/* ---- the answer */

static int encode_answer(struct edge_encode *encode, const struct conf_site_encode *conf,
                         struct http_head *head)
{
    struct encode_policy policy;
    const struct http_head *request = &encode->exchange->head;
    read_policy(&policy, conf);
    enum encode_reason reason = encode_judge(&policy, request, head);
    if (reason != ENCODE_FITS)
        edge_encode_count_left(reason);
    if (reason != ENCODE_FITS && reason != ENCODE_PART)
        return EDGE_NEXT;
    enum encoding chosen = choose(encode, conf);
    int result = encode_add_vary(&head->fields);
    if (result < 0 || reason == ENCODE_PART)
        return result < 0 ? result : EDGE_NEXT;
    if (http_fields_has(&encode->asked, HTTP_NAME_RANGE)) {
        edge_encode_count_left(EDGE_ENCODE_LEFT_RANGE);
        return EDGE_NEXT;
    }
    if (!chosen) {
        edge_encode_count_left(EDGE_ENCODE_LEFT_CLIENT);
        return EDGE_NEXT;
    }
    if (conf->is_kept && edge_cached_is_whole(encode->exchange)) {
        result = edge_encode_stored(encode, conf, head);
        if (result != EDGE_NEXT)
            return result;
    }
    result = start(encode, conf, chosen, head);
    return result < 0 ? result : EDGE_NEXT;
}

/* Of what is not modified: as the answer says, or what is stored of it. */
static const struct http_field *type_of(const struct edge_exchange *exchange,
                                        const struct http_fields *fields)
{
    const struct http_field *type = http_fields_find(fields, HTTP_NAME_CONTENT_TYPE);
    if (!type && exchange->cached)
        type = http_fields_find(&exchange->cached->fields, HTTP_NAME_CONTENT_TYPE);
    return type;
}

/* 304. There was a choice where the client has something encoded, or the type gains; where nobody says the type, unless the client
 * would have got it encoded. */
static int confirm(struct edge_encode *encode, const struct conf_site_encode *conf,
                   struct http_fields *fields)
{
    struct encode_policy policy;
    enum encoding chosen = choose(encode, conf);
    const struct http_field *type = type_of(encode->exchange, fields);
    read_policy(&policy, conf);
    int result = encode_not_modified(fields, &encode->asked, chosen);
    if (result < 0)
        return result;
    bool varies = result > 0 || (type ? encode_type_gains(&policy, type->value) : !chosen);
    result = varies ? encode_add_vary(fields) : 0;
    return result < 0 ? result : EDGE_NEXT;
}

static enum edge_next answer(struct edge_exchange *exchange, struct http_head *head)
{
    struct edge_encode *encode = exchange->encode;
    if (!encode)
        return EDGE_NEXT;
    stop(encode); /* of an answer that came to nothing */
    const struct conf_site *site = edge_exchange_site(exchange);
    if (!site || exchange->front->is_background || head->status == 101)
        return EDGE_NEXT;
    int result = head->status == 304 ? confirm(encode, &site->encode, &head->fields)
                                     : encode_answer(encode, &site->encode, head);
    if (result >= 0)
        return (enum edge_next)result;
    stop(encode);
    edge_exchange_page(exchange, 502, "the answer has too many fields");
    return EDGE_TAKEN;
}

enum encoding edge_encode_pick(const struct edge_exchange *exchange, const struct http_head *answer,
                               bool (*has)(void *context, enum encoding encoding), void *context)
{
    const struct edge_encode *encode = exchange->encode;
    const struct conf_site *site = encode ? edge_exchange_site(exchange) : NULL;
    struct encode_policy policy;
    enum encoding order[CONF_ENCODINGS];
    if (!site || http_fields_has(&encode->asked, HTTP_NAME_RANGE))
        return ENCODING_IDENTITY;
    read_policy(&policy, &site->encode);
    if (encode_judge(&policy, &exchange->head, answer) != ENCODE_FITS)
        return ENCODING_IDENTITY;
    size_t count = edge_encode_best_order(&site->encode, order);
    for (;;) {
        enum encoding best = encode_choose(&encode->wishes, order, count);
        if (!best || has(context, best)) {
            if (best)
                edge_encode_count(best, EDGE_ENCODE_FILE);
            return best;
        }
        size_t left = 0;
        for (size_t i = 0; i < count; i++)
            if (order[i] != best)
                order[left++] = order[i];
        count = left;
    }
}

static void over(struct edge_exchange *exchange)
{
    struct edge_encode *encode = exchange->encode;
    if (!encode)
        return;
    stop(encode);
    store_object_release(exchange->worker->edge->store, &encode->stored);
    exchange->encode = NULL;
}

const struct edge_step edge_step_encode = {
    .name = "encode", .take = take, .answer = answer, .over = over};

/* ---- of a worker */

struct edge_encoding *edge_encoding_new(void)
{
    struct edge_encoding *encoding = NEW(struct edge_encoding);
    encoding->encoders = encoders_new();
    encoding->again.fire = on_again;
    list_init(&encoding->waiting);
    return encoding;
}

void edge_encoding_stop(struct edge_worker *worker)
{
    loop_timer_stop(worker->loop, &worker->encoding->again);
}

void edge_encoding_free(struct edge_encoding **freed)
{
    if (!*freed)
        return;
    encoders_free(&(*freed)->encoders);
    memory_free(*freed);
    *freed = NULL;
}
