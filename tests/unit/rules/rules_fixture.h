/* SPDX-License-Identifier: Apache-2.0
 *
 * A site's rules from a few lines of YAML, a request from a few lines of HTTP, and what is decided, as one line.
 */
#ifndef RULES_FIXTURE_H
#define RULES_FIXTURE_H

#include "conf/conf.h"
#include "rules/private.h"

#include <stdio.h>

struct fixture {
    struct conf *conf;
    const struct rules *rules;
    struct rules_matcher *matcher;
    struct arena arena;
    struct http_parser parser;
    struct http_head head;
    struct rules_facts facts;
    struct rules_decision decision;
    struct text told;
};

/* `yaml` is the list of rules, each line with two blanks before it or more. NULL, with sentences in fixture->told. */
static inline const struct rules *fixture_load(struct fixture *fixture, const char *yaml)
{
    struct text file = {0};
    struct conf_reader reader = {0};
    text_add_format(&file,
                    "nodes:\n  me:\n    edge: {listen: [\"127.0.0.1:80\"]}\n    gateway: {allow: "
                    "[{edges: [me], sites: [shop]}]}\nsites:\n  shop:\n    hosts: [shop.example, "
                    "\"*.shop.example\"]\n    origins: [\"http://192.0.2.1\"]\n    rules:\n%s\n"
                    "    groups: [{name: api, origins: [\"http://192.0.2.2\"]}]\n"
                    "    session_class: {secret: /s.secret}\n",
                    yaml);
    *fixture = (struct fixture){.matcher = rules_matcher_new(1)};
    fixture->conf = conf_load("c.yaml", text_span(&file), NULL, &reader, &fixture->told);
    fixture->rules = fixture->conf ? fixture->conf->sites[0].rules : NULL;
    text_clear(&file);
    return fixture->rules;
}

/* `request`: the request line without its version, and further field lines. */
static inline bool fixture_ask(struct fixture *fixture, const char *request)
{
    struct text text = {0};
    struct span data;
    size_t used, line = strcspn(request, "\n");
    arena_clear(&fixture->arena);
    text_add_span(&text, span_of(request, line));
    text_add(&text, " HTTP/1.1\r\n");
    if (!strstr(request, "Host:"))
        text_add(&text, "Host: shop.example\r\n");
    for (request += line; *request; request += line) {
        request += *request == '\n';
        line = strcspn(request, "\n");
        if (line)
            text_add_format(&text, "%.*s\r\n", (int)line, request);
    }
    text_add(&text, "\r\n");
    struct span bytes = arena_copy(&fixture->arena, text_span(&text));
    text_clear(&text);
    http_parser_start_request(&fixture->parser, &http_limits_default, &fixture->head,
                              &fixture->arena);
    if (http_parser_feed(&fixture->parser, bytes, &used, &data) != HTTP_EVENT_HEAD)
        return false;
    fixture->facts.head = &fixture->head;
    rules_decide(fixture->rules, fixture->matcher, &fixture->facts, &fixture->arena,
                 &fixture->decision);
    return true;
}

static inline void fixture_client(struct fixture *fixture, const char *client)
{
    INVARIANT(address_parse(span_text(client), &fixture->facts.client) == 0);
}

/* "block 403 by admin; 1" and the like: outcome, status, what of it, numbers of the rules that matched. */
static inline const char *fixture_tell(struct fixture *fixture)
{
    const struct rules_decision *decision = &fixture->decision;
    text_reset(&fixture->told);
    text_add(&fixture->told, rules_outcome_name(decision->outcome));
    if (decision->status)
        text_add_format(&fixture->told, " %u", decision->status);
    if (decision->location.length)
        text_add_format(&fixture->told, " to %.*s", SPAN_ARGS(decision->location));
    if (decision->target.length)
        text_add_format(&fixture->told, " as %.*s", SPAN_ARGS(decision->target));
    if (decision->priority >= 0)
        text_add_format(&fixture->told, " ring %d", decision->priority);
    if (decision->session_class >= 0)
        text_add_format(&fixture->told, " session %d for %llu s", decision->session_class,
                        (unsigned long long)(decision->session_class_ns / 1000000000));
    if (decision->toll_count)
        text_add_format(&fixture->told, " limits %zu", decision->toll_count);
    text_add(&fixture->told, ";");
    for (size_t i = 0; i < decision->matched_count; i++)
        text_add_format(&fixture->told, " %d", decision->matched[i] + 1);
    return fixture->told.data;
}

static inline void fixture_clear(struct fixture *fixture)
{
    rules_matcher_free(&fixture->matcher);
    arena_clear(&fixture->arena);
    text_clear(&fixture->told);
    conf_free(fixture->conf);
}

#endif
