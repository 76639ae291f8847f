/* SPDX-License-Identifier: Apache-2.0
 *
 * What a rule does, in words, for `causeway rules test`.
 */
#include "rules/rules.h"

static void add_texts(struct text *lines, const char *what, const struct rules_texts *texts)
{
    if (!texts->count)
        return;
    text_add(lines, what);
    for (size_t i = 0; i < texts->count; i++)
        text_add_format(lines, "%s %s", i ? "," : "", texts->items[i]);
    text_add(lines, "\n");
}

static void add_pairs(struct text *lines, const char *what, const struct rules_pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++)
        for (size_t k = 0; k < pairs->items[i].values.count; k++)
            text_add_format(lines, "%s %s: %s\n", what, pairs->items[i].name,
                            pairs->items[i].values.items[k]);
}

static void describe_cache(const struct rules_cache *cache, struct text *lines)
{
    if (cache->ttl_ns)
        text_add_format(lines, "cache: for %llu s\n",
                        (unsigned long long)(cache->ttl_ns / 1000000000));
    if (cache->bypass != RULES_UNSAID)
        text_add(lines, cache->bypass == RULES_YES ? "cache: pass by\n" : "cache: use\n");
    if (cache->store_cookies != RULES_UNSAID)
        text_add(lines, cache->store_cookies == RULES_YES ? "cache: store with Set-Cookie\n"
                                                          : "cache: not with Set-Cookie\n");
    add_texts(lines, "cache: key without", &cache->ignore_query);
    add_texts(lines, "cache: key with", &cache->key);
}

static void describe_changes(const struct rules_changes *changes, const char *whose,
                             struct text *lines)
{
    struct text what = {0};
    text_add_format(&what, "%s: remove", whose);
    add_texts(lines, what.data, &changes->remove);
    text_reset(&what);
    text_add_format(&what, "%s: set", whose);
    add_pairs(lines, what.data, &changes->set);
    text_reset(&what);
    text_add_format(&what, "%s: add", whose);
    add_pairs(lines, what.data, &changes->add);
    text_clear(&what);
}

static void describe_limit(const struct rules_limit *limit, struct text *lines)
{
    text_add_format(lines, "limit: %u in %.3g s", limit->requests, (double)limit->per_ns / 1e9);
    if (limit->burst)
        text_add_format(lines, ", %u at once", limit->burst);
    add_texts(lines, ", for each", &limit->by);
}

void rules_describe(const struct rules_rule *rule, struct text *lines)
{
    static const char *const priorities[] = {"", "urgent", "high", "normal", "low", "background"};
    if (rule->priority != RULES_PRIORITY_UNSAID)
        text_add_format(lines, "priority: %s\n", priorities[rule->priority]);
    if (rule->session_class)
        text_add_format(lines, "session: %s for %llu s\n",
                        priorities[rule->session_class->priority],
                        (unsigned long long)(rule->session_class->for_ns / 1000000000));
    if (rule->cache)
        describe_cache(rule->cache, lines);
    if (rule->encode)
        text_add_format(lines, "encode: %s\n", rule->encode == RULES_YES ? "on" : "off");
    if (rule->request)
        describe_changes(rule->request, "request", lines);
    if (rule->response)
        describe_changes(rule->response, "response", lines);
    if (rule->server_timing != RULES_UNSAID)
        text_add_format(lines, "Server-Timing: %s\n",
                        rule->server_timing == RULES_YES ? "told" : "not told");
    if (rule->rewrite)
        text_add_format(lines, "rewrite: %s\n", rule->rewrite);
    if (rule->origins)
        text_add_format(lines, "origins: %s\n", rule->origins);
    if (rule->limit)
        describe_limit(rule->limit, lines);
    if (rule->redirect)
        text_add_format(lines, "redirect: %u to %s\n", rule->redirect->status, rule->redirect->to);
    if (rule->block)
        text_add_format(lines, "block: %u\n", rule->block->status);
    if (rule->answer)
        text_add_format(lines, "answer: %u, %zu bytes of %s\n", rule->answer->status,
                        rule->answer->body ? strlen(rule->answer->body) : 0, rule->answer->type);
    if (rule->files)
        text_add_format(lines, "files: %s\n", rule->files->root);
    if (rule->stop)
        text_add(lines, "stop\n");
}

const char *rules_outcome_name(enum rules_outcome outcome)
{
    switch (outcome) {
    case RULES_PASS:
        return "pass";
    case RULES_REDIRECT:
        return "redirect";
    case RULES_BLOCK:
        return "block";
    case RULES_ANSWER:
        return "answer";
    case RULES_FILES:
        return "files";
    case RULES_FAILED:
        return "failed";
    }
    return "";
}
