/* SPDX-License-Identifier: Apache-2.0
 *
 * Rings that double when they are full and never shrink while the session lives.
 */
#include "transport/sent_log.h"

#include "base/error.h"
#include "base/memory.h"

enum { FIRST_PACKETS = 64, FIRST_FRAMES = 128 };

void sent_log_clear(struct sent_log *log)
{
    memory_free(log->packets);
    memory_free(log->frames);
    ranges_clear(&log->acked);
    *log = (struct sent_log){0};
}

bool sent_log_is_full(const struct sent_log *log)
{
    return log->next - log->oldest >= SENT_PACKETS_LIMIT;
}

static void grow_packets(struct sent_log *log)
{
    uint32_t capacity = log->packets_capacity ? log->packets_capacity * 2 : FIRST_PACKETS;
    struct sent_packet *grown = memory_resize(NULL, capacity, sizeof *grown);
    for (uint64_t number = log->oldest; number < log->next; number++)
        grown[number & (capacity - 1)] = *sent_log_packet(log, number);
    memory_free(log->packets);
    log->packets = grown;
    log->packets_capacity = capacity;
}

static void grow_frames(struct sent_log *log)
{
    uint32_t capacity = log->frames_capacity ? log->frames_capacity * 2 : FIRST_FRAMES;
    struct sent_frame *grown = memory_resize(NULL, capacity, sizeof *grown);
    for (uint32_t i = log->frames_tail; i != log->frames_head; i++)
        grown[i & (capacity - 1)] = log->frames[i & (log->frames_capacity - 1)];
    memory_free(log->frames);
    log->frames = grown;
    log->frames_capacity = capacity;
}

struct sent_packet *sent_log_begin(struct sent_log *log)
{
    if (log->next - log->oldest == log->packets_capacity)
        grow_packets(log);
    struct sent_packet *packet = sent_log_packet(log, log->next);
    *packet = (struct sent_packet){.first_frame = log->frames_head};
    return packet;
}

struct sent_frame *sent_log_frame(struct sent_log *log)
{
    if (log->frames_head - log->frames_tail == log->frames_capacity)
        grow_frames(log);
    sent_log_packet(log, log->next)->frames++;
    return &log->frames[log->frames_head++ & (log->frames_capacity - 1)];
}

void sent_log_commit(struct sent_log *log, enum sent_state state)
{
    sent_log_packet(log, log->next)->state = (uint8_t)state;
    if (state == SENT_IN_FLIGHT && !log->in_flight++)
        log->first_open = log->next;
    log->next++;
}

void sent_log_cancel(struct sent_log *log)
{
    log->frames_head = sent_log_packet(log, log->next)->first_frame;
}

void sent_log_set_state(struct sent_log *log, uint64_t number, enum sent_state state)
{
    struct sent_packet *packet = sent_log_packet(log, number);
    INVARIANT(state != SENT_IN_FLIGHT);
    bool was_in_flight = packet->state == SENT_IN_FLIGHT;
    packet->state = (uint8_t)state;
    if (!was_in_flight)
        return;
    log->in_flight--;
    if (number != log->first_open)
        return;
    while (log->first_open < log->next &&
           sent_log_packet(log, log->first_open)->state != SENT_IN_FLIGHT)
        log->first_open++;
}

void sent_log_retire(struct sent_log *log)
{
    INVARIANT(log->oldest < log->next);
    const struct sent_packet *packet = sent_log_packet(log, log->oldest);
    INVARIANT(packet->state != SENT_IN_FLIGHT);
    log->frames_tail = packet->first_frame + packet->frames;
    log->oldest++;
    if (log->first_open < log->oldest)
        log->first_open = log->oldest;
    if (log->oldest == log->next)
        log->frames_tail = log->frames_head;
    ranges_remove(&log->acked, 0, log->oldest);
}
