/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "crypto/crypto.h"
#include "dns/dns.h"
#include "message_text.h"
#include "zone_fixture.h"

#include <stdio.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { NOW_S = 1700000000, NAMES = 2000 };

static uint8_t out[DNS_TCP_BYTES];

static struct dns_name name_of(const char *text)
{
    struct dns_name name;
    assert_int_equal(dns_name_parse(span_text(text), NULL, &name), 0);
    dns_name_lower(&name);
    return name;
}

/* Version `serial`: names h0 ... with an address each, `changed` having another one and `gone` none. */
static struct dns_zones *make_zones(unsigned serial, int changed, int gone)
{
    struct dns_name apex = name_of("a.example"), other = name_of("b.example"),
                    host = name_of("www.a.example");
    struct dns_builder *builder = dns_builder_new(serial);
    char soa[64];
    dns_builder_add_zone(builder, &other);
    dns_builder_add_zone(builder, &apex);
    snprintf(soa, sizeof soa, "n h %u 2 3 4 5", serial);
    dns_builder_add_text(builder, &apex, "SOA", 60, soa, &apex);
    dns_builder_add_text(builder, &apex, "NS", 60, "n", &apex);
    dns_builder_add_text(builder, &other, "SOA", 60, "n h 1 2 3 4 5", &other);
    dns_builder_add_text(builder, &other, "NS", 60, "n", &other);
    dns_builder_add_computed(builder, &host, 0);
    for (int i = 0; i < NAMES; i++) {
        char text[32];
        snprintf(text, sizeof text, "h%d", i);
        struct dns_name owner;
        assert_int_equal(dns_name_parse(span_text(text), &apex, &owner), 0);
        snprintf(text, sizeof text, "10.%d.%d.%d", i == changed, i / 256, i % 256);
        if (i != gone)
            dns_builder_add_text(builder, &owner, "A", 60, text, &apex);
    }
    struct text complaints = {0};
    struct dns_zones *zones = dns_builder_finish(&builder, &complaints);
    assert_non_null(zones);
    return zones;
}

static const struct dns_zone *zone_of(const struct dns_zones *zones)
{
    struct dns_name apex = name_of("a.example");
    return dns_zones_zone(zones, &apex);
}

static void find(const void *context, uint32_t site, const struct dns_client *client,
                 struct dns_choice *choice)
{
    static const struct dns_addresses addresses = {.ttl_s = 20,
                                                   .ipv4_count = 1,
                                                   .ipv4 = {{1, 2, 3, 4}}};
    (void)context;
    (void)site;
    assert_int_equal(client->bits, 0);
    choice->addresses = &addresses;
}

/* All messages as text, without the lines of their headers. */
static void copy_of(struct dns_transfer *transfer, struct text *text, unsigned *messages)
{
    const struct dns_source source = {.zones = transfer->zones, .find = find};
    size_t length;
    for (*messages = 0; (length = dns_transfer_next(transfer, &source, NULL, out, sizeof out));
         ++*messages) {
        struct text message = {0};
        assert_true(message_text(span_of(out, length), &message));
        struct span rest = text_span(&message);
        text_add_span(text, span_from(rest, span_find(rest, '\n') + 1));
        text_clear(&message);
    }
}

static unsigned lines_with(const struct text *text, const char *what)
{
    unsigned count = 0;
    for (const char *at = text->data; (at = strstr(at, what)); at++)
        count++;
    return count;
}

static struct dns_transfer_request request_of(bool is_incremental, uint32_t serial)
{
    return (struct dns_transfer_request){
        .zone = name_of("a.example"), .id = 7, .is_incremental = is_incremental, .serial = serial};
}

static void R1_a_whole_zone_over_many_messages(void **state)
{
    (void)state;
    struct dns_zones *zones = make_zones(5, -1, -1);
    for (int leaves_out = 0; leaves_out < 2; leaves_out++) {
        struct dns_transfer_request request = request_of(false, 0);
        struct dns_transfer transfer;
        struct text text = {0};
        unsigned messages;
        dns_transfer_begin(&transfer, &request, zones, zone_of(zones), NULL, 0, leaves_out);
        copy_of(&transfer, &text, &messages);
        assert_true(messages > 1);
        assert_int_equal(lines_with(&text, " SOA "), 2);
        assert_int_equal(lines_with(&text, "AN h"), NAMES);
        assert_int_equal(lines_with(&text, "AN www.a.example 20 A 1.2.3.4\n"), !leaves_out);
        assert_int_equal(lines_with(&text, "b.example"), 0);
        assert_int_equal(transfer.records, NAMES + 3 + !leaves_out);
        text_clear(&text);
    }
    dns_zones_free(zones);
}

/* What the zone signs is signed, delegations and glue are not; each name has its proof; a zone of ours below is its delegation. */
static void R1_a_signed_copy_has_what_proves_it(void **state)
{
    (void)state;
    static const struct {
        const char *owner;
        unsigned records;
    } cases[] = {
        {"AN two.shop.example ", 2 + 1 + 1 + 1 + 2}, /* A, AAAA, and signatures; NSEC */
        {"AN *.wild.shop.example ", 1 + 1 + 2},
        {"AN sub.shop.example ", 2 + 2},
        {"AN ns.sub.shop.example ", 1},
        {"AN own.shop.example ", 1 + 2},
        {"AN www.own.shop.example ", 0},
        {"AN in.ent.shop.example ", 0},
        {"AN shop.example ", 2 + 1 + 2 + 1 + 1 + 1 + 2 + 1 + 1 + 1 + 1 + 1 + 2},
    };
    const struct dns_source *source = fixture_signed(false);
    const struct dns_request signer = {.wall_s = 1700000000, .signer = fixture_signer()};
    struct dns_transfer_request request = {.zone = name_of("shop.example"), .id = 7};
    const struct dns_zone *zone = dns_zones_zone(source->zones, &request.zone);
    struct dns_transfer transfer;
    struct text text = {0};
    dns_transfer_begin(&transfer, &request, source->zones, zone, NULL, 0, true);
    for (size_t length; (length = dns_transfer_next(&transfer, source, &signer, out, sizeof out));)
        assert_true(message_text(span_of(out, length), &text));
    assert_false(transfer.is_cut);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (lines_with(&text, cases[i].owner) != cases[i].records)
            fail_msg("%s: %u", cases[i].owner, lines_with(&text, cases[i].owner));
    text_clear(&text);

    dns_transfer_begin(&transfer, &request, source->zones, zone, NULL, 0, true);
    assert_int_equal(dns_transfer_next(&transfer, NULL, &signer, out, sizeof out), 0);
    assert_true(transfer.is_cut); /* rather none than one without signatures */
}

static void R1_differences_are_what_changed(void **state)
{
    (void)state;
    struct dns_zones *versions[] = {make_zones(4294967295u, -1, -1), make_zones(1, 7, -1),
                                    make_zones(2, 7, 9)};
    const struct dns_difference *steps[2];
    for (size_t i = 0; i < 2; i++) {
        assert_true(dns_serial_is_newer(dns_zone_serial(zone_of(versions[i + 1])),
                                        dns_zone_serial(zone_of(versions[i]))));
        steps[i] = dns_difference_new(versions[i], zone_of(versions[i]), versions[i + 1],
                                      zone_of(versions[i + 1]), 100000);
        assert_non_null(steps[i]);
    }
    static const struct {
        uint32_t serial;
        unsigned soas, records;
    } cases[] = {
        {4294967295u, 6, 9},         /* both steps */
        {1, 4, 5},                   /* the last one */
        {2, 1, 1},                   /* up to date */
        {3, 1, 1},                   /* newer than we are */
        {4294967290u, 2, NAMES + 3}, /* before all that we know: the whole zone */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dns_transfer_request request = request_of(true, cases[i].serial);
        struct dns_transfer transfer;
        struct text text = {0};
        unsigned messages;
        dns_transfer_begin(&transfer, &request, versions[2], zone_of(versions[2]), steps, 2, true);
        copy_of(&transfer, &text, &messages);
        assert_int_equal(lines_with(&text, " SOA "), cases[i].soas);
        if (i < 4)
            assert_int_equal(transfer.records, cases[i].records);
        text_clear(&text);
    }
    assert_null(dns_difference_new(versions[0], zone_of(versions[0]), versions[2],
                                   zone_of(versions[2]), 50));
    assert_true(
        dns_zones_differ(versions[0], zone_of(versions[0]), versions[1], zone_of(versions[1])));
    struct dns_zones *again = make_zones(17, 7, 9);
    assert_false(dns_zones_differ(versions[2], zone_of(versions[2]), again, zone_of(again)));
    dns_zones_free(again);
    for (size_t i = 0; i < 2; i++)
        dns_difference_free((struct dns_difference *)(uintptr_t)steps[i]);
    for (size_t i = 0; i < 3; i++)
        dns_zones_free(versions[i]);
}

static void mac(unsigned algorithm, struct span key, const struct span *parts, size_t count,
                uint8_t to[DNS_TSIG_MAC_BYTES])
{
    crypto_mac((enum mac_kind)algorithm, key, parts, count, to);
}

static void R1_signatures_are_checked(void **state)
{
    (void)state;
    for (unsigned algorithm = 0; algorithm < DNS_TSIG_ALGORITHMS; algorithm++) {
        struct dns_tsig_key key = {name_of("key"), algorithm, SPAN("0123456789abcdef"), mac};
        struct dns_tsig_record record;
        struct dns_tsig tsig;
        uint8_t message[512] = {0, 7, 0, 0, 0, 1, [12] = 1, 'a', 0, 0, 252, 0, 1};
        dns_tsig_begin(&tsig, &key, 7, NOW_S);
        size_t length = dns_tsig_sign(&tsig, message, 19, NOW_S);
        assert_true(length <= 19 + dns_tsig_bytes(&tsig));
        struct span whole = span_of(message, length);
        assert_int_equal(dns_tsig_read(whole, &record), 0);
        assert_int_equal(record.offset, 19);
        dns_tsig_check(whole, &record, &key, 1, NOW_S + 300, &tsig);
        assert_int_equal(tsig.error, 0);
        dns_tsig_check(whole, &record, &key, 1, NOW_S + 301, &tsig);
        assert_int_equal(tsig.error, DNS_TSIG_BADTIME);
        dns_tsig_check(whole, &record, &key, 0, NOW_S, &tsig);
        assert_int_equal(tsig.error, DNS_TSIG_BADKEY);
        for (size_t i = 0; i < length; i++) { /* every bit is signed, or the message is malformed */
            if (i >= 10 && i < 12)
                continue; /* the number of records, which tells where the signature is */
            message[i] ^= 1;
            bool is_header_id = i < 2; /* told again in the record, RFC 8945 section 5.1 */
            if (dns_tsig_read(whole, &record) == 0) {
                dns_tsig_check(whole, &record, &key, 1, NOW_S, &tsig);
                assert_true(is_header_id || tsig.error != 0);
            }
            message[i] ^= 1;
        }
    }
}

static void requests_are_told_from_queries(void **state)
{
    (void)state;
    struct dns_transfer_request request;
    struct span ixfr =
        SPAN("\0\7\0\0\0\1\0\0\0\1\0\0\1A\7example\0\0\xfb\0\1\xc0\x0c\0\6\0\1\0\0\0\0\0\x16"
             "\0\0\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_int_equal(dns_transfer_read(ixfr, &request), 0);
    assert_true(request.is_incremental);
    assert_int_equal(request.serial, 5);
    assert_memory_equal(request.zone.wire, "\1a\7example", 11);
    assert_int_equal(dns_transfer_read(SPAN("\0\7\0\0\0\1\0\0\0\0\0\0\1a\0\0\xfb\0\1"), &request),
                     ERROR_INVALID);
    assert_int_equal(dns_transfer_read(SPAN("\0\7\0\0\0\1\0\0\0\0\0\0\1a\0\0\xfc\0\1"), &request),
                     0);
    assert_int_equal(dns_transfer_read(SPAN("\0\7\0\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"), &request),
                     ERROR_NOT_FOUND);
    assert_int_equal(dns_transfer_read(SPAN("\0\7\x80\0\0\1\0\0\0\0\0\0\1a\0\0\xfc\0\1"), &request),
                     ERROR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R1_a_whole_zone_over_many_messages),
        cmocka_unit_test(R1_a_signed_copy_has_what_proves_it),
        cmocka_unit_test(R1_differences_are_what_changed),
        cmocka_unit_test(R1_signatures_are_checked),
        cmocka_unit_test(requests_are_told_from_queries),
    };
    int failed = cmocka_run_group_tests_name("dns/transfer", tests, NULL, NULL);
    fixture_free();
    return failed;
}
