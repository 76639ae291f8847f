/* SPDX-License-Identifier: Apache-2.0
 *
 * Key files and signatures of offline keys: a key, or a sentence, and never more than the limits say. A NUL parts the two
 * files.
 */
#include "fuzz.h"

#include "base/arena.h"
#include "base/error.h"
#include "dns/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_name zone;
    struct dns_key key;
    uint8_t private_key[32];
    struct span text = span_of(data, size);
    size_t part = span_find(text, 0);
    INVARIANT(dns_name_parse(SPAN("example.net"), NULL, &zone) == 0);
    if (!dns_key_file_parse(span_of(data, part), span_from(text, part + 1), &zone, &key,
                            private_key))
        INVARIANT(key.public_length == 32 || key.public_length == 64);
    struct arena arena = {0};
    struct dns_signed_keys signed_keys;
    if (!dns_signed_keys_parse(text, &zone, &arena, &signed_keys)) {
        INVARIANT(signed_keys.key_count && signed_keys.key_count <= DNS_KEYS_LIMIT);
        INVARIANT(signed_keys.given_count && signed_keys.given_count <= DNS_SIGNED_KEYS_LIMIT);
    }
    arena_clear(&arena);
    return 0;
}
