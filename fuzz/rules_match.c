/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules as anybody may write them, and requests as anybody may send them: before a line "---" the list of rules in YAML, behind
 * it a request. A decision comes of whatever loads, the index finds all that holds, and what goes on may go on.
 */
#include "conf/conf.h"
#include "fuzz.h"
#include "rules/private.h"

#include <stdio.h>

/* libfyaml 0.7.12 forgets a buffer when a long quoted text is followed by an error (as in conf.c). */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

static struct conf *load(struct span list)
{
    struct text file = {0}, errors = {0};
    struct conf_reader reader = {0};
    text_add(&file,
             "nodes:\n  me: {edge: {listen: [\"127.0.0.1:80\"]}, gateway: {}}\nsites:\n  s:\n"
             "    hosts: [s.example]\n    origins: [\"http://192.0.2.1\"]\n    rules:\n");
    text_add_span(&file, list);
    struct conf *conf = conf_load("c.yaml", text_span(&file), CONF_NO_NODE, &reader, &errors);
    text_clear(&file);
    text_clear(&errors);
    return conf;
}

static void check_index(const struct rules *rules, struct rules_matcher *matcher,
                        const struct rules_facts *facts, struct arena *arena)
{
    struct subject subject;
    struct candidates found;
    subject_init(&subject, facts, arena);
    index_find(rules->index, &subject, &found);
    for (size_t i = 0; i < rules->count; i++) {
        size_t word = i / 64;
        bool is_found =
            found.summary[word / 64] >> (word % 64) & 1 && found.words[word] >> (i % 64) & 1;
        INVARIANT(is_found || !condition_holds(&rules->compiled[i].root, &subject, matcher));
    }
}

static void decide(const struct rules *rules, const struct http_head *head, struct arena *arena)
{
    struct rules_matcher *matcher = rules_matcher_new(1);
    struct rules_decision decision;
    struct rules_facts facts = {.head = head,
                                .country = {'D', 'E'},
                                .rtt_us = 90000,
                                .loss_ppm = 1,
                                .load_percent = RULES_UNKNOWN};
    INVARIANT(address_parse(SPAN("10.1.2.3"), &facts.client) == 0);
    rules_decide(rules, matcher, &facts, arena, &decision);
    INVARIANT(decision.matched_count <= decision.considered);
    INVARIANT(decision.toll_count <= decision.matched_count);
    INVARIANT(!decision.target.length || http_is_target(decision.target));
    INVARIANT(decision.outcome != RULES_REDIRECT || http_is_field_value(decision.location));
    INVARIANT(decision.outcome == RULES_PASS || decision.status);
    for (size_t i = 1; i < decision.matched_count; i++)
        INVARIANT(decision.matched[i - 1] < decision.matched[i]);
    struct http_fields fields = {.arena = arena};
    INVARIANT(rules_edit_fields(&fields, &decision.request) <= 0);
    if (decision.outcome != RULES_FAILED)
        check_index(rules, matcher, &facts, arena);
    rules_matcher_free(&matcher);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char line[] = "\n---\n";
    const uint8_t *cut = memmem(data, size, line, sizeof line - 1);
    if (!cut)
        return 0;
    struct span list = span_of(data, (size_t)(cut - data));
    struct span request = span_of(cut + sizeof line - 1, size - list.length - (sizeof line - 1)),
                piece;
    struct conf *conf = load(list);
    struct arena arena = {0};
    struct http_parser parser;
    struct http_head head;
    size_t used;
    http_parser_start_request(&parser, &http_limits_default, &head, &arena);
    if (conf && conf->sites[0].rules &&
        http_parser_feed(&parser, request, &used, &piece) == HTTP_EVENT_HEAD)
        decide(conf->sites[0].rules, &head, &arena);
    arena_clear(&arena);
    conf_free(conf);
    return 0;
}
