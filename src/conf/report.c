/* SPDX-License-Identifier: Apache-2.0
 *
 * Findings are inserted in the order of the file. Warnings may take half of the room, so that they never hide errors.
 */
#include "conf/report.h"

#include "conf/conf.h"

#include <stdarg.h>
#include <stdio.h>

enum { QUOTE_BYTES = 48 };

static bool is_before(struct place a, struct place b)
{
    return a.line != b.line ? a.line < b.line : a.column < b.column;
}

static void add(struct report *report, size_t room, struct place place, const char *prefix,
                const char *format, va_list args)
{
    if (report->count >= room) {
        report->lost++;
        return;
    }
    if (!report->findings)
        report->findings = ARENA_ARRAY(&report->arena, struct finding, CONF_ERRORS_LIMIT);
    char sentence[512];
    int length = snprintf(sentence, sizeof sentence, "%s", prefix);
    vsnprintf(sentence + length, sizeof sentence - (size_t)length, format, args);
    size_t at = report->count++;
    for (; at > 0 && is_before(place, report->findings[at - 1].place); at--)
        report->findings[at] = report->findings[at - 1];
    report->findings[at] = (struct finding){place, arena_text(&report->arena, sentence)};
}

void report_error(struct report *report, struct place place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report->errors++;
    add(report, CONF_ERRORS_LIMIT, place, "", format, args);
    va_end(args);
}

void report_warning(struct report *report, struct place place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(report, CONF_ERRORS_LIMIT / 2, place, "warning: ", format, args);
    va_end(args);
}

void report_write(struct report *report, const char *file, struct text *text)
{
    for (size_t i = 0; i < report->count; i++) {
        struct finding *finding = &report->findings[i];
        if (finding->place.line)
            text_add_format(text, "%s:%u:%u: %s\n", file, finding->place.line,
                            finding->place.column, finding->sentence);
        else
            text_add_format(text, "%s: %s\n", file, finding->sentence);
    }
    if (report->lost)
        text_add_format(text, "%s: %zu more not shown\n", file, report->lost);
    report_clear(report);
}

void report_clear(struct report *report)
{
    arena_clear(&report->arena);
    *report = (struct report){0};
}

const char *report_quote(struct report *report, struct span text)
{
    bool is_long = text.length > QUOTE_BYTES;
    size_t length = is_long ? QUOTE_BYTES : text.length;
    while (is_long && length > 0 && (text.data[length] & 0xc0) == 0x80)
        length--; /* not in the middle of a UTF-8 sequence */
    char *quote = arena_take(&report->arena, length + sizeof "'...'");
    char *at = quote;
    *at++ = '\'';
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = text.data[i];
        *at++ = (char)(byte < 0x20 || byte == 0x7f ? '?' : byte);
    }
    strcpy(at, is_long ? "...'" : "'");
    return quote;
}
