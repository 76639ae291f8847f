/* SPDX-License-Identifier: Apache-2.0
 *
 * Results of health checks become states (R8): rise, fall and quorum.
 */
#include "measure/health.h"

#include "base/error.h"

const char *health_state_text(enum health_state state)
{
    static const char *const texts[] = {
#define X(name, text) [HEALTH_##name] = text,
        HEALTH_STATE_LIST(X)
#undef X
    };
    return texts[state];
}

/* ---- one vantage point ---- */

static void set_state(struct health *health, enum health_state state, uint64_t now_ns)
{
    health->state = state;
    health->since_ns = now_ns;
}

/* A sixteenth more or less, so that checks of many targets, and of many vantage points, do not fall together. */
static uint64_t jittered(uint64_t interval_ns, struct random *random)
{
    return interval_ns - interval_ns / 16 + random_below(random, interval_ns / 8 + 1);
}

void health_init(struct health *health, const struct health_settings *settings, uint64_t now_ns,
                 struct random *random)
{
    *health = (struct health){.next_ns = now_ns + random_below(random, settings->interval_ns + 1)};
    set_state(health, HEALTH_UNKNOWN, now_ns);
}

uint64_t health_timeout(const struct health *health, const struct health_settings *settings)
{
    if (!health->rtt_us)
        return settings->timeout_ns;
    uint64_t deviation_ns = 4000ull * health->deviation_us;
    uint64_t known_ns = 1000ull * health->rtt_us +
                        (deviation_ns > HEALTH_SLACK_NS ? deviation_ns : HEALTH_SLACK_NS);
    return known_ns < settings->timeout_ns ? known_ns : settings->timeout_ns;
}

/* RFC 6298 section 2. */
static void learn_rtt(struct health *health, uint32_t rtt_us)
{
    if (!health->rtt_us) {
        health->rtt_us = rtt_us;
        health->deviation_us = rtt_us / 2;
        return;
    }
    uint32_t difference =
        rtt_us > health->rtt_us ? rtt_us - health->rtt_us : health->rtt_us - rtt_us;
    health->deviation_us = (uint32_t)((3ull * health->deviation_us + difference) / 4);
    health->rtt_us = (uint32_t)((7ull * health->rtt_us + rtt_us) / 8);
    if (!health->rtt_us)
        health->rtt_us = 1;
}

static bool is_enough(uint32_t streak, uint32_t wanted)
{
    return streak >= (wanted ? wanted : 1);
}

/* The state that the results in a row amount to. What was never checked is taken at its first word when that is good. */
static enum health_state state_now(const struct health *health,
                                   const struct health_settings *settings)
{
    if (health->was_good &&
        (health->state == HEALTH_UNKNOWN || is_enough(health->streak, settings->rise)))
        return HEALTH_UP;
    if (!health->was_good && is_enough(health->streak, settings->fall))
        return HEALTH_DOWN;
    return health->state;
}

/* The last result speaks against the state. */
static bool is_in_doubt(const struct health *health)
{
    return health->was_good != (health->state == HEALTH_UP);
}

static void plan_next(struct health *health, const struct health_settings *settings,
                      uint64_t began_ns, uint64_t now_ns, struct random *random)
{
    uint64_t regular_ns = began_ns + jittered(settings->interval_ns, random);
    uint64_t fast_ns = now_ns + settings->fast_ns;
    health->next_ns = is_in_doubt(health) && fast_ns < regular_ns ? fast_ns : regular_ns;
    if (health->next_ns < now_ns)
        health->next_ns = now_ns;
}

bool health_put(struct health *health, const struct health_settings *settings,
                enum health_outcome outcome, uint32_t rtt_us, uint64_t began_ns, uint64_t now_ns,
                struct random *random)
{
    enum health_state before = health->state;
    if (outcome == HEALTH_VOID) {
        health->next_ns = now_ns + jittered(settings->interval_ns, random);
        return false;
    }
    bool is_good = outcome == HEALTH_GOOD;
    health->checks++;
    health->failures += !is_good;
    health->checked_ns = now_ns;
    if (is_good && rtt_us)
        learn_rtt(health, rtt_us);
    health->streak = is_good != health->was_good   ? 1
                     : health->streak < UINT32_MAX ? health->streak + 1
                                                   : health->streak;
    health->was_good = is_good;
    enum health_state state = state_now(health, settings);
    if (state != before)
        set_state(health, state, now_ns);
    plan_next(health, settings, began_ns, now_ns, random);
    return state != before;
}

/* ---- several of them ---- */

static uint32_t find(const struct health_poll *poll, uint64_t vantage)
{
    for (uint32_t i = 0; i < poll->count; i++)
        if (poll->votes[i].vantage == vantage)
            return i;
    return poll->count;
}

static uint32_t find_oldest(const struct health_poll *poll)
{
    uint32_t oldest = 0;
    for (uint32_t i = 1; i < poll->count; i++)
        if (poll->votes[i].taken_ns < poll->votes[oldest].taken_ns)
            oldest = i;
    return oldest;
}

void health_poll_put(struct health_poll *poll, uint64_t vantage, bool is_up, uint64_t taken_ns)
{
    uint32_t at = find(poll, vantage);
    if (at == HEALTH_VOTES_LIMIT)
        at = find_oldest(poll);
    else if (at == poll->count)
        poll->count++;
    poll->votes[at].vantage = vantage;
    poll->votes[at].is_up = is_up;
    poll->votes[at].taken_ns = taken_ns;
}

static void drop_at(struct health_poll *poll, uint32_t at)
{
    INVARIANT(at < poll->count);
    poll->votes[at] = poll->votes[--poll->count];
}

void health_poll_drop(struct health_poll *poll, uint64_t vantage)
{
    uint32_t at = find(poll, vantage);
    if (at < poll->count)
        drop_at(poll, at);
}

void health_poll_expire(struct health_poll *poll, uint64_t before_ns)
{
    for (uint32_t i = poll->count; i--;)
        if (poll->votes[i].taken_ns < before_ns)
            drop_at(poll, i);
}

uint32_t health_poll_downs(const struct health_poll *poll)
{
    uint32_t downs = 0;
    for (uint32_t i = 0; i < poll->count; i++)
        downs += !poll->votes[i].is_up;
    return downs;
}

enum health_state health_poll_verdict(const struct health_poll *poll, uint32_t quorum)
{
    if (!poll->count)
        return HEALTH_UNKNOWN;
    uint32_t needed = quorum ? quorum : poll->count / 2 + 1;
    if (needed > poll->count)
        needed = poll->count;
    return health_poll_downs(poll) >= needed ? HEALTH_DOWN : HEALTH_UP;
}
