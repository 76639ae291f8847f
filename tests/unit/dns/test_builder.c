/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/dns.h"

#include <stdio.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static struct dns_name name_of(const char *text)
{
    struct dns_name name;
    assert_int_equal(dns_name_parse(span_text(text), NULL, &name), 0);
    return name;
}

struct row {
    const char *owner, *type, *data;
};

static const struct {
    struct row rows[4];
    const char *complaint;
} wrong[] = {
    {{{"www.a.example", "A", "192.0.2.1"}, {"www.a.example", "CNAME", "b"}},
     "www.a.example: a CNAME record must be the only record of its name\n"},
    {{{"www.a.example", "CNAME", "c"}, {"www.a.example", "CNAME", "b"}},
     "www.a.example: a CNAME record must be the only record of its name\n"},
    {{{"a.other", "A", "192.0.2.1"}}, "a.other: the name is in none of the zones\n"},
    {{{"a.example", "SOA", "n h 2 3 4 5 6"}}, "a.example: the zone has more than one SOA record\n"},
    {{{"x.a.example", "SOA", "n h 2 3 4 5 6"}},
     "x.a.example: an SOA record stands only at the top of a zone\n"},
    {{{"x.a.example", "NS", "n"}, {"y.x.a.example", "TXT", "t"}},
     "y.x.a.example: a name that is delegated away can only have addresses here\n"},
    {{{"*.a.example", "NS", "n"}}, "*.a.example: a wildcard cannot be in another server's zone\n"},
    {{{"x.a.example", "A", "192.0.2.256"}},
     "x.a.example: \"192.0.2.256\" is not the data of a record of type A\n"},
    {{{"x.a.example", "AAA", "192.0.2.1"}},
     "x.a.example: \"192.0.2.1\" is of type \"AAA\", which zones here cannot hold\n"},
    {{{"site.a.example", "A", "192.0.2.1"}},
     "site.a.example: the name of a site has addresses of its own\n"},
    {{{"site.a.example", "CNAME", "b"}},
     "site.a.example: a CNAME record must be the only record of its name\n"},
    {{{"site.a.example", "NS", "b"}},
     "site.a.example: the name of a site is in a zone that is delegated away\n"},
};

static void complaints_are_sentences(void **state)
{
    (void)state;
    struct dns_name apex = name_of("a.example"), site = name_of("site.a.example");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct dns_builder *builder = dns_builder_new(i);
        dns_builder_add_zone(builder, &apex);
        dns_builder_add_text(builder, &apex, "SOA", 60, "n h 1 2 3 4 5", &apex);
        dns_builder_add_text(builder, &apex, "NS", 60, "n", &apex);
        dns_builder_add_computed(builder, &site, 0);
        for (const struct row *row = wrong[i].rows; row->owner; row++) {
            struct dns_name owner = name_of(row->owner);
            dns_builder_add_text(builder, &owner, row->type, 60, row->data, &apex);
        }
        struct text complaints = {0};
        assert_null(dns_builder_finish(&builder, &complaints));
        assert_null(builder);
        assert_string_equal(complaints.data, wrong[i].complaint);
        text_clear(&complaints);
    }
}

static void a_zone_needs_its_apex_records(void **state)
{
    (void)state;
    struct dns_name a = name_of("a.example"), b = name_of("B.example");
    struct dns_builder *builder = dns_builder_new(7);
    dns_builder_add_zone(builder, &a);
    dns_builder_add_zone(builder, &b);
    dns_builder_add_zone(builder, &b);
    dns_builder_add_text(builder, &a, "SOA", 60, "n h 1 2 3 4 5", &a);
    struct text complaints = {0};
    assert_null(dns_builder_finish(&builder, &complaints));
    assert_string_equal(complaints.data, "b.example: the zone is there twice\n"
                                         "a.example: the zone has no NS record\n"
                                         "b.example: the zone has no SOA record\n");
    text_clear(&complaints);
}

/* More names than the first table has room for, all of them found again. */
static void many_names(void **state)
{
    (void)state;
    struct dns_name apex = name_of("a.example");
    struct dns_builder *builder = dns_builder_new(7);
    dns_builder_add_zone(builder, &apex);
    dns_builder_add_text(builder, &apex, "SOA", 60, "n h 1 2 3 4 5", &apex);
    dns_builder_add_text(builder, &apex, "NS", 60, "n", &apex);
    for (int i = 0; i < 5000; i++) {
        char text[32];
        snprintf(text, sizeof text, "x%d.y%d", i, i % 100);
        struct dns_name owner;
        assert_int_equal(dns_name_parse(span_text(text), &apex, &owner), 0);
        dns_builder_add(builder, &owner, DNS_A, 60, SPAN("\1\2\3\4"));
    }
    struct text complaints = {0};
    struct dns_zones *zones = dns_builder_finish(&builder, &complaints);
    assert_non_null(zones);
    assert_int_equal(dns_zones_count(zones), 1);
    assert_int_equal(dns_zones_names(zones), 5101);
    dns_zones_free(zones);
}

static const struct {
    const char *type, *text;
    struct span wire;
    int result;
} datas[] = {
    {"A", "192.0.2.1", SPAN("\xc0\0\2\1"), 0},
    {"A", "2001:db8::1", SPAN(""), ERROR_INVALID},
    {"a", "192.0.2.1 x", SPAN(""), ERROR_INVALID},
    {"A", "", SPAN(""), ERROR_INVALID},
    {"AAAA", "::1", SPAN("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"), 0},
    {"MX", "10 mail", SPAN("\0\12\4mail\3org\0"), 0},
    {"MX", "10", SPAN(""), ERROR_INVALID},
    {"MX", "65536 mail", SPAN(""), ERROR_INVALID},
    {"SRV", "1 2 443 edge.example.", SPAN("\0\1\0\2\1\xbb\4edge\7example\0"), 0},
    {"TXT", "a b", SPAN("\3a b"), 0},
    {"TXT", "\"a b\" \"c\\\"\\065\"", SPAN("\3a b\3c\"A"), 0},
    {"TXT", "\"\"", SPAN("\0"), 0},
    {"TXT", "\"a\\999\"", SPAN(""), ERROR_INVALID},
    {"CAA", "0 issue \"ca.example\"", SPAN("\0\5issueca.example"), 0},
    {"HINFO", "a b", SPAN("\1a\1b"), 0},
    {"TYPE65280", "\\# 3 c0 de00", SPAN("\xc0\xde\0"), 0},
    {"TYPE65280", "\\# 3 c0de", SPAN(""), ERROR_INVALID},
    {"TYPE65280", "\\# 0", SPAN(""), 0},
    {"TYPE65280", "c0de", SPAN(""), ERROR_UNSUPPORTED},
    {"TYPE1", "\\# 4 c0000201", SPAN("\xc0\0\2\1"), 0},
    {"A", "\\# 3 c00002", SPAN(""), ERROR_INVALID},
    {"ANY", "\\# 0", SPAN(""), ERROR_UNSUPPORTED},
    {"TYPE41", "\\# 0", SPAN(""), ERROR_UNSUPPORTED},
    {"NS", "\\# 3 016100", SPAN("\1a\0"), 0},
    {"NS", "\\# 3 c00c00", SPAN(""), ERROR_INVALID},
    {"SOA", "a. b. 1 1h 15m 1w 1d1h",
     SPAN("\1a\0\1b\0\0\0\0\1\0\0\x0e\x10\0\0\3\x84\0\x09\x3a\x80\0\1\x5f\x90"), 0},
    {"DS", "1 RSASHA256 2 ab CD", SPAN("\0\1\10\2\xab\xcd"), 0},
    {"DS", "1 8 2", SPAN(""), ERROR_INVALID},
    {"DS", "1 8 2 abc", SPAN(""), ERROR_INVALID},
    {"DNSKEY", "257 3 13 AAE C", SPAN("\1\1\3\15\0\1\2"), 0},
    {"DNSKEY", "257 3 13 AAE=", SPAN("\1\1\3\15\0\1"), 0},
    {"DNSKEY", "257 3 13 AAF=", SPAN(""), ERROR_INVALID},
    {"DNSKEY", "257 3 13 AAE", SPAN(""), ERROR_INVALID},
    {"RRSIG", "A 13 2 1h 20200102030405 1 7 a. AAEC",
     SPAN("\0\1\15\2\0\0\x0e\x10\x5e\x0d\x5d\xa5\0\0\0\1\0\7\1a\0\0\1\2"), 0},
    {"NSEC", "b. A TYPE257 RRSIG", SPAN("\1b\0\0\6\x40\0\0\0\0\2\1\1\x40"), 0},
    {"NSEC", "b. A NOPE", SPAN(""), ERROR_INVALID},
    {"NSEC3", "1 0 5 AB 2T7B A", SPAN("\1\0\0\5\1\xab\2\x17\x4e\0\1\x40"), ERROR_INVALID},
    {"NSEC3", "1 0 5 - 2T7G A", SPAN("\1\0\0\5\0\2\x17\x4f\0\1\x40"), 0},
    {"NSEC3PARAM", "1 0 5 -", SPAN("\1\0\0\5\0"), 0},
    {"NSEC3PARAM", "1 0 5 abcd", SPAN("\1\0\0\5\2\xab\xcd"), 0},
    {"TLSA", "3 1 1 d2ab de24", SPAN("\3\1\1\xd2\xab\xde\x24"), 0},
    {"SSHFP", "4 2 00", SPAN("\4\2\0"), 0},
    {"NAPTR", "100 10 u E2U+sip \"!^.*$!sip:a!\" .",
     SPAN("\0\x64\0\12\1u\7E2U+sip\14!^.*$!sip:a!\0"), 0},
    {"URI", "10 1 \"ftp://a/\"", SPAN("\0\12\0\1ftp://a/"), 0},
    {"RP", "a. .", SPAN("\1a\0\0"), 0},
    {"OPENPGPKEY", "AA E=", SPAN("\0\1"), 0},
    {"CERT", "PKIX 1 0 AAE=", SPAN("\0\1\0\1\0\0\1"), 0},
    {"EUI48", "00-00-5e-00-53-2a", SPAN("\0\0\x5e\0\x53\x2a"), 0},
    {"EUI48", "00-00-5e-00-53", SPAN(""), ERROR_INVALID},
    {"NID", "10 14:4fff:ff20:ee64", SPAN("\0\12\0\x14\x4f\xff\xff\x20\xee\x64"), 0},
    {"LOC", "42 21 54 N 71 06 18 W -24m 30m",
     SPAN("\0\x33\x16\x13\x89\x17\x2d\xd0\x70\xbe\x15\xf0\0\x98\x8d\x20"), 0},
    {"LOC", "91 N 0 E 0", SPAN(""), ERROR_INVALID},
    {"LOC", "0 S 0 E 0m 1 2 3 4", SPAN(""), ERROR_INVALID},
    {"HTTPS", "0 a.", SPAN("\0\0\1a\0"), 0},
    {"HTTPS", "1 . port=443 alpn=\"h2,h3\" no-default-alpn",
     SPAN("\0\1\0\0\1\0\6\2h2\2h3\0\2\0\0\0\3\0\2\1\xbb"), 0},
    {"HTTPS", "1 . alpn=\"f\\\\\\\\oo\\\\,bar,h2\"", SPAN("\0\1\0\0\1\0\14\10f\\oo,bar\2h2"), 0},
    {"SVCB", "16 foo. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
     SPAN("\0\20\3foo\0\0\0\0\4\0\1\0\4\0\1\0\11\2h2\5h3-19\0\4\0\4\xc0\0\2\1"), 0},
    {"SVCB", "1 a. key667=\"hello\\210qoo\"", SPAN("\0\1\1a\0\2\x9b\0\11hello\xd2qoo"), 0},
    {"SVCB", "1 a. ipv6hint=2001:db8::1",
     SPAN("\0\1\1a\0\0\6\0\20\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), 0},
    {"SVCB", "1 a. mandatory=alpn", SPAN(""), ERROR_INVALID},
    {"SVCB", "1 a. port=1 port=2", SPAN(""), ERROR_INVALID},
    {"SVCB", "1 a. alpn", SPAN(""), ERROR_INVALID},
    {"SVCB", "1 a. no-default-alpn", SPAN(""), ERROR_INVALID},
    {"SVCB", "1 a. nonsense=1", SPAN(""), ERROR_INVALID},
};

static void record_data_from_text(void **state)
{
    (void)state;
    struct dns_name origin = name_of("org");
    for (size_t i = 0; i < sizeof datas / sizeof *datas; i++) {
        uint8_t wire[DNS_RDATA_LIMIT];
        size_t length;
        int result = dns_rdata_parse(dns_type_number(span_text(datas[i].type)),
                                     span_text(datas[i].text), &origin, wire, &length);
        if (result != datas[i].result ||
            (result == 0 && !span_equal(span_of(wire, length), datas[i].wire)))
            fail_msg("%s %s: %d", datas[i].type, datas[i].text, result);
    }
}

/* DKIM keys are longer than one string holds. */
static void long_text_is_cut_into_strings(void **state)
{
    (void)state;
    char text[601];
    memset(text, 'k', 600);
    text[600] = 0;
    uint8_t wire[DNS_RDATA_LIMIT];
    size_t length;
    assert_int_equal(dns_rdata_parse(DNS_TXT, span_text(text), NULL, wire, &length), 0);
    assert_int_equal(length, 603);
    assert_int_equal(wire[0], 255);
    assert_int_equal(wire[256], 255);
    assert_int_equal(wire[512], 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complaints_are_sentences),
        cmocka_unit_test(a_zone_needs_its_apex_records),
        cmocka_unit_test(many_names),
        cmocka_unit_test(record_data_from_text),
        cmocka_unit_test(long_text_is_cut_into_strings),
    };
    return cmocka_run_group_tests_name("dns/builder", tests, NULL, NULL);
}
