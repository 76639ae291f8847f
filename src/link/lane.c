/* SPDX-License-Identifier: Apache-2.0
 *
 * A lane: the transport core on its owner's loop. Causes (datagrams, writes, timers) only queue a flush; the flush hands out
 * events, sends what the core has, and sets the next wake.
 */
#include "base/memory.h"
#include "crypto/crypto.h"
#include "link/driver.h"
#include "link/tcp.h"
#include "observe/observe.h"

/* Most messages are smaller: none waits a round trip for credit. */
enum { STREAM_WINDOW_LENT = 256 * 1024 };
#define BRIEF_PERIOD_NS (100ull * 1000000)
/* A peer tells its quality each second, but a process on a busy machine stands still for some. */
#define FORSAKEN_NS (10ull * QUALITY_PERIOD_NS)

/* By which socket a batch goes: the core hands back the place that it was told. */
static struct udp_socket *socket_of(struct lane *lane, const struct transport_transmit *transmit)
{
    INVARIANT(transmit->local < lane->driver->socket_count);
    return &lane->driver->sockets[transmit->local];
}

static bool is_blocked(const struct lane *lane)
{
    return (lane->blocked_by && lane->blocked_by->is_blocked) || carriage_is_blocked(lane);
}

/* What choices between links need at once. */
static void publish_brief(struct lane *lane)
{
    struct link *link = lane->link;
    struct transport_brief brief;
    transport_read_brief(lane->transport, &brief);
    atomic_store_explicit(&link->srtt_us, (uint32_t)(brief.srtt_ns / 1000), memory_order_relaxed);
    atomic_store_explicit(&link->packets_known, brief.packets_known, memory_order_relaxed);
    atomic_store_explicit(&link->packets_lost, brief.packets_lost, memory_order_relaxed);
    atomic_store_explicit(&link->spare_bytes, brief.spare_window_bytes, memory_order_relaxed);
    atomic_store_explicit(&link->is_doubted, brief.is_doubted, memory_order_relaxed);
}

static void publish(struct lane *lane)
{
    struct link *link = lane->link;
    struct transport_facts facts;
    transport_read_facts(lane->transport, &facts);
    facts.streams_open -=
        lane->node_streams < facts.streams_open ? lane->node_streams : facts.streams_open;
    bool is_usable = facts.state == TRANSPORT_STATE_UP && !transport_out_since(lane->transport);
    atomic_store_explicit(&link->features, facts.features, memory_order_relaxed);
    if (is_usable && !atomic_load_explicit(&link->is_up, memory_order_relaxed))
        atomic_fetch_add_explicit(&link->ups, 1, memory_order_relaxed);
    atomic_store_explicit(&link->has_session, facts.state == TRANSPORT_STATE_UP,
                          memory_order_relaxed);
    atomic_store_explicit(&link->is_up, is_usable, memory_order_release);
    publish_brief(lane);
    atomic_store_explicit(&link->peer_loss_ppm, facts.peer_quality.loss_ppm_10s,
                          memory_order_relaxed);
    atomic_store_explicit(&link->loss_ppm, facts.quality.loss_ppm_10s, memory_order_relaxed);
    rings_count(&link->facts, &facts);
    pthread_mutex_lock(&link->facts_lock);
    link->facts = facts;
    link->site_count = transport_read_sites(lane->transport, link->sites, SITES_SHOWN);
    pthread_mutex_unlock(&link->facts_lock);
}

static void hand_out_event(struct lane *lane, const struct transport_event *event)
{
    switch (event->kind) {
    case TRANSPORT_EVENT_UP:
        metric_add(&link_sessions, 1);
        atomic_store_explicit(&lane->link->head->recent, lane->link, memory_order_release);
        publish(lane);
        log_notice("link", "up peer=%s", link_peer_name(lane->link));
        break;
    case TRANSPORT_EVENT_DOWN:
        lane->out_since_ns = 0;
        publish(lane);
        log_warning("link", "down peer=%s reason=\"%s\"", link_peer_name(lane->link),
                    transport_code_text(event->code));
        break;
    case TRANSPORT_EVENT_OPENED:
        stream_opened(lane, event);
        break;
    case TRANSPORT_EVENT_RING:
    case TRANSPORT_EVENT_READABLE:
    case TRANSPORT_EVENT_WRITABLE:
    case TRANSPORT_EVENT_RESET:
    case TRANSPORT_EVENT_DONE:
        stream_event(lane, event);
        break;
    }
}

/* False: what carries it holds back. */
static bool send_one(struct lane *lane, const struct transport_transmit *transmit)
{
    if (transmit->carriage == TRANSPORT_CARRIAGE_TCP)
        return carriage_send(lane, transmit);
    struct udp_socket *socket = socket_of(lane, transmit);
    bool is_taken = udp_send(socket, transmit, 1);
    if (socket->refused_bytes)
        transport_packet_refused(lane->transport, transmit, socket->refused_bytes);
    socket->refused_bytes = 0;
    if (is_taken)
        return true;
    lane->blocked_by = socket;
    return false;
}

static void send_all(struct lane *lane, uint64_t now_ns)
{
    struct transport_transmit transmits[SEND_BATCH];
    size_t count;
    bool is_open = true;
    /* A carriage takes little at once, so that what comes late may still be first. */
    bool has_carriages = !list_is_empty(&lane->carriages);
    size_t batch = has_carriages ? CARRIAGE_BATCHES : SEND_BATCH;
    uint32_t capacity = has_carriages ? CARRIAGE_BATCH_BYTES : SEND_BUFFER_BYTES;
    if (capacity < lane->packet_bytes)
        capacity = lane->packet_bytes;
    do {
        for (size_t i = 0; i < batch; i++)
            transmits[i] = (struct transport_transmit){
                .data = lane->driver->send_buffers + i * SEND_BUFFER_BYTES, .capacity = capacity};
        count = transport_send(lane->transport, now_ns, transmits, batch);
        /* For the core all of them are sent now: behind one that the socket holds it holds the rest, too. */
        for (size_t i = 0; i < count; i++) {
            if (!send_one(lane, &transmits[i]))
                is_open = false;
        }
    } while (is_open && count == batch);
}

/* Says once that nothing passes any more, and that it passes again. */
static void note_outage(struct lane *lane)
{
    uint64_t since_ns = transport_out_since(lane->transport);
    if (!since_ns == !lane->out_since_ns)
        return;
    if (since_ns) {
        metric_add(&link_outages, 1);
        log_warning("link", "out peer=%s: nothing passes; its streams wait",
                    link_peer_name(lane->link));
    } else {
        log_notice("link", "resumed peer=%s", link_peer_name(lane->link));
    }
    lane->out_since_ns = since_ns;
    publish(lane);
}

static void flush(struct loop *loop, struct loop_task *task)
{
    struct lane *lane = CONTAINER_OF(task, struct lane, flush);
    struct transport_event event;
    while (transport_next_event(lane->transport, &event))
        hand_out_event(lane, &event);
    note_outage(lane);
    if (!is_blocked(lane))
        send_all(lane, clock_now_ns());
    uint64_t wake_ns = transport_next_wake(lane->transport);
    if (wake_ns == UINT64_MAX || is_blocked(lane))
        loop_timer_stop(loop, &lane->wake);
    else
        loop_timer_start(loop, &lane->wake, wake_ns);
}

static void on_wake(struct loop *loop, struct loop_timer *timer)
{
    loop_task_queue(loop, &CONTAINER_OF(timer, struct lane, wake)->flush);
}

static bool is_heard(const struct link *link, uint64_t now_ns)
{
    uint64_t heard_ns = link->facts.peer_quality_ns;
    return heard_ns && now_ns - heard_ns <= FORSAKEN_NS;
}

/* Of a process that another one has replaced, and that is not heard of any more while the other is: where neither is, the network is
 * away, and the streams wait. All lanes of a link have one owner. */
static bool is_forsaken(const struct lane *lane, uint64_t now_ns)
{
    const struct link *link = lane->link, *recent = atomic_load(&link->head->recent);
    return !link->is_dialler && recent != link && now_ns - lane->made_ns > FORSAKEN_NS &&
           !is_heard(link, now_ns) && is_heard(recent, now_ns);
}

static void tell(struct link *link, uint64_t now_ns)
{
    struct link *head = link->head;
    pthread_mutex_lock(&head->facts_lock);
    history_add(head->history, &link->facts, now_ns);
    pthread_mutex_unlock(&head->facts_lock);
    if (head->gauges)
        gauges_set(head->gauges, &link->facts);
}

static void on_measure(struct loop *loop, struct loop_timer *timer)
{
    struct lane *lane = CONTAINER_OF(timer, struct lane, measure);
    struct link *link = lane->link;
    loop_timer_start(loop, timer, loop_now_ns(loop) + BRIEF_PERIOD_NS);
    if (loop_now_ns(loop) - lane->measured_ns < QUALITY_PERIOD_NS) {
        publish_brief(lane);
        return;
    }
    lane->measured_ns = loop_now_ns(loop);
    publish(lane);
    if (is_forsaken(lane, loop_now_ns(loop))) {
        lane_free(&link->lane);
        return;
    }
    if (atomic_load(&link->head->recent) == link)
        tell(link, loop_now_ns(loop));
    tracing_run(link, loop_now_ns(loop));
}

void lane_new(struct driver *driver, struct link *link)
{
    const struct link_set *set = driver->set;
    const struct conf_link *settings = &set->settings;
    struct transport_config config;
    transport_config_defaults(&config);
    config.is_initiator = link->is_dialler;
    config.crypto = crypto_openssl();
    config.lane = link->number;
    config.lanes = LANES;
    bool is_self_edge = link->is_self && link->is_edge_side;
    memcpy(config.private_key,
           is_self_edge ? set->self_private_key.bytes : set->options.private_key, KEY_BYTES);
    memcpy(config.public_key, is_self_edge ? set->self_public_key.bytes : set->options.public_key,
           KEY_BYTES);
    memcpy(config.peer_key, link->key, CONF_KEY_BYTES);
    uint64_t now_ns = clock_now_ns();
    config.random_seed = now_ns ^ hash_span(span_of(link->key, CONF_KEY_BYTES), link->slot);
    config.wall_offset_ns = clock_wall_ns() - now_ns;
    config.index_base = index_pack(worker_id(driver->worker), set->options.generation, link->slot);
    config.features = TRANSPORT_FEATURE_PACKED | TRANSPORT_FEATURE_TIMES |
                      TRANSPORT_FEATURE_GROUPS | TRANSPORT_FEATURE_LOADS | TRANSPORT_FEATURE_LATER |
                      (set->options.has_purges ? TRANSPORT_FEATURE_PURGES : 0);
    config.packet_bytes = settings->packet_bytes;
    memcpy(config.weights, link->weights, sizeof config.weights);
    static const enum ecn_codepoint marks[] = {
        [CONF_ECN_OFF] = ECN_NOT_ECT, [CONF_ECN_CLASSIC] = ECN_ECT_0, [CONF_ECN_L4S] = ECN_ECT_1};
    config.ecn = marks[settings->ecn];
    config.hosted_cap = settings->hosted_cap;
    config.window_budget = settings->window_budget_bytes;
    config.stream_window_lent = STREAM_WINDOW_LENT;
    config.keep_alive_ns = settings->keep_alive_ns;
    config.resume_ns = settings->resume_ns;

    struct lane *lane = NEW(struct lane);
    lane->link = link;
    lane->driver = driver;
    lane->made_ns = now_ns;
    lane->packet_bytes = settings->packet_bytes;
    lane->allows_test = settings->allows_test;
    lane->transport = transport_new(&config, now_ns);
    bytes_wipe(&config, sizeof config);
    transport_set_site_weights(lane->transport, set->site_weights, set->site_weight_count);
    lane->wake.fire = on_wake;
    lane->measure.fire = on_measure;
    lane->flush.run = flush;
    list_init(&lane->streams);
    list_init(&lane->carriages);
    link->lane = lane;
    if (link->is_dialler) {
        struct transport_route routes[TRANSPORT_PATHS];
        size_t count = ways_routes(driver, link, routes);
        transport_dial(lane->transport, routes, count, now_ns);
    }
    lane->measured_ns = now_ns;
    loop_timer_start(driver->loop, &lane->measure, now_ns + BRIEF_PERIOD_NS);
    fallback_start(lane);
    lane_wants_flush(lane);
}

struct lane *lane_get(struct driver *driver, struct link *link)
{
    if (!link->lane)
        lane_new(driver, link);
    return link->lane;
}

void lane_configure(struct lane *lane)
{
    const struct link_set *set = lane->driver->set;
    transport_set_weights(lane->transport, lane->link->weights);
    transport_set_site_weights(lane->transport, set->site_weights, set->site_weight_count);
    lane->packet_bytes = set->settings.packet_bytes;
    transport_set_packet_bytes(lane->transport, lane->packet_bytes);
    lane->allows_test = set->settings.allows_test;
}

void lane_free(struct lane **freed)
{
    struct lane *lane = *freed;
    if (!lane)
        return;
    *freed = NULL;
    struct loop *loop = lane->driver->loop;
    stream_lane_lost(lane);
    tracing_stop(lane->link);
    transport_close(lane->transport, TRANSPORT_CODE_SHUTDOWN, clock_now_ns());
    send_all(lane, clock_now_ns());
    fallback_stop(lane);
    carriages_close(lane);
    loop_timer_stop(loop, &lane->wake);
    loop_timer_stop(loop, &lane->measure);
    loop_task_cancel(loop, &lane->flush);
    atomic_store(&lane->link->is_up, false);
    atomic_store(&lane->link->has_session, false);
    rings_count(&lane->link->facts, &(const struct transport_facts){0});
    pthread_mutex_lock(&lane->link->facts_lock);
    lane->link->facts = (struct transport_facts){0};
    lane->link->site_count = 0;
    pthread_mutex_unlock(&lane->link->facts_lock);
    transport_free(&lane->transport);
    memory_free(lane);
}

void lane_receive(struct lane *lane, const struct transport_datagram *datagrams, size_t count)
{
    transport_receive(lane->transport, clock_now_ns(), datagrams, count);
    lane_wants_flush(lane);
}

void lane_accept(struct lane *lane, struct transport_hello **hello,
                 const struct transport_datagram *datagram)
{
    int result = transport_accept(lane->transport, hello, datagram, clock_now_ns());
    if (result < 0) {
        metric_add(&link_hello_refused, 1);
        log_debug("link", "handshake refused peer=%s: %s", link_peer_name(lane->link),
                  error_text(result));
        return;
    }
    lane_wants_flush(lane);
}

void lane_wants_flush(struct lane *lane)
{
    loop_task_queue(lane->driver->loop, &lane->flush);
}

void lane_unblock(struct driver *driver)
{
    for (uint32_t i = 0; i < driver->set->link_count; i++) {
        struct link *link = driver->set->links[i];
        if (link->owner == worker_id(driver->worker) && link->lane)
            lane_wants_flush(link->lane);
    }
}
