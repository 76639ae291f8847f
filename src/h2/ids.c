/* SPDX-License-Identifier: Apache-2.0
 *
 * Which identifiers HEADERS of a client may name (RFC 9113 section 5.1.1): those of open streams and higher ones than any before. One
 * that is lower and belongs to no stream is an error of the connection, unless the stream was reset from here: what the client sent before
 * it heard of that was right. The last resets are remembered; below the oldest of those that were forgotten nothing is held against
 * anybody.
 */
#include "h2/private.h"

bool h2_ids_take(struct h2_ids *ids, uint32_t id)
{
    if (id > ids->highest) {
        ids->highest = id;
        return true;
    }
    if (id <= ids->forgotten)
        return true;
    for (size_t i = 0; i < H2_RESETS_REMEMBERED; i++)
        if (ids->resets[i] == id)
            return true;
    return false;
}

void h2_ids_note_reset(struct h2_ids *ids, uint32_t id)
{
    uint32_t *place = &ids->resets[ids->next++ % H2_RESETS_REMEMBERED];
    if (*place > ids->forgotten)
        ids->forgotten = *place;
    *place = id;
}
