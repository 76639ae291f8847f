/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts of each site, of several workers together.
 */
#include "base/memory.h"
#include "edge/private.h"

#include <stdio.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static const uint64_t second = 1000000000, ms = 1000000;

static void count(struct edge_sites *sites, const char *name, uint64_t now_ns, unsigned status)
{
    const struct edge_site_request request = {.status = status,
                                              .bytes = 100,
                                              .total_ns = 20 * ms,
                                              .was_looked_up = status == 200,
                                              .was_held = status == 200};
    edge_sites_count(sites, name, now_ns, &request);
}

static json_t *find(json_t *all, const char *name)
{
    size_t index;
    json_t *site;
    json_array_foreach(all, index,
                       site) if (strcmp(json_string_value(json_object_get(site, "name")), name) ==
                                 0) return site;
    return NULL;
}

static void sites_of_all_workers_are_added_up(void **state)
{
    (void)state;
    struct edge_sites *list[] = {edge_sites_new(), edge_sites_new()};
    uint64_t now_ns = 100 * second;
    for (int i = 0; i < 10; i++) {
        count(list[0], "shop", now_ns, 200);
        count(list[1], "shop", now_ns, i == 0 ? 502 : 404);
    }
    count(list[1], "blog", now_ns, 0);
    json_t *all = edge_sites_status(list, 2, now_ns + 10 * second);
    assert_int_equal(json_array_size(all), 2);
    json_t *shop = find(all, "shop"), *blog = find(all, "blog");
    assert_int_equal(json_integer_value(json_object_get(shop, "requests")), 20);
    assert_int_equal(json_integer_value(json_object_get(shop, "errors")), 1);
    assert_int_equal(json_integer_value(json_object_get(shop, "hits")), 10);
    assert_int_equal(json_integer_value(json_object_get(shop, "bytes_out")), 2000);
    assert_true(json_real_value(json_object_get(shop, "requests_per_s")) > 1.9);
    assert_true(json_real_value(json_object_get(shop, "p99_ms")) > 18);
    assert_int_equal(json_integer_value(json_object_get(blog, "errors")), 1);
    json_decref(all);
    for (int i = 0; i < 2; i++)
        edge_sites_free(&list[i]);
}

static void look_up(struct edge_sites *sites, int count, bool was_held)
{
    const struct edge_site_request request = {.status = 200,
                                              .was_looked_up = true,
                                              .was_held = was_held};
    for (int i = 0; i < count; i++)
        edge_sites_count(sites, "shop", 100 * second, &request);
}

static void R6_what_is_held_follows_the_look_ups_of_late(void **state)
{
    (void)state;
    struct edge_sites *list[] = {edge_sites_new(), edge_sites_new()};
    assert_int_equal(edge_sites_held(list, 2, "shop"), 0);
    look_up(list[0], 4, true);
    assert_int_equal(edge_sites_held(list, 2, "shop"), 200); /* few look-ups say little */
    look_up(list[0], 480, true);
    look_up(list[1], 500, false);
    assert_int_equal(edge_sites_held(list, 2, "shop"), 484);
    look_up(list[0], 100000, true);
    look_up(list[1], 100000, false);
    assert_in_range(edge_sites_held(list, 2, "shop"), 350, 650);
    look_up(list[1], 100000, true);
    assert_true(edge_sites_held(list, 2, "shop") > 990);
    assert_int_equal(edge_sites_held(list, 2, "blog"), 0);
    for (int i = 0; i < 2; i++)
        edge_sites_free(&list[i]);
}

static void more_sites_than_are_shown_cost_nothing(void **state)
{
    (void)state;
    struct edge_sites *list[] = {edge_sites_new()};
    char name[32];
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "site%d", i);
        count(list[0], name, second, 200);
    }
    json_t *all = edge_sites_status(list, 1, 2 * second);
    assert_int_equal(json_array_size(all), 256);
    json_decref(all);
    edge_sites_free(&list[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sites_of_all_workers_are_added_up),
        cmocka_unit_test(R6_what_is_held_follows_the_look_ups_of_late),
        cmocka_unit_test(more_sites_than_are_shown_cost_nothing),
    };
    return cmocka_run_group_tests_name("edge/sites", tests, NULL, NULL);
}
