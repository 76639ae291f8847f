/* SPDX-License-Identifier: Apache-2.0
 *
 * A second try beside the first: see hedge.h. It only sends a head, and only reads as far as the head of an answer.
 */
#include "gateway/hedge.h"

struct metric gateway_hedges = METRIC(COUNTER, "causeway_gateway_hedges_total", "",
                                      "Requests sent to a second origin beside the first.");
struct metric gateway_hedges_won = METRIC(COUNTER, "causeway_gateway_hedges_won_total", "",
                                          "Of those, which the second origin answered first.");

static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    gateway_request_on_hedge(CONTAINER_OF(timer, struct gateway_hedge, timer)->request);
}

void gateway_hedge_arm(struct gateway_hedge *hedge, struct gateway_request *request,
                       struct gateway_worker *worker, const struct http_head *head,
                       uint64_t delay_ns)
{
    hedge->request = request;
    hedge->worker = worker;
    hedge->head = head;
    hedge->timer.fire = on_timer;
    hedge->is_hedge = delay_ns > 0;
    if (delay_ns && head->body == HTTP_BODY_NONE && !head->upgrades)
        loop_timer_start(worker->loop, &hedge->timer, loop_now_ns(worker->loop) + delay_ns);
}

static void on_ticket(void *argument, struct gateway_ticket *ticket)
{
    struct gateway_hedge *hedge = argument;
    (void)ticket;
    gateway_request_on_hedge_ticket(hedge->request);
}

void gateway_hedge_ask(struct gateway_hedge *hedge, const struct gateway_wish *wish)
{
    hedge->first = wish->except;
    hedge->ticket = gateway_ticket_ask(hedge->worker, wish, on_ticket, hedge);
}

static bool end(struct gateway_hedge *hedge, enum gateway_end how)
{
    hedge->attempt->end = how;
    gateway_attempt_close(&hedge->attempt);
    return false;
}

static bool send_head(struct gateway_hedge *hedge)
{
    gateway_attempt_send(hedge->attempt);
    return gateway_attempt_watch(hedge->attempt, true) == 0 || end(hedge, GATEWAY_END_DROPPED);
}

static bool ask(struct gateway_hedge *hedge)
{
    if (gateway_attempt_ask(hedge->attempt, hedge->head) < 0)
        return end(hedge, GATEWAY_END_DROPPED);
    metric_add(&gateway_hedges, hedge->is_hedge);
    metric_add(&gateway_retries, !hedge->is_hedge);
    return send_head(hedge);
}

bool gateway_hedge_start(struct gateway_hedge *hedge, const struct conf_site *site,
                         const struct origin_caller *caller)
{
    const struct gateway_attempt_order order = {.ticket = &hedge->ticket,
                                                .site = site,
                                                .caller = *caller};
    const struct gateway_answer *answer = gateway_ticket_answer(hedge->ticket);
    /* Where no other is up it would be the first one again, which has enough to do. */
    if (answer->result < 0 || answer->identity == hedge->first) {
        gateway_ticket_end(&hedge->ticket, NULL);
        return false;
    }
    if (gateway_attempt_start(hedge->request, hedge->worker, &order, &hedge->attempt) < 0)
        return false;
    return gateway_attempt_is_connecting(hedge->attempt) || ask(hedge);
}

bool gateway_hedge_on_connected(struct gateway_hedge *hedge, bool has_failed)
{
    return has_failed ? end(hedge, GATEWAY_END_UNCONNECTED) : ask(hedge);
}

bool gateway_hedge_on_origin(struct gateway_hedge *hedge, bool is_readable, bool *answers)
{
    struct slice data;
    bool ended;
    *answers = false;
    if (!is_readable)
        return send_head(hedge);
    int got = gateway_attempt_read(hedge->attempt, GATEWAY_READ_MOST, &ended);
    enum http_event event = HTTP_EVENT_MORE;
    if (got > 0) /* hints are no answer: the first one may be there before what they promise */
        do
            event = gateway_attempt_next(hedge->attempt, &data);
        while (event == HTTP_EVENT_HEAD && !hedge->attempt->has_head);
    *answers = event == HTTP_EVENT_HEAD && hedge->attempt->answer.status < 500;
    if (*answers)
        return true;
    if (event == HTTP_EVENT_HEAD)
        return end(hedge, GATEWAY_END_DONE); /* no better than what the first one may say */
    if (got < 0 || ended || event != HTTP_EVENT_MORE)
        return end(hedge, gateway_attempt_died_idle(hedge->attempt) ? GATEWAY_END_DROPPED
                                                                    : GATEWAY_END_FAILED);
    return send_head(hedge);
}

struct gateway_attempt *gateway_hedge_take(struct gateway_hedge *hedge)
{
    struct gateway_attempt *attempt = hedge->attempt;
    hedge->attempt = NULL;
    metric_add(&gateway_hedges_won, hedge->is_hedge);
    return attempt;
}

void gateway_hedge_stop(struct gateway_hedge *hedge)
{
    if (!hedge->worker)
        return;
    loop_timer_stop(hedge->worker->loop, &hedge->timer);
    gateway_ticket_end(&hedge->ticket, NULL);
    gateway_attempt_close(&hedge->attempt);
}
