/* SPDX-License-Identifier: Apache-2.0
 *
 * A thread that waits for requests, and an eventfd by which it says that answers are there.
 */
#include "acme/fetch.h"

#include "base/memory.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { FIELD_BYTES = 2048 };

struct job {
    struct list link;
    struct acme_fetch fetch; /* its texts are the job's own */
    char *method, *url, *connect_to;
    struct text sent, authorities;
    /* the answer */
    struct text body;
    char nonce[FIELD_BYTES], location[FIELD_BYTES], retry_after[FIELD_BYTES];
    char failure[CURL_ERROR_SIZE + ACME_URL_BYTES];
    unsigned status;
};

struct acme_fetcher {
    struct loop *loop;
    struct loop_watch watch; /* an eventfd */
    const char *agent;
    pthread_t thread;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    struct list waiting, answered; /* struct job */
    struct job *current;
    bool is_current_forgotten;
    _Atomic bool is_stopping;
};

static void free_job(struct job *job)
{
    memory_free(job->method);
    memory_free(job->url);
    memory_free(job->connect_to);
    text_clear(&job->sent);
    text_clear(&job->authorities);
    text_clear(&job->body);
    memory_free(job);
}

/* ---- libcurl */

static size_t on_body(char *data, size_t size, size_t count, void *argument)
{
    struct job *job = argument;
    text_add_span(&job->body, span_of(data, size * count));
    return job->body.is_cut ? 0 : count * size;
}

static void keep_field(struct span line, struct span name, char out[FIELD_BYTES])
{
    if (line.length <= name.length || line.data[name.length] != ':' ||
        !span_equal_nocase(span_of(line.data, name.length), name))
        return;
    struct span value = span_trim(span_from(line, name.length + 1));
    while (value.length && strchr("\r\n", value.data[value.length - 1]))
        value.length--;
    snprintf(out, FIELD_BYTES, "%.*s", SPAN_ARGS(value));
}

static size_t on_field(char *data, size_t size, size_t count, void *argument)
{
    struct job *job = argument;
    struct span line = span_of(data, size * count);
    keep_field(line, SPAN("Replay-Nonce"), job->nonce);
    keep_field(line, SPAN("Location"), job->location);
    keep_field(line, SPAN("Retry-After"), job->retry_after);
    return size * count;
}

static int on_progress(void *argument, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    const struct acme_fetcher *fetcher = argument;
    (void)down_total, (void)down, (void)up_total, (void)up;
    return fetcher->is_stopping;
}

static void set_trust(CURL *curl, const struct job *job)
{
    if (!job->authorities.length)
        return;
    struct curl_blob blob = {.data = job->authorities.data,
                             .len = job->authorities.length,
                             .flags = CURL_BLOB_NOCOPY};
    curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
    curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
}

static void set_request(CURL *curl, const struct job *job, struct curl_slist *fields,
                        struct curl_slist *way)
{
    bool is_post = strcmp(job->method, "POST") == 0;
    curl_easy_setopt(curl, CURLOPT_URL, job->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, way ? "http" : "https");
    if (way) {
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
        curl_easy_setopt(curl, CURLOPT_CONNECT_TO, way);
    }
    if (strcmp(job->method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (is_post) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)job->sent.length);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, job->sent.data);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
    }
}

static void set_limits(CURL *curl, struct acme_fetcher *fetcher, struct job *job)
{
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)ACME_CONNECT_S);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ACME_FETCH_S);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, fetcher);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, job);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_field);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, job);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, fetcher->agent); /* RFC 8555 section 6.1 */
}

static void perform(struct acme_fetcher *fetcher, CURL *curl, struct job *job)
{
    char error[CURL_ERROR_SIZE] = "";
    long status = 0;
    struct curl_slist *fields = curl_slist_append(NULL, "Content-Type: application/jose+json");
    struct curl_slist *way = job->connect_to ? curl_slist_append(NULL, job->connect_to) : NULL;
    job->body.limit = ACME_ANSWER_BYTES;
    curl_easy_reset(curl); /* connections stay */
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    set_limits(curl, fetcher, job);
    set_trust(curl, job);
    set_request(curl, job, fields, way);
    CURLcode result = curl_easy_perform(curl);
    curl_slist_free_all(fields);
    curl_slist_free_all(way);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    job->status = (unsigned)status;
    if (job->body.is_cut)
        snprintf(job->failure, sizeof job->failure, "%s: the answer is too long", job->url);
    else if (result != CURLE_OK)
        snprintf(job->failure, sizeof job->failure, "%s: %s", job->url,
                 error[0] ? error : curl_easy_strerror(result));
}

/* ---- the thread */

static void *run(void *argument)
{
    struct acme_fetcher *fetcher = argument;
    CURL *curl = curl_easy_init();
    INVARIANT(curl != NULL);
    pthread_setname_np(pthread_self(), "acme-fetch");
    pthread_mutex_lock(&fetcher->lock);
    while (!fetcher->is_stopping) {
        if (list_is_empty(&fetcher->waiting)) {
            pthread_cond_wait(&fetcher->changed, &fetcher->lock);
            continue;
        }
        struct job *job = CONTAINER_OF(fetcher->waiting.next, struct job, link);
        list_remove(&job->link);
        fetcher->current = job;
        fetcher->is_current_forgotten = false;
        pthread_mutex_unlock(&fetcher->lock);
        perform(fetcher, curl, job);
        pthread_mutex_lock(&fetcher->lock);
        fetcher->current = NULL;
        if (fetcher->is_current_forgotten) {
            free_job(job);
            continue;
        }
        list_push_back(&fetcher->answered, &job->link);
        eventfd_write(fetcher->watch.fd, 1);
    }
    pthread_mutex_unlock(&fetcher->lock);
    curl_easy_cleanup(curl);
    return NULL;
}

/* ---- the loop's side */

static struct job *take_answered(struct acme_fetcher *fetcher)
{
    struct job *job = NULL;
    pthread_mutex_lock(&fetcher->lock);
    if (!list_is_empty(&fetcher->answered)) {
        job = CONTAINER_OF(fetcher->answered.next, struct job, link);
        list_remove(&job->link);
    }
    pthread_mutex_unlock(&fetcher->lock);
    return job;
}

static void on_answered(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)loop, (void)events;
    struct acme_fetcher *fetcher = CONTAINER_OF(watch, struct acme_fetcher, watch);
    eventfd_t count;
    (void)!eventfd_read(watch->fd, &count);
    for (struct job *job; (job = take_answered(fetcher)) != NULL;) {
        const struct acme_answer answer = {.failure = job->failure[0] ? job->failure : NULL,
                                           .status = job->status,
                                           .nonce = span_text(job->nonce),
                                           .location = span_text(job->location),
                                           .retry_after = span_text(job->retry_after),
                                           .body = text_span(&job->body)};
        job->fetch.done(job->fetch.owner, &answer);
        free_job(job);
    }
}

void acme_fetch(struct acme_fetcher *fetcher, const struct acme_fetch *fetch)
{
    struct job *job = NEW(struct job);
    job->fetch = *fetch;
    job->method = memory_text(fetch->method, strlen(fetch->method));
    job->url = memory_text(fetch->url, strlen(fetch->url));
    if (fetch->connect_to) {
        struct text way = {0};
        text_add_format(&way, "::%s", fetch->connect_to); /* whatever the URL's host */
        job->connect_to = memory_text(way.data, way.length);
        text_clear(&way);
    }
    text_add_span(&job->sent, fetch->body);
    text_add_span(&job->authorities, fetch->authorities);
    pthread_mutex_lock(&fetcher->lock);
    list_push_back(&fetcher->waiting, &job->link);
    pthread_cond_signal(&fetcher->changed);
    pthread_mutex_unlock(&fetcher->lock);
}

static void forget_in(struct list *jobs, const void *owner)
{
    LIST_EACH (link, after, jobs) {
        struct job *job = CONTAINER_OF(link, struct job, link);
        if (owner && job->fetch.owner != owner)
            continue;
        list_remove(&job->link);
        free_job(job);
    }
}

void acme_fetch_forget(struct acme_fetcher *fetcher, const void *owner)
{
    pthread_mutex_lock(&fetcher->lock);
    forget_in(&fetcher->waiting, owner);
    forget_in(&fetcher->answered, owner);
    if (fetcher->current && fetcher->current->fetch.owner == owner)
        fetcher->is_current_forgotten = true;
    pthread_mutex_unlock(&fetcher->lock);
}

struct acme_fetcher *acme_fetcher_new(struct loop *loop, const char *agent)
{
    struct acme_fetcher *fetcher = NEW(struct acme_fetcher);
    fetcher->loop = loop;
    fetcher->agent = agent;
    list_init(&fetcher->waiting);
    list_init(&fetcher->answered);
    pthread_mutex_init(&fetcher->lock, NULL);
    pthread_cond_init(&fetcher->changed, NULL);
    fetcher->watch =
        (struct loop_watch){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = on_answered};
    INVARIANT(curl_global_init(CURL_GLOBAL_DEFAULT) == 0 && fetcher->watch.fd >= 0 &&
              loop_watch_set(loop, &fetcher->watch, EPOLLIN) == 0 &&
              pthread_create(&fetcher->thread, NULL, run, fetcher) == 0);
    return fetcher;
}

void acme_fetcher_free(struct acme_fetcher **freed)
{
    struct acme_fetcher *fetcher = *freed;
    *freed = NULL;
    if (!fetcher)
        return;
    pthread_mutex_lock(&fetcher->lock);
    fetcher->is_stopping = true;
    pthread_cond_signal(&fetcher->changed);
    pthread_mutex_unlock(&fetcher->lock);
    pthread_join(fetcher->thread, NULL);
    forget_in(&fetcher->waiting, NULL);
    forget_in(&fetcher->answered, NULL);
    loop_watch_close(fetcher->loop, &fetcher->watch);
    pthread_mutex_destroy(&fetcher->lock);
    pthread_cond_destroy(&fetcher->changed);
    curl_global_cleanup();
    memory_free(fetcher);
}
