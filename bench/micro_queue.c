/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request costs in the gateway's queue: recognised, pushed, launched to the server that the policy picks by what its type costs
 * there, finished. Without a queue before it, and at the end of one that 100,000 requests wait in; and what these take of memory.
 */
#include "base/memory.h"
#include "micro.h"
#include "queue/queue.h"
#include "types/types.h"

#include <malloc.h>
#include <string.h>

enum { REQUESTS = 200000, LONG_QUEUE = 100000, SERVERS_MOST = 64 };

/* As the gateway's ticket: the item, and what leads back to the request. */
struct ticket {
    struct queue_item item;
    uint64_t rest[16];
};

struct world {
    struct random random;
    struct queue *queue;
    struct types_costs *costs;
    uint64_t now_ns;
    uint16_t busy[SERVERS_MOST * 16]; /* servers of requests under way, as a ring */
    uint8_t types[SERVERS_MOST * 16], classes[SERVERS_MOST * 16];
    size_t first, count, room;
    bool has_key; /* requests have keys, which decide whatever the policy is */
};

static void expect(void *context, uint8_t type, const struct queue_load *load, size_t count,
                   double times_ns[QUEUE_SERVERS_MOST])
{
    struct types_load asked = {.all = load->pending, .parallel = load->slots};
    for (size_t i = 0; i < QUEUE_TYPES; i++)
        asked.pending[i] = load->types[i] ? load->type_pending[i] : NULL;
    types_costs_expected_ns(context, type, &asked, count, times_ns);
}

static struct queue_costs hook;

static void open_world(struct world *world, enum balance_policy_kind policy, size_t servers,
                       uint32_t slots)
{
    struct queue_settings settings;
    struct queue_server_spec specs[SERVERS_MOST] = {0};
    uint64_t identities[SERVERS_MOST];
    *world = (struct world){.now_ns = 1000000000,
                            .room = servers * slots,
                            .has_key = policy == BALANCE_HASH};
    random_seed(&world->random, 1);
    queue_settings_default(&settings);
    settings.length = LONG_QUEUE * 2;
    settings.patience_ns = 3600 * 1000000000ull;
    settings.is_newest_first = false;
    world->costs = types_costs_new();
    hook = (struct queue_costs){expect, world->costs};
    world->queue = queue_new(&settings, balance_policy_of(policy), &world->random, &hook);
    for (size_t i = 0; i < servers; i++) {
        identities[i] = i + 1;
        specs[i] = (struct queue_server_spec){.identity = i + 1, .weight = 100, .slots = slots};
    }
    types_costs_set_servers(world->costs, identities, servers);
    must(queue_servers_set(world->queue, specs, servers, world->now_ns) == 0);
}

static void close_world(struct world *world)
{
    queue_free(&world->queue);
    types_costs_free(&world->costs);
}

static void push(struct world *world, struct ticket *ticket, size_t i)
{
    enum queue_reason reason;
    ticket->item = (struct queue_item){
        .pinned = QUEUE_NO_SERVER,
        .except = QUEUE_NO_SERVER,
        .class = (uint8_t)(i % QUEUE_CLASSES),
        .type = (uint8_t)(i % TYPES_BUILTIN),
        .has_key = world->has_key,
        .key = i * 0x9e3779b97f4a7c15ull,
    };
    must(queue_push(world->queue, &ticket->item, world->now_ns, &reason) == 0);
}

static size_t launch(struct world *world)
{
    struct queue_launch launched;
    size_t count = 0;
    while (queue_next(world->queue, world->now_ns, &launched)) {
        size_t place = (world->first + world->count++) % world->room;
        world->busy[place] = launched.server;
        world->types[place] = launched.item->type;
        world->classes[place] = launched.item->class;
        count++;
    }
    return count;
}

static void finish(struct world *world)
{
    size_t place = world->first;
    const struct queue_outcome outcome = {.service_ns = 20000000,
                                          .held_ns = 21000000,
                                          .bytes = 10000};
    world->first = (world->first + 1) % world->room;
    world->count--;
    types_costs_add(world->costs, world->busy[place], world->types[place], outcome.service_ns,
                    outcome.bytes, world->now_ns);
    queue_finish(world->queue, world->busy[place], world->classes[place], world->types[place],
                 &outcome, world->now_ns);
}

/* ns for each request; `waiting` before it all the time. */
static double measure(enum balance_policy_kind policy, size_t servers, uint32_t slots,
                      size_t waiting)
{
    struct world *world = memory_new(sizeof *world);
    size_t used = 0, pushed_first = waiting + (waiting ? servers * slots : 0);
    struct ticket *tickets = memory_new((pushed_first + REQUESTS) * sizeof *tickets);
    open_world(world, policy, servers, slots);
    for (; used < pushed_first; used++)
        push(world, &tickets[used], used);
    launch(world);
    uint64_t began_ns = cpu_ns();
    for (size_t i = 0; i < REQUESTS; i++) {
        world->now_ns += 25000;
        if (world->count == world->room)
            finish(world);
        push(world, &tickets[used], used);
        used++;
        launch(world);
        if (!waiting && world->count > world->room / 2)
            finish(world);
    }
    double ns = (double)(cpu_ns() - began_ns) / REQUESTS;
    while (world->count) {
        finish(world);
        launch(world);
    }
    close_world(world);
    memory_free(tickets);
    memory_free(world);
    return ns;
}

static void measure_memory(void)
{
    struct world *world = memory_new(sizeof *world);
    struct ticket **tickets = memory_new(LONG_QUEUE * sizeof(struct ticket *));
    open_world(world, BALANCE_EXPECTED, 4, 16);
    struct mallinfo2 before = mallinfo2();
    for (size_t i = 0; i < LONG_QUEUE; i++) {
        tickets[i] = NEW(struct ticket);
        push(world, tickets[i], i);
    }
    struct mallinfo2 after = mallinfo2();
    printf("memory     %d waiting: %.1f MB (item %zu bytes, ticket %zu bytes)\n", LONG_QUEUE,
           (double)(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) / 1e6,
           sizeof(struct queue_item), sizeof(struct ticket));
    for (size_t i = 0; i < LONG_QUEUE; i++) {
        queue_cancel(world->queue, &tickets[i]->item);
        memory_free(tickets[i]);
    }
    close_world(world);
    memory_free(tickets);
    memory_free(world);
}

/* A policy's name as argument: that one alone, for a profiler. */
int main(int argc, char **argv)
{
    static const size_t servers[] = {3, 16, 64};
    printf("push, pick, costs of types, finish; ns of CPU for each request\n");
    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++) {
        for (unsigned policy = 0; policy < BALANCE_POLICIES; policy++) {
            enum balance_policy_kind kind = (enum balance_policy_kind)policy;
            const char *name = balance_policy_of(kind)->name;
            if (argc > 1 && strcmp(name, argv[1]) != 0)
                continue;
            printf("%-14s %2zu servers: %5.0f alone, %5.0f behind %d\n", name, servers[i],
                   measure(kind, servers[i], 16, 0), measure(kind, servers[i], 16, LONG_QUEUE),
                   LONG_QUEUE);
        }
    }
    measure_memory();
    return 0;
}
