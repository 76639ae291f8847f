/* SPDX-License-Identifier: Apache-2.0
 *
 * Which rules a request may fulfil. Of the conditions that a rule cannot do without, one becomes its *anchor*, the one that it shares
 * with the fewest other rules: paths (exact, beginning, end), hosts, fields, cookies, parameters, whole queries, networks, countries.
 * A request looks its own values up, and gathers the rules that hang there in a bitmap, in the order of the list. Rules without
 * an anchor are met by every request with their method; a regular expression that begins with "^/some/path" has one.
 *
 * Exact values are found by their 64-bit hash alone: whoever is met by chance does not hold. Beginnings are found by bisection of
 * their sorted list: of all that lie before the text in it, the last one either begins the text, or what begins the text
 * begins it too, and is linked from it.
 */
#include "rules/private.h"

#include "base/hash.h"
#include "base/memory.h"

#include <stdlib.h>

enum kind {
    KIND_PATH,
    KIND_PATH_START,
    KIND_PATH_END, /* reversed, as are hosts' ends */
    KIND_HOST,
    KIND_HOST_END,
    KIND_HEADER,
    KIND_HEADER_VALUE,
    KIND_COOKIE,
    KIND_COOKIE_VALUE,
    KIND_PARAMETER,
    KIND_PARAMETER_VALUE,
    KIND_QUERY,
    KIND_COUNTRY,
    KIND_CLIENT,
    KINDS
};

struct anchor {
    enum kind kind;
    uint64_t hash;
    struct span literal; /* of starts and ends */
    const struct network *network;
    uint32_t rule;
};

struct anchors {
    struct anchor *list;
    size_t count, capacity;
};

/* A part of `members`: numbers of rules. */
struct run {
    uint32_t first, count;
};

struct slot {
    uint64_t hash; /* 0: free */
    struct run run;
};

struct literal {
    struct span text;
    struct run run;
    int32_t shorter; /* the longest other one that begins it; -1: none */
};

struct literals {
    struct literal *list;
    size_t count;
};

struct holder {
    struct run run;
    int32_t wider; /* the smallest network around it that has rules; -1: none */
};

struct index {
    uint16_t *members;
    struct slot *slots;
    size_t mask;
    bool uses[KINDS];
    uint64_t header_ids[HTTP_NAME_COUNT / 64 + 1];
    struct literals literals[KINDS];
    struct prefix_tree *networks; /* NULL: none */
    struct holder *holders;
    struct candidates *rest; /* by method: rules without an anchor */
};

/* ---- building: the choice of anchors */

struct builder {
    struct arena scratch;
    uint64_t *
        hashes; /* of all possible anchors, sorted; how many are equal is how many rules share one */
    size_t hash_count, hash_capacity;
    bool is_counting;
    size_t limit; /* most anchors of a rule */
};

static uint64_t mix(enum kind kind, uint64_t hash)
{
    hash ^= (uint64_t)(kind + 1) * 0x9e3779b97f4a7c15ull;
    return hash ? hash : 1;
}

static uint64_t name_hash(struct span name, enum http_name id)
{
    if (id != HTTP_NAME_OTHER)
        return (uint64_t)id * 0xbf58476d1ce4e5b9ull;
    uint8_t lower[64];
    size_t length = name.length < sizeof lower ? name.length : sizeof lower;
    for (size_t i = 0; i < length; i++)
        lower[i] = ascii_lower(name.data[i]);
    return hash_span(span_of(lower, length), 0);
}

static void push(struct anchors *anchors, struct anchor anchor)
{
    if (anchors->count == anchors->capacity) {
        anchors->capacity = anchors->capacity * 2 + 8;
        anchors->list = memory_resize(anchors->list, anchors->capacity, sizeof anchor);
    }
    anchors->list[anchors->count++] = anchor;
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return (first > second) - (first < second);
}

static size_t lower_bound(const struct builder *builder, uint64_t hash)
{
    size_t low = 0, high = builder->hash_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (builder->hashes[middle] < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* How many rules would hang there; of the first pass only noted. */
static size_t crowd_of(struct builder *builder, uint64_t hash)
{
    if (!builder->is_counting)
        return lower_bound(builder, hash + 1) - lower_bound(builder, hash);
    if (builder->hash_count == builder->hash_capacity) {
        builder->hash_capacity = builder->hash_capacity * 2 + 256;
        builder->hashes = memory_resize(builder->hashes, builder->hash_capacity, sizeof hash);
    }
    builder->hashes[builder->hash_count++] = hash;
    return 0;
}

static struct span reversed(struct arena *arena, struct span text)
{
    uint8_t *out = arena_take(arena, text.length + 1);
    for (size_t i = 0; i < text.length; i++)
        out[i] = text.data[text.length - 1 - i];
    return span_of(out, text.length);
}

static bool anchor_of_text(const struct pattern *pattern, enum kind exact, enum kind start,
                           enum kind end, struct builder *builder, struct anchor *anchor)
{
    bool has_start =
        start != KINDS && pattern->kind != PATTERN_SUFFIX && pattern->literal.length > 1;
    bool has_end =
        end != KINDS && (pattern->kind == PATTERN_SUFFIX || pattern->kind == PATTERN_GLOB);
    struct span ending = pattern->kind == PATTERN_SUFFIX ? pattern->literal : pattern->ending;
    if (pattern->kind == PATTERN_EXACT) {
        *anchor = (struct anchor){.kind = exact, .hash = hash_span(pattern->literal, 0)};
    } else if (has_start) {
        *anchor = (struct anchor){.kind = start, .literal = pattern->literal};
        anchor->hash = hash_span(anchor->literal, 0);
    } else if (has_end && ending.length) {
        *anchor = (struct anchor){.kind = end, .literal = reversed(&builder->scratch, ending)};
        anchor->hash = hash_span(anchor->literal, 0);
    } else {
        return false;
    }
    anchor->hash = mix(anchor->kind, anchor->hash);
    return true;
}

static bool anchors_of_texts(const struct condition *condition, enum kind exact, enum kind start,
                             enum kind end, struct builder *builder, struct anchors *out)
{
    for (size_t i = 0; i < condition->pattern_count; i++) {
        struct anchor anchor;
        if (!anchor_of_text(&condition->patterns[i], exact, start, end, builder, &anchor))
            return false;
        push(out, anchor);
    }
    return true;
}

/* All values exact: by name and value; else by the name alone. */
static bool anchors_of_pair(const struct condition *condition, enum kind named, enum kind valued,
                            uint64_t name, struct anchors *out)
{
    bool is_exact = true;
    for (size_t i = 0; i < condition->pattern_count; i++)
        is_exact &= condition->patterns[i].kind == PATTERN_EXACT;
    for (size_t i = 0; is_exact && i < condition->pattern_count; i++)
        push(out,
             (struct anchor){.kind = valued,
                             .hash = mix(valued, hash_span(condition->patterns[i].literal, name))});
    if (!is_exact)
        push(out, (struct anchor){.kind = named, .hash = mix(named, name)});
    return true;
}

static bool choose(const struct condition *all, struct builder *builder, struct anchors *out);

/* One of these must hold, so the anchors of each are needed. */
static bool anchors_of_any(const struct condition *condition, struct builder *builder,
                           struct anchors *out)
{
    for (size_t i = 0; i < condition->inner_count; i++)
        if (!choose(&condition->inner[i], builder, out))
            return false;
    return condition->inner_count > 0;
}

static bool anchors_of(const struct condition *condition, struct builder *builder,
                       struct anchors *out)
{
    switch (condition->kind) {
    case CONDITION_PATH:
        return anchors_of_texts(condition, KIND_PATH, KIND_PATH_START, KIND_PATH_END, builder, out);
    case CONDITION_HOST:
        return anchors_of_texts(condition, KIND_HOST, KINDS, KIND_HOST_END, builder, out);
    case CONDITION_QUERY:
        return anchors_of_texts(condition, KIND_QUERY, KINDS, KINDS, builder, out);
    case CONDITION_HEADER:
        return anchors_of_pair(condition, KIND_HEADER, KIND_HEADER_VALUE,
                               name_hash(condition->name, condition->id), out);
    case CONDITION_COOKIE:
        return anchors_of_pair(condition, KIND_COOKIE, KIND_COOKIE_VALUE,
                               hash_span(condition->name, 0), out);
    case CONDITION_PARAMETER:
        return anchors_of_pair(condition, KIND_PARAMETER, KIND_PARAMETER_VALUE,
                               hash_span(condition->name, 0), out);
    case CONDITION_COUNTRY:
        for (size_t i = 0; i < condition->country_count; i++)
            push(out, (struct anchor){.kind = KIND_COUNTRY,
                                      .hash = mix(KIND_COUNTRY, condition->countries[i])});
        return true;
    case CONDITION_CLIENT:
        for (size_t i = 0; i < condition->networks->count; i++) {
            const struct network *network = &condition->networks->items[i];
            push(out,
                 (struct anchor){.kind = KIND_CLIENT,
                                 .network = network,
                                 .hash = mix(KIND_CLIENT,
                                             hash_span(span_of(network, sizeof *network), 0))});
        }
        return true;
    case CONDITION_ANY:
        return anchors_of_any(condition, builder, out);
    case CONDITION_ALL:
    case CONDITION_METHOD:
    case CONDITION_TLS:
    case CONDITION_CERTIFICATE:
    case CONDITION_RTT:
    case CONDITION_LOSS:
    case CONDITION_LOAD:
    case CONDITION_TLS_VERSION:
    case CONDITION_SERVER_NAME:
    case CONDITION_NONE:
        return false;
    }
    return false;
}

static void consider(const struct condition *all, struct builder *builder, struct anchors *best,
                     size_t *best_crowd)
{
    for (size_t i = 0; i < all->inner_count; i++) {
        const struct condition *condition = &all->inner[i];
        if (condition->kind == CONDITION_ALL) {
            for (size_t k = 0; k < condition->inner_count; k++)
                consider(&condition->inner[k], builder, best, best_crowd);
            continue;
        }
        struct anchors option = {0};
        size_t crowd = 0;
        bool is_good = anchors_of(condition, builder, &option) && option.count;
        for (size_t k = 0; is_good && k < option.count; k++) {
            size_t here = crowd_of(builder, option.list[k].hash);
            crowd = here > crowd ? here : crowd;
        }
        if (is_good && (!best->count || crowd < *best_crowd)) {
            memory_free(best->list);
            *best = option;
            *best_crowd = crowd;
        } else {
            memory_free(option.list);
        }
    }
}

/* Appends the anchors of the conjunction to `out`; false: it has none. */
static bool choose(const struct condition *all, struct builder *builder, struct anchors *out)
{
    struct anchors best = {0};
    size_t crowd = SIZE_MAX;
    consider(all, builder, &best, &crowd);
    for (size_t i = 0; i < best.count; i++)
        push(out, best.list[i]);
    bool has_any = best.count > 0;
    memory_free(best.list);
    return has_any;
}

/* ---- building: the tables */

static void add_candidate(struct candidates *candidates, uint32_t rule)
{
    uint32_t word = rule / 64;
    uint64_t bit = 1ull << (word % 64);
    if (!(candidates->summary[word / 64] & bit)) {
        candidates->summary[word / 64] |= bit;
        candidates->words[word] = 0;
    }
    candidates->words[word] |= 1ull << (rule % 64);
}

static uint32_t methods_of(const struct condition *root)
{
    for (size_t i = 0; i < root->inner_count; i++)
        if (root->inner[i].kind == CONDITION_METHOD)
            return root->inner[i].method_mask;
    return UINT32_MAX;
}

static int compare_spans(struct span a, struct span b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

/* By kind; hashes, texts or networks (wider ones first) of a kind; then in the order of the rules. */
static int compare_anchors(const void *first, const void *second)
{
    const struct anchor *a = first, *b = second;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    int order = compare_spans(a->literal, b->literal);
    if (!order && a->network)
        order = (int)a->network->bits - (int)b->network->bits;
    if (!order)
        order = compare_hashes(&a->hash, &b->hash);
    return order ? order : (a->rule > b->rule) - (a->rule < b->rule);
}

static bool is_literal_kind(enum kind kind)
{
    return kind == KIND_PATH_START || kind == KIND_PATH_END || kind == KIND_HOST_END;
}

static void put_slot(struct index *index, uint64_t hash, struct run run)
{
    size_t at = hash & index->mask;
    while (index->slots[at].hash)
        at = (at + 1) & index->mask;
    index->slots[at] = (struct slot){hash, run};
}

static void put_literal(struct literals *literals, struct arena *arena, struct span text,
                        struct run run)
{
    int32_t shorter = (int32_t)literals->count - 1;
    while (shorter >= 0 && !span_starts(text, literals->list[shorter].text))
        shorter = literals->list[shorter].shorter;
    literals->list[literals->count++] = (struct literal){arena_copy(arena, text), run, shorter};
}

static void put_network(struct index *index, uint32_t number, const struct network *network,
                        struct run run)
{
    int64_t wider = prefix_tree_find(index->networks, &network->address, NULL);
    index->holders[number] = (struct holder){run, (int32_t)wider};
    prefix_tree_put(index->networks, network, number);
}

static void build_tables(struct index *index, struct arena *arena, struct anchors *anchors)
{
    size_t capacity = 16;
    while (capacity < anchors->count * 2)
        capacity *= 2;
    if (anchors->count)
        qsort(anchors->list, anchors->count, sizeof *anchors->list, compare_anchors);
    index->members = ARENA_ARRAY(arena, uint16_t, anchors->count);
    index->slots = ARENA_ARRAY(arena, struct slot, capacity);
    index->mask = capacity - 1;
    index->holders = ARENA_ARRAY(arena, struct holder, anchors->count);
    for (enum kind kind = 0; kind < KINDS; kind++)
        if (is_literal_kind(kind))
            index->literals[kind].list = ARENA_ARRAY(arena, struct literal, anchors->count);
    uint32_t networks = 0;
    for (size_t at = 0, end; at < anchors->count; at = end) {
        const struct anchor *anchor = &anchors->list[at];
        for (end = at; end < anchors->count && anchors->list[end].kind == anchor->kind &&
                       anchors->list[end].hash == anchor->hash;
             end++)
            index->members[end] = (uint16_t)anchors->list[end].rule;
        struct run run = {(uint32_t)at, (uint32_t)(end - at)};
        index->uses[anchor->kind] = true;
        if (is_literal_kind(anchor->kind))
            put_literal(&index->literals[anchor->kind], arena, anchor->literal, run);
        else if (anchor->network)
            put_network(index, networks++, anchor->network, run);
        else
            put_slot(index, anchor->hash, run);
    }
    prefix_tree_seal(index->networks);
}

static void note_headers(struct index *index, const struct condition *all)
{
    for (size_t i = 0; i < all->inner_count; i++) {
        const struct condition *condition = &all->inner[i];
        if (condition->kind == CONDITION_HEADER)
            index->header_ids[condition->id / 64] |= 1ull << (condition->id % 64);
        note_headers(index, condition);
    }
}

struct index *index_new(const struct rules *rules, struct arena *arena)
{
    struct index *index = ARENA_NEW(arena, struct index);
    struct builder builder = {.is_counting = true};
    struct anchors anchors = {0};
    index->networks = prefix_tree_new();
    index->rest = ARENA_ARRAY(arena, struct candidates, HTTP_METHOD_COUNT);
    for (size_t i = 0; i < rules->count; i++)
        (void)choose(&rules->compiled[i].root, &builder, &anchors);
    if (builder.hash_count)
        qsort(builder.hashes, builder.hash_count, sizeof *builder.hashes, compare_hashes);
    builder.is_counting = false;
    anchors.count = 0;
    for (uint32_t i = 0; i < rules->count; i++) {
        const struct condition *root = &rules->compiled[i].root;
        size_t before = anchors.count;
        bool is_anchored = choose(root, &builder, &anchors);
        for (size_t k = before; k < anchors.count; k++)
            anchors.list[k].rule = i;
        uint32_t methods = is_anchored ? 0 : methods_of(root);
        for (unsigned method = 0; method < HTTP_METHOD_COUNT; method++)
            if (methods >> method & 1)
                add_candidate(&index->rest[method], i);
        note_headers(index, root);
    }
    build_tables(index, arena, &anchors);
    memory_free(anchors.list);
    memory_free(builder.hashes);
    arena_clear(&builder.scratch);
    return index;
}

void index_free(struct index **freed)
{
    prefix_tree_free((*freed)->networks);
    *freed = NULL; /* itself it lies in the arena of the rules */
}

/* ---- looking up */

static void add_run(const struct index *index, struct run run, struct candidates *candidates)
{
    for (uint32_t i = 0; i < run.count; i++)
        add_candidate(candidates, index->members[run.first + i]);
}

static void find_hash(const struct index *index, uint64_t hash, struct candidates *candidates)
{
    for (size_t at = hash & index->mask; index->slots[at].hash; at = (at + 1) & index->mask)
        if (index->slots[at].hash == hash) {
            add_run(index, index->slots[at].run, candidates);
            return;
        }
}

static void find_exact(const struct index *index, enum kind kind, struct span text,
                       struct candidates *candidates)
{
    if (index->uses[kind])
        find_hash(index, mix(kind, hash_span(text, 0)), candidates);
}

static void find_starts(const struct index *index, enum kind kind, struct span text,
                        struct candidates *candidates)
{
    const struct literals *literals = &index->literals[kind];
    size_t low = 0,
           high = literals->count; /* the last one that is not behind the text is before `low` */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare_spans(literals->list[middle].text, text) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (int32_t at = (int32_t)low - 1; at >= 0; at = literals->list[at].shorter)
        if (span_starts(text, literals->list[at].text))
            add_run(index, literals->list[at].run, candidates);
}

static void find_ends(const struct index *index, enum kind kind, const struct subject *subject,
                      struct span text, struct candidates *candidates)
{
    if (index->uses[kind])
        find_starts(index, kind, reversed(subject->arena, text), candidates);
}

static void find_pair(const struct index *index, enum kind named, uint64_t name, struct span value,
                      struct candidates *candidates)
{
    if (index->uses[named])
        find_hash(index, mix(named, name), candidates);
    if (index->uses[named + 1])
        find_hash(index, mix(named + 1, hash_span(value, name)), candidates);
}

static bool uses_pair(const struct index *index, enum kind named)
{
    return index->uses[named] || index->uses[named + 1];
}

static void find_fields(const struct index *index, const struct subject *subject,
                        struct candidates *candidates)
{
    const struct http_fields *fields = &subject->facts->head->fields;
    bool wants_headers = uses_pair(index, KIND_HEADER);
    bool wants_cookies = uses_pair(index, KIND_COOKIE) && http_fields_has(fields, HTTP_NAME_COOKIE);
    for (uint32_t i = 0; (wants_headers || wants_cookies) && i < fields->count; i++) {
        const struct http_field *field = &fields->list[i];
        struct span rest = field->value, name, value;
        if (wants_headers && index->header_ids[field->id / 64] >> (field->id % 64) & 1)
            find_pair(index, KIND_HEADER, name_hash(field->name, field->id), field->value,
                      candidates);
        if (wants_cookies && field->id == HTTP_NAME_COOKIE)
            while (subject_next_cookie(&rest, &name, &value))
                find_pair(index, KIND_COOKIE, hash_span(name, 0), value, candidates);
    }
}

static void find_parameters(const struct index *index, const struct subject *subject,
                            struct candidates *candidates)
{
    struct span rest = subject->query, name, value;
    if (!uses_pair(index, KIND_PARAMETER))
        return;
    while (subject_next_parameter(subject, &rest, &name, &value))
        find_pair(index, KIND_PARAMETER, hash_span(name, 0), value, candidates);
}

static void find_client(const struct index *index, const struct rules_facts *facts,
                        struct candidates *candidates)
{
    if (index->uses[KIND_COUNTRY] && facts->country[0])
        find_hash(index, mix(KIND_COUNTRY, (uint64_t)(facts->country[0] << 8 | facts->country[1])),
                  candidates);
    if (!index->uses[KIND_CLIENT])
        return;
    struct address client = address_unmap(&facts->client);
    for (int64_t at = prefix_tree_find(index->networks, &client, NULL); at >= 0;
         at = index->holders[at].wider)
        add_run(index, index->holders[at].run, candidates);
}

void index_find(const struct index *index, const struct subject *subject,
                struct candidates *candidates)
{
    const struct candidates *rest = &index->rest[subject->facts->head->method];
    for (unsigned i = 0; i < RULES_SUMMARY; i++) {
        candidates->summary[i] = rest->summary[i];
        for (uint64_t left = rest->summary[i]; left; left &= left - 1) {
            unsigned word = i * 64 + (unsigned)__builtin_ctzll(left);
            candidates->words[word] = rest->words[word];
        }
    }
    struct span host = subject->facts->head->host;
    find_exact(index, KIND_PATH, subject->path, candidates);
    find_exact(index, KIND_HOST, host, candidates);
    find_exact(index, KIND_QUERY, subject->query, candidates);
    find_starts(index, KIND_PATH_START, subject->path, candidates);
    find_ends(index, KIND_PATH_END, subject, subject->path, candidates);
    find_ends(index, KIND_HOST_END, subject, host, candidates);
    find_fields(index, subject, candidates);
    find_parameters(index, subject, candidates);
    find_client(index, subject->facts, candidates);
}
