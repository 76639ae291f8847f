/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's life: start, reload, the administrator's words, stop.
 */
#include "dnsd/private.h"

#include "base/memory.h"

#include <errno.h>

/* ---- workers */

static int on_worker_start(struct worker *worker, void *argument)
{
    struct dnsd *dnsd = argument;
    uint32_t id = worker_id(worker);
    metrics_thread_start();
    uint32_t count = workers_count(worker_peers(worker));
    int error = dnsd_tcp_start(&dnsd->tcp[id], dnsd, worker_loop(worker), id, count);
    if (error == 0 && id == 0) {
        dnsd->notify = dnsd_notify_new(dnsd, worker_loop(worker));
        dnsd_notify_take(dnsd->notify, dnsd->latest);
    }
    if (error == 0 && id == 0)
        error = dnsd_reports_start(&dnsd->reports, dnsd, worker_loop(worker));
    if (error < 0)
        dnsd_tcp_stop(&dnsd->tcp[id]);
    return error;
}

static void on_worker_stop(struct worker *worker, void *argument)
{
    struct dnsd *dnsd = argument;
    uint32_t id = worker_id(worker);
    dnsd_tcp_stop(&dnsd->tcp[id]);
    if (id == 0) {
        dnsd_notify_free(&dnsd->notify);
        dnsd_reports_stop(&dnsd->reports);
    }
    metrics_thread_stop();
}

/* ---- start and stop */

static const int *copy_descriptors(const int *from, size_t count)
{
    int *copy = memory_new((count + 1) * sizeof *copy);
    if (count)
        memcpy(copy, from, count * sizeof *copy);
    return copy;
}

/* Listeners of one address go to different workers, in whatever order they came; the first of each address begin at
 * different ones. Taken modulo the number of workers. */
static void deal_listeners(struct dnsd *dnsd, const struct dnsd_sockets *sockets)
{
    size_t count = sockets->tcp_count + sockets->tls_count;
    struct dnsd_listener *listeners = memory_new((count + 1) * sizeof *listeners);
    struct address *addresses = memory_new((count + 1) * sizeof *addresses);
    for (size_t i = 0; i < count; i++) {
        bool is_tls = i >= sockets->tcp_count;
        int fd = is_tls ? sockets->tls[i - sockets->tcp_count] : sockets->tcp[i];
        listeners[i] = (struct dnsd_listener){fd, (uint32_t)i, is_tls};
        if (socket_local(fd, &addresses[i]) < 0)
            log_warning("dns", "a TCP socket has no address errno=%d", errno);
        for (size_t before = i; before--;)
            if (address_equal(&addresses[before], &addresses[i])) {
                listeners[i].turn = listeners[before].turn + 1;
                break;
            }
    }
    memory_free(addresses);
    dnsd->listeners = listeners;
    dnsd->listener_count = count;
}

/* Clients may ask before the first report: until then every edge is presumed to be up. */
static void publish_first_view(struct dnsd *dnsd)
{
    struct director_node_facts *edges = memory_new(dnsd->first->edge_count * sizeof *edges);
    const struct director_facts facts = {.edges = edges, .now_ns = clock_now_ns()};
    director_tick(dnsd->first->director, &facts, DIRECTOR_WHOLE_ROUND);
    memory_free(edges);
    atomic_store(&dnsd->view, dnsd_view_new(dnsd->first, &dnsd->decisions));
}

static void take_limits(struct dnsd *dnsd, const struct conf_dns *dns)
{
    atomic_store(&dnsd->tcp_connections_limit, dns->tcp_connections_limit);
    atomic_store(&dnsd->tcp_idle_timeout_ns, dns->tcp_idle_timeout_ns);
}

static struct dnsd *make(const struct dnsd_options *options, struct dnsd_data *data)
{
    const struct conf_node *self = options->conf->self;
    struct dnsd *dnsd = NEW(struct dnsd);
    dnsd->crypto = options->crypto;
    dnsd->seed = options->seed;
    dnsd->first = dnsd->latest = data;
    atomic_fetch_add(&data->references, 1);
    dnsd->maps = conf_maps_retain(data->maps);
    dnsd->signatures = dns_signatures_new(self->dns->signature_cache_bytes, options->seed);
    dnsd->budget = dns_budget_new(options->seed);
    dnsd_keys_share(data->keys, dnsd->signatures, dnsd->budget);
    take_limits(dnsd, self->dns);
    memcpy(dnsd->private_key.bytes, self->private_key, KEY_BYTES);
    dnsd->sockets = options->sockets;
    if (!self->has_private_key)
        dnsd->sockets.reports = -1; /* a lone node without keys: nobody can report */
    dnsd->sockets.udp = copy_descriptors(options->sockets.udp, options->sockets.udp_count);
    dnsd->udp = memory_new((dnsd->sockets.udp_count + 1) * sizeof(struct dnsd_udp *));
    deal_listeners(dnsd, &options->sockets);
    dnsd->tcp = memory_new(WORKERS_LIMIT * sizeof(struct dnsd_tcp *));
    return dnsd;
}

static int start_threads(struct dnsd *dnsd, uint32_t workers, struct text *why)
{
    const struct worker_hooks hooks = {on_worker_start, on_worker_stop, dnsd};
    int error = dnsd_resolver_start(&dnsd->resolver, dnsd->first);
    if (error < 0) {
        text_add(why, "no thread to resolve aliases with\n");
        return error;
    }
    error = workers_start(&dnsd->workers, workers, "dns", &hooks);
    if (error < 0) {
        text_add_format(why, "the workers did not start: %s\n", error_text(error));
        return error;
    }
    for (size_t i = 0; i < dnsd->sockets.udp_count; i++) {
        error = dnsd_udp_start(&dnsd->udp[i], dnsd, dnsd->sockets.udp[i], i);
        if (error < 0) {
            text_add_format(why, "a UDP thread did not start: %s\n", error_text(error));
            return error;
        }
    }
    return 0;
}

int dnsd_start(struct dnsd **started, const struct dnsd_options *options, struct text *why)
{
    const struct conf_node *self = options->conf->self;
    if (!self || !self->dns) {
        text_add(why, "this node has no dns role\n");
        return ERROR_CONFIG;
    }
    if (options->sockets.udp_count > DNSD_SOCKETS_LIMIT ||
        options->sockets.tcp_count > DNSD_SOCKETS_LIMIT ||
        options->sockets.tls_count > DNSD_SOCKETS_LIMIT) {
        text_add_format(why, "more than %d DNS sockets\n", DNSD_SOCKETS_LIMIT);
        return ERROR_LIMIT;
    }
    struct dnsd_data *data = dnsd_data_new(options->conf, NULL, options->seed, why);
    if (!data)
        return ERROR_CONFIG;
    dnsd_metrics_register();
    struct dnsd *dnsd = *started = make(options, data);
    dnsd_decisions_open(&dnsd->decisions, self->dns);
    publish_first_view(dnsd);
    int error = start_threads(dnsd, options->workers, why);
    if (error < 0)
        dnsd_stop(started);
    return error;
}

static void leave_on_worker(struct worker *worker, void *argument)
{
    struct dnsd *dnsd = argument;
    if (dnsd->tcp[worker_id(worker)])
        dnsd_tcp_leave(dnsd->tcp[worker_id(worker)]);
}

void dnsd_leave(struct dnsd *dnsd)
{
    workers_run_on_all(dnsd->workers, leave_on_worker, dnsd);
    dnsd->is_leaving = true;
}

bool dnsd_is_drained(const struct dnsd *dnsd)
{
    return !dnsd->is_leaving || dnsd_counted_connections() == 0;
}

void dnsd_stop(struct dnsd **owned)
{
    struct dnsd *dnsd = *owned;
    *owned = NULL;
    if (!dnsd)
        return;
    atomic_store(&dnsd->is_stopping, true);
    for (size_t i = 0; i < dnsd->sockets.udp_count; i++)
        dnsd_udp_stop(&dnsd->udp[i]);
    dnsd_resolver_stop(&dnsd->resolver);
    if (dnsd->workers)
        workers_stop(&dnsd->workers);
    snapshot_settle();
    dnsd_view_release(atomic_load(&dnsd->view));
    dnsd_data_release(dnsd->first);
    dnsd_data_release(dnsd->prepared);
    dnsd_data_release(dnsd->latest);
    conf_maps_release(dnsd->maps);
    memory_free((void *)(uintptr_t)dnsd->sockets.udp);
    memory_free(dnsd->listeners);
    memory_free(dnsd->udp);
    memory_free(dnsd->tcp);
    dnsd_decisions_close(&dnsd->decisions);
    dns_signatures_free(dnsd->signatures);
    dns_budget_free(dnsd->budget);
    explicit_bzero(&dnsd->private_key, sizeof dnsd->private_key);
    memory_free(dnsd);
}

/* ---- on the first worker, for others */

struct call {
    struct dnsd *dnsd;
    void (*run)(struct dnsd *dnsd, struct call *call);
    struct dnsd_data *data;
    const char *edge;
    enum dnsd_admin admin;
    const struct measure_proof *proof;
    const struct dnsd_question *question;
    const struct address *client;
    dnsd_listen *listen;
    void *owner;
    struct text *json;
    int result;
};

static void run_call(struct worker *worker, void *argument)
{
    struct call *call = argument;
    if (worker_id(worker) == 0)
        call->run(call->dnsd, call);
}

static int run_on_first(struct dnsd *dnsd, struct call *call)
{
    INVARIANT(!worker_current());
    call->dnsd = dnsd;
    workers_run_on_all(dnsd->workers, run_call, call);
    return call->result;
}

static void take_data(struct dnsd *dnsd, struct call *call)
{
    dnsd_notify_take(dnsd->notify, call->data);
    dnsd_reports_take(dnsd->reports, call->data);
}

int dnsd_prepare(struct dnsd *dnsd, const struct conf *conf, struct text *why)
{
    dnsd_data_release(dnsd->prepared);
    dnsd->prepared = dnsd_data_new(conf, dnsd->maps, dnsd->seed, why);
    if (!dnsd->prepared)
        return ERROR_CONFIG;
    dnsd_transfers_follow(dnsd->prepared->transfers, dnsd->prepared->zones, dnsd->latest->transfers,
                          dnsd->latest->zones);
    return 0;
}

int dnsd_reload(struct dnsd *dnsd, const struct conf *conf, struct text *why)
{
    if (!dnsd->prepared && dnsd_prepare(dnsd, conf, why) < 0)
        return ERROR_CONFIG;
    struct dnsd_data *data = dnsd->prepared;
    dnsd->prepared = NULL;
    conf_maps_release(dnsd->maps);
    dnsd->maps = conf_maps_retain(data->maps);
    dnsd_keys_share(data->keys, dnsd->signatures, dnsd->budget);
    if (conf->self && conf->self->dns)
        take_limits(dnsd, conf->self->dns);
    dnsd_resolver_follow(dnsd->resolver, data);
    dnsd_data_release(dnsd->latest);
    dnsd->latest = data;
    atomic_fetch_add(&data->references, 1);
    return run_on_first(dnsd, &(struct call){.run = take_data, .data = data});
}

static void set_edge(struct dnsd *dnsd, struct call *call)
{
    call->result = dnsd_reports_set(dnsd->reports, call->edge, call->admin);
}

int dnsd_edge_set(struct dnsd *dnsd, const char *edge, enum dnsd_admin admin)
{
    return run_on_first(dnsd, &(struct call){.run = set_edge, .edge = edge, .admin = admin});
}

static void prove(struct dnsd *dnsd, struct call *call)
{
    dnsd_reports_prove(dnsd->reports, call->proof);
}

void dnsd_prove(struct dnsd *dnsd, const struct measure_proof *proof)
{
    (void)run_on_first(dnsd, &(struct call){.run = prove, .proof = proof});
}

static void write_status(struct dnsd *dnsd, struct call *call)
{
    dnsd_reports_write(dnsd->reports, call->json);
}

void dnsd_write_status(struct dnsd *dnsd, struct text *json)
{
    (void)run_on_first(dnsd, &(struct call){.run = write_status, .json = json});
}

static void write_latencies(struct dnsd *dnsd, struct call *call)
{
    dnsd_reports_write_latencies(dnsd->reports, call->client, call->json);
}

void dnsd_write_latencies(struct dnsd *dnsd, const struct address *client, struct text *json)
{
    (void)run_on_first(dnsd,
                       &(struct call){.run = write_latencies, .client = client, .json = json});
}

static void tell(struct dnsd *dnsd, struct call *call)
{
    dnsd_reports_tell(dnsd->reports, call->listen, call->owner);
}

void dnsd_tell(struct dnsd *dnsd, dnsd_listen *listen, void *owner)
{
    (void)run_on_first(dnsd, &(struct call){.run = tell, .listen = listen, .owner = owner});
}

static void write_explanation(struct dnsd *dnsd, struct call *call)
{
    dnsd_reports_explain(dnsd->reports, call->question, call->json);
}

void dnsd_write_explanation(struct dnsd *dnsd, const struct dnsd_question *question,
                            struct text *json)
{
    (void)run_on_first(
        dnsd, &(struct call){.run = write_explanation, .question = question, .json = json});
}

uint64_t dnsd_worker_age_ns(const struct dnsd *dnsd)
{
    uint64_t now_ns = clock_now_ns(), oldest_ns = now_ns;
    for (uint32_t i = 0; i < workers_count(dnsd->workers); i++) {
        uint64_t turn_ns = worker_last_turn_ns(workers_get(dnsd->workers, i));
        if (turn_ns < oldest_ns)
            oldest_ns = turn_ns;
    }
    return now_ns - oldest_ns;
}
