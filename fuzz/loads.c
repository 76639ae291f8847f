/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads from whoever: what is read of a message is written again as the same bytes, as far as its type has them.
 */
#include "loads/loads.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_so)
{
    if (!is_so)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice_queue in = {0};
    struct loads_message message, again;
    int length;
    slice_queue_append(&in, span_of(data, size));
    while ((length = loads_message_take(&in, &message)) > 0) {
        struct text text = {0};
        check(length >= LOADS_MESSAGE_HEAD && length <= LOADS_MESSAGE_MOST);
        if (message.type != LOADS_MESSAGE_UNKNOWN) {
            loads_message_write(&text, &message);
            check(text.length <= (size_t)length);
            check(loads_message_read(text_span(&text), &again) == (int)text.length);
            check(again.type == message.type && again.number == message.number &&
                  again.known == message.known && again.lost == message.lost &&
                  again.is_leaving == message.is_leaving && again.version == message.version &&
                  again.report.site == message.report.site &&
                  !loads_report_differs(&message.report, &again.report));
        }
        text_clear(&text);
    }
    check(length == ERROR_INCOMPLETE || length == ERROR_INVALID);
    slice_queue_clear(&in);
    return 0;
}
