/* SPDX-License-Identifier: Apache-2.0 */
#include "base/address.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static void addresses_go_both_ways(void **state)
{
    (void)state;
    const char *const good[] = {"192.0.2.1:80", "[2001:db8::1]:443", "0.0.0.0:0"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct address address;
        char text[ADDRESS_TEXT_BYTES];
        assert_int_equal(address_parse_port(span_text(good[i]), false, &address), 0);
        assert_string_equal(address_text(&address, true, text), good[i]);
    }
    const char *const bad[] = {"",
                               "192.0.2.1",
                               "192.0.2.1:65536",
                               "192.0.2.256:1",
                               "2001:db8::1:80x",
                               "[::1",
                               "[1.2.3.4]:1",
                               "a:1",
                               "1.2.3.4:",
                               "1.2.3.4:+1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct address address;
        assert_int_equal(address_parse_port(span_text(bad[i]), false, &address), ERROR_INVALID);
    }
    struct address any;
    assert_int_equal(address_parse_port(SPAN(":80"), false, &any), 0);
    assert_true(address_is_any(&any));
    assert_int_equal(address_parse(SPAN("::ffff:0.0.0.0"), &any), 0);
    assert_true(address_is_any(&any)); /* a connection to it leads to this very machine */
    assert_int_equal(address_parse_port(SPAN("80"), true, &any), 0);
    assert_int_equal(any.port, 80);
}

static void networks_have_no_host_bits(void **state)
{
    (void)state;
    struct network network;
    struct address address;
    assert_int_equal(network_parse(SPAN("10.0.0.0/33"), &network), ERROR_INVALID);
    assert_int_equal(network_parse(SPAN("10.0.0.1/8"), &network), ERROR_INVALID);
    assert_int_equal(network_parse(SPAN("2001:db8::/31"), &network), 0);
    assert_int_equal(address_parse(SPAN("2001:db9::7"), &address), 0);
    assert_true(network_has(&network, &address));
    assert_int_equal(address_parse(SPAN("2001:dba::7"), &address), 0);
    assert_false(network_has(&network, &address));
}

static void kinds_of_addresses_are_known(void **state)
{
    (void)state;
    struct address address;
    assert_int_equal(address_parse(SPAN("::ffff:127.0.0.1"), &address), 0);
    assert_true(address_is_loopback(&address));
    assert_int_equal(address_parse(SPAN("169.254.169.254"), &address), 0);
    assert_true(address_is_link_local(&address));
    assert_int_equal(address_parse(SPAN("fe80::1"), &address), 0);
    assert_true(address_is_link_local(&address));
    assert_int_equal(address_parse(SPAN("8.8.8.8"), &address), 0);
    assert_false(address_is_link_local(&address) || address_is_loopback(&address));
}

static void a_socket_of_this_machine_has_an_address(void **state)
{
    char text[ADDRESS_TEXT_BYTES];
    struct address one = address_of_path(SPAN("/run/app.sock"));
    struct address same = address_of_path(SPAN("/run/app.sock"));
    struct address other = address_of_path(SPAN("/run/app2.sock"));
    (void)state;
    assert_true(address_equal(&one, &same));
    assert_false(address_equal(&one, &other));
    assert_false(address_is_any(&one) || address_is_loopback(&one) || address_is_link_local(&one));
    assert_int_equal(strncmp(address_text(&one, true, text), "unix:", 5), 0);
    assert_int_equal(strlen(text), 5 + 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_of_this_machine_has_an_address),
        cmocka_unit_test(addresses_go_both_ways),
        cmocka_unit_test(networks_have_no_host_bits),
        cmocka_unit_test(kinds_of_addresses_are_known),
    };
    return cmocka_run_group_tests_name("base/address", tests, NULL, NULL);
}
