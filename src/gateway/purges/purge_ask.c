/* SPDX-License-Identifier: Apache-2.0
 *
 * What `causeway purge` asks of a node: {"verb": "purge", "action": "do", "site": NAME, "soft": true, "items": [{"kind": "url", "what": ...}]}
 * gives a ticket at once; {"action": "look", "ticket": N} tells what became of it, edge by edge. On the main thread.
 */
#include "gateway/purges/purge.h"

#include "base/memory.h"
#include "cache/cache.h"

#include <stdlib.h>

/* ---- which site, and whether here */

static json_t *refuse_unknown_site(const struct conf *conf, const char *name)
{
    const char **names = memory_new((conf->site_count + 1) * sizeof *names);
    for (size_t i = 0; i < conf->site_count; i++)
        names[i] = conf->sites[i].name;
    const char *nearest = nearest_word(name, names, conf->site_count);
    memory_free((void *)names);
    return nearest ? gateway_refuse("there is no site '%s'; did you mean '%s'?", name, nearest)
                   : gateway_refuse("there is no site '%s'", name);
}

/* NULL: they are numbered here. One gateway numbers, so that all edges have all purges in one order; while it is down nobody does,
 * because a second one could not know what the first has numbered and not yet told. */
static json_t *refuse_elsewhere(const struct gateway *gateway, const struct conf *conf,
                                const struct conf_site *site)
{
    if (!site->cache.is_on)
        return gateway_refuse("site '%s' has no cache (cache.on): there is nothing to purge",
                              site->name);
    if (!site->gateway_count)
        return gateway_refuse("site '%s' has no gateway", site->name);
    if (!gateway || !gateway_numbers(conf, site))
        return gateway_refuse(
            "the purges of site '%s' are numbered at its first gateway: run it at '%s'", site->name,
            site->gateways[0]->name);
    if (!conf->self->gateway->purges)
        return gateway_refuse("this gateway keeps no log of purges: give it gateway.purges");
    if (!gateway->purges || !gateway->purges->has_thread)
        return gateway_refuse(
            "the log of purges is not in use: gateway.purges needs a restart, or the node's "
            "log says what is wrong");
    return NULL;
}

/* ---- what */

struct url {
    bool is_http, is_https; /* both where no scheme was given */
    struct span host, target;
    uint16_t port;
};

static json_t *split_url(struct url *url, struct arena *arena, const char *text,
                         const struct conf *conf, const struct conf_site *site)
{
    struct span rest = span_text(text), authority;
    bool is_http = rest.length >= 7 && span_equal_nocase(span_of(rest.data, 7), SPAN("http://"));
    bool is_https = rest.length >= 8 && span_equal_nocase(span_of(rest.data, 8), SPAN("https://"));
    if (!is_http && !is_https && strstr(text, "://"))
        return gateway_refuse("'%.200s' is neither http:// nor https://", text);
    rest = authority = span_from(rest, is_http ? 7 : is_https ? 8 : 0);
    size_t end = 0;
    while (end < rest.length && !memchr("/?#", rest.data[end], 3))
        end++;
    authority.length = end;
    rest = span_from(rest, end);
    *url = (struct url){.is_http = !is_https, .is_https = !is_http};
    if (http_host_parse(authority, arena, &url->host, &url->port))
        return gateway_refuse("'%.200s' does not begin with a host", text);
    url->target = rest;
    if (!rest.length || rest.data[0] == '?')
        url->target = span_text(arena_format(arena, "/%.*s", SPAN_ARGS(rest)));
    if (!http_is_target(url->target))
        return gateway_refuse(
            "'%.200s' has bytes that no request has: encode them (%%20), and leave #... "
            "out",
            text);
    const struct conf_site *owner = conf_find_host(conf, url->host);
    if (owner == site)
        return NULL;
    return owner ? gateway_refuse("host '%.*s' belongs to site '%s'", SPAN_ARGS(url->host),
                                  owner->name)
                 : gateway_refuse("host '%.*s' is none of site '%s'", SPAN_ARGS(url->host),
                                  site->name);
}

static struct purge *add(struct purge_order *order, const struct conf_site *site,
                         enum purge_kind kind, bool is_soft)
{
    struct purge *purge = &order->purges[order->count++];
    *purge =
        (struct purge){.site = purge_site(span_text(site->name)), .kind = kind, .is_soft = is_soft};
    return purge;
}

static json_t *add_url(struct purge_order *order, const struct conf *conf,
                       const struct conf_site *site, enum purge_kind kind, const char *text,
                       bool is_soft)
{
    struct arena arena = {0};
    struct url url = {0};
    json_t *refusal = split_url(&url, &arena, text, conf, site);
    for (int is_https = 0; !refusal && is_https < 2; is_https++) {
        if (is_https ? !url.is_https : !url.is_http)
            continue;
        struct text *key = &order->what[order->count];
        struct purge *purge = add(order, site, kind, is_soft);
        if (cache_key_make(key, span_text(site->name), is_https, url.host, url.port, url.target))
            refusal = gateway_refuse("'%.200s ...' is longer than what is stored can be", text);
        purge->what = text_span(key);
    }
    arena_clear(&arena);
    return refusal;
}

static json_t *add_tag(struct purge_order *order, const struct conf_site *site, const char *text,
                       bool is_soft)
{
    struct span tag = span_text(text);
    for (size_t i = 0; i < tag.length; i++)
        if (tag.data[i] <= ' ' || tag.data[i] == ',' || tag.data[i] == 0x7f)
            return gateway_refuse("'%.200s' is no tag: spaces and commas separate tags", text);
    if (!tag.length || tag.length > PURGE_WHAT_MOST)
        return gateway_refuse("a tag has 1 to %d bytes", PURGE_WHAT_MOST);
    text_add_span(&order->what[order->count], tag);
    struct span kept = text_span(&order->what[order->count]);
    add(order, site, PURGE_TAG, is_soft)->what = kept;
    return NULL;
}

static json_t *add_item(struct purge_order *order, const struct conf *conf,
                        const struct conf_site *site, const json_t *item, bool is_soft)
{
    const char *name = json_string_value(json_object_get(item, "kind"));
    const char *what = json_string_value(json_object_get(item, "what"));
    enum purge_kind kind;
    if (!name || purge_kind_find(name, &kind))
        return gateway_refuse("an item's kind is url, prefix, tag or all");
    if (kind != PURGE_SITE && !what)
        return gateway_refuse("'%s' of what?", name);
    switch (kind) {
    case PURGE_URL:
    case PURGE_PREFIX:
        return add_url(order, conf, site, kind, what, is_soft);
    case PURGE_TAG:
        return add_tag(order, site, what, is_soft);
    case PURGE_SITE:
        add(order, site, kind, is_soft);
        return NULL;
    case PURGE_KINDS:
        break;
    }
    return NULL;
}

static void log_order(const struct purge_order *order, const struct conf_site *site)
{
    for (size_t i = 0; i < order->count; i++)
        log_notice("purge", "asked for site=%s kind=%s soft=%s what=\"%.*s\"", site->name,
                   purge_kind_text(order->purges[i].kind), order->purges[i].is_soft ? "yes" : "no",
                   SPAN_ARGS(order->purges[i].what));
}

static json_t *take_order(struct gateway *gateway, const struct conf *conf,
                          const struct conf_site *site, const json_t *question)
{
    const json_t *items = json_object_get(question, "items");
    bool is_soft = json_is_true(json_object_get(question, "soft"));
    if (!json_array_size(items) || json_array_size(items) > PURGE_ITEMS_MOST)
        return gateway_refuse("1 to %d items at once", PURGE_ITEMS_MOST);
    struct purge_order *order = NEW(struct purge_order);
    json_t *refusal = NULL;
    uint64_t ticket = 0;
    for (size_t i = 0; !refusal && i < json_array_size(items); i++)
        refusal = add_item(order, conf, site, json_array_get(items, i), is_soft);
    if (!refusal) {
        log_order(order, site);
        if (gateway_purges_order(gateway->purges, &order, &ticket))
            refusal = gateway_refuse("too many purges wait to be written down: try again");
    }
    purge_order_free(&order);
    return refusal ? refusal : json_pack("{s:I}", "ticket", (json_int_t)ticket);
}

/* ---- what became of it */

/* Under the lock. "late": it can be reached, and a process of it has not done it yet; "away": will replay it. */
static const char *edge_state(const struct gateway_purges *purges, const struct conf *conf,
                              const struct conf_node *edge, uint64_t site, uint64_t number)
{
    const char *state = "away";
    for (const struct list *item = purges->sessions.next; item != &purges->sessions;
         item = item->next) {
        const struct purge_session *session = CONTAINER_OF(item, struct purge_session, in_all);
        const struct purge_session_site *own = purge_session_site(session, site);
        if (!own || !link_is_up(session->standing.link) ||
            gateway_edge(conf, session->standing.link) != edge)
            continue;
        if (own->done < number)
            return "late";
        state = "done";
    }
    return state;
}

static json_t *edges_of(struct gateway_purges *purges, const struct conf *conf,
                        const struct conf_site *site, uint64_t number)
{
    json_t *edges = json_array();
    uint64_t code = purge_site(span_text(site->name));
    pthread_mutex_lock(&purges->lock);
    for (size_t i = 0; i < site->edge_count; i++) {
        const struct conf_node *edge = site->edges[i];
        if (edge->edge && edge->edge->cache_bytes)
            json_array_append_new(edges, json_pack("{s:s, s:s}", "name", edge->name, "state",
                                                   edge_state(purges, conf, edge, code, number)));
    }
    pthread_mutex_unlock(&purges->lock);
    return edges;
}

static json_t *look(struct gateway *gateway, const struct conf *conf, const struct conf_site *site,
                    const json_t *question)
{
    uint64_t number = (uint64_t)json_integer_value(json_object_get(question, "ticket"));
    struct gateway_purges *purges = gateway->purges;
    pthread_mutex_lock(&purges->lock);
    struct purge_ticket ticket = purges->tickets[number % PURGE_TICKETS];
    pthread_mutex_unlock(&purges->lock);
    if (!number || ticket.number != number || ticket.site != purge_site(span_text(site->name)))
        return gateway_refuse("nothing is known of such a ticket");
    if (!ticket.is_done)
        return json_pack("{s:s}", "state", "writing");
    if (ticket.result < 0)
        return gateway_refuse("the log of purges could not be written (%s): nothing was purged",
                              error_text(ticket.result));
    return json_pack("{s:s, s:I, s:I, s:o}", "state", "numbered", "first", (json_int_t)ticket.first,
                     "last", (json_int_t)ticket.last, "edges",
                     edges_of(purges, conf, site, ticket.last));
}

json_t *gateway_purge_inquire(struct gateway *gateway, const struct conf *conf,
                              const json_t *question)
{
    const char *action = json_string_value(json_object_get(question, "action"));
    const char *name = json_string_value(json_object_get(question, "site"));
    if (!action || !name)
        return gateway_refuse("a purge needs an action and a site");
    const struct conf_site *site = conf_find_site(conf, span_text(name));
    if (!site)
        return refuse_unknown_site(conf, name);
    json_t *refusal = refuse_elsewhere(gateway, conf, site);
    if (refusal)
        return refusal;
    if (strcmp(action, "do") == 0)
        return take_order(gateway, conf, site, question);
    if (strcmp(action, "look") == 0)
        return look(gateway, conf, site, question);
    return gateway_refuse("the action of a purge is do or look");
}

/* ---- status */

static json_t *sites_status(const struct gateway_purges *purges, const struct conf *conf)
{
    json_t *sites = json_array();
    purge_log_lock(purges->log);
    for (size_t i = 0; i < purges->own_count; i++) {
        const struct purge_own *own = &purges->own[i];
        if (own->index < conf->site_count)
            json_array_append_new(
                sites, json_pack("{s:s, s:I}", "name", conf->sites[own->index].name, "number",
                                 (json_int_t)purge_log_last(purges->log, own->site)));
    }
    purge_log_unlock(purges->log);
    return sites;
}

/* How many of its sites lack a purge. */
static json_int_t behind(const struct purge_session *session, const struct purge_log *log)
{
    json_int_t count = 0;
    for (size_t i = 0; i < session->site_count; i++)
        count += session->sites[i].done < purge_log_last(log, session->sites[i].site);
    return count;
}

static json_t *sessions_status(const struct gateway_purges *purges)
{
    json_t *edges = json_array();
    purge_log_lock(purges->log);
    for (const struct list *item = purges->sessions.next; item != &purges->sessions;
         item = item->next) {
        const struct purge_session *session = CONTAINER_OF(item, struct purge_session, in_all);
        json_array_append_new(edges, json_pack("{s:s, s:b, s:I, s:I}", "name",
                                               link_peer_name(session->standing.link), "up",
                                               link_is_up(session->standing.link), "sites",
                                               (json_int_t)session->site_count, "behind",
                                               behind(session, purges->log)));
    }
    purge_log_unlock(purges->log);
    return edges;
}

json_t *gateway_purges_status(struct gateway_purges *purges, const struct conf *conf)
{
    pthread_mutex_lock(&purges->lock);
    json_t *sites = sites_status(purges, conf), *edges = sessions_status(purges);
    pthread_mutex_unlock(&purges->lock);
    return json_pack("{s:I, s:o, s:I, s:I, s:I, s:I, s:o}", "numbered",
                     (json_int_t)metric_read(&gateway_purges_numbered), "edges", edges, "log_bytes",
                     (json_int_t)metric_read(&gateway_purge_log_bytes), "compactions",
                     (json_int_t)metric_read(&gateway_purge_compactions), "failures",
                     (json_int_t)metric_read(&gateway_purge_failures), "raised",
                     (json_int_t)metric_read(&gateway_purge_raised), "sites", sites);
}
