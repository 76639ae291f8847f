/* SPDX-License-Identifier: Apache-2.0
 *
 * An edge's side: a report each period, and the receiver's epoch learned from its answers.
 */
#include "measure/status_wire.h"

int status_sender_init(struct status_sender *sender, const struct crypto *crypto,
                       const struct key *own_private, const struct key *receiver_public,
                       const struct key *pre_shared_key, uint64_t now_ns)
{
    *sender = (struct status_sender){.crypto = crypto, .next_ns = now_ns};
    int result =
        status_pair_init(&sender->pair, crypto, true, own_private, receiver_public, pre_shared_key);
    if (result < 0)
        return result;
    crypto->random(crypto->random_state, &sender->incarnation, sizeof sender->incarnation);
    sender->aead = status_report_aead(crypto, &sender->pair, sender->incarnation);
    sender->measure_aead = status_measure_aead(crypto, &sender->pair, sender->incarnation);
    return 0;
}

void status_sender_clear(struct status_sender *sender)
{
    aead_free(&sender->aead);
    aead_free(&sender->measure_aead);
    status_pair_clear(&sender->pair);
    bytes_wipe(sender, sizeof *sender);
}

size_t status_sender_write(struct status_sender *sender, uint64_t now_ns,
                           const struct status_report *report, uint8_t out[STATUS_DATAGRAM_MAX])
{
    /* A steady beat; after a pause it starts anew instead of catching up. */
    sender->next_ns += STATUS_PERIOD_NS;
    if (sender->next_ns <= now_ns || sender->next_ns > now_ns + STATUS_PERIOD_NS)
        sender->next_ns = now_ns + STATUS_PERIOD_NS;
    sender->sequence++;
    sender->counters.reports_sent++;
    struct status_header header = {sender->pair.tag, sender->incarnation, sender->sequence};
    return status_write(sender->aead, &header,
                        (struct status_standing){sender->epoch, sender->turn}, report, out);
}

int status_sender_receive(struct status_sender *sender, uint64_t now_ns, struct span datagram)
{
    struct epoch_header header;
    int result = epoch_read_header(datagram, &header);
    if (result < 0) {
        sender->counters.epochs_malformed++;
        return result;
    }
    if (header.tag != sender->pair.tag || header.incarnation != sender->incarnation ||
        header.sequence <= sender->echo_floor || header.sequence > sender->sequence) {
        sender->counters.epochs_foreign++;
        return ERROR_REPLAY;
    }
    uint64_t turn;
    struct aead *aead = status_answer_aead(sender->crypto, &sender->pair, header.epoch);
    result = epoch_read(aead, datagram, &turn);
    aead_free(&aead);
    if (result < 0) {
        sender->counters.epochs_forged++;
        return result;
    }
    sender->counters.epochs_taken++;
    if (sender->epoch != header.epoch)
        sender->requests = (struct status_window){0};
    sender->epoch = header.epoch;
    sender->turn = turn;
    sender->echo_floor = sender->sequence; /* answers to what was sent before say nothing new */
    sender->next_ns = now_ns;
    return 0;
}

uint64_t status_sender_wake(const struct status_sender *sender)
{
    return sender->next_ns;
}

/* --- measurements --- */

size_t status_sender_measure(struct status_sender *sender, const struct measure_message *message,
                             uint8_t out[MEASURE_DATAGRAM_MAX])
{
    if (sender->epoch == 0)
        return 0;
    sender->counters.measures_sent++;
    struct status_header header = {sender->pair.tag, sender->incarnation, ++sender->measures};
    return measure_write(sender->measure_aead, &header,
                         (struct status_standing){sender->epoch, sender->turn}, message, out);
}

bool status_is_request(struct span datagram)
{
    return datagram.length && datagram.data[0] == STATUS_TYPE_REQUEST;
}

static int open_request(struct status_sender *sender, struct span datagram,
                        struct measure_message *message)
{
    struct request_header header;
    int result = request_read_header(datagram, &header);
    if (result < 0)
        return result;
    if (header.tag != sender->pair.tag || header.epoch != sender->epoch ||
        header.incarnation != sender->incarnation || window_has(&sender->requests, header.counter))
        return ERROR_REPLAY;
    struct aead *aead = status_answer_aead(sender->crypto, &sender->pair, header.epoch);
    result = request_read(aead, datagram, message);
    aead_free(&aead);
    if (result == 0)
        window_take(&sender->requests, header.counter);
    return result;
}

int status_sender_request(struct status_sender *sender, struct span datagram,
                          struct measure_message *message)
{
    int result = open_request(sender, datagram, message);
    if (result < 0)
        sender->counters.requests_refused++;
    else
        sender->counters.requests_taken++;
    return result;
}
