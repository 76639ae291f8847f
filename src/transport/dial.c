/* SPDX-License-Identifier: Apache-2.0
 *
 * Handshakes of a lane: dialling with exponential backoff and jitter, beside a running session for
 * fresh keys and when the peer has fallen silent; answering the other end's. Which connection a
 * finished one belongs to is connection.c's business.
 */
#include "transport/lane.h"

#include "base/memory.h"

struct transport_hello {
    struct handshake_responder responder;
};

static uint64_t backoff_ns(struct transport *transport)
{
    uint32_t doublings = transport->dial.attempts < 16 ? transport->dial.attempts : 16;
    uint64_t delay_ns = LANE_DIAL_BACKOFF_NS << doublings;
    if (delay_ns > transport->config.dial_backoff_max_ns)
        delay_ns = transport->config.dial_backoff_max_ns;
    return delay_ns * 3 / 4 + random_below(&transport->random, delay_ns / 2 + 1);
}

static uint32_t free_index(struct transport *transport)
{
    for (;;) {
        uint32_t index = transport->config.index_base | transport->next_slot++ % LANE_SESSION_SLOTS;
        if (!lane_session(transport, index))
            return index;
    }
}

static struct handshake_offer own_offer(struct transport *transport)
{
    return (struct handshake_offer){.version_min = HANDSHAKE_VERSION,
                                    .version_max = HANDSHAKE_VERSION,
                                    .aead_kinds = (uint16_t)transport->config.crypto->aead_kinds,
                                    .features = transport->config.features,
                                    .index = free_index(transport),
                                    .lane = transport->config.lane,
                                    .lane_count = transport->config.lanes};
}

void dial_start(struct transport *transport, uint32_t attempts)
{
    struct dial *dial = &transport->dial;
    if (dial->is_active || !dial->is_wanted || !transport->has_peer)
        return;
    dial->is_active = true;
    dial->attempts = attempts;
    dial->attempt_at_ns = transport->now_ns;
    if (attempts)
        dial->attempt_at_ns += backoff_ns(transport);
}

void dial_run(struct transport *transport)
{
    struct dial *dial = &transport->dial;
    if (transport->state != TRANSPORT_STATE_UP || !transport->config.is_initiator)
        return;
    uint64_t age_ns = transport->now_ns - transport->current.started_ns;
    /* A session that has just begun is given time: another INIT would make the peer forget it. */
    bool is_fresh = !transport->current.is_confirmed && age_ns < LANE_SOFT_DIAL_PAUSE_NS;
    bool is_silent =
        transport->primary->loss.probe_timeouts >= LANE_SOFT_DIAL_TIMEOUTS && !is_fresh;
    bool is_old =
        transport->config.handshake_every_ns && age_ns >= transport->config.handshake_every_ns;
    if (is_silent || is_old)
        dial_start(transport, 0);
    else
        dial->is_active = false;
}

void dial_write_init(struct transport *transport, uint8_t out[HANDSHAKE_INIT_BYTES])
{
    struct dial *dial = &transport->dial;
    dial->route = transport->routes[dial->turn++ % transport->route_count];
    const struct handshake_offer offer = own_offer(transport);
    handshake_initiator_start(&dial->initiator, transport->now_ns,
                              transport->now_ns + transport->config.wall_offset_ns, &offer, out);
    dial->attempt_at_ns = transport->now_ns + backoff_ns(transport);
    dial->attempts++;
    dial->sent_ns = transport->now_ns;
    transport->counters.bytes_sent += HANDSHAKE_INIT_BYTES;
}

void dial_on_resp(struct transport *transport, struct span packet)
{
    struct handshake_result result;
    enum handshake_answer answer;
    if (!transport->dial.is_wanted || /* closed in the meantime */
        handshake_initiator_finish(&transport->dial.initiator, packet, &result, &answer)) {
        transport->counters.datagrams_refused++;
        return;
    }
    transport->dial.is_active = false;
    lane_dialled(transport, &result);
}

void dial_on_cookie(struct transport *transport, struct span packet)
{
    if (handshake_initiator_cookie(&transport->dial.initiator, transport->now_ns, packet))
        transport->counters.datagrams_refused++;
    else if (transport->dial.is_active)
        transport->dial.attempt_at_ns = transport->now_ns;
}

void dial_on_stateless_close(struct transport *transport, struct span packet)
{
    if (transport->state == TRANSPORT_STATE_UP &&
        handshake_close_matches(&transport->current.result, packet))
        lane_down(transport, TRANSPORT_CODE_LINK_LOST);
    else
        transport->counters.datagrams_refused++;
}

void transport_dial(struct transport *transport, const struct transport_route *routes, size_t count,
                    uint64_t now_ns)
{
    transport->now_ns = now_ns;
    if (transport->state == TRANSPORT_STATE_CLOSED || !transport->config.is_initiator)
        return;
    transport_set_routes(transport, routes, count, now_ns);
    if (!transport->route_count)
        return;
    transport->dial.is_wanted = true;
    if (transport->state == TRANSPORT_STATE_IDLE) {
        lane_set_state(transport, TRANSPORT_STATE_DIALLING);
        dial_start(transport, 0);
    }
}

void transport_set_routes(struct transport *transport, const struct transport_route *routes,
                          size_t count, uint64_t now_ns)
{
    if (now_ns > transport->now_ns)
        transport->now_ns = now_ns;
    if (!count || count > PATHS_LIMIT)
        return;
    /* A route that was not there before: whoever is dialling tries it at once. */
    for (size_t i = 0; i < count; i++)
        if (transport->dial.is_active && !paths_find_route(transport, &routes[i])) {
            transport->dial.turn = (uint32_t)i;
            transport->dial.attempt_at_ns = transport->now_ns;
        }
    memcpy(transport->routes, routes, count * sizeof *routes);
    transport->route_count = count;
    transport->routes_wait = transport->state == TRANSPORT_STATE_UP;
}

/* ---- the responder's side */

struct transport_hello *dial_hello_new(const struct handshake_responder *responder)
{
    struct transport_hello *hello = NEW(struct transport_hello);
    hello->responder = *responder;
    return hello;
}

void transport_hello_free(struct transport_hello **hello)
{
    if (!*hello)
        return;
    handshake_responder_clear(&(*hello)->responder);
    memory_free(*hello);
    *hello = NULL;
}

static int answer(struct transport *transport, struct handshake_responder *responder)
{
    int error = handshake_responder_verify(responder, &transport->peer, &transport->replay);
    if (error)
        return error;
    const struct handshake_offer own = own_offer(transport);
    bool fits = responder->offer.lane == own.lane && responder->offer.lane_count == own.lane_count;
    struct handshake_result result;
    error = handshake_responder_accept(responder, &transport->replay, &own,
                                       fits ? HANDSHAKE_ACCEPTED : HANDSHAKE_NO_LANE,
                                       transport->resp, &result);
    if (error && error != ERROR_UNSUPPORTED)
        return error;
    transport->resp_waits = true;
    if (error)
        return error;
    session_clear(&transport->pending);
    session_start(&transport->pending, transport->config.crypto, &result, transport->now_ns);
    return 0;
}

int transport_accept(struct transport *transport, struct transport_hello **hello,
                     const struct transport_datagram *datagram, uint64_t now_ns)
{
    if (now_ns > transport->now_ns)
        transport->now_ns = now_ns;
    int error = ERROR_DENIED;
    if (transport->state == TRANSPORT_STATE_CLOSED)
        error = ERROR_CLOSED;
    else if (!transport->config.is_initiator && transport->has_peer)
        error = answer(transport, &(*hello)->responder);
    if (!error || error == ERROR_UNSUPPORTED)
        transport->resp_way = way_of_datagram(datagram);
    transport_hello_free(hello);
    return error;
}
