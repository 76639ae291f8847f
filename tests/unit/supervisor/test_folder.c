/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders that children may write to: made, taken over empty, refused.
 */
#include "supervisor/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static const struct identity child = {
    .is_changed = true, .user = 65534, .group = 65534, .name = "nobody"};

static uid_t owner_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_uid;
}

static int try(const char *path)
{
    struct text why = {0};
    int judged = folder_judge(path, &child, &why);
    text_clear(&why);
    int fd, result = folder_open(path, &child, &fd, &why);
    assert_int_equal(result == 0, judged == 0 || judged == ERROR_NOT_FOUND);
    assert_int_equal(result == 0, why.length == 0);
    if (result == 0)
        close(fd);
    text_clear(&why);
    return result;
}

static void folders_are_the_childs_or_refused(void **state)
{
    (void)state;
    char top[] = "/tmp/test_folder.XXXXXX", path[64], file[80];
    if (geteuid() != 0)
        skip(); /* only root can give a folder away */
    assert_non_null(mkdtemp(top));
    snprintf(path, sizeof path, "%s/made", top);
    assert_int_equal(try(path), 0);
    assert_int_equal(owner_of(path), child.user);
    assert_int_equal(try(path), 0);
    rmdir(path);

    /* What a service manager made is taken over, as long as nobody has put anything there. */
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(try(path), 0);
    assert_int_equal(owner_of(path), child.user);
    rmdir(path);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(file, sizeof file, "%s/file", path);
    close(open(file, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(try(path), ERROR_DENIED);
    assert_int_equal(owner_of(path), 0);
    unlink(file);
    rmdir(path);

    snprintf(path, sizeof path, "%s/none/made", top);
    assert_int_equal(try(path), ERROR_IO);
    rmdir(top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(folders_are_the_childs_or_refused)};
    return cmocka_run_group_tests_name("supervisor/folder", tests, NULL, NULL);
}
