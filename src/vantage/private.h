/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the vantage point know of each other.
 */
#ifndef VANTAGE_PRIVATE_H
#define VANTAGE_PRIVATE_H

#include "observe/observe.h"
#include "probe/probe.h"
#include "vantage/vantage.h"

static inline const struct conf *vantage_conf(const struct vantage_options *options)
{
    return conf_current(&options->conf);
}

/* ---- witness.c: health of other edges */

struct witness;
struct witness *witness_new(const struct vantage_options *options, uint64_t seed);
void witness_free(struct witness **witness);
void witness_reload(struct witness *witness);
json_t *witness_status(const struct witness *witness);

/* ---- surveyor.c: round trips on request */

struct surveyor;
struct surveyor *surveyor_new(const struct vantage_options *options, uint64_t seed);
void surveyor_free(struct surveyor **surveyor);
void surveyor_reload(struct surveyor *surveyor);
void surveyor_take(struct surveyor *surveyor, const struct address *host); /* a request */
json_t *surveyor_status(const struct surveyor *surveyor);
void surveyor_metrics_register(void);

#endif
