/* SPDX-License-Identifier: Apache-2.0
 *
 * The errors that functions return: 0 for success, else one of these negative values. Each has a text
 * that a person can read. A caller that ignores one does not compile (MUST_USE).
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#define MUST_USE __attribute__((warn_unused_result))

/* name, value, text */
#define ERROR_LIST(X)                          \
    X(INVALID, -1, "malformed input")          \
    X(INCOMPLETE, -2, "more bytes are needed") \
    X(LIMIT, -3, "a stated limit was reached") \
    X(AGAIN, -4, "would block")                \
    X(CLOSED, -5, "closed")                    \
    X(NOT_FOUND, -6, "not found")              \
    X(DENIED, -7, "not allowed")               \
    X(TIMEOUT, -8, "timed out")                \
    X(IO, -9, "input/output error")            \
    X(AUTH, -10, "authentication failed")      \
    X(REPLAY, -11, "replayed")                 \
    X(UNSUPPORTED, -12, "not supported")       \
    X(CONFIG, -13, "configuration error")      \
    X(RESET, -14, "reset by the other end")    \
    X(UNREACHABLE, -15, "unreachable")

enum error {
#define X(name, value, text) ERROR_##name = (value),
    ERROR_LIST(X)
#undef X
};

/* The text of a result of any function here; "success" for 0. Never NULL; static storage. */
const char *error_text(int error);

/* Ends the process with a sentence when an invariant is broken; active in release builds too. Never for
 * input that a peer or a user can choose. */
#define INVARIANT(condition) \
    ((condition) ? (void)0 : invariant_broken(#condition, __FILE__, __LINE__))
_Noreturn void invariant_broken(const char *condition, const char *file, int line);

#endif
