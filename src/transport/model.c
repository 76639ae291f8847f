/* SPDX-License-Identifier: Apache-2.0
 *
 * The path's model: arithmetic of rounds.
 */
#include "transport/model.h"

#include <math.h>

/* The least round trip is forgotten after one to two of these: paths change. */
#define LEAST_RTT_PERIOD_NS (20ull * 1000000000)
#define LOSS_MOST           0.3         /* that is made up for */
#define LOSS_FADING         (15.0 / 16) /* in a round */

void model_init(struct model *model, uint64_t now_ns)
{
    *model = (struct model){.least_ns = {UINT64_MAX, UINT64_MAX},
                            .period_ns = now_ns,
                            .round_ns = now_ns,
                            .round_least_ns = UINT64_MAX};
}

uint64_t model_least_rtt_ns(const struct model *model)
{
    uint64_t least =
        model->least_ns[0] < model->least_ns[1] ? model->least_ns[0] : model->least_ns[1];
    return least == UINT64_MAX ? 0 : least;
}

double model_loss(const struct model *model)
{
    return model->recent_sent > 0 ? fmin(model->recent_lost / model->recent_sent, LOSS_MOST) : 0;
}

/* Packets that a round may lose by chance. */
static double plausible_losses(const struct model *model, const struct model_round *round)
{
    double expected = (round->acked + round->lost) * model_loss(model);
    return expected + 3 * sqrt(expected) + 3;
}

bool model_is_loss_risen(const struct model *model, const struct model_round *round)
{
    return round->lost > plausible_losses(model, round);
}

static void note_rtt(struct model *model, uint64_t rtt_ns, uint64_t now_ns)
{
    if (now_ns - model->period_ns > LEAST_RTT_PERIOD_NS) {
        model->period_ns = now_ns;
        model->least_ns[1] = model->least_ns[0];
        model->least_ns[0] = UINT64_MAX;
    }
    if (rtt_ns < model->least_ns[0])
        model->least_ns[0] = rtt_ns;
    if (rtt_ns < model->round_least_ns)
        model->round_least_ns = rtt_ns;
    if (model->block_samples == 0 || rtt_ns < model->block_ns[1])
        model->block_ns[1] = rtt_ns;
    if (++model->block_samples == MODEL_BLOCK) {
        model->block_ns[0] = model->block_ns[1];
        model->block_samples = 0;
    }
}

static void refresh_rate(struct model *model)
{
    model->rate = 0;
    for (int i = 0; i < MODEL_RATE_ROUNDS; i++)
        model->rate = fmax(model->rate, model->rates[i]);
}

/* Acks come in batches, and a batch belongs to the time that it took to arrive: from one instant to another arrived all that was
 * acknowledged after the first and up to and with the second. */
static void end_round(struct model *model, struct model_round *round)
{
    uint64_t least = model_least_rtt_ns(model), last = model->block_ns[0];
    *round = model->now;
    double seconds = (double)(model->delivered_ns - model->round_ns) * 1e-9;
    round->bytes_per_s = (double)(model->delivered_bytes - model->round_from_bytes) / seconds;
    round->settled_bytes_per_s = round->bytes_per_s + (double)model->round_lost_bytes / seconds;
    if (model->round_least_ns != UINT64_MAX)
        model->queue_ns = model->round_least_ns - least;
    round->queue_ns = model->queue_ns;
    round->last_queue_ns = last > least ? last - least : 0;
    model->now = (struct model_round){0};
    model->round_ns = model->delivered_ns;
    model->round_from_bytes = model->delivered_bytes;
    model->round_lost_bytes = 0;
    model->round_least_ns = UINT64_MAX;
    model->is_closing = false;
    model->rounds++;
}

bool model_on_acked(struct model *model, const struct congestion_packet *packet,
                    uint64_t next_number, uint64_t rtt_ns, uint64_t now_ns,
                    struct model_round *round)
{
    bool is_over = model->is_closing && now_ns > model->delivered_ns;
    if (is_over)
        end_round(model, round);
    if (packet->number >= model->round_end && now_ns > model->round_ns) {
        model->round_end = next_number;
        model->is_closing = true;
    }
    model->delivered_ns = now_ns;
    model->delivered_bytes += packet->bytes;
    model->now.acked++;
    model->now.is_app_limited = model->now.is_app_limited || packet->app_limited;
    if (rtt_ns)
        note_rtt(model, rtt_ns, now_ns);
    return is_over;
}

void model_on_lost(struct model *model, uint32_t bytes)
{
    model->round_lost_bytes += bytes;
    model->now.lost++;
}

void model_on_marked(struct model *model)
{
    model->now.marked++;
}

static void add_rate(struct model *model, double bytes_per_s)
{
    model->rates[model->next_rate] = bytes_per_s;
    model->next_rate = (model->next_rate + 1) % MODEL_RATE_ROUNDS;
    refresh_rate(model);
}

/* A round that lost less than usual has not shown a faster path, hence the lesser of the two. */
void model_learn(struct model *model, const struct model_round *round)
{
    /* Not more than is plausible: an overflow is not chance, and what lasts is believed after a few rounds. */
    double lost = fmin(round->lost, plausible_losses(model, round));
    model->recent_lost = model->recent_lost * LOSS_FADING + lost;
    model->recent_sent = model->recent_sent * LOSS_FADING + lost + round->acked;
    double bytes_per_s =
        fmin(round->bytes_per_s / (1 - model_loss(model)), round->settled_bytes_per_s);
    /* The first round has no beginning; and an application that sends little says nothing less of the path. */
    if (model->rounds > 1 && (!round->is_app_limited || bytes_per_s > model->rate))
        add_rate(model, bytes_per_s);
}

void model_learn_early(struct model *model)
{
    uint64_t elapsed_ns = model->delivered_ns - model->round_ns;
    if (model->rounds == 0 || elapsed_ns < model_least_rtt_ns(model) / 4)
        return;
    add_rate(model,
             (double)(model->delivered_bytes - model->round_from_bytes) * 1e9 / (double)elapsed_ns);
}

void model_forget_rates(struct model *model)
{
    for (uint32_t i = 0; i < MODEL_RATE_ROUNDS - 2; i++)
        model->rates[(model->next_rate + i) % MODEL_RATE_ROUNDS] = 0;
    refresh_rate(model);
}
