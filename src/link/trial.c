/* SPDX-License-Identifier: Apache-2.0
 *
 * Both ends of a trial, on the worker that owns the lane.
 */
#include "link/trial.h"

#include "base/memory.h"
#include "link/driver.h"

enum { PIECE_BYTES = 65536, GRACE_S = 5, TICK_MS = 100 };
#define MS_NS 1000000ull

/* One way of a stream. The sender writes until it has had its time or bytes; the receiver counts. */
struct trial_stream {
    struct link *link;
    struct link_stream *stream;
    struct trial_request request;
    struct trial_meter meter;
    uint64_t ends_ns, sent;
    bool is_sender;
    uint8_t head[TRIAL_REPORT_BYTES]; /* a request or report in the making */
    uint32_t head_length;
    struct loop_timer timer;
};

/* The end that was asked for it. */
struct trial {
    struct trial_stream way;
    enum trial_way now;
    uint16_t milliseconds;
    uint64_t ticks, rtt_sum_us;
    struct transport_facts begun; /* as they were before */
    struct trial_result result;
};

/* The other end. */
struct trial_server {
    struct trial_stream way;
    bool has_request;
};

static const uint8_t nothing[PIECE_BYTES];

static void begin(struct trial_stream *way)
{
    way->ends_ns = clock_now_ns() + way->request.milliseconds * MS_NS;
}

/* Writes what there is room for; the stream is finished behind it. */
static void send_more(struct trial_stream *way)
{
    bool is_over = clock_now_ns() >= way->ends_ns || way->sent >= way->request.bytes;
    for (uint64_t room; !is_over && (room = link_stream_room(way->stream));) {
        uint64_t left = way->request.bytes - way->sent;
        uint64_t bytes = room < PIECE_BYTES ? room : PIECE_BYTES;
        struct slice_queue chunk = {0};
        slice_queue_append(&chunk, span_of(nothing, bytes < left ? bytes : left));
        way->sent += chunk.bytes;
        link_stream_write(way->stream, &chunk);
        slice_queue_clear(&chunk);
        is_over = way->sent >= way->request.bytes;
    }
    if (is_over && way->is_sender) {
        way->is_sender = false;
        link_stream_finish(way->stream);
    }
}

/* Reads; the first `head` bytes are kept, what follows is counted. True: the peer has ended. */
static bool take(struct trial_stream *way, uint32_t head)
{
    struct slice_queue bytes = {0};
    bool ended;
    link_stream_read(way->stream, &bytes, UINT64_MAX, &ended);
    uint64_t all = bytes.bytes;
    while (bytes.bytes && way->head_length < head) {
        size_t got =
            slice_queue_peek(&bytes, 0, way->head + way->head_length, head - way->head_length);
        way->head_length += (uint32_t)got;
        slice_queue_consume(&bytes, got);
    }
    trial_meter_add(&way->meter, bytes.bytes, clock_now_ns());
    slice_queue_clear(&bytes);
    link_stream_consume(way->stream, all);
    return ended;
}

/* ---- the end that was asked for it */

static void publish(struct trial *trial)
{
    struct link *link = trial->way.link;
    pthread_mutex_lock(&link->facts_lock);
    link->trial_result = trial->result;
    pthread_mutex_unlock(&link->facts_lock);
}

static void end_trial(struct trial *trial, const char *error)
{
    struct link *link = trial->way.link;
    struct driver *driver = link->set->drivers[link->owner];
    if (trial->way.stream)
        link_stream_release(&trial->way.stream);
    loop_timer_stop(driver->loop, &trial->way.timer);
    trial->result.is_running = false;
    trial->result.error = error;
    publish(trial);
    link->trial = NULL;
    memory_free(trial);
}

static void note_facts(struct trial *trial)
{
    struct transport_facts facts;
    struct trial_result *result = &trial->result;
    transport_read_facts(trial->way.link->lane->transport, &facts);
    uint64_t lost = facts.packets_lost - trial->begun.packets_lost;
    uint64_t spurious = facts.packets_spurious - trial->begun.packets_spurious;
    result->packets = facts.packets_sent - trial->begun.packets_sent;
    result->lost = lost > spurious ? lost - spurious : 0;
    trial->ticks++;
    trial->rtt_sum_us += facts.quality.srtt_us;
    result->rtt_mean_us = trial->rtt_sum_us / trial->ticks;
    if (facts.quality.srtt_us > result->rtt_most_us)
        result->rtt_most_us = facts.quality.srtt_us;
    if (facts.peer_quality.loss_ppm_1s > result->loss_ppm_in)
        result->loss_ppm_in = facts.peer_quality.loss_ppm_1s;
}

static int start_way(struct trial *trial, enum trial_way now);

static void on_readable(void *owner, struct link_stream *stream)
{
    struct trial *trial = owner;
    struct trial_stream *way = &trial->way;
    (void)stream;
    bool ended = take(way, trial->now == TRIAL_UP ? TRIAL_REPORT_BYTES : 0);
    if (!ended)
        return;
    if (trial->now == TRIAL_UP && way->head_length < TRIAL_REPORT_BYTES) {
        end_trial(trial, "the peer gave no report");
        return;
    }
    trial->result.reports[trial->now] =
        trial->now == TRIAL_UP ? trial_report_read(way->head) : trial_meter_report(&way->meter);
    link_stream_release(&way->stream);
    if (trial->now == TRIAL_DOWN)
        end_trial(trial, NULL);
    else if (start_way(trial, TRIAL_DOWN))
        end_trial(trial, "the link went down");
}

static void on_writable(void *owner, struct link_stream *stream)
{
    struct trial *trial = owner;
    (void)stream;
    if (trial->way.is_sender)
        send_more(&trial->way);
}

static void on_reset(void *owner, struct link_stream *stream, uint32_t code)
{
    (void)stream;
    end_trial(owner, code == TRANSPORT_CODE_REFUSED ? "the peer does not allow it (link.test)"
                     : code == TRANSPORT_CODE_LIMIT ? "the peer is measuring this link already"
                                                    : transport_code_text(code));
}

static void on_tick(struct loop *loop, struct loop_timer *timer)
{
    struct trial *trial = CONTAINER_OF(timer, struct trial, way.timer);
    if (clock_now_ns() > trial->way.ends_ns + GRACE_S * 1000 * MS_NS) {
        end_trial(trial, "the peer did not end in time");
        return;
    }
    note_facts(trial);
    publish(trial);
    if (trial->way.is_sender)
        send_more(&trial->way);
    loop_timer_start(loop, timer, loop_now_ns(loop) + TICK_MS * MS_NS);
}

static int start_way(struct trial *trial, enum trial_way now)
{
    static const struct link_stream_events events = {.readable = on_readable,
                                                     .writable = on_writable,
                                                     .reset = on_reset};
    const struct transport_open open = {.ring = TRANSPORT_RINGS - 1,
                                        .weight = 1,
                                        .flags = TRANSPORT_OPEN_TEST};
    struct trial_stream *way = &trial->way;
    struct link *link = way->link;
    trial->now = now;
    way->request = (struct trial_request){.way = now,
                                          .milliseconds = trial->milliseconds,
                                          .bytes = TRIAL_BYTES_MAX};
    way->meter = (struct trial_meter){0};
    way->head_length = 0;
    way->sent = 0;
    way->is_sender = now == TRIAL_UP;
    int result = link_stream_open(link, &open, &events, trial, &way->stream);
    if (result < 0)
        return result;
    begin(way);
    uint8_t request[TRIAL_REQUEST_BYTES];
    struct slice_queue head = {0};
    trial_request_write(request, &way->request);
    slice_queue_append(&head, span_of(request, sizeof request));
    link_stream_write(way->stream, &head);
    slice_queue_clear(&head);
    if (now == TRIAL_UP)
        send_more(way);
    else
        link_stream_finish(way->stream);
    return 0;
}

static void deliver_start(struct worker *receiver, struct message *message)
{
    struct link *link = CONTAINER_OF(message, struct link, trial_message);
    if (link->trial)
        return;
    if (!link->lane) {
        pthread_mutex_lock(&link->facts_lock);
        link->trial_result = (struct trial_result){.was_run = true, .error = "the link is down"};
        pthread_mutex_unlock(&link->facts_lock);
        return;
    }
    struct trial *trial = NEW(struct trial);
    trial->way.link = link;
    trial->way.timer.fire = on_tick;
    trial->milliseconds = (uint16_t)link->trial_milliseconds;
    transport_read_facts(link->lane->transport, &trial->begun);
    trial->result = (struct trial_result){.is_running = true,
                                          .was_run = true,
                                          .rtt_before_us = trial->begun.quality.srtt_us};
    link->trial = trial;
    publish(trial);
    if (start_way(trial, TRIAL_UP))
        end_trial(trial, "the link is down");
    else
        loop_timer_start(worker_loop(receiver), &trial->way.timer,
                         clock_now_ns() + TICK_MS * MS_NS);
}

static json_t *report_json(const struct trial_report *report)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "bytes", (json_int_t)report->bytes, "duration_us",
                     (json_int_t)report->duration_us, "bytes_per_s",
                     (json_int_t)report->bytes_per_s, "half_width_bytes_per_s",
                     (json_int_t)report->half_width_bytes_per_s);
}

json_t *trial_inquire(struct link *link, const json_t *question)
{
    const char *what = json_string_value(json_object_get(question, "do"));
    json_int_t milliseconds = json_integer_value(json_object_get(question, "milliseconds"));
    pthread_mutex_lock(&link->facts_lock);
    struct trial_result result = link->trial_result;
    bool is_start = what && strcmp(what, "start") == 0;
    if (is_start && !result.is_running)
        link->trial_result = (struct trial_result){.is_running = true};
    pthread_mutex_unlock(&link->facts_lock);
    if (!is_start)
        return json_pack("{s:b, s:b, s:s?, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "running",
                         result.is_running, "was_run", result.was_run, "failed", result.error, "up",
                         report_json(&result.reports[TRIAL_UP]), "down",
                         report_json(&result.reports[TRIAL_DOWN]), "rtt_before_us",
                         (json_int_t)result.rtt_before_us, "rtt_mean_us",
                         (json_int_t)result.rtt_mean_us, "rtt_most_us",
                         (json_int_t)result.rtt_most_us, "packets", (json_int_t)result.packets,
                         "lost", (json_int_t)result.lost, "loss_ppm_in",
                         (json_int_t)result.loss_ppm_in);
    if (result.is_running)
        return json_pack("{s:s}", "error", "this link is being measured already");
    struct driver *owner = link->set->drivers[link->owner];
    if (!link_is_up(link) || !owner || milliseconds < 1 ||
        milliseconds > TRIAL_SECONDS_MAX * 1000) {
        pthread_mutex_lock(&link->facts_lock);
        link->trial_result = result;
        pthread_mutex_unlock(&link->facts_lock);
        return json_pack("{s:s}", "error", "the link is down: there is nothing to measure");
    }
    link->trial_milliseconds = (uint32_t)milliseconds;
    link->trial_message.deliver = deliver_start;
    worker_post(owner->worker, &link->trial_message);
    return json_pack("{s:b}", "running", true);
}

/* ---- the other end */

static void end_server(struct trial_server *server, uint32_t code)
{
    struct link *link = server->way.link;
    if (code)
        link_stream_reset(server->way.stream, code);
    link_stream_release(&server->way.stream);
    loop_timer_stop(link->set->drivers[link->owner]->loop, &server->way.timer);
    link->trial_server = NULL;
    memory_free(server);
}

static void report(struct trial_server *server)
{
    const struct trial_report report = trial_meter_report(&server->way.meter);
    uint8_t bytes[TRIAL_REPORT_BYTES];
    struct slice_queue out = {0};
    trial_report_write(bytes, &report);
    slice_queue_append(&out, span_of(bytes, sizeof bytes));
    link_stream_write(server->way.stream, &out);
    slice_queue_clear(&out);
    link_stream_finish(server->way.stream);
    end_server(server, TRANSPORT_CODE_NONE);
}

static void serve_writable(void *owner, struct link_stream *stream)
{
    struct trial_server *server = owner;
    (void)stream;
    if (!server->way.is_sender)
        return;
    send_more(&server->way);
    if (!server->way.is_sender)
        end_server(server, TRANSPORT_CODE_NONE);
}

static void serve_readable(void *owner, struct link_stream *stream)
{
    struct trial_server *server = owner;
    struct trial_stream *way = &server->way;
    bool ended = take(way, TRIAL_REQUEST_BYTES);
    if (!server->has_request && way->head_length == TRIAL_REQUEST_BYTES) {
        if (trial_request_read(way->head, &way->request)) {
            end_server(server, TRANSPORT_CODE_PROTOCOL);
            return;
        }
        server->has_request = true;
        way->is_sender = way->request.way == TRIAL_DOWN;
        begin(way);
    }
    bool is_too_much = way->meter.bytes > TRIAL_BYTES_MAX;
    if ((ended && !server->has_request) || is_too_much)
        end_server(server, is_too_much ? TRANSPORT_CODE_LIMIT : TRANSPORT_CODE_PROTOCOL);
    else if (way->is_sender)
        serve_writable(server, stream);
    else if (ended)
        report(server);
}

static void serve_reset(void *owner, struct link_stream *stream, uint32_t code)
{
    (void)stream;
    (void)code;
    end_server(owner, TRANSPORT_CODE_NONE);
}

static void on_server_tick(struct loop *loop, struct loop_timer *timer)
{
    struct trial_server *server = CONTAINER_OF(timer, struct trial_server, way.timer);
    uint64_t now_ns = clock_now_ns(), ends_ns = server->way.ends_ns;
    if (now_ns > ends_ns + GRACE_S * 1000 * MS_NS) {
        end_server(server, TRANSPORT_CODE_TIMEOUT);
        return;
    }
    loop_timer_start(loop, timer, now_ns + TICK_MS * MS_NS);
    if (server->way.is_sender)
        serve_writable(server, server->way.stream);
}

void trial_accept(struct lane *lane, struct link_stream **stream)
{
    static const struct link_stream_events events = {.readable = serve_readable,
                                                     .writable = serve_writable,
                                                     .reset = serve_reset};
    struct link *link = lane->link;
    if (!lane->allows_test || link->trial_server) {
        link_stream_reset(*stream,
                          lane->allows_test ? TRANSPORT_CODE_LIMIT : TRANSPORT_CODE_REFUSED);
        link_stream_release(stream);
        return;
    }
    struct trial_server *server = NEW(struct trial_server);
    server->way.link = link;
    server->way.stream = *stream;
    server->way.timer.fire = on_server_tick;
    begin(&server->way); /* the request must come in time, too */
    *stream = NULL;
    link->trial_server = server;
    link_stream_set_ring(server->way.stream, TRANSPORT_RINGS - 1, 1);
    loop_timer_start(lane->driver->loop, &server->way.timer, clock_now_ns() + TICK_MS * MS_NS);
    link_stream_attach(server->way.stream, &events, server);
}
