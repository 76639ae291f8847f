/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom the DNS nodes have probed, in virtual time (H3): never above the rate however many nodes share, never an
 * opted-out network, never one that was not seen, and edges without a measurement first.
 */
#include "measure/measure.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define S_NS 1000000000ull

enum { NODES = 3, EDGES = 10, NETWORKS = 300 };

static const struct probe_settings settings = {.interval_ns = 60 * S_NS,
                                               .refresh_ns = 600 * S_NS,
                                               .seen_ns = 3600 * S_NS,
                                               .rounds_per_s = 20,
                                               .vantages = 2};

static struct address host_of(uint32_t network, uint32_t host)
{
    if (network % 3 == 0)
        return (struct address){.family = 6,
                                .bytes = {0x20, 1, 0xd, 0xb8, (uint8_t)(network >> 8),
                                          (uint8_t)network, [15] = (uint8_t)host}};
    return (struct address){.family = 4,
                            .bytes = {198, (uint8_t)(18 + (network >> 8)), (uint8_t)network,
                                      (uint8_t)host}};
}

/* DNS nodes that do not talk to each other, and what they had probed together. */
struct cluster {
    struct random random;
    struct probe_schedule *nodes[NODES];
    struct latency_table *tables[NODES];
    bool is_live[NODES], is_seen[NETWORKS], is_silent;
    uint64_t probed_ns[NETWORKS]; /* last round; 0: never */
    uint64_t now_ns, least_gap_ns;
    unsigned rounds, most_in_a_second;
};

static size_t all_edges(void *argument, const struct address *host,
                        uint32_t edges[PROBE_CANDIDATES_LIMIT])
{
    (void)argument;
    (void)host;
    for (uint32_t i = 0; i < EDGES; i++)
        edges[i] = EDGES - 1 - i;
    return EDGES;
}

static void share(struct cluster *cluster)
{
    uint64_t live[NODES];
    size_t count = 0;
    for (uint64_t i = 0; i < NODES; i++)
        if (cluster->is_live[i])
            live[count++] = i + 100;
    for (uint64_t i = 0; i < NODES; i++)
        if (cluster->is_live[i])
            probe_schedule_share(cluster->nodes[i], i + 100, live, count, cluster->now_ns);
}

static void start_node(struct cluster *cluster, size_t node)
{
    cluster->nodes[node] = probe_schedule_new(&settings, 1000, node, cluster->now_ns);
    cluster->tables[node] = latency_table_new(20000, 1);
    cluster->is_live[node] = true;
}

static void stop_node(struct cluster *cluster, size_t node)
{
    probe_schedule_free(&cluster->nodes[node]);
    latency_table_free(cluster->tables[node]);
    cluster->tables[node] = NULL;
    cluster->is_live[node] = false;
}

static void start(struct cluster *cluster, uint64_t seed)
{
    *cluster = (struct cluster){.now_ns = 1000 * S_NS, .least_gap_ns = UINT64_MAX};
    random_seed(&cluster->random, seed);
    for (size_t i = 0; i < NODES; i++)
        start_node(cluster, i);
    share(cluster);
}

static void stop(struct cluster *cluster)
{
    for (size_t i = 0; i < NODES; i++)
        if (cluster->is_live[i])
            stop_node(cluster, i);
}

static uint32_t network_of(const struct address *host)
{
    for (uint32_t i = 0; i < NETWORKS; i++) {
        struct address known = host_of(i, 0);
        if (known.family == host->family &&
            memcmp(known.bytes, host->bytes, host->family == 4 ? 3 : 6) == 0)
            return i;
    }
    fail_msg("a network that nobody told of");
    return 0;
}

static void take_round(struct cluster *cluster, size_t node, const struct probe_order *order)
{
    uint32_t network = network_of(&order->host);
    assert_true(cluster->is_seen[network]);
    assert_in_range(order->edge_count, 1, settings.vantages);
    if (cluster->probed_ns[network]) {
        uint64_t gap_ns = cluster->now_ns - cluster->probed_ns[network];
        if (gap_ns < cluster->least_gap_ns)
            cluster->least_gap_ns = gap_ns;
    }
    cluster->probed_ns[network] = cluster->now_ns;
    cluster->rounds++;
    for (uint32_t i = 0; i < order->edge_count; i++)
        latency_table_put(cluster->tables[node], &order->host, order->edges[i], LATENCY_PROBE,
                          20000, 3, cluster->is_silent, cluster->now_ns);
}

static void see(struct cluster *cluster, uint32_t network)
{
    struct address host = host_of(network, (uint32_t)random_below(&cluster->random, 200) + 1);
    cluster->is_seen[network] = true;
    for (size_t i = 0; i < NODES; i++)
        if (cluster->is_live[i])
            probe_schedule_seen(cluster->nodes[i], &host, cluster->now_ns);
}

static void second(struct cluster *cluster)
{
    unsigned before = cluster->rounds;
    for (size_t i = 0; i < NODES; i++) {
        const struct probe_source source = {all_edges, NULL, cluster->tables[i]};
        struct probe_order order;
        while (cluster->is_live[i] &&
               probe_schedule_next(cluster->nodes[i], &source, cluster->now_ns, &order))
            take_round(cluster, i, &order);
    }
    if (cluster->rounds - before > cluster->most_in_a_second)
        cluster->most_in_a_second = cluster->rounds - before;
    cluster->now_ns += S_NS;
}

static void H3_never_more_than_one_round_a_minute_cluster_wide(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct cluster cluster;
        start(&cluster, seed);
        for (unsigned t = 0; t < 4000; t++) {
            for (int i = 0; i < 5; i++)
                see(&cluster, (uint32_t)random_below(&cluster.random, NETWORKS));
            if (t % 200 == 150) { /* nodes come and go, and forget */
                size_t node = random_below(&cluster.random, NODES);
                if (cluster.is_live[node])
                    stop_node(&cluster, node);
                else
                    start_node(&cluster, node);
                share(&cluster);
            }
            second(&cluster);
        }
        assert_true(cluster.least_gap_ns >= 60 * S_NS);
        assert_true(cluster.rounds > 3 * NETWORKS);
        stop(&cluster);
    }
}

static void H3_all_edges_in_turn_then_only_what_has_aged(void **state)
{
    (void)state;
    struct cluster cluster;
    start(&cluster, 1);
    for (unsigned t = 0; t < 60 * 8; t++) {
        see(&cluster, 4);
        second(&cluster);
    }
    assert_int_equal(cluster.rounds, EDGES / 2); /* two edges a round */
    struct address host = host_of(4, 9);
    unsigned known = 0;
    for (uint32_t edge = 0; edge < EDGES; edge++)
        for (size_t i = 0; i < NODES; i++)
            known += latency_table_find(cluster.tables[i], &host, edge, LATENCY_PROBE).taken_ns > 0;
    assert_int_equal(known, EDGES);
    for (unsigned t = 0; t < 600; t++) {
        see(&cluster, 4);
        second(&cluster);
    }
    assert_int_equal(cluster.rounds, EDGES);
    stop(&cluster);
}

static void H3_silent_networks_are_asked_more_rarely(void **state)
{
    (void)state;
    unsigned rounds[2];
    for (int is_silent = 0; is_silent < 2; is_silent++) {
        struct cluster cluster;
        start(&cluster, 1);
        cluster.is_silent = is_silent;
        for (unsigned t = 0; t < 2 * 3600; t++) {
            see(&cluster, 4);
            second(&cluster);
        }
        rounds[is_silent] = cluster.rounds;
        stop(&cluster);
    }
    assert_true(rounds[1] * 4 <= rounds[0]);
}

static void H3_networks_that_were_not_seen_lately_are_left_alone(void **state)
{
    (void)state;
    struct cluster cluster;
    start(&cluster, 1);
    second(&cluster);
    assert_int_equal(cluster.rounds, 0);
    see(&cluster, 4);
    see(&cluster, 6);
    for (unsigned t = 0; t < 3 * 3600; t++) {
        if (t % 60 == 0)
            see(&cluster, 6);
        second(&cluster);
    }
    assert_true(cluster.now_ns - cluster.probed_ns[4] > 2 * 3600 * S_NS);
    assert_true(cluster.now_ns - cluster.probed_ns[6] < 1200 * S_NS);
    assert_int_equal(probe_schedule_count(cluster.nodes[0]), 1);
    stop(&cluster);
}

static void H3_opted_out_networks_and_nobodys_are_never_probed(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool may;
    } rows[] = {
        {"192.0.2.1", true},    {"198.51.100.7", false},
        {"198.51.101.7", true}, {"127.0.0.1", false},
        {"0.1.2.3", false},     {"169.254.169.254", false},
        {"224.0.0.1", false},   {"255.255.255.255", false},
        {"2001:db8::1", true},  {"2001:db8:ff::1", false},
        {"fe80::1", false},     {"ff02::1", false},
        {"::1", false},         {"::", false},
    };
    struct network out[2];
    assert_int_equal(network_parse(span_text("198.51.100.0/24"), &out[0]), 0);
    assert_int_equal(network_parse(span_text("2001:db8:ff::/48"), &out[1]), 0);
    struct prefix_tree *tree = prefix_tree_new();
    for (int i = 0; i < 2; i++)
        prefix_tree_put(tree, &out[i], 1);
    struct probe_schedule *schedule = probe_schedule_new(&settings, 100, 1, 0);
    struct latency_table *table = latency_table_new(1000, 1);
    probe_schedule_share(schedule, 1, (uint64_t[]){1}, 1, 0);
    const struct probe_source source = {all_edges, NULL, table};
    probe_schedule_configure(schedule, &settings, tree);
    unsigned expected = 0, rounds = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct address host;
        assert_int_equal(address_parse(span_text(rows[i].address), &host), 0);
        assert_int_equal(probe_may(tree, &host), rows[i].may);
        probe_schedule_seen(schedule, &host, 1);
        expected += rows[i].may;
    }
    struct probe_order order;
    for (uint64_t t = 60; t < 70; t++)
        while (probe_schedule_next(schedule, &source, t * S_NS, &order)) {
            assert_true(probe_may(tree, &order.host));
            rounds++;
        }
    assert_int_equal(rounds, expected);
    assert_int_equal(probe_schedule_counters(schedule)->opted_out, 2);

    /* a list that grows holds for what was seen before */
    struct network rest;
    assert_int_equal(network_parse(span_text("0.0.0.0/0"), &rest), 0);
    prefix_tree_put(tree, &rest, 1);
    assert_int_equal(network_parse(span_text("::/0"), &rest), 0);
    prefix_tree_put(tree, &rest, 1);
    for (uint64_t t = 130; t < 140; t++)
        assert_false(probe_schedule_next(schedule, &source, t * S_NS, &order));
    assert_int_equal(probe_schedule_count(schedule), 0);
    probe_schedule_free(&schedule);
    latency_table_free(table);
    prefix_tree_free(tree);
}

static void H3_rounds_per_second_and_networks_are_bounded(void **state)
{
    (void)state;
    struct cluster cluster;
    start(&cluster, 1);
    for (uint32_t i = 0; i < NETWORKS; i++)
        see(&cluster, i);
    for (int t = 0; t < 120; t++)
        second(&cluster);
    /* three nodes, each with a second saved up at most */
    assert_true(cluster.most_in_a_second <= NODES * (settings.rounds_per_s * 2 + 1));
    assert_true(cluster.rounds >= NETWORKS);
    stop(&cluster);

    struct probe_schedule *schedule = probe_schedule_new(&settings, 10, 1, 0);
    for (uint32_t i = 0; i < 50; i++) { /* all within their interval: newcomers wait */
        struct address host = host_of(i, 1);
        probe_schedule_seen(schedule, &host, i);
    }
    assert_int_equal(probe_schedule_count(schedule), 10);
    assert_int_equal(probe_schedule_counters(schedule)->full, 40);
    for (uint32_t i = 50; i < 60; i++) { /* afterwards they take the place of the oldest */
        struct address host = host_of(i, 1);
        probe_schedule_seen(schedule, &host, 61 * S_NS + i);
    }
    assert_int_equal(probe_schedule_count(schedule), 10);
    assert_int_equal(probe_schedule_counters(schedule)->full, 40);
    probe_schedule_free(&schedule);
}

static void H3_a_shorter_interval_than_a_minute_is_not_to_be_had(void **state)
{
    (void)state;
    struct probe_settings greedy = settings;
    greedy.interval_ns = S_NS;
    greedy.refresh_ns = S_NS;
    struct probe_schedule *schedule = probe_schedule_new(&greedy, 10, 1, 0);
    struct latency_table *table = latency_table_new(1000, 1);
    const struct probe_source source = {all_edges, NULL, table};
    struct address host = host_of(1, 1);
    struct probe_order order;
    unsigned rounds = 0;
    probe_schedule_share(schedule, 1, (uint64_t[]){1}, 1, 0);
    for (uint64_t t = 1; t <= 600; t++) {
        probe_schedule_seen(schedule, &host, t * S_NS);
        while (probe_schedule_next(schedule, &source, t * S_NS, &order))
            rounds++;
    }
    assert_int_equal(rounds, 10);
    probe_schedule_free(&schedule);
    latency_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(H3_never_more_than_one_round_a_minute_cluster_wide),
        cmocka_unit_test(H3_all_edges_in_turn_then_only_what_has_aged),
        cmocka_unit_test(H3_silent_networks_are_asked_more_rarely),
        cmocka_unit_test(H3_networks_that_were_not_seen_lately_are_left_alone),
        cmocka_unit_test(H3_opted_out_networks_and_nobodys_are_never_probed),
        cmocka_unit_test(H3_rounds_per_second_and_networks_are_bounded),
        cmocka_unit_test(H3_a_shorter_interval_than_a_minute_is_not_to_be_had),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
