/* SPDX-License-Identifier: Apache-2.0
 *
 * A transfer on a TCP connection, and queries that are signed: whose key it is, whether that may copy the zone, and each
 * message signed as it leaves. A transfer keeps the data that it began with, whatever is loaded meanwhile.
 */
#include "dnsd/transfers.h"

#include "base/bytes.h"
#include "base/memory.h"

struct dnsd_transfer {
    struct dnsd *dnsd;
    struct dnsd_data *data; /* a reference */
    struct dns_transfer transfer;
    struct dns_tsig tsig;
    bool is_signed;
};

static uint64_t wall_s(void)
{
    return clock_wall_ns() / 1000000000;
}

static size_t refuse(struct span message, unsigned rcode, struct dns_tsig *tsig, uint8_t *out,
                     size_t capacity)
{
    size_t length = dns_transfer_refuse(message, rcode, out, capacity - DNS_TSIG_LIMIT);
    return tsig ? dns_tsig_sign(tsig, out, length, wall_s()) : length;
}

/* The signature, where there is one. False: an answer of `*length` bytes says what is wrong with it. */
static bool check_signature(const struct dnsd_data *data, struct span message,
                            struct dns_tsig *tsig, bool *is_signed, uint8_t *out, size_t capacity,
                            size_t *length)
{
    struct dns_tsig_record record;
    int error = dns_tsig_read(message, &record);
    *is_signed = error == 0;
    if (error == ERROR_NOT_FOUND)
        return true;
    if (error < 0) {
        *length = refuse(message, DNS_FORMERR, NULL, out, capacity);
        return false;
    }
    const struct dnsd_transfers *transfers = data->transfers;
    dns_tsig_check(message, &record, transfers->keys, transfers->key_count, wall_s(), tsig);
    dnsd_count_tsig(tsig->error == 0);
    if (!tsig->error)
        return true;
    *length = refuse(message, DNS_NOTAUTH, tsig, out, capacity);
    return false;
}

/* ---- signed queries */

size_t dnsd_answer_signed(const struct dnsd_view *view, const struct dns_request *request,
                          uint8_t *out, size_t capacity, struct dns_outcome *outcome)
{
    uint8_t plain[DNSD_TCP_QUERY_BYTES];
    struct span message = request->message;
    struct dns_tsig tsig;
    size_t length;
    bool is_signed;
    if (message.length > sizeof plain)
        return 0;
    outcome->rcode = DNS_REFUSED;
    if (!check_signature(view->data, message, &tsig, &is_signed, out, capacity, &length))
        return length;
    if (!is_signed) { /* it stands somewhere else than at the end */
        outcome->rcode = DNS_FORMERR;
        return refuse(message, DNS_FORMERR, NULL, out, capacity);
    }
    memcpy(plain, message.data, tsig.record.offset);
    store_u16(plain + 10, (uint16_t)(load_u16(plain + 10) - 1));
    struct dns_request stripped = *request;
    stripped.message = span_of(plain, tsig.record.offset);
    length = dns_answer(&view->source, &stripped, out, capacity - dns_tsig_bytes(&tsig), outcome);
    return length ? dns_tsig_sign(&tsig, out, length, wall_s()) : 0;
}

/* ---- transfers */

static struct dnsd_transfer *begin(struct dnsd *dnsd, struct dnsd_data *data,
                                   const struct dns_transfer_request *request,
                                   const struct dnsd_copied *zone)
{
    struct dnsd_transfer *transfer = NEW(struct dnsd_transfer);
    atomic_fetch_add(&data->references, 1);
    atomic_fetch_add(&dnsd->transfer_count, 1);
    transfer->dnsd = dnsd;
    transfer->data = data;
    dns_transfer_begin(&transfer->transfer, request, data->zones, zone->zone, zone->differences,
                       zone->step_count, zone->leaves_out_computed);
    return transfer;
}

/* What a stranger gets: the same whether there is such a zone or not, who may copy it, or how. */
static struct dnsd_transfer *open_transfer(struct dnsd *dnsd,
                                           const struct dns_transfer_request *request,
                                           const struct address *client,
                                           const struct dns_tsig_key *key)
{
    struct dnsd_data *data = dnsd_view(dnsd)->data;
    const struct dnsd_copied *zone =
        dnsd_transfers_find(data->transfers, dns_zones_zone(data->zones, &request->zone));
    bool is_allowed = zone && dnsd_copied_allows(zone, client, key);
    bool has_room = atomic_load(&dnsd->transfer_count) < DNSD_TRANSFERS_LIMIT;
    dnsd_count_transfer(is_allowed && has_room, request->is_incremental);
    return is_allowed && has_room ? begin(dnsd, data, request, zone) : NULL;
}

bool dnsd_transfer_open(struct dnsd *dnsd, struct span message, const struct address *client,
                        uint8_t *out, size_t capacity, size_t *length,
                        struct dnsd_transfer **transfer)
{
    struct dns_transfer_request request;
    struct dns_tsig tsig;
    bool is_signed;
    *transfer = NULL;
    *length = 0;
    int error = dns_transfer_read(message, &request);
    if (error == ERROR_NOT_FOUND)
        return false;
    if (error < 0) {
        *length = refuse(message, DNS_FORMERR, NULL, out, capacity);
        return true;
    }
    if (!check_signature(dnsd_view(dnsd)->data, message, &tsig, &is_signed, out, capacity, length))
        return true;
    *transfer = open_transfer(dnsd, &request, client, is_signed ? tsig.key : NULL);
    if (!*transfer) {
        *length = refuse(message, DNS_REFUSED, is_signed ? &tsig : NULL, out, capacity);
        return true;
    }
    (*transfer)->is_signed = is_signed;
    (*transfer)->tsig = tsig;
    (*transfer)->tsig.record.mac = (*transfer)->tsig.record.other =
        (struct span){0}; /* gone soon */
    return true;
}

int dnsd_transfer_next(struct dnsd_transfer *transfer, struct dnsd_signer *signer, uint8_t *out,
                       size_t capacity)
{
    const struct dns_request request = {.wall_s = (uint32_t)wall_s(), .signer = &signer->signer};
    const struct dnsd_view *view = dnsd_view(transfer->dnsd);
    const struct dns_source *source = view->data == transfer->data ? &view->source : NULL;
    size_t length =
        dns_transfer_next(&transfer->transfer, source, &request, out, capacity - DNS_TSIG_LIMIT);
    if (transfer->transfer.is_cut)
        return ERROR_AGAIN; /* there are newer zones: the client comes again */
    if (length && transfer->is_signed)
        length = dns_tsig_sign(&transfer->tsig, out, length, wall_s());
    return (int)length;
}

void dnsd_transfer_close(struct dnsd_transfer **owned)
{
    struct dnsd_transfer *transfer = *owned;
    *owned = NULL;
    if (!transfer)
        return;
    dnsd_count_transferred(transfer->transfer.records);
    atomic_fetch_sub(&transfer->dnsd->transfer_count, 1);
    dnsd_data_release(transfer->data);
    memory_free(transfer);
}
