/* SPDX-License-Identifier: Apache-2.0
 *
 * Which fields of a response are stored (RFC 9111 section 3.1), and how a 304 or an answer to HEAD updates them (3.2).
 */
#include "cache/directives.h"
#include "cache/response.h"
#include "cache/validator.h"

/* Connection's own, or made anew for every answer. Content-Range and Content-Length are among the facts. */
static bool is_never_kept(const struct http_field *field)
{
    static const enum http_name names[] = {
        HTTP_NAME_AGE,
        HTTP_NAME_CONNECTION,
        HTTP_NAME_CONTENT_LENGTH,
        HTTP_NAME_CONTENT_RANGE,
        HTTP_NAME_KEEP_ALIVE,
        HTTP_NAME_PROXY_AUTHENTICATE,
        HTTP_NAME_TE,
        HTTP_NAME_PROXY_AUTHORIZATION,
        HTTP_NAME_PROXY_CONNECTION,
        HTTP_NAME_UPGRADE,
        HTTP_NAME_TRANSFER_ENCODING,
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (field->id == names[i])
            return true;
    return field->id == HTTP_NAME_OTHER &&
           span_equal_nocase(field->name, SPAN("Proxy-Authentication-Info"));
}

bool response_keeps_field(const struct http_field *field, const struct cache_policy *policy,
                          const struct directives *directives,
                          const struct http_fields *directives_of)
{
    if (is_never_kept(field))
        return false;
    if (field->id == HTTP_NAME_SET_COOKIE && policy->cookies != CACHE_COOKIES_KEEP)
        return false;
    return !directives_name_field(directives, directives_of, field->name);
}

static int copy_kept(struct http_fields *to, const struct cache_policy *policy,
                     const struct http_fields *from)
{
    struct directives directives;
    directives_read_response(&directives, from);
    for (uint32_t i = 0; i < from->count; i++) {
        const struct http_field *field = &from->list[i];
        if (!response_keeps_field(field, policy, &directives, from) ||
            http_fields_list_has(from, HTTP_NAME_CONNECTION, field->name))
            continue;
        int result = http_fields_add_text(to, field->name, field->value);
        if (result)
            return result;
    }
    return 0;
}

static int set_date(struct http_fields *fields, uint64_t seconds)
{
    char date[HTTP_DATE_BYTES];
    return http_fields_set(fields, HTTP_NAME_DATE, span_text(http_date_text(seconds, date)));
}

static bool has_date(const struct http_fields *fields, uint64_t now_s)
{
    uint64_t seconds;
    return !http_date_read(field_value(fields, HTTP_NAME_DATE), now_s, &seconds);
}

int cache_response_fields(struct http_fields *stored, const struct cache_policy *policy,
                          const struct http_fields *response, uint64_t response_s)
{
    int result = copy_kept(stored, policy, response);
    if (!result && !has_date(response, response_s))
        result = set_date(stored, response_s);
    return result;
}

/* The stored bytes were made with these: a 304 cannot change them after the fact. */
static bool is_bound_to_content(enum http_name id)
{
    return id == HTTP_NAME_CONTENT_ENCODING || id == HTTP_NAME_CONTENT_RANGE ||
           id == HTTP_NAME_CONTENT_LENGTH;
}

static int update(struct http_fields *updated, const struct cache_policy *policy,
                  const struct http_fields *stored, const struct http_fields *answer)
{
    for (uint32_t i = 0; i < stored->count; i++) {
        const struct http_field *field = &stored->list[i];
        if (!is_bound_to_content(field->id) && http_fields_find_text(answer, field->name))
            continue;
        int result = http_fields_add_text(updated, field->name, field->value);
        if (result)
            return result;
    }
    struct http_fields news = {.arena = updated->arena};
    int result = copy_kept(&news, policy, answer);
    for (uint32_t i = 0; !result && i < news.count; i++)
        if (!is_bound_to_content(news.list[i].id))
            result = http_fields_add_text(updated, news.list[i].name, news.list[i].value);
    return result;
}

int cache_parts_fields(struct http_fields *both, const struct cache_policy *policy,
                       const struct http_fields *older, const struct http_fields *newer_response)
{
    return update(both, policy, older, newer_response);
}

enum cache_refusal cache_validation_freshen(struct cache_facts *facts, struct http_fields *updated,
                                            const struct cache_policy *policy,
                                            const struct http_head *request,
                                            const struct http_head *answer,
                                            const struct http_fields *stored, uint64_t request_s,
                                            uint64_t response_s)
{
    struct cache_facts before = *facts;
    if (update(updated, policy, stored, &answer->fields) ||
        (!has_date(&answer->fields, response_s) && set_date(updated, response_s)))
        return CACHE_REFUSAL_FIELDS;
    *facts = (struct cache_facts){.flags = before.flags & (CACHE_PARTIAL | CACHE_SLICED),
                                  .slice_bytes = before.slice_bytes,
                                  .length = before.length,
                                  .first = before.first,
                                  .last = before.last,
                                  .content = before.content};
    return response_judge(facts, policy, &request->fields, before.status, updated, &answer->fields,
                          request_s, response_s);
}
