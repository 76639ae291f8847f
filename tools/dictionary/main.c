/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes the public dictionary of heads (src/compress/dictionary.c) from samples.txt: message heads as HTTP/1.1 text, an empty line
 * between two. Its content is every distinct field of theirs in the message form, the most frequent last, where matches are
 * cheapest; zstd adds what it learns of the samples' entropy. Same samples and same zstd, same dictionary.
 *
 *   dictionary SAMPLES >dictionary.c
 */
#include "base/bytes.h"
#include "base/memory.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "http/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <zdict.h>
#include <zstd.h>

enum {
    DICTIONARY_BYTES = 16 * 1024,
    CONTENT_BYTES = 14 * 1024,
    SAMPLES_MOST = 1024,
    FIELDS_MOST = 8192,
    FIELD_AT = 5, /* of a 204 in message form: behind version, flags, status and number of fields */
    DICTIONARY_NUMBER = 1, /* in zstd's own header; it does not cross */
    BYTES_A_LINE = 16,
};

struct field {
    uint8_t *bytes;
    size_t length;
    unsigned uses, order;
};

struct work {
    struct text samples;
    size_t sizes[SAMPLES_MOST];
    unsigned sample_count;
    struct field fields[FIELDS_MOST];
    unsigned field_count;
};

static _Noreturn void die(const char *why)
{
    fprintf(stderr, "dictionary: %s\n", why);
    exit(1);
}

/* The payload of the frame in the queue. */
static struct span payload_of(struct slice_queue *frame, uint8_t *room, size_t capacity)
{
    size_t length = slice_queue_peek(frame, 0, room, capacity);
    struct reader reader = reader_of(span_of(room, length));
    read_u8(&reader);
    size_t bytes = (size_t)read_varint(&reader);
    struct span payload = read_span(&reader, bytes);
    if (reader.failed)
        die("a head is too long");
    slice_queue_clear(frame);
    return payload;
}

/* As it stands in a frame; empty where it does not cross, or only as a code. */
static struct span encode_field(const struct http_field *field, struct arena *arena, uint8_t *room,
                                size_t capacity)
{
    struct http_head head;
    struct slice_queue frame = {0};
    http_head_init(&head, arena);
    head.status = 204;
    head.minor = 1;
    if (http_fields_add_text(&head.fields, field->name, field->value) < 0 ||
        http_form_write_response(&frame, &head) < 0)
        die("a field cannot be written");
    struct span encoded = span_from(payload_of(&frame, room, capacity), FIELD_AT);
    return encoded.length > 1 ? encoded : span_of(encoded.data, 0);
}

static void note_field(struct work *work, struct span encoded)
{
    for (unsigned i = 0; i < work->field_count; i++)
        if (span_equal(span_of(work->fields[i].bytes, work->fields[i].length), encoded)) {
            work->fields[i].uses++;
            return;
        }
    if (work->field_count == FIELDS_MOST)
        die("too many fields");
    struct field *field = &work->fields[work->field_count];
    *field = (struct field){memory_raw(encoded.length), encoded.length, 1, work->field_count};
    memcpy(field->bytes, encoded.data, encoded.length);
    work->field_count++;
}

static void take_sample(struct work *work, struct span text)
{
    static uint8_t room[HTTP_FORM_HEAD_MOST + 16];
    struct arena arena = {0};
    struct http_head head;
    struct http_parser parser;
    struct slice_queue frame = {0};
    struct span data;
    size_t used;
    bool is_response = span_starts(text, SPAN("HTTP/"));
    if (is_response)
        http_parser_start_response(&parser, &http_limits_default, &head, &arena, HTTP_METHOD_GET,
                                   false);
    else
        http_parser_start_request(&parser, &http_limits_default, &head, &arena);
    if (http_parser_feed(&parser, text, &used, &data) != HTTP_EVENT_HEAD)
        die(http_cause_text(parser.cause));
    const struct http_opening opening = {.site = SPAN("site"),
                                         .request_id = SPAN("00000000000000000000000000000000"),
                                         .client = {.family = 4},
                                         .edge_port = 80,
                                         .priority = 2};
    int result = is_response ? http_form_write_response(&frame, &head)
                             : http_form_write_request(&frame, &opening, &head);
    if (result < 0 || work->sample_count == SAMPLES_MOST)
        die("a sample cannot be used");
    struct span payload = payload_of(&frame, room, sizeof room);
    text_add_span(&work->samples, payload);
    work->sizes[work->sample_count++] = payload.length;
    for (uint32_t i = 0; i < head.fields.count; i++) {
        static const enum http_name framing[] = {HTTP_NAME_HOST, HTTP_NAME_CONTENT_LENGTH};
        if (head.fields.list[i].id == framing[0] || head.fields.list[i].id == framing[1])
            continue;
        struct span encoded = encode_field(&head.fields.list[i], &arena, room, sizeof room);
        if (encoded.length)
            note_field(work, encoded);
    }
    arena_clear(&arena);
}

/* Samples have LF alone at the ends of lines; HTTP does not. */
static void read_samples(struct work *work, const char *path)
{
    char line[16384];
    struct text sample = {0};
    FILE *file = fopen(path, "re");
    if (!file)
        die("cannot read the samples");
    for (bool more = true; more;) {
        more = fgets(line, sizeof line, file);
        struct span text = more ? span_trim(span_of(line, strcspn(line, "\n"))) : (struct span){0};
        text_add_span(&sample, text);
        text_add(&sample, "\r\n");
        if (text.length)
            continue;
        if (sample.length > 2)
            take_sample(work, text_span(&sample));
        text_reset(&sample);
    }
    fclose(file);
    text_clear(&sample);
}

static int more_used_first(const void *a, const void *b)
{
    const struct field *first = a, *second = b;
    if (first->uses != second->uses)
        return first->uses > second->uses ? -1 : 1;
    return first->order < second->order ? -1 : 1;
}

static size_t make_content(struct work *work, uint8_t *content)
{
    size_t bytes = 0, count = 0;
    qsort(work->fields, work->field_count, sizeof *work->fields, more_used_first);
    while (count < work->field_count && bytes + work->fields[count].length <= CONTENT_BYTES)
        bytes += work->fields[count++].length;
    uint8_t *at = content;
    for (size_t i = count; i > 0; i--) {
        memcpy(at, work->fields[i - 1].bytes, work->fields[i - 1].length);
        at += work->fields[i - 1].length;
    }
    return bytes;
}

static void write_source(const uint8_t *dictionary, size_t bytes)
{
    uint8_t hash[HASH_BYTES];
    struct span all = span_of(dictionary, bytes);
    crypto_openssl()->hash(crypto_openssl(), &all, 1, hash);
    printf("/* SPDX-License-Identifier: Apache-2.0\n *\n"
           " * The public dictionary of heads. Made by tools/dictionary from its samples, with "
           "zstd %s: do not edit.\n */\n"
           "#include \"compress/compress.h\"\n\n// clang-format off\n"
           "const uint32_t compress_dictionary_id = 0x%08x;\n"
           "const size_t compress_dictionary_bytes = %zu;\n"
           "const uint8_t compress_dictionary[%zu] = {\n",
           ZSTD_versionString(), load_u32(hash), bytes, bytes);
    for (size_t i = 0; i < bytes; i++)
        printf("%s%u,%s", i % BYTES_A_LINE ? "" : "    ", dictionary[i],
               i % BYTES_A_LINE == BYTES_A_LINE - 1 || i + 1 == bytes ? "\n" : " ");
    printf("};\n// clang-format on\n");
}

int main(int count, char **arguments)
{
    static struct work work;
    static uint8_t content[CONTENT_BYTES], dictionary[DICTIONARY_BYTES];
    if (count != 2)
        die("usage: dictionary SAMPLES");
    read_samples(&work, arguments[1]);
    size_t content_bytes = make_content(&work, content);
    const ZDICT_params_t parameters = {.compressionLevel = 1, .dictID = DICTIONARY_NUMBER};
    size_t bytes =
        ZDICT_finalizeDictionary(dictionary, sizeof dictionary, content, content_bytes,
                                 work.samples.data, work.sizes, work.sample_count, parameters);
    if (ZDICT_isError(bytes))
        die(ZDICT_getErrorName(bytes));
    write_source(dictionary, bytes);
    for (unsigned i = 0; i < work.field_count; i++)
        memory_free(work.fields[i].bytes);
    text_clear(&work.samples);
    chunk_cache_drain();
    return 0;
}
