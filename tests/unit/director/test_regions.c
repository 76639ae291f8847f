/* SPDX-License-Identifier: Apache-2.0 */
#include "director/director.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static struct address address_of(const char *text)
{
    struct address address;
    assert_int_equal(address_parse(span_text(text), &address), 0);
    return address;
}

static const char *region_of(const struct regions *regions, const char *text)
{
    struct address address = address_of(text);
    return regions_name(regions, regions_find(regions, &address));
}

static void R1_clients_have_regions(void **state)
{
    (void)state;
    static const char map[] = "# the world\n"
                              "192.0.2.0/24   Europe # and a remark\r\n"
                              "\n"
                              "  192.0.2.128/25\tasia\n"
                              "2001:db8::/32 asia\n"
                              "198.51.100.7 moon\n"
                              "distance europe asia 60\n"
                              "distance asia africa 7";
    struct text complaints = {0};
    struct regions *regions = regions_parse(span_text(map), "map", &complaints);
    assert_non_null(regions);
    assert_int_equal(regions_count(regions), 5);
    assert_string_equal(region_of(regions, "192.0.2.1"), "Europe");
    assert_string_equal(region_of(regions, "192.0.2.129"), "asia");
    assert_string_equal(region_of(regions, "2001:db8:7::1"), "asia");
    assert_string_equal(region_of(regions, "198.51.100.7"), "moon");
    assert_string_equal(region_of(regions, "203.0.113.1"), "(none)");
    uint32_t europe = regions_number(regions, SPAN("EUROPE"));
    uint32_t asia = regions_number(regions, SPAN("asia"));
    uint32_t africa = regions_number(regions, SPAN("africa"));
    assert_int_equal(regions_distance(regions, europe, asia), 60);
    assert_int_equal(regions_distance(regions, asia, europe), 60);
    assert_int_equal(regions_distance(regions, africa, asia), 7);
    assert_int_equal(regions_distance(regions, africa, europe), REGION_FAR);
    assert_int_equal(regions_distance(regions, europe, europe), 0);
    assert_int_equal(regions_distance(regions, REGION_NONE, REGION_NONE), REGION_FAR);
    assert_int_equal(regions_number(regions, SPAN("mars")), REGION_NONE);
    assert_string_equal(regions_nearest_name(regions, "eurpoe"), "Europe");
    assert_null(complaints.data);
    regions_free(regions);
}

static void clients_of_no_network_get_the_default(void **state)
{
    (void)state;
    struct text complaints = {0};
    struct regions *regions =
        regions_parse(SPAN("default asia\n10.0.0.0/8 europe\n"), "map", &complaints);
    assert_string_equal(region_of(regions, "203.0.113.1"), "asia");
    assert_string_equal(region_of(regions, "10.0.0.1"), "europe");
    regions_free(regions);
    regions = regions_parse(SPAN(""), "map", &complaints);
    assert_int_equal(regions_count(regions), 1);
    assert_string_equal(region_of(regions, "10.0.0.1"), "(none)");
    regions_free(regions);
}

static const struct {
    const char *map, *complaints;
} wrong[] = {
    {"10.0.0.0/8 europe\n10.1.0.1/16 asia\n",
     "map:2: \"10.1.0.1/16\" is not a network such as 192.0.2.0/24 (the bits behind its length "
     "zero)\n"},
    {"distanse a b 5\n",
     "map:1: \"distanse\" is not a network such as 192.0.2.0/24 (the bits behind its length "
     "zero); did you mean \"distance\"?\n"},
    {"10.0.0.0/33 europe\n",
     "map:1: \"10.0.0.0/33\" is not a network such as 192.0.2.0/24 (the bits behind its length "
     "zero)\n"},
    {"10.0.0.0/8\n", "map:1: the name of a region is missing\n"},
    {"10.0.0.0/8 eu.rope\n",
     "map:1: \"eu.rope\" is not a name for a region: up to 63 letters, digits, - and _\n"},
    {"10.0.0.0/8 europe west\n", "map:1: \"west\" is too much on this line\n"},
    {"distance a b\n", "map:1: a distance is a number up to 60000, not \"\"\n"},
    {"distance a b 60001\n", "map:1: a distance is a number up to 60000, not \"60001\"\n"},
    {"distance a a 5\n", "map:1: the distance of a region to itself is 0\n"},
    {"distance a b 5 6\n", "map:1: \"6\" is too much on this line\n"},
    {"distance a\n", "map:1: the name of a region is missing\n"},
    {"default a\ndefault b\n", "map:2: a second default region\n"},
    {"default\n\nx\n", "map:1: the name of a region is missing\n"
                       "map:3: \"x\" is not a network such as 192.0.2.0/24 (the bits behind its "
                       "length zero)\n"},
};

static void mistakes_are_told_with_their_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct text complaints = {0};
        assert_null(regions_parse(span_text(wrong[i].map), "map", &complaints));
        assert_string_equal(complaints.data, wrong[i].complaints);
        text_clear(&complaints);
    }
}

static void a_wrong_file_fills_no_screen(void **state)
{
    (void)state;
    struct text map = {0}, complaints = {0};
    for (int i = 0; i < 1000; i++)
        text_add(&map, "{\n");
    assert_null(regions_parse(text_span(&map), "map", &complaints));
    assert_non_null(strstr(complaints.data, "map: 980 more\n"));
    text_clear(&map);
    text_clear(&complaints);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R1_clients_have_regions),
        cmocka_unit_test(clients_of_no_network_get_the_default),
        cmocka_unit_test(mistakes_are_told_with_their_line),
        cmocka_unit_test(a_wrong_file_fills_no_screen),
    };
    return cmocka_run_group_tests_name("director/regions", tests, NULL, NULL);
}
