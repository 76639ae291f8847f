/* SPDX-License-Identifier: Apache-2.0
 *
 * MaxMind databases from memory.
 */
#include "fuzz.h"

#include "maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_map(data, size);
    return 0;
}
