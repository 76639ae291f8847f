/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader of real files. A secret must be a regular file that only its owner can read. A large file is copied into sealed memory first:
 * what is mapped of it can neither change nor be cut short under the reader's feet.
 */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int fail(struct text *why, int number)
{
    text_add(why, strerror(number));
    return number == ENOENT ? ERROR_NOT_FOUND : number == EACCES ? ERROR_DENIED : ERROR_IO;
}

static int check_file(int file, bool is_secret, struct text *why)
{
    struct stat status;
    if (fstat(file, &status) < 0)
        return fail(why, errno);
    if (S_ISDIR(status.st_mode))
        return fail(why, EISDIR);
    if (is_secret && (status.st_mode & 077)) {
        text_add_format(why, "others can read it (mode %04o): chmod 600", status.st_mode & 07777);
        return ERROR_DENIED;
    }
    return 0;
}

static int read_all(int file, struct text *content, struct text *why)
{
    char buffer[16384];
    for (;;) {
        ssize_t got = read(file, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(why, errno);
        if (got == 0)
            break;
        text_add_span(content, span_of(buffer, (size_t)got));
        if (content->is_cut || content->length > CONF_FILE_BYTES) {
            text_add(why, "it is too large");
            return ERROR_LIMIT;
        }
    }
    explicit_bzero(buffer, sizeof buffer);
    return 0;
}

static int read_file(void *argument, const char *path, bool is_secret, struct text *content,
                     struct text *why)
{
    (void)argument;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block the start */
    if (file < 0)
        return fail(why, errno);
    int result = check_file(file, is_secret, why);
    if (result == 0)
        result = read_all(file, content, why);
    close(file);
    return result;
}

static int copy_all(int file, int memfd, uint64_t *bytes, struct text *why)
{
    enum { PIECE_BYTES = 1 << 20 };
    for (*bytes = 0;;) {
        ssize_t got = sendfile(memfd, file, NULL, PIECE_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(why, errno);
        if (got == 0)
            return 0;
        *bytes += (uint64_t)got;
        if (*bytes > CONF_LARGE_FILE_BYTES) {
            text_add(why, "it is too large");
            return ERROR_LIMIT;
        }
    }
}

int conf_copy_file(const char *path, int memfd, uint64_t *bytes, struct text *why)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return fail(why, errno);
    int result = check_file(file, false, why);
    if (result == 0)
        result = copy_all(file, memfd, bytes, why);
    close(file);
    return result;
}

/* Private, so that it is no hindrance to the seals. */
int conf_map_memory(int memfd, uint64_t offset, uint64_t bytes, struct span *content,
                    struct text *why)
{
    *content = (struct span){0};
    if (!bytes)
        return 0;
    void *memory = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, memfd, (off_t)offset);
    if (memory == MAP_FAILED)
        return fail(why, errno);
    *content = span_of(memory, bytes);
    return 0;
}

void conf_unmap_memory(struct span content)
{
    if (content.length)
        munmap((void *)(uintptr_t)content.data, content.length);
}

void conf_seal_memory(int memfd)
{
    fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
}

static int map_file(void *argument, const char *path, struct span *content, struct text *why)
{
    (void)argument;
    int memfd = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memfd < 0)
        return fail(why, errno);
    uint64_t bytes;
    int result = conf_copy_file(path, memfd, &bytes, why);
    conf_seal_memory(memfd);
    if (result == 0)
        result = conf_map_memory(memfd, 0, bytes, content, why);
    close(memfd); /* the map holds it */
    return result;
}

struct conf_reader conf_file_reader(void)
{
    return (struct conf_reader){.read = read_file,
                                .read_zone_key = read_file,
                                .map = map_file,
                                .read_site_key = read_file,
                                .read_order_key = read_file,
                                .now_s = (uint64_t)time(NULL)};
}

int conf_read_file(const char *file, struct text *content, struct text *why)
{
    int result = read_file(NULL, file, false, content, why);
    if (result == ERROR_NOT_FOUND)
        text_add(why, ": name yours by -c FILE, or begin with one of docs/examples");
    else if (result == ERROR_DENIED)
        text_add(why, ": ask as root, or as a user who may read it");
    return result;
}
