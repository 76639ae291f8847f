/* SPDX-License-Identifier: Apache-2.0
 *
 * Purges from whoever: what is read of a message, and of the log, is written again as the same bytes. The first byte says which.
 */
#include "purge/purge.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_so)
{
    if (!is_so)
        abort();
}

/* A body of a known type may be longer than is known: what is known of it comes back. */
static void read_messages(struct span bytes)
{
    struct slice_queue in = {0};
    static uint8_t buffer[PURGE_MESSAGE_MOST];
    struct purge_message message, again;
    int length;
    slice_queue_append(&in, bytes);
    while ((length = purge_message_take(&in, buffer, &message)) > 0) {
        struct text text = {0};
        check(length >= PURGE_MESSAGE_HEAD && length <= PURGE_MESSAGE_MOST);
        if (message.type != PURGE_MESSAGE_UNKNOWN) {
            purge_message_write(&text, &message);
            check(text.length <= (size_t)length);
            check(purge_message_read(text_span(&text), &again) == (int)text.length);
            check(again.type == message.type && again.site == message.site &&
                  again.number == message.number && again.version == message.version &&
                  again.purge.number == message.purge.number &&
                  span_equal(again.purge.what, message.purge.what));
        }
        text_clear(&text);
    }
    check(length == ERROR_INCOMPLETE || length == ERROR_INVALID);
    slice_queue_clear(&in);
}

static void read_log(struct span bytes)
{
    struct purge purge;
    uint64_t generation;
    if (purge_log_head_read(bytes, &generation))
        return;
    bytes = span_from(bytes, PURGE_LOG_HEAD);
    for (int length; (length = purge_log_read(bytes, generation, &purge)) > 0;) {
        struct text text = {0};
        purge_log_write(&text, generation, &purge);
        check(text.length == (size_t)length &&
              span_equal(text_span(&text), span_of(bytes.data, (size_t)length)));
        text_clear(&text);
        bytes = span_from(bytes, (size_t)length);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    if (data[0] & 1)
        read_log(span_of(data + 1, size - 1));
    else
        read_messages(span_of(data + 1, size - 1));
    return 0;
}
