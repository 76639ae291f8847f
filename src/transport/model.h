/* SPDX-License-Identifier: Apache-2.0
 *
 * What the path carries and how long its queue is: delivery rate (the greatest of some rounds), least round trip, share of packets
 * lost. Measured in packet-timed rounds: what is acknowledged in a round was sent in the one before. It counts for itself and decides
 * nothing; pilot.h does.
 */
#ifndef TRANSPORT_MODEL_H
#define TRANSPORT_MODEL_H

#include "transport/congestion.h"

enum { MODEL_RATE_ROUNDS = 10, MODEL_BLOCK = 8 };

/* A round of acknowledgements. */
struct model_round {
    double bytes_per_s;         /* delivered */
    double settled_bytes_per_s; /* delivered or lost */
    uint64_t queue_ns; /* its least round trip beyond the path's; that of the round before if */
    uint64_t last_queue_ns; /* it had no sample. And the least of its last MODEL_BLOCK samples */
    uint32_t acked, lost, marked; /* packets */
    bool is_app_limited;
};

/* Embed it. */
struct model {
    struct model_round now; /* under way; what is counted in it */
    uint64_t round_end;     /* it ends with the ack of this number or a later one */
    uint64_t round_ns;      /* its start */
    uint64_t round_from_bytes, round_lost_bytes;
    uint64_t round_least_ns; /* UINT64_MAX: no sample */
    uint64_t rounds;
    bool is_closing; /* it ends with what else arrives at this instant */
    uint64_t delivered_bytes, delivered_ns;

    double rates[MODEL_RATE_ROUNDS]; /* bytes/s */
    uint32_t next_rate;
    double rate; /* the greatest: to be sent so that the path is full, losses by chance included */
    double recent_lost, recent_sent; /* packets, fading */
    uint64_t least_ns[2];            /* least round trip of this period and of the last one */
    uint64_t period_ns;              /* when this one began */
    uint64_t queue_ns;               /* of the last round that had a sample */
    uint64_t block_ns[2];            /* least of the last whole block of samples, and of this one */
    uint32_t block_samples;
};

void model_init(struct model *model, uint64_t now_ns);

/* True: a round had ended with the acks before this one. It is told in *round; the caller passes it on to model_learn(). */
bool model_on_acked(struct model *model, const struct congestion_packet *packet,
                    uint64_t next_number, uint64_t rtt_ns, uint64_t now_ns,
                    struct model_round *round);
void model_on_lost(struct model *model, uint32_t bytes);
void model_on_marked(struct model *model);

/* Lost significantly more than the path is known to lose. */
bool model_is_loss_risen(const struct model *model, const struct model_round *round);
void model_learn(struct model *model, const struct model_round *round);
/* The round under way as far as it is known: in slow start a whole round is half the truth. */
void model_learn_early(struct model *model);
/* The path is full: only what the last two rounds delivered counts. */
void model_forget_rates(struct model *model);

uint64_t model_least_rtt_ns(const struct model *model); /* 0: unknown */
double model_loss(const struct model *model);           /* share of packets */

#endif
