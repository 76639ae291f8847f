/* SPDX-License-Identifier: Apache-2.0
 *
 * The step of sessions' classes (L10): the about-to-buy customer is served before the browsing one. A rule, or an origin in a field of its
 * answer, marks a session; the client has the mark in a signed cookie, so it holds at every edge with the site's secret, and nothing is
 * remembered. Requests with it take its class in place of the site's ring; a rule for the request goes before both. Origins
 * see neither cookie nor field.
 */
#include "edge/exchange.h"

enum { SECOND_NS = 1000000000 };

#define SESSION_CLASSES(event)                                                            \
    METRIC(COUNTER, "causeway_edge_session_class_total", "event=\"" event "\"",           \
           "Marks of sessions: given to clients; brought by requests and good, expired, " \
           "or not signed for this session.")
static struct metric marked = SESSION_CLASSES("marked"), used = SESSION_CLASSES("used"),
                     expired = SESSION_CLASSES("expired"), forged = SESSION_CLASSES("forged");

void edge_classes_register_metrics(void)
{
    metric_register(&marked);
    metric_register(&used);
    metric_register(&expired);
    metric_register(&forged);
}

json_t *edge_classes_status(void)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "marked", (json_int_t)metric_read(&marked), "used",
                     (json_int_t)metric_read(&used), "expired", (json_int_t)metric_read(&expired),
                     "forged", (json_int_t)metric_read(&forged));
}

static uint64_t wall_s(void)
{
    return clock_wall_ns() / SECOND_NS;
}

/* What a mark is bound to beside the site: what sessions go by where that is not a cookie or parameter. */
static struct balance_mark_owner owner_of(const struct edge_exchange *exchange,
                                          const struct conf_site *site, uint8_t room[16])
{
    const struct balance_session_settings *session = &site->balance.session;
    struct balance_mark_owner owner = {.site = span_text(site->name)};
    if (session->kind == BALANCE_SESSION_CLIENT)
        owner.bound = balance_client_network(session, &exchange->visitor->address, room);
    else if (session->kind == BALANCE_SESSION_HEADER)
        owner.bound = exchange->session;
    return owner;
}

static void read_mark(struct edge_exchange *exchange, const struct conf_site *site,
                      struct span cookie)
{
    uint8_t room[16];
    const struct balance_mark_owner owner = owner_of(exchange, site, room);
    switch (balance_mark_read(crypto_openssl(), &site->balance.mark, &owner, cookie, wall_s(),
                              &exchange->mark)) {
    case BALANCE_MARK_GOOD:
        metric_add(&used, 1);
        edge_exchange_set_ring(exchange, exchange->mark.class);
        break;
    case BALANCE_MARK_FORGED:
        metric_add(&forged, 1);
        break;
    case BALANCE_MARK_EXPIRED:
        metric_add(&expired, 1);
        break;
    }
}

static enum edge_next take(struct edge_exchange *exchange)
{
    const struct conf_site *site = edge_exchange_site(exchange);
    struct span cookie;
    exchange->mark = (struct balance_mark){0};
    exchange->session = (struct span){0};
    if (!site || !site->balance.mark.secret_count || exchange->front->is_background)
        return EDGE_NEXT;
    if (site->balance.session.kind == BALANCE_SESSION_HEADER) {
        const struct http_field *field =
            http_fields_find_text(&exchange->head.fields, span_text(site->balance.session.name));
        /* Rules may change the field before the answer is here. */
        exchange->session = field ? arena_copy(&exchange->arena, field->value) : (struct span){0};
    }
    if (http_cookie_take(&exchange->head.fields, span_text(site->balance.mark.cookie), &cookie))
        read_mark(exchange, site, cookie);
    return EDGE_NEXT;
}

/* Takes the origin's field out of the answer. False: it says nothing, or to somebody else: what is stored was said to another. */
static bool hear_origin(const struct edge_exchange *exchange, const char *name,
                        struct http_head *answer, struct balance_mark *mark)
{
    const struct http_field *field = http_fields_find_text(&answer->fields, span_text(name));
    if (!field)
        return false;
    bool is_good = exchange->stream && balance_mark_hear(field->value, wall_s(), mark);
    http_fields_remove_text(&answer->fields, span_text(name));
    return is_good;
}

static bool hear_rules(const struct edge_exchange *exchange, struct balance_mark *mark)
{
    const struct rules_decision *decision = exchange->decision;
    if (!decision || decision->session_class < 0)
        return false;
    *mark = (struct balance_mark){(uint8_t)decision->session_class,
                                  wall_s() + decision->session_class_ns / SECOND_NS};
    return true;
}

/* The client has as good a mark already, for at least half of the time. */
static bool is_known(const struct balance_mark *has, const struct balance_mark *mark)
{
    uint64_t now_s = wall_s();
    return has->until_s && has->class == mark->class && has->until_s > now_s &&
           (has->until_s - now_s) >= (mark->until_s - now_s) / 2;
}

static void tell(const struct edge_exchange *exchange, const struct conf_site *site,
                 const struct balance_mark *mark, struct http_head *answer)
{
    uint8_t room[16];
    char text[BALANCE_MARK_BYTES];
    struct http_fields *fields = &answer->fields;
    const struct balance_mark_owner owner = owner_of(exchange, site, room);
    struct span cookie =
        balance_mark_write(crypto_openssl(), &site->balance.mark, &owner, mark, text);
    const char *value =
        arena_format(fields->arena, "%s=%.*s; Path=/; Max-Age=%llu; HttpOnly; SameSite=Lax%s",
                     site->balance.mark.cookie, SPAN_ARGS(cookie),
                     (unsigned long long)(mark->until_s - wall_s()),
                     exchange->visitor->is_https ? "; Secure" : "");
    /* No cache on the way may give the mark to others (RFC 9111 section 7.3). */
    if (cache_make_private(fields) == 0 &&
        http_fields_add(fields, HTTP_NAME_SET_COOKIE, span_text(value)) == 0)
        metric_add(&marked, 1);
}

/* Of a later step, or of the site's gateway. An error marks nobody: the basket is not filled by an attempt. */
static enum edge_next on_answer(struct edge_exchange *exchange, struct http_head *answer)
{
    const struct conf_site *site = edge_exchange_site(exchange);
    struct balance_mark mark;
    if (!site || !site->balance.mark.secret_count || exchange->front->is_background)
        return EDGE_NEXT;
    const char *header = site->balance.mark.header;
    bool has_mark =
        (header && hear_origin(exchange, header, answer, &mark)) || hear_rules(exchange, &mark);
    if (has_mark && answer->status < 400 && answer->status != 304 &&
        !is_known(&exchange->mark, &mark))
        tell(exchange, site, &mark, answer);
    return EDGE_NEXT;
}

const struct edge_step edge_step_class = {"class", take, on_answer, NULL, NULL};
