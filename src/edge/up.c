/* SPDX-License-Identifier: Apache-2.0
 *
 * Up: the last step, which opens a stream to a gateway; the body that follows; and what becomes of a request when its stream is lost. It
 * is repeated only as far as that does no harm.
 */
#include "edge/buffer.h"

enum { STREAM_WEIGHT = 16 }; /* within its ring and site */

/* ---- the stream */

void edge_exchange_finish_stream(struct edge_exchange *exchange)
{
    if (!exchange->stream || exchange->stream_finished)
        return;
    link_stream_write(exchange->stream, &exchange->to_link);
    link_stream_finish(exchange->stream);
    exchange->stream_finished = true;
}

static void on_moved(void *owner, struct link_stream *stream)
{
    struct edge_exchange *exchange = owner;
    (void)stream;
    exchange->front->wake(exchange);
}

static void on_reset(void *owner, struct link_stream *stream, uint32_t code)
{
    struct edge_exchange *exchange = owner;
    (void)stream;
    if (exchange->stream_ended && !exchange->is_tunnel)
        return; /* the answer is here as a whole, and waits for the client to take it */
    edge_exchange_stream_lost(exchange, code);
    exchange->front->wake(exchange);
}

static const struct link_stream_events stream_events = {.readable = on_moved,
                                                        .writable = on_moved,
                                                        .reset = on_reset};

static void expect_answer(struct edge_exchange *exchange)
{
    http_form_reader_clear(&exchange->reader);
    http_form_reader_start_response(&exchange->reader, &http_limits_default, &exchange->answer,
                                    &exchange->answer_arena, exchange->head.method,
                                    exchange->head.upgrades);
    http_form_reader_unpack(&exchange->reader, link_stream_compressor(exchange->stream));
}

/* The head of the request on its new stream. False: it is too long to cross. */
static bool start_message(struct edge_exchange *exchange, const struct conf_site *site,
                          const struct link *link)
{
    struct compressor *compressor = link_stream_compressor(exchange->stream);
    struct slice_queue head = {0};
    struct http_pack pack;
    if (http_form_write_request(&head, &exchange->opening, &exchange->head) < 0)
        return false;
    http_pack_decide(link_packs(link) ? (enum http_pack_policy)site->compress : HTTP_PACK_OFF,
                     &exchange->head, NULL, &pack);
    http_pack_count(&pack, compressor);
    http_form_pack_head(&exchange->to_link, &head, pack.head ? compressor : NULL);
    http_form_content_start(&exchange->content, pack.content ? compressor : NULL);
    return true;
}

/* The whole body is in. What asked for an upgrade ends only when the answer is no 101. */
static void write_end(struct edge_exchange *exchange)
{
    http_form_content_flush(&exchange->content, &exchange->to_link);
    if (exchange->trailers && exchange->trailers->count &&
        http_form_write_trailers(&exchange->to_link, exchange->trailers) < 0)
        edge_exchange_refuse(exchange, HTTP_CAUSE_TRAILER_FORBIDDEN);
    else if (exchange->is_tunnel || !exchange->head.upgrades)
        http_form_write_end(&exchange->to_link);
}

static void write_body(struct edge_exchange *exchange, struct slice data)
{
    exchange->body_was_sent = true;
    http_form_content_add(&exchange->content, &exchange->to_link, data);
}

/* What the client sent before there was a stream. */
static void write_early(struct edge_exchange *exchange)
{
    while (exchange->body.count)
        write_body(exchange, slice_queue_pop(&exchange->body, UINT32_MAX));
    if (exchange->request_ended)
        write_end(exchange);
}

/* The message as the stream before had it, which took nothing of it along: to_link goes on behind it. */
static void restore_message(struct edge_exchange *exchange)
{
    slice_queue_move(&exchange->unsent, &exchange->to_link);
    slice_queue_move(&exchange->to_link, &exchange->unsent);
}

/* Whether the far end of that link is to be asked at all. */
static bool is_fit(const struct edge_exchange *exchange, const struct link *link)
{
    if (exchange->opening.group.length && !link_knows_groups(link))
        return false; /* it would ask the wrong servers */
    return !exchange->restores || !exchange->was_packed || link_packs(link);
}

/* Sends the head to a gateway; the body follows from edge_exchange_go_up(). */
static void open_stream(struct edge_exchange *exchange, struct edge_channel *first)
{
    struct edge_worker *worker = exchange->worker;
    const struct conf *conf = edge_conf(worker);
    const struct conf_site *site = edge_exchange_site(exchange);
    const struct edge_share *share = exchange->visitor->share;
    struct edge_channel *channel = first;
    while (site && exchange->tries < EDGE_TRIES_MOST &&
           (channel || (channel = edge_channels_pick(worker, conf, site, exchange->opening.priority,
                                                     exchange->tried, exchange->tries)))) {
        struct edge_channel *taken = channel;
        struct link *link = channel->link;
        channel = NULL;
        struct transport_open open = {.port = exchange->visitor->local_port,
                                      .flags = TRANSPORT_OPEN_HTTP,
                                      .ring = exchange->opening.priority,
                                      .weight = STREAM_WEIGHT,
                                      .site = site->number,
                                      .client = exchange->visitor->address,
                                      .sharers = share ? edge_share_requests(share) : 0};
        exchange->tried[exchange->tries++] = link;
        if (!is_fit(exchange, link))
            continue;
        if (link_stream_open(link, &open, &stream_events, exchange, &exchange->stream) < 0)
            continue;
        edge_channel_join(taken, exchange);
        expect_answer(exchange);
        if (exchange->restores) {
            restore_message(exchange);
        } else if (!start_message(exchange, site, link)) {
            edge_exchange_refuse(exchange, HTTP_CAUSE_HEAD_LONG);
            return;
        }
        exchange->sent_ns = loop_now_ns(worker->loop);
        exchange->link_rtt_us = link_read_quality(link).srtt_us;
        edge_exchange_set_state(exchange, EXCHANGE_LINK);
        edge_exchange_made_progress(exchange);
        if (!exchange->restores)
            write_early(exchange);
        return;
    }
    metric_add(&edge_no_gateway, 1);
    edge_exchange_page(exchange, 503, "no gateway can be reached");
}

void edge_exchange_hand_over(struct edge_exchange *from, struct edge_exchange *to)
{
    INVARIANT(from->stream && from->stream_finished && from->answer_began);
    edge_channel_hand_over(from, to);
    edge_buffer_hand_over(from, to);
    to->tried[0] = from->tried[from->tries - 1];
    to->tries = 1;
    to->stream = from->stream;
    from->stream = NULL;
    link_stream_attach(to->stream, &stream_events, to);
    slice_queue_move(&to->from_link, &from->from_link);
    http_form_reader_move(&to->reader, &from->reader, &to->answer, &to->answer_arena);
    to->owed = from->owed;
    to->stream_ended = from->stream_ended;
    to->stream_finished = to->request_ended = to->answer_began = true;
    to->body_timeout_ns = from->body_timeout_ns;
    to->opening.priority = from->opening.priority; /* as the stream has it */
    to->ring = from->front->is_background ? from->ring : CONF_RINGS - 1;
    to->rings_below = from->rings_below;
    from->owed = 0;
    from->stream_ended = from->stream_finished = false;
    edge_exchange_set_state(to, EXCHANGE_LINK);
    edge_exchange_made_progress(to);
}

/* Nothing of the request has gone to the stream but its head; nor trailers, where there are chunks. */
static bool is_head_only(const struct edge_exchange *exchange)
{
    return !exchange->body_was_sent &&
           (exchange->head.body != HTTP_BODY_CHUNKED || !exchange->request_ended);
}

/* Another gateway may have more luck, while nothing of the request but its head was sent. */
static bool can_repeat(const struct edge_exchange *exchange, uint32_t code)
{
    if (!is_head_only(exchange) || exchange->repeats == EDGE_REPEATS_MOST)
        return false;
    switch (code) {
    case TRANSPORT_CODE_UNREACHABLE:
    case TRANSPORT_CODE_REFUSED:
        return true; /* says that no origin has acted on it, or that it may be repeated */
    case TRANSPORT_CODE_LINK_LOST:
    case TRANSPORT_CODE_SHUTDOWN:
        return http_method_is_idempotent(exchange->head.method); /* RFC 9110 section 9.2.2 */
    }
    return false;
}

static bool has_other(const struct edge_exchange *exchange)
{
    const struct conf_site *site = edge_exchange_site(exchange);
    return site && exchange->tries < EDGE_TRIES_MOST &&
           edge_channels_best(exchange->worker, edge_conf(exchange->worker), site,
                              exchange->opening.priority, exchange->tried, exchange->tries);
}

/* False: there is no other gateway. */
static bool repeat(struct edge_exchange *exchange)
{
    if (!has_other(exchange))
        return false;
    metric_add(&edge_retries, 1);
    exchange->repeats++;
    slice_queue_clear(&exchange->to_link);
    arena_clear(&exchange->answer_arena);
    open_stream(exchange, NULL);
    return true;
}

/* Nothing of it has left: it goes elsewhere whatever it is, its body along. False: there is no other gateway. */
static bool move_unsent(struct edge_exchange *exchange)
{
    if (!has_other(exchange))
        return false;
    metric_add(&edge_unsent, 1);
    exchange->restores = !is_head_only(exchange);
    exchange->was_packed = link_packs(exchange->tried[exchange->tries - 1]);
    if (!exchange->restores) {
        slice_queue_clear(&exchange->to_link);
        slice_queue_clear(&exchange->unsent);
    }
    arena_clear(&exchange->answer_arena);
    open_stream(exchange, NULL);
    exchange->restores = false;
    return true;
}

void edge_exchange_link_out(struct edge_exchange *exchange, uint64_t out_ns)
{
    const struct conf_site *site = edge_exchange_site(exchange);
    if (exchange->answer_began || link_is_up(exchange->tried[exchange->tries - 1]))
        return;
    bool is_repeatable = can_repeat(exchange, TRANSPORT_CODE_LINK_LOST),
         may_go = has_other(exchange);
    if (is_repeatable && may_go) {
        edge_exchange_drop_stream(exchange, TRANSPORT_CODE_CANCELLED);
        edge_exchange_stream_lost(exchange, TRANSPORT_CODE_LINK_LOST);
        metric_add(&edge_moved, 1);
    } else if (may_go && link_stream_withdraw(exchange->stream)) {
        edge_exchange_stream_lost(exchange, TRANSPORT_CODE_LINK_LOST);
    } else if (!is_repeatable && out_ns && (!site || out_ns >= site->channels.broken_wait_ns)) {
        metric_add(&edge_unsafe_lost, 1);
        edge_exchange_drop_stream(exchange, TRANSPORT_CODE_CANCELLED);
        edge_exchange_page(exchange, 502, "the link to the gateway is broken");
    } else {
        return;
    }
    exchange->front->wake(exchange);
}

void edge_exchange_stream_lost(struct edge_exchange *exchange, uint32_t code)
{
    static const struct {
        uint32_t code;
        unsigned status;
        const char *cause;
    } pages[] = {
        {TRANSPORT_CODE_REFUSED, 502, "the gateway does not serve this site to this edge"},
        {TRANSPORT_CODE_UNREACHABLE, 502, "the origin cannot be reached"},
        {TRANSPORT_CODE_TIMEOUT, 504, "the origin did not answer in time"},
        {TRANSPORT_CODE_PROTOCOL, 502, "the origin sent a malformed answer"},
        {TRANSPORT_CODE_LIMIT, 503, "the origin is busy"},
        {TRANSPORT_CODE_LINK_LOST, 502, "the link to the gateway was lost"},
        {TRANSPORT_CODE_SHUTDOWN, 502, "the gateway shuts down"},
    };
    if (exchange->answer_began) {
        edge_exchange_abort(exchange, "the answer was cut short");
        return;
    }
    bool is_unsent = exchange->stream && link_stream_take_back(exchange->stream, &exchange->unsent);
    edge_exchange_drop_stream(exchange, TRANSPORT_CODE_NONE);
    if (is_unsent ? move_unsent(exchange) : can_repeat(exchange, code) && repeat(exchange))
        return;
    if (transport_code_seconds(code)) {
        edge_exchange_page_later(exchange, 503, "the origin is busy",
                                 (transport_code_seconds(code) - 1) * 1000000000ull);
        return;
    }
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (pages[i].code == code) {
            edge_exchange_page(exchange, pages[i].status, pages[i].cause);
            return;
        }
    edge_exchange_page(exchange, 502, "the gateway gave the request up");
}

static enum edge_next take(struct edge_exchange *exchange)
{
    const struct conf_site *site = edge_exchange_site(exchange);
    if (site && edge_channels_hold(exchange, edge_conf(exchange->worker), site))
        return exchange->ticket ? EDGE_WAITS : EDGE_TAKEN;
    open_stream(exchange, NULL);
    return EDGE_TAKEN;
}

void edge_exchange_launch(struct edge_exchange *exchange, struct edge_channel *channel)
{
    bool is_usable = channel && channel->link && link_is_up(channel->link);
    open_stream(exchange, is_usable ? channel : NULL);
    exchange->front->wake(exchange);
}

const struct edge_step edge_step_link = {.name = "link", .take = take};

uint8_t edge_exchange_urgency(const struct edge_exchange *exchange)
{
    unsigned ring = exchange->ring + exchange->rings_below;
    return (uint8_t)(ring < CONF_RINGS ? CONF_RINGS - ring : 1);
}

/* Its own, or that of who waits for its answer. */
static void update_ring(struct edge_exchange *exchange)
{
    uint8_t urgency = edge_exchange_urgency(exchange);
    if (urgency < exchange->wanted)
        urgency = exchange->wanted;
    if (exchange->opening.priority == CONF_RINGS - urgency)
        return;
    exchange->opening.priority = (uint8_t)(CONF_RINGS - urgency);
    edge_buffer_reclass(exchange, exchange->opening.priority);
    if (exchange->stream)
        link_stream_set_ring(exchange->stream, exchange->opening.priority, STREAM_WEIGHT);
}

void edge_exchange_set_ring(struct edge_exchange *exchange, uint8_t ring)
{
    exchange->ring = ring;
    update_ring(exchange);
}

void edge_exchange_set_wanted(struct edge_exchange *exchange, uint8_t urgency)
{
    uint8_t before = exchange->opening.priority;
    exchange->wanted = urgency;
    update_ring(exchange);
    metric_add(&edge_cache_reclassed, exchange->opening.priority != before);
}

/* ---- from the front */

void edge_exchange_set_urgency(struct edge_exchange *exchange, uint8_t urgency)
{
    exchange->rings_below = urgency <= HTTP_PRIORITY_DEFAULT.urgency ? 0 : urgency < 6 ? 1 : 2;
    update_ring(exchange);
    edge_cached_reclass(exchange);
}

void edge_exchange_body(struct edge_exchange *exchange, struct slice data)
{
    exchange->bytes_in += data.length;
    switch (exchange->state) {
    case EXCHANGE_STEPS:
        slice_queue_push(&exchange->body, data);
        break;
    case EXCHANGE_LINK:
        write_body(exchange, data);
        break;
    case EXCHANGE_IDLE:
    case EXCHANGE_HEAD:
    case EXCHANGE_OWN: /* was answered without it */
    case EXCHANGE_OVER:
        slice_release(&data);
        break;
    }
}

void edge_exchange_body_end(struct edge_exchange *exchange, const struct http_fields *trailers)
{
    exchange->request_ended = true;
    if (!exchange->body_ns)
        exchange->body_ns = loop_now_ns(exchange->worker->loop);
    exchange->trailers = trailers;
    if (exchange->state == EXCHANGE_LINK)
        write_end(exchange);
    edge_exchange_made_progress(exchange);
}

uint64_t edge_exchange_body_room(const struct edge_exchange *exchange)
{
    return exchange->state == EXCHANGE_LINK ? link_stream_room(exchange->stream) : 0;
}

void edge_exchange_go_up(struct edge_exchange *exchange)
{
    bool waits_for_upgrade = exchange->head.upgrades && !exchange->answer_began;
    http_form_content_flush(&exchange->content, &exchange->to_link);
    if (exchange->to_link.bytes)
        link_stream_write(exchange->stream, &exchange->to_link);
    if (exchange->request_ended && !waits_for_upgrade)
        edge_exchange_finish_stream(exchange);
}
