/* SPDX-License-Identifier: Apache-2.0
 *
 * The front end's life: workers, views, reload, what it tells of itself.
 */
#include "redirect/redirect.h"

#include "base/memory.h"
#include "redirect/private.h"

enum { SECOND_NS = 1000000000 };

struct metric redirect_found =
    METRIC(COUNTER, "causeway_redirect_answers_total", "status=\"302\"", "Redirects to servers.");
struct metric redirect_temporary =
    METRIC(COUNTER, "causeway_redirect_answers_total", "status=\"307\"", "Redirects to servers.");
struct metric redirect_malformed =
    METRIC(COUNTER, "causeway_redirect_malformed_total", "", "Malformed requests.");
struct metric redirect_unknown_host =
    METRIC(COUNTER, "causeway_redirect_unknown_host_total", "", "Requests for hosts of no site.");
struct metric redirect_no_server = METRIC(COUNTER, "causeway_redirect_no_server_total", "",
                                          "Requests for sites without a server that may be named.");
struct metric redirect_connections =
    METRIC(COUNTER, "causeway_redirect_connections_total", "", "Client connections accepted.");
struct metric redirect_connections_open =
    METRIC(GAUGE, "causeway_redirect_connections_open", "", "Client connections open.");
struct metric redirect_evicted = METRIC(COUNTER, "causeway_redirect_evicted_total", "",
                                        "Client connections closed because the limit was reached.");
struct metric redirect_timeouts = METRIC(COUNTER, "causeway_redirect_timeouts_total", "",
                                         "Client connections closed in the middle of a head, or "
                                         "of an answer, by a time limit.");
static struct metric tables =
    METRIC(COUNTER, "causeway_redirect_tables_total", "", "Tables of choices made from facts.");

static void register_metrics(void)
{
    struct metric *const all[] = {&redirect_found,
                                  &redirect_temporary,
                                  &redirect_malformed,
                                  &redirect_unknown_host,
                                  &redirect_no_server,
                                  &redirect_connections,
                                  &redirect_connections_open,
                                  &redirect_evicted,
                                  &redirect_timeouts,
                                  &tables};
    // NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        metric_register(all[i]);
}

/* ---- start and stop */

static void take_sockets(struct redirect *redirect, const struct redirect_sockets *sockets)
{
    size_t count = sockets->count * redirect->worker_count;
    int *copy = memory_new((count + 1) * sizeof *copy);
    if (count)
        memcpy(copy, sockets->http, count * sizeof *copy);
    memory_free((int *)(uintptr_t)redirect->sockets.http);
    redirect->sockets = (struct redirect_sockets){copy, sockets->count};
}

int redirect_new(struct redirect **made, const struct redirect_options *options, struct text *why)
{
    struct redirect_data *data;
    int result = redirect_data_new(&data, options, why);
    if (result < 0)
        return result;
    register_metrics();
    struct redirect *redirect = *made = NEW(struct redirect);
    redirect->seed = options->seed;
    redirect->worker_count = options->workers;
    redirect->workers = memory_new(options->workers * sizeof *redirect->workers);
    pthread_mutex_init(&redirect->making, NULL);
    take_sockets(redirect, &options->sockets);
    atomic_store(&redirect->view, redirect_view_new(data, NULL, NULL));
    redirect_data_release(data);
    return 0;
}

void redirect_free(struct redirect **freed)
{
    struct redirect *redirect = *freed;
    if (!redirect)
        return;
    *freed = NULL;
    snapshot_settle();
    redirect_view_release(atomic_load(&redirect->view));
    pthread_mutex_destroy(&redirect->making);
    memory_free((int *)(uintptr_t)redirect->sockets.http);
    memory_free(redirect->workers);
    memory_free(redirect);
}

static void on_second(struct loop *loop, struct loop_timer *timer)
{
    struct redirect_worker *worker = CONTAINER_OF(timer, struct redirect_worker, second);
    redirect_tails_make(worker);
    redirect_clients_check(worker);
    loop_timer_start(loop, timer, loop_now_ns(loop) + SECOND_NS);
}

int redirect_start(struct redirect *redirect, struct worker *of)
{
    struct redirect_worker *worker = &redirect->workers[worker_id(of)];
    *worker = (struct redirect_worker){.redirect = redirect,
                                       .loop = worker_loop(of),
                                       .id = worker_id(of),
                                       .second.fire = on_second,
                                       .input = memory_raw(REDIRECT_INPUT_BYTES),
                                       .output = memory_raw(REDIRECT_OUTPUT_BYTES)};
    random_seed(&worker->random, redirect->seed + worker->id);
    for (int i = 0; i < REDIRECT_STATES; i++)
        list_init(&worker->clients[i]);
    redirect_tails_make(worker);
    loop_timer_start(worker->loop, &worker->second, loop_now_ns(worker->loop) + SECOND_NS);
    int result = redirect_listeners_open(worker);
    if (result < 0)
        redirect_stop(redirect, of);
    return result;
}

void redirect_stop(struct redirect *redirect, struct worker *worker)
{
    struct redirect_worker *own = &redirect->workers[worker_id(worker)];
    redirect_listeners_close(own);
    redirect_clients_close(own);
    loop_timer_stop(own->loop, &own->second);
    arena_clear(&own->arena);
    memory_free(own->input);
    memory_free(own->output);
}

/* ---- views */

/* Old facts are not kept: until new ones come, within a tick, a new configuration answers by what it states. */
static void publish(struct redirect *redirect, struct redirect_data *data,
                    const struct redirect_facts *facts)
{
    const struct redirect_view *previous = atomic_load(&redirect->view);
    snapshot_publish(&redirect->view, redirect_view_new(data, facts, previous),
                     redirect_view_release);
}

void redirect_take_facts(struct redirect *redirect, const struct redirect_facts *facts)
{
    pthread_mutex_lock(&redirect->making);
    const struct redirect_view *view = atomic_load(&redirect->view);
    if (strcmp(view->data->conf_hash, facts->conf_hash) == 0) {
        publish(redirect, view->data, facts);
        metric_add(&tables, 1);
    }
    pthread_mutex_unlock(&redirect->making);
}

static void follow_sockets(struct worker *of, void *argument)
{
    struct redirect *redirect = argument;
    struct redirect_worker *worker = &redirect->workers[worker_id(of)];
    redirect_listeners_close(worker);
    if (redirect_listeners_open(worker) < 0)
        log_error("redirect", "cannot watch a listener");
}

int redirect_reload(struct redirect *redirect, struct worker_set *workers, const struct conf *conf,
                    const struct redirect_sockets *sockets, struct text *why)
{
    const struct redirect_options options = {.conf = conf,
                                             .seed = redirect->seed,
                                             .workers = redirect->worker_count};
    struct redirect_data *data;
    int result = redirect_data_new(&data, &options, why);
    if (result < 0)
        return result;
    pthread_mutex_lock(&redirect->making);
    publish(redirect, data, NULL);
    pthread_mutex_unlock(&redirect->making);
    redirect_data_release(data);
    take_sockets(redirect, sockets);
    workers_run_on_all(workers, follow_sockets, redirect);
    return 0;
}

static void drain_worker(struct worker *of, void *argument)
{
    struct redirect *redirect = argument;
    struct redirect_worker *worker = &redirect->workers[worker_id(of)];
    redirect_listeners_close(worker);
    redirect_clients_drain(worker);
}

void redirect_drain(struct redirect *redirect, struct worker_set *workers)
{
    atomic_store(&redirect->is_draining, true);
    workers_run_on_all(workers, drain_worker, redirect);
}

bool redirect_is_drained(const struct redirect *redirect)
{
    return atomic_load(&redirect->connections) == 0;
}

/* ---- status */

static json_t *server_status(const struct redirect_view *view, size_t server)
{
    const struct redirect_data *data = view->data;
    const struct redirect_server *of = &data->servers[server];
    json_t *exits = json_object();
    for (size_t border = 0; border < data->border_count; border++) {
        uint64_t chosen = 0;
        if (!data->heads[server * data->border_count + border].found.length)
            continue;
        for (size_t worker = 0; worker < data->workers; worker++)
            chosen += atomic_load_explicit(
                &data->chosen[(worker * data->server_count + server) * data->border_count + border],
                memory_order_relaxed);
        json_object_set_new(exits, data->borders[border], json_integer((json_int_t)chosen));
    }
    return json_pack("{s:s, s:s, s:s, s:i, s:o}", "name", of->name, "site",
                     data->sites[of->site].name, "place", of->place, "availability",
                     (int)exits_table_availability(view->table, (uint32_t)server), "exits", exits);
}

json_t *redirect_status(struct redirect *redirect)
{
    pthread_mutex_lock(&redirect->making); /* the view stays */
    const struct redirect_view *view = atomic_load(&redirect->view);
    struct exits_table_counts counts = exits_table_counts(view->table);
    json_t *servers = json_array();
    for (size_t i = 0; i < view->data->server_count; i++)
        json_array_append_new(servers, server_status(view, i));
    json_t *status =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "connections",
                  (json_int_t)atomic_load(&redirect->connections), "measured_networks",
                  (json_int_t)counts.networks, "networks_passed_over",
                  (json_int_t)counts.passed_over, "busy_sites", (json_int_t)counts.busy,
                  "forsaken_sites", (json_int_t)counts.forsaken, "servers", servers);
    pthread_mutex_unlock(&redirect->making);
    return status;
}
