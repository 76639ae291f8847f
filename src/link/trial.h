/* SPDX-License-Identifier: Apache-2.0
 *
 * A measurement of a live link (causeway link test): a stream of the lowest ring and least weight
 * carries bytes that mean nothing, first to the peer, then from it, for some seconds each way. The
 * receiving end counts them by tenths of a second. One at a time for each link and end; the peer
 * may refuse. docs/protocol/transport.md has the form.
 */
#ifndef LINK_TRIAL_H
#define LINK_TRIAL_H

#include "base/bytes.h"

#include "base/error.h"

enum {
    TRIAL_REQUEST_BYTES = 12,
    TRIAL_REPORT_BYTES = 32,
    TRIAL_SECONDS_MAX = 30, /* each way */
    TRIAL_BIN_MS = 100,
    TRIAL_BINS = TRIAL_SECONDS_MAX * 1000 / TRIAL_BIN_MS,
};
#define TRIAL_BYTES_MAX (1ull << 30) /* each way */

enum trial_way { TRIAL_UP, TRIAL_DOWN, TRIAL_WAYS }; /* to the responder, from it */

/* What the opener asks for: the first bytes of the stream. */
struct trial_request {
    enum trial_way way;
    uint16_t milliseconds;
    uint64_t bytes; /* at most; the sender ends after the first of both */
};
void trial_request_write(uint8_t out[TRIAL_REQUEST_BYTES], const struct trial_request *request);
MUST_USE int trial_request_read(const uint8_t in[TRIAL_REQUEST_BYTES],
                                struct trial_request *request);

/* Counts what arrives. */
struct trial_meter {
    uint64_t first_ns, last_ns, bytes;
    uint64_t bins[TRIAL_BINS]; /* bytes of each tenth of a second from the first one */
};
void trial_meter_add(struct trial_meter *meter, uint64_t bytes, uint64_t now_ns);

/* What the meter says: the goodput is the mean of whole bins behind the first quarter, in which
 * the window grows; the half width is that of its 95 % interval. */
struct trial_report {
    uint64_t bytes, duration_us;
    uint64_t bytes_per_s, half_width_bytes_per_s;
};
struct trial_report trial_meter_report(const struct trial_meter *meter);
void trial_report_write(uint8_t out[TRIAL_REPORT_BYTES], const struct trial_report *report);
struct trial_report trial_report_read(const uint8_t in[TRIAL_REPORT_BYTES]);

#endif
