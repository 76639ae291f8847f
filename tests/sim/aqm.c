/* SPDX-License-Identifier: Apache-2.0
 *
 * CoDel and the coupled dual queue. A packet's due_ns is the moment of its arrival while it is queued here.
 */
#include "aqm.h"

#include <math.h>

#define CODEL_TARGET_NS   (5 * SIM_MS)
#define CODEL_INTERVAL_NS (100 * SIM_MS)

enum { AQM_PACKET_BYTES = 1500, CODEL_MEMORY_INTERVALS = 16 };

static void fifo_put(struct sim_fifo *fifo, struct sim_packet *packet)
{
    packet->next = NULL;
    *(fifo->last ? &fifo->last->next : &fifo->first) = packet;
    fifo->last = packet;
    fifo->bytes += packet->length;
}

static struct sim_packet *fifo_take(struct sim_fifo *fifo)
{
    struct sim_packet *packet = fifo->first;
    if (!packet)
        return NULL;
    fifo->first = packet->next;
    if (!fifo->first)
        fifo->last = NULL;
    fifo->bytes -= packet->length;
    return packet;
}

static void fifo_clear(struct sim_fifo *fifo, struct sim *sim)
{
    for (struct sim_packet *packet; (packet = fifo_take(fifo));)
        sim_packet_free(sim, packet);
}

static uint64_t sending_ns(const struct sim_packet *packet, uint64_t bytes_per_s)
{
    return packet->length * SIM_SECOND / bytes_per_s;
}

/* CoDel. Names and steps are those of RFC 8289 section 5. */

static struct sim_codel *codel_of(struct sim_node *node)
{
    return (struct sim_codel *)(void *)node;
}

static uint64_t control_law(const struct sim_codel *codel, uint64_t t_ns, uint32_t count)
{
    return t_ns + (uint64_t)((double)codel->config.interval_ns / sqrt(count));
}

static struct sim_packet *do_dequeue(struct sim_codel *codel, bool *ok_to_drop)
{
    uint64_t now_ns = codel->node.sim->now_ns;
    struct sim_packet *packet = fifo_take(&codel->queue);
    *ok_to_drop = false;
    if (!packet) {
        codel->first_above_ns = 0;
        return NULL;
    }
    uint64_t sojourn_ns = now_ns - packet->due_ns;
    if (sojourn_ns < codel->config.target_ns || codel->queue.bytes <= AQM_PACKET_BYTES)
        codel->first_above_ns = 0;
    else if (codel->first_above_ns == 0)
        codel->first_above_ns = now_ns + codel->config.interval_ns;
    else
        *ok_to_drop = now_ns >= codel->first_above_ns;
    return packet;
}

/* Marked it goes on; dropped, the next one is looked at. */
static struct sim_packet *signal_by(struct sim_codel *codel, struct sim_packet *packet,
                                    bool *ok_to_drop)
{
    if (codel->config.marks && packet->ecn != ECN_NOT_ECT) {
        packet->ecn = ECN_CE;
        codel->marked++;
        return packet;
    }
    codel->dropped++;
    sim_packet_free(codel->node.sim, packet);
    return do_dequeue(codel, ok_to_drop);
}

static struct sim_packet *codel_dequeue(struct sim_codel *codel)
{
    uint64_t now_ns = codel->node.sim->now_ns;
    bool ok_to_drop;
    struct sim_packet *packet = do_dequeue(codel, &ok_to_drop);
    if (!packet) {
        codel->is_dropping = false;
        return NULL;
    }
    if (codel->is_dropping) {
        codel->is_dropping = ok_to_drop;
        while (packet && codel->is_dropping && now_ns >= codel->drop_next_ns) {
            codel->count++;
            packet = signal_by(codel, packet, &ok_to_drop);
            codel->is_dropping = ok_to_drop;
            codel->drop_next_ns = control_law(codel, codel->drop_next_ns, codel->count);
        }
    } else if (ok_to_drop) {
        packet = signal_by(codel, packet, &ok_to_drop);
        codel->is_dropping = true;
        uint32_t delta = codel->count - codel->last_count;
        bool is_recent =
            now_ns < codel->drop_next_ns + CODEL_MEMORY_INTERVALS * codel->config.interval_ns;
        codel->count = delta > 1 && is_recent ? delta : 1;
        codel->drop_next_ns = control_law(codel, now_ns, codel->count);
        codel->last_count = codel->count;
    }
    return packet;
}

static void codel_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct sim_codel *codel = codel_of(node);
    if (codel->config.queue_bytes &&
        codel->queue.bytes + packet->length > codel->config.queue_bytes) {
        codel->overflowed++;
        sim_packet_free(node->sim, packet);
        return;
    }
    packet->due_ns = node->sim->now_ns;
    fifo_put(&codel->queue, packet);
}

static uint64_t codel_next(const struct sim_node *node)
{
    const struct sim_codel *codel = (const struct sim_codel *)(const void *)node;
    if (codel->leaving)
        return codel->free_ns;
    return codel->queue.first ? node->sim->now_ns : SIM_NEVER;
}

static void codel_run(struct sim_node *node)
{
    struct sim_codel *codel = codel_of(node);
    struct sim_packet *left = codel->leaving;
    struct sim_packet *packet = codel_dequeue(codel);
    codel->leaving = packet;
    if (packet) {
        uint64_t sojourn_ns = node->sim->now_ns - packet->due_ns;
        codel->packets++;
        codel->sojourn_sum_ns += sojourn_ns;
        if (sojourn_ns > codel->sojourn_peak_ns)
            codel->sojourn_peak_ns = sojourn_ns;
        codel->free_ns = node->sim->now_ns + sending_ns(packet, codel->config.bytes_per_s);
    }
    if (left)
        sim_deliver(codel->to, left);
}

void sim_codel_init(struct sim_codel *codel, struct sim *sim, const struct sim_codel_config *config,
                    struct sim_node *to)
{
    *codel = (struct sim_codel){.config = *config, .to = to};
    if (codel->config.target_ns == 0)
        codel->config.target_ns = CODEL_TARGET_NS;
    if (codel->config.interval_ns == 0)
        codel->config.interval_ns = CODEL_INTERVAL_NS;
    sim_node_init(&codel->node, sim, "codel");
    codel->node.receive = codel_receive;
    codel->node.next = codel_next;
    codel->node.run = codel_run;
}

void sim_codel_clear(struct sim_codel *codel)
{
    fifo_clear(&codel->queue, codel->node.sim);
    if (codel->leaving)
        sim_packet_free(codel->node.sim, codel->leaving);
    codel->leaving = NULL;
    sim_node_clear(&codel->node);
}

/* The dual queue: RFC 9332 appendix A, with a step for the low queue's own marks, and a weighted turn instead of a time shift. */

#define DUAL_STEP_NS   SIM_MS
#define DUAL_TARGET_NS (15 * SIM_MS)
#define DUAL_UPDATE_NS (16 * SIM_MS)
#define DUAL_ALPHA     0.16 /* per second of delay above the target, */
#define DUAL_BETA      3.2  /* and of its growth, by update */
#define DUAL_COUPLING  2.0

enum { DUAL_LOW_TURNS = 15 }; /* packets of the low queue while a classic one waits */

static struct sim_dual *dual_of(struct sim_node *node)
{
    return (struct sim_dual *)(void *)node;
}

static uint64_t waiting_ns(const struct sim_fifo *fifo, uint64_t now_ns)
{
    return fifo->first ? now_ns - fifo->first->due_ns : 0;
}

static void update_controller(struct sim_dual *dual)
{
    uint64_t now_ns = dual->node.sim->now_ns;
    for (; dual->update_ns <= now_ns; dual->update_ns += DUAL_UPDATE_NS) {
        uint64_t delay_ns = waiting_ns(&dual->classic.fifo, now_ns);
        double off_s = ((double)delay_ns - (double)DUAL_TARGET_NS) * 1e-9;
        double growth_s = ((double)delay_ns - (double)dual->last_delay_ns) * 1e-9;
        dual->base += DUAL_ALPHA * off_s + DUAL_BETA * growth_s;
        dual->base = fmin(fmax(dual->base, 0), 1);
        dual->last_delay_ns = delay_ns;
    }
}

static bool chance(struct sim *sim, double probability)
{
    return probability > 0 && random_unit(&sim->random) < probability;
}

static struct sim_packet *take_low(struct sim_dual *dual)
{
    struct sim *sim = dual->node.sim;
    struct sim_packet *packet = fifo_take(&dual->low.fifo);
    bool is_late = sim->now_ns - packet->due_ns > DUAL_STEP_NS;
    if (packet->ecn != ECN_CE && (is_late || chance(sim, DUAL_COUPLING * dual->base))) {
        packet->ecn = ECN_CE;
        dual->low.marked++;
    }
    return packet;
}

/* The first that is not dropped; NULL: none is left. */
static struct sim_packet *take_classic(struct sim_dual *dual)
{
    struct sim *sim = dual->node.sim;
    for (struct sim_packet *packet; (packet = fifo_take(&dual->classic.fifo));) {
        if (!chance(sim, dual->base * dual->base))
            return packet;
        if (packet->ecn == ECN_ECT_0) {
            packet->ecn = ECN_CE;
            dual->classic.marked++;
            return packet;
        }
        dual->classic.dropped++;
        sim_packet_free(sim, packet);
    }
    return NULL;
}

static struct sim_packet *dual_dequeue(struct sim_dual *dual)
{
    bool has_classic = dual->classic.fifo.first, has_low = dual->low.fifo.first;
    struct sim_packet *packet = NULL;
    struct sim_dual_queue *queue = &dual->classic;
    if (has_classic && (!has_low || dual->low_in_a_row >= DUAL_LOW_TURNS)) {
        dual->low_in_a_row = 0;
        packet = take_classic(dual);
    }
    if (!packet && dual->low.fifo.first) {
        dual->low_in_a_row++;
        queue = &dual->low;
        packet = take_low(dual);
    }
    if (packet) {
        queue->packets++;
        queue->sojourn_sum_ns += dual->node.sim->now_ns - packet->due_ns;
    }
    return packet;
}

static void dual_receive(struct sim_node *node, struct sim_packet *packet)
{
    struct sim_dual *dual = dual_of(node);
    uint64_t bytes = dual->low.fifo.bytes + dual->classic.fifo.bytes + packet->length;
    if (dual->config.queue_bytes && bytes > dual->config.queue_bytes) {
        dual->overflowed++;
        sim_packet_free(node->sim, packet);
        return;
    }
    packet->due_ns = node->sim->now_ns;
    bool is_low = packet->ecn == ECN_ECT_1 || packet->ecn == ECN_CE;
    fifo_put(is_low ? &dual->low.fifo : &dual->classic.fifo, packet);
}

static uint64_t dual_next(const struct sim_node *node)
{
    const struct sim_dual *dual = (const struct sim_dual *)(const void *)node;
    if (dual->leaving)
        return dual->free_ns;
    return dual->low.fifo.first || dual->classic.fifo.first ? node->sim->now_ns : SIM_NEVER;
}

static void dual_run(struct sim_node *node)
{
    struct sim_dual *dual = dual_of(node);
    struct sim_packet *left = dual->leaving;
    update_controller(dual);
    dual->leaving = dual_dequeue(dual);
    if (dual->leaving)
        dual->free_ns = node->sim->now_ns + sending_ns(dual->leaving, dual->config.bytes_per_s);
    if (left)
        sim_deliver(dual->to, left);
}

void sim_dual_init(struct sim_dual *dual, struct sim *sim, const struct sim_dual_config *config,
                   struct sim_node *to)
{
    *dual = (struct sim_dual){.config = *config, .to = to, .update_ns = sim->now_ns};
    sim_node_init(&dual->node, sim, "dual queue");
    dual->node.receive = dual_receive;
    dual->node.next = dual_next;
    dual->node.run = dual_run;
}

void sim_dual_clear(struct sim_dual *dual)
{
    struct sim *sim = dual->node.sim;
    fifo_clear(&dual->low.fifo, sim);
    fifo_clear(&dual->classic.fifo, sim);
    if (dual->leaving)
        sim_packet_free(sim, dual->leaving);
    dual->leaving = NULL;
    sim_node_clear(&dual->node);
}
