/* SPDX-License-Identifier: Apache-2.0
 *
 * ECN validation.
 */
#include "transport/ecn.h"

enum { CE_AT_ONCE_MAX = 1 << 20 };

const char *ecn_state_text(enum ecn_state state)
{
    switch (state) {
#define X(name, text) \
    case ECN_##name:  \
        return text;
        ECN_STATE_LIST(X)
#undef X
    }
    return "unknown";
}

void ecn_count(struct ecn_counts *counts, uint8_t codepoint, uint32_t packets)
{
    switch ((enum ecn_codepoint)(codepoint & ECN_CE)) {
    case ECN_NOT_ECT:
        return;
    case ECN_ECT_1:
        counts->ect_1 += packets;
        return;
    case ECN_ECT_0:
        counts->ect_0 += packets;
        return;
    case ECN_CE:
        counts->ce += packets;
        return;
    }
}

static void ecn_set_state(struct ecn *ecn, enum ecn_state state)
{
    ecn->state = state;
}

void ecn_init(struct ecn *ecn, enum ecn_codepoint wanted)
{
    *ecn = (struct ecn){.codepoint = (uint8_t)wanted};
    ecn_set_state(ecn, wanted == ECN_NOT_ECT ? ECN_OFF : ECN_TESTING);
}

static int fail(struct ecn *ecn)
{
    ecn_set_state(ecn, ECN_FAILED);
    return ERROR_INVALID;
}

void ecn_restart(struct ecn *ecn)
{
    if (ecn->state != ECN_OFF)
        ecn_set_state(ecn, ECN_TESTING);
    ecn->tested = ecn->marked;
}

int ecn_on_ack(struct ecn *ecn, uint64_t largest, const struct ecn_counts *counts)
{
    uint64_t newly_acked = ecn->fresh;
    ecn->fresh = 0;
    if (largest < ecn->next) /* overtaken: a later one has said it */
        return 0;
    ecn->next = largest + 1;
    const struct ecn_counts before = ecn->told;
    if (ecn->state != ECN_TESTING && ecn->state != ECN_CAPABLE) {
        ecn->told = *counts;
        return 0;
    }
    if (counts->ect_0 < before.ect_0 || counts->ect_1 < before.ect_1 || counts->ce < before.ce)
        return fail(ecn);
    bool is_ect_0 = ecn->codepoint == ECN_ECT_0;
    uint64_t own = is_ect_0 ? counts->ect_0 : counts->ect_1;
    uint64_t own_before = is_ect_0 ? before.ect_0 : before.ect_1;
    uint64_t other = is_ect_0 ? counts->ect_1 : counts->ect_0;
    uint64_t ce = counts->ce - before.ce;
    /* A mark that was never sent; fewer marks than marked packets have arrived; or more. */
    if (other || own - own_before + ce < newly_acked || own > ecn->marked ||
        counts->ce > ecn->marked - own)
        return fail(ecn);
    ecn->told = *counts;
    if (newly_acked && ecn->state == ECN_TESTING)
        ecn_set_state(ecn, ECN_CAPABLE);
    return ce < CE_AT_ONCE_MAX ? (int)ce : CE_AT_ONCE_MAX;
}

bool ecn_on_probe_timeout(struct ecn *ecn)
{
    if (ecn->state != ECN_TESTING || ecn->marked == ecn->tested)
        return false;
    ecn_set_state(ecn, ECN_FAILED);
    return true;
}
