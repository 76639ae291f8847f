/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a client gets the answer that it gets: the way of a query once more, with everything told (R6, R11). On the thread that ticks.
 * Nothing is changed by it, also where something is supposed.
 */
#include "dnsd/private.h"

#include "base/memory.h"

#include <math.h>

/* ---- what is supposed: "edge=NAME:down", "edge=NAME:load=950", "policy=sum latency" */

struct supposed {
    struct director_what_if what_ifs[DIRECTOR_WHAT_IFS_LIMIT];
    size_t count;
    struct director_policy policy;
    bool has_policy;
};

static bool take_state(struct span word, struct director_what_if *what_if, struct text *why)
{
    for (int i = 0; i < DIRECTOR_STATES; i++)
        if (span_equal(word, span_text(director_state_text((enum director_state)i)))) {
            what_if->has_state = true;
            what_if->state = (enum director_state)i;
            return true;
        }
    uint64_t load;
    if (word.length > 5 && span_equal(span_of(word.data, 5), SPAN("load=")) &&
        span_number(span_from(word, 5), &load) == 0 && load <= UINT16_MAX - 1) {
        what_if->has_load = true;
        what_if->load = (uint16_t)load;
        return true;
    }
    text_add_format(why,
                    "'%.*s': of an edge can be supposed up, full, draining, dead, down or "
                    "load=THOUSANDTHS",
                    (int)word.length, word.data);
    return false;
}

static bool take_edge(const struct dnsd_data *data, struct span words, struct supposed *supposed,
                      struct text *why)
{
    const uint8_t *colon = memchr(words.data, ':', words.length);
    struct span name = span_of(words.data, colon ? (size_t)(colon - words.data) : words.length);
    if (supposed->count == DIRECTOR_WHAT_IFS_LIMIT) {
        text_add_format(why, "at most %d edges can be supposed about",
                        (int)DIRECTOR_WHAT_IFS_LIMIT);
        return false;
    }
    for (size_t i = 0; i < data->edge_count && colon; i++) {
        if (!span_equal(name, span_text(data->edges[i].name)))
            continue;
        struct director_what_if *what_if = &supposed->what_ifs[supposed->count++];
        *what_if = (struct director_what_if){.edge = (uint32_t)i};
        return take_state(span_from(words, name.length + 1), what_if, why);
    }
    text_add_format(why, colon ? "there is no edge '%.*s'" : "'%.*s': edge=NAME:STATE is meant",
                    (int)name.length, name.data);
    return false;
}

static bool suppose(const struct dnsd_data *data, struct span words, struct supposed *supposed,
                    struct text *why)
{
    if (words.length > 5 && span_equal(span_of(words.data, 5), SPAN("edge=")))
        return take_edge(data, span_from(words, 5), supposed, why);
    if (words.length > 7 && span_equal(span_of(words.data, 7), SPAN("policy="))) {
        supposed->has_policy = director_policy_parse(span_from(words, 7), &supposed->policy, why);
        return supposed->has_policy;
    }
    text_add_format(why, "'%.*s': edge=NAME:STATE or policy=POLICY can be supposed",
                    (int)words.length, words.data);
    return false;
}

/* ---- what is told */

static void add_name(struct text *json, const char *key, const char *name)
{
    text_add_format(json, ",\"%s\":", key);
    if (name)
        text_add_json(json, span_text(name));
    else
        text_add(json, "null");
}

static void add_number(struct text *json, const char *key, double number)
{
    if (isfinite(number))
        text_add_format(json, ",\"%s\":%.6g", key, number);
    else
        text_add_format(json, ",\"%s\":null", key);
}

static const char *edge_name(const struct dnsd_data *data, uint32_t edge)
{
    return edge < data->edge_count ? data->edges[edge].name : NULL;
}

static const char *gateway_name(const struct dnsd_data *data, uint32_t gateway)
{
    for (size_t i = 0; i < data->reporter_count; i++)
        if (gateway != (uint32_t)DIRECTOR_NONE &&
            data->reporters[i].numbers[MEASURE_GATEWAY] == gateway)
            return data->reporters[i].name;
    return NULL;
}

static void add_values(struct text *json, const struct director_candidate *candidate)
{
    text_add(json, ",\"values\":{");
    for (int i = 0; i < DIRECTOR_COMPONENTS; i++) {
        const struct director_value *value = &candidate->values[i];
        enum director_component component = (enum director_component)i;
        text_add_format(json, "%s\"%s\":{\"unit\":\"%s\",\"from\":\"%s\"", i ? "," : "",
                        director_component_word(component), director_component_unit(component),
                        director_source_text(value->source));
        add_number(json, "value", value->value);
        add_number(json, "penalty_ms", value->penalty_ms);
        add_number(json, "weighted", value->weighted);
        add_number(json, "confidence", value->confidence);
        if (value->age_ns != UINT64_MAX)
            text_add_format(json, ",\"ms_ago\":%llu", (unsigned long long)value->age_ns / 1000000);
        text_add(json, "}");
    }
    text_add(json, "}");
}

static void add_candidate(struct text *json, const struct dnsd_data *data,
                          const struct director_candidate *candidate)
{
    text_add_format(json, "{\"fate\":\"%s\",\"state\":\"%s\",\"pardoned\":%s",
                    director_fate_text(candidate->fate), director_state_text(candidate->state),
                    candidate->is_pardoned ? "true" : "false");
    add_name(json, "edge", edge_name(data, candidate->edge));
    add_name(json, "gateway", gateway_name(data, candidate->gateway));
    if (candidate->fate == DIRECTOR_FATE_FILTERED || candidate->fate == DIRECTOR_FATE_CUT)
        text_add_format(json, ",\"step\":%u", candidate->filter + 1u);
    add_number(json, "score", candidate->score);
    add_number(json, "share", candidate->share);
    add_number(json, "place", candidate->place);
    add_number(json, "flaps", candidate->flaps);
    add_values(json, candidate);
    text_add(json, "}");
}

static const char *default_policy(void)
{
    const char *name, *text;
    return director_policy_builtin(0, &name, &text) ? text : "";
}

static void add_explanation(struct text *json, const struct dnsd_data *data,
                            const struct director_explanation *told)
{
    char network[ADDRESS_TEXT_BYTES];
    const struct maps *maps = data->maps->maps;
    text_add_format(json, ",\"network\":\"%s\",\"measured\":%s",
                    network_text(&told->network, network), told->is_measured ? "true" : "false");
    add_name(json, "region", told->region ? maps_region_name(maps, told->region) : NULL);
    add_name(json, "policy", *told->policy.text ? told->policy.text : default_policy());
    text_add_format(json, ",\"ttl_s\":%u,\"answers\":%u,\"scope_bits\":%u,\"evaluated\":%u",
                    told->ttl_s, told->answers, told->scope_bits, told->evaluated);
    text_add_format(json, ",\"cut_short\":%s,\"unfiltered\":%s,\"forsaken\":%s",
                    told->was_cut_short ? "true" : "false", told->was_unfiltered ? "true" : "false",
                    told->is_forsaken ? "true" : "false");
    add_name(json, "incumbent", edge_name(data, told->incumbent));
    add_name(json, "challenger", edge_name(data, told->challenger));
    text_add_format(json, ",\"waiting_ms\":%llu,\"ranked_ms_ago\":%llu",
                    (unsigned long long)told->waiting_ns / 1000000,
                    (unsigned long long)told->ranked_age_ns / 1000000);
    add_number(json, "margin_ms", told->margin_ms);
    text_add(json, ",\"answered\":[");
    for (size_t i = 0; i < told->answered_count; i++) {
        text_add(json, i ? "," : "");
        text_add_json(json, span_text(edge_name(data, told->answered[i])));
    }
    text_add(json, "],\"candidates\":[");
    for (size_t i = 0; i < told->candidate_count; i++) {
        text_add(json, i ? "," : "");
        add_candidate(json, data, &told->candidates[i]);
    }
    text_add(json, "]");
}

/* ---- the way of a query */

static void explain_site(const struct dnsd_data *data, const struct director_facts *facts,
                         uint32_t site, const struct dnsd_question *question,
                         const struct supposed *supposed, struct text *json)
{
    struct director_explanation *told = director_explain(
        data->director, facts, site, question->client,
        &(struct director_supposition){.what_ifs = supposed->what_ifs,
                                       .count = supposed->count,
                                       .policy = supposed->has_policy ? &supposed->policy : NULL});
    if (told)
        add_explanation(json, data, told);
    director_explanation_free(told);
}

void dnsd_explain(const struct dnsd_data *data, const struct director_facts *facts,
                  const struct dnsd_question *question, struct text *json)
{
    struct supposed *supposed = NEW(struct supposed);
    struct text why = {0};
    struct dns_name name;
    uint32_t number;
    bool is_good = true;
    for (size_t i = 0; i < question->supposed_count && is_good; i++)
        is_good = suppose(data, span_text(question->supposed[i]), supposed, &why);
    if (is_good && dns_name_parse(span_text(question->name), NULL, &name)) {
        text_add_format(&why, "'%s' is not a name", question->name);
        is_good = false;
    }
    struct dns_choice other = {0};
    if (is_good && (!dns_zones_computed(data->zones, &name, &number) ||
                    dnsd_proofs_find(data->proofs, number, &other) ||
                    dnsd_assigned_find(data->assigned, number, &other))) {
        text_add_format(&why, "%s is no host of a site in a zone that this node serves",
                        question->name);
        is_good = false;
    }
    char client[ADDRESS_TEXT_BYTES];
    text_add_format(json, "{\"client\":\"%s\"", address_text(question->client, false, client));
    add_name(json, "name", question->name);
    if (is_good) {
        const struct dns_client from = {*question->client, question->client->family == 4 ? 32 : 128,
                                        false};
        struct dns_choice choice = {0};
        uint32_t site = dnsd_levels_find(data->levels, number, &from, &choice);
        char alias[DNS_NAME_TEXT_BYTES];
        if (choice.alias || dnsd_aliases_find(data->aliases, &site, &from, &choice))
            add_name(json, "alias", choice.alias ? dns_name_text(choice.alias, alias) : "");
        else
            explain_site(data, facts, site, question, supposed, json);
    } else {
        add_name(json, "error", why.data);
    }
    text_add(json, "}");
    text_clear(&why);
    memory_free(supposed);
}
