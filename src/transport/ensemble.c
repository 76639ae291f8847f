/* SPDX-License-Identifier: Apache-2.0
 *
 * The default congestion control: an ensemble of virtual CUBIC connections (T7). A tunnel that hosts N connections should take
 * the share of N, no more and no less. One window with N-fold growth and a cut of 1/N fails at that behind drop-tail queues (7 to 25
 * times the fair share in simulation), since an overflow hits many of N real connections at once. Here every packet belongs to one of
 * N virtual flows, each of them a plain CUBIC; a loss cuts only the flow that it hit, once per round; the tunnel's window is the sum.
 *
 * hosted, smoothed over 4 RTT -> connections -> flows: they join with a small window, or the mean of the others if that is smaller,
 * and leave with theirs. Beyond 256 connections a flow stands for several, and takes less than they would (the cut of one is a cut
 * for all of them: half the share at four to one, measured in tests/sim; hence 256 flows and not the 64 of the first design). The
 * floor: the sum never counts for less than one packet for each hosted connection (at most 256), spread over at least an RTT;
 * while nothing is acknowledged (the fuse) it is spread over backed-off probe timeouts.
 *
 * A packet touches one flow; the sums are kept by flow_update(). Strategies that look at delay or delivery rate belong beside the
 * sums in ensemble_window_bytes() and ensemble_pacing_bytes_per_s(): nothing else here would know of them.
 */
#include "base/error.h"
#include "base/memory.h"
#include "transport/congestion.h"
#include "transport/cubic.h"
#include "transport/hystart.h"
#include "transport/resume.h"

#include <string.h>

enum {
    ENSEMBLE_FLOWS_MAX = 256,     /* virtual flows */
    ENSEMBLE_FLOOR_MAX = 256,     /* connections that the floor counts */
    ENSEMBLE_INITIAL_WINDOW = 10, /* packets (RFC 9002 section 7.2) */
    ENSEMBLE_SMOOTHING_RTTS = 4,  /* time constant of the number of connections */
    ENSEMBLE_FUSE_TIMEOUTS = 2,   /* probe timeouts in a row that blow the fuse */
    ENSEMBLE_COLLAPSE_TIMEOUTS =
        3,                     /* and that count as persistent congestion (RFC 9002 section 7.6) */
    ENSEMBLE_BACKOFF_MAX = 10, /* doublings of the fuse's period */
    ENSEMBLE_RTT_GUESS_NS = 100000000, /* before the first sample */
    ENSEMBLE_PROBE_DELAY_NS = 25000000 /* the peer's ack delay within a probe timeout */
};

#define ENSEMBLE_PACE_SLOW_START 2.0
#define ENSEMBLE_PACE            1.25
#define ENSEMBLE_JOIN_MARGIN     0.5  /* a flow joins when N rounds up to it, */
#define ENSEMBLE_LEAVE_MARGIN    0.75 /* and leaves a little later: no flutter */

struct virtual_flow {
    struct cubic cubic;
    struct cubic before_cut;  /* what an undo restores */
    uint64_t window_bytes;    /* of all its connections */
    uint64_t paced_bytes;     /* what it sends in an RTT: somewhat more than its window */
    uint64_t in_flight_bytes; /* outlives the flow: packets sent by a former holder of its number */
    uint64_t peak_bytes;      /* most in flight in this round */
    uint64_t last_peak_bytes; /* and in the one before */
    uint64_t joined_number;   /* packets from here on are its own */
    uint64_t cut_number;      /* packets below were sent before its last cut */
    uint32_t losses;          /* of the round that was cut for, not yet found spurious */
    bool is_cut_undoable;
};

struct ensemble {
    uint32_t packet_bytes;
    uint32_t hosted_cap;
    uint32_t hosted;     /* as told, capped */
    double connections;  /* N: hosted, smoothed */
    double multiplicity; /* N / flows, at least 1 */
    uint64_t smoothed_ns;
    uint32_t flows;
    uint32_t next_flow;
    uint32_t timeouts;     /* probe timeouts in a row */
    uint64_t next_number;  /* of the packet that will be taken next */
    uint64_t round_end;    /* the round ends with the ack of this number or a later one */
    uint64_t window_bytes; /* sum over flows */
    uint64_t paced_bytes;  /* to be sent in an RTT: sum over flows */
    uint64_t in_flight_bytes;
    struct hystart hystart;
    struct resume resume;
    uint64_t
        has_room[ENSEMBLE_FLOWS_MAX / 64]; /* a bit for each flow: a packet fits in its window */
    uint32_t flows_made;                   /* of `flow`; they outlive their leaving */
    struct virtual_flow *flow;
};

static struct ensemble *ensemble_of(struct congestion *congestion)
{
    return (struct ensemble *)(void *)congestion;
}

static const struct ensemble *ensemble_in(const struct congestion *congestion)
{
    return (const struct ensemble *)(const void *)congestion;
}

/* Every change of a flow's window or packets in flight ends here: the sums and the bits follow. */
static void flow_update(struct ensemble *ensemble, uint32_t index)
{
    struct virtual_flow *flow = &ensemble->flow[index];
    uint64_t window_bytes = 0, paced_bytes = 0;
    if (index < ensemble->flows) {
        double window =
            flow->cubic.window * ensemble->multiplicity * (double)ensemble->packet_bytes;
        window_bytes = (uint64_t)window;
        paced_bytes =
            (uint64_t)(window * (cubic_is_in_slow_start(&flow->cubic) ? ENSEMBLE_PACE_SLOW_START
                                                                      : ENSEMBLE_PACE));
    }
    ensemble->window_bytes += window_bytes - flow->window_bytes;
    ensemble->paced_bytes += paced_bytes - flow->paced_bytes;
    flow->window_bytes = window_bytes;
    flow->paced_bytes = paced_bytes;
    uint64_t bit = 1ull << index % 64;
    if (flow->in_flight_bytes + ensemble->packet_bytes <= window_bytes)
        ensemble->has_room[index / 64] |= bit;
    else
        ensemble->has_room[index / 64] &= ~bit;
}

/* The first flow from `index` on, around, that has room; ENSEMBLE_FLOWS_MAX: none. */
static uint32_t flow_with_room(const struct ensemble *ensemble, uint32_t index)
{
    enum { WORDS = ENSEMBLE_FLOWS_MAX / 64 };
    uint32_t word = index / 64;
    uint64_t bits = ensemble->has_room[word] >> index % 64 << index % 64;
    for (uint32_t looked = 0; looked < WORDS && bits == 0; looked++) {
        word = (word + 1) % WORDS;
        bits = ensemble->has_room[word];
    }
    return bits ? word * 64 + (uint32_t)__builtin_ctzll(bits) : ENSEMBLE_FLOWS_MAX;
}

static uint64_t floor_bytes(const struct ensemble *ensemble)
{
    uint32_t packets =
        ensemble->hosted < ENSEMBLE_FLOOR_MAX ? ensemble->hosted : ENSEMBLE_FLOOR_MAX;
    if (packets < CUBIC_WINDOW_MIN)
        packets = (uint32_t)CUBIC_WINDOW_MIN;
    return (uint64_t)packets * ensemble->packet_bytes;
}

/* Flows come and go. */

static double mean_window(const struct ensemble *ensemble)
{
    double sum = 0;
    for (uint32_t i = 0; i < ensemble->flows; i++)
        sum += ensemble->flow[i].cubic.window;
    return sum / ensemble->flows;
}

/* Whether some flow has met the path's limit: the others' windows then say what a newcomer gets, without a search of its own. */
static bool knows_path(const struct ensemble *ensemble)
{
    for (uint32_t i = 0; i < ensemble->flows; i++) {
        if (ensemble->flow[i].cubic.threshold < CUBIC_NO_THRESHOLD)
            return true;
    }
    return false;
}

static double joining_window(const struct ensemble *ensemble)
{
    double mean = mean_window(ensemble);
    return mean < ENSEMBLE_INITIAL_WINDOW ? mean : ENSEMBLE_INITIAL_WINDOW;
}

static void flow_join(struct ensemble *ensemble)
{
    if (ensemble->flows == ensemble->flows_made) {
        uint32_t made = ensemble->flows_made;
        ensemble->flows_made = made ? 2 * made : 4;
        ensemble->flow =
            memory_resize(ensemble->flow, ensemble->flows_made, sizeof(*ensemble->flow));
        memset(&ensemble->flow[made], 0, (ensemble->flows_made - made) * sizeof(*ensemble->flow));
    }
    struct virtual_flow *flow = &ensemble->flow[ensemble->flows];
    double threshold = CUBIC_NO_THRESHOLD;
    double window = ENSEMBLE_INITIAL_WINDOW;
    if (ensemble->flows > 0) {
        window = joining_window(ensemble);
        if (knows_path(ensemble))
            threshold = mean_window(ensemble);
    }
    cubic_init(&flow->cubic, window, threshold);
    flow->joined_number = ensemble->next_number;
    flow->cut_number = ensemble->next_number;
    flow->losses = 0;
    flow->is_cut_undoable = false;
    ensemble->flows++;
    flow_update(ensemble, ensemble->flows - 1);
}

static void flow_leave(struct ensemble *ensemble)
{
    ensemble->flows--;
    flow_update(ensemble, ensemble->flows);
}

/* Beyond ENSEMBLE_FLOWS_MAX connections each flow stands for more of them; those who come bring a joining window. */
static void set_multiplicity(struct ensemble *ensemble, double multiplicity)
{
    if (multiplicity == ensemble->multiplicity)
        return;
    double old = ensemble->multiplicity;
    double joining = joining_window(ensemble);
    ensemble->multiplicity = multiplicity;
    for (uint32_t i = 0; i < ensemble->flows; i++) {
        struct cubic *cubic = &ensemble->flow[i].cubic;
        if (multiplicity > old && cubic->window > joining) {
            bool slow_start = cubic_is_in_slow_start(cubic);
            cubic->window = (cubic->window * old + joining * (multiplicity - old)) / multiplicity;
            cubic->epoch_ns = 0;
            if (!slow_start)
                cubic->threshold = cubic->window;
        }
        flow_update(ensemble, i);
    }
}

static void adjust_flows(struct ensemble *ensemble)
{
    while (ensemble->flows < ENSEMBLE_FLOWS_MAX &&
           ensemble->connections >= ensemble->flows + ENSEMBLE_JOIN_MARGIN)
        flow_join(ensemble);
    while (ensemble->flows > 1 && ensemble->connections < ensemble->flows - ENSEMBLE_LEAVE_MARGIN)
        flow_leave(ensemble);
    double multiplicity = ensemble->connections / ensemble->flows;
    set_multiplicity(ensemble,
                     ensemble->flows == ENSEMBLE_FLOWS_MAX && multiplicity > 1 ? multiplicity : 1);
}

/* N follows what it was told with a time constant of some round trips; called at least once in each. */
static void smooth(struct ensemble *ensemble, uint64_t srtt_ns, uint64_t now_ns)
{
    double target = ensemble->hosted ? ensemble->hosted : 1;
    double elapsed = (double)(now_ns - ensemble->smoothed_ns);
    ensemble->smoothed_ns = now_ns;
    ensemble->connections += (target - ensemble->connections) * elapsed /
                             (elapsed + ENSEMBLE_SMOOTHING_RTTS * (double)srtt_ns);
    adjust_flows(ensemble);
}

static void ensemble_set_hosted(struct congestion *congestion, uint32_t hosted, uint64_t srtt_ns,
                                uint64_t now_ns)
{
    struct ensemble *ensemble = ensemble_of(congestion);
    smooth(ensemble, srtt_ns ? srtt_ns : ENSEMBLE_RTT_GUESS_NS, now_ns);
    ensemble->hosted = hosted < ensemble->hosted_cap ? hosted : ensemble->hosted_cap;
}

/* Packets and their fate. */

static uint16_t ensemble_take(struct congestion *congestion, uint32_t bytes, uint64_t number,
                              uint64_t now_ns)
{
    (void)now_ns;
    struct ensemble *ensemble = ensemble_of(congestion);
    uint32_t next = ensemble->next_flow < ensemble->flows ? ensemble->next_flow : 0;
    uint32_t index = flow_with_room(ensemble, next);
    if (index == ENSEMBLE_FLOWS_MAX) {
        if (ensemble->in_flight_bytes + bytes > floor_bytes(ensemble))
            return CONGESTION_NO_FLOW;
        index = next;
    }
    ensemble->next_flow = index + 1;
    ensemble->next_number = number + 1;
    ensemble->flow[index].in_flight_bytes += bytes;
    ensemble->in_flight_bytes += bytes;
    if (ensemble->flow[index].peak_bytes < ensemble->flow[index].in_flight_bytes)
        ensemble->flow[index].peak_bytes = ensemble->flow[index].in_flight_bytes;
    flow_update(ensemble, index);
    return (uint16_t)index;
}

static bool is_beyond_window(const struct congestion_packet *packet)
{
    return packet->flow == CONGESTION_NO_FLOW;
}

static struct virtual_flow *left_flight(struct ensemble *ensemble,
                                        const struct congestion_packet *packet)
{
    INVARIANT(packet->flow < ensemble->flows_made);
    struct virtual_flow *flow = &ensemble->flow[packet->flow];
    INVARIANT(flow->in_flight_bytes >= packet->bytes);
    flow->in_flight_bytes -= packet->bytes;
    ensemble->in_flight_bytes -= packet->bytes;
    return flow;
}

/* Whether the flow of this number is still the one that sent the packet. */
static bool is_its_own(const struct ensemble *ensemble, const struct congestion_packet *packet)
{
    return packet->flow < ensemble->flows &&
           packet->number >= ensemble->flow[packet->flow].joined_number;
}

static void next_round(struct ensemble *ensemble)
{
    ensemble->round_end = ensemble->next_number;
    for (uint32_t i = 0; i < ensemble->flows; i++) {
        struct virtual_flow *flow = &ensemble->flow[i];
        flow->last_peak_bytes = flow->peak_bytes;
        flow->peak_bytes = flow->in_flight_bytes;
    }
}

/* A window that was not half used says nothing about the path: it does not grow (RFC 9002 section 7.8). */
static bool is_window_used(const struct virtual_flow *flow)
{
    uint64_t peak =
        flow->peak_bytes > flow->last_peak_bytes ? flow->peak_bytes : flow->last_peak_bytes;
    return 2 * peak >= flow->window_bytes;
}

static void leave_slow_start(struct ensemble *ensemble)
{
    for (uint32_t i = 0; i < ensemble->flows; i++) {
        if (ensemble->flow[i].cubic.threshold == CUBIC_NO_THRESHOLD)
            cubic_leave_slow_start(&ensemble->flow[i].cubic);
    }
}

static double share_of_window(const struct ensemble *ensemble, uint64_t window_bytes)
{
    return (double)window_bytes /
           (ensemble->flows * ensemble->multiplicity * (double)ensemble->packet_bytes);
}

static void jump(struct ensemble *ensemble, uint64_t window_bytes)
{
    double window = share_of_window(ensemble, window_bytes);
    for (uint32_t i = 0; i < ensemble->flows; i++) {
        if (ensemble->flow[i].cubic.window < window)
            ensemble->flow[i].cubic.window = window;
        flow_update(ensemble, i);
    }
}

/* The jump went too far: all flows begin anew at what is proven, and none of the packets under way counts against them again. */
static void retreat(struct ensemble *ensemble, uint64_t window_bytes)
{
    double window = share_of_window(ensemble, window_bytes);
    for (uint32_t i = 0; i < ensemble->flows; i++) {
        struct virtual_flow *flow = &ensemble->flow[i];
        if (flow->cubic.window > window)
            cubic_init(&flow->cubic, window > CUBIC_WINDOW_MIN ? window : CUBIC_WINDOW_MIN,
                       CUBIC_WINDOW_MIN);
        flow->cut_number = ensemble->next_number;
        flow->is_cut_undoable = false;
        flow_update(ensemble, i);
    }
}

static void ensemble_on_acked(struct congestion *congestion, const struct congestion_packet *packet,
                              uint64_t rtt_ns, uint64_t srtt_ns, uint64_t min_rtt_ns,
                              uint64_t now_ns)
{
    (void)min_rtt_ns;
    struct ensemble *ensemble = ensemble_of(congestion);
    ensemble->timeouts = 0;
    if (is_beyond_window(packet))
        return;
    if (packet->number >= ensemble->round_end) {
        next_round(ensemble);
        smooth(ensemble, srtt_ns ? srtt_ns : ENSEMBLE_RTT_GUESS_NS, now_ns);
    }
    uint64_t jump_bytes = resume_on_acked(&ensemble->resume, packet->number, packet->bytes,
                                          ensemble->next_number, rtt_ns != 0);
    if (jump_bytes)
        jump(ensemble, jump_bytes);
    struct virtual_flow *flow = left_flight(ensemble, packet);
    if (ensemble->hystart.phase != HYSTART_DONE) {
        hystart_on_acked(&ensemble->hystart, packet->number, ensemble->next_number, rtt_ns);
        if (ensemble->hystart.phase == HYSTART_DONE)
            leave_slow_start(ensemble);
    }
    /* Packets from before a cut neither grow the window again nor count as time. */
    if (is_its_own(ensemble, packet) && packet->number >= flow->cut_number) {
        double packets =
            (double)packet->bytes / ((double)ensemble->packet_bytes * ensemble->multiplicity);
        if (packet->app_limited || !is_window_used(flow))
            cubic_on_acked_idle(&flow->cubic, now_ns);
        else
            cubic_on_acked(&flow->cubic, packets, hystart_growth(&ensemble->hystart), srtt_ns,
                           now_ns);
    }
    flow_update(ensemble, packet->flow);
}

/* One congestion signal: the flow that it hit is cut, once for all that it had in flight. */
static void signal_congestion(struct ensemble *ensemble, const struct congestion_packet *packet,
                              bool is_undoable)
{
    struct virtual_flow *flow = &ensemble->flow[packet->flow];
    if (!is_its_own(ensemble, packet))
        return;
    if (packet->number >= flow->cut_number) {
        flow->before_cut = flow->cubic;
        cubic_on_congestion(&flow->cubic);
        flow->cut_number = ensemble->next_number;
        flow->losses = 0;
        flow->is_cut_undoable = true;
    }
    flow->is_cut_undoable = flow->is_cut_undoable && is_undoable;
    flow->losses++;
}

static void ensemble_on_lost(struct congestion *congestion, const struct congestion_packet *packet,
                             uint64_t now_ns)
{
    (void)now_ns;
    struct ensemble *ensemble = ensemble_of(congestion);
    if (is_beyond_window(packet))
        return;
    left_flight(ensemble, packet);
    uint64_t proven_bytes =
        resume_on_lost(&ensemble->resume, packet->number,
                       (uint64_t)ENSEMBLE_INITIAL_WINDOW * ensemble->packet_bytes);
    if (proven_bytes)
        retreat(ensemble, proven_bytes);
    signal_congestion(ensemble, packet, true);
    flow_update(ensemble, packet->flow);
}

static void ensemble_on_ce(struct congestion *congestion, const struct congestion_packet *packet,
                           uint64_t now_ns)
{
    (void)now_ns;
    struct ensemble *ensemble = ensemble_of(congestion);
    if (is_beyond_window(packet))
        return;
    signal_congestion(ensemble, packet, false);
    flow_update(ensemble, packet->flow);
}

/* Once every loss of the round turns out to have been reordering, the cut is taken back (RFC 9438 section 4.9.2). */
static void ensemble_on_spurious(struct congestion *congestion,
                                 const struct congestion_packet *packet, uint64_t now_ns)
{
    (void)now_ns;
    struct ensemble *ensemble = ensemble_of(congestion);
    if (is_beyond_window(packet))
        return;
    struct virtual_flow *flow = &ensemble->flow[packet->flow];
    if (!is_its_own(ensemble, packet) || packet->number >= flow->cut_number || flow->losses == 0)
        return;
    if (--flow->losses > 0 || !flow->is_cut_undoable)
        return;
    flow->is_cut_undoable = false;
    if (flow->cubic.window < flow->before_cut.window)
        flow->cubic = flow->before_cut;
    flow_update(ensemble, packet->flow);
}

static void ensemble_on_discarded(struct congestion *congestion,
                                  const struct congestion_packet *packet)
{
    struct ensemble *ensemble = ensemble_of(congestion);
    if (is_beyond_window(packet))
        return;
    left_flight(ensemble, packet);
    flow_update(ensemble, packet->flow);
}

static void ensemble_on_probe_timeout(struct congestion *congestion, uint32_t in_a_row,
                                      uint64_t now_ns)
{
    (void)now_ns;
    struct ensemble *ensemble = ensemble_of(congestion);
    ensemble->timeouts = in_a_row;
    if (in_a_row != ENSEMBLE_COLLAPSE_TIMEOUTS)
        return;
    for (uint32_t i = 0; i < ensemble->flows; i++) {
        struct virtual_flow *flow = &ensemble->flow[i];
        cubic_on_timeout(&flow->cubic);
        flow->cut_number = ensemble->next_number;
        flow->is_cut_undoable = false;
        flow_update(ensemble, i);
    }
}

/* Nothing to keep: each packet says whether it was the application's limit (struct congestion_packet). */
static void ensemble_set_app_limited(struct congestion *congestion, bool app_limited,
                                     uint64_t now_ns)
{
    (void)congestion, (void)app_limited, (void)now_ns;
}

/* What the sender asks. */

static uint64_t ensemble_window_bytes(const struct congestion *congestion)
{
    const struct ensemble *ensemble = ensemble_in(congestion);
    uint64_t least = floor_bytes(ensemble);
    return ensemble->window_bytes > least ? ensemble->window_bytes : least;
}

static uint64_t ensemble_in_flight_bytes(const struct congestion *congestion)
{
    return ensemble_in(congestion)->in_flight_bytes;
}

static uint64_t ensemble_pacing_bytes_per_s(const struct congestion *congestion, uint64_t srtt_ns)
{
    const struct ensemble *ensemble = ensemble_in(congestion);
    if (srtt_ns == 0)
        srtt_ns = ENSEMBLE_RTT_GUESS_NS;
    double least = (double)floor_bytes(ensemble);
    if (ensemble->timeouts >= ENSEMBLE_FUSE_TIMEOUTS) {
        uint32_t doublings =
            ensemble->timeouts < ENSEMBLE_BACKOFF_MAX ? ensemble->timeouts : ENSEMBLE_BACKOFF_MAX;
        double period_ns =
            (double)(2 * srtt_ns + ENSEMBLE_PROBE_DELAY_NS) * (double)(1u << doublings);
        return (uint64_t)(least * 1e9 / period_ns);
    }
    double paced = (double)ensemble->paced_bytes;
    if (paced < least)
        paced = least;
    return (uint64_t)(paced * 1e9 / (double)srtt_ns);
}

static uint32_t ensemble_flows(const struct congestion *congestion)
{
    return ensemble_in(congestion)->flows;
}

static struct congestion *ensemble_create(const struct congestion_config *config, uint64_t now_ns)
{
    struct ensemble *ensemble = NEW(struct ensemble);
    ensemble->packet_bytes = config->packet_bytes;
    ensemble->hosted_cap = config->hosted_cap;
    ensemble->connections = 1;
    ensemble->multiplicity = 1;
    ensemble->smoothed_ns = now_ns;
    hystart_init(&ensemble->hystart);
    resume_init(&ensemble->resume, config->saved_bdp_bytes);
    flow_join(ensemble);
    return (struct congestion *)(void *)ensemble;
}

static void ensemble_destroy(struct congestion *congestion)
{
    memory_free(ensemble_of(congestion)->flow);
    memory_free(congestion);
}

const struct congestion_ops congestion_ensemble = {
    .name = "ensemble",
    .create = ensemble_create,
    .destroy = ensemble_destroy,
    .take = ensemble_take,
    .on_acked = ensemble_on_acked,
    .on_lost = ensemble_on_lost,
    .on_spurious = ensemble_on_spurious,
    .on_ce = ensemble_on_ce,
    .on_discarded = ensemble_on_discarded,
    .on_probe_timeout = ensemble_on_probe_timeout,
    .set_hosted = ensemble_set_hosted,
    .set_app_limited = ensemble_set_app_limited,
    .window_bytes = ensemble_window_bytes,
    .in_flight_bytes = ensemble_in_flight_bytes,
    .pacing_bytes_per_s = ensemble_pacing_bytes_per_s,
    .flows = ensemble_flows,
};
