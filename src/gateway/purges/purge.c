/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread that numbers purges and writes them down (C2): it waits for the disk, which nobody else may.
 */
#include "gateway/purges/purge.h"

#include "base/hash.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum {
    FOLLOW_MS = 50,  /* between two looks at what the process that took over has written */
    AGAIN_MS = 1000, /* the disk refused: the sites' first numbers are tried again */
};

struct metric gateway_purges_numbered = METRIC(COUNTER, "causeway_gateway_purges_total", "",
                                               "Purges that were numbered and written down.");
struct metric gateway_purge_edges = METRIC(GAUGE, "causeway_gateway_purge_edges", "",
                                           "Processes of edges that purges are sent to.");
struct metric gateway_purge_log_bytes =
    METRIC(GAUGE, "causeway_gateway_purge_log_bytes", "", "Size of the log of purges.");
struct metric gateway_purge_compactions =
    METRIC(COUNTER, "causeway_gateway_purge_compactions_total", "",
           "Times that the older half of the log of purges was dropped.");
struct metric gateway_purge_failures =
    METRIC(COUNTER, "causeway_gateway_purge_failures_total", "",
           "Purges that were refused because the log could not be written.");
struct metric gateway_purge_raised =
    METRIC(COUNTER, "causeway_gateway_purge_raised_total", "",
           "Sites whose number went above that of an edge which had a higher one.");

void gateway_purge_metrics_register(void)
{
    struct metric *all[] = {&gateway_purges_numbered, &gateway_purge_edges,
                            &gateway_purge_log_bytes, &gateway_purge_compactions,
                            &gateway_purge_failures,  &gateway_purge_raised};
    // NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        metric_register(all[i]);
}

/* ---- orders */

void purge_order_free(struct purge_order **freed)
{
    struct purge_order *order = *freed;
    *freed = NULL;
    if (!order)
        return;
    for (size_t i = 0; i < order->count; i++)
        text_clear(&order->what[i]);
    memory_free(order);
}

int gateway_purges_order(struct gateway_purges *purges, struct purge_order **pointer,
                         uint64_t *ticket)
{
    struct purge_order *order = *pointer;
    pthread_mutex_lock(&purges->lock);
    bool is_full = purges->order_count == PURGE_ORDERS_MOST;
    if (!is_full) {
        *pointer = NULL;
        purges->order_count++;
        list_push_back(&purges->orders, &order->link);
        if (ticket) {
            *ticket = order->ticket = ++purges->last_ticket;
            purges->tickets[*ticket % PURGE_TICKETS] =
                (struct purge_ticket){.number = *ticket, .site = order->purges[0].site};
        }
        pthread_cond_signal(&purges->changed);
    }
    pthread_mutex_unlock(&purges->lock);
    return is_full ? ERROR_LIMIT : 0;
}

/* ---- the thread */

static void tell_workers(struct gateway_purges *purges)
{
    for (uint32_t i = 0; purges->workers && i < workers_count(purges->workers); i++)
        worker_post(workers_get(purges->workers, i), &purges->gateway->workers[i].purge_message);
}

/* Under the lock. */
static void note_result(struct gateway_purges *purges, const struct purge_order *order,
                        const struct purge *purges_done, int result)
{
    struct purge_ticket *ticket = &purges->tickets[order->ticket % PURGE_TICKETS];
    if (result < 0)
        metric_add(&gateway_purge_failures, order->count);
    else
        metric_add(&gateway_purges_numbered, order->count);
    if (!order->ticket || ticket->number != order->ticket)
        return;
    ticket->is_done = true;
    ticket->result = purges_done[0].number || result < 0 ? result : ERROR_NOT_FOUND;
    ticket->first = purges_done[0].number;
    ticket->last = purges_done[order->count - 1].number;
}

/* As many orders as share one wait for the disk. Called under the lock, which it leaves meanwhile. */
static void write_orders(struct gateway_purges *purges)
{
    struct purge *batch = memory_new(PURGE_BATCH_MOST * sizeof *batch);
    struct list taken;
    size_t count = 0, at = 0;
    list_init(&taken);
    LIST_EACH (item, after, &purges->orders) {
        struct purge_order *order = CONTAINER_OF(item, struct purge_order, link);
        if (count + order->count > PURGE_BATCH_MOST)
            break;
        memcpy(batch + count, order->purges, order->count * sizeof *batch);
        count += order->count;
        list_remove(item);
        list_push_back(&taken, item);
    }
    pthread_mutex_unlock(&purges->lock);
    int result = purge_log_append(purges->log, batch, count);
    pthread_mutex_lock(&purges->lock);
    for (struct list *item; (item = list_pop_front(&taken)) != NULL; purges->order_count--) {
        struct purge_order *order = CONTAINER_OF(item, struct purge_order, link);
        note_result(purges, order, batch + at, result);
        at += order->count;
        purge_order_free(&order);
    }
    memory_free(batch);
}

/* Likewise. False: the disk refused. */
static bool take_sites(struct gateway_purges *purges)
{
    size_t count = purges->own_count;
    uint64_t *sites = memory_new((count + 1) * sizeof *sites);
    for (size_t i = 0; i < count; i++)
        sites[i] = purges->own[i].site;
    purges->has_new_sites = false;
    pthread_mutex_unlock(&purges->lock);
    int result = purge_log_set_sites(purges->log, sites, count, clock_wall_ns() / 1000);
    pthread_mutex_lock(&purges->lock);
    purges->has_new_sites |= result < 0;
    memory_free(sites);
    return result == 0;
}

static void follow_log(struct gateway_purges *purges)
{
    pthread_mutex_unlock(&purges->lock);
    (void)purge_log_follow(purges->log);
    pthread_mutex_lock(&purges->lock);
}

static void wait_ms(struct gateway_purges *purges, unsigned ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (ms)
        pthread_cond_timedwait(&purges->changed, &purges->lock, &until);
    else
        pthread_cond_wait(&purges->changed, &purges->lock);
}

/* What a turn has changed is told to the workers. */
static void tell(struct gateway_purges *purges, uint64_t *told)
{
    purge_log_lock(purges->log);
    uint64_t end = purge_log_end(purges->log);
    purge_log_unlock(purges->log);
    metric_set(&gateway_purge_log_bytes, purge_log_bytes(purges->log));
    uint64_t compactions = purge_log_compactions(purges->log);
    metric_add(&gateway_purge_compactions, compactions - metric_read(&gateway_purge_compactions));
    if (end != *told)
        tell_workers(purges);
    *told = end;
}

static void *run(void *argument)
{
    struct gateway_purges *purges = argument;
    uint64_t told = UINT64_MAX;
    metrics_thread_start();
    pthread_mutex_lock(&purges->lock);
    while (!purges->is_stopping) {
        bool is_refused = purges->has_new_sites && !take_sites(purges);
        if (purges->is_replaced)
            follow_log(purges);
        while (!list_is_empty(&purges->orders))
            write_orders(purges);
        tell(purges, &told);
        if (!purges->is_stopping && list_is_empty(&purges->orders) &&
            (is_refused || !purges->has_new_sites))
            wait_ms(purges, is_refused ? AGAIN_MS : purges->is_replaced ? FOLLOW_MS : 0);
    }
    pthread_mutex_unlock(&purges->lock);
    metrics_thread_stop();
    return NULL;
}

/* ---- which sites */

static int compare_own(const void *a, const void *b)
{
    const struct purge_own *first = a, *second = b;
    return first->site < second->site ? -1 : first->site > second->site;
}

const struct purge_own *gateway_purges_own(const struct gateway_purges *purges, uint64_t site)
{
    const struct purge_own wanted = {.site = site};
    return purges->own_count
               ? bsearch(&wanted, purges->own, purges->own_count, sizeof *purges->own, compare_own)
               : NULL;
}

static uint64_t hash_site(const struct conf_site *site, uint64_t hash)
{
    hash = hash_span(span_text(site->name), hash);
    for (size_t i = 0; i < site->edge_count; i++)
        hash = hash_span(span_of(site->edges[i]->public_key, CONF_KEY_BYTES), hash);
    return hash;
}

void gateway_purges_follow(struct gateway_purges *purges)
{
    const struct conf *conf = conf_current(&purges->gateway->options.conf);
    struct purge_own *own = memory_new((conf->site_count + 1) * sizeof *own);
    size_t count = 0;
    uint64_t hash = conf->site_count;
    for (size_t i = 0; i < conf->site_count; i++)
        if (gateway_numbers(conf, &conf->sites[i])) {
            hash = hash_site(&conf->sites[i], hash);
            own[count++] = (struct purge_own){purge_site(span_text(conf->sites[i].name)), i};
        }
    qsort(own, count, sizeof *own, compare_own);
    pthread_mutex_lock(&purges->lock);
    memory_free(purges->own);
    purges->own = own;
    purges->own_count = count;
    purges->has_new_sites = true;
    bool has_changed = hash != purges->own_hash;
    purges->own_hash = hash;
    for (struct list *item = purges->sessions.next; has_changed && item != &purges->sessions;
         item = item->next)
        CONTAINER_OF(item, struct purge_session, in_all)->is_stale = true;
    pthread_cond_signal(&purges->changed);
    pthread_mutex_unlock(&purges->lock);
    if (has_changed)
        tell_workers(purges);
}

/* ---- life */

static void deliver(struct worker *receiver, struct message *message)
{
    struct gateway_worker *worker = CONTAINER_OF(message, struct gateway_worker, purge_message);
    (void)receiver;
    if (worker->gateway)
        gateway_purge_sessions_run(worker);
}

struct gateway_purges *gateway_purges_new(struct gateway *gateway)
{
    const struct conf_gateway *settings = conf_current(&gateway->options.conf)->self->gateway;
    struct purge_log *log;
    if (!gateway->options.has_purges || !settings || !settings->purges ||
        purge_log_open(&log, gateway->options.purge_files, settings->purges->log_bytes))
        return NULL;
    struct gateway_purges *purges = NEW(struct gateway_purges);
    purges->gateway = gateway;
    purges->log = log;
    pthread_mutex_init(&purges->lock, NULL);
    pthread_cond_init(&purges->changed, NULL);
    list_init(&purges->orders);
    list_init(&purges->sessions);
    for (uint32_t i = 0; i < gateway->options.workers; i++)
        gateway->workers[i].purge_message.deliver = deliver;
    gateway_purges_follow(purges);
    return purges;
}

void gateway_purges_start(struct gateway_purges *purges, const struct worker_set *workers)
{
    purges->workers = workers;
    purges->has_thread = pthread_create(&purges->thread, NULL, run, purges) == 0;
    if (!purges->has_thread)
        log_error("purge", "no thread to number purges with: %s", strerror(errno));
}

void gateway_purges_set_replaced(struct gateway_purges *purges)
{
    pthread_mutex_lock(&purges->lock);
    purges->is_replaced = true;
    pthread_cond_signal(&purges->changed);
    pthread_mutex_unlock(&purges->lock);
}

void gateway_purges_stop(struct gateway_purges *purges)
{
    pthread_mutex_lock(&purges->lock);
    purges->is_stopping = true;
    pthread_cond_signal(&purges->changed);
    pthread_mutex_unlock(&purges->lock);
    if (purges->has_thread)
        pthread_join(purges->thread, NULL);
    purges->has_thread = false;
}

void gateway_purges_free(struct gateway_purges **freed)
{
    struct gateway_purges *purges = *freed;
    *freed = NULL;
    if (!purges)
        return;
    for (struct list *item; (item = list_pop_front(&purges->orders)) != NULL;) {
        struct purge_order *order = CONTAINER_OF(item, struct purge_order, link);
        purge_order_free(&order);
    }
    purge_log_close(&purges->log);
    pthread_mutex_destroy(&purges->lock);
    pthread_cond_destroy(&purges->changed);
    memory_free(purges->own);
    memory_free(purges);
}
