/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/private.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static struct network proxies[3];
static const struct conf_networks trusted = {proxies, 3};

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(network_parse(SPAN("10.0.0.0/8"), &proxies[0]), 0);
    assert_int_equal(network_parse(SPAN("2001:db8:f::/48"), &proxies[1]), 0);
    assert_int_equal(network_parse(SPAN("127.0.0.1/32"), &proxies[2]), 0);
    return 0;
}

static void H1_the_nearest_that_is_no_trusted_proxy(void **state)
{
    (void)state;
    static const struct {
        const char *peer, *forwarded, *x_forwarded_for, *client;
    } rows[] = {
        {"192.0.2.1", NULL, NULL, "192.0.2.1"},
        {"192.0.2.1", "for=198.51.100.7", "198.51.100.7", "192.0.2.1"}, /* a stranger's word */
        {"10.0.0.1", NULL, NULL, "10.0.0.1"},
        {"10.0.0.1", NULL, "198.51.100.7", "198.51.100.7"},
        {"10.0.0.1", "for=198.51.100.7", "203.0.113.1", "198.51.100.7"},
        {"10.0.0.1", "For=\"198.51.100.7:4711\";proto=http", NULL, "198.51.100.7"},
        {"10.0.0.1", "proto=https; for=\"[2001:db8::9]:80\"", NULL, "2001:db8::9"},
        {"10.0.0.1", "for=\"[2001:db8::9]\"", NULL, "2001:db8::9"},
        /* what the client itself wrote stands in front and is not reached */
        {"10.0.0.1", NULL, "203.0.113.1, 198.51.100.7", "198.51.100.7"},
        {"10.0.0.1", NULL, "198.51.100.7, 10.2.3.4, 2001:db8:f::1", "198.51.100.7"},
        {"2001:db8:f::1", "for=198.51.100.7, for=10.0.0.9", NULL, "198.51.100.7"},
        {"10.0.0.1", NULL, "198.51.100.7, ::ffff:10.2.3.4", "198.51.100.7"},
        /* what cannot be read ends the search */
        {"10.0.0.1", "for=198.51.100.7, for=unknown", NULL, "10.0.0.1"},
        {"10.0.0.1", "for=198.51.100.7, for=_hidden, for=10.0.0.9", NULL, "10.0.0.9"},
        {"10.0.0.1", "for=198.51.100.7, proto=http", NULL, "10.0.0.1"},
        {"10.0.0.1", NULL, ":80", "10.0.0.1"},
        {"10.0.0.1", NULL, "0.0.0.0", "10.0.0.1"},
        {"10.0.0.1", NULL, "198.51.100.7, ::ffff:0.0.0.0", "10.0.0.1"},
        {"10.0.0.1", "", NULL, "10.0.0.1"},
        {"10.0.0.1", NULL, "10.0.0.2, 10.0.0.3", "10.0.0.2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena arena = {0};
        struct http_fields fields = {.arena = &arena};
        struct address peer;
        char text[ADDRESS_TEXT_BYTES];
        assert_int_equal(address_parse(span_text(rows[i].peer), &peer), 0);
        if (rows[i].forwarded)
            assert_int_equal(
                http_fields_add(&fields, HTTP_NAME_FORWARDED, span_text(rows[i].forwarded)), 0);
        if (rows[i].x_forwarded_for)
            assert_int_equal(http_fields_add(&fields, HTTP_NAME_X_FORWARDED_FOR,
                                             span_text(rows[i].x_forwarded_for)),
                             0);
        struct address client = redirect_client_address(&trusted, &fields, &peer);
        assert_string_equal(address_text(&client, false, text), rows[i].client);
        arena_clear(&arena);
    }
}

static void more_hops_than_are_looked_at(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct http_fields fields = {.arena = &arena};
    struct address peer;
    char text[ADDRESS_TEXT_BYTES];
    assert_int_equal(address_parse(SPAN("10.0.0.1"), &peer), 0);
    assert_int_equal(http_fields_add(&fields, HTTP_NAME_X_FORWARDED_FOR, SPAN("198.51.100.7")), 0);
    for (int i = 0; i < REDIRECT_FORWARDED_LIMIT; i++)
        assert_int_equal(http_fields_add(&fields, HTTP_NAME_X_FORWARDED_FOR, SPAN("10.9.9.9")), 0);
    struct address client = redirect_client_address(&trusted, &fields, &peer);
    assert_string_equal(address_text(&client, false, text), "10.9.9.9");
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(H1_the_nearest_that_is_no_trusted_proxy),
        cmocka_unit_test(more_hops_than_are_looked_at),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
