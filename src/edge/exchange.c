/* SPDX-License-Identifier: Apache-2.0
 *
 * An exchange: its states, steps, timer and log. The request goes up in up.c, the answer comes down in down.c, or is our own (page.c).
 *
 *   IDLE --> HEAD --> STEPS --> LINK --> (answer complete) --> OVER --> IDLE
 *                         `---> OWN -----------------------------^
 */
#include "edge/exchange.h"

#include "base/memory.h"
#include "edge/buffer.h"

const struct edge_step *const edge_steps[] = {
    &edge_step_acme,  &edge_step_site,  &edge_step_rate,  &edge_step_class, &edge_step_encode,
    &edge_step_rules, &edge_step_cache, &edge_step_share, &edge_step_link,  NULL,
};

void edge_exchange_set_state(struct edge_exchange *exchange, enum exchange_state state)
{
    INVARIANT(exchange->state != EXCHANGE_OVER || state == EXCHANGE_IDLE);
    exchange->state = state;
}

const struct conf_site *edge_exchange_site(const struct edge_exchange *exchange)
{
    const struct edge_worker *worker = exchange->worker;
    if (exchange->site_turn == loop_turn(worker->loop))
        return exchange->site_found; /* by the first step, a moment ago */
    return conf_find_site(edge_conf(worker), span_text(exchange->site));
}

static void move_deadline(struct edge_exchange *exchange, uint64_t deadline_ns)
{
    exchange->deadline_ns = deadline_ns;
    if (!loop_timer_is_running(&exchange->timer) || exchange->timer.node.key > deadline_ns)
        loop_timer_start(exchange->worker->loop, &exchange->timer, deadline_ns);
}

static void set_deadline(struct edge_exchange *exchange, uint64_t timeout_ns)
{
    move_deadline(exchange, loop_now_ns(exchange->worker->loop) + timeout_ns);
}

void edge_exchange_made_progress(struct edge_exchange *exchange)
{
    switch (exchange->state) {
    case EXCHANGE_STEPS:
    case EXCHANGE_LINK:
    case EXCHANGE_OWN:
        set_deadline(exchange, exchange->is_tunnel && !exchange->answer_ended
                                   ? exchange->tunnel_timeout_ns
                               : exchange->request_ended && !exchange->answer_began
                                   ? exchange->gateway_timeout_ns
                                   : exchange->body_timeout_ns);
        break;
    case EXCHANGE_IDLE:
    case EXCHANGE_HEAD: /* the front's time */
    case EXCHANGE_OVER:
        break;
    }
}

/* The client's turn to take what is here for it, and nothing but its own slowness in the way. */
static bool is_to_take(const struct edge_exchange *exchange)
{
    const struct edge_front *front = exchange->front;
    return !front->times_reader && front->held(exchange) &&
           !(front->is_queued && front->is_queued(exchange));
}

/* Its turn to go on with its request. */
static bool is_to_send(const struct edge_exchange *exchange)
{
    return exchange->state == EXCHANGE_LINK && !exchange->request_ended &&
           !exchange->answer_began && edge_exchange_body_room(exchange);
}

void edge_exchange_moved(struct edge_exchange *exchange, uint64_t bytes)
{
    bool takes = is_to_take(exchange), is_behind = takes || is_to_send(exchange);
    edge_pace_move(&exchange->pace, loop_now_ns(exchange->worker->loop), exchange->body_timeout_ns,
                   takes ? exchange->download_rate : exchange->upload_rate, bytes, is_behind);
    edge_exchange_made_progress(exchange);
    if (is_behind && exchange->pace.deadline_ns < exchange->deadline_ns)
        move_deadline(exchange, exchange->pace.deadline_ns);
}

/* ---- ends */

/* Which rules of which configuration decided: "1f2e3d4c", or "1f2e3d4c.2.7" where rules matched. */
static void write_decision(const struct edge_exchange *exchange, char out[EDGE_DECISION_BYTES])
{
    const struct rules_decision *decision = exchange->decision;
    size_t length = (size_t)snprintf(out, EDGE_DECISION_BYTES, "%s", exchange->snapshot);
    for (size_t i = 0; decision && i < decision->matched_count && i < EDGE_DECISION_RULES; i++)
        length += (size_t)snprintf(out + length, EDGE_DECISION_BYTES - length, ".%u",
                                   decision->matched[i] + 1u);
}

static void write_log(struct edge_exchange *exchange)
{
    struct edge_worker *worker = exchange->worker;
    unsigned status = exchange->answer.status;
    if (exchange->front->is_background)
        return;
    uint64_t total_ns = loop_now_ns(worker->loop) - exchange->began_ns;
    metric_add(&edge_requests, 1);
    metric_add(&edge_answers[status / 100 < 6 ? status / 100 : 0], 1);
    metric_add(&edge_bytes_in, exchange->bytes_in);
    metric_add(&edge_bytes_out, exchange->bytes_out);
    metric_observe_ns(&edge_latency, total_ns);
    if (exchange->site)
        edge_sites_count(worker->sites, exchange->site, loop_now_ns(worker->loop),
                         &(struct edge_site_request){status, exchange->bytes_out, total_ns,
                                                     exchange->was_looked_up, exchange->was_held});
    if (!worker->edge->access_log)
        return;
    char decision[EDGE_DECISION_BYTES], cache[CACHE_STATUS_MOST];
    write_decision(exchange, decision);
    struct access_facts facts = {
        .tls = exchange->visitor->tls ? tls_session_facts(exchange->visitor->tls) : NULL,
        .client = &exchange->visitor->address,
        .protocol = exchange->front->protocols[exchange->head.minor],
        .request = &exchange->head,
        .request_id = exchange->request_id,
        .site = exchange->site,
        .gateway = exchange->tries ? link_peer_name(exchange->tried[exchange->tries - 1]) : NULL,
        .cause = exchange->cause,
        .trace_id = exchange->trace_id,
        .decision = decision,
        .cache = edge_cached_words(exchange, cache),
        .status = status,
        .began_wall_ns = clock_wall_ns() - total_ns,
        .first_byte_ns = exchange->first_byte_ns,
        .total_ns = total_ns,
        .bytes_in = exchange->bytes_in,
        .bytes_out = exchange->bytes_out};
    edge_legs_read(exchange, &facts.legs);
    edge_access_log_write(worker, &facts);
}

void edge_exchange_drop_stream(struct edge_exchange *exchange, uint32_t code)
{
    edge_buffer_leave(exchange);
    if (!exchange->stream)
        return;
    edge_channel_leave(exchange);
    if (code != TRANSPORT_CODE_NONE)
        link_stream_reset(exchange->stream, code);
    link_stream_release(&exchange->stream);
    slice_queue_clear(&exchange->from_link);
    exchange->owed = 0;
    exchange->stream_ended = exchange->stream_finished = false;
}

static void end(struct edge_exchange *exchange, uint32_t code)
{
    const struct edge_step *const *steps = exchange->worker->edge->steps;
    write_log(exchange);
    for (size_t i = 0; exchange->has_head && steps[i]; i++)
        if (steps[i]->over)
            steps[i]->over(exchange);
    edge_exchange_drop_stream(exchange, code);
    edge_exchange_set_state(exchange, EXCHANGE_OVER);
}

void edge_exchange_conclude(struct edge_exchange *exchange)
{
    bool is_whole = exchange->answer_ended && exchange->stream_finished;
    end(exchange, is_whole ? TRANSPORT_CODE_NONE : TRANSPORT_CODE_CANCELLED);
}

void edge_exchange_cancel(struct edge_exchange *exchange, uint32_t code, const char *cause)
{
    switch (exchange->state) {
    case EXCHANGE_IDLE:
    case EXCHANGE_OVER:
        break;
    case EXCHANGE_HEAD: /* nobody knows what it was to be */
        edge_exchange_set_state(exchange, EXCHANGE_OVER);
        break;
    case EXCHANGE_STEPS:
    case EXCHANGE_LINK:
    case EXCHANGE_OWN:
        exchange->cause = cause;
        metric_add(&edge_aborted, 1);
        end(exchange, code);
        break;
    }
}

void edge_exchange_abort(struct edge_exchange *exchange, const char *cause)
{
    exchange->front->abort(exchange);
    edge_exchange_cancel(exchange, TRANSPORT_CODE_CANCELLED, cause);
}

/* ---- time */

static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    struct edge_exchange *exchange = CONTAINER_OF(timer, struct edge_exchange, timer);
    switch (exchange->state) {
    case EXCHANGE_IDLE:
    case EXCHANGE_HEAD:
    case EXCHANGE_OVER:
        return; /* left running behind a request that was in time */
    case EXCHANGE_STEPS:
    case EXCHANGE_LINK:
    case EXCHANGE_OWN:
        break;
    }
    if (exchange->deadline_ns > loop_now_ns(loop)) {
        loop_timer_start(loop, timer, exchange->deadline_ns);
        return;
    }
    bool is_held = exchange->front->held(exchange);
    if (is_held && !is_to_take(exchange)) {
        set_deadline(exchange, exchange->body_timeout_ns); /* the front's time, or others' */
        return;
    }
    if (exchange->answer_began)
        edge_exchange_abort(exchange, edge_timed_out(is_held               ? EDGE_TIMEOUT_DOWNLOAD
                                                     : exchange->is_tunnel ? EDGE_TIMEOUT_TUNNEL
                                                                           : EDGE_TIMEOUT_ANSWER));
    else if (exchange->request_ended || edge_exchange_body_room(exchange) == 0)
        edge_exchange_page(exchange, 504, edge_timed_out(EDGE_TIMEOUT_GATEWAY));
    else
        edge_exchange_page(exchange, 408, edge_timed_out(EDGE_TIMEOUT_UPLOAD));
    exchange->front->wake(exchange);
}

/* ---- life cycle */

void edge_exchange_init(struct edge_exchange *exchange, const struct edge_front *front,
                        struct edge_worker *worker, const struct edge_visitor *visitor)
{
    exchange->front = front;
    exchange->worker = worker;
    exchange->visitor = visitor;
    exchange->timer.fire = on_timer;
}

/* Eight hexadecimal digits at once, those of one half-byte each. */
static uint64_t hexadecimal(uint32_t number)
{
    const uint64_t each = 0x0101010101010101;
    uint64_t digits = number;
    digits = (digits | digits << 16) & 0x0000ffff0000ffff;
    digits = (digits | digits << 8) & 0x00ff00ff00ff00ff;
    digits = (digits | digits << 4) & (0x0f * each);
    uint64_t letters = (digits + 0x06 * each) >> 4 & each; /* 10 and above */
    return digits + '0' * each + letters * ('a' - '0' - 10);
}

/* Every request has one: printf would be the dearest part of many an answer. */
static void write_request_id(char id[EDGE_REQUEST_ID_BYTES], struct random *random)
{
    for (int i = 0; i < 2; i++) {
        uint64_t number = random_u64(random);
        uint64_t digits[2] = {hexadecimal((uint32_t)number), hexadecimal((uint32_t)(number >> 32))};
        memcpy(id + sizeof digits * (size_t)i, digits, sizeof digits);
    }
    id[EDGE_REQUEST_ID_BYTES - 1] = 0;
}

void edge_exchange_begin(struct edge_exchange *exchange)
{
    struct edge_worker *worker = exchange->worker;
    edge_exchange_set_state(exchange, EXCHANGE_HEAD);
    exchange->began_ns = loop_now_ns(worker->loop);
    write_request_id(exchange->request_id, &worker->random);
}

void edge_exchange_finish(struct edge_exchange *exchange)
{
    edge_exchange_cancel(exchange, TRANSPORT_CODE_CANCELLED, exchange->cause);
    http_form_content_clear(&exchange->content);
    http_form_reader_clear(&exchange->reader);
    slice_queue_clear(&exchange->body);
    slice_queue_clear(&exchange->to_link);
    slice_queue_clear(&exchange->unsent);
    slice_queue_clear(&exchange->from_link);
    arena_clear(&exchange->arena);
    arena_clear(&exchange->answer_arena);
    edge_exchange_set_state(exchange, EXCHANGE_IDLE);
    exchange->pull = NULL;
    exchange->filter = NULL;
    exchange->encodes = false;
    exchange->site = NULL;
    exchange->site_turn = 0;
    exchange->trailers = NULL;
    exchange->step = 0;
    exchange->rings_below = exchange->wanted = 0;
    exchange->has_head = exchange->request_ended = exchange->body_was_sent = false;
    exchange->was_looked_up = exchange->was_held = false;
    exchange->answer_began = exchange->answer_ended = exchange->is_tunnel = false;
    exchange->tries = 0;
    exchange->repeats = 0;
    exchange->bytes_in = exchange->bytes_out = exchange->first_byte_ns = 0;
    exchange->head_ns = exchange->body_ns = exchange->sent_ns = 0;
    exchange->reader.times.known = 0;
    exchange->trace_id[0] = exchange->snapshot[0] = 0;
    exchange->cause = NULL;
    exchange->answer.status = 0;
    exchange->pace = (struct edge_pace){0};
}

void edge_exchange_clear(struct edge_exchange *exchange)
{
    edge_exchange_finish(exchange);
    loop_timer_stop(exchange->worker->loop, &exchange->timer);
}

/* ---- steps */

static const struct edge_step *const *steps_of(const struct edge_exchange *exchange)
{
    return exchange->worker->edge->steps;
}

static void take_steps(struct edge_exchange *exchange)
{
    const struct edge_step *const *steps = steps_of(exchange);
    while (exchange->state == EXCHANGE_STEPS && steps[exchange->step]->take(exchange) == EDGE_NEXT)
        exchange->step++;
}

enum edge_next edge_exchange_pass_head(struct edge_exchange *exchange)
{
    const struct edge_step *const *steps = steps_of(exchange);
    unsigned answering = exchange->step;
    for (unsigned i = answering; i-- > 0;) {
        exchange->step = i; /* it may answer instead */
        if (steps[i]->answer && steps[i]->answer(exchange, &exchange->answer) == EDGE_TAKEN)
            return EDGE_TAKEN;
    }
    exchange->step = answering;
    return EDGE_NEXT;
}

void edge_exchange_pass_data(struct edge_exchange *exchange, const struct slice *data)
{
    const struct edge_step *const *steps = steps_of(exchange);
    for (unsigned i = exchange->step; i-- > 0;)
        if (steps[i]->data)
            steps[i]->data(exchange, data);
}

void edge_exchange_start(struct edge_exchange *exchange)
{
    exchange->has_head = true;
    exchange->head_ns = loop_now_ns(exchange->worker->loop);
    memcpy(exchange->snapshot, edge_conf(exchange->worker)->hash, EDGE_SNAPSHOT_BYTES - 1);
    edge_exchange_set_state(exchange, EXCHANGE_STEPS);
    take_steps(exchange);
    edge_exchange_made_progress(exchange); /* what is answered by now needs no timer */
}

void edge_exchange_proceed(struct edge_exchange *exchange)
{
    exchange->step++;
    take_steps(exchange);
    exchange->front->wake(exchange);
}

void edge_exchange_run(struct edge_exchange *exchange)
{
    if (exchange->state == EXCHANGE_LINK)
        edge_exchange_go_up(exchange);
    if (exchange->state == EXCHANGE_LINK || exchange->state == EXCHANGE_OWN)
        edge_exchange_go_down(exchange);
}
