/* SPDX-License-Identifier: Apache-2.0
 *
 * What requests are and what their answers teach: the kind of work (src/types; L7), sessions and freshness (L8, L9), when what happened.
 */
#include "gateway/attempt.h"

void gateway_recognise(struct gateway_worker *worker, const struct conf_site *site,
                       const struct http_opening *opening, const struct http_head *head,
                       struct arena *arena, struct types_found *found)
{
    const struct rules_facts facts = {.head = head,
                                      .client = opening->client,
                                      .rtt_us = RULES_UNKNOWN,
                                      .loss_ppm = RULES_UNKNOWN,
                                      .load_percent = RULES_UNKNOWN};
    types_recognise(site->types, worker->learner, worker->matcher, site->number, &facts, arena,
                    found);
}

void gateway_learn_kind(const struct gateway_attempt *attempt, const struct types_found *found)
{
    if (attempt->answer.status < 400)
        types_learn(attempt->worker->learner, found, attempt->answered_ns - attempt->asked_ns,
                    attempt->bytes, loop_now_ns(attempt->worker->loop));
}

void gateway_learn_session(struct gateway_attempt *attempt, const char *name,
                           const struct gateway_session *session,
                           const struct http_opening *opening, const struct http_head *head)
{
    const struct gateway_answer *grant = gateway_ticket_answer(attempt->ticket);
    if (session->kind != BALANCE_SESSION_COOKIE && grant->role == BALANCE_EQUAL)
        return;
    const struct conf_site *site = conf_find_site(gateway_conf(attempt->worker), span_text(name));
    uint64_t now_s = clock_wall_ns() / 1000000000;
    if (grant->role != BALANCE_EQUAL &&
        !gateway_session_validator(head, &attempt->answer, now_s, &attempt->target,
                                   &attempt->validator))
        attempt->target = 0;
    if (site && gateway_session_tell(session, site, opening, grant->session_identity, now_s,
                                     &attempt->answer) < 0)
        log_notice("gateway", "an answer has no room for the cookie of its session site=%s", name);
}

void gateway_attempt_times(const struct gateway_attempt *attempt, uint64_t head_ns,
                           struct http_times *times)
{
    times->us[HTTP_TIME_QUEUE] = (attempt->chosen_ns - head_ns) / 1000;
    times->us[HTTP_TIME_CONNECT] = (attempt->asked_ns - attempt->chosen_ns) / 1000;
    times->us[HTTP_TIME_FIRST_BYTE] = (attempt->answered_ns - attempt->asked_ns) / 1000;
    times->us[HTTP_TIME_WHOLE] = (loop_now_ns(attempt->worker->loop) - attempt->chosen_ns) / 1000;
}

struct metric *gateway_attempt_bad(struct gateway_attempt *attempt, enum http_cause cause,
                                   const char *site, struct span request_id)
{
    char address[ADDRESS_TEXT_BYTES];
    bool is_silent = cause == HTTP_CAUSE_TRUNCATED && gateway_attempt_is_silent(attempt);
    log_notice("gateway", "bad answer of an origin: %s, origin=%s site=%s id=%.*s",
               is_silent ? "there is none" : http_cause_text(cause),
               address_text(&attempt->pool->address, true, address), site, SPAN_ARGS(request_id));
    attempt->end = GATEWAY_END_FAILED;
    return gateway_fault_metric(is_silent ? GATEWAY_FAULT_NO_ANSWER : gateway_fault_of(cause));
}
