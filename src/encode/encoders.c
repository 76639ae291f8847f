/* SPDX-License-Identifier: Apache-2.0
 *
 * The encoders of a worker: how many run, and some idle ones, since setting one up costs more than a small answer.
 */
#include "base/list.h"
#include "base/memory.h"
#include "encode/encode.h"

struct encoder {
    struct list link; /* among the idle ones */
    enum encoding encoding;
    void *state;
};

struct encoders {
    struct list idle[ENCODING_COUNT];
    uint32_t idle_count[ENCODING_COUNT];
    uint32_t running;
};

const struct encode_coder *encode_coder(enum encoding encoding)
{
    static const struct encode_coder *const coders[ENCODING_COUNT] = {
        [ENCODING_GZIP] = &encode_gzip,
        [ENCODING_BROTLI] = &encode_brotli,
        [ENCODING_ZSTD] = &encode_zstd};
    INVARIANT(coders[encoding]);
    return coders[encoding];
}

struct encoders *encoders_new(void)
{
    struct encoders *encoders = NEW(struct encoders);
    for (size_t i = 0; i < ENCODING_COUNT; i++)
        list_init(&encoders->idle[i]);
    return encoders;
}

static void encoder_free(struct encoder *encoder)
{
    encode_coder(encoder->encoding)->close(encoder->state);
    memory_free(encoder);
}

void encoders_free(struct encoders **freed)
{
    struct encoders *encoders = *freed;
    struct list *item;
    if (!encoders)
        return;
    *freed = NULL;
    INVARIANT(!encoders->running);
    for (size_t i = 0; i < ENCODING_COUNT; i++)
        while ((item = list_pop_front(&encoders->idle[i])) != NULL)
            encoder_free(CONTAINER_OF(item, struct encoder, link));
    memory_free(encoders);
}

struct encoder *encoders_take(struct encoders *encoders, uint32_t most, enum encoding encoding,
                              const struct encode_settings *settings)
{
    const struct encode_coder *coder = encode_coder(encoding);
    struct encoder *encoder;
    if (encoders->running >= most)
        return NULL;
    encoders->running++;
    struct list *item = list_pop_front(&encoders->idle[encoding]);
    if (item) {
        encoders->idle_count[encoding]--;
        encoder = CONTAINER_OF(item, struct encoder, link);
        coder->restart(encoder->state, settings);
        return encoder;
    }
    encoder = NEW(struct encoder);
    list_init(&encoder->link);
    encoder->encoding = encoding;
    encoder->state = coder->open(settings);
    return encoder;
}

void encoders_give_back(struct encoders *encoders, struct encoder **pointer)
{
    struct encoder *encoder = *pointer;
    if (!encoder)
        return;
    *pointer = NULL;
    encoders->running--;
    uint32_t *idle = &encoders->idle_count[encoder->encoding];
    if (!encode_coder(encoder->encoding)->restart || *idle == ENCODE_IDLE_MOST) {
        encoder_free(encoder);
        return;
    }
    ++*idle;
    list_push_front(&encoders->idle[encoder->encoding], &encoder->link);
}

uint32_t encoders_running(const struct encoders *encoders)
{
    return encoders->running;
}

enum encoding encoder_encoding(const struct encoder *encoder)
{
    return encoder->encoding;
}

void encoder_put(struct encoder *encoder, struct span data, enum encode_then then,
                 struct slice_queue *out)
{
    encode_coder(encoder->encoding)->put(encoder->state, data, then, out);
}
