/* SPDX-License-Identifier: Apache-2.0
 *
 * The arbiter of probes (H3): which client networks are measured, when and from which edges. The DNS nodes share the networks by their
 * hash; each asks the others a DNS query now and then, so that the networks of one that is gone are not left alone. What comes
 * back is in the director's tables already.
 */
#include "dnsd/private.h"

#include "base/memory.h"
#include "probe/probe.h"

enum { NETWORKS = 1 << 16 };
#define TURN_NS    (50ull * 1000000)
#define PEER_NS    (1000ull * 1000000) /* between two queries to another DNS node */
#define PEER_FALLS 10                  /* in a row: it is gone */
#define PEER_WAITS (500ull * 1000000)

/* Another DNS node. */
struct peer {
    struct check_target target;
    struct dnsd_probe *probe;
    uint64_t id;
};

struct dnsd_probe {
    struct dnsd_reports *reports;
    struct loop *loop;
    uint64_t seed, own;
    struct dnsd_data *data;
    struct probe_schedule *schedule; /* NULL: nobody is probed, and nobody was */
    struct checker checker;
    struct check_question question;
    struct peer *peers;
    size_t peer_count;
    struct loop_timer timer;
    struct probe_counters counted;
    struct { /* while candidates are chosen */
        uint32_t edge, distance;
    } nearest[PROBE_CANDIDATES_LIMIT];
};

static const struct health_settings peer_settings = {.interval_ns = PEER_NS,
                                                     .fast_ns = PEER_NS / 4,
                                                     .timeout_ns = PEER_WAITS,
                                                     .rise = 1,
                                                     .fall = PEER_FALLS};

static struct metric seen =
    METRIC(COUNTER, "causeway_dns_probe_hosts_seen_total", "", "Hosts that edges told of.");
static struct metric skipped = METRIC(COUNTER, "causeway_dns_probe_hosts_skipped_total", "",
                                      "Hosts of networks that are not to be probed.");
static struct metric full = METRIC(COUNTER, "causeway_dns_probe_hosts_full_total", "",
                                   "Hosts of networks for which there was no room.");
static struct metric rounds = METRIC(COUNTER, "causeway_dns_probe_rounds_total", "",
                                     "Rounds of probes that were asked of edges.");
static struct metric orders = METRIC(COUNTER, "causeway_dns_probe_orders_total", "",
                                     "Measurements that were asked of edges in them.");
static struct metric networks =
    METRIC(GAUGE, "causeway_dns_probe_networks", "", "Client networks that may be probed.");

void dnsd_probe_metrics_register(void)
{
    struct metric *all[] = {&seen, &skipped, &full, &rounds, &orders, &networks};
    // NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        metric_register(all[i]);
}

/* ---- who shares */

static void share(struct dnsd_probe *probe)
{
    uint64_t nodes[PROBE_NODES_LIMIT] = {probe->own};
    size_t count = 1;
    for (size_t i = 0; i < probe->peer_count && count < PROBE_NODES_LIMIT; i++)
        if (probe->peers[i].target.health.state != HEALTH_DOWN)
            nodes[count++] = probe->peers[i].id;
    if (probe->schedule)
        probe_schedule_share(probe->schedule, probe->own, nodes, count, loop_now_ns(probe->loop));
}

static void on_peer(struct check_target *target, bool has_changed)
{
    struct peer *peer = CONTAINER_OF(target, struct peer, target);
    if (has_changed && target->health.state == HEALTH_DOWN)
        log_warning("dns", "a DNS node does not answer: its client networks are probed from here");
    if (has_changed)
        share(peer->probe);
}

static void stop_peers(struct dnsd_probe *probe)
{
    for (size_t i = 0; i < probe->peer_count; i++)
        check_target_stop(&probe->peers[i].target);
    memory_free(probe->peers);
    probe->peers = NULL;
    probe->peer_count = 0;
}

static void start_peers(struct dnsd_probe *probe)
{
    const struct dnsd_probe_plan *plan = &probe->data->probe;
    probe->peers = memory_new(plan->node_count * sizeof *probe->peers);
    probe->question =
        (struct check_question){.kind = CHECK_DNS, .name = plan->name, .type = DNS_SOA};
    for (size_t i = 0; i < plan->node_count; i++) {
        struct peer *peer = &probe->peers[probe->peer_count++];
        peer->probe = probe;
        peer->id = plan->nodes[i].id;
        peer->target.settings = &peer_settings;
        peer->target.question = &probe->question;
        peer->target.address = plan->nodes[i].address;
        peer->target.on_result = on_peer;
        if (plan->name.length)
            check_target_start(&peer->target, &probe->checker);
    }
}

/* ---- rounds */

static uint32_t distance_of(const struct dnsd_probe *probe, uint32_t edge, uint32_t region)
{
    const struct dnsd_probe_plan *plan = &probe->data->probe;
    return maps_region_distance(probe->data->maps->maps, plan->edge_regions[edge], region);
}

/* Keeps the nearest, in order. */
static size_t insert(struct dnsd_probe *probe, size_t count, uint32_t edge, uint32_t distance)
{
    size_t at = count;
    while (at > 0 && probe->nearest[at - 1].distance > distance)
        at--;
    if (at == PROBE_CANDIDATES_LIMIT)
        return count;
    size_t last = count < PROBE_CANDIDATES_LIMIT ? count : PROBE_CANDIDATES_LIMIT - 1;
    memmove(&probe->nearest[at + 1], &probe->nearest[at], (last - at) * sizeof *probe->nearest);
    probe->nearest[at].edge = edge;
    probe->nearest[at].distance = distance;
    return last + 1;
}

/* The nearest by the map, of those that clients may be sent to. */
static size_t find_candidates(void *argument, const struct address *host,
                              uint32_t edges[PROBE_CANDIDATES_LIMIT])
{
    struct dnsd_probe *probe = argument;
    const struct maps *maps = probe->data->maps->maps;
    uint32_t region = maps_place(maps, maps_find(maps, host, NULL))->region;
    size_t count = 0;
    for (uint32_t i = 0; i < probe->data->edge_count; i++)
        if (dnsd_reports_is_usable(probe->reports, i))
            count = insert(probe, count, i, distance_of(probe, i, region));
    for (size_t i = 0; i < count; i++)
        edges[i] = probe->nearest[i].edge;
    return count;
}

static void send_order(struct dnsd_probe *probe, const struct probe_order *order)
{
    const struct measure_item item = {.kind = MEASURE_PROBE, .probe = order->host};
    for (uint32_t i = 0; i < order->edge_count; i++) {
        const struct dnsd_edge *edge = &probe->data->edges[order->edges[i]];
        struct measure_message message = {0};
        if (edge->reporter == UINT32_MAX || !measure_put(&message, &item))
            continue;
        (void)dnsd_reports_request(probe->reports, &probe->data->reporters[edge->reporter],
                                   &message); /* lost: the next round is in a minute */
    }
}

static void count(struct dnsd_probe *probe)
{
    const struct probe_counters *now = probe_schedule_counters(probe->schedule);
    struct probe_counters *before = &probe->counted;
    metric_add(&seen, now->seen - before->seen);
    metric_add(&skipped, now->opted_out + now->unfit - before->opted_out - before->unfit);
    metric_add(&full, now->full - before->full);
    metric_add(&rounds, now->rounds - before->rounds);
    metric_add(&orders, now->orders - before->orders);
    metric_set(&networks, probe_schedule_count(probe->schedule));
    *before = *now;
}

static void on_turn(struct loop *loop, struct loop_timer *timer)
{
    struct dnsd_probe *probe = CONTAINER_OF(timer, struct dnsd_probe, timer);
    const struct probe_source source = {find_candidates, probe,
                                        dnsd_reports_facts(probe->reports)->latencies};
    struct probe_order order;
    while (probe_schedule_next(probe->schedule, &source, loop_now_ns(loop), &order))
        send_order(probe, &order);
    count(probe);
    loop_timer_start(loop, timer, loop_now_ns(loop) + TURN_NS);
}

void dnsd_probe_seen(struct dnsd_probe *probe, const struct address *host)
{
    if (probe->data && probe->data->probe.is_on)
        probe_schedule_seen(probe->schedule, host, loop_now_ns(probe->loop));
}

/* ---- life */

struct dnsd_probe *dnsd_probe_new(struct dnsd_reports *reports, struct loop *loop, uint64_t seed)
{
    struct dnsd_probe *probe = NEW(struct dnsd_probe);
    probe->reports = reports;
    probe->loop = loop;
    probe->seed = seed;
    probe->timer.fire = on_turn;
    checker_init(&probe->checker, loop, seed);
    return probe;
}

/* The schedule outlives a reload, and a time without probes: it knows when each network was probed last. */
void dnsd_probe_take(struct dnsd_probe *probe, struct dnsd_data *data)
{
    struct dnsd_data *former = probe->data;
    probe->data = data;
    stop_peers(probe);
    loop_timer_stop(probe->loop, &probe->timer);
    if (data) {
        atomic_fetch_add(&data->references, 1);
        probe->own = data->probe.own;
    }
    if (data && data->probe.is_on) {
        uint64_t now_ns = loop_now_ns(probe->loop);
        if (!probe->schedule)
            probe->schedule =
                probe_schedule_new(&data->probe.settings, NETWORKS, probe->seed, now_ns);
        probe_schedule_configure(probe->schedule, &data->probe.settings, data->probe.opt_out);
        start_peers(probe);
        share(probe);
        loop_timer_start(probe->loop, &probe->timer, now_ns + TURN_NS);
    }
    dnsd_data_release(former);
}

void dnsd_probe_free(struct dnsd_probe **freed)
{
    struct dnsd_probe *probe = *freed;
    *freed = NULL;
    if (!probe)
        return;
    dnsd_probe_take(probe, NULL);
    probe_schedule_free(&probe->schedule);
    memory_free(probe);
}

void dnsd_probe_write(const struct dnsd_probe *probe, struct text *json)
{
    if (!probe->schedule)
        return;
    const struct probe_counters *counters = probe_schedule_counters(probe->schedule);
    size_t sharing = 1;
    for (size_t i = 0; i < probe->peer_count; i++)
        sharing += probe->peers[i].target.health.state != HEALTH_DOWN;
    text_add_format(json,
                    ",\"probes\":{\"on\":%s,\"networks\":%zu,\"sharing_nodes\":%zu,\"rounds\":%llu,"
                    "\"orders\":%llu,\"seen\":%llu,\"opted_out\":%llu,\"full\":%llu}",
                    probe->data->probe.is_on ? "true" : "false",
                    probe_schedule_count(probe->schedule), sharing,
                    (unsigned long long)counters->rounds, (unsigned long long)counters->orders,
                    (unsigned long long)counters->seen, (unsigned long long)counters->opted_out,
                    (unsigned long long)counters->full);
}

/* ---- the plan */

static void take_nodes(struct dnsd_probe_plan *plan, const struct conf *conf)
{
    plan->nodes = memory_new(conf->node_count * sizeof *plan->nodes);
    for (size_t i = 0; i < conf->node_count; i++) {
        const struct conf_node *node = &conf->nodes[i];
        struct key key;
        memcpy(key.bytes, node->public_key, sizeof key.bytes);
        uint64_t id = status_node_id(crypto_openssl(), &key);
        if (node == conf->self)
            plan->own = id;
        else if (node->dns && node->dns->reports.family && node->dns->listen.count)
            plan->nodes[plan->node_count++] =
                (struct dnsd_probe_node){id, node->dns->listen.items[0]};
    }
}

void dnsd_probe_plan_init(struct dnsd_probe_plan *plan, const struct conf *conf,
                          const struct maps *maps)
{
    const struct conf_probe *settings = conf->probe;
    size_t edges = 0;
    take_nodes(plan, conf);
    plan->edge_regions = memory_new(conf->node_count * sizeof *plan->edge_regions);
    for (size_t i = 0; i < conf->node_count; i++)
        if (conf->nodes[i].edge)
            plan->edge_regions[edges++] =
                conf->nodes[i].region && maps
                    ? maps_region_number(maps, span_text(conf->nodes[i].region))
                    : MAPS_NO_REGION;
    plan->is_on = settings && conf->self && conf->self->dns;
    if (!settings)
        return;
    plan->settings = (struct probe_settings){.interval_ns = settings->interval_ns,
                                             .refresh_ns = settings->refresh_ns,
                                             .seen_ns = settings->seen_ns,
                                             .rounds_per_s = settings->rounds_per_s,
                                             .vantages = settings->vantages};
    plan->opt_out = prefix_tree_new();
    for (size_t i = 0; i < settings->opt_out.count; i++)
        prefix_tree_put(plan->opt_out, &settings->opt_out.items[i], 1);
    prefix_tree_seal(plan->opt_out);
    if (conf->zone_count)
        (void)!dns_name_parse(span_text(conf->zones[0].name), NULL, &plan->name);
}

void dnsd_probe_plan_clear(struct dnsd_probe_plan *plan)
{
    prefix_tree_free(plan->opt_out);
    memory_free(plan->edge_regions);
    memory_free(plan->nodes);
}
