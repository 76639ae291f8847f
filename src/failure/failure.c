/* SPDX-License-Identifier: Apache-2.0
 *
 * The object of a set of servers: life, which servers there are, what is told of it.
 */
#include "failure/private.h"

#include "base/memory.h"

const char *failure_cause_text(enum failure_cause cause)
{
    static const char *const texts[] = {
#define X(name, text) text,
        FAILURE_CAUSE_LIST(X)
#undef X
    };
    return texts[cause];
}

enum failure_outcome failure_outcome_of(unsigned status)
{
    if (status == 502 || status == 503 || status == 504)
        return FAILURE_GATEWAY_ERROR;
    return status >= 500 ? FAILURE_ERROR : FAILURE_ANSWERED;
}

bool outcome_is_failure(const struct failure_settings *settings, enum failure_outcome outcome)
{
    switch (outcome) {
    case FAILURE_ANSWERED:
    case FAILURE_LEFT:
        return false;
    case FAILURE_ERROR:
        return settings->counts_server_errors;
    case FAILURE_GATEWAY_ERROR:
    case FAILURE_REFUSED:
    case FAILURE_FAILED:
    case FAILURE_OUTCOMES:
        break;
    }
    return true;
}

/* ---- life */

struct failure *failure_new(const struct failure_settings *settings)
{
    struct failure *failure = NEW(struct failure);
    failure->settings = *settings;
    failure->wake_ns = UINT64_MAX;
    return failure;
}

void failure_free(struct failure **freed)
{
    struct failure *failure = *freed;
    if (!failure)
        return;
    *freed = NULL;
    memory_free(failure->servers);
    memory_free(failure);
}

void failure_set_settings(struct failure *failure, const struct failure_settings *settings)
{
    failure->settings = *settings;
}

void failure_set_servers(struct failure *failure, const uint64_t *identities, size_t count)
{
    count = count < FAILURE_SERVERS_MOST ? count : FAILURE_SERVERS_MOST;
    struct server *servers = memory_new((count + 1) * sizeof *servers);
    failure->ejected = 0;
    for (size_t i = 0; i < count; i++) {
        servers[i] = (struct server){.identity = identities[i], .is_available = true};
        for (size_t k = 0; k < failure->count; k++)
            if (failure->servers[k].identity == identities[i])
                servers[i] = failure->servers[k];
        failure->ejected += servers[i].is_ejected;
    }
    memory_free(failure->servers);
    failure->servers = servers;
    failure->count = count;
}

void failure_set_available(struct failure *failure, size_t server, bool is_available)
{
    if (server < failure->count)
        failure->servers[server].is_available = is_available;
}

/* ---- what is told of it */

void failure_report_server(const struct failure *failure, size_t server,
                           struct failure_server_report *report)
{
    *report = (struct failure_server_report){0};
    if (server >= failure->count)
        return;
    const struct server *row = &failure->servers[server];
    *report = (struct failure_server_report){
        .is_ejected = row->is_ejected,
        .cause = row->cause,
        .ejections = row->ejections,
        .until_ns = row->until_ns,
        .in_a_row = row->in_a_row,
        .answers = row->answers,
        .failures = row->failures,
    };
}

void failure_read_report(const struct failure *failure, struct failure_report *report)
{
    *report = failure->counts;
    report->active = failure->active;
    report->retries = failure->retries;
    report->hedges = failure->hedges;
    report->servers_ejected = failure->ejected;
}
