/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns: a text, a text with stars, or a regular expression of PCRE2. A star stands for any bytes, also none. What the stars or
 * groups stood for are captures.
 *
 * Regular expressions work on bytes and have limits (RULES_REGEX_*): one that meets them has no answer, and says so. PCRE2's own count of
 * steps begins anew at each byte of the subject; compiled to machine code that is a matter of a millisecond, but interpreted (where
 * no memory may be written and executed) it is one of seconds. So what is interpreted counts its steps by callouts.
 */
#include "rules/private.h"

#include "base/memory.h"

enum { NESTED_GROUPS_MOST = 50, LARGEST_GROUP = 32 };

static bool is_plain(uint8_t byte)
{
    return (uint8_t)(ascii_lower(byte) - 'a') < 26 || (uint8_t)(byte - '0') < 10 ||
           (byte && strchr("/_-%,;=@!:~&<>", byte) != NULL);
}

/* The bytes that whatever matches must begin with: of "^/old/(\d+)" these are "/old/". */
static struct span leading_literal(struct arena *arena, struct span regex)
{
    if (!regex.length || regex.data[0] != '^' || span_find(regex, '|') < regex.length)
        return (struct span){0};
    uint8_t *out = arena_take(arena, regex.length);
    size_t length = 0, at = 1;
    while (at < regex.length) {
        uint8_t byte = regex.data[at];
        size_t used = 1;
        if (byte == '\\' && at + 1 < regex.length && strchr("./-", regex.data[at + 1])) {
            byte = regex.data[at + 1];
            used = 2;
        } else if (!is_plain(byte)) {
            break;
        }
        if (at + used < regex.length && strchr("*?{+", regex.data[at + used]))
            break; /* it may be there, or not */
        out[length++] = byte;
        at += used;
    }
    return span_of(out, length);
}

static const char *compile_regex(struct arena *arena, struct span text, bool has_case, bool is_fast,
                                 struct pattern *pattern)
{
    static const uint32_t options =
        PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | PCRE2_NEVER_UCP | PCRE2_NEVER_UTF;
    int error;
    size_t offset;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    INVARIANT(context);
    pcre2_set_parens_nest_limit(context, NESTED_GROUPS_MOST);
    const uint32_t all = options | (has_case ? 0 : PCRE2_CASELESS);
    pattern->code = pcre2_compile(text.data, text.length, all, &error, &offset, context);
    if (pattern->code && (!is_fast || pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE))) {
        pcre2_code_free(pattern->code);
        pattern->code = pcre2_compile(text.data, text.length, all | PCRE2_AUTO_CALLOUT, &error,
                                      &offset, context);
    }
    pcre2_compile_context_free(context);
    if (!pattern->code) {
        char words[160];
        if (pcre2_get_error_message(error, (uint8_t *)words, sizeof words) < 0)
            return "malformed regular expression";
        return arena_format(arena, "%s, at character %zu of the regular expression", words,
                            offset + 1);
    }
    uint32_t groups;
    pcre2_pattern_info(pattern->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    if (groups > LARGEST_GROUP)
        return arena_format(arena, "it has %u groups, %d at most", groups, LARGEST_GROUP);
    if (has_case)
        pattern->literal = leading_literal(arena, text);
    return NULL;
}

static void cut_glob(struct arena *arena, struct span text, struct pattern *pattern)
{
    size_t stars = 0;
    for (size_t i = 0; i < text.length; i++)
        stars += text.data[i] == '*';
    pattern->parts = ARENA_ARRAY(arena, struct span, stars + 1);
    for (;;) {
        size_t length = span_find(text, '*');
        pattern->parts[pattern->part_count++] = span_of(text.data, length);
        if (length == text.length)
            break;
        text = span_of(text.data + length + 1, text.length - length - 1);
    }
    pattern->literal = pattern->parts[0];
    pattern->ending = pattern->parts[pattern->part_count - 1];
    if (!stars)
        pattern->kind = PATTERN_EXACT;
    else if (stars == 1 && !pattern->ending.length)
        pattern->kind = PATTERN_PREFIX;
    else if (stars == 1 && !pattern->literal.length) {
        pattern->kind = PATTERN_SUFFIX;
        pattern->literal = pattern->ending;
    } else
        pattern->kind = PATTERN_GLOB;
}

const char *pattern_compile(struct arena *arena, const char *text, bool is_fast,
                            struct pattern *pattern)
{
    struct span span = span_text(text);
    *pattern = (struct pattern){0};
    if (span.length > RULES_PATTERN_BYTES)
        return arena_format(arena, "it is longer than %d bytes", RULES_PATTERN_BYTES);
    if (!span.length || span.data[0] != '~') {
        cut_glob(arena, arena_copy(arena, span), pattern);
        return NULL;
    }
    bool has_case = !span_starts(span, SPAN("~*"));
    span = span_from(span, has_case ? 1 : 2);
    if (!span.length || span.data[0] != ' ')
        return "a regular expression is written '~ EXPRESSION', or '~* EXPRESSION' without case";
    pattern->kind = PATTERN_REGEX;
    return compile_regex(arena, arena_copy(arena, span_trim(span)), has_case, is_fast, pattern);
}

void pattern_clear(struct pattern *pattern)
{
    pcre2_code_free(pattern->code); /* NULL is fine */
    pattern->code = NULL;
}

static void capture(struct captures *captures, struct span span)
{
    if (captures && captures->count < RULES_CAPTURES)
        captures->at[captures->count++] = span;
}

static bool ends_with(struct span subject, struct span ending)
{
    return subject.length >= ending.length &&
           (!ending.length ||
            memcmp(subject.data + subject.length - ending.length, ending.data, ending.length) == 0);
}

/* Each part at the first place behind the one before; the last one at the end. */
static bool glob_matches(const struct pattern *pattern, struct span subject,
                         struct captures *captures)
{
    size_t last = pattern->part_count - 1;
    if (subject.length < pattern->literal.length + pattern->ending.length ||
        !span_starts(subject, pattern->literal) || !ends_with(subject, pattern->ending))
        return false;
    struct span rest = span_of(subject.data + pattern->literal.length,
                               subject.length - pattern->literal.length - pattern->ending.length);
    for (size_t i = 1; i < last; i++) {
        struct span part = pattern->parts[i];
        const uint8_t *found =
            part.length ? memmem(rest.data, rest.length, part.data, part.length) : rest.data;
        if (!found)
            return false;
        capture(captures, span_of(rest.data, (size_t)(found - rest.data)));
        rest = span_from(rest, (size_t)(found - rest.data) + part.length);
    }
    capture(captures, rest);
    return true;
}

static bool regex_matches(const struct pattern *pattern, struct span subject,
                          struct rules_matcher *matcher, struct captures *captures)
{
    if (pattern->literal.length && !span_starts(subject, pattern->literal))
        return false;
    const uint8_t *bytes = subject.length ? subject.data : (const uint8_t *)"";
    matcher->steps = 0;
    int found =
        pcre2_match(pattern->code, bytes, subject.length, 0, 0, matcher->data, matcher->context);
    if (found == PCRE2_ERROR_NOMATCH)
        return false;
    if (found < 0) {
        matcher->failure = "a regular expression of the site's rules met its limits";
        return false;
    }
    const size_t *ends = pcre2_get_ovector_pointer(matcher->data);
    for (int i = 1; captures && i < found; i++) {
        bool is_set = ends[2 * i] != PCRE2_UNSET && ends[2 * i] <= ends[2 * i + 1];
        capture(captures, is_set ? span_of(bytes + ends[2 * i], ends[2 * i + 1] - ends[2 * i])
                                 : (struct span){0});
    }
    return true;
}

bool pattern_matches(const struct pattern *pattern, struct span subject,
                     struct rules_matcher *matcher, struct captures *captures)
{
    if (captures)
        captures->count = 0;
    switch (pattern->kind) {
    case PATTERN_EXACT:
        return span_equal(subject, pattern->literal);
    case PATTERN_PREFIX:
        if (!span_starts(subject, pattern->literal))
            return false;
        capture(captures, span_from(subject, pattern->literal.length));
        return true;
    case PATTERN_SUFFIX:
        if (!ends_with(subject, pattern->literal))
            return false;
        capture(captures, span_of(subject.data, subject.length - pattern->literal.length));
        return true;
    case PATTERN_GLOB:
        return glob_matches(pattern, subject, captures);
    case PATTERN_REGEX:
        return regex_matches(pattern, subject, matcher, captures);
    }
    return false;
}

static int count_step(pcre2_callout_block *block, void *argument)
{
    struct rules_matcher *matcher = argument;
    (void)block;
    return ++matcher->steps > RULES_REGEX_CALLOUTS ? PCRE2_ERROR_MATCHLIMIT : 0;
}

struct rules_matcher *rules_matcher_new(uint64_t seed)
{
    struct rules_matcher *matcher = NEW(struct rules_matcher);
    matcher->seed = seed;
    matcher->data = pcre2_match_data_create(LARGEST_GROUP + 1, NULL);
    matcher->context = pcre2_match_context_create(NULL);
    INVARIANT(matcher->data && matcher->context);
    pcre2_set_match_limit(matcher->context, RULES_REGEX_STEPS);
    pcre2_set_depth_limit(matcher->context, RULES_REGEX_DEPTH);
    pcre2_set_heap_limit(matcher->context, RULES_REGEX_HEAP_KIB);
    pcre2_set_callout(matcher->context, count_step, matcher);
    return matcher;
}

void rules_matcher_free(struct rules_matcher **freed)
{
    if (!*freed)
        return;
    pcre2_match_data_free((*freed)->data);
    pcre2_match_context_free((*freed)->context);
    memory_free(*freed);
    *freed = NULL;
}
