/* SPDX-License-Identifier: Apache-2.0
 *
 * May a stored response answer a request (RFC 9111 section 4)? This is on the way of every hit: facts and numbers, no text.
 */
#include "cache/cache.h"
#include "cache/directives.h"

/* RFC 9111 section 5.4: Pragma counts where there is no Cache-Control. */
static bool has_pragma(const struct http_fields *fields)
{
    return !http_fields_has(fields, HTTP_NAME_CACHE_CONTROL) &&
           http_fields_list_has(fields, HTTP_NAME_PRAGMA, SPAN("no-cache"));
}

/* A directive whose number cannot be read asks for nothing, but max-age: that errs to the safe side. */
static uint32_t asked_seconds(const struct directives *asked, enum directive directive)
{
    if (!directives_have(asked, directive) || (asked->invalid >> directive & 1))
        return CACHE_SECONDS_NONE;
    return asked->seconds[directive];
}

static void read_directives(struct cache_ask *ask, const struct cache_policy *policy,
                            const struct http_fields *fields)
{
    struct directives asked;
    directives_read(&asked, fields);
    ask->no_store = directives_have(&asked, DIRECTIVE_NO_STORE);
    ask->only_if_cached = directives_have(&asked, DIRECTIVE_ONLY_IF_CACHED);
    if (policy->ignores_requests)
        return;
    ask->no_cache = directives_have(&asked, DIRECTIVE_NO_CACHE) ||
                    (asked.named >> DIRECTIVE_NO_CACHE & 1) || has_pragma(fields);
    ask->max_age_s = asked_seconds(&asked, DIRECTIVE_MAX_AGE);
    if (asked.invalid >> DIRECTIVE_MAX_AGE & 1)
        ask->max_age_s = 0;
    ask->min_fresh_s = asked_seconds(&asked, DIRECTIVE_MIN_FRESH);
    ask->max_stale_s = asked_seconds(&asked, DIRECTIVE_MAX_STALE);
    ask->if_error_s = asked_seconds(&asked, DIRECTIVE_STALE_IF_ERROR);
}

/* There are origins to which the request then has another method: neither is its answer one for others, nor theirs one for it. */
static bool overrides_method(const struct http_fields *fields)
{
    static const struct span names[] = {{(const uint8_t *)"X-HTTP-Method-Override", 22},
                                        {(const uint8_t *)"X-Method-Override", 17},
                                        {(const uint8_t *)"X-HTTP-Method", 13}};
    if (!http_fields_has(fields, HTTP_NAME_OTHER))
        return false;
    for (uint32_t i = 0; i < fields->count; i++)
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (fields->list[i].id == HTTP_NAME_OTHER &&
                span_equal_nocase(fields->list[i].name, names[k]))
                return true;
    return false;
}

/* Content of a GET has no meaning that a key could hold (RFC 9110 section 9.3.1), and whoever sends some may be after the store. */
static enum cache_route route_of(const struct http_head *request)
{
    bool is_lookup = request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD;
    if (is_lookup && request->body == HTTP_BODY_NONE && !request->upgrades &&
        !overrides_method(&request->fields))
        return CACHE_ROUTE_LOOKUP;
    return http_method_is_safe(request->method) ? CACHE_ROUTE_PASS : CACHE_ROUTE_INVALIDATE;
}

void cache_ask_read(struct cache_ask *ask, const struct cache_policy *policy,
                    const struct http_head *request)
{
    const struct http_fields *fields = &request->fields;
    *ask = (struct cache_ask){.route = route_of(request),
                              .max_age_s = CACHE_SECONDS_NONE,
                              .min_fresh_s = CACHE_SECONDS_NONE,
                              .max_stale_s = CACHE_SECONDS_NONE,
                              .if_error_s = CACHE_SECONDS_NONE,
                              .is_head = request->method == HTTP_METHOD_HEAD};
    ask->has_authorization = http_fields_has(fields, HTTP_NAME_AUTHORIZATION);
    ask->has_range = request->method == HTTP_METHOD_GET && http_fields_has(fields, HTTP_NAME_RANGE);
    ask->has_conditions = http_fields_has(fields, HTTP_NAME_IF_NONE_MATCH) ||
                          http_fields_has(fields, HTTP_NAME_IF_MODIFIED_SINCE);
    ask->is_for_origin = http_fields_has(fields, HTTP_NAME_IF_MATCH) ||
                         http_fields_has(fields, HTTP_NAME_IF_UNMODIFIED_SINCE);
    if (http_fields_has(fields, HTTP_NAME_CACHE_CONTROL) ||
        http_fields_has(fields, HTTP_NAME_PRAGMA))
        read_directives(ask, policy, fields);
}

bool cache_status_is_error(unsigned status)
{
    return status == 500 || status == 502 || status == 503 || status == 504;
}

/* RFC 9111 section 4.2.3. A clock that went back does not make it younger than it came. */
static uint32_t age_of(const struct cache_facts *facts, uint64_t now_s)
{
    uint64_t resident_s = now_s > facts->response_s ? now_s - facts->response_s : 0;
    if (resident_s > CACHE_SECONDS_MOST - facts->initial_age_s)
        return CACHE_SECONDS_MOST;
    return (uint32_t)resident_s + facts->initial_age_s;
}

/* What the client insists on, whatever the origin says. A max-age of 0 wants an answer of now: whole seconds cannot tell. */
static bool is_refused_by_client(const struct cache_ask *ask, uint32_t age_s, int64_t ttl_s)
{
    return ask->no_cache ||
           (ask->max_age_s != CACHE_SECONDS_NONE && (age_s > ask->max_age_s || !ask->max_age_s)) ||
           (ask->min_fresh_s != CACHE_SECONDS_NONE && ttl_s < (int64_t)ask->min_fresh_s &&
            ask->max_stale_s == CACHE_SECONDS_NONE);
}

/* RFC 9111 section 4.2.4, RFC 5861: never against a directive that forbids it; s-maxage forbids it but where the origin itself
 * gives a window. */
static bool may_be_stale(const struct cache_facts *facts, uint32_t window_s, uint32_t stale_s,
                         uint16_t by_origin)
{
    const uint16_t never = CACHE_NO_CACHE | CACHE_INVALID | CACHE_MUST_REVALIDATE;
    if ((facts->flags & never) || window_s == CACHE_SECONDS_NONE || stale_s > window_s)
        return false;
    return !(facts->flags & CACHE_SHARED_LIMIT) || (facts->flags & by_origin);
}

static bool may_answer_for_errors(const struct cache_facts *facts, const struct cache_ask *ask,
                                  uint32_t stale_s)
{
    return !ask->no_cache && ((facts->if_error_s && may_be_stale(facts, facts->if_error_s, stale_s,
                                                                 CACHE_STALE_ERROR_BY_ORIGIN)) ||
                              may_be_stale(facts, ask->if_error_s, stale_s, 0));
}

static struct cache_judgement judge(const struct cache_facts *facts, const struct cache_ask *ask,
                                    uint64_t now_s)
{
    struct cache_judgement judgement = {.age_s = age_of(facts, now_s)};
    bool is_bound = facts->flags & (CACHE_NO_CACHE | CACHE_INVALID);
    judgement.ttl_s = (int64_t)facts->lifetime_s - judgement.age_s;
    judgement.is_stale = judgement.ttl_s <= 0;
    if (ask->is_for_origin || ((facts->flags & CACHE_PARTIAL) && !ask->has_range)) {
        judgement.use = CACHE_USE_FORWARD;
        judgement.why = ask->is_for_origin ? CACHE_FORWARD_REQUEST : CACHE_FORWARD_PARTIAL;
        return judgement;
    }
    bool is_refused = is_refused_by_client(ask, judgement.age_s, judgement.ttl_s);
    if (!judgement.is_stale && !is_bound && !is_refused)
        return judgement; /* the usual way */
    uint32_t stale_s = judgement.is_stale ? (uint32_t)-judgement.ttl_s : 0;
    judgement.why = judgement.is_stale || is_bound ? CACHE_FORWARD_STALE : CACHE_FORWARD_REQUEST;
    if (!is_refused && may_be_stale(facts, ask->max_stale_s, stale_s, 0)) {
        judgement.why = CACHE_FORWARD_NONE;
        return judgement;
    }
    if (!is_refused && facts->while_revalidate_s &&
        may_be_stale(facts, facts->while_revalidate_s, stale_s, CACHE_STALE_WHILE_BY_ORIGIN)) {
        judgement.use = CACHE_USE_REFRESH;
        return judgement;
    }
    judgement.use = CACHE_USE_VALIDATE;
    judgement.may_answer_for_errors = may_answer_for_errors(facts, ask, stale_s);
    return judgement;
}

struct cache_judgement cache_judge(const struct cache_facts *facts, const struct cache_ask *ask,
                                   uint64_t now_s)
{
    struct cache_judgement judgement = {.use = CACHE_USE_FORWARD, .why = CACHE_FORWARD_MISS};
    if (facts)
        judgement = judge(facts, ask, now_s);
    if (ask->only_if_cached && judgement.use != CACHE_USE_ANSWER &&
        judgement.use != CACHE_USE_REFRESH)
        judgement.use = CACHE_USE_REFUSE;
    return judgement;
}
