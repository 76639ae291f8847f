/* SPDX-License-Identifier: Apache-2.0
 *
 * Costs and shares. What a channel costs a request that need not wait there decides how much it is liked: by the fourth power, so that equals
 * share, and one that costs twice the best gets a sixteenth. What it can take decides how much of that it gets: demand is poured into the
 * channels by liking, up to a mark below what their servers serve, and goes on to the next; beyond all marks each gets by what it can.
 *
 * Steady, although what is known is a report old: the shares follow demand and capacity, which change slowly, instead of the queues, which do not.
 * What waits already lessens what a channel can take, so that queues drain over some seconds. Smoothing, and a dead band, do the rest. What is away
 * or degraded leaves at once.
 */
#include "route/route.h"

#include <string.h>

/* Packets of an ordinary exchange, one after another: each that is lost costs about a round trip. */
static const float exchange_packets = 8;
static const float cost_least_us = 500;     /* below it differences are noise */
static const float rtt_unknown_us = 100000; /* until it is measured */
static const float full_us = 1e6f;          /* what it costs to be refused and go elsewhere */
static const float share_least = 1.0f / 64; /* less is nothing */
static const float share_still = 1.0f / 20; /* a smaller difference moves nothing */

static const float fill_mark = 0.8f; /* of what a channel can take: more goes to the next one */
static const float drain_s = 1;      /* in which what waits there is to be gone */
static const float capacity_least = 1.0f / 8; /* that a channel keeps, whatever waits there */

/* A moment's silence is no reason to go where packets are known to be lost: a process that was not scheduled looks like this. */
#define DOUBT_NS        (200ull * 1000000)
#define FACTS_MEMORY_NS 200e6f
#define SHARE_MEMORY_NS 300e6f
#define PICKS_MEMORY_NS 2000e6f

const char *route_state_text(enum route_state state)
{
    static const char *const texts[] = {
#define X(name, text) (text),
        ROUTE_STATE_LIST(X)
#undef X
    };
    return texts[state];
}

/* ---- states */

static void set_state(struct route_channel *channel, enum route_state state, uint64_t now_ns)
{
    if (channel->state == state && channel->since_ns)
        return;
    channel->state = state;
    channel->since_ns = now_ns;
}

static uint32_t greater(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static bool is_beyond(const struct route_settings *settings, const struct route_facts *facts)
{
    return (settings->loss_percent && facts->loss.fast_ppm > settings->loss_percent * 10000) ||
           (settings->rtt_ns && facts->rtt_us > settings->rtt_ns / 1000);
}

/* Not well enough to come back. */
static bool is_near(const struct route_settings *settings, const struct route_facts *facts)
{
    return (settings->loss_percent &&
            greater(facts->loss.fast_ppm, facts->loss.slow_ppm) > settings->loss_percent * 5000) ||
           (settings->rtt_ns && facts->rtt_us > settings->rtt_ns / 1000 * 3 / 4);
}

/* It may seem well for no other reason than that nothing goes there any more: hence the time. */
static void judge(struct route_channel *channel, const struct route_settings *settings,
                  const struct route_facts *facts, uint64_t now_ns)
{
    if (is_beyond(settings, facts) ||
        (channel->state == ROUTE_DEGRADED && is_near(settings, facts)))
        channel->bad_ns = now_ns;
    if (!facts->is_doubted)
        channel->doubted_ns = 0;
    else if (!channel->doubted_ns)
        channel->doubted_ns = now_ns;
    if (!facts->is_up)
        set_state(channel, ROUTE_AWAY, now_ns);
    else if (facts->is_leaving)
        set_state(channel, ROUTE_LEAVING, now_ns);
    else if (channel->bad_ns &&
             (channel->bad_ns == now_ns || now_ns - channel->bad_ns < settings->hold_ns))
        set_state(channel, ROUTE_DEGRADED, now_ns);
    else if (channel->doubted_ns)
        set_state(channel, now_ns - channel->doubted_ns < DOUBT_NS ? ROUTE_DOUBTED : ROUTE_DEGRADED,
                  now_ns);
    else
        set_state(channel, ROUTE_GOOD, now_ns);
}

/* ---- what a channel costs, and what it can take */

static float base_of(const struct route_facts *facts)
{
    float rtt_us = facts->rtt_us ? (float)facts->rtt_us : rtt_unknown_us;
    float loss = (float)greater(facts->loss.fast_ppm, facts->loss.slow_ppm) / 1e6f;
    float base_us = cost_least_us + rtt_us + rtt_us * exchange_packets * loss;
    if (!facts->has_window)
        base_us += rtt_us;
    return facts->has_load ? base_us + (float)facts->service_us : base_us;
}

/* The part of the way that is gone in that time. */
static float part(float passed_ns, float memory_ns)
{
    return passed_ns / (passed_ns + memory_ns);
}

static void follow_value(float *value, float now, float passed_ns, bool is_new)
{
    *value = is_new ? now : *value + (now - *value) * part(passed_ns, FACTS_MEMORY_NS);
}

static void set_facts(struct route_channel *channel, const struct route_facts *facts,
                      float passed_ns, bool is_new)
{
    bool had_load = channel->has_load;
    channel->has_load = facts->has_load;
    channel->is_full = facts->has_load && facts->is_full;
    follow_value(&channel->base_us, base_of(facts), passed_ns, is_new);
    for (unsigned i = 0; i < ROUTE_CLASSES; i++)
        channel->cost_us[i] = channel->base_us + (facts->has_load ? (float)facts->wait_us[i] : 0) +
                              (channel->is_full ? full_us : 0);
    if (!facts->has_load)
        return;
    is_new |= !had_load;
    follow_value(&channel->capacity,
                 facts->service_us ? (float)facts->slots * 1e6f / (float)facts->service_us : 0,
                 passed_ns, is_new);
    follow_value(&channel->demand, (float)facts->demand_milli / 1000, passed_ns, is_new);
    float waiting = 0;
    for (unsigned i = 0; i < ROUTE_CLASSES; i++) {
        waiting += (float)facts->waiting[i];
        channel->waiting[i] = waiting;
    }
}

/* ---- shares */

static enum route_state best_state(const struct route *route)
{
    enum route_state best = ROUTE_AWAY;
    for (uint32_t i = 0; i < route->count; i++)
        if (route->channels[i].state > best)
            best = route->channels[i].state;
    return best;
}

/* How much each is liked, 0 .. 1, whatever it can take. False: no channel is up. */
static bool weigh(const struct route *route, float weights[ROUTE_CHANNELS_MOST])
{
    enum route_state state = best_state(route);
    float least_us = 0;
    if (state == ROUTE_AWAY)
        return false;
    for (uint32_t i = 0; i < route->count; i++)
        if (route->channels[i].state == state &&
            (least_us <= 0 || route->channels[i].base_us < least_us))
            least_us = route->channels[i].base_us;
    for (uint32_t i = 0; i < route->count; i++) {
        const struct route_channel *channel = &route->channels[i];
        float ratio = channel->state == state ? least_us / channel->base_us : 0;
        weights[i] = ratio * ratio * ratio * ratio;
    }
    return true;
}

/* What a channel may get of the requests of this class and of those before it, in requests a second. Without what waits there: that goes first. */
static float room_of(const struct route_channel *channel, unsigned class)
{
    float capacity = channel->capacity - channel->waiting[class] / drain_s;
    if (capacity < channel->capacity * capacity_least)
        capacity = channel->capacity * capacity_least;
    return channel->is_full ? 0 : capacity;
}

/* Demand of this class and of those before it, as far as it is told; what they are of all is known from what was picked here. */
static float demand_of(const struct route *route, unsigned class)
{
    float demand = 0, picked = 0, all = 0;
    for (uint32_t i = 0; i < route->count; i++)
        if (route->channels[i].has_load)
            demand += route->channels[i].demand;
    for (unsigned i = 0; i < ROUTE_CLASSES; i++) {
        all += route->picked[i];
        picked += i <= class ? route->picked[i] : 0;
    }
    return all > 0 ? demand * picked / all : demand;
}

/* Of all that may get something. */
static bool knows_room(const struct route *route, const float *weights)
{
    for (uint32_t i = 0; i < route->count; i++)
        if (weights[i] > 0 && (!route->channels[i].has_load || route->channels[i].capacity <= 0))
            return false;
    return true;
}

/* The weights of those below their marks, but for such as are nothing beside the greatest of them. Their sum. */
static float open_weights(const struct route *route, const float *weights, const float *marks,
                          const float *aims, float open[ROUTE_CHANNELS_MOST])
{
    float most = 0, sum = 0;
    for (uint32_t i = 0; i < route->count; i++) {
        open[i] = aims[i] < marks[i] ? weights[i] : 0;
        most = open[i] > most ? open[i] : most;
    }
    for (uint32_t i = 0; i < route->count; i++) {
        open[i] = open[i] < most * share_least ? 0 : open[i];
        sum += open[i];
    }
    return sum;
}

/* Each up to its mark, by weight; what is too much for one goes to those that have room. What all of them cannot take is theirs by what
 * they can. Each turn fills one channel at least, or is the last. */
static void pour(const struct route *route, unsigned class, const float *weights, float demand,
                 float aims[ROUTE_CHANNELS_MOST])
{
    float marks[ROUTE_CHANNELS_MOST], open[ROUTE_CHANNELS_MOST], all_marks = 0, left = demand;
    for (uint32_t i = 0; i < route->count; i++) {
        marks[i] = weights[i] > 0 ? room_of(&route->channels[i], class) * fill_mark : 0;
        all_marks += marks[i];
        aims[i] = 0;
    }
    for (uint32_t turn = 0; turn < route->count && left > 0; turn++) {
        float sum = open_weights(route, weights, marks, aims, open), rest = left;
        for (uint32_t i = 0; i < route->count && sum > 0; i++) {
            float more = rest * open[i] / sum;
            more = more < marks[i] - aims[i] ? more : marks[i] - aims[i];
            aims[i] += open[i] > 0 ? more : 0;
            left -= open[i] > 0 ? more : 0;
        }
    }
    for (uint32_t i = 0; i < route->count && left > 0 && all_marks > 0; i++)
        aims[i] += left * marks[i] / all_marks;
}

/* Where shares should be. False: no channel is up. */
static bool aim(const struct route *route, unsigned class, float aims[ROUTE_CHANNELS_MOST])
{
    static const float no_marks[] = {[0 ... ROUTE_CHANNELS_MOST - 1] = 1},
                       none[ROUTE_CHANNELS_MOST];
    float weights[ROUTE_CHANNELS_MOST], demand = demand_of(route, class), sum = 0;
    if (!weigh(route, weights))
        return false;
    if (demand > 0 && knows_room(route, weights))
        pour(route, class, weights, demand, aims);
    else
        open_weights(route, weights, no_marks, none, aims);
    for (uint32_t i = 0; i < route->count; i++)
        sum += aims[i];
    if (sum <= 0) /* all are full */
        sum = open_weights(route, weights, no_marks, none, aims);
    for (uint32_t i = 0; i < route->count; i++)
        aims[i] /= sum;
    return true;
}

/* Those that may have none lose them at once, and the others have what is free in proportion. What is left of all shares. */
static float drop_shares(struct route *route, unsigned class, enum route_state state)
{
    float left = 0;
    for (uint32_t i = 0; i < route->count; i++) {
        struct route_channel *channel = &route->channels[i];
        if (channel->state != state)
            channel->share[class] = channel->credit[class] = 0;
        left += channel->share[class];
    }
    for (uint32_t i = 0; i < route->count && left > 0; i++)
        route->channels[i].share[class] /= left;
    return left;
}

static bool is_near_aims(const struct route *route, unsigned class, const float *aims)
{
    for (uint32_t i = 0; i < route->count; i++) {
        float share = route->channels[i].share[class], difference = aims[i] - share;
        if (difference > share_still || difference < -share_still || (share > 0 && aims[i] <= 0))
            return false;
    }
    return true;
}

static void set_shares(struct route *route, unsigned class, float passed_ns)
{
    float aims[ROUTE_CHANNELS_MOST];
    if (!aim(route, class, aims)) {
        drop_shares(route, class, ROUTE_GOOD);
        return;
    }
    bool is_new = drop_shares(route, class, best_state(route)) <= 0;
    if (!is_new && is_near_aims(route, class, aims))
        return;
    for (uint32_t i = 0; i < route->count; i++) {
        float *share = &route->channels[i].share[class];
        *share = is_new ? aims[i] : *share + (aims[i] - *share) * part(passed_ns, SHARE_MEMORY_NS);
        if (aims[i] <= 0 && *share < share_least)
            *share = 0;
    }
}

/* ---- the channels that there are */

static bool has_same(const struct route *route, const struct route_facts *facts, size_t count)
{
    if (route->count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (route->channels[i].identity != facts[i].identity)
            return false;
    return true;
}

static void follow(struct route *route, const struct route_facts *facts, size_t count)
{
    struct route old = *route;
    memset(route->channels, 0, sizeof route->channels);
    route->count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        route->channels[i].identity = facts[i].identity;
        for (uint32_t j = 0; j < old.count; j++)
            if (old.channels[j].identity == facts[i].identity)
                route->channels[i] = old.channels[j];
    }
}

void route_update(struct route *route, const struct route_settings *settings,
                  const struct route_facts *facts, size_t count, uint64_t now_ns)
{
    if (count > ROUTE_CHANNELS_MOST)
        count = ROUTE_CHANNELS_MOST;
    if (!has_same(route, facts, count))
        follow(route, facts, count);
    /* After a pause what was is no guide to what is. */
    float passed_ns = route->updated_ns ? (float)(now_ns - route->updated_ns) : 0;
    for (uint32_t i = 0; i < route->count; i++) {
        struct route_channel *channel = &route->channels[i];
        bool is_new = !channel->since_ns || channel->state == ROUTE_AWAY;
        judge(channel, settings, &facts[i], now_ns);
        set_facts(channel, &facts[i], passed_ns, is_new);
    }
    for (unsigned i = 0; i < ROUTE_CLASSES; i++)
        route->picked[i] *= 1 - part(passed_ns, PICKS_MEMORY_NS);
    for (unsigned i = 0; i < ROUTE_CLASSES; i++)
        set_shares(route, i, passed_ns);
    route->updated_ns = now_ns;
}

/* ---- the choice */

static bool is_excepted(uint32_t except, uint32_t index)
{
    return except >> index & 1;
}

size_t route_best(const struct route *route, unsigned class, uint32_t except)
{
    size_t best = ROUTE_NONE;
    for (uint32_t i = 0; i < route->count; i++) {
        const struct route_channel *channel = &route->channels[i];
        if (channel->state == ROUTE_AWAY || is_excepted(except, i))
            continue;
        if (best == ROUTE_NONE || channel->state > route->channels[best].state ||
            (channel->state == route->channels[best].state &&
             channel->cost_us[class] < route->channels[best].cost_us[class]))
            best = i;
    }
    return best;
}

/* Smooth weighted round robin: each gains its share, the one that has most pays for all. */
size_t route_pick(struct route *route, unsigned class, uint32_t except)
{
    size_t best = ROUTE_NONE;
    float sum = 0;
    INVARIANT(class < ROUTE_CLASSES);
    route->picked[class]++;
    for (uint32_t i = 0; i < route->count; i++) {
        struct route_channel *channel = &route->channels[i];
        if (channel->share[class] <= 0 || is_excepted(except, i))
            continue;
        channel->credit[class] += channel->share[class];
        sum += channel->share[class];
        if (best == ROUTE_NONE || channel->credit[class] > route->channels[best].credit[class])
            best = i;
    }
    if (best == ROUTE_NONE)
        return route_best(route, class, except);
    route->channels[best].credit[class] -= sum;
    return best;
}
