/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line: a verb is one file with one `struct cli_verb` in it and one row in main.c. Help texts and the manual page are
 * written from the same rows as the options are parsed by.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/span.h"
#include "base/text.h"

enum {
    CLI_OPTIONS_LIMIT = 16, /* of a verb */
    CLI_WORDS_LIMIT = 16,   /* behind a verb that are not options */
    CLI_GIVEN_LIMIT = 64,   /* values of options that may be given several times */
};

/* What a verb returns is the exit status of the program. */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli_option {
    const char *name;  /* without the dashes */
    char letter;       /* 0: none */
    const char *value; /* "FILE"; NULL: a switch */
    const char *help;
};

struct cli_verb;

struct cli_arguments {
    const struct cli_verb *verb;
    const char *values[CLI_OPTIONS_LIMIT]; /* by option; "" for a switch that is given */
    const char *words[CLI_WORDS_LIMIT];
    size_t word_count;
    struct {
        const struct cli_option *option;
        const char *value;
    } given[CLI_GIVEN_LIMIT]; /* the first ones, as they came */
    size_t given_count;
};

struct cli_verb {
    const char *name;
    const char *words;   /* "schema|reference"; NULL: none */
    const char *summary; /* one line */
    const char *help;    /* more of it: paragraphs */
    const char *example;
    size_t least_words, most_words;
    const struct cli_option *options; /* ends with a row without name; --help is always there */
    int (*run)(const struct cli_arguments *arguments);
};

extern const struct cli_verb *const cli_verbs[]; /* NULL at the end */

/* The value of an option, "" for a switch, or NULL where it is not given. */
const char *cli_value(const struct cli_arguments *arguments, const char *option);

/* The next value of an option that may be given several times, from place `*at` on; NULL: no more. */
const char *cli_next_value(const struct cli_arguments *arguments, const char *option, size_t *at);

/* CLI_GO and the arguments; else the exit status, with a sentence on standard error or the help on standard output. */
enum { CLI_GO = -1 };
int cli_parse(const struct cli_verb *verb, int count, char **words,
              struct cli_arguments *arguments);

void cli_write_help(const struct cli_verb *verb, struct text *text);
void cli_write_manual(struct text *text); /* roff, section 1 */

/* "causeway: " and the sentence, on standard error. Returns CLI_FAILED. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints and frees; CLI_FAILED when standard output does not take it. */
int cli_print(struct text *text);

/* Writes a file that only its owner can read, whole or not at all (keygen.c). 0, or -1 with errno; EEXIST where it is there and
 * may not be replaced. */
int cli_write_secret(const char *file, const char *content, bool can_replace);

#define CLI_CONFIG_FILE "/etc/causeway/causeway.yaml"

#endif
