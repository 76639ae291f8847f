/* SPDX-License-Identifier: Apache-2.0
 *
 * An edge that only asks: it opens so many requests for a site on its link to the site's first gateway, of the size that browsers send,
 * and holds them until SIGTERM. What comes back is thrown away and counted. It is what fills a gateway's queue without a hundred thousand
 * connections of visitors.
 *
 *     link_wait CONFIGURATION NODE SITE COUNT
 *
 * {"sent": COUNT} once all are on their way; at the end {"answered": .., "refused": ..}: how many got an answer, and how many streams were
 * reset.
 */
#include "crypto/crypto.h"
#include "http/http.h"
#include "link/link.h"

#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    RETRY_NS = 1000000,
    TURN = 64, /* opened before the loop has its turn */
};

static const char request_text[] =
    "GET /catalogue/shoes/running/item-123456.html?colour=blue&size=42 HTTP/1.1\r\n"
    "Host: www.bench.example\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Referer: https://www.bench.example/catalogue/shoes/\r\n"
    "Cookie: session=5f3c8a1e9b7d42608c1f; basket=3; consent=all\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Priority: u=0, i\r\n"
    "\r\n";

static struct {
    struct conf *conf;
    const char *site;
    struct link_set *links;
    struct loop_timer next;
    struct link_stream **streams;
    uint32_t wanted, opened;
    _Atomic uint32_t answered, refused;
    struct arena arena;
    struct http_head head;
    struct http_opening opening;
    sem_t stop;
} waits;

static void on_readable(void *owner, struct link_stream *stream)
{
    struct slice_queue bytes = {0};
    bool ended;
    (void)owner;
    link_stream_read(stream, &bytes, UINT64_MAX, &ended);
    link_stream_consume(stream, bytes.bytes);
    slice_queue_clear(&bytes);
    waits.answered += ended;
}

static void on_writable(void *owner, struct link_stream *stream)
{
    (void)owner;
    (void)stream;
}

static void on_reset(void *owner, struct link_stream *stream, uint32_t code)
{
    (void)stream;
    (void)code;
    waits.refused++;
    link_stream_release(owner);
}

static const struct link_stream_events events = {.readable = on_readable,
                                                 .writable = on_writable,
                                                 .reset = on_reset};

/* False: not now. */
static bool ask(void)
{
    const struct transport_open open = {.port = 80,
                                        .flags = TRANSPORT_OPEN_HTTP,
                                        .ring = waits.opening.priority,
                                        .client = waits.opening.client};
    struct link_stream **stream = &waits.streams[waits.opened];
    struct slice_queue bytes = {0};
    char id[HTTP_REQUEST_ID_MOST];
    if (link_stream_open(link_set_get(waits.links, 0), &open, &events, stream, stream) < 0)
        return false;
    int length = snprintf(id, sizeof id, "%032x", waits.opened++);
    waits.opening.request_id = span_of(id, (size_t)length);
    if (http_form_write_request(&bytes, &waits.opening, &waits.head) < 0)
        abort();
    http_form_write_end(&bytes);
    link_stream_write(*stream, &bytes);
    link_stream_finish(*stream);
    return true;
}

static void on_next(struct loop *loop, struct loop_timer *timer)
{
    for (uint32_t i = 0; i < TURN && waits.opened < waits.wanted; i++)
        if (!ask())
            break;
    if (waits.opened < waits.wanted) {
        loop_timer_start(loop, timer, clock_now_ns() + RETRY_NS);
        return;
    }
    printf("{\"sent\": %u}\n", waits.opened);
    fflush(stdout);
}

static void on_terminate(int signal)
{
    (void)signal;
    sem_post(&waits.stop);
}

static int start(struct worker *worker, void *argument)
{
    (void)argument;
    int result = link_set_start(waits.links, worker);
    waits.next.fire = on_next;
    if (result == 0)
        loop_timer_start(worker_loop(worker), &waits.next, 0);
    return result;
}

static void stop(struct worker *worker, void *argument)
{
    (void)argument;
    for (uint32_t i = 0; i < waits.opened; i++)
        link_stream_release(&waits.streams[i]);
    link_set_stop(waits.links, worker);
}

static bool read_configuration(const char *file, const char *node)
{
    const struct conf_reader reader = conf_file_reader();
    struct text content = {0}, errors = {0};
    if (conf_read_file(file, &content, &errors) == 0)
        waits.conf = conf_load(file, text_span(&content), node, &reader, &errors);
    if (!waits.conf)
        fprintf(stderr, "link_wait: %s\n", errors.data);
    text_clear(&content);
    text_clear(&errors);
    return waits.conf;
}

static void make_request(void)
{
    struct slice_queue text = {0};
    struct slice none;
    struct http_parser parser;
    http_parser_start_request(&parser, &http_limits_default, &waits.head, &waits.arena);
    slice_queue_append(&text, span_text(request_text));
    if (http_parser_next(&parser, &text, &none) != HTTP_EVENT_HEAD)
        abort();
    slice_queue_clear(&text);
    http_remove_hop_by_hop(&waits.head.fields);
    if (http_add_via(&waits.head.fields, 1, SPAN("edge")) < 0)
        abort();
    waits.opening = (struct http_opening){.site = span_text(waits.site),
                                          .client = {.family = 4, .bytes = {192, 0, 2, 7}},
                                          .edge_port = 443,
                                          .is_https = true,
                                          .priority = 2};
}

int main(int count, char **words)
{
    if (count != 5) {
        fprintf(stderr, "usage: link_wait CONFIGURATION NODE SITE COUNT\n");
        return 2;
    }
    waits.site = words[3];
    waits.wanted = (uint32_t)strtoul(words[4], NULL, 10);
    waits.streams = calloc(waits.wanted + 1u, sizeof(struct link_stream *));
    if (!waits.streams || !read_configuration(words[1], words[2]))
        return 1;
    struct link_options options = {.conf = waits.conf, .workers = 1};
    memcpy(options.private_key, waits.conf->self->private_key, CONF_KEY_BYTES);
    memcpy(options.public_key, waits.conf->self->public_key, CONF_KEY_BYTES);
    make_request();
    sem_init(&waits.stop, 0, 0);
    signal(SIGTERM, on_terminate);
    struct worker_set *workers;
    const struct worker_hooks hooks = {start, stop, NULL};
    if (link_set_new(&waits.links, &options) < 0 ||
        workers_start(&workers, 1, "wait", &hooks) < 0) {
        fprintf(stderr, "link_wait: cannot start\n");
        return 1;
    }
    while (sem_wait(&waits.stop) < 0)
        ;
    workers_stop(&workers);
    printf("{\"answered\": %u, \"refused\": %u}\n", waits.answered, waits.refused);
    link_set_free(&waits.links);
    arena_clear(&waits.arena);
    conf_free(waits.conf);
    free(waits.streams);
    return 0;
}
