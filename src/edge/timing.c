/* SPDX-License-Identifier: Apache-2.0
 *
 * How long each leg of an exchange took: for the access log, and for Server-Timing where a rule wants it. All but the gateway's part, which
 * the gateway tells (docs/protocol/message.md), are differences of the loop's clock: what happens within one turn takes no time.
 */
#include "edge/exchange.h"

enum { SERVER_TIMING_MOST = 640 };

static const struct {
    const char *name, *token, *text;
} words[] = {
#define X(name, member, token, text) [EDGE_LEG_##name] = {(member), (token), (text)},
    EDGE_LEG_LIST(X)
#undef X
};

const char *edge_leg_name(enum edge_leg leg)
{
    return words[leg].name;
}

static void set(struct edge_legs *legs, enum edge_leg leg, uint64_t from_ns, uint64_t to_ns)
{
    legs->us[leg] = to_ns > from_ns ? (to_ns - from_ns) / 1000 : 0;
    legs->known |= 1u << leg;
}

static void add_gateway(struct edge_legs *legs, const struct http_times *times)
{
    static const enum edge_leg of[HTTP_TIME_COUNT] = {
        [HTTP_TIME_QUEUE] = EDGE_LEG_QUEUE,
        [HTTP_TIME_CONNECT] = EDGE_LEG_CONNECT,
        [HTTP_TIME_FIRST_BYTE] = EDGE_LEG_ORIGIN_FIRST_BYTE,
        [HTTP_TIME_WHOLE] = EDGE_LEG_ORIGIN,
    };
    for (unsigned i = 0; i < times->known; i++) {
        legs->us[of[i]] = times->us[i];
        legs->known |= 1u << of[i];
    }
}

void edge_legs_read(const struct edge_exchange *exchange, struct edge_legs *legs)
{
    uint64_t now_ns = loop_now_ns(exchange->worker->loop);
    uint64_t answer_ns =
        exchange->answer_began ? exchange->began_ns + exchange->first_byte_ns : now_ns;
    legs->known = 0;
    if (!exchange->has_head)
        return;
    set(legs, EDGE_LEG_CLIENT_HEAD, exchange->began_ns, exchange->head_ns);
    if (exchange->head.body != HTTP_BODY_NONE && exchange->body_ns)
        set(legs, EDGE_LEG_CLIENT_BODY, exchange->head_ns, exchange->body_ns);
    set(legs, EDGE_LEG_EDGE, exchange->head_ns, exchange->sent_ns ? exchange->sent_ns : answer_ns);
    if (!exchange->sent_ns)
        return;
    set(legs, EDGE_LEG_UPSTREAM, exchange->sent_ns, answer_ns);
    set(legs, EDGE_LEG_LINK_RTT, 0, exchange->link_rtt_us * 1000ull);
    add_gateway(legs, &exchange->reader.times);
}

/* That may be a quoted string, and is about to be in one. */
static struct span without_detail(struct span status)
{
    struct span detail = SPAN(";detail=");
    const uint8_t *found =
        status.length ? memmem(status.data, status.length, detail.data, detail.length) : NULL;
    return found ? span_of(status.data, (size_t)(found - status.data)) : status;
}

int edge_timing_add(const struct edge_exchange *exchange, struct http_fields *fields)
{
    char text[SERVER_TIMING_MOST], cache[CACHE_STATUS_MOST];
    struct edge_legs legs;
    size_t length = 0;
    edge_legs_read(exchange, &legs);
    for (unsigned leg = 0; leg < EDGE_LEG_COUNT; leg++)
        if (legs.known & 1u << leg)
            length += (size_t)snprintf(text + length, sizeof text - length,
                                       "%s%s;dur=%lu.%03lu;desc=\"%s\"", length ? ", " : "",
                                       words[leg].token, legs.us[leg] / 1000, legs.us[leg] % 1000,
                                       words[leg].text);
    struct span status = without_detail(edge_cached_words(exchange, cache));
    if (status.length)
        length += (size_t)snprintf(text + length, sizeof text - length, "%scache;desc=\"%.*s\"",
                                   length ? ", " : "", SPAN_ARGS(status));
    INVARIANT(length < sizeof text);
    return length ? http_fields_add(fields, HTTP_NAME_SERVER_TIMING, span_of(text, length)) : 0;
}
