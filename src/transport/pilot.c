/* SPDX-License-Identifier: Apache-2.0
 *
 * The law that keeps a path filled. Feedback is one round late: a gain set at the end of round k is seen in the acks of round k + 2,
 * hence the rounds of watching, and a gain of the queue's control well below one.
 */
#include "transport/pilot.h"

#include <math.h>

enum {
    REFILLS_EARLY = 2, /* uncaused queues that are too many, soon after the start */
    REFILLS = 3,       /* and later */
    FAILED_DRAINS = 3,
    MARKED_ROUNDS = 4,
    GROWTH_ROUNDS = 6,         /* between steps, after one that failed */
    FORCED_GROWTH_ROUNDS = 16, /* even in front of a queue: it may be noise, or none of ours */
    ERODED_ROUNDS = 8,         /* since the start, before the rate can have eroded */
    VAIN_STEPS = 3,
    OWN_ROUNDS = 4, /* a queue so soon after a step is our own doing */
    CLEAR_ROUNDS = 2,
    LOST_LEAST = 40, /* packets lost before a share counts as too high */
    WINDOW_PACKETS = 4,
};
#define QUEUE_TARGET_NS  1000000.0 /* at least, */
#define QUEUE_PACKETS    2.5       /* and so many packets' time */
#define QUEUE_GAIN       0.35
#define TRIM_GAIN        0.05 /* slow: it finds by how much the model's rate is too high */
#define TRIM_MOST        0.04 /* and no more than so many packets of a round: */
#define TRIM_PACKETS     2.0
#define GAIN_LEAST       0.9
#define GAIN_MOST        1.02
#define STEP_MOST        1.0
#define GROWN            0.4 /* of a step that must have come through */
#define VAIN_EXCESS      0.4 /* of a step that was lost */
#define STEP_PACKETS     4.0
#define DRAIN_GAIN       0.75
#define AFTER_DRAIN_GAIN 0.98
#define WINDOW_GAIN      1.25
#define ERODED           0.93
#define LOSS_WARNS       0.005
#define LOSS_TOO_HIGH    0.25
#define DRAIN_PERIOD_NS  (5ull * 1000000000)
#define HIGH_LEAST_NS    2500000.0
#define FLOOR_MOST_NS    (4ull * 1000000)
#define EARLY_NS         (10ull * 1000000000)
#define REFILL_MEMORY_NS (10ull * 1000000000)

struct queue_limits {
    double target_ns, high_ns;
};

static struct queue_limits limits_of(const struct model *model, uint32_t packet_bytes)
{
    double packet_ns = model->rate > 0 ? packet_bytes * 1e9 / model->rate : 0;
    double target_ns = fmax(QUEUE_TARGET_NS, QUEUE_PACKETS * packet_ns);
    return (struct queue_limits){
        .target_ns = target_ns,
        .high_ns = 2 * target_ns + fmax(HIGH_LEAST_NS, (double)model_least_rtt_ns(model) / 32),
    };
}

static void set_phase(struct pilot *pilot, enum pilot_phase phase, double gain)
{
    pilot->phase = phase;
    pilot->gain = gain;
}

static void drain(struct pilot *pilot, uint64_t now_ns)
{
    set_phase(pilot, PILOT_DRAIN, DRAIN_GAIN);
    pilot->drained_ns = now_ns;
    pilot->pays_back = false;
}

/* Takes back what a step brought that found no room. */
static void pay_back(struct pilot *pilot, double step)
{
    set_phase(pilot, PILOT_DRAIN, fmax(DRAIN_GAIN, 1 - step));
    pilot->pays_back = true;
}

/* Less than some packets would not be seen. */
static void grow(struct pilot *pilot, const struct model *model, uint32_t packet_bytes)
{
    double round_bytes = model->rate * (double)model_least_rtt_ns(model) * 1e-9;
    pilot->step = fmax(pilot->step, STEP_PACKETS * packet_bytes / fmax(round_bytes, 1));
    pilot->step = fmin(pilot->step, STEP_MOST);
    set_phase(pilot, PILOT_GROW, 1 + pilot->step);
    pilot->rounds_since_growth = 0;
    pilot->grown_from = model->rate * (1 - model_loss(model));
}

/* A rate that is counted in whole packets is wrong by about one of them. Anything else that looks like a queue is none of the trim's. */
static double trim_most(const struct model *model, uint32_t packet_bytes)
{
    double round_bytes = model->rate * (double)model_least_rtt_ns(model) * 1e-9;
    return fmin(TRIM_MOST, TRIM_PACKETS * packet_bytes / fmax(round_bytes, 1));
}

static void cruise(struct pilot *pilot, const struct model *model, const struct model_round *round,
                   double target_ns, uint32_t packet_bytes)
{
    double off = (target_ns - (double)round->queue_ns) / (double)model_least_rtt_ns(model);
    /* Where packets are lost without a queue that could warn (a policer), more is not sent but by steps that are judged. */
    double most = model_loss(model) > LOSS_WARNS ? 1 : GAIN_MOST;
    pilot->trim = fmax(-trim_most(model, packet_bytes), fmin(pilot->trim + TRIM_GAIN * off, 0));
    set_phase(pilot, PILOT_CRUISE,
              fmax(GAIN_LEAST, fmin(1 + QUEUE_GAIN * off + pilot->trim, most)));
    if (round->marked) {
        double share = (double)round->marked / (round->acked + round->lost + 1);
        pilot->gain = fmin(pilot->gain, fmax(GAIN_LEAST, 1 - share / 2));
    }
}

void pilot_start(struct pilot *pilot, const struct model *model, double step, uint64_t now_ns)
{
    *pilot = (struct pilot){.step = step,
                            .peak_rate = model->rate,
                            .is_growing = true,
                            .refilled_ns = now_ns,
                            .started_ns = now_ns};
    drain(pilot, now_ns);
}

static bool has_grown(const struct pilot *pilot, const struct model_round *round)
{
    return round->bytes_per_s >= pilot->grown_from * (1 + GROWN * pilot->step);
}

/* A step that met nothing may be followed by one of double the size, soon. One that brought nothing but losses, before any queue was
 * seen, met a policer, or a queue too short to be seen. */
static void judge_growth(struct pilot *pilot, const struct model *model,
                         const struct model_round *round, bool has_risen, double target_ns)
{
    double sent = round->acked + round->lost;
    double excess = round->lost - sent * model_loss(model);
    bool is_full = (double)round->last_queue_ns > target_ns || round->marked;
    pilot->is_growing = false;
    if (round->is_app_limited)
        return;
    if (is_full || has_risen || !has_grown(pilot, round)) {
        bool is_vain = !is_full && excess > VAIN_EXCESS * pilot->step * sent;
        pilot->vain_steps = is_vain ? pilot->vain_steps + 1 : 0;
        pilot->step = PILOT_STEP_LEAST;
        return;
    }
    pilot->step = fmin(2 * pilot->step, STEP_MOST);
    pilot->vain_steps = 0;
    pilot->is_growing = true;
}

static enum pilot_verdict judge(const struct pilot *pilot, const struct model *model,
                                const struct model_round *round, uint64_t now_ns)
{
    bool is_early = now_ns - pilot->started_ns < EARLY_NS;
    if (pilot->failed_drains >= FAILED_DRAINS)
        return PILOT_QUEUE_STANDS;
    if (pilot->refills >= (is_early ? REFILLS_EARLY : REFILLS))
        return PILOT_QUEUE_REFILLS;
    if (pilot->rounds >= ERODED_ROUNDS && model->rate < ERODED * pilot->peak_rate &&
        (double)round->queue_ns > QUEUE_TARGET_NS)
        return PILOT_RATE_ERODES;
    if (pilot->vain_steps >= VAIN_STEPS)
        return PILOT_LOSS_RISES;
    if (pilot->marked_rounds >= MARKED_ROUNDS)
        return PILOT_MARKS_PERSIST;
    if (model->recent_lost >= LOST_LEAST && model_loss(model) > LOSS_TOO_HIGH)
        return PILOT_LOSS_TOO_HIGH;
    return PILOT_GOES_ON;
}

/* The phase of the next round. */
static void choose_phase(struct pilot *pilot, struct model *model, const struct model_round *round,
                         bool has_risen, uint32_t packet_bytes, uint64_t now_ns)
{
    struct queue_limits limits = limits_of(model, packet_bytes);
    double queue_ns = (double)round->queue_ns;
    switch (pilot->phase) {
    case PILOT_GROW:
        set_phase(pilot, PILOT_WATCH_GROWTH, 1);
        return;
    case PILOT_DRAIN:
        set_phase(pilot, PILOT_WATCH_DRAIN, AFTER_DRAIN_GAIN);
        return;
    case PILOT_WATCH_DRAIN:
        if (queue_ns > limits.high_ns) {
            pilot->failed_drains++;
            model_forget_rates(model);
            drain(pilot, now_ns);
            return;
        }
        pilot->failed_drains = 0;
        break;
    case PILOT_WATCH_GROWTH: {
        double step = pilot->step;
        judge_growth(pilot, model, round, has_risen, limits.target_ns);
        if (!pilot->is_growing && !round->marked && queue_ns <= limits.high_ns &&
            (double)round->last_queue_ns > limits.target_ns) {
            pay_back(pilot, step);
            return;
        }
        break;
    }
    case PILOT_CRUISE:
        break;
    }
    if (queue_ns > limits.high_ns) {
        pilot->clear_rounds = 0;
        if (pilot->rounds_since_growth > OWN_ROUNDS) {
            pilot->refills++;
            pilot->refilled_ns = now_ns;
        }
        model_forget_rates(model);
        drain(pilot, now_ns);
        return;
    }
    if (now_ns - pilot->drained_ns > DRAIN_PERIOD_NS) {
        drain(pilot, now_ns);
        return;
    }
    bool is_clear = queue_ns <= limits.target_ns / 2 && !has_risen && !round->marked;
    pilot->clear_rounds = is_clear ? pilot->clear_rounds + 1 : 0;
    bool is_time =
        (is_clear && pilot->is_growing) ||
        (pilot->clear_rounds >= CLEAR_ROUNDS && pilot->rounds_since_growth >= GROWTH_ROUNDS) ||
        (pilot->rounds_since_growth >= FORCED_GROWTH_ROUNDS && !round->marked);
    if (is_time && !round->is_app_limited)
        grow(pilot, model, packet_bytes);
    else
        cruise(pilot, model, round, limits.target_ns, packet_bytes);
}

enum pilot_verdict pilot_steer(struct pilot *pilot, struct model *model,
                               const struct model_round *measured, uint32_t packet_bytes,
                               uint64_t now_ns)
{
    bool has_risen = model_is_loss_risen(model, measured);
    /* What a step lost that brought no more is not the path's own. */
    bool is_in_vain = pilot->phase == PILOT_WATCH_GROWTH && !has_grown(pilot, measured);
    if (!is_in_vain || measured->lost == 0)
        model_learn(model, measured);
    /* What is left of a queue after a drain is the path's jitter. */
    struct model_round above = *measured;
    above.queue_ns -= above.queue_ns < pilot->floor_ns ? above.queue_ns : pilot->floor_ns;
    above.last_queue_ns -=
        above.last_queue_ns < pilot->floor_ns ? above.last_queue_ns : pilot->floor_ns;
    const struct model_round *round = &above;
    pilot->rounds++;
    pilot->rounds_since_growth++;
    pilot->marked_rounds = round->marked ? pilot->marked_rounds + 1 : 0;
    if (now_ns - pilot->refilled_ns > REFILL_MEMORY_NS)
        pilot->refills = 0;
    bool was_drain = pilot->phase == PILOT_WATCH_DRAIN;
    choose_phase(pilot, model, round, has_risen, packet_bytes, now_ns);
    if (was_drain && !pilot->pays_back && pilot->failed_drains == 0)
        pilot->floor_ns = measured->queue_ns < FLOOR_MOST_NS ? measured->queue_ns : FLOOR_MOST_NS;
    pilot->peak_rate = fmax(pilot->peak_rate, model->rate);
    return judge(pilot, model, round, now_ns);
}

double pilot_bytes_per_s(const struct pilot *pilot, const struct model *model)
{
    return pilot->gain * model->rate;
}

double pilot_window_bytes(const struct pilot *pilot, const struct model *model,
                          uint32_t packet_bytes)
{
    /* What a step brought must not wait for room while it is watched. */
    double gain = pilot->phase == PILOT_WATCH_GROWTH ? 1 + pilot->step : fmax(pilot->gain, 1);
    double bytes_per_s = gain * model->rate;
    return WINDOW_GAIN * bytes_per_s * (double)model_least_rtt_ns(model) * 1e-9 +
           WINDOW_PACKETS * packet_bytes;
}
