/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps of a program (R6, R7): a row of a table for each kind says how its text is read and what it does to the candidates.
 */
#include "director/private.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- running ---- */

struct run {
    const struct sight *sight;
    const struct estimate *estimate;
    const struct director_policy *policy;
    struct field *field;
    uint8_t step; /* number */
    float enough; /* 0: none */
};

static const struct member *member_of(const struct run *run, const struct candidate *candidate)
{
    return &run->sight->members[candidate->member];
}

static struct channel channel_of(const struct run *run, const struct candidate *candidate)
{
    const struct member *member = member_of(run, candidate);
    return (struct channel){run->sight, member->edge,
                            member->gateway == MEMBER_NONE ? DIRECTOR_NONE : member->gateway,
                            run->estimate};
}

/* Those that `drop` marked go behind the others, whose order stays. */
static void sweep_dropped(struct field *field)
{
    uint32_t kept = 0, dropped = 0;
    for (uint32_t i = 0; i < field->count; i++)
        if (field->items[i].dropped)
            field->order[dropped++] = field->items[i];
        else
            field->items[kept++] = field->items[i];
    memcpy(&field->items[kept], field->order, dropped * sizeof *field->order);
    field->count = kept;
}

/* Stable: candidates come in the order of the former sort. */
static void merge(struct candidate *items, struct candidate *spare, uint32_t count)
{
    if (count < 16) {
        for (uint32_t i = 1; i < count; i++) {
            struct candidate moved = items[i];
            uint32_t k = i;
            for (; k && items[k - 1].score > moved.score; k--)
                items[k] = items[k - 1];
            items[k] = moved;
        }
        return;
    }
    uint32_t half = count / 2, left = 0, right = half;
    merge(items, spare, half);
    merge(items + half, spare, count - half);
    memcpy(spare, items, count * sizeof *items);
    for (uint32_t i = 0; i < count; i++)
        if (right == count || (left < half && spare[left].score <= spare[right].score))
            items[i] = spare[left++];
        else
            items[i] = spare[right++];
}

void policy_sort(struct field *field)
{
    merge(field->items, field->order, field->count);
}

/* The part of a sum or product that depends on the client. The usual case is the latency alone. */
static float client_sum(const struct channel *channel, const struct director_step *step)
{
    float sum = 0;
    for (int i = DIRECTOR_LATENCY; i <= DIRECTOR_DISTANCE; i++)
        if (step->weights[i] != 0)
            sum += step->weights[i] * component_penalty(channel, (enum director_component)i);
    return sum;
}

static float client_product(const struct channel *channel, const struct director_step *step)
{
    float product = 1;
    for (int i = DIRECTOR_LATENCY; i <= DIRECTOR_DISTANCE; i++)
        if (step->weights[i] != 0)
            product *=
                powf(1 + component_penalty(channel, (enum director_component)i), step->weights[i]);
    return product;
}

static void cut(struct field *field, uint32_t from, uint8_t dropped)
{
    for (uint32_t i = from; i < field->count; i++)
        field->items[i].dropped = dropped;
    field->was_cut_short |= from < field->count && dropped == CANDIDATE_UNSEEN;
    sweep_dropped(field);
}

static void run_score(struct run *run, const struct director_step *step)
{
    struct field *field = run->field;
    bool is_sum = step->kind == DIRECTOR_STEP_SUM;
    bool is_plain =
        is_sum && step->weights[DIRECTOR_PROBE] == 0 && step->weights[DIRECTOR_DISTANCE] == 0;
    uint32_t good = 0, i = 0;
    for (; i < field->count && good < DNS_ADDRESSES_LIMIT; i++) {
        struct candidate *candidate = &field->items[i];
        const struct member *member = member_of(run, candidate);
        const struct channel channel = channel_of(run, candidate);
        if (is_plain) /* the usual case */
            candidate->score =
                step->weights[DIRECTOR_LATENCY] * run->estimate->penalty_ms[member->edge] +
                member->part;
        else
            candidate->score = is_sum ? client_sum(&channel, step) + member->part
                                      : client_product(&channel, step) * member->part;
        good += candidate->is_usable && candidate->score <= run->enough;
    }
    field->evaluated += i;
    cut(field, i, CANDIDATE_UNSEEN);
}

static void run_sort(struct run *run, const struct director_step *step)
{
    struct field *field = run->field;
    bool is_of_client = component_is_of_client(step->component);
    for (uint32_t i = 0; i < field->count; i++) {
        const struct channel channel = channel_of(run, &field->items[i]);
        field->items[i].score = is_of_client ? component_penalty(&channel, step->component)
                                             : member_of(run, &field->items[i])->keys[step->sort];
    }
    field->evaluated += field->count;
    policy_sort(field);
}

bool policy_filter_keeps(const struct director_step *step, float value)
{
    if (isnan(value))
        return true; /* what is not known is no reason */
    return step->is_below ? value < step->limit : value > step->limit;
}

static void run_filter(struct run *run, const struct director_step *step)
{
    struct field *field = run->field;
    bool is_of_client = component_is_of_client(step->component);
    for (uint32_t i = 0; i < field->count; i++) {
        struct candidate *candidate = &field->items[i];
        const struct channel channel = channel_of(run, candidate);
        bool is_kept = is_of_client
                           ? policy_filter_keeps(step, component_value(&channel, step->component))
                           : member_of(run, candidate)->dropped != run->step + 1;
        if (!is_kept)
            candidate->dropped = (uint8_t)(run->step + 1);
    }
    sweep_dropped(field);
}

static void run_region(struct run *run, const struct director_step *step)
{
    (void)step;
    const struct edge *edges = run->sight->director->edges;
    uint32_t region = run->estimate->area->region;
    for (uint32_t i = 0; i < run->field->count; i++) {
        struct candidate *candidate = &run->field->items[i];
        if (region != MAPS_NO_REGION && edges[member_of(run, candidate)->edge].region != region)
            candidate->dropped = (uint8_t)(run->step + 1);
    }
    sweep_dropped(run->field);
}

/* Those that cannot be used do not count: who takes three gets three. */
static void run_take(struct run *run, const struct director_step *step)
{
    policy_sort(run->field);
    uint32_t taken = 0, i = 0;
    for (; i < run->field->count && (float)taken < step->limit; i++)
        taken += run->field->items[i].is_usable;
    cut(run->field, i, (uint8_t)(run->step + 1));
}

static void by_latency(struct run *run)
{
    for (uint32_t i = 0; i < run->field->count; i++)
        run->field->items[i].score =
            run->estimate->penalty_ms[member_of(run, &run->field->items[i])->edge];
    policy_sort(run->field);
}

static void run_enough(struct run *run, const struct director_step *step)
{
    run->enough = step->limit;
    by_latency(run);
}

static void run_most(struct run *run, const struct director_step *step)
{
    by_latency(run);
    cut(run->field, (uint32_t)fminf(step->limit, (float)run->field->count), CANDIDATE_UNSEEN);
}

/* ---- reading ---- */

struct reader {
    struct director_policy *policy;
    struct director_step *step;
    struct span rest; /* of the step */
    struct text *complaint;
};

static bool is_gap(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == ',';
}

static struct span take_word(struct span *rest)
{
    *rest = span_trim(*rest);
    size_t length = 0;
    while (length < rest->length && !is_gap(rest->data[length]))
        length++;
    struct span word = span_of(rest->data, length);
    *rest = span_from(*rest, length);
    while (rest->length && is_gap(rest->data[0]))
        *rest = span_from(*rest, 1);
    return word;
}

static bool complain(const struct reader *reader, struct span word, const char *sentence)
{
    text_add_format(reader->complaint, "\"%.*s\" %s", SPAN_ARGS(word), sentence);
    return false;
}

static bool take_component(const struct reader *reader, struct span word,
                           enum director_component *component)
{
    const char *words[DIRECTOR_COMPONENTS];
    for (int i = 0; i < DIRECTOR_COMPONENTS; i++) {
        words[i] = director_component_word((enum director_component)i);
        if (span_equal_nocase(span_text(words[i]), word)) {
            *component = (enum director_component)i;
            return true;
        }
    }
    char asked[32];
    snprintf(asked, sizeof asked, "%.*s", SPAN_ARGS(word));
    const char *nearest = nearest_word(asked, words, DIRECTOR_COMPONENTS);
    complain(reader, word, "is no component");
    if (nearest)
        text_add_format(reader->complaint, "; did you mean \"%s\"?", nearest);
    return false;
}

/* Digits with at most one point. */
static bool take_number(const struct reader *reader, struct span word, float *number)
{
    char text[24];
    size_t points = 0, digits = 0;
    for (size_t i = 0; i < word.length; i++) {
        points += word.data[i] == '.';
        digits += (uint8_t)(word.data[i] - '0') < 10;
    }
    if (!digits || points > 1 || digits + points != word.length || word.length >= sizeof text)
        return complain(reader, word, "is not a number");
    memcpy(text, word.data, word.length);
    text[word.length] = 0;
    *number = (float)strtod(text, NULL);
    return true;
}

static bool read_weights(struct reader *reader)
{
    while (reader->rest.length) {
        struct span word = take_word(&reader->rest);
        size_t star = span_find(word, '*');
        enum director_component component;
        float weight = 1;
        if (!take_component(reader, span_of(word.data, star), &component) ||
            (star < word.length && !take_number(reader, span_from(word, star + 1), &weight)))
            return false;
        reader->step->weights[component] = weight;
    }
    return true;
}

/* `latency < 150`, `latency<150` */
static bool read_filter(struct reader *reader)
{
    struct span all = span_trim(reader->rest);
    if (span_equal_nocase(all, SPAN("region"))) {
        reader->step->kind = DIRECTOR_STEP_REGION;
        reader->rest = (struct span){0};
        return true;
    }
    size_t sign = 0;
    while (sign < all.length && all.data[sign] != '<' && all.data[sign] != '>')
        sign++;
    if (sign == all.length)
        return complain(reader, all, "is no filter such as \"load < 900\" or \"region\"");
    reader->step->is_below = all.data[sign] == '<';
    reader->rest = (struct span){0};
    return take_component(reader, span_trim(span_of(all.data, sign)), &reader->step->component) &&
           take_number(reader, span_trim(span_from(all, sign + 1)), &reader->step->limit);
}

static bool read_sort(struct reader *reader)
{
    if (reader->policy->sort_count == DIRECTOR_SORTS_LIMIT)
        return complain(reader, SPAN("sort"), "stands here for the fifth time: four are enough");
    reader->step->sort = reader->policy->sort_count++;
    return take_component(reader, take_word(&reader->rest), &reader->step->component);
}

static bool read_number(struct reader *reader)
{
    if (!take_number(reader, take_word(&reader->rest), &reader->step->limit))
        return false;
    return reader->step->limit > 0 || complain(reader, SPAN("0"), "leaves nobody");
}

/* Steps whose words are equal are told apart by what follows. */
static const struct kind {
    const char *word;
    bool (*read)(struct reader *reader);
    void (*run)(struct run *run, const struct director_step *step);
} kinds[] = {
    [DIRECTOR_STEP_SUM] = {"sum", read_weights, run_score},
    [DIRECTOR_STEP_PRODUCT] = {"product", read_weights, run_score},
    [DIRECTOR_STEP_FILTER] = {"filter", read_filter, run_filter},
    [DIRECTOR_STEP_REGION] = {"filter", read_filter, run_region},
    [DIRECTOR_STEP_SORT] = {"sort", read_sort, run_sort},
    [DIRECTOR_STEP_TAKE] = {"take", read_number, run_take},
    [DIRECTOR_STEP_ENOUGH] = {"enough", read_number, run_enough},
    [DIRECTOR_STEP_MOST] = {"most", read_number, run_most},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const struct {
    const char *name, *text;
} builtins[] = {
    {"best", "sum latency link loss setup gateway cost"},
    {"nearest", "sort latency"},
    {"fewest-connections", "sort latency | sort connections"},
    {"most-free-ram", "sort latency | sort ram"},
    {"most-free-swap", "sort latency | sort swap"},
    {"most-cpu-idle", "sort latency | sort cpu"},
    {"fastest-icmp", "sort latency | sort icmp"},
    {"cheapest", "sort latency | sort cost"},
};
enum { BUILTINS = sizeof builtins / sizeof *builtins };

bool director_policy_builtin(size_t index, const char **name, const char **text)
{
    if (index >= BUILTINS)
        return false;
    *name = builtins[index].name;
    *text = builtins[index].text;
    return true;
}

static bool complain_of_step(const struct reader *reader, struct span word)
{
    const char *words[KINDS + BUILTINS];
    for (int i = 0; i < KINDS; i++)
        words[i] = kinds[i].word;
    for (int i = 0; i < BUILTINS; i++)
        words[KINDS + i] = builtins[i].name;
    char asked[32];
    snprintf(asked, sizeof asked, "%.*s", SPAN_ARGS(word));
    const char *nearest = nearest_word(asked, words, KINDS + BUILTINS);
    complain(reader, word, "is no step of a policy, nor one's name");
    if (nearest)
        text_add_format(reader->complaint, "; did you mean \"%s\"?", nearest);
    return false;
}

static bool read_step(struct reader *reader, struct span text)
{
    struct director_policy *policy = reader->policy;
    reader->rest = text;
    struct span word = take_word(&reader->rest);
    int kind = 0;
    while (kind < KINDS && !span_equal_nocase(span_text(kinds[kind].word), word))
        kind++;
    if (kind == KINDS)
        return complain_of_step(reader, word);
    if (policy->step_count == DIRECTOR_STEPS_LIMIT)
        return complain(reader, word, "is one step too many: 16 are the limit");
    reader->step = &policy->steps[policy->step_count++];
    reader->step->kind = (enum director_step_kind)kind;
    if (!kinds[kind].read(reader))
        return false;
    return !reader->rest.length || complain(reader, reader->rest, "is too much in this step");
}

/* Relations between the steps. */
static bool check_steps(const struct reader *reader)
{
    const struct director_policy *policy = reader->policy;
    int scores = 0, orders = 0;
    for (int i = 0; i < policy->step_count; i++) {
        bool is_score = policy->steps[i].kind == DIRECTOR_STEP_SUM ||
                        policy->steps[i].kind == DIRECTOR_STEP_PRODUCT;
        if (policy->steps[i].kind == DIRECTOR_STEP_TAKE && !orders)
            return complain(reader, SPAN("take"), "needs an order: put a sort or sum before it");
        scores += is_score;
        orders += is_score || policy->steps[i].kind == DIRECTOR_STEP_SORT;
    }
    if (scores > 1)
        return complain(reader, SPAN("sum"), "or product may stand once");
    return orders || complain(reader, span_text(policy->text),
                              "puts edges in no order: it needs a sum, product or sort");
}

static bool read_steps(struct reader *reader, struct span text)
{
    while (text.length) {
        size_t end = 0;
        while (end < text.length && text.data[end] != '|' && text.data[end] != ';')
            end++;
        if (!read_step(reader, span_of(text.data, end)))
            return false;
        text = span_from(text, end + 1);
    }
    return check_steps(reader);
}

bool director_policy_parse(struct span text, struct director_policy *policy, struct text *complaint)
{
    *policy = (struct director_policy){0};
    struct reader reader = {.policy = policy, .complaint = complaint};
    text = span_trim(text);
    if (text.length >= DIRECTOR_POLICY_BYTES)
        return complain(&reader, SPAN("policy"), "is longer than 511 bytes");
    if (text.length)
        memcpy(policy->text, text.data, text.length);
    else
        text = span_text(builtins[0].name);
    for (int i = 0; i < BUILTINS; i++)
        if (span_equal_nocase(text, span_text(builtins[i].name)))
            text = span_text(builtins[i].text);
    return read_steps(&reader, text);
}

bool director_policy_reads(const struct director_policy *policy, enum director_component component)
{
    for (int i = 0; i < policy->step_count; i++) {
        const struct director_step *step = &policy->steps[i];
        bool is_one = step->kind == DIRECTOR_STEP_FILTER || step->kind == DIRECTOR_STEP_SORT;
        if (step->weights[component] != 0 || (is_one && step->component == component))
            return true;
    }
    return false;
}

/* ---- the run ---- */

static bool is_order(enum director_step_kind kind)
{
    return kind == DIRECTOR_STEP_SUM || kind == DIRECTOR_STEP_PRODUCT || kind == DIRECTOR_STEP_SORT;
}

void policy_run(const struct sight *sight, const struct estimate *estimate, bool is_filtering,
                struct field *field)
{
    const struct director_policy *policy = sight->group->policy;
    struct run run = {sight, estimate, policy, field, 0, -1};
    int orders = 0;
    for (; run.step < policy->step_count; run.step++) {
        const struct director_step *step = &policy->steps[run.step];
        if (!is_filtering &&
            (step->kind == DIRECTOR_STEP_FILTER || step->kind == DIRECTOR_STEP_REGION))
            continue;
        kinds[step->kind].run(&run, step);
        orders += is_order(step->kind);
    }
    field->is_ordered = orders > 1;
}
