/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration becomes what requests are answered by; facts find their servers and borders.
 */
#include "redirect/private.h"
#include "tests/unit/conf/canned.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { MS = 1000 };

/* The worked example of test_exits.c, its servers and borders spread over nodes of several roles. */
static const char network[] =
    "nodes:\n"
    "  sj-1: { public_key: " KEY_A ", private_key: a.key, agent: {} }\n"
    "  ny: { public_key: " KEY_B ", private_key: b.key, edge: { listen: [\":80\"] },"
    " gateway: { allow: [{ edges: [ny], sites: [pages] }] } }\n"
    "  ny-1: { public_key: " KEY_C ", private_key: c.key, agent: {} }\n"
    "  fe: { director: { listen: [\":81\"], contact: ny } }\n"
    "borders:\n"
    "  ny: { node: ny, internal: [\"la 35ms\"], pings: [\"192.0.2.0/24 200ms\"] }\n"
    "  la: { internal: [\"sj 5ms\"], pings: [\"192.0.2.0/24 215ms\"] }\n"
    "  sj: { internal: [\"ny 38ms\"], pings: [\"192.0.2.0/24 225ms\"] }\n"
    "sites:\n"
    "  pages: { hosts: [pages.example], origins: [\"http://192.0.2.9\"] }\n"
    "  shop:\n"
    "    hosts: [shop.example]\n"
    "    redirect: { secure: true }\n"
    "    servers:\n"
    "      - { name: ny-1, node: ny-1, place: ny, exits: [\"la b.example\", \"ny a.example\"] }\n"
    "      - { name: sj-1, node: sj-1, place: sj, exits: [\"la d.example\", \"sj c.example:8443\"] "
    "}\n";

enum { SERVER_NY, SERVER_SJ };
enum { BORDER_NY, BORDER_LA, BORDER_SJ };

static struct redirect_data *make_data(void)
{
    static const struct canned_file files[] = {{0}};
    struct conf_reader reader = canned_reader(files);
    struct text errors = {0}, why = {0};
    struct redirect_data *data;
    struct conf *conf = conf_load("net.yaml", span_text(network), "fe", &reader, &errors);
    if (!conf)
        fail_msg("%s", errors.data);
    const struct redirect_options options = {.conf = conf, .seed = 1, .workers = 2};
    assert_int_equal(redirect_data_new(&data, &options, &why), 0);
    conf_free(conf); /* nothing of it is needed any more */
    text_clear(&errors);
    return data;
}

static void assert_head(struct span head, const char *expected)
{
    assert_int_equal(head.length, strlen(expected));
    assert_memory_equal(head.data, expected, head.length);
}

static void H7_heads_encode_server_and_exit(void **state)
{
    (void)state;
    struct redirect_data *data = make_data();
    const struct redirect_heads *heads = data->heads;
    assert_head(heads[SERVER_NY * 3 + BORDER_NY].found,
                "HTTP/1.1 302 Found\r\nLocation: https://a.example");
    assert_head(heads[SERVER_NY * 3 + BORDER_LA].temporary,
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: https://b.example");
    assert_int_equal(heads[SERVER_NY * 3 + BORDER_SJ].found.length, 0);
    assert_head(heads[SERVER_SJ * 3 + BORDER_SJ].found,
                "HTTP/1.1 302 Found\r\nLocation: https://c.example:8443");
    redirect_data_release(data);
}

static void choose(struct redirect_data *data, const struct redirect_facts *facts,
                   uint32_t shares[2], uint32_t borders[2])
{
    struct redirect_view *view = redirect_view_new(data, facts, NULL);
    struct random random;
    struct address client;
    struct exits_choice choice;
    uint32_t site = redirect_hosts_find(&data->hosts, SPAN("shop.example"));
    random_seed(&random, 3);
    assert_int_equal(address_parse(SPAN("192.0.2.77"), &client), 0);
    shares[0] = shares[1] = 0;
    for (int i = 0; i < 1000; i++) {
        assert_true(exits_table_choose(view->table, site, &client, &random, &choice));
        shares[choice.server]++;
        borders[choice.server] = choice.border;
    }
    redirect_view_release(view);
}

static void H5_distances_are_said_at_either_end(void **state)
{
    (void)state;
    struct redirect_data *data = make_data();
    struct redirect_view *view = redirect_view_new(data, NULL, NULL);
    const struct exits_way *ways;
    struct address client;
    assert_int_equal(address_parse(SPAN("192.0.2.77"), &client), 0);
    assert_int_equal(exits_table_ways(view->table, &client, &ways), 2);
    assert_int_equal(ways[0].metric_us, 300 * MS);
    assert_int_equal(ways[1].metric_us, 305 * MS);
    assert_int_equal(ways[1].border, BORDER_LA);
    uint32_t chances[EXITS_PLACES_LIMIT];
    uint32_t site = redirect_hosts_find(&data->hosts, SPAN("shop.example"));
    assert_true(exits_table_chances(view->table, site, &client, chances));
    assert_int_equal(chances[0] + chances[1], 1000);
    assert_true(chances[0] && chances[1]);
    assert_false(exits_table_chances(view->table, UINT32_MAX, &client, chances));
    redirect_view_release(view);
    redirect_data_release(data);
}

static void H2_facts_find_their_servers(void **state)
{
    (void)state;
    struct redirect_data *data = make_data();
    uint32_t shares[2], borders[2];
    /* servers in the order of nodes: sj-1, ny-1 */
    struct director_node_facts servers[2] = {{.load.load = 750}, {.load.load = 0}},
                               edges[1] = {{.load.load = LOAD_FULL}};
    struct redirect_facts facts = {"", edges, servers, 1, 2, NULL, 1};
    choose(data, &facts, shares, borders);
    assert_in_range(shares[SERVER_SJ], 150, 250);
    servers[1].state = DIRECTOR_DEAD;
    choose(data, &facts, shares, borders);
    assert_int_equal(shares[SERVER_SJ], 1000);
    assert_int_equal(borders[SERVER_SJ], BORDER_LA);
    redirect_data_release(data);
}

static void H3_facts_find_their_borders(void **state)
{
    (void)state;
    struct redirect_data *data = make_data();
    uint32_t shares[2], borders[2];
    struct latency_table *latencies = latency_table_new(100, 1);
    struct address client;
    assert_int_equal(address_parse(SPAN("192.0.2.1"), &client), 0);
    struct redirect_facts facts = {"", NULL, NULL, 1, 2, latencies, 2};
    latency_table_put(latencies, &client, 0, LATENCY_PASSIVE, 60 * MS, 4, false, 1);
    choose(data, &facts, shares, borders);
    assert_int_equal(shares[SERVER_NY], 1000);
    latency_table_put(latencies, &client, 0, LATENCY_PASSIVE, 0, 1, true, 1);
    choose(data, &facts, shares, borders);
    assert_int_equal(shares[SERVER_SJ], 1000);
    latency_table_free(latencies);
    redirect_data_release(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(H7_heads_encode_server_and_exit),
        cmocka_unit_test(H5_distances_are_said_at_either_end),
        cmocka_unit_test(H2_facts_find_their_servers),
        cmocka_unit_test(H3_facts_find_their_borders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
