/* SPDX-License-Identifier: Apache-2.0
 *
 * What a farm's owner remembers of earlier answers: which server a session has, where no cookie tells it (L9), and how far mirrors are
 * behind the original (L8).
 */
#include "gateway/owner/owner_private.h"

#define SESSIONS(event)                                                                  \
    METRIC(COUNTER, "causeway_gateway_sessions_total", "event=\"" event "\"",            \
           "Requests with a session: it had no server yet, stayed with its own, or got " \
           "another one.")
struct metric gateway_sessions_begun = SESSIONS("begun");
struct metric gateway_sessions_kept = SESSIONS("kept");
struct metric gateway_sessions_moved = SESSIONS("moved");
struct metric gateway_sessions_remembered =
    METRIC(GAUGE, "causeway_gateway_sessions_remembered", "",
           "Sessions in the gateway's tables: those that no cookie tells of.");

void gateway_owner_sessions_metrics_register(void)
{
    metric_register(&gateway_sessions_begun);
    metric_register(&gateway_sessions_kept);
    metric_register(&gateway_sessions_moved);
    metric_register(&gateway_sessions_remembered);
}

/* ---- sessions */

static uint64_t now_s(void)
{
    return clock_wall_ns() / 1000000000;
}

static void note_remembered(const struct gateway_owner *owner, uint32_t before)
{
    uint32_t now = owner->sessions ? balance_sessions_count(owner->sessions) : 0;
    metric_add(&gateway_sessions_remembered, (uint64_t)now - before);
}

static void look_up(struct gateway_owner *owner, struct gateway_session *session)
{
    if (!gateway_session_is_remembered(session))
        return;
    if (!owner->sessions && owner->sessions_most)
        owner->sessions = balance_sessions_new(owner->sessions_most, owner->sessions_idle_ns,
                                               random_u64(&owner->worker->random));
    gateway_session_find(session, owner->sessions, gateway_owner_now_ns(owner), now_s());
}

static uint16_t server_of_session(const struct gateway_owner *owner,
                                  const struct gateway_session *session)
{
    uint64_t identity = session->known.identity;
    uint16_t number = identity ? queue_server_find(owner->queue, identity) : QUEUE_NO_SERVER;
    if (number == QUEUE_NO_SERVER || owner->servers[number].drains ||
        !gateway_session_may_use(session, owner->servers[number].role))
        return QUEUE_NO_SERVER;
    return number;
}

uint16_t gateway_owner_find_session(struct gateway_owner *owner, struct gateway_session *session)
{
    look_up(owner, session);
    return server_of_session(owner, session);
}

static bool is_own_usable(const struct gateway_owner *owner, const struct gateway_session *session)
{
    struct queue_server_report report;
    uint16_t number = queue_server_find(owner->queue, session->known.identity);
    return number != QUEUE_NO_SERVER && queue_server_report(owner->queue, number, &report) &&
           report.is_usable && !report.is_leaving && report.weight;
}

void gateway_owner_settle_session(struct gateway_owner *owner, struct gateway_ticket *ticket)
{
    const struct gateway_session *session = &ticket->wish.session;
    struct gateway_answer *answer = &ticket->answer;
    if (session->kind == BALANCE_SESSION_OFF)
        return;
    answer->session_identity =
        gateway_session_settle(session, answer->identity, answer->role,
                               session->known.identity && is_own_usable(owner, session));
    metric_add(!session->known.identity                              ? &gateway_sessions_begun
               : session->known.identity == answer->session_identity ? &gateway_sessions_kept
                                                                     : &gateway_sessions_moved,
               1);
    if (!owner->sessions || !gateway_session_is_remembered(session))
        return;
    uint32_t before = balance_sessions_count(owner->sessions);
    gateway_session_put(session, owner->sessions, answer->session_identity,
                        gateway_owner_now_ns(owner), now_s());
    note_remembered(owner, before);
}

void gateway_owner_configure_sessions(struct gateway_owner *owner)
{
    if (!owner->sessions || !owner->sessions_most)
        return;
    uint32_t before = balance_sessions_count(owner->sessions);
    balance_sessions_configure(&owner->sessions, owner->sessions_most, owner->sessions_idle_ns);
    note_remembered(owner, before);
}

/* ---- mirrors */

void gateway_owner_learn_freshness(struct gateway_owner *owner, const struct gateway_ticket *ticket,
                                   const struct gateway_outcome *outcome)
{
    const struct owner_server *server = &owner->servers[ticket->server];
    uint64_t now_ns = gateway_owner_now_ns(owner);
    if (!owner->freshness || !outcome->target || server->identity != ticket->answer.identity)
        return;
    if (server->role == BALANCE_ORIGINAL)
        balance_freshness_original(owner->freshness, outcome->target, &outcome->validator, now_ns);
    if (server->role != BALANCE_MIRROR || server->behind_ns)
        return;
    balance_freshness_mirror(owner->freshness, server->identity, outcome->target,
                             &outcome->validator, now_ns);
    queue_server_set_behind(owner->queue, ticket->server,
                            balance_freshness_behind(owner->freshness, server->identity));
}

void gateway_owner_follow_mirror(struct gateway_owner *owner, uint16_t number)
{
    if (!owner->freshness)
        owner->freshness = balance_freshness_new();
    queue_server_set_behind(owner->queue, number,
                            balance_freshness_behind(owner->freshness,
                                                     owner->servers[number].identity));
}

/* ---- both */

void gateway_owner_forget(struct gateway_owner *owner)
{
    uint32_t remembered = owner->sessions ? balance_sessions_count(owner->sessions) : 0;
    balance_sessions_free(&owner->sessions);
    note_remembered(owner, remembered);
    balance_freshness_free(&owner->freshness);
}
