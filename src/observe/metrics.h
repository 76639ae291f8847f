/* SPDX-License-Identifier: Apache-2.0
 *
 * How the registered metrics are read as a whole.
 */
#ifndef OBSERVE_METRICS_H
#define OBSERVE_METRICS_H

#include "observe/observe.h"

/* `values`: one, or HISTOGRAM_SLOTS; sums over threads. In the order of registration. */
typedef void metric_visit(const struct metric *metric, const uint64_t *values, void *argument);
void metrics_each(metric_visit *visit, void *argument);

#endif
