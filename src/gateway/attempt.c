/* SPDX-License-Identifier: Apache-2.0
 *
 * One try of a request at one origin: see attempt.h. Bytes go out through the connection's queue and come in through its other one; the
 * parser sees to it that nothing but one answer is taken from there.
 */
#include "gateway/attempt.h"

#include "base/memory.h"

/* ---- life */

/* The slot is the last to go: whoever gets it may take the connection. */
static void end(struct gateway_attempt *attempt)
{
    const struct gateway_outcome outcome = {
        .end = attempt->end,
        .status = attempt->answered_ns ? attempt->answer.status : 0,
        .service_ns = attempt->answered_ns ? attempt->answered_ns - attempt->chosen_ns : 0,
        .bytes = attempt->bytes,
        .target = attempt->target,
        .validator = attempt->validator};
    if (attempt->pool)
        gateway_pool_release(attempt->pool);
    gateway_ticket_end(&attempt->ticket, &outcome);
    arena_clear(&attempt->arena);
    memory_free(attempt);
}

static int connect_it(struct gateway_attempt *attempt, const struct gateway_attempt_order *order)
{
    if (!attempt->pool)
        return ERROR_UNREACHABLE; /* a configuration or a name that has just changed */
    gateway_pool_hold(attempt->pool);
    if (!order->wants_fresh)
        attempt->connection = gateway_pool_take(attempt->pool, &order->caller);
    return attempt->connection ? 0
                               : gateway_pool_connect(attempt->worker, attempt->pool,
                                                      &order->caller, &attempt->connection);
}

int gateway_attempt_start(struct gateway_request *request, struct gateway_worker *worker,
                          const struct gateway_attempt_order *order,
                          struct gateway_attempt **started)
{
    struct gateway_attempt *attempt = NEW(struct gateway_attempt);
    *started = NULL;
    attempt->request = request;
    attempt->worker = worker;
    attempt->ticket = *order->ticket;
    *order->ticket = NULL;
    if (order->site)
        attempt->pool =
            gateway_pool_at(worker, order->site, &gateway_ticket_answer(attempt->ticket)->address);
    attempt->chosen_ns = loop_now_ns(worker->loop);
    int result = connect_it(attempt, order);
    if (result < 0) {
        bool is_ours = result == ERROR_LIMIT || !attempt->pool;
        attempt->end = is_ours ? GATEWAY_END_DROPPED : GATEWAY_END_UNCONNECTED;
        end(attempt);
        return result;
    }
    attempt->connection->attempt = attempt;
    *started = attempt;
    return 0;
}

void gateway_attempt_close(struct gateway_attempt **ended)
{
    struct gateway_attempt *attempt = *ended;
    if (!attempt)
        return;
    *ended = NULL;
    gateway_pool_close(&attempt->connection);
    end(attempt);
}

void gateway_attempt_keep(struct gateway_attempt **ended, uint64_t idle_timeout_ns,
                          uint32_t keep_most)
{
    struct gateway_attempt *attempt = *ended;
    struct origin_connection *connection = attempt->connection;
    bool has_more =
        connection->in.bytes || (connection->tls && tls_session_has_pending(connection->tls));
    if (has_more) /* behind the answer */
        metric_add(gateway_fault_metric(GATEWAY_FAULT_UNASKED), 1);
    if (!attempt->answer.keeps_alive || attempt->is_deaf || has_more || connection->out.bytes) {
        gateway_attempt_close(ended);
        return;
    }
    *ended = NULL;
    connection->attempt = NULL;
    gateway_pool_keep(connection, idle_timeout_ns, keep_most);
    end(attempt);
}

/* ---- up */

bool gateway_attempt_is_connecting(const struct gateway_attempt *attempt)
{
    return attempt->connection->is_connecting;
}

int gateway_attempt_ask(struct gateway_attempt *attempt, const struct http_head *head)
{
    int result = http_write_request(&attempt->connection->out, head);
    if (result < 0)
        return result;
    http_parser_start_response(&attempt->parser, &attempt->worker->limits, &attempt->answer,
                               &attempt->arena, head->method, head->upgrades);
    attempt->asked_ns = loop_now_ns(attempt->worker->loop);
    return 0;
}

void gateway_attempt_write(struct gateway_attempt *attempt, struct slice data, bool is_chunked)
{
    if (attempt->is_deaf)
        slice_release(&data);
    else if (is_chunked)
        http_write_chunk(&attempt->connection->out, data);
    else
        slice_queue_push(&attempt->connection->out, data);
}

int gateway_attempt_finish(struct gateway_attempt *attempt, const struct http_fields *trailers)
{
    return attempt->is_deaf ? 0 : http_write_last_chunk(&attempt->connection->out, trailers);
}

uint64_t gateway_attempt_unsent(const struct gateway_attempt *attempt)
{
    return attempt->connection->out.bytes;
}

bool gateway_attempt_send(struct gateway_attempt *attempt)
{
    struct origin_connection *connection = attempt->connection;
    int sent = origin_connection_write(connection);
    if (sent < 0) {
        slice_queue_clear(&connection->out);
        attempt->is_deaf = true;
    }
    return sent > 0;
}

void gateway_attempt_shut(struct gateway_attempt *attempt)
{
    if (attempt->is_deaf || attempt->connection->out.bytes)
        return;
    origin_connection_shut(attempt->connection);
    attempt->is_deaf = true;
}

/* ---- down */

int gateway_attempt_read(struct gateway_attempt *attempt, uint32_t limit, bool *ended)
{
    int got = origin_connection_read(attempt->connection, limit, ended);
    attempt->bytes += got > 0 ? (uint64_t)got : 0;
    return got;
}

enum http_event gateway_attempt_next(struct gateway_attempt *attempt, struct slice *data)
{
    enum http_event event = http_parser_next(&attempt->parser, &attempt->connection->in, data);
    if (event == HTTP_EVENT_HEAD) {
        attempt->answered_ns = loop_now_ns(attempt->worker->loop);
        attempt->has_head = attempt->answer.status >= 200 || attempt->answer.status == 101;
    }
    return event;
}

bool gateway_attempt_moves(const struct gateway_attempt *attempt)
{
    return attempt->has_head || gateway_attempt_is_silent(attempt);
}

bool gateway_attempt_is_silent(const struct gateway_attempt *attempt)
{
    return !attempt->answered_ns && http_parser_is_idle(&attempt->parser);
}

bool gateway_attempt_died_idle(const struct gateway_attempt *attempt)
{
    return attempt->connection->is_reused && gateway_attempt_is_silent(attempt);
}

/* ---- events */

int gateway_attempt_watch(struct gateway_attempt *attempt, bool wants_answer)
{
    struct origin_connection *connection = attempt->connection;
    uint32_t events = 0;
    if (connection->is_connecting)
        return 0; /* waits for both already */
    if (wants_answer)
        events |= EPOLLIN;
    if (connection->out.bytes)
        events |= EPOLLOUT;
    return origin_connection_want(connection, events);
}

void gateway_attempt_on_ready(struct gateway_attempt *attempt, uint32_t events)
{
    struct origin_connection *connection = attempt->connection;
    if (!connection->is_connecting) {
        gateway_request_on_origin(attempt->request, attempt,
                                  events & (EPOLLIN | EPOLLERR | EPOLLHUP));
        return;
    }
    int result = origin_connection_advance(connection, events);
    if (result == ERROR_AGAIN)
        return;
    if (result < 0)
        attempt->end = GATEWAY_END_UNCONNECTED;
    gateway_request_on_connected(attempt->request, attempt, result < 0);
}
