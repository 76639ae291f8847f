/* SPDX-License-Identifier: Apache-2.0
 *
 * Explicit congestion notification of a path: which mark our packets carry, whether the network
 * keeps it (RFC 9000 section 13.4 and appendix A.4), and how many congestion marks an
 * acknowledgement newly reports. Where marks are washed off or mangled, none are sent any more.
 */
#ifndef TRANSPORT_ECN_H
#define TRANSPORT_ECN_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* The two bits of the IP header. */
enum ecn_codepoint { ECN_NOT_ECT = 0, ECN_ECT_1 = 1, ECN_ECT_0 = 2, ECN_CE = 3 };

enum { ECN_TEST_PACKETS = 10 }; /* marked packets sent before one of them is acknowledged */

/* X-macro: what is known of the path. */
#define ECN_STATE_LIST(X)                                    \
    X(OFF, "off")         /* not wanted */                   \
    X(TESTING, "testing") /* the first packets are marked */ \
    X(CAPABLE, "capable") /* marks come through */           \
    X(FAILED, "failed")   /* washed off, mangled, or marked packets vanish */

enum ecn_state {
#define X(name, text) ECN_##name,
    ECN_STATE_LIST(X)
#undef X
};
const char *ecn_state_text(enum ecn_state state);

/* Packets of the other end that arrived with each mark, since the connection began. */
struct ecn_counts {
    uint64_t ect_0, ect_1, ce;
};
void ecn_count(struct ecn_counts *counts, uint8_t codepoint, uint32_t packets);

/* The sender's side; embed it. Zero-initialised: off. */
struct ecn {
    enum ecn_state state;
    uint8_t codepoint;      /* ECN_ECT_0 or ECN_ECT_1 */
    uint64_t marked;        /* packets sent with it */
    uint64_t tested;        /* of them, before the present test began */
    uint64_t fresh;         /* of them, acknowledged for the first time by the present ACK */
    uint64_t next;          /* one more than the greatest number acknowledged */
    struct ecn_counts told; /* as the peer last said */
};

void ecn_init(struct ecn *ecn, enum ecn_codepoint wanted); /* ECN_NOT_ECT: off */
/* What the packets sent now carry. */
static inline uint8_t ecn_mark(const struct ecn *ecn)
{
    bool is_marked = ecn->state == ECN_CAPABLE ||
                     (ecn->state == ECN_TESTING && ecn->marked - ecn->tested < ECN_TEST_PACKETS);
    return is_marked ? ecn->codepoint : ECN_NOT_ECT;
}

/* Another way through the network: what was learnt holds no more. */
void ecn_restart(struct ecn *ecn);

/* An acknowledgement of numbers up to `largest` says `counts`; `ecn->fresh` was set. How many CE
 * marks are new; ERROR_INVALID: the path fails, from now on nothing is marked. */
MUST_USE int ecn_on_ack(struct ecn *ecn, uint64_t largest, const struct ecn_counts *counts);
/* A probe timed out. True: it was marked packets that vanished, as far as anybody can tell. */
bool ecn_on_probe_timeout(struct ecn *ecn);

#endif
