/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of the folder: written beside their place, flushed, moved, and the folder flushed.
 */
#include "acme/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

enum { FILE_BYTES = 1 << 20, PATH_BYTES = 4096 };

static int fail(const char *path, struct text *why)
{
    int result = errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO;
    text_add_format(why, "%s: %s", path, strerror(errno));
    return result;
}

static void path_of(const struct acme_folder *folder, const char *name, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/%s", folder->path, name);
}

bool acme_folder_enter(struct acme_folder *folder)
{
    char path[PATH_BYTES];
    if (folder->lock >= 0)
        return true;
    path_of(folder, "acme.lock", path);
    folder->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (folder->lock >= 0 && flock(folder->lock, LOCK_EX | LOCK_NB) < 0)
        acme_folder_leave(folder);
    return folder->lock >= 0;
}

void acme_folder_leave(struct acme_folder *folder)
{
    if (folder->lock >= 0)
        close(folder->lock);
    folder->lock = -1;
}

int acme_folder_read(const struct acme_folder *folder, const char *name, struct text *content,
                     struct text *why)
{
    char path[PATH_BYTES], buffer[8192];
    ssize_t got;
    path_of(folder, name, path);
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0)
        return fail(path, why);
    content->limit = FILE_BYTES;
    while ((got = read(file, buffer, sizeof buffer)) > 0)
        text_add_span(content, span_of(buffer, (size_t)got));
    int result = got < 0 ? fail(path, why) : content->is_cut ? ERROR_LIMIT : 0;
    close(file);
    explicit_bzero(buffer, sizeof buffer);
    return result;
}

static bool write_all(int file, struct span content)
{
    while (content.length) {
        ssize_t written = write(file, content.data, content.length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        content = span_from(content, (size_t)written);
    }
    return fsync(file) == 0;
}

static bool flush_folder(const struct acme_folder *folder)
{
    int file = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_flushed = file >= 0 && fsync(file) == 0;
    if (file >= 0)
        close(file);
    return is_flushed;
}

int acme_folder_write(const struct acme_folder *folder, const char *name, struct span content,
                      struct text *why)
{
    char path[PATH_BYTES], beside[PATH_BYTES + 8];
    path_of(folder, name, path);
    snprintf(beside, sizeof beside, "%s.new", path);
    (void)unlink(beside); /* of a process that died while it wrote */
    int file = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool is_written = file >= 0 && write_all(file, content);
    if (file >= 0)
        close(file);
    if (is_written && rename(beside, path) == 0 && flush_folder(folder))
        return 0;
    return fail(path, why);
}

int acme_folder_update(const struct acme_folder *folder, const char *name, struct span content,
                       bool *has_changed, struct text *why)
{
    struct text present = {0}, unread = {0};
    bool is_same = acme_folder_read(folder, name, &present, &unread) == 0 &&
                   span_equal(text_span(&present), content);
    if (present.data)
        explicit_bzero(present.data, present.capacity);
    text_clear(&present);
    text_clear(&unread);
    int result = is_same ? 0 : acme_folder_write(folder, name, content, why);
    *has_changed |= !is_same && result == 0;
    return result;
}

/* ---- records */

static uint64_t number_of(const json_t *object, const char *name)
{
    json_int_t number = json_integer_value(json_object_get(object, name));
    return number > 0 ? (uint64_t)number : 0;
}

void acme_record_read(const struct acme_folder *folder, const char *site,
                      struct acme_record *record)
{
    char name[512];
    struct text content = {0}, why = {0};
    *record = (struct acme_record){0};
    snprintf(name, sizeof name, "acme-%s.state", site);
    json_t *object = acme_folder_read(folder, name, &content, &why) == 0
                         ? json_loadb(content.data ? content.data : "", content.length, 0, NULL)
                         : NULL;
    const char *error = json_string_value(json_object_get(object, "error"));
    record->next_try_s = number_of(object, "next_try");
    record->failures = (uint32_t)(number_of(object, "failures") & UINT16_MAX);
    record->number = number_of(object, "number");
    record->renew_s = number_of(object, "renew");
    record->ask_s = number_of(object, "ask");
    snprintf(record->error, sizeof record->error, "%s", error ? error : "");
    json_decref(object);
    text_clear(&content);
    text_clear(&why);
}

int acme_record_write(const struct acme_folder *folder, const char *site,
                      const struct acme_record *record, struct text *why)
{
    char name[512];
    snprintf(name, sizeof name, "acme-%s.state", site);
    json_t *object =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:s}", "next_try", (json_int_t)record->next_try_s,
                  "failures", (json_int_t)record->failures, "number", (json_int_t)record->number,
                  "renew", (json_int_t)record->renew_s, "ask", (json_int_t)record->ask_s, "error",
                  record->error);
    char *text = json_dumps(object, JSON_INDENT(1));
    int result = text ? acme_folder_write(folder, name, span_text(text), why) : ERROR_INVALID;
    free(text);
    json_decref(object);
    return result;
}
