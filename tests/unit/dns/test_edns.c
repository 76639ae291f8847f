/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "dns/dns.h"
#include "message_text.h"
#include "zone_fixture.h"

#include <stdio.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define SOA_LINE  "SOA ns1.shop.example hostmaster.shop.example 7 3600 600 86400 60\n"
#define TWO       "NOERROR aa\nAN two.shop.example 300 AAAA 2001:db8::1\nOPT 1232"
#define MALFORMED "FORMERR\nOPT 1232\n"
#define NOBODY    "REFUSED\nOPT 1232 15:0014\n"

static const struct dns_settings open_settings = {.has_subnets = true};
static struct dns_settings settings;

static struct dns_outcome outcome;

static void ask(const struct query_form *form, bool is_tcp, struct text *text)
{
    static const struct address client = {.bytes = {203, 0, 113, 9}, .family = 4};
    static uint8_t query[512], out[DNS_TCP_BYTES];
    struct dns_source source = *fixture_source();
    source.settings = &settings;
    size_t length = query_write(form, query);
    struct dns_request request = {.message = span_of(query, length),
                                  .client = &client,
                                  .is_tcp = is_tcp,
                                  .wall_s = 1559731985,
                                  .now_ns = 1000000000};
    length = dns_answer(&source, &request, out, is_tcp ? sizeof out : DNS_UDP_BYTES, &outcome);
    text->length = 0;
    if (!length)
        text_add(text, "nothing");
    else
        assert_true(message_text(span_of(out, length), text));
}

static void expect(const char *name, uint16_t type, struct span options, bool is_tcp,
                   const char *expected)
{
    struct text text = {0};
    ask(&(struct query_form){.name = name, .type = type, .udp_bytes = 1232, .options = options},
        is_tcp, &text);
    if (strcmp(text.data, expected) != 0) {
        fputs("asked with:", stderr);
        for (size_t i = 0; i < options.length; i++)
            fprintf(stderr, " %02x", options.data[i]);
        fail_msg("\n%s-- expected:\n%s", text.data, expected);
    }
    text_clear(&text);
}

/* Families, prefixes, scopes and stray bits: RFC 7871 sections 6 and 7.2. */
static const struct {
    struct span option;
    const char *name;
    uint16_t type;
    const char *expected;
} subnets[] = {
    /* a computed name: as much of the address as decided, whatever was told of it */
    {SPAN("\0\10\0\7\0\1\30\0\xcb\0\x71"), "levels.shop.example", DNS_CNAME,
     "NOERROR aa\nAN levels.shop.example 30 CNAME two.shop.example\nOPT 1232 "
     "8:00011810cb0071\n"},
    {SPAN("\0\10\0\7\0\1\30\0\xc0\0\2"), "levels.shop.example", DNS_CNAME,
     "NOERROR aa\nAN levels.shop.example 30 CNAME www.far.example\nOPT 1232 8:00011810c00002\n"},
    {SPAN("\0\10\0\5\0\1\10\0\xc0"), "levels.shop.example", DNS_CNAME,
     "NOERROR aa\nAN levels.shop.example 30 CNAME www.far.example\nOPT 1232 8:00010810c0\n"},
    {SPAN("\0\10\0\13\0\2\70\0\x20\1\xd\xb8\0\1\2"), "levels.shop.example", DNS_CNAME,
     "NOERROR aa\nAN levels.shop.example 30 CNAME www.far.example\nOPT 1232 "
     "8:0002383020010db8000102\n"},
    {SPAN("\0\10\0\7\0\1\30\0\xc0\0\2"), "four.shop.example", DNS_A,
     "NOERROR aa\nAN four.shop.example 20 A 198.51.100.4\nOPT 1232 8:00011810c00002\n"},
    /* what is absent of a name that has an alias for some depends on the client; of others it does not */
    {SPAN("\0\10\0\7\0\1\30\0\xc0\0\2"), "four.shop.example", DNS_TXT,
     "NOERROR aa\nAU shop.example 60 " SOA_LINE "OPT 1232 8:00011800c00002\n"},
    {SPAN("\0\10\0\7\0\1\30\0\xc0\0\2"), "levels.shop.example", DNS_TXT,
     "NOERROR aa\nAN levels.shop.example 30 CNAME www.far.example\nOPT 1232 8:00011810c00002\n"},
    /* stored names are for everybody */
    {SPAN("\0\10\0\7\0\1\30\0\xc0\0\2"), "two.shop.example", DNS_AAAA, TWO " 8:00011800c00002\n"},
    {SPAN("\0\10\0\7\0\1\30\0\xc0\0\2"), "away.example", DNS_A,
     "REFUSED\nOPT 1232 8:00011800c00002 15:0014\n"},
    /* 0 bits: the client's address is not to be used, and the sender's decides; the answer is for everybody */
    {SPAN("\0\10\0\4\0\1\0\0"), "levels.shop.example", DNS_CNAME,
     "NOERROR aa\nAN levels.shop.example 30 CNAME two.shop.example\nOPT 1232 8:00010000\n"},
    {SPAN("\0\10\0\4\0\2\0\0"), "two.shop.example", DNS_AAAA, TWO " 8:00020000\n"},
    {SPAN("\0\10\0\4\0\0\0\0"), "two.shop.example", DNS_AAAA, TWO " 8:00000000\n"},
    {SPAN("\0\10\0\10\0\1\x20\0\xc0\0\2\1"), "two.shop.example", DNS_AAAA,
     TWO " 8:00012000c0000201\n"},
    {SPAN("\0\10\0\7\0\1\27\0\xc0\0\2"), "two.shop.example", DNS_AAAA, TWO " 8:00011700c00002\n"},
    /* wrong ones */
    {SPAN("\0\10\0\7\0\1\27\0\xc0\0\3"), "two.shop.example", DNS_A, MALFORMED}, /* a bit behind */
    {SPAN("\0\10\0\7\0\1\30\1\xc0\0\2"), "two.shop.example", DNS_A, MALFORMED}, /* scope */
    {SPAN("\0\10\0\7\0\3\30\0\xc0\0\2"), "two.shop.example", DNS_A, MALFORMED}, /* family */
    {SPAN("\0\10\0\7\0\0\30\0\xc0\0\2"), "two.shop.example", DNS_A, MALFORMED},
    {SPAN("\0\10\0\11\0\1\x21\0\xc0\0\2\1\0"), "two.shop.example", DNS_A, MALFORMED}, /* 33 bits */
    {SPAN("\0\10\0\6\0\1\30\0\xc0\0"), "two.shop.example", DNS_A, MALFORMED},         /* short */
    {SPAN("\0\10\0\10\0\1\30\0\xc0\0\2\0"), "two.shop.example", DNS_A, MALFORMED},    /* long */
    {SPAN("\0\10\0\3\0\1\0"), "two.shop.example", DNS_A, MALFORMED},
    {SPAN("\0\10\0\0"), "two.shop.example", DNS_A, MALFORMED},
    {SPAN("\0\10\0\4\0\1\0\0\0\10\0\4\0\1\0\0"), "two.shop.example", DNS_A, MALFORMED}, /* twice */
};

static void R3_client_subnets_are_strict_and_scopes_honest(void **state)
{
    (void)state;
    settings = open_settings;
    for (size_t i = 0; i < sizeof subnets / sizeof *subnets; i++)
        expect(subnets[i].name, subnets[i].type, subnets[i].option, false, subnets[i].expected);
}

static void client_subnets_of_others_do_not_count(void **state)
{
    (void)state;
    const struct span option = SPAN("\0\10\0\7\0\1\30\0\xc0\0\2");
    const char *ours = "NOERROR aa\nAN levels.shop.example 30 CNAME two.shop.example\nOPT 1232\n";
    settings = (struct dns_settings){0};
    expect("levels.shop.example", DNS_CNAME, option, false, ours);
    struct prefix_tree *senders = prefix_tree_new();
    struct network network;
    assert_int_equal(network_parse(SPAN("198.51.100.0/24"), &network), 0);
    prefix_tree_put(senders, &network, 0);
    settings = (struct dns_settings){.has_subnets = true, .subnet_senders = senders};
    expect("levels.shop.example", DNS_CNAME, option, false, ours);
    assert_false(outcome.has_subnet);
    assert_int_equal(network_parse(SPAN("203.0.113.0/24"), &network), 0);
    prefix_tree_put(senders, &network, 0);
    expect("levels.shop.example", DNS_CNAME, option, false,
           "NOERROR aa\nAN levels.shop.example 30 CNAME www.far.example\nOPT 1232 "
           "8:00011810c00002\n");
    assert_true(outcome.has_subnet);
    prefix_tree_free(senders);
}

#define COOKIE      "\0\12\0\10\x24\x64\xc4\xab\xcf\x10\xc9\x57"
#define GOOD_COOKIE "10:2464c4abcf10c957010000005cf79f11"

/* Which bytes a cookie has is in test_cookie.c; the address here is another than in the RFC. */
static void cookies_are_answered(void **state)
{
    (void)state;
    settings = (struct dns_settings){.cookies = {.count = 1}};
    struct text text = {0};
    struct query_form form = {
        .name = "two.shop.example", .type = DNS_AAAA, .udp_bytes = 1232, .options = SPAN(COOKIE)};
    ask(&form, false, &text);
    assert_non_null(strstr(text.data, TWO " " GOOD_COOKIE));
    assert_int_equal(outcome.cookie, DNS_COOKIE_NEW);
    expect("two.shop.example", DNS_AAAA, SPAN("\0\12\0\7\1\2\3\4\5\6\7"), false, MALFORMED);
    expect("two.shop.example", DNS_AAAA, SPAN("\0\12\0\11\1\2\3\4\5\6\7\10\11"), false, MALFORMED);
    expect("two.shop.example", DNS_AAAA, SPAN(COOKIE COOKIE), false, MALFORMED);

    settings.is_cookie_required = true;
    ask(&form, false, &text);
    assert_non_null(strstr(text.data, "BADCOOKIE\nOPT 1232 " GOOD_COOKIE));
    uint8_t option[28] = "\0\12\0\30"; /* what came is what is good the next time */
    const char *at = strstr(text.data, "10:") + 3;
    for (unsigned i = 0, byte; i < 24; i++) {
        assert_int_equal(sscanf(at + 2 * i, "%2x", &byte), 1);
        option[4 + i] = (uint8_t)byte;
    }
    form.options = span_of(option, sizeof option);
    ask(&form, false, &text);
    assert_non_null(strstr(text.data, TWO " " GOOD_COOKIE));
    assert_int_equal(outcome.cookie, DNS_COOKIE_GOOD);
    option[27] ^= 1;
    ask(&form, false, &text);
    assert_non_null(strstr(text.data, "BADCOOKIE\n"));
    assert_int_equal(outcome.cookie, DNS_COOKIE_BAD);
    ask(&form, true, &text); /* TCP proves the address by itself */
    assert_non_null(strstr(text.data, TWO));
    form.options = SPAN("");
    ask(&form, false, &text); /* a client that knows none */
    assert_string_equal(text.data, TWO "\n");
    text_clear(&text);
}

/* RFC 7873 section 5.4 */
static void a_cookie_may_be_asked_for_alone(void **state)
{
    (void)state;
    static const uint8_t query[] = "\x12\x34\0\0\0\0\0\0\0\0\0\1\0\0\x29\4\xd0\0\0\0\0\0\14" COOKIE;
    const struct address client = {.bytes = {203, 0, 113, 9}, .family = 4};
    struct dns_request request = {.message = span_of(query, sizeof query - 1), .client = &client};
    struct dns_source source = *fixture_source();
    settings = (struct dns_settings){.cookies = {.count = 1}};
    source.settings = &settings;
    uint8_t out[DNS_UDP_BYTES];
    struct text text = {0};
    size_t length = dns_answer(&source, &request, out, sizeof out, &outcome);
    assert_true(message_text(span_of(out, length), &text));
    assert_non_null(strstr(text.data, "NOERROR\nOPT 1232 10:2464c4abcf10c95701000000"));
    assert_int_equal(load_u16(out + 4), 0);
    text_clear(&text);
}

static void the_server_tells_of_itself_only_when_set_to(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint16_t type;
        const char *expected;
    } rows[] = {
        {"version.bind", DNS_TXT, "NOERROR aa\nAN version.bind CH 0 TXT \"1.0\"\nOPT 1232\n"},
        {"Version.Server", DNS_TXT, "NOERROR aa\nAN Version.Server CH 0 TXT \"1.0\"\nOPT 1232\n"},
        {"id.server", DNS_TXT, "NOERROR aa\nAN id.server CH 0 TXT \"fra-1\"\nOPT 1232\n"},
        {"hostname.bind", DNS_ANY, "NOERROR aa\nAN hostname.bind CH 0 TXT \"fra-1\"\nOPT 1232\n"},
        {"id.server", DNS_A, NOBODY},
        {"authors.bind", DNS_TXT, NOBODY},
        {"two.shop.example", DNS_TXT, NOBODY},
    };
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        bool is_told = i % 2 != 0;
        settings = is_told
                       ? (struct dns_settings){.identity = SPAN("fra-1"), .version = SPAN("1.0")}
                       : (struct dns_settings){0};
        struct text text = {0};
        ask(&(struct query_form){.name = rows[i / 2].name,
                                 .type = rows[i / 2].type,
                                 .class = 3,
                                 .udp_bytes = 1232},
            false, &text);
        assert_string_equal(text.data, is_told ? rows[i / 2].expected : NOBODY);
        text_clear(&text);
    }
    settings = (struct dns_settings){.identity = SPAN("fra-1")};
    expect("two.shop.example", DNS_AAAA, SPAN("\0\3\0\0"), false, TWO " 3:6672612d31\n");
    settings.identity = SPAN("");
    expect("two.shop.example", DNS_AAAA, SPAN("\0\3\0\0"), false, TWO "\n");
}

static void keepalive_is_told_over_tcp_alone(void **state)
{
    (void)state;
    settings = (struct dns_settings){.keepalive_100ms = 100};
    expect("two.shop.example", DNS_AAAA, SPAN("\0\13\0\0"), true, TWO " 11:0064\n");
    expect("two.shop.example", DNS_AAAA, SPAN("\0\13\0\0"), false, TWO "\n");
}

static void a_flood_gets_small_answers(void **state)
{
    (void)state;
    const struct dns_limiter_options options = {
        .rate = 2, .slip = 2, .window_s = 5, .ipv4_bits = 24, .ipv6_bits = 56};
    static const char *const expected[] = {TWO "\n", TWO "\n", "nothing",
                                           "NOERROR aa tc\nOPT 1232\n", "nothing"};
    settings = (struct dns_settings){.limiter = dns_limiter_new(&options), .cookies = {.count = 1}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        expect("two.shop.example", DNS_AAAA, SPAN(""), false, expected[i]);
    assert_int_equal(outcome.limit, DNS_LIMIT_DROPPED);
    expect("two.shop.example", DNS_AAAA, SPAN(""), true, TWO "\n");
    struct text text = {0};
    struct query_form form = {
        .name = "two.shop.example", .type = DNS_AAAA, .udp_bytes = 1232, .options = SPAN(COOKIE)};
    ask(&form, false, &text); /* with a cookie the small answer brings a good one */
    assert_non_null(strstr(text.data, "BADCOOKIE\nOPT 1232 " GOOD_COOKIE));
    uint8_t option[28] = "\0\12\0\30";
    const char *at = strstr(text.data, "10:") + 3;
    for (unsigned i = 0, byte; i < 24; i++) {
        assert_int_equal(sscanf(at + 2 * i, "%2x", &byte), 1);
        option[4 + i] = (uint8_t)byte;
    }
    form.options = span_of(option, sizeof option);
    for (unsigned i = 0; i < 10; i++) {
        ask(&form, false, &text);
        assert_non_null(strstr(text.data, TWO " " GOOD_COOKIE));
    }
    /* whatever is asked below a zone or a wildcard that does not exist is one kind */
    for (unsigned i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "x%u.shop.example", i);
        ask(&(struct query_form){.name = name, .type = DNS_A}, false, &text);
        assert_int_equal(outcome.limit == DNS_LIMIT_NONE, i < 2);
        snprintf(name, sizeof name, "x%u.wild.shop.example", i);
        ask(&(struct query_form){.name = name, .type = DNS_A}, false, &text);
        assert_int_equal(outcome.limit == DNS_LIMIT_NONE, i < 2);
    }
    text_clear(&text);
    dns_limiter_free(settings.limiter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R3_client_subnets_are_strict_and_scopes_honest),
        cmocka_unit_test(client_subnets_of_others_do_not_count),
        cmocka_unit_test(cookies_are_answered),
        cmocka_unit_test(a_cookie_may_be_asked_for_alone),
        cmocka_unit_test(the_server_tells_of_itself_only_when_set_to),
        cmocka_unit_test(keepalive_is_told_over_tcp_alone),
        cmocka_unit_test(a_flood_gets_small_answers),
    };
    int result = cmocka_run_group_tests_name("dns/edns", tests, NULL, NULL);
    fixture_free();
    return result;
}
