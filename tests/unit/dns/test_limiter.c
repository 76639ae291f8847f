/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/limiter.h"

#include <stdio.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define SECOND_NS 1000000000ull

static struct dns_limiter *make(uint32_t rate, uint32_t slip)
{
    static struct network exempt;
    assert_int_equal(network_parse(SPAN("192.0.2.128/25"), &exempt), 0);
    const struct dns_limiter_options options = {.seed = 1,
                                                .rate = rate,
                                                .slip = slip,
                                                .window_s = 5,
                                                .ipv4_bits = 24,
                                                .ipv6_bits = 56,
                                                .exempt = &exempt,
                                                .exempt_count = 1};
    return dns_limiter_new(&options);
}

static struct address client_of(const char *text)
{
    struct address client;
    assert_int_equal(address_parse(span_text(text), &client), 0);
    return client;
}

/* How `count` answers fare that are spread evenly over a time. */
struct tally {
    unsigned of[DNS_LIMITS];
};

static struct tally ask(struct dns_limiter *limiter, const char *client, const char *name,
                        unsigned count, uint64_t from_ns, uint64_t length_ns)
{
    struct address address = client_of(client);
    struct tally tally = {0};
    for (unsigned i = 0; i < count; i++)
        tally.of[dns_limiter_take(limiter, &address, DNS_KIND_DATA, span_text(name),
                                  from_ns + length_ns * i / count)]++;
    return tally;
}

static void within_the_rate_nothing_is_withheld(void **state)
{
    (void)state;
    struct dns_limiter *limiter = make(100, 2);
    struct tally tally = ask(limiter, "192.0.2.1", "a", 1000, SECOND_NS, 10 * SECOND_NS);
    assert_int_equal(tally.of[DNS_LIMIT_NONE], 1000);
    /* a second's worth at once */
    tally = ask(limiter, "192.0.2.1", "b", 101, SECOND_NS, 0);
    assert_int_equal(tally.of[DNS_LIMIT_NONE], 100);
    dns_limiter_free(limiter);
}

static void a_flood_is_withheld_until_it_ends(void **state)
{
    (void)state;
    struct dns_limiter *limiter = make(100, 2);
    struct tally tally = ask(limiter, "192.0.2.1", "a", 10000, SECOND_NS, 10 * SECOND_NS);
    assert_in_range(tally.of[DNS_LIMIT_NONE], 100,
                    120); /* the first burst, and what it earned meanwhile */
    assert_in_range(tally.of[DNS_LIMIT_SLIPPED], 4930, 4960); /* every second one */
    assert_int_equal(tally.of[DNS_LIMIT_DROPPED] - tally.of[DNS_LIMIT_SLIPPED] < 2, 1);
    /* four seconds later the debt has come down to one second; it is paid after a fifth */
    tally = ask(limiter, "192.0.2.1", "a", 1, 11 * SECOND_NS + 3900 * 1000000ull, 0);
    assert_int_equal(tally.of[DNS_LIMIT_NONE], 0);
    tally = ask(limiter, "192.0.2.1", "a", 1, 11 * SECOND_NS + 4100 * 1000000ull, 0);
    assert_int_equal(tally.of[DNS_LIMIT_NONE], 1);
    dns_limiter_free(limiter);
}

static void a_network_is_one_and_others_are_not_touched(void **state)
{
    (void)state;
    struct dns_limiter *limiter = make(100, 0);
    static const struct {
        const char *client, *name;
        bool is_same;
    } rows[] = {
        {"192.0.2.99", "a", true},         {"192.0.3.1", "a", false},
        {"192.0.2.1", "b", false},         {"2001:db8:0:ff::1", "a", true},
        {"2001:db8:0:100::1", "a", false},
    };
    ask(limiter, "192.0.2.1", "a", 1000, SECOND_NS, 0);
    ask(limiter, "2001:db8::1", "a", 1000, SECOND_NS, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tally tally = ask(limiter, rows[i].client, rows[i].name, 1, SECOND_NS, 0);
        assert_int_equal(tally.of[DNS_LIMIT_DROPPED], rows[i].is_same);
        assert_int_equal(tally.of[DNS_LIMIT_SLIPPED], 0); /* slip 0 */
    }
    struct address client = client_of("192.0.2.1");
    assert_int_equal(dns_limiter_take(limiter, &client, DNS_KIND_NEGATIVE, SPAN("a"), SECOND_NS),
                     DNS_LIMIT_NONE); /* another kind */
    dns_limiter_free(limiter);
}

static void the_exempt_are_never_withheld(void **state)
{
    (void)state;
    struct dns_limiter *limiter = make(1, 2);
    struct tally tally = ask(limiter, "192.0.2.200", "a", 1000, SECOND_NS, SECOND_NS);
    assert_int_equal(tally.of[DNS_LIMIT_NONE], 1000);
    tally = ask(limiter, "192.0.2.100", "a", 1000, 100 * SECOND_NS, SECOND_NS);
    assert_in_range(tally.of[DNS_LIMIT_NONE], 1, 2);
    dns_limiter_free(limiter);
}

/* Forged networks fill the table again and again: a flood stays known, since those that owe least give way. */
static void strangers_do_not_wash_a_flood_out(void **state)
{
    (void)state;
    struct dns_limiter *limiter = make(100, 0);
    ask(limiter, "192.0.2.1", "a", 1000, SECOND_NS, 0);
    for (unsigned i = 0; i < 1000000; i++) {
        struct address client = {.family = 4, .bytes = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8)}};
        uint8_t name = (uint8_t)i;
        (void)dns_limiter_take(limiter, &client, DNS_KIND_DATA, span_of(&name, 1), SECOND_NS);
    }
    struct tally tally = ask(limiter, "192.0.2.1", "a", 1, SECOND_NS, 0);
    assert_int_equal(tally.of[DNS_LIMIT_DROPPED], 1);
    dns_limiter_free(limiter);
}

/* 40 bits of microseconds pass every 12.7 days; what was owed before is forgotten. */
static void time_wraps(void **state)
{
    (void)state;
    struct dns_limiter *limiter = make(100, 0);
    uint64_t wrap_ns = (1ull << 40) * 1000;
    ask(limiter, "192.0.2.1", "a", 1000, wrap_ns - SECOND_NS, 0);
    struct tally tally = ask(limiter, "192.0.2.1", "a", 1, wrap_ns + SECOND_NS, 0);
    assert_int_equal(tally.of[DNS_LIMIT_DROPPED], 1);
    tally = ask(limiter, "192.0.2.1", "a", 1, wrap_ns + 10 * SECOND_NS, 0);
    assert_int_equal(tally.of[DNS_LIMIT_NONE], 1);
    dns_limiter_free(limiter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(within_the_rate_nothing_is_withheld),
        cmocka_unit_test(a_flood_is_withheld_until_it_ends),
        cmocka_unit_test(a_network_is_one_and_others_are_not_touched),
        cmocka_unit_test(the_exempt_are_never_withheld),
        cmocka_unit_test(strangers_do_not_wash_a_flood_out),
        cmocka_unit_test(time_wraps),
    };
    return cmocka_run_group_tests_name("dns/limiter", tests, NULL, NULL);
}
