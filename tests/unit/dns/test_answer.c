/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "dns/dns.h"
#include "message_text.h"
#include "zone_fixture.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define SOA_LINE "SOA ns1.shop.example hostmaster.shop.example 7 3600 600 86400 60\n"

static size_t ask(struct span query, bool is_tcp, uint8_t *out, size_t capacity,
                  struct dns_outcome *outcome)
{
    static const struct address client = {.bytes = {203, 0, 113, 9}, .family = 4};
    struct dns_request request = {.message = query, .client = &client, .is_tcp = is_tcp};
    return dns_answer(fixture_source(), &request, out, capacity, outcome);
}

static void expect(const struct query_form *form, bool is_tcp, const char *expected)
{
    static uint8_t query[512], out[DNS_TCP_BYTES];
    struct dns_outcome outcome;
    size_t length = query_write(form, query);
    size_t limit = is_tcp ? sizeof out : DNS_UDP_BYTES;
    length = ask(span_of(query, length), is_tcp, out, limit, &outcome);
    struct text text = {0};
    assert_true(message_text(span_of(out, length), &text));
    if (strcmp(text.data, expected) != 0)
        fail_msg("%s, type %u:\n%s-- expected:\n%s", form->name, form->type, text.data, expected);
    assert_int_equal(load_u16(out), 0x1234);
    text_clear(&text);
}

struct answer_case {
    const char *name;
    uint16_t type;
    const char *expected;
};

static const struct answer_case zone_cases[] = {
    {"txt.shop.example", DNS_TXT, "NOERROR aa\nAN txt.shop.example 300 TXT \"v=spf1 -all\"\n"},
    {"two.shop.example", DNS_A,
     "NOERROR aa\nAN two.shop.example 300 A 192.0.2.1\nAN two.shop.example 300 A 192.0.2.2\n"},
    {"TwO.sHop.Example", DNS_AAAA, "NOERROR aa\nAN TwO.sHop.Example 300 AAAA 2001:db8::1\n"},
    {"shop.example", DNS_SOA, "NOERROR aa\nAN shop.example 3600 " SOA_LINE},
    {"shop.example", DNS_NS,
     "NOERROR aa\nAN shop.example 3600 NS ns1.shop.example\nAN shop.example 3600 NS "
     "ns2.other.example\n"
     "AD ns1.shop.example 3600 A 192.0.2.53\nAD ns1.shop.example 3600 AAAA 2001:db8::53\n"},
    {"shop.example", 15, "NOERROR aa\nAN shop.example 300 MX 10 mail.other.example\n"},
    /* NODATA and NXDOMAIN, with the lesser of the SOA's TTL and its minimum (RFC 2308) */
    {"txt.shop.example", DNS_A, "NOERROR aa\nAU shop.example 60 " SOA_LINE},
    {"none.shop.example", DNS_A, "NXDOMAIN aa\nAU shop.example 60 " SOA_LINE},
    {"a.b.c.none.shop.example", DNS_TXT, "NXDOMAIN aa\nAU shop.example 60 " SOA_LINE},
    /* an empty non-terminal exists (RFC 8020), and so shields from no wildcard above it */
    {"ent.shop.example", DNS_A, "NOERROR aa\nAU shop.example 60 " SOA_LINE},
    {"x.ent.shop.example", DNS_A, "NXDOMAIN aa\nAU shop.example 60 " SOA_LINE},
    /* aliases */
    {"alias.shop.example", DNS_AAAA,
     "NOERROR aa\nAN alias.shop.example 300 CNAME two.shop.example\n"
     "AN two.shop.example 300 AAAA 2001:db8::1\n"},
    {"alias.shop.example", DNS_CNAME,
     "NOERROR aa\nAN alias.shop.example 300 CNAME two.shop.example\n"},
    {"alias.shop.example", DNS_TXT,
     "NOERROR aa\nAN alias.shop.example 300 CNAME two.shop.example\nAU shop.example 60 " SOA_LINE},
    {"broken.shop.example", DNS_A,
     "NXDOMAIN aa\nAN broken.shop.example 300 CNAME none.shop.example\n"
     "AU shop.example 60 " SOA_LINE},
    {"away.shop.example", DNS_A,
     "NOERROR aa\nAN away.shop.example 300 CNAME www.elsewhere.example\n"},
    {"below.shop.example", DNS_A,
     "NOERROR aa\nAN below.shop.example 300 CNAME host.sub.shop.example\n"},
    {"loop.shop.example", DNS_A,
     "NOERROR aa\nAN loop.shop.example 300 CNAME pool.shop.example\n"
     "AN pool.shop.example 300 CNAME loop.shop.example\n"
     "AN loop.shop.example 300 CNAME pool.shop.example\n"
     "AN pool.shop.example 300 CNAME loop.shop.example\n"
     "AN loop.shop.example 300 CNAME pool.shop.example\n"
     "AN pool.shop.example 300 CNAME loop.shop.example\n"
     "AN loop.shop.example 300 CNAME pool.shop.example\n"
     "AN pool.shop.example 300 CNAME loop.shop.example\n"
     "AN loop.shop.example 300 CNAME pool.shop.example\n"},
    /* wildcards (RFC 4592) */
    {"any.wild.shop.example", DNS_A, "NOERROR aa\nAN any.wild.shop.example 300 A 192.0.2.9\n"},
    {"a.b.wild.shop.example", DNS_A, "NOERROR aa\nAN a.b.wild.shop.example 300 A 192.0.2.9\n"},
    {"any.wild.shop.example", DNS_TXT, "NOERROR aa\nAU shop.example 60 " SOA_LINE},
    {"real.wild.shop.example", DNS_A, "NOERROR aa\nAU shop.example 60 " SOA_LINE},
    {"x.real.wild.shop.example", DNS_A, "NXDOMAIN aa\nAU shop.example 60 " SOA_LINE},
    {"*.wild.shop.example", DNS_A, "NOERROR aa\nAN *.wild.shop.example 300 A 192.0.2.9\n"},
    {"to.wcname.shop.example", DNS_A,
     "NOERROR aa\nAN to.wcname.shop.example 300 CNAME one.wild.shop.example\n"
     "AN one.wild.shop.example 300 A 192.0.2.9\n"},
    /* delegation: not authoritative, glue */
    {"sub.shop.example", DNS_A,
     "NOERROR\nAU sub.shop.example 900 NS ns.sub.shop.example\nAU sub.shop.example 900 NS "
     "ns2.other.example\nAD ns.sub.shop.example 900 A 192.0.2.77\n"},
    {"x.y.sub.shop.example", DNS_NS,
     "NOERROR\nAU sub.shop.example 900 NS ns.sub.shop.example\nAU sub.shop.example 900 NS "
     "ns2.other.example\nAD ns.sub.shop.example 900 A 192.0.2.77\n"},
    {"ns.sub.shop.example", DNS_A,
     "NOERROR\nAU sub.shop.example 900 NS ns.sub.shop.example\nAU sub.shop.example 900 NS "
     "ns2.other.example\nAD ns.sub.shop.example 900 A 192.0.2.77\n"},
    {"sub.shop.example", DNS_DS, "NOERROR aa\nAU shop.example 60 " SOA_LINE},
    /* a zone of its own below another one */
    {"www.own.shop.example", DNS_A, "NOERROR aa\nAN www.own.shop.example 5 A 192.0.2.99\n"},
    {"none.own.shop.example", DNS_A,
     "NXDOMAIN aa\nAU own.shop.example 30 SOA ns1.shop.example h.own.shop.example 1 2 3 4 900\n"},
    /* minimal ANY (RFC 8482) */
    {"two.shop.example", DNS_ANY, "NOERROR aa\nAN two.shop.example 3600 HINFO \"RFC8482\" \"\"\n"},
    {"alias.shop.example", DNS_ANY,
     "NOERROR aa\nAN alias.shop.example 300 CNAME two.shop.example\n"},
    {"ent.shop.example", DNS_ANY, "NOERROR aa\nAU shop.example 60 " SOA_LINE},
    /* computed names (R1, R5) */
    {"www.shop.example", DNS_A,
     "NOERROR aa\nAN www.shop.example 20 A 198.51.100.1\nAN www.shop.example 20 A 198.51.100.2\n"},
    {"WWW.shop.example", DNS_AAAA, "NOERROR aa\nAN WWW.shop.example 20 AAAA 2001:db8:ed::1\n"},
    {"www.shop.example", DNS_TXT, "NOERROR aa\nAU shop.example 60 " SOA_LINE},
    {"four.shop.example", DNS_AAAA, "NOERROR aa\nAU shop.example 20 " SOA_LINE},
    {"to-site.shop.example", DNS_A,
     "NOERROR aa\nAN to-site.shop.example 300 CNAME www.shop.example\n"
     "AN www.shop.example 20 A 198.51.100.1\nAN www.shop.example 20 A 198.51.100.2\n"},
    {"lost.shop.example", DNS_A, "SERVFAIL\n"},
    {"lost.shop.example", DNS_ANY,
     "NOERROR aa\nAN lost.shop.example 3600 HINFO \"RFC8482\" \"\"\n"},
    /* a computed alias, for every type (R3) */
    {"levels.shop.example", DNS_AAAA,
     "NOERROR aa\nAN levels.shop.example 30 CNAME two.shop.example\n"
     "AN two.shop.example 300 AAAA 2001:db8::1\n"},
    {"levels.shop.example", DNS_TXT,
     "NOERROR aa\nAN levels.shop.example 30 CNAME two.shop.example\nAU shop.example 60 " SOA_LINE},
    {"levels.shop.example", DNS_CNAME,
     "NOERROR aa\nAN levels.shop.example 30 CNAME two.shop.example\n"},
    {"levels.shop.example", DNS_ANY,
     "NOERROR aa\nAN levels.shop.example 30 CNAME two.shop.example\n"},
    {"to-levels.shop.example", DNS_AAAA,
     "NOERROR aa\nAN to-levels.shop.example 300 CNAME levels.shop.example\n"
     "AN levels.shop.example 30 CNAME two.shop.example\n"
     "AN two.shop.example 300 AAAA 2001:db8::1\n"},
    /* not ours */
    {"www.elsewhere.example", DNS_A, "REFUSED\n"},
    {"example", DNS_A, "REFUSED\n"},
    {".", DNS_NS, "REFUSED\n"},
    {"shop.example", DNS_AXFR, "REFUSED\n"},
    {"shop.example", DNS_IXFR, "REFUSED\n"},
};

static void R1_zone_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof zone_cases / sizeof *zone_cases; i++) {
        struct query_form form = {.name = zone_cases[i].name, .type = zone_cases[i].type};
        expect(&form, false, zone_cases[i].expected);
        expect(&form, true, zone_cases[i].expected);
    }
}

struct edns_case {
    struct query_form form;
    const char *expected;
};

static const struct edns_case edns_cases[] = {
    {{"a1.shop.example", DNS_A, .udp_bytes = 4096},
     "NXDOMAIN aa\nAU shop.example 60 " SOA_LINE "OPT 1232\n"},
    {{"two.shop.example", DNS_AAAA, .udp_bytes = 1, .is_dnssec_ok = true},
     "NOERROR aa\nAN two.shop.example 300 AAAA 2001:db8::1\nOPT 1232 do\n"},
    {{"two.shop.example", DNS_AAAA, .udp_bytes = 1232, .edns_version = 1}, "BADVERS\nOPT 1232\n"},
    {{"elsewhere.example", DNS_A, .udp_bytes = 1232}, "REFUSED\nOPT 1232 15:0014\n"},
    {{"version.bind", DNS_TXT, .class = 3}, "REFUSED\n"},
    {{"two.shop.example", DNS_A, .class = 255}, "REFUSED\n"},
};

static void edns_and_classes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof edns_cases / sizeof *edns_cases; i++)
        expect(&edns_cases[i].form, false, edns_cases[i].expected);
}

/* 40 addresses: 12 + 22 + 40 * 16 bytes; 100 more TXT strings over UDP never. */
static void truncation_follows_the_clients_limit(void **state)
{
    (void)state;
    static uint8_t query[512], out[DNS_TCP_BYTES];
    const struct {
        const char *name;
        uint16_t type, udp_bytes;
        bool is_tcp, is_truncated;
        size_t most;
    } cases[] = {
        {"many.shop.example", DNS_A, 0, false, true, 512},
        {"many.shop.example", DNS_A, 600, false, true, 600},
        {"many.shop.example", DNS_A, 700, false, false, 700},
        {"many.shop.example", DNS_A, 4096, false, false, 1232},
        {"big.shop.example", DNS_TXT, 4096, false, true, 1232},
        {"big.shop.example", DNS_TXT, 4096, true, false, DNS_TCP_BYTES},
        {"big.shop.example", DNS_TXT, 0, true, false, DNS_TCP_BYTES},
        {"glue.shop.example", DNS_A, 0, false, true, 512}, /* RFC 9471 */
        {"glue.shop.example", DNS_A, 1232, false, false, 1232},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct query_form form = {.name = cases[i].name,
                                  .type = cases[i].type,
                                  .udp_bytes = cases[i].udp_bytes};
        struct dns_outcome outcome;
        size_t length = query_write(&form, query);
        length = ask(span_of(query, length), cases[i].is_tcp, out, sizeof out, &outcome);
        struct text text = {0};
        assert_true(message_text(span_of(out, length), &text));
        assert_int_equal(outcome.is_truncated, cases[i].is_truncated);
        assert_int_equal(strstr(text.data, " tc\n") != NULL, cases[i].is_truncated);
        assert_true(length <= cases[i].most);
        if (cases[i].is_truncated)
            assert_null(strstr(text.data, "AN "));
        text_clear(&text);
    }
}

static void header_bits_are_copied_or_zero(void **state)
{
    (void)state;
    uint8_t query[512], out[DNS_UDP_BYTES];
    struct dns_outcome outcome;
    struct query_form form = {.name = "two.shop.example", .type = DNS_A, .flags = 0x0130};
    size_t length =
        ask(span_of(query, query_write(&form, query)), false, out, sizeof out, &outcome);
    assert_true(length > DNS_HEADER_BYTES);
    assert_int_equal(load_u16(out + 2), 0x8510); /* QR AA RD CD; AD, RA and Z zero */
    form.flags = 0x1000 | 0x0100;                /* STATUS' opcode 2 */
    length = ask(span_of(query, query_write(&form, query)), false, out, sizeof out, &outcome);
    assert_int_equal(length, DNS_HEADER_BYTES);
    assert_int_equal(load_u16(out + 2), 0x9104);
    assert_int_equal(outcome.rcode, DNS_NOTIMP);
    assert_false(outcome.is_malformed);
    form.flags = 0x2000; /* NOTIFY: we are nobody's secondary */
    length = ask(span_of(query, query_write(&form, query)), false, out, sizeof out, &outcome);
    assert_int_equal(load_u16(out + 2), 0xa005);
    assert_true(outcome.is_notify);
}

/* The question comes back letter by letter, the rest is compressed onto it. */
static void case_is_kept_and_names_are_compressed(void **state)
{
    (void)state;
    uint8_t query[512], out[DNS_UDP_BYTES];
    struct dns_outcome outcome;
    struct query_form form = {.name = "NoNe.sHoP.eXaMpLe", .type = DNS_A};
    size_t asked = query_write(&form, query);
    size_t length = ask(span_of(query, asked), false, out, sizeof out, &outcome);
    assert_memory_equal(out + 12, query + 12, asked - 12);
    /* SOA: pointer, 10 bytes, "ns1" + pointer, "hostmaster" + pointer, 20 bytes */
    assert_int_equal(length, asked + 2 + 10 + 4 + 2 + 11 + 2 + 20);
}

#define HEADER                  "\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"
#define HEADER_WITH(an, ns, ad) "\x12\x34\x00\x00\x00\x01\x00" an "\x00" ns "\x00" ad
#define QUESTION                "\3two\4shop\7example\0\0\1\0\1"
#define OPT                     "\0\0\x29\x10\0\0\0\0\0\0\0"

static const struct {
    const char *what;
    struct span message;
    bool is_dropped;
} malformed[] = {
    {"empty", SPAN(""), true},
    {"eleven bytes", SPAN("\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00"), true},
    {"an answer", SPAN("\x12\x34\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00" QUESTION), true},
    {"header alone", SPAN(HEADER), false},
    {"no question", SPAN("\x12\x34\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), false},
    {"two questions", SPAN("\x12\x34\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00" QUESTION QUESTION),
     false},
    {"name without end", SPAN(HEADER "\3two\4shop"), false},
    {"name ends at its root", SPAN(HEADER "\3two\0"), false},
    {"no class", SPAN(HEADER "\3two\0\0\1"), false},
    {"half a class", SPAN(HEADER "\3two\0\0\1\0"), false},
    {"label of 64 bytes",
     SPAN(HEADER "\x40xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\0\0\1\0\1"),
     false},
    {"extended label 0x80", SPAN(HEADER "\x80xx\0\0\1\0\1"), false},
    {"pointer to itself", SPAN(HEADER "\xc0\x0c\0\1\0\1"), false},
    {"pointer into the header", SPAN(HEADER "\3two\xc0\x00\0\1\0\1"), false},
    {"pointer forwards", SPAN(HEADER "\3two\xc0\x20\0\1\0\1"), false},
    {"half a pointer", SPAN(HEADER "\3two\xc0"), false},
    {"trailing byte", SPAN(HEADER QUESTION "x"), false},
    {"additional record missing", SPAN(HEADER_WITH("\0", "\0", "\1") QUESTION), false},
    {"answer record missing", SPAN(HEADER_WITH("\1", "\0", "\0") QUESTION), false},
    {"OPT cut short", SPAN(HEADER_WITH("\0", "\0", "\1") QUESTION "\0\0\x29\x10\0\0\0\0\0\0"),
     false},
    {"OPT rdata cut short",
     SPAN(HEADER_WITH("\0", "\0", "\1") QUESTION "\0\0\x29\x10\0\0\0\0\0\0\4ab"), false},
    {"OPT with half an option",
     SPAN(HEADER_WITH("\0", "\0", "\1") QUESTION "\0\0\x29\x10\0\0\0\0\0\0\3\0\x08\0"), false},
    {"OPT option longer than the record",
     SPAN(HEADER_WITH("\0", "\0", "\1") QUESTION "\0\0\x29\x10\0\0\0\0\0\0\5\0\x08\0\2x"), false},
    {"OPT twice", SPAN(HEADER_WITH("\0", "\0", "\2") QUESTION OPT OPT), false},
    {"OPT with a name", SPAN(HEADER_WITH("\0", "\0", "\1") QUESTION "\1x" OPT), false},
    {"OPT among the answers", SPAN(HEADER_WITH("\1", "\0", "\0") QUESTION OPT), false},
    {"OPT in the authority section", SPAN(HEADER_WITH("\0", "\1", "\0") QUESTION OPT), false},
    {"more records than bytes", SPAN(HEADER_WITH("\0", "\xff", "\xff") QUESTION OPT), false},
};

static void malformed_messages_get_formerr_or_nothing(void **state)
{
    (void)state;
    uint8_t out[DNS_UDP_BYTES];
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        struct dns_outcome outcome;
        size_t length = ask(malformed[i].message, false, out, sizeof out, &outcome);
        if (!outcome.is_malformed)
            fail_msg("%s: not noticed", malformed[i].what);
        if (malformed[i].is_dropped) {
            assert_int_equal(length, 0);
            continue;
        }
        struct text text = {0};
        if (!message_text(span_of(out, length), &text) || outcome.rcode != DNS_FORMERR)
            fail_msg("%s: rcode %u", malformed[i].what, outcome.rcode);
        assert_true(length <= malformed[i].message.length + 11); /* nothing to amplify */
        text_clear(&text);
    }
}

/* RFC 6891 section 6.1.2: options are ignored; other records beside OPT are none of our business. */
static void unknown_options_and_records_are_ignored(void **state)
{
    (void)state;
    uint8_t out[DNS_UDP_BYTES];
    const struct span queries[] = {
        SPAN(HEADER_WITH("\0", "\0", "\1") QUESTION
             "\0\0\x29\x10\0\0\0\0\0\0\x0e\xff\xfd\0\2ab\xff\xfe\0\4wxyz"),
        SPAN(HEADER_WITH("\0", "\0", "\2") QUESTION "\xc0\x0c\0\1\0\1\0\0\0\0\0\4abcd" OPT),
        SPAN(HEADER_WITH("\0", "\0", "\2") QUESTION OPT "\1k\0\0\xf9\0\xff\0\0\0\0\0\1x"),
    };
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        struct dns_outcome outcome;
        struct text text = {0};
        size_t length = ask(queries[i], false, out, sizeof out, &outcome);
        assert_true(message_text(span_of(out, length), &text));
        assert_string_equal(text.data, "NOERROR aa\nAN two.shop.example 300 A 192.0.2.1\n"
                                       "AN two.shop.example 300 A 192.0.2.2\nOPT 1232\n");
        text_clear(&text);
    }
}

/* The caller checks it first, and asks again without it. */
static void signed_queries_are_left_to_the_caller(void **state)
{
    (void)state;
    uint8_t out[DNS_UDP_BYTES];
    struct dns_outcome outcome;
    const struct span query =
        SPAN(HEADER_WITH("\0", "\0", "\1") QUESTION "\1k\0\0\xfa\0\xff\0\0\0\0\0\1x");
    assert_int_equal(ask(query, false, out, sizeof out, &outcome), 0);
    assert_true(outcome.has_tsig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R1_zone_answers),
        cmocka_unit_test(edns_and_classes),
        cmocka_unit_test(truncation_follows_the_clients_limit),
        cmocka_unit_test(header_bits_are_copied_or_zero),
        cmocka_unit_test(case_is_kept_and_names_are_compressed),
        cmocka_unit_test(malformed_messages_get_formerr_or_nothing),
        cmocka_unit_test(unknown_options_and_records_are_ignored),
        cmocka_unit_test(signed_queries_are_left_to_the_caller),
    };
    int failed = cmocka_run_group_tests_name("dns/answer", tests, NULL, NULL);
    fixture_free();
    return failed;
}
