/* SPDX-License-Identifier: Apache-2.0
 *
 * What an owner knows of its servers beyond the queue: tickets are counted once, outcomes eject and teach.
 */
#include "gateway/owner/judge.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define MS 1000000ull
#define S  1000000000ull

static struct gateway_judge_settings usual(void)
{
    return (struct gateway_judge_settings){.failure = {.counts_server_errors = true,
                                                       .ejection = {.is_on = true,
                                                                    .consecutive = 3,
                                                                    .least_requests = 20,
                                                                    .interval_ns = 5 * S,
                                                                    .base_ns = 5 * S,
                                                                    .most_ns = 60 * S,
                                                                    .most_percent = 50},
                                                       .retries = {.percent = 20, .least = 1},
                                                       .hedging = {.is_on = true,
                                                                   .quantile_percent = 95,
                                                                   .least_ns = 2 * MS,
                                                                   .percent = 5,
                                                                   .samples = 50},
                                                       .breaker = {.is_on = true,
                                                                   .share_percent = 50,
                                                                   .least_requests = 10,
                                                                   .interval_ns = 5 * S,
                                                                   .open_ns = 5 * S,
                                                                   .probes = 1}},
                                           .types = {11, 22, 33, 44}};
}

static struct gateway_judge *judge_of(const struct gateway_judge_settings *settings)
{
    struct gateway_judge *judge = gateway_judge_new();
    struct gateway_judge_server servers[QUEUE_SERVERS_MOST] = {
        {.identity = 101}, {.identity = 0}, {.identity = 103}, {.identity = 104}};
    gateway_judge_configure(judge, "shop", settings);
    gateway_judge_set_servers(judge, servers);
    for (uint16_t i = 0; i < QUEUE_SERVERS_MOST; i++)
        gateway_judge_set_available(judge, i, servers[i].identity != 0);
    return judge;
}

/* 0, or why it was not admitted. */
static int ask(struct gateway_judge *judge, enum gateway_try as, uint16_t server,
               enum failure_outcome outcome, uint64_t service_ns, uint64_t now_ns)
{
    struct gateway_judged judged = {0};
    uint64_t retry_ns;
    int result = gateway_judge_admit(judge, &judged, as, 1, now_ns, &retry_ns);
    const struct gateway_verdict verdict = {outcome, service_ns, 1000};
    if (result == 0)
        gateway_judge_settle(judge, &judged, server, &verdict, now_ns);
    return result;
}

static void failures_eject_and_time_brings_back(void **state)
{
    (void)state;
    const struct gateway_judge_settings settings = usual();
    struct gateway_judge *judge = judge_of(&settings);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(judge, GATEWAY_TRY_FIRST, 2, FAILURE_FAILED, 0, S), 0);
    assert_true(gateway_judge_ejects(judge, 2));
    assert_false(gateway_judge_ejects(judge, 0));
    assert_int_equal(gateway_judge_wake_ns(judge), 6 * S);
    /* Other servers: it is known by its identity. */
    const struct gateway_judge_server servers[QUEUE_SERVERS_MOST] = {{.identity = 103},
                                                                     {.identity = 101}};
    gateway_judge_set_servers(judge, servers);
    assert_true(gateway_judge_ejects(judge, 0));
    assert_true(gateway_judge_tick(judge, 6 * S));
    assert_false(gateway_judge_ejects(judge, 0));
    gateway_judge_free(&judge);
}

static void tickets_are_counted_once(void **state)
{
    (void)state;
    const struct gateway_judge_settings settings = usual();
    struct gateway_judge *judge = judge_of(&settings);
    struct gateway_judged first = {0}, retry = {0}, other = {0};
    uint64_t retry_ns;
    assert_int_equal(gateway_judge_admit(judge, &first, GATEWAY_TRY_FIRST, 0, S, &retry_ns), 0);
    assert_int_equal(gateway_judge_admit(judge, &retry, GATEWAY_TRY_RETRY, 0, S, &retry_ns), 0);
    assert_int_equal(gateway_judge_admit(judge, &other, GATEWAY_TRY_RETRY, 0, S, &retry_ns),
                     ERROR_DENIED);
    gateway_judge_settle(judge, &other, QUEUE_NO_SERVER, NULL, S); /* was not counted: no harm */
    gateway_judge_settle(judge, &retry, QUEUE_NO_SERVER, NULL, S);
    gateway_judge_settle(judge, &retry, QUEUE_NO_SERVER, NULL, S); /* nor twice */
    assert_int_equal(gateway_judge_admit(judge, &retry, GATEWAY_TRY_RETRY, 0, S, &retry_ns), 0);
    gateway_judge_settle(judge, &retry, QUEUE_NO_SERVER, NULL, S);
    gateway_judge_settle(judge, &first, QUEUE_NO_SERVER, NULL, S);
    gateway_judge_free(&judge);
}

static void a_type_that_fails_everywhere_is_refused(void **state)
{
    (void)state;
    const struct gateway_judge_settings settings = usual();
    struct gateway_judge *judge = judge_of(&settings);
    for (uint16_t i = 0; i < 10; i++)
        assert_int_equal(ask(judge, GATEWAY_TRY_FIRST, i % 2 ? 3 : 2, FAILURE_ERROR, MS, S), 0);
    assert_int_equal(ask(judge, GATEWAY_TRY_FIRST, 2, FAILURE_ANSWERED, MS, 2 * S), ERROR_LIMIT);
    struct gateway_judged judged = {0};
    uint64_t retry_ns = 0;
    assert_int_equal(gateway_judge_admit(judge, &judged, GATEWAY_TRY_FIRST, 1, 2 * S, &retry_ns),
                     ERROR_LIMIT);
    assert_int_equal(retry_ns, 4 * S);
    assert_int_equal(gateway_judge_admit(judge, &judged, GATEWAY_TRY_FIRST, 0, 2 * S, &retry_ns),
                     0); /* another type */
    gateway_judge_settle(judge, &judged, QUEUE_NO_SERVER, NULL, 2 * S);
    gateway_judge_free(&judge);
}

static void L7_answers_teach_what_requests_cost(void **state)
{
    (void)state;
    struct gateway_judge_settings settings = usual();
    struct gateway_judge *judge = judge_of(&settings);
    const struct queue_costs *costs = gateway_judge_costs(judge);
    assert_int_equal(gateway_judge_hedge_ns(judge, 1, S), 0); /* nothing is known yet */
    for (int i = 0; i < 100; i++)
        assert_int_equal(ask(judge, GATEWAY_TRY_FIRST, 2, FAILURE_ANSWERED, 10 * MS, S), 0);
    struct queue_load load = {.slots = {2, 2, 2}};
    double expected_ns[QUEUE_SERVERS_MOST];
    costs->expected_ns(costs->context, 1, &load, 3, expected_ns);
    assert_in_range(expected_ns[2], 9 * MS, 11 * MS);
    load.pending[2] = load.type_pending[1][2] = load.types[1] = 4;
    costs->expected_ns(costs->context, 1, &load, 3, expected_ns);
    assert_in_range(expected_ns[2], 29 * MS, 31 * MS);
    assert_in_range(gateway_judge_hedge_ns(judge, 1, 2 * S), 9 * MS, 12 * MS);
    /* Its type has another number now. */
    settings.types[1] = 33;
    settings.types[2] = 22;
    gateway_judge_configure(judge, "shop", &settings);
    assert_in_range(gateway_judge_hedge_ns(judge, 2, 3 * S), 9 * MS, 12 * MS);
    assert_int_equal(gateway_judge_hedge_ns(judge, 1, 3 * S), 0);
    gateway_judge_free(&judge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_eject_and_time_brings_back),
        cmocka_unit_test(tickets_are_counted_once),
        cmocka_unit_test(a_type_that_fails_everywhere_is_refused),
        cmocka_unit_test(L7_answers_teach_what_requests_cost),
    };
    return cmocka_run_group_tests_name("gateway_judge", tests, NULL, NULL);
}
