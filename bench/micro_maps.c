/* SPDX-License-Identifier: Apache-2.0
 *
 * What a stack of maps costs: compiling it (thread CPU time, resident memory), and look-ups of random clients, IPv4 and IPv6. One JSON object.
 *
 *     micro_maps FILE ...       tools/lab/mmdb.py FILE --city 5000000 writes one of a city database's size
 */
#include "micro.h"

#include "base/memory.h"
#include "base/random.h"
#include "maps/maps.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CLIENTS = 1 << 20, ROUNDS = 5 };

static struct span map_file(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return span_of(NULL, 0);
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    close(fd);
    return bytes == MAP_FAILED ? span_of(NULL, 0) : span_of(bytes, (size_t)status.st_size);
}

/* Nanoseconds of a look-up, of clients from anywhere: each one misses the caches. */
static double look_up(const struct maps *maps, unsigned family, struct random *random)
{
    struct address *clients = memory_new(CLIENTS * sizeof *clients);
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i].family = (uint8_t)family;
        for (unsigned k = 0; k < (family == 4 ? 4 : 8); k++)
            clients[i].bytes[k] = (uint8_t)random_u64(random);
        if (family == 6)
            clients[i].bytes[0] = (uint8_t)(0x20 | (clients[i].bytes[0] & 0x1f));
    }
    double best = 1e9;
    uint32_t sum = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        double start = cpu_seconds();
        for (size_t i = 0; i < CLIENTS; i++) {
            unsigned bits;
            sum += maps_find(maps, &clients[i], &bits) + bits;
        }
        double spent = (cpu_seconds() - start) * 1e9 / CLIENTS;
        best = spent < best ? spent : best;
    }
    memory_free(clients);
    INVARIANT(sum != 1); /* so that no look-up is left out */
    return best;
}

int main(int count, char **files)
{
    struct text complaints = {0};
    struct maps_builder *builder = maps_builder_new();
    double start = cpu_seconds();
    size_t bytes = 0;
    for (int i = 1; i < count; i++) {
        struct span file = map_file(files[i]);
        bytes += file.length;
        maps_builder_add(builder, file, files[i]);
    }
    struct maps *maps = maps_builder_finish(&builder, &complaints);
    double compiled_s = cpu_seconds() - start;
    if (!maps) {
        fputs(complaints.data, stderr);
        return 1;
    }
    struct random random;
    random_seed(&random, 1);
    struct maps_figures figures = maps_figures(maps);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"files_bytes\":%zu,\"compile_cpu_s\":%.2f,\"compiled_bytes\":%llu,\"networks\":%u,"
           "\"places\":%u,\"ipv4_ns\":%.0f,\"ipv6_ns\":%.0f,\"most_resident_kib\":%ld}\n",
           bytes, compiled_s, (unsigned long long)figures.bytes, figures.networks, figures.places,
           look_up(maps, 4, &random), look_up(maps, 6, &random), usage.ru_maxrss);
    maps_free(maps);
    return 0;
}
