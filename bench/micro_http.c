/* SPDX-License-Identifier: Apache-2.0
 *
 * What the HTTP core costs a request, step by step, without sockets. Thread CPU time, the best of several rounds; one
 * JSON object a line.
 *
 *     micro_http
 */
#include "micro.h"

#include "http/http.h"

enum { ROUNDS = 7, REPEATS = 200000 };

static const char request_text[] =
    "GET /shop/pictures/2026/kettle-blue.jpg?size=large HTTP/1.1\r\n"
    "Host: www.shop.example\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Cookie: session=4f2a9c1d7e\r\n"
    "Connection: keep-alive\r\n\r\n";

static const char answer_text[] = "HTTP/1.1 200 OK\r\nServer: nginx\r\n"
                                  "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                  "Content-Type: text/html; charset=utf-8\r\n"
                                  "Content-Length: 6120\r\nETag: \"656f1c2a-17e8\"\r\n"
                                  "Cache-Control: max-age=0\r\nVary: Accept-Encoding\r\n\r\n";

struct bench {
    struct arena arena;
    struct http_head head, far_head;
    struct http_opening opening, far_opening;
    struct slice_queue frames, text;
};

static void parse_request(struct bench *bench)
{
    struct http_parser parser;
    struct span data;
    size_t used;
    http_parser_start_request(&parser, &http_limits_default, &bench->head, &bench->arena);
    must(http_parser_feed(&parser, span_of(request_text, sizeof request_text - 1), &used, &data) ==
         HTTP_EVENT_HEAD);
}

static void parse_answer(struct bench *bench)
{
    struct http_parser parser;
    struct span data;
    size_t used;
    http_parser_start_response(&parser, &http_limits_default, &bench->head, &bench->arena,
                               HTTP_METHOD_GET, false);
    must(http_parser_feed(&parser, span_of(answer_text, sizeof answer_text - 1), &used, &data) ==
         HTTP_EVENT_HEAD);
}

static void cross_request(struct bench *bench)
{
    struct http_form_reader reader;
    struct slice data;
    parse_request(bench);
    must(http_form_write_request(&bench->frames, &bench->opening, &bench->head) == 0);
    http_form_reader_start_request(&reader, &http_limits_default, &bench->far_opening,
                                   &bench->far_head, &bench->arena);
    must(http_form_reader_next(&reader, &bench->frames, &data) == HTTP_EVENT_HEAD);
}

static void cross_answer(struct bench *bench)
{
    struct http_form_reader reader;
    struct slice data;
    parse_answer(bench);
    must(http_form_write_response(&bench->frames, &bench->head) == 0);
    http_form_reader_start_response(&reader, &http_limits_default, &bench->far_head, &bench->arena,
                                    HTTP_METHOD_GET, false);
    must(http_form_reader_next(&reader, &bench->frames, &data) == HTTP_EVENT_HEAD);
}

/* All that edge and gateway do to a request's head. */
static void whole_request(struct bench *bench)
{
    cross_request(bench);
    struct http_head *head = &bench->far_head;
    must(http_add_via(&head->fields, 1, SPAN("gateway")) == 0);
    must(http_add_forwarded(&head->fields, &bench->far_opening, head,
                            HTTP_FORWARDED | HTTP_X_FORWARDED) == 0);
    must(http_write_request(&bench->text, head) == 0);
}

static void whole_answer(struct bench *bench)
{
    const struct http_head request = {.method = HTTP_METHOD_GET, .minor = 1, .keeps_alive = true};
    cross_answer(bench);
    must(http_add_via(&bench->far_head.fields, 1, SPAN("edge")) == 0);
    http_response_frame(&bench->far_head, &request);
    must(http_write_response(&bench->text, &bench->far_head) == 0);
}

static void measure(struct bench *bench, const char *name, void (*step)(struct bench *bench))
{
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double start = cpu_seconds();
        for (int i = 0; i < REPEATS; i++) {
            step(bench);
            slice_queue_consume(&bench->text, bench->text.bytes);
            arena_clear(&bench->arena);
        }
        double took = (cpu_seconds() - start) / REPEATS;
        best = took < best ? took : best;
    }
    printf("{\"case\": \"%s\", \"subject\": \"causeway\", \"metric\": \"cpu_us_per_request\", "
           "\"value\": %.3f, \"unit\": \"us\"}\n",
           name, best * 1e6);
}

int main(void)
{
    struct bench bench = {
        .opening = {.site = SPAN("shop"),
                    .request_id = SPAN("0123456789abcdef"),
                    .client = {.bytes = {192, 0, 2, 7}, .port = 50000, .family = 4},
                    .edge_port = 80,
                    .priority = 2},
    };
    measure(&bench, "http_parse_request", parse_request);
    measure(&bench, "http_parse_answer", parse_answer);
    measure(&bench, "http_cross_request", cross_request);
    measure(&bench, "http_cross_answer", cross_answer);
    measure(&bench, "http_whole_request", whole_request);
    measure(&bench, "http_whole_answer", whole_answer);
    slice_queue_clear(&bench.frames);
    slice_queue_clear(&bench.text);
    chunk_cache_drain();
    return 0;
}
