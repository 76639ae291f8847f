/* SPDX-License-Identifier: Apache-2.0
 *
 * Feeds each file of the given folders to a fuzzer's entry, so that the kept inputs run as a
 * unit test, with any compiler. It ends well when none of them crashes; an empty folder is an
 * error, because then nothing was tested.
 */
#include "fuzz.h"

#include "base/memory.h"

#include <dirent.h>
#include <stdio.h>

enum { INPUT_LIMIT = 1 << 20 }; /* bytes of one file */

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return -1;
    }
    uint8_t *whole = memory_raw(INPUT_LIMIT);
    size_t length = fread(whole, 1, INPUT_LIMIT, file);
    fclose(file);
    uint8_t *exact = memory_raw(length); /* so that a sanitizer sees a read past the end */
    memcpy(exact, whole, length);
    memory_free(whole);
    int result = LLVMFuzzerTestOneInput(exact, length);
    memory_free(exact);
    return result;
}

int main(int count, char **folders)
{
    size_t inputs = 0;
    for (int i = 1; i < count; i++) {
        DIR *folder = opendir(folders[i]);
        if (!folder) {
            perror(folders[i]);
            return 1;
        }
        for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
            char path[4096];
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", folders[i], entry->d_name);
            if (run_file(path) != 0)
                return 1;
            inputs++;
        }
        closedir(folder);
    }
    printf("%zu inputs\n", inputs);
    return inputs == 0;
}
