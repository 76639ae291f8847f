/* SPDX-License-Identifier: Apache-2.0
 *
 * May a response be stored (RFC 9111 section 3), for how long is it fresh (4.2.1, 4.2.2), how old is it already (4.2.3), and what
 * else is to be remembered of it. Once for each response; nothing here is on the way of a hit.
 */
#include "cache/response.h"

#include "cache/directives.h"
#include "cache/range.h"
#include "cache/validator.h"

const struct cache_policy cache_policy_default = {
    .cookies = CACHE_COOKIES_REFUSE,
    .heuristic_most_s = 86400,
    .lifetime_s = CACHE_SECONDS_NONE,
    .lifetime_most_s = 365 * 86400,
};

static const char *const refusals[CACHE_REFUSAL_COUNT] = {
#define X(name, text) [CACHE_REFUSAL_##name] = #name,
    CACHE_REFUSAL_LIST(X)
#undef X
};

const char *cache_refusal_name(enum cache_refusal refusal)
{
    return refusals[refusal];
}

/* RFC 9110 section 15.1. 206 is judged as the 200 that it is a part of. */
static bool is_heuristic_status(unsigned status)
{
    switch (status) {
    case 200:
    case 203:
    case 204:
    case 300:
    case 301:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 501:
        return true;
    }
    return false;
}

/* Statuses of RFC 9110, whose caching this cache knows (for must-understand). */
static bool is_understood_status(unsigned status)
{
    switch (status) {
    case 201:
    case 202:
    case 205:
    case 302:
    case 303:
    case 307:
    case 400:
    case 401:
    case 402:
    case 403:
    case 406:
    case 408:
    case 409:
    case 411:
    case 413:
    case 415:
    case 417:
    case 421:
    case 422:
    case 426:
    case 500:
    case 502:
    case 503:
    case 504:
    case 505:
        return true;
    }
    return is_heuristic_status(status);
}

/* Never: interim ones; what is about this request's conditions, range or credentials for a proxy alone; those of RFC 6585, which
 * says so; 425, which is about this connection. */
static bool is_unstorable_status(unsigned status)
{
    switch (status) {
    case 206: /* but as response_of_part() takes it */
    case 304:
    case 407:
    case 412:
    case 416:
    case 417:
    case 425:
    case 428:
    case 429:
    case 431:
    case 511:
        return true;
    }
    return status < 200;
}

/* RFC 9111 section 5.1: the first member of a list; what is no number is ignored. */
static uint32_t age_value(const struct http_fields *fields)
{
    struct span rest = field_value(fields, HTTP_NAME_AGE), first;
    uint32_t seconds;
    if (!http_list_next(&rest, &first) || directives_read_seconds(first, &seconds))
        return 0;
    return seconds;
}

static uint32_t bounded(uint64_t seconds)
{
    return seconds > CACHE_SECONDS_MOST ? CACHE_SECONDS_MOST : (uint32_t)seconds;
}

static uint64_t behind(uint64_t later, uint64_t earlier)
{
    return later > earlier ? later - earlier : 0;
}

/* RFC 9111 section 4.2.3. */
static uint32_t initial_age(uint64_t date_s, uint32_t age_s, uint64_t request_s,
                            uint64_t response_s)
{
    uint64_t apparent = behind(response_s, date_s);
    uint64_t corrected = age_s + behind(response_s, request_s);
    return bounded(apparent > corrected ? apparent : corrected);
}

static void read_dates(struct cache_facts *facts, const struct http_fields *fields)
{
    uint64_t seconds;
    uint64_t now_s = facts->response_s;
    facts->date_s = now_s; /* RFC 9110 section 6.6.1: when it was received */
    if (!http_date_read(field_value(fields, HTTP_NAME_DATE), now_s, &seconds))
        facts->date_s = seconds;
    facts->modified_s = 0;
    if (!http_date_read(field_value(fields, HTTP_NAME_LAST_MODIFIED), now_s, &seconds))
        facts->modified_s = seconds;
}

static bool has_expires(const struct directives *directives, const struct http_fields *fields)
{
    return !directives->is_targeted && http_fields_has(fields, HTTP_NAME_EXPIRES);
}

/* RFC 9111 section 5.3: a date that cannot be read, "0" above all, is in the past. */
static uint32_t expires_lifetime(const struct cache_facts *facts, const struct http_fields *fields)
{
    uint64_t expires_s;
    if (http_date_read(field_value(fields, HTTP_NAME_EXPIRES), facts->response_s, &expires_s))
        return 0;
    return bounded(behind(expires_s, facts->date_s));
}

/* RFC 9111 section 4.2.2: a tenth of the time for which it has not changed. */
static uint32_t heuristic_lifetime(const struct cache_facts *facts,
                                   const struct cache_policy *policy)
{
    if (!facts->modified_s)
        return 0;
    uint64_t lifetime_s = behind(facts->date_s, facts->modified_s) / 10;
    return lifetime_s > policy->heuristic_most_s ? policy->heuristic_most_s : (uint32_t)lifetime_s;
}

static void read_lifetime(struct cache_facts *facts, const struct cache_policy *policy,
                          const struct directives *directives, const struct http_fields *fields)
{
    uint32_t lifetime_s = 0;
    bool may_be_guessed =
        is_heuristic_status(facts->status) || directives_have(directives, DIRECTIVE_PUBLIC);
    if (policy->lifetime_s != CACHE_SECONDS_NONE && is_heuristic_status(facts->status)) {
        lifetime_s = policy->lifetime_s;
    } else if (directives_have(directives, DIRECTIVE_S_MAXAGE)) {
        lifetime_s = directives->seconds[DIRECTIVE_S_MAXAGE];
    } else if (directives_have(directives, DIRECTIVE_MAX_AGE)) {
        lifetime_s = directives->seconds[DIRECTIVE_MAX_AGE];
    } else if (has_expires(directives, fields)) {
        lifetime_s = expires_lifetime(facts, fields);
    } else if (may_be_guessed) {
        lifetime_s = heuristic_lifetime(facts, policy);
        facts->flags |= CACHE_HEURISTIC;
    }
    facts->lifetime_s = lifetime_s < policy->lifetime_most_s ? lifetime_s : policy->lifetime_most_s;
}

/* How long it may be used stale: by the origin's word (RFC 5861), else by the policy's. */
static uint32_t read_window(struct cache_facts *facts, const struct directives *directives,
                            enum directive directive, uint32_t otherwise_s, uint16_t by_origin)
{
    bool is_said =
        directives_have(directives, directive) && !(directives->invalid >> directive & 1);
    if (is_said)
        facts->flags |= by_origin;
    return is_said ? directives->seconds[directive] : otherwise_s;
}

static void read_flags(struct cache_facts *facts, const struct directives *directives)
{
    static const struct {
        enum directive directive;
        uint16_t flag;
    } rows[] = {
        {DIRECTIVE_NO_CACHE, CACHE_NO_CACHE},
        {DIRECTIVE_MUST_REVALIDATE, CACHE_MUST_REVALIDATE},
        {DIRECTIVE_PROXY_REVALIDATE, CACHE_MUST_REVALIDATE},
        {DIRECTIVE_S_MAXAGE, CACHE_SHARED_LIMIT},
        {DIRECTIVE_IMMUTABLE, CACHE_IMMUTABLE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (directives_have(directives, rows[i].directive))
            facts->flags |= rows[i].flag;
}

static void read_validators(struct cache_facts *facts, const struct http_fields *fields)
{
    struct entity_tag tag;
    if (entity_tag_find(&tag, fields))
        facts->flags |= CACHE_ETAG | (tag.is_weak ? 0 : CACHE_ETAG_STRONG);
    /* RFC 9110 section 8.8.2.2: what changed within the second before Date could change in it again. */
    if (facts->modified_s && http_fields_has(fields, HTTP_NAME_DATE) &&
        behind(facts->date_s, facts->modified_s) >= 1)
        facts->flags |= CACHE_MODIFIED_STRONG;
}

/* RFC 9111 section 3.5. */
static bool allows_authorization(const struct directives *directives)
{
    return directives_have(directives, DIRECTIVE_MUST_REVALIDATE) ||
           directives_have(directives, DIRECTIVE_PUBLIC) ||
           directives_have(directives, DIRECTIVE_S_MAXAGE);
}

static bool is_storable_by_what_it_says(const struct cache_facts *facts,
                                        const struct directives *directives,
                                        const struct http_fields *fields)
{
    return is_heuristic_status(facts->status) || has_expires(directives, fields) ||
           directives_have(directives, DIRECTIVE_PUBLIC) ||
           directives_have(directives, DIRECTIVE_MAX_AGE) ||
           directives_have(directives, DIRECTIVE_S_MAXAGE);
}

/* Nothing could ever be answered with it. */
static bool is_useless(const struct cache_facts *facts)
{
    bool has_validator = (facts->flags & CACHE_ETAG) || facts->modified_s;
    bool may_be_stale =
        !(facts->flags & CACHE_MUST_REVALIDATE) && (facts->while_revalidate_s || facts->if_error_s);
    bool is_ever_fresh = facts->lifetime_s > facts->initial_age_s;
    return !has_validator && ((facts->flags & CACHE_NO_CACHE) || (!is_ever_fresh && !may_be_stale));
}

enum cache_refusal response_judge(struct cache_facts *facts, const struct cache_policy *policy,
                                  const struct http_fields *request, unsigned status,
                                  const struct http_fields *fields, const struct http_fields *age,
                                  uint64_t request_s, uint64_t response_s)
{
    struct directives asked, said;
    directives_read(&asked, request);
    directives_read_response(&said, fields);
    facts->response_s = response_s;
    facts->status = (uint16_t)status;
    read_dates(facts, fields);
    facts->initial_age_s = initial_age(facts->date_s, age_value(age), request_s, response_s);
    read_flags(facts, &said);
    read_validators(facts, fields);
    read_lifetime(facts, policy, &said, fields);
    facts->while_revalidate_s =
        read_window(facts, &said, DIRECTIVE_STALE_WHILE_REVALIDATE, policy->while_revalidate_s,
                    CACHE_STALE_WHILE_BY_ORIGIN);
    facts->if_error_s = read_window(facts, &said, DIRECTIVE_STALE_IF_ERROR, policy->if_error_s,
                                    CACHE_STALE_ERROR_BY_ORIGIN);

    bool must_understand = directives_have(&said, DIRECTIVE_MUST_UNDERSTAND);
    if (is_unstorable_status(status))
        return CACHE_REFUSAL_STATUS;
    if (must_understand && !is_understood_status(status))
        return CACHE_REFUSAL_NOT_UNDERSTOOD;
    if (directives_have(&asked, DIRECTIVE_NO_STORE))
        return CACHE_REFUSAL_REQUEST;
    if (directives_have(&said, DIRECTIVE_NO_STORE) && !must_understand)
        return CACHE_REFUSAL_NO_STORE;
    if (directives_have(&said, DIRECTIVE_PRIVATE))
        return CACHE_REFUSAL_PRIVATE;
    if (http_fields_has(request, HTTP_NAME_AUTHORIZATION) && !allows_authorization(&said))
        return CACHE_REFUSAL_AUTHORIZATION;
    if (policy->cookies == CACHE_COOKIES_REFUSE && http_fields_has(fields, HTTP_NAME_SET_COOKIE) &&
        !directives_name_field(&said, fields, SPAN("Set-Cookie")))
        return CACHE_REFUSAL_SET_COOKIE;
    if (!is_storable_by_what_it_says(facts, &said, fields))
        return CACHE_REFUSAL_STATUS;
    return is_useless(facts) ? CACHE_REFUSAL_USELESS : CACHE_REFUSAL_NONE;
}

/* A 206 is stored as a part of the 200 that it would have been (RFC 9111 section 3.3). */
static bool read_part(struct cache_facts *facts, const struct http_fields *fields)
{
    if (content_range_read(field_value(fields, HTTP_NAME_CONTENT_RANGE), &facts->first,
                           &facts->last, &facts->length))
        return false; /* several parts, or of unknown length: not worth storing */
    if (facts->first > 0 || facts->last + 1 < facts->length)
        facts->flags |= CACHE_PARTIAL;
    return true;
}

static bool varies_in_everything(const struct http_fields *fields)
{
    struct text names = {0};
    bool is_star = http_fields_has(fields, HTTP_NAME_VARY) && cache_vary_names(&names, fields) < 0;
    text_clear(&names);
    return is_star;
}

enum cache_refusal cache_response_judge(struct cache_facts *facts,
                                        const struct cache_policy *policy,
                                        const struct http_head *request,
                                        const struct http_head *response, uint64_t request_s,
                                        uint64_t response_s)
{
    *facts = (struct cache_facts){0};
    facts->length = response->has_length ? response->content_length : UINT64_MAX;
    facts->last = facts->length - 1;
    bool is_part = response->status == 206;
    bool is_good_part = is_part && http_fields_has(&request->fields, HTTP_NAME_RANGE) &&
                        read_part(facts, &response->fields);
    enum cache_refusal refusal =
        response_judge(facts, policy, &request->fields, is_part ? 200 : response->status,
                       &response->fields, &response->fields, request_s, response_s);
    if (request->method != HTTP_METHOD_GET || request->body != HTTP_BODY_NONE || request->upgrades)
        return CACHE_REFUSAL_METHOD;
    if (is_part && !is_good_part)
        return CACHE_REFUSAL_PARTIAL;
    if (varies_in_everything(&response->fields))
        return CACHE_REFUSAL_VARY;
    return refusal;
}
