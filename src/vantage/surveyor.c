/* SPDX-License-Identifier: Apache-2.0
 *
 * Measures round trips when a DNS node asks (H3). The DNS nodes keep the cluster's rate; this end has bounds of its own, so that not
 * even a DNS node that somebody broke into makes this one a nuisance: the opt-out list, one measurement for each network in most of
 * an interval, so many at once.
 */
#include "vantage/private.h"

#include "base/hash.h"
#include "base/memory.h"

enum {
    SLOTS = 16384
}; /* networks lately measured; a newcomer to a slot that is taken is refused */

struct surveyor {
    const struct vantage_options *options;
    struct pinger *pinger;
    struct prefix_tree *opt_out;
    bool is_on;
    uint64_t seed;
    uint64_t pause_ns; /* between two measurements of a network */
    uint64_t busy_until_ns[SLOTS];
};

static struct metric taken =
    METRIC(COUNTER, "causeway_probe_requests_total", "result=\"taken\"",
           "Requests of DNS nodes to measure a round trip, and what became of them.");
static struct metric opted_out =
    METRIC(COUNTER, "causeway_probe_requests_total", "result=\"opted out\"",
           "Requests of DNS nodes to measure a round trip, and what became of them.");
static struct metric too_often =
    METRIC(COUNTER, "causeway_probe_requests_total", "result=\"too often\"",
           "Requests of DNS nodes to measure a round trip, and what became of them.");
static struct metric too_many =
    METRIC(COUNTER, "causeway_probe_requests_total", "result=\"too many\"",
           "Requests of DNS nodes to measure a round trip, and what became of them.");

void surveyor_metrics_register(void)
{
    metric_register(&taken);
    metric_register(&opted_out);
    metric_register(&too_often);
    metric_register(&too_many);
}

static void on_done(void *owner, const struct ping_result *result)
{
    struct surveyor *surveyor = owner;
    const struct measure_item item = {
        .kind = MEASURE_LATENCY,
        .latency = {.client = result->host,
                    .source = LATENCY_PROBE,
                    .is_silent = result->is_silent,
                    .samples = (uint16_t)(result->is_silent ? result->sent : result->answered),
                    .rtt_us = result->rtt_us}};
    (void)agent_tell(surveyor->options->agent, &item); /* counted there */
    char host[ADDRESS_TEXT_BYTES];
    log_debug("probe", "round trip host=%s by=%s answered=%u sent=%u ms=%.1f",
              address_text(&result->host, false, host),
              result->is_silent             ? "none"
              : result->method == PING_ICMP ? "icmp"
                                            : "tcp",
              result->answered, result->sent, result->rtt_us / 1e3);
}

static struct ping_settings settings_of(const struct conf_probe *probe)
{
    struct ping_settings settings = {.echoes = probe->echoes,
                                     .gap_ns = probe->gap_ns,
                                     .timeout_ns = probe->timeout_ns};
    for (size_t i = 0; i < probe->port_count && i < PING_PORTS_LIMIT; i++)
        settings.ports[settings.port_count++] = probe->ports[i];
    return settings;
}

void surveyor_reload(struct surveyor *surveyor)
{
    const struct conf *conf = vantage_conf(surveyor->options);
    const struct conf_probe *probe = conf->probe;
    prefix_tree_free(surveyor->opt_out);
    surveyor->opt_out = prefix_tree_new();
    surveyor->is_on = probe && conf->self->edge;
    if (!surveyor->is_on) {
        pinger_close_icmp(surveyor->pinger);
        return;
    }
    pinger_open_icmp(surveyor->pinger, surveyor->options->echo_fds);
    if (!pinger_has_icmp(surveyor->pinger, 4))
        log_notice("probe", "no ICMP socket: round trips are measured by TCP alone "
                            "(net.ipv4.ping_group_range, or start as root)");
    for (size_t i = 0; i < probe->opt_out.count; i++)
        prefix_tree_put(surveyor->opt_out, &probe->opt_out.items[i], 1);
    prefix_tree_seal(surveyor->opt_out);
    struct ping_settings settings = settings_of(probe);
    pinger_configure(surveyor->pinger, &settings);
    surveyor->pause_ns =
        probe->interval_ns - probe->interval_ns / 16; /* clocks, and the way here */
}

struct surveyor *surveyor_new(const struct vantage_options *options, uint64_t seed)
{
    struct surveyor *surveyor = NEW(struct surveyor);
    surveyor->options = options;
    surveyor->seed = seed;
    struct pinger_options pinger = {
        .loop = options->loop, .seed = seed, .done = on_done, .owner = surveyor};
    surveyor->pinger = pinger_new(&pinger);
    surveyor_reload(surveyor);
    return surveyor;
}

void surveyor_free(struct surveyor **freed)
{
    struct surveyor *surveyor = *freed;
    *freed = NULL;
    if (!surveyor)
        return;
    pinger_free(&surveyor->pinger);
    prefix_tree_free(surveyor->opt_out);
    memory_free(surveyor);
}

void surveyor_take(struct surveyor *surveyor, const struct address *host)
{
    uint64_t now_ns = clock_now_ns();
    struct network network = latency_network(host);
    uint64_t hash = hash_span(span_of(&network.address, sizeof network.address), surveyor->seed);
    uint64_t *busy_until_ns = &surveyor->busy_until_ns[hash % SLOTS];
    if (!surveyor->is_on || !probe_may(surveyor->opt_out, host)) {
        metric_add(&opted_out, 1);
        return;
    }
    if (*busy_until_ns > now_ns) {
        metric_add(&too_often, 1);
        return;
    }
    if (pinger_measure(surveyor->pinger, host) < 0) {
        metric_add(&too_many, 1);
        return;
    }
    *busy_until_ns = now_ns + surveyor->pause_ns;
    metric_add(&taken, 1);
}

json_t *surveyor_status(const struct surveyor *surveyor)
{
    return json_pack("{s:b,s:b,s:b,s:I,s:I,s:I,s:I}", "on", surveyor->is_on, "icmp",
                     pinger_has_icmp(surveyor->pinger, 4), "icmpv6",
                     pinger_has_icmp(surveyor->pinger, 6), "taken", (json_int_t)metric_read(&taken),
                     "opted_out", (json_int_t)metric_read(&opted_out), "too_often",
                     (json_int_t)metric_read(&too_often), "too_many",
                     (json_int_t)metric_read(&too_many));
}
