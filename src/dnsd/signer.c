/* SPDX-License-Identifier: Apache-2.0
 *
 * A thread's signer: contexts of the keys that it signs with, made once for each key.
 */
#include "dnsd/private.h"

static void sign(void *context, const struct dns_key *key, struct span message,
                 uint8_t signature[DNS_SIGNATURE_BYTES])
{
    struct dnsd_signer *signer = context;
    uint64_t number = signature_key_number(key->secret);
    size_t place = number % DNSD_SIGNERS;
    if (signer->numbers[place] != number) {
        signature_signer_free(&signer->signers[place]);
        signer->signers[place] = signature_signer_new(key->secret);
        signer->numbers[place] = number;
    }
    signature_sign(signer->signers[place], message, signature);
}

void dnsd_signer_init(struct dnsd_signer *signer)
{
    *signer = (struct dnsd_signer){.signer = {.sign = sign, .context = signer}};
}

void dnsd_signer_clear(struct dnsd_signer *signer)
{
    for (size_t i = 0; i < DNSD_SIGNERS; i++)
        signature_signer_free(&signer->signers[i]);
    dns_signer_clear(&signer->signer);
}
