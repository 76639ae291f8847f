/* SPDX-License-Identifier: Apache-2.0
 *
 * The nodes' reports, and what follows from them: on the first worker, the receiver of measure/ is fed and ticked,
 * measurements go into the tables of facts.c, and the director ticks: states change the very next answer, rankings follow a piece at a time
 * (R6, R8, R9).
 */
#include "dnsd/private.h"

#include "base/memory.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum {
    DATAGRAMS = 256, /* read in one turn */
};
static const uint64_t tick_ns = 1000000000;

/* Kept by name, so that it outlives the configuration in which it was said. */
struct word {
    char *edge;
    enum dnsd_admin admin;
};

/* What is kept of a reporter, by its number in the data. */
struct source {
    const struct status_edge *status; /* NULL: the receiver has no room for it */
    struct address address; /* where its last believed report came from; family 0: none came */
};

struct dnsd_reports {
    struct dnsd *dnsd;
    struct loop *loop;
    struct dnsd_data *data;
    struct status_receiver *receiver; /* NULL: nobody reports */
    struct status_receiver_counters counted;
    struct dnsd_health *health;
    struct dnsd_probe *probe;
    struct measure_receiver_counters measures_counted;
    struct source *sources;
    struct dnsd_facts facts;
    struct director_figures figures; /* as counted last */
    bool is_viewed;                  /* queries read this data */
    size_t forsaken;
    struct dnsd_shown shown; /* to authorities for certificates */
    struct word *words;
    size_t word_count;
    struct loop_watch watch;
    struct loop_timer silence; /* the receiver's wake time */
    struct loop_timer tick;    /* once a second */
    struct loop_timer turn;    /* of the director */
    struct loop_task change;   /* a state did: the director is told at once */
    uint64_t cookie_period;
    dnsd_listen *listen; /* NULL: nobody */
    void *listener;
};

/* ---- states */

static enum dnsd_admin admin_of(const struct dnsd_reports *reports, const char *edge)
{
    for (size_t i = 0; i < reports->word_count; i++)
        if (strcmp(reports->words[i].edge, edge) == 0)
            return reports->words[i].admin;
    return DNSD_ADMIN_UP;
}

static enum director_state reported_state(const struct status_edge *status)
{
    if (status->report.flags & STATUS_ADMIN_DOWN)
        return DIRECTOR_DOWN;
    if (status->is_kept)
        return DIRECTOR_UP;
    if (status->state == STATUS_EDGE_DEAD || (status->report.flags & STATUS_LEAVING))
        return DIRECTOR_DEAD;
    /* an edge with a stalled worker is better than a dead one */
    if (status->state == STATUS_EDGE_UNWELL || (status->report.flags & STATUS_DRAINING))
        return DIRECTOR_DRAINING;
    return DIRECTOR_UP;
}

static const struct status_edge *status_of(const struct dnsd_reports *reports,
                                           const struct dnsd_edge *edge)
{
    return reports->receiver && edge->reporter != UINT32_MAX
               ? reports->sources[edge->reporter].status
               : NULL;
}

static enum director_state state_of(const struct dnsd_reports *reports,
                                    const struct dnsd_edge *edge)
{
    const struct status_edge *status = status_of(reports, edge);
    enum director_state state = status ? reported_state(status) : DIRECTOR_UP;
    uint32_t number = (uint32_t)(edge - reports->data->edges);
    bool is_kept =
        status && status->is_kept; /* more likely this node is cut off: so are its checks */
    if (state < DIRECTOR_DEAD && !is_kept &&
        dnsd_health_state(reports->health, number) == HEALTH_DOWN)
        state = DIRECTOR_DEAD;
    switch (admin_of(reports, edge->name)) {
    case DNSD_ADMIN_DOWN:
        return DIRECTOR_DOWN;
    case DNSD_ADMIN_DRAIN:
        return state < DIRECTOR_DRAINING ? DIRECTOR_DRAINING : state;
    case DNSD_ADMIN_UP:
        break;
    }
    return state;
}

static bool is_presumed(const struct dnsd_reports *reports, const struct dnsd_edge *edge)
{
    const struct status_edge *status = status_of(reports, edge);
    uint32_t number = (uint32_t)(edge - reports->data->edges);
    if (status) /* though checks may have found it: its first silence is not its end */
        return !status->heard_ns;
    return dnsd_health_state(reports->health, number) != HEALTH_UP;
}

static void tell_forsaken(struct dnsd_reports *reports, size_t forsaken)
{
    if (forsaken > reports->forsaken)
        log_error("dns", "sites without a single good edge: answers name bad ones sites=%zu",
                  forsaken);
    else if (!forsaken && reports->forsaken)
        log_notice("dns", "every site has a good edge again");
    reports->forsaken = forsaken;
}

static void tell(const struct dnsd_reports *reports)
{
    const struct dnsd_data *data = reports->data;
    const struct dnsd_told told = {.conf_hash = data->conf_hash,
                                   .edges = reports->facts.nodes[MEASURE_EDGE],
                                   .servers = reports->facts.nodes[MEASURE_SERVER],
                                   .edge_count = data->role_counts[MEASURE_EDGE],
                                   .server_count = data->role_counts[MEASURE_SERVER],
                                   .latencies = reports->facts.latencies,
                                   .now_ns = loop_now_ns(reports->loop)};
    if (reports->listen)
        reports->listen(reports->listener, &told);
}

void dnsd_reports_tell(struct dnsd_reports *reports, dnsd_listen *listen, void *owner)
{
    reports->listen = listen;
    reports->listener = owner;
    tell(reports);
}

/* With a budget of 0 states alone. */
static void direct(struct dnsd_reports *reports, uint32_t budget)
{
    struct dnsd_data *data = reports->data;
    for (size_t i = 0; i < data->edge_count; i++) {
        struct director_node_facts *edge = &reports->facts.nodes[MEASURE_EDGE][i];
        edge->state = state_of(reports, &data->edges[i]);
        edge->is_presumed = is_presumed(reports, &data->edges[i]);
    }
    struct director_facts facts = dnsd_facts_view(&reports->facts, loop_now_ns(reports->loop));
    director_tick(data->director, &facts, budget);
    tell_forsaken(reports, director_forsaken(data->director));
    if (!reports->is_viewed)
        snapshot_publish(&reports->dnsd->view, dnsd_view_new(data, &reports->dnsd->decisions),
                         dnsd_view_release);
    reports->is_viewed = true;
}

/* The states of gateways and servers, and what reports say of links. Edges' states are in rank(). */
static void gather_reports(struct dnsd_reports *reports)
{
    const struct dnsd_data *data = reports->data;
    for (size_t i = 0; i < data->reporter_count; i++) {
        const struct dnsd_reporter *reporter = &data->reporters[i];
        const struct status_edge *status = reports->sources[i].status;
        if (!status)
            continue;
        for (size_t role = MEASURE_GATEWAY; role < MEASURE_ROLES; role++)
            if (reporter->numbers[role] != UINT32_MAX)
                reports->facts.nodes[role][reporter->numbers[role]].state = reported_state(status);
        if (status->heard_ns)
            dnsd_facts_reported(&reports->facts, reporter, status);
    }
}

static void on_change(struct loop *loop, struct loop_task *task)
{
    (void)loop;
    struct dnsd_reports *reports = CONTAINER_OF(task, struct dnsd_reports, change);
    direct(reports, 0);
    if (reports->receiver)
        gather_reports(reports); /* silence of gateways and servers shows at once too */
    dnsd_assigned_rank(reports->data->assigned, reports->facts.nodes[MEASURE_GATEWAY]);
    tell(reports);
}

static void on_turn(struct loop *loop, struct loop_timer *timer)
{
    struct dnsd_reports *reports = CONTAINER_OF(timer, struct dnsd_reports, turn);
    direct(reports, DIRECTOR_BUDGET);
    loop_timer_start(loop, timer, loop_now_ns(loop) + DIRECTOR_TICK_NS);
}

/* Health checks found otherwise. */
static void on_health(void *owner)
{
    struct dnsd_reports *reports = owner;
    loop_task_queue(reports->loop, &reports->change);
}

static void on_found(void *owner, const struct dnsd_reporter *vantage,
                     const struct measure_health *found)
{
    struct dnsd_reports *reports = owner;
    dnsd_health_hear(reports->health, vantage->id, found);
}

static void take_proof(struct dnsd_reports *reports, uint64_t from,
                       const struct measure_proof *proof)
{
    if (dnsd_shown_take(&reports->shown, reports->data->proofs, from, proof,
                        loop_now_ns(reports->loop)))
        dnsd_proofs_show(reports->data->proofs, &reports->shown);
}

static void on_proof(void *owner, const struct dnsd_reporter *from,
                     const struct measure_proof *proof)
{
    take_proof(owner, from->id, proof);
}

void dnsd_reports_prove(struct dnsd_reports *reports, const struct measure_proof *proof)
{
    take_proof(reports, 0, proof);
}

/* A visitor's round trip is of a host that completed TCP with an edge. */
static void on_latency(void *owner, const struct dnsd_reporter *vantage,
                       const struct measure_latency *latency)
{
    (void)vantage;
    if (latency->source == LATENCY_PASSIVE)
        dnsd_probe_seen(((struct dnsd_reports *)owner)->probe, &latency->client);
}

bool dnsd_reports_is_usable(const struct dnsd_reports *reports, uint32_t edge)
{
    return director_edge_state(reports->data->director, edge) <= DIRECTOR_FULL;
}

/* ---- the receiver */

static void on_event(void *owner, enum status_event_kind kind, const struct status_edge *edge)
{
    struct dnsd_reports *reports = owner;
    const char *name = edge && edge->label < reports->data->reporter_count
                           ? reports->data->reporters[edge->label].name
                           : "?";
    bool is_edge = edge && edge->is_edge;
    const char *what = is_edge ? "edge" : "node";
    unsigned flags = edge ? edge->report.flags : 0;
    switch (kind) {
    case STATUS_EVENT_LIVE:
        log_notice("dns", "%s reports %s=%s", what, what, name);
        break;
    case STATUS_EVENT_UNWELL:
        log_warning("dns", "a worker of the %s stalls %s=%s", what, what, name);
        break;
    case STATUS_EVENT_DEAD:
        log_warning("dns", "%s is silent%s %s=%s", what, is_edge ? ": it leaves the answers" : "",
                    what, name);
        break;
    case STATUS_EVENT_FLAGS:
        log_notice("dns", "%s changed its mind %s=%s draining=%d down=%d leaving=%d", what, what,
                   name, (flags & STATUS_DRAINING) != 0, (flags & STATUS_ADMIN_DOWN) != 0,
                   (flags & STATUS_LEAVING) != 0);
        break;
    case STATUS_EVENT_FAIL_OPEN:
        log_error("dns", "OVER HALF OF THE EDGES VANISHED TOGETHER: the answers stay as they were. "
                         "Is it this node that lost its network?");
        break;
    case STATUS_EVENT_FAIL_CLOSED:
        log_notice("dns", "enough edges are back: answers follow the reports again");
        break;
    }
    loop_task_queue(reports->loop, &reports->change);
}

static void start_silence_timer(struct dnsd_reports *reports)
{
    uint64_t wake_ns = status_receiver_wake(reports->receiver);
    if (wake_ns == UINT64_MAX)
        loop_timer_stop(reports->loop, &reports->silence);
    else
        loop_timer_start(reports->loop, &reports->silence, wake_ns);
}

static void receive_status(struct dnsd_reports *reports, struct span datagram,
                           const struct address *from)
{
    uint8_t reply[STATUS_EPOCH_BYTES];
    const struct status_edge *status = NULL;
    int result = status_receiver_receive(reports->receiver, loop_now_ns(reports->loop), datagram,
                                         reply, &status);
    if (result == 0)
        reports->sources[status->label].address = *from;
    if (result == ERROR_AGAIN)
        (void)socket_send_from(reports->watch.fd, span_of(reply, sizeof reply), from,
                               &(struct address){0});
}

static void receive_measure(struct dnsd_reports *reports, struct span datagram)
{
    struct measure_message message;
    const struct status_edge *status;
    uint64_t now_ns = loop_now_ns(reports->loop);
    if (status_receiver_measure(reports->receiver, now_ns, datagram, &message, &status) == 0)
        dnsd_facts_measured(&reports->facts, &reports->data->reporters[status->label], &message,
                            now_ns);
}

/* One datagram, if there is one. */
static bool receive_one(struct dnsd_reports *reports)
{
    uint8_t bytes[MEASURE_DATAGRAM_MAX + 1];
    struct address from;
    int length = socket_receive_from(reports->watch.fd, bytes, sizeof bytes, &from, NULL);
    if (length < 0)
        return false;
    struct span datagram =
        span_of(bytes, (size_t)length < sizeof bytes ? (size_t)length : sizeof bytes);
    if (status_is_measure(datagram))
        receive_measure(reports, datagram);
    else
        receive_status(reports, datagram, &from);
    return true;
}

bool dnsd_reports_request(struct dnsd_reports *reports, const struct dnsd_reporter *reporter,
                          const struct measure_message *message)
{
    uint8_t datagram[MEASURE_DATAGRAM_MAX];
    const struct source *source = &reports->sources[reporter - reports->data->reporters];
    size_t length =
        reports->receiver && source->address.family
            ? status_receiver_request(reports->receiver, &reporter->public_key, message, datagram)
            : 0;
    return length && socket_send_from(reports->watch.fd, span_of(datagram, length),
                                      &source->address, &(struct address){0}) == 0;
}

struct dnsd_facts *dnsd_reports_facts(struct dnsd_reports *reports)
{
    return &reports->facts;
}

static void receive_waiting(struct dnsd_reports *reports)
{
    for (int i = 0; i < DATAGRAMS && receive_one(reports); i++)
        continue;
}

static void on_datagrams(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)loop;
    (void)events;
    struct dnsd_reports *reports = CONTAINER_OF(watch, struct dnsd_reports, watch);
    receive_waiting(reports);
    start_silence_timer(reports);
}

/* What waits in the socket comes first: a turn of this loop that took long is no edge's silence. */
static void on_silence(struct loop *loop, struct loop_timer *timer)
{
    struct dnsd_reports *reports = CONTAINER_OF(timer, struct dnsd_reports, silence);
    receive_waiting(reports);
    status_receiver_run(reports->receiver, loop_now_ns(loop));
    start_silence_timer(reports);
}

static void count(struct dnsd_reports *reports)
{
    dnsd_count_reports(status_receiver_counters(reports->receiver), &reports->counted);
    dnsd_count_measures(status_receiver_measure_counters(reports->receiver),
                        &reports->measures_counted);
    dnsd_count_facts(&reports->facts);
}

static void on_tick(struct loop *loop, struct loop_timer *timer)
{
    struct dnsd_reports *reports = CONTAINER_OF(timer, struct dnsd_reports, tick);
    if (reports->receiver) {
        gather_reports(reports);
        dnsd_facts_age(&reports->facts, loop_now_ns(loop));
        count(reports);
    }
    struct director_figures figures;
    director_figures(reports->data->director, &figures);
    dnsd_count_director(&figures, &reports->figures);
    dnsd_health_tick(reports->health);
    if (dnsd_shown_age(&reports->shown, loop_now_ns(loop)))
        dnsd_proofs_show(reports->data->proofs, &reports->shown);
    if (dnsd_keys_turn(reports->data->keys, (uint32_t)(clock_wall_ns() / 1000000000)))
        dnsd_notify_renewed(reports->dnsd->notify);
    uint64_t period = dnsd_cookie_period(clock_wall_ns());
    reports->is_viewed &= period == reports->cookie_period; /* a view has the secrets of its time */
    reports->cookie_period = period;
    dnsd_assigned_rank(reports->data->assigned, reports->facts.nodes[MEASURE_GATEWAY]);
    tell(reports);
    loop_timer_start(loop, timer, loop_now_ns(loop) + tick_ns);
}

/* ---- configuration */

static bool is_configured(const struct dnsd_data *data, const struct key *key)
{
    for (size_t i = 0; i < data->reporter_count; i++)
        if (memcmp(data->reporters[i].public_key.bytes, key->bytes, KEY_BYTES) == 0)
            return true;
    return false;
}

/* By keys, which are what stays the same. */
static void put_reporters(struct dnsd_reports *reports)
{
    for (size_t i = status_receiver_count(reports->receiver); i--;) {
        struct key key = status_receiver_edge(reports->receiver, i)->public_key;
        if (!is_configured(reports->data, &key))
            status_receiver_drop(reports->receiver, &key);
    }
    for (size_t i = 0; i < reports->data->reporter_count; i++) {
        const struct dnsd_reporter *reporter = &reports->data->reporters[i];
        int error = status_receiver_put(reports->receiver, &reporter->public_key, NULL,
                                        reporter->numbers[MEASURE_EDGE] != UINT32_MAX, (uint32_t)i,
                                        loop_now_ns(reports->loop));
        if (error < 0)
            log_warning("dns", "node cannot report and is always taken to be up node=%s reason=%s",
                        reporter->name, error_text(error));
        reports->sources[i].status = status_receiver_find(reports->receiver, &reporter->public_key);
    }
    for (size_t i = 0; i < reports->data->edge_count; i++)
        if (reports->data->edges[i].reporter == UINT32_MAX)
            log_warning("dns",
                        "edge cannot report and is always taken to be up edge=%s reason=no "
                        "public key",
                        reports->data->edges[i].name);
    start_silence_timer(reports);
}

/* Where the nodes that stay were heard last. */
static struct source *move_sources(const struct dnsd_reports *reports, const struct dnsd_data *data)
{
    struct source *sources = memory_new((data->reporter_count + 1) * sizeof *sources);
    const struct dnsd_data *old = reports->data;
    for (size_t i = 0; old && i < old->reporter_count; i++)
        for (size_t k = 0; k < data->reporter_count; k++)
            if (old->reporters[i].id == data->reporters[k].id)
                sources[k].address = reports->sources[i].address;
    return sources;
}

/* By names: an edge may have got another key. */
static void inherit(struct dnsd_data *data, const struct dnsd_data *old)
{
    uint32_t *edges = memory_new((data->edge_count + 1) * sizeof *edges);
    for (size_t i = 0; i < data->edge_count; i++) {
        edges[i] = DIRECTOR_NONE;
        for (uint32_t k = 0; k < old->edge_count; k++)
            if (strcmp(data->edges[i].name, old->edges[k].name) == 0)
                edges[i] = k;
    }
    director_inherit(data->director, old->director, edges);
    memory_free(edges);
}

void dnsd_reports_take(struct dnsd_reports *reports, struct dnsd_data *data)
{
    struct source *sources = move_sources(reports, data);
    memory_free(reports->sources);
    reports->sources = sources;
    dnsd_facts_take(&reports->facts, data);
    if (reports->data)
        inherit(data, reports->data);
    dnsd_data_release(reports->data);
    reports->data = data;
    dnsd_count_maps(data->maps->maps);
    reports->is_viewed = false;
    if (reports->receiver)
        put_reporters(reports);
    dnsd_health_take(reports->health, data);
    dnsd_probe_take(reports->probe, data);
    dnsd_assigned_rank(data->assigned, reports->facts.nodes[MEASURE_GATEWAY]);
    dnsd_proofs_show(data->proofs, &reports->shown);
    direct(reports, DIRECTOR_WHOLE_ROUND);
}

int dnsd_reports_start(struct dnsd_reports **started, struct dnsd *dnsd, struct loop *loop)
{
    struct dnsd_reports *reports = *started = NEW(struct dnsd_reports);
    reports->dnsd = dnsd;
    reports->loop = loop;
    reports->silence.fire = on_silence;
    reports->tick.fire = on_tick;
    reports->turn.fire = on_turn;
    reports->change.run = on_change;
    reports->health = dnsd_health_new(loop, dnsd->seed, on_health, reports);
    dnsd_facts_init(&reports->facts, dnsd->seed);
    reports->facts.on_health = on_found;
    reports->facts.on_proof = on_proof;
    reports->facts.on_latency = on_latency;
    reports->facts.owner = reports;
    reports->probe = dnsd_probe_new(reports, loop, dnsd->seed);
    int error = 0;
    if (dnsd->sockets.reports >= 0) {
        reports->receiver = status_receiver_new(dnsd->crypto, &dnsd->private_key, loop_now_ns(loop),
                                                on_event, reports);
        reports->watch = (struct loop_watch){.fd = dnsd->sockets.reports, .ready = on_datagrams};
        error = loop_watch_set(loop, &reports->watch, EPOLLIN);
    }
    struct dnsd_data *data = dnsd->first;
    dnsd->first = NULL;
    dnsd_reports_take(reports, data);
    loop_timer_start(loop, &reports->tick, loop_now_ns(loop) + tick_ns);
    loop_timer_start(loop, &reports->turn, loop_now_ns(loop) + DIRECTOR_TICK_NS);
    if (error < 0)
        dnsd_reports_stop(started);
    return error;
}

void dnsd_reports_stop(struct dnsd_reports **owned)
{
    struct dnsd_reports *reports = *owned;
    *owned = NULL;
    if (!reports)
        return;
    loop_timer_stop(reports->loop, &reports->tick);
    loop_timer_stop(reports->loop, &reports->turn);
    loop_timer_stop(reports->loop, &reports->silence);
    if (reports->receiver)
        loop_watch_remove(reports->loop, &reports->watch);
    status_receiver_free(&reports->receiver); /* may tell of edges that it drops */
    dnsd_health_free(&reports->health);
    dnsd_probe_free(&reports->probe);
    loop_task_cancel(reports->loop, &reports->change);
    for (size_t i = 0; i < reports->word_count; i++)
        memory_free(reports->words[i].edge);
    memory_free(reports->words);
    memory_free(reports->sources);
    dnsd_facts_clear(&reports->facts);
    dnsd_data_release(reports->data);
    memory_free(reports);
}

/* ---- the administrator */

static bool has_edge(const struct dnsd_data *data, const char *name)
{
    for (size_t i = 0; i < data->edge_count; i++)
        if (strcmp(data->edges[i].name, name) == 0)
            return true;
    return false;
}

int dnsd_reports_set(struct dnsd_reports *reports, const char *edge, enum dnsd_admin admin)
{
    if (!has_edge(reports->data, edge))
        return ERROR_NOT_FOUND;
    size_t at = 0;
    while (at < reports->word_count && strcmp(reports->words[at].edge, edge) != 0)
        at++;
    if (at == reports->word_count) {
        reports->words = memory_resize(reports->words, at + 1, sizeof *reports->words);
        reports->words[reports->word_count++].edge = memory_text(edge, strlen(edge));
    }
    reports->words[at].admin = admin;
    direct(reports, 0);
    return 0;
}

static void write_load(const struct dnsd_reports *reports, enum measure_role role, uint32_t number,
                       struct text *json)
{
    text_add(json, ",\"load\":");
    dnsd_facts_write_load(&reports->facts.nodes[role][number].load, loop_now_ns(reports->loop),
                          json);
}

static void write_edge(const struct dnsd_reports *reports, size_t index, struct text *json)
{
    static const char *const admins[] = {"up", "drain", "down"};
    const struct dnsd_edge *edge = &reports->data->edges[index];
    const struct status_edge *status = status_of(reports, edge);
    text_add(json, index ? ",{\"name\":" : "{\"name\":");
    text_add_json(json, span_text(edge->name));
    text_add_format(json, ",\"state\":\"%s\",\"answers\":\"%s\",\"admin\":\"%s\"",
                    status ? status_edge_state_text(status->state) : "unreported",
                    director_state_text(
                        director_edge_state(reports->data->director, (uint32_t)index)),
                    admins[admin_of(reports, edge->name)]);
    if (status && status->heard_ns)
        text_add_format(json,
                        ",\"heard_ms_ago\":%llu,\"reports\":%llu,\"connections\":%u,"
                        "\"requests_per_s\":%u,\"kept\":%s",
                        (unsigned long long)(loop_now_ns(reports->loop) - status->heard_ns) /
                            1000000,
                        (unsigned long long)status->believed, status->report.connections,
                        status->report.requests_per_s, status->is_kept ? "true" : "false");
    dnsd_health_write(reports->health, (uint32_t)index, json);
    write_load(reports, MEASURE_EDGE, (uint32_t)index, json);
    text_add(json, "}");
}

/* Gateways and content servers: those that can report. */
static void write_reporters(const struct dnsd_reports *reports, enum measure_role role,
                            struct text *json)
{
    bool is_first = true;
    for (size_t i = 0; i < reports->data->reporter_count; i++) {
        const struct dnsd_reporter *reporter = &reports->data->reporters[i];
        const struct status_edge *status = reports->sources[i].status;
        if (reporter->numbers[role] == UINT32_MAX)
            continue;
        text_add(json, is_first ? "{\"name\":" : ",{\"name\":");
        text_add_json(json, span_text(reporter->name));
        text_add_format(json, ",\"state\":\"%s\"",
                        status ? status_edge_state_text(status->state) : "unreported");
        write_load(reports, role, reporter->numbers[role], json);
        text_add(json, "}");
        is_first = false;
    }
}

void dnsd_reports_write(const struct dnsd_reports *reports, struct text *json)
{
    const struct dnsd_data *data = reports->data;
    bool is_open = reports->receiver && status_receiver_is_fail_open(reports->receiver);
    text_add_format(json,
                    "{\"answers\":%llu,\"zones\":%zu,\"names\":%zu,\"fail_open\":%s,"
                    "\"forsaken_sites\":%zu",
                    (unsigned long long)dnsd_counted_answers(), dns_zones_count(data->zones),
                    dns_zones_names(data->zones), is_open ? "true" : "false", reports->forsaken);
    struct maps_figures maps = maps_figures(data->maps->maps);
    text_add_format(json, ",\"maps\":{\"networks\":%u,\"places\":%u,\"bytes\":%llu}", maps.networks,
                    maps.places, (unsigned long long)maps.bytes);
    dnsd_probe_write(reports->probe, json);
    text_add(json, ",\"edges\":[");
    for (size_t i = 0; i < data->edge_count; i++)
        write_edge(reports, i, json);
    text_add(json, "],\"gateways\":[");
    write_reporters(reports, MEASURE_GATEWAY, json);
    text_add(json, "],\"servers\":[");
    write_reporters(reports, MEASURE_SERVER, json);
    text_add_format(json, "],\"latencies\":%zu", latency_table_count(reports->facts.latencies));
    dnsd_keys_write(data->keys, (uint32_t)(clock_wall_ns() / 1000000000), json);
    text_add(json, "}");
}

void dnsd_reports_write_latencies(const struct dnsd_reports *reports, const struct address *client,
                                  struct text *json)
{
    dnsd_facts_write_latencies(&reports->facts, client, loop_now_ns(reports->loop), json);
}

void dnsd_reports_explain(const struct dnsd_reports *reports, const struct dnsd_question *question,
                          struct text *json)
{
    struct director_facts facts = dnsd_facts_view(&reports->facts, loop_now_ns(reports->loop));
    dnsd_explain(reports->data, &facts, question, json);
}
