/* SPDX-License-Identifier: Apache-2.0
 *
 * Types of a site: names and rows become numbers and conditions, or complaints; and which of them a request is.
 */
#include "types/private.h"

#include "base/memory.h"

static const char *const builtin_names[] = {
#define X(name, text, help) text,
    TYPES_LIST(X)
#undef X
};

/* ---- compiling */

struct compiler {
    struct types *types;
    const struct rules_complaints *complaints;
    bool has_failed;
};

static void complain(struct compiler *compiler, const void *member, const char *sentence)
{
    compiler->has_failed = true;
    compiler->complaints->add(compiler->complaints->argument, member, sentence);
}

static void on_rule_complaint(void *argument, const void *member, const char *sentence)
{
    complain(argument, member, sentence);
}

/* What the gateway cannot know of a request matches nothing there, so it must not be asked for. */
static void check_match(struct compiler *compiler, const struct rules_match *match)
{
    static const char sentence[] =
        "a gateway does not know this of a request; a type may ask for "
        "method, host, path, query, parameter, header, cookie and client";
    const struct {
        bool is_stated;
        const void *member;
    } unknown[] = {
        {match->countries.count, &match->countries.items},
        {match->tls_versions.count, &match->tls_versions.items},
        {match->server_names.count, &match->server_names.items},
        {match->certificate, &match->certificate},
        {match->tls, &match->tls},
        {match->rtt_above_ns, &match->rtt_above_ns},
        {match->loss_above_percent, &match->loss_above_percent},
        {match->load_above_percent, &match->load_above_percent},
    };
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        if (unknown[i].is_stated)
            complain(compiler, unknown[i].member, sentence);
    for (size_t i = 0; i < match->all_count; i++)
        check_match(compiler, &match->all[i]);
    for (size_t i = 0; i < match->any_count; i++)
        check_match(compiler, &match->any[i]);
    for (size_t i = 0; i < match->none_count; i++)
        check_match(compiler, &match->none[i]);
}

static bool is_name(const char *name)
{
    size_t length = strlen(name);
    return length && length <= TYPES_NAME_MOST &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == length;
}

/* False: it is none, and was told of. */
static bool number_name(struct compiler *compiler, const struct types_rule *row, uint8_t *type)
{
    struct types *types = compiler->types;
    if (types_find(types, row->name, type) == 0)
        return true;
    if (!is_name(row->name)) {
        complain(compiler, &row->name,
                 "the name of a type has up to 32 lower-case letters, digits, '_' and '-'");
        return false;
    }
    if (types->count == TYPES_MOST) {
        complain(compiler, &row->name,
                 "a site has at most 16 types, the four that every site has "
                 "among them");
        return false;
    }
    *type = (uint8_t)types->count;
    types->names[types->count++] = arena_text(&types->arena, row->name);
    return true;
}

static void add_row(struct compiler *compiler, const struct types_rule *row)
{
    struct types *types = compiler->types;
    uint8_t type;
    if (!number_name(compiler, row, &type))
        return;
    if (row->repeatable != RULES_UNSAID) {
        int *said = &types->repeatable[type];
        if (*said != RULES_UNSAID && *said != row->repeatable)
            complain(compiler, &row->repeatable,
                     "another row says the contrary of the same type; 'repeatable' is said once");
        *said = row->repeatable;
    }
    if (!row->match) {
        if (row->repeatable == RULES_UNSAID)
            complain(compiler, row,
                     "this row says nothing of its type: it needs 'match' or "
                     "'repeatable'");
        return;
    }
    check_match(compiler, row->match);
    types->list[types->rule_count] = (struct rules_rule){.match = row->match, .stop = true};
    types->type_of_rule[types->rule_count++] = type;
}

struct types *types_compile(const struct types_settings *settings,
                            const struct rules_complaints *complaints)
{
    struct types *types = NEW(struct types);
    struct compiler compiler = {types, complaints, false};
    types->learns = settings->learns;
    types->count = TYPES_BUILTIN;
    memcpy(types->names, builtin_names, sizeof builtin_names);
    types->list = ARENA_ARRAY(&types->arena, struct rules_rule, settings->count + 1);
    types->type_of_rule = ARENA_ARRAY(&types->arena, uint8_t, settings->count + 1);
    for (size_t i = 0; i < settings->count; i++)
        add_row(&compiler, &settings->list[i]);
    if (types->rule_count) {
        const struct rules_complaints ours = {on_rule_complaint, &compiler};
        types->rules = rules_compile(types->list, types->rule_count, "", false, &ours);
    }
    if (compiler.has_failed)
        types_free(&types);
    return types;
}

void types_free(struct types **freed)
{
    struct types *types = *freed;
    if (!types)
        return;
    *freed = NULL;
    rules_free(&types->rules);
    arena_clear(&types->arena);
    memory_free(types);
}

/* ---- names */

size_t types_count(const struct types *types)
{
    return types ? types->count : TYPES_BUILTIN;
}

const char *types_name(const struct types *types, uint8_t type)
{
    INVARIANT(type < types_count(types));
    return types ? types->names[type] : builtin_names[type];
}

int types_find(const struct types *types, const char *name, uint8_t *type)
{
    for (size_t i = 0; i < types_count(types); i++)
        if (strcmp(types_name(types, (uint8_t)i), name) == 0) {
            *type = (uint8_t)i;
            return 0;
        }
    return ERROR_NOT_FOUND;
}

/* ---- recognising */

static bool by_rule(const struct types *types, struct rules_matcher *matcher,
                    const struct rules_facts *facts, struct arena *arena, uint8_t *type)
{
    struct rules_decision decision;
    if (!types || !types->rules)
        return false;
    rules_decide(types->rules, matcher, facts, arena, &decision);
    if (!decision.matched_count)
        return false;
    *type = types->type_of_rule[decision.matched[0]];
    return true;
}

static bool by_learning(const struct types *types, const struct types_learner *learner,
                        const struct types_found *found, uint8_t *type)
{
    return learner && (!types || types->learns) && learner_find(learner, found->shapes, type);
}

void types_recognise(const struct types *types, struct types_learner *learner,
                     struct rules_matcher *matcher, uint64_t site, const struct rules_facts *facts,
                     struct arena *arena, struct types_found *found)
{
    const struct http_head *head = facts->head;
    uint8_t guess = guess_type(head);
    shapes_of(head, site, guess, found->shapes);
    found->by = TYPES_BY_RULE;
    if (!by_rule(types, matcher, facts, arena, &found->type)) {
        found->by = TYPES_BY_LEARNING;
        if (!by_learning(types, learner, found, &found->type)) {
            found->by = TYPES_BY_GUESS;
            found->type = guess;
        }
        if (found->type == TYPES_STATIC && !http_method_is_safe(head->method))
            found->type = TYPES_DYNAMIC; /* however fast it is */
    }
    int said = types ? types->repeatable[found->type] : RULES_UNSAID;
    found->is_repeatable =
        said == RULES_UNSAID ? http_method_is_idempotent(head->method) : said == RULES_YES;
    found->is_hedgeable =
        said == RULES_UNSAID ? http_method_is_safe(head->method) : said == RULES_YES;
}
