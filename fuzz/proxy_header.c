/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of the PROXY protocol: what is cut off must be called incomplete or wrong, and what follows it must not matter.
 */
#include "fuzz.h"

#include "base/memory.h"
#include "http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct span input = span_of(data + 1, size - 1);
    struct http_proxy_header whole, part;
    int result = http_proxy_header_parse(input, &whole);
    if (result == 0) {
        INVARIANT(whole.length && whole.length <= input.length &&
                  whole.length <= HTTP_PROXY_HEADER_MOST);
        INVARIANT(whole.is_local == !whole.source.family);
        INVARIANT(whole.is_local == !whole.destination.family);
    }
    size_t cut = input.length * data[0] / 256;
    uint8_t *exact = memory_raw(cut + 1);
    if (cut)
        memcpy(exact, input.data, cut);
    int result_of_part = http_proxy_header_parse(span_of(exact, cut), &part);
    if (result_of_part == 0)
        INVARIANT(result == 0 && part.length == whole.length &&
                  address_equal(&part.source, &whole.source));
    else if (result == 0)
        INVARIANT(cut < whole.length && result_of_part == ERROR_INCOMPLETE);
    memory_free(exact);
    return 0;
}
