/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a request fulfils a condition.
 */
#include "rules/private.h"

static bool any_pattern(const struct condition *condition, struct span subject,
                        struct rules_matcher *matcher, struct captures *captures)
{
    for (size_t i = 0; i < condition->pattern_count; i++)
        if (pattern_matches(&condition->patterns[i], subject, matcher, captures))
            return true;
    return false;
}

static bool any_text(const struct rules_texts *texts, struct span text)
{
    for (size_t i = 0; i < texts->count; i++)
        if (span_equal(span_text(texts->items[i]), text))
            return true;
    return false;
}

static bool holds_method(const struct condition *condition, const struct http_head *head)
{
    if (head->method != HTTP_METHOD_OTHER)
        return condition->method_mask >> head->method & 1;
    return any_text(&condition->texts, head->method_text);
}

static bool holds_header(const struct condition *condition, const struct subject *subject,
                         struct rules_matcher *matcher)
{
    const struct http_fields *fields = &subject->facts->head->fields;
    bool is_known = condition->id != HTTP_NAME_OTHER;
    if (is_known && !http_fields_has(fields, condition->id))
        return false;
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->list[i];
        bool is_named = is_known ? field->id == condition->id
                                 : field->id == HTTP_NAME_OTHER &&
                                       span_equal_nocase(field->name, condition->name);
        if (is_named && any_pattern(condition, field->value, matcher, NULL))
            return true;
    }
    return false;
}

static bool holds_cookie(const struct condition *condition, const struct subject *subject,
                         struct rules_matcher *matcher)
{
    const struct http_fields *fields = &subject->facts->head->fields;
    if (!http_fields_has(fields, HTTP_NAME_COOKIE))
        return false;
    for (uint32_t i = 0; i < fields->count; i++) {
        struct span rest = fields->list[i].value, name, value;
        while (fields->list[i].id == HTTP_NAME_COOKIE && subject_next_cookie(&rest, &name, &value))
            if (span_equal(name, condition->name) && any_pattern(condition, value, matcher, NULL))
                return true;
    }
    return false;
}

static bool holds_parameter(const struct condition *condition, const struct subject *subject,
                            struct rules_matcher *matcher)
{
    struct span rest = subject->query, name, value;
    while (subject_next_parameter(subject, &rest, &name, &value))
        if (span_equal(name, condition->name) && any_pattern(condition, value, matcher, NULL))
            return true;
    return false;
}

static bool holds_client(const struct condition *condition, const struct address *client)
{
    struct address host = address_unmap(client);
    if (condition->tree)
        return prefix_tree_find(condition->tree, &host, NULL) >= 0;
    for (size_t i = 0; i < condition->networks->count; i++)
        if (network_has(&condition->networks->items[i], &host))
            return true;
    return false;
}

static bool holds_country(const struct condition *condition, const uint8_t country[2])
{
    uint16_t code = (uint16_t)(country[0] << 8 | country[1]);
    for (size_t i = 0; code && i < condition->country_count; i++)
        if (condition->countries[i] == code)
            return true;
    return false;
}

static bool is_above(uint32_t value, uint64_t limit)
{
    return value != RULES_UNKNOWN && value > limit;
}

static bool holds_any_inner(const struct condition *condition, const struct subject *subject,
                            struct rules_matcher *matcher)
{
    for (size_t i = 0; i < condition->inner_count; i++)
        if (condition_holds(&condition->inner[i], subject, matcher))
            return true;
    return false;
}

static bool holds_all_inner(const struct condition *condition, const struct subject *subject,
                            struct rules_matcher *matcher)
{
    for (size_t i = 0; i < condition->inner_count; i++)
        if (!condition_holds(&condition->inner[i], subject, matcher))
            return false;
    return true;
}

bool condition_holds(const struct condition *condition, const struct subject *subject,
                     struct rules_matcher *matcher)
{
    const struct rules_facts *facts = subject->facts;
    struct captures *captures = &matcher->captures;
    switch (condition->kind) {
    case CONDITION_METHOD:
        return holds_method(condition, facts->head);
    case CONDITION_TLS:
        return facts->is_tls == condition->wanted;
    case CONDITION_CERTIFICATE:
        return facts->has_certificate == condition->wanted;
    case CONDITION_RTT:
        return is_above(facts->rtt_us, condition->above);
    case CONDITION_LOSS:
        return is_above(facts->loss_ppm, condition->above);
    case CONDITION_LOAD:
        return is_above(facts->load_percent, condition->above);
    case CONDITION_COUNTRY:
        return holds_country(condition, facts->country);
    case CONDITION_HOST:
        return any_pattern(condition, facts->head->host, matcher, captures);
    case CONDITION_PATH:
        return any_pattern(condition, subject->path, matcher, captures);
    case CONDITION_CLIENT:
        return holds_client(condition, &facts->client);
    case CONDITION_TLS_VERSION:
        return any_text(&condition->texts, facts->tls_version);
    case CONDITION_SERVER_NAME:
        return facts->server_name.length &&
               any_pattern(condition, facts->server_name, matcher, NULL);
    case CONDITION_HEADER:
        return holds_header(condition, subject, matcher);
    case CONDITION_QUERY:
        return any_pattern(condition, subject->query, matcher, NULL);
    case CONDITION_COOKIE:
        return holds_cookie(condition, subject, matcher);
    case CONDITION_PARAMETER:
        return holds_parameter(condition, subject, matcher);
    case CONDITION_ALL:
        return holds_all_inner(condition, subject, matcher);
    case CONDITION_ANY:
        return holds_any_inner(condition, subject, matcher);
    case CONDITION_NONE:
        return !holds_any_inner(condition, subject, matcher);
    }
    return false;
}
