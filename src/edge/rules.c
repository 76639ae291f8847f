/* SPDX-License-Identifier: Apache-2.0
 *
 * The step of the site's rules (L10, S8): facts of the request to src/rules, and its decision into deeds. Answers of the rules
 * are answers like others; changes of fields wait in the exchange for the answer's head.
 */
#include "edge/channels.h"

static struct metric rules_outcomes[] = {
    METRIC(COUNTER, "causeway_edge_rules_total", "outcome=\"pass\"",
           "Requests by what the rules of their sites said."),
    METRIC(COUNTER, "causeway_edge_rules_total", "outcome=\"redirect\"",
           "Requests by what the rules of their sites said."),
    METRIC(COUNTER, "causeway_edge_rules_total", "outcome=\"block\"",
           "Requests by what the rules of their sites said."),
    METRIC(COUNTER, "causeway_edge_rules_total", "outcome=\"answer\"",
           "Requests by what the rules of their sites said."),
    METRIC(COUNTER, "causeway_edge_rules_total", "outcome=\"files\"",
           "Requests by what the rules of their sites said."),
    METRIC(COUNTER, "causeway_edge_rules_total", "outcome=\"failed\"",
           "Requests by what the rules of their sites said."),
};
static struct metric rules_limited =
    METRIC(COUNTER, "causeway_edge_rules_limited_total", "", "Requests beyond a rate limit.");

void edge_rules_register_metrics(void)
{
    for (size_t i = 0; i < sizeof rules_outcomes / sizeof *rules_outcomes; i++)
        metric_register(&rules_outcomes[i]);
    metric_register(&rules_limited);
}

/* ---- facts */

static void add_link(struct edge_exchange *exchange, const struct conf_site *site,
                     struct rules_facts *facts)
{
    const struct conf *conf = edge_conf(exchange->worker);
    const struct edge_channel *channel =
        edge_channels_best(exchange->worker, conf, site, exchange->ring, NULL, 0);
    if (!channel)
        return;
    struct link_quality quality = link_read_quality(channel->link);
    facts->rtt_us = quality.srtt_us;
    facts->loss_ppm = quality.loss_ppm;
}

static void add_tls(const struct tls_facts *tls, struct rules_facts *facts)
{
    static const size_t behind_name = sizeof "TLSv" - 1;
    facts->tls_version = span_from(span_text(tls->version), behind_name);
    facts->server_name = span_text(tls->name);
    facts->has_certificate = tls->has_client_certificate;
}

static void gather(struct edge_exchange *exchange, const struct conf_site *site,
                   struct rules_facts *facts)
{
    *facts = (struct rules_facts){.head = &exchange->head,
                                  .client = exchange->visitor->address,
                                  .is_tls = exchange->visitor->is_https,
                                  .rtt_us = RULES_UNKNOWN,
                                  .loss_ppm = RULES_UNKNOWN,
                                  .load_percent = RULES_UNKNOWN};
    edge_countries_find(exchange, facts->country);
    if (exchange->visitor->tls)
        add_tls(tls_session_facts(exchange->visitor->tls), facts);
    if (rules_ask_for_link(site->rules))
        add_link(exchange, site, facts);
    if (rules_ask_for_load(site->rules))
        facts->load_percent =
            edge_channels_load(exchange->worker, edge_conf(exchange->worker), site);
}

/* ---- what later steps need of it, for the snapshot may be gone by then */

static void keep_texts(struct arena *arena, struct rules_texts *texts)
{
    const char **items = ARENA_ARRAY(arena, const char *, texts->count);
    for (size_t i = 0; i < texts->count; i++)
        items[i] = arena_text(arena, texts->items[i]);
    texts->items = items;
}

static void keep(struct edge_exchange *exchange, const struct rules_decision *decision)
{
    struct arena *arena = &exchange->arena;
    struct rules_decision *kept = ARENA_NEW(arena, struct rules_decision);
    *kept = *decision;
    kept->by = NULL;
    kept->tolls = NULL;
    kept->origins = arena_text(arena, decision->origins);
    exchange->opening.group = kept->origins ? span_text(kept->origins) : (struct span){0};
    keep_texts(arena, &kept->cache.ignore_query);
    keep_texts(arena, &kept->cache.key);
    exchange->decision = kept;
}

void edge_rules_repeat(struct edge_exchange *exchange, const struct edge_exchange *from)
{
    static const struct rules_edits none;
    if (!from->decision)
        return;
    keep(exchange, from->decision);
    exchange->decision->request = exchange->decision->response = none; /* in the other's arena */
}

/* ---- answers */

int edge_rules_edit(const struct edge_exchange *exchange, struct http_head *answer)
{
    const struct rules_decision *decision = exchange->decision;
    if (!decision)
        return 0;
    int result = rules_edit_fields(&answer->fields, &decision->response);
    if (result == 0 && decision->server_timing == RULES_YES)
        result = edge_timing_add(exchange, &answer->fields);
    return result;
}

/* `name` and `value`: a field of its own; value empty: none. */
static void answer_page(struct edge_exchange *exchange, unsigned status, const char *cause,
                        enum http_name name, struct span value)
{
    struct http_head *answer = edge_exchange_own_head(exchange);
    struct slice_queue content = {0};
    exchange->cause = cause;
    struct span page = http_error_page(answer, &exchange->head, status, span_text(cause),
                                       edge_exchange_id(exchange));
    if ((value.length && http_fields_set(&answer->fields, name, value) < 0) ||
        edge_rules_edit(exchange, answer) < 0) {
        edge_exchange_page(exchange, 500, "what a rule of the site makes of this answer is none");
        return;
    }
    slice_queue_append(&content, page);
    edge_exchange_answer(exchange, &content);
}

static void answer_content(struct edge_exchange *exchange, unsigned status, const char *type,
                           const char *body)
{
    struct http_head *answer = edge_exchange_own_head(exchange);
    struct slice_queue content = {0};
    struct span bytes = span_text(body);
    answer->status = (uint16_t)status;
    answer->keeps_alive = true;
    answer->body = HTTP_BODY_LENGTH;
    answer->has_length = true;
    answer->content_length = bytes.length;
    int result = bytes.length
                     ? http_fields_set(&answer->fields, HTTP_NAME_CONTENT_TYPE, span_text(type))
                     : 0;
    if (result == 0)
        result = edge_rules_edit(exchange, answer);
    if (result < 0) {
        edge_exchange_page(exchange, 500, "what a rule of the site makes of this answer is none");
        return;
    }
    slice_queue_append(&content, bytes);
    edge_exchange_answer(exchange, &content);
}

static void block(struct edge_exchange *exchange, const struct rules_decision *decision)
{
    const char *page = decision->by->block->page;
    exchange->cause = "a rule of the site does not allow it";
    if (page)
        answer_content(exchange, decision->status, "text/html; charset=utf-8", page);
    else
        answer_page(exchange, decision->status, exchange->cause, HTTP_NAME_LOCATION,
                    (struct span){0});
}

/* False: beyond a limit, and answered. */
static bool pay_tolls(struct edge_exchange *exchange, const struct rules_decision *decision)
{
    struct edge_worker *worker = exchange->worker;
    for (size_t i = 0; i < decision->toll_count; i++) {
        uint64_t wait_ns = rules_buckets_take(worker->edge->buckets, &decision->tolls[i],
                                              loop_now_ns(worker->loop));
        if (!wait_ns)
            continue;
        char seconds[24];
        snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)(wait_ns / 1000000000 + 1));
        metric_add(&rules_limited, 1);
        answer_page(exchange, 429, "too many requests", HTTP_NAME_RETRY_AFTER, span_text(seconds));
        return false;
    }
    return true;
}

static enum edge_next pass(struct edge_exchange *exchange, const struct rules_decision *decision)
{
    struct http_head *head = &exchange->head;
    if (decision->priority >= 0)
        edge_exchange_set_ring(exchange, (uint8_t)decision->priority);
    if (decision->target.length)
        head->target = decision->target;
    if (rules_edit_fields(&head->fields, &decision->request) == 0)
        return EDGE_NEXT;
    edge_exchange_page(exchange, 500, "what a rule of the site makes of this request is none");
    return EDGE_TAKEN;
}

static enum edge_next act(struct edge_exchange *exchange, const struct rules_decision *decision)
{
    if (decision->encode == RULES_NO)
        edge_encode_leave(exchange);
    metric_add(&rules_outcomes[decision->outcome], 1);
    if (decision->outcome != RULES_FAILED && !exchange->front->is_background &&
        !pay_tolls(exchange, decision))
        return EDGE_TAKEN;
    switch (decision->outcome) {
    case RULES_PASS:
        return pass(exchange, decision);
    case RULES_REDIRECT:
        answer_page(exchange, decision->status, "this is found elsewhere", HTTP_NAME_LOCATION,
                    decision->location);
        break;
    case RULES_BLOCK:
        block(exchange, decision);
        break;
    case RULES_ANSWER:
        answer_content(exchange, decision->status, decision->by->answer->type,
                       decision->by->answer->body);
        break;
    case RULES_FILES:
        edge_files_answer(exchange, decision->by->files, decision->path);
        break;
    case RULES_FAILED:
        edge_exchange_page(exchange, decision->status, decision->cause);
        break;
    }
    return EDGE_TAKEN;
}

/* In clear nobody can show a certificate: where one is required, rules may send such a visitor elsewhere or away, and no more. */
static bool is_kept_out(const struct edge_exchange *exchange, const struct conf_site *site)
{
    return site->tls && site->tls->client == CONF_TLS_CLIENT_REQUIRED &&
           !exchange->visitor->is_https;
}

static enum edge_next keep_out(struct edge_exchange *exchange)
{
    edge_exchange_page(exchange, 403, "this site is for visitors with a certificate, over TLS");
    return EDGE_TAKEN;
}

static enum edge_next take(struct edge_exchange *exchange)
{
    const struct conf_site *site = edge_exchange_site(exchange);
    struct rules_facts facts;
    struct rules_decision decision;
    bool is_out = site && is_kept_out(exchange, site);
    if (!site || !site->rules || exchange->decision) /* it repeats one that was decided on */
        return is_out ? keep_out(exchange) : EDGE_NEXT;
    gather(exchange, site, &facts);
    rules_decide(site->rules, exchange->worker->matcher, &facts, &exchange->arena, &decision);
    if (is_out && decision.outcome != RULES_REDIRECT && decision.outcome != RULES_BLOCK)
        return keep_out(exchange);
    if (decision.matched_count)
        keep(exchange, &decision);
    return act(exchange, &decision);
}

/* Of a later step, the link's among them. */
static enum edge_next on_answer(struct edge_exchange *exchange, struct http_head *answer)
{
    if (edge_rules_edit(exchange, answer) == 0)
        return EDGE_NEXT;
    exchange->decision = NULL; /* or the page would fail as well */
    edge_exchange_page(exchange, 502, "what a rule of the site makes of this answer is none");
    return EDGE_TAKEN;
}

static void on_over(struct edge_exchange *exchange)
{
    edge_files_close(exchange);
    exchange->decision = NULL;
}

const struct edge_step edge_step_rules = {"rules", take, on_answer, NULL, on_over};
