/* SPDX-License-Identifier: Apache-2.0
 *
 * When a lane that dials is carried over TCP as well (L2). Four times a second it looks whether any path over UDP works. If none has for
 * FALLBACK_AFTER_NS it connects (half of that where a session had been up: two probe timeouts have said something already), and as soon as TLS stands the core gets a second route: a handshake goes out there at once, or, where a session
 * lives, a path is opened with the same keys and every stream goes on there. The core goes on probing the paths over UDP, and prefers them when
 * they answer; when they have done so for FALLBACK_LEAVE_NS, the route over TCP is taken away again.
 */
#include "link/tcp.h"

#define LOOK_NS           (250ull * 1000000)
#define FALLBACK_AFTER_NS (1000ull * 1000000)
#define FALLBACK_LEAVE_NS (5000ull * 1000000)
#define FALLBACK_RETRY_NS (1000ull * 1000000) /* doubled with each failure */
#define FALLBACK_FAR_NS   (30ull * 1000000000)

static bool udp_works(const struct transport_facts *facts)
{
    if (facts->state != TRANSPORT_STATE_UP)
        return false;
    for (uint32_t i = 0; i < facts->path_count; i++)
        if (facts->paths[i].carriage == TRANSPORT_CARRIAGE_UDP &&
            (facts->paths[i].state == TRANSPORT_PATH_STATE_ACTIVE ||
             facts->paths[i].state == TRANSPORT_PATH_STATE_STANDBY))
            return true;
    return false;
}

static void set_routes(struct lane *lane, uint64_t now_ns)
{
    struct transport_route routes[TRANSPORT_PATHS];
    size_t count = ways_routes(lane->driver, lane->link, routes);
    const struct transport_route tcp = {.to = lane->link->dial_tcp,
                                        .carriage = TRANSPORT_CARRIAGE_TCP,
                                        .is_standby = true};
    if (lane->fallback.is_on) /* rather than the last of as many as there may be */
        routes[count < TRANSPORT_PATHS ? count++ : count - 1] = tcp;
    transport_set_routes(lane->transport, routes, count, now_ns);
    lane_wants_flush(lane);
}

static bool has_carriage(const struct lane *lane)
{
    return !list_is_empty(&lane->carriages);
}

static void connect_tcp(struct lane *lane, uint64_t now_ns)
{
    struct fallback *fallback = &lane->fallback;
    if (has_carriage(lane) || now_ns < fallback->retry_at_ns)
        return;
    uint64_t pause_ns = FALLBACK_RETRY_NS << (fallback->failures < 5 ? fallback->failures : 5);
    fallback->retry_at_ns = now_ns + (pause_ns < FALLBACK_FAR_NS ? pause_ns : FALLBACK_FAR_NS);
    fallback->failures++;
    if (!carriage_dial(lane, &lane->link->dial_tcp))
        log_debug("link", "no TCP connection peer=%s", link_peer_name(lane->link));
}

static void leave_tcp(struct lane *lane, uint64_t now_ns)
{
    log_notice("link", "udp works again peer=%s: tcp is left", link_peer_name(lane->link));
    lane->fallback.is_on = false;
    set_routes(lane, now_ns);
    lane->fallback.close_at_ns = now_ns + FALLBACK_RETRY_NS; /* the peer is told over it, too */
}

static void look(struct loop *loop, struct loop_timer *timer)
{
    struct lane *lane = CONTAINER_OF(timer, struct lane, fallback.timer);
    struct fallback *fallback = &lane->fallback;
    struct transport_facts facts;
    uint64_t now_ns = loop_now_ns(loop);
    transport_read_facts(lane->transport, &facts);
    bool works = udp_works(&facts);
    if (works)
        fallback->worked_ns = now_ns;
    else
        fallback->failed_ns = now_ns;
    uint64_t after_ns =
        facts.state == TRANSPORT_STATE_UP ? FALLBACK_AFTER_NS / 2 : FALLBACK_AFTER_NS;
    if (!works && now_ns - fallback->worked_ns >= after_ns)
        connect_tcp(lane, now_ns);
    else if (works && now_ns - fallback->failed_ns >= FALLBACK_LEAVE_NS) {
        if (fallback->is_on)
            leave_tcp(lane, now_ns);
        else if (has_carriage(lane) && now_ns >= fallback->close_at_ns)
            carriages_close(lane);
    }
    loop_timer_start(loop, timer, now_ns + LOOK_NS);
}

void fallback_start(struct lane *lane)
{
    struct fallback *fallback = &lane->fallback;
    if (!lane->link->is_dialler || !lane->link->dial_tcp.family)
        return;
    fallback->timer.fire = look;
    fallback->worked_ns = fallback->failed_ns = loop_now_ns(lane->driver->loop);
    loop_timer_start(lane->driver->loop, &fallback->timer, fallback->worked_ns + LOOK_NS);
}

void fallback_stop(struct lane *lane)
{
    loop_timer_stop(lane->driver->loop, &lane->fallback.timer);
}

void fallback_opened(struct lane *lane)
{
    log_notice("link", "tcp opened peer=%s: udp does not get through", link_peer_name(lane->link));
    lane->fallback.failures = 0;
    lane->fallback.is_on = true;
    set_routes(lane, clock_now_ns());
}
