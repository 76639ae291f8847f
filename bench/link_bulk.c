/* SPDX-License-Identifier: Apache-2.0
 *
 * Bulk over one link on loopback, one worker an end: the link library itself, no HTTP. The receiving end takes everything and
 * counts; the sending end keeps one stream as full as it says it has room. From WARM seconds on each end counts for SECONDS, prints
 * what it moved and the CPU time that it took, {"end": .., "bytes": .., "seconds": .., "cpu_s": ..}, and goes on until SIGTERM.
 *
 *     link_bulk receive|send PORT WARM SECONDS [no-offload]
 */
#include "base/memory.h"
#include "crypto/crypto.h"
#include "link/link.h"

#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BLOCK_BYTES = CHUNK_BYTES, RETRY_NS = 10000000, EDGE_SEED = 1, GATEWAY_SEED = 2 };

static struct {
    bool is_sender, has_offload;
    uint64_t warm_ns, window_ns;
    struct link_set *links;
    struct link_stream *stream;
    struct loop_timer next;
    struct slice block;
    uint64_t moved; /* of the stream's bytes, since the window opened */
    uint64_t opened_ns, cpu_ns;
    bool is_open; /* the window */
    sem_t stop;
} bulk;

static uint64_t cpu_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void on_window(struct loop *loop, struct loop_timer *timer)
{
    uint64_t now_ns = clock_now_ns();
    if (!bulk.is_open) {
        bulk.is_open = true;
        bulk.moved = 0;
        bulk.opened_ns = now_ns;
        bulk.cpu_ns = cpu_now_ns();
        loop_timer_start(loop, timer, now_ns + bulk.window_ns);
        return;
    }
    printf("{\"end\": \"%s\", \"bytes\": %llu, \"seconds\": %.6f, \"cpu_s\": %.6f}\n",
           bulk.is_sender ? "send" : "receive", (unsigned long long)bulk.moved,
           (double)(now_ns - bulk.opened_ns) * 1e-9, (double)(cpu_now_ns() - bulk.cpu_ns) * 1e-9);
    fflush(stdout);
}

static void open_window(struct loop *loop)
{
    bulk.next.fire = on_window;
    loop_timer_start(loop, &bulk.next, clock_now_ns() + bulk.warm_ns);
}

static void drain(void *owner, struct link_stream *stream)
{
    struct slice_queue bytes = {0};
    bool ended;
    (void)owner;
    link_stream_read(stream, &bytes, UINT64_MAX, &ended);
    bulk.moved += bytes.bytes;
    link_stream_consume(stream, bytes.bytes);
    slice_queue_clear(&bytes);
}

static void fill(void *owner, struct link_stream *stream)
{
    struct slice_queue bytes = {0};
    (void)owner;
    for (uint64_t room = link_stream_room(stream); bytes.bytes < room;)
        slice_queue_push(&bytes, slice_retain(bulk.block));
    bulk.moved += bytes.bytes;
    link_stream_write(stream, &bytes);
    slice_queue_clear(&bytes);
}

/* The other end has left: nothing more to do here. */
static void on_reset(void *owner, struct link_stream *stream, uint32_t code)
{
    (void)owner;
    (void)stream;
    (void)code;
    link_stream_release(&bulk.stream);
}

static const struct link_stream_events events = {.readable = drain,
                                                 .writable = fill,
                                                 .reset = on_reset};

static void accept_stream(void *argument, struct link *link, struct link_stream *stream,
                          const struct transport_open *open)
{
    (void)argument;
    (void)link;
    (void)open;
    bulk.stream = stream;
    link_stream_attach(stream, &events, NULL);
    open_window(worker_loop(worker_current()));
}

static void on_try(struct loop *loop, struct loop_timer *timer)
{
    const struct transport_open open = {.port = 80, .ring = 2};
    if (link_stream_open(link_set_get(bulk.links, 0), &open, &events, NULL, &bulk.stream) < 0) {
        loop_timer_start(loop, timer, clock_now_ns() + RETRY_NS);
        return;
    }
    open_window(loop);
    fill(NULL, bulk.stream);
}

static void on_terminate(int signal)
{
    (void)signal;
    sem_post(&bulk.stop);
}

static int start(struct worker *worker, void *argument)
{
    (void)argument;
    int result = link_set_start(bulk.links, worker);
    if (result == 0 && bulk.is_sender) {
        bulk.next.fire = on_try;
        loop_timer_start(worker_loop(worker), &bulk.next, 0);
    }
    return result;
}

static void stop(struct worker *worker, void *argument)
{
    (void)argument;
    link_stream_release(&bulk.stream);
    link_set_stop(bulk.links, worker);
}

/* Keys that both processes know: this is no secret. */
static struct key key_of(uint8_t seed)
{
    struct key key;
    memset(key.bytes, seed, KEY_BYTES);
    return key;
}

static int read_key(void *argument, const char *path, bool is_secret, struct text *content,
                    struct text *why)
{
    char text[KEY_TEXT_BYTES];
    struct key key = key_of(strcmp(path, "edge.key") == 0 ? EDGE_SEED : GATEWAY_SEED);
    (void)argument;
    (void)is_secret;
    (void)why;
    text_add(content, key_text(&key, text));
    return 0;
}

static struct conf *configuration(const struct address *gateway)
{
    char address[ADDRESS_TEXT_BYTES], edge_key[KEY_TEXT_BYTES], gateway_key[KEY_TEXT_BYTES];
    const struct key edge = key_of(EDGE_SEED), gate = key_of(GATEWAY_SEED);
    struct text text = {0}, errors = {0};
    text_add_format(&text,
                    "nodes:\n"
                    "  edge:\n"
                    "    public_key: \"%s\"\n"
                    "    private_key: edge.key\n"
                    "    addresses: [\"127.0.0.1\"]\n"
                    "    edge: {listen: [\"127.0.0.1:80\"]}\n"
                    "    admin: off\n"
                    "  gateway:\n"
                    "    public_key: \"%s\"\n"
                    "    private_key: gateway.key\n"
                    "    link: {listen: [\"%s\"]}\n"
                    "    gateway: {allow: [{edges: [edge], sites: [bulk]}]}\n"
                    "    admin: off\n"
                    "link: {offload: %s}\n"
                    "sites:\n"
                    "  bulk: {hosts: [bulk.example], origins: [\"http://192.0.2.1\"]}\n",
                    key_public_text(crypto_openssl(), &edge, edge_key),
                    key_public_text(crypto_openssl(), &gate, gateway_key),
                    address_text(gateway, true, address), bulk.has_offload ? "true" : "false");
    const struct conf_reader reader = {.read = read_key};
    struct conf *conf = conf_load("link_bulk", text_span(&text),
                                  bulk.is_sender ? "edge" : "gateway", &reader, &errors);
    if (!conf)
        fprintf(stderr, "%s", errors.data);
    text_clear(&text);
    text_clear(&errors);
    return conf;
}

int main(int count, char **words)
{
    if (count < 5 || count > 6 ||
        (strcmp(words[1], "receive") != 0 && strcmp(words[1], "send") != 0)) {
        fprintf(stderr, "usage: link_bulk receive|send PORT WARM SECONDS [no-offload]\n");
        return 2;
    }
    bulk.is_sender = strcmp(words[1], "send") == 0;
    bulk.has_offload = count == 5;
    bulk.warm_ns = (uint64_t)(atof(words[3]) * 1e9);
    bulk.window_ns = (uint64_t)(atof(words[4]) * 1e9);
    struct address gateway = {.family = 4,
                              .bytes = {127, 0, 0, 1},
                              .port = (uint16_t)atoi(words[2])};
    struct conf *conf = configuration(&gateway);
    int listener = -1;
    if (!conf || (!bulk.is_sender && socket_bind_udp(&gateway, 0, &listener) < 0)) {
        perror("link_bulk");
        return 1;
    }
    struct link_options options = {.conf = conf,
                                   .workers = 1,
                                   .listeners = &listener,
                                   .listen_count = !bulk.is_sender,
                                   .accept = accept_stream};
    memcpy(options.private_key, conf->self->private_key, KEY_BYTES);
    memcpy(options.public_key, conf->self->public_key, KEY_BYTES);
    static uint8_t zero[BLOCK_BYTES];
    bulk.block = slice_copy(span_of(zero, sizeof zero));
    sem_init(&bulk.stop, 0, 0);
    signal(SIGTERM, on_terminate);
    struct worker_set *workers;
    const struct worker_hooks hooks = {start, stop, NULL};
    if (link_set_new(&bulk.links, &options) < 0 || workers_start(&workers, 1, "bulk", &hooks) < 0) {
        fprintf(stderr, "link_bulk: cannot start\n");
        return 1;
    }
    conf_free(conf);
    while (sem_wait(&bulk.stop) < 0)
        ;
    workers_stop(&workers);
    link_set_free(&bulk.links);
    slice_release(&bulk.block);
    return 0;
}
