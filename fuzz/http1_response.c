/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers as an origin sends them. The first byte chooses the request that is answered and seeds
 * the cuts. Whole and in pieces they must tell the same; what is accepted must, written anew, parse
 * back as exactly itself.
 */
#include "http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    const struct context context = {.is_response = true,
                                    .upgrade = (data[0] & 3) == 2,
                                    .method =
                                        (data[0] & 3) == 1 ? HTTP_METHOD_HEAD : HTTP_METHOD_GET};
    struct span input = span_of(data + 1, size - 1);
    struct message whole, pieces;
    message_read(&whole, &context, &http_limits_default, input, 0);
    message_read(&pieces, &context, &http_limits_default, input, 1 + data[0]);
    must_read_alike(&whole, &pieces);
    if (whole.last == HTTP_EVENT_END)
        must_write_as_itself(&whole, &context);
    message_clear(&whole);
    message_clear(&pieces);
    chunk_cache_drain();
    return 0;
}
