/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections over sessions. Each end draws an incarnation when a connection begins; SETTINGS,
 * first in the first packets of every session, says whether the session starts a connection or goes
 * on with one, so that fresh keys never cost a stream and a restarted peer is never taken for the
 * one before.
 */
#include "transport/lane.h"

#include "base/memory.h"

enum { PROTOCOL_BACKOFF_ATTEMPTS = 3 }; /* dial again after a protocol error: not at once */

const struct congestion_ops *const lane_congestion = &congestion_ensemble;

void lane_set_state(struct transport *transport, enum transport_state state)
{
    INVARIANT(transport->state != TRANSPORT_STATE_CLOSED);
    transport->state = state;
    LANE_TRACE(transport, STATE, 0, state, 0, 0, 0);
}

void lane_random(struct transport *transport, void *out, size_t length)
{
    const struct crypto *crypto = transport->config.crypto;
    crypto->random(crypto->random_state, out, length);
}

static uint64_t draw_incarnation(struct transport *transport)
{
    uint64_t incarnation;
    do
        lane_random(transport, &incarnation, sizeof incarnation);
    while (!incarnation);
    return incarnation;
}

void lane_clear_sessions(struct transport *transport)
{
    session_clear(&transport->current);
    session_clear(&transport->previous);
}

void lane_reset_connection(struct transport *transport)
{
    PATHS_EACH (path, transport)
        path_close(path);
    transport->primary = &transport->paths[0];
    rtt_init(&transport->primary->rtt); /* what is asked while there is no connection */
    memset(transport->path_ids, 0, sizeof transport->path_ids);
    memset(transport->abandon_waits, 0, sizeof transport->abandon_waits);
    transport->status_sequence = 0;
    transport->hosted = 0;
    transport->incarnation = transport->peer_incarnation = 0;
    transport->settings_wait = false;
    transport->peer_window = LANE_STREAM_WINDOW_MIN;
    transport->peer_streams_limit = TRANSPORT_STREAMS_LIMIT / 2;
    transport->next_ordinal = 0;
    ranges_clear(&transport->peer_ids);
    stream_table_clear(&transport->table);
}

uint32_t lane_packet_bytes(const struct transport *transport)
{
    uint32_t least = 0;
    PATHS_EACH (path, transport)
        if (path->carries && (!least || path->mtu.bytes < least))
            least = path->mtu.bytes;
    return least ? least : transport->config.packet_bytes_least;
}

uint64_t lane_window_bytes(const struct transport *transport)
{
    uint64_t bytes = 0;
    PATHS_EACH (path, transport)
        if (path->congestion)
            bytes += path->control->window_bytes(path->congestion);
    return bytes;
}

void lane_start_congestion(struct transport *transport, struct path *path)
{
    if (!path->congestion)
        ecn_init(&path->ecn, transport->config.ecn);
    if (path->congestion) {
        recovery_forget_congestion(path);
        path->control->destroy(path->congestion);
    }
    const struct known_path *known = &transport->known_path;
    bool is_known = known->bdp_bytes && address_equal(&known->peer, &path->way.peer) &&
                    transport->now_ns - known->at_ns < LANE_PATH_KNOWN_NS;
    /* TCP has a congestion control of its own: a second one in its way would only see its queue. What the connection does not take,
     * the driver does not ask for. */
    bool is_tcp = path->way.carriage == TRANSPORT_CARRIAGE_TCP;
    path->control = is_tcp ? &congestion_fixed : lane_congestion;
    const struct congestion_config config = {.packet_bytes = path->mtu.bytes,
                                             .hosted_cap = is_tcp ? LANE_TCP_WINDOW_PACKETS
                                                                  : transport->config.hosted_cap,
                                             .saved_bdp_bytes = is_known ? known->bdp_bytes : 0,
                                             .is_ecn_scalable = transport->config.ecn == ECN_ECT_1};
    path->congestion = path->control->create(&config, transport->now_ns);
    path->hosted = 0;
    pacer_init(&path->pacer, path->mtu.bytes, transport->now_ns);
}

static void start_connection(struct transport *transport, const struct way *way)
{
    uint64_t now_ns = transport->now_ns;
    lane_reset_connection(transport);
    struct path *path = paths_open(transport, 0, way);
    path->is_new = false;
    path->is_heard = true;
    transport->routes_wait = transport->config.is_initiator;
    transport->partition_at_ns = now_ns;
    transport->incarnation = draw_incarnation(transport);
    transport->settings_wait = true;
    transport->is_settings_known = false;
    transport->counters.sessions++;
    transport->counters.up_since_ns = now_ns;
    lane_set_state(transport, TRANSPORT_STATE_UP);
    paths_choose(transport);
    event_up(transport);
}

/* Acks of what was sent so far say nothing about the keys that come now. */
static void start_phase(struct transport *transport)
{
    PATHS_EACH (path, transport)
        path->phase_number = path->sent.next;
}

static void change_session(struct transport *transport, struct session *next)
{
    /* One that the peer has never used gives way to the next; the last that worked is kept. */
    if (transport->current.is_confirmed || !session_is_on(&transport->previous)) {
        session_clear(&transport->previous);
        transport->previous = transport->current;
    } else {
        session_clear(&transport->current);
    }
    transport->previous_until_ns = transport->now_ns + lane_keep_ns(transport);
    transport->current = *next;
    *next = (struct session){0};
    LANE_TRACE(transport, KEYS, 0, transport->current.send.phase,
               transport->current.result.own_index, 0, 0);
    transport->settings_wait = true;
    transport->is_settings_known = false;
    start_phase(transport);
    /* The other end waits for it: it goes whatever window and pacer say. */
    transport->primary->probes = LOSS_PROBES;
}

void lane_dialled(struct transport *transport, struct handshake_result *result)
{
    struct session next;
    session_start(&next, transport->config.crypto, result, transport->now_ns);
    if (transport->state == TRANSPORT_STATE_UP) {
        change_session(transport, &next);
    } else {
        const struct transport_route *route = &transport->dial.route;
        const struct way way = way_of_route(route);
        start_connection(transport, &way);
        transport->primary->is_ours = true;
        transport->primary->route = *route;
        transport->primary->is_standby = route->is_standby;
        transport->current = next;
        rtt_sample(&transport->primary->rtt, transport->now_ns - transport->dial.sent_ns, 0);
    }
}

static void say_farewell(struct transport *transport, struct session *session, uint8_t path,
                         uint64_t number, uint32_t code, const struct way *way)
{
    session_clear(&transport->farewell.session);
    transport->farewell = (struct farewell){
        .session = *session, .path = path, .number = number, .code = code, .way = *way};
    *session = (struct session){0};
}

int lane_confirm(struct transport *transport, uint8_t wire_id, struct span frames,
                 const struct way *from)
{
    struct reader reader = reader_of(frames);
    struct frame frame;
    if (frame_read(&reader, &frame) || frame.type != FRAME_SETTINGS)
        return ERROR_INVALID;
    const struct frame_settings *settings = &frame.settings;
    bool is_known =
        transport->state == TRANSPORT_STATE_UP && settings->own == transport->peer_incarnation;
    /* An incarnation has one connection only: it goes on, also where the initiator has not heard
     * of us yet. */
    if (is_known && (!settings->peer || settings->peer == transport->incarnation)) {
        change_session(transport, &transport->pending);
        return 0;
    }
    if (!settings->peer) {
        struct session fresh = transport->pending;
        transport->pending = (struct session){0};
        if (transport->state == TRANSPORT_STATE_UP)
            lane_down(transport, TRANSPORT_CODE_LINK_LOST);
        start_connection(transport, from);
        transport->primary->is_new = !way_equal(from, &transport->resp_way);
        transport->current = fresh;
        transport->peer_incarnation = settings->own;
        return 0;
    }
    /* It wants to go on with a connection that is gone. Nothing under these keys has a number
     * yet: the last one is always newer. */
    say_farewell(transport, &transport->pending, wire_id, PACKET_NUMBER_MAX,
                 TRANSPORT_CODE_LINK_LOST, from);
    return ERROR_CLOSED;
}

int lane_on_settings(struct transport *transport, const struct frame_settings *settings)
{
    if (!transport->peer_incarnation)
        transport->peer_incarnation = settings->own;
    if (settings->own != transport->peer_incarnation ||
        (settings->peer && settings->peer != transport->incarnation) ||
        settings->stream_window < LANE_STREAM_WINDOW_MIN)
        return ERROR_INVALID;
    transport->peer_streams_limit = settings->streams_limit;
    if (settings->stream_window <= transport->peer_window)
        return 0;
    transport->peer_window = settings->stream_window;
    LIST_EACH (link, after, &transport->streams) {
        struct transport_stream *stream = CONTAINER_OF(link, struct transport_stream, all_link);
        if (stream->is_detached || stream->out.limit >= transport->peer_window)
            continue;
        stream->out.limit = transport->peer_window;
        stream_update(stream);
    }
    return 0;
}

/* No error of the protocol. Who shuts down may be one process that makes way for another, which answers at once. */
static bool is_in_order(uint32_t code)
{
    return code == TRANSPORT_CODE_LINK_LOST || code == TRANSPORT_CODE_SHUTDOWN;
}

void lane_down(struct transport *transport, uint32_t code)
{
    bool was_up = transport->state == TRANSPORT_STATE_UP;
    LIST_EACH (link, after, &transport->streams) {
        struct transport_stream *stream = CONTAINER_OF(link, struct transport_stream, all_link);
        if (!stream->is_detached)
            stream_detach(stream, code);
    }
    lane_clear_sessions(transport);
    lane_reset_connection(transport);
    if (was_up)
        event_down(transport, code);
    transport->dial.is_active = false;
    if (transport->dial.is_wanted) {
        lane_set_state(transport, TRANSPORT_STATE_DIALLING);
        dial_start(transport, is_in_order(code) ? 0 : PROTOCOL_BACKOFF_ATTEMPTS);
    } else {
        lane_set_state(transport, TRANSPORT_STATE_IDLE);
    }
}

void lane_fail(struct transport *transport, uint32_t code)
{
    if (session_is_on(&transport->current))
        say_farewell(transport, &transport->current, transport->primary->wire_id,
                     transport->primary->sent.next, code, &transport->primary->way);
    lane_down(transport, code);
}

void transport_close(struct transport *transport, uint32_t code, uint64_t now_ns)
{
    if (now_ns > transport->now_ns)
        transport->now_ns = now_ns;
    if (transport->state == TRANSPORT_STATE_CLOSED)
        return;
    transport->dial.is_wanted = false;
    session_clear(&transport->pending);
    transport->resp_waits = false;
    lane_fail(transport, code);
    lane_set_state(transport, TRANSPORT_STATE_CLOSED);
}

struct session *lane_session(struct transport *transport, uint32_t index)
{
    enum { SESSIONS = 3 };
    struct session *sessions[SESSIONS] = {&transport->current, &transport->previous,
                                          &transport->pending};
    for (int i = 0; i < SESSIONS; i++)
        if (session_is_on(sessions[i]) && sessions[i]->result.own_index == index)
            return sessions[i];
    return NULL;
}

void lane_run_sessions(struct transport *transport)
{
    if (session_is_on(&transport->previous) && transport->current.is_confirmed &&
        transport->now_ns >= transport->previous_until_ns)
        session_clear(&transport->previous);
    const struct session *session = &transport->current;
    if (transport->state != TRANSPORT_STATE_UP ||
        !session_ratchet(&transport->current, transport->now_ns))
        return;
    start_phase(transport);
    LANE_TRACE(transport, KEYS, 0, session->send.phase, session->result.own_index, 0, 0);
}
