/* SPDX-License-Identifier: Apache-2.0
 *
 * Limiting the rate of equal answers to one client network, so that this server is of no use for flooding others with
 * answers to forged queries (as BIND, NSD and Knot do it). A network and a kind of answer share a bucket: NXDOMAINs of a
 * zone are one kind, so are the answers of one name, or of one wildcard, whatever was asked below it.
 *
 * A bucket is one 64-bit word, changed by compare-and-swap: threads share the table without locks. It holds the time at which
 * all that was answered is paid for at the rate. Answers are given while that is at most a second ahead; what is not answered
 * counts too, up to `window_s` ahead, so that a flood is answered no more until it ends.
 *
 * Of the answers that are withheld every `slip`th gives way to a small one instead, so that a client whose network is abused can
 * come over TCP. Eight words stand together in a cache line; a newcomer takes the place of the one that owes least.
 */
#ifndef DNS_LIMITER_H
#define DNS_LIMITER_H

#include "dns/dns.h"

enum dns_kind { DNS_KIND_DATA, DNS_KIND_NEGATIVE, DNS_KIND_REFERRAL, DNS_KIND_ERROR };

/* What becomes of an answer of this kind, about this name (lower case). */
enum dns_limit dns_limiter_take(struct dns_limiter *limiter, const struct address *client,
                                enum dns_kind kind, struct span name, uint64_t now_ns);

#endif
