/* SPDX-License-Identifier: Apache-2.0
 *
 * A process of an edge that hears of purges: a stream which it opened. It says what it has of each site, gets what it lacks and from then on
 * each purge as it comes into the log, and tells when it is in force. docs/protocol/purge.md.
 */
#include "gateway/purges/purge.h"

#include "base/memory.h"
#include "base/sorted.h"

#include <stdlib.h>

/* ---- sites */

static struct purge_session_site *find_site(const struct purge_session *session, uint64_t site)
{
    return sorted_find(session->sites, session->site_count, sizeof *session->sites, site);
}

const struct purge_session_site *purge_session_site(const struct purge_session *session,
                                                    uint64_t site)
{
    return find_site(session, site);
}

/* Under the lock. */
static struct purge_session_site *need_site(struct purge_session *session, uint64_t site)
{
    struct purge_session_site *found = find_site(session, site);
    if (found)
        return found;
    session->sites = sorted_insert(session->sites, &session->site_count, &session->site_capacity,
                                   sizeof *session->sites, site);
    return find_site(session, site);
}

/* ---- life */

static struct gateway_purges *purges_of(const struct purge_session *session)
{
    return session->worker->gateway->purges;
}

static struct purge_session *session_of(struct list *item)
{
    return CONTAINER_OF(item, struct purge_session, standing.in_accepted);
}

static void on_ended(struct standing *standing, uint32_t code)
{
    struct purge_session *session = CONTAINER_OF(standing, struct purge_session, standing);
    struct gateway_purges *purges = purges_of(session);
    (void)code;
    pthread_mutex_lock(&purges->lock);
    list_remove(&session->in_all);
    pthread_mutex_unlock(&purges->lock);
    metric_add(&gateway_purge_edges, (uint64_t)-1);
    memory_free(session->sites);
    memory_free(session);
}

/* ---- to the edge */

static void write_purge(struct text *out, const struct purge *purge)
{
    purge_message_write(out, &(struct purge_message){.type = PURGE_MESSAGE_PURGE, .purge = *purge});
}

/* Under the lock of the log. It has all that there is, of each site that it named. */
static bool is_current(const struct purge_session *session, const struct purge_log *log)
{
    if (session->place != purge_log_end(log))
        return false;
    for (size_t i = 0; i < session->site_count; i++) {
        uint64_t last = purge_log_last(log, session->sites[i].site);
        if (!last || session->sites[i].claimed > last)
            return false; /* a number for it is on its way into the log */
    }
    return true;
}

/* As much of the log as there is room for. */
static void pump(struct purge_session *session)
{
    const struct purge_log *log = purges_of(session)->log;
    uint64_t room = standing_room(&session->standing);
    struct text out = {0};
    purge_log_lock(purges_of(session)->log);
    if (session->place < purge_log_begin(log))
        session->place = purge_log_begin(log);
    while (session->place < purge_log_end(log) && out.length < room) {
        const struct purge_entry *entry = purge_log_at(log, session->place++);
        struct purge_session_site *site = find_site(session, entry->site);
        if (!site || entry->number <= site->sent)
            continue;
        site->sent = entry->number;
        write_purge(&out, &(struct purge){entry->site, entry->number, entry->kind, entry->is_soft,
                                          span_of(entry->what, entry->length)});
    }
    if (session->has_mark && is_current(session, log)) {
        session->has_mark = false;
        purge_message_write(&out, &(struct purge_message){.type = PURGE_MESSAGE_CURRENT,
                                                          .number = session->mark});
    }
    purge_log_unlock(purges_of(session)->log);
    standing_say(&session->standing, &out);
}

/* ---- from the edge */

/* It has numbers that were never given here: the log was lost. What it heard then is unknown, so the site begins anew above it. */
static void raise_number(struct purge_session *session, const struct purge_session_site *site)
{
    struct purge_order *order = NEW(struct purge_order);
    order->count = 1;
    order->purges[0] = (struct purge){
        .site = site->site, .number = site->claimed + 1, .kind = PURGE_SITE, .is_soft = true};
    metric_add(&gateway_purge_raised, 1);
    log_warning("purge",
                "an edge has heard of purges that are not in this log: its site begins "
                "anew edge=%s",
                link_peer_name(session->standing.link));
    if (gateway_purges_order(purges_of(session), &order, NULL))
        purge_order_free(&order); /* it will ask again */
}

/* One that has none of a site's purges needs none of them: stale is enough. */
static void give_number(struct purge_session *session, struct purge_session_site *site,
                        struct text *out)
{
    struct purge_log *log = purges_of(session)->log;
    purge_log_lock(log);
    uint64_t last = purge_log_last(log, site->site);
    purge_log_unlock(log);
    if (last && !site->claimed) {
        site->sent = last;
        write_purge(out, &(struct purge){site->site, last, PURGE_SITE, true, {0}});
    } else if (last && site->claimed > last) {
        raise_number(session, site);
    }
}

static void take_site(struct purge_session *session, const struct purge_message *message,
                      struct text *out)
{
    struct gateway_purges *purges = purges_of(session);
    const struct conf *conf = gateway_conf(session->worker);
    const struct conf_node *edge = gateway_edge(conf, session->standing.link);
    struct purge_session_site *site = NULL;
    bool is_edges = false;
    pthread_mutex_lock(&purges->lock);
    const struct purge_own *own = gateway_purges_own(purges, message->site);
    const struct conf_site *known =
        own && own->index < conf->site_count ? &conf->sites[own->index] : NULL;
    for (size_t i = 0; known && i < known->edge_count; i++)
        is_edges |= known->edges[i] == edge;
    if (is_edges && purge_site(span_text(known->name)) == message->site) {
        site = need_site(session, message->site);
        site->claimed = site->sent = site->done = message->number;
    }
    pthread_mutex_unlock(&purges->lock);
    session->place = 0; /* it may be among what was passed over */
    if (site)
        give_number(session, site, out);
    else
        purge_message_write(out, &(struct purge_message){.type = PURGE_MESSAGE_FOREIGN,
                                                         .site = message->site});
}

static void take_done(struct purge_session *session, const struct purge_message *message)
{
    struct gateway_purges *purges = purges_of(session);
    pthread_mutex_lock(&purges->lock);
    struct purge_session_site *site = find_site(session, message->site);
    if (site && message->number <= site->sent && message->number > site->done)
        site->done = message->number;
    pthread_mutex_unlock(&purges->lock);
}

/* False: that is no message of this protocol. */
static bool hear(struct purge_session *session, const struct purge_message *message,
                 struct text *out)
{
    bool is_hello = message->type == PURGE_MESSAGE_HELLO;
    if (is_hello == session->has_hello)
        return false;
    switch (message->type) {
    case PURGE_MESSAGE_HELLO:
        session->has_hello = true;
        return message->version == PURGE_VERSION;
    case PURGE_MESSAGE_SITE:
        take_site(session, message, out);
        return session->site_count <= CONF_SITES_LIMIT;
    case PURGE_MESSAGE_ASK:
        session->mark = message->number;
        session->has_mark = true;
        return true;
    case PURGE_MESSAGE_DONE:
        take_done(session, message);
        return true;
    case PURGE_MESSAGE_UNKNOWN:
        return true;
    case PURGE_MESSAGE_PURGE:
    case PURGE_MESSAGE_CURRENT:
    case PURGE_MESSAGE_FOREIGN:
        return false;
    }
    return false;
}

static int take(struct standing *standing, struct text *out)
{
    struct purge_session *session = CONTAINER_OF(standing, struct purge_session, standing);
    uint8_t bytes[PURGE_MESSAGE_MOST];
    struct purge_message message;
    int length = purge_message_take(&standing->in, bytes, &message);
    return length > 0 && !hear(session, &message, out) ? ERROR_INVALID : length;
}

static void speak(struct standing *standing)
{
    pump(CONTAINER_OF(standing, struct purge_session, standing));
}

/* ---- the door */

void gateway_purge_accept(struct gateway_worker *worker, struct link *link,
                          struct link_stream *stream)
{
    static const struct standing_kind kind = {
        .take = take, .speak = speak, .ended = on_ended, .malformed = &gateway_bad_requests};
    struct gateway_purges *purges = worker->gateway->purges;
    if (!purges || !gateway_edge(gateway_conf(worker), link)) {
        metric_add(&gateway_refused, 1);
        link_stream_reset(stream, TRANSPORT_CODE_REFUSED);
        link_stream_release(&stream);
        return;
    }
    struct purge_session *session = NEW(struct purge_session);
    session->worker = worker;
    standing_init(&session->standing, &kind);
    standing_accept(&session->standing, &worker->purge_sessions, link, stream);
    pthread_mutex_lock(&purges->lock);
    list_push_back(&purges->sessions, &session->in_all);
    pthread_mutex_unlock(&purges->lock);
    metric_add(&gateway_purge_edges, 1);
}

void gateway_purge_sessions_run(struct gateway_worker *worker)
{
    LIST_EACH (item, after, &worker->purge_sessions) {
        struct purge_session *session = session_of(item);
        pthread_mutex_lock(&purges_of(session)->lock);
        bool is_stale = session->is_stale;
        pthread_mutex_unlock(&purges_of(session)->lock);
        if (is_stale)
            standing_end(&session->standing, TRANSPORT_CODE_SHUTDOWN);
        else
            pump(session);
    }
}

void gateway_purge_sessions_abort(struct gateway_worker *worker)
{
    LIST_EACH (item, after, &worker->purge_sessions)
        standing_end(&session_of(item)->standing, TRANSPORT_CODE_SHUTDOWN);
}
