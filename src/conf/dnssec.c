/* SPDX-License-Identifier: Apache-2.0
 *
 * Zones that are signed: their key files, which only a process that signs reads, and what must hold of their times.
 */
#include "conf/load.h"
#include "crypto/crypto.h"
#include "dns/dns.h"

#include <string.h>

enum { KEY_FILE_BYTES = 16384 };

static void complain(struct loader *loader, const void *member, const char *path, const char *why)
{
    report_error(&loader->report, place_of(loader, member), "dnssec: %s: %s", path, why);
}

/* The file's content; without data where it cannot be read, which is then told. */
static struct span read_key_file(struct loader *loader, const void *member, const char *path,
                                 bool is_secret, size_t limit)
{
    const struct conf_reader *reader = loader->reader;
    struct text content = {.limit = limit}, why = {0};
    struct span kept = {0};
    if (reader->read_zone_key(reader->argument, path, is_secret, &content, &why) < 0)
        complain(loader, member, path, why.data ? why.data : "it cannot be read");
    else
        kept = arena_copy(&loader->conf->arena, text_span(&content));
    if (content.data)
        bytes_wipe(content.data, content.capacity);
    text_clear(&content);
    text_clear(&why);
    return kept;
}

static void read_secret(struct loader *loader, struct conf_dnssec *dnssec)
{
    struct span text =
        read_key_file(loader, &dnssec->secret_path, dnssec->secret_path, true, KEY_FILE_BYTES);
    struct span line = span_of(text.data, span_find(text, '\n'));
    if (text.data && base64_decode(span_trim(line), dnssec->secret, CONF_KEY_BYTES) < 0)
        complain(
            loader, &dnssec->secret_path, dnssec->secret_path,
            "it does not hold a secret of 32 bytes in base64; causeway dnssec secret makes one");
    if (text.data)
        bytes_wipe((void *)(uintptr_t)text.data, text.length);
}

/* "X", "X.key" and "X.private" all mean the pair. */
static void read_pair(struct loader *loader, struct conf_dnssec *dnssec, size_t index)
{
    struct arena *arena = &loader->conf->arena;
    const char *path = dnssec->keys.items[index];
    size_t length = strlen(path);
    if (length > 8 && strcmp(path + length - 8, ".private") == 0)
        length -= 8;
    else if (length > 4 && strcmp(path + length - 4, ".key") == 0)
        length -= 4;
    const char *private_path = arena_format(arena, "%.*s.private", (int)length, path);
    const char *record_path = arena_format(arena, "%.*s.key", (int)length, path);
    dnssec->key_secrets[index] =
        read_key_file(loader, &dnssec->keys, private_path, true, KEY_FILE_BYTES);
    dnssec->key_records[index] =
        read_key_file(loader, &dnssec->keys, record_path, false, KEY_FILE_BYTES);
}

static bool can_read(struct loader *loader, const struct conf_dnssec *dnssec)
{
    const struct conf_reader *reader = loader->reader;
    struct text content = {.limit = KEY_FILE_BYTES}, why = {0};
    bool can =
        dnssec->secret_path && !dnssec->keys.count && !dnssec->signed_keys_path &&
        reader->read_zone_key(reader->argument, dnssec->secret_path, true, &content, &why) == 0;
    if (content.data)
        bytes_wipe(content.data, content.capacity);
    text_clear(&content);
    text_clear(&why);
    return can;
}

void read_zone_keys(struct loader *loader)
{
    struct conf *conf = loader->conf;
    if (!loader->reader->read_zone_key || !conf->self || !conf->self->dns)
        return;
    for (size_t i = 0; i < conf->zone_count; i++) {
        struct conf_dnssec *dnssec = conf->zones[i].dnssec;
        if (!dnssec)
            continue;
        if (!conf_serves(conf, &conf->zones[i]) && !can_read(loader, dnssec))
            continue; /* others sign it; with its keys here its DS records would follow from them */
        dnssec->has_files = true;
        if (dnssec->secret_path)
            read_secret(loader, dnssec);
        dnssec->key_secrets = ARENA_ARRAY(&conf->arena, struct span, dnssec->keys.count);
        dnssec->key_records = ARENA_ARRAY(&conf->arena, struct span, dnssec->keys.count);
        for (size_t k = 0; k < dnssec->keys.count; k++)
            read_pair(loader, dnssec, k);
        if (dnssec->signed_keys_path)
            dnssec->signed_keys = read_key_file(loader, &dnssec->signed_keys_path,
                                                dnssec->signed_keys_path, false, CONF_FILE_BYTES);
    }
}

void wipe_zone_keys(struct conf_dnssec *dnssec)
{
    if (!dnssec || !dnssec->has_files)
        return;
    bytes_wipe(dnssec->secret, sizeof dnssec->secret);
    for (size_t i = 0; i < dnssec->keys.count; i++)
        if (dnssec->key_secrets[i].data)
            bytes_wipe((void *)(uintptr_t)dnssec->key_secrets[i].data,
                       dnssec->key_secrets[i].length);
}

static void check_zone(struct loader *loader, const struct conf_zone *zone)
{
    const struct conf_dnssec *dnssec = zone->dnssec;
    struct report *report = &loader->report;
    bool rolls = dnssec->secret_path && !dnssec->is_single;
    if (!dnssec->secret_path && !dnssec->keys.count)
        report_error(report, place_of(loader, &zone->dnssec),
                     "dnssec: zone '%s' has neither a secret nor keys", zone->name);
    if (dnssec->signed_keys_path && (dnssec->is_single || !dnssec->secret_path))
        report_error(
            report, place_of(loader, &dnssec->signed_keys_path),
            "dnssec: signed_keys goes with a secret, and not with single: signatures by an "
            "offline key hold for the zone signing keys that follow from the secret");
    if (zone->transfer && dnssec->denial == CONF_DENIAL_COMPACT)
        report_error(report, place_of(loader, &zone->transfer),
                     "transfer: zone '%s' has compact denials, which are made as somebody asks: a "
                     "copy has none; set denial: nsec, or give the secondaries the secret instead",
                     zone->name);
    if (zone->transfer && dnssec->validity_s < DNS_COPY_VALIDITY_LEAST_S)
        report_error(report, place_of(loader, &zone->transfer),
                     "transfer: copies of zone '%s' are made anew every six hours: validity must "
                     "be at least 48h",
                     zone->name);
    if (rolls && dnssec->overlap_s > dnssec->period_s / 2)
        report_error(
            report, place_or(loader, &dnssec->overlap_s, &dnssec->period_s),
            "dnssec: overlap must be at most half of period, so that two zone signing keys "
            "are enough at a time");
    if (rolls && dnssec->validity_s > dnssec->overlap_s)
        report_error(report, place_or(loader, &dnssec->validity_s, &dnssec->overlap_s),
                     "dnssec: validity must be at most overlap: signatures may not outlive their "
                     "key");
}

void check_dnssec(struct loader *loader)
{
    for (size_t i = 0; i < loader->conf->zone_count; i++)
        if (loader->conf->zones[i].dnssec)
            check_zone(loader, &loader->conf->zones[i]);
}
