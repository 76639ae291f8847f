/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway dnssec: a zone's secret, DS records for its parent, and signatures by a key signing key that is kept offline.
 */
#include "base/memory.h"
#include "cli/cli.h"
#include "conf/conf.h"
#include "crypto/crypto.h"
#include "dnsd/dnsd.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

enum { FOR_DAYS = 365 };

static int print_or_save(const struct cli_arguments *arguments, struct text *text)
{
    const char *file = cli_value(arguments, "output");
    if (!file)
        return cli_print(text);
    int error = cli_write_secret(file, text->data ? text->data : "", cli_value(arguments, "force"));
    text_clear(text);
    if (error == 0)
        return CLI_DONE;
    return errno == EEXIST ? cli_fail("%s exists and is kept; --force replaces it", file)
                           : cli_fail("%s: %s", file, strerror(errno));
}

static int make_secret(const struct cli_arguments *arguments)
{
    const struct crypto *crypto = crypto_openssl();
    struct key secret;
    char line[KEY_TEXT_BYTES];
    key_random(crypto, &secret);
    struct text text = {0};
    text_add_format(&text, "%s\n", key_text(&secret, line));
    bytes_wipe(&secret, sizeof secret);
    bytes_wipe(line, sizeof line);
    return print_or_save(arguments, &text);
}

/* NULL after sentences on standard error. */
static struct conf *load(const struct cli_arguments *arguments)
{
    const char *file = cli_value(arguments, "config");
    file = file ? file : CLI_CONFIG_FILE;
    struct text content = {.limit = CONF_FILE_BYTES}, why = {0}, findings = {0};
    struct conf *conf = NULL;
    struct conf_reader reader = conf_file_reader();
    if (conf_read_file(file, &content, &why)) {
        cli_fail("%s: %s", file, why.data);
    } else {
        conf =
            conf_load(file, text_span(&content), cli_value(arguments, "node"), &reader, &findings);
        if (!conf)
            fputs(findings.data, stderr);
    }
    text_clear(&content);
    text_clear(&why);
    text_clear(&findings);
    return conf;
}

static int fail_with(struct text *why)
{
    struct span line = span_of(why->data, span_find(text_span(why), '\n'));
    int status = cli_fail("%.*s", SPAN_ARGS(line));
    text_clear(why);
    return status;
}

static int print_ds(const struct cli_arguments *arguments)
{
    struct conf *conf = load(arguments);
    struct text text = {0}, why = {0};
    if (!conf)
        return CLI_FAILED;
    int error = dnsd_dnssec_ds(conf, arguments->words[1], &text, &why);
    conf_free(conf);
    return error < 0 ? fail_with(&why) : print_or_save(arguments, &text);
}

static int print_request(const struct cli_arguments *arguments)
{
    const char *days_text = cli_value(arguments, "days");
    uint64_t days = FOR_DAYS;
    if (days_text && (span_number(span_text(days_text), &days) < 0 || !days || days > 3650))
        return cli_fail("--days takes a number of days, up to 3650");
    struct conf *conf = load(arguments);
    struct text text = {0}, why = {0};
    if (!conf)
        return CLI_FAILED;
    uint32_t now_s = (uint32_t)time(NULL);
    int error = dnsd_dnssec_request(conf, arguments->words[1], now_s,
                                    now_s + (uint32_t)days * 86400, &text, &why);
    conf_free(conf);
    return error < 0 ? fail_with(&why) : print_or_save(arguments, &text);
}

/* words[1]: the request; --key: X of X.key and X.private. */
static int sign_request(const struct cli_arguments *arguments)
{
    const char *key = cli_value(arguments, "key");
    if (!key)
        return cli_fail("--key names the key signing key: X of the files X.key and X.private");
    struct conf_reader reader = conf_file_reader();
    struct text request = {.limit = CONF_FILE_BYTES}, record = {.limit = CONF_FILE_BYTES},
                secret = {.limit = CONF_FILE_BYTES}, path = {0}, text = {0}, why = {0};
    const char *failed = arguments->words[1];
    int error = reader.read(reader.argument, failed, false, &request, &why);
    if (error == 0) {
        text_add_format(&path, "%s.key", key);
        error = reader.read(reader.argument, failed = path.data, false, &record, &why);
    }
    if (error == 0) {
        text_reset(&path);
        text_add_format(&path, "%s.private", key);
        error = reader.read(reader.argument, failed = path.data, true, &secret, &why);
    }
    int status = CLI_DONE;
    if (error < 0)
        status = cli_fail("%s: %s", failed, why.data);
    else if (dnsd_dnssec_sign(text_span(&request), text_span(&record), text_span(&secret), &text,
                              &why) < 0)
        status = cli_fail("%s", why.data);
    else
        status = print_or_save(arguments, &text);
    if (secret.data)
        bytes_wipe(secret.data, secret.capacity);
    struct text *const all[] = {&request, &record, &secret, &path, &text, &why};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        text_clear(all[i]);
    return status;
}

static int run_dnssec(const struct cli_arguments *arguments)
{
    static const struct {
        const char *name;
        size_t words;
        int (*run)(const struct cli_arguments *arguments);
    } actions[] = {{"secret", 1, make_secret},
                   {"ds", 2, print_ds},
                   {"keys", 2, print_request},
                   {"sign-keys", 2, sign_request}};
    const char *names[sizeof actions / sizeof *actions];
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        names[i] = actions[i].name;
        if (strcmp(arguments->words[0], names[i]) != 0)
            continue;
        if (arguments->word_count == actions[i].words)
            return actions[i].run(arguments);
        cli_fail(actions[i].words == 1 ? "dnssec %s takes nothing more"
                                       : "dnssec %s takes one name more; see --help",
                 names[i]);
        return CLI_USAGE;
    }
    const char *nearest =
        nearest_word(arguments->words[0], names, sizeof actions / sizeof *actions);
    cli_fail("dnssec knows secret, ds, keys and sign-keys%s%s", nearest ? "; did you mean " : "",
             nearest ? nearest : "");
    return CLI_USAGE;
}

static const struct cli_option options[] = {
    {"config", 'c', "FILE", "the node's configuration; default " CLI_CONFIG_FILE},
    {"node", 'n', "NAME", "which node of the file"},
    {"output", 'o', "FILE", "write to this file, mode 0600"},
    {"force", 0, NULL, "replace the file where it exists"},
    {"days", 'd', "N", "keys: of so many days to come; default 365"},
    {"key", 'k', "X", "sign-keys: the key signing key, of files X.key and X.private"},
    {0}};
const struct cli_verb verb_dnssec = {
    .name = "dnssec",
    .words = "secret|ds ZONE|keys ZONE|sign-keys FILE",
    .summary = "Secrets, DS records and offline signatures of signed zones",
    .help =
        "secret makes the secret that a zone's keys are derived from. ds prints what the zone's "
        "parent is to publish. keys prints the keys that a zone will have, for an offline key "
        "signing key; sign-keys signs that list where this key is, for the zone's signed_keys.",
    .example = "causeway dnssec secret -o /etc/causeway/shop.secret",
    .least_words = 1,
    .most_words = 2,
    .options = options,
    .run = run_dnssec,
};
