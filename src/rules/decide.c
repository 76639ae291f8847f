/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rules say of one request: those that it may fulfil are tried in the order of the list, and what they say is
 * gathered, up to the first one with an answer.
 */
#include "rules/private.h"

#include "base/hash.h"

struct deciding {
    const struct rules *rules;
    struct rules_matcher *matcher;
    struct subject subject;
    struct rules_decision *decision;
};

static void fail(struct deciding *deciding, const char *cause)
{
    struct rules_decision *decision = deciding->decision;
    decision->outcome = RULES_FAILED;
    decision->status = 500;
    decision->cause = cause;
    decision->by = NULL;
    decision->location = decision->target = (struct span){0};
}

static const char too_long[] = "what a rule of the site makes of this request is too long";

/* ---- settings */

/* A path with dot segments ("/account/..%2fstatic/x") is one path to a rule and may be another to the origin, whose answer is then
 * not what the owner wants stored longer than it says itself. */
static void merge_cache(struct rules_cache *cache, const struct rules_cache *said, bool had_dots)
{
    if (said->ttl_ns && !had_dots)
        cache->ttl_ns = said->ttl_ns;
    if (said->ignore_query.count)
        cache->ignore_query = said->ignore_query;
    if (said->key.count)
        cache->key = said->key;
    if (said->store_cookies == RULES_NO || (said->store_cookies == RULES_YES && !had_dots))
        cache->store_cookies = said->store_cookies;
    if (said->bypass != RULES_UNSAID)
        cache->bypass = said->bypass;
}

static bool add_edits(struct deciding *deciding, struct rules_edits *edits,
                      const struct edit_source *sources, size_t count)
{
    struct arena *arena = deciding->subject.arena;
    if (edits->count + count > edits->capacity) {
        struct rules_edit *list = ARENA_ARRAY(arena, struct rules_edit, (edits->count + count) * 2);
        if (edits->count)
            memcpy(list, edits->list, edits->count * sizeof *list);
        edits->list = list;
        edits->capacity = (edits->count + count) * 2;
    }
    for (size_t i = 0; i < count; i++) {
        struct rules_edit *edit = &edits->list[edits->count++];
        edit->kind = sources[i].kind;
        edit->name = arena_copy(arena, sources[i].name);
        if (!template_expand(&sources[i].value, TEMPLATE_VALUE, &deciding->subject,
                             &deciding->matcher->captures, &edit->value))
            return false;
        edit->value = span_trim(edit->value);
    }
    return true;
}

struct span key_part_value(const struct key_part *part, const struct subject *subject,
                           const struct address *client)
{
    const struct rules_facts *facts = subject->facts;
    const struct http_fields *fields = &facts->head->fields;
    const struct http_field *field;
    struct span rest, name, value;
    switch (part->part) {
    case PART_HEADER:
        field = part->id == HTTP_NAME_OTHER ? http_fields_find_text(fields, part->name)
                                            : http_fields_find(fields, part->id);
        return field ? field->value : (struct span){0};
    case PART_COOKIE:
        field = http_fields_find(fields, HTTP_NAME_COOKIE);
        rest = field ? field->value : (struct span){0};
        while (subject_next_cookie(&rest, &name, &value))
            if (span_equal(name, part->name))
                return value;
        return (struct span){0};
    case PART_PARAMETER:
        rest = subject->query;
        while (subject_next_parameter(subject, &rest, &name, &value))
            if (span_equal(name, part->name))
                return value;
        return (struct span){0};
    case PART_CLIENT: /* of IPv6 a host has a whole /64 */
        return span_of(client->bytes, client->family == 4 ? 4 : 8);
    case PART_NETWORK:
        return span_of(client->bytes, client->family == 4 ? 3 : 6);
    case PART_PATH:
        return subject->path;
    case PART_COUNTRY:
        return span_of(facts->country, 2);
    case PART_HOST:
        return facts->head->host;
    case PART_SITE:
        break;
    }
    return (struct span){0};
}

static void add_toll(struct deciding *deciding, const struct rules_rule *rule,
                     const struct compiled *compiled)
{
    struct rules_decision *decision = deciding->decision;
    struct address client = address_unmap(&deciding->subject.facts->client);
    uint64_t key = compiled->limit_seed ^ deciding->matcher->seed;
    for (size_t i = 0; i < compiled->part_count; i++) {
        struct span value = key_part_value(&compiled->parts[i], &deciding->subject, &client);
        key = hash_span(value, key + value.length);
    }
    if (!decision->tolls)
        decision->tolls =
            ARENA_ARRAY(deciding->subject.arena, struct rules_toll, RULES_MATCHED_MOST);
    decision->tolls[decision->toll_count++] =
        (struct rules_toll){rule->limit, hash_span(SPAN("limit"), key)};
}

/* ---- answers */

static void answer(struct deciding *deciding, const struct rules_rule *rule,
                   const struct compiled *compiled)
{
    struct rules_decision *decision = deciding->decision;
    decision->by = rule;
    if (rule->redirect) {
        decision->outcome = RULES_REDIRECT;
        decision->status = rule->redirect->status;
        if (!template_expand(&compiled->location, TEMPLATE_TARGET, &deciding->subject,
                             &deciding->matcher->captures, &decision->location))
            fail(deciding, too_long);
    } else if (rule->block) {
        decision->outcome = RULES_BLOCK;
        decision->status = rule->block->status;
    } else if (rule->answer) {
        decision->outcome = RULES_ANSWER;
        decision->status = rule->answer->status;
    } else if (rule->files) {
        decision->outcome = RULES_FILES;
        decision->status = 200;
    } else {
        decision->by = NULL; /* it only stops */
    }
}

static void rewrite(struct deciding *deciding, const struct compiled *compiled)
{
    struct span target;
    if (!template_expand(&compiled->rewrite, TEMPLATE_TARGET, &deciding->subject,
                         &deciding->matcher->captures, &target))
        fail(deciding, too_long);
    else if (!target.length || target.data[0] != '/' || !http_is_target(target))
        fail(deciding, "what a rule of the site makes of this target is none");
    else
        deciding->decision->target = target;
}

/* False: this rule is the last. */
static bool act(struct deciding *deciding, size_t number)
{
    const struct rules_rule *rule = &deciding->rules->list[number];
    const struct compiled *compiled = &deciding->rules->compiled[number];
    struct rules_decision *decision = deciding->decision;
    if (decision->matched_count == RULES_MATCHED_MOST) {
        fail(deciding, "too many rules of the site act on this request");
        return false;
    }
    decision->matched[decision->matched_count++] = (uint16_t)number;
    if (rule->priority != RULES_PRIORITY_UNSAID)
        decision->priority = rule->priority - RULES_PRIORITY_URGENT;
    if (rule->session_class) {
        decision->session_class = rule->session_class->priority - RULES_PRIORITY_URGENT;
        decision->session_class_ns = rule->session_class->for_ns;
    }
    if (rule->cache)
        merge_cache(&decision->cache, rule->cache, deciding->subject.had_dots);
    if (rule->server_timing != RULES_UNSAID)
        decision->server_timing = rule->server_timing;
    if (rule->encode)
        decision->encode = rule->encode;
    if (rule->origins)
        decision->origins = rule->origins;
    if (rule->limit)
        add_toll(deciding, rule, compiled);
    if (!add_edits(deciding, &decision->request, compiled->request, compiled->request_count) ||
        !add_edits(deciding, &decision->response, compiled->response, compiled->response_count)) {
        fail(deciding, too_long);
        return false;
    }
    if (rule->rewrite)
        rewrite(deciding, compiled);
    if (compiled->is_last && decision->outcome != RULES_FAILED)
        answer(deciding, rule, compiled);
    return !compiled->is_last && decision->outcome != RULES_FAILED;
}

/* False: enough. */
static bool try_rule(struct deciding *deciding, size_t number)
{
    struct rules_matcher *matcher = deciding->matcher;
    deciding->decision->considered++;
    matcher->captures.count = 0;
    bool holds =
        condition_holds(&deciding->rules->compiled[number].root, &deciding->subject, matcher);
    if (matcher->failure) {
        fail(deciding, matcher->failure);
        return false;
    }
    return !holds || act(deciding, number);
}

static void try_candidates(struct deciding *deciding, const struct candidates *candidates)
{
    for (unsigned i = 0; i < RULES_SUMMARY; i++)
        for (uint64_t words = candidates->summary[i]; words; words &= words - 1) {
            unsigned word = i * 64 + (unsigned)__builtin_ctzll(words);
            for (uint64_t bits = candidates->words[word]; bits; bits &= bits - 1)
                if (!try_rule(deciding, word * 64 + (unsigned)__builtin_ctzll(bits)))
                    return;
        }
}

void rules_decide(const struct rules *rules, struct rules_matcher *matcher,
                  const struct rules_facts *facts, struct arena *arena,
                  struct rules_decision *decision)
{
    *decision = (struct rules_decision){.outcome = RULES_PASS, .priority = -1, .session_class = -1};
    if (!rules || !rules->count)
        return;
    struct deciding deciding = {.rules = rules, .matcher = matcher, .decision = decision};
    struct candidates candidates; /* 2 KiB, of which index_find() sets what counts */
    matcher->failure = NULL;
    subject_init(&deciding.subject, facts, arena);
    decision->path = deciding.subject.path;
    index_find(rules->index, &deciding.subject, &candidates);
    try_candidates(&deciding, &candidates);
}

int rules_edit_fields(struct http_fields *fields, const struct rules_edits *edits)
{
    for (size_t i = 0; i < edits->count; i++) {
        const struct rules_edit *edit = &edits->list[i];
        enum http_name id = http_name_of(edit->name);
        if (edit->kind != RULES_EDIT_ADD) {
            if (id == HTTP_NAME_OTHER)
                http_fields_remove_text(fields, edit->name);
            else
                http_fields_remove(fields, id);
        }
        if (edit->kind == RULES_EDIT_REMOVE || !edit->value.length)
            continue; /* an empty value is no field */
        int result = http_fields_add_text(fields, edit->name, edit->value);
        if (result < 0)
            return result;
    }
    return 0;
}
