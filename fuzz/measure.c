/* SPDX-License-Identifier: Apache-2.0
 *
 * Measurements. The first byte chooses: raw bytes for either side; sections of any kind, whose items must come through
 * writing and reading unchanged; or a sequence of operations by the network, an attacker who records and replays, and
 * restarts, where each measurement carries a number: none may be believed twice, nor one that was sent by another process
 * or in another epoch than those whose report, or EPOCH, was believed last.
 */
#include "fuzz.h"

#include "measure/status_wire.h"

enum { RECORDED = 16, OPERATIONS = 300, NUMBERS = OPERATIONS + 2 };

struct world {
    struct random random;
    struct crypto crypto;
    uint64_t now_ns;
    struct key node, node_public, receiver_key, receiver_public;
    struct status_sender sender;
    struct status_receiver *receiver;
    uint32_t number;          /* of the last one sent */
    uint32_t life;            /* of sender and receiver together: each restart begins another one */
    uint32_t lives[NUMBERS];  /* in which each was sent */
    uint32_t reported, heard; /* in which a report, an EPOCH was believed last; 0: none yet */
    bool believed[NUMBERS], requested[NUMBERS];
    size_t recorded, lengths[RECORDED];
    uint8_t record[RECORDED][MEASURE_DATAGRAM_MAX];
};

static void must(bool condition)
{
    INVARIANT(condition);
}

static void start_receiver(struct world *world)
{
    world->life++;
    world->reported = 0;
    status_receiver_free(&world->receiver);
    world->receiver =
        status_receiver_new(&world->crypto, &world->receiver_key, world->now_ns, NULL, NULL);
    must(status_receiver_put(world->receiver, &world->node_public, NULL, true, 0, world->now_ns) ==
         0);
}

static void start_sender(struct world *world)
{
    world->life++;
    world->heard = 0;
    must(status_sender_init(&world->sender, &world->crypto, &world->node, &world->receiver_public,
                            NULL, world->now_ns) == 0);
}

static void world_init(struct world *world, const struct crypto *table)
{
    memset(world, 0, sizeof *world);
    random_seed(&world->random, 1);
    world->crypto = crypto_seeded(table, &world->random);
    world->now_ns = 1000000000;
    key_generate(&world->crypto, &world->node);
    key_generate(&world->crypto, &world->receiver_key);
    world->crypto.public_key(&world->crypto, &world->node, &world->node_public);
    world->crypto.public_key(&world->crypto, &world->receiver_key, &world->receiver_public);
    start_receiver(world);
    start_sender(world);
}

static void world_clear(struct world *world)
{
    status_sender_clear(&world->sender);
    status_receiver_free(&world->receiver);
}

static uint32_t number_of(const struct measure_message *message)
{
    struct measure_reader reader = measure_reader_of(message);
    struct measure_item item;
    must(measure_next(&reader, &item) && item.kind == MEASURE_LINK);
    return item.link.srtt_us;
}

static struct measure_message numbered(struct world *world)
{
    struct measure_message message = {0};
    struct measure_item item = {.kind = MEASURE_LINK, .link.srtt_us = ++world->number};
    world->lives[world->number] = world->life;
    must(measure_put(&message, &item));
    return message;
}

static void deliver(struct world *world, struct span datagram)
{
    struct measure_message message;
    const struct status_edge *from = NULL;
    if (status_is_request(datagram)) {
        if (status_sender_request(&world->sender, datagram, &message) == 0) {
            uint32_t number = number_of(&message);
            must(world->lives[number] == world->heard && !world->requested[number]);
            world->requested[number] = true;
        }
    } else if (status_receiver_measure(world->receiver, world->now_ns, datagram, &message, &from) ==
               0) {
        uint32_t number = number_of(&message);
        must(from && world->lives[number] == world->reported && !world->believed[number]);
        world->believed[number] = true;
    }
}

static void report(struct world *world)
{
    struct status_report report = {0};
    uint8_t datagram[STATUS_DATAGRAM_MAX], reply[STATUS_EPOCH_BYTES];
    size_t length = status_sender_write(&world->sender, world->now_ns, &report, datagram);
    int result = status_receiver_receive(world->receiver, world->now_ns, span_of(datagram, length),
                                         reply, NULL);
    if (result == 0)
        world->reported = world->life;
    if (result == ERROR_AGAIN &&
        status_sender_receive(&world->sender, world->now_ns, span_of(reply, sizeof reply)) == 0)
        world->heard = world->life;
}

static void remember(struct world *world, size_t length, bool arrives)
{
    size_t slot = world->recorded % RECORDED;
    world->lengths[slot] = length;
    world->recorded++;
    if (arrives && length)
        deliver(world, span_of(world->record[slot], length));
}

static void operate(struct world *world, uint8_t operation)
{
    size_t argument = operation >> 4, slot = world->recorded % RECORDED;
    switch (operation & 7) {
    case 0:
        report(world);
        break;
    case 1: {
        struct measure_message message = numbered(world);
        remember(world, status_sender_measure(&world->sender, &message, world->record[slot]),
                 argument & 1);
        break;
    }
    case 2: {
        struct measure_message message = numbered(world);
        remember(world,
                 status_receiver_request(world->receiver, &world->node_public, &message,
                                         world->record[slot]),
                 argument & 1);
        break;
    }
    case 3: /* a replay, or a reordered one */
        if (world->lengths[argument])
            deliver(world, span_of(world->record[argument], world->lengths[argument]));
        break;
    case 4: /* a forgery of a recorded one */
        if (world->lengths[argument]) {
            uint8_t forged[MEASURE_DATAGRAM_MAX];
            size_t length = world->lengths[argument];
            struct measure_message message;
            const struct status_edge *from;
            memcpy(forged, world->record[argument], length);
            forged[random_below(&world->random, length)] ^= 0x10;
            must(status_sender_request(&world->sender, span_of(forged, length), &message) < 0);
            must(status_receiver_measure(world->receiver, world->now_ns, span_of(forged, length),
                                         &message, &from) < 0);
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
}

/* What is read can be written, and is read again as the same. */
static void read_sections(struct span input)
{
    struct measure_message message = {0}, again = {0};
    struct measure_item item, copy;
    message.length =
        (uint16_t)(input.length < sizeof message.bytes ? input.length : sizeof message.bytes);
    memcpy(message.bytes, input.data, message.length);
    struct measure_reader reader = measure_reader_of(&message);
    memset(&item, 0, sizeof item);
    size_t items = 0;
    while (measure_next(&reader, &item)) {
        again = (struct measure_message){0};
        must(++items <= sizeof message.bytes);
        must(measure_put(&again, &item));
        struct measure_reader second = measure_reader_of(&again);
        memset(&copy, 0, sizeof copy);
        must(measure_next(&second, &copy) && copy.kind == item.kind);
        struct measure_message third = {0};
        must(measure_put(&third, &copy) && third.length == again.length &&
             memcmp(third.bytes, again.bytes, third.length) == 0);
        must(!measure_next(&second, &copy) && !second.is_malformed);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || data[0] > 2 || (data[0] == 2 && size > OPERATIONS))
        return 0;
    struct span input = span_of(data + 1, size - 1);
    if (data[0] == 1) {
        read_sections(input);
        return 0;
    }
    static struct world world;
    /* Operations need the real AEAD and hash; curve operations only take time. */
    struct crypto quick = *crypto_openssl();
    quick.public_key = crypto_null()->public_key;
    quick.shared = crypto_null()->shared;
    world_init(&world, data[0] == 2 ? &quick : crypto_null());
    if (data[0] == 0) {
        struct measure_message message;
        const struct status_edge *from;
        (void)!status_receiver_measure(world.receiver, world.now_ns, input, &message, &from);
        (void)!status_sender_request(&world.sender, input, &message);
    }
    for (size_t i = 0; data[0] == 2 && i < input.length; i++)
        operate(&world, input.data[i]);
    world_clear(&world);
    return 0;
}
