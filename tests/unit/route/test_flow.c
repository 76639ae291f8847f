/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels in virtual time: two gateways, each a queue before some servers, tell their load ten times a second over links with a delay. Requests follow
 * src/route; what is to be seen is that load is shared, that an overload of one moves to the other, and that nothing swings.
 */
#include "route/route.h"

#include <string.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { GATEWAYS = 2, STEP_US = 1000, REPORT_STEPS = 100, DELAY_STEPS = 50 };

struct gateway {
    uint32_t rtt_us;
    double per_second; /* that its servers serve */
    double service_us;
    double backlog; /* requests there */
    double arrived; /* since the last report */
    struct route_facts told, on_its_way;
};

struct world {
    struct gateway gateways[GATEWAYS];
    struct route route;
    uint64_t step;
    double owed; /* requests not yet sent */
};

static const struct route_settings settings = {.loss_percent = 3, .hold_ns = 5000000000};

static void report(struct gateway *gateway, uint64_t identity)
{
    double slots = gateway->per_second * gateway->service_us / 1e6;
    double waiting = gateway->backlog > slots ? gateway->backlog - slots : 0;
    struct route_facts facts = {.identity = identity,
                                .is_up = true,
                                .rtt_us = gateway->rtt_us,
                                .has_window = true,
                                .has_load = true};
    facts.service_us = (uint32_t)gateway->service_us;
    facts.slots = (uint32_t)slots;
    facts.demand_milli = (uint32_t)(gateway->arrived * 1e9 / (REPORT_STEPS * STEP_US));
    facts.waiting[0] = (uint32_t)waiting;
    for (int i = 0; i < ROUTE_CLASSES; i++)
        facts.wait_us[i] = (uint32_t)(waiting / gateway->per_second * 1e6);
    gateway->arrived = 0;
    gateway->on_its_way = facts;
}

static void run_step(struct world *world, double requests_per_s)
{
    uint64_t now_ns = ++world->step * STEP_US * 1000;
    for (int i = 0; i < GATEWAYS; i++) {
        struct gateway *gateway = &world->gateways[i];
        gateway->backlog -= gateway->per_second * STEP_US / 1e6;
        if (gateway->backlog < 0)
            gateway->backlog = 0;
        if (world->step % REPORT_STEPS == 1)
            report(gateway, (uint64_t)i + 1);
        if (world->step % REPORT_STEPS == DELAY_STEPS)
            gateway->told = gateway->on_its_way;
    }
    if (world->step > REPORT_STEPS && route_is_due(&world->route, now_ns)) {
        struct route_facts facts[GATEWAYS];
        for (int i = 0; i < GATEWAYS; i++)
            facts[i] = world->gateways[i].told;
        route_update(&world->route, &settings, facts, GATEWAYS, now_ns);
    }
    for (world->owed += requests_per_s * STEP_US / 1e6; world->owed >= 1; world->owed--) {
        size_t picked = route_pick(&world->route, 0, 0);
        if (picked == ROUTE_NONE)
            continue;
        world->gateways[picked].backlog++;
        world->gateways[picked].arrived++;
    }
}

struct seen {
    double mean, swing;       /* of the first one's share: mean, most minus least */
    double wait_us[GATEWAYS]; /* mean */
};

static struct seen run(struct world *world, double requests_per_s, unsigned seconds)
{
    struct seen seen = {0};
    double least = 1, most = 0;
    unsigned steps = seconds * 1000;
    for (unsigned i = 0; i < steps; i++) {
        run_step(world, requests_per_s);
        double share = (double)world->route.channels[0].share[0];
        seen.mean += share / steps;
        least = share < least ? share : least;
        most = share > most ? share : most;
        for (int j = 0; j < GATEWAYS; j++)
            seen.wait_us[j] +=
                world->gateways[j].backlog / world->gateways[j].per_second * 1e6 / steps;
    }
    seen.swing = most - least;
    return seen;
}

static struct world new_world(void)
{
    return (struct world){.gateways = {{.rtt_us = 20000, .per_second = 1000, .service_us = 10000},
                                       {.rtt_us = 30000, .per_second = 1000, .service_us = 10000}}};
}

static void L2_light_load_stays_near_and_does_not_swing(void **state)
{
    struct world world = new_world();
    (void)state;
    run(&world, 400, 5);
    struct seen seen = run(&world, 400, 20);
    assert_true(seen.mean > 0.65 && seen.mean < 0.95);
    assert_true(seen.swing < 0.1);
}

static void L2_heavy_load_is_shared_without_swinging(void **state)
{
    struct world world = new_world();
    (void)state;
    run(&world, 1600, 10);
    struct seen seen = run(&world, 1600, 30);
    assert_true(seen.mean > 0.45 && seen.mean < 0.625);
    assert_true(seen.swing < 0.1);
    /* Neither waits for long while the other has room. */
    assert_true(seen.wait_us[0] < 5000 && seen.wait_us[1] < 5000);
}

static void L2_a_gateway_that_grows_slow_hands_its_load_over(void **state)
{
    struct world world = new_world();
    (void)state;
    run(&world, 1200, 10);
    world.gateways[0].per_second = 300;
    run(&world, 1200, 5);
    struct seen seen = run(&world, 1200, 30);
    assert_true(seen.mean > 0.15 && seen.mean < 0.25);
    assert_true(seen.swing < 0.1);
    world.gateways[0].per_second = 1000;
    run(&world, 1200, 10);
    seen = run(&world, 1200, 20);
    assert_true(seen.mean > 0.45);
    assert_true(seen.swing < 0.1);
}

static void L2_capacities_that_differ_are_used_in_proportion(void **state)
{
    struct world world = new_world();
    (void)state;
    world.gateways[1].rtt_us = 20000;
    world.gateways[0].per_second = 3000;
    run(&world, 3400, 10);
    struct seen seen = run(&world, 3400, 30);
    assert_true(seen.mean > 0.68 && seen.mean < 0.88);
    assert_true(seen.swing < 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L2_light_load_stays_near_and_does_not_swing),
        cmocka_unit_test(L2_heavy_load_is_shared_without_swinging),
        cmocka_unit_test(L2_a_gateway_that_grows_slow_hands_its_load_over),
        cmocka_unit_test(L2_capacities_that_differ_are_used_in_proportion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
