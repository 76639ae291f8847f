/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include "base/hash.h"
#include "base/memory.h"

enum { BATCH = 4 };

struct wire_packet {
    struct heap_node node;
    int to;
    struct address from;
    uint8_t local; /* of the receiver */
    uint32_t length;
    uint8_t data[];
};

void wire_config(struct wire *wire, int end)
{
    struct transport_config *config = &wire->ends[end].config;
    transport_config_defaults(config);
    config->is_initiator = end == WIRE_EDGE;
    config->crypto = &wire->crypto;
    struct key keys[WIRE_ENDS], publics[WIRE_ENDS];
    for (int i = 0; i < WIRE_ENDS; i++) {
        memset(keys[i].bytes, 0x11 * (i + 1), KEY_BYTES);
        wire->crypto.public_key(&wire->crypto, &keys[i], &publics[i]);
    }
    memcpy(config->private_key, keys[end].bytes, KEY_BYTES);
    memcpy(config->public_key, publics[end].bytes, KEY_BYTES);
    memcpy(config->peer_key, publics[!end].bytes, KEY_BYTES);
    config->random_seed = 7 + (uint64_t)end;
    config->wall_offset_ns = 1000000 * SECOND;
    config->index_base = (uint32_t)(end + 1) << 20;
}

void wire_start(struct wire *wire, int end)
{
    struct wire_end *at = &wire->ends[end];
    transport_free(&at->transport);
    transport_listener_free(&at->listener);
    at->config.index_base += TRANSPORT_SESSIONS_PER_LANE; /* the null table's keys are all alike */
    at->transport = transport_new(&at->config, wire->now_ns);
    at->listener = transport_listener_new(&wire->crypto, at->config.private_key, wire->now_ns);
}

void wire_init(struct wire *wire, const struct crypto *crypto, uint64_t seed)
{
    *wire = (struct wire){.now_ns = 5 * SECOND, .delay_ns = 10 * MS, .ways = 1};
    random_seed(&wire->secrets, seed);
    random_seed(&wire->random, seed + 1);
    wire->crypto = crypto_seeded(crypto, &wire->secrets);
    for (int i = 0; i < WIRE_ENDS; i++) {
        wire->ends[i].address = (struct address){.family = 4,
                                                 .bytes = {192, 0, 2, (uint8_t)(i + 1)},
                                                 .port = (uint16_t)(4000 + i)};
        for (uint32_t way = 1; way < WIRE_WAYS; way++) {
            wire->ends[i].more[way - 1] = wire->ends[i].address;
            wire->ends[i].more[way - 1].bytes[2] = (uint8_t)(100 + way);
        }
        wire_config(wire, i);
        wire_start(wire, i);
    }
}

static struct wire_packet *packet_of(struct heap_node *node)
{
    return (struct wire_packet *)(void *)((char *)node - offsetof(struct wire_packet, node));
}

void wire_clear(struct wire *wire)
{
    while (heap_first(&wire->packets)) {
        struct wire_packet *packet = packet_of(heap_first(&wire->packets));
        heap_remove(&wire->packets, &packet->node);
        memory_free(packet);
    }
    heap_clear(&wire->packets);
    for (int i = 0; i < WIRE_ENDS; i++) {
        transport_free(&wire->ends[i].transport);
        transport_listener_free(&wire->ends[i].listener);
    }
    chunk_cache_drain();
}

static bool chance(struct wire *wire, uint32_t ppm)
{
    return ppm && random_below(&wire->random, 1000000) < ppm;
}

static struct address *address_at(struct wire_end *end, uint32_t way)
{
    return way ? &end->more[way - 1] : &end->address;
}

/* WIRE_WAYS: nobody is there. */
static uint32_t way_to(struct wire_end *end, const struct address *to)
{
    uint32_t way = 0;
    while (way < WIRE_WAYS && !address_equal(to, address_at(end, way)))
        way++;
    return way;
}

void wire_route(struct wire *wire, uint32_t first, uint32_t count)
{
    struct transport_route routes[WIRE_WAYS];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t way = (first + i) % WIRE_WAYS;
        routes[i] = (struct transport_route){.to = *address_at(&wire->ends[WIRE_GATEWAY], way),
                                             .local = (uint8_t)way};
    }
    transport_set_routes(wire->ends[WIRE_EDGE].transport, routes, count, wire->now_ns);
}

void wire_dial(struct wire *wire)
{
    const struct transport_route route = {.to = wire->ends[WIRE_GATEWAY].address};
    transport_dial(wire->ends[WIRE_EDGE].transport, &route, 1, wire->now_ns);
    if (wire->ways > 1)
        wire_route(wire, 0, wire->ways);
}

static void put(struct wire *wire, int from, uint32_t local, const struct address *to,
                const uint8_t *data, uint32_t length)
{
    uint8_t bytes[65536];
    memcpy(bytes, data, length);
    wire->sent[from]++;
    wire->digest = hash_span(span_of(data, length), wire->digest);
    uint32_t way = way_to(&wire->ends[!from], to);
    if (way == WIRE_WAYS || wire->is_cut[way])
        return;
    if (wire->filter && !wire->filter(wire, from, bytes, length))
        return;
    if (chance(wire, wire->loss_ppm))
        return;
    int copies = chance(wire, wire->repeat_ppm) ? 2 : 1;
    for (int i = 0; i < copies; i++) {
        struct wire_packet *packet = memory_new(sizeof *packet + length);
        memcpy(packet->data, bytes, length);
        packet->length = length;
        packet->to = !from;
        packet->from = *address_at(&wire->ends[from], local);
        packet->local = (uint8_t)way;
        if (chance(wire, wire->damage_ppm))
            packet->data[random_below(&wire->random, length)] ^=
                (uint8_t)(1 << random_below(&wire->random, 8));
        uint64_t delay_ns = wire->delay_ns;
        if (chance(wire, wire->swap_ppm))
            delay_ns += random_below(&wire->random, wire->delay_ns / 2 + 1);
        heap_put(&wire->packets, &packet->node, wire->now_ns + delay_ns);
    }
}

static void deliver(struct wire *wire, struct wire_packet *packet)
{
    struct wire_end *end = &wire->ends[packet->to];
    const struct transport_datagram datagram = {.from = packet->from,
                                                .local = packet->local,
                                                .data = packet->data,
                                                .length = packet->length};
    uint32_t index;
    if (transport_packet_kind(span_of(packet->data, packet->length), &index) !=
        TRANSPORT_PACKET_HELLO) {
        transport_receive(end->transport, wire->now_ns, &datagram, 1);
        return;
    }
    uint8_t reply_bytes[2048];
    struct transport_transmit reply = {.data = reply_bytes, .capacity = sizeof reply_bytes};
    struct transport_hello *hello;
    struct transport_hello_facts facts;
    int error =
        transport_listener_hello(end->listener, &datagram, wire->now_ns, &reply, &hello, &facts);
    if (!error)
        error = transport_accept(end->transport, &hello, &datagram, wire->now_ns);
    else if (error == ERROR_AGAIN)
        put(wire, packet->to, packet->local, &reply.to, reply.data, reply.length);
}

static void pump(struct wire *wire, int end)
{
    static uint8_t bytes[BATCH][65536];
    struct transport_transmit transmits[BATCH];
    struct transport_event event;
    struct wire_end *at = &wire->ends[end];
    while (transport_next_event(at->transport, &event)) {
        at->ups += event.kind == TRANSPORT_EVENT_UP;
        at->downs += event.kind == TRANSPORT_EVENT_DOWN;
        if (wire->on_event)
            wire->on_event(wire, end, &event);
        else if (event.kind == TRANSPORT_EVENT_RESET || event.kind == TRANSPORT_EVENT_DONE)
            transport_stream_release(event.stream);
    }
    for (;;) {
        for (int i = 0; i < BATCH; i++)
            transmits[i] =
                (struct transport_transmit){.data = bytes[i], .capacity = sizeof bytes[i]};
        size_t count = transport_send(at->transport, wire->now_ns, transmits, BATCH);
        for (size_t i = 0; i < count; i++)
            for (uint32_t from = 0; from < transmits[i].length;
                 from += transmits[i].segment_bytes) {
                uint32_t left = transmits[i].length - from;
                put(wire, end, transmits[i].local, &transmits[i].to, bytes[i] + from,
                    left < transmits[i].segment_bytes ? left : transmits[i].segment_bytes);
            }
        if (!count)
            return;
    }
}

void wire_step(struct wire *wire)
{
    for (int i = 0; i < WIRE_ENDS; i++)
        pump(wire, i);
    uint64_t next_ns = UINT64_MAX;
    for (int i = 0; i < WIRE_ENDS; i++) {
        uint64_t wake_ns = transport_next_wake(wire->ends[i].transport);
        next_ns = wake_ns < next_ns ? wake_ns : next_ns;
    }
    struct heap_node *first = heap_first(&wire->packets);
    if (first && first->key < next_ns)
        next_ns = first->key;
    if (next_ns == UINT64_MAX)
        next_ns = wire->now_ns + SECOND;
    if (next_ns > wire->now_ns)
        wire->now_ns = next_ns;
    while ((first = heap_first(&wire->packets)) && first->key <= wire->now_ns) {
        struct wire_packet *packet = packet_of(first);
        heap_remove(&wire->packets, first);
        deliver(wire, packet);
        memory_free(packet);
    }
}

bool wire_run_until(struct wire *wire, bool (*done)(struct wire *wire), uint64_t for_ns)
{
    uint64_t until_ns = wire->now_ns + for_ns;
    while (wire->now_ns < until_ns) {
        if (done && done(wire))
            return true;
        wire_step(wire);
    }
    return done && done(wire);
}

void wire_run(struct wire *wire, uint64_t for_ns)
{
    (void)wire_run_until(wire, NULL, for_ns);
}
