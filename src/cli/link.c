/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway link: what the links of a running node are like.
 */
#include "base/memory.h"
#include "cli/link_show.h"
#include "cli/node.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TRACE_POLL_MS = 200, TEST_POLL_MS = 200, TEST_GRACE_S = 15 };

static int print_json(json_t *value)
{
    int status = node_print_json(value);
    json_decref(value);
    return status;
}

/* What the node says to a question about links: a new reference, or NULL after a sentence. */
static json_t *ask(const struct cli_arguments *arguments, json_t *question)
{
    json_object_set_new(question, "verb", json_string("link"));
    json_t *answer =
        node_ask_one(arguments, question, "the process that has the links did not answer",
                     "this node is neither edge nor gateway: it has no links");
    const char *error = json_string_value(json_object_get(answer, "error"));
    if (!error)
        return answer;
    json_t *peers = json_object_get(answer, "peers");
    size_t count = json_array_size(peers);
    const char **names = memory_new((count + 1) * sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = json_string_value(json_array_get(peers, i));
    const char *asked = json_string_value(json_object_get(answer, "asked"));
    const char *nearest = asked ? nearest_word(asked, names, count) : NULL;
    cli_fail("%s%s%s%s", error, nearest ? "; did you mean '" : "", nearest ? nearest : "",
             nearest ? "'?" : "");
    memory_free((void *)names);
    json_decref(answer);
    return NULL;
}

static int show(const struct cli_arguments *arguments, const char *peer)
{
    json_t *answer = ask(arguments, json_pack("{s:s, s:s?, s:b}", "action", "show", "peer", peer,
                                              "history", true));
    if (!answer)
        return CLI_FAILED;
    if (cli_value(arguments, "json"))
        return print_json(answer);
    struct text text = {0};
    json_t *links = json_object_get(answer, "links"), *link;
    size_t index;
    if (!peer)
        link_show_all(links, &text);
    json_array_foreach(links, index, link)
    {
        if (!peer)
            break;
        text_add(&text, index ? "\n" : "");
        link_show_one(link, &text);
    }
    json_decref(answer);
    return cli_print(&text);
}

/* ---- trace */

struct trace {
    const struct cli_arguments *arguments;
    const char *peer, *end;
    FILE *file;
    double bytes, most_bytes, records, dropped;
};

static json_t *ask_trace(const struct trace *trace, const char *what)
{
    return ask(trace->arguments, json_pack("{s:s, s:s, s:s?, s:s}", "action", "trace", "peer",
                                           trace->peer, "end", trace->end, "do", what));
}

static bool write_trace(struct trace *trace, const char *bytes, size_t length)
{
    trace->bytes += (double)length;
    return fwrite(bytes, 1, length, trace->file) == length && fflush(trace->file) == 0;
}

static bool write_trace_head(struct trace *trace, json_t *begun)
{
    struct text text = {0};
    json_t *head =
        json_pack("{s:s, s:s, s:s, s:{s:{s:s, s:s}, s:{s:s, s:{s:s, s:O}}}}", "file_schema",
                  "urn:ietf:params:qlog:file:sequential", "serialization_format",
                  "application/qlog+json-seq", "title", "causeway link trace", "trace",
                  "vantage_point", "name", trace->peer, "type",
                  json_string_value(json_object_get(begun, "vantage_point")), "common_fields",
                  "time_format", "relative_to_epoch", "reference_time", "clock_type", "system",
                  "epoch", json_object_get(begun, "reference_time"));
    char *json = json_dumps(head, JSON_COMPACT);
    text_add_format(&text, "\x1e%s\n", json ? json : "{}");
    bool is_good = write_trace(trace, text.data, text.length);
    free(json);
    json_decref(head);
    text_clear(&text);
    return is_good;
}

/* What has come since the last time; false: it is over, with *status saying how. */
static bool read_trace(struct trace *trace, int *status)
{
    for (bool is_more = true; is_more;) {
        json_t *answer = ask_trace(trace, "read");
        if (!answer) {
            *status = CLI_FAILED;
            return false;
        }
        json_t *lines = json_object_get(answer, "lines");
        bool is_running = json_is_true(json_object_get(answer, "running"));
        bool is_written = write_trace(trace, json_string_value(lines), json_string_length(lines));
        is_more = json_is_true(json_object_get(answer, "more"));
        trace->records += json_number_value(json_object_get(answer, "records"));
        trace->dropped = json_number_value(json_object_get(answer, "dropped"));
        json_decref(answer);
        if (!is_written) {
            *status = cli_fail("the file does not take the trace");
            return false;
        }
        if (!is_running || trace->bytes >= trace->most_bytes)
            return false;
    }
    return true;
}

/* A whole number of an option, within its limits; false after a sentence. */
static bool read_number(const struct cli_arguments *arguments, const char *option, long least,
                        long most, long preset, long *number)
{
    const char *value = cli_value(arguments, option);
    *number = preset;
    if (!value)
        return true;
    char *end;
    *number = strtol(value, &end, 10);
    if (*end || end == value || *number < least || *number > most) {
        cli_fail("--%s is a whole number from %ld to %ld, not '%s'", option, least, most, value);
        return false;
    }
    return true;
}

static int run_trace(const struct cli_arguments *arguments)
{
    struct trace trace = {.arguments = arguments,
                          .peer = arguments->words[1],
                          .end = cli_value(arguments, "end")};
    long seconds, megabytes;
    if (!read_number(arguments, "seconds", 1, 3600, 10, &seconds) ||
        !read_number(arguments, "megabytes", 1, 4096, 256, &megabytes))
        return CLI_USAGE;
    trace.most_bytes = (double)megabytes * 1e6;
    trace.file = fopen(arguments->words[2], "wx");
    if (!trace.file)
        return cli_fail("%s: %s", arguments->words[2], strerror(errno));
    json_t *begun = ask_trace(&trace, "start");
    if (!begun) {
        fclose(trace.file);
        remove(arguments->words[2]);
        return CLI_FAILED;
    }
    int status = write_trace_head(&trace, begun) ? CLI_DONE : CLI_FAILED;
    json_decref(begun);
    bool goes_on = status == CLI_DONE;
    for (long left = seconds * 1000 / TRACE_POLL_MS; goes_on && left > 0; left--) {
        node_pause_ms(TRACE_POLL_MS);
        goes_on = read_trace(&trace, &status);
    }
    json_decref(ask_trace(&trace, "stop"));
    if (fclose(trace.file) != 0 && status == CLI_DONE)
        status = cli_fail("%s: %s", arguments->words[2], strerror(errno));
    if (status == CLI_DONE)
        printf("%.0f records, %.1f MB%s in %s\n", trace.records, trace.bytes / 1e6,
               trace.bytes >= trace.most_bytes ? " (as many as were allowed)" : "",
               arguments->words[2]);
    if (trace.dropped > 0)
        printf("%.0f records were dropped: the link was faster than the trace\n", trace.dropped);
    return status;
}

/* ---- test */

static json_t *ask_test(const struct cli_arguments *arguments, const char *what, long seconds)
{
    return ask(arguments, json_pack("{s:s, s:s, s:s?, s:s, s:I}", "action", "test", "peer",
                                    arguments->words[1], "end", cli_value(arguments, "end"), "do",
                                    what, "milliseconds", (json_int_t)seconds * 1000));
}

static double of(json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static void add_way(struct text *text, const char *label, json_t *report)
{
    double rate = of(report, "bytes_per_s") * 8e-6;
    double half = of(report, "half_width_bytes_per_s") * 8e-6;
    text_add_format(text, "%-10s %10.2f Mbit/s  +/- %.2f (95 %%)   %8.1f MB in %.2f s\n", label,
                    rate, half, of(report, "bytes") / 1e6, of(report, "duration_us") / 1e6);
}

static void add_result(struct text *text, const char *peer, json_t *result)
{
    double packets = of(result, "packets"), lost = of(result, "lost");
    text_add(text, "goodput beside what else the link carried, in its lowest ring\n");
    text_add_format(text, "%-10s ", "");
    text_add(text, "mean of the tenths of a second behind the first quarter\n");
    char label[64];
    snprintf(label, sizeof label, "to %.40s", peer);
    add_way(text, label, json_object_get(result, "up"));
    snprintf(label, sizeof label, "from %.40s", peer);
    add_way(text, label, json_object_get(result, "down"));
    text_add_format(text,
                    "round trip %10.2f ms before, %.2f ms on average meanwhile, %.2f ms at worst\n",
                    of(result, "rtt_before_us") / 1e3, of(result, "rtt_mean_us") / 1e3,
                    of(result, "rtt_most_us") / 1e3);
    /* The rule of three: nothing lost of n is less than 3/n with 95 %. */
    double percent = packets > 0 ? lost / packets * 100 : 0;
    double bound = packets > 0 ? lost > 0 ? 200 * sqrt(lost) / packets : 300 / packets : 100;
    text_add_format(
        text,
        "loss to it %10.3f %% +/- %.3f of %.0f packets; from it at worst %.3f %% in a second\n",
        percent, bound, packets, of(result, "loss_ppm_in") / 1e4);
}

static int run_test(const struct cli_arguments *arguments)
{
    long seconds;
    if (!read_number(arguments, "seconds", 1, 30, 3, &seconds))
        return CLI_USAGE;
    json_t *result = ask_test(arguments, "start", seconds);
    bool is_running = result;
    for (long left = (2 * seconds + TEST_GRACE_S) * 1000 / TEST_POLL_MS; is_running && left > 0;
         left--) {
        json_decref(result);
        node_pause_ms(TEST_POLL_MS);
        result = ask_test(arguments, "read", seconds);
        is_running = json_is_true(json_object_get(result, "running"));
    }
    if (!result)
        return CLI_FAILED;
    const char *failed = json_string_value(json_object_get(result, "failed"));
    int status = CLI_DONE;
    struct text text = {0};
    if (is_running || failed) {
        status = cli_fail("the measurement failed: %s", failed ? failed : "it does not end");
    } else if (cli_value(arguments, "json")) {
        return print_json(result);
    } else {
        add_result(&text, arguments->words[1], result);
        status = cli_print(&text);
    }
    json_decref(result);
    return status;
}

/* ---- the verb */

static int run(const struct cli_arguments *arguments)
{
    static const char *const actions[] = {"test", "trace"};
    size_t count = arguments->word_count;
    if (count < 2)
        return show(arguments, count ? arguments->words[0] : NULL);
    if (count == 3 && strcmp(arguments->words[0], "trace") == 0)
        return run_trace(arguments);
    if (count == 2 && strcmp(arguments->words[0], "test") == 0)
        return run_test(arguments);
    const char *nearest = nearest_word(arguments->words[0], actions, 2);
    cli_fail("link: one PEER, or test PEER, or trace PEER FILE%s%s%s",
             nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    return CLI_USAGE;
}

static const struct cli_option options[] = {
    NODE_OPTIONS,
    {"json", 0, NULL, "everything, as one JSON object"},
    {"end", 0, "END", "which of our ends, edge or gateway, where there are two"},
    {"seconds", 's', "N", "how long to trace (default 10), or to test each way (3)"},
    {"megabytes", 0, "N", "most of the trace's file; default 256"},
    {0}};
const struct cli_verb verb_link = {
    .name = "link",
    .words = "PEER | test PEER | trace PEER FILE",
    .summary = "Show the links of a running node: quality both ways, paths, rings, the last hour",
    .help = "Without PEER all links in short, those with something wrong first.\n"
            "test: goodput, round trip and loss of a live link, each way for some seconds, in its "
            "lowest "
            "ring: what it\ncarries goes first. The peer must allow it (link.test).\n"
            "trace: every packet with its fate, windows, keys and streams of a live link, into a "
            "new file in the form of qlog\n(JSON text sequences).",
    .example = "causeway link fra -c causeway.yaml",
    .most_words = 3,
    .options = options,
    .run = run,
};
