/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that wait, many at a time. What a request is made of (arena, codecs, timers, room for an answer) is of no use to one that waits for
 * a slot, and would be 7 KiB each. So but for the last few of a worker they are *parked*: the head goes back into message form, as
 * the origin shall have it, in one piece with what of the body is here; everything else is given back, and made anew when the ticket is
 * answered. Who waits for a moment only, behind few others, is never parked: a free slot costs nothing.
 */
#include "gateway/request.h"

#include "base/memory.h"

struct gateway_parked {
    struct list link; /* in the worker's list */
    struct gateway_worker *worker;
    struct link_stream *stream;
    struct link *from;
    struct gateway_ticket *ticket;
    uint64_t head_ns, owed;
    struct types_found found;
    struct metric *failed_metric;
    uint32_t failed_code, attempts;
    uint32_t head_bytes, body_bytes; /* message form; what follows it */
    bool stream_ended, request_ended, wants_fresh;
    uint8_t class; /* as it is now */
    uint8_t bytes[];
};

struct metric gateway_parked_requests =
    METRIC(GAUGE, "causeway_gateway_parked", "",
           "Requests that wait in the small, of those that wait.");

static void parked_free(struct gateway_parked *parked)
{
    list_remove(&parked->link);
    memory_free(parked);
    metric_add(&gateway_open_requests, (uint64_t)-1);
    metric_add(&gateway_parked_requests, (uint64_t)-1);
}

/* ---- asleep */

/* What its body brings meanwhile stays in the stream, as far as the stream's credit goes. */
static void on_stream(void *owner, struct link_stream *stream)
{
    (void)owner;
    (void)stream;
}

static void leave(struct gateway_parked *parked)
{
    gateway_ticket_end(&parked->ticket, NULL);
    link_stream_release(&parked->stream);
    parked_free(parked);
}

static void on_reset(void *owner, struct link_stream *stream, uint32_t code)
{
    (void)stream;
    (void)code;
    leave(owner);
}

static void on_ring_changed(void *owner, struct link_stream *stream, uint8_t ring)
{
    struct gateway_parked *parked = owner;
    (void)stream;
    parked->class = ring;
    gateway_ticket_reclass(parked->ticket, ring);
}

static const struct link_stream_events parked_events = {.readable = on_stream,
                                                        .writable = on_stream,
                                                        .reset = on_reset,
                                                        .ring_changed = on_ring_changed};

void gateway_parked_abort(struct gateway_worker *worker)
{
    LIST_EACH (item, after, &worker->parked) {
        struct gateway_parked *parked = CONTAINER_OF(item, struct gateway_parked, link);
        link_stream_reset(parked->stream, TRANSPORT_CODE_SHUTDOWN);
        leave(parked);
    }
}

/* ---- and awake again */

/* NULL: what we wrote cannot be read, which is our own fault; the request has failed. */
static struct gateway_request *wake(struct gateway_parked *parked)
{
    struct gateway_request *request =
        gateway_request_new(parked->worker, parked->from, parked->stream);
    request->ticket = parked->ticket;
    request->head_ns = parked->head_ns;
    request->owed = parked->owed;
    request->found = parked->found;
    request->session = *gateway_ticket_session(parked->ticket);
    request->failed_metric = parked->failed_metric;
    request->failed_code = parked->failed_code;
    request->attempts = parked->attempts;
    request->stream_ended = parked->stream_ended;
    request->request_ended = parked->request_ended;
    request->wants_fresh = parked->wants_fresh;
    bool is_whole = gateway_request_reread(request, span_of(parked->bytes, parked->head_bytes));
    request->opening.priority = parked->class;
    slice_queue_append(&request->from_link,
                       span_of(parked->bytes + parked->head_bytes, parked->body_bytes));
    parked_free(parked);
    request_set_state(request, REQUEST_WAIT);
    if (!is_whole)
        gateway_request_fail(request, TRANSPORT_CODE_INTERNAL, &gateway_bad_requests);
    return request;
}

static void on_ticket(void *argument, struct gateway_ticket *ticket)
{
    gateway_request_on_ticket(wake(argument), ticket);
}

/* ---- to sleep */

/* Not where some of its body, or of an answer, has gone on already, nor what is too long for a frame since our fields are in it. */
static bool can_park(const struct gateway_request *request)
{
    return !request->body_was_taken && !request->answer_began && !request->reader.body_bytes;
}

static void park(struct gateway_request *request)
{
    struct slice_queue head = {0};
    struct gateway_worker *worker = request->worker;
    if (!can_park(request) || http_form_write_request(&head, &request->opening, &request->head) < 0)
        return;
    size_t head_bytes = head.bytes, body_bytes = request->from_link.bytes;
    struct gateway_parked *parked = memory_raw(sizeof *parked + head_bytes + body_bytes);
    *parked = (struct gateway_parked){
        .worker = worker,
        .stream = request->stream,
        .from = request->from,
        .ticket = request->ticket,
        .head_ns = request->head_ns,
        .owed = request->owed,
        .found = request->found,
        .failed_metric = request->failed_metric,
        .failed_code = request->failed_code,
        .attempts = request->attempts,
        .head_bytes = (uint32_t)head_bytes,
        .body_bytes = (uint32_t)body_bytes,
        .stream_ended = request->stream_ended,
        .request_ended = request->request_ended,
        .wants_fresh = request->wants_fresh,
        .class = request->opening.priority,
    };
    slice_queue_peek(&head, 0, parked->bytes, head_bytes);
    slice_queue_peek(&request->from_link, 0, parked->bytes + head_bytes, body_bytes);
    slice_queue_clear(&head);
    request->stream = NULL;
    request->ticket = NULL;
    gateway_request_free(request);
    list_push_back(&worker->parked, &parked->link);
    metric_add(&gateway_open_requests, 1);
    metric_add(&gateway_parked_requests, 1);
    gateway_ticket_move(parked->ticket, on_ticket, parked);
    link_stream_attach(parked->stream, &parked_events, parked);
}

void gateway_waiting_join(struct gateway_request *request)
{
    struct gateway_worker *worker = request->worker;
    list_remove(&request->link);
    list_push_back(&worker->awake, &request->link);
    request->is_in_awake = true;
    if (++worker->awake_count > worker->awake_most) {
        struct gateway_request *first =
            CONTAINER_OF(worker->awake.next, struct gateway_request, link);
        gateway_waiting_leave(first);
        park(first);
    }
}

void gateway_waiting_leave(struct gateway_request *request)
{
    if (!request->is_in_awake)
        return;
    request->is_in_awake = false;
    request->worker->awake_count--;
    list_remove(&request->link);
    list_push_back(&request->worker->requests, &request->link);
}
