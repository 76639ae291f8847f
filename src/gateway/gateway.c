/* SPDX-License-Identifier: Apache-2.0
 *
 * Set-up and tear-down of the gateway's workers, and the door through which streams come in.
 */
#include "gateway/gateway.h"

#include "base/memory.h"
#include "gateway/hedge.h"
#include "gateway/owner/orders.h"
#include "gateway/owner/owner.h"
#include "gateway/purges/purge.h"

#include <stdarg.h>

struct metric gateway_requests =
    METRIC(COUNTER, "causeway_gateway_requests_total", "", "Requests that came over links.");
struct metric gateway_refused = METRIC(COUNTER, "causeway_gateway_refused_total", "",
                                       "Streams that the allow-list does not permit.");
struct metric gateway_ports = METRIC(COUNTER, "causeway_gateway_port_connections_total", "",
                                     "Connections passed through to an origin's port.");
struct metric gateway_bad_requests = METRIC(COUNTER, "causeway_gateway_bad_requests_total", "",
                                            "Requests in malformed message form.");
struct metric gateway_timeouts =
    METRIC(COUNTER, "causeway_gateway_timeouts_total", "",
           "Requests given up because the origin was silent too long.");
struct metric gateway_unreachable = METRIC(COUNTER, "causeway_gateway_unreachable_total", "",
                                           "Requests for which no origin accepted a connection.");
struct metric gateway_full =
    METRIC(COUNTER, "causeway_gateway_full_total", "",
           "Requests, connections and flows refused because every origin was at its limit.");
struct metric gateway_retries = METRIC(COUNTER, "causeway_gateway_retries_total", "",
                                       "Requests sent again on another connection.");
struct metric gateway_connections = METRIC(COUNTER, "causeway_gateway_origin_connections_total", "",
                                           "Connections opened to origins.");
struct metric gateway_connections_reused =
    METRIC(COUNTER, "causeway_gateway_origin_connections_reused_total", "",
           "Requests on a kept connection.");
struct metric gateway_connect_failures =
    METRIC(COUNTER, "causeway_gateway_connect_failures_total", "",
           "Connections that an origin refused or did not answer.");
struct metric gateway_open_requests =
    METRIC(GAUGE, "causeway_gateway_requests_open", "", "Requests under way.");

struct metric gateway_resolve_failures = METRIC(COUNTER, "causeway_gateway_resolve_failures_total",
                                                "", "Names of origins that could not be resolved.");

struct metric gateway_flows =
    METRIC(COUNTER, "causeway_gateway_flows_total", "", "Flows of UDP ports passed to an origin.");
struct metric gateway_flows_open =
    METRIC(GAUGE, "causeway_gateway_flows_open", "", "Flows of UDP ports that are open.");
struct metric gateway_flow_datagrams_in =
    METRIC(COUNTER, "causeway_gateway_flow_datagrams_in_total", "",
           "Datagrams of flows that came from origins.");
struct metric gateway_flow_datagrams_out =
    METRIC(COUNTER, "causeway_gateway_flow_datagrams_out_total", "",
           "Datagrams of flows that were sent to origins.");
struct metric gateway_flow_datagrams_dropped =
    METRIC(COUNTER, "causeway_gateway_flow_datagrams_dropped_total", "",
           "Datagrams of flows that the kernel did not take for their origin.");

static void register_metrics(void)
{
    struct metric *all[] = {&gateway_requests,
                            &gateway_refused,
                            &gateway_ports,
                            &gateway_bad_requests,
                            &gateway_timeouts,
                            &gateway_unreachable,
                            &gateway_full,
                            &gateway_retries,
                            &gateway_hedges,
                            &gateway_hedges_won,
                            &gateway_connections,
                            &gateway_connections_reused,
                            &gateway_connect_failures,
                            &gateway_open_requests,
                            &gateway_parked_requests,
                            &gateway_resolve_failures,
                            &gateway_flows,
                            &gateway_flows_open,
                            &gateway_flow_datagrams_in,
                            &gateway_flow_datagrams_out,
                            &gateway_flow_datagrams_dropped};
    // NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        metric_register(all[i]);
    gateway_owner_metrics_register();
    gateway_faults_register();
    gateway_connections_register();
    gateway_health_metrics_register();
    gateway_purge_metrics_register();
    gateway_loads_metrics_register();
}

struct gateway *gateway_new(const struct gateway_options *options)
{
    struct gateway *gateway = NEW(struct gateway);
    register_metrics();
    gateway->options = *options;
    gateway->workers = memory_new(options->workers * sizeof *gateway->workers);
    for (uint32_t i = 0; i < options->workers; i++)
        gateway->workers[i].map_message.deliver = gateway_owners_deliver;
    gateway->purges = gateway_purges_new(gateway);
    gateway->manners = gateway_manners_new();
    gateway->shares = gateway_shares_new();
    gateway->orders = gateway_orders_new(options->has_orders ? options->orders_file : -1);
    gateway->peers = gateway_peers_new();
    return gateway;
}

void gateway_free(struct gateway **freed)
{
    struct gateway *gateway = *freed;
    if (!gateway)
        return;
    *freed = NULL;
    for (uint32_t i = 0; i < gateway->options.workers; i++)
        gateway_names_free(gateway->workers[i].names, gateway->workers[i].name_count);
    gateway_purges_free(&gateway->purges);
    gateway_manners_free(&gateway->manners);
    gateway_shares_free(&gateway->shares);
    gateway_peers_free(&gateway->peers);
    gateway_map_free(gateway);
    gateway_orders_free(&gateway->orders);
    memory_free(atomic_load(&gateway->down));
    memory_free(gateway->workers);
    memory_free(gateway);
}

void gateway_worker_init(struct gateway_worker *own, struct gateway *gateway, struct loop *loop)
{
    own->gateway = gateway;
    own->loop = loop;
    own->limits = http_limits_default;
    own->parked_limits = own->limits;
    own->parked_limits.fields = HTTP_FIELDS_MOST;
    own->awake_most = GATEWAY_AWAKE_MOST;
    own->head_timeout_ns = GATEWAY_HEAD_TIMEOUT_NS;
    random_seed(&own->random, clock_now_ns() ^ (uint64_t)(own - gateway->workers));
    own->matcher = rules_matcher_new(random_u64(&own->random));
    own->learner = types_learner_new(random_u64(&own->random));
    list_init(&own->pools);
    list_init(&own->requests);
    list_init(&own->awake);
    list_init(&own->parked);
    list_init(&own->ports);
    list_init(&own->flows);
    list_init(&own->owners);
    list_init(&own->purge_sessions);
    gateway_loads_start(own);
    gateway_tickets_start(own);
    gateway_worker_reload(own);
}

void gateway_worker_reload(struct gateway_worker *own)
{
    gateway_pools_reload(own);
    if (own == &own->gateway->workers[0])
        gateway_map_follow(own);
    gateway_owners_follow_shares(own);
    gateway_loads_follow(own);
}

void gateway_worker_clear(struct gateway_worker *own)
{
    gateway_requests_abort(own);
    gateway_ports_abort(own);
    gateway_flows_abort(own);
    gateway_purge_sessions_abort(own);
    gateway_loads_stop(own);
    gateway_tickets_stop(own);
    gateway_owners_stop(own);
    gateway_pools_free(own);
    rules_matcher_free(&own->matcher);
    types_learner_free(&own->learner);
}

int gateway_start(struct gateway *gateway, struct worker *worker)
{
    struct gateway_worker *own = &gateway->workers[worker_id(worker)];
    own->worker = worker;
    gateway_worker_init(own, gateway, worker_loop(worker));
    if (worker_id(worker) == 0) {
        gateway->resolver =
            gateway_resolver_start(gateway, worker_peers(worker), gateway_conf(own));
        gateway->health = gateway_health_start(own);
        if (gateway->purges)
            gateway_purges_start(gateway->purges, worker_peers(worker));
    }
    return 0;
}

void gateway_follow_shares(struct gateway *gateway, struct worker *worker)
{
    gateway_owners_follow_shares(&gateway->workers[worker_id(worker)]);
}

void gateway_reload(struct gateway *gateway, struct worker *worker)
{
    struct gateway_worker *own = &gateway->workers[worker_id(worker)];
    gateway_worker_reload(own);
    if (worker_id(worker) == 0) {
        gateway_resolver_follow(gateway->resolver, gateway_conf(own));
        gateway_health_follow(gateway->health);
        if (gateway->purges)
            gateway_purges_follow(gateway->purges);
    }
}

void gateway_stop(struct gateway *gateway, struct worker *worker)
{
    struct gateway_worker *own = &gateway->workers[worker_id(worker)];
    if (!own->gateway)
        return;
    gateway_worker_clear(own);
    if (worker_id(worker) == 0) {
        gateway_resolver_stop(&gateway->resolver);
        gateway_health_stop(&gateway->health);
        if (gateway->purges)
            gateway_purges_stop(gateway->purges);
    }
    own->gateway = NULL;
}

void gateway_accept(void *argument, struct link *link, struct link_stream *stream,
                    const struct transport_open *open)
{
    struct gateway *gateway = argument;
    struct gateway_worker *worker = &gateway->workers[worker_id(worker_current())];
    if (open->flags & TRANSPORT_OPEN_HTTP)
        gateway_request_accept(worker, link, stream);
    else if (open->flags & TRANSPORT_OPEN_PURGES)
        gateway_purge_accept(worker, link, stream);
    else if (open->flags & TRANSPORT_OPEN_LOADS)
        gateway_loads_accept(worker, link, stream);
    else if (open->flags & TRANSPORT_OPEN_DATAGRAMS)
        gateway_flow_accept(worker, link, stream, open);
    else
        gateway_port_accept(worker, link, stream, open);
}

void gateway_set_replaced(struct gateway *gateway)
{
    if (gateway->purges)
        gateway_purges_set_replaced(gateway->purges);
}

struct gateway_counts gateway_read_counts(const struct gateway *gateway)
{
    (void)gateway;
    return (struct gateway_counts){.requests_open = (uint32_t)metric_read(&gateway_open_requests),
                                   .requests = metric_read(&gateway_requests)};
}

json_t *gateway_refuse(const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it was started above
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_t *sentence = json_string(text);
    return json_pack("{s:o}", "error", sentence ? sentence : json_string("that is not UTF-8"));
}

json_t *gateway_status(struct gateway *gateway)
{
    const struct {
        const char *name;
        struct metric *metric;
    } rows[] = {
        {"requests", &gateway_requests},
        {"requests_open", &gateway_open_requests},
        {"parked", &gateway_parked_requests},
        {"waiting", &gateway_waiting},
        {"pending", &gateway_pending},
        {"cancelled", &gateway_cancelled},
        {"refused", &gateway_refused},
        {"bad_requests", &gateway_bad_requests},
        {"timeouts", &gateway_timeouts},
        {"unreachable", &gateway_unreachable},
        {"full", &gateway_full},
        {"retries", &gateway_retries},
        {"hedges", &gateway_hedges},
        {"hedges_won", &gateway_hedges_won},
        {"origin_connections", &gateway_connections},
        {"origin_connections_reused", &gateway_connections_reused},
        {"connect_failures", &gateway_connect_failures},
        {"origins_down", &gateway_origins_down},
        {"origins_ejected", &gateway_origins_ejected},
        {"port_connections", &gateway_ports},
        {"flows", &gateway_flows},
        {"flows_open", &gateway_flows_open},
        {"flow_datagrams_in", &gateway_flow_datagrams_in},
        {"flow_datagrams_out", &gateway_flow_datagrams_out},
        {"flow_datagrams_dropped", &gateway_flow_datagrams_dropped},
    };
    json_t *status = json_object();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        json_object_set_new(status, rows[i].name,
                            json_integer((json_int_t)metric_read(rows[i].metric)));
    const struct conf *conf = conf_current(&gateway->options.conf);
    json_object_set_new(status, "bad_answers", json_integer((json_int_t)gateway_faults_read()));
    json_object_set_new(status, "origins_out", gateway_origins_out(gateway, conf));
    if (gateway->purges)
        json_object_set_new(status, "purges", gateway_purges_status(gateway->purges, conf));
    return status;
}
