/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of URLs that are fetched ahead of demand (C1, S10): one after the other at a bounded rate, round after round. A round finds
 * most of them fresh, which costs a look-up, and fetches what is missing or expires before the next round comes by. On the first worker.
 */
#include "edge/cache/cached.h"

#define ROUND_LEAST_NS (10ull * 1000000000)
#define PATIENCE_NS    (10ull * 1000000000) /* for the first link */
#define TICK_NS        (10ull * 1000000)
#define SECOND_NS      1000000000ull

/* The next URL, and the site whose paths it may be one of. NULL: the round is over. */
static const char *next_url(struct edge_prefetch *prefetch, const struct conf *conf,
                            const struct conf_site **site)
{
    while (prefetch->list <= conf->site_count) {
        bool is_file = prefetch->list == conf->site_count;
        const struct conf_texts *texts =
            is_file ? &conf->self->edge->prefetch : &conf->sites[prefetch->list].cache.prefetch;
        *site = is_file ? NULL : &conf->sites[prefetch->list];
        if (prefetch->next < texts->count && (is_file || (*site)->cache.is_on))
            return texts->items[prefetch->next];
        prefetch->list++;
        prefetch->next = 0;
    }
    return NULL;
}

/* Whose it is is only known of paths; a URL of nobody gets a page that nobody sees. */
static bool has_way(struct edge_worker *worker, const struct conf *conf,
                    const struct conf_site *site)
{
    if (site)
        return edge_route_exists(worker, conf, site);
    for (size_t i = 0; i < conf->site_count; i++)
        if (edge_route_exists(worker, conf, &conf->sites[i]))
            return true;
    return false;
}

/* False: not now. */
static bool look_at_next(struct edge_worker *worker, const struct conf *conf, uint64_t now_ns)
{
    struct edge_prefetch *prefetch = &worker->prefetch;
    const struct conf_site *site;
    const char *url = next_url(prefetch, conf, &site);
    if (!url)
        return false;
    bool is_early = now_ns < prefetch->started_ns + PATIENCE_NS;
    if (is_early && !has_way(worker, conf, site))
        return false;
    if (!edge_refresh_url(worker, site, span_text(url), prefetch->round_s))
        return false;
    prefetch->next++;
    return true;
}

/* Behind a round the next one waits; what expires before it has come by is fetched in this one. */
static void end_round(struct edge_prefetch *prefetch, uint64_t now_ns)
{
    uint64_t lasted_ns = now_ns - prefetch->round_ns;
    if (lasted_ns < ROUND_LEAST_NS)
        return;
    prefetch->round_s = (uint32_t)(lasted_ns / SECOND_NS) + 1;
    prefetch->round_ns = now_ns;
    prefetch->list = prefetch->next = 0;
}

static void on_tick(struct loop *loop, struct loop_timer *timer)
{
    struct edge_worker *worker = CONTAINER_OF(timer, struct edge_worker, prefetch.timer);
    struct edge_prefetch *prefetch = &worker->prefetch;
    const struct conf *conf = edge_conf(worker);
    uint64_t now_ns = loop_now_ns(loop);
    if (conf->self->edge && edge_is_up(worker)) {
        prefetch->credit_ns += (now_ns - prefetch->ticked_ns) * conf->self->edge->prefetch_rate;
        while (prefetch->credit_ns >= SECOND_NS && look_at_next(worker, conf, now_ns))
            prefetch->credit_ns -= SECOND_NS;
        if (prefetch->credit_ns > SECOND_NS) /* what could not be done is not made up for */
            prefetch->credit_ns = SECOND_NS;
        if (prefetch->list > conf->site_count)
            end_round(prefetch, now_ns);
    }
    prefetch->ticked_ns = now_ns;
    loop_timer_start(loop, timer, now_ns + TICK_NS);
}

void edge_prefetch_start(struct edge_worker *worker)
{
    struct edge_prefetch *prefetch = &worker->prefetch;
    if (!worker->edge->store || worker_id(worker->worker) != 0)
        return;
    prefetch->started_ns = prefetch->round_ns = prefetch->ticked_ns = loop_now_ns(worker->loop);
    prefetch->round_s = (uint32_t)(ROUND_LEAST_NS / SECOND_NS) + 1;
    prefetch->timer.fire = on_tick;
    on_tick(worker->loop, &prefetch->timer);
}

void edge_prefetch_stop(struct edge_worker *worker)
{
    loop_timer_stop(worker->loop, &worker->prefetch.timer);
}
