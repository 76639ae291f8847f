/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of the disk tier share: a folder for each, a store that uses it, and damage.
 */
#ifndef TESTS_STORE_FOLDER_H
#define TESTS_STORE_FOLDER_H

#include "kept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];
static int folder;

static inline int make_folder(void **state)
{
    (void)state;
    strcpy(path, "/tmp/store-XXXXXX");
    assert_non_null(mkdtemp(path));
    folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(folder >= 0);
    reader_enter();
    return 0;
}

typedef void visit_function(const char *name, void *context);

static inline size_t each_file(visit_function *visit, void *context)
{
    size_t count = 0;
    const struct dirent *entry;
    DIR *listing = opendir(path);
    while ((entry = readdir(listing)) != NULL)
        if (strstr(entry->d_name, ".segment")) {
            count++;
            visit(entry->d_name, context);
        }
    closedir(listing);
    return count;
}

static inline void remove_file(const char *name, void *context)
{
    (void)context;
    if (unlinkat(folder, name, 0) < 0)
        unlinkat(folder, name, AT_REMOVEDIR);
}

static inline int remove_folder(void **state)
{
    (void)state;
    each_file(remove_file, NULL);
    unlinkat(folder, "salt", 0);
    close(folder);
    rmdir(path);
    reader_leave();
    snapshot_settle();
    return 0;
}

static inline struct store *open_tier(uint64_t memory_bytes, uint64_t disk_bytes)
{
    struct store *store;
    const struct store_options options = {
        .memory_bytes = memory_bytes, .seed = 42, .disk_bytes = disk_bytes, .disk_folder = folder};
    assert_int_equal(store_open(&store, &options), 0);
    store_settle(store);
    return store;
}

/* Like the edge: look, join, wait, look again. NULL: it would have to be fetched. */
static inline struct store_object *fetch(struct store *store, const struct store_query *query)
{
    for (int i = 0; i < 8; i++) {
        struct store_object *object = store_find(store, query);
        struct store_reader reader = {0};
        struct store_joined joined;
        if (object)
            return object;
        if (store_join(store, query, NULL, &reader, &joined) != STORE_WAIT) {
            store_fill_leave(&joined.fill);
            return NULL;
        }
        store_settle(store);
        assert_int_equal(store_reader_look(&reader), STORE_READER_AGAIN);
        store_reader_close(&reader);
    }
    fail_msg("the disk sends in circles");
    return NULL;
}

struct damage {
    struct random *random;
    uint64_t flips;
};

static inline void damage_file(const char *name, void *context)
{
    struct damage *damage = context;
    struct stat status;
    int fd = openat(folder, name, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    uint64_t size = (uint64_t)status.st_size;
    if (size && random_below(damage->random, 4) == 0)
        assert_int_equal(ftruncate(fd, (off_t)random_below(damage->random, size)), 0);
    for (int i = 0; size && i < 2; i++) {
        uint8_t byte;
        off_t at = (off_t)random_below(damage->random, size);
        if (pread(fd, &byte, 1, at) != 1)
            continue;
        byte ^= (uint8_t)(1u << random_below(damage->random, 8));
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        damage->flips++;
    }
    close(fd);
}

struct bytes {
    uint8_t data[1 << 16];
    ssize_t length;
    char name[256];
};

static inline void read_first(const char *name, void *context)
{
    struct bytes *bytes = context;
    struct stat status;
    if (fstatat(folder, name, &status, 0) < 0 || !status.st_size)
        return;
    int fd = openat(folder, name, O_RDONLY);
    snprintf(bytes->name, sizeof bytes->name, "%s", name);
    bytes->length = read(fd, bytes->data, sizeof bytes->data);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

#endif
