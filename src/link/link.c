/* SPDX-License-Identifier: Apache-2.0
 *
 * The set of links of a process: which there are, who owns them, what they report.
 */
#include "link/link.h"

#include "base/memory.h"
#include "crypto/crypto.h"
#include "link/driver.h"
#include "link/tcp.h"
#include "observe/observe.h"

struct metric link_packets_foreign =
    METRIC(COUNTER, "causeway_link_packets_foreign_total", "",
           "Datagrams on the link's sockets that belong to no link.");
struct metric link_hello_refused =
    METRIC(COUNTER, "causeway_link_handshakes_refused_total", "",
           "Handshakes of strangers, forged or replayed ones: answered with silence.");
struct metric link_hello_asked =
    METRIC(COUNTER, "causeway_link_cookies_asked_total", "",
           "Handshakes answered by asking for a cookie, because many came at once.");
struct metric link_datagrams_sent =
    METRIC(COUNTER, "causeway_link_batches_sent_total", "", "Datagrams or GSO batches sent.");
struct metric link_datagrams_received = METRIC(COUNTER, "causeway_link_batches_received_total", "",
                                               "Datagrams or GRO batches received.");
struct metric link_send_held = METRIC(COUNTER, "causeway_link_batches_held_total", "",
                                      "Batches held back because the socket's buffer was full.");
struct metric link_send_failed = METRIC(COUNTER, "causeway_link_send_errors_total", "",
                                        "Datagrams that the kernel refused to send.");
struct metric link_forwarded = METRIC(COUNTER, "causeway_link_packets_forwarded_total", "",
                                      "Packets handed to the worker that owns their lane.");
struct metric link_streams_opened =
    METRIC(COUNTER, "causeway_link_streams_opened_total", "", "Streams opened from here.");
struct metric link_streams_accepted =
    METRIC(COUNTER, "causeway_link_streams_accepted_total", "", "Streams opened by peers.");
struct metric link_streams_reset =
    METRIC(COUNTER, "causeway_link_streams_reset_total", "",
           "Streams that ended by a reset of the peer or of the link.");
struct metric link_datagrams_dropped =
    METRIC(COUNTER, "causeway_link_flow_datagrams_dropped_total", "",
           "Datagrams of flows dropped between two workers, because one of them was busy.");
struct metric link_sessions =
    METRIC(COUNTER, "causeway_link_sessions_total", "", "Sessions established.");
struct metric link_outages =
    METRIC(COUNTER, "causeway_link_outages_total", "",
           "Times that nothing passed on any path of a link for a second or more.");

static void register_metrics(void)
{
    rings_register();
    struct metric *all[] = {&link_packets_foreign,    &link_hello_refused,
                            &link_hello_asked,        &link_datagrams_sent,
                            &link_datagrams_received, &link_send_held,
                            &link_send_failed,        &link_forwarded,
                            &link_streams_opened,     &link_streams_accepted,
                            &link_streams_reset,      &link_datagrams_dropped,
                            &link_sessions,           &link_outages};
    // NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        metric_register(all[i]);
    compress_register_metrics();
    carriage_register_metrics();
}

struct link *link_by_slot(struct link_set *set, uint32_t slot)
{
    return slot < set->link_count ? set->links[slot] : NULL;
}

static const struct link_peer *peer_of(const struct link *link)
{
    return snapshot_read(&link->peer);
}

bool link_has_host(const struct link *link, const struct address *address)
{
    const struct link_peer *peer = peer_of(link);
    for (size_t i = 0; i < peer->host_count; i++)
        if (address_same_host(&peer->hosts[i], address))
            return true;
    return false;
}

struct link *link_by_key(struct link_set *set, const uint8_t key[CONF_KEY_BYTES], uint16_t number)
{
    for (uint32_t i = 0; i < set->link_count; i++)
        if (set->links[i]->is_wanted && !set->links[i]->is_dialler &&
            set->links[i]->number == number && memcmp(set->links[i]->key, key, CONF_KEY_BYTES) == 0)
            return set->links[i];
    return NULL;
}

static struct link_peer *peer_new(const struct conf_node *node)
{
    const struct conf_addresses *lists[] = {&node->addresses, &node->link_paths,
                                            &node->link_standby, &node->link_from};
    size_t count = 0;
    for (int i = 0; i < 4; i++)
        count += lists[i]->count;
    struct link_peer *peer = memory_new(sizeof *peer + (count + 1) * sizeof *peer->hosts);
    peer->name = memory_text(node->name, strlen(node->name));
    for (int i = 0; i < 4; i++)
        for (size_t j = 0; j < lists[i]->count; j++)
            peer->hosts[peer->host_count++] = lists[i]->items[j];
    peer->hosts[peer->host_count++] = node->link_address;
    return peer;
}

static void peer_free(void *freed)
{
    struct link_peer *peer = freed;
    memory_free(peer->name);
    memory_free(peer);
}

/* What all lanes of a link have. */
struct wanted {
    const struct conf_node *peer;
    const uint8_t *key;
    const struct address *dial;
    struct link_way ways[TRANSPORT_PATHS];
    size_t way_count;
    bool is_self, is_edge_side, is_dialler;
};

static bool is_it(const struct link *link, const struct wanted *wanted)
{
    const struct link_set *set = link->set;
    return link->is_edge_side == wanted->is_edge_side && link->is_dialler == wanted->is_dialler &&
           memcmp(link->key, wanted->key, CONF_KEY_BYTES) == 0 &&
           (!wanted->is_dialler ||
            (ways_equal(link, wanted->ways, wanted->way_count) &&
             (wanted->is_self || !set->tls ||
              address_equal(&link->dial_tcp, &wanted->peer->link_tcp_address))));
}

static struct link *link_new(struct link_set *set, const struct wanted *wanted, uint8_t number,
                             struct link *head)
{
    struct link *link = NEW(struct link);
    link->set = set;
    link->number = number;
    link->head = head ? head : link;
    atomic_init(&link->peer, peer_new(wanted->peer));
    memcpy(link->key, wanted->key, CONF_KEY_BYTES);
    link->is_self = wanted->is_self;
    link->is_edge_side = wanted->is_edge_side;
    link->is_dialler = wanted->is_dialler;
    link->is_named = true;
    link->is_wanted = true;
    link->dial = *wanted->dial;
    memcpy(link->ways, wanted->ways, sizeof link->ways);
    link->way_count = wanted->way_count;
    memcpy(link->weights, wanted->peer->link_weights, CONF_RINGS);
    if (set->tls && !wanted->is_self)
        link->dial_tcp = wanted->peer->link_tcp_address;
    link->slot = set->link_count;
    link->owner =
        (uint32_t)(hash_span(span_of(link->key, CONF_KEY_BYTES), 0) % set->options.workers);
    pthread_mutex_init(&link->facts_lock, NULL);
    if (!head) {
        atomic_init(&link->recent, link);
        link->history = history_new();
        link->gauges = gauges_new(link);
    }
    set->links[link->slot] = link;
    atomic_fetch_add_explicit(&set->link_count, 1, memory_order_release);
    return link;
}

/* A dialler has the lane of its own process, the other end one for each that may dial. */
static int want_link(struct link_set *set, const struct conf *conf, const struct conf_node *peer,
                     bool is_edge_side, bool is_dialler)
{
    bool is_self = peer == conf->self, is_known = false;
    struct wanted wanted = {.peer = peer,
                            .key = !is_self       ? peer->public_key
                                   : is_edge_side ? set->options.public_key
                                                  : set->self_public_key.bytes,
                            .dial = is_self && !peer->link_address.family ? &set->local_address
                                                                          : &peer->link_address,
                            .is_self = is_self,
                            .is_edge_side = is_edge_side,
                            .is_dialler = is_dialler};
    wanted.way_count = ways_read(peer, wanted.dial, wanted.ways);
    for (uint32_t i = 0; i < set->link_count; i++) {
        struct link *known = set->links[i];
        if (!is_it(known, &wanted))
            continue;
        is_known = known->is_named = true; /* wanted from when all is read */
        memcpy(known->weights, peer->link_weights, CONF_RINGS);
        snapshot_publish(&known->peer, peer_new(peer), peer_free);
    }
    if (is_known)
        return 0;
    uint32_t lanes = is_dialler ? 1 : LANES;
    if (set->link_count + lanes > LINKS_LIMIT)
        return ERROR_LIMIT;
    struct link *head = NULL;
    for (uint8_t i = 0; i < lanes; i++) {
        struct link *link = link_new(set, &wanted, is_dialler ? set->options.generation : i, head);
        head = head ? head : link;
    }
    return 0;
}

static bool has_node(const struct conf_node **nodes, size_t count, const struct conf_node *node)
{
    for (size_t i = 0; i < count; i++)
        if (nodes[i] == node)
            return true;
    return false;
}

/* Between an edge and a gateway that it uses: the gateway dials when its `dial` list says so, else the edge.
 * ERROR_LIMIT: for some there was no room; all others are named. */
static int want_links(struct link_set *set, const struct conf *conf)
{
    const struct conf_node *self = conf->self;
    bool is_full = false;
    for (size_t i = 0; self->edge && i < self->edge->gateway_count; i++) {
        const struct conf_node *peer = self->edge->gateways[i];
        is_full |= want_link(set, conf, peer, true,
                             !has_node(peer->gateway->dial, peer->gateway->dial_count, self)) < 0;
    }
    for (size_t i = 0; self->gateway && i < conf->node_count; i++) {
        const struct conf_node *peer = &conf->nodes[i];
        if (peer->edge && has_node(peer->edge->gateways, peer->edge->gateway_count, self))
            is_full |=
                want_link(set, conf, peer, false,
                          has_node(self->gateway->dial, self->gateway->dial_count, peer)) < 0;
    }
    return is_full ? ERROR_LIMIT : 0;
}

static struct offload try_offload(const struct link_set *set, uint8_t family)
{
    if (!set->settings.offload)
        return (struct offload){OFFLOAD_CUT_NONE, .joins = false};
    struct offload offload = offload_probe(family);
    log_info("link", "IPv%u batches are sent %s, received %s", family, offload_text(offload.cut),
             offload.joins ? "joined" : "one by one");
    if (offload.cut == OFFLOAD_CUT_ODD_TAIL)
        log_notice("link",
                   "this kernel corrupts UDP batches whose segments are all of one length: an odd "
                   "byte goes behind them");
    return offload;
}

static void try_offloads(struct link_set *set)
{
    set->offload_v4 = try_offload(set, 4);
    set->offload_v6 = try_offload(set, 6);
}

int link_set_new(struct link_set **made, const struct link_options *options)
{
    struct link_set *set = NEW(struct link_set);
    register_metrics();
    set->options = *options;
    set->options.conf = NULL; /* the snapshot may go; what is needed of it is copied */
    set->settings = options->conf->link;
    const struct conf_addresses *from = &options->conf->self->link_from;
    for (size_t i = 0; i < from->count && i < TRANSPORT_PATHS; i++)
        set->from[set->from_count++] = from->items[i];
    weights_follow_sites(set, options->conf);
    crypto_hkdf_expand(crypto_openssl(), options->private_key,
                       SPAN("causeway edge of this gateway"), set->self_private_key.bytes,
                       KEY_BYTES);
    crypto_openssl()->public_key(crypto_openssl(), &set->self_private_key, &set->self_public_key);
    // NOLINTNEXTLINE(bugprone-sizeof-expression): tables of pointers
    set->drivers = memory_new(options->workers * sizeof *set->drivers);
    // NOLINTNEXTLINE(bugprone-sizeof-expression)
    set->links = memory_new(LINKS_LIMIT * sizeof *set->links);
    try_offloads(set);
    set->tls = set->settings.tcp ? link_tls_new() : NULL;
    int result = local_open(set, options->conf->self);
    if (result == 0)
        result = want_links(set, options->conf);
    if (result < 0) {
        link_set_free(&set);
        return result;
    }
    *made = set;
    return 0;
}

static void follow(struct worker *worker, void *argument)
{
    struct link_set *set = argument;
    struct driver *driver = set->drivers[worker_id(worker)];
    for (uint32_t i = 0; driver && i < set->link_count; i++) {
        struct link *link = set->links[i];
        if (link->owner != worker_id(worker))
            continue;
        if (link->is_wanted && link->lane)
            lane_configure(link->lane);
        else if (link->is_wanted && link == link->head)
            lane_new(driver, link);
        else if (!link->is_wanted)
            lane_free(&link->lane);
    }
}

int link_set_reload(struct link_set *set, struct worker_set *workers, const struct conf *conf)
{
    set->settings = conf->link;
    weights_follow_sites(set, conf);
    for (uint32_t i = 0; i < set->link_count; i++)
        set->links[i]->is_named = false;
    int result = want_links(set, conf);
    /* Workers look at them all the while: a link that stays must not seem to be away for a moment. One that is no longer
     * listed goes whether or not there was room for all new ones: its key may have been taken away for cause. */
    for (uint32_t i = 0; i < set->link_count; i++)
        set->links[i]->is_wanted = set->links[i]->is_named;
    workers_run_on_all(workers, follow, set);
    return result;
}

void link_set_free(struct link_set **freed)
{
    struct link_set *set = *freed;
    if (!set)
        return;
    *freed = NULL;
    for (uint32_t i = 0; i < set->link_count; i++) {
        pthread_mutex_destroy(&set->links[i]->facts_lock);
        history_free(&set->links[i]->history);
        peer_free(atomic_load(&set->links[i]->peer));
        memory_free(set->links[i]);
    }
    memory_free(set->links);
    memory_free(set->site_weights);
    local_close(set);
    link_tls_free(&set->tls);
    bytes_wipe(&set->self_private_key, sizeof set->self_private_key);
    bytes_wipe(&set->options, sizeof set->options);
    memory_free((void *)set->drivers);
    memory_free(set);
}

int link_set_start(struct link_set *set, struct worker *worker)
{
    struct driver *driver = NEW(struct driver);
    driver->set = set;
    driver->worker = worker;
    driver->loop = worker_loop(worker);
    driver->receive_buffers = memory_raw((size_t)RECEIVE_BATCH * RECEIVE_BUFFER_BYTES);
    driver->send_buffers = memory_raw((size_t)SEND_BATCH * SEND_BUFFER_BYTES);
    driver->listener =
        transport_listener_new(crypto_openssl(), set->options.private_key, clock_now_ns());
    list_init(&driver->carriages);
    compress_start(driver);
    set->drivers[worker_id(worker)] = driver;
    int result = driver_open_sockets(driver);
    if (result == 0 && set->tls)
        result = carriage_listen(driver);
    for (uint32_t i = 0; i < set->link_count && result == 0; i++)
        if (set->links[i]->owner == worker_id(worker) && set->links[i] == set->links[i]->head)
            lane_new(driver, set->links[i]);
    if (result < 0)
        link_set_stop(set, worker);
    return result;
}

void link_set_stop(struct link_set *set, struct worker *worker)
{
    struct driver *driver = set->drivers[worker_id(worker)];
    if (!driver)
        return;
    for (uint32_t i = 0; i < set->link_count; i++)
        if (set->links[i]->owner == worker_id(worker))
            lane_free(&set->links[i]->lane);
    carriage_close_listeners(driver);
    driver_close_sockets(driver);
    transport_listener_free(&driver->listener);
    set->drivers[worker_id(worker)] = NULL;
    compressor_free(&driver->compressor);
    memory_free(driver->receive_buffers);
    memory_free(driver->send_buffers);
    memory_free(driver);
}

struct link *link_to_gateway(struct link_set *set, const uint8_t key[CONF_KEY_BYTES])
{
    for (uint32_t i = 0; i < set->link_count; i++) {
        struct link *link = set->links[i];
        if (link->is_wanted && link->is_edge_side && link == link->head &&
            memcmp(link->key, key, CONF_KEY_BYTES) == 0)
            return atomic_load_explicit(&link->recent, memory_order_acquire);
    }
    return NULL;
}

bool link_is_shown(const struct link *link)
{
    return link->is_wanted &&
           (atomic_load_explicit(&link->has_session, memory_order_relaxed) ||
            atomic_load_explicit(&link->head->recent, memory_order_relaxed) == link);
}

static void leave(struct worker *worker, void *argument)
{
    struct link_set *set = argument;
    struct driver *driver = set->drivers[worker_id(worker)];
    if (driver && !set->local_count) /* else this process alone has them */
        driver_leave_sockets(driver);
}

void link_set_leave(struct link_set *set, struct worker_set *workers)
{
    workers_run_on_all(workers, leave, set);
}

size_t link_set_count(const struct link_set *set)
{
    return set->link_count;
}

struct link *link_set_get(struct link_set *set, size_t index)
{
    return set->links[index];
}

bool link_is_self(const struct link *link)
{
    return link->is_self;
}

bool link_is_to_gateway(const struct link *link)
{
    return link->is_edge_side;
}

const char *link_peer_name(const struct link *link)
{
    return peer_of(link)->name;
}

const uint8_t *link_peer_key(const struct link *link)
{
    return link->key;
}

bool link_is_up(const struct link *link)
{
    return atomic_load_explicit(&link->is_up, memory_order_acquire);
}

static bool has_feature(const struct link *link, uint32_t feature)
{
    return atomic_load_explicit(&link->features, memory_order_relaxed) & feature;
}

bool link_packs(const struct link *link)
{
    return has_feature(link, TRANSPORT_FEATURE_PACKED);
}

bool link_hears_times(const struct link *link)
{
    return has_feature(link, TRANSPORT_FEATURE_TIMES);
}

bool link_has_purges(const struct link *link)
{
    return has_feature(link, TRANSPORT_FEATURE_PURGES);
}

bool link_has_loads(const struct link *link)
{
    return has_feature(link, TRANSPORT_FEATURE_LOADS);
}

bool link_knows_groups(const struct link *link)
{
    return has_feature(link, TRANSPORT_FEATURE_GROUPS);
}

bool link_hears_later(const struct link *link)
{
    return has_feature(link, TRANSPORT_FEATURE_LATER);
}

uint64_t link_ups(const struct link *link)
{
    return atomic_load_explicit(&link->ups, memory_order_relaxed);
}

struct link_quality link_read_quality(const struct link *link)
{
    return (struct link_quality){
        .is_up = link_is_up(link),
        .is_doubted = atomic_load_explicit(&link->is_doubted, memory_order_relaxed),
        .srtt_us = atomic_load_explicit(&link->srtt_us, memory_order_relaxed),
        .loss_ppm = atomic_load_explicit(&link->loss_ppm, memory_order_relaxed),
        .peer_loss_ppm = atomic_load_explicit(&link->peer_loss_ppm, memory_order_relaxed),
        .packets_known = atomic_load_explicit(&link->packets_known, memory_order_relaxed),
        .packets_lost = atomic_load_explicit(&link->packets_lost, memory_order_relaxed),
        .spare_bytes = atomic_load_explicit(&link->spare_bytes, memory_order_relaxed)};
}
