/* SPDX-License-Identifier: Apache-2.0
 *
 * The first step: whose is the request, and may it be served here?
 */
#include "edge/exchange.h"

static bool is_trusted(const struct conf_edge *conf, const struct address *peer)
{
    for (size_t i = 0; i < conf->trusted_proxies.count; i++)
        if (network_has(&conf->trusted_proxies.items[i], peer))
            return true;
    return false;
}

static enum edge_next refuse(struct edge_exchange *exchange, unsigned status, const char *cause)
{
    edge_exchange_page(exchange, status, cause);
    return EDGE_TAKEN;
}

static enum edge_next take(struct edge_exchange *exchange)
{
    const struct conf *conf = edge_conf(exchange->worker);
    const struct conf_edge *edge = conf->self->edge;
    const struct edge_visitor *visitor = exchange->visitor;
    struct http_head *head = &exchange->head;
    if (!edge)
        return refuse(exchange, 503, "this node is no edge any more");
    exchange->body_timeout_ns = edge->body_timeout_ns;
    exchange->gateway_timeout_ns = edge->gateway_timeout_ns;
    exchange->tunnel_timeout_ns = edge->tunnel_timeout_ns;
    exchange->upload_rate = edge->upload_rate;
    exchange->download_rate = edge->download_rate;
    if (head->method == HTTP_METHOD_TRACE)
        return refuse(exchange, 405, "TRACE is not offered here");
    const struct conf_site *site = head->host.length ? conf_find_host(conf, head->host) : NULL;
    if (!site || !edge_route_serves(conf, site))
        return refuse(exchange, 404,
                      head->host.length ? "no site has this host name here" : "Host is missing");
    exchange->site = arena_text(&exchange->arena, site->name);
    exchange->site_found = site;
    exchange->site_turn = loop_turn(exchange->worker->loop);
    if (visitor->tls && !tls_session_covers(visitor->tls, head->host)) /* RFC 9110 section 7.4 */
        return refuse(exchange, 421, "the connection's certificate is not for this host");
    if (site->redirect.edges_to && !span_equal(head->host, span_text(site->redirect.edges_to))) {
        edge_exchange_redirect(exchange, site->redirect.edges_to);
        return EDGE_TAKEN;
    }
    http_remove_nominated(&head->fields);
    if (!is_trusted(edge, &visitor->address))
        http_remove_forwarded(&head->fields);
    edge_trace_settle(exchange, site);
    exchange->opening = (struct http_opening){.site = span_text(exchange->site),
                                              .request_id = edge_exchange_id(exchange),
                                              .client = visitor->address,
                                              .edge_port = visitor->local_port,
                                              .is_https = visitor->is_https};
    exchange->encodes = site->encode.is_on;
    edge_exchange_set_ring(exchange, site->ring);
    return EDGE_NEXT;
}

const struct edge_step edge_step_site = {.name = "site", .take = take};
