/* SPDX-License-Identifier: Apache-2.0
 *
 * Deficit round robin between the rings, the same between the sites of a ring, round robin between a site's buffers. The text of the requirement (T3) and how it is met:
 *
 *   nSend_r = weight_r x nReady_r          the share of ring r
 *   S = P / sum(nSend)                     normalised to a round of P bytes: one whole pyramid of sub-packets,
 *   nSendNorm_r = nReady_r x S x weight_r  added to the ring's credit when the round starts
 *
 * Normalising to "the ring with the greatest nReady is emptied" only makes the rounds longer; the shares are the same. Short
 * rounds let an urgent stream that appears wait for a few packets instead of a whole burst. Within the round the order is
 * that of T4: one sub-packet from ring 0; one from each of 0 and 1; one from each of 0, 1 and 2; and so on.
 */
#include "transport/blender.h"

#include "base/error.h"

enum {
    PYRAMID_SUB_PACKETS = BLENDER_RINGS * (BLENDER_RINGS + 1) / 2,
    TURN_SUB_PACKET = BLENDER_WEIGHT_DEFAULT, /* what a sub-packet costs of a buffer's turn */
    TURN_LOOKS = 16, /* sites or buffers asked for one decision; enough for any weight >= 1 */
};

#define CREDIT_PER_BYTE (1 << 24) /* the least share of a round is not rounded away */

void blender_init(struct blender *blender, const uint8_t weights[BLENDER_RINGS], uint32_t quantum)
{
    *blender = (struct blender){.quantum = quantum, .boost_bytes = BLENDER_BOOST_BYTES, .round = 2};
    for (int i = 0; i < BLENDER_RINGS; i++)
        list_init(&blender->rings[i].queues);
    blend_sites_init(&blender->sites);
    blender_set_weights(blender, weights);
}

void blender_clear(struct blender *blender)
{
    blend_sites_clear(&blender->sites);
}

void blender_set_weights(struct blender *blender, const uint8_t weights[BLENDER_RINGS])
{
    for (int i = 0; i < BLENDER_RINGS; i++)
        blender->weights[i] = weights[i] ? weights[i] : 1;
}

/* Credit. */

static uint64_t share_of(const struct blender *blender, int ring)
{
    return blender->weights[ring] * blender->rings[ring].ready_count;
}

/* nSendNorm: this ring's part of a round's bytes, in credit. Never 0 for a ring with something ready. */
static int64_t normalised_share(const struct blender *blender, int ring, uint64_t sum)
{
    uint64_t round = (uint64_t)blender->quantum * PYRAMID_SUB_PACKETS * CREDIT_PER_BYTE;
    uint64_t mine = share_of(blender, ring);
    /* round x mine / sum, without an overflow on the way */
    uint64_t share = round / sum * mine + round % sum * mine / sum;
    return share ? (int64_t)share : 1;
}

static uint64_t sum_of_shares(const struct blender *blender)
{
    uint64_t sum = 0;
    for (int i = 0; i < BLENDER_RINGS; i++)
        sum += share_of(blender, i);
    return sum;
}

/* A ring that was empty for a whole round may send a sub-packet at once, on account of the next round, and the pyramid starts anew so
 * that it comes up early. One that was away for less has no more than it had left. */
static void ring_wake(struct blender *blender, struct blend_ring *ring)
{
    if (ring->round + 1 < blender->round) {
        ring->credit = 1;
        blender->depth = blender->position = 0;
    }
    ring->round = blender->round;
}

/* Everyone's credit is used up: as many rounds at once as it takes until somebody has some (more than one only after large
 * sub-packets). */
static void start_rounds(struct blender *blender)
{
    uint64_t sum = sum_of_shares(blender);
    int64_t shares[BLENDER_RINGS] = {0};
    int64_t rounds = INT64_MAX;
    for (int i = 0; i < BLENDER_RINGS; i++) {
        const struct blend_ring *ring = &blender->rings[i];
        if (ring->ready_count == 0)
            continue;
        shares[i] = normalised_share(blender, i, sum);
        int64_t needed = -ring->credit / shares[i] + 1;
        if (needed < rounds)
            rounds = needed;
    }
    blender->round += (uint64_t)rounds;
    for (int i = 0; i < BLENDER_RINGS; i++) {
        struct blend_ring *ring = &blender->rings[i];
        if (ring->ready_count == 0)
            continue;
        ring->credit += shares[i] * rounds;
        ring->round = blender->round;
    }
    blender->depth = blender->position = 0;
}

/* Sites. */

/* What a site may give before the next one's turn: never less, at the default weight, than the most that it can have overdrawn. */
static int64_t site_turn(const struct blender *blender, const struct blend_site *site)
{
    uint64_t bytes = blender->largest > blender->quantum ? blender->largest : blender->quantum;
    return (int64_t)(bytes * site->weight / BLEND_SITE_WEIGHT_DEFAULT + 1);
}

static void queue_enter(struct blender *blender, struct blend_buffer *buffer)
{
    struct blend_queue *queue = &buffer->site->queues[buffer->standing];
    list_push_back(&queue->ready, &buffer->link);
    if (queue->ready_count++ > 0)
        return;
    queue->credit = site_turn(blender, queue->site);
    list_push_back(&blender->rings[buffer->standing].queues, &queue->link);
}

static void queue_exit(struct blend_buffer *buffer)
{
    struct blend_queue *queue = &buffer->site->queues[buffer->standing];
    list_remove(&buffer->link);
    if (--queue->ready_count == 0)
        list_remove(&queue->link);
}

/* The site at the head, or the next one whose credit allows it. If none of the first few has any, the one that lacks least. */
static struct blend_queue *queue_next(const struct blender *blender, struct blend_ring *ring)
{
    struct blend_queue *nearest = NULL;
    for (int looks = 0; looks < TURN_LOOKS; looks++) {
        struct blend_queue *queue = CONTAINER_OF(ring->queues.next, struct blend_queue, link);
        if (queue->credit > 0)
            return queue;
        if (!nearest || queue->credit > nearest->credit)
            nearest = queue;
        queue->credit += site_turn(blender, queue->site);
        list_remove(&queue->link);
        list_push_back(&ring->queues, &queue->link);
    }
    list_remove(&nearest->link);
    list_push_front(&ring->queues, &nearest->link);
    return nearest;
}

/* Standing in rings. */

static void ring_enter(struct blender *blender, struct blend_buffer *buffer)
{
    struct blend_ring *ring = &blender->rings[buffer->standing];
    ring->sockets++;
    if (!buffer->is_ready)
        return;
    queue_enter(blender, buffer);
    ring->bytes += buffer->bytes;
    if (ring->ready_count++ == 0)
        ring_wake(blender, ring);
}

static void ring_exit(struct blender *blender, struct blend_buffer *buffer)
{
    struct blend_ring *ring = &blender->rings[buffer->standing];
    ring->sockets--;
    if (!buffer->is_ready)
        return;
    queue_exit(buffer);
    ring->bytes -= buffer->bytes;
    /* What is left of a round is not saved up for later. */
    if (--ring->ready_count == 0 && ring->credit > 0)
        ring->credit = 0;
}

static uint8_t standing_of(const struct blend_buffer *buffer)
{
    return buffer->boost_bytes > 0 && buffer->ring > 0 ? (uint8_t)(buffer->ring - 1) : buffer->ring;
}

/* It keeps its place in the queue unless it has to stand elsewhere. */
static void stand_rightly(struct blender *blender, struct blend_buffer *buffer)
{
    if (buffer->standing == standing_of(buffer))
        return;
    ring_exit(blender, buffer);
    buffer->standing = standing_of(buffer);
    ring_enter(blender, buffer);
}

void blender_join(struct blender *blender, struct blend_buffer *buffer, uint16_t site, uint8_t ring,
                  uint8_t weight)
{
    INVARIANT(ring < BLENDER_RINGS && !buffer->is_member);
    *buffer = (struct blend_buffer){
        .site = blend_site_join(&blender->sites, site),
        .boost_bytes = blender->boost_bytes,
        .ring = ring,
        .weight = weight ? weight : 1,
        .is_member = true,
    };
    list_init(&buffer->link);
    buffer->standing = standing_of(buffer);
    ring_enter(blender, buffer);
}

void blender_leave(struct blender *blender, struct blend_buffer *buffer)
{
    if (!buffer->is_member)
        return;
    ring_exit(blender, buffer);
    buffer->is_member = buffer->is_ready = false;
    buffer->bytes = 0;
    blend_site_leave(&blender->sites, buffer->site);
}

void blender_set_ring(struct blender *blender, struct blend_buffer *buffer, uint8_t ring,
                      uint8_t weight)
{
    INVARIANT(ring < BLENDER_RINGS && buffer->is_member);
    buffer->ring = ring;
    buffer->weight = weight ? weight : 1;
    stand_rightly(blender, buffer);
}

void blender_set_waiting(struct blender *blender, struct blend_buffer *buffer, uint64_t bytes)
{
    INVARIANT(buffer->is_member);
    struct blend_ring *ring = &blender->rings[buffer->standing];
    if (buffer->is_ready && bytes > 0) {
        ring->bytes += bytes - buffer->bytes;
        buffer->bytes = bytes;
    } else if (buffer->is_ready != (bytes > 0)) {
        ring_exit(blender, buffer);
        buffer->bytes = bytes;
        buffer->is_ready = bytes > 0;
        buffer->turn = 0;
        ring_enter(blender, buffer);
    }
}

/* Whose turn. */

/* The ring that the pyramid asks next among those with credit; -1: none has any. */
static int ring_next(struct blender *blender)
{
    for (int asked = 0; asked <= PYRAMID_SUB_PACKETS; asked++) {
        const struct blend_ring *ring = &blender->rings[blender->position];
        if (ring->ready_count > 0 && ring->credit > 0)
            return blender->position;
        if (blender->position++ == blender->depth) {
            blender->position = 0;
            blender->depth = (uint8_t)((blender->depth + 1) % BLENDER_RINGS);
        }
    }
    return -1;
}

/* The buffer at the head, or the next one that has saved up a turn: those of less than the default weight pass some. If none
 * of the first few has, the one that is nearest to it. */
static struct blend_buffer *buffer_next(struct blend_queue *queue)
{
    struct blend_buffer *nearest = NULL;
    for (int looks = 0; looks < TURN_LOOKS; looks++) {
        struct blend_buffer *buffer = CONTAINER_OF(queue->ready.next, struct blend_buffer, link);
        if (buffer->turn < TURN_SUB_PACKET)
            buffer->turn += buffer->weight;
        if (buffer->turn >= TURN_SUB_PACKET)
            return buffer;
        if (!nearest || buffer->turn > nearest->turn)
            nearest = buffer;
        list_remove(&buffer->link);
        list_push_back(&queue->ready, &buffer->link);
    }
    list_remove(&nearest->link);
    list_push_front(&queue->ready, &nearest->link);
    return nearest;
}

struct blend_buffer *blender_next(struct blender *blender, uint32_t room, bool packet_is_empty,
                                  uint32_t *most)
{
    uint64_t ready = 0;
    for (int i = 0; i < BLENDER_RINGS; i++)
        ready += blender->rings[i].ready_count;
    if (ready == 0)
        return NULL;
    int ring = ring_next(blender);
    if (ring < 0) {
        start_rounds(blender);
        ring = ring_next(blender);
    }
    INVARIANT(ring >= 0);
    if (room > blender->largest)
        blender->largest = room;
    struct blend_buffer *buffer = buffer_next(queue_next(blender, &blender->rings[ring]));
    uint64_t bytes = blender->quantum;
    if (ready == 1 || (packet_is_empty && buffer->bytes >= room))
        bytes = room;
    if (bytes > buffer->bytes)
        bytes = buffer->bytes;
    *most = bytes < room ? (uint32_t)bytes : room;
    return buffer;
}

void blender_took(struct blender *blender, struct blend_buffer *buffer, uint32_t bytes)
{
    INVARIANT(buffer->is_ready && bytes <= buffer->bytes);
    struct blend_ring *ring = &blender->rings[buffer->standing];
    struct blend_queue *queue = &buffer->site->queues[buffer->standing];
    ring->credit -= (int64_t)bytes * CREDIT_PER_BYTE;
    ring->sent_bytes += bytes;
    ring->sub_packets += bytes > 0;
    ring->bytes -= bytes;
    queue->credit -= bytes;
    buffer->site->sent_bytes += bytes;
    buffer->bytes -= bytes;
    buffer->turn -= TURN_SUB_PACKET;
    /* The pyramid's step is done. */
    if (buffer->standing == blender->position && blender->position++ == blender->depth) {
        blender->position = 0;
        blender->depth = (uint8_t)((blender->depth + 1) % BLENDER_RINGS);
    }
    if (buffer->bytes == 0) {
        blender_set_waiting(blender, buffer, 0);
    } else if (bytes == 0 || buffer->turn < TURN_SUB_PACKET) {
        list_remove(&buffer->link);
        list_push_back(&queue->ready, &buffer->link);
    }
    if (queue->ready_count && queue->credit <= 0) {
        queue->credit += site_turn(blender, queue->site);
        list_remove(&queue->link);
        list_push_back(&ring->queues, &queue->link);
    }
    if (buffer->boost_bytes > 0) {
        buffer->boost_bytes -= bytes < buffer->boost_bytes ? bytes : buffer->boost_bytes;
        stand_rightly(blender, buffer);
    }
}

bool blender_upcoming(const struct blender *blender, const struct blend_buffer *buffer,
                      struct blend_buffer *upcoming[2])
{
    const struct blend_ring *ring = &blender->rings[buffer->standing];
    if (list_is_empty(&ring->queues))
        return false;
    const struct blend_queue *queue = CONTAINER_OF(ring->queues.next, struct blend_queue, link);
    if (queue->ready_count < 2)
        return false;
    upcoming[0] = CONTAINER_OF(queue->ready.next, struct blend_buffer, link);
    upcoming[1] = CONTAINER_OF(queue->ready.next->next, struct blend_buffer, link);
    return true;
}

uint64_t blender_waiting(const struct blender *blender)
{
    uint64_t bytes = 0;
    for (int i = 0; i < BLENDER_RINGS; i++)
        bytes += blender->rings[i].bytes;
    return bytes;
}
