/* SPDX-License-Identifier: Apache-2.0
 *
 * What became of the requests in the simulation of gateways.
 */
#include "gateway.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool sim_is_measured(const struct sim_world *world, uint64_t at_ns)
{
    const struct sim_world_config *config = world->config;
    return at_ns >= config->warm_ns && at_ns < config->warm_ns + config->measured_ns;
}

static uint64_t second_of(const struct sim_world *world, const struct sim_request *request)
{
    return (request->came_ns - world->config->warm_ns) / SIM_SECOND;
}

static void append(float **values, uint64_t *room, uint64_t count, double value)
{
    if (count == *room) {
        *room = *room ? 2 * *room : 1024;
        *values = memory_resize(*values, *room, sizeof **values);
    }
    (*values)[count] = (float)value;
}

void sim_result_add_good(struct sim_world *world, const struct sim_request *request)
{
    struct sim_outcome *outcome = &world->result->classes[request->class];
    uint64_t now_ns = world->sim.now_ns;
    if (sim_is_measured(world, now_ns))
        outcome->work_s += (double)request->job.nominal_ns / 1e9;
    if (!sim_is_measured(world, request->came_ns))
        return;
    double ms = (double)(now_ns - request->came_ns) / 1e6;
    append(&outcome->ms, &outcome->room, outcome->good++, ms);
    float *slowest_ms = &world->result->slowest_ms[second_of(world, request)];
    if (ms > (double)*slowest_ms)
        *slowest_ms = (float)ms;
}

/* No origin came or went while it waited, nor so shortly before that its gateway could not know yet. */
static bool is_foreseeable(const struct sim_world *world, const struct sim_request *request)
{
    const struct sim_gateway *gateway = &world->gateways[request->gateway];
    for (size_t i = 0; i < gateway->config->origin_count; i++) {
        uint64_t turned_ns = gateway->origins[i].turned_ns;
        if (turned_ns && turned_ns + SIM_AVOID_NS > request->arrived_ns)
            return false;
    }
    return true;
}

static void add_wait(struct sim_waits *waits, double foretold_s, double waited_s)
{
    waits->count++;
    waits->foretold_s += foretold_s;
    waits->waited_s += waited_s;
}

static void note_foretold(struct sim_world *world, const struct sim_request *request,
                          double waited_s)
{
    struct sim_foretold *second =
        &world->result->seconds[request->class][second_of(world, request)];
    double foretold_s = (double)request->estimate_ns / 1e9;
    double error = fabs(foretold_s - waited_s) / fmax(waited_s, world->result->service_s);
    add_wait(&second->all, foretold_s, waited_s);
    if (!is_foreseeable(world, request))
        return;
    add_wait(&second->foreseeable, foretold_s, waited_s);
    second->errors[(int)fmin(error * 100 / SIM_ERROR_PERCENT, SIM_ERRORS)]++;
}

void sim_result_add_launch(struct sim_world *world, const struct sim_request *request)
{
    struct sim_outcome *outcome = &world->result->classes[request->class];
    if (!sim_is_measured(world, request->came_ns) || request->tries)
        return;
    double waited_s = (double)(request->launched_ns - request->arrived_ns) / 1e9;
    double buffered_s = (double)(request->sent_ns - request->came_ns) / 1e9;
    outcome->buffered += buffered_s > 0;
    append(&outcome->waits_ms, &outcome->waits_room, outcome->launched++,
           (buffered_s + waited_s) * 1e3);
    note_foretold(world, request, waited_s);
}

void sim_result_add_refusal(struct sim_world *world, const struct sim_request *request,
                            bool by_the_queue)
{
    struct sim_outcome *outcome = &world->result->classes[request->class];
    if (!sim_is_measured(world, request->came_ns) || request->has_left)
        return;
    outcome->dropped += by_the_queue;
    outcome->failed += !by_the_queue;
}

static int compare(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

static void sort(float *values, uint64_t count)
{
    if (count)
        qsort(values, count, sizeof *values, compare);
}

void sim_result_finish(struct sim_result *result)
{
    for (int class = 0; class < SIM_CLASSES; class ++) {
        sort(result->classes[class].ms, result->classes[class].good);
        sort(result->classes[class].waits_ms, result->classes[class].launched);
    }
}

void sim_result_clear(struct sim_result *result)
{
    for (int class = 0; class < SIM_CLASSES; class ++) {
        memory_free(result->classes[class].ms);
        memory_free(result->classes[class].waits_ms);
    }
}

static double quantile(const float *ascending, uint64_t count, double at)
{
    return count ? (double)ascending[(uint64_t)(at * (double)(count - 1))] : 0;
}

double sim_result_quantile_ms(const struct sim_result *result, int class, double at)
{
    return quantile(result->classes[class].ms, result->classes[class].good, at);
}

double sim_result_wait_ms(const struct sim_result *result, int class, double at)
{
    return quantile(result->classes[class].waits_ms, result->classes[class].launched, at);
}

double sim_result_goodput(const struct sim_result *result)
{
    double work_s = 0;
    for (int class = 0; class < SIM_CLASSES; class ++)
        work_s += result->classes[class].work_s;
    return work_s / result->capacity_s;
}

static bool could_be_foreseen(const struct sim_foretold *second)
{
    return second->foreseeable.count && 2 * second->foreseeable.count >= second->all.count;
}

static double error_of(const struct sim_waits *waits, double least_s)
{
    return fabs(waits->foretold_s - waits->waited_s) / fmax(waits->waited_s, least_s);
}

double sim_result_estimate_error(const struct sim_result *result, int class, double at)
{
    float errors[SIM_SECONDS_MAX];
    uint64_t count = 0;
    for (int i = 0; i < SIM_SECONDS_MAX; i++) {
        const struct sim_waits *all = &result->seconds[class][i].all;
        if (all->waited_s > 0)
            errors[count++] = (float)error_of(all, 0);
    }
    sort(errors, count);
    return quantile(errors, count, at);
}

double sim_result_mean_error(const struct sim_result *result, int class, double at)
{
    float errors[SIM_SECONDS_MAX];
    uint64_t count = 0;
    for (int i = 0; i < SIM_SECONDS_MAX; i++) {
        const struct sim_foretold *second = &result->seconds[class][i];
        double least_s = second->foreseeable.count * result->service_s;
        if (could_be_foreseen(second))
            errors[count++] = (float)(100 * error_of(&second->foreseeable, least_s));
    }
    sort(errors, count);
    return quantile(errors, count, at);
}

/* The upper end of its bucket, in percent. */
static int median_error(const struct sim_foretold *second)
{
    uint32_t seen = 0;
    int bucket = 0;
    while (bucket < SIM_ERRORS && (seen += second->errors[bucket]) * 2 < second->foreseeable.count)
        bucket++;
    return (bucket + 1) * SIM_ERROR_PERCENT;
}

double sim_result_median_error(const struct sim_result *result, int class, double at)
{
    float errors[SIM_SECONDS_MAX];
    uint64_t count = 0;
    for (int i = 0; i < SIM_SECONDS_MAX; i++)
        if (could_be_foreseen(&result->seconds[class][i]))
            errors[count++] = (float)median_error(&result->seconds[class][i]);
    sort(errors, count);
    return quantile(errors, count, at);
}

static double percent(uint64_t part, uint64_t whole)
{
    return 100 * (double)part / (double)whole;
}

void sim_result_print(const struct sim_result *result, const char *name)
{
    printf("  %-14s goodput %.3f\n", name, sim_result_goodput(result));
    for (int class = 0; class < SIM_CLASSES; class ++) {
        const struct sim_outcome *of = &result->classes[class];
        if (of->came == 0)
            continue;
        printf("    class %d: %7lu came, %6.2f %% good, %5.2f dropped, %5.2f failed, %5.2f left; "
               "p50 %7.1f, p99 %7.1f ms; wait p50 %6.1f, p99 %6.1f, most %6.1f ms\n",
               class, (unsigned long)of->came, percent(of->good, of->came),
               percent(of->dropped, of->came), percent(of->failed, of->came),
               percent(of->left, of->came), sim_result_quantile_ms(result, class, 0.5),
               sim_result_quantile_ms(result, class, 0.99), sim_result_wait_ms(result, class, 0.5),
               sim_result_wait_ms(result, class, 0.99), sim_result_wait_ms(result, class, 1));
    }
}
