/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps a path filled with next to no queue, for a sender that takes nothing from others: it paces at the delivery rate of the
 * path's model (and makes up for losses by chance), lets the queue stand at a small target, grows by steps that double while they meet
 * neither queue nor more loss, and slows down now and then to see the path's own round trip. Whether somebody else is there shows in what
 * comes back: then it gives up, with a reason. (T7; TRANSPORT.md section 5.4, alone mode and model mode)
 */
#ifndef TRANSPORT_PILOT_H
#define TRANSPORT_PILOT_H

#include "transport/model.h"

/* X-macro: phases. Each but CRUISE takes one round; WATCH is when its effect comes back. */
#define PILOT_PHASES(X)                                \
    X(CRUISE, "cruise") /* at the delivery rate */     \
    X(GROW, "grow")     /* faster by a step */         \
    X(DRAIN, "drain")   /* slower, to empty a queue */ \
    X(WATCH_GROWTH, "watch growth")                    \
    X(WATCH_DRAIN, "watch drain")

enum pilot_phase {
#define X(name, text) PILOT_##name,
    PILOT_PHASES(X)
#undef X
};

/* X-macro: why it gives up. */
#define PILOT_VERDICTS(X)                                                                 \
    X(GOES_ON, "goes on")                                                                 \
    X(QUEUE_STANDS, "queue stands")   /* though we slowed down, several times */          \
    X(QUEUE_REFILLS, "queue refills") /* though we had not grown */                       \
    X(RATE_ERODES, "rate erodes")     /* behind a queue: somebody takes what we leave */  \
    X(MARKS_PERSIST, "marks persist") /* congestion marks (ECN), though we slowed down */ \
    X(LOSS_RISES, "loss rises")       /* with our rate, and nothing else does */          \
    X(LOSS_TOO_HIGH, "loss too high")

enum pilot_verdict {
#define X(name, text) PILOT_##name,
    PILOT_VERDICTS(X)
#undef X
};

/* Embed it. */
struct pilot {
    enum pilot_phase phase;
    double gain; /* of the delivery rate */
    double step; /* next growth */
    double trim; /* of the gain: what the delivery rate is found to be too high by */
    double grown_from,
        peak_rate;     /* bytes/s: before the last growth; the greatest since the start */
    uint64_t floor_ns; /* queue that is jitter */
    uint32_t rounds;
    uint32_t clear_rounds; /* in a row without a queue */
    uint32_t rounds_since_growth;
    bool is_growing;        /* the last step found room */
    bool pays_back;         /* this drain is for a step that found none */
    uint32_t vain_steps;    /* in a row */
    uint32_t failed_drains; /* in a row */
    uint32_t marked_rounds; /* in a row */
    uint32_t refills;
    uint64_t refilled_ns, drained_ns, started_ns;
};

/* `step`: how boldly it looks for more at first; PILOT_STEP_LEAST if others may be there. */
#define PILOT_STEP_LEAST 0.03
#define PILOT_STEP_BOLD  0.25
void pilot_start(struct pilot *pilot, const struct model *model, double step, uint64_t now_ns);

/* At the end of each round, instead of model_learn(). */
enum pilot_verdict pilot_steer(struct pilot *pilot, struct model *model,
                               const struct model_round *round, uint32_t packet_bytes,
                               uint64_t now_ns);

double pilot_bytes_per_s(const struct pilot *pilot, const struct model *model);
double pilot_window_bytes(const struct pilot *pilot, const struct model *model,
                          uint32_t packet_bytes);

#endif
