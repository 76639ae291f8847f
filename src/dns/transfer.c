/* SPDX-License-Identifier: Apache-2.0
 *
 * Zone transfers out, message by message: whole zones (RFC 5936), also with all that signs them, differences (RFC 1995); and the
 * messages of NOTIFY (RFC 1996). A transfer stops wherever a message is full and goes on in the next one; nothing is copied ahead.
 */
#include "base/bytes.h"
#include "dns/nsec.h"
#include "dns/query.h"
#include "dns/signed.h"
#include "dns/writer.h"

enum {
    FULL_BYTES = 16384, /* compression reaches no further, and a client has something to do early */
};

/* ---- requests */

static int read_serial(struct span message, size_t at, uint32_t *serial)
{
    struct dns_name name;
    if (dns_name_read(message, &at, &name) < 0 || message.length - at < 10 ||
        load_u16(message.data + at) != DNS_SOA)
        return ERROR_INVALID;
    size_t end = at + 10 + load_u16(message.data + at + 8);
    at += 10;
    if (end > message.length || dns_name_read(message, &at, &name) < 0 ||
        dns_name_read(message, &at, &name) < 0 || at + 20 != end)
        return ERROR_INVALID;
    *serial = load_u32(message.data + at);
    return 0;
}

int dns_transfer_read(struct span message, struct dns_transfer_request *request)
{
    if (message.length < DNS_HEADER_BYTES)
        return ERROR_NOT_FOUND;
    *request = (struct dns_transfer_request){.id = load_u16(message.data),
                                             .flags = load_u16(message.data + 2)};
    size_t at = DNS_HEADER_BYTES;
    if ((request->flags & (DNS_FLAG_QR | DNS_OPCODE_MASK)) || load_u16(message.data + 4) != 1 ||
        dns_name_read(message, &at, &request->zone) < 0 || message.length - at < 4)
        return ERROR_NOT_FOUND;
    uint16_t type = load_u16(message.data + at);
    if ((type != DNS_AXFR && type != DNS_IXFR) || load_u16(message.data + at + 2) != DNS_CLASS_IN)
        return ERROR_NOT_FOUND;
    dns_name_lower(&request->zone);
    request->is_incremental = type == DNS_IXFR;
    if (load_u16(message.data + 6))
        return ERROR_INVALID;
    if (!request->is_incremental)
        return 0;
    return load_u16(message.data + 8) == 1 ? read_serial(message, at + 4, &request->serial)
                                           : ERROR_INVALID;
}

/* ---- the plan */

void dns_transfer_begin(struct dns_transfer *transfer, const struct dns_transfer_request *request,
                        const struct dns_zones *zones, const struct dns_zone *zone,
                        const struct dns_difference *const *differences, size_t difference_count,
                        bool leaves_out_computed)
{
    *transfer = (struct dns_transfer){.request = *request,
                                      .zones = zones,
                                      .zone = zone,
                                      .leaves_out_computed = leaves_out_computed,
                                      .node = zone->first};
    for (size_t i = 0; i < difference_count && request->is_incremental && !zone->is_signed; i++)
        if (differences[i]->from == request->serial) {
            transfer->differences = differences + i;
            transfer->difference_count = difference_count - i;
            return;
        }
}

/* A client that has this version, or a newer one, gets the SOA alone (RFC 1995 section 2). */
static bool is_up_to_date(const struct dns_transfer *transfer)
{
    return transfer->request.is_incremental &&
           !dns_serial_is_newer(transfer->serial, transfer->request.serial);
}

/* ---- a message */

struct page {
    struct dns_writer writer;
    unsigned count;
};

static bool is_full(const struct page *page)
{
    return page->writer.at - page->writer.start >= FULL_BYTES;
}

/* In the message that begins, where there is always room, or not at all. */
static bool counted(struct page *page, bool is_written, unsigned count)
{
    if (is_written)
        page->count += count;
    return is_written;
}

static bool add_soa(struct dns_transfer *transfer, struct page *page, const struct dns_seal *seal)
{
    const struct dns_zone *zone = transfer->zone;
    return counted(page,
                   dns_write_rrset(&page->writer, (struct dns_owner){.name = zone->apex->name},
                                   dns_seal_soa(seal, zone), UINT32_MAX),
                   1);
}

/* A set and the signatures over it, or with `rrset` as the SOA, which stands at both ends already, those alone. */
static bool add_set(struct page *page, const struct dns_seal *seal, struct span name,
                    const struct dns_rrset *rrset, bool is_signed)
{
    struct dns_owner owner = {.name = name.data};
    struct page before = *page;
    bool is_good =
        rrset->type == DNS_SOA ||
        counted(page, dns_write_rrset(&page->writer, owner, rrset, UINT32_MAX), rrset->count);
    int count = is_good && is_signed && seal->keyset
                    ? dns_seal_write(seal, &page->writer, owner, name, rrset, UINT32_MAX)
                    : 0;
    if (is_good && count >= 0) {
        page->count += (unsigned)count;
        return true;
    }
    *page = before;
    return false;
}

/* The answer that a client of no known place gets. False: no room. */
static bool add_computed(struct page *page, const struct dns_source *source,
                         const struct dns_node *node)
{
    const struct dns_client client = {.address.family = 4};
    struct dns_owner owner = {.name = node->name};
    struct dns_choice choice = {0};
    struct page before = *page;
    source->find(source->context, (uint32_t)node->site, &client, &choice);
    if (choice.alias && !node->rrset_count)
        return counted(page,
                       dns_write_alias(&page->writer, owner, choice.alias_ttl_s, choice.alias), 1);
    const struct dns_addresses *addresses = choice.addresses;
    bool is_good = true;
    for (unsigned i = 0; addresses && i < addresses->ipv4_count && is_good; i++)
        is_good = counted(page,
                          dns_write_record(&page->writer, owner, DNS_A, addresses->ttl_s,
                                           span_of(addresses->ipv4[i], 4)),
                          1);
    for (unsigned i = 0; addresses && i < addresses->ipv6_count && is_good; i++)
        is_good = counted(page,
                          dns_write_record(&page->writer, owner, DNS_AAAA, addresses->ttl_s,
                                           span_of(addresses->ipv6[i], 16)),
                          1);
    if (!is_good)
        *page = before;
    return is_good;
}

static void next_node(struct dns_transfer *transfer)
{
    transfer->node = dns_node_next(transfer->node);
    transfer->set = 0;
}

/* Of a signed zone: what comes of the keys here is not taken from a file. */
static bool is_replaced(const struct dns_seal *seal, const struct dns_node *node, uint16_t type)
{
    bool is_replaced = seal->keyset && (type == DNS_RRSIG || type == DNS_NSEC);
    for (size_t i = 0; seal->keyset && node == seal->zone->apex && i < seal->keyset->set_count; i++)
        is_replaced |= seal->keyset->sets[i]->type == type;
    return is_replaced;
}

/* Not what lies behind a delegation, and of that only its DS records. */
static bool is_authoritative(const struct dns_node *node, uint16_t type)
{
    return !node->cut || (node->cut == node && type == DNS_DS);
}

/* False: the message is full. */
static bool add_zone(struct dns_transfer *transfer, struct page *page,
                     const struct dns_source *source, const struct dns_seal *seal)
{
    while (transfer->node != transfer->zone->end) {
        const struct dns_node *node = transfer->node;
        while (transfer->set < node->rrset_count) {
            const struct dns_rrset *set = &node->rrsets[transfer->set];
            if (set->type == DNS_SOA)
                set = dns_seal_soa(seal, transfer->zone);
            if (is_full(page) ||
                (!is_replaced(seal, node, set->type) &&
                 !add_set(page, seal, dns_node_name(node), set, is_authoritative(node, set->type))))
                return false;
            transfer->set++;
        }
        bool is_computed = node->site != DNS_NO_SITE && !transfer->leaves_out_computed;
        if (is_computed && !source) {
            transfer->is_cut = true;
            transfer->phase = DNS_TRANSFER_DONE;
        }
        if (is_computed && (!source || is_full(page) || !add_computed(page, source, node)))
            return false;
        next_node(transfer);
    }
    return true;
}

/* False: the message is full. */
static bool add_keys(struct dns_transfer *transfer, struct page *page, const struct dns_seal *seal)
{
    const struct dns_node *apex = transfer->zone->apex;
    for (; transfer->set < seal->keyset->set_count; transfer->set++)
        if (!add_set(page, seal, dns_node_name(apex), seal->keyset->sets[transfer->set], true))
            return false;
    return true;
}

/* A link of the chain. A zone of ours right below this one is no part of it but for its delegation, which comes here. */
static bool add_proof(const struct dns_transfer *transfer, struct page *page,
                      const struct dns_seal *seal)
{
    const struct dns_zone *zone = transfer->zone;
    const struct dns_node *node = dns_chain_node(zone->chain, transfer->link);
    const struct dns_rrset *below[] = {dns_node_rrset(node, DNS_NS), dns_node_rrset(node, DNS_DS)};
    struct page before = *page;
    struct dns_nsec nsec;
    bool is_good = true;
    for (unsigned i = 0; i < 2 && node->zone != zone && is_good; i++)
        is_good = !below[i] ||
                  add_set(page, seal, dns_node_name(node), below[i], below[i]->type == DNS_DS);
    dns_nsec_of_link(&nsec, zone, (uint32_t)transfer->link, seal->keyset, 0);
    if (is_good && add_set(page, seal, dns_node_name(node), &nsec.rrset, true))
        return true;
    *page = before;
    return false;
}

/* False: the message is full. */
static bool add_proofs(struct dns_transfer *transfer, struct page *page,
                       const struct dns_seal *seal)
{
    for (; transfer->link < dns_chain_count(transfer->zone->chain); transfer->link++)
        if (is_full(page) || !add_proof(transfer, page, seal))
            return false;
    return true;
}

static size_t name_bytes(const uint8_t *name)
{
    size_t length = 0;
    while (name[length])
        length += (size_t)name[length] + 1;
    return length + 1;
}

/* False: the message is full. */
static bool add_differences(struct dns_transfer *transfer, struct page *page)
{
    while (transfer->difference_count) {
        const struct dns_difference *difference = transfer->differences[0];
        struct span records = transfer->is_adding ? difference->added : difference->removed;
        while (transfer->offset < records.length) {
            const uint8_t *owner = records.data + transfer->offset;
            size_t length = name_bytes(owner);
            if (is_full(page) ||
                !counted(page,
                         dns_write_stored(&page->writer, (struct dns_owner){.name = owner},
                                          owner + length),
                         1))
                return false;
            transfer->offset += length + DNS_RR_FIXED_BYTES + load_u16(owner + length + 10);
        }
        transfer->offset = 0;
        if (transfer->is_adding) {
            transfer->differences++;
            transfer->difference_count--;
        }
        transfer->is_adding = !transfer->is_adding;
    }
    return true;
}

/* False: the message is full. */
static bool go_on(struct dns_transfer *transfer, struct page *page, const struct dns_source *source,
                  const struct dns_seal *seal)
{
    switch (transfer->phase) {
    case DNS_TRANSFER_SOA:
        if (!add_soa(transfer, page, seal))
            return false;
        transfer->phase = is_up_to_date(transfer)      ? DNS_TRANSFER_DONE
                          : transfer->difference_count ? DNS_TRANSFER_DIFFERENCES
                                                       : DNS_TRANSFER_ZONE;
        return true;
    case DNS_TRANSFER_ZONE:
        if (!add_zone(transfer, page, source, seal))
            return false;
        transfer->phase = seal->keyset ? DNS_TRANSFER_KEYS : DNS_TRANSFER_LAST;
        return true;
    case DNS_TRANSFER_KEYS:
        if (!add_keys(transfer, page, seal))
            return false;
        transfer->phase = DNS_TRANSFER_PROOFS;
        return true;
    case DNS_TRANSFER_PROOFS:
        if (!add_proofs(transfer, page, seal))
            return false;
        transfer->phase = DNS_TRANSFER_LAST;
        return true;
    case DNS_TRANSFER_DIFFERENCES:
        if (!add_differences(transfer, page))
            return false;
        transfer->phase = DNS_TRANSFER_LAST;
        return true;
    case DNS_TRANSFER_LAST:
        if (!add_soa(transfer, page, seal))
            return false;
        transfer->phase = DNS_TRANSFER_DONE;
        return true;
    case DNS_TRANSFER_DONE:
        break;
    }
    return false;
}

static uint8_t *write_head(uint8_t *out, uint16_t id, uint16_t flags, const struct dns_name *name,
                           uint16_t type)
{
    uint8_t *to = store_u16(store_u16(out, id), flags);
    to = store_u32(store_u32(to, 1u << 16), 0);
    to = (uint8_t *)memcpy(to, name->wire, name->length) + name->length;
    return store_u16(store_u16(to, type), DNS_CLASS_IN);
}

/* Who signs the copy, whatever that costs: who may have it was decided. False: nobody does any more. */
static bool make_seal(const struct dns_transfer *transfer, const struct dns_source *source,
                      const struct dns_request *request, struct dns_signing *signing,
                      struct dns_seal *seal)
{
    const struct dns_zone *zone = transfer->zone;
    *seal = (struct dns_seal){.zone = zone, .request = request};
    if (!zone->is_signed)
        return true;
    if (!source || !source->signing || !request || !zone->chain)
        return false;
    *signing = *source->signing;
    signing->limits = (struct dns_budget_limits){0};
    seal->signing = signing;
    dns_seal_zone(seal, transfer->zones, zone);
    return seal->keyset;
}

/* All of a copy has one serial; when that counts on meanwhile the client comes again. */
static bool has_serial(struct dns_transfer *transfer, const struct dns_seal *seal)
{
    uint32_t serial = dns_soa_serial(dns_seal_soa(seal, transfer->zone));
    if (transfer->phase == DNS_TRANSFER_SOA)
        transfer->serial = serial;
    return serial == transfer->serial;
}

size_t dns_transfer_next(struct dns_transfer *transfer, const struct dns_source *source,
                         const struct dns_request *request, uint8_t *out, size_t capacity)
{
    struct dns_signing signing;
    struct dns_seal seal;
    const struct dns_transfer_request *asked = &transfer->request;
    struct page page = {.writer = {.start = out, .end = out + capacity, .asked = &asked->zone}};
    INVARIANT(capacity >= DNS_TRANSFER_BYTES);
    if (transfer->phase == DNS_TRANSFER_DONE)
        return 0;
    if (!make_seal(transfer, source, request, &signing, &seal) || !has_serial(transfer, &seal)) {
        transfer->is_cut = true;
        transfer->phase = DNS_TRANSFER_DONE;
        return 0;
    }
    page.writer.at = write_head(out, asked->id, (uint16_t)(DNS_FLAG_QR | DNS_FLAG_AA), &asked->zone,
                                asked->is_incremental ? DNS_IXFR : DNS_AXFR);
    while (go_on(transfer, &page, source, &seal)) {
    }
    transfer->records += page.count;
    store_u16(out + 6, (uint16_t)page.count);
    return (size_t)(page.writer.at - out);
}

size_t dns_transfer_refuse(struct span message, unsigned rcode, uint8_t *out, size_t capacity)
{
    struct dns_name name;
    size_t at = DNS_HEADER_BYTES;
    bool has_question = message.length >= DNS_HEADER_BYTES && load_u16(message.data + 4) == 1 &&
                        dns_name_read(message, &at, &name) == 0 && message.length - at >= 4 &&
                        at + 4 <= capacity;
    size_t length = has_question ? at + 4 : DNS_HEADER_BYTES;
    memset(out, 0, DNS_HEADER_BYTES);
    memcpy(out, message.data, has_question ? length : 2);
    uint16_t flags = load_u16(message.data + 2) & (DNS_OPCODE_MASK | DNS_FLAG_RD);
    store_u16(out + 2, (uint16_t)(DNS_FLAG_QR | flags | (rcode & 0xf)));
    store_u16(out + 4, has_question);
    memset(out + 6, 0, 6);
    return length;
}

/* ---- NOTIFY */

size_t dns_notify_write(const struct dns_name *zone, const struct dns_rrset *soa, uint16_t id,
                        uint8_t *out, size_t capacity)
{
    struct dns_writer writer = {.start = out, .end = out + capacity, .asked = zone};
    writer.at = write_head(out, id, DNS_OPCODE_NOTIFY | DNS_FLAG_AA, zone, DNS_SOA);
    if (dns_write_rrset(&writer, (struct dns_owner){.name = zone->wire}, soa, UINT32_MAX))
        store_u16(out + 6, 1);
    return (size_t)(writer.at - out);
}

bool dns_notify_is_answered(struct span message, const struct dns_name *zone, uint16_t id)
{
    struct dns_name name;
    size_t at = DNS_HEADER_BYTES;
    return message.length >= DNS_HEADER_BYTES && load_u16(message.data) == id &&
           (load_u16(message.data + 2) & (DNS_FLAG_QR | DNS_OPCODE_MASK)) ==
               (DNS_FLAG_QR | DNS_OPCODE_NOTIFY) &&
           load_u16(message.data + 4) == 1 && dns_name_read(message, &at, &name) == 0 &&
           dns_name_equal(&name, zone);
}
