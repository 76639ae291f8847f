/* SPDX-License-Identifier: Apache-2.0
 *
 * From rules as the configuration states them to conditions, templates and the index; or to complaints, each with the
 * member that it is about.
 */
#include "rules/private.h"

#include "base/hash.h"
#include "base/memory.h"

enum { FEW_NETWORKS = 8 };

struct compiler {
    struct rules *rules;
    struct arena *arena; /* of the rules */
    bool is_fast, has_failed;
    const struct rules_complaints *complaints;
};

static void complain(struct compiler *compiler, const void *member, const char *sentence)
{
    compiler->has_failed = true;
    compiler->complaints->add(compiler->complaints->argument, member, sentence);
}

/* ---- conditions */

static void keep_regex(struct rules *rules, struct pattern *pattern)
{
    if (!pattern->code)
        return;
    if (rules->regex_count == rules->regex_capacity) {
        rules->regex_capacity = rules->regex_capacity * 2 + 8;
        rules->regexes =
            memory_resize((void *)rules->regexes, rules->regex_capacity, sizeof *rules->regexes);
    }
    rules->regexes[rules->regex_count++] = pattern;
}

static void add_patterns(struct compiler *compiler, struct condition *condition,
                         const struct rules_texts *texts, bool in_lower_case)
{
    condition->patterns = ARENA_ARRAY(compiler->arena, struct pattern, texts->count);
    condition->pattern_count = texts->count;
    for (size_t i = 0; i < texts->count; i++) {
        char *text = arena_text(compiler->arena, texts->items[i]);
        for (char *at = text; in_lower_case && text[0] != '~' && *at; at++)
            *at = (char)ascii_lower((uint8_t)*at);
        const char *why =
            pattern_compile(compiler->arena, text, compiler->is_fast, &condition->patterns[i]);
        keep_regex(compiler->rules, &condition->patterns[i]);
        if (why)
            complain(compiler, &texts->items[i], why);
    }
}

/* The next condition of a conjunction, which has room for it. */
static struct condition *next(struct condition *all, enum condition_kind kind)
{
    struct condition *condition = &all->inner[all->inner_count++];
    condition->kind = kind;
    return condition;
}

static void add_texts(struct compiler *compiler, struct condition *all, enum condition_kind kind,
                      const struct rules_texts *texts, bool in_lower_case)
{
    if (texts->count)
        add_patterns(compiler, next(all, kind), texts, in_lower_case);
}

static void add_pairs(struct compiler *compiler, struct condition *all, enum condition_kind kind,
                      const struct rules_pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        const struct rules_pair *pair = &pairs->items[i];
        struct condition *condition = next(all, kind);
        condition->name = span_text(pair->name);
        condition->id = http_name_of(condition->name);
        if (kind == CONDITION_HEADER && !http_is_token(condition->name))
            complain(compiler, &pair->name, "this is not the name of a header field");
        add_patterns(compiler, condition, &pair->values, false);
    }
}

static void add_methods(struct compiler *compiler, struct condition *all,
                        const struct rules_texts *texts)
{
    if (!texts->count)
        return;
    struct condition *condition = next(all, CONDITION_METHOD);
    condition->texts = *texts;
    const char *names[HTTP_METHOD_COUNT];
    size_t count = 0;
    for (unsigned i = 1; i < HTTP_METHOD_COUNT; i++)
        names[count++] = (const char *)http_method_text((enum http_method)i).data;
    for (size_t i = 0; i < texts->count; i++) {
        struct span text = span_text(texts->items[i]);
        enum http_method method = http_method_of(text);
        const char *nearest = NULL;
        if (!http_is_token(text))
            complain(compiler, &texts->items[i], "this is not a method");
        else if (method == HTTP_METHOD_OTHER)
            for (const char *at = texts->items[i]; *at; at++)
                if ((uint8_t)(*at - 'a') < 26)
                    nearest = nearest_word(texts->items[i], names, count);
        if (nearest)
            complain(compiler, &texts->items[i],
                     arena_format(compiler->arena, "methods are in upper case; did you mean '%s'?",
                                  nearest));
        condition->method_mask |= 1u << method;
    }
}

static void add_countries(struct compiler *compiler, struct condition *all,
                          const struct rules_texts *texts)
{
    if (!texts->count)
        return;
    struct condition *condition = next(all, CONDITION_COUNTRY);
    uint16_t *codes = ARENA_ARRAY(compiler->arena, uint16_t, texts->count);
    for (size_t i = 0; i < texts->count; i++) {
        const char *text = texts->items[i];
        uint8_t first = ascii_lower((uint8_t)text[0]),
                second = first ? ascii_lower((uint8_t)text[1]) : 0;
        if ((uint8_t)(first - 'a') >= 26 || (uint8_t)(second - 'a') >= 26 || text[2])
            complain(compiler, &texts->items[i], "a country has two letters (ISO 3166), like DE");
        codes[i] = (uint16_t)((first & 0xdf) << 8 | (second & 0xdf));
    }
    compiler->rules->asks_for_country = true;
    condition->countries = codes;
    condition->country_count = texts->count;
}

static void add_clients(struct compiler *compiler, struct condition *all,
                        const struct rules_networks *networks)
{
    if (!networks->count)
        return;
    struct condition *condition = next(all, CONDITION_CLIENT);
    struct rules *rules = compiler->rules;
    condition->networks = networks;
    if (networks->count <= FEW_NETWORKS)
        return;
    condition->tree = prefix_tree_new();
    for (size_t i = 0; i < networks->count; i++)
        prefix_tree_put(condition->tree, &networks->items[i], 1);
    prefix_tree_seal(condition->tree);
    if (rules->tree_count == rules->tree_capacity) {
        rules->tree_capacity = rules->tree_capacity * 2 + 8;
        rules->trees =
            memory_resize((void *)rules->trees, rules->tree_capacity, sizeof *rules->trees);
    }
    rules->trees[rules->tree_count++] = condition->tree;
}

static void add_versions(struct compiler *compiler, struct condition *all,
                         const struct rules_texts *texts)
{
    if (!texts->count)
        return;
    next(all, CONDITION_TLS_VERSION)->texts = *texts;
    for (size_t i = 0; i < texts->count; i++)
        if (strcmp(texts->items[i], "1.2") != 0 && strcmp(texts->items[i], "1.3") != 0)
            complain(compiler, &texts->items[i], "a version of TLS is \"1.2\" or \"1.3\"");
}

static void add_flag(struct condition *all, enum condition_kind kind, int said)
{
    if (said != RULES_UNSAID)
        next(all, kind)->wanted = said == RULES_YES;
}

static void add_limit(struct condition *all, enum condition_kind kind, uint64_t above)
{
    if (above)
        next(all, kind)->above = above;
}

/* What a condition costs to try, for their order: regular expressions last. */
static unsigned cost_of(const struct condition *condition)
{
    unsigned cost = (unsigned)condition->kind;
    for (size_t i = 0; i < condition->pattern_count; i++)
        if (condition->patterns[i].kind == PATTERN_REGEX)
            cost = 100 + (unsigned)condition->kind;
    for (size_t i = 0; i < condition->inner_count; i++) {
        unsigned inner = cost_of(&condition->inner[i]);
        cost = inner > cost ? inner : cost;
    }
    return cost;
}

static void sort_inner(struct condition *all)
{
    for (size_t i = 1; i < all->inner_count; i++) {
        struct condition moved = all->inner[i];
        unsigned cost = cost_of(&moved);
        size_t at = i;
        for (; at && cost_of(&all->inner[at - 1]) > cost; at--)
            all->inner[at] = all->inner[at - 1];
        all->inner[at] = moved;
    }
}

static void compile_match(struct compiler *compiler, const struct rules_match *match,
                          struct condition *all);

static void add_group(struct compiler *compiler, struct condition *all, enum condition_kind kind,
                      const struct rules_match *list, size_t count)
{
    if (!count)
        return;
    struct condition *condition = next(all, kind);
    condition->inner = ARENA_ARRAY(compiler->arena, struct condition, count);
    condition->inner_count = count;
    for (size_t i = 0; i < count; i++)
        compile_match(compiler, &list[i], &condition->inner[i]);
}

enum { SINGLE_CONDITIONS = 16 };

static void compile_match(struct compiler *compiler, const struct rules_match *match,
                          struct condition *all)
{
    all->kind = CONDITION_ALL;
    all->inner = ARENA_ARRAY(compiler->arena, struct condition,
                             SINGLE_CONDITIONS + match->headers.count + match->cookies.count +
                                 match->parameters.count);
    add_methods(compiler, all, &match->methods);
    add_flag(all, CONDITION_TLS, match->tls);
    add_flag(all, CONDITION_CERTIFICATE, match->certificate);
    add_limit(all, CONDITION_RTT, match->rtt_above_ns / 1000);
    add_limit(all, CONDITION_LOSS, match->loss_above_percent * 10000ull);
    compiler->rules->asks_for_link |= match->rtt_above_ns || match->loss_above_percent;
    compiler->rules->asks_for_load |= match->load_above_percent > 0;
    add_limit(all, CONDITION_LOAD, match->load_above_percent);
    add_countries(compiler, all, &match->countries);
    add_texts(compiler, all, CONDITION_HOST, &match->hosts, true);
    add_texts(compiler, all, CONDITION_PATH, &match->paths, false);
    add_clients(compiler, all, &match->clients);
    add_versions(compiler, all, &match->tls_versions);
    add_texts(compiler, all, CONDITION_SERVER_NAME, &match->server_names, true);
    add_pairs(compiler, all, CONDITION_HEADER, &match->headers);
    add_texts(compiler, all, CONDITION_QUERY, &match->queries, false);
    add_pairs(compiler, all, CONDITION_COOKIE, &match->cookies);
    add_pairs(compiler, all, CONDITION_PARAMETER, &match->parameters);
    add_group(compiler, all, CONDITION_ALL, match->all, match->all_count);
    add_group(compiler, all, CONDITION_ANY, match->any, match->any_count);
    add_group(compiler, all, CONDITION_NONE, match->none, match->none_count);
    sort_inner(all);
}

/* ---- actions */

static void compile_text(struct compiler *compiler, const void *member, const char *text,
                         struct template *template)
{
    const char *why = text ? template_compile(compiler->arena, text, template) : NULL;
    if (why)
        complain(compiler, member, why);
    for (size_t i = 0; text && i < template->count; i++)
        compiler->rules->asks_for_country |= template->pieces[i].variable == VARIABLE_COUNTRY;
}

/* Neither is part of a URI (RFC 3986), and at an end of Location they would be lost. */
static void refuse_blanks(struct compiler *compiler, const void *member, const char *text)
{
    for (; *text; text++)
        if ((uint8_t)*text <= ' ' || *text == 0x7f) {
            complain(compiler, member, "a URL has no blanks and controls; %20 stands for a blank");
            return;
        }
}

static void compile_target(struct compiler *compiler, const char *const *member,
                           struct template *template)
{
    const char *text = *member;
    compile_text(compiler, member, text, template);
    if (text)
        refuse_blanks(compiler, member, text);
    if (text && (text[0] != '/' || text[1] == '/') && strncmp(text, "$path", 5) != 0 &&
        strncmp(text, "$target", 7) != 0)
        complain(compiler, member, "a path begins with one '/'");
}

static void compile_location(struct compiler *compiler, const struct rules_redirect *redirect,
                             struct template *template)
{
    const char *to = redirect->to;
    compile_text(compiler, &redirect->to, to, template);
    refuse_blanks(compiler, &redirect->to, to);
    if (to[0] != '/' && strncmp(to, "https://", 8) != 0 && strncmp(to, "http://", 7) != 0 &&
        strncmp(to, "$scheme://", 10) != 0)
        complain(compiler, &redirect->to,
                 "a redirect goes to a path, or to a URL that begins with https:// or http://");
    static const uint32_t statuses[] = {301, 302, 303, 307, 308};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (redirect->status == statuses[i])
            return;
    complain(compiler, &redirect->status, "a redirect has status 301, 302, 303, 307 or 308");
}

static void add_edits(struct compiler *compiler, const struct rules_pairs *pairs,
                      enum rules_edit_kind kind, struct edit_source *edits, size_t *count)
{
    for (size_t i = 0; i < pairs->count; i++) {
        const struct rules_pair *pair = &pairs->items[i];
        struct span name = span_text(pair->name);
        if (!http_is_token(name))
            complain(compiler, &pair->name, "this is not the name of a header field");
        for (size_t k = 0; k < pair->values.count; k++) {
            struct edit_source *edit = &edits[(*count)++];
            edit->kind = k ? RULES_EDIT_ADD : kind; /* the first of several replaces */
            edit->name = name;
            compile_text(compiler, &pair->values.items[k], pair->values.items[k], &edit->value);
            if (!http_is_field_value(span_text(pair->values.items[k])))
                complain(compiler, &pair->values.items[k],
                         "this is not the value of a header field");
        }
    }
}

static size_t count_values(const struct rules_pairs *pairs)
{
    size_t count = 0;
    for (size_t i = 0; i < pairs->count; i++)
        count += pairs->items[i].values.count;
    return count;
}

/* The framing of a message is nobody's to change. */
static void check_changed(struct compiler *compiler, const struct edit_source *edit,
                          const void *member)
{
    static const char *const names[] = {"Host",           "Connection",
                                        "Content-Length", "Transfer-Encoding",
                                        "Upgrade",        "TE",
                                        "Trailer",        "Keep-Alive"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (span_equal_nocase(edit->name, span_text(names[i])))
            complain(compiler, member,
                     arena_format(compiler->arena,
                                  "%s is part of the framing and cannot be changed", names[i]));
}

static struct edit_source *compile_changes(struct compiler *compiler,
                                           const struct rules_changes *changes, size_t *count)
{
    if (!changes)
        return NULL;
    struct edit_source *edits =
        ARENA_ARRAY(compiler->arena, struct edit_source,
                    count_values(&changes->set) + count_values(&changes->add) +
                        changes->remove.count);
    for (size_t i = 0; i < changes->remove.count; i++) {
        struct edit_source *edit = &edits[(*count)++];
        edit->kind = RULES_EDIT_REMOVE;
        edit->name = span_text(changes->remove.items[i]);
        if (!http_is_token(edit->name))
            complain(compiler, &changes->remove.items[i], "this is not the name of a header field");
    }
    add_edits(compiler, &changes->set, RULES_EDIT_SET, edits, count);
    add_edits(compiler, &changes->add, RULES_EDIT_ADD, edits, count);
    for (size_t i = 0; i < *count; i++)
        check_changed(compiler, &edits[i], changes);
    return edits;
}

const char *key_part_parse(struct arena *arena, const char *text, struct key_part *part)
{
    static const struct {
        const char *word;
        enum part part;
    } words[] = {
        {"header:", PART_HEADER},  {"cookie:", PART_COOKIE},  {"parameter:", PART_PARAMETER},
        {"client", PART_CLIENT},   {"network", PART_NETWORK}, {"path", PART_PATH},
        {"country", PART_COUNTRY}, {"host", PART_HOST},       {"site", PART_SITE}};
    enum { WORDS = sizeof words / sizeof *words };
    const char *names[WORDS];
    struct span span = span_text(text);
    for (size_t i = 0; i < WORDS; i++) {
        struct span word = span_text(words[i].word);
        bool has_name = words[i].part <= PART_PARAMETER;
        names[i] = words[i].word;
        if (has_name ? !span_starts(span, word) || span.length == word.length
                     : !span_equal(span, word))
            continue;
        part->part = words[i].part;
        part->name = has_name ? span_from(span, word.length) : (struct span){0};
        part->id = http_name_of(part->name);
        return NULL;
    }
    const char *nearest = nearest_word(text, names, WORDS);
    return arena_format(
        arena,
        "it may be client, network, site, host, path, country, header:NAME, cookie:NAME or "
        "parameter:NAME%s%s%s",
        nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

static void compile_limit(struct compiler *compiler, const struct rules_rule *rule, size_t number,
                          const char *site, struct compiled *compiled)
{
    const struct rules_limit *limit = rule->limit;
    compiled->parts = ARENA_ARRAY(compiler->arena, struct key_part, limit->by.count);
    compiled->part_count = limit->by.count;
    for (size_t i = 0; i < limit->by.count; i++) {
        const char *why = key_part_parse(compiler->arena, limit->by.items[i], &compiled->parts[i]);
        if (why)
            complain(compiler, &limit->by.items[i], why);
        compiler->rules->asks_for_country |= compiled->parts[i].part == PART_COUNTRY;
    }
    /* The same rule of the next snapshot has the same buckets. */
    uint64_t numbers[] = {limit->requests, limit->per_ns, limit->burst, rule->name ? 0 : number};
    compiled->limit_seed = hash_span(span_text(site), 0);
    compiled->limit_seed = hash_span(span_text(rule->name), compiled->limit_seed);
    compiled->limit_seed = hash_span(span_of(numbers, sizeof numbers), compiled->limit_seed);
}

static void compile_cache(struct compiler *compiler, const struct rules_cache *cache)
{
    struct key_part part;
    for (size_t i = 0; i < cache->key.count; i++) {
        const char *why = key_part_parse(compiler->arena, cache->key.items[i], &part);
        if (!why &&
            (part.part == PART_CLIENT || part.part == PART_NETWORK || part.part == PART_SITE))
            why = "nothing would be found again; it may be header:NAME, cookie:NAME, country ...";
        if (why)
            complain(compiler, &cache->key.items[i], why);
        compiler->rules->asks_for_country |= !why && part.part == PART_COUNTRY;
    }
    for (size_t i = 0; i < cache->ignore_query.count; i++)
        if (cache->ignore_query.items[i][0] == '~')
            complain(compiler, &cache->ignore_query.items[i],
                     "a name, or one with stars like utm_*");
}

/* An action more, and it is the rule's answer. */
static void count_answer(struct compiler *compiler, const void *given, const void *member,
                         unsigned *answers)
{
    if (given && ++*answers == 2)
        complain(compiler, member, "a rule has one answer: redirect, block, answer or files");
}

static void compile_rule(struct compiler *compiler, size_t index, const char *site)
{
    const struct rules_rule *rule = &compiler->rules->list[index];
    struct compiled *compiled = &compiler->rules->compiled[index];
    static const struct rules_match everything;
    unsigned answers = 0;
    compile_match(compiler, rule->match ? rule->match : &everything, &compiled->root);
    count_answer(compiler, rule->redirect, &rule->redirect, &answers);
    count_answer(compiler, rule->block, &rule->block, &answers);
    count_answer(compiler, rule->answer, &rule->answer, &answers);
    count_answer(compiler, rule->files, &rule->files, &answers);
    compiled->is_last = answers || rule->stop;
    bool has_setting = rule->priority || rule->session_class || rule->cache || rule->request ||
                       rule->response || rule->rewrite || rule->origins || rule->limit ||
                       rule->server_timing || rule->encode;
    if (!compiled->is_last && !has_setting)
        complain(compiler, rule,
                 "the rule does nothing; it may have priority, session_class, cache, encode, "
                 "request, response, "
                 "server_timing, rewrite, origins, limit, redirect, block, answer, files or stop");
    if (rule->rewrite)
        compile_target(compiler, &rule->rewrite, &compiled->rewrite);
    if (rule->redirect)
        compile_location(compiler, rule->redirect, &compiled->location);
    compiled->request = compile_changes(compiler, rule->request, &compiled->request_count);
    compiled->response = compile_changes(compiler, rule->response, &compiled->response_count);
    if (rule->limit)
        compile_limit(compiler, rule, index, site, compiled);
    if (rule->cache)
        compile_cache(compiler, rule->cache);
}

struct rules *rules_compile(const struct rules_rule *list, size_t count, const char *site,
                            bool is_fast, const struct rules_complaints *complaints)
{
    struct rules *rules = NEW(struct rules);
    struct compiler compiler = {rules, &rules->arena, is_fast, false, complaints};
    INVARIANT(count <= RULES_LIMIT);
    rules->list = list;
    rules->count = count;
    rules->compiled = ARENA_ARRAY(&rules->arena, struct compiled, count);
    for (size_t i = 0; i < count; i++)
        compile_rule(&compiler, i, site);
    if (compiler.has_failed)
        rules_free(&rules);
    else
        rules->index = index_new(rules, &rules->arena);
    return rules;
}

void rules_free(struct rules **freed)
{
    struct rules *rules = *freed;
    if (!rules)
        return;
    for (size_t i = 0; i < rules->regex_count; i++)
        pattern_clear(rules->regexes[i]);
    for (size_t i = 0; i < rules->tree_count; i++)
        prefix_tree_free(rules->trees[i]);
    if (rules->index)
        index_free(&rules->index);
    memory_free((void *)rules->regexes);
    memory_free((void *)rules->trees);
    arena_clear(&rules->arena);
    memory_free(rules);
    *freed = NULL;
}

size_t rules_count(const struct rules *rules)
{
    return rules ? rules->count : 0;
}

const struct rules_rule *rules_at(const struct rules *rules, size_t index)
{
    return &rules->list[index];
}

bool rules_ask_for_link(const struct rules *rules)
{
    return rules && rules->asks_for_link;
}

bool rules_ask_for_load(const struct rules *rules)
{
    return rules && rules->asks_for_load;
}

bool rules_ask_for_country(const struct rules *rules)
{
    return rules && rules->asks_for_country;
}
