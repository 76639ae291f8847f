/* SPDX-License-Identifier: Apache-2.0
 *
 * CUBIC (RFC 9438), sections 4.2 to 4.10. cbrt() is the only function of libm that is used; it has neither state nor rounding
 * modes, so that equal inputs give equal windows.
 */
#include "transport/cubic.h"

#include <math.h>

/* Section 4.3: the Reno-friendly increase that goes with a cut to CUBIC_BETA. */
#define CUBIC_ALPHA (3.0 * (1.0 - CUBIC_BETA) / (1.0 + CUBIC_BETA))

void cubic_init(struct cubic *cubic, double window, double threshold)
{
    *cubic = (struct cubic){.window = window, .threshold = threshold};
}

static void epoch_start(struct cubic *cubic, uint64_t now_ns)
{
    cubic->epoch_ns = now_ns;
    cubic->window_reno = cubic->window;
    if (cubic->window_max <= cubic->window) {
        cubic->window_max = cubic->window;
        cubic->k_s = 0;
    } else {
        cubic->k_s = cbrt((cubic->window_max - cubic->window) / CUBIC_C);
    }
}

/* W_cubic(t), section 4.2. */
static double window_at(const struct cubic *cubic, double t_s)
{
    double from_k_s = t_s - cubic->k_s;
    return CUBIC_C * from_k_s * from_k_s * from_k_s + cubic->window_max;
}

static void avoid_congestion(struct cubic *cubic, double packets, uint64_t srtt_ns, uint64_t now_ns)
{
    if (cubic->epoch_ns == 0)
        epoch_start(cubic, now_ns);
    double t_s = (double)(now_ns - cubic->epoch_ns) * 1e-9;

    double alpha = cubic->window_reno >= cubic->window_prior ? 1.0 : CUBIC_ALPHA;
    cubic->window_reno += alpha * packets / cubic->window;
    if (window_at(cubic, t_s) < cubic->window_reno) {
        if (cubic->window < cubic->window_reno)
            cubic->window = cubic->window_reno;
        return;
    }
    double target = window_at(cubic, t_s + (double)srtt_ns * 1e-9);
    if (target > 1.5 * cubic->window)
        target = 1.5 * cubic->window;
    if (target > cubic->window)
        cubic->window += (target - cubic->window) / cubic->window * packets;
}

void cubic_on_acked(struct cubic *cubic, double packets, double growth, uint64_t srtt_ns,
                    uint64_t now_ns)
{
    cubic->last_acked_ns = now_ns;
    if (!cubic_is_in_slow_start(cubic)) {
        avoid_congestion(cubic, packets, srtt_ns, now_ns);
        return;
    }
    cubic->window += packets * growth;
    if (cubic->window > cubic->threshold)
        cubic->window = cubic->threshold;
}

void cubic_on_acked_idle(struct cubic *cubic, uint64_t now_ns)
{
    if (cubic->epoch_ns != 0 && cubic->last_acked_ns >= cubic->epoch_ns)
        cubic->epoch_ns += now_ns - cubic->last_acked_ns;
    cubic->last_acked_ns = now_ns;
}

void cubic_on_congestion(struct cubic *cubic)
{
    cubic_on_mark(cubic, CUBIC_BETA);
}

void cubic_on_mark(struct cubic *cubic, double keep)
{
    /* Fast convergence, section 4.7: one that shrinks again leaves room for newcomers. */
    cubic->window_max = cubic->window < cubic->window_max ? cubic->window * (1.0 + CUBIC_BETA) / 2.0
                                                          : cubic->window;
    cubic->window_prior = cubic->window;
    cubic->window *= keep;
    if (cubic->window < CUBIC_WINDOW_MIN)
        cubic->window = CUBIC_WINDOW_MIN;
    cubic->threshold = cubic->window;
    cubic->epoch_ns = 0;
}

void cubic_on_timeout(struct cubic *cubic)
{
    cubic_on_congestion(cubic);
    cubic->window = CUBIC_WINDOW_MIN;
}

void cubic_leave_slow_start(struct cubic *cubic)
{
    cubic->threshold = cubic->window;
}

void cubic_scale(struct cubic *cubic, double factor)
{
    cubic->window = fmax(cubic->window * factor, CUBIC_WINDOW_MIN);
    cubic->window_max *= factor;
    cubic->window_prior *= factor;
    cubic->window_reno *= factor;
    cubic->epoch_ns = 0; /* K is in packets, too */
    if (cubic->threshold < CUBIC_NO_THRESHOLD)
        cubic->threshold *= factor;
}
