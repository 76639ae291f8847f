/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast the virtual network is: simulated seconds for each second of processor time, with each kind of sender on links of 10 and
 * 200 Mbit/s (at least 300 at 10 Mbit/s is asked for). Run by `meson test --benchmark`; test_network asserts the events and
 * allocations behind it.
 */
#include "dumbbell.h"
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct dumbbell dumbbell;
static struct sim_pair pair;
static struct workload workload;

static void add_core(uint64_t rtt_ns)
{
    dumbbell_add_pair(&dumbbell, &pair, rtt_ns, 1);
    workload_init(&workload, &pair);
    for (int i = 0; i < 4; i++)
        workload_add(&workload, EDGE_SIDE, 1ull << 40, 0);
    sim_pair_start(&pair);
}

static void run(const char *name, uint64_t mbit_per_s, const enum flow_kind *kind, uint64_t seconds)
{
    struct dumbbell_config config = {
        .bytes_per_s = mbit_per_s * 125000, .rtt_ns = 50 * SIM_MS, .buffer_bdp = 1, .loss = 0.0001};
    dumbbell_init(&dumbbell, &config, 1);
    sim_run(&dumbbell.sim, SIM_SECOND, NULL, NULL);
    if (kind)
        dumbbell_add(&dumbbell, *kind, 4, SIM_SECOND);
    else
        add_core(config.rtt_ns);
    clock_t start = clock();
    sim_run(&dumbbell.sim, (1 + seconds) * SIM_SECOND, NULL, NULL);
    double cpu_s = (double)(clock() - start) / CLOCKS_PER_SEC;
    double packets = (double)dumbbell.sim.packets_made;
    printf(
        "%-28s %4llu Mbit/s %8.0f simulated seconds a second, %5.0f ns and %.2f events a packet\n",
        name, (unsigned long long)mbit_per_s, (double)seconds / cpu_s, cpu_s * 1e9 / packets,
        (double)dumbbell.sim.runs / packets);
    if (!kind)
        sim_pair_clear(&pair);
    dumbbell_clear(&dumbbell);
}

int main(void)
{
    static const enum flow_kind cubic = FLOW_CUBIC, bbr = FLOW_BBR, aggregate = FLOW_AGGREGATE;
    static const uint64_t rates[] = {10, 200};
    for (size_t i = 0; i < 2; i++) {
        uint64_t seconds = 6000 / rates[i];
        run("CUBIC", rates[i], &cubic, seconds);
        run("BBR", rates[i], &bbr, seconds);
        run("congestion control of four", rates[i], &aggregate, seconds);
        run("the whole core, four streams", rates[i], NULL, seconds);
    }
    return EXIT_SUCCESS;
}
