/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads from text, and the scenario that most rows here are: a request, its response, some time, another request. What comes
 * of it is one word, so that a row reads like a sentence.
 */
#ifndef TESTS_CACHE_SCENARIO_H
#define TESTS_CACHE_SCENARIO_H

#include "cache/cache.h"

#include <stdio.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

/* The time of every scenario. */
#define NOW_S    1000000000u
#define NOW      "Sun, 09 Sep 2001 01:46:40 GMT"
#define BEFORE   "Sun, 09 Sep 2001 01:45:00 GMT" /* 100 s */
#define LATER    "Sun, 09 Sep 2001 01:48:20 GMT" /* 100 s */
#define TEN_DAYS "Thu, 30 Aug 2001 01:46:40 GMT" /* before */
#define A_YEAR   "Sat, 09 Sep 2000 01:46:40 GMT" /* before */

struct heads {
    struct arena arena;
    struct http_head request, response;
};

/* `start` and then `lines`, each ended by \n alone. */
static inline void head_read(struct http_head *head, struct arena *arena, const char *start,
                             const char *lines, const struct http_head *asked)
{
    struct http_parser parser;
    struct span data;
    struct text text = {0};
    size_t used;
    text_add_format(&text, "%s\r\n", start);
    for (const char *at = lines; at && *at; at++) {
        if (*at == '\n')
            text_add(&text, "\r");
        text_add_span(&text, span_of(at, 1));
    }
    text_add(&text, "\r\n");
    if (asked)
        http_parser_start_response(&parser, &http_limits_default, head, arena, asked->method,
                                   asked->upgrades);
    else
        http_parser_start_request(&parser, &http_limits_default, head, arena);
    enum http_event event = http_parser_feed(&parser, text_span(&text), &used, &data);
    if (event != HTTP_EVENT_HEAD)
        fail_msg("not a head: %s %s: %s", start, lines, http_cause_text(parser.cause));
    text_clear(&text);
}

static inline void request_read(struct http_head *head, struct arena *arena, const char *method,
                                const char *lines)
{
    char start[128];
    snprintf(start, sizeof start, "%s /a/b?c HTTP/1.1\r\nHost: www.example", method);
    head_read(head, arena, start, lines, NULL);
}

/* Date is NOW where the lines have none; "-Date" instead of a line: there is none. */
static inline void response_read(struct http_head *head, struct arena *arena, unsigned status,
                                 const char *lines, const struct http_head *asked)
{
    char start[128];
    bool has_date = lines && (strstr(lines, "Date:") == lines || strstr(lines, "\nDate:"));
    bool is_without = lines && !strncmp(lines, "-Date\n", 6);
    snprintf(start, sizeof start, "HTTP/1.1 %u x%s", status,
             has_date || is_without ? "" : "\r\nDate: " NOW);
    head_read(head, arena, start, is_without ? lines + 6 : lines, asked);
}

struct scenario {
    const char *name;
    const char
        *request; /* lines of the first request; a word before them is its method: "POST|..." */
    unsigned status;
    const char *response; /* lines */
    uint32_t after_s;
    const char *again;    /* lines of the second request, likewise */
    const char *expected; /* a refusal's name, or what is done with the second request */
    uint32_t age_s;       /* 0: not looked at */
};

static inline const char *method_of(const char **lines, char method[16])
{
    const char *bar = *lines ? strchr(*lines, '|') : NULL;
    if (!bar)
        return "GET";
    snprintf(method, 16, "%.*s", (int)(bar - *lines), *lines);
    *lines = bar + 1;
    return method;
}

static inline const char *use_text(const struct cache_judgement *judgement)
{
    switch (judgement->use) {
    case CACHE_USE_ANSWER:
        return judgement->is_stale ? "stale" : "fresh";
    case CACHE_USE_REFRESH:
        return "refresh";
    case CACHE_USE_VALIDATE:
        return judgement->may_answer_for_errors ? "validate+error" : "validate";
    case CACHE_USE_FORWARD:
        return "forward";
    case CACHE_USE_REFUSE:
        return "refuse";
    }
    return "?";
}

static inline void scenario_run(const struct scenario *row, const struct cache_policy *policy)
{
    struct heads first = {0}, second = {0};
    struct cache_facts facts;
    struct cache_ask ask;
    struct cache_judgement judgement = {0};
    char method[16];
    const char *lines = row->request, *again = row->again;
    const char *verb = method_of(&lines, method);
    request_read(&first.request, &first.arena, verb, lines);
    response_read(&first.response, &first.arena, row->status, row->response, &first.request);
    enum cache_refusal refusal =
        cache_response_judge(&facts, policy, &first.request, &first.response, NOW_S, NOW_S);
    const char *actual = cache_refusal_name(refusal);
    if (refusal == CACHE_REFUSAL_NONE) {
        verb = method_of(&again, method);
        request_read(&second.request, &second.arena, verb, again);
        cache_ask_read(&ask, policy, &second.request);
        judgement = cache_judge(&facts, &ask, NOW_S + row->after_s);
        actual = use_text(&judgement);
    }
    if (strcmp(actual, row->expected))
        fail_msg("%s: %s instead of %s", row->name, actual, row->expected);
    if (row->age_s && judgement.age_s != row->age_s)
        fail_msg("%s: age %u instead of %u", row->name, judgement.age_s, row->age_s);
    arena_clear(&first.arena);
    arena_clear(&second.arena);
}

#define RUN(rows)                                               \
    do {                                                        \
        for (size_t row_ = 0; row_ < COUNT(rows); row_++)       \
            scenario_run(&(rows)[row_], &cache_policy_default); \
    } while (0)

#endif
