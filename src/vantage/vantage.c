/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a vantage point, and what it is asked.
 */
#include "vantage/private.h"

#include "base/memory.h"

struct vantage {
    struct vantage_options options;
    struct witness *witness;
    struct surveyor *surveyor;
};

static void on_request(void *owner, const struct measure_item *item)
{
    struct vantage *vantage = owner;
    if (item->kind == MEASURE_PROBE)
        surveyor_take(vantage->surveyor, &item->probe);
}

static uint64_t draw_seed(const struct crypto *crypto)
{
    uint64_t seed;
    crypto->random(crypto->random_state, &seed, sizeof seed);
    return seed;
}

struct vantage *vantage_start(const struct vantage_options *options)
{
    struct vantage *vantage = NEW(struct vantage);
    probe_metrics_register();
    surveyor_metrics_register();
    vantage->options = *options;
    vantage->witness = witness_new(&vantage->options, draw_seed(options->crypto));
    vantage->surveyor = surveyor_new(&vantage->options, draw_seed(options->crypto));
    agent_on_request(options->agent, on_request, vantage);
    return vantage;
}

void vantage_reload(struct vantage *vantage, const int echo_fds[2])
{
    memcpy(vantage->options.echo_fds, echo_fds, sizeof vantage->options.echo_fds);
    witness_reload(vantage->witness);
    surveyor_reload(vantage->surveyor);
}

void vantage_stop(struct vantage **stopped)
{
    struct vantage *vantage = *stopped;
    *stopped = NULL;
    if (!vantage)
        return;
    agent_on_request(vantage->options.agent, NULL, NULL);
    witness_free(&vantage->witness);
    surveyor_free(&vantage->surveyor);
    memory_free(vantage);
}

json_t *vantage_status(struct vantage *vantage)
{
    return json_pack("{s:o,s:o}", "checks", witness_status(vantage->witness), "probes",
                     surveyor_status(vantage->surveyor));
}
