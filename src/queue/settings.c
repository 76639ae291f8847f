/* SPDX-License-Identifier: Apache-2.0
 *
 * What a queue does unless its owner says otherwise, and the words for why a request was given up.
 */
#include "queue/queue.h"

#define SECOND_NS 1000000000ull

/* Shares: what a class gets while all above it want everything. The first needs none, it goes before all others. */
static const struct queue_settings defaults = {
    .length = QUEUE_LENGTH_DEFAULT,
    .patience_ns = 10 * SECOND_NS,
    .target_ns = 2 * SECOND_NS,
    .interval_ns = SECOND_NS,
    .share_percent = {0, 10, 8, 5, 2},
    .reserve_percent = 5,
    .is_newest_first = true,
    .slots_least = 2,
    .slots_most = 1000,
    .slow_start = {.duration_ns = 10 * SECOND_NS, .least_percent = 10},
};

void queue_settings_default(struct queue_settings *settings)
{
    *settings = defaults;
}

const char *queue_reason_word(enum queue_reason reason)
{
    static const char *const words[] = {
#define X(name, word, text) word,
        QUEUE_REASON_LIST(X)
#undef X
    };
    return words[reason];
}

const char *queue_reason_text(enum queue_reason reason)
{
    static const char *const texts[] = {
#define X(name, word, text) text,
        QUEUE_REASON_LIST(X)
#undef X
    };
    return texts[reason];
}
