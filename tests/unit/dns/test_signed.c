/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed answers: which sets are signed, by whom, with which labels, and what proves what is not there (RFC 4035 section 3.1,
 * RFC 9824). Whether the signatures hold is for validators to say: tests/system/test_dnssec.py.
 */
#include "base/bytes.h"
#include "dns/types.h"
#include "message_text.h"
#include "zone_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static size_t ask(const char *name, uint16_t type, bool is_tcp, bool is_compact,
                  uint8_t out[DNS_TCP_BYTES])
{
    static const struct address client = {.family = 4, .bytes = {192, 0, 2, 1}};
    uint8_t query[512];
    struct query_form form = {.name = name, .type = type, .udp_bytes = 1232, .is_dnssec_ok = true};
    size_t length = query_write(&form, query);
    struct dns_request request = {.message = span_of(query, length),
                                  .client = &client,
                                  .is_tcp = is_tcp,
                                  .wall_s = 1800000000,
                                  .signer = fixture_signer()};
    struct dns_outcome outcome;
    return dns_answer(fixture_signed(is_compact), &request, out,
                      is_tcp ? DNS_TCP_BYTES : DNS_UDP_BYTES, &outcome);
}

static void add_types(struct text *text, struct span bitmap)
{
    while (bitmap.length > 2) {
        for (unsigned i = 0; i < 8u * bitmap.data[1]; i++)
            if (bitmap.data[2 + i / 8] >> (7 - i % 8) & 1) {
                const char *name = dns_type_name((uint16_t)((unsigned)bitmap.data[0] << 8 | i));
                text_add_format(text, " %s", name ? name : i == DNS_NXNAME ? "NXNAME" : "?");
            }
        bitmap = span_from(bitmap, 2u + bitmap.data[1]);
    }
}

/* A line for each record: section, owner, type; of RRSIG what it covers and its labels, of NSEC all of it. */
static char *describe(struct span message, struct text *text)
{
    static const char *const sections[] = {"AN", "AU", "AD"};
    struct dns_name name;
    char out[DNS_NAME_TEXT_BYTES];
    size_t at = DNS_HEADER_BYTES;
    text_add_format(text, "%u%s\n", message.data[3] & 15, message.data[2] & 2 ? " tc" : "");
    assert_int_equal(dns_name_read(message, &at, &name), 0);
    at += 4;
    for (unsigned section = 0; section < 3; section++)
        for (unsigned n = load_u16(message.data + 6 + 2 * section); n; n--) {
            assert_int_equal(dns_name_read(message, &at, &name), 0);
            uint16_t type = load_u16(message.data + at), length = load_u16(message.data + at + 8);
            uint32_t ttl_s = load_u32(message.data + at + 4);
            const uint8_t *data = message.data + at + 10;
            at += 10u + length;
            if (type == DNS_OPT)
                continue;
            text_add_format(text, "%s %s %u %s", sections[section], dns_name_text(&name, out),
                            ttl_s, dns_type_name(type));
            if (type == DNS_RRSIG)
                text_add_format(text, " %s %u", dns_type_name(load_u16(data)), data[3]);
            size_t next = (size_t)(data - message.data);
            if (type == DNS_NSEC) {
                assert_int_equal(dns_name_read(message, &next, &name), 0);
                text_add_format(text, " %s", dns_name_text(&name, out));
                add_types(text, span_of(message.data + next, at - next));
            }
            text_add(text, "\n");
        }
    assert_int_equal(at, message.length);
    return text->data;
}

#define SOA "AU shop.example 60 SOA\nAU shop.example 60 RRSIG SOA 2\n"
#define APEX_NSEC                                                                 \
    "AU shop.example 60 NSEC alias.shop.example NS SOA MX RRSIG NSEC DNSKEY CDS " \
    "CDNSKEY\nAU shop.example 60 RRSIG NSEC 2\n"

static const struct {
    const char *name;
    uint16_t type;
    const char *chained, *compact; /* NULL: not asked */
} cases[] = {
    {"two.shop.example", DNS_AAAA,
     "0\nAN two.shop.example 300 AAAA\nAN two.shop.example 300 RRSIG AAAA 3\n",
     "0\nAN two.shop.example 300 AAAA\nAN two.shop.example 300 RRSIG AAAA 3\n"},
    {"www.shop.example", DNS_A,
     "0\nAN www.shop.example 20 A\nAN www.shop.example 20 A\nAN www.shop.example 20 RRSIG A 3\n",
     NULL},
    {"shop.example", DNS_DNSKEY,
     "0\nAN shop.example 3600 DNSKEY\nAN shop.example 3600 DNSKEY\n"
     "AN shop.example 3600 RRSIG DNSKEY 2\n",
     NULL},
    /* no such name: what covers it, and the wildcard that is not there */
    {"a1.shop.example", DNS_A, "3\n" SOA APEX_NSEC,
     "0\n" SOA "AU a1.shop.example 60 NSEC \\000.a1.shop.example RRSIG NSEC NXNAME\n"
     "AU a1.shop.example 60 RRSIG NSEC 3\n"},
    /* no such type; a computed name without IPv6 now, for as long as that is sure */
    {"two.shop.example", DNS_TXT,
     "0\n" SOA "AU two.shop.example 60 NSEC txt.shop.example A AAAA RRSIG NSEC\n"
     "AU two.shop.example 60 RRSIG NSEC 3\n",
     "0\n" SOA "AU two.shop.example 60 NSEC \\000.two.shop.example A AAAA RRSIG NSEC\n"
     "AU two.shop.example 60 RRSIG NSEC 3\n"},
    {"four.shop.example", DNS_AAAA,
     "0\nAU shop.example 20 SOA\nAU shop.example 20 RRSIG SOA 2\n"
     "AU four.shop.example 20 NSEC glue.shop.example A RRSIG NSEC\n"
     "AU four.shop.example 20 RRSIG NSEC 3\n",
     NULL},
    /* an empty name is covered, by a link whose next is below it */
    {"ent.shop.example", DNS_A,
     "0\n" SOA "AU broken.shop.example 60 NSEC deep.in.ent.shop.example CNAME RRSIG NSEC\n"
     "AU broken.shop.example 60 RRSIG NSEC 3\n",
     "0\n" SOA "AU ent.shop.example 60 NSEC \\000.ent.shop.example RRSIG NSEC\n"
     "AU ent.shop.example 60 RRSIG NSEC 3\n"},
    /* wildcards: signed as what they are, and that nothing nearer is there */
    {"any.wild.shop.example", DNS_A,
     "0\nAN any.wild.shop.example 300 A\nAN any.wild.shop.example 300 RRSIG A 3\n"
     "AU *.wild.shop.example 60 NSEC real.wild.shop.example A RRSIG NSEC\n"
     "AU *.wild.shop.example 60 RRSIG NSEC 3\n",
     "0\nAN any.wild.shop.example 300 A\nAN any.wild.shop.example 300 RRSIG A 4\n"},
    {"*.wild.shop.example", DNS_A,
     "0\nAN *.wild.shop.example 300 A\nAN *.wild.shop.example 300 RRSIG A 3\n", NULL},
    {"zz.wild.shop.example", DNS_TXT,
     "0\n" SOA "AU real.wild.shop.example 60 NSEC www.shop.example TXT RRSIG NSEC\n"
     "AU real.wild.shop.example 60 RRSIG NSEC 4\n"
     "AU *.wild.shop.example 60 NSEC real.wild.shop.example A RRSIG NSEC\n"
     "AU *.wild.shop.example 60 RRSIG NSEC 3\n",
     NULL},
    /* delegations: not signed here, nothing below them; glue is nobody's */
    {"x.sub.shop.example", DNS_A,
     "0\nAU sub.shop.example 900 NS\nAU sub.shop.example 900 NS\n"
     "AU sub.shop.example 60 NSEC to-levels.shop.example NS RRSIG NSEC\n"
     "AU sub.shop.example 60 RRSIG NSEC 3\nAD ns.sub.shop.example 900 A\n",
     NULL},
    {"sub.shop.example", DNS_DS,
     "0\n" SOA "AU sub.shop.example 60 NSEC to-levels.shop.example NS RRSIG NSEC\n"
     "AU sub.shop.example 60 RRSIG NSEC 3\n",
     NULL},
    /* a zone of ours below ours: its DS is the upper one's to deny */
    {"own.shop.example", DNS_DS,
     "0\n" SOA "AU own.shop.example 60 NSEC pool.shop.example NS RRSIG NSEC\n"
     "AU own.shop.example 60 RRSIG NSEC 3\n",
     NULL},
    {"own.shop.example", DNS_MX,
     "0\nAU own.shop.example 30 SOA\nAU own.shop.example 30 RRSIG SOA 3\n"
     "AU own.shop.example 30 NSEC www.own.shop.example NS SOA RRSIG NSEC DNSKEY CDS CDNSKEY\n"
     "AU own.shop.example 30 RRSIG NSEC 3\n",
     NULL},
    {"lost.shop.example", DNS_A, "2\n", "2\n"},
    {"www.elsewhere.example", DNS_A, "5\n", "5\n"},
};

static void R1_signed_answers_and_denials(void **state)
{
    (void)state;
    static uint8_t out[DNS_TCP_BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int is_compact = 0; is_compact < 2; is_compact++)
            for (int is_tcp = 0; is_tcp < 2; is_tcp++) {
                const char *expected = is_compact ? cases[i].compact : cases[i].chained;
                if (!expected)
                    continue;
                struct text text = {0};
                size_t length = ask(cases[i].name, cases[i].type, is_tcp, is_compact, out);
                assert_string_equal(describe(span_of(out, length), &text), expected);
                text_clear(&text);
            }
}

/* What was signed once is signed no more, in whatever order its addresses come. */
static void signatures_are_kept(void **state)
{
    (void)state;
    static uint8_t out[DNS_TCP_BYTES];
    struct dns_signer *signer = fixture_signer();
    ask("two.shop.example", DNS_A, true, false, out);
    uint64_t made = signer->made, kept = signer->kept;
    for (int i = 0; i < 10; i++)
        ask("two.shop.example", DNS_A, i & 1, false, out);
    assert_int_equal(signer->made, made);
    assert_int_equal(signer->kept, kept + 10);
}

/* Sets with their signatures are whole, or the client comes over TCP. */
static void what_does_not_fit_is_truncated(void **state)
{
    (void)state;
    static uint8_t out[DNS_TCP_BYTES];
    struct text text = {0};
    size_t length = ask("big.shop.example", DNS_TXT, false, false, out);
    assert_true(length <= DNS_UDP_BYTES);
    assert_string_equal(describe(span_of(out, length), &text), "0 tc\n");
    text_clear(&text);
    length = ask("big.shop.example", DNS_TXT, true, false, out);
    assert_non_null(strstr(describe(span_of(out, length), &text), "RRSIG TXT 3"));
    text_clear(&text);
}

static int end(void **state)
{
    (void)state;
    fixture_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R1_signed_answers_and_denials),
        cmocka_unit_test(signatures_are_kept),
        cmocka_unit_test(what_does_not_fit_is_truncated),
    };
    return cmocka_run_group_tests_name("dns_signed", tests, NULL, end);
}
