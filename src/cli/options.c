/* SPDX-License-Identifier: Apache-2.0
 *
 * Options of a verb, from its rows: "--name VALUE", "--name=VALUE", "-n VALUE", "-nVALUE"; "--" ends them.
 */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>

static size_t option_count(const struct cli_verb *verb)
{
    size_t count = 0;
    while (verb->options && verb->options[count].name)
        count++;
    return count;
}

int cli_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("causeway: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return CLI_FAILED;
}

int cli_print(struct text *text)
{
    bool is_written =
        fwrite(text->data ? text->data : "", 1, text->length, stdout) == text->length &&
        fflush(stdout) == 0;
    text_clear(text);
    return is_written ? CLI_DONE : cli_fail("standard output does not take the answer");
}

static int usage_error(const struct cli_verb *verb, const char *what, const char *word,
                       const char *nearest)
{
    fprintf(stderr, "causeway %s: %s '%s'", verb->name, what, word);
    if (nearest)
        fprintf(stderr, "; did you mean '%s'?", nearest);
    fprintf(stderr, " (causeway %s --help)\n", verb->name);
    return CLI_USAGE;
}

static int unknown_option(const struct cli_verb *verb, const char *word)
{
    char dashed[CLI_OPTIONS_LIMIT + 1][40];
    const char *candidates[CLI_OPTIONS_LIMIT + 1];
    size_t count = option_count(verb);
    for (size_t i = 0; i <= count; i++) {
        snprintf(dashed[i], sizeof dashed[i], "--%s", i < count ? verb->options[i].name : "help");
        candidates[i] = dashed[i];
    }
    return usage_error(verb, "unknown option", word, nearest_word(word, candidates, count + 1));
}

/* The row of a word that begins with a dash; `*value` is what stands in the same word, or NULL. */
static const struct cli_option *find_option(const struct cli_verb *verb, const char *word,
                                            const char **value)
{
    *value = NULL;
    for (size_t i = 0; i < option_count(verb); i++) {
        const struct cli_option *option = &verb->options[i];
        size_t length = strlen(option->name);
        if (word[1] != '-') {
            if (!option->letter || word[1] != option->letter || (word[2] && !option->value))
                continue;
            *value = word[2] ? word + 2 : NULL;
            return option;
        }
        if (strncmp(word + 2, option->name, length) != 0)
            continue;
        if (!word[2 + length])
            return option;
        if (word[2 + length] == '=' && option->value) {
            *value = word + 3 + length;
            return option;
        }
    }
    return NULL;
}

static int check_words(const struct cli_arguments *arguments)
{
    const struct cli_verb *verb = arguments->verb;
    if (arguments->word_count > verb->most_words)
        return usage_error(verb, "unexpected", arguments->words[verb->most_words], NULL);
    if (arguments->word_count < verb->least_words)
        return usage_error(verb, "missing", verb->words, NULL);
    return CLI_GO;
}

int cli_parse(const struct cli_verb *verb, int count, char **words, struct cli_arguments *arguments)
{
    *arguments = (struct cli_arguments){.verb = verb};
    bool has_ended = false;
    for (int i = 0; i < count; i++) {
        const char *word = words[i], *value;
        if (has_ended || word[0] != '-' || !word[1]) {
            if (arguments->word_count == CLI_WORDS_LIMIT)
                return usage_error(verb, "unexpected", word, NULL);
            arguments->words[arguments->word_count++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            has_ended = true;
            continue;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            struct text help = {0};
            cli_write_help(verb, &help);
            return cli_print(&help);
        }
        const struct cli_option *option = find_option(verb, word, &value);
        if (!option)
            return unknown_option(verb, word);
        if (option->value && !value && ++i == count)
            return usage_error(verb, "a value is missing behind", word, NULL);
        value = !option->value ? "" : value ? value : words[i];
        arguments->values[option - verb->options] = value;
        if (arguments->given_count < CLI_GIVEN_LIMIT) {
            arguments->given[arguments->given_count].option = option;
            arguments->given[arguments->given_count++].value = value;
        }
    }
    return check_words(arguments);
}

const char *cli_value(const struct cli_arguments *arguments, const char *option)
{
    const struct cli_verb *verb = arguments->verb;
    for (size_t i = 0; i < option_count(verb); i++)
        if (strcmp(verb->options[i].name, option) == 0)
            return arguments->values[i];
    return NULL;
}

const char *cli_next_value(const struct cli_arguments *arguments, const char *option, size_t *at)
{
    while (*at < arguments->given_count) {
        size_t place = (*at)++;
        if (strcmp(arguments->given[place].option->name, option) == 0)
            return arguments->given[place].value;
    }
    return NULL;
}
