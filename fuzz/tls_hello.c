/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's first bytes. What is cut off must be called incomplete or wrong, never something else than the whole; a name lies within
 * what was given, or the scratch memory.
 */
#include "fuzz.h"

#include "base/memory.h"
#include "tls/tls.h"

static bool lies_in(struct span part, const uint8_t *start, size_t length)
{
    return part.data >= start && part.data + part.length <= start + length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    uint8_t *scratch = memory_raw(TLS_HELLO_LIMIT), *other = memory_raw(TLS_HELLO_LIMIT);
    struct span input = span_of(data + 1, size - 1);
    struct tls_hello whole, part;
    int result = tls_hello_parse(input, scratch, &whole);
    INVARIANT(!whole.name.length || lies_in(whole.name, input.data, input.length) ||
              lies_in(whole.name, scratch, TLS_HELLO_LIMIT));
    size_t cut = input.length * data[0] / 256;
    int result_of_part = tls_hello_parse(span_of(input.data, cut), other, &part);
    if (result_of_part != ERROR_INCOMPLETE) {
        INVARIANT(result_of_part == result);
        INVARIANT(result < 0 || span_equal(part.name, whole.name));
    }
    memory_free(scratch);
    memory_free(other);
    return 0;
}
