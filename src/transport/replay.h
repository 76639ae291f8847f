/* SPDX-License-Identifier: Apache-2.0
 *
 * Which packet numbers of a path have been seen: a sliding bitmap (RFC 6479's shape). It is asked
 * only about packets whose tag was right. Numbers behind the window count as seen.
 */
#ifndef TRANSPORT_REPLAY_H
#define TRANSPORT_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

enum { REPLAY_BITS = 8192, REPLAY_WORDS = REPLAY_BITS / 64 };

/* Zero-initialised: nothing seen. */
struct replay {
    uint64_t next; /* one more than the greatest number seen */
    uint64_t words[REPLAY_WORDS];
};

/* Notes `number`; false: it has been seen, or is too old to tell. */
bool replay_note(struct replay *replay, uint64_t number);

#endif
