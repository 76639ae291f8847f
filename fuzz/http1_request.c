/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests as a client sends them, one behind the other. Whole and in pieces they must tell the
 * same; each that is accepted must, written anew, parse back as exactly itself. The first byte
 * seeds the cuts.
 */
#include "http.h"

enum { REQUESTS_MOST = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct context request = {0};
    if (!size)
        return 0;
    struct span input = span_of(data + 1, size - 1);
    for (int i = 0; i < REQUESTS_MOST && input.length; i++) {
        struct message whole, pieces;
        message_read(&whole, &request, &http_limits_default, input, 0);
        message_read(&pieces, &request, &http_limits_default, input, 1 + data[0]);
        must_read_alike(&whole, &pieces);
        bool is_complete = whole.last == HTTP_EVENT_END;
        if (is_complete)
            must_write_as_itself(&whole, &request);
        input = span_from(input, is_complete ? whole.used : input.length);
        message_clear(&whole);
        message_clear(&pieces);
    }
    chunk_cache_drain();
    return 0;
}
