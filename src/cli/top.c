/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway top: what a running node does, again and again. Asks as `causeway status` does; draws on the terminal's other screen,
 * which is given back whatever ends it.
 */
#include "cli/node.h"
#include "cli/top_screen.h"
#include "loop/loop.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { SECONDS_MOST = 3600, TIMES_MOST = 1000000 };

static volatile sig_atomic_t is_over;
static struct termios former;
static bool is_raw;

static void on_end(int number)
{
    (void)number;
    is_over = 1;
}

static void put(const char *bytes)
{
    fputs(bytes, stdout);
    fflush(stdout);
}

static void give_back(void)
{
    if (!is_raw)
        return;
    is_raw = false;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &former);
    put("\033[?25h\033[?1049l");
}

/* False: standard output is no terminal, or has no size. */
static bool take_terminal(void)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &former) < 0)
        return false;
    struct sigaction action = {.sa_handler = on_end};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    struct termios raw = former;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    is_raw = true;
    put("\033[?1049h\033[?25l");
    return true;
}

/* ---- keys */

static void press(struct top_view *view, char key)
{
    static const char letters[TOP_ORDERS] = {
#define X(name, letter, key, word) [TOP_BY_##name] = (letter),
        TOP_ORDER_LIST(X)
#undef X
    };
    if (key == 'q')
        is_over = 1;
    for (int i = 0; i < TOP_ORDERS; i++)
        if (key == letters[i])
            view->order = (enum top_order)i;
}

/* Until the time is over, or a key was pressed. */
static void wait_for_key(struct top_view *view, int milliseconds)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char key;
    if (poll(&input, 1, milliseconds) > 0 && read(STDIN_FILENO, &key, 1) == 1)
        press(view, key);
}

/* ---- drawing */

static void draw(struct top_view *view)
{
    struct winsize size = {0};
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    view->rows = size.ws_row ? size.ws_row - 1u : 0;
    view->columns = size.ws_col;
    struct text text = {0};
    top_screen(view, &text);
    put("\033[H");
    for (struct span rest = text_span(&text); rest.length;) {
        size_t length = span_find(rest, '\n');
        printf("%.*s\033[K\n", (int)length, (const char *)rest.data);
        rest = span_from(rest, length + 1);
    }
    put("\033[JSites by [r]equests, [e]rrors, [t]ime, [b]ytes; [q]uit\033[K");
    text_clear(&text);
}

/* NULL: there are none, or they are not told now. */
static json_t *ask_queues(const struct cli_arguments *arguments)
{
    struct text why = {0};
    json_t *reply = node_try(arguments, json_pack("{s:s}", "verb", "queue"), &why);
    json_t *answer = json_array_get(json_object_get(reply, "answers"), 0);
    json_t *queues = json_incref(json_object_get(answer, "queues"));
    json_decref(reply);
    text_clear(&why);
    return queues;
}

static bool ask(const struct cli_arguments *arguments, struct top_view *view, uint64_t *asked_ns)
{
    uint64_t now_ns = clock_now_ns();
    json_t *now = node_ask(arguments, json_pack("{s:s}", "verb", "status"));
    if (!now)
        return false;
    json_decref(view->before);
    json_decref(view->queues_before);
    view->before = view->now;
    view->queues_before = view->queues;
    view->now = now;
    view->queues = ask_queues(arguments);
    view->seconds = view->before ? (double)(now_ns - *asked_ns) / 1e9 : 0;
    *asked_ns = now_ns;
    return true;
}

static int watch(const struct cli_arguments *arguments, struct top_view *view, int milliseconds)
{
    uint64_t asked_ns = 0;
    bool is_answered = ask(arguments, view, &asked_ns);
    if (!is_answered)
        return CLI_FAILED;
    atexit(give_back);
    take_terminal();
    while (is_answered && !is_over) {
        draw(view);
        uint64_t passed_ms = (clock_now_ns() - asked_ns) / 1000000;
        if (passed_ms < (uint64_t)milliseconds)
            wait_for_key(view, milliseconds - (int)passed_ms);
        else
            is_answered = ask(arguments, view, &asked_ns);
    }
    give_back();
    return is_answered ? CLI_DONE : CLI_FAILED;
}

/* Without a terminal: that many screens, one below the other. The first one needs a look before it, or it had no rates. */
static int print(const struct cli_arguments *arguments, struct top_view *view, long milliseconds,
                 long times)
{
    uint64_t asked_ns = 0;
    if (!ask(arguments, view, &asked_ns))
        return CLI_FAILED;
    for (long i = 0; i < times; i++) {
        struct text text = {0};
        poll(NULL, 0, (int)milliseconds);
        if (!ask(arguments, view, &asked_ns))
            return CLI_FAILED;
        if (i > 0)
            text_add(&text, "\n");
        top_screen(view, &text);
        if (cli_print(&text) != CLI_DONE)
            return CLI_FAILED;
    }
    return CLI_DONE;
}

static bool read_number(const char *value, long most, long preset, long *out)
{
    char *end;
    *out = value ? strtol(value, &end, 10) : preset;
    return !value || (*value && !*end && *out > 0 && *out <= most);
}

static int run(const struct cli_arguments *arguments)
{
    struct top_view view = {0};
    long seconds, times;
    const char *number = cli_value(arguments, "times");
    if (!read_number(cli_value(arguments, "interval"), SECONDS_MOST, 2, &seconds))
        return cli_fail("--interval is a number of seconds, 1 to %d", SECONDS_MOST);
    if (!read_number(number, TIMES_MOST, 1, &times))
        return cli_fail("--times is a number, 1 to %d", TIMES_MOST);
    int status = !number && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)
                     ? watch(arguments, &view, (int)seconds * 1000)
                     : print(arguments, &view, seconds * 1000, times);
    json_decref(view.before);
    json_decref(view.now);
    json_decref(view.queues_before);
    json_decref(view.queues);
    return status;
}

static const struct cli_option options[] = {
    NODE_OPTIONS,
    {"interval", 'i', "SECONDS", "between two looks; 2"},
    {"times", 0, "NUMBER", "so many screens, one below the other; 1 where there is no terminal"},
    {0}};
const struct cli_verb verb_top = {
    .name = "top",
    .summary = "Watch a running node: its sites, links, queue and names",
    .help =
        "Rates are those since the last look; p50 and p99 those of the last minute; of queues at a "
        "gateway\nthe longest. Keys: r, e, t and b sort the sites by requests, errors, time and "
        "bytes, q ends it.",
    .example = "causeway top -c causeway.yaml",
    .options = options,
    .run = run,
};
