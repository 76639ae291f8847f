/* SPDX-License-Identifier: Apache-2.0
 *
 * What edges are told of the queues here: a session is an edge's process that opened a stream for it. Ten times a second the queues are looked at, each
 * session gets the loads that have changed since it was told, and a beat with what became of our packets on its link. docs/protocol/loads.md.
 */
#include "loads/loads.h"

#include "base/memory.h"
#include "base/sorted.h"
#include "gateway/private.h"
#include "purge/purge.h"
#include "standing/standing.h"

enum {
    LOOKS_A_BEAT = 4096, /* sites whose queues are looked at */
    LOADS_A_BEAT = 512,  /* told to a session */
};
#define HEED_NS \
    (100ull * 1000000) /* in which an edge follows what it has heard: two looks at its routes */
#define HEAR_MOST_NS \
    (1000ull * 1000000) /* an edge that is silent for so long is none to wait for */

/* The load of a site, as it is told. */
struct load_row {
    uint64_t index; /* of the site, in the configuration */
    struct loads_report report;
    uint64_t changed; /* the round in which it did last */
    uint64_t pushed;  /* requests so far, as of the last look */
    uint64_t looked_ns;
    double demand; /* requests a second, smoothed */
};

/* Of a worker. */
struct gateway_loads {
    struct gateway_worker *worker;
    struct loop_timer beat;
    struct list sessions;
    struct load_row *rows; /* ascending by index: sites that had a request */
    size_t count, capacity;
    size_t next_site; /* to be looked at */
    uint64_t round;
};

/* One process of an edge. */
struct load_session {
    struct standing standing;
    struct gateway_loads *loads;
    uint64_t number; /* of the last beat */
    uint64_t told,
        telling;     /* the round up to which it was told all, and up to which it will have been */
    size_t next_row; /* to be told of */
    uint64_t
        leave_number; /* of the beat that said that the gateway leaves, until that is confirmed; 0: no such */
    bool has_hello;
};

static struct load_session *session_of(struct list *item)
{
    return CONTAINER_OF(item, struct load_session, standing.in_accepted);
}

static struct metric load_edges =
    METRIC(GAUGE, "causeway_gateway_loads_edges", "", "Edges that are told of loads.");
static struct metric loads_told =
    METRIC(COUNTER, "causeway_gateway_loads_told_total", "", "Loads of sites told to edges.");

void gateway_loads_metrics_register(void)
{
    metric_register(&load_edges);
    metric_register(&loads_told);
}

/* ---- what the queues say */

/* Sessions begin their round anew: rows have moved. */
static struct load_row *need_row(struct gateway_loads *loads, const struct conf_site *site)
{
    struct load_row *row = sorted_find(loads->rows, loads->count, sizeof *row, site->index);
    if (row)
        return row;
    loads->rows =
        sorted_insert(loads->rows, &loads->count, &loads->capacity, sizeof *row, site->index);
    row = sorted_find(loads->rows, loads->count, sizeof *row, site->index);
    row->report.site = purge_site(span_text(site->name));
    LIST_EACH (item, after, &loads->sessions)
        session_of(item)->next_row = 0;
    return row;
}

static uint32_t clip(uint64_t value)
{
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

/* That a request takes at the servers as they are used: what all slots serve in a second, seen the other way. */
static uint32_t mean_service_us(const struct gateway_queue_facts *facts)
{
    double per_us = 0, slots = 0;
    for (size_t i = 0; i < facts->server_count; i++) {
        const struct queue_server_report *server = &facts->servers[i].report;
        if (!server->is_usable || !server->service_ns)
            continue;
        slots += server->slots;
        per_us += server->slots / ((double)server->service_ns / 1e3);
    }
    return per_us > 0 ? clip((uint64_t)(slots / per_us)) : 0;
}

static void follow_demand(struct load_row *row, uint64_t pushed, uint64_t now_ns)
{
    double passed_s = (double)(now_ns - row->looked_ns) / 1e9;
    if (row->looked_ns && passed_s > 0 && pushed >= row->pushed) {
        double now = (double)(pushed - row->pushed) / passed_s;
        row->demand += (now - row->demand) * (passed_s / (passed_s + 0.5));
    }
    row->pushed = pushed;
    row->looked_ns = now_ns;
}

static void look_at(struct gateway_loads *loads, const struct conf_site *site,
                    const struct gateway_queue_facts *facts, uint64_t now_ns)
{
    const struct queue_report *queue = &facts->queue;
    struct load_row *row = need_row(loads, site);
    follow_demand(row, queue->pushed, now_ns);
    struct loads_report report = {.site = row->report.site,
                                  .is_full = !queue->slots || queue->waiting >= site->queue.length,
                                  .load_permille = queue->load_permille,
                                  .pending = queue->pending,
                                  .slots = queue->slots,
                                  .service_us = mean_service_us(facts),
                                  .demand_milli = clip((uint64_t)(row->demand * 1000))};
    for (int i = 0; i < LOADS_CLASSES; i++) {
        report.waiting[i] = queue->classes[i].waiting;
        report.wait_us[i] = clip(queue->classes[i].wait_ns / 1000);
    }
    gateway_peers_need(loads->worker->gateway->peers, report.site,
                       loads_report_need_milli(&report));
    if (row->changed && !loads_report_differs(&row->report, &report))
        return;
    row->report = report;
    row->changed = loads->round;
}

static void look(struct gateway_loads *loads)
{
    const struct conf *conf = gateway_conf(loads->worker);
    uint64_t now_ns = clock_now_ns();
    for (size_t i = 0; i < LOOKS_A_BEAT && i < conf->site_count; i++) {
        if (loads->next_site >= conf->site_count)
            loads->next_site = 0;
        const struct conf_site *site = &conf->sites[loads->next_site++];
        const struct gateway_queue_facts *facts =
            gateway_queue_read(loads->worker->gateway, site->name);
        if (facts)
            look_at(loads, site, facts, now_ns);
    }
}

/* ---- to edges */

static bool may_have(const struct load_session *session, const struct conf *conf,
                     const struct load_row *row)
{
    const struct conf_node *edge = gateway_edge(conf, session->standing.link);
    return edge && row->index < conf->site_count &&
           conf_allows(conf->self->gateway, edge, &conf->sites[row->index], 0);
}

static void write_loads(struct load_session *session, struct text *out)
{
    const struct gateway_loads *loads = session->loads;
    const struct conf *conf = gateway_conf(loads->worker);
    if (!session->next_row)
        session->telling = loads->round;
    for (size_t i = 0; session->next_row < loads->count && i < LOADS_A_BEAT; session->next_row++) {
        const struct load_row *row = &loads->rows[session->next_row];
        if (row->changed <= session->told || !may_have(session, conf, row))
            continue;
        loads_message_write(out, &(struct loads_message){.type = LOADS_MESSAGE_LOAD,
                                                         .report = row->report});
        metric_add(&loads_told, 1);
        i++;
    }
    if (session->next_row == loads->count) {
        session->told = session->telling;
        session->next_row = 0;
    }
}

static bool is_leaving(const struct gateway_loads *loads)
{
    return clock_now_ns() < atomic_load(&loads->worker->gateway->leave.until_ns);
}

/* Nothing is added to what the link does not carry. */
static void tell(struct load_session *session)
{
    struct text out = {0};
    struct link_quality quality = link_read_quality(session->standing.link);
    if (!session->has_hello || !standing_room(&session->standing))
        return;
    write_loads(session, &out);
    loads_message_write(&out, &(struct loads_message){.type = LOADS_MESSAGE_BEAT,
                                                      .number = ++session->number,
                                                      .is_leaving = is_leaving(session->loads),
                                                      .known = quality.packets_known,
                                                      .lost = quality.packets_lost});
    standing_say(&session->standing, &out);
}

static void on_beat(struct loop *loop, struct loop_timer *timer)
{
    struct gateway_loads *loads = CONTAINER_OF(timer, struct gateway_loads, beat);
    loads->round++;
    look(loads);
    LIST_EACH (item, after, &loads->sessions)
        tell(session_of(item));
    if (!list_is_empty(&loads->sessions))
        loop_timer_start(loop, timer, loop_now_ns(loop) + LOADS_PERIOD_NS);
}

/* ---- the last that is told */

static void count_heard(struct gateway_leave *leave)
{
    atomic_store(&leave->heard_ns, clock_now_ns());
    atomic_fetch_sub(&leave->unheard, 1);
}

static void note_heard(struct load_session *session)
{
    session->leave_number = 0;
    count_heard(&session->loads->worker->gateway->leave);
}

static void leave(struct worker *worker, void *argument)
{
    struct gateway *gateway = argument;
    struct gateway_loads *loads = gateway->workers[worker_id(worker)].loads;
    LIST_EACH (item, after, &loads->sessions) {
        struct load_session *session = session_of(item);
        atomic_fetch_add(&gateway->leave.unheard, !session->leave_number);
        session->leave_number = session->number + 1;
        atomic_fetch_add(&gateway->leave.others, !link_is_self(session->standing.link));
    }
    on_beat(loads->worker->loop, &loads->beat);
    count_heard(&gateway->leave);
}

void gateway_leave(struct gateway *gateway, struct worker_set *workers, uint64_t until_ns)
{
    atomic_store(&gateway->leave.others, 0);
    atomic_fetch_add(&gateway->leave.unheard, gateway->options.workers);
    atomic_store(&gateway->leave.since_ns, clock_now_ns());
    atomic_store(&gateway->leave.until_ns, until_ns);
    workers_run_on_all(workers, leave, gateway);
}

bool gateway_has_left(const struct gateway *gateway)
{
    const struct gateway_leave *told = &gateway->leave;
    uint64_t now_ns = clock_now_ns(), since_ns = atomic_load(&told->since_ns);
    bool is_heard = !atomic_load(&told->unheard) && now_ns - atomic_load(&told->heard_ns) > HEED_NS;
    return since_ns && (is_heard || now_ns - since_ns > HEAR_MOST_NS) &&
           !metric_read(&gateway_open_requests);
}

bool gateway_is_alone(const struct gateway *gateway)
{
    return !atomic_load(&gateway->leave.others);
}

/* ---- from edges */

/* Of a site that this edge may have; others were told by none. */
static void hear_of_peers(struct load_session *session, const struct loads_message *message)
{
    const struct gateway_loads *loads = session->loads;
    const struct conf *conf = gateway_conf(loads->worker);
    for (size_t i = 0; i < loads->count; i++) {
        if (loads->rows[i].report.site != message->report.site)
            continue;
        if (may_have(session, conf, &loads->rows[i]))
            gateway_peers_heard(loads->worker->gateway->peers, message->report.site,
                                message->others, message->need_milli, clock_now_ns());
        return;
    }
}

/* False: that is no message of this protocol. */
static bool hear(struct load_session *session, const struct loads_message *message)
{
    bool is_hello = message->type == LOADS_MESSAGE_HELLO;
    if (is_hello == session->has_hello)
        return false;
    switch (message->type) {
    case LOADS_MESSAGE_HELLO:
        session->has_hello = true;
        return message->version == LOADS_VERSION;
    case LOADS_MESSAGE_HEARD: /* that it went both ways is what it is for */
        if (session->leave_number && message->number >= session->leave_number)
            note_heard(session);
        return true;
    case LOADS_MESSAGE_UNKNOWN:
        return true;
    case LOADS_MESSAGE_PEERS:
        hear_of_peers(session, message);
        return true;
    case LOADS_MESSAGE_BEAT:
    case LOADS_MESSAGE_LOAD:
    case LOADS_MESSAGE_GONE:
        return false;
    }
    return false;
}

static int take(struct standing *standing, struct text *out)
{
    struct load_session *session = CONTAINER_OF(standing, struct load_session, standing);
    struct loads_message message;
    int length = loads_message_take(&standing->in, &message);
    (void)out;
    return length > 0 && !hear(session, &message) ? ERROR_INVALID : length;
}

static void on_ended(struct standing *standing, uint32_t code)
{
    struct load_session *session = CONTAINER_OF(standing, struct load_session, standing);
    (void)code;
    metric_add(&load_edges, (uint64_t)-1);
    if (session->leave_number)
        note_heard(session);
    memory_free(session);
}

/* ---- the door */

void gateway_loads_accept(struct gateway_worker *worker, struct link *link,
                          struct link_stream *stream)
{
    static const struct standing_kind kind = {.take = take,
                                              .ended = on_ended,
                                              .malformed = &gateway_bad_requests};
    struct gateway_loads *loads = worker->loads;
    if (!gateway_edge(gateway_conf(worker), link)) {
        metric_add(&gateway_refused, 1);
        link_stream_reset(stream, TRANSPORT_CODE_REFUSED);
        link_stream_release(&stream);
        return;
    }
    struct load_session *session = NEW(struct load_session);
    session->loads = loads;
    standing_init(&session->standing, &kind);
    standing_accept(&session->standing, &loads->sessions, link, stream);
    metric_add(&load_edges, 1);
    if (!loop_timer_is_running(&loads->beat))
        loop_timer_start(worker->loop, &loads->beat, loop_now_ns(worker->loop) + LOADS_PERIOD_NS);
}

/* ---- life */

void gateway_loads_start(struct gateway_worker *worker)
{
    struct gateway_loads *loads = worker->loads = NEW(struct gateway_loads);
    loads->worker = worker;
    loads->beat.fire = on_beat;
    list_init(&loads->sessions);
}

/* Places of sites and allow-lists may be others: whoever was told something forgets it, and is told anew. */
void gateway_loads_follow(struct gateway_worker *worker)
{
    struct gateway_loads *loads = worker->loads;
    LIST_EACH (item, after, &loads->sessions) {
        struct load_session *session = session_of(item);
        struct text out = {0};
        for (size_t i = 0; i < loads->count; i++)
            loads_message_write(
                &out, &(struct loads_message){.type = LOADS_MESSAGE_GONE,
                                              .report = {.site = loads->rows[i].report.site}});
        standing_say(&session->standing, &out);
        session->told = 0;
        session->next_row = 0;
    }
    loads->count = 0;
    if (!list_is_empty(&loads->sessions))
        on_beat(worker->loop, &loads->beat);
}

void gateway_loads_stop(struct gateway_worker *worker)
{
    struct gateway_loads *loads = worker->loads;
    worker->loads = NULL;
    LIST_EACH (item, after, &loads->sessions)
        standing_end(&session_of(item)->standing, TRANSPORT_CODE_SHUTDOWN);
    loop_timer_stop(worker->loop, &loads->beat);
    memory_free(loads->rows);
    memory_free(loads);
}
