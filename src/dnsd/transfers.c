/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may copy which zone, with which keys, and what changed of late: a table beside the zones that it belongs to. What
 * differs between versions (the journal of IXFR) is handed on from one configuration to the next, and forgotten from its
 * old end.
 */
#include "dnsd/transfers.h"

#include "base/memory.h"

#include <stdlib.h>

_Static_assert((int)DNS_TSIG_SHA1 == (int)MAC_SHA1 && (int)DNS_TSIG_SHA512 == (int)MAC_SHA512 &&
                   (int)DNS_TSIG_SHA1 == (int)CONF_TSIG_SHA1 &&
                   (int)DNS_TSIG_SHA512 == (int)CONF_TSIG_SHA512,
               "algorithms go by one number");

/* A step of a journal, shared by all data that it is in. */
struct step {
    _Atomic uint32_t references;
    struct dns_difference *difference;
};

static void release_step(struct step *step)
{
    if (atomic_fetch_sub(&step->references, 1) != 1)
        return;
    dns_difference_free(step->difference);
    memory_free(step);
}

/* ---- made of a configuration */

static void mac(unsigned algorithm, struct span key, const struct span *parts, size_t count,
                uint8_t out[DNS_TSIG_MAC_BYTES])
{
    crypto_mac((enum mac_kind)algorithm, key, parts, count, out);
}

static void take_keys(struct dnsd_transfers *transfers, const struct conf *conf)
{
    transfers->keys = memory_new((conf->tsig_count + 1) * sizeof *transfers->keys);
    for (size_t i = 0; i < conf->tsig_count; i++) {
        const struct conf_tsig *tsig = &conf->tsig[i];
        struct dns_tsig_key *key = &transfers->keys[transfers->key_count];
        if (!tsig->secret_length || dns_name_parse(span_text(tsig->name), NULL, &key->name) < 0)
            continue;
        dns_name_lower(&key->name);
        key->algorithm = (unsigned)tsig->algorithm;
        key->mac = mac;
        uint8_t *secret = memory_raw(tsig->secret_length);
        memcpy(secret, tsig->secret, tsig->secret_length);
        key->secret = span_of(secret, tsig->secret_length);
        transfers->key_count++;
    }
}

static void *copy_items(const void *items, size_t count, size_t size)
{
    void *copy = memory_new((count + 1) * size);
    if (count)
        memcpy(copy, items, count * size);
    return copy;
}

static const struct dns_tsig_key *find_key(const struct dnsd_transfers *transfers, const char *text)
{
    struct dns_name name;
    if (dns_name_parse(span_text(text), NULL, &name) < 0)
        return NULL;
    for (size_t i = 0; i < transfers->key_count; i++)
        if (dns_name_equal(&transfers->keys[i].name, &name))
            return &transfers->keys[i];
    return NULL;
}

static void take_zone(struct dnsd_transfers *transfers, const struct conf_zone *conf,
                      const struct dns_zones *zones)
{
    const struct conf_transfer *from = conf->transfer;
    struct dnsd_copied *zone = &transfers->zones[transfers->zone_count];
    if (!from || dns_name_parse(span_text(conf->name), NULL, &zone->name) < 0)
        return;
    dns_name_lower(&zone->name);
    zone->zone = dns_zones_zone(zones, &zone->name);
    if (!zone->zone)
        return;
    zone->allow = copy_items(from->allow.items, from->allow.count, sizeof *zone->allow);
    zone->allow_count = from->allow.count;
    zone->notify = copy_items(from->notify.items, from->notify.count, sizeof *zone->notify);
    zone->notify_count = from->notify.count;
    zone->keys = memory_new((from->key_names.count + 1) * sizeof *zone->keys);
    for (size_t i = 0; i < from->key_names.count; i++) {
        const struct dns_tsig_key *key = find_key(transfers, from->key_names.items[i]);
        if (key)
            zone->keys[zone->key_count++] = key;
    }
    zone->needs_key = from->key_names.count > 0;
    zone->leaves_out_computed = from->leaves_out_computed;
    zone->is_signed = conf->dnssec != NULL;
    zone->journal_limit = zone->is_signed ? 0 : from->journal_bytes; /* all signatures go anew */
    transfers->zone_count++;
}

static int compare_zones(const void *left, const void *right)
{
    const struct dnsd_copied *a = left, *b = right;
    return a->zone < b->zone ? -1 : a->zone > b->zone;
}

/* A copy has one answer for everybody, and a signature holds for that alone, to its end. */
static bool check_signed(const struct dnsd_copied *zone, struct text *why)
{
    struct dns_name computed;
    char name[DNS_NAME_TEXT_BYTES], host[DNS_NAME_TEXT_BYTES];
    if (!zone->is_signed || !dns_zone_computed(zone->zone, &computed))
        return true;
    text_add_format(
        why,
        "%s: transfer: the zone is signed, and what '%s' answers depends on the client: no copy "
        "can have that; put such names into a zone of their own below, or give the "
        "secondaries the secret instead\n",
        dns_name_text(&zone->name, name), dns_name_text(&computed, host));
    return false;
}

struct dnsd_transfers *dnsd_transfers_new(const struct conf *conf, const struct dns_zones *zones,
                                          struct text *why)
{
    struct dnsd_transfers *transfers = NEW(struct dnsd_transfers);
    take_keys(transfers, conf);
    transfers->zones = memory_new((conf->zone_count + 1) * sizeof *transfers->zones);
    for (size_t i = 0; i < conf->zone_count; i++)
        take_zone(transfers, &conf->zones[i], zones);
    qsort(transfers->zones, transfers->zone_count, sizeof *transfers->zones, compare_zones);
    bool is_good = true;
    for (size_t i = 0; i < transfers->zone_count; i++)
        is_good &= check_signed(&transfers->zones[i], why);
    if (!is_good)
        dnsd_transfers_free(&transfers);
    return transfers;
}

static void clear_zone(struct dnsd_copied *zone)
{
    for (size_t i = 0; i < zone->step_count; i++)
        release_step(zone->steps[i]);
    memory_free(zone->steps);
    memory_free(zone->differences);
    memory_free(zone->allow);
    memory_free(zone->notify);
    memory_free(zone->keys);
}

void dnsd_transfers_free(struct dnsd_transfers **owned)
{
    struct dnsd_transfers *transfers = *owned;
    *owned = NULL;
    if (!transfers)
        return;
    for (size_t i = 0; i < transfers->zone_count; i++)
        clear_zone(&transfers->zones[i]);
    for (size_t i = 0; i < transfers->key_count; i++) {
        struct span secret = transfers->keys[i].secret;
        bytes_wipe((void *)(uintptr_t)secret.data, secret.length);
        memory_free((void *)(uintptr_t)secret.data);
    }
    memory_free(transfers->zones);
    memory_free(transfers->keys);
    memory_free(transfers);
}

const struct dnsd_copied *dnsd_transfers_find(const struct dnsd_transfers *transfers,
                                              const struct dns_zone *zone)
{
    const struct dnsd_copied key = {.zone = zone};
    return zone ? bsearch(&key, transfers->zones, transfers->zone_count, sizeof key, compare_zones)
                : NULL;
}

bool dnsd_copied_allows(const struct dnsd_copied *zone, const struct address *client,
                        const struct dns_tsig_key *key)
{
    bool is_near = !zone->allow_count, has_key = !zone->needs_key;
    for (size_t i = 0; i < zone->allow_count && !is_near; i++)
        is_near = network_has(&zone->allow[i], client);
    for (size_t i = 0; i < zone->key_count && !has_key; i++)
        has_key = key == zone->keys[i];
    return is_near && has_key;
}

/* ---- journals */

static const struct dnsd_copied *find_name(const struct dnsd_transfers *transfers,
                                           const struct dns_name *name)
{
    for (size_t i = 0; i < transfers->zone_count; i++)
        if (dns_name_equal(&transfers->zones[i].name, name))
            return &transfers->zones[i];
    return NULL;
}

/* The steps of before and the new one, without the oldest ones that no longer fit. */
static void take_steps(struct dnsd_copied *zone, const struct dnsd_copied *old, struct step *fresh)
{
    size_t count = old->step_count + (fresh != NULL), first = 0;
    size_t bytes = fresh ? fresh->difference->bytes : 0;
    for (size_t i = old->step_count; i-- > 0;) {
        bytes += old->steps[i]->difference->bytes;
        if (bytes > zone->journal_limit || old->step_count - i >= DNSD_JOURNAL_STEPS) {
            first = i + 1;
            break;
        }
    }
    zone->steps = memory_new((count + 1) * sizeof(struct step *));
    zone->differences = memory_new((count + 1) * sizeof(struct dns_difference *));
    for (size_t i = first; i < count; i++) {
        struct step *step = i < old->step_count ? old->steps[i] : fresh;
        if (step != fresh)
            atomic_fetch_add(&step->references, 1);
        zone->differences[zone->step_count] = step->difference;
        zone->steps[zone->step_count++] = step;
    }
}

static void follow_zone(struct dnsd_copied *zone, const struct dns_zones *zones,
                        const struct dnsd_copied *old, const struct dns_zones *old_zones)
{
    char name[DNS_NAME_TEXT_BYTES];
    uint32_t before = dns_zone_serial(old->zone), now = dns_zone_serial(zone->zone);
    if (before == now) {
        if (dns_zones_differ(old_zones, old->zone, zones, zone->zone))
            log_warning("dns",
                        "zone %s has changed but its serial %u has not: copies of it stay as they "
                        "are",
                        dns_name_text(&zone->name, name), now);
        take_steps(zone, old, NULL);
        return;
    }
    if (!dns_serial_is_newer(now, before)) {
        log_warning("dns", "the serial of zone %s went back from %u to %u: copies stay as they are",
                    dns_name_text(&zone->name, name), before, now);
        return;
    }
    struct dns_difference *difference =
        dns_difference_new(old_zones, old->zone, zones, zone->zone, zone->journal_limit);
    if (!difference)
        return; /* what came before leads nowhere now */
    struct step *step = NEW(struct step);
    atomic_store(&step->references, 1);
    step->difference = difference;
    take_steps(zone, old, step);
}

void dnsd_transfers_follow(struct dnsd_transfers *transfers, const struct dns_zones *zones,
                           const struct dnsd_transfers *old, const struct dns_zones *old_zones)
{
    for (size_t i = 0; i < transfers->zone_count; i++) {
        const struct dnsd_copied *before = find_name(old, &transfers->zones[i].name);
        if (before)
            follow_zone(&transfers->zones[i], zones, before, old_zones);
    }
}
