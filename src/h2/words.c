/* SPDX-License-Identifier: Apache-2.0
 *
 * The causes for which a connection ends, and the settings that nobody set.
 */
#include "h2/private.h"

const char *h2_cause_text(enum h2_cause cause)
{
    static const char *const texts[] = {
#define X(name, code, text) text,
        H2_CAUSE_LIST(X)
#undef X
    };
    return (unsigned)cause < H2_CAUSE_COUNT ? texts[cause] : "unknown";
}

const char *h2_cause_name(enum h2_cause cause)
{
    static const char *const names[] = {
#define X(name, code, text) #name,
        H2_CAUSE_LIST(X)
#undef X
    };
    return (unsigned)cause < H2_CAUSE_COUNT ? names[cause] : "UNKNOWN";
}

void h2_settings_init(struct h2_settings *settings, const struct http_limits *limits)
{
    *settings = (struct h2_settings){
        .limits = *limits,
        .streams = 128,
        .stream_window_bytes = 256 * 1024,
        .connection_window_bytes = 4 << 20,
        .stream_held_bytes = 64 * 1024,
        .connection_held_bytes = 1 << 20,
        .memory_bytes = 1 << 20,
        .websocket = true,
        .resets = {.burst = 256, .per_second = 50},
        .errors = {.burst = 64, .per_second = 10},
        .settings = {.burst = 32, .per_second = 4},
        .pings = {.burst = 64, .per_second = 10},
        .empty_data = {.burst = 256, .per_second = 50},
        .window_updates = {.burst = 2048, .per_second = 256},
        .priorities = {.burst = 512, .per_second = 32},
        .unknown = {.burst = 64, .per_second = 10},
    };
}
