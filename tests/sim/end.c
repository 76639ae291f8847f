/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver of a core in virtual time.
 */
#include "end.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"

enum { END_BATCH_BYTES = 65536, END_SPINS_LIMIT = 10000 };

static void hash_packet(struct sim_end *end, const struct sim_packet *packet)
{
    uint64_t words[3] = {end->hash, end->node.sim->now_ns,
                         hash_span(span_of(packet->data, packet->length), 0)};
    end->hash = hash_span(span_of(words, sizeof words), 0);
}

static struct address *local_address(struct sim_end *end, uint8_t local)
{
    return local ? &end->more[local - 1].address : &end->address;
}

/* By its host: a port may have changed on the way. */
static uint8_t local_of(const struct sim_end *end, const struct address *to)
{
    for (uint32_t i = 0; i < end->more_count; i++)
        if (address_same_host(&end->more[i].address, to))
            return (uint8_t)(i + 1);
    return 0;
}

static void put_on_wire(struct sim_end *end, const struct transport_transmit *transmit)
{
    struct sim *sim = end->node.sim;
    uint32_t segment = transmit->segment_bytes ? transmit->segment_bytes : transmit->length;
    INVARIANT(transmit->length > 0 && segment > 0);
    for (uint32_t offset = 0; offset < transmit->length; offset += segment) {
        uint32_t left = transmit->length - offset;
        struct sim_packet *packet = sim_packet_new(sim, left < segment ? left : segment);
        memcpy(packet->data, transmit->data + offset, packet->length);
        packet->from = *local_address(end, transmit->local);
        packet->to = transmit->to;
        packet->flow = end->flow;
        packet->ecn = transmit->ecn;
        end->packets_out++;
        end->bytes_out += packet->length;
        hash_packet(end, packet);
        sim_deliver(transmit->local ? end->more[transmit->local - 1].to : end->to, packet);
    }
}

/* Batches are as large as the core likes them, one at a time. */
static void send_all(struct sim_end *end)
{
    static uint8_t buffer[END_BATCH_BYTES];
    for (;;) {
        struct transport_transmit transmit = {.data = buffer, .capacity = sizeof buffer};
        if (transport_send(end->transport, end->node.sim->now_ns, &transmit, 1) == 0)
            return;
        put_on_wire(end, &transmit);
    }
}

static void receive_hello(struct sim_end *end, struct transport_datagram *datagram)
{
    uint8_t buffer[1500];
    struct transport_transmit reply = {.data = buffer, .capacity = sizeof buffer};
    struct transport_hello *hello = NULL;
    struct transport_hello_facts facts;
    uint64_t now_ns = end->node.sim->now_ns;
    int result = transport_listener_hello(end->listener, datagram, now_ns, &reply, &hello, &facts);
    if (result == ERROR_AGAIN)
        put_on_wire(end, &reply);
    if (result != 0)
        return;
    if (memcmp(facts.peer_key, end->config.peer_key, sizeof facts.peer_key) != 0) {
        transport_hello_free(&hello);
        return;
    }
    /* A replay is refused; the lane stays as it is. */
    (void)!transport_accept(end->transport, &hello, datagram, now_ns);
}

static void end_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct sim_end *end = (struct sim_end *)(void *)node;
    struct transport_datagram datagram = {.from = packet->from,
                                          .local = local_of(end, &packet->to),
                                          .data = packet->data,
                                          .length = packet->length,
                                          .ecn = packet->ecn};
    uint32_t index;
    uint8_t buffer[1500];
    struct transport_transmit reply = {.data = buffer, .capacity = sizeof buffer};
    switch (transport_packet_kind(span_of(packet->data, packet->length), &index)) {
    case TRANSPORT_PACKET_HELLO:
        receive_hello(end, &datagram);
        break;
    case TRANSPORT_PACKET_INDEXED:
        if (index >> 6 == end->config.index_base >> 6)
            transport_receive(end->transport, node->sim->now_ns, &datagram, 1);
        else if (transport_listener_stray(end->listener, &datagram, node->sim->now_ns, &reply))
            put_on_wire(end, &reply);
        break;
    case TRANSPORT_PACKET_CLOSE:
        transport_receive(end->transport, node->sim->now_ns, &datagram, 1);
        break;
    case TRANSPORT_PACKET_FOREIGN:
        break;
    }
    end->is_dirty = true;
    sim_packet_free(node->sim, packet);
}

static uint64_t end_next(const struct sim_node *node)
{
    const struct sim_end *end = (const struct sim_end *)(const void *)node;
    if (!end->transport)
        return SIM_NEVER;
    if (end->is_dirty)
        return node->sim->now_ns;
    uint64_t next_ns = transport_next_wake(end->transport);
    return next_ns < end->application_ns ? next_ns : end->application_ns;
}

static void tell_events(struct sim_end *end)
{
    struct transport_event event;
    while (transport_next_event(end->transport, &event)) {
        end->ups += event.kind == TRANSPORT_EVENT_UP;
        end->downs += event.kind == TRANSPORT_EVENT_DOWN;
        if (end->application.on_event)
            end->application.on_event(end, &event);
    }
}

static void end_run(struct sim_node *node)
{
    struct sim_end *end = (struct sim_end *)(void *)node;
    uint64_t now_ns = node->sim->now_ns;
    end->spins = end->spun_ns == now_ns ? end->spins + 1 : 0;
    end->spun_ns = now_ns;
    INVARIANT(end->spins < END_SPINS_LIMIT);
    end->is_dirty = false;
    tell_events(end);
    if (end->application.run)
        end->application_ns = end->application.run(end);
    send_all(end);
    tell_events(end);
    if (end->application_ns < now_ns)
        end->application_ns = now_ns;
}

void sim_end_start(struct sim_end *end)
{
    transport_free(&end->transport);
    transport_listener_free(&end->listener);
    uint64_t now_ns = end->node.sim->now_ns;
    end->transport = transport_new(&end->config, now_ns);
    end->listener = transport_listener_new(end->config.crypto, end->config.private_key, now_ns);
    end->application_ns = end->application.run ? now_ns : SIM_NEVER;
    if (end->config.is_initiator) {
        struct transport_route routes[1 + SIM_WAYS_MAX] = {{.to = end->peer}};
        for (uint32_t i = 0; i < end->more_count; i++)
            routes[i + 1] = (struct transport_route){.to = end->more[i].peer,
                                                     .local = (uint8_t)(i + 1),
                                                     .is_standby = end->more[i].is_standby};
        transport_dial(end->transport, routes, 1 + end->more_count, now_ns);
    }
    sim_end_touch(end);
}

void sim_end_touch(struct sim_end *end)
{
    end->is_dirty = true;
    sim_node_wake(&end->node);
}

struct transport_facts sim_end_facts(const struct sim_end *end)
{
    struct transport_facts facts;
    transport_read_facts(end->transport, &facts);
    return facts;
}

static void end_init(struct sim_end *end, struct sim *sim, const char *name, struct sim_node *to)
{
    *end = (struct sim_end){.to = to, .application_ns = SIM_NEVER};
    sim_node_init(&end->node, sim, name);
    end->node.receive = end_receive;
    end->node.next = end_next;
    end->node.run = end_run;
}

static void end_clear(struct sim_end *end)
{
    transport_free(&end->transport);
    transport_listener_free(&end->listener);
    sim_node_clear(&end->node);
}

static void configure(struct sim_pair *pair, struct sim_end *end, uint32_t slot, uint64_t seed)
{
    struct key private_key, public_key;
    key_generate(&pair->crypto, &private_key);
    pair->crypto.public_key(&pair->crypto, &private_key, &public_key);
    transport_config_defaults(&end->config);
    end->config.crypto = &pair->crypto;
    memcpy(end->config.private_key, private_key.bytes, KEY_BYTES);
    memcpy(end->config.public_key, public_key.bytes, KEY_BYTES);
    end->config.random_seed = seed + slot;
    end->config.wall_offset_ns = 1700000000 * SIM_SECOND;
    end->config.index_base = slot << 20;
    end->address = (struct address){.family = 4,
                                    .bytes = {192, 0, 2, (uint8_t)slot},
                                    .port = (uint16_t)(4000 + slot)};
}

void sim_pair_init_in(struct sim_pair *pair, struct sim *sim, uint32_t slot,
                      const struct crypto *crypto, uint64_t seed,
                      const struct sim_link_config *link,
                      const struct sim_impairment_config *impairment)
{
    *pair = (struct sim_pair){0};
    random_seed(&pair->secrets, seed ^ 0x5ec2e75);
    pair->crypto = crypto_seeded(crypto, &pair->secrets);
    sim_link_init(&pair->up_link, sim, "up", link, &pair->gateway.node);
    sim_link_init(&pair->down_link, sim, "down", link, &pair->edge.node);
    sim_impairment_init(&pair->up_impairment, sim, "up", impairment, &pair->up_link.node);
    sim_impairment_init(&pair->down_impairment, sim, "down", impairment, &pair->down_link.node);
    end_init(&pair->edge, sim, "edge", &pair->up_impairment.node);
    end_init(&pair->gateway, sim, "gateway", &pair->down_impairment.node);
    configure(pair, &pair->edge, slot, seed);
    configure(pair, &pair->gateway, slot + 1, seed);
    pair->edge.config.is_initiator = true;
    memcpy(pair->edge.config.peer_key, pair->gateway.config.public_key, KEY_BYTES);
    memcpy(pair->gateway.config.peer_key, pair->edge.config.public_key, KEY_BYTES);
    pair->edge.peer = pair->gateway.address;
    pair->gateway.peer = pair->edge.address;
}

void sim_pair_init(struct sim_pair *pair, const struct crypto *crypto, uint64_t seed,
                   const struct sim_link_config *link,
                   const struct sim_impairment_config *impairment)
{
    sim_pair_init_in(pair, &pair->sim, 1, crypto, seed, link, impairment);
    sim_init(&pair->sim, seed);
    pair->sim.now_ns = SIM_SECOND;
}

void sim_pair_add_way(struct sim_pair *pair, struct sim_second_way *way,
                      const struct sim_link_config *link,
                      const struct sim_impairment_config *impairment, bool is_standby)
{
    struct sim *sim = &pair->sim;
    INVARIANT(pair->edge.more_count < SIM_WAYS_MAX);
    uint32_t i = pair->edge.more_count++;
    pair->gateway.more_count++;
    sim_link_init(&way->up_link, sim, "up", link, &pair->gateway.node);
    sim_link_init(&way->down_link, sim, "down", link, &pair->edge.node);
    sim_impairment_init(&way->up_impairment, sim, "up", impairment, &way->up_link.node);
    sim_impairment_init(&way->down_impairment, sim, "down", impairment, &way->down_link.node);
    struct sim_way *up = &pair->edge.more[i], *down = &pair->gateway.more[i];
    *up = (struct sim_way){.address = pair->edge.address,
                           .peer = pair->gateway.address,
                           .to = &way->up_impairment.node,
                           .is_standby = is_standby};
    up->address.bytes[2] = up->peer.bytes[2] = (uint8_t)(i + 100); /* 192.0.100.x */
    *down = (struct sim_way){.address = up->peer,
                             .peer = up->address,
                             .to = &way->down_impairment.node};
}

void sim_second_way_clear(struct sim_second_way *way)
{
    sim_impairment_clear(&way->up_impairment);
    sim_impairment_clear(&way->down_impairment);
    sim_link_clear(&way->up_link);
    sim_link_clear(&way->down_link);
}

void sim_pair_start(struct sim_pair *pair)
{
    sim_end_start(&pair->gateway);
    sim_end_start(&pair->edge);
}

void sim_pair_clear(struct sim_pair *pair)
{
    end_clear(&pair->edge);
    end_clear(&pair->gateway);
    sim_impairment_clear(&pair->up_impairment);
    sim_impairment_clear(&pair->down_impairment);
    sim_link_clear(&pair->up_link);
    sim_link_clear(&pair->down_link);
    sim_clear(&pair->sim);
    chunk_cache_drain();
}
