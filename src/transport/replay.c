/* SPDX-License-Identifier: Apache-2.0
 *
 * The window moves by whole words, so the usable depth is between REPLAY_BITS - 64 and REPLAY_BITS.
 */
#include "transport/replay.h"

#include <string.h>

bool replay_note(struct replay *replay, uint64_t number)
{
    uint64_t word = number / 64;
    if (number >= replay->next) {
        uint64_t newest = replay->next ? (replay->next - 1) / 64 : 0;
        if (word - newest >= REPLAY_WORDS) {
            memset(replay->words, 0, sizeof replay->words);
        } else {
            while (newest < word)
                replay->words[++newest % REPLAY_WORDS] = 0;
        }
        replay->next = number + 1;
    } else if ((replay->next - 1) / 64 - word >= REPLAY_WORDS) {
        return false;
    }
    uint64_t bit = 1ull << number % 64;
    uint64_t *slot = &replay->words[word % REPLAY_WORDS];
    if (*slot & bit)
        return false;
    *slot |= bit;
    return true;
}
