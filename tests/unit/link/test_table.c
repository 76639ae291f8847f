/* SPDX-License-Identifier: Apache-2.0
 *
 * Which links there are: from the configuration, and after it was changed under running workers (T1).
 */
#include "base/memory.h"
#include "link/driver.h"
#include "network.h"

enum { WORKERS = 2 };

#define EDGE(more)                                                                             \
    "nodes:\n  edge: { " NETWORK_A ", addresses: [192.0.2.1], edge: { listen: [\":80\"] " more \
    "} }\n"
#define GATEWAY_B          \
    "  gate: { " NETWORK_B \
    ", addresses: [192.0.2.2], link: { listen: [\"127.0.0.1:2\"] }, gateway: {} }\n"
#define GATEWAY_C          \
    "  port: { " NETWORK_C \
    ", addresses: [192.0.2.3], link: { listen: [\"127.0.0.1:3\"] }, gateway: {} }\n"

static const char one_gateway[] = EDGE("") GATEWAY_B;
static const char two_gateways[] = EDGE("") GATEWAY_B GATEWAY_C;
static const char renamed[] =
    EDGE("") "  fence: { " NETWORK_B ", addresses: [192.0.2.7, \"2001:db8::7\"], link: { listen: "
             "[\"127.0.0.1:2\"] }, gateway: {} }\n";
static const char moved[] =
    EDGE("") "  gate: { " NETWORK_B
             ", addresses: [192.0.2.2], link: { listen: [\"127.0.0.1:9\"] }, gateway: {} }\n";
static const char other_gateway[] = EDGE("") GATEWAY_C;
static const char gateway_dials[] =
    "nodes:\n  edge: { " NETWORK_A
    ", link: { listen: [\"127.0.0.1:1\"] }, edge: { listen: [\":80\"] } }\n"
    "  gate: { " NETWORK_B ", link: { listen: [\"127.0.0.1:2\"] }, gateway: { dial: [edge] } }\n";
static const char others_gateway[] = EDGE(", gateways: [gate]") GATEWAY_B GATEWAY_C;

/* ---- the table alone */

static struct link_set *set_of(const char *text, const char *node)
{
    struct conf *conf = network_load(text, node);
    struct link_options options = {.conf = conf, .workers = WORKERS};
    struct link_set *set;
    memcpy(options.private_key, conf->self->private_key, CONF_KEY_BYTES);
    memcpy(options.public_key, conf->self->public_key, CONF_KEY_BYTES);
    assert_int_equal(link_set_new(&set, &options), 0);
    conf_free(conf); /* what is needed of it is copied */
    return set;
}

static void key_of(const char *text, uint8_t key[CONF_KEY_BYTES])
{
    assert_int_equal(base64_decode(span_text(text), key, CONF_KEY_BYTES), 0);
}

static struct address host(const char *text)
{
    struct address address;
    assert_int_equal(address_parse(span_text(text), &address), 0);
    return address;
}

static void T1_an_edge_dials_every_gateway(void **state)
{
    uint8_t key[CONF_KEY_BYTES];
    (void)state;
    struct link_set *set = set_of(two_gateways, "edge");
    assert_int_equal(link_set_count(set), 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct link *link = link_set_get(set, i);
        assert_ptr_equal(link_by_slot(set, i), link);
        assert_int_equal(link->slot, i);
        assert_in_range(link->owner, 0, WORKERS - 1);
        assert_true(link->is_dialler && link_is_to_gateway(link) && !link_is_self(link));
        assert_false(link_is_up(link));
    }
    key_of(KEY_C, key);
    struct link *link = link_to_gateway(set, key);
    assert_string_equal(link_peer_name(link), "port");
    assert_memory_equal(link_peer_key(link), key, sizeof key);
    assert_int_equal(link->dial.port, 3);
    struct address at = host("192.0.2.3"), other = host("192.0.2.2");
    assert_true(link_has_host(link, &at));
    assert_false(link_has_host(link, &other));
    assert_null(link_by_key(set, key, 0)); /* nobody dials us with it */
    assert_null(link_by_slot(set, 2));
    key_of(KEY_A, key);
    assert_null(link_to_gateway(set, key));
    link_set_free(&set);
    assert_null(set);
}

static void T1_a_gateway_is_dialled_by_its_edges(void **state)
{
    uint8_t key[CONF_KEY_BYTES];
    (void)state;
    struct link_set *set = set_of(two_gateways, "gate");
    key_of(KEY_A, key);
    assert_int_equal(link_set_count(set),
                     LANES); /* one for each process of the peer that may dial */
    struct link *link = link_by_key(set, key, 0);
    for (uint16_t i = 0; i < LANES; i++) {
        assert_int_equal(link_by_key(set, key, i)->number, i);
        assert_ptr_equal(link_by_key(set, key, i)->head, link);
        assert_int_equal(link_is_shown(link_by_key(set, key, i)), i == 0);
    }
    assert_null(link_by_key(set, key, LANES));
    assert_string_equal(link_peer_name(link), "edge");
    assert_false(link->is_dialler || link_is_to_gateway(link));
    assert_null(link_to_gateway(set, key));
    key_of(KEY_C, key);
    assert_null(link_by_key(set, key, 0)); /* a stranger to this gateway */
    link_set_free(&set);
}

static void T1_a_gateway_dials_the_edges_of_its_list(void **state)
{
    uint8_t key[CONF_KEY_BYTES];
    (void)state;
    struct link_set *set = set_of(gateway_dials, "gate");
    assert_int_equal(link_set_count(set), 1);
    assert_true(link_set_get(set, 0)->is_dialler);
    assert_int_equal(link_set_get(set, 0)->dial.port, 1);
    link_set_free(&set);
    set = set_of(gateway_dials, "edge");
    key_of(KEY_B, key);
    assert_false(link_set_get(set, 0)->is_dialler);
    assert_ptr_equal(link_by_key(set, key, 0), link_set_get(set, 0));
    assert_ptr_equal(link_to_gateway(set, key), link_set_get(set, 0)); /* whoever dials */
    link_set_free(&set);
}

static void T1_an_edge_links_to_its_own_gateways_only(void **state)
{
    (void)state;
    struct link_set *set = set_of(others_gateway, "edge");
    assert_int_equal(link_set_count(set), 1);
    assert_string_equal(link_peer_name(link_set_get(set, 0)), "gate");
    link_set_free(&set);
    set = set_of(others_gateway, "port");
    assert_int_equal(link_set_count(set), 0);
    link_set_free(&set);
}

/* ---- under workers */

struct fixture {
    struct link_set *set;
    struct worker_set *workers;
    struct link *link;
    uint8_t key_b[CONF_KEY_BYTES], key_c[CONF_KEY_BYTES];
};

static int start_worker(struct worker *worker, void *argument)
{
    return link_set_start(((struct fixture *)argument)->set, worker);
}

static void stop_worker(struct worker *worker, void *argument)
{
    link_set_stop(((struct fixture *)argument)->set, worker);
}

static void start(struct fixture *fixture, const char *text)
{
    struct worker_hooks hooks = {start_worker, stop_worker, fixture};
    *fixture = (struct fixture){.set = set_of(text, "edge")};
    key_of(KEY_B, fixture->key_b);
    key_of(KEY_C, fixture->key_c);
    assert_int_equal(workers_start(&fixture->workers, WORKERS, "test", &hooks), 0);
    fixture->link = link_to_gateway(fixture->set, fixture->key_b);
}

static void finish(struct fixture *fixture)
{
    workers_stop(&fixture->workers);
    link_set_free(&fixture->set);
}

static int reload(struct fixture *fixture, const char *text)
{
    struct conf *conf = network_load(text, "edge");
    int result = link_set_reload(fixture->set, fixture->workers, conf);
    conf_free(conf);
    return result;
}

/* Runs on no worker; the lanes of a stopped turn do not change. */
static bool has_lane(const struct link *link)
{
    return link->lane != NULL;
}

static void T1_a_link_that_is_down_opens_no_stream(void **state)
{
    struct fixture fixture;
    struct transport_open open = {.ring = 2};
    struct link_stream *stream = NULL;
    (void)state;
    start(&fixture, one_gateway);
    assert_true(has_lane(fixture.link));
    assert_int_equal(link_stream_open(fixture.link, &open, NULL, NULL, &stream), ERROR_UNREACHABLE);
    assert_null(stream);
    finish(&fixture);
}

static void T1_a_reload_that_changes_nothing_keeps_the_lane(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, one_gateway);
    struct lane *lane = fixture.link->lane;
    assert_int_equal(reload(&fixture, one_gateway), 0);
    assert_ptr_equal(fixture.link->lane, lane);
    assert_int_equal(link_set_count(fixture.set), 1);
    finish(&fixture);
}

static void T1_a_reload_renames_a_peer_and_learns_its_hosts(void **state)
{
    struct fixture fixture;
    struct address old = host("192.0.2.2"), fresh = host("2001:db8::7"),
                   dialled = host("127.0.0.1");
    (void)state;
    start(&fixture, one_gateway);
    struct lane *lane = fixture.link->lane;
    assert_true(link_has_host(fixture.link, &old));
    assert_int_equal(reload(&fixture, renamed), 0);
    assert_ptr_equal(link_to_gateway(fixture.set, fixture.key_b), fixture.link);
    assert_ptr_equal(fixture.link->lane, lane);
    assert_string_equal(link_peer_name(fixture.link), "fence");
    assert_false(link_has_host(fixture.link, &old));
    assert_true(link_has_host(fixture.link, &fresh));
    assert_true(link_has_host(fixture.link, &dialled)); /* where its link listens */
    finish(&fixture);
}

static void T1_a_reload_makes_and_closes_links(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, one_gateway);
    assert_null(link_to_gateway(fixture.set, fixture.key_c));
    assert_int_equal(reload(&fixture, two_gateways), 0);
    struct link *added = link_to_gateway(fixture.set, fixture.key_c);
    assert_int_equal(added->slot, 1);
    assert_true(has_lane(added) && has_lane(fixture.link));

    assert_int_equal(reload(&fixture, other_gateway), 0);
    assert_null(link_to_gateway(fixture.set, fixture.key_b));
    assert_false(has_lane(fixture.link));
    assert_true(has_lane(added));
    json_t *status = link_set_status(fixture.set);
    assert_int_equal(json_array_size(status), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(status, 0), "peer")),
                        "port");
    json_decref(status);

    /* Back again: with the slot that its packets name. */
    assert_int_equal(reload(&fixture, two_gateways), 0);
    assert_ptr_equal(link_to_gateway(fixture.set, fixture.key_b), fixture.link);
    assert_int_equal(fixture.link->slot, 0);
    assert_true(has_lane(fixture.link));
    assert_int_equal(link_set_count(fixture.set), 2);
    finish(&fixture);
}

static void T1_another_address_to_dial_is_another_link(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, one_gateway);
    assert_int_equal(reload(&fixture, moved), 0);
    struct link *link = link_to_gateway(fixture.set, fixture.key_b);
    assert_ptr_not_equal(link, fixture.link);
    assert_int_equal(link->slot, 1);
    assert_int_equal(link->dial.port, 9);
    assert_true(has_lane(link));
    assert_false(has_lane(fixture.link));
    finish(&fixture);
}

/* As if every slot had been given away: all but the first are the first once more. */
static void fill(struct link_set *set)
{
    for (uint32_t i = 1; i < LINKS_LIMIT; i++)
        set->links[i] = set->links[0];
    set->link_count = LINKS_LIMIT;
}

static void finish_full(struct fixture *fixture)
{
    fixture->set->link_count = 1;
    finish(fixture);
}

static void T1_a_key_that_is_taken_away_loses_its_link_even_when_there_is_no_room(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, one_gateway);
    fill(fixture.set);
    assert_int_equal(reload(&fixture, other_gateway), ERROR_LIMIT);
    assert_null(link_to_gateway(fixture.set, fixture.key_b));
    assert_false(fixture.link->is_wanted);
    assert_false(has_lane(fixture.link));
    finish_full(&fixture);
}

static void T1_links_that_are_listed_stay_when_there_is_no_room_for_another(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, other_gateway);
    struct link *stays = link_to_gateway(fixture.set, fixture.key_c);
    struct lane *lane = stays->lane;
    fill(fixture.set);
    assert_int_equal(reload(&fixture, two_gateways), ERROR_LIMIT); /* the first one finds none */
    assert_ptr_equal(link_to_gateway(fixture.set, fixture.key_c), stays);
    assert_ptr_equal(stays->lane, lane);
    assert_null(link_to_gateway(fixture.set, fixture.key_b));
    finish_full(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T1_an_edge_dials_every_gateway),
        cmocka_unit_test(T1_a_gateway_is_dialled_by_its_edges),
        cmocka_unit_test(T1_a_gateway_dials_the_edges_of_its_list),
        cmocka_unit_test(T1_an_edge_links_to_its_own_gateways_only),
        cmocka_unit_test(T1_a_link_that_is_down_opens_no_stream),
        cmocka_unit_test(T1_a_reload_that_changes_nothing_keeps_the_lane),
        cmocka_unit_test(T1_a_reload_renames_a_peer_and_learns_its_hosts),
        cmocka_unit_test(T1_a_reload_makes_and_closes_links),
        cmocka_unit_test(T1_another_address_to_dial_is_another_link),
        cmocka_unit_test(T1_a_key_that_is_taken_away_loses_its_link_even_when_there_is_no_room),
        cmocka_unit_test(T1_links_that_are_listed_stay_when_there_is_no_room_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
