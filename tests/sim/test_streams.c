/* SPDX-License-Identifier: Apache-2.0
 *
 * A thousand seeds of everything that a network can do to packets, with random streams both ways: every stream arrives byte for
 * byte and ends as planned within bounded virtual time, and a seed's packets are always the same.
 */
#include "workload.h"

#include "base/memory.h"

#include <stdlib.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { SEEDS = 1000, STREAMS_PER_SEED = 12, SECONDS_LIMIT = 180 };

struct outcome {
    uint64_t hash, packets, bytes_checked, took_ns;
};

static struct outcome run_seed(uint64_t seed)
{
    static struct sim_pair pair;
    static struct workload workload;
    struct random random;
    random_seed(&random, seed);
    struct sim_impairment_config impairment = {
        .loss = random_below(&random, 4) ? random_unit(&random) * 0.2 : 0,
        .duplicate = random_below(&random, 2) ? random_unit(&random) * 0.1 : 0,
        .corrupt = random_below(&random, 2) ? random_unit(&random) * 0.05 : 0,
    };
    struct sim_link_config link = {
        .bytes_per_s = random_below(&random, 5) ? 250000 + random_below(&random, 12500000) : 0,
        .queue_ns = 20 * SIM_MS + random_below(&random, 200 * SIM_MS),
        .delay_ns = random_below(&random, 80 * SIM_MS),
        .jitter_ns = random_below(&random, 2) ? random_below(&random, 10 * SIM_MS) : 0,
        .reorder = random_below(&random, 2) ? random_unit(&random) * 0.2 : 0,
        .reorder_max_ns = random_below(&random, 60 * SIM_MS),
    };
    sim_pair_init(&pair, crypto_openssl(), seed, &link, &impairment);
    workload_init(&workload, &pair);
    workload_add_random(&workload, &random, STREAMS_PER_SEED);
    sim_pair_start(&pair);
    workload_run(&workload, SECONDS_LIMIT * SIM_SECOND);
    struct outcome outcome = {.took_ns = pair.sim.now_ns - workload.start_ns};
    workload_check(&workload);
    /* What is left to say is said, and nothing remains. */
    sim_run(&pair.sim, pair.sim.now_ns + 20 * SIM_SECOND, NULL, NULL);
    assert_int_equal(sim_end_facts(&pair.edge).streams_open, 0);
    assert_int_equal(sim_end_facts(&pair.gateway).streams_open, 0);
    /* But for reports, one each second, which wait for probes on a path that loses many. */
    assert_true(sim_end_facts(&pair.edge).in_flight_bytes < 2000);
    assert_true(sim_end_facts(&pair.gateway).in_flight_bytes < 2000);
    outcome.hash = pair.edge.hash ^ pair.gateway.hash * 3;
    outcome.packets = pair.edge.packets_out + pair.gateway.packets_out;
    outcome.bytes_checked = workload.bytes_checked;
    sim_pair_clear(&pair);
    return outcome;
}

static void T6_every_stream_arrives_byte_for_byte(void **state)
{
    (void)state;
    /* A single seed, to look at. */
    const char *one = getenv("SIM_SEED");
    uint64_t first = one ? strtoull(one, NULL, 10) : 1, last = one ? first : SEEDS;
    uint64_t packets = 0, bytes = 0, longest_ns = 0;
    for (uint64_t seed = first; seed <= last; seed++) {
        print_message("\r  seed %llu", (unsigned long long)seed);
        struct outcome outcome = run_seed(seed);
        packets += outcome.packets;
        bytes += outcome.bytes_checked;
        if (outcome.took_ns > longest_ns)
            longest_ns = outcome.took_ns;
    }
    print_message("\r  %llu packets, %llu bytes compared, the longest run %.1f virtual seconds\n",
                  (unsigned long long)packets, (unsigned long long)bytes,
                  (double)longest_ns * 1e-9);
}

static void one_seed_gives_the_same_packets_twice(void **state)
{
    (void)state;
    for (uint64_t seed = 2001; seed <= 2020; seed++) {
        struct outcome a = run_seed(seed), b = run_seed(seed);
        assert_true(a.packets > 10);
        assert_int_equal(a.packets, b.packets);
        assert_true(a.hash == b.hash);
        assert_true(a.hash != run_seed(seed + 100).hash);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T6_every_stream_arrives_byte_for_byte),
        cmocka_unit_test(one_seed_gives_the_same_packets_twice),
    };
    return cmocka_run_group_tests_name("sim/streams", tests, NULL, NULL);
}
