/* SPDX-License-Identifier: Apache-2.0
 *
 * Any text as a zone file, and the zone that comes of it: every record that the parser lets through is one that the
 * builder takes, a mistake has a sentence, and what was built is found again.
 */
#include "fuzz.h"

#include "base/memory.h"
#include "dns/dns.h"

static struct dns_name apex;

static void on_record(void *context, const struct dns_name *owner, uint16_t type, uint32_t ttl_s,
                      struct span rdata)
{
    INVARIANT(dns_name_is_within(owner, &apex) && ttl_s <= INT32_MAX && type != 0);
    dns_builder_add(context, owner, type, ttl_s, rdata);
}

static void on_stray(void *context, const struct dns_name *owner, const char *path, uint32_t line)
{
    (void)context;
    (void)path;
    INVARIANT(line && !dns_name_is_within(owner, &apex));
}

static int include(void *context, const char *path, struct span *content, struct text *why)
{
    (void)context;
    (void)why;
    INVARIANT(!strstr(path, "/../") && strncmp(path, "zones/", 6) == 0);
    *content = SPAN("included A 192.0.2.1\n$INCLUDE again\n");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = memory_raw(size + 1);
    if (size)
        memcpy(copy, data, size);
    INVARIANT(dns_name_parse(SPAN("a.example"), NULL, &apex) == 0);
    struct dns_builder *builder = dns_builder_new(1);
    struct text complaints = {0}, warnings = {0}, unfit = {0};
    struct dns_zonefile zonefile = {.path = "zones/a",
                                    .apex = &apex,
                                    .context = builder,
                                    .include = include,
                                    .on_record = on_record,
                                    .on_stray = on_stray};
    dns_builder_add_zone(builder, &apex);
    dns_builder_begin_file(builder, &apex, &warnings);
    int result = dns_zonefile_parse(&zonefile, span_of(copy, size), &complaints);
    INVARIANT((result < 0) == (complaints.length > 0));
    dns_builder_end_file(builder);
    struct dns_zones *zones = dns_builder_finish(&builder, &unfit);
    INVARIANT((zones == NULL) == (unfit.length > 0));
    INVARIANT(!unfit.length || !strstr(unfit.data, "does not fit its type"));
    dns_zones_free(zones);
    text_clear(&complaints);
    text_clear(&warnings);
    text_clear(&unfit);
    memory_free(copy);
    return 0;
}
