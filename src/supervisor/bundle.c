/* SPDX-License-Identifier: Apache-2.0
 *
 * On the way: for each file one byte of flags (1: secret, 2: large, 4: a zone's key, 8: a site's, 16: one of ordering), the path behind its length (32 bits), and the
 * content likewise, or where in the memfd it begins and how long it is (64 bits each).
 */
#include "supervisor/bundle.h"

#include "base/bytes.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    FLAG_SECRET = 1,
    FLAG_LARGE = 2,
    FLAG_ZONE_KEY = 4,
    FLAG_SITE_KEY = 8,
    FLAG_ORDER_KEY = 16,
    PAGE_BYTES = 65536, /* where files begin: a multiple of every machine's pages */
};

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
    if (bundle->has_memory)
        close(bundle->memory);
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
    const struct bundle_file *known = find_file(bundle, path);
    size_t before = content->length;
    if (known && !known->is_large && (known->is_secret || !is_secret)) {
        text_add_span(content, text_span(&known->content));
        return 0;
    }
    int result = files.read(files.argument, path, is_secret, content, why);
    if (result == 0 && !find_file(bundle, path))
        bundle_add(bundle, path, is_secret, span_from(text_span(content), before));
    return result;
}

/* What only one kind of child gets. */
static int record_key(struct bundle *bundle, enum bundle_part part, const char *path,
                      bool is_secret, struct text *content, struct text *why)
{
    size_t count = bundle->count;
    int result = record(bundle, path, is_secret, content, why);
    if (bundle->count > count)
        bundle->files[count].key_for = part;
    return result;
}

static int record_zone_key(void *argument, const char *path, bool is_secret, struct text *content,
                           struct text *why)
{
    return record_key(argument, BUNDLE_WITH_ZONE_KEYS, path, is_secret, content, why);
}

static int record_site_key(void *argument, const char *path, bool is_secret, struct text *content,
                           struct text *why)
{
    return record_key(argument, BUNDLE_WITH_SITE_KEYS, path, is_secret, content, why);
}

static int record_order_key(void *argument, const char *path, bool is_secret, struct text *content,
                            struct text *why)
{
    return record_key(argument, BUNDLE_WITH_ORDER_KEYS, path, is_secret, content, why);
}

static int map_recorded(const struct bundle *bundle, const struct bundle_file *file,
                        struct span *content, struct text *why)
{
    return conf_map_memory(bundle->memory, file->offset, file->bytes, content, why);
}

static int copy_large(struct bundle *bundle, const char *path, uint64_t *bytes, struct text *why)
{
    if (!bundle->has_memory) {
        bundle->memory = memfd_create("files", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        bundle->has_memory = bundle->memory >= 0;
    }
    if (!bundle->has_memory || lseek(bundle->memory, (off_t)bundle->memory_bytes, SEEK_SET) < 0) {
        text_add(why, strerror(errno));
        return ERROR_LIMIT;
    }
    return conf_copy_file(path, bundle->memory, bytes, why);
}

static int record_large(void *argument, const char *path, struct span *content, struct text *why)
{
    struct bundle *bundle = argument;
    const struct bundle_file *known = find_file(bundle, path);
    if (known && known->is_large)
        return map_recorded(bundle, known, content, why);
    uint64_t bytes;
    int result = copy_large(bundle, path, &bytes, why);
    if (result < 0)
        return result;
    bundle_add(bundle, path, false, span_of(NULL, 0));
    struct bundle_file *file = &bundle->files[bundle->count - 1];
    file->is_large = true;
    file->offset = bundle->memory_bytes;
    file->bytes = bytes;
    bundle->memory_bytes += (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    return map_recorded(bundle, file, content, why);
}

struct conf_reader bundle_recorder(struct bundle *bundle)
{
    return (struct conf_reader){.read = record,
                                .map = record_large,
                                .argument = bundle,
                                .read_zone_key = record_zone_key,
                                .read_site_key = record_site_key,
                                .read_order_key = record_order_key,
                                .now_s = conf_file_reader().now_s};
}

void bundle_copy_without(const struct bundle *bundle, const char *folder, struct bundle *copy)
{
    size_t length = strlen(folder);
    for (size_t i = 0; i < bundle->count; i++) {
        const struct bundle_file *from = &bundle->files[i];
        if (strncmp(from->path, folder, length) == 0 && from->path[length] == '/')
            continue;
        bundle_add(copy, from->path, from->is_secret, text_span(&from->content));
        struct bundle_file *to = &copy->files[copy->count - 1];
        to->key_for = from->key_for;
        to->is_large = from->is_large;
        to->offset = from->offset;
        to->bytes = from->bytes;
    }
    copy->memory = bundle->has_memory ? fcntl(bundle->memory, F_DUPFD_CLOEXEC, 4) : -1;
    copy->has_memory = copy->memory >= 0;
    copy->memory_bytes = bundle->memory_bytes;
}

void bundle_seal(const struct bundle *bundle)
{
    if (bundle->has_memory)
        conf_seal_memory(bundle->memory);
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

static int map_bundled(void *argument, const char *path, struct span *content, struct text *why)
{
    const struct bundle *bundle = argument;
    const struct bundle_file *file = find_file(bundle, path);
    if (!file || !file->is_large) {
        text_add(why, "the supervisor did not hand it over");
        return ERROR_NOT_FOUND;
    }
    return map_recorded(bundle, file, content, why);
}

struct conf_reader bundle_reader(const struct bundle *bundle, enum bundle_part part)
{
    return (
        struct conf_reader){.read = read_bundled,
                            .map = map_bundled,
                            .argument = (void *)bundle,
                            .read_zone_key = part == BUNDLE_WITH_ZONE_KEYS ? read_bundled : NULL,
                            .read_site_key = part == BUNDLE_WITH_SITE_KEYS ? read_bundled : NULL,
                            .read_order_key = part == BUNDLE_WITH_ORDER_KEYS ? read_bundled : NULL};
}

static void add_field(struct text *bytes, struct span field)
{
    uint8_t length[4];
    store_u32(length, (uint32_t)field.length);
    text_add_span(bytes, span_of(length, sizeof length));
    text_add_span(bytes, field);
}

void bundle_write(const struct bundle *bundle, enum bundle_part part, struct text *bytes)
{
    for (size_t i = 0; i < bundle->count; i++) {
        const struct bundle_file *file = &bundle->files[i];
        bool is_kept_back =
            part == BUNDLE_PUBLIC || (part == BUNDLE_WITH_ORDER_KEYS && file->key_for != part);
        if ((file->is_secret && is_kept_back) ||
            (file->key_for != BUNDLE_PUBLIC && file->key_for != part && part != BUNDLE_WHOLE))
            continue;
        uint8_t flags = (uint8_t)(file->is_secret ? FLAG_SECRET : 0) |
                        (uint8_t)(file->is_large ? FLAG_LARGE : 0) |
                        (uint8_t)(file->key_for == BUNDLE_WITH_ZONE_KEYS ? FLAG_ZONE_KEY : 0) |
                        (uint8_t)(file->key_for == BUNDLE_WITH_SITE_KEYS ? FLAG_SITE_KEY : 0) |
                        (uint8_t)(file->key_for == BUNDLE_WITH_ORDER_KEYS ? FLAG_ORDER_KEY : 0);
        uint8_t place[16];
        store_u64(store_u64(place, file->offset), file->bytes);
        text_add_span(bytes, span_of(&flags, 1));
        add_field(bytes, span_text(file->path));
        if (file->is_large)
            text_add_span(bytes, span_of(place, sizeof place));
        else
            add_field(bytes, text_span(&file->content));
    }
}

static void parse_file(struct bundle *bundle, struct reader *reader)
{
    uint8_t flags = read_u8(reader);
    struct span path = read_span(reader, read_u32(reader));
    struct span content = {0};
    uint64_t offset = 0, bytes = 0;
    if (flags & FLAG_LARGE) {
        offset = read_u64(reader);
        bytes = read_u64(reader);
    } else {
        content = read_span(reader, read_u32(reader));
    }
    if (reader->failed)
        return;
    char *text = memory_text((const char *)path.data, path.length);
    bundle_add(bundle, text, flags & FLAG_SECRET, content);
    struct bundle_file *file = &bundle->files[bundle->count - 1];
    file->is_large = flags & FLAG_LARGE;
    file->key_for = flags & FLAG_ZONE_KEY    ? BUNDLE_WITH_ZONE_KEYS
                    : flags & FLAG_SITE_KEY  ? BUNDLE_WITH_SITE_KEYS
                    : flags & FLAG_ORDER_KEY ? BUNDLE_WITH_ORDER_KEYS
                                             : BUNDLE_PUBLIC;
    file->offset = offset;
    file->bytes = bytes;
    memory_free(text);
}

int bundle_parse(struct bundle *bundle, struct span bytes, int memory)
{
    struct reader reader = reader_of(bytes);
    if (memory >= 0) {
        bundle->memory = fcntl(memory, F_DUPFD_CLOEXEC, 4);
        bundle->has_memory = bundle->memory >= 0;
    }
    while (reader_left(&reader) && !reader.failed)
        parse_file(bundle, &reader);
    return reader.failed || !bundle->count ? ERROR_INVALID : 0;
}
