/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of policies: a program that obeys its limits, or a sentence. A program's own text gives the same program.
 */
#include "director/director.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct director_policy policy, again;
    struct text complaint = {0};
    if (director_policy_parse(span_of(data, size), &policy, &complaint)) {
        INVARIANT(policy.step_count <= DIRECTOR_STEPS_LIMIT && !complaint.length);
        INVARIANT(policy.sort_count <= DIRECTOR_SORTS_LIMIT);
        INVARIANT(director_policy_parse(span_text(policy.text), &again, &complaint));
        INVARIANT(again.step_count == policy.step_count);
    } else {
        INVARIANT(complaint.length);
    }
    text_clear(&complaint);
    return 0;
}
