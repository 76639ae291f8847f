/* SPDX-License-Identifier: Apache-2.0
 *
 * The edge's one store, which all workers share: opened with the configured budget, its regular work, and what is told of its disk tier.
 */
#include "store/store.h"

#include "crypto/crypto.h"
#include "edge/private.h"

#include "base/memory.h"

#include <sys/stat.h>

#define TICK_NS       (10ull * 1000000)
#define WARN_AGAIN_NS (60ull * 1000000000) /* of a disk that goes on failing */

static struct metric disk_objects =
    METRIC(GAUGE, "causeway_edge_cache_disk_objects", "", "Stored answers on disk.");
static struct metric disk_bytes =
    METRIC(GAUGE, "causeway_edge_cache_disk_bytes", "", "Bytes of the disk tier's files.");
static struct metric disk_is_open = METRIC(GAUGE, "causeway_edge_cache_disk_open", "",
                                           "1 where this process has the disk tier's folder.");
static struct metric disk_writes = METRIC(COUNTER, "causeway_edge_cache_disk_writes_total", "",
                                          "Answers and purges written to disk.");
static struct metric disk_renewals =
    METRIC(COUNTER, "causeway_edge_cache_disk_renewals_total", "",
           "Answers of which only the head was written to disk: a 304 had renewed them.");
static struct metric disk_written =
    METRIC(COUNTER, "causeway_edge_cache_disk_written_bytes_total", "", "Bytes written to disk.");
static struct metric disk_loads =
    METRIC(COUNTER, "causeway_edge_cache_disk_loads_total", "", "Answers read back from disk.");
static struct metric disk_bad =
    METRIC(COUNTER, "causeway_edge_cache_disk_bad_total", "",
           "Records on disk that were not what they should be, or purged since: misses.");
static struct metric disk_errors =
    METRIC(COUNTER, "causeway_edge_cache_disk_errors_total", "",
           "Times that the disk tier's folder could not be opened or written to.");
static struct metric disk_dropped = METRIC(COUNTER, "causeway_edge_cache_disk_dropped_total", "",
                                           "Answers that were kept in memory only.");

struct edge_disk {
    struct stat folder; /* the one in use */
    bool has_folder;
    enum store_disk_state state;
    int error;
    uint64_t warned_ns;
    struct store_counts counts; /* as told in the metrics */
};

void edge_store_register_metrics(void)
{
    struct metric *all[] = {&disk_objects, &disk_bytes, &disk_is_open, &disk_writes, &disk_renewals,
                            &disk_written, &disk_loads, &disk_bad,     &disk_errors, &disk_dropped};
    // NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        metric_register(all[i]);
}

static const char *policy_name(enum conf_eviction policy)
{
    static const char *const names[] = {[CONF_EVICT_S3FIFO] = "s3fifo",
                                        [CONF_EVICT_LRU] = "lru",
                                        [CONF_EVICT_LFU] = "lfu",
                                        [CONF_EVICT_FIFO] = "fifo",
                                        [CONF_EVICT_RANDOM] = "random"};
    return names[policy];
}

void edge_store_open(struct edge *edge)
{
    const struct conf_edge *settings = conf_current(&edge->options.conf)->self->edge;
    if (!settings || !settings->cache_bytes)
        return;
    struct store_options options = {.memory_bytes = settings->cache_bytes,
                                    .policy = policy_name(settings->cache_policy)};
    edge->disk = NEW(struct edge_disk);
    if (settings->cache_disk) {
        options.disk_bytes = settings->cache_disk->bytes;
        options.disk_folder = -1;
    }
    crypto_openssl()->random(crypto_openssl()->random_state, (uint8_t *)&options.seed,
                             sizeof options.seed);
    int result = store_open(&edge->store, &options);
    if (result < 0)
        log_error("edge", "no cache: %s", error_text(result));
    else if (settings->cache_disk)
        edge_use_cache_folder(edge, edge->options.cache_folder);
}

void edge_use_cache_folder(struct edge *edge, int folder)
{
    struct stat status = {0};
    if (!edge->store)
        return;
    struct edge_disk *disk = edge->disk;
    bool has_folder = folder >= 0 && fstat(folder, &status) == 0;
    bool is_same = has_folder && disk->has_folder && status.st_dev == disk->folder.st_dev &&
                   status.st_ino == disk->folder.st_ino;
    if (is_same || (!has_folder && !disk->has_folder))
        return;
    disk->has_folder = has_folder;
    disk->folder = status;
    store_use_folder(edge->store, has_folder ? folder : -1);
}

void edge_store_close(struct edge *edge)
{
    if (edge->store)
        store_close(&edge->store);
    memory_free(edge->disk);
}

/* ---- what is told of the disk tier */

static void log_state(enum store_disk_state state)
{
    switch (state) {
    case STORE_DISK_OPEN:
        log_notice("edge", "the cache's folder is in use");
        break;
    case STORE_DISK_WAITING:
        log_notice("edge", "the cache's folder is another process's still: "
                           "answers are kept in memory until it lets go of it");
        break;
    case STORE_DISK_CLOSED:
        log_notice("edge", "the cache's folder is let go of");
        break;
    case STORE_DISK_OPENING:
    case STORE_DISK_FAILED: /* says why below */
        break;
    }
}

static void count_disk(struct edge_disk *disk, const struct store_counts *counts)
{
    const struct store_counts *before = &disk->counts;
    metric_set(&disk_objects, counts->disk_objects);
    metric_set(&disk_bytes, counts->disk_bytes);
    metric_set(&disk_is_open, disk->state == STORE_DISK_OPEN);
    metric_add(&disk_writes, counts->disk_writes - before->disk_writes);
    metric_add(&disk_renewals, counts->disk_renewals - before->disk_renewals);
    metric_add(&disk_written, counts->disk_written - before->disk_written);
    metric_add(&disk_loads, counts->disk_loads - before->disk_loads);
    metric_add(&disk_bad, counts->disk_bad - before->disk_bad);
    metric_add(&disk_errors, counts->disk_errors - before->disk_errors);
    metric_add(&disk_dropped, counts->disk_dropped - before->disk_dropped);
    disk->counts = *counts;
}

void edge_store_second(struct edge *edge, uint64_t now_ns)
{
    struct edge_disk *disk = edge->disk;
    struct store_counts counts;
    int error;
    if (!edge->store)
        return;
    enum store_disk_state before = disk->state;
    disk->state = store_disk_state(edge->store, &error);
    if (disk->state != before)
        log_state(disk->state);
    if (error && (error != disk->error || now_ns >= disk->warned_ns + WARN_AGAIN_NS)) {
        disk->warned_ns = now_ns;
        log_warning("edge",
                    "the cache's folder: %s; what is not found there is fetched, and it is tried "
                    "again every 10 s",
                    strerror(error));
    }
    disk->error = error;
    store_count(edge->store, &counts);
    count_disk(disk, &counts);
}

static void on_tick(struct loop *loop, struct loop_timer *timer)
{
    struct edge_worker *worker = CONTAINER_OF(timer, struct edge_worker, store_tick);
    store_tick(worker->edge->store, loop_now_ns(loop));
    loop_timer_start(loop, timer, loop_now_ns(loop) + TICK_NS);
}

void edge_store_start(struct edge_worker *worker)
{
    if (!worker->edge->store || worker_id(worker->worker) != 0)
        return;
    worker->store_tick.fire = on_tick;
    on_tick(worker->loop, &worker->store_tick);
}

void edge_store_stop(struct edge_worker *worker)
{
    loop_timer_stop(worker->loop, &worker->store_tick);
}

json_t *edge_store_status(const struct edge *edge)
{
    struct store_counts counts;
    json_t *status = json_object();
    if (!edge->store)
        return status;
    store_count(edge->store, &counts);
#define X(name, text) json_object_set_new(status, #name, json_integer((json_int_t)counts.name));
    STORE_COUNT_LIST(X)
#undef X
    int error;
    static const char *const states[] = {
#define X(name, text) [STORE_DISK_##name] = (text),
        STORE_DISK_STATE_LIST(X)
#undef X
    };
    json_object_set_new(status, "disk", json_string(states[store_disk_state(edge->store, &error)]));
    json_object_set_new(status, "disk_error", error ? json_string(strerror(error)) : json_null());
    return status;
}
