/* SPDX-License-Identifier: Apache-2.0
 *
 * A compressor for each worker, for the messages on streams, and what all of them count (T9).
 */
#include "link/driver.h"
#include "observe/observe.h"

static struct metric counts[COMPRESS_COUNTS] = {
#define X(name, text, help) \
    [COMPRESS_##name] =     \
        METRIC(COUNTER, "causeway_compress_" text "_total", "", "Compression: " help "."),
    COMPRESS_COUNT_LIST(X)
#undef X
};

static void count(enum compress_count what, uint64_t amount)
{
    metric_add(&counts[what], amount);
}

void compress_register_metrics(void)
{
    for (size_t i = 0; i < COMPRESS_COUNTS; i++)
        metric_register(&counts[i]);
}

void compress_start(struct driver *driver)
{
    const struct compress_hooks hooks = {count, clock_now_ns};
    driver->compressor =
        compressor_new(compress_zstd(), (int)driver->set->settings.compress_level, &hooks);
}

struct compressor *link_stream_compressor(const struct link_stream *stream)
{
    const struct link_set *set = stream_link(stream)->set;
    return set->drivers[worker_id(worker_current())]->compressor;
}

json_t *link_compress_status(void)
{
    static const char *const names[COMPRESS_COUNTS] = {
#define X(name, text, help) [COMPRESS_##name] = (text),
        COMPRESS_COUNT_LIST(X)
#undef X
    };
    json_t *status = json_object();
    for (size_t i = 0; i < COMPRESS_COUNTS; i++)
        json_object_set_new(status, names[i], json_integer((json_int_t)metric_read(&counts[i])));
    return status;
}
