/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading dates: the three forms that a recipient must accept (RFC 9110 section 5.6.7), and nothing else: who guesses at broken
 * dates takes an expired response for a fresh one.
 */
#include "http/http.h"

struct calendar {
    uint32_t year, month, day, hour, minute, second; /* month from 1 */
};

/* Takes exactly `digits` digits, or a space for the first where `padded`. */
static bool take_number(struct span *rest, size_t digits, bool padded, uint32_t *number)
{
    *number = 0;
    if (rest->length < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        uint8_t byte = rest->data[i];
        if (padded && i == 0 && byte == ' ')
            continue;
        if ((uint8_t)(byte - '0') > 9)
            return false;
        *number = *number * 10 + (uint32_t)(byte - '0');
    }
    *rest = span_from(*rest, digits);
    return true;
}

/* In any case: RFC 9111 section 4.2 wants that of caches. */
static bool starts(struct span span, struct span with)
{
    return span.length >= with.length && span_equal_nocase(span_of(span.data, with.length), with);
}

static bool take_text(struct span *rest, const char *text)
{
    if (!starts(*rest, span_text(text)))
        return false;
    *rest = span_from(*rest, strlen(text));
    return true;
}

static bool take_month(struct span *rest, uint32_t *month)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (uint32_t i = 0; i < 12; i++)
        if (starts(*rest, span_of(months + i * 3, 3))) {
            *month = i + 1;
            *rest = span_from(*rest, 3);
            return true;
        }
    return false;
}

/* The short name is the begin of the long one; which day it was is not looked at. */
static bool take_weekday(struct span *rest, bool *is_long)
{
    static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};
    for (size_t i = 0; i < sizeof days / sizeof *days; i++) {
        *is_long = take_text(rest, days[i]);
        if (*is_long)
            return true;
        if (starts(*rest, span_of(days[i], 3))) {
            *rest = span_from(*rest, 3);
            return true;
        }
    }
    return false;
}

static bool take_clock(struct span *rest, struct calendar *date)
{
    return take_number(rest, 2, false, &date->hour) && take_text(rest, ":") &&
           take_number(rest, 2, false, &date->minute) && take_text(rest, ":") &&
           take_number(rest, 2, false, &date->second);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", behind the weekday. */
static bool take_fixed(struct span *rest, struct calendar *date)
{
    return take_text(rest, ", ") && take_number(rest, 2, false, &date->day) &&
           take_text(rest, " ") && take_month(rest, &date->month) && take_text(rest, " ") &&
           take_number(rest, 4, false, &date->year) && take_text(rest, " ") &&
           take_clock(rest, date) && take_text(rest, " GMT");
}

/* "Sunday, 06-Nov-94 08:49:37 GMT". */
static bool take_rfc850(struct span *rest, struct calendar *date)
{
    return take_text(rest, ", ") && take_number(rest, 2, false, &date->day) &&
           take_text(rest, "-") && take_month(rest, &date->month) && take_text(rest, "-") &&
           take_number(rest, 2, false, &date->year) && take_text(rest, " ") &&
           take_clock(rest, date) && take_text(rest, " GMT");
}

/* "Sun Nov  6 08:49:37 1994". */
static bool take_asctime(struct span *rest, struct calendar *date)
{
    return take_text(rest, " ") && take_month(rest, &date->month) && take_text(rest, " ") &&
           take_number(rest, 2, true, &date->day) && take_text(rest, " ") &&
           take_clock(rest, date) && take_text(rest, " ") &&
           take_number(rest, 4, false, &date->year);
}

static bool is_leap(uint32_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool is_possible(const struct calendar *date)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint32_t most = days[date->month - 1] + (uint32_t)(date->month == 2 && is_leap(date->year));
    return date->day >= 1 && date->day <= most && date->hour < 24 && date->minute < 60 &&
           date->second <= 60; /* a leap second */
}

/* After Howard Hinnant's days_from_civil. */
static uint64_t seconds_of(const struct calendar *date)
{
    if (date->year < 1970)
        return 0;
    uint32_t year = date->year - (date->month <= 2), era = year / 400, year_of_era = year % 400;
    uint32_t day_of_year =
        (153 * (date->month + (date->month > 2 ? 0 : 12) - 3) + 2) / 5 + date->day - 1;
    uint32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    uint64_t days = (uint64_t)era * 146097 + day_of_era - 719468;
    return days * 86400 + date->hour * 3600 + date->minute * 60 + date->second;
}

int http_date_read(struct span text, uint64_t now_s, uint64_t *seconds)
{
    struct calendar date = {0};
    struct span rest = text;
    bool is_long;
    if (!take_weekday(&rest, &is_long))
        return ERROR_INVALID;
    if (is_long) {
        if (!take_rfc850(&rest, &date))
            return ERROR_INVALID;
        /* Of this century, unless that is more than 50 years ahead. */
        uint32_t this_year = 1970 + (uint32_t)(now_s / 31556952 % 8000);
        date.year += this_year / 100 * 100;
        if (date.year > this_year + 50)
            date.year -= 100;
    } else if (rest.length && rest.data[0] == ',' ? !take_fixed(&rest, &date)
                                                  : !take_asctime(&rest, &date)) {
        return ERROR_INVALID;
    }
    if (rest.length || !is_possible(&date))
        return ERROR_INVALID;
    *seconds = seconds_of(&date);
    return 0;
}
