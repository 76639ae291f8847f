/* SPDX-License-Identifier: Apache-2.0
 *
 * A trial's request and report, and what counts the bytes.
 */
#include "link/trial.h"

#include <math.h>

enum { BINS_MIN = 4, SECOND_US = 1000000 };
#define BIN_NS  (TRIAL_BIN_MS * 1000000ull)
#define T_VALUE 2.0 /* of Student's distribution for 95 % and some dozens of bins */

void trial_request_write(uint8_t out[TRIAL_REQUEST_BYTES], const struct trial_request *request)
{
    *out++ = 1; /* version */
    *out++ = (uint8_t)request->way;
    out = store_u16(out, request->milliseconds);
    store_u64(out, request->bytes);
}

int trial_request_read(const uint8_t in[TRIAL_REQUEST_BYTES], struct trial_request *request)
{
    struct reader reader = reader_of(span_of(in, TRIAL_REQUEST_BYTES));
    uint8_t version = read_u8(&reader), way = read_u8(&reader);
    request->milliseconds = read_u16(&reader);
    request->bytes = read_u64(&reader);
    if (version != 1 || way >= TRIAL_WAYS || !request->milliseconds ||
        request->milliseconds > TRIAL_SECONDS_MAX * 1000 || request->bytes > TRIAL_BYTES_MAX)
        return ERROR_INVALID;
    request->way = (enum trial_way)way;
    return 0;
}

void trial_meter_add(struct trial_meter *meter, uint64_t bytes, uint64_t now_ns)
{
    if (!bytes)
        return;
    if (!meter->bytes)
        meter->first_ns = now_ns;
    uint64_t bin = (now_ns - meter->first_ns) / BIN_NS;
    if (bin < TRIAL_BINS)
        meter->bins[bin] += bytes;
    meter->bytes += bytes;
    meter->last_ns = now_ns;
}

struct trial_report trial_meter_report(const struct trial_meter *meter)
{
    uint64_t duration_ns = meter->last_ns - meter->first_ns, whole = duration_ns / BIN_NS;
    struct trial_report report = {.bytes = meter->bytes, .duration_us = duration_ns / 1000};
    uint64_t end = whole < TRIAL_BINS ? whole : TRIAL_BINS, first = end / 4, count = end - first;
    if (count < BINS_MIN) { /* too short for an interval: all of it, and no idea how sure */
        report.bytes_per_s = duration_ns ? meter->bytes * SECOND_US / (report.duration_us + 1) : 0;
        report.half_width_bytes_per_s = report.bytes_per_s;
        return report;
    }
    double sum = 0, squares = 0;
    for (uint64_t i = first; i < end; i++)
        sum += (double)meter->bins[i];
    double mean = sum / (double)count;
    for (uint64_t i = first; i < end; i++)
        squares += ((double)meter->bins[i] - mean) * ((double)meter->bins[i] - mean);
    double deviation = sqrt(squares / (double)(count - 1));
    double per_s = 1000.0 / TRIAL_BIN_MS;
    report.bytes_per_s = (uint64_t)(mean * per_s);
    report.half_width_bytes_per_s = (uint64_t)(T_VALUE * deviation / sqrt((double)count) * per_s);
    return report;
}

void trial_report_write(uint8_t out[TRIAL_REPORT_BYTES], const struct trial_report *report)
{
    out = store_u64(out, report->bytes);
    out = store_u64(out, report->duration_us);
    out = store_u64(out, report->bytes_per_s);
    store_u64(out, report->half_width_bytes_per_s);
}

struct trial_report trial_report_read(const uint8_t in[TRIAL_REPORT_BYTES])
{
    struct reader reader = reader_of(span_of(in, TRIAL_REPORT_BYTES));
    struct trial_report report;
    report.bytes = read_u64(&reader);
    report.duration_us = read_u64(&reader);
    report.bytes_per_s = read_u64(&reader);
    report.half_width_bytes_per_s = read_u64(&reader);
    return report;
}
