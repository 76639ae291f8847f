/* SPDX-License-Identifier: Apache-2.0
 *
 * An edge that hears of loads: a stream which it opened. It gets a beat ten times a second, with what became of our packets on the link, and before it
 * the load of each site that has changed. docs/protocol/loads.md.
 */
#include "loads/loads.h"

#include "base/memory.h"
#include "gateway/private.h"

/* One process of an edge. */
struct load_session {
    struct list in_worker;
    struct gateway_worker *worker;
    struct link *link;
    struct link_stream *stream;
    struct loop_timer beat;
    struct slice_queue in;
    uint64_t number; /* of the last beat */
    bool has_hello;
};

static struct metric load_edges =
    METRIC(GAUGE, "causeway_gateway_loads_edges", "", "Edges that are told of loads.");

void gateway_loads_metrics_register(void)
{
    metric_register(&load_edges);
}

static void end(struct load_session *session, uint32_t code)
{
    list_remove(&session->in_worker);
    loop_timer_stop(session->worker->loop, &session->beat);
    if (code != TRANSPORT_CODE_NONE)
        link_stream_reset(session->stream, code);
    link_stream_release(&session->stream);
    slice_queue_clear(&session->in);
    metric_add(&load_edges, (uint64_t)-1);
    memory_free(session);
}

/* ---- to the edge */

static void beat(struct load_session *session)
{
    struct text out = {0};
    struct slice_queue bytes = {0};
    struct link_quality quality = link_read_quality(session->link);
    loads_message_write(&out, &(struct loads_message){.type = LOADS_MESSAGE_BEAT,
                                                      .number = ++session->number,
                                                      .known = quality.packets_known,
                                                      .lost = quality.packets_lost});
    slice_queue_append(&bytes, text_span(&out));
    link_stream_write(session->stream, &bytes);
    text_clear(&out);
}

/* Nothing is added to what the link does not carry. */
static void on_beat(struct loop *loop, struct loop_timer *timer)
{
    struct load_session *session = CONTAINER_OF(timer, struct load_session, beat);
    if (link_stream_room(session->stream))
        beat(session);
    loop_timer_start(loop, timer, loop_now_ns(loop) + LOADS_PERIOD_NS);
}

/* ---- from the edge */

/* False: that is no message of this protocol. */
static bool take(struct load_session *session, const struct loads_message *message)
{
    bool is_hello = message->type == LOADS_MESSAGE_HELLO;
    if (is_hello == session->has_hello)
        return false;
    switch (message->type) {
    case LOADS_MESSAGE_HELLO:
        session->has_hello = true;
        on_beat(session->worker->loop, &session->beat);
        return message->version == LOADS_VERSION;
    case LOADS_MESSAGE_HEARD: /* that it went both ways is all that it is for */
    case LOADS_MESSAGE_UNKNOWN:
        return true;
    case LOADS_MESSAGE_BEAT:
    case LOADS_MESSAGE_LOAD:
    case LOADS_MESSAGE_GONE:
        return false;
    }
    return false;
}

static void on_readable(void *owner, struct link_stream *stream)
{
    struct load_session *session = owner;
    uint64_t before = session->in.bytes;
    bool has_ended;
    int length = 0;
    link_stream_read(stream, &session->in, UINT64_MAX, &has_ended);
    link_stream_consume(stream, session->in.bytes - before);
    while (length >= 0) {
        struct loads_message message;
        length = loads_message_take(&session->in, &message);
        if (length > 0 && !take(session, &message))
            length = ERROR_INVALID;
    }
    if (length == ERROR_INVALID) {
        metric_add(&gateway_bad_requests, 1);
        end(session, TRANSPORT_CODE_PROTOCOL);
    } else if (has_ended) {
        end(session, TRANSPORT_CODE_CANCELLED);
    }
}

static void on_writable(void *owner, struct link_stream *stream)
{
    (void)owner;
    (void)stream;
}

static void on_reset(void *owner, struct link_stream *stream, uint32_t code)
{
    (void)stream;
    (void)code;
    end(owner, TRANSPORT_CODE_NONE);
}

/* ---- the door */

/* A link has one: a further one is of an edge that has given the former up. */
static void end_former(struct gateway_worker *worker, const struct link *link)
{
    LIST_EACH (item, after, &worker->load_sessions) {
        struct load_session *former = CONTAINER_OF(item, struct load_session, in_worker);
        if (former->link == link)
            end(former, TRANSPORT_CODE_CANCELLED);
    }
}

void gateway_loads_accept(struct gateway_worker *worker, struct link *link,
                          struct link_stream *stream)
{
    static const struct link_stream_events events = {on_readable, on_writable, on_reset};
    if (!gateway_edge(gateway_conf(worker), link)) {
        metric_add(&gateway_refused, 1);
        link_stream_reset(stream, TRANSPORT_CODE_REFUSED);
        link_stream_release(&stream);
        return;
    }
    end_former(worker, link);
    struct load_session *session = NEW(struct load_session);
    session->worker = worker;
    session->link = link;
    session->stream = stream;
    session->beat.fire = on_beat;
    list_push_back(&worker->load_sessions, &session->in_worker);
    metric_add(&load_edges, 1);
    link_stream_attach(stream, &events, session);
}

void gateway_loads_abort(struct gateway_worker *worker)
{
    LIST_EACH (item, after, &worker->load_sessions)
        end(CONTAINER_OF(item, struct load_session, in_worker), TRANSPORT_CODE_SHUTDOWN);
}
