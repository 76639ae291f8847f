/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs cells of the fairness matrix and prints a JSON line for each (T7):
 *
 *     fairness_matrix --hosted 1,4,20 --others 1,20 --buffer 0.1,1 --rtt 1 --seed 1,2,3 --jobs 2 --baseline FILE
 *
 * Every cell is run twice, with one tunnel that hosts N connections and with N real CUBIC connections in its place; the latter's
 * results are kept in FILE, so that a change of the congestion control costs half.
 */
#include "fairness.h"

#include "base/error.h"
#include "base/memory.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LIST_MAX = 32, KEY_BYTES_MAX = 128, LINE_BYTES = 512, JOBS_MAX = 64 };

struct list_option {
    double values[LIST_MAX];
    size_t count;
};

struct options {
    struct list_option hosted, others, buffer, rtt, seed;
    struct fairness_limits limits;
    uint32_t mbit_per_s; /* 0: by N */
    uint32_t rtt_ms;
    double loss;
    enum flow_kind competitor;
    bool is_core;
    uint32_t jobs;
    const char *baseline_path, *done_path;
};

struct baseline {
    char key[KEY_BYTES_MAX];
    struct fairness_share share;
};

struct store {
    struct baseline *rows;
    size_t count;
    int fd; /* -1: none */
};

static const char usage[] =
    "usage: fairness_matrix [options]\n"
    "  --hosted LIST    connections in our tunnel (N); default 1,4,20,100,200\n"
    "  --others LIST    real connections beside it (M); default 1,4,20\n"
    "  --competitor K   what those are: cubic (default), reno, bbr\n"
    "  --core           the whole transport instead of its congestion control alone\n"
    "  --buffer LIST    of the bottleneck, in BDP; default 0.02,0.05,0.1,0.25,1,2\n"
    "  --rtt LIST       our round-trip time to theirs; default 0.5,1,2\n"
    "  --seed LIST      default 1,2,3\n"
    "  --mbit N         rate; default 200, 500 for N >= 100\n"
    "  --rtt-ms N       their round-trip time; default 60\n"
    "  --loss P         random loss; default 0\n"
    "  --error P        standard error of our share to stop at; default 0.03\n"
    "  --seconds S      measure so long instead\n"
    "  --jobs N         processes; default 1\n"
    "  --baseline FILE  keeps what N real connections get\n"
    "  --done FILE      results of an earlier run: cells that are in it are not run again\n";

static bool parse_list(const char *text, struct list_option *list)
{
    list->count = 0;
    while (list->count < LIST_MAX) {
        char *end;
        list->values[list->count++] = strtod(text, &end);
        if (end == text || (*end != ',' && *end != '\0'))
            return false;
        if (*end == '\0')
            return true;
        text = end + 1;
    }
    return false;
}

static bool parse_competitor(const char *name, enum flow_kind *kind)
{
    static const struct {
        const char *name;
        enum flow_kind kind;
    } names[] = {{"cubic", FLOW_CUBIC}, {"reno", FLOW_RENO}, {"bbr", FLOW_BBR}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i].name) == 0) {
            *kind = names[i].kind;
            return true;
        }
    }
    return false;
}

static bool parse_options(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        {"hosted", required_argument, NULL, 'n'},     {"others", required_argument, NULL, 'm'},
        {"competitor", required_argument, NULL, 'k'}, {"core", no_argument, NULL, 'c'},
        {"buffer", required_argument, NULL, 'b'},     {"rtt", required_argument, NULL, 'r'},
        {"seed", required_argument, NULL, 's'},       {"mbit", required_argument, NULL, 'R'},
        {"rtt-ms", required_argument, NULL, 'T'},     {"loss", required_argument, NULL, 'l'},
        {"error", required_argument, NULL, 'e'},      {"seconds", required_argument, NULL, 't'},
        {"jobs", required_argument, NULL, 'j'},       {"baseline", required_argument, NULL, 'B'},
        {"done", required_argument, NULL, 'd'},       {0},
    };
    *options = (struct options){
        .hosted = {{1, 4, 20, 100, 200}, 5},
        .others = {{1, 4, 20}, 3},
        .buffer = {{0.02, 0.05, 0.1, 0.25, 1, 2}, 6},
        .rtt = {{0.5, 1, 2}, 3},
        .seed = {{1, 2, 3}, 3},
        .limits = {.error = 0.03},
        .rtt_ms = 60,
        .jobs = 1,
    };
    bool ok = true;
    for (int name; ok && (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (name) {
        case 'n':
            ok = parse_list(optarg, &options->hosted);
            break;
        case 'm':
            ok = parse_list(optarg, &options->others);
            break;
        case 'k':
            ok = parse_competitor(optarg, &options->competitor);
            break;
        case 'c':
            options->is_core = true;
            break;
        case 'b':
            ok = parse_list(optarg, &options->buffer);
            break;
        case 'r':
            ok = parse_list(optarg, &options->rtt);
            break;
        case 's':
            ok = parse_list(optarg, &options->seed);
            break;
        case 'R':
            options->mbit_per_s = (uint32_t)atoi(optarg);
            break;
        case 'T':
            options->rtt_ms = (uint32_t)atoi(optarg);
            break;
        case 'l':
            options->loss = atof(optarg);
            break;
        case 'e':
            options->limits.error = atof(optarg);
            break;
        case 't':
            options->limits.seconds = atof(optarg);
            break;
        case 'j':
            options->jobs = (uint32_t)atoi(optarg);
            break;
        case 'B':
            options->baseline_path = optarg;
            break;
        case 'd':
            options->done_path = optarg;
            break;
        default:
            ok = false;
        }
    }
    return ok && optind == argc && options->jobs >= 1 && options->jobs <= JOBS_MAX;
}

/* The cells, least first, so that a picture of all of it comes early. */

static size_t cells_of(const struct options *options, struct fairness_cell **cells)
{
    size_t count = options->hosted.count * options->others.count * options->buffer.count *
                   options->rtt.count * options->seed.count;
    *cells = memory_new(count * sizeof(**cells));
    for (size_t i = 0; i < count; i++) {
        size_t rest = i;
        struct fairness_cell *cell = &(*cells)[i];
#define NEXT(list)                      \
    (list).values[rest % (list).count]; \
    rest /= (list).count
        cell->buffer_bdp = NEXT(options->buffer);
        cell->rtt_ratio = NEXT(options->rtt);
        cell->others = (uint32_t)NEXT(options->others);
        cell->hosted = (uint32_t)NEXT(options->hosted);
        cell->seed = (uint64_t)NEXT(options->seed);
#undef NEXT
        cell->loss = options->loss;
        cell->competitor = options->competitor;
        cell->is_core = options->is_core;
        cell->rtt_ms = options->rtt_ms;
        cell->mbit_per_s =
            options->mbit_per_s ? options->mbit_per_s : fairness_mbit_for(cell->hosted);
    }
    return count;
}

/* What was measured before. A row: key, ours, theirs, error, lost, seconds. */

static void store_open(struct store *store, const char *path)
{
    *store = (struct store){.fd = -1};
    if (!path)
        return;
    store->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (store->fd < 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    FILE *file = fopen(path, "re");
    char line[LINE_BYTES];
    size_t capacity = 0;
    while (file && fgets(line, sizeof line, file)) {
        if (store->count == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            store->rows = memory_resize(store->rows, capacity, sizeof(*store->rows));
        }
        struct baseline *row = &store->rows[store->count];
        struct fairness_share *share = &row->share;
        if (sscanf(line, "%127s %lf %lf %lf %lf %lf", row->key, &share->ours, &share->theirs,
                   &share->error, &share->lost, &share->seconds) == 6)
            store->count++;
    }
    if (file)
        fclose(file);
}

static bool store_find(const struct store *store, const char *key, struct fairness_share *share)
{
    for (size_t i = 0; i < store->count; i++) {
        if (strcmp(store->rows[i].key, key) == 0) {
            *share = store->rows[i].share;
            return true;
        }
    }
    return false;
}

/* One write for a line: several processes append to one file. */
static void write_line(int fd, const char *line)
{
    if (fd >= 0 && write(fd, line, strlen(line)) < 0)
        perror("write");
}

static void store_add(struct store *store, const char *key, const struct fairness_share *share)
{
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "%s %.6g %.6g %.4g %.4g %.4g\n", key, share->ours, share->theirs,
             share->error, share->lost, share->seconds);
    write_line(store->fd, line);
}

/* A baseline is one for the core and for its congestion control alone; a result is not. */
static const char *core_suffix(const struct fairness_cell *cell)
{
    return cell->is_core ? ",core" : "";
}

static void run_cell(const struct fairness_cell *cell, const struct fairness_limits *limits,
                     struct store *store)
{
    char key[KEY_BYTES_MAX], line[LINE_BYTES];
    struct fairness_share ours, baseline;
    clock_t start = clock();
    fairness_cell_key(cell, limits, key, sizeof key);
    if (!store_find(store, key, &baseline)) {
        fairness_measure(cell, limits, true, &baseline);
        store_add(store, key, &baseline);
    }
    fairness_measure(cell, limits, false, &ours);
    snprintf(
        line, sizeof line,
        "{\"key\":\"%s%s\",\"n\":%u,\"m\":%u,\"buffer\":%g,\"rtt\":%g,\"loss\":%g,\"seed\":%llu,"
        "\"mbit\":%u,\"ratio\":%.4f,\"neighbours\":%.4f,\"ours\":%.4f,\"theirs\":%.4f,"
        "\"base_ours\":%.4f,\"base_theirs\":%.4f,\"lost\":%.5f,\"base_lost\":%.5f,"
        "\"error\":%.4f,\"base_error\":%.4f,\"seconds\":%.1f,\"cpu_s\":%.2f}\n",
        key, core_suffix(cell), cell->hosted, cell->others, cell->buffer_bdp, cell->rtt_ratio,
        cell->loss, (unsigned long long)cell->seed, cell->mbit_per_s, ours.ours / baseline.ours,
        ours.theirs / baseline.theirs, ours.ours, ours.theirs, baseline.ours, baseline.theirs,
        ours.lost, baseline.lost, ours.error, baseline.error, ours.seconds,
        (double)(clock() - start) / CLOCKS_PER_SEC);
    write_line(STDOUT_FILENO, line);
}

/* Cells of an earlier run, by the keys in its lines. */
static char *read_done(const char *path)
{
    char *text = memory_new(1);
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!file)
        return text;
    size_t length = 0;
    char line[LINE_BYTES * 2];
    while (fgets(line, sizeof line, file)) {
        size_t more = strlen(line);
        text = memory_resize(text, length + more + 1, 1);
        memcpy(text + length, line, more + 1);
        length += more;
    }
    fclose(file);
    return text;
}

static bool is_done(const char *done, const struct fairness_cell *cell,
                    const struct fairness_limits *limits)
{
    char key[KEY_BYTES_MAX], quoted[KEY_BYTES_MAX + 16];
    fairness_cell_key(cell, limits, key, sizeof key);
    snprintf(quoted, sizeof quoted, "\"%s%s\"", key, core_suffix(cell));
    return strstr(done, quoted) != NULL;
}

int main(int argc, char **argv)
{
    struct options options;
    if (!parse_options(argc, argv, &options)) {
        fputs(usage, stderr);
        return EXIT_FAILURE;
    }
    struct fairness_cell *cells;
    size_t count = cells_of(&options, &cells);
    struct store store;
    store_open(&store, options.baseline_path);
    char *done = read_done(options.done_path);
    atomic_size_t *next =
        mmap(NULL, sizeof(*next), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    INVARIANT(next != MAP_FAILED);
    for (uint32_t job = 1; job < options.jobs; job++) {
        pid_t child = fork();
        if (child < 0)
            perror("fork");
        if (child <= 0)
            break;
    }
    for (size_t i; (i = atomic_fetch_add(next, 1)) < count;) {
        if (!is_done(done, &cells[i], &options.limits))
            run_cell(&cells[i], &options.limits, &store);
    }
    memory_free(done);
    memory_free(store.rows);
    memory_free(cells);
    bool all_well = true;
    for (int status; wait(&status) > 0;)
        all_well = all_well && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return all_well ? EXIT_SUCCESS : EXIT_FAILURE;
}
