/* SPDX-License-Identifier: Apache-2.0
 *
 * Liveness reports. The first byte chooses: raw bytes for either side; authentic reports with
 * contents of any kind (null table); or a sequence of operations by the network, an attacker who
 * records and replays, and restarts, where each report carries a number that ascends: the
 * receiver may never believe a number twice, nor one that is lower than another that it
 * believed.
 */
#include "fuzz.h"

#include "base/bytes.h"
#include "measure/status_wire.h"

enum { RECORDED = 16, OPERATIONS = 400 };

struct world {
    struct random random;
    struct crypto crypto;
    uint64_t now_ns;
    struct key edge, edge_public, receiver_key, receiver_public;
    struct status_sender sender;
    struct status_receiver *receiver;
    uint32_t number, believed;
    size_t recorded, lengths[RECORDED];
    uint8_t record[RECORDED][STATUS_DATAGRAM_MAX];
};

static void must(bool condition)
{
    INVARIANT(condition);
}

static void start_receiver(struct world *world)
{
    status_receiver_free(&world->receiver);
    world->receiver =
        status_receiver_new(&world->crypto, &world->receiver_key, world->now_ns, NULL, NULL);
    must(status_receiver_put(world->receiver, &world->edge_public, NULL, true, 0, world->now_ns) ==
         0);
}

static void start_sender(struct world *world)
{
    must(status_sender_init(&world->sender, &world->crypto, &world->edge, &world->receiver_public,
                            NULL, world->now_ns) == 0);
}

static void world_init(struct world *world, const struct crypto *table)
{
    memset(world, 0, sizeof *world);
    random_seed(&world->random, 1);
    world->crypto = crypto_seeded(table, &world->random);
    world->now_ns = 1000000000;
    key_generate(&world->crypto, &world->edge);
    key_generate(&world->crypto, &world->receiver_key);
    world->crypto.public_key(&world->crypto, &world->edge, &world->edge_public);
    world->crypto.public_key(&world->crypto, &world->receiver_key, &world->receiver_public);
    start_receiver(world);
    start_sender(world);
}

static void world_clear(struct world *world)
{
    status_sender_clear(&world->sender);
    status_receiver_free(&world->receiver);
}

static void deliver(struct world *world, struct span datagram, bool answer_arrives)
{
    uint8_t reply[STATUS_EPOCH_BYTES];
    int result = status_receiver_receive(world->receiver, world->now_ns, datagram, reply, NULL);
    const struct status_edge *edge = status_receiver_edge(world->receiver, 0);
    if (result == 0) {
        must(edge->report.connections > world->believed);
        world->believed = edge->report.connections;
    }
    if (result == ERROR_AGAIN && answer_arrives)
        (void)!status_sender_receive(&world->sender, world->now_ns, span_of(reply, sizeof reply));
}

static void send(struct world *world, bool arrives, bool answer_arrives)
{
    struct status_report report = {.connections = ++world->number, .worker_count = 2};
    size_t slot = world->recorded++ % RECORDED;
    world->lengths[slot] =
        status_sender_write(&world->sender, world->now_ns, &report, world->record[slot]);
    if (arrives)
        deliver(world, span_of(world->record[slot], world->lengths[slot]), answer_arrives);
}

static void operate(struct world *world, uint8_t operation)
{
    size_t argument = operation >> 4;
    switch (operation & 7) {
    case 0:
        send(world, true, true);
        break;
    case 1:
        send(world, argument & 1, argument & 2);
        break;
    case 2: /* a replay, or a reordered one */
    case 3:
        deliver(world, span_of(world->record[argument], world->lengths[argument]), operation & 8);
        break;
    case 4: /* a forgery of a recorded one */
        if (world->lengths[argument]) {
            uint8_t forged[STATUS_DATAGRAM_MAX];
            size_t length = world->lengths[argument];
            memcpy(forged, world->record[argument], length);
            forged[random_below(&world->random, length)] ^= 0x10;
            uint64_t before = status_receiver_edge(world->receiver, 0)->believed;
            deliver(world, span_of(forged, length), true);
            must(status_receiver_edge(world->receiver, 0)->believed == before);
        }
        break;
    case 5:
        world->now_ns += (argument + 1) * 100000000ull;
        status_receiver_run(world->receiver, world->now_ns);
        break;
    case 6:
        start_receiver(world);
        break;
    case 7:
        status_sender_clear(&world->sender);
        start_sender(world);
        break;
    }
    const struct status_edge *edge = status_receiver_edge(world->receiver, 0);
    must(edge->state != STATUS_EDGE_DEAD || !status_edge_is_usable(edge) || edge->is_kept);
    must(status_receiver_wake(world->receiver) != UINT64_MAX || edge->state == STATUS_EDGE_DEAD);
}

/* Contents from the input, sealed as the edge would. */
static void authentic_report(struct world *world, struct span input)
{
    uint8_t datagram[STATUS_DATAGRAM_MAX + 64] = {STATUS_TYPE_STATUS, STATUS_VERSION};
    uint8_t nonce[AEAD_NONCE_BYTES] = {0}, reply[STATUS_EPOCH_BYTES];
    size_t room = sizeof datagram - STATUS_HEADER_BYTES - AEAD_TAG_BYTES;
    size_t length = input.length < room ? input.length : room;
    store_u64(datagram + 4, world->sender.pair.tag);
    store_u64(datagram + 20, ++world->sender.sequence);
    aead_seal(world->sender.aead, nonce, span_of(datagram, STATUS_HEADER_BYTES),
              span_of(input.data, length), datagram + STATUS_HEADER_BYTES);
    size_t total = STATUS_HEADER_BYTES + length + AEAD_TAG_BYTES;
    (void)!status_receiver_receive(world->receiver, world->now_ns, span_of(datagram, total), reply,
                                   NULL);

    /* Again with the receiver's own epoch, so that it is believed if it parses. */
    struct epoch_header header;
    if (length < 16)
        return;
    uint8_t probe[STATUS_DATAGRAM_MAX];
    struct status_report empty = {0};
    size_t probe_length = status_sender_write(&world->sender, world->now_ns, &empty, probe);
    if (status_receiver_receive(world->receiver, world->now_ns, span_of(probe, probe_length), reply,
                                NULL) != ERROR_AGAIN ||
        epoch_read_header(span_of(reply, sizeof reply), &header) < 0)
        return;
    store_u64(datagram + 20, ++world->sender.sequence);
    store_u64(datagram + STATUS_HEADER_BYTES, header.epoch);
    store_u64(datagram + STATUS_HEADER_BYTES + 8, 1);
    if (status_receiver_receive(world->receiver, world->now_ns, span_of(datagram, total), reply,
                                NULL) == 0) {
        const struct status_report *report = &status_receiver_edge(world->receiver, 0)->report;
        must(report->worker_count <= STATUS_WORKERS_MAX &&
             report->gateway_count <= STATUS_GATEWAYS_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || data[0] > 2 || (data[0] == 2 && size > OPERATIONS))
        return 0;
    struct world world;
    struct span input = span_of(data + 1, size - 1);
    /* Operations need the real AEAD and hash; curve operations only take time. */
    struct crypto quick = *crypto_openssl();
    quick.public_key = crypto_null()->public_key;
    quick.shared = crypto_null()->shared;
    world_init(&world, data[0] == 2 ? &quick : crypto_null());
    switch (data[0]) {
    case 0: {
        uint8_t reply[STATUS_EPOCH_BYTES];
        (void)!status_receiver_receive(world.receiver, world.now_ns, input, reply, NULL);
        (void)!status_sender_receive(&world.sender, world.now_ns, input);
        break;
    }
    case 1:
        authentic_report(&world, input);
        break;
    default:
        for (size_t i = 0; i < input.length; i++)
            operate(&world, input.data[i]);
    }
    world_clear(&world);
    return 0;
}
