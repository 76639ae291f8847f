/* SPDX-License-Identifier: Apache-2.0
 *
 * Where an edge hears of loads: a source is a gateway. It is looked at ten times a second, whether its link came up; what it tells is kept
 * until it tells otherwise, and believed while it beats.
 */
#include "edge/loads.h"

#include "base/memory.h"
#include "base/sorted.h"
#include "standing/standing.h"

#include <pthread.h>

enum {
    TICK_MS = 100,
    AGAIN_MS = 1000,
    PEERS_BEATS = 3,   /* a gateway is told of others at every third beat, */
    PEERS_MOST = 1024, /* of so many sites */
};
#define MS_NS 1000000ull

struct edge_load_source {
    struct list in_list;
    struct edge_loads *loads;
    uint8_t key[CONF_KEY_BYTES];
    /* The first worker's. */
    struct standing standing;
    bool is_named; /* by the present configuration */

    pthread_mutex_t
        lock; /* of all below: readers come from other workers, some twenty times a second */
    uint64_t beat_ns; /* when it was heard last; 0: not on this stream */
    uint64_t known, lost;
    bool is_leaving;
    struct loads_report *reports; /* ascending by site */
    size_t count, capacity;
};

struct edge_loads {
    struct edge *edge;
    struct loop_timer tick;
    pthread_mutex_t lock; /* of the list */
    struct list sources;
};

static struct metric loads_beats =
    METRIC(COUNTER, "causeway_edge_loads_beats_total", "", "Beats of gateways that tell loads.");
static struct metric loads_told = METRIC(COUNTER, "causeway_edge_loads_told_total", "",
                                         "Loads of sites that gateways have told.");
static struct metric loads_malformed =
    METRIC(COUNTER, "causeway_edge_loads_malformed_total", "",
           "Streams of loads that ended because what came was none.");

void edge_loads_register_metrics(void)
{
    metric_register(&loads_beats);
    metric_register(&loads_told);
    metric_register(&loads_malformed);
}

/* ---- what was told */

static struct loads_report *find(const struct edge_load_source *source, uint64_t site)
{
    return sorted_find(source->reports, source->count, sizeof *source->reports, site);
}

/* False: more sites than there may be. */
static bool keep(struct edge_load_source *source, const struct loads_report *report)
{
    struct loads_report *row = find(source, report->site);
    if (!row) {
        if (source->count == CONF_SITES_LIMIT)
            return false;
        source->reports = sorted_insert(source->reports, &source->count, &source->capacity,
                                        sizeof *row, report->site);
        row = find(source, report->site);
    }
    *row = *report;
    return true;
}

static void forget(struct edge_load_source *source, uint64_t site)
{
    struct loads_report *row = find(source, site);
    if (row)
        memmove(row, row + 1,
                (size_t)(source->reports + source->count-- - (row + 1)) * sizeof *row);
}

static bool is_fresh(const struct edge_load_source *source, uint64_t now_ns)
{
    return source->beat_ns && now_ns < source->beat_ns + LOADS_STALE_NS;
}

bool edge_loads_read(struct edge_load_source *source, uint64_t site, uint64_t now_ns,
                     struct loads_report *report)
{
    pthread_mutex_lock(&source->lock);
    const struct loads_report *row = is_fresh(source, now_ns) ? find(source, site) : NULL;
    if (row)
        *report = *row;
    pthread_mutex_unlock(&source->lock);
    return row != NULL;
}

bool edge_loads_read_way(struct edge_load_source *source, uint64_t now_ns, uint64_t *known,
                         uint64_t *lost)
{
    pthread_mutex_lock(&source->lock);
    bool is_known = is_fresh(source, now_ns);
    *known = source->known;
    *lost = source->lost;
    pthread_mutex_unlock(&source->lock);
    return is_known;
}

bool edge_loads_is_leaving(struct edge_load_source *source, uint64_t now_ns)
{
    pthread_mutex_lock(&source->lock);
    bool is_leaving = source->is_leaving && is_fresh(source, now_ns);
    pthread_mutex_unlock(&source->lock);
    return is_leaving;
}

/* ---- the stream */

/* A gateway hears what the others that serve the same sites need: they divide the origins' slots by it. */
static void write_peers(struct edge_load_source *source, struct text *out)
{
    struct edge_loads *loads = source->loads;
    uint64_t now_ns = clock_now_ns();
    pthread_mutex_lock(&loads->lock);
    for (size_t i = 0; i < source->count && i < PEERS_MOST; i++) {
        struct loads_message message = {.type = LOADS_MESSAGE_PEERS,
                                        .report.site = source->reports[i].site};
        uint64_t need = 0;
        LIST_EACH (item, after, &loads->sources) {
            struct edge_load_source *other = CONTAINER_OF(item, struct edge_load_source, in_list);
            struct loads_report report;
            if (other == source || !edge_loads_read(other, message.report.site, now_ns, &report))
                continue;
            message.others++;
            need += loads_report_need_milli(&report);
        }
        message.need_milli = need < UINT32_MAX ? (uint32_t)need : UINT32_MAX;
        if (message.others)
            loads_message_write(out, &message);
    }
    pthread_mutex_unlock(&loads->lock);
}

/* False: that is no message of this protocol. */
static bool hear(struct edge_load_source *source, const struct loads_message *message,
                 struct text *out)
{
    bool is_taken = true;
    switch (message->type) {
    case LOADS_MESSAGE_BEAT:
        pthread_mutex_lock(&source->lock);
        source->beat_ns = clock_now_ns();
        source->known = message->known;
        source->lost = message->lost;
        source->is_leaving = message->is_leaving;
        pthread_mutex_unlock(&source->lock);
        metric_add(&loads_beats, 1);
        loads_message_write(out, &(struct loads_message){.type = LOADS_MESSAGE_HEARD,
                                                         .number = message->number});
        if (message->number % PEERS_BEATS == 0)
            write_peers(source, out);
        return true;
    case LOADS_MESSAGE_LOAD:
        metric_add(&loads_told, 1);
        pthread_mutex_lock(&source->lock);
        is_taken = keep(source, &message->report);
        pthread_mutex_unlock(&source->lock);
        return is_taken;
    case LOADS_MESSAGE_GONE:
        pthread_mutex_lock(&source->lock);
        forget(source, message->report.site);
        pthread_mutex_unlock(&source->lock);
        return true;
    case LOADS_MESSAGE_UNKNOWN:
        return true;
    case LOADS_MESSAGE_HELLO:
    case LOADS_MESSAGE_HEARD:
    case LOADS_MESSAGE_PEERS:
        return false;
    }
    return false;
}

static int take(struct standing *standing, struct text *out)
{
    struct edge_load_source *source = CONTAINER_OF(standing, struct edge_load_source, standing);
    struct loads_message message;
    int length = loads_message_take(&standing->in, &message);
    return length > 0 && !hear(source, &message, out) ? ERROR_INVALID : length;
}

static void on_ended(struct standing *standing, uint32_t code)
{
    struct edge_load_source *source = CONTAINER_OF(standing, struct edge_load_source, standing);
    (void)code;
    pthread_mutex_lock(&source->lock);
    source->beat_ns = 0;
    source->count = 0;
    pthread_mutex_unlock(&source->lock);
}

static const struct standing_kind kind = {
    .take = take, .ended = on_ended, .malformed = &loads_malformed, .again_ns = AGAIN_MS * MS_NS};

static void greet(struct standing *standing)
{
    struct text out = {0};
    loads_message_write(&out, &(struct loads_message){.type = LOADS_MESSAGE_HELLO,
                                                      .version = LOADS_VERSION});
    standing_say(standing, &out);
}

/* ---- time */

static void look(struct edge_load_source *source)
{
    struct standing *standing = &source->standing;
    struct link *link =
        source->is_named ? link_to_gateway(source->loads->edge->options.links, source->key) : NULL;
    if (standing->stream && standing->link != link) {
        standing_end(standing, TRANSPORT_CODE_CANCELLED);
        standing->retry_ns = 0;
    }
    if (link && link_is_up(link) && link_has_loads(link) && standing_is_due(standing) &&
        standing_open(standing, link, TRANSPORT_OPEN_LOADS))
        greet(standing);
}

static void on_tick(struct loop *loop, struct loop_timer *timer)
{
    struct edge_loads *loads = CONTAINER_OF(timer, struct edge_loads, tick);
    pthread_mutex_lock(&loads->lock);
    LIST_EACH (item, after, &loads->sources)
        look(CONTAINER_OF(item, struct edge_load_source, in_list));
    pthread_mutex_unlock(&loads->lock);
    loop_timer_start(loop, timer, loop_now_ns(loop) + TICK_MS * MS_NS);
}

/* ---- sources */

static struct edge_load_source *find_or_make(struct edge_loads *loads,
                                             const uint8_t key[CONF_KEY_BYTES])
{
    LIST_EACH (item, after, &loads->sources) {
        struct edge_load_source *source = CONTAINER_OF(item, struct edge_load_source, in_list);
        if (memcmp(source->key, key, CONF_KEY_BYTES) == 0)
            return source;
    }
    struct edge_load_source *source = NEW(struct edge_load_source);
    source->loads = loads;
    memcpy(source->key, key, CONF_KEY_BYTES);
    standing_init(&source->standing, &kind);
    pthread_mutex_init(&source->lock, NULL);
    list_push_back(&loads->sources, &source->in_list);
    return source;
}

struct edge_load_source *edge_loads_source(struct edge_loads *loads,
                                           const uint8_t key[CONF_KEY_BYTES])
{
    pthread_mutex_lock(&loads->lock);
    struct edge_load_source *source = find_or_make(loads, key);
    pthread_mutex_unlock(&loads->lock);
    return source;
}

static void read_conf(struct edge_loads *loads)
{
    const struct edge_options *options = &loads->edge->options;
    const struct conf *conf = conf_current(&options->conf);
    pthread_mutex_lock(&loads->lock);
    LIST_EACH (item, after, &loads->sources)
        CONTAINER_OF(item, struct edge_load_source, in_list)->is_named = false;
    for (size_t i = 0; i < conf->site_count; i++) {
        const struct conf_site *site = &conf->sites[i];
        for (size_t j = 0; edge_route_serves(conf, site) && j < site->gateway_count; j++) {
            bool is_self = site->gateways[j] == conf->self;
            find_or_make(loads, is_self ? options->public_key : site->gateways[j]->public_key)
                ->is_named = true;
        }
    }
    pthread_mutex_unlock(&loads->lock);
}

/* ---- life */

struct edge_loads *edge_loads_new(struct edge *edge)
{
    struct edge_loads *loads = NEW(struct edge_loads);
    loads->edge = edge;
    loads->tick.fire = on_tick;
    pthread_mutex_init(&loads->lock, NULL);
    list_init(&loads->sources);
    read_conf(loads);
    return loads;
}

void edge_loads_free(struct edge_loads **freed)
{
    struct edge_loads *loads = *freed;
    *freed = NULL;
    for (struct list *item; (item = list_pop_front(&loads->sources)) != NULL;) {
        struct edge_load_source *source = CONTAINER_OF(item, struct edge_load_source, in_list);
        pthread_mutex_destroy(&source->lock);
        memory_free(source->reports);
        memory_free(source);
    }
    pthread_mutex_destroy(&loads->lock);
    memory_free(loads);
}

static bool is_first(const struct edge_worker *worker)
{
    return worker == worker->edge->workers;
}

void edge_loads_start(struct edge_worker *worker)
{
    if (is_first(worker))
        on_tick(worker->loop, &worker->edge->loads->tick);
}

void edge_loads_follow(struct edge_worker *worker)
{
    if (is_first(worker))
        read_conf(worker->edge->loads);
}

void edge_loads_stop(struct edge_worker *worker)
{
    struct edge_loads *loads = worker->edge->loads;
    if (!is_first(worker))
        return;
    loop_timer_stop(worker->loop, &loads->tick);
    LIST_EACH (item, after, &loads->sources)
        standing_end(&CONTAINER_OF(item, struct edge_load_source, in_list)->standing,
                     TRANSPORT_CODE_SHUTDOWN);
}
