/* SPDX-License-Identifier: Apache-2.0
 *
 * From a configuration to checks: questions with copies of all they need, and which edges are checked where and by whom. Every
 * node comes to the same plan, so that nobody has to be told.
 */
#include "probe/private.h"

#include "base/hash.h"
#include "base/memory.h"
#include "observe/observe.h"

/* ---- a question */

static const char *copy_text(struct arena *arena, const char *text)
{
    return text ? arena_format(arena, "%s", text) : NULL;
}

static enum check_kind kind_of(const struct conf_health *health)
{
    switch (health->kind) {
    case CONF_HEALTH_TCP:
        return CHECK_TCP;
    case CONF_HEALTH_HTTP:
        return CHECK_HTTP;
    case CONF_HEALTH_HTTPS:
        return CHECK_HTTPS;
    case CONF_HEALTH_DNS:
        return CHECK_DNS;
    }
    return CHECK_TCP;
}

static enum check_certificate certificate_of(const struct conf_health *health)
{
    switch (health->certificate) {
    case CONF_CERTIFICATE_OFF:
        return CHECK_CERTIFICATE_OFF;
    case CONF_CERTIFICATE_DATE:
        return CHECK_CERTIFICATE_DATE;
    case CONF_CERTIFICATE_FULL:
        return CHECK_CERTIFICATE_FULL;
    }
    return CHECK_CERTIFICATE_FULL;
}

void check_plan_init(struct check_plan *plan, const struct conf_health *health)
{
    *plan = (struct check_plan){0};
    plan->settings = (struct health_settings){.interval_ns = health->interval_ns,
                                              .fast_ns = health->fast_ns,
                                              .timeout_ns = health->timeout_ns,
                                              .rise = health->rise,
                                              .fall = health->fall};
    plan->port = health->port;
    plan->warn_ns = health->warn_ns;
    struct check_question *question = &plan->question;
    question->kind = kind_of(health);
    question->host = copy_text(&plan->arena, health->host);
    question->path = copy_text(&plan->arena, health->path);
    question->body = copy_text(&plan->arena, health->body);
    question->status_least = health->status[0];
    question->status_most = health->status[1];
    question->certificate = certificate_of(health);
    question->type = DNS_SOA;
    if (health->name && dns_name_parse(span_text(health->name), NULL, &question->name) < 0)
        log_error("health", "not a name to ask for name=%s", health->name);
    if (question->kind != CHECK_HTTPS)
        return;
    question->trust = check_trust_new(health->authorities);
    if (question->trust)
        return;
    log_error("health", "no certificate could be read, so none is trusted: authorities=%s",
              health->authorities_path);
    question->trust = check_trust_new((struct span){0});
}

void check_plan_clear(struct check_plan *plan)
{
    check_trust_free(&plan->question.trust);
    arena_clear(&plan->arena);
}

/* ---- the edges */

static bool is_there(const struct edge_target *edge, const struct address *address)
{
    for (size_t i = 0; i < edge->address_count; i++)
        if (address_equal(&edge->addresses[i], address))
            return true;
    return false;
}

/* The port of the edge's first listener that takes connections for the address; 0: there is none. */
static uint16_t port_for(const struct conf_edge *edge, const struct address *address)
{
    for (size_t i = 0; i < edge->listen.count; i++) {
        const struct address *listen = &edge->listen.items[i];
        if (listen->family == address->family &&
            (address_is_any(listen) || address_same_host(listen, address)))
            return listen->port;
    }
    for (size_t i = 0; edge->tls && i < edge->tls->listen.count; i++) {
        const struct address *listen = &edge->tls->listen.items[i];
        if (listen->family == address->family &&
            (address_is_any(listen) || address_same_host(listen, address)))
            return listen->port;
    }
    for (size_t i = 0; i < edge->port_count; i++) {
        const struct conf_port *port = &edge->ports[i];
        if (port->protocol == CONF_TCP && port->listen.family == address->family &&
            (address_is_any(&port->listen) || address_same_host(&port->listen, address)))
            return port->listen.port;
    }
    return 0;
}

static void take_addresses(struct edge_plan *plan, const struct conf_node *node,
                           struct edge_target *edge)
{
    edge->addresses = ARENA_ARRAY(&plan->check.arena, struct address, node->addresses.count + 1);
    for (size_t i = 0; i < node->addresses.count; i++) {
        struct address address = node->addresses.items[i];
        address.port = plan->check.port ? plan->check.port : port_for(node->edge, &address);
        if (address.port && !is_there(edge, &address))
            edge->addresses[edge->address_count++] = address;
    }
}

struct candidate {
    uint64_t weight, id;
};

/* Keeps the best ones, in order. */
static void consider(struct candidate *best, uint32_t limit, struct candidate candidate)
{
    for (uint32_t i = 0; i < limit; i++)
        if (candidate.weight > best[i].weight) {
            struct candidate pushed = best[i];
            best[i] = candidate;
            candidate = pushed;
        }
}

/* Those with the greatest hash of both: spread evenly, and when an edge comes or goes only its own share moves. */
static void choose_vantages(const struct edge_plan *plan, uint32_t wanted, struct edge_target *edge)
{
    struct candidate best[EDGE_VANTAGES_LIMIT] = {{0}};
    uint32_t limit = wanted < EDGE_VANTAGES_LIMIT ? wanted : EDGE_VANTAGES_LIMIT;
    for (size_t i = 0; i < plan->count; i++) {
        const uint64_t pair[2] = {edge->id, plan->edges[i].id};
        if (pair[0] != pair[1])
            consider(best, limit,
                     (struct candidate){hash_span(span_of(pair, sizeof pair), 0) | 1, pair[1]});
    }
    for (uint32_t i = 0; i < limit && best[i].weight; i++)
        edge->vantages[edge->vantage_count++] = best[i].id;
}

struct edge_plan *edge_plan_new(const struct conf *conf, const struct crypto *crypto)
{
    if (!conf->health)
        return NULL;
    struct edge_plan *plan = NEW(struct edge_plan);
    check_plan_init(&plan->check, conf->health);
    plan->quorum = conf->health->quorum;
    plan->edges = memory_new(conf->node_count * sizeof *plan->edges);
    for (size_t i = 0; i < conf->node_count; i++) {
        const struct conf_node *node = &conf->nodes[i];
        if (!node->edge)
            continue;
        struct edge_target *edge = &plan->edges[plan->count++];
        struct key key;
        memcpy(key.bytes, node->public_key, sizeof key.bytes);
        edge->name = copy_text(&plan->check.arena, node->name);
        edge->id = status_node_id(crypto, &key);
        take_addresses(plan, node, edge);
        if (!edge->address_count)
            log_warning("health",
                        "nothing to check: the edge listens at none of its addresses "
                        "edge=%s",
                        edge->name);
    }
    for (size_t i = 0; i < plan->count; i++)
        choose_vantages(plan, conf->health->vantages, &plan->edges[i]);
    return plan;
}

void edge_plan_free(struct edge_plan **freed)
{
    struct edge_plan *plan = *freed;
    *freed = NULL;
    if (!plan)
        return;
    check_plan_clear(&plan->check);
    memory_free(plan->edges);
    memory_free(plan);
}

bool edge_target_has_vantage(const struct edge_target *edge, uint64_t id)
{
    for (uint32_t i = 0; i < edge->vantage_count; i++)
        if (edge->vantages[i] == id)
            return true;
    return false;
}
