/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts that the agent reads: the kernel's, and what programs on the machine write to the gauges' socket.
 */
#include "fuzz.h"

#include "agent/private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *items[] = {"queue", "sessions"};
    const struct conf_texts names = {items, 2};
    struct span text = span_of(data, size);
    uint64_t a, b;
    uint32_t number;
    size_t index;
    (void)!kernel_parse_stat(text, &a, &b);
    (void)!kernel_parse_meminfo(text, &a, &b);
    if (gauges_parse(&names, text, &index, &number) == 0)
        INVARIANT(index < names.count && number != UINT32_MAX);
    if (kernel_parse_snmp(text, &number))
        INVARIANT(number != UINT32_MAX);
    return 0;
}
