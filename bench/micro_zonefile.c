/* SPDX-License-Identifier: Apache-2.0
 *
 * A zone file of a million records, made in memory: how long it takes to read and to build, and what it takes to hold.
 */
#include "micro.h"

#include "base/memory.h"
#include "dns/dns.h"

#include <stdlib.h>
#include <sys/resource.h>

static long resident_mb(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss / 1024;
}

static void on_record(void *context, const struct dns_name *owner, uint16_t type, uint32_t ttl_s,
                      struct span rdata)
{
    dns_builder_add(context, owner, type, ttl_s, rdata);
}

static void on_stray(void *context, const struct dns_name *owner, const char *path, uint32_t line)
{
    (void)context;
    (void)owner;
    (void)path;
    (void)line;
}

/* Names with one address, with two sets, aliases, and delegations two labels deep. */
static void write_zone(struct text *text, unsigned records)
{
    text_add(text, "$TTL 3600\n@ SOA ns h 1 3600 600 604800 60\n@ NS ns\nns A 192.0.2.1\n");
    for (unsigned i = 0, count = 3; count < records; i++, count++) {
        switch (i % 8) {
        case 0:
            text_add_format(text, "h%u.s%u NS ns.example.\n", i, i % 1000);
            break;
        case 1:
            text_add_format(text, "host-%u CNAME host-%u\n", i, i + 1);
            break;
        case 2:
            text_add_format(text, "host-%u MX 10 mail.example.\n TXT \"v=spf1 -all\"\n", i);
            count++;
            break;
        case 3:
        case 4:
        case 5:
        case 6:
        case 7:
            text_add_format(text, "host-%u IN A 10.%u.%u.%u\n", i, i >> 16 & 255, i >> 8 & 255,
                            i & 255);
        }
    }
}

int main(int argc, char **argv)
{
    unsigned records = argc > 1 ? (unsigned)atoi(argv[1]) : 1000000;
    struct text zone = {0}, complaints = {0}, warnings = {0};
    struct dns_name apex;
    write_zone(&zone, records);
    if (dns_name_parse(SPAN("big.example"), NULL, &apex) < 0)
        return 1;
    long before_mb = resident_mb();
    double start_s = (double)clock_ns(CLOCK_MONOTONIC) / 1e9;
    struct dns_builder *builder = dns_builder_new(42);
    struct dns_zonefile zonefile = {.path = "big",
                                    .apex = &apex,
                                    .context = builder,
                                    .on_record = on_record,
                                    .on_stray = on_stray};
    dns_builder_add_zone(builder, &apex);
    dns_builder_begin_file(builder, &apex, &warnings);
    int result = dns_zonefile_parse(&zonefile, text_span(&zone), &complaints);
    dns_builder_end_file(builder);
    double read_s = (double)clock_ns(CLOCK_MONOTONIC) / 1e9;
    struct dns_zones *zones = dns_builder_finish(&builder, &complaints);
    double built_s = (double)clock_ns(CLOCK_MONOTONIC) / 1e9;
    if (result < 0 || !zones) {
        fprintf(stderr, "%s", complaints.data);
        return 1;
    }
    printf("%u records, %zu names, %zu MB of text: read %.2f s, built %.2f s, together %.2f s; "
           "peak %ld MB above the text\n",
           records, dns_zones_names(zones), zone.length >> 20, read_s - start_s, built_s - read_s,
           built_s - start_s, resident_mb() - before_mb);
    dns_zones_free(zones);
    text_clear(&zone);
    text_clear(&warnings);
    return 0;
}
