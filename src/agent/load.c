/* SPDX-License-Identifier: Apache-2.0
 *
 * How busy the node is (H2, S9). Cheap numbers are looked at each period, so that a change is told within it; processors and
 * memory every 2 s, which is also when everything is told anew.
 */
#include "agent/private.h"

#define SLOW_NS (2000ull * 1000000)

enum {
    CHANGED_LOAD = 50,        /* thousandths of the capacity */
    CHANGED_CONNECTIONS = 16, /* and an eighth of what was told */
};

void load_open(struct load *load)
{
    *load = (struct load){0};
    kernel_open(&load->kernel);
}

void load_close(struct load *load)
{
    kernel_close(&load->kernel);
}

static uint64_t share(uint64_t used, uint64_t limit)
{
    return limit ? used * LOAD_FULL / limit : 0;
}

static uint64_t greater(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint16_t load_share(const struct director_load *load, const struct agent_work *work,
                    uint64_t bits_per_s, const struct conf_capacity *capacity)
{
    bool is_known = capacity->connections || capacity->requests_per_s || capacity->mbit_per_s ||
                    work->connections_limit ||
                    (load->cpu_idle != LOAD_UNKNOWN && capacity->cpu_percent);
    uint64_t busy = load->cpu_idle <= LOAD_FULL ? LOAD_FULL - (uint64_t)load->cpu_idle : 0;
    uint64_t most = capacity->cpu_percent ? busy * 100 / capacity->cpu_percent : 0;
    if (load->connections != UINT32_MAX)
        most = greater(most, share(load->connections, capacity->connections));
    most = greater(most, share(work->connections, work->connections_limit));
    if (load->requests_per_s != UINT32_MAX)
        most = greater(most, share(load->requests_per_s, capacity->requests_per_s));
    most = greater(most, share(bits_per_s, capacity->mbit_per_s * 1000000ull));
    if (!is_known)
        return LOAD_UNKNOWN;
    return most < LOAD_UNKNOWN ? (uint16_t)most : LOAD_UNKNOWN - 1;
}

/* Over at least a second, so that few requests do not look like many. */
static void look_at_rate(struct load_rate *rate, const struct agent_work *work, uint64_t now_ns)
{
    uint64_t passed_ns = now_ns - rate->since_ns;
    if (rate->since_ns && passed_ns < 1000000000)
        return;
    if (rate->since_ns) {
        uint64_t per_s = (work->requests - rate->requests) * 1000000000 / passed_ns;
        rate->requests_per_s = per_s < UINT32_MAX ? (uint32_t)per_s : UINT32_MAX - 1;
        rate->bits_per_s = (work->bytes - rate->bytes) * 8 * 1000 / (passed_ns / 1000000);
    }
    rate->requests = work->requests;
    rate->bytes = work->bytes;
    rate->since_ns = now_ns;
}

static bool differs(uint64_t a, uint64_t b, uint64_t least)
{
    return (a > b ? a - b : b - a) >= least;
}

static bool is_worth_telling(const struct director_load *now, const struct director_load *told)
{
    if (now->connections != UINT32_MAX && told->connections != UINT32_MAX &&
        differs(now->connections, told->connections,
                greater(CHANGED_CONNECTIONS, told->connections / 8)))
        return true;
    return differs(now->load, told->load, CHANGED_LOAD) ||
           memcmp(now->gauges, told->gauges, sizeof now->gauges) != 0;
}

bool load_look(struct load *load, const struct conf_node *self, const struct agent_view *view,
               const uint32_t gauges[MEASURE_GAUGES], uint64_t now_ns)
{
    const struct agent_work server = {.is_there = self->agent != NULL};
    const struct agent_work *works[MEASURE_ROLES] = {[MEASURE_EDGE] = &view->edge,
                                                     [MEASURE_GATEWAY] = &view->gateway,
                                                     [MEASURE_SERVER] = &server};
    /* Of the machine: the same for all roles. What is slow stays as it was read last. */
    static const struct director_load unknown = {.free_ram_bytes = UINT64_MAX,
                                                 .free_swap_bytes = UINT64_MAX,
                                                 .cpu_idle = LOAD_UNKNOWN};
    struct director_load machine = load->read_ns ? load->machine : unknown;
    bool is_due = !load->told_ns || now_ns - load->told_ns >= SLOW_NS;
    if (!load->read_ns || now_ns - load->read_ns >= SLOW_NS) {
        load->read_ns = now_ns;
        machine.cpu_idle = kernel_cpu_idle(&load->kernel);
        kernel_memory(&load->kernel, &machine.free_ram_bytes, &machine.free_swap_bytes);
    }
    machine.connections = kernel_connections(&load->kernel);
    machine.taken_ns = now_ns;
    memcpy(machine.gauges, gauges, sizeof machine.gauges);
    load->machine = machine;
    for (size_t i = 0; i < MEASURE_ROLES; i++) {
        struct load_rate *rate = &load->rates[i];
        load->now[i] = (struct director_load){0};
        if (!works[i]->is_there)
            continue;
        look_at_rate(rate, works[i], now_ns);
        struct director_load *now = &load->now[i];
        *now = machine;
        now->requests_per_s = i == MEASURE_SERVER ? UINT32_MAX : rate->requests_per_s;
        now->load = load_share(now, works[i], rate->bits_per_s, &self->capacity);
        if (i != MEASURE_SERVER)
            now->connections = works[i]->connections;
        is_due |= !load->told[i].taken_ns || is_worth_telling(now, &load->told[i]);
    }
    return is_due;
}

void load_told(struct load *load, uint64_t now_ns)
{
    load->told_ns = now_ns;
    memcpy(load->told, load->now, sizeof load->told);
}
