/* SPDX-License-Identifier: Apache-2.0
 *
 * What every policy keeps to: who may be picked at all. And slow start.
 */
#include "balance_case.h"

#define EACH_POLICY(policy)                                         \
    for (unsigned kind = 0; kind < BALANCE_POLICIES; kind++)        \
        for (const struct balance_policy *policy =                  \
                 balance_policy_of((enum balance_policy_kind)kind); \
             policy; policy = NULL)

static void L3_a_full_server_gets_nothing(void **state)
{
    (void)state;
    struct balance_candidate servers[] = {server(1, 5), server(2, 2), server(3, 0)};
    servers[0].limit = 10;
    servers[1].limit = 2;
    servers[2].weight = 0;
    EACH_POLICY(policy)
    assert_int_equal(pick_of(policy, servers, 3), 0);
    servers[0].pending = 10;
    EACH_POLICY(policy)
    {
        assert_int_equal(pick_of(policy, servers, 3), BALANCE_NONE);
        assert_int_equal(pick_of(policy, servers, 0), BALANCE_NONE);
    }
}

static void L1_an_unusable_server_is_the_last_resort(void **state)
{
    (void)state;
    struct balance_candidate servers[] = {server(1, 0), server(2, 7), server(3, 0)};
    servers[0].is_usable = servers[2].is_usable = false;
    EACH_POLICY(policy)
    assert_int_equal(pick_of(policy, servers, 3), 1);
    servers[1].limit = 7; /* it has no room: better wait than try one that is down */
    EACH_POLICY(policy)
    assert_int_equal(pick_of(policy, servers, 3), BALANCE_NONE);
    servers[1].weight = 0; /* it drains */
    EACH_POLICY(policy)
    assert_int_not_equal(pick_of(policy, servers, 3), 1);
    servers[0].limit = 1;
    servers[0].pending = 1;
    EACH_POLICY(policy)
    assert_int_equal(pick_of(policy, servers, 3), 2);
}

/* Whatever the numbers are: a pick is allowed, and there is one while anybody is. */
static void L3_random_servers_never_break_a_policy(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 1, 2, 1000000, UINT32_MAX, 1ull << 40, UINT64_MAX};
    struct random random;
    random_seed(&random, 3);
    EACH_POLICY(policy)
    {
        struct chooser chooser;
        chooser_init(&chooser, policy);
        for (unsigned round = 0; round < 2000; round++) {
            struct balance_candidate servers[BALANCE_CANDIDATES_MOST + 5];
            size_t count = random_below(&random, round % 50 ? 8 : BALANCE_CANDIDATES_MOST + 5);
            bool is_anybody = false, has_room = false;
            for (size_t i = 0; i < count; i++) {
#define ANY numbers[random_below(&random, sizeof numbers / sizeof *numbers)]
                servers[i] = (struct balance_candidate){
                    .identity = random_u64(&random) | 1,
                    .latency_ns = ANY,
                    .expected_ns = ANY,
                    .behind_ns = ANY,
                    .pending = (uint32_t)ANY,
                    .limit = (uint32_t)ANY,
                    .weight = (uint16_t)random_below(&random, BALANCE_WEIGHT_MOST + 1),
                    .ramp_permille = (uint16_t)random_below(&random, BALANCE_RAMP_WHOLE + 1),
                    .is_usable = random_below(&random, 3) != 0};
            }
            chooser.question.has_key = random_below(&random, 2);
            chooser.question.key = ANY;
            size_t looked_at = count < BALANCE_CANDIDATES_MOST ? count : BALANCE_CANDIDATES_MOST;
            for (size_t i = 0; i < looked_at; i++)
                is_anybody |= servers[i].is_usable && servers[i].weight;
            for (size_t i = 0; i < looked_at; i++)
                has_room |= servers[i].weight && servers[i].is_usable == is_anybody &&
                            (!servers[i].limit || servers[i].pending < servers[i].limit);
            size_t picked = choose(&chooser, servers, count);
            assert_int_equal(picked != BALANCE_NONE, has_room);
            if (picked == BALANCE_NONE)
                continue;
            assert_true(picked < looked_at);
            assert_true(servers[picked].weight);
            assert_int_equal(servers[picked].is_usable, is_anybody);
            assert_true(!servers[picked].limit || servers[picked].pending < servers[picked].limit);
        }
    }
}

static void L1_every_policy_is_found_by_its_name(void **state)
{
    (void)state;
    EACH_POLICY(policy)
    assert_ptr_equal(balance_find(policy->name), policy);
    assert_null(balance_find("least"));
}

static void L8_the_original_is_preferred_until_its_mark(void **state)
{
    (void)state;
    enum { MS = 1000000 };
    const struct balance_marks marks = {.pending_percent = 80,
                                        .latency_ns = 500 * MS,
                                        .behind_most_ns = 3600ull * 1000 * MS};
    struct balance_candidate servers[] = {server(1, 7), server(2, 0), server(3, 0), server(4, 0)};
    servers[0].role = BALANCE_ORIGINAL;
    for (unsigned i = 0; i < 4; i++)
        servers[i].limit = 10;
    for (unsigned i = 1; i < 4; i++)
        servers[i].role = BALANCE_MIRROR;
    servers[1].behind_ns = 100ull * 1000 * MS;
    servers[2].behind_ns = 10ull * 1000 * MS;
    servers[3].behind_ns = 7200ull * 1000 * MS; /* too old for anybody */
    EACH_POLICY(policy)
    {
        struct chooser chooser;
        chooser_init(&chooser, policy);
        chooser.question.marks = &marks;
        struct balance_candidate now[4];
        memcpy(now, servers, sizeof now);
        assert_int_equal(choose(&chooser, now, 4), 0);
        now[0].latency_ns = 600 * MS; /* too slow: the fresher mirror */
        assert_int_equal(choose(&chooser, now, 4), 2);
        now[0].latency_ns = 0;
        now[0].pending = 8; /* enough to do */
        assert_int_equal(choose(&chooser, now, 4), 2);
        now[2].pending = 8; /* and so it has */
        assert_int_equal(choose(&chooser, now, 4), 1);
        now[1].is_usable = false; /* then the original before a mirror past its mark */
        assert_int_equal(choose(&chooser, now, 4), 0);
        now[0].pending = 10;
        assert_int_equal(choose(&chooser, now, 4), 2);
        now[2].pending = 10;
        assert_int_equal(choose(&chooser, now, 4), BALANCE_NONE);
    }
}

static void L8_what_must_be_fresh_goes_to_the_original(void **state)
{
    (void)state;
    struct balance_candidate servers[] = {server(1, 9), server(2, 0)};
    servers[0].role = BALANCE_ORIGINAL;
    servers[1].role = BALANCE_MIRROR;
    servers[0].limit = 10;
    EACH_POLICY(policy)
    {
        struct chooser chooser;
        chooser_init(&chooser, policy);
        struct balance_candidate now[2];
        memcpy(now, servers, sizeof now);
        chooser.question.need = BALANCE_NEEDS_FRESH;
        assert_int_equal(choose(&chooser, now, 2), 0);
        now[0].pending = 10; /* it waits for the original */
        assert_int_equal(choose(&chooser, now, 2), BALANCE_NONE);
        now[0].is_usable = false; /* but not for a dead one */
        assert_int_equal(choose(&chooser, now, 2), 1);
        chooser.question.need = BALANCE_NEEDS_ORIGINAL; /* and nothing is changed at a mirror */
        assert_int_equal(choose(&chooser, now, 2), BALANCE_NONE);
        now[0].pending = 0;
        assert_int_equal(choose(&chooser, now, 2), 0);
    }
}

static void L1_a_returning_server_grows_to_its_weight(void **state)
{
    (void)state;
    const uint64_t second = 1000000000, since = 100 * second;
    const struct balance_slow_start slow = {.duration_ns = 10 * second, .least_percent = 10};
    const struct {
        uint64_t now_ns;
        uint16_t ramp;
    } rows[] = {{since, 100},
                {since - 1, 100},
                {since + second, 100},
                {since + 2 * second, 200},
                {since + 9 * second, 900},
                {since + 10 * second, 1000},
                {UINT64_MAX, 1000}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(balance_ramp(&slow, since, rows[i].now_ns), rows[i].ramp);
    assert_int_equal(balance_ramp(&slow, 0, second), 1000); /* was always there */
    assert_int_equal(balance_ramp(&(struct balance_slow_start){0}, since, since), 1000);
    assert_int_equal(
        balance_ramp(&(struct balance_slow_start){.duration_ns = second}, since, since), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L3_a_full_server_gets_nothing),
        cmocka_unit_test(L1_an_unusable_server_is_the_last_resort),
        cmocka_unit_test(L3_random_servers_never_break_a_policy),
        cmocka_unit_test(L1_every_policy_is_found_by_its_name),
        cmocka_unit_test(L8_the_original_is_preferred_until_its_mark),
        cmocka_unit_test(L8_what_must_be_fresh_goes_to_the_original),
        cmocka_unit_test(L1_a_returning_server_grows_to_its_weight),
    };
    return cmocka_run_group_tests_name("balance", tests, NULL, NULL);
}
