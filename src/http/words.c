/* SPDX-License-Identifier: Apache-2.0
 *
 * The fixed words of HTTP: methods, causes of refusal, status codes, dates, default limits.
 */
#include "http/http.h"

const struct http_limits http_limits_default = {
    .line_bytes = 8 * 1024,
    .head_bytes = 32 * 1024,
    .fields = 128,
    .name_bytes = 256,
    .trailer_bytes = 8 * 1024,
    .trailers = 32,
    .chunk_line_bytes = 256,
    .chunk_extension_bytes = 16 * 1024,
    .informational = 16,
    .body_bytes = UINT64_MAX,
};

static const struct {
    uint16_t status;
    const char *name, *text;
} causes[HTTP_CAUSE_COUNT] = {
#define X(name, status, text) [HTTP_CAUSE_##name] = {status, #name, text},
    HTTP_CAUSE_LIST(X)
#undef X
};

unsigned http_cause_status(enum http_cause cause)
{
    return (unsigned)cause < HTTP_CAUSE_COUNT ? causes[cause].status : 400;
}

const char *http_cause_text(enum http_cause cause)
{
    return (unsigned)cause < HTTP_CAUSE_COUNT ? causes[cause].text : "unknown cause";
}

const char *http_cause_name(enum http_cause cause)
{
    return (unsigned)cause < HTTP_CAUSE_COUNT ? causes[cause].name : "UNKNOWN";
}

static const struct span methods[HTTP_METHOD_COUNT] = {
#define X(name, code) [HTTP_METHOD_##name] = {(const uint8_t *)#name, sizeof(#name) - 1},
    HTTP_METHOD_LIST(X)
#undef X
};

enum http_method http_method_of(struct span text)
{
    for (unsigned id = 1; id < HTTP_METHOD_COUNT; id++)
        if (span_equal(methods[id], text))
            return (enum http_method)id;
    return HTTP_METHOD_OTHER;
}

struct span http_method_text(enum http_method method)
{
    return (unsigned)method < HTTP_METHOD_COUNT ? methods[method] : (struct span){0};
}

bool http_method_is_safe(enum http_method method)
{
    return method == HTTP_METHOD_GET || method == HTTP_METHOD_HEAD ||
           method == HTTP_METHOD_OPTIONS || method == HTTP_METHOD_TRACE;
}

bool http_method_is_idempotent(enum http_method method)
{
    return http_method_is_safe(method) || method == HTTP_METHOD_PUT || method == HTTP_METHOD_DELETE;
}

bool http_status_has_body(unsigned status)
{
    return status >= 200 && status != 204 && status != 304;
}

const char *http_status_reason(unsigned status)
{
    /* clang-format off */
    static const struct { uint16_t status; const char *reason; } reasons[] = {
        {100, "Continue"}, {101, "Switching Protocols"}, {102, "Processing"}, {103, "Early Hints"},
        {200, "OK"}, {201, "Created"}, {202, "Accepted"}, {203, "Non-Authoritative Information"},
        {204, "No Content"}, {205, "Reset Content"}, {206, "Partial Content"}, {207, "Multi-Status"},
        {208, "Already Reported"}, {226, "IM Used"},
        {300, "Multiple Choices"}, {301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"},
        {304, "Not Modified"}, {305, "Use Proxy"}, {307, "Temporary Redirect"}, {308, "Permanent Redirect"},
        {400, "Bad Request"}, {401, "Unauthorized"}, {402, "Payment Required"}, {403, "Forbidden"},
        {404, "Not Found"}, {405, "Method Not Allowed"}, {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"}, {408, "Request Timeout"}, {409, "Conflict"}, {410, "Gone"},
        {411, "Length Required"}, {412, "Precondition Failed"}, {413, "Content Too Large"},
        {414, "URI Too Long"}, {415, "Unsupported Media Type"}, {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"}, {421, "Misdirected Request"}, {422, "Unprocessable Content"},
        {423, "Locked"}, {424, "Failed Dependency"}, {425, "Too Early"}, {426, "Upgrade Required"},
        {428, "Precondition Required"}, {429, "Too Many Requests"}, {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"}, {501, "Not Implemented"}, {502, "Bad Gateway"},
        {503, "Service Unavailable"}, {504, "Gateway Timeout"}, {505, "HTTP Version Not Supported"},
        {506, "Variant Also Negotiates"}, {507, "Insufficient Storage"}, {508, "Loop Detected"},
        {511, "Network Authentication Required"},
    };
    /* clang-format on */
    if (status == 200)
        return "OK";
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

/* Days to a date after Howard Hinnant's civil_from_days, for years from 1970 on. */
const char *http_date_text(uint64_t seconds, char out[HTTP_DATE_BYTES])
{
    static const char week[] = "ThuFriSatSunMonTueWed",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const uint64_t last = 253402300799ull; /* 9999-12-31 23:59:59 */
    if (seconds > last)
        seconds = last;
    uint32_t days = (uint32_t)(seconds / 86400), rest = (uint32_t)(seconds % 86400);
    uint32_t shifted = days + 719468; /* from 0000-03-01 */
    uint32_t era = shifted / 146097, day_of_era = shifted % 146097;
    uint32_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t march_month = (5 * day_of_year + 2) / 153;
    uint32_t day = day_of_year - (153 * march_month + 2) / 5 + 1;
    uint32_t month = march_month < 10 ? march_month + 2 : march_month - 10; /* from 0 */
    uint32_t year = year_of_era + era * 400 + (month <= 1);
    char *at = out;
    memcpy(at, week + days % 7 * 3, 3);
    memcpy(at + 3, ", ", 2);
    at[5] = (char)('0' + day / 10);
    at[6] = (char)('0' + day % 10);
    at[7] = ' ';
    memcpy(at + 8, months + month * 3, 3);
    at[11] = ' ';
    for (int i = 15; i > 11; i--, year /= 10)
        at[i] = (char)('0' + year % 10);
    at[16] = ' ';
    const uint32_t clock[3] = {rest / 3600, rest / 60 % 60, rest % 60};
    for (int i = 0; i < 3; i++) {
        at[17 + i * 3] = (char)('0' + clock[i] / 10);
        at[18 + i * 3] = (char)('0' + clock[i] % 10);
        at[19 + i * 3] = i < 2 ? ':' : ' ';
    }
    memcpy(at + 26, "GMT", 4);
    return out;
}
