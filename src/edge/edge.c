/* SPDX-License-Identifier: Apache-2.0
 *
 * Set-up and tear-down of the edge's workers, its administrative state and what it tells of itself.
 */
#include "edge/edge.h"

#include "base/memory.h"
#include "crypto/crypto.h"
#include "edge/buffer.h"
#include "edge/cache/purges.h"
#include "edge/line.h"

#include <errno.h>

struct metric edge_connections =
    METRIC(COUNTER, "causeway_edge_connections_total", "", "Client connections accepted for HTTP.");
struct metric edge_connections_open =
    METRIC(GAUGE, "causeway_edge_connections_open", "", "Client connections open.");
struct metric edge_requests =
    METRIC(COUNTER, "causeway_edge_requests_total", "", "Requests answered or given up.");
struct metric edge_answers[6] = {
    METRIC(COUNTER, "causeway_edge_answers_total", "class=\"none\"", "Answers by class of status."),
    METRIC(COUNTER, "causeway_edge_answers_total", "class=\"1xx\"", "Answers by class of status."),
    METRIC(COUNTER, "causeway_edge_answers_total", "class=\"2xx\"", "Answers by class of status."),
    METRIC(COUNTER, "causeway_edge_answers_total", "class=\"3xx\"", "Answers by class of status."),
    METRIC(COUNTER, "causeway_edge_answers_total", "class=\"4xx\"", "Answers by class of status."),
    METRIC(COUNTER, "causeway_edge_answers_total", "class=\"5xx\"", "Answers by class of status."),
};
struct metric edge_refused =
    METRIC(COUNTER, "causeway_edge_refused_total", "", "Malformed requests.");
struct metric edge_no_gateway = METRIC(COUNTER, "causeway_edge_no_gateway_total", "",
                                       "Requests and connections for which no link was up.");
struct metric edge_unsent =
    METRIC(COUNTER, "causeway_edge_unsent_total", "",
           "Requests that had not left when their link broke, and went over another.");
struct metric edge_unsafe_lost =
    METRIC(COUNTER, "causeway_edge_unsafe_lost_total", "",
           "Requests that may not be repeated, answered 502 because their link stayed broken.");
struct metric edge_moved =
    METRIC(COUNTER, "causeway_edge_moved_total", "",
           "Requests taken from a link on which nothing passed any more, and sent over another.");
struct metric edge_retries =
    METRIC(COUNTER, "causeway_edge_retries_total", "", "Requests sent again over another link.");
struct metric edge_aborted = METRIC(COUNTER, "causeway_edge_aborted_total", "",
                                    "Client connections cut off in the middle of an exchange.");
struct metric edge_ports = METRIC(COUNTER, "causeway_edge_port_connections_total", "",
                                  "Connections passed through undecrypted.");
struct metric edge_ports_open = METRIC(GAUGE, "causeway_edge_port_connections_open", "",
                                       "Connections passed through undecrypted that are open.");
struct metric edge_flows =
    METRIC(COUNTER, "causeway_edge_flows_total", "", "Flows: clients of UDP ports.");
struct metric edge_flows_open =
    METRIC(GAUGE, "causeway_edge_flows_open", "", "Flows that are open.");
struct metric edge_flow_datagrams_in =
    METRIC(COUNTER, "causeway_edge_flow_datagrams_in_total", "", "Datagrams of clients.");
struct metric edge_flow_datagrams_out =
    METRIC(COUNTER, "causeway_edge_flow_datagrams_out_total", "", "Datagrams sent to clients.");
struct metric edge_flow_datagrams_dropped =
    METRIC(COUNTER, "causeway_edge_flow_datagrams_dropped_total", "",
           "Datagrams dropped at the edge: no gateway, or the kernel did not take them.");
struct metric edge_h2_connections = METRIC(COUNTER, "causeway_edge_h2_connections_total", "",
                                           "Client connections that speak HTTP/2.");
struct metric edge_h2_ended[H2_CAUSE_COUNT] = {
#define X(name, code, text)                                                \
    METRIC(COUNTER, "causeway_edge_h2_ended_total", "cause=\"" #name "\"", \
           "HTTP/2 connections that were ended for what the client did, by cause."),
    H2_CAUSE_LIST(X)
#undef X
};
struct metric edge_paused = METRIC(COUNTER, "causeway_edge_accept_pauses_total", "",
                                   "Times that accepting stopped at a limit.");
struct metric edge_bytes_in =
    METRIC(COUNTER, "causeway_edge_body_bytes_in_total", "", "Bytes of request bodies.");
struct metric edge_bytes_out =
    METRIC(COUNTER, "causeway_edge_body_bytes_out_total", "", "Bytes of answer bodies.");
struct metric edge_latency = METRIC(HISTOGRAM, "causeway_edge_request_seconds", "",
                                    "From the first byte of a request to the last of its answer.");

struct metric edge_rtt_samples = METRIC(COUNTER, "causeway_measure_visitor_samples_total", "",
                                        "Round trips of visitors read from the kernel.");
struct metric edge_visitor_rtt = METRIC(HISTOGRAM, "causeway_measure_visitor_rtt_seconds", "",
                                        "Least round trip of a visitor's connection.");

struct metric edge_cache_hits =
    METRIC(COUNTER, "causeway_edge_cache_answers_total", "result=\"hit\"",
           "Answers of sites with a cache, by what became of them.");
struct metric edge_cache_stale =
    METRIC(COUNTER, "causeway_edge_cache_answers_total", "result=\"stale\"",
           "Answers of sites with a cache, by what became of them.");
struct metric edge_cache_validated =
    METRIC(COUNTER, "causeway_edge_cache_answers_total", "result=\"validated\"",
           "Answers of sites with a cache, by what became of them.");
struct metric edge_cache_collapsed =
    METRIC(COUNTER, "causeway_edge_cache_answers_total", "result=\"collapsed\"",
           "Answers of sites with a cache, by what became of them.");
struct metric edge_cache_misses =
    METRIC(COUNTER, "causeway_edge_cache_answers_total", "result=\"miss\"",
           "Answers of sites with a cache, by what became of them.");
struct metric edge_cache_refreshes =
    METRIC(COUNTER, "causeway_edge_cache_refreshes_total", "",
           "Stale answers that were asked for anew behind a client's back.");
struct metric edge_cache_reclassed =
    METRIC(COUNTER, "causeway_edge_cache_reclassed_total", "",
           "Changes of a request's class because others joined it or left, of another class.");
struct metric edge_cache_purges_refused =
    METRIC(COUNTER, "causeway_edge_cache_purges_refused_total", "",
           "Invalidations that had to be given up, too many being on their way.");

static void register_metrics(void)
{
    struct metric *all[] = {&edge_connections,
                            &edge_connections_open,
                            &edge_h2_connections,
                            &edge_requests,
                            &edge_refused,
                            &edge_no_gateway,
                            &edge_retries,
                            &edge_moved,
                            &edge_unsent,
                            &edge_unsafe_lost,
                            &edge_aborted,
                            &edge_ports,
                            &edge_ports_open,
                            &edge_paused,
                            &edge_bytes_in,
                            &edge_bytes_out,
                            &edge_latency,
                            &edge_rtt_samples,
                            &edge_visitor_rtt,
                            &edge_flows,
                            &edge_flows_open,
                            &edge_flow_datagrams_in,
                            &edge_flow_datagrams_out,
                            &edge_flow_datagrams_dropped,
                            &edge_cache_hits,
                            &edge_cache_stale,
                            &edge_cache_validated,
                            &edge_cache_collapsed,
                            &edge_cache_misses,
                            &edge_cache_refreshes,
                            &edge_cache_reclassed,
                            &edge_cache_purges_refused};
    // NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        metric_register(all[i]);
    for (size_t i = 0; i < sizeof edge_answers / sizeof *edge_answers; i++)
        metric_register(&edge_answers[i]);
    for (size_t i = H2_CAUSE_NONE + 1; i < H2_CAUSE_COUNT; i++)
        metric_register(&edge_h2_ended[i]);
    edge_rules_register_metrics();
    edge_classes_register_metrics();
    edge_store_register_metrics();
    edge_trace_register_metrics();
    edge_limits_register_metrics();
    edge_encode_register_metrics();
    edge_slices_register_metrics();
    edge_refresh_register_metrics();
    edge_guard_register_metrics();
    edge_proxied_register_metrics();
    edge_purges_register_metrics();
    edge_loads_register_metrics();
    edge_buffer_register_metrics();
}

static int *copy_descriptors(const int *descriptors, size_t count)
{
    int *copy = memory_new(count * sizeof *copy);
    if (count)
        memcpy(copy, descriptors, count * sizeof *copy);
    return copy;
}

static void copy_listeners(struct edge_listeners *to, const struct edge_listeners *from,
                           uint32_t workers)
{
    *to = *from;
    to->http = copy_descriptors(from->http, from->http_count * workers);
    to->tls = copy_descriptors(from->tls, from->tls_count * workers);
    to->ports = copy_descriptors(from->ports, from->port_count * workers);
}

static void free_listeners(struct edge_listeners *listeners)
{
    memory_free((int *)(uintptr_t)listeners->http);
    memory_free((int *)(uintptr_t)listeners->tls);
    memory_free((int *)(uintptr_t)listeners->ports);
}

static void start_countries(struct edge *edge)
{
    struct text why = {0};
    edge->countries = edge_countries_new();
    if (edge_countries_prepare(edge->countries, conf_current(&edge->options.conf), &why) < 0)
        log_error("edge", "no country of a visitor is known: %s", why.data);
    edge_countries_take(edge->countries);
    text_clear(&why);
}

struct edge *edge_new(const struct edge_options *options)
{
    const struct conf *conf = conf_current(&options->conf);
    const struct conf_edge *settings = conf->self->edge;
    struct edge *edge = NEW(struct edge);
    register_metrics();
    edge_tls_register_metrics();
    edge->options = *options;
    edge->steps = edge_steps;
    copy_listeners(&edge->options.listeners, &options->listeners, options->workers);
    edge->tls = edge_tls_new(conf);
    edge->workers = memory_new(options->workers * sizeof *edge->workers);
    edge->buckets = rules_buckets_new(EDGE_BUCKET_SETS);
    uint64_t rules_seed;
    crypto_openssl()->random(crypto_openssl()->random_state, &rules_seed, sizeof rules_seed);
    edge->shares = edge_shares_new(settings ? settings->connections_limit : 1, ~rules_seed);
    for (uint32_t i = 0; i < options->workers; i++) {
        uint64_t seed;
        edge->workers[i].matcher = rules_matcher_new(rules_seed);
        crypto_openssl()->random(crypto_openssl()->random_state, &seed, sizeof seed);
        edge->workers[i].visitors = edge_visitors_new(seed);
        edge->workers[i].sites = edge_sites_new();
        edge->workers[i].encoding = edge_encoding_new();
    }
    edge->keeper = edge_keeper_new();
    edge_store_open(edge);
    edge->purges = edge_purges_new(edge);
    edge->loads = edge_loads_new(edge);
    edge->lines = edge_lines_new(options->workers);
    start_countries(edge);
    if (settings && settings->access_log) {
        edge->access_log = log_file_open(settings->access_log);
        edge->access_log_is_json = settings->access_log_format == CONF_LOG_JSON;
        if (!edge->access_log)
            log_error("edge", "no access log: %s: %s", settings->access_log, strerror(errno));
    }
    return edge;
}

void edge_free(struct edge **freed)
{
    struct edge *edge = *freed;
    if (!edge)
        return;
    *freed = NULL;
    if (edge->access_log)
        log_file_close(&edge->access_log);
    edge_tls_free(&edge->tls);
    edge_keeper_free(&edge->keeper);
    edge_purges_free(&edge->purges);
    edge_loads_free(&edge->loads);
    edge_store_close(edge);
    free_listeners(&edge->options.listeners);
    for (uint32_t i = 0; i < edge->options.workers; i++) {
        rules_matcher_free(&edge->workers[i].matcher);
        edge_visitors_free(&edge->workers[i].visitors);
        edge_sites_free(&edge->workers[i].sites);
        struct edge_channels *channels = atomic_load(&edge->workers[i].channels);
        edge_channels_free(&channels);
        edge_encoding_free(&edge->workers[i].encoding);
    }
    edge_lines_free(&edge->lines);
    rules_buckets_free(&edge->buckets);
    edge_countries_free(&edge->countries);
    edge_shares_free(&edge->shares);
    memory_free(edge->workers);
    memory_free(edge);
}

static void set_date(struct edge_worker *worker)
{
    http_date_text(clock_wall_ns() / 1000000000, worker->date);
}

static void on_second(struct loop *loop, struct loop_timer *timer)
{
    struct edge_worker *worker = CONTAINER_OF(timer, struct edge_worker, second);
    set_date(worker);
    edge_visitors_second(worker);
    if (worker_id(worker->worker) == 0) {
        edge_tls_second(worker->edge->tls);
        edge_store_second(worker->edge, loop_now_ns(loop));
    }
    loop_timer_start(loop, timer, loop_now_ns(loop) + 1000000000);
}

int edge_start(struct edge *edge, struct worker *worker)
{
    struct edge_worker *own = &edge->workers[worker_id(worker)];
    uint64_t seed;
    own->edge = edge;
    own->worker = worker;
    own->loop = worker_loop(worker);
    own->second.fire = on_second;
    list_init(&own->clients);
    list_init(&own->h2_clients);
    list_init(&own->ports);
    list_init(&own->greetings);
    list_init(&own->proxied);
    list_init(&own->waiting);
    list_init(&own->refreshes);
    list_init(&own->fetches);
    crypto_openssl()->random(crypto_openssl()->random_state, &seed, sizeof seed);
    random_seed(&own->random, seed);
    on_second(own->loop, &own->second);
    edge_store_start(own);
    edge_purges_start(own);
    atomic_store(&own->channels, edge_channels_new(own));
    edge_loads_start(own);
    edge_prefetch_start(own);
    return edge->options.waits ? 0 : edge_listeners_open(own);
}

void edge_stop(struct edge *edge, struct worker *worker)
{
    struct edge_worker *own = &edge->workers[worker_id(worker)];
    if (!own->edge)
        return;
    edge_listeners_close(own);
    edge_clients_abort(own);
    edge_h2_clients_abort(own);
    edge_refreshes_abort(own);
    edge_fetches_abort(own);
    edge_ports_abort(own);
    edge_greetings_abort(own);
    edge_proxied_abort(own);
    edge_flows_abort(own);
    edge_purges_stop(own);
    edge_loads_stop(own);
    edge_channels_stop(own->channels);
    edge_prefetch_stop(own);
    edge_store_stop(own);
    edge_encoding_stop(own);
    edge_keeper_stop(edge->keeper);
    loop_timer_stop(own->loop, &own->second);
    text_clear(&own->log_line);
    own->edge = NULL;
}

static void reopen(struct worker *worker, void *argument)
{
    struct edge *edge = argument;
    struct edge_worker *own = &edge->workers[worker_id(worker)];
    edge_listeners_close(own);
    if (edge_listeners_open(own) < 0)
        log_error("edge", "cannot watch the new listeners: %s", strerror(errno));
    edge_flows_follow(own);
    edge_purges_follow(own);
    edge_loads_follow(own);
    edge_channels_follow(own->channels);
}

void edge_serve(struct edge *edge, struct worker_set *workers)
{
    if (edge->options.waits)
        workers_run_on_all(workers, reopen, edge);
    edge->options.waits = false;
}

int edge_prepare(struct edge *edge, const struct conf *conf, struct text *why)
{
    return edge_countries_prepare(edge->countries, conf, why);
}

void edge_reload(struct edge *edge, struct worker_set *workers,
                 const struct edge_listeners *listeners)
{
    struct edge_listeners old = edge->options.listeners;
    copy_listeners(&edge->options.listeners, listeners, edge->options.workers);
    edge_tls_reload(edge->tls, conf_current(&edge->options.conf));
    edge_countries_take(edge->countries);
    workers_run_on_all(workers, reopen, edge);
    free_listeners(&old);
}

static void drain(struct worker *worker, void *argument)
{
    struct edge *edge = argument;
    struct edge_worker *own = &edge->workers[worker_id(worker)];
    edge_listeners_close(own);
    edge_flows_abort(own);
    if (edge->ends_idle)
        edge_clients_drain(own);
    edge_h2_clients_drain(
        own); /* two GOAWAYs: no request meets a connection that is being closed */
}

void edge_drain(struct edge *edge, struct worker_set *workers, bool keeps_idle)
{
    edge->ends_idle = !keeps_idle;
    atomic_store(&edge->admin, EDGE_DRAIN);
    edge_use_cache_folder(edge, -1);
    workers_run_on_all(workers, drain, edge);
}

bool edge_is_current(const struct edge *edge, struct text *why)
{
    return edge_purges_are_current(edge, why);
}

bool edge_is_drained(const struct edge *edge)
{
    (void)edge;
    return metric_read(&edge_connections_open) == 0 && metric_read(&edge_ports_open) == 0;
}

void edge_set_admin(struct edge *edge, enum edge_admin state)
{
    atomic_store(&edge->admin, state);
}

struct edge_counts edge_read_counts(const struct edge *edge)
{
    return (struct edge_counts){.admin = (enum edge_admin)atomic_load(&edge->admin),
                                .connections = (uint32_t)metric_read(&edge_connections_open),
                                .requests = metric_read(&edge_requests),
                                .bytes = metric_read(&edge_bytes_out)};
}

static void list_sites(const struct edge *edge, struct edge_sites *list[WORKERS_LIMIT])
{
    for (uint32_t i = 0; i < edge->options.workers; i++)
        list[i] = edge->workers[i].sites;
}

bool edge_next_held(const struct edge *edge, size_t *at, struct measure_held *held)
{
    const struct conf *conf = conf_current(&edge->options.conf);
    struct edge_sites *list[WORKERS_LIMIT];
    list_sites(edge, list);
    while (*at < conf->site_count) {
        const struct conf_site *site = &conf->sites[(*at)++];
        if (!site->cache.is_on || !edge_route_serves(conf, site))
            continue;
        held->site = measure_name_id(crypto_openssl(), span_text(site->name));
        held->share = (uint16_t)edge_sites_held(list, edge->options.workers, site->name);
        return true;
    }
    return false;
}

static json_t *sites_status(const struct edge *edge)
{
    struct edge_sites *list[WORKERS_LIMIT];
    list_sites(edge, list);
    return edge_sites_status(list, edge->options.workers, clock_now_ns());
}

json_t *edge_status(struct edge *edge)
{
    static const char *const admin[] = {"up", "drain", "down"};
    const struct {
        const char *name;
        struct metric *metric;
    } rows[] = {
        {"connections", &edge_connections},
        {"connections_open", &edge_connections_open},
        {"h2_connections", &edge_h2_connections},
        {"requests", &edge_requests},
        {"refused", &edge_refused},
        {"no_gateway", &edge_no_gateway},
        {"retries", &edge_retries},
        {"moved", &edge_moved},
        {"unsent", &edge_unsent},
        {"unsafe_lost", &edge_unsafe_lost},
        {"aborted", &edge_aborted},
        {"port_connections", &edge_ports},
        {"port_connections_open", &edge_ports_open},
        {"flows", &edge_flows},
        {"flows_open", &edge_flows_open},
        {"flow_datagrams_in", &edge_flow_datagrams_in},
        {"flow_datagrams_out", &edge_flow_datagrams_out},
        {"flow_datagrams_dropped", &edge_flow_datagrams_dropped},
        {"bytes_in", &edge_bytes_in},
        {"bytes_out", &edge_bytes_out},
    };
    json_t *status = json_pack("{s:s}", "admin", admin[atomic_load(&edge->admin)]);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        json_object_set_new(status, rows[i].name,
                            json_integer((json_int_t)metric_read(rows[i].metric)));
    json_object_set_new(status, "access_log_lost",
                        json_integer(
                            edge->access_log ? (json_int_t)log_file_dropped(edge->access_log) : 0));
    json_object_set_new(status, "p50_ms",
                        json_real((double)metric_quantile_ns(&edge_latency, 0.5) / 1e6));
    json_object_set_new(status, "p99_ms",
                        json_real((double)metric_quantile_ns(&edge_latency, 0.99) / 1e6));
    json_object_set_new(status, "timeouts", edge_timeouts_status());
    edge_guard_status(status);
    json_object_set_new(status, "certificates", edge_tls_status(edge->tls));
    json_object_set_new(status, "cache", edge_store_status(edge));
    json_object_set_new(status, "encode", edge_encode_status());
    json_object_set_new(status, "session_classes", edge_classes_status());
    json_object_set_new(status, "purges", edge_purges_status(edge));
    json_object_set_new(status, "channels", edge_routes_status(edge));
    json_object_set_new(status, "traces", edge_trace_status());
    json_object_set_new(status, "sites", sites_status(edge));
    return status;
}
