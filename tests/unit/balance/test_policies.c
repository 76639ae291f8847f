/* SPDX-License-Identifier: Apache-2.0
 *
 * Each policy by itself: what it compares, and in which shares it gives.
 */
#include "balance_case.h"

#define MS 1000000ull

static void L1_fewest_pending_for_its_weight_wins(void **state)
{
    (void)state;
    struct balance_candidate servers[] = {server(1, 5), server(2, 2), server(3, 9)};
    assert_int_equal(pick_of(&balance_least_pending, servers, 3), 1);
    servers[2].weight = 900; /* 9 of 9, against 2 of 1 */
    assert_int_equal(pick_of(&balance_least_pending, servers, 3), 2);
    servers[2].ramp_permille = 100; /* and cold */
    assert_int_equal(pick_of(&balance_least_pending, servers, 3), 1);
}

static void L1_ties_are_spread_by_weight(void **state)
{
    (void)state;
    struct balance_candidate servers[] = {server(1, 0), server(2, 0), server(3, 0)};
    servers[1].weight = 200;
    unsigned counts[3];
    count_picks(&balance_least_pending, servers, 3, 4000, counts);
    assert_in_range(counts[0], 850, 1150);
    assert_in_range(counts[1], 1800, 2200);
    assert_in_range(counts[2], 850, 1150);
}

static void L1_round_robin_gives_each_its_turn(void **state)
{
    (void)state;
    struct balance_candidate servers[] = {server(1, 7), server(2, 0), server(3, 3)};
    servers[1].weight = 900;
    struct chooser chooser;
    chooser_init(&chooser, &balance_round_robin);
    size_t before = choose(&chooser, servers, 3);
    for (unsigned i = 0; i < 12; i++) {
        size_t next = choose(&chooser, servers, 3);
        assert_int_equal(next, (before + 1) % 3);
        before = next;
    }
    servers[(before + 1) % 3].is_usable = false; /* its turn is passed over */
    assert_int_equal(choose(&chooser, servers, 3), (before + 2) % 3);
    assert_int_equal(choose(&chooser, servers, 3), before);
}

static void L1_weighted_mixes_evenly(void **state)
{
    (void)state;
    static const size_t order[] = {0, 0, 1, 0, 2, 0, 0};
    struct balance_candidate servers[] = {server(1, 0), server(2, 0), server(3, 0)};
    servers[0].weight = 500;
    struct chooser chooser;
    chooser_init(&chooser, &balance_weighted);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 7; i++)
            assert_int_equal(choose(&chooser, servers, 3), order[i]);
}

static void L1_weighted_keeps_what_was_gained_when_the_list_moves(void **state)
{
    (void)state;
    struct balance_candidate servers[] = {server(1, 0), server(2, 0), server(3, 0)};
    struct chooser chooser;
    chooser_init(&chooser, &balance_weighted);
    assert_int_equal(choose(&chooser, servers, 3), 0);
    const struct balance_candidate moved[] = {servers[2], servers[0], servers[1]};
    size_t second = choose(&chooser, moved, 3);
    size_t third = choose(&chooser, moved, 3);
    assert_int_not_equal(second, 1); /* has had its turn */
    assert_int_not_equal(third, 1);
    assert_int_not_equal(second, third);
}

static void L1_random_gives_by_weight(void **state)
{
    (void)state;
    struct balance_candidate servers[] = {server(1, 50), server(2, 0), server(3, 0)};
    servers[0].weight = 300;
    servers[2].ramp_permille = 500;
    unsigned counts[3];
    count_picks(&balance_random, servers, 3, 4500, counts);
    assert_in_range(counts[0], 2850, 3150);
    assert_in_range(counts[1], 900, 1100);
    assert_in_range(counts[2], 430, 570);
}

static void L1_first_keeps_to_the_order(void **state)
{
    (void)state;
    struct balance_candidate servers[] = {server(1, 9), server(2, 0), server(3, 0)};
    assert_int_equal(pick_of(&balance_first, servers, 3), 0);
    servers[0].limit = 9;
    assert_int_equal(pick_of(&balance_first, servers, 3), 1);
    servers[1].is_usable = false;
    assert_int_equal(pick_of(&balance_first, servers, 3), 2);
}

static void L1_two_choices_never_takes_the_most_pending(void **state)
{
    (void)state;
    struct balance_candidate servers[] = {server(1, 1), server(2, 2), server(3, 3)};
    unsigned counts[3];
    count_picks(&balance_two_choices, servers, 3, 3000, counts);
    assert_int_equal(counts[2], 0);
    assert_in_range(counts[0], 1850, 2150); /* it is in two of the three pairs */
    assert_in_range(counts[1], 850, 1150);
}

static void L1_peak_ewma_weighs_latency_by_what_is_pending(void **state)
{
    (void)state;
    struct balance_candidate servers[] = {server(1, 3), server(2, 0)};
    servers[0].latency_ns = 10000000;
    servers[1].latency_ns = 50000000;
    assert_int_equal(pick_of(&balance_peak_ewma, servers, 2), 0); /* 40 ms against 50 */
    servers[0].pending = 5;
    assert_int_equal(pick_of(&balance_peak_ewma, servers, 2), 1);
    servers[1].latency_ns = 0; /* nothing is known of it, and it is idle */
    servers[0].pending = 0;
    assert_int_equal(pick_of(&balance_peak_ewma, servers, 2), 1);
    servers[1].pending = 1; /* one request tries it already */
    assert_int_equal(pick_of(&balance_peak_ewma, servers, 2), 0);
    servers[0].latency_ns = UINT64_MAX;
    servers[0].pending = UINT32_MAX;
    assert_int_equal(pick_of(&balance_peak_ewma, servers, 2), 1);
}

static void L1_hot_cold_takes_the_quickest_that_is_not_hot(void **state)
{
    (void)state;
    struct balance_candidate servers[] = {server(1, 2), server(2, 2), server(3, 2)};
    servers[0].latency_ns = 9000000;
    servers[1].latency_ns = 3000000;
    servers[2].latency_ns = 6000000;
    struct chooser chooser;
    chooser_init(&chooser, &balance_hot_cold);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(choose(&chooser, servers, 3), 1);
    servers[1].pending = 40; /* now it is hotter than servers mostly are */
    assert_int_equal(choose(&chooser, servers, 3), 2);
    for (unsigned i = 0; i < 3; i++)
        servers[i].pending = 100 - i; /* all are */
    assert_int_equal(choose(&chooser, servers, 3), 2);
}

static void L7_expected_completion_is_where_it_is_done_soonest(void **state)
{
    (void)state;
    struct balance_candidate servers[] = {server(1, 1), server(2, 30), server(3, 2)};
    servers[0].expected_ns = 90 * MS;
    servers[1].expected_ns = 30 * MS;
    servers[2].expected_ns = 60 * MS;
    assert_int_equal(pick_of(&balance_expected, servers, 3), 1);
    servers[0].pending = 0;
    servers[0].expected_ns = 0; /* unknown and idle: tried */
    assert_int_equal(pick_of(&balance_expected, servers, 3), 0);
    servers[0].pending = 1; /* with one request */
    assert_int_equal(pick_of(&balance_expected, servers, 3), 1);
    servers[1].expected_ns = servers[2].expected_ns = 0; /* unknown of all: least pending */
    assert_int_equal(pick_of(&balance_expected, servers, 3), 0);
}

/* Whatever is pending there, and with whatever weights: the same servers may be picked, and those that could be drawn are drawn as often. */
static void L7_expected_of_servers_unknown_is_least_pending(void **state)
{
    (void)state;
    enum { COUNT = 5, CASES = 200, PICKS = 2000 };
    struct random random;
    random_seed(&random, 11);
    for (int i = 0; i < CASES; i++) {
        struct balance_candidate servers[COUNT];
        unsigned expected[COUNT], least[COUNT];
        for (size_t k = 0; k < COUNT; k++) {
            servers[k] = server(k + 1, (uint32_t)random_below(&random, 3));
            servers[k].weight = (uint16_t)(50 * (1 + random_below(&random, 3)));
        }
        count_picks(&balance_expected, servers, COUNT, PICKS, expected);
        count_picks(&balance_least_pending, servers, COUNT, PICKS, least);
        for (size_t k = 0; k < COUNT; k++)
            assert_true(abs((int)expected[k] - (int)least[k]) < PICKS / 10);
    }
}

static void L7_servers_that_are_about_as_soon_share_by_weight(void **state)
{
    (void)state;
    struct balance_candidate servers[] = {server(1, 0), server(2, 0), server(3, 0)};
    unsigned counts[3];
    servers[0].expected_ns = 100 * MS;
    servers[1].expected_ns = 110 * MS; /* what is learnt is not so exact */
    servers[2].expected_ns = 200 * MS;
    servers[1].weight *= 2;
    count_picks(&balance_expected, servers, 3, 3000, counts);
    assert_in_range(counts[0], 900, 1100);
    assert_in_range(counts[1], 1900, 2100);
    assert_int_equal(counts[2], 0);
    servers[1].pending = 1;
    servers[1].expected_ns = 112 * MS;
    count_picks(&balance_expected, servers, 3, 100, counts);
    assert_int_equal(counts[0], 100); /* it has nothing pending */
    servers[0].expected_ns = MS / 10; /* nor is so little a difference */
    servers[1].expected_ns = MS;
    servers[1].pending = 0;
    count_picks(&balance_expected, servers, 3, 3000, counts);
    assert_in_range(counts[0], 900, 1100);
}

static size_t hash_pick(const struct balance_candidate *servers, size_t count, uint64_t key)
{
    struct random random;
    random_seed(&random, 1);
    struct balance_question question = {.key = key, .has_key = true};
    return balance_pick(&balance_hash, NULL, servers, count, &question, &random);
}

static void L1_hash_moves_only_the_keys_of_who_comes_or_goes(void **state)
{
    (void)state;
    enum { KEYS = 3000 };
    struct balance_candidate servers[] = {server(11, 0), server(22, 0), server(33, 0),
                                          server(44, 0)};
    unsigned counts[4] = {0};
    for (uint64_t key = 0; key < KEYS; key++) {
        size_t of_all = hash_pick(servers, 4, key), of_three = hash_pick(servers, 3, key);
        assert_true(of_all == 3 || of_all == of_three);
        counts[of_all]++;
    }
    for (unsigned i = 0; i < 4; i++)
        assert_in_range(counts[i], KEYS / 4 - 120, KEYS / 4 + 120);
    servers[3].weight = 300; /* of 600 */
    unsigned heavy = 0;
    for (uint64_t key = 0; key < KEYS; key++)
        heavy += hash_pick(servers, 4, key) == 3;
    assert_in_range(heavy, KEYS / 2 - 150, KEYS / 2 + 150);
}

static void L1_hash_passes_on_what_is_beyond_its_share(void **state)
{
    (void)state;
    struct balance_candidate servers[] = {server(11, 0), server(22, 0), server(33, 0)};
    enum { KEY = 5, REQUESTS = 300 };
    for (unsigned i = 0; i < REQUESTS; i++)
        servers[hash_pick(servers, 3, KEY)].pending++;
    for (unsigned i = 0; i < 3; i++)
        assert_in_range(servers[i].pending, REQUESTS / 8, REQUESTS * 5 / 12 + 1);
    size_t home = 0;
    for (unsigned i = 0; i < 3; i++)
        servers[i].pending = 0;
    home = hash_pick(servers, 3, KEY);
    servers[home].limit = 1;
    servers[home].pending = 1; /* full before it has its share */
    assert_int_not_equal(hash_pick(servers, 3, KEY), home);
}

static void L1_hash_without_a_key_takes_the_less_pending(void **state)
{
    (void)state;
    struct balance_candidate servers[] = {server(11, 6), server(22, 1)};
    assert_int_equal(pick_of(&balance_hash, servers, 2), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L1_fewest_pending_for_its_weight_wins),
        cmocka_unit_test(L1_ties_are_spread_by_weight),
        cmocka_unit_test(L1_round_robin_gives_each_its_turn),
        cmocka_unit_test(L1_weighted_mixes_evenly),
        cmocka_unit_test(L1_weighted_keeps_what_was_gained_when_the_list_moves),
        cmocka_unit_test(L1_random_gives_by_weight),
        cmocka_unit_test(L1_first_keeps_to_the_order),
        cmocka_unit_test(L1_two_choices_never_takes_the_most_pending),
        cmocka_unit_test(L1_peak_ewma_weighs_latency_by_what_is_pending),
        cmocka_unit_test(L1_hot_cold_takes_the_quickest_that_is_not_hot),
        cmocka_unit_test(L7_expected_completion_is_where_it_is_done_soonest),
        cmocka_unit_test(L7_expected_of_servers_unknown_is_least_pending),
        cmocka_unit_test(L7_servers_that_are_about_as_soon_share_by_weight),
        cmocka_unit_test(L1_hash_moves_only_the_keys_of_who_comes_or_goes),
        cmocka_unit_test(L1_hash_passes_on_what_is_beyond_its_share),
        cmocka_unit_test(L1_hash_without_a_key_takes_the_less_pending),
    };
    return cmocka_run_group_tests_name("policies", tests, NULL, NULL);
}
