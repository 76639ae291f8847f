/* SPDX-License-Identifier: Apache-2.0
 *
 * The pilot on a path that is three numbers: rate, round trip, queue; one step a round, feedback a round late. It fills the path with next
 * to no queue, finds more where there is more, and gives up for the right reason when somebody else is there.
 */
#include "transport/pilot.h"

#include <math.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#define MS 1000000ull

enum { PACKET = 1000, RTT_MS = 50, CAPACITY = 12500000 };

struct world {
    struct pilot pilot;
    struct model model;
    double capacity;  /* bytes/s */
    double loss;      /* by chance */
    double policed;   /* bytes/s; 0: no policer */
    double mark_ns;   /* a queue beyond it is marked; 0: never */
    double others;    /* bytes/s of somebody else */
    double jitter_ns; /* that every round trip has at least */
    double wobble;    /* share by which a round's rate is measured too high, the next too low */
    double queue_ns, last_sent;
    uint64_t now_ns;
};

static void world_open(struct world *world, double known_rate)
{
    *world = (struct world){.capacity = CAPACITY, .now_ns = 1000 * MS};
    model_init(&world->model, world->now_ns);
    world->model.least_ns[0] = RTT_MS * MS;
    world->model.rounds = 1;
    world->model.rates[0] = world->model.rate = known_rate;
    world->model.next_rate = 1;
    world->last_sent = known_rate;
    pilot_start(&world->pilot, &world->model, PILOT_STEP_LEAST, world->now_ns);
}

static enum pilot_verdict round_trip(struct world *world)
{
    const double rtt_s = RTT_MS * 1e-3;
    double sent = world->last_sent; /* in the round before */
    double before_ns = world->queue_ns;
    double passed = sent * (1 - world->loss);
    if (world->policed > 0)
        passed = fmin(passed, world->policed);
    double excess = passed + world->others - world->capacity;
    world->queue_ns = fmax(0, world->queue_ns + excess / world->capacity * rtt_s * 1e9);
    double delivered = world->queue_ns > 0 || before_ns > 0
                           ? fmin(passed + before_ns * 1e-9 / rtt_s * world->capacity,
                                  world->capacity * passed / (passed + world->others))
                           : passed;
    double lost = sent - passed;
    double wobble = world->model.rounds % 2 ? 1 + world->wobble : 1 - world->wobble;
    struct model_round round = {
        .bytes_per_s = delivered * wobble,
        .settled_bytes_per_s = delivered * wobble + lost,
        .queue_ns = (uint64_t)(fmin(before_ns, world->queue_ns) + world->jitter_ns),
        .last_queue_ns = (uint64_t)(world->queue_ns + world->jitter_ns),
        .acked = (uint32_t)(passed * rtt_s / PACKET),
        .lost = (uint32_t)lround(lost * rtt_s / PACKET),
    };
    if (world->mark_ns > 0 && world->queue_ns > world->mark_ns)
        round.marked = round.acked / 2;
    world->now_ns += RTT_MS * MS + (uint64_t)world->queue_ns;
    world->model.rounds++;
    world->last_sent = fmin(pilot_bytes_per_s(&world->pilot, &world->model),
                            pilot_window_bytes(&world->pilot, &world->model, PACKET) /
                                (rtt_s + world->queue_ns * 1e-9));
    return pilot_steer(&world->pilot, &world->model, &round, PACKET, world->now_ns);
}

/* Until it gives up, or `rounds` have passed. */
static enum pilot_verdict fly(struct world *world, int rounds)
{
    enum pilot_verdict verdict = PILOT_GOES_ON;
    for (int i = 0; i < rounds && verdict == PILOT_GOES_ON; i++)
        verdict = round_trip(world);
    return verdict;
}

static void T7_alone_it_fills_the_path_with_hardly_a_queue(void **state)
{
    (void)state;
    static const double losses[] = {0, 0.01, 0.1};
    for (size_t i = 0; i < 3; i++) {
        struct world world;
        world_open(&world, CAPACITY / (1 - losses[i]));
        world.loss = losses[i];
        assert_int_equal(fly(&world, 200), PILOT_GOES_ON);
        double queue_ns = 0, sent = 0;
        for (int r = 0; r < 2000; r++) {
            assert_int_equal(round_trip(&world), PILOT_GOES_ON);
            queue_ns += world.queue_ns / 2000;
            sent += fmin(world.last_sent * (1 - losses[i]), CAPACITY) / 2000;
        }
        assert_true(queue_ns < 3e6);
        assert_true(sent > 0.98 * CAPACITY);
    }
}

/* A round of a slow path is some dozens of packets, and its rate is known to one of them. */
static void T7_rates_of_whole_packets_leave_no_queue(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, CAPACITY / 10.0);
    world.capacity = CAPACITY / 10.0;
    world.wobble = 0.025;
    double queue_ns = 0, sent = 0;
    for (int r = 0; r < 2000; r++) {
        assert_int_equal(round_trip(&world), PILOT_GOES_ON);
        queue_ns += world.queue_ns / 2000;
        sent += fmin(world.last_sent, world.capacity) / 2000;
    }
    print_message("  queue %.2f ms, %.3f of the path\n", queue_ns * 1e-6, sent / world.capacity);
    assert_true(queue_ns < 3.5e6);
    assert_true(sent > 0.97 * world.capacity);
}

/* What looks like a queue and stays when we slow down a little is not taken for one for ever. */
static void T7_jitter_is_no_queue(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, CAPACITY);
    world.jitter_ns = 4e6;
    double sent = 0;
    for (int i = 0; i < 4000; i++) {
        assert_int_equal(round_trip(&world), PILOT_GOES_ON);
        sent += fmin(world.last_sent, CAPACITY) / 4000;
        assert_true(world.queue_ns < 1e7);
    }
    assert_true(sent > 0.98 * CAPACITY);
}

/* From a twentieth: steps that double. */
static void T7_it_finds_what_is_free(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, CAPACITY / 20.0);
    world.loss = 0.02;
    int rounds = 0;
    while (world.model.rate < 0.95 * CAPACITY) {
        assert_int_equal(round_trip(&world), PILOT_GOES_ON);
        assert_true(++rounds < 40);
    }
}

static void T7_a_queue_that_others_fill_is_left_to_sharing(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, CAPACITY);
    assert_int_equal(fly(&world, 100), PILOT_GOES_ON);
    world.others = CAPACITY; /* they push as hard as the whole path can bear */
    enum pilot_verdict verdict = fly(&world, 30);
    assert_true(verdict == PILOT_QUEUE_STANDS || verdict == PILOT_RATE_ERODES);
}

/* Somebody who takes a little more each round, behind hardly a queue. */
static void T7_erosion_is_noticed(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, CAPACITY);
    assert_int_equal(fly(&world, 100), PILOT_GOES_ON);
    enum pilot_verdict verdict = PILOT_GOES_ON;
    for (int i = 0; i < 200 && verdict == PILOT_GOES_ON; i++) {
        world.others += 0.003 * CAPACITY;
        verdict = round_trip(&world);
    }
    assert_true(verdict == PILOT_RATE_ERODES || verdict == PILOT_QUEUE_REFILLS);
    assert_true(world.others < 0.25 * CAPACITY);
    /* What it hands on is what the path bore before. */
    assert_true(world.pilot.peak_rate > 0.97 * CAPACITY);
}

static void T1_a_policer_is_not_chance(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 0.2 * CAPACITY);
    world.policed = 0.2 * CAPACITY;
    assert_int_equal(fly(&world, 200), PILOT_LOSS_RISES);
    assert_true(model_loss(&world.model) < 0.15);
}

static void marks_that_persist_are_others(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, CAPACITY);
    world.mark_ns = 100000;
    assert_int_equal(fly(&world, 1000), PILOT_GOES_ON); /* one's own are answered */
    world.others = 0.5 * CAPACITY;
    assert_true(fly(&world, 10) != PILOT_GOES_ON);
}

/* A path that became a half of itself: one drain tells, the new rate is found. */
static void a_slower_path_ends_the_flight_or_is_learnt(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, CAPACITY);
    assert_int_equal(fly(&world, 100), PILOT_GOES_ON);
    world.capacity /= 2;
    assert_true(fly(&world, 40) != PILOT_GOES_ON);
    assert_true(world.queue_ns < 2.0 * RTT_MS * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T7_alone_it_fills_the_path_with_hardly_a_queue),
        cmocka_unit_test(T7_rates_of_whole_packets_leave_no_queue),
        cmocka_unit_test(T7_jitter_is_no_queue),
        cmocka_unit_test(T7_it_finds_what_is_free),
        cmocka_unit_test(T7_a_queue_that_others_fill_is_left_to_sharing),
        cmocka_unit_test(T7_erosion_is_noticed),
        cmocka_unit_test(T1_a_policer_is_not_chance),
        cmocka_unit_test(marks_that_persist_are_others),
        cmocka_unit_test(a_slower_path_ends_the_flight_or_is_learnt),
    };
    return cmocka_run_group_tests_name("transport/pilot", tests, NULL, NULL);
}
