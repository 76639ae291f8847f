/* SPDX-License-Identifier: Apache-2.0
 *
 * A made-up Internet for the director's simulations: where edges and client networks are, where a map believes them to be, and
 * the round trip of every pair. All of it follows from a seed; nothing of a pair is stored. docs/director.md describes the generator.
 */
#ifndef SIM_GEOGRAPHY_H
#define SIM_GEOGRAPHY_H

#include "base/address.h"
#include "base/text.h"
#include "maps/maps.h"

struct geography;

struct geography *geography_new(uint64_t seed, uint32_t edges, uint32_t networks);
void geography_free(struct geography *geography);

struct maps_point geography_edge(const struct geography *geography, uint32_t edge);
/* As the map has it, which is wrong for some. */
struct maps_point geography_network(const struct geography *geography, uint32_t network);
struct address geography_client(uint32_t network); /* an address in its /24 */
struct maps *geography_maps(const struct geography *geography);

float geography_rtt_ms(const struct geography *geography, uint32_t network, uint32_t edge);
/* As it is measured: with noise that differs from one `round` to the next. */
float geography_measured_ms(const struct geography *geography, uint32_t network, uint32_t edge,
                            uint32_t round);
/* Whether the pair is among the `percent` that are measured. */
bool geography_is_measured(const struct geography *geography, uint32_t network, uint32_t edge,
                           uint32_t percent);

uint32_t geography_best(const struct geography *geography, uint32_t network); /* truly */
/* The nearest on the map. */
uint32_t geography_nearest(const struct geography *geography, uint32_t network);

#endif
