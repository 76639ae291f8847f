/* SPDX-License-Identifier: Apache-2.0
 *
 * Up: the head of a request, which site and gateway it is for, its body to the stream; and what becomes of it when the stream is
 * lost. A request is repeated only as far as that does no harm.
 */
#include "edge/client.h"

#include "base/memory.h"

/* ---- the stream */

void edge_client_finish_stream(struct edge_client *client)
{
    if (!client->stream || client->stream_finished)
        return;
    link_stream_write(client->stream, &client->to_link);
    link_stream_finish(client->stream);
    client->stream_finished = true;
}

/* The head of the request on its new stream. False: it is too long to cross. */
static bool start_message(struct edge_client *client, const struct conf_site *site,
                          const struct link *link)
{
    struct compressor *compressor = link_stream_compressor(client->stream);
    struct slice_queue head = {0};
    struct http_pack pack;
    if (http_form_write_request(&head, &client->opening, &client->head) < 0)
        return false;
    http_pack_decide(link_packs(link) ? (enum http_pack_policy)site->compress : HTTP_PACK_OFF,
                     &client->head, NULL, &pack);
    http_pack_count(&pack, compressor);
    http_form_pack_head(&client->to_link, &head, pack.head ? compressor : NULL);
    http_form_content_start(&client->content, pack.content ? compressor : NULL);
    http_form_reader_clear(&client->reader);
    http_form_reader_start_response(&client->reader, &http_limits_default, &client->answer,
                                    &client->answer_arena, client->head.method,
                                    client->head.upgrades);
    http_form_reader_unpack(&client->reader, compressor);
    return true;
}

/* Sends the head to a gateway; the body follows from edge_client_go_up(). */
static void open_stream(struct edge_client *client)
{
    struct edge_worker *worker = client->worker;
    const struct conf *conf = edge_conf(worker);
    const struct conf_site *site = conf_find_site(conf, span_text(client->site));
    struct link *link;
    while (site && client->tries < EDGE_TRIES_MOST &&
           (link = edge_route_pick(worker, conf, site, client->tried, client->tries))) {
        struct transport_open open = {.port = client->local_port,
                                      .flags = TRANSPORT_OPEN_HTTP,
                                      .ring = client->opening.priority,
                                      .weight = 16,
                                      .site = site->number,
                                      .client = client->peer};
        client->tried[client->tries++] = link;
        if (link_stream_open(link, &open, &edge_client_stream_events, client, &client->stream) < 0)
            continue;
        if (!start_message(client, site, link)) {
            edge_client_refuse(client, HTTP_CAUSE_HEAD_LONG);
            return;
        }
        edge_client_set_state(client, CLIENT_EXCHANGE);
        edge_client_made_progress(client);
        return;
    }
    metric_add(&edge_no_gateway, 1);
    edge_client_answer_page(client, 503, "no gateway can be reached");
}

/* Another gateway may have more luck, while nothing of the request but its head was sent. */
static bool can_repeat(const struct edge_client *client, uint32_t code)
{
    /* Nor trailers, where there are chunks. */
    bool is_head_only = !client->body_was_sent &&
                        (client->head.body != HTTP_BODY_CHUNKED || !client->request_ended);
    if (!is_head_only || client->repeats == EDGE_REPEATS_MOST)
        return false;
    switch (code) {
    case TRANSPORT_CODE_UNREACHABLE:
    case TRANSPORT_CODE_REFUSED:
        return true; /* says that no origin has acted on it, or that it may be repeated */
    case TRANSPORT_CODE_LINK_LOST:
    case TRANSPORT_CODE_SHUTDOWN:
        return http_method_is_idempotent(client->head.method); /* RFC 9110 section 9.2.2 */
    }
    return false;
}

/* False: there is no other gateway. */
static bool repeat(struct edge_client *client)
{
    const struct conf *conf = edge_conf(client->worker);
    const struct conf_site *site = conf_find_site(conf, span_text(client->site));
    if (!site || !edge_route_pick(client->worker, conf, site, client->tried, client->tries))
        return false;
    metric_add(&edge_retries, 1);
    client->repeats++;
    slice_queue_clear(&client->to_link);
    arena_clear(&client->answer_arena);
    open_stream(client);
    if (client->request_ended && client->state == CLIENT_EXCHANGE && !client->head.upgrades)
        http_form_write_end(&client->to_link);
    return true;
}

void edge_client_stream_lost(struct edge_client *client, uint32_t code)
{
    static const struct {
        uint32_t code;
        unsigned status;
        const char *cause;
    } pages[] = {
        {TRANSPORT_CODE_REFUSED, 502, "the gateway does not serve this site to this edge"},
        {TRANSPORT_CODE_UNREACHABLE, 502, "the origin cannot be reached"},
        {TRANSPORT_CODE_TIMEOUT, 504, "the origin did not answer in time"},
        {TRANSPORT_CODE_PROTOCOL, 502, "the origin sent a malformed answer"},
        {TRANSPORT_CODE_LIMIT, 503, "the origin is busy"},
        {TRANSPORT_CODE_LINK_LOST, 502, "the link to the gateway was lost"},
        {TRANSPORT_CODE_SHUTDOWN, 502, "the gateway shuts down"},
    };
    if (client->answer_began) {
        edge_client_abort(client, "the answer was cut short");
        return;
    }
    edge_client_drop_stream(client, TRANSPORT_CODE_NONE);
    if (can_repeat(client, code) && repeat(client))
        return;
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (pages[i].code == code) {
            edge_client_answer_page(client, pages[i].status, pages[i].cause);
            return;
        }
    edge_client_answer_page(client, 502, "the gateway gave the request up");
}

/* ---- from the client */

static void make_request_id(struct edge_client *client)
{
    snprintf(client->request_id, sizeof client->request_id, "%016lx%016lx",
             random_u64(&client->worker->random), random_u64(&client->worker->random));
}

static bool is_trusted(const struct conf_edge *conf, const struct address *peer)
{
    for (size_t i = 0; i < conf->trusted_proxies.count; i++)
        if (network_has(&conf->trusted_proxies.items[i], peer))
            return true;
    return false;
}

/* The head is complete: whose is it, and where does it go? */
static void begin(struct edge_client *client)
{
    struct edge_worker *worker = client->worker;
    const struct conf *conf = edge_conf(worker);
    const struct conf_edge *edge = conf->self->edge;
    client->has_head = true;
    if (!edge) {
        edge_client_answer_page(client, 503, "this node is no edge any more");
        return;
    }
    const struct conf_site *site =
        client->head.host.length ? conf_find_host(conf, client->head.host) : NULL;
    if (client->head.method == HTTP_METHOD_TRACE) {
        edge_client_answer_page(client, 405, "TRACE is not offered here");
        return;
    }
    if (!site || !edge_route_serves(conf, site)) {
        edge_client_answer_page(client, 404,
                                client->head.host.length ? "no site has this host name here"
                                                         : "Host is missing");
        return;
    }
    client->site = memory_text(site->name, strlen(site->name));
    if (site->redirect.edges_to &&
        !span_equal(client->head.host, span_text(site->redirect.edges_to))) {
        edge_client_redirect(client, site->redirect.edges_to);
        return;
    }
    client->body_timeout_ns = edge->body_timeout_ns;
    client->gateway_timeout_ns = edge->gateway_timeout_ns;
    if (!is_trusted(edge, &client->peer))
        http_remove_forwarded(&client->head.fields);
    client->opening = (struct http_opening){.site = span_text(client->site),
                                            .request_id = span_text(client->request_id),
                                            .client = client->peer,
                                            .edge_port = client->local_port,
                                            .priority = site->ring};
    open_stream(client);
}

static bool take_piece(struct edge_client *client)
{
    struct slice data;
    switch (http_parser_next(&client->parser, &client->in, &data)) {
    case HTTP_EVENT_HEAD:
        begin(client);
        return true;
    case HTTP_EVENT_DATA:
        client->body_was_sent = true;
        client->bytes_in += data.length;
        http_form_content_add(&client->content, &client->to_link, data);
        return true;
    case HTTP_EVENT_TRAILERS:
        http_form_content_flush(&client->content, &client->to_link);
        if (http_form_write_trailers(&client->to_link, &client->parser.trailers) == 0)
            return true;
        edge_client_refuse(client, HTTP_CAUSE_TRAILER_FORBIDDEN);
        return false;
    case HTTP_EVENT_END:
        client->request_ended = true;
        http_form_content_flush(&client->content, &client->to_link);
        edge_client_made_progress(client);
        if (client->state == CLIENT_EXCHANGE && (client->is_tunnel || !client->head.upgrades))
            http_form_write_end(
                &client->to_link); /* of a request for an upgrade only when the answer is no 101 */
        return false;
    case HTTP_EVENT_MORE:
        return false;
    case HTTP_EVENT_ERROR:
        if (client->answer_began)
            edge_client_abort(client, http_cause_text(client->parser.cause));
        else
            edge_client_refuse(client, client->parser.cause);
        return false;
    }
    return false;
}

/* The client will send no more. */
static void on_client_end(struct edge_client *client)
{
    client->client_ended = true;
    if (client->state == CLIENT_IDLE || client->state == CLIENT_HEAD) {
        edge_client_set_state(client, client->out.bytes ? CLIENT_CLOSING : CLIENT_OVER);
    } else if (client->state == CLIENT_EXCHANGE && client->is_tunnel) {
        client->request_ended = true;
        http_form_write_end(&client->to_link);
    } else if (client->state == CLIENT_EXCHANGE && !client->request_ended) {
        edge_client_abort(client, "the client left in the middle of its request");
    } /* else half-closed: the answer still goes out */
}

static void begin_head(struct edge_client *client)
{
    const struct conf_edge *conf = edge_conf(client->worker)->self->edge;
    edge_client_set_state(client, CLIENT_HEAD);
    make_request_id(client);
    client->began_ns = loop_now_ns(client->worker->loop);
    client->began_wall_ns = clock_wall_ns();
    if (conf)
        edge_client_set_deadline(client, conf->header_timeout_ns);
}

/* Behind a head there may be something to take without further bytes: the end of a request without a body. */
static bool wants_pieces(const struct edge_client *client)
{
    return !client->request_ended &&
           ((client->state == CLIENT_HEAD && client->in.bytes) || client->state == CLIENT_EXCHANGE);
}

void edge_client_go_up(struct edge_client *client)
{
    if (client->state == CLIENT_IDLE && client->in.bytes && client->out.bytes < EDGE_HELD_MOST)
        begin_head(client);
    while (wants_pieces(client) && take_piece(client)) {
    }
    if (client->read_ended && !client->client_ended && !client->in.bytes &&
        client->state != CLIENT_OVER)
        on_client_end(client);
    http_form_content_flush(&client->content, &client->to_link);
    if (client->stream && client->to_link.bytes)
        link_stream_write(client->stream, &client->to_link);
    bool waits_for_upgrade = client->head.upgrades && !client->answer_began;
    if (client->state == CLIENT_EXCHANGE && client->request_ended && !waits_for_upgrade)
        edge_client_finish_stream(client);
}
