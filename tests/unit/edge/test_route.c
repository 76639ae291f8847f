/* SPDX-License-Identifier: Apache-2.0
 *
 * Which channel a request takes (L1), and whether this edge serves a site at all. How shares follow from facts is tests/unit/route.
 */
#include "stage.h"

static struct link *pick(struct stage *stage, const char *site, struct link *const *tried,
                         size_t count)
{
    const struct conf_site *of = conf_find_site(stage->conf, span_text(site));
    const struct edge_channel *picked =
        edge_channels_pick(stage->worker, stage->conf, of, 2, tried, count);
    const struct edge_channel *best =
        edge_channels_best(stage->worker, stage->conf, of, 2, tried, count);
    assert_ptr_equal(picked, best); /* they are so far from each other that one has all */
    return picked ? picked->link : NULL;
}

static void L1_the_shortest_round_trip_wins(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    struct link *links = stage.links.links;
    assert_ptr_equal(pick(&stage, "shop", NULL, 0), &links[STAGE_NEAR]);
    assert_ptr_equal(edge_route_pick(stage.worker, stage.conf,
                                     conf_find_site(stage.conf, SPAN("shop")), 2),
                     &links[STAGE_NEAR]);
    stage_stop(&stage);
    stage_start(&stage);
    links[STAGE_NEAR].srtt_us = 500000;
    links[STAGE_FURTHEST].srtt_us = 500000;
    assert_ptr_equal(pick(&stage, "shop", NULL, 0), &links[STAGE_FAR]);
    stage_stop(&stage);
}

static void L1_links_that_are_down_or_tried_are_passed_over(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    struct link *links = stage.links.links;
    struct link *tried[] = {&links[STAGE_NEAR], &links[STAGE_FAR], &links[STAGE_FURTHEST]};
    assert_ptr_equal(pick(&stage, "shop", tried, 1), &links[STAGE_FAR]);
    assert_ptr_equal(pick(&stage, "shop", tried, 2), &links[STAGE_FURTHEST]);
    assert_null(pick(&stage, "shop", tried, 3));
    links[STAGE_NEAR].is_up = false;
    assert_ptr_equal(pick(&stage, "shop", NULL, 0), &links[STAGE_FAR]);
    links[STAGE_FAR].is_up = links[STAGE_FURTHEST].is_up = false;
    assert_null(pick(&stage, "shop", NULL, 0));
    stage_stop(&stage);
}

static void L1_only_gateways_of_the_site_are_used(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    struct link *links = stage.links.links;
    links[STAGE_NEAR].srtt_us = 100000;
    assert_ptr_equal(pick(&stage, "single", NULL, 0), &links[STAGE_NEAR]);
    links[STAGE_NEAR].is_up = false;
    assert_null(pick(&stage, "single", NULL, 0));
    stage_stop(&stage);
}

static void L2_channels_follow_the_configuration(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    struct link *links = stage.links.links;
    assert_ptr_equal(pick(&stage, "shop", NULL, 0), &links[STAGE_NEAR]);
    assert_ptr_equal(pick(&stage, "single", NULL, 0), &links[STAGE_NEAR]);
    struct conf *old = stage.conf;
    stage.conf = network_load(stage_network, "edge");
    edge_channels_follow(stage.worker->channels);
    assert_ptr_equal(pick(&stage, "shop", NULL, 0), &links[STAGE_NEAR]);
    assert_true(
        edge_route_exists(stage.worker, stage.conf, conf_find_site(stage.conf, SPAN("single"))));
    links[STAGE_NEAR].is_up = false;
    assert_false(
        edge_route_exists(stage.worker, stage.conf, conf_find_site(stage.conf, SPAN("single"))));
    conf_free(old);
    stage_stop(&stage);
}

/* A link that was never measured is no better than one that was, but better than none. */
static void L1_an_unmeasured_link_is_usable(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    stage.links.links[STAGE_NEAR].srtt_us = UINT32_MAX;
    stage.links.links[STAGE_FAR].is_up = stage.links.links[STAGE_FURTHEST].is_up = false;
    assert_ptr_equal(pick(&stage, "shop", NULL, 0), &stage.links.links[STAGE_NEAR]);
    stage_stop(&stage);
}

static void a_site_may_be_of_other_edges(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    assert_true(edge_route_serves(stage.conf, conf_find_site(stage.conf, SPAN("shop"))));
    assert_false(edge_route_serves(stage.conf, conf_find_site(stage.conf, SPAN("elsewhere"))));
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L1_the_shortest_round_trip_wins),
        cmocka_unit_test(L1_links_that_are_down_or_tried_are_passed_over),
        cmocka_unit_test(L1_only_gateways_of_the_site_are_used),
        cmocka_unit_test(L2_channels_follow_the_configuration),
        cmocka_unit_test(L1_an_unmeasured_link_is_usable),
        cmocka_unit_test(a_site_may_be_of_other_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
