/* SPDX-License-Identifier: Apache-2.0
 *
 * The default congestion control (T7). A tunnel that hosts N connections should take the share of N, no more and no less: beside others
 * it is an ensemble of N virtual CUBIC connections (virtual_flows.h). One window with N-fold growth and a cut of 1/N fails at that
 * behind drop-tail queues (7 to 25 times the fair share in simulation), since an overflow hits many of N real connections at once.
 * Where nobody else is there, or where losses are a matter of chance, N CUBICs leave a path empty or a queue full: then a model of the
 * path (model.h) and the law of pilot.h govern.
 *
 *     START   slow start, until the delay grows (-> MODEL) or the path overflows (-> SHARE)
 *     MODEL   until somebody else shows: losses at full queue (loss_signal.h), or a verdict of the pilot (-> SHARE)
 *     SHARE   virtual flows, each loss cuts one; now and then, less and less often, MODEL is tried; at once where losses are by chance
 *
 * A trial that fails gives the flows their windows back: it costs neither side its share. The floor: the window is never less than one
 * packet for each hosted connection (at most 256), spread over at least an RTT; while nothing is acknowledged (the fuse) it is spread
 * over backed-off probe timeouts. Measurements, and what failed: docs/congestion.md.
 */
#include "base/error.h"
#include "base/memory.h"
#include "transport/hystart.h"
#include "transport/loss_signal.h"
#include "transport/pilot.h"
#include "transport/resume.h"
#include "transport/virtual_flows.h"

enum {
    FLOOR_MAX = 256,       /* connections that the floor counts */
    FUSE_TIMEOUTS = 2,     /* probe timeouts in a row that blow the fuse */
    COLLAPSE_TIMEOUTS = 3, /* and that count as persistent congestion (RFC 9002 section 7.6) */
    BACKOFF_MAX = 10,      /* doublings of the fuse's period */
    START_LOSSES = 16,     /* packets lost in a round, and a third of it: slow start ends */
    AFTERMATH_ROUNDS = 3,
    CHANCE_PAUSES = 8, /* losses by chance: MODEL is tried after this part of the pause */
};
#define RTT_GUESS_NS         (100ull * 1000000)  /* before the first sample */
#define PROBE_DELAY_NS       (25ull * 1000000)   /* the peer's ack delay within a probe timeout */
#define PAUSE_LEAST_NS       (2ull * 1000000000) /* between trials of MODEL */
#define PAUSE_MOST_NS        (64ull * 1000000000)
#define CHANCE_PAUSE_MOST_NS (4ull * 1000000000)
#define TRIAL_NS             (30ull * 1000000000) /* MODEL has failed if it was left sooner, */
#define SUCCESS_NS           (60ull * 1000000000) /* and has proven itself if it lasted so long */
#define CHANCE_QUEUE_NS      (1ull * 1000000)     /* losses in front of a queue are not by chance */
#define CLEARLY_MORE         1.2
#define PACE_START           2.0
/* Real connections are not paced, and a smooth sender gets up to three times the share of one of them in front of a short queue; many of
 * them together are smooth by themselves (docs/congestion.md). So the window of few leaves faster, and that of many more evenly. */
#define PACE_SHARE 1.25
#define PACE_FEW   2.0
#define MARKS_GAIN (1.0 / 16) /* of the average share of marked packets (RFC 8257) */

/* X-macro: modes. */
#define ENSEMBLE_MODES(X) \
    X(START, "start")     \
    X(SHARE, "share")     \
    X(MODEL, "model")

enum ensemble_mode {
#define X(name, text) ENSEMBLE_##name,
    ENSEMBLE_MODES(X)
#undef X
};

struct ensemble {
    enum ensemble_mode mode;
    bool is_plain;      /* virtual flows only */
    bool is_scalable;   /* packets carry ECT(1): marks are answered in proportion (RFC 9331) */
    uint32_t timeouts;  /* probe timeouts in a row */
    double marks_share; /* average */
    struct virtual_flows flows;
    struct hystart hystart;
    struct resume resume;
    struct loss_signal signal;
    struct model model;
    struct pilot pilot;
    uint64_t srtt_ns;
    uint64_t trial_ns, pause_ns;  /* when MODEL is tried next; the present pause between trials */
    uint64_t entered_ns, left_ns; /* MODEL */
    uint64_t entry_window_bytes;  /* of the flows, when MODEL began; 0: after slow start */
};

static struct ensemble *ensemble_of(struct congestion *congestion)
{
    return (struct ensemble *)(void *)congestion;
}

static const struct ensemble *ensemble_in(const struct congestion *congestion)
{
    return (const struct ensemble *)(const void *)congestion;
}

static bool is_beyond_window(const struct congestion_packet *packet)
{
    return packet->flow == CONGESTION_NO_FLOW;
}

static uint64_t floor_bytes(const struct ensemble *ensemble)
{
    uint32_t hosted = ensemble->flows.hosted;
    uint32_t packets = hosted < FLOOR_MAX ? hosted : FLOOR_MAX;
    if (packets < CUBIC_WINDOW_MIN)
        packets = (uint32_t)CUBIC_WINDOW_MIN;
    return (uint64_t)packets * ensemble->flows.packet_bytes;
}

static uint64_t window_of(const struct ensemble *ensemble)
{
    const struct virtual_flows *flows = &ensemble->flows;
    uint64_t least = floor_bytes(ensemble);
    uint64_t window =
        ensemble->mode == ENSEMBLE_MODEL
            ? (uint64_t)pilot_window_bytes(&ensemble->pilot, &ensemble->model, flows->packet_bytes)
            : flows->window_bytes;
    return window > least ? window : least;
}

/* ---- modes */

static void set_mode(struct ensemble *ensemble, enum ensemble_mode mode)
{
    ensemble->mode = mode;
}

static void enter_model(struct ensemble *ensemble, double step, uint64_t now_ns)
{
    ensemble->entry_window_bytes = ensemble->flows.window_bytes;
    ensemble->entered_ns = now_ns;
    pilot_start(&ensemble->pilot, &ensemble->model, step, now_ns);
    set_mode(ensemble, ENSEMBLE_MODEL);
}

/* After a short trial the flows have the windows that they had, and CUBIC's clocks have stood still; where the model bore clearly more, or
 * has governed for long, they share what it bore at its best. */
static void leave_model(struct ensemble *ensemble, uint64_t now_ns)
{
    uint64_t stayed_ns = now_ns - ensemble->entered_ns;
    double bore = ensemble->pilot.peak_rate * (double)ensemble->srtt_ns * 1e-9;
    bool is_failed = stayed_ns < TRIAL_NS;
    if (is_failed)
        ensemble->pause_ns *= ensemble->pause_ns < PAUSE_MOST_NS ? 2 : 1;
    else if (stayed_ns > SUCCESS_NS && ensemble->pause_ns > PAUSE_LEAST_NS)
        ensemble->pause_ns /= 2;
    ensemble->left_ns = now_ns;
    ensemble->trial_ns = now_ns + ensemble->pause_ns;
    set_mode(ensemble, ENSEMBLE_SHARE);
    if (!is_failed || bore > CLEARLY_MORE * (double)ensemble->entry_window_bytes)
        virtual_flows_restart(&ensemble->flows, (uint64_t)bore);
}

static void leave_start(struct ensemble *ensemble, uint64_t now_ns)
{
    virtual_flows_leave_slow_start(&ensemble->flows);
    ensemble->left_ns = now_ns;
    ensemble->trial_ns = now_ns + ensemble->pause_ns;
    set_mode(ensemble, ENSEMBLE_SHARE);
}

static uint64_t chance_pause_ns(const struct ensemble *ensemble)
{
    uint64_t pause_ns = ensemble->pause_ns / CHANCE_PAUSES;
    return pause_ns < CHANCE_PAUSE_MOST_NS ? pause_ns : CHANCE_PAUSE_MOST_NS;
}

static void consider_trial(struct ensemble *ensemble, const struct model_round *round,
                           uint64_t now_ns)
{
    bool is_chance = round->lost > 0 && round->queue_ns < CHANCE_QUEUE_NS &&
                     loss_signal_is_chance(&ensemble->signal) &&
                     now_ns - ensemble->left_ns > chance_pause_ns(ensemble);
    if (is_chance)
        enter_model(ensemble, PILOT_STEP_BOLD, now_ns);
    else if (now_ns >= ensemble->trial_ns)
        enter_model(ensemble, PILOT_STEP_LEAST, now_ns);
}

/* Slow start leaves a queue of its own, and perhaps an overflow. */
static bool is_aftermath(const struct ensemble *ensemble)
{
    return ensemble->entry_window_bytes == 0 && ensemble->pilot.rounds < AFTERMATH_ROUNDS;
}

/* A round is over. */
static void steer(struct ensemble *ensemble, const struct model_round *round, uint64_t now_ns)
{
    struct model *model = &ensemble->model;
    bool is_overflow = loss_signal_next_round(&ensemble->signal);
    double share = (double)round->marked / (round->acked + round->marked + 1);
    ensemble->marks_share += MARKS_GAIN * (share - ensemble->marks_share);
    virtual_flows_next_round(&ensemble->flows, ensemble->srtt_ns, now_ns);
    if (ensemble->is_plain)
        return;
    switch (ensemble->mode) {
    case ENSEMBLE_START:
        model_learn(model, round);
        break;
    case ENSEMBLE_SHARE:
        model_learn(model, round);
        consider_trial(ensemble, round, now_ns);
        break;
    case ENSEMBLE_MODEL:
        if (is_aftermath(ensemble)) {
            loss_signal_forget(&ensemble->signal);
            is_overflow = false;
        }
        if (pilot_steer(&ensemble->pilot, model, round, ensemble->flows.packet_bytes, now_ns) !=
                PILOT_GOES_ON ||
            is_overflow)
            leave_model(ensemble, now_ns);
        break;
    }
}

/* ---- packets and their fate */

static uint16_t ensemble_take(struct congestion *congestion, uint32_t bytes, uint64_t number,
                              uint64_t now_ns)
{
    (void)now_ns;
    struct ensemble *ensemble = ensemble_of(congestion);
    struct virtual_flows *flows = &ensemble->flows;
    uint16_t flow = CONGESTION_NO_FLOW;
    if (ensemble->mode != ENSEMBLE_MODEL)
        flow = virtual_flows_with_room(flows);
    if (flow == CONGESTION_NO_FLOW) {
        uint64_t most =
            ensemble->mode == ENSEMBLE_MODEL ? window_of(ensemble) : floor_bytes(ensemble);
        if (flows->in_flight_bytes + bytes > most)
            return CONGESTION_NO_FLOW;
        flow = virtual_flows_next(flows);
    }
    virtual_flows_took(flows, flow, bytes, number);
    return flow;
}

static void look_at_delay(struct ensemble *ensemble, const struct congestion_packet *packet,
                          uint64_t rtt_ns, uint64_t now_ns)
{
    loss_signal_on_rtt(&ensemble->signal, packet->number, rtt_ns, ensemble->srtt_ns, now_ns);
    if (ensemble->mode != ENSEMBLE_START)
        return;
    hystart_on_acked(&ensemble->hystart, packet->number, ensemble->flows.next_number, rtt_ns);
    if (!ensemble->hystart.is_over)
        return;
    leave_start(ensemble, now_ns);
    if (!ensemble->is_plain) {
        model_learn_early(&ensemble->model);
        enter_model(ensemble, PILOT_STEP_BOLD, now_ns);
        ensemble->entry_window_bytes = 0;
    }
}

static void ensemble_on_acked(struct congestion *congestion, const struct congestion_packet *packet,
                              uint64_t rtt_ns, uint64_t srtt_ns, uint64_t min_rtt_ns,
                              uint64_t now_ns)
{
    (void)min_rtt_ns;
    struct ensemble *ensemble = ensemble_of(congestion);
    struct virtual_flows *flows = &ensemble->flows;
    ensemble->timeouts = 0;
    if (is_beyond_window(packet))
        return;
    ensemble->srtt_ns = srtt_ns ? srtt_ns : RTT_GUESS_NS;
    struct model_round round;
    if (model_on_acked(&ensemble->model, packet, flows->next_number, rtt_ns, now_ns, &round))
        steer(ensemble, &round, now_ns);
    uint64_t jump_bytes = resume_on_acked(&ensemble->resume, packet->number, packet->bytes,
                                          flows->next_number, rtt_ns != 0);
    if (jump_bytes)
        virtual_flows_jump(flows, jump_bytes);
    virtual_flows_left_flight(flows, packet);
    if (rtt_ns)
        look_at_delay(ensemble, packet, rtt_ns, now_ns);
    if (ensemble->mode == ENSEMBLE_MODEL)
        virtual_flows_rest(flows, packet, now_ns);
    else
        virtual_flows_grow(flows, packet, srtt_ns, now_ns);
}

/* Slow start goes on over losses by chance. It overflows when they come at full queue, or are very many. */
static bool is_start_over(const struct ensemble *ensemble)
{
    const struct model_round *now = &ensemble->model.now;
    return ensemble->is_plain || loss_signal_is_overflow_now(&ensemble->signal) ||
           (now->lost >= START_LOSSES && 3 * now->lost > now->acked + now->lost);
}

static void overflow_start(struct ensemble *ensemble, uint64_t now_ns)
{
    struct virtual_flows *flows = &ensemble->flows;
    leave_start(ensemble, now_ns);
    uint64_t proven_bytes =
        resume_on_overflow(&ensemble->resume,
                           (uint64_t)VIRTUAL_FLOW_INITIAL_WINDOW * flows->packet_bytes);
    if (proven_bytes)
        virtual_flows_retreat(flows, proven_bytes);
}

static void ensemble_on_lost(struct congestion *congestion, const struct congestion_packet *packet,
                             uint64_t now_ns)
{
    struct ensemble *ensemble = ensemble_of(congestion);
    if (is_beyond_window(packet))
        return;
    virtual_flows_left_flight(&ensemble->flows, packet);
    loss_signal_on_lost(&ensemble->signal, packet->number);
    model_on_lost(&ensemble->model, packet->bytes);
    if (ensemble->mode == ENSEMBLE_START && is_start_over(ensemble))
        overflow_start(ensemble, now_ns);
    if (ensemble->mode == ENSEMBLE_SHARE)
        virtual_flows_cut(&ensemble->flows, packet, CUBIC_BETA, true);
}

/* A classic mark is a loss of the flow that it hit; packets with ECT(1) ask for an answer in proportion to the share of marked ones. */
static void ensemble_on_ce(struct congestion *congestion, const struct congestion_packet *packet,
                           uint64_t now_ns)
{
    struct ensemble *ensemble = ensemble_of(congestion);
    if (is_beyond_window(packet))
        return;
    model_on_marked(&ensemble->model);
    if (ensemble->mode == ENSEMBLE_START)
        overflow_start(ensemble, now_ns);
    double keep = ensemble->is_scalable ? 1 - ensemble->marks_share / 2 : CUBIC_BETA;
    if (ensemble->mode == ENSEMBLE_SHARE)
        virtual_flows_cut(&ensemble->flows, packet, keep, false);
}

static void ensemble_on_spurious(struct congestion *congestion,
                                 const struct congestion_packet *packet, uint64_t now_ns)
{
    (void)now_ns;
    struct ensemble *ensemble = ensemble_of(congestion);
    if (!is_beyond_window(packet) && ensemble->mode == ENSEMBLE_SHARE)
        virtual_flows_uncut(&ensemble->flows, packet);
}

static void ensemble_on_discarded(struct congestion *congestion,
                                  const struct congestion_packet *packet)
{
    if (!is_beyond_window(packet))
        virtual_flows_left_flight(&ensemble_of(congestion)->flows, packet);
}

static void ensemble_on_probe_timeout(struct congestion *congestion, uint32_t in_a_row,
                                      uint64_t now_ns)
{
    struct ensemble *ensemble = ensemble_of(congestion);
    ensemble->timeouts = in_a_row;
    if (in_a_row != COLLAPSE_TIMEOUTS)
        return;
    if (ensemble->mode == ENSEMBLE_MODEL)
        leave_model(ensemble, now_ns);
    virtual_flows_collapse(&ensemble->flows);
}

static void ensemble_set_hosted(struct congestion *congestion, uint32_t hosted, uint64_t srtt_ns,
                                uint64_t now_ns)
{
    virtual_flows_set_hosted(&ensemble_of(congestion)->flows, hosted,
                             srtt_ns ? srtt_ns : RTT_GUESS_NS, now_ns);
}

/* Nothing to keep: each packet says whether it was the application's limit (struct congestion_packet). */
static void ensemble_set_app_limited(struct congestion *congestion, bool app_limited,
                                     uint64_t now_ns)
{
    (void)congestion, (void)app_limited, (void)now_ns;
}

/* ---- what the sender asks */

static uint64_t ensemble_window_bytes(const struct congestion *congestion)
{
    return window_of(ensemble_in(congestion));
}

static uint64_t ensemble_in_flight_bytes(const struct congestion *congestion)
{
    return ensemble_in(congestion)->flows.in_flight_bytes;
}

static double pace_of(const struct ensemble *ensemble)
{
    return ensemble->mode == ENSEMBLE_START
               ? PACE_START
               : PACE_SHARE * (1 + PACE_FEW / ensemble->flows.connections);
}

static uint64_t ensemble_pacing_bytes_per_s(const struct congestion *congestion, uint64_t srtt_ns)
{
    const struct ensemble *ensemble = ensemble_in(congestion);
    if (srtt_ns == 0)
        srtt_ns = RTT_GUESS_NS;
    double least = (double)floor_bytes(ensemble);
    if (ensemble->timeouts >= FUSE_TIMEOUTS) {
        uint32_t doublings = ensemble->timeouts < BACKOFF_MAX ? ensemble->timeouts : BACKOFF_MAX;
        double period_ns = (double)(2 * srtt_ns + PROBE_DELAY_NS) * (double)(1u << doublings);
        return (uint64_t)(least * 1e9 / period_ns);
    }
    double slowest = least * 1e9 / (double)srtt_ns, rate;
    if (ensemble->mode == ENSEMBLE_MODEL) {
        rate = pilot_bytes_per_s(&ensemble->pilot, &ensemble->model);
    } else {
        rate = pace_of(ensemble) * (double)ensemble->flows.window_bytes * 1e9 / (double)srtt_ns;
    }
    return (uint64_t)(rate > slowest ? rate : slowest);
}

static uint32_t ensemble_flows(const struct congestion *congestion)
{
    return ensemble_in(congestion)->flows.count;
}

static const char *ensemble_mode(const struct congestion *congestion)
{
    static const char *const names[] = {
#define X(name, text) text,
        ENSEMBLE_MODES(X)
#undef X
    };
    return names[ensemble_in(congestion)->mode];
}

static void ensemble_set_packet_bytes(struct congestion *congestion, uint32_t bytes)
{
    virtual_flows_set_packet_bytes(&ensemble_of(congestion)->flows, bytes);
}

static struct congestion *ensemble_create(const struct congestion_config *config, uint64_t now_ns)
{
    struct ensemble *ensemble = NEW(struct ensemble);
    ensemble->is_scalable = config->is_ecn_scalable;
    ensemble->marks_share = 1;
    ensemble->srtt_ns = RTT_GUESS_NS;
    ensemble->pause_ns = PAUSE_LEAST_NS;
    virtual_flows_init(&ensemble->flows, config->packet_bytes, config->hosted_cap, now_ns);
    model_init(&ensemble->model, now_ns);
    resume_init(&ensemble->resume, config->saved_bdp_bytes);
    return (struct congestion *)(void *)ensemble;
}

static struct congestion *ensemble_create_plain(const struct congestion_config *config,
                                                uint64_t now_ns)
{
    struct congestion *congestion = ensemble_create(config, now_ns);
    ensemble_of(congestion)->is_plain = true;
    return congestion;
}

static void ensemble_destroy(struct congestion *congestion)
{
    virtual_flows_clear(&ensemble_of(congestion)->flows);
    memory_free(congestion);
}

#define ENSEMBLE_OPS(name_, create_)                                                              \
    {                                                                                             \
        .name = (name_), .create = (create_), .destroy = ensemble_destroy, .take = ensemble_take, \
        .on_acked = ensemble_on_acked, .on_lost = ensemble_on_lost,                               \
        .on_spurious = ensemble_on_spurious, .on_ce = ensemble_on_ce,                             \
        .on_discarded = ensemble_on_discarded, .on_probe_timeout = ensemble_on_probe_timeout,     \
        .set_hosted = ensemble_set_hosted, .set_app_limited = ensemble_set_app_limited,           \
        .window_bytes = ensemble_window_bytes, .in_flight_bytes = ensemble_in_flight_bytes,       \
        .pacing_bytes_per_s = ensemble_pacing_bytes_per_s, .flows = ensemble_flows,               \
        .mode = ensemble_mode, .set_packet_bytes = ensemble_set_packet_bytes,                     \
    }

const struct congestion_ops congestion_ensemble = ENSEMBLE_OPS("ensemble", ensemble_create);
const struct congestion_ops congestion_plain = ENSEMBLE_OPS("plain", ensemble_create_plain);
