/* SPDX-License-Identifier: Apache-2.0
 *
 * Stored answers in other encodings: what is asked for again and again is encoded once, as well as it can be, and kept beside its source.
 *
 * It is an object of the store under a key of its own: the source's, then its encoding and the number of the content that it was made of
 * (cache_facts.content). So it is found only through its source: the source's freshness, validation and head are its own, and where the
 * source is replaced or purged nothing finds it any more. It has the source's tags, and its key begins with the source's, for purges to
 * take its memory as well; else eviction does.
 *
 *   worker: the third ask, and not on disk --> job --> thread: encode --> message --> worker: into the store
 */
#include "base/hash.h"
#include "base/memory.h"
#include "edge/cache/cached.h"
#include "edge/encode/encoded.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREAD_NICE = 10 }; /* visitors first; not idle, for it takes locks that others wait for */

struct job {
    struct message message; /* back to its worker */
    struct list link;
    struct edge_worker *own;
    struct store *store;
    struct store_object *source;
    struct text key;
    uint64_t site, content;
    enum encoding encoding;
    uint64_t bytes;
    struct slice_queue plain, coded;
};

struct edge_keeper {
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t has_work;
    struct list jobs;
    uint32_t count;
    uint64_t at_work; /* the content that is being encoded; 0: none */
    bool is_running, is_stopping;
    pthread_t thread;
    _Atomic bool is_given_up; /* what is being encoded; the thread looks */
};

static struct store *store_of(const struct edge_worker *worker)
{
    return worker->edge->store;
}

static void job_free(struct job *job)
{
    store_object_release(job->store, &job->source);
    slice_queue_clear(&job->plain);
    slice_queue_clear(&job->coded);
    text_clear(&job->key);
    memory_free(job);
}

/* ---- the thread */

static void encode(struct edge_keeper *keeper, struct job *job)
{
    const struct encode_coder *coder = encode_coder(job->encoding);
    bool is_large = job->bytes >= ENCODE_STORED_LARGE;
    struct encode_settings settings = {.level = is_large ? coder->level_stored_large
                                                         : coder->level_stored,
                                       .window_log = ENCODE_WINDOW_LOG_STORED,
                                       .length = job->bytes};
    void *encoder = coder->open(&settings);
    while (job->plain.count && !atomic_load_explicit(&keeper->is_given_up, memory_order_relaxed)) {
        struct slice slice = slice_queue_pop(&job->plain, CHUNK_BYTES);
        coder->put(encoder, span_of(slice_data(&slice), slice.length), ENCODE_MORE, &job->coded);
        slice_release(&slice);
    }
    if (!job->plain.count)
        coder->put(encoder, (struct span){0}, ENCODE_END, &job->coded);
    coder->close(encoder);
}

static void *run(void *argument)
{
    struct edge_keeper *keeper = argument;
    struct list *item;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), THREAD_NICE);
    pthread_mutex_lock(&keeper->lock);
    while (!keeper->is_stopping) {
        if ((item = list_pop_front(&keeper->jobs)) == NULL) {
            pthread_cond_wait(&keeper->has_work, &keeper->lock);
            continue;
        }
        struct job *job = CONTAINER_OF(item, struct job, link);
        keeper->count--;
        keeper->at_work = job->content;
        pthread_mutex_unlock(&keeper->lock);
        encode(keeper, job);
        worker_post(job->own->worker, &job->message);
        pthread_mutex_lock(&keeper->lock);
        keeper->at_work = 0;
    }
    pthread_mutex_unlock(&keeper->lock);
    chunk_cache_drain();
    return NULL;
}

/* ---- asks */

static uint64_t ask_of(uint64_t content, enum encoding encoding)
{
    return content + encoding; /* contents are random numbers */
}

static struct edge_asked *asked_for(struct edge_worker *worker, uint64_t ask)
{
    return &worker->encoding->asked[ask % EDGE_ENCODE_ASKED];
}

/* True: this is the one that makes it worth the work. */
static bool count_ask(struct edge_worker *worker, uint64_t ask)
{
    struct edge_asked *asked = asked_for(worker, ask);
    if (asked->content != ask)
        *asked = (struct edge_asked){.content = ask};
    return asked->asks < UINT32_MAX && ++asked->asks == EDGE_ENCODE_ASKS;
}

static void set_asks(struct edge_worker *worker, uint64_t ask, uint32_t asks)
{
    struct edge_asked *asked = asked_for(worker, ask);
    if (asked->content == ask)
        asked->asks = asks;
}

/* ---- into the store */

static void keep(struct job *job)
{
    struct store *store = job->store;
    struct store_query query = {.site = job->site,
                                .key = text_span(&job->key),
                                .now_ns = loop_now_ns(job->own->loop)};
    struct store_reader reader = {0};
    struct store_joined joined = {0};
    struct arena arena = {0};
    struct http_fields fields;
    struct span tags[STORE_TAGS_MOST];
    struct store_answer answer = {.tags = tags};
    if (cache_head_unpack(&fields, &arena, store_object_head(job->source)) == 0)
        answer.tag_count = edge_cached_tags(tags, &fields);
    switch (store_join(store, &query, NULL, &reader, &joined)) {
    case STORE_FILL:
        if (store_fill_answer(&joined.fill, &answer, (int64_t)job->coded.bytes, query.now_ns))
            break; /* it is too large */
        while (job->coded.count) {
            store_fill_data(joined.fill, slice_queue_front(&job->coded), query.now_ns);
            slice_queue_consume(&job->coded, slice_queue_front(&job->coded).length);
        }
        store_fill_end(&joined.fill);
        break;
    case STORE_FOUND: /* another worker was first */
        store_object_release(store, &joined.object);
        break;
    case STORE_WAIT:
    case STORE_ALONE:
        store_reader_close(&reader);
        break;
    }
    arena_clear(&arena);
}

static void deliver(struct worker *receiver, struct message *message)
{
    struct job *job = CONTAINER_OF(message, struct job, message);
    uint64_t ask = ask_of(job->content, job->encoding);
    bool is_whole = !job->plain.count;
    bool is_gain = job->coded.bytes * 100 <= job->bytes * (100 - EDGE_ENCODE_GAIN_PERCENT);
    (void)receiver;
    if (is_whole && is_gain) {
        keep(job);
        set_asks(job->own, ask, 0); /* to be made again when it was evicted */
        metric_add(&edge_encode_kept, 1);
    } else if (is_whole) {
        set_asks(job->own, ask, UINT32_MAX);
        metric_add(&edge_encode_useless, 1);
    }
    job_free(job);
}

static void discard(struct message *message)
{
    job_free(CONTAINER_OF(message, struct job, message));
}

/* ---- jobs */

static bool is_known(const struct edge_keeper *keeper, const struct job *job)
{
    if (keeper->at_work == job->content)
        return true;
    LIST_EACH (item, after, &keeper->jobs) {
        const struct job *other = CONTAINER_OF(item, struct job, link);
        if (other->content == job->content && other->encoding == job->encoding)
            return true;
    }
    return false;
}

/* A worker does not wait for the thread: what does not get through now is asked for again. */
static bool submit(struct edge_keeper *keeper, struct job *job)
{
    bool is_taken = false;
    if (pthread_mutex_trylock(&keeper->lock) != 0)
        return false;
    if (!keeper->is_running && !keeper->is_stopping)
        keeper->is_running = pthread_create(&keeper->thread, NULL, run, keeper) == 0;
    if (keeper->is_running && !keeper->is_stopping && keeper->count < EDGE_ENCODE_JOBS_MOST &&
        !is_known(keeper, job)) {
        list_push_back(&keeper->jobs, &job->link);
        keeper->count++;
        pthread_cond_signal(&keeper->has_work);
        is_taken = true;
    }
    pthread_mutex_unlock(&keeper->lock);
    return is_taken;
}

/* Takes the key. */
static void start_job(const struct edge_cached *cached, enum encoding encoding, struct text *key)
{
    struct edge_worker *worker = cached->exchange->worker;
    uint64_t content = cached->facts.content;
    struct job *job = NEW(struct job);
    *job = (struct job){.message = {.deliver = deliver, .discard = discard},
                        .own = worker,
                        .store = store_of(worker),
                        .source = store_object_retain(cached->object),
                        .key = *key,
                        .site = cached->site,
                        .content = content,
                        .encoding = encoding,
                        .bytes = store_object_body_bytes(cached->object)};
    *key = (struct text){0};
    list_init(&job->link);
    store_object_body(job->source, 0, job->bytes, &job->plain);
    if (submit(worker->edge->keeper, job))
        return;
    set_asks(worker, ask_of(content, encoding), 0);
    metric_add(&edge_encode_put_off, 1);
    job_free(job);
}

/* Nothing of it is in memory. Perhaps it is on disk: then it is there for who asks next. */
static bool is_nowhere(struct store *store, const struct store_query *query)
{
    struct store_reader reader = {0};
    struct store_joined joined = {0};
    enum store_role role = store_join(store, query, NULL, &reader, &joined);
    store_object_release(store, &joined.object);
    store_fill_pass(&joined.fill, query->now_ns, 0); /* it would stall before the thread is done */
    store_reader_close(&reader);
    return role == STORE_FILL;
}

/* ---- the answer */

static int pull(struct edge_exchange *exchange, struct slice_queue *out, uint64_t limit,
                bool *ended)
{
    struct edge_encode *encode = exchange->encode;
    uint64_t left = store_object_body_bytes(encode->stored) - encode->at;
    uint64_t part = limit < left ? limit : left;
    store_object_body(encode->stored, encode->at, part, out);
    encode->at += part;
    *ended = part == left;
    return 0;
}

int edge_encode_stored(struct edge_encode *encode, const struct conf_site_encode *conf,
                       struct http_head *head)
{
    struct edge_exchange *exchange = encode->exchange;
    struct edge_worker *worker = exchange->worker;
    const struct edge_cached *cached = exchange->cached;
    enum encoding order[CONF_ENCODINGS];
    enum encoding best = encode_choose(&encode->wishes, order, edge_encode_best_order(conf, order));
    uint64_t content = cached->facts.content;
    if (!content || !worker->worker)
        return EDGE_NEXT;
    struct text key = {0};
    text_add_span(&key, text_span(&cached->key));
    text_add_format(&key, "\n%.*s %016llx", SPAN_ARGS(encoding_name(best)),
                    (unsigned long long)content);
    struct store_query query = {.site = cached->site,
                                .key = text_span(&key),
                                .now_ns = loop_now_ns(worker->loop)};
    store_object_release(store_of(worker), &encode->stored);
    encode->stored = store_find(store_of(worker), &query);
    encode->at = 0;
    if (!encode->stored && store_object_body_bytes(cached->object) <= EDGE_ENCODE_STORED_MOST &&
        count_ask(worker, ask_of(content, best)) && is_nowhere(store_of(worker), &query))
        start_job(cached, best, &key);
    text_clear(&key);
    if (!encode->stored)
        return EDGE_NEXT;
    int result = encode_head(head, best, store_object_body_bytes(encode->stored));
    if (result < 0)
        return result;
    edge_encode_count(best, EDGE_ENCODE_STORED);
    edge_exchange_answer_from(exchange, pull);
    return EDGE_TAKEN;
}

/* ---- life cycle */

struct edge_keeper *edge_keeper_new(void)
{
    struct edge_keeper *keeper = NEW(struct edge_keeper);
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_cond_init(&keeper->has_work, NULL);
    list_init(&keeper->jobs);
    return keeper;
}

void edge_keeper_stop(struct edge_keeper *keeper)
{
    struct list *item;
    atomic_store(&keeper->is_given_up, true);
    pthread_mutex_lock(&keeper->lock);
    bool was_running = keeper->is_running;
    keeper->is_stopping = true;
    keeper->is_running = false;
    pthread_cond_signal(&keeper->has_work);
    pthread_mutex_unlock(&keeper->lock);
    if (was_running)
        pthread_join(keeper->thread, NULL);
    pthread_mutex_lock(&keeper->lock);
    while ((item = list_pop_front(&keeper->jobs)) != NULL)
        job_free(CONTAINER_OF(item, struct job, link));
    pthread_mutex_unlock(&keeper->lock);
}

void edge_keeper_free(struct edge_keeper **freed)
{
    struct edge_keeper *keeper = *freed;
    if (!keeper)
        return;
    *freed = NULL;
    edge_keeper_stop(keeper);
    pthread_mutex_destroy(&keeper->lock);
    pthread_cond_destroy(&keeper->has_work);
    memory_free(keeper);
}
