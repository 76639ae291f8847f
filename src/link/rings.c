/* SPDX-License-Identifier: Apache-2.0
 *
 * The priorities in /metrics (T2), over all links; of each link they are in its status. Counted once a second on the lane's worker.
 */
#include "link/driver.h"
#include "observe/observe.h"

#define RING_METRICS(kind, name, help)                                                      \
    {                                                                                       \
        METRIC(kind, name, "ring=\"0\"", help), METRIC(kind, name, "ring=\"1\"", help),     \
            METRIC(kind, name, "ring=\"2\"", help), METRIC(kind, name, "ring=\"3\"", help), \
            METRIC(kind, name, "ring=\"4\"", help),                                         \
    }

static struct metric sockets[] =
    RING_METRICS(GAUGE, "causeway_link_ring_sockets", "Streams of a priority."),
                     ready[] =
                         RING_METRICS(GAUGE, "causeway_link_ring_ready",
                                      "Streams of a priority that wait with something to send."),
                     waiting[] = RING_METRICS(GAUGE, "causeway_link_ring_waiting_bytes",
                                              "Bytes of a priority that wait to be sent."),
                     sent[] = RING_METRICS(COUNTER, "causeway_link_ring_sent_bytes_total",
                                           "Bytes of a priority sent, also those sent again.");

void rings_register(void)
{
    for (int i = 0; i < TRANSPORT_RINGS; i++) {
        metric_register(&sockets[i]);
        metric_register(&ready[i]);
        metric_register(&waiting[i]);
        metric_register(&sent[i]);
    }
}

void rings_count(const struct transport_facts *before, const struct transport_facts *now)
{
    for (int i = 0; i < TRANSPORT_RINGS; i++) {
        const struct transport_ring_facts *old = &before->rings[i], *ring = &now->rings[i];
        metric_add(&sockets[i], ring->sockets - old->sockets);
        metric_add(&ready[i], ring->ready - old->ready);
        metric_add(&waiting[i], ring->bytes - old->bytes);
        if (ring->sent_bytes > old->sent_bytes)
            metric_add(&sent[i], ring->sent_bytes - old->sent_bytes);
    }
}
