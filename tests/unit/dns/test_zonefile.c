/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/dns.h"

#include <stdio.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

struct dump {
    struct text records;
    unsigned strays;
};

static void on_record(void *context, const struct dns_name *owner, uint16_t type, uint32_t ttl_s,
                      struct span rdata)
{
    struct dump *dump = context;
    char name[DNS_NAME_TEXT_BYTES], type_text[DNS_TYPE_TEXT_BYTES];
    text_add_format(&dump->records, "%s %u %s ", dns_name_text(owner, name), ttl_s,
                    dns_type_text(type, type_text));
    for (size_t i = 0; i < rdata.length; i++)
        text_add_format(&dump->records, "%02x", rdata.data[i]);
    text_add(&dump->records, "\n");
}

static void on_stray(void *context, const struct dns_name *owner, const char *path, uint32_t line)
{
    (void)owner;
    (void)path;
    (void)line;
    ((struct dump *)context)->strays++;
}

static int include(void *context, const char *path, struct span *content, struct text *why)
{
    (void)context;
    *content = strcmp(path, "zones/sub/hosts") == 0 ? SPAN("h A 1.1.1.1\n$ORIGIN x\n@ A 2.2.2.2\n")
               : strcmp(path, "zones/loop") == 0    ? SPAN("$INCLUDE loop\n")
               : strcmp(path, "zones/mistake") == 0 ? SPAN("\n  oops\n")
                                                    : (struct span){0};
    if (content->data)
        return 0;
    text_add(why, "No such file");
    return ERROR_NOT_FOUND;
}

static int parse(const char *text, struct dump *dump, struct text *complaints)
{
    struct dns_name apex;
    assert_int_equal(dns_name_parse(SPAN("a.example"), NULL, &apex), 0);
    struct dns_zonefile zonefile = {.path = "zones/a",
                                    .apex = &apex,
                                    .context = dump,
                                    .include = include,
                                    .on_record = on_record,
                                    .on_stray = on_stray};
    return dns_zonefile_parse(&zonefile, span_text(text), complaints);
}

static const struct {
    const char *text, *records;
} good[] = {
    {"", ""},
    {"\n  \n ; only a remark\n;and another", ""},
    {"$TTL 5\n@ A 1.2.3.4", "a.example 5 A 01020304\n"},
    {"w 5 A 1.2.3.4\n  A 1.2.3.5\n", "w.a.example 5 A 01020304\nw.a.example 5 A 01020305\n"},
    {"w 1h30m IN A 1.2.3.4\nv IN 1W A 1.2.3.5\nu in a 1.2.3.6\r\n",
     "w.a.example 5400 A 01020304\nv.a.example 604800 A 01020305\nu.a.example 604800 A 01020306\n"},
    {"@ SOA n h 1 2 3 4 77\nw A 1.2.3.4\n",
     "a.example 77 SOA 016e0161076578616d706c65000168016107657861"
     "6d706c6500000000010000000200000003000000040000004d\n"
     "w.a.example 77 A 01020304\n"},
    {"$TTL 1m\n$ORIGIN b\nw A 1.2.3.4\n$ORIGIN c.a.example.\nw A 1.2.3.5\n",
     "w.b.a.example 60 A 01020304\nw.c.a.example 60 A 01020305\n"},
    {"w 1 ( A ; in here\n\n 1.2.3.4 ) ; done\n A ((1.2.3.5)\n)",
     "w.a.example 1 A 01020304\nw.a.example 1 A 01020305\n"},
    {"w 1 TXT \"a;b(\" c\\;d \"e\\\"f\\065\" \"\"\n", "w.a.example 1 TXT 04613b6228"
                                                      "03633b64"
                                                      "0465226641"
                                                      "00\n"},
    {"a\\.b\\065 1 A 1.2.3.4\n", "a\\.bA.a.example 1 A 01020304\n"},
    {"in 1 A 1.2.3.4\nA 2 A 1.2.3.4\n3 A 1.2.3.4\n",
     "in.a.example 1 A 01020304\nA.a.example 2 A 01020304\n3.a.example 2 A 01020304\n"},
    {"w 1 TYPE65280 \\# 4 0a 00 00 01\n", "w.a.example 1 TYPE65280 0a000001\n"},
    {"w 1 TYPE1 \\# 4 0a000001\n", "w.a.example 1 A 0a000001\n"},
    {"w 1 HTTPS 1 . alpn=\"h2,h3\" port=\"53\"\n",
     "w.a.example 1 HTTPS 0001000001000602683202683300030002"
     "0035\n"},
    {"w 1 TXT a=\"b\"\n", "w.a.example 1 TXT 02613d0162\n"},
    {"w 1 DS 1 8 2 (ab\n cd)\n", "w.a.example 1 DS 00010802abcd\n"},
    {"w 1 A 1.2.3.4\n$INCLUDE sub/hosts i\n A 1.2.3.5\n",
     "w.a.example 1 A 01020304\nh.i.a.example 1 A 01010101\nx.i.a.example 1 A 02020202\n"
     "w.a.example 1 A 01020305\n"},
    {"$INCLUDE zones/sub/hosts\n", NULL},
    {"$TTL 1\n$GENERATE 1-5/2 h$ A 10.0.0.$\n",
     "h1.a.example 1 A 0a000001\nh3.a.example 1 A 0a000003\nh5.a.example 1 A 0a000005\n"},
    {"$TTL 1\n$GENERATE 9-10 h${-1,3,d} 7 TXT $${0,2,x}\n",
     "h008.a.example 7 TXT 0824"
     "7b302c322c787d\nh009.a.example 7 TXT 0824"
     "7b302c322c787d\n"},
};

static void zone_files_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct dump dump = {0};
        struct text complaints = {0};
        int result = parse(good[i].text, &dump, &complaints);
        if (!good[i].records) {
            text_clear(&complaints);
            continue;
        }
        const char *records = dump.records.data ? dump.records.data : "";
        if (result < 0 || strcmp(records, good[i].records) != 0)
            fail_msg("%s\n--\n%s%s", good[i].text, records, complaints.data ? complaints.data : "");
        text_clear(&dump.records);
        text_clear(&complaints);
    }
}

static const struct {
    const char *text, *complaints;
} bad[] = {
    {"w A 1.2.3.4\n", "zones/a:1:3: 'A' has no TTL: begin the file with $TTL\n"},
    {"  A 1.2.3.4\n", "zones/a:1:1: the first record needs a name\n"},
    {"w 1 A 1.2.3\n", "zones/a:1:7: '1.2.3' does not fit here in the data of a record of type A\n"},
    {"w 1 A 1.2.3.4 x\n",
     "zones/a:1:15: 'x' does not fit here in the data of a record of type A\n"},
    {"w 1 MX 10\n", "zones/a:1:5: the data of this MX record is incomplete\n"},
    {"w 1 (A\n\n 1.2.3)\n",
     "zones/a:3:2: '1.2.3' does not fit here in the data of a record of type A\n"},
    {"w 1 AAA x\n", "zones/a:1:5: 'AAA' is no record type that a zone can hold\n"},
    {"w 1 APL x\n", "zones/a:1:5: 'APL' is no record type that a zone can hold\n"},
    {"w 1 TYPE42 x\n",
     "zones/a:1:5: 'TYPE42' is a type whose data can only be given as \\# LENGTH HEX\n"},
    {"w 1\n", "zones/a:1:1: the record has no type\n"},
    {"w..w 1 A 1.2.3.4\nw 1 A 1\n",
     "zones/a:1:1: 'w..w' is not a domain name\n"
     "zones/a:2:7: '1' does not fit here in the data of a record of type A\n"},
    {"w 1 CH A 1.2.3.4\n", "zones/a:1:5: 'CH' is a class that is not served: only IN is\n"},
    {"w 1x A 1.2.3.4\n", "zones/a:1:3: '1x' is not a TTL (like 300, 5m or 1h30m)\n"},
    {"w 1 A ( 1.2.3.4\n\n", "zones/a:1:1: a parenthesis is never closed\n"},
    {"w 1 A ) 1.2.3.4\nv 1 A z\n",
     "zones/a:1:7: a parenthesis is closed that was never opened\n"
     "zones/a:2:7: 'z' does not fit here in the data of a record of type A\n"},
    {"w 1 TXT \"a\nb\"\n", "zones/a:1:9: the quotes do not end in this line\n"
                           "zones/a:2:2: the quotes do not end in this line\n"},
    {"$INCLUDE ../x\n", "zones/a:1:10: '../x' is not below the zone file's folder\n"},
    {"$INCLUDE /etc/passwd\n", "zones/a:1:10: '/etc/passwd' is not below the zone file's folder\n"},
    {"$INCLUDE gone\n", "zones/a:1:10: 'gone' cannot be included: No such file\n"},
    {"$INCLUDE mistake\n", "zones/mistake:2:1: the first record needs a name\n"},
    {"$INCLUDE loop\n", "zones/loop:1:10: 'loop' is included too deep\n"},
    {"$TTL x\n$ORIGIN\n$NOPE\n",
     "zones/a:1:1: '$TTL' needs a TTL (like 300, 5m or 1h30m)\n"
     "zones/a:2:1: '$ORIGIN' needs a domain name\n"
     "zones/a:3:1: '$NOPE' is no directive: there are $TTL, $ORIGIN, $INCLUDE, $GENERATE\n"},
    {"$GENERATE 5-1 h$ A 10.0.0.$\n",
     "zones/a:1:1: '$GENERATE' needs first-last, a name, a type and data\n"},
    {"$GENERATE 1-2 h$ 1 A 10.0.0.${x}\n",
     "zones/a:1:22: '10.0.0.${x}' does not make sense as a template\n"},
};

static void mistakes_have_file_line_and_column(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct dump dump = {0};
        struct text complaints = {0};
        int result = parse(bad[i].text, &dump, &complaints);
        if (result != ERROR_INVALID || strcmp(complaints.data, bad[i].complaints) != 0)
            fail_msg("%s\n--\n%s", bad[i].text, complaints.data ? complaints.data : "");
        text_clear(&dump.records);
        text_clear(&complaints);
    }
}

static void names_outside_are_left_out(void **state)
{
    (void)state;
    struct dump dump = {0};
    struct text complaints = {0};
    assert_int_equal(parse("$TTL 1\nw.other. A 1.2.3.4\nw A 1.2.3.4\n", &dump, &complaints), 0);
    assert_int_equal(dump.strays, 1);
    assert_string_equal(dump.records.data, "w.a.example 1 A 01020304\n");
    text_clear(&dump.records);
}

static void mistakes_are_bounded(void **state)
{
    (void)state;
    struct dump dump = {0};
    struct text complaints = {0}, zone = {0};
    for (int i = 0; i < 100; i++)
        text_add(&zone, "w 1 A x\n");
    assert_int_equal(parse(zone.data, &dump, &complaints), ERROR_INVALID);
    unsigned lines = 0;
    for (const char *at = complaints.data; *at; at++)
        lines += *at == '\n';
    assert_int_equal(lines, 20);
    text_clear(&complaints);
    text_clear(&zone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zone_files_are_read),
        cmocka_unit_test(mistakes_have_file_line_and_column),
        cmocka_unit_test(names_outside_are_left_out),
        cmocka_unit_test(mistakes_are_bounded),
    };
    return cmocka_run_group_tests_name("dns/zonefile", tests, NULL, NULL);
}
