/* SPDX-License-Identifier: Apache-2.0
 *
 * A tree of files (S2: an edge is a web server): index, types, validators, conditions, ranges. Conditions and ranges are chosen by the
 * code that chooses them for stored answers (src/cache).
 *
 * The kernel keeps every path beneath the root: openat2() with RESOLVE_BENEATH follows neither ".." nor a symbolic link that leads out
 * of it. A file beside it with .br, .zst or .gz behind its name, and not older, is the same encoded (C3). Names that begin with a dot are not served, but for /.well-known/. The node's user must be able to read the files; they
 * are read by the worker, from the kernel's cache as a rule.
 */
#include "cache/cache.h"
#include "edge/exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FILE_PIECE_BYTES = 65536, TAG_BYTES = 48 };

struct edge_file {
    int fd;
    uint64_t at, left;
};

static const struct {
    const char *ending, *type;
} types[] = {
    {"html", "text/html; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"map", "application/json"},
    {"txt", "text/plain; charset=utf-8"},
    {"md", "text/markdown; charset=utf-8"},
    {"xml", "application/xml"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"ico", "image/x-icon"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"ttf", "font/ttf"},
    {"otf", "font/otf"},
    {"mp4", "video/mp4"},
    {"webm", "video/webm"},
    {"mp3", "audio/mpeg"},
    {"ogg", "audio/ogg"},
    {"wasm", "application/wasm"},
    {"pdf", "application/pdf"},
    {"zip", "application/zip"},
    {"gz", "application/gzip"},
    {"webmanifest", "application/manifest+json"},
};

static const char *type_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (strcasecmp(dot + 1, types[i].ending) == 0)
            return types[i].type;
    return "application/octet-stream";
}

/* ---- finding it */

static bool is_hidden(struct span path)
{
    for (size_t i = 0; i + 1 < path.length; i++)
        if (path.data[i] == '/' && path.data[i + 1] == '.' &&
            !span_starts(span_from(path, i), SPAN("/.well-known/")))
            return true;
    return span_find(path, 0) < path.length;
}

/* Without what the rule strips, beginning with a slash; empty: it is not below that. */
static struct span below(const struct rules_files *files, struct span path)
{
    struct span strip = span_text(files->strip);
    while (strip.length && strip.data[strip.length - 1] == '/')
        strip.length--;
    if (!span_starts(path, strip))
        return (struct span){0};
    path = span_from(path, strip.length);
    return path.length && path.data[0] != '/' ? (struct span){0} : path;
}

/* The descriptor, or -errno. */
static int open_beneath(const char *root, const char *path)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return -errno;
    int fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
    int result = fd < 0 ? -errno : fd;
    close(folder);
    return result;
}

static void refuse(struct edge_exchange *exchange, int error)
{
    if (error == EMFILE || error == ENFILE || error == ENOMEM)
        edge_exchange_page(exchange, 503, "too many files are open");
    else if (error == EACCES || error == EPERM)
        edge_exchange_page(exchange, 403, "this file may not be read");
    else
        edge_exchange_page(exchange, 404, "there is no such file");
}

/* ---- sending it */

static int pull(struct edge_exchange *exchange, struct slice_queue *out, uint64_t limit,
                bool *ended)
{
    struct edge_file *file = exchange->file;
    uint64_t wanted = file->left < limit ? file->left : limit;
    if (wanted > FILE_PIECE_BYTES)
        wanted = FILE_PIECE_BYTES;
    if (wanted) {
        uint8_t room[FILE_PIECE_BYTES];
        ssize_t got = pread(file->fd, room, wanted, (off_t)file->at);
        if (got <= 0)
            return ERROR_IO; /* it became shorter: what was promised cannot be kept */
        slice_queue_append(out, span_of(room, (size_t)got));
        file->at += (uint64_t)got;
        file->left -= (uint64_t)got;
    }
    *ended = file->left == 0;
    return 0;
}

void edge_files_close(struct edge_exchange *exchange)
{
    if (!exchange->file)
        return;
    close(exchange->file->fd);
    exchange->file = NULL;
}

/* ---- what of it is asked for */

static bool lists_tag(const struct http_fields *fields, struct span tag)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        struct span rest = fields->list[i].value, element;
        if (fields->list[i].id != HTTP_NAME_IF_MATCH)
            continue;
        if (span_equal(rest, SPAN("*")))
            return true;
        while (http_list_next(&rest, &element))
            if (span_equal(element, tag))
                return true;
    }
    return false;
}

/* RFC 9110 section 13.2.2, the first half: false is 412. */
static bool is_as_expected(const struct http_head *request, struct span tag, uint64_t modified_s,
                           uint64_t now_s)
{
    const struct http_field *since =
        http_fields_find(&request->fields, HTTP_NAME_IF_UNMODIFIED_SINCE);
    uint64_t seconds;
    if (http_fields_has(&request->fields, HTTP_NAME_IF_MATCH))
        return lists_tag(&request->fields, tag);
    return !since || http_date_read(since->value, now_s, &seconds) < 0 || modified_s <= seconds;
}

static void choose(struct cache_answer *answer, const struct http_head *request,
                   const struct stat *status, const struct http_fields *fields, uint64_t now_s)
{
    struct cache_facts facts = {.status = 200,
                                .response_s = now_s,
                                .date_s = now_s,
                                .modified_s = (uint64_t)status->st_mtim.tv_sec,
                                .flags = CACHE_MODIFIED_STRONG,
                                .length = (uint64_t)status->st_size};
    struct cache_ask ask = {.is_head = request->method == HTTP_METHOD_HEAD,
                            .has_range = request->method == HTTP_METHOD_GET &&
                                         http_fields_has(&request->fields, HTTP_NAME_RANGE),
                            .has_conditions =
                                http_fields_has(&request->fields, HTTP_NAME_IF_NONE_MATCH) ||
                                http_fields_has(&request->fields, HTTP_NAME_IF_MODIFIED_SINCE)};
    if (now_s < facts.modified_s + 2)
        facts.flags = 0; /* it may change again within this second */
    if (cache_answer_choose(answer, &ask, request, &facts, fields, 0) < 0 || answer->is_multipart) {
        answer->status = 200; /* several ranges: all of it, as RFC 9110 section 14.2 allows */
        answer->count = 0;
        answer->content_length = facts.length;
    }
}

static int add_fields(struct http_fields *fields, const struct stat *status, const char *name,
                      char tag[TAG_BYTES])
{
    char date[HTTP_DATE_BYTES];
    snprintf(tag, TAG_BYTES, "\"%llx-%llx\"", (unsigned long long)status->st_size,
             (unsigned long long)status->st_mtim.tv_sec * 1000000000 +
                 (unsigned long long)status->st_mtim.tv_nsec);
    int result = http_fields_add(fields, HTTP_NAME_CONTENT_TYPE, span_text(type_of(name)));
    if (result == 0)
        result = http_fields_add(fields, HTTP_NAME_ETAG, span_text(tag));
    if (result == 0)
        result = http_fields_add(fields, HTTP_NAME_LAST_MODIFIED,
                                 span_text(http_date_text((uint64_t)status->st_mtim.tv_sec, date)));
    return result == 0 ? http_fields_add(fields, HTTP_NAME_ACCEPT_RANGES, SPAN("bytes")) : result;
}

static int add_range(struct http_fields *fields, const struct cache_answer *chosen, uint64_t size)
{
    char text[80];
    if (chosen->status == 206)
        snprintf(text, sizeof text, "bytes %llu-%llu/%llu",
                 (unsigned long long)chosen->ranges[0].first,
                 (unsigned long long)chosen->ranges[0].last, (unsigned long long)size);
    else if (chosen->status == 416)
        snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)size);
    else
        return 0;
    return http_fields_add(fields, HTTP_NAME_CONTENT_RANGE, span_text(text));
}

/* ---- encoded by its owner */

/* The file that is served, and the one that goes out for it. */
struct found {
    struct edge_exchange *exchange;
    const char *root, *name;
    const struct stat *status;
    struct stat coded;
};

/* Opens the one that is encoded so, instead. One that is older was made of something else. */
static bool open_coded(void *context, enum encoding encoding)
{
    struct found *found = context;
    const char *name =
        arena_format(&found->exchange->arena, "%s%s", found->name, encoding_suffix(encoding));
    int fd = open_beneath(found->root, name);
    if (fd < 0)
        return false;
    if (fstat(fd, &found->coded) < 0 || !S_ISREG(found->coded.st_mode) || !found->coded.st_size ||
        found->coded.st_mtim.tv_sec < found->status->st_mtim.tv_sec) {
        close(fd);
        return false;
    }
    close(found->exchange->file->fd);
    found->exchange->file->fd = fd;
    return true;
}

/* Where the answer is all of the file. */
static int choose_coded(struct found *found, struct http_head *answer)
{
    enum encoding encoding = edge_encode_pick(found->exchange, answer, open_coded, found);
    if (!encoding)
        return 0;
    int result = encode_add_vary(&answer->fields);
    return result < 0 ? result : encode_head(answer, encoding, (uint64_t)found->coded.st_size);
}

/* The open file is the exchange's. */
static void send_file(struct edge_exchange *exchange, const char *root, const struct stat *status,
                      const char *name)
{
    struct found found = {exchange, root, name, status, {0}};
    struct http_head *answer = edge_exchange_own_head(exchange);
    struct cache_answer chosen;
    char tag[TAG_BYTES];
    uint64_t now_s = clock_wall_ns() / 1000000000;
    int result = add_fields(&answer->fields, status, name, tag);
    if (!is_as_expected(&exchange->head, span_text(tag), (uint64_t)status->st_mtim.tv_sec, now_s)) {
        edge_exchange_page(exchange, 412, "the file is another one by now");
        return;
    }
    choose(&chosen, &exchange->head, status, &answer->fields, now_s);
    if (result == 0)
        result = add_range(&answer->fields, &chosen, (uint64_t)status->st_size);
    if (result == 0)
        result = edge_rules_edit(exchange, answer);
    answer->status = chosen.status;
    answer->keeps_alive = true;
    answer->body = HTTP_BODY_LENGTH;
    answer->has_length = chosen.status != 304;
    answer->content_length = chosen.status == 416 ? 0 : chosen.content_length;
    if (result == 0 && chosen.status == 200)
        result = choose_coded(&found, answer);
    if (result < 0) {
        edge_exchange_page(exchange, 500, "what a rule of the site makes of this answer is none");
        return;
    }
    exchange->file->at = chosen.count ? chosen.ranges[0].first : 0;
    exchange->file->left = answer->content_length;
    edge_exchange_answer_from(exchange, pull);
}

/* "/folder" is "/folder/", so that what its page refers to is found. */
static void redirect_to_folder(struct edge_exchange *exchange)
{
    struct http_head *answer = edge_exchange_own_head(exchange);
    struct slice_queue content = {0};
    struct span target = exchange->head.target;
    size_t end = span_find(target, '?');
    char *location = arena_format(&exchange->arena, "%.*s/%.*s", (int)end,
                                  (const char *)target.data, SPAN_ARGS(span_from(target, end)));
    size_t slashes = 0;
    while (location[slashes + 1] == '/' || location[slashes + 1] == '\\')
        slashes++; /* "//name/" would be another host, and "/\name/" is that to browsers */
    location[slashes] = '/';
    struct span page = http_error_page(answer, &exchange->head, 301, SPAN("this is a folder"),
                                       edge_exchange_id(exchange));
    if (http_fields_set(&answer->fields, HTTP_NAME_LOCATION, span_text(location + slashes)) < 0) {
        edge_exchange_page(exchange, 404, "there is no such file");
        return;
    }
    slice_queue_append(&content, page);
    edge_exchange_answer(exchange, &content);
}

void edge_files_answer(struct edge_exchange *exchange, const struct rules_files *files,
                       struct span path)
{
    enum http_method method = exchange->head.method;
    struct span inner = below(files, path);
    if (method != HTTP_METHOD_GET && method != HTTP_METHOD_HEAD) {
        edge_exchange_page(exchange, 405, "files are only read here");
        return;
    }
    if (!inner.length || is_hidden(inner)) {
        edge_exchange_page(exchange, 404, "there is no such file");
        return;
    }
    bool is_folder = inner.data[inner.length - 1] == '/';
    const char *name = arena_format(&exchange->arena, "%.*s%s", (int)inner.length - 1,
                                    (const char *)inner.data + 1, is_folder ? files->index : "");
    int fd = open_beneath(files->root, name);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0) {
        refuse(exchange, fd < 0 ? -fd : errno);
        if (fd >= 0)
            close(fd);
        return;
    }
    if (!S_ISREG(status.st_mode)) {
        close(fd);
        if (S_ISDIR(status.st_mode) && !is_folder)
            redirect_to_folder(exchange);
        else
            refuse(exchange, ENOENT);
        return;
    }
    exchange->file = ARENA_NEW(&exchange->arena, struct edge_file);
    exchange->file->fd = fd;
    send_file(exchange, files->root, &status, name);
}
