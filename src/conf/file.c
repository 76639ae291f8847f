/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader of real files. A secret must be a regular file that only its owner can read.
 */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
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

struct conf_reader conf_file_reader(void)
{
    return (struct conf_reader){.read = read_file};
}

int conf_read_file(const char *file, struct text *content, struct text *why)
{
    return read_file(NULL, file, false, content, why);
}
