/* SPDX-License-Identifier: Apache-2.0
 *
 * Where an edge hears of purges: a source is a gateway that numbers those of some sites. It is looked at every 10 ms: whether its link came
 * up, from nothing or from an outage. Each time it is asked for what is missing; its answer comes behind that, in order.
 */
#include "edge/cache/purges.h"

#include "base/memory.h"
#include "standing/standing.h"

enum { TICK_MS = 10, AGAIN_MS = 100 };
#define MS_NS 1000000ull

// clang-format off
#define SOURCE_STATE_LIST(X)                                                                        \
    X(AWAY, "away")         /* no link, or nothing passes */                                        \
    X(NONE, "not numbered") /* that gateway keeps no log of purges */                               \
    X(BEHIND, "behind")     /* what is missing is on its way */                                     \
    X(CURRENT, "current")
// clang-format on
enum source_state {
#define X(name, text) SOURCE_##name,
    SOURCE_STATE_LIST(X)
#undef X
};

struct edge_purge_source {
    struct list in_list;
    uint8_t key[CONF_KEY_BYTES]; /* of the gateway */
    struct link *_Atomic link;
    _Atomic uint64_t synced; /* link_ups() of when it said that nothing is missing; 0: it has not */
    struct edge_purges *purges;
    struct standing standing;
    uint64_t asked;               /* link_ups() of the last question: its mark */
    struct purge_message message; /* in `buffer`: while it is held the store did not take it yet */
    uint8_t buffer[PURGE_MESSAGE_MOST];
    uint64_t *sites; /* in the order of the configuration; none: nothing is wanted of it */
    size_t site_count;
    bool has_other_sites; /* than the stream knows */
    uint64_t *fresh;      /* while a configuration is read */
    size_t fresh_count, fresh_capacity;
};

struct purge_row {
    uint64_t site;
    struct edge_purge_source *source; /* NULL: nobody numbers its purges for us */
};

/* By place in the configuration; immutable. */
struct purge_table {
    size_t count;
    struct purge_row rows[];
};

struct edge_purges {
    struct edge *edge;
    struct loop_timer tick;
    struct list sources; /* for as long as the edge: they are as many as gateways */
    void *_Atomic table; /* struct purge_table */
    uint64_t grace_ends_ns;
};

struct metric edge_purges_done =
    METRIC(COUNTER, "causeway_edge_purges_total", "", "Numbered purges that were done.");
static struct metric purges_held = METRIC(COUNTER, "causeway_edge_purges_held_total", "",
                                          "Numbered purges that had to wait for the store.");
static struct metric purges_malformed =
    METRIC(COUNTER, "causeway_edge_purges_malformed_total", "",
           "Streams of purges that ended because what came was none.");
static struct metric purge_questions =
    METRIC(COUNTER, "causeway_edge_purge_questions_total", "",
           "Times that a gateway was asked for purges that are missing.");
static struct metric purges_foreign =
    METRIC(COUNTER, "causeway_edge_purges_foreign_total", "",
           "Sites of which a gateway said that it does not number their purges for this edge.");
static struct metric purge_bypasses =
    METRIC(COUNTER, "causeway_edge_purge_bypasses_total", "",
           "Requests that went by the store because purges might have been missing.");

void edge_purges_register_metrics(void)
{
    struct metric *all[] = {&edge_purges_done, &purges_held,    &purges_malformed,
                            &purge_questions,  &purges_foreign, &purge_bypasses};
    // NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        metric_register(all[i]);
}

/* ---- what others ask */

static enum source_state source_state(const struct edge_purge_source *source)
{
    const struct link *link = atomic_load_explicit(&source->link, memory_order_relaxed);
    if (!link || !link_is_up(link))
        return SOURCE_AWAY;
    if (!link_has_purges(link))
        return SOURCE_NONE;
    return atomic_load_explicit(&source->synced, memory_order_acquire) == link_ups(link)
               ? SOURCE_CURRENT
               : SOURCE_BEHIND;
}

static bool may_use(const struct edge_purges *purges, const struct edge_purge_source *source)
{
    switch (source_state(source)) {
    case SOURCE_AWAY:
        return atomic_load_explicit(&source->synced, memory_order_relaxed) ||
               clock_rough_now_ns() >= purges->grace_ends_ns;
    case SOURCE_BEHIND:
        return false;
    case SOURCE_NONE:
    case SOURCE_CURRENT:
        return true;
    }
    return false;
}

bool edge_purges_allow(const struct edge *edge, size_t index, uint64_t site)
{
    const struct purge_table *table = snapshot_read(&edge->purges->table);
    bool is_allowed =
        index < table->count && table->rows[index].site == site &&
        (!table->rows[index].source || may_use(edge->purges, table->rows[index].source));
    if (!is_allowed)
        metric_add(&purge_bypasses, 1);
    return is_allowed;
}

bool edge_purges_are_current(const struct edge *edge, struct text *why)
{
    const struct purge_table *table = edge->purges ? snapshot_read(&edge->purges->table) : NULL;
    for (size_t i = 0; table && i < table->count; i++)
        if (table->rows[i].source && source_state(table->rows[i].source) == SOURCE_BEHIND) {
            text_add_format(why, "purges may be missing: the gateway %s has not told them all",
                            link_peer_name(atomic_load(&table->rows[i].source->link)));
            return false;
        }
    return true;
}

static const char *state_text(const struct edge_purge_source *source)
{
    static const char *const texts[] = {
#define X(name, text) (text),
        SOURCE_STATE_LIST(X)
#undef X
    };
    return texts[source ? source_state(source) : SOURCE_NONE];
}

json_t *edge_purges_status(const struct edge *edge)
{
    json_t *sites = json_array();
    const struct purge_table *table = edge->purges ? snapshot_read(&edge->purges->table) : NULL;
    const struct conf *conf = conf_current(&edge->options.conf);
    for (size_t i = 0; table && i < table->count && i < conf->site_count; i++) {
        const struct purge_row *row = &table->rows[i];
        const struct conf_site *site = &conf->sites[i];
        if (!site->cache.is_on || row->site != purge_site(span_text(site->name)))
            continue;
        json_array_append_new(sites,
                              json_pack("{s:s, s:s, s:I}", "name", site->name, "state",
                                        state_text(row->source), "number",
                                        (json_int_t)store_purge_sequence(edge->store, row->site)));
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "done",
                     (json_int_t)metric_read(&edge_purges_done), "questions",
                     (json_int_t)metric_read(&purge_questions), "bypasses",
                     (json_int_t)metric_read(&purge_bypasses), "foreign",
                     (json_int_t)metric_read(&purges_foreign), "sites", sites);
}

/* ---- the stream */

static void ask(struct edge_purge_source *source, struct text *out)
{
    source->asked = link_ups(source->standing.link);
    metric_add(&purge_questions, 1);
    purge_message_write(out, &(struct purge_message){.type = PURGE_MESSAGE_ASK,
                                                     .number = source->asked});
}

static struct store *store_of(const struct edge_purge_source *source)
{
    return source->purges->edge->store;
}

/* False: the store does not take it yet. */
static bool do_purge(struct edge_purge_source *source, const struct purge *purge, struct text *out)
{
    int result = edge_purge_apply(store_of(source), purge);
    if (result == ERROR_AGAIN)
        return false;
    if (result < 0)
        log_error("purge", "a purge cannot be done: %s", error_text(result));
    else
        metric_add(&edge_purges_done, 1);
    if (result == 0)
        purge_message_write(out, &(struct purge_message){.type = PURGE_MESSAGE_DONE,
                                                         .site = purge->site,
                                                         .number = purge->number});
    return true;
}

/* 1: done; 0: later; negative: that is no message of this protocol. */
static int hear(struct edge_purge_source *source, struct text *out)
{
    const struct purge_message *message = &source->message;
    switch (message->type) {
    case PURGE_MESSAGE_PURGE:
        return do_purge(source, &message->purge, out);
    case PURGE_MESSAGE_CURRENT:
        if (message->number == source->asked)
            atomic_store_explicit(&source->synced, message->number, memory_order_release);
        return 1;
    case PURGE_MESSAGE_FOREIGN:
        metric_add(&purges_foreign, 1);
        log_warning("purge",
                    "the gateway does not number the purges of a site for this edge: do "
                    "both have the same configuration? gateway=%s",
                    link_peer_name(source->standing.link));
        return 1;
    case PURGE_MESSAGE_UNKNOWN:
        return 1;
    case PURGE_MESSAGE_HELLO:
    case PURGE_MESSAGE_SITE:
    case PURGE_MESSAGE_ASK:
    case PURGE_MESSAGE_DONE:
        return ERROR_INVALID;
    }
    return ERROR_INVALID;
}

static int take(struct standing *standing, struct text *out)
{
    struct edge_purge_source *source = CONTAINER_OF(standing, struct edge_purge_source, standing);
    if (!standing->is_held) {
        int length = purge_message_take(&standing->in, source->buffer, &source->message);
        if (length < 0)
            return length;
    }
    int result = hear(source, out);
    if (result == 0 && !standing->is_held)
        metric_add(&purges_held, 1);
    return result;
}

/* One that is refused keeps no log of purges after all: there are none to be missed. */
static void on_ended(struct standing *standing, uint32_t code)
{
    struct edge_purge_source *source = CONTAINER_OF(standing, struct edge_purge_source, standing);
    atomic_store_explicit(&source->synced,
                          code == TRANSPORT_CODE_REFUSED ? link_ups(standing->link) : 0,
                          memory_order_release);
}

static const struct standing_kind kind = {
    .take = take, .ended = on_ended, .malformed = &purges_malformed, .again_ns = AGAIN_MS * MS_NS};

static void greet(struct edge_purge_source *source)
{
    struct text out = {0};
    source->has_other_sites = false;
    purge_message_write(&out, &(struct purge_message){.type = PURGE_MESSAGE_HELLO,
                                                      .version = PURGE_VERSION});
    for (size_t i = 0; i < source->site_count; i++)
        purge_message_write(&out, &(struct purge_message){.type = PURGE_MESSAGE_SITE,
                                                          .site = source->sites[i],
                                                          .number = store_purge_sequence(
                                                              store_of(source), source->sites[i])});
    ask(source, &out);
    standing_say(&source->standing, &out);
}

/* ---- time */

static void look(struct edge_purge_source *source)
{
    struct standing *standing = &source->standing;
    struct link *link = source->site_count
                            ? link_to_gateway(source->purges->edge->options.links, source->key)
                            : NULL;
    atomic_store_explicit(&source->link, link, memory_order_relaxed);
    if (standing->stream && (standing->link != link || source->has_other_sites)) {
        standing_end(standing, TRANSPORT_CODE_CANCELLED);
        standing->retry_ns = 0;
    }
    if (!link || !link_is_up(link) || !link_has_purges(link))
        return;
    if (!standing->stream) {
        if (standing_is_due(standing) && store_knows_purges(store_of(source)) &&
            standing_open(standing, link, TRANSPORT_OPEN_PURGES))
            greet(source);
        return;
    }
    if (standing->is_held)
        standing_read_on(standing);
    if (standing->stream && source->asked != link_ups(link)) {
        struct text out = {0};
        ask(source, &out);
        standing_say(standing, &out);
    }
}

static void on_tick(struct loop *loop, struct loop_timer *timer)
{
    struct edge_purges *purges = CONTAINER_OF(timer, struct edge_purges, tick);
    LIST_EACH (item, after, &purges->sources)
        look(CONTAINER_OF(item, struct edge_purge_source, in_list));
    loop_timer_start(loop, timer, loop_now_ns(loop) + TICK_MS * MS_NS);
}

/* ---- the configuration */

static struct edge_purge_source *source_of(struct edge_purges *purges,
                                           const struct conf_node *gateway, bool is_self)
{
    const struct edge_options *options = &purges->edge->options;
    const uint8_t *key = is_self ? options->public_key : gateway->public_key;
    if (!link_to_gateway(options->links, key))
        return NULL;
    LIST_EACH (item, after, &purges->sources) {
        struct edge_purge_source *source = CONTAINER_OF(item, struct edge_purge_source, in_list);
        if (memcmp(source->key, key, CONF_KEY_BYTES) == 0)
            return source;
    }
    struct edge_purge_source *source = NEW(struct edge_purge_source);
    source->purges = purges;
    memcpy(source->key, key, CONF_KEY_BYTES);
    standing_init(&source->standing, &kind);
    atomic_init(&source->link, link_to_gateway(options->links, key));
    list_push_back(&purges->sources, &source->in_list);
    return source;
}

static void add_site(struct edge_purge_source *source, uint64_t site)
{
    if (source->fresh_count == source->fresh_capacity) {
        source->fresh_capacity = source->fresh_capacity ? source->fresh_capacity * 2 : 8;
        source->fresh = memory_resize(source->fresh, source->fresh_capacity, sizeof site);
    }
    source->fresh[source->fresh_count++] = site;
}

/* Others than before: they are told to the gateway, and until it has answered nothing is known of any. */
static void take_sites(struct edge_purge_source *source)
{
    if (source->fresh_count != source->site_count ||
        (source->site_count &&
         memcmp(source->fresh, source->sites, source->site_count * sizeof *source->sites) != 0)) {
        source->has_other_sites = true;
        atomic_store_explicit(&source->synced, 0, memory_order_release);
    }
    memory_free(source->sites);
    source->sites = source->fresh;
    source->site_count = source->fresh_count;
    source->fresh = NULL;
    source->fresh_count = source->fresh_capacity = 0;
}

static void read_conf(struct edge_purges *purges)
{
    const struct conf *conf = conf_current(&purges->edge->options.conf);
    struct purge_table *table = memory_new(sizeof *table + conf->site_count * sizeof *table->rows);
    table->count = conf->site_count;
    for (size_t i = 0; i < conf->site_count; i++) {
        const struct conf_site *site = &conf->sites[i];
        const struct conf_node *first = site->gateway_count ? site->gateways[0] : NULL;
        struct purge_row *row = &table->rows[i];
        row->site = purge_site(span_text(site->name));
        if (first && site->cache.is_on && edge_route_serves(conf, site))
            row->source = source_of(purges, first, first == conf->self);
        if (row->source)
            add_site(row->source, row->site);
    }
    LIST_EACH (item, after, &purges->sources)
        take_sites(CONTAINER_OF(item, struct edge_purge_source, in_list));
    snapshot_publish(&purges->table, table, memory_free);
}

/* ---- life */

struct edge_purges *edge_purges_new(struct edge *edge)
{
    if (!edge->store)
        return NULL;
    struct edge_purges *purges = NEW(struct edge_purges);
    purges->edge = edge;
    purges->tick.fire = on_tick;
    purges->grace_ends_ns = clock_now_ns() + EDGE_PURGES_GRACE_NS;
    list_init(&purges->sources);
    read_conf(purges);
    return purges;
}

void edge_purges_free(struct edge_purges **freed)
{
    struct edge_purges *purges = *freed;
    *freed = NULL;
    if (!purges)
        return;
    for (struct list *item; (item = list_pop_front(&purges->sources)) != NULL;) {
        struct edge_purge_source *source = CONTAINER_OF(item, struct edge_purge_source, in_list);
        memory_free(source->sites);
        memory_free(source);
    }
    memory_free(atomic_load(&purges->table));
    memory_free(purges);
}

static bool is_first(const struct edge_worker *worker)
{
    return worker == worker->edge->workers;
}

void edge_purges_start(struct edge_worker *worker)
{
    if (worker->edge->purges && is_first(worker))
        on_tick(worker->loop, &worker->edge->purges->tick);
}

void edge_purges_follow(struct edge_worker *worker)
{
    if (worker->edge->purges && is_first(worker))
        read_conf(worker->edge->purges);
}

void edge_purges_stop(struct edge_worker *worker)
{
    struct edge_purges *purges = worker->edge->purges;
    if (!purges || !is_first(worker))
        return;
    loop_timer_stop(worker->loop, &purges->tick);
    LIST_EACH (item, after, &purges->sources)
        standing_end(&CONTAINER_OF(item, struct edge_purge_source, in_list)->standing,
                     TRANSPORT_CODE_SHUTDOWN);
}
