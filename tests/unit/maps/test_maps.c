/* SPDX-License-Identifier: Apache-2.0
 *
 * Stacks of maps: what a client's place is, what decided it, and what is complained of.
 */
#include "base/memory.h"
#include "base/random.h"
#include "maps/maps.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
// clang-format on

static const char *folder; /* of the databases */

static struct address address_of(const char *text)
{
    struct address address;
    assert_int_equal(address_parse(span_text(text), &address), 0);
    return address;
}

/* A word that ends in ".mmdb" is a database, all others are texts. */
static struct text read_database(const char *name)
{
    char path[1024], buffer[4096];
    struct text content = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    for (size_t got; (got = fread(buffer, 1, sizeof buffer, file));)
        text_add_span(&content, span_of(buffer, got));
    fclose(file);
    return content;
}

static bool is_database(const char *map)
{
    size_t length = strlen(map);
    return length > 5 && strcmp(map + length - 5, ".mmdb") == 0;
}

static struct maps *build(const char *const *stack, struct text *complaints)
{
    struct maps_builder *builder = maps_builder_new();
    struct text contents[MAPS_LIMIT] = {{0}};
    for (size_t i = 0; stack[i]; i++)
        if (is_database(stack[i])) {
            contents[i] = read_database(stack[i]);
            maps_builder_add(builder, text_span(&contents[i]), stack[i]);
        } else {
            maps_builder_add(builder, span_text(stack[i]), "map");
        }
    struct maps *maps = maps_builder_finish(&builder, complaints);
    for (size_t i = 0; i < MAPS_LIMIT; i++)
        text_clear(&contents[i]);
    return maps;
}

static struct maps *build_good(const char *const *stack)
{
    struct text complaints = {0};
    struct maps *maps = build(stack, &complaints);
    if (!maps)
        fail_msg("%s", complaints.data);
    assert_null(complaints.data);
    return maps;
}
#define BUILD(...) build_good((const char *const[]){__VA_ARGS__, NULL})

static const struct maps_place *place_of(const struct maps *maps, const char *client)
{
    struct address address = address_of(client);
    return maps_place(maps, maps_find(maps, &address, NULL));
}

static const char *region_of(const struct maps *maps, const char *client)
{
    return maps_region_name(maps, place_of(maps, client)->region);
}

static unsigned bits_of(const struct maps *maps, const char *client)
{
    struct address address = address_of(client);
    unsigned bits;
    maps_find(maps, &address, &bits);
    return bits;
}

/* ---- one text */

static void R1_clients_have_regions(void **state)
{
    (void)state;
    struct maps *maps = BUILD("# the world\n"
                              "192.0.2.0/24   Europe # and a remark\r\n"
                              "\n"
                              "  192.0.2.128/25\tasia\n"
                              "2001:db8::/32 asia\n"
                              "198.51.100.7 moon\n"
                              "distance europe asia 60\n"
                              "distance asia africa 7");
    assert_int_equal(maps_region_count(maps), 5);
    assert_string_equal(region_of(maps, "192.0.2.1"), "Europe");
    assert_string_equal(region_of(maps, "192.0.2.129"), "asia");
    assert_string_equal(region_of(maps, "2001:db8:7::1"), "asia");
    assert_string_equal(region_of(maps, "198.51.100.7"), "moon");
    assert_string_equal(region_of(maps, "203.0.113.1"), "(none)");
    uint32_t europe = maps_region_number(maps, SPAN("EUROPE"));
    uint32_t asia = maps_region_number(maps, SPAN("asia"));
    uint32_t africa = maps_region_number(maps, SPAN("africa"));
    assert_int_equal(maps_region_distance(maps, europe, asia), 60);
    assert_int_equal(maps_region_distance(maps, asia, europe), 60);
    assert_int_equal(maps_region_distance(maps, africa, asia), 7);
    assert_int_equal(maps_region_distance(maps, africa, europe), MAPS_FAR);
    assert_int_equal(maps_region_distance(maps, europe, europe), 0);
    assert_int_equal(maps_region_distance(maps, MAPS_NO_REGION, MAPS_NO_REGION), MAPS_FAR);
    assert_int_equal(maps_region_number(maps, SPAN("mars")), MAPS_NO_REGION);
    assert_string_equal(maps_region_nearest_name(maps, "eurpoe"), "Europe");
    maps_free(maps);
}

static void clients_of_no_network_get_the_default(void **state)
{
    (void)state;
    struct maps *maps = BUILD("192.0.2.0/24 asia\ndefault europe");
    assert_string_equal(region_of(maps, "203.0.113.1"), "europe");
    assert_string_equal(region_of(maps, "2001:db8::1"), "europe");
    assert_string_equal(region_of(maps, "192.0.2.1"), "asia");
    maps_free(maps);
}

static void no_map_knows_nothing(void **state)
{
    (void)state;
    struct text complaints = {0};
    struct maps *maps = build((const char *const[]){NULL}, &complaints);
    assert_non_null(maps);
    struct address client = address_of("192.0.2.1");
    unsigned bits = 7;
    assert_int_equal(maps_find(maps, &client, &bits), 0);
    assert_int_equal(bits, 0);
    assert_int_equal(maps_place_count(maps), 1);
    assert_int_equal(maps_place(maps, 0)->region, MAPS_NO_REGION);
    maps_free(maps);
}

/* ---- databases */

static void R1_databases_of_every_record_size_say_the_same(void **state)
{
    (void)state;
    static const char *const names[] = {"world-24.mmdb", "world-28.mmdb", "world-32.mmdb",
                                        "ipv4.mmdb"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct maps *maps = BUILD(names[i]);
        const struct maps_place *place = place_of(maps, "192.0.2.1");
        assert_memory_equal(place->continent, "EU", 2);
        assert_memory_equal(place->country, "DE", 2);
        assert_memory_equal(place->subdivision, "HE\0\0", 4);
        assert_int_equal(place->point.latitude, 501109);
        assert_int_equal(place->point.longitude, 86821);
        assert_int_equal(place->asn, 0);
        assert_int_equal(bits_of(maps, "192.0.2.1"), 25);
        assert_memory_equal(place_of(maps, "192.0.2.200")->country, "FR", 2);
        assert_int_equal(place_of(maps, "198.51.100.1")->point.longitude, -1224000);
        place = place_of(maps, "203.0.113.9"); /* only registered there */
        assert_memory_equal(place->country, "JP", 2);
        assert_false(maps_point_is_known(place->point));
        assert_int_equal(place_of(maps, "100.64.1.1")->asn, 64500);
        assert_int_equal(bits_of(maps, "100.64.1.1"), 10);
        if (i < 3) {
            assert_int_equal(place_of(maps, "2001:db8::1")->asn, 4200000000);
            assert_memory_equal(place_of(maps, "2001:db8:e001::1")->country, "SE", 2);
            assert_int_equal(bits_of(maps, "2001:db8:e001::1"), 36);
            assert_memory_equal(place_of(maps, "2a0f::1")->continent, "EU", 2);
        }
        struct address nowhere = address_of("2002:c000:201::1"); /* an alias of IPv4 */
        assert_int_equal(maps_find(maps, &nowhere, NULL), 0);
        maps_free(maps);
    }
}

/* ---- stacks */

static void later_maps_win_field_by_field(void **state)
{
    (void)state;
    struct maps *maps = BUILD("world-28.mmdb", "192.0.2.0/25 asn=AS64501 country=nl\n"
                                               "192.0.2.64/26 = asn=64502\n"
                                               "192.0.2.128/26 at=1.5,-2.25 continent=af\n"
                                               "198.51.100.0/24 =\n");
    const struct maps_place *place = place_of(maps, "192.0.2.1");
    assert_memory_equal(place->country, "NL", 2);
    assert_memory_equal(place->subdivision, "\0\0\0\0", 4); /* of Germany */
    assert_int_equal(place->asn, 64501);
    assert_int_equal(place->point.latitude, 501109);
    place = place_of(maps, "192.0.2.65");
    assert_int_equal(place->asn, 64502);
    assert_int_equal(place->country[0], 0);
    assert_false(maps_point_is_known(place->point));
    place = place_of(maps, "192.0.2.129");
    assert_memory_equal(place->country, "FR", 2);
    assert_memory_equal(place->continent, "AF", 2);
    assert_int_equal(place->point.latitude, 15000);
    assert_int_equal(place->point.longitude, -22500);
    assert_memory_equal(place_of(maps, "192.0.2.193")->continent, "EU", 2);
    struct address client = address_of("198.51.100.1");
    assert_int_equal(maps_find(maps, &client, NULL), 0);
    maps_free(maps);
}

static void R3_rules_give_regions(void **state)
{
    (void)state;
    struct maps *maps = BUILD("world-28.mmdb", "asn 64500 backbone\n"
                                               "country US-CA west\n"
                                               "country US east\n"
                                               "continent EU europe\n"
                                               "country FR france\n"
                                               "203.0.113.0/28 own\n"
                                               "default rest\n");
    assert_string_equal(region_of(maps, "100.64.0.1"), "backbone");
    assert_string_equal(region_of(maps, "198.51.100.1"), "west");
    assert_string_equal(region_of(maps, "198.51.100.129"), "east");
    assert_string_equal(region_of(maps, "192.0.2.1"), "europe");
    assert_string_equal(region_of(maps, "192.0.2.129"), "france");
    assert_string_equal(region_of(maps, "203.0.113.1"), "own");
    assert_string_equal(region_of(maps, "203.0.113.16"), "rest");
    assert_string_equal(region_of(maps, "2a01::1"), "europe");
    assert_string_equal(region_of(maps, "8.8.8.8"), "rest");
    maps_free(maps);
}

static void R6_the_nearest_region_stands_in_for_a_rule(void **state)
{
    (void)state;
    struct maps *maps = BUILD("world-28.mmdb", "region frankfurt at 50.11,8.68\n"
                                               "region oregon at 45.6,-121.2\n"
                                               "region virginia at 39.0,-77.5\n"
                                               "region mumbai at 19.07,72.88\n"
                                               "distance oregon virginia 61\n");
    assert_string_equal(region_of(maps, "192.0.2.200"), "frankfurt");
    assert_string_equal(region_of(maps, "198.51.100.1"), "oregon");
    assert_string_equal(region_of(maps, "198.51.100.129"), "virginia");
    assert_string_equal(region_of(maps, "2001:db8::1"), "mumbai");
    assert_string_equal(region_of(maps, "203.0.113.1"), "(none)"); /* no point */
    uint32_t oregon = maps_region_number(maps, SPAN("oregon"));
    uint32_t virginia = maps_region_number(maps, SPAN("virginia"));
    uint32_t frankfurt = maps_region_number(maps, SPAN("frankfurt"));
    assert_int_equal(maps_region_distance(maps, oregon, virginia), 61);
    assert_int_equal(maps_region_distance(maps, frankfurt, virginia), 65); /* 6,530 km */
    maps_free(maps);
}

static void R3_regions_lie_within_regions(void **state)
{
    (void)state;
    struct maps *maps = BUILD("192.0.2.0/24 north\n"
                              "region north within europe\n"
                              "region south within europe\n"
                              "region kansai within asia\n"
                              "distance europe asia 60\n");
    static const struct {
        const char *a, *b;
        uint32_t distance;
    } rows[] = {
        {"north", "north", 0},  {"north", "europe", 1}, {"north", "south", 2},
        {"europe", "asia", 60}, {"north", "asia", 61},  {"kansai", "south", 62},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t a = maps_region_number(maps, span_text(rows[i].a));
        uint32_t b = maps_region_number(maps, span_text(rows[i].b));
        assert_int_equal(maps_region_distance(maps, a, b), rows[i].distance);
        assert_int_equal(maps_region_distance(maps, b, a), rows[i].distance);
    }
    uint32_t north = maps_region_number(maps, SPAN("north"));
    assert_string_equal(maps_region_name(maps, maps_region_parent(maps, north)), "europe");
    assert_int_equal(maps_region_parent(maps, maps_region_parent(maps, north)), MAPS_NO_REGION);
    maps_free(maps);
}

static void great_circles_have_their_lengths(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        uint32_t km;
    } rows[] = {
        {"0,0", "0,0", 0},
        {"50.1109,8.6821", "48.8566,2.3522", 478},
        {"40.7128,-74.0060", "35.6762,139.6503", 10852},
        {"0,179.5", "0,-179.5", 111},
        {"90,0", "-90,77", 20015},
        {"0,-180", "0,180", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct maps_point a, b;
        assert_int_equal(maps_point_parse(span_text(rows[i].a), &a), 0);
        assert_int_equal(maps_point_parse(span_text(rows[i].b), &b), 0);
        assert_in_range(maps_point_km(a, b), rows[i].km ? rows[i].km - 1 : 0, rows[i].km + 1);
        assert_int_equal(maps_point_km(a, b), maps_point_km(b, a));
    }
    static const char *const wrong[] = {"",        "1",       "1,",       ",1",    "91,0",
                                        "0,180.1", "1.2.3,4", "1,2,3",    "--1,0", "1.,2",
                                        "a,b",     "1e1,2",   "90.0001,0"};
    struct maps_point point;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(maps_point_parse(span_text(wrong[i]), &point), ERROR_INVALID);
}

/* ---- the tree */

static void equal_neighbours_are_one(void **state)
{
    (void)state;
    struct text text = {0};
    for (unsigned i = 0; i < 256; i++)
        text_add_format(&text, "10.1.%u.0/24 %s\n", i, i < 128 ? "west" : "east");
    struct maps *maps = BUILD(text.data);
    assert_int_equal(maps_figures(maps).networks, 2);
    assert_int_equal(maps_figures(maps).places, 3);
    assert_int_equal(bits_of(maps, "10.1.3.4"), 17);
    assert_int_equal(bits_of(maps, "11.1.3.4"),
                     8); /* all of 11.0.0.0/8 is unknown, 10.0.0.0/7 is not */
    text_clear(&text);
    maps_free(maps);
}

/* Of random maps: what shares the bits is at the same place, what shares one less is not all (RFC 7871 section 7.2.1). */
static void R3_scopes_are_honest(void **state)
{
    (void)state;
    static const char *const regions[] = {"a", "b", "c", "="};
    struct random random;
    random_seed(&random, 4);
    for (unsigned round = 0; round < 200; round++) {
        struct text texts[3] = {{0}};
        for (unsigned map = 0; map < 3; map++)
            for (unsigned i = 0; i < 40; i++) {
                uint32_t bits = 1 + (uint32_t)random_below(&random, 12);
                uint32_t address = (uint32_t)random_u64(&random) & ~(UINT32_MAX >> bits);
                text_add_format(&texts[map], "%u.%u.0.0/%u %s\n", address >> 24,
                                address >> 16 & 255, bits, regions[random_below(&random, 4)]);
            }
        struct maps *maps = BUILD(texts[0].data, texts[1].data, texts[2].data);
        uint32_t places[4096];
        unsigned bits[4096];
        for (unsigned i = 0; i < 4096; i++) {
            struct address client = {.family = 4, .bytes = {(uint8_t)(i >> 4), (uint8_t)(i << 4)}};
            places[i] = maps_find(maps, &client, &bits[i]);
            assert_in_range(bits[i], 0, 12);
        }
        for (unsigned i = 0; i < 4096; i++) {
            unsigned size = 1u << (12 - bits[i]), first = i & ~(size - 1);
            for (unsigned k = first; k < first + size; k++)
                assert_int_equal(places[k], places[i]);
            bool is_least = bits[i] == 0;
            for (unsigned k = first & ~size; !is_least && k < (first & ~size) + 2 * size; k++)
                is_least = places[k] != places[i];
            assert_true(is_least);
        }
        maps_free(maps);
        for (unsigned map = 0; map < 3; map++)
            text_clear(&texts[map]);
    }
}

/* ---- mistakes */

static void mistakes_are_told_with_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *map, *complaint;
    } rows[] = {
        {"192.0.2.1/24 asia", "map:1: \"192.0.2.1/24\" is not a network such as 192.0.2.0/24 (the "
                              "bits behind its length zero)\n"},
        {"\n192.0.2.0/24", "map:2: the name of a region is missing\n"},
        {"192.0.2.0/24 a b", "map:1: \"b\" is too much on this line\n"},
        {"192.0.2.0/24 a!", "map:1: \"a!\" is not a name for a region: up to 63 letters, digits, - "
                            "and _\n"},
        {"192.0.2.0/24 ans=1", "map:1: \"ans\" cannot be said of a network: at, asn, continent or "
                               "country can\n"},
        {"192.0.2.0/24 asn=0", "map:1: \"0\" is not the number of an autonomous system such as "
                               "64500\n"},
        {"192.0.2.0/24 country=DEU", "map:1: \"DEU\" is not the code of a country or subdivision "
                                     "such as DE or US-CA\n"},
        {"192.0.2.0/24 at=100,1", "map:1: \"100,1\" is not a point such as 50.11,8.68 (degrees "
                                  "north and east)\n"},
        {"distance a b far", "map:1: a distance is a number up to 60000, not \"far\"\n"},
        {"distance a a 1", "map:1: the distance of a region to itself is 0\n"},
        {"default a\ndefault b", "map:2: a second default region\n"},
        {"distence a b 1", "map:1: \"distence\" is not a network such as 192.0.2.0/24 (the bits "
                           "behind its length zero); did you mean \"distance\"?\n"},
        {"region a 1,2", "map:1: where a region lies is written: region NAME at 50.11,8.68, or "
                         "within OTHER\n"},
        {"region a within b\nregion b within a", "map:2: a region cannot lie within itself, or too "
                                                 "deep\n"},
        {"continent EUR a", "map:1: \"EUR\" is not the code of a continent such as EU\n"},
        {"country DE", "map:1: the name of a region is missing\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct text complaints = {0};
        assert_null(build((const char *const[]){rows[i].map, NULL}, &complaints));
        assert_string_equal(complaints.data, rows[i].complaint);
        text_clear(&complaints);
    }
}

static void many_mistakes_are_cut_short(void **state)
{
    (void)state;
    struct text map = {0}, complaints = {0};
    for (unsigned i = 0; i < 1000; i++)
        text_add(&map, "nonsense\n");
    assert_null(build((const char *const[]){map.data, NULL}, &complaints));
    size_t lines = 0;
    for (size_t i = 0; i < complaints.length; i++)
        lines += complaints.data[i] == '\n';
    assert_int_equal(lines, 21);
    text_clear(&map);
    text_clear(&complaints);
}

static void broken_databases_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t cut_front, cut_behind;
        const char *complaint;
    } rows[] = {
        {200, 0, "broken: "}, /* offsets lead astray */
        {1500, 0, "broken: it is cut short: its tree is longer than the file\n"},
        {0, 170, "broken: the description at its end is malformed\n"},
        {0, 400, "broken: neither a whole MMDB nor a text\n"},
    };
    struct text whole = read_database("world-24.mmdb");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct text complaints = {0};
        struct maps_builder *builder = maps_builder_new();
        maps_builder_add(builder,
                         span_of(whole.data + rows[i].cut_front,
                                 whole.length - rows[i].cut_front - rows[i].cut_behind),
                         "broken");
        assert_null(maps_builder_finish(&builder, &complaints));
        if (strncmp(complaints.data, rows[i].complaint, strlen(rows[i].complaint)) != 0)
            fail_msg("row %zu: %s", i, complaints.data);
        text_clear(&complaints);
    }
    text_clear(&whole);
}

int main(int count, char **arguments)
{
    folder = count > 1 ? arguments[1] : ".";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R1_clients_have_regions),
        cmocka_unit_test(clients_of_no_network_get_the_default),
        cmocka_unit_test(no_map_knows_nothing),
        cmocka_unit_test(R1_databases_of_every_record_size_say_the_same),
        cmocka_unit_test(later_maps_win_field_by_field),
        cmocka_unit_test(R3_rules_give_regions),
        cmocka_unit_test(R6_the_nearest_region_stands_in_for_a_rule),
        cmocka_unit_test(R3_regions_lie_within_regions),
        cmocka_unit_test(great_circles_have_their_lengths),
        cmocka_unit_test(equal_neighbours_are_one),
        cmocka_unit_test(R3_scopes_are_honest),
        cmocka_unit_test(mistakes_are_told_with_their_line),
        cmocka_unit_test(many_mistakes_are_cut_short),
        cmocka_unit_test(broken_databases_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
