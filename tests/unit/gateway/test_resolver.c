/* SPDX-License-Identifier: Apache-2.0
 *
 * Origins given by name: what the system's resolver says reaches every worker's pools and the map of farms, and a name that is not known yet is
 * no origin. Real workers; the only name is localhost.
 */
#include "base/memory.h"
#include "fake_link.h"
#include "gateway/owner/owner.h"
#include "network.h"

#include <unistd.h>

enum { WORKERS = 2 };

static const char by_name[] =
    "nodes:\n"
    "  edge: { " NETWORK_A ", edge: { listen: [\":80\"] } }\n"
    "  gate: { " NETWORK_B ", link: { listen: [\"127.0.0.1:2\"] },\n"
    "    gateway: { allow_local: true, allow: [{ edges: [edge], sites: [shop] }] } }\n"
    "sites:\n  shop: { hosts: [www.shop.example], origins: [\"http://localhost:8080\"] }\n";
static const char by_number[] =
    "nodes:\n"
    "  edge: { " NETWORK_A ", edge: { listen: [\":80\"] } }\n"
    "  gate: { " NETWORK_B ", link: { listen: [\"127.0.0.1:2\"] },\n"
    "    gateway: { allow_local: true, allow: [{ edges: [edge], sites: [shop] }] } }\n"
    "sites:\n  shop: { hosts: [www.shop.example], origins: [\"http://127.0.0.1:9\"] }\n";

struct fixture {
    struct conf *conf;
    struct gateway *gateway;
    struct worker_set *workers;
    _Atomic uint32_t knowing; /* workers that can pick an origin for the site */
    struct address picked[WORKERS];
};

static int start_worker(struct worker *worker, void *argument)
{
    return gateway_start(((struct fixture *)argument)->gateway, worker);
}

static void stop_worker(struct worker *worker, void *argument)
{
    gateway_stop(((struct fixture *)argument)->gateway, worker);
}

static void reload_worker(struct worker *worker, void *argument)
{
    gateway_reload(((struct fixture *)argument)->gateway, worker);
}

static void try_to_pick(struct worker *worker, void *argument)
{
    struct fixture *fixture = argument;
    struct gateway_worker *own = &fixture->gateway->workers[worker_id(worker)];
    const struct gateway_map *map = gateway_map_read(fixture->gateway);
    const struct gateway_part *part = gateway_map_find(map, gateway_part_key("shop", NULL, 0));
    struct address addresses[RESOLVED_ADDRESSES];
    const struct conf_site *site = conf_find_site(gateway_conf(own), SPAN("shop"));
    if (!part || part->farm == GATEWAY_NO_FARM ||
        !gateway_pool_addresses(own, &site->origins[0], 0, addresses))
        return;
    fixture->picked[worker_id(worker)] = map->farms[part->farm].servers[0].address;
    fixture->knowing++;
}

/* Until all workers know an origin. */
static bool all_know(struct fixture *fixture)
{
    uint64_t until_ns = clock_now_ns() + 20000000000ull;
    do {
        fixture->knowing = 0;
        workers_run_on_all(fixture->workers, try_to_pick, fixture);
        if (fixture->knowing == WORKERS)
            return true;
        usleep(1000);
    } while (clock_now_ns() < until_ns);
    return false;
}

static void start(struct fixture *fixture, const char *text)
{
    struct worker_hooks hooks = {start_worker, stop_worker, fixture};
    *fixture = (struct fixture){.conf = network_load(text, "gate")};
    struct gateway_options options = {.conf = {network_current, &fixture->conf},
                                      .workers = WORKERS};
    fixture->gateway = gateway_new(&options);
    assert_int_equal(workers_start(&fixture->workers, WORKERS, "test", &hooks), 0);
}

static void finish(struct fixture *fixture)
{
    workers_stop(&fixture->workers);
    gateway_free(&fixture->gateway);
    conf_free(fixture->conf);
}

static void a_name_is_resolved_for_every_worker(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, by_name);
    assert_true(all_know(&fixture));
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_true(address_is_loopback(&fixture.picked[i]));
        assert_int_equal(fixture.picked[i].port, 8080); /* the origin's, not the resolver's */
    }
    finish(&fixture);
}

static void a_reload_has_new_names_resolved_at_once(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, by_number);
    assert_true(all_know(&fixture));
    assert_int_equal(fixture.picked[0].port, 9);
    struct conf *old = fixture.conf;
    fixture.conf = network_load(by_name, "gate");
    workers_run_on_all(fixture.workers, reload_worker, &fixture);
    conf_free(old);
    assert_true(all_know(&fixture)); /* long before the half minute is over */
    assert_int_equal(fixture.picked[0].port, 8080);
    finish(&fixture);
}

/* What the thread learns while workers stop goes nowhere, and is freed: a sanitizer build says so. */
static void it_may_be_stopped_at_any_time(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct fixture fixture;
        start(&fixture, by_name);
        finish(&fixture);
    }
}

static void names_are_found_by_their_text(void **state)
{
    (void)state;
    struct resolved_name names[] = {{.host = (char[]){"a.example"}, .count = 1},
                                    {.host = (char[]){"b.example"}}};
    assert_ptr_equal(gateway_names_find(names, 2, "b.example"), &names[1]);
    assert_ptr_equal(gateway_names_find(names, 2, "a.example"), &names[0]);
    assert_null(gateway_names_find(names, 2, "a.exampl"));
    assert_null(gateway_names_find(NULL, 0, "a.example"));
}

/* `out` from texts of one letter each: the last byte of an address. */
static size_t spell(const char *letters, struct address *out)
{
    for (size_t i = 0; letters[i]; i++)
        out[i] = (struct address){.bytes = {192, 0, 2, (uint8_t)letters[i]}, .family = 4};
    return strlen(letters);
}

/* Resolvers turn the answers of a name with several addresses, and of one with very many they tell others each time. */
static void L9_addresses_that_are_found_again_keep_their_places(void **state)
{
    static const struct {
        const char *before, *found, *after;
    } rows[] = {
        {NULL, "cab", "cab"},
        {"cab", "abc", "cab"},
        {"cab", "ba", "ab"},
        {"cab", "dbac", "cabd"},
        {"cab", "xyz", "xyz"},
        {"cab", "bbaa", "ab"},
        {NULL, "abcdefghijkl", "abcdefgh"},
        {"abcdefgh", "lkjihgfedcba", "abcdefgh"},
        {"abcdefgh", "lkjihgfecba", "abcefghl"},
        {"", "ab", "ab"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct resolved_name before = {0}, name = {0};
        struct address found[16], after[16];
        if (rows[i].before)
            before.count = spell(rows[i].before, before.addresses);
        gateway_name_follow(&name, rows[i].before ? &before : NULL, found,
                            spell(rows[i].found, found));
        assert_int_equal(name.count, spell(rows[i].after, after));
        for (size_t k = 0; k < name.count; k++)
            assert_true(address_equal(&name.addresses[k], &after[k]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_resolved_for_every_worker),
        cmocka_unit_test(a_reload_has_new_names_resolved_at_once),
        cmocka_unit_test(it_may_be_stopped_at_any_time),
        cmocka_unit_test(names_are_found_by_their_text),
        cmocka_unit_test(L9_addresses_that_are_found_again_keep_their_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
