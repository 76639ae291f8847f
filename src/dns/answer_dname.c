/* SPDX-License-Identifier: Apache-2.0
 *
 * Names below a DNAME record are another name below its target (RFC 6672): the record itself, which a validator checks, and
 * the alias that follows from it, which needs no signature.
 */
#include "base/bytes.h"
#include "dns/answer.h"

const struct dns_rrset *answer_find_dname(const struct dns_match *match)
{
    return match->node || !match->encloser ? NULL : dns_node_rrset(match->encloser, DNS_DNAME);
}

/* The first `prefix` bytes of the name before the target; false: too long. */
static bool replace_suffix(const struct dns_match *match, const uint8_t *target,
                           struct dns_name *name)
{
    const struct dns_node *at = match->encloser;
    size_t prefix = (size_t)match->name->length - at->name_length, length = 0;
    struct dns_name made = {.labels = (uint8_t)(match->name->labels - at->labels)};
    for (; target[length]; length += (size_t)target[length] + 1)
        made.labels++;
    length++;
    if (prefix + length > DNS_NAME_LIMIT)
        return false;
    memcpy(made.wire, match->name->wire, prefix);
    memcpy(made.wire + prefix, target, length);
    made.length = (uint8_t)(prefix + length);
    *name = made;
    return true;
}

bool answer_add_dname(struct answer *answer, struct dns_owner owner, const struct dns_match *match,
                      const struct dns_rrset *dname, struct dns_name *name)
{
    const struct dns_node *at = match->encloser;
    size_t prefix = (size_t)match->name->length - at->name_length;
    struct dns_owner upper = owner.pointer ? dns_owner_suffix(answer->writer, at->name_length)
                                           : (struct dns_owner){.name = owner.name + prefix};
    struct dns_name exact = {.length = at->name_length, .labels = at->labels};
    memcpy(exact.wire, at->name, at->name_length);
    const struct dns_match upper_match = {match->zone, at, NULL, NULL, &exact};
    answer_add_data(answer, upper, &upper_match, dname);
    if (!replace_suffix(match, dname->wire + DNS_RR_FIXED_BYTES, name)) {
        answer->rcode = DNS_YXDOMAIN;
        return false;
    }
    if (dns_write_alias(answer->writer, owner, load_u32(dname->wire + 6), name))
        answer->counts[SECTION_ANSWER]++;
    else
        answer->is_truncated = true;
    return true;
}
