/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong with a configuration: sentences with positions, gathered while reading goes on, written in the
 * order of the file.
 */
#ifndef CONF_REPORT_H
#define CONF_REPORT_H

#include "base/arena.h"
#include "base/text.h"

/* From 1; line 0: the file as a whole. */
struct place {
    uint32_t line, column;
};

struct finding {
    struct place place;
    const char *sentence;
};

struct report {
    struct arena arena;
    struct finding *findings; /* at most CONF_ERRORS_LIMIT, kept in the order of the file */
    size_t count, errors, lost;
};

void report_error(struct report *report, struct place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void report_warning(struct report *report, struct place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One line for each finding, "file:line:column: sentence", and clears the report. */
void report_write(struct report *report, const char *file, struct text *text);
void report_clear(struct report *report);

/* The text as it may stand in a sentence: at most some dozen bytes, nothing unprintable. Lives in the report. */
const char *report_quote(struct report *report, struct span text);

#endif
