/* SPDX-License-Identifier: Apache-2.0
 *
 * The very first step: what a certificate authority and the site's other edges ask every edge for (docs/acme.md), whatever rules and
 * redirects say. A proof over HTTP is the token that is asked for and the thumbprint of the site's account: whoever has another
 * account gets nothing that would serve him (RFC 8555 section 8.3).
 */
#include "edge/exchange.h"

static const struct span challenges = {(const uint8_t *)"/.well-known/acme-challenge/", 28};
static const struct span certificate = {(const uint8_t *)"/.well-known/causeway/certificate", 33};
enum { TOKEN_BYTES = 256 };

static bool is_token(struct span text)
{
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.data[i];
        if ((uint8_t)(ascii_lower(byte) - 'a') >= 26 && (uint8_t)(byte - '0') >= 10 &&
            byte != '-' && byte != '_')
            return false;
    }
    return text.length && text.length <= TOKEN_BYTES;
}

static void answer(struct edge_exchange *exchange, struct span type, struct span bytes)
{
    struct http_head *head = edge_exchange_own_head(exchange);
    struct slice_queue content = {0};
    head->status = 200;
    head->keeps_alive = true;
    head->body = HTTP_BODY_LENGTH;
    head->has_length = true;
    head->content_length = bytes.length;
    if (http_fields_set(&head->fields, HTTP_NAME_CONTENT_TYPE, type) < 0) {
        edge_exchange_page(exchange, 500, "this answer cannot be written");
        return;
    }
    slice_queue_append(&content, bytes);
    edge_exchange_answer(exchange, &content);
}

static enum edge_next take(struct edge_exchange *exchange)
{
    const struct conf *conf = edge_conf(exchange->worker);
    const struct http_head *head = &exchange->head;
    bool is_proof = span_starts(head->target, challenges);
    if ((!is_proof && !span_equal(head->target, certificate)) || !head->host.length ||
        !conf->self->edge || (head->method != HTTP_METHOD_GET && head->method != HTTP_METHOD_HEAD))
        return EDGE_NEXT;
    const struct conf_site *site = conf_find_host(conf, head->host);
    const struct conf_acme *acme = site && site->tls ? site->tls->acme : NULL;
    struct span token = span_from(head->target, challenges.length);
    if (!acme || (is_proof ? !acme->thumbprint.length || !is_token(token) : !acme->share.length))
        return EDGE_NEXT;
    exchange->site = arena_text(&exchange->arena, site->name);
    exchange->body_timeout_ns = conf->self->edge->body_timeout_ns;
    if (is_proof) {
        struct text text = {0};
        text_add_format(&text, "%.*s.%.*s", SPAN_ARGS(token), SPAN_ARGS(acme->thumbprint));
        answer(exchange, SPAN("application/octet-stream"), text_span(&text));
        text_clear(&text);
    } else {
        answer(exchange, SPAN("application/json"), acme->share);
    }
    return EDGE_TAKEN;
}

const struct edge_step edge_step_acme = {.name = "acme", .take = take};
