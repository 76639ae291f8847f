/* SPDX-License-Identifier: Apache-2.0
 *
 * On the way: for each file one byte (1: secret), path and content, each behind its length (32
 * bits).
 */
#include "supervisor/bundle.h"

#include "base/bytes.h"
#include "base/memory.h"

void bundle_clear(struct bundle *bundle)
{
    for (size_t i = 0; i < bundle->count; i++) {
        struct bundle_file *file = &bundle->files[i];
        if (file->content.data)
            explicit_bzero(file->content.data, file->content.capacity);
        text_clear(&file->content);
        memory_free(file->path);
    }
    memory_free(bundle->files);
    *bundle = (struct bundle){0};
}

static const struct bundle_file *find_file(const struct bundle *bundle, const char *path)
{
    for (size_t i = 0; i < bundle->count; i++)
        if (strcmp(bundle->files[i].path, path) == 0)
            return &bundle->files[i];
    return NULL;
}

void bundle_add(struct bundle *bundle, const char *path, bool is_secret, struct span content)
{
    bundle->files = memory_resize(bundle->files, bundle->count + 1, sizeof *bundle->files);
    struct bundle_file *file = &bundle->files[bundle->count++];
    *file = (struct bundle_file){.path = memory_text(path, strlen(path)), .is_secret = is_secret};
    text_add_span(&file->content, content);
}

static int record(void *argument, const char *path, bool is_secret, struct text *content,
                  struct text *why)
{
    struct bundle *bundle = argument;
    struct conf_reader files = conf_file_reader();
    size_t before = content->length;
    int result = files.read(files.argument, path, is_secret, content, why);
    if (result == 0 && !find_file(bundle, path))
        bundle_add(bundle, path, is_secret, span_from(text_span(content), before));
    return result;
}

struct conf_reader bundle_recorder(struct bundle *bundle)
{
    return (struct conf_reader){.read = record, .argument = bundle};
}

static int read_bundled(void *argument, const char *path, bool is_secret, struct text *content,
                        struct text *why)
{
    (void)is_secret;
    const struct bundle_file *file = find_file(argument, path);
    if (!file) {
        text_add(why, "the supervisor did not hand it over");
        return ERROR_NOT_FOUND;
    }
    text_add_span(content, text_span(&file->content));
    return 0;
}

struct conf_reader bundle_reader(const struct bundle *bundle)
{
    return (struct conf_reader){.read = read_bundled, .argument = (void *)bundle};
}

static void add_field(struct text *bytes, struct span field)
{
    uint8_t length[4];
    store_u32(length, (uint32_t)field.length);
    text_add_span(bytes, span_of(length, sizeof length));
    text_add_span(bytes, field);
}

void bundle_write(const struct bundle *bundle, bool with_secrets, struct text *bytes)
{
    for (size_t i = 0; i < bundle->count; i++) {
        const struct bundle_file *file = &bundle->files[i];
        if (file->is_secret && !with_secrets)
            continue;
        uint8_t kind = file->is_secret;
        text_add_span(bytes, span_of(&kind, 1));
        add_field(bytes, span_text(file->path));
        add_field(bytes, text_span(&file->content));
    }
}

int bundle_parse(struct bundle *bundle, struct span bytes)
{
    struct reader reader = reader_of(bytes);
    while (reader_left(&reader)) {
        bool is_secret = read_u8(&reader) != 0;
        struct span path = read_span(&reader, read_u32(&reader));
        struct span content = read_span(&reader, read_u32(&reader));
        if (reader.failed)
            break;
        char *text = memory_text((const char *)path.data, path.length);
        bundle_add(bundle, text, is_secret, content);
        memory_free(text);
    }
    return reader.failed || !bundle->count ? ERROR_INVALID : 0;
}
