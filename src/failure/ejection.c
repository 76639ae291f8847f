/* SPDX-License-Identifier: Apache-2.0
 *
 * Outlier ejection: by failures in a row, by the share of failures of an interval, by slowness beside the others. The longer a
 * server has been in trouble, the longer it stays out; when it returns, its first answer decides. Never so many servers that
 * the rest must carry more than `most_percent` allows, and never the last: where all fail, it is not the servers.
 */
#include "failure/private.h"

enum { DOUBLINGS_MOST = 16 };

static uint32_t count_available(const struct failure *failure)
{
    uint32_t count = 0;
    for (size_t i = 0; i < failure->count; i++)
        count += failure->servers[i].is_available;
    return count;
}

static uint32_t count_ejected(const struct failure *failure)
{
    uint32_t count = 0;
    for (size_t i = 0; i < failure->count; i++)
        count += failure->servers[i].is_available && failure->servers[i].is_ejected;
    return count;
}

/* One of several may always go; of one alone there is nothing to choose. */
static bool may_eject(const struct failure *failure, const struct server *server)
{
    uint32_t available = count_available(failure), ejected = count_ejected(failure) + 1;
    if (!server->is_available || ejected >= available)
        return false;
    return ejected == 1 || ejected * 100 <= failure->settings.ejection.most_percent * available;
}

static uint64_t ejection_ns(const struct failure_ejection *settings, uint32_t ejections)
{
    uint64_t longer_ns = settings->base_ns;
    for (uint32_t i = 1; i < ejections && longer_ns < settings->most_ns; i++)
        longer_ns *= 2;
    return longer_ns < settings->most_ns ? longer_ns : settings->most_ns;
}

static bool eject(struct failure *failure, struct server *server, enum failure_cause cause,
                  uint64_t now_ns)
{
    if (server->is_ejected || !may_eject(failure, server))
        return false;
    if (server->ejections < DOUBLINGS_MOST)
        server->ejections++;
    server->is_ejected = true;
    server->is_suspect = false;
    server->cause = cause;
    server->until_ns = now_ns + ejection_ns(&failure->settings.ejection, server->ejections);
    server->in_a_row = server->answers = server->failures = 0;
    server->time_ns = 0;
    failure->ejected++;
    failure->counts.ejections++;
    if (server->until_ns < failure->wake_ns)
        failure->wake_ns = server->until_ns;
    return true;
}

/* ---- intervals */

/* The mean time of those answered well; 0: too few. */
static uint64_t mean_ns(const struct failure *failure, const struct server *server)
{
    uint32_t good = server->answers - server->failures;
    bool says_something = good && good >= failure->settings.ejection.least_requests &&
                          server->is_available && !server->is_ejected;
    return says_something ? server->time_ns / good : 0;
}

/* Half of the others take less; of an even number the lesser one in the middle. 0: there are not two others to compare with. */
static uint64_t median_of_others_ns(const struct failure *failure, const struct server *server)
{
    uint64_t times[FAILURE_SERVERS_MOST];
    size_t count = 0;
    for (size_t i = 0; i < failure->count; i++) {
        uint64_t time_ns =
            &failure->servers[i] == server ? 0 : mean_ns(failure, &failure->servers[i]);
        size_t at = count;
        if (!time_ns)
            continue;
        for (; at && times[at - 1] > time_ns; at--)
            times[at] = times[at - 1];
        times[at] = time_ns;
        count++;
    }
    return count < 2 ? 0 : times[(count - 1) / 2];
}

static bool is_slow(const struct failure *failure, const struct server *server)
{
    uint32_t slower_percent = failure->settings.ejection.slower_percent;
    uint64_t own_ns = mean_ns(failure, server);
    uint64_t others_ns = slower_percent && own_ns ? median_of_others_ns(failure, server) : 0;
    return others_ns && own_ns / slower_percent > others_ns / 100;
}

static bool fails_often(const struct failure *failure, const struct server *server)
{
    const struct failure_ejection *settings = &failure->settings.ejection;
    return settings->share_percent && server->answers >= settings->least_requests &&
           (uint64_t)server->failures * 100 >= (uint64_t)server->answers * settings->share_percent;
}

static bool end_interval(struct failure *failure, uint64_t now_ns)
{
    bool has_changed = false;
    for (size_t i = 0; i < failure->count; i++) {
        struct server *server = &failure->servers[i];
        if (fails_often(failure, server))
            has_changed |= eject(failure, server, FAILURE_BY_SHARE, now_ns);
        else if (is_slow(failure, server))
            has_changed |= eject(failure, server, FAILURE_BY_SLOWNESS, now_ns);
        else if (!server->is_ejected && server->answers && !server->failures && server->ejections)
            server->ejections--;
    }
    for (size_t i = 0; i < failure->count; i++) {
        struct server *server = &failure->servers[i];
        server->answers = server->failures = 0;
        server->time_ns = 0;
    }
    failure->interval_end_ns = now_ns + failure->settings.ejection.interval_ns;
    return has_changed;
}

/* ---- what happens */

bool failure_result(struct failure *failure, size_t server, enum failure_outcome outcome,
                    uint64_t service_ns, uint64_t now_ns)
{
    const struct failure_ejection *settings = &failure->settings.ejection;
    if (!settings->is_on || server >= failure->count || outcome == FAILURE_LEFT)
        return false;
    bool has_changed = failure_tick(failure, now_ns);
    struct server *row = &failure->servers[server];
    if (row->is_ejected)
        return has_changed; /* what was under way when it was ejected says nothing new */
    row->answers++;
    if (!outcome_is_failure(&failure->settings, outcome)) {
        row->time_ns += service_ns;
        row->in_a_row = 0;
        row->is_suspect = false;
        return has_changed;
    }
    row->failures++;
    row->in_a_row++;
    if (settings->consecutive && (row->in_a_row >= settings->consecutive || row->is_suspect))
        has_changed |= eject(failure, row, FAILURE_BY_ROW, now_ns);
    return has_changed;
}

bool failure_tick(struct failure *failure, uint64_t now_ns)
{
    bool has_changed = false;
    if (!failure->interval_end_ns)
        failure->interval_end_ns = now_ns + failure->settings.ejection.interval_ns;
    if (failure->settings.ejection.is_on && now_ns >= failure->interval_end_ns)
        has_changed = end_interval(failure, now_ns);
    if (now_ns >= failure->wake_ns || !failure->settings.ejection.is_on) {
        failure->wake_ns = UINT64_MAX;
        for (size_t i = 0; i < failure->count; i++) {
            struct server *server = &failure->servers[i];
            if (!server->is_ejected)
                continue;
            if (now_ns >= server->until_ns || !failure->settings.ejection.is_on) {
                server->is_ejected = false;
                server->is_suspect = true;
                failure->ejected--;
                has_changed = true;
            } else if (server->until_ns < failure->wake_ns) {
                failure->wake_ns = server->until_ns;
            }
        }
    }
    return has_changed;
}

uint64_t failure_wake_ns(const struct failure *failure)
{
    return failure->wake_ns;
}

bool failure_is_ejected(const struct failure *failure, size_t server)
{
    return server < failure->count && failure->servers[server].is_ejected;
}
