/* SPDX-License-Identifier: Apache-2.0
 *
 * How much may be sent again, or to a second server. Tries beyond the first are a share of what is under way, so that servers
 * in trouble are not buried under repetitions.
 */
#include "failure/private.h"

void failure_begin(struct failure *failure)
{
    const struct failure_retries *settings = &failure->settings.retries;
    failure->active++;
    failure->reserve_percent += settings->percent;
    if (failure->reserve_percent > (uint64_t)settings->reserve * 100)
        failure->reserve_percent = (uint64_t)settings->reserve * 100;
}

void failure_end(struct failure *failure)
{
    INVARIANT(failure->active > 0);
    failure->active--;
}

static uint32_t share(uint32_t percent, uint32_t least, uint32_t active)
{
    uint64_t part = (uint64_t)active * percent / 100;
    return part > least ? (uint32_t)part : least;
}

bool failure_retry_take(struct failure *failure)
{
    const struct failure_retries *settings = &failure->settings.retries;
    if (failure->retries >= share(settings->percent, settings->least, failure->active)) {
        if (failure->reserve_percent < 100) {
            failure->counts.retries_refused++;
            return false;
        }
        failure->reserve_percent -= 100;
    }
    failure->retries++;
    return true;
}

void failure_retry_give(struct failure *failure)
{
    INVARIANT(failure->retries > 0);
    failure->retries--;
}

bool failure_hedge_take(struct failure *failure)
{
    const struct failure_hedging *settings = &failure->settings.hedging;
    if (!settings->is_on || failure->hedges >= share(settings->percent, 1, failure->active)) {
        failure->counts.hedges_refused += settings->is_on;
        return false;
    }
    failure->hedges++;
    return true;
}

void failure_hedge_give(struct failure *failure)
{
    INVARIANT(failure->hedges > 0);
    failure->hedges--;
}

uint64_t failure_hedge_delay_ns(const struct failure *failure, uint64_t quantile_ns,
                                uint32_t samples)
{
    const struct failure_hedging *settings = &failure->settings.hedging;
    if (!settings->is_on || samples < settings->samples)
        return 0;
    return quantile_ns > settings->least_ns ? quantile_ns : settings->least_ns;
}
