/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of paths (L2): which there are, which carry data, and what share of the lane's
 * connections each has. The initiator opens a path for each route of its configuration; the
 * responder takes what comes.
 *
 * Data goes by the best kind of path that there is: working active ones, else working standby ones,
 * else those with one probe timeout, else all. Among them the one with the shortest round trip comes
 * first; a longer one takes bytes only when so many wait that the shorter ones would not be through
 * with them before (the rule of ECF), so that it never makes anything late. The connections that the
 * lane hosts (T7) are divided among the carriers in proportion to what they deliver: their sum stays
 * what it is, and so does the lane's share of a bottleneck that paths have in common; where they
 * have none in common each connection ends up with the same rate.
 */
#include "transport/lane.h"

enum { PPM = 1000000, SHARE_SMOOTHING = 8, RANKS = 4 };
#define SHARE_NS (500ull * 1000000)

/* ---- which there are */

struct path *lane_path(struct transport *transport, uint8_t wire_id)
{
    PATHS_EACH (path, transport)
        if (path->wire_id == wire_id)
            return path;
    return NULL;
}

static bool is_used(const struct transport *transport, uint8_t wire_id)
{
    return transport->path_ids[wire_id / 64] >> wire_id % 64 & 1;
}

struct path *paths_open(struct transport *transport, uint8_t wire_id, const struct way *way)
{
    if (is_used(transport, wire_id))
        return NULL;
    for (struct path *path = transport->paths; path < transport->paths + PATHS_LIMIT; path++) {
        if (path->is_open)
            continue;
        transport->path_ids[wire_id / 64] |= 1ull << wire_id % 64;
        path_open(path, wire_id, way);
        uint16_t most = transport->config.packet_bytes;
        bool is_udp = way->carriage == TRANSPORT_CARRIAGE_UDP; /* TCP takes any size */
        mtu_init(&path->mtu, is_udp ? transport->config.packet_bytes_least : most, most);
        uint64_t now_ns = transport->now_ns;
        path->last_sent_ns = path->last_heard_ns = path->delivered_ns = path->prove_at_ns = now_ns;
        path->quality_at_ns = now_ns + LANE_QUALITY_NS;
        quality_roll(&path->quality, now_ns);
        lane_start_congestion(transport, path);
        return path;
    }
    return NULL;
}

static bool same_route(const struct transport_route *a, const struct transport_route *b)
{
    return a->local == b->local && a->carriage == b->carriage && address_equal(&a->to, &b->to);
}

const struct transport_route *paths_find_route(const struct transport *transport,
                                               const struct transport_route *wanted)
{
    for (size_t i = 0; i < transport->route_count; i++)
        if (same_route(&transport->routes[i], wanted))
            return &transport->routes[i];
    return NULL;
}

void paths_close(struct transport *transport, struct path *path)
{
    recovery_abandon(transport, path);
    path_close(path);
    if (transport->primary == path)
        PATHS_EACH (other, transport)
            transport->primary = other;
    paths_choose(transport);
}

static bool is_working(const struct path *path)
{
    return path_is_proven(path) && !path->loss.probe_timeouts;
}

/* NULL: none. */
static const struct path *other_working(const struct transport *transport, const struct path *path)
{
    PATHS_EACH (other, transport)
        if (other != path && is_working(other))
            return other;
    return NULL;
}

static void give_up_path(struct transport *transport, struct path *path)
{
    transport->abandon_waits[path->wire_id / 64] |= 1ull << path->wire_id % 64;
    paths_close(transport, path);
}

/* A route has no path yet: the first id that was never used. */
static void open_route(struct transport *transport, const struct transport_route *route)
{
    PATHS_EACH (path, transport)
        if (path->is_ours && same_route(&path->route, route))
            return;
    for (uint32_t id = 1; id < PATH_IDS; id++) {
        if (is_used(transport, (uint8_t)id))
            continue;
        const struct way way = way_of_route(route);
        struct path *path = paths_open(transport, (uint8_t)id, &way);
        if (path) {
            path->is_ours = true;
            path->route = *route;
            path->is_standby = route->is_standby;
        }
        return;
    }
}

void paths_run(struct transport *transport)
{
    if (transport->routes_wait && transport->current.is_confirmed) {
        /* A route that is gone goes only once something else works: the link may be moving. */
        transport->routes_wait = false;
        for (size_t i = 0; i < transport->route_count; i++)
            open_route(transport, &transport->routes[i]);
        PATHS_EACH (path, transport) {
            const struct transport_route *route = paths_find_route(transport, &path->route);
            if (!route && other_working(transport, path)) {
                give_up_path(transport, path);
            } else if (!route) {
                transport->routes_wait = true;
            } else if (route->is_standby != path->is_standby) {
                path->is_standby = route->is_standby;
                transport->status_sequence++;
                path->status_waits = true;
            }
        }
    }
    paths_choose(transport);
}

/* ---- which carry data */

static uint32_t rank_of(const struct path *path)
{
    switch (path_state(path)) {
    case TRANSPORT_PATH_STATE_ACTIVE:
        return 0;
    case TRANSPORT_PATH_STATE_STANDBY:
        return 1;
    case TRANSPORT_PATH_STATE_DOUBTED:
        return 2;
    case TRANSPORT_PATH_STATE_DEGRADED:
        return 3;
    case TRANSPORT_PATH_STATE_NEW:
        break;
    }
    return RANKS;
}

/* What must wait before the longer way is not the later one. The shorter ones are taken at their
 * pace, which in slow start is ahead of what they deliver; a whole round trip and its variance are
 * counted, since the longer way has a queue of its own. */
static uint64_t spill_bytes(const struct transport *transport, const struct path *path)
{
    uint64_t faster_bytes_per_s = 0;
    PATHS_EACH (other, transport)
        if (other->carries && other->rtt.smoothed_ns < path->rtt.smoothed_ns)
            faster_bytes_per_s +=
                other->control->pacing_bytes_per_s(other->congestion, other->rtt.smoothed_ns);
    uint64_t later_ns = path->rtt.smoothed_ns - transport->primary->rtt.smoothed_ns +
                        path->rtt.variance_ns + transport->primary->rtt.variance_ns;
    return faster_bytes_per_s / 1000 * (later_ns / 1000) / 1000;
}

static bool choose_carriers(struct transport *transport)
{
    uint32_t best = RANKS;
    bool is_changed = false;
    transport->working_paths = 0;
    PATHS_EACH (path, transport) {
        best = rank_of(path) < best ? rank_of(path) : best;
        transport->working_paths += is_working(path);
    }
    PATHS_EACH (path, transport) {
        bool carries = best < RANKS && rank_of(path) == best;
        is_changed |= carries != path->carries;
        path->carries = carries;
    }
    return is_changed;
}

void paths_choose(struct transport *transport)
{
    bool is_changed = choose_carriers(transport);
    struct path *first = NULL;
    PATHS_EACH (path, transport)
        if (path->carries && !path_is_muted(path) &&
            (!first || path->rtt.smoothed_ns < first->rtt.smoothed_ns))
            first = path;
    if (first)
        transport->primary = first;
    PATHS_EACH (path, transport)
        path->spill_bytes =
            path->carries && path->rtt.smoothed_ns > transport->primary->rtt.smoothed_ns
                ? spill_bytes(transport, path)
                : 0;
    if (is_changed)
        transport->partition_at_ns = transport->now_ns;
}

/* The other end must know of it even where no stream has anything to say. */
static bool has_news(const struct transport *transport)
{
    for (uint32_t i = 0; i < PATH_IDS / 64; i++)
        if (transport->abandon_waits[i])
            return true;
    PATHS_EACH (path, transport)
        if (path->status_waits)
            return true;
    return false;
}

bool paths_has_data(const struct transport *transport, const struct path *path)
{
    if (!path->carries)
        return false;
    if (path == transport->primary &&
        (transport->settings_wait || !list_is_empty(&transport->controls) || has_news(transport)))
        return true;
    uint64_t waiting = blender_waiting(&transport->blender);
    return waiting && waiting >= path->spill_bytes;
}

/* ---- shares of the connections */

static void draw_shares(struct transport *transport)
{
    uint64_t sum = 0;
    uint32_t carriers = 0;
    bool is_full = true;
    PATHS_EACH (path, transport) {
        if (!path->carries)
            continue;
        carriers++;
        sum += path->delivered_bytes - path->shared_bytes;
        is_full &= !path->is_app_limited;
    }
    PATHS_EACH (path, transport) {
        if (path->carries && !path->share_ppm)
            path->share_ppm = PPM / carriers;
        /* What was delivered says something only where all were kept busy. */
        if (path->carries && is_full && sum) {
            uint64_t part = (path->delivered_bytes - path->shared_bytes) * PPM / sum;
            path->share_ppm =
                (uint32_t)((path->share_ppm * (SHARE_SMOOTHING - 1) + part) / SHARE_SMOOTHING) + 1;
        }
        path->shared_bytes = path->delivered_bytes;
    }
}

void paths_partition(struct transport *transport)
{
    uint64_t now_ns = transport->now_ns;
    if (now_ns >= transport->partition_at_ns) {
        transport->partition_at_ns = now_ns + SHARE_NS;
        draw_shares(transport);
    }
    uint64_t shares = 0, left = transport->hosted;
    PATHS_EACH (path, transport)
        shares += path->carries ? path->share_ppm : 0;
    PATHS_EACH (path, transport) {
        uint64_t hosted = 0;
        if (path->carries && shares) {
            hosted = (left * path->share_ppm + shares / 2) / shares;
            hosted = !hosted && transport->hosted ? 1 : hosted;
            shares -= path->share_ppm;
            left -= hosted < left ? hosted : left;
        }
        if (hosted == path->hosted)
            continue;
        path->hosted = (uint32_t)hosted;
        path->control->set_hosted(path->congestion, path->hosted, path->rtt.smoothed_ns, now_ns);
        LANE_TRACE(transport, HOSTED, path->wire_id, path->hosted,
                   path->control->flows(path->congestion), 0, 0);
        path->is_window_full = false;
    }
}

/* ---- a path falls silent */

uint64_t paths_doubt_at(const struct transport *transport, const struct path *path)
{
    if (transport->working_paths < 2 || !path->sent.in_flight || !is_working(path))
        return UINT64_MAX;
    const struct rtt *rtt = &path->rtt;
    uint64_t half_ns = rtt->smoothed_ns / 2;
    uint64_t late_ns = sent_log_packet(&path->sent, path->sent.first_open)->sent_ns +
                       rtt_probe_timeout(rtt) + half_ns;
    return late_ns > path->last_heard_ns + half_ns ? late_ns : path->last_heard_ns + half_ns;
}

void paths_on_timeout(struct transport *transport, struct path *path)
{
    const struct path *other = other_working(transport, path);
    if (!other)
        return;
    /* One timeout may be chance, unless another path has been heard since. */
    bool is_certain = path->loss.probe_timeouts > 1 ||
                      other->last_heard_ns > path->last_heard_ns + path->rtt.smoothed_ns / 4;
    recovery_move(transport, path, is_certain ? TRANSPORT_RINGS : PATHS_URGENT_RING);
}

/* ---- frames */

int paths_on_new(struct transport *transport, struct path *path, const struct frame_path *change)
{
    if (change->path != path->wire_id || transport->config.is_initiator)
        return ERROR_INVALID;
    path->is_peer_standby = change->use == FRAME_PATH_USE_STANDBY;
    return 0;
}

bool paths_was_open(const struct transport *transport, uint8_t wire_id)
{
    return is_used(transport, wire_id);
}

/* It is gone here, or its first packets are on their way, or none of them ever came: the responder cannot
 * know; the initiator knows which it has named. */
static int unknown_path(const struct transport *transport, uint8_t wire_id)
{
    return transport->config.is_initiator && !is_used(transport, wire_id) ? ERROR_INVALID : 0;
}

int paths_on_status(struct transport *transport, const struct frame_path *change)
{
    struct path *path = lane_path(transport, change->path);
    if (!path)
        return unknown_path(transport, change->path);
    if (change->sequence <= path->peer_status_sequence)
        return 0;
    path->peer_status_sequence = change->sequence;
    path->is_peer_standby = change->use == FRAME_PATH_USE_STANDBY;
    return 0;
}

int paths_on_abandon(struct transport *transport, const struct frame_path *change)
{
    struct path *path = lane_path(transport, change->path);
    if (!path) {
        int error = unknown_path(transport, change->path);
        if (!error) /* what is late on it must not open it */
            transport->path_ids[change->path / 64] |= 1ull << change->path % 64;
        return error;
    }
    uint32_t count = 0;
    PATHS_EACH (other, transport)
        count++;
    if (count == 1)
        return ERROR_INVALID;
    paths_close(transport, path);
    return 0;
}

bool paths_is_declared(struct span frames, uint8_t wire_id)
{
    struct reader reader = reader_of(frames);
    struct frame frame;
    while (reader_left(&reader) && !frame_read(&reader, &frame))
        if (frame.type == FRAME_PATH_NEW)
            return frame.path_change.path == wire_id;
    return false;
}

/* ---- facts */

void paths_read_facts(const struct transport *transport, struct transport_facts *facts)
{
    PATHS_EACH (path, transport) {
        if (!path->carries)
            continue;
        facts->window_bytes += path->control->window_bytes(path->congestion);
        facts->in_flight_bytes += path->control->in_flight_bytes(path->congestion);
        facts->pacing_bytes_per_s +=
            path->control->pacing_bytes_per_s(path->congestion, path->rtt.smoothed_ns);
        facts->virtual_flows += path->control->flows(path->congestion);
    }
}
