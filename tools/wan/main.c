/* SPDX-License-Identifier: Apache-2.0
 *
 * wan: a wide-area network between two network namespaces (TUN devices), or between UDP programs on loopback
 * (relay mode), for machines whose kernel has no netem. One thread looks at both directions; at high packet
 * rates it looks at fixed steps instead of once for each packet, which saves most of the wake-ups.
 */
#include "wan.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH_PACKETS = 64,       /* of one direction before the other gets its turn */
    POLLED_LIMIT = 300,       /* descriptors: carrier's and control's */
    RATE_WINDOW_NS = 2000000, /* over which the packet rate is measured */
    HIGH_RATE_PPS = 15000,    /* from here on with pauses of one quantum */
    IDLE_NS = 1000000000,     /* the longest sleep */
    CONTROL_EACH_ROUNDS = 32  /* how often a busy loop looks at signals and control */
};

const char *const direction_names[DIRECTIONS] = {"ab", "ba"};

static volatile sig_atomic_t signalled;

static void on_signal(int number)
{
    signalled = number;
}

static void usage(FILE *out)
{
    struct text text = {0};
    settings_describe(&text);
    fprintf(out,
            "usage: wan [key=value ...]              two TUN devices (needs root)\n"
            "       wan listen=ADDRESS to=ADDRESS ...  UDP relay\n"
            "       wan control PATH COMMAND ...     set key=value ..., down [ab|ba], up [ab|ba],\n"
            "                                        counters, reset, quit\n\n"
            "%s",
            text.data);
    text_clear(&text);
}

static void set_defaults(struct wan *wan)
{
    *wan = (struct wan){0};
    struct options *options = &wan->options;
    strcpy(options->name, "w0");
    strcpy(options->namespaces[A_TO_B], "wan-a");
    strcpy(options->namespaces[B_TO_A], "wan-b");
    options->mtu = 1500;
    options->seed = 1;
    options->slack_ns = 10000;
    options->quantum_ns = 50000;
    options->realtime = true;
    for (unsigned direction = 0; direction < DIRECTIONS; direction++)
        path_init(&wan->paths[direction], &wan->pool);
}

/* In the order given: what refines a profile stands behind it. */
static int read_arguments(struct wan *wan, int count, char *const arguments[])
{
    struct text why = {0};
    for (int i = 0; i < count; i++) {
        if (setting_apply(wan, arguments[i], true, &why)) {
            fprintf(stderr, "wan: %s: %s\n", arguments[i], why.data);
            text_clear(&why);
            return ERROR_INVALID;
        }
    }
    const struct options *options = &wan->options;
    if (options->mtu < 576 || options->mtu > 9000) {
        fprintf(stderr, "wan: mtu must be between 576 and 9000\n");
        return ERROR_INVALID;
    }
    if (!options->listen.family != !options->to.family) {
        fprintf(stderr, "wan: relay mode needs both listen= and to=\n");
        return ERROR_INVALID;
    }
    return 0;
}

static void prefer_punctuality(const struct wan *wan)
{
    prctl(PR_SET_TIMERSLACK, 1UL);
    struct sched_param first = {.sched_priority = 10};
    if (wan->options.realtime)
        (void)sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first); /* else as we are */
}

/* Packets moved in this round, in and out. */
static unsigned move_packets(struct wan *wan)
{
    unsigned moved = 0;
    for (unsigned direction = 0; direction < DIRECTIONS; direction++) {
        for (unsigned i = 0; i < BATCH_PACKETS; i++, moved++) {
            struct packet *packet = packet_new(&wan->pool);
            if (!wan->carrier->receive(wan, direction, packet)) {
                packet_free(&wan->pool, packet);
                break;
            }
            path_put(&wan->paths[direction], packet, clock_now_ns());
        }
    }
    for (unsigned direction = 0; direction < DIRECTIONS; direction++) {
        struct path *path = &wan->paths[direction];
        uint64_t now_ns = clock_now_ns();
        for (unsigned i = 0; i < BATCH_PACKETS; i++, moved++) {
            struct packet *packet = path_take(path, now_ns, now_ns + wan->options.slack_ns);
            if (!packet)
                break;
            if (!wan->carrier->send(wan, direction, packet))
                path->count.errors++;
            packet_free(&wan->pool, packet);
        }
    }
    return moved;
}

/* How long nothing is due. */
static uint64_t quiet_ns(const struct wan *wan)
{
    uint64_t wake_ns = path_wake(&wan->paths[A_TO_B]), other_ns = path_wake(&wan->paths[B_TO_A]);
    if (other_ns < wake_ns)
        wake_ns = other_ns;
    uint64_t ready_ns = clock_now_ns() + wan->options.slack_ns;
    if (wake_ns <= ready_ns)
        return 0;
    return wake_ns - ready_ns < IDLE_NS ? wake_ns - ready_ns : IDLE_NS;
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
}

static void wait_for_events(struct wan *wan, struct control *control, uint64_t wait_ns,
                            const sigset_t *awake)
{
    static struct pollfd polled[POLLED_LIMIT];
    unsigned count = wan->carrier->poll(wan, polled, POLLED_LIMIT - CONTROL_CLIENTS - 1);
    unsigned controls = control_poll(control, polled + count);
    struct timespec wait = timespec_of(wait_ns);
    int ready = ppoll(polled, count + controls, &wait, awake);
    if (signalled)
        wan->stopping = true;
    for (unsigned i = 0; ready > 0 && i < controls; i++) {
        if (polled[count + i].revents) {
            control_serve(control, wan);
            break;
        }
    }
}

static void run(struct wan *wan, struct control *control, const sigset_t *awake)
{
    uint64_t window_start_ns = clock_now_ns(), window_packets = 0;
    bool is_high_rate = false;
    for (unsigned round = 1; !wan->stopping; round++) {
        unsigned moved = move_packets(wan);
        window_packets += moved;
        bool look_around = round % CONTROL_EACH_ROUNDS == 0;
        if (moved && !is_high_rate && !look_around)
            continue;
        uint64_t now_ns = clock_now_ns();
        if (now_ns - window_start_ns >= RATE_WINDOW_NS) {
            is_high_rate =
                wan->options.quantum_ns &&
                window_packets * 1000000000u > (now_ns - window_start_ns) * HIGH_RATE_PPS;
            window_start_ns = now_ns;
            window_packets = 0;
        }
        uint64_t wait_ns = moved && !is_high_rate ? 0 : quiet_ns(wan);
        if (is_high_rate && wait_ns > wan->options.quantum_ns)
            wait_ns = wan->options.quantum_ns;
        if (is_high_rate && !look_around) {
            struct timespec pause = timespec_of(wait_ns);
            if (wait_ns)
                nanosleep(&pause, NULL);
        } else {
            wait_for_events(wan, control, wait_ns, awake);
        }
    }
}

static void write_counters(const struct wan *wan)
{
    struct text text = {0};
    counters_describe(wan, clock_now_ns(), &text);
    FILE *out = *wan->options.counters ? fopen(wan->options.counters, "w") : stdout;
    if (!out) {
        fprintf(stderr, "wan: %s: %s\n", wan->options.counters, strerror(errno));
    } else {
        fprintf(out, "%s\n", text.data);
        if (out != stdout)
            fclose(out);
    }
    text_clear(&text);
}

/* Signals are let in only inside ppoll, so that none is lost between a test and the sleep. */
static void take_signals(sigset_t *awake)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked;
    sigemptyset(&blocked);
    for (size_t i = 0; i < 3; i++) {
        int number = (const int[]){SIGTERM, SIGINT, SIGHUP}[i];
        sigaction(number, &action, NULL);
        sigaddset(&blocked, number);
    }
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &blocked, awake);
}

int main(int count, char *arguments[])
{
    if (count > 1 && (strcmp(arguments[1], "--help") == 0 || strcmp(arguments[1], "help") == 0)) {
        usage(stdout);
        return 0;
    }
    if (count > 3 && strcmp(arguments[1], "control") == 0)
        return control_send(arguments[2], count - 3, arguments + 3);

    static struct wan wan;
    static struct control control;
    set_defaults(&wan);
    if (read_arguments(&wan, count - 1, arguments + 1)) {
        fprintf(stderr, "wan: --help lists the settings\n");
        return 2;
    }
    if (wan.options.with_parent)
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigset_t awake;
    take_signals(&awake);

    bool is_relay = wan.options.listen.family;
    wan.carrier = is_relay ? &relay_carrier : &tun_carrier;
    wan.pool.packet_bytes = is_relay ? 65536 : wan.options.mtu + 64;
    for (unsigned direction = 0; direction < DIRECTIONS; direction++)
        path_seed(&wan.paths[direction], wan.options.seed, direction);

    int status = 1;
    if (control_open(&control, wan.options.control) == 0 && wan.carrier->open(&wan) == 0) {
        prefer_punctuality(&wan);
        wan.started_ns = clock_now_ns();
        printf("ready\n");
        fflush(stdout);
        run(&wan, &control, &awake);
        write_counters(&wan);
        status = 0;
    }
    control_close(&control, wan.options.control);
    if (wan.carried)
        wan.carrier->close(&wan);
    for (unsigned direction = 0; direction < DIRECTIONS; direction++)
        path_clear(&wan.paths[direction]);
    packet_pool_clear(&wan.pool);
    return status;
}
