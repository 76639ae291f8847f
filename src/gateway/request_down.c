/* SPDX-License-Identifier: Apache-2.0
 *
 * The answer on its way down: from the parser of its attempt to message form on the stream.
 */
#include "gateway/request.h"

/* As far as they are known: before the answer's head without the last one. */
static void write_times(struct gateway_request *request)
{
    struct http_times times = {.known = request->answer_ended ? HTTP_TIME_COUNT : HTTP_TIME_WHOLE};
    if (!link_hears_times(request->from))
        return;
    gateway_attempt_times(request->attempt, request->head_ns, &times);
    http_form_write_times(&request->to_link, &times);
}

static void finish_answer(struct gateway_request *request)
{
    request->answer_ended = true;
    http_form_content_flush(&request->content, &request->to_link);
    write_times(request);
    http_form_write_end(&request->to_link);
    link_stream_write(request->stream, &request->to_link);
    link_stream_finish(request->stream);
}

/* The answer is complete. Whatever of the request is still to come is thrown away. */
void gateway_request_conclude(struct gateway_request *request)
{
    if (!request->answer_ended)
        finish_answer(request);
    request->attempt->end = GATEWAY_END_DONE;
    if (!request->is_tunnel)
        gateway_learn_kind(request->attempt, &request->found);
    if (request->request_ended && !request->is_tunnel)
        gateway_attempt_keep(&request->attempt, request->idle_timeout_ns,
                             request->kept_connections);
    else
        gateway_attempt_close(&request->attempt);
    if (request->request_ended) {
        request_set_state(request, REQUEST_OVER);
        return;
    }
    request_set_state(request, REQUEST_DRAIN);
    request_set_deadline(request, request->read_timeout_ns);
}

/* False: it cannot cross. */
static bool take_answer_head(struct gateway_request *request)
{
    struct compressor *compressor = link_stream_compressor(request->stream);
    const struct http_head *answer = &request->attempt->answer;
    struct slice_queue head = {0};
    struct http_pack pack;
    if (answer->status >= 200)
        gateway_learn_session(request->attempt, request->site, &request->session, &request->opening,
                              &request->head);
    if (http_form_write_response(&head, answer) < 0)
        return false;
    if (answer->status >= 200 || request->is_tunnel)
        write_times(request);
    http_pack_decide(request->packs, answer, &request->head.fields, &pack);
    http_form_pack_head(&request->to_link, &head, pack.head ? compressor : NULL);
    if (answer->status >= 200) {
        http_form_content_start(&request->content, pack.content ? compressor : NULL);
        http_pack_count(&pack, compressor);
    }
    return true;
}

/* False: it has ended the request. */
bool gateway_request_begin_answer(struct gateway_request *request)
{
    gateway_hedge_stop(&request->hedge);
    request->is_held = false;
    request->answer_began = true;
    request->is_tunnel = request->attempt->answer.status == 101;
    if (take_answer_head(request))
        return true;
    gateway_request_bad_answer(request, HTTP_CAUSE_FORM_CONTENT);
    return false;
}

/* The origin says that it cannot now: perhaps another can, and its answer waits so long. */
static bool holds_answer(struct gateway_request *request)
{
    const struct conf_site *site = request_site(request);
    if (failure_outcome_of(request->attempt->answer.status) != FAILURE_GATEWAY_ERROR ||
        !request->tries_answers || !request->found.is_repeatable ||
        request->head.body != HTTP_BODY_NONE || request->attempts > request->retries || !site ||
        gateway_pool_origins(request->worker, site, request->group, request->session.need) < 2)
        return false;
    const struct gateway_wish wish =
        gateway_request_wish(request, GATEWAY_TRY_RETRY,
                             gateway_ticket_answer(request->attempt->ticket)->identity);
    request->attempts++;
    request->attempt->end = GATEWAY_END_DONE;
    request->is_held = true;
    gateway_hedge_stop(&request->hedge);
    gateway_hedge_arm(&request->hedge, request, request->worker, &request->head, 0);
    gateway_hedge_ask(&request->hedge, &wish);
    return true;
}

/* One piece of the answer. False: nothing more now. */
bool gateway_request_take_answer(struct gateway_request *request)
{
    struct slice data;
    switch (gateway_attempt_next(request->attempt, &data)) {
    case HTTP_EVENT_HEAD:
        request_made_progress(request);
        return !holds_answer(request) && gateway_request_begin_answer(request);
    case HTTP_EVENT_DATA:
        http_form_content_add(&request->content, &request->to_link, data);
        return true;
    case HTTP_EVENT_TRAILERS:
        http_form_content_flush(&request->content, &request->to_link);
        if (http_form_write_trailers(&request->to_link, &request->attempt->parser.trailers) == 0)
            return true;
        gateway_request_bad_answer(request, HTTP_CAUSE_FORM_CONTENT);
        return false;
    case HTTP_EVENT_END:
        gateway_request_conclude(request);
        return false;
    case HTTP_EVENT_MORE:
        http_form_content_flush(&request->content, &request->to_link);
        link_stream_write(request->stream, &request->to_link);
        return false;
    case HTTP_EVENT_ERROR:
        gateway_request_bad_answer(request, request->attempt->parser.cause);
        return false;
    }
    return false;
}

/* The origin closed its side. */
static void origin_ended(struct gateway_request *request)
{
    struct gateway_attempt *attempt = request->attempt;
    if (gateway_attempt_is_silent(attempt)) {
        gateway_request_lost(request);
    } else if (http_parser_finish(&attempt->parser) != HTTP_EVENT_END) {
        gateway_request_bad_answer(request, HTTP_CAUSE_TRUNCATED);
    } else if (request->is_tunnel && !request->request_ended) {
        finish_answer(request); /* half closed: the client may still speak */
    } else {
        attempt->answer.keeps_alive = false;
        gateway_request_conclude(request);
    }
}

void gateway_request_go_down(struct gateway_request *request)
{
    uint64_t room = link_stream_room(request->stream);
    bool ended;
    if (request->state != REQUEST_EXCHANGE || request->answer_ended || request->is_held || !room)
        return;
    uint32_t limit = room < GATEWAY_READ_MOST ? (uint32_t)room : GATEWAY_READ_MOST;
    int got = gateway_attempt_read(request->attempt, limit, &ended);
    if (got < 0) {
        if (gateway_attempt_is_silent(request->attempt))
            gateway_request_lost(request);
        else
            gateway_request_bad_answer(request, HTTP_CAUSE_TRUNCATED);
        return;
    }
    if (got > 0 && gateway_attempt_moves(request->attempt))
        request_made_progress(request);
    while (got > 0 && gateway_request_take_answer(request)) {
    }
    if (ended && request->state == REQUEST_EXCHANGE && !request->is_held)
        origin_ended(request);
}
