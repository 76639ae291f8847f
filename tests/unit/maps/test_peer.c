/* SPDX-License-Identifier: Apache-2.0
 *
 * The database as libmaxminddb reads it, beside ours: random addresses, the same data.
 */
#include "base/random.h"
#include "loop/loop.h"
#include "maps/maps.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <maxminddb.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <sys/socket.h>

static const char *folder;

static void expect_text(MMDB_entry_s *entry, const char *const *path, const uint8_t *ours,
                        size_t most)
{
    MMDB_entry_data_s data;
    uint8_t expected[4] = {0};
    if (MMDB_aget_value(entry, &data, path) == MMDB_SUCCESS && data.has_data)
        memcpy(expected, data.utf8_string, data.data_size);
    assert_memory_equal(ours, expected, most);
}

static void compare(MMDB_s *database, const struct maps *maps, const struct address *client)
{
    struct sockaddr_storage storage;
    unsigned length;
    int error;
    address_to_sockaddr(client, &storage, &length);
    MMDB_lookup_result_s found =
        MMDB_lookup_sockaddr(database, (struct sockaddr *)&storage, &error);
    assert_int_equal(error, MMDB_SUCCESS);
    uint32_t number = maps_find(maps, client, NULL);
    assert_int_equal(found.found_entry, number != 0);
    if (!number)
        return;
    const struct maps_place *place = maps_place(maps, number);
    expect_text(&found.entry, (const char *const[]){"continent", "code", NULL}, place->continent,
                2);
    expect_text(&found.entry, (const char *const[]){"subdivisions", "0", "iso_code", NULL},
                place->subdivision, 4);
    MMDB_entry_data_s data;
    bool has_country = MMDB_get_value(&found.entry, &data, "country", "iso_code", NULL) == 0;
    expect_text(&found.entry,
                (const char *const[]){has_country ? "country" : "registered_country", "iso_code",
                                      NULL},
                place->country, 2);
    if (MMDB_get_value(&found.entry, &data, "location", "latitude", NULL) == 0)
        assert_int_equal(lround(data.double_value * 10000), place->point.latitude);
    else
        assert_false(maps_point_is_known(place->point));
    if (MMDB_get_value(&found.entry, &data, "autonomous_system_number", NULL) == 0)
        assert_int_equal(data.uint32, place->asn);
}

/* Half of the addresses lie in the networks of the test's databases. */
static struct address random_client(struct random *random, bool is_ipv6)
{
    static const char *const near[] = {"192.0.2.0",  "198.51.100.0", "203.0.113.0",
                                       "100.64.0.0", "2001:db8::",   "2001:db8:e000::"};
    struct address client = {.family = is_ipv6 ? 6 : 4};
    unsigned keep = 0;
    if (random_below(random, 2)) {
        assert_int_equal(
            address_parse(
                span_text(near[is_ipv6 ? 4 + random_below(random, 2) : random_below(random, 4)]),
                &client),
            0);
        keep = is_ipv6 ? 4 : 3;
    }
    for (unsigned i = keep; i < address_bits(&client) / 8; i++)
        client.bytes[i] = (uint8_t)random_u64(random);
    if (is_ipv6 && !keep)
        client.bytes[0] = (uint8_t)(0x21 + random_below(random, 15)); /* not an alias of IPv4 */
    return client;
}

static void R1_agrees_with_libmaxminddb(void **state)
{
    (void)state;
    static const char *const names[] = {"world-24.mmdb", "world-28.mmdb", "world-32.mmdb",
                                        "ipv4.mmdb"};
    struct random random;
    random_seed(&random, 7);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        MMDB_s database;
        assert_int_equal(MMDB_open(path, MMDB_MODE_MMAP, &database), MMDB_SUCCESS);
        struct maps_builder *builder = maps_builder_new();
        maps_builder_add(builder, span_of(database.file_content, (size_t)database.file_size), path);
        struct text complaints = {0};
        struct maps *maps = maps_builder_finish(&builder, &complaints);
        assert_non_null(maps);
        for (unsigned k = 0; k < 20000; k++) {
            struct address client = random_client(&random, i < 3 && k % 2);
            compare(&database, maps, &client);
        }
        maps_free(maps);
        MMDB_close(&database);
    }
}

int main(int count, char **arguments)
{
    folder = count > 1 ? arguments[1] : ".";
    const struct CMUnitTest tests[] = {cmocka_unit_test(R1_agrees_with_libmaxminddb)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
