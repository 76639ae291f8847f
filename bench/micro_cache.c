/* SPDX-License-Identifier: Apache-2.0
 *
 * What judging costs, step by step, without a store. Thread CPU time, the best of several rounds; one JSON object a line.
 *
 *     micro_cache
 */
#include "micro.h"

#include "cache/cache.h"

enum { ROUNDS = 7, REPEATS = 200000, NOW_S = 1000000000 };

static const char request_text[] =
    "GET /shop/pictures/2026/kettle-blue.jpg?size=large HTTP/1.1\r\nHost: www.shop.example\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.5\r\n"
    "Cookie: session=4f2a9c1d7e\r\nConnection: keep-alive\r\n\r\n";

static const char answer_text[] =
    "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 09 Sep 2001 01:46:40 GMT\r\n"
    "Content-Type: text/html; charset=utf-8\r\nContent-Length: 6120\r\nETag: \"656f1c2a-17e8\"\r\n"
    "Cache-Control: public, max-age=600, stale-while-revalidate=30\r\nVary: "
    "Accept-Encoding\r\n\r\n";

struct bench {
    struct arena arena, scratch;
    struct http_head request, answer;
    struct http_fields stored;
    struct cache_facts facts;
    struct cache_ask ask;
    struct cache_answer choice;
    struct text key, names, packed;
    uint64_t sum;
};

static void parse(struct bench *bench)
{
    struct http_parser parser;
    struct span data;
    size_t used;
    http_parser_start_request(&parser, &http_limits_default, &bench->request, &bench->arena);
    must(http_parser_feed(&parser, span_of(request_text, sizeof request_text - 1), &used, &data) ==
         HTTP_EVENT_HEAD);
    http_parser_start_response(&parser, &http_limits_default, &bench->answer, &bench->arena,
                               HTTP_METHOD_GET, false);
    must(http_parser_feed(&parser, span_of(answer_text, sizeof answer_text - 1), &used, &data) ==
         HTTP_EVENT_HEAD);
    must(cache_response_judge(&bench->facts, &cache_policy_default, &bench->request, &bench->answer,
                              NOW_S, NOW_S) == CACHE_REFUSAL_NONE);
    bench->stored.arena = &bench->arena;
    must(cache_response_fields(&bench->stored, &cache_policy_default, &bench->answer.fields,
                               NOW_S) == 0);
    must(cache_vary_names(&bench->names, &bench->stored) == 0);
    must(cache_head_pack(&bench->packed, &bench->stored) == 0);
}

/* All that a fresh hit needs before its bytes: what is asked, may it be used, which part of it. */
static void judge_hit(struct bench *bench)
{
    cache_ask_read(&bench->ask, &cache_policy_default, &bench->request);
    struct cache_judgement judgement = cache_judge(&bench->facts, &bench->ask, NOW_S + 5);
    must(judgement.use == CACHE_USE_ANSWER);
    must(cache_answer_choose(&bench->choice, &bench->ask, &bench->request, &bench->facts,
                             &bench->stored, 1) == 0);
    bench->sum += judgement.age_s + bench->choice.status;
}

static void make_key(struct bench *bench)
{
    text_reset(&bench->key);
    must(cache_key_make(&bench->key, SPAN("shop"), true, bench->request.host, 0,
                        bench->request.target) == 0);
}

static void make_variant(struct bench *bench)
{
    text_reset(&bench->key);
    must(cache_vary_variant(&bench->key, text_span(&bench->names), &bench->request.fields) == 0);
}

static void unpack_head(struct bench *bench)
{
    struct http_fields fields;
    must(cache_head_unpack(&fields, &bench->scratch, text_span(&bench->packed)) == 0);
    arena_rewind(&bench->scratch);
}

static void make_head(struct bench *bench)
{
    struct http_head head;
    struct cache_judgement judgement = {.age_s = 5};
    http_head_init(&head, &bench->scratch);
    must(cache_answer_head(&head, &bench->choice, &judgement, &bench->facts, &bench->stored) == 0);
    arena_rewind(&bench->scratch);
}

static void judge_response(struct bench *bench)
{
    struct cache_facts facts;
    must(cache_response_judge(&facts, &cache_policy_default, &bench->request, &bench->answer, NOW_S,
                              NOW_S) == CACHE_REFUSAL_NONE);
}

static void measure(struct bench *bench, const char *name, void (*step)(struct bench *bench))
{
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double start = cpu_seconds();
        for (int i = 0; i < REPEATS; i++)
            step(bench);
        double taken = cpu_seconds() - start;
        best = taken < best ? taken : best;
    }
    printf("{\"step\": \"%s\", \"ns\": %.1f}\n", name, best / REPEATS * 1e9);
}

int main(void)
{
    struct bench bench = {0};
    parse(&bench);
    measure(&bench, "judge a hit", judge_hit);
    measure(&bench, "make a key", make_key);
    measure(&bench, "make a variant", make_variant);
    measure(&bench, "unpack a stored head", unpack_head);
    measure(&bench, "make an answer's head", make_head);
    measure(&bench, "judge a response", judge_response);
    text_clear(&bench.key);
    text_clear(&bench.names);
    text_clear(&bench.packed);
    arena_clear(&bench.arena);
    arena_clear(&bench.scratch);
    return bench.sum ? 0 : 1;
}
