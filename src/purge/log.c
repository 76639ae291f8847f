/* SPDX-License-Identifier: Apache-2.0
 *
 * The log's bytes. Head: "cwpurge1", generation (8), check value of these (8). Record: length (4), check value (8), the record. Check values
 * are XXH3 with the generation as seed, so that what an earlier generation left in the file is none of this one's records.
 */
#include "base/hash.h"
#include "purge/record.h"

static const char magic[8] = {'c', 'w', 'p', 'u', 'r', 'g', 'e', '1'};

void purge_log_head_write(uint8_t head[PURGE_LOG_HEAD], uint64_t generation)
{
    memcpy(head, magic, sizeof magic);
    store_u64(head + 8, generation);
    store_u64(head + 16, hash_span(span_of(head, 16), generation));
}

int purge_log_head_read(struct span head, uint64_t *generation)
{
    if (head.length < PURGE_LOG_HEAD || memcmp(head.data, magic, sizeof magic) != 0)
        return ERROR_INVALID;
    *generation = load_u64(head.data + 8);
    return load_u64(head.data + 16) == hash_span(span_of(head.data, 16), *generation)
               ? 0
               : ERROR_INVALID;
}

void purge_log_write(struct text *out, uint64_t generation, const struct purge *purge)
{
    size_t at = out->length;
    static const uint8_t room[PURGE_LOG_EXTRA];
    text_add_span(out, span_of(room, sizeof room));
    record_write(out, purge);
    uint8_t *begin = (uint8_t *)out->data + at;
    size_t length = out->length - at - PURGE_LOG_EXTRA;
    store_u32(begin, (uint32_t)length);
    store_u64(begin + 4, hash_span(span_of(begin + PURGE_LOG_EXTRA, length), generation));
}

int purge_log_read(struct span log, uint64_t generation, struct purge *purge)
{
    if (log.length < PURGE_LOG_EXTRA)
        return ERROR_INCOMPLETE;
    uint32_t length = load_u32(log.data);
    if (length > PURGE_RECORD_BYTES + PURGE_WHAT_MOST)
        return ERROR_INVALID;
    if (log.length < PURGE_LOG_EXTRA + length)
        return ERROR_INCOMPLETE;
    struct span record = span_of(log.data + PURGE_LOG_EXTRA, length);
    if (load_u64(log.data + 4) != hash_span(record, generation) || record_read(record, purge))
        return ERROR_INVALID;
    return (int)(PURGE_LOG_EXTRA + length);
}
