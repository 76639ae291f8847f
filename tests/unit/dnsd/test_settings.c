/* SPDX-License-Identifier: Apache-2.0 */
#include "dnsd/private.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static const uint64_t fortnight_ns = 14ull * 24 * 3600 * 1000000000;

static struct conf_dns dns;
static struct conf_node node;

static void start(uint8_t key)
{
    dns = (struct conf_dns){.cookies = CONF_COOKIES_ON, .tcp_idle_timeout_ns = 10000000000};
    node = (struct conf_node){.dns = &dns, .has_private_key = true, .private_key = {key}};
}

static void make(struct dnsd_settings *settings)
{
    struct text why = {0};
    assert_true(dnsd_settings_init(settings, &node, 7, &why));
    assert_int_equal(why.length, 0);
}

static struct dns_cookie_secrets secrets_at(uint8_t key, uint64_t wall_ns)
{
    struct dnsd_settings settings;
    struct dns_settings now;
    start(key);
    make(&settings);
    dnsd_settings_now(&settings, wall_ns, &now);
    dnsd_settings_clear(&settings);
    return now.cookies;
}

static bool is_same(const struct dns_cookie_secrets *a, unsigned i,
                    const struct dns_cookie_secrets *b, unsigned k)
{
    return memcmp(a->bytes[i], b->bytes[k], DNS_SECRET_BYTES) == 0;
}

/* The present one makes; the one before and the one to come are good, whenever the view was made. */
static void derived_secrets_change_and_overlap(void **state)
{
    (void)state;
    const uint64_t start_ns = 1000 * fortnight_ns;
    struct dns_cookie_secrets now = secrets_at(1, start_ns);
    struct dns_cookie_secrets late = secrets_at(1, start_ns + fortnight_ns - 1);
    struct dns_cookie_secrets next = secrets_at(1, start_ns + fortnight_ns);
    struct dns_cookie_secrets other = secrets_at(2, start_ns);
    assert_int_equal(now.count, 3);
    assert_memory_equal(&now, &late, sizeof now);
    assert_true(is_same(&now, 0, &next, 1));
    assert_true(is_same(&now, 2, &next, 0));
    for (unsigned i = 0; i < 3; i++)
        for (unsigned k = 0; k < 3; k++) {
            assert_false(is_same(&now, i, &other, k));
            assert_int_equal(is_same(&now, i, &now, k), i == k);
        }
    assert_int_equal(dnsd_cookie_period(start_ns + fortnight_ns - 1) + 1,
                     dnsd_cookie_period(start_ns + fortnight_ns));
}

static void secrets_of_a_file_stay(void **state)
{
    (void)state;
    struct dnsd_settings settings;
    struct dns_settings now;
    start(1);
    dns.cookie_secret_count = 2;
    dns.cookie_secrets[0][0] = 0xaa;
    dns.cookie_secrets[1][0] = 0xbb;
    dns.cookies = CONF_COOKIES_REQUIRED;
    make(&settings);
    dnsd_settings_now(&settings, 5 * fortnight_ns, &now);
    assert_int_equal(now.cookies.count, 2);
    assert_int_equal(now.cookies.bytes[0][0], 0xaa);
    assert_int_equal(now.cookies.bytes[1][0], 0xbb);
    assert_true(now.is_cookie_required);
    dnsd_settings_clear(&settings);
    dns.cookies = CONF_COOKIES_OFF;
    make(&settings);
    dnsd_settings_now(&settings, 5 * fortnight_ns, &now);
    assert_int_equal(now.cookies.count, 0);
    dnsd_settings_clear(&settings);
}

/* Everybody costs no look-up; nobody none either. */
static void R1_client_subnets_count_from_those_who_are_named(void **state)
{
    (void)state;
    static const char *const texts[] = {"0.0.0.0/0", "::/0", "192.0.2.0/24"};
    struct network networks[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(network_parse(span_text(texts[i]), &networks[i]), 0);
    const struct {
        size_t first, count;
        bool has_subnets, has_senders;
    } rows[] = {
        {0, 2, true, false}, {0, 3, true, false}, {0, 0, false, false},
        {0, 1, true, true},  {1, 1, true, true},  {2, 1, true, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dnsd_settings settings;
        start(1);
        dns.ecs = (struct conf_networks){&networks[rows[i].first], rows[i].count};
        make(&settings);
        assert_int_equal(settings.answers.has_subnets, rows[i].has_subnets);
        assert_int_equal(settings.answers.subnet_senders != NULL, rows[i].has_senders);
        dnsd_settings_clear(&settings);
    }
}

static void the_rest_follows_the_configuration(void **state)
{
    (void)state;
    struct dnsd_settings settings;
    start(1);
    make(&settings);
    assert_int_equal(settings.answers.identity.length, 0);
    assert_int_equal(settings.answers.version.length, 0);
    assert_null(settings.answers.limiter);
    assert_int_equal(settings.answers.keepalive_100ms, 100);
    dnsd_settings_clear(&settings);
    dns.identity = "ns1";
    dns.rate_limit = 5;
    dns.rate_window_ns = 5000000000;
    dns.rate_ipv4_bits = 24;
    dns.rate_ipv6_bits = 56;
    dns.tcp_idle_timeout_ns = 24ull * 3600 * 1000000000; /* more than the option can tell */
    make(&settings);
    assert_true(span_equal(settings.answers.identity, SPAN("ns1")));
    assert_non_null(settings.answers.limiter);
    assert_int_equal(settings.answers.keepalive_100ms, UINT16_MAX);
    dnsd_settings_clear(&settings);
    struct conf_dns_tls tls = {.certificate = SPAN("nonsense"), .private_key = SPAN("nonsense")};
    struct text why = {0};
    dns.tls = &tls;
    assert_false(dnsd_settings_init(&settings, &node, 7, &why));
    assert_string_equal(why.data, "tls.certificate: no certificate in PEM form\n");
    dnsd_settings_clear(&settings);
    text_clear(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derived_secrets_change_and_overlap),
        cmocka_unit_test(secrets_of_a_file_stay),
        cmocka_unit_test(R1_client_subnets_count_from_those_who_are_named),
        cmocka_unit_test(the_rest_follows_the_configuration),
    };
    return cmocka_run_group_tests_name("dnsd/settings", tests, NULL, NULL);
}
