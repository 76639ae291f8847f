/* SPDX-License-Identifier: Apache-2.0
 *
 * What a site's rules cost a request: thread CPU time of rules_decide() with 10, 1,000 and 5,000 rules of mixed kinds (paths, beginnings,
 * endings, hosts, fields, cookies, networks, regular expressions with a beginning), for requests that meet none of them, and one. The
 * last line has regular expressions without a beginning only, which no index helps. One JSON object a line.
 *
 *     micro_rules
 */
#include "micro.h"

#include "base/memory.h"
#include "rules/rules.h"

enum { ROUNDS = 200000, KINDS = 8, BESTS = 5 };

static struct rules_texts one(struct arena *arena, const char *text)
{
    const char **items = ARENA_ARRAY(arena, const char *, 1);
    items[0] = text;
    return (struct rules_texts){items, 1};
}

static struct rules_pairs pair(struct arena *arena, const char *name, const char *value)
{
    struct rules_pair *items = ARENA_NEW(arena, struct rules_pair);
    *items = (struct rules_pair){name, one(arena, value)};
    return (struct rules_pairs){items, 1};
}

static void make_mixed(struct arena *arena, struct rules_match *match, unsigned number)
{
    switch (number % KINDS) {
    case 0:
        match->paths = one(arena, arena_format(arena, "/page/%u", number));
        break;
    case 1:
        match->paths = one(arena, arena_format(arena, "/folder/%u/*", number));
        break;
    case 2:
        match->paths = one(arena, arena_format(arena, "*.t%u", number));
        break;
    case 3:
        match->hosts = one(arena, arena_format(arena, "h%u.shop.example", number));
        break;
    case 4:
        match->headers = pair(arena, "X-Tenant", arena_format(arena, "t%u", number));
        break;
    case 5:
        match->cookies = pair(arena, "id", arena_format(arena, "v%u", number));
        break;
    case 6:
        match->clients.items = ARENA_NEW(arena, struct network);
        match->clients.count = 1;
        INVARIANT(network_parse(span_text(arena_format(arena, "10.%u.%u.0/24", number / 256,
                                                       number % 256)),
                                match->clients.items) == 0);
        break;
    default:
        match->paths = one(arena, arena_format(arena, "~ ^/item/%u/([a-z]+)$", number));
    }
}

static void complain(void *argument, const void *member, const char *sentence)
{
    (void)argument;
    (void)member;
    fprintf(stderr, "%s\n", sentence);
}

static struct rules *make(struct arena *arena, unsigned count, bool is_regex)
{
    struct rules_rule *list = ARENA_ARRAY(arena, struct rules_rule, count);
    for (unsigned i = 0; i < count; i++) {
        list[i].match = ARENA_NEW(arena, struct rules_match);
        list[i].priority = RULES_PRIORITY_LOW;
        if (is_regex)
            list[i].match->paths = one(arena, arena_format(arena, "~ [^/]x%uy$", i));
        else
            make_mixed(arena, list[i].match, i);
    }
    return rules_compile(list, count, "shop", true, &(struct rules_complaints){complain, NULL});
}

/* Nanoseconds of a decision; `matched` rules act. */
static double decide(const struct rules *rules, const char *target, unsigned rounds,
                     size_t *matched)
{
    struct rules_matcher *matcher = rules_matcher_new(1);
    struct rules_decision decision = {0};
    struct arena arena = {0}, heads = {0};
    struct http_parser parser;
    struct http_head head;
    struct rules_facts facts = {.head = &head, .rtt_us = RULES_UNKNOWN};
    struct span request = span_text(
                    arena_format(&heads,
                                 "GET %s HTTP/1.1\r\nHost: www.shop.example\r\nUser-Agent: "
                                 "Mozilla/5.0 (X11)\r\nAccept: text/html\r\n"
                                 "Accept-Language: de\r\nAccept-Encoding: gzip, br\r\nX-Tenant: "
                                 "other\r\nCookie: id=other; session=0123456789abcdef\r\n\r\n",
                                 target)),
                data;
    size_t used;
    double best = 1e9;
    http_parser_start_request(&parser, &http_limits_default, &head, &heads);
    INVARIANT(http_parser_feed(&parser, request, &used, &data) == HTTP_EVENT_HEAD);
    INVARIANT(address_parse(SPAN("192.0.2.7"), &facts.client) == 0);
    for (unsigned i = 0; i < BESTS; i++) {
        double start = cpu_seconds();
        for (unsigned round = 0; round < rounds; round++) {
            rules_decide(rules, matcher, &facts, &arena, &decision);
            arena_rewind(&arena);
        }
        double spent = (cpu_seconds() - start) * 1e9 / rounds;
        best = spent < best ? spent : best;
    }
    *matched = decision.matched_count;
    rules_matcher_free(&matcher);
    arena_clear(&arena);
    arena_clear(&heads);
    return best;
}

static void measure(unsigned count, bool is_regex)
{
    struct arena arena = {0};
    size_t none, first, page;
    unsigned rounds = is_regex ? ROUNDS / 100 : ROUNDS;
    double start = cpu_seconds();
    struct rules *rules = make(&arena, count, is_regex);
    double compiled_ms = (cpu_seconds() - start) * 1000;
    double none_ns = decide(rules, "/some/other/path.html?a=b&c=d", rounds, &none);
    double page_ns = decide(rules, is_regex ? "/ax7y" : "/page/0", rounds, &page);
    double regex_ns = decide(rules, is_regex ? "/ax7y" : "/item/7/shoes", rounds, &first);
    printf("{\"rules\":%u,\"kind\":\"%s\",\"compile_ms\":%.1f,\"none_ns\":%.0f,\"path_ns\":%.0f,"
           "\"regex_ns\":%.0f,"
           "\"matched\":[%zu,%zu,%zu]}\n",
           count, is_regex ? "regex without a beginning" : "mixed", compiled_ms, none_ns, page_ns,
           regex_ns, none, page, first);
    rules_free(&rules);
    arena_clear(&arena);
}

int main(void)
{
    measure(10, false);
    measure(1000, false);
    measure(5000, false);
    measure(100, true);
    return 0;
}
