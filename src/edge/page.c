/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of our own: complete content, or a page with a short cause. They go to the front like any other.
 */
#include "edge/exchange.h"

struct http_head *edge_exchange_own_head(struct edge_exchange *exchange)
{
    edge_exchange_drop_stream(exchange, TRANSPORT_CODE_CANCELLED);
    slice_queue_clear(&exchange->from_link);
    exchange->pull = NULL;
    exchange->filter = NULL;
    arena_clear(&exchange->answer_arena);
    http_head_init(&exchange->answer, &exchange->answer_arena);
    exchange->answer.minor = 1;
    return &exchange->answer;
}

static void answer_with(struct edge_exchange *exchange, struct slice_queue *content,
                        edge_pull_function *pull)
{
    struct http_head *answer = &exchange->answer;
    exchange->pull = pull; /* steps may look at where the content comes from */
    if (edge_exchange_pass_head(exchange) == EDGE_TAKEN) {
        slice_queue_clear(content);
        return;
    }
    edge_exchange_set_state(exchange, EXCHANGE_OWN);
    exchange->answer_began = true;
    exchange->is_tunnel = false;
    exchange->first_byte_ns = loop_now_ns(exchange->worker->loop) - exchange->began_ns;
    if (exchange->has_head && exchange->head.body == HTTP_BODY_NONE)
        exchange->request_ended = true; /* there is nothing more to read of it */
    if (http_status_has_body(answer->status) &&
        !(exchange->has_head && exchange->head.method == HTTP_METHOD_HEAD)) {
        slice_queue_move(&exchange->from_link, content);
    } else {
        answer->body = HTTP_BODY_NONE;
        exchange->pull = NULL;
        slice_queue_clear(content);
    }
    if ((!http_fields_has(&answer->fields, HTTP_NAME_DATE) &&
         http_fields_add(&answer->fields, HTTP_NAME_DATE,
                         span_of(exchange->worker->date, HTTP_DATE_BYTES - 1)) < 0) ||
        exchange->front->head(exchange, answer) < 0) {
        edge_exchange_abort(exchange, "our own answer cannot be written");
        return;
    }
    edge_exchange_go_down(exchange);
    edge_exchange_made_progress(exchange);
}

void edge_exchange_answer(struct edge_exchange *exchange, struct slice_queue *content)
{
    answer_with(exchange, content, NULL);
}

void edge_exchange_answer_from(struct edge_exchange *exchange, edge_pull_function *pull)
{
    answer_with(exchange, &(struct slice_queue){0}, pull);
}

/* `name` and `value`: a field of its own; value NULL: none. */
static void answer_page(struct edge_exchange *exchange, unsigned status, const char *cause,
                        enum http_name name, const char *value)
{
    struct http_head *answer = edge_exchange_own_head(exchange);
    struct slice_queue content = {0};
    exchange->cause = cause;
    struct span page = http_error_page(answer, exchange->has_head ? &exchange->head : NULL, status,
                                       span_text(cause), edge_exchange_id(exchange));
    if (value && http_fields_set(&answer->fields, name, span_text(value)) < 0)
        value = NULL; /* it has an odd byte: the page alone says so */
    slice_queue_append(&content, page);
    edge_exchange_answer(exchange, &content);
}

void edge_exchange_page(struct edge_exchange *exchange, unsigned status, const char *cause)
{
    answer_page(exchange, status, cause, HTTP_NAME_RETRY_AFTER, NULL);
}

void edge_exchange_page_later(struct edge_exchange *exchange, unsigned status, const char *cause,
                              uint64_t wait_ns)
{
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)(wait_ns / 1000000000 + 1));
    answer_page(exchange, status, cause, HTTP_NAME_RETRY_AFTER, seconds);
}

/* R2: the name that the redirector owns, for the same target; what is not to be repeated keeps its method. */
void edge_exchange_redirect(struct edge_exchange *exchange, const char *host)
{
    const struct http_head *head = &exchange->head;
    bool is_plain = head->method == HTTP_METHOD_GET || head->method == HTTP_METHOD_HEAD;
    struct span target = head->target.data[0] == '/' ? head->target : SPAN("/");
    char *location =
        arena_format(head->fields.arena, "%s://%s%.*s",
                     exchange->visitor->is_https ? "https" : "http", host, SPAN_ARGS(target));
    answer_page(exchange, is_plain ? 302 : 307, "this site is found elsewhere", HTTP_NAME_LOCATION,
                location);
}

void edge_exchange_refuse(struct edge_exchange *exchange, enum http_cause cause)
{
    if (exchange->answer_began) {
        edge_exchange_abort(exchange, http_cause_text(cause));
        return;
    }
    metric_add(&edge_refused, 1);
    edge_exchange_page(exchange, http_cause_status(cause), http_cause_text(cause));
}
