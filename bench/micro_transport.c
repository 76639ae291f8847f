/* SPDX-License-Identifier: Apache-2.0
 *
 * What the transport's core costs by itself: two lanes joined in memory on one core, real
 * encryption, no sockets. Prints one JSON object a line: case, subject, metric, value, unit.
 *
 *     micro_transport [seconds] [packet bytes] [streams]        bulk
 *     micro_transport [seconds] [packet bytes] requests         streams of 200 bytes there and 1000 back
 */
#include "micro.h"

#include "crypto/crypto.h"
#include "transport/transport.h"

#include <stdlib.h>

enum { ENDS = 2, TRANSMITS = 4, BLOCK = 65536, STREAMS_MAX = 20000, REQUESTS_AT_ONCE = 100 };

struct end {
    struct transport *transport;
    struct transport_config config;
    struct address address;
    bool is_up;
};

static struct end ends[ENDS];
static struct transport_listener *listener;
static struct transport_stream *streams[STREAMS_MAX];
static uint64_t delivered, requests;
static bool is_bulk = true;
static struct slice block;

static void start(uint16_t packet_bytes)
{
    const struct crypto *crypto = crypto_openssl();
    struct key keys[ENDS], publics[ENDS];
    for (int i = 0; i < ENDS; i++) {
        key_generate(crypto, &keys[i]);
        crypto->public_key(crypto, &keys[i], &publics[i]);
    }
    for (int i = 0; i < ENDS; i++) {
        struct transport_config *config = &ends[i].config;
        transport_config_defaults(config);
        config->is_initiator = i == 0;
        config->crypto = crypto;
        memcpy(config->private_key, keys[i].bytes, KEY_BYTES);
        memcpy(config->public_key, publics[i].bytes, KEY_BYTES);
        memcpy(config->peer_key, publics[!i].bytes, KEY_BYTES);
        config->packet_bytes = packet_bytes;
        config->window_budget = 1ull << 30;
        ends[i].address =
            (struct address){.family = 4, .bytes = {127, 0, 0, 1}, .port = (uint16_t)(i + 1)};
        ends[i].transport = transport_new(config, clock_ns(CLOCK_MONOTONIC));
    }
    listener = transport_listener_new(crypto, keys[1].bytes, clock_ns(CLOCK_MONOTONIC));
    const struct transport_route route = {.to = ends[1].address};
    transport_dial(ends[0].transport, &route, 1, clock_ns(CLOCK_MONOTONIC));
}

static void fill(struct transport_stream *stream)
{
    static struct slice_queue bytes; /* keeps its table */
    while (transport_stream_room(stream)) {
        slice_queue_push(&bytes, slice_retain(block));
        transport_stream_write(stream, &bytes);
    }
}

static void drain(struct transport_stream *stream)
{
    static struct slice_queue bytes; /* keeps its table */
    bool ended;
    transport_stream_read(stream, &bytes, UINT64_MAX, &ended);
    delivered += bytes.bytes;
    transport_stream_consume(stream, bytes.bytes);
    slice_queue_consume(&bytes, bytes.bytes);
}

static void write_bytes(struct transport_stream *stream, uint32_t length)
{
    struct slice_queue bytes = {0};
    slice_queue_push(&bytes, (struct slice){slice_retain(block).chunk, 0, length});
    transport_stream_write(stream, &bytes);
    transport_stream_finish(stream);
    slice_queue_clear(&bytes);
}

static void ask(void)
{
    const struct transport_open open = {.port = 80, .ring = 1};
    struct transport_stream *stream;
    if (!transport_stream_open(ends[0].transport, &open, &stream))
        write_bytes(stream, 200);
}

/* One end of a request: reads all, then answers or asks the next. */
static void serve(const struct end *end, struct transport_stream *stream)
{
    struct slice_queue bytes = {0};
    bool ended;
    transport_stream_read(stream, &bytes, UINT64_MAX, &ended);
    transport_stream_consume(stream, bytes.bytes);
    slice_queue_clear(&bytes);
    if (!ended)
        return;
    if (end == &ends[1]) {
        write_bytes(stream, 1000);
    } else {
        requests++;
        ask();
    }
}

static void tell(struct end *end)
{
    struct transport_event event;
    while (transport_next_event(end->transport, &event)) {
        switch (event.kind) {
        case TRANSPORT_EVENT_UP:
            end->is_up = true;
            break;
        case TRANSPORT_EVENT_READABLE:
            if (is_bulk)
                drain(event.stream);
            else
                serve(end, event.stream);
            break;
        case TRANSPORT_EVENT_WRITABLE:
            if (is_bulk)
                fill(event.stream);
            break;
        case TRANSPORT_EVENT_OPENED:
        case TRANSPORT_EVENT_RING:
            break;
        case TRANSPORT_EVENT_DONE:
            transport_stream_release(event.stream);
            break;
        case TRANSPORT_EVENT_DOWN:
        case TRANSPORT_EVENT_RESET:
            fprintf(stderr, "the link broke: %s\n", transport_code_text(event.code));
            exit(1);
        }
    }
}

static void carry(int from)
{
    static uint8_t bytes[TRANSMITS][BLOCK];
    struct transport_transmit transmits[TRANSMITS];
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < TRANSMITS; i++)
        transmits[i] = (struct transport_transmit){.data = bytes[i], .capacity = BLOCK};
    size_t count = transport_send(ends[from].transport, now_ns, transmits, TRANSMITS);
    for (size_t i = 0; i < count; i++) {
        struct transport_datagram datagram = {.from = ends[from].address,
                                              .data = transmits[i].data,
                                              .length = transmits[i].length,
                                              .segment_bytes = transmits[i].segment_bytes};
        uint32_t index;
        if (transport_packet_kind(span_of(datagram.data, datagram.length), &index) !=
            TRANSPORT_PACKET_HELLO) {
            transport_receive(ends[!from].transport, now_ns, &datagram, 1);
            continue;
        }
        uint8_t reply_bytes[1500];
        struct transport_transmit reply = {.data = reply_bytes, .capacity = sizeof reply_bytes};
        struct transport_hello *hello;
        struct transport_hello_facts facts;
        if (transport_listener_hello(listener, &datagram, now_ns, &reply, &hello, &facts) ||
            transport_accept(ends[!from].transport, &hello, &datagram, now_ns))
            exit(1);
    }
}

static void turn(void)
{
    for (int i = 0; i < ENDS; i++) {
        carry(i);
        tell(&ends[!i]);
        tell(&ends[i]);
    }
}

int main(int count, char **words)
{
    double seconds = count > 1 ? atof(words[1]) : 3;
    uint16_t packet_bytes = (uint16_t)(count > 2 ? atoi(words[2]) : 1400);
    is_bulk = count <= 3 || strcmp(words[3], "requests") != 0;
    int stream_count = !is_bulk ? REQUESTS_AT_ONCE : count > 3 ? atoi(words[3]) : 1;
    if (stream_count < 1 || stream_count > STREAMS_MAX)
        return 2;
    start(packet_bytes);
    while (!ends[0].is_up || !ends[1].is_up)
        turn();
    static uint8_t zero[BLOCK];
    block = slice_copy(span_of(zero, stream_count > 100 ? 4096 : BLOCK));
    for (int i = 0; i < stream_count; i++) {
        if (!is_bulk) {
            ask();
            continue;
        }
        const struct transport_open open = {.port = 80, .ring = 2};
        if (transport_stream_open(ends[0].transport, &open, &streams[i]))
            return 1;
        fill(streams[i]);
    }
    uint64_t warm_ns = clock_ns(CLOCK_MONOTONIC) + 500000000;
    while (clock_ns(CLOCK_MONOTONIC) < warm_ns)
        turn();
    delivered = requests = 0;
    uint64_t began_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t ends_ns = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);
    while (clock_ns(CLOCK_MONOTONIC) < ends_ns)
        turn();
    double used_s = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - began_ns) * 1e-9;
    struct transport_facts facts;
    transport_read_facts(ends[0].transport, &facts);
    if (!is_bulk)
        printf("{\"case\":\"core to core, requests, %u-byte packets\",\"subject\":\"causeway\","
               "\"metric\":\"cpu_us_per_request\",\"value\":%.3f,\"unit\":\"us\"}\n",
               packet_bytes, used_s * 1e6 / (double)requests);
    else
        printf("{\"case\":\"core to core, %d streams, %u-byte packets\",\"subject\":\"causeway\","
               "\"metric\":\"bytes_per_cpu_s\",\"value\":%.0f,\"unit\":\"B/s\"}\n",
               stream_count, packet_bytes, (double)delivered / used_s);
    fprintf(stderr, "window %.1f MB, rtt %.0f us, %llu packets lost, %llu acks\n",
            (double)facts.window_bytes / 1e6, (double)facts.srtt_ns / 1e3,
            (unsigned long long)facts.packets_lost, (unsigned long long)facts.acks_sent);
    return 0;
}
