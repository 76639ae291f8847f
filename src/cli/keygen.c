/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway keygen: a node's key pair. The private key goes into a file that only its owner can read, and nowhere else.
 */
#include "cli/cli.h"
#include "crypto/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0, or -1 with errno. The file is complete or not there: it is written beside its place and moved. */
int cli_write_secret(const char *file, const char *content, bool can_replace)
{
    char beside[4096];
    if ((size_t)snprintf(beside, sizeof beside, "%s.new.%ld", file, (long)getpid()) >=
        sizeof beside) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int out = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        return -1;
    size_t length = strlen(content);
    int result = write(out, content, length) == (ssize_t)length && fsync(out) == 0 ? 0 : -1;
    close(out);
    if (result == 0) /* link() refuses where the file exists, at once and for good */
        result = can_replace ? rename(beside, file) : link(beside, file);
    int saved = errno;
    unlink(beside);
    errno = saved;
    return result;
}

static int run_keygen(const struct cli_arguments *arguments)
{
    const struct crypto *crypto = crypto_openssl();
    const char *file = cli_value(arguments, "output");
    struct key private_key;
    char private_text[KEY_TEXT_BYTES], public_text[KEY_TEXT_BYTES], content[KEY_TEXT_BYTES + 1];
    key_generate(crypto, &private_key);
    key_text(&private_key, private_text);
    key_public_text(crypto, &private_key, public_text);
    snprintf(content, sizeof content, "%s\n", private_text);
    bytes_wipe(&private_key, sizeof private_key);

    int status = CLI_DONE;
    struct text answer = {0};
    bool is_json = cli_value(arguments, "json");
    if (file && cli_write_secret(file, content, cli_value(arguments, "force")) < 0)
        status =
            errno == EEXIST
                ? cli_fail("%s exists and is kept; --force replaces it, and the node with this "
                           "key is then unknown to the others",
                           file)
                : cli_fail("%s: %s", file, strerror(errno));
    else if (is_json && file)
        text_add_format(&answer, "{\"public_key\":\"%s\"}\n", public_text);
    else if (is_json)
        text_add_format(&answer, "{\"public_key\":\"%s\",\"private_key\":\"%s\"}\n", public_text,
                        private_text);
    else if (file)
        text_add_format(&answer, "%s\n", public_text);
    else
        text_add_format(&answer, "public_key: %s\nprivate key, for a file of mode 0600: %s\n",
                        public_text, private_text);
    bytes_wipe(content, sizeof content);
    bytes_wipe(private_text, sizeof private_text);
    return status == CLI_DONE ? cli_print(&answer) : status;
}

static const struct cli_option options[] = {
    {"output", 'o', "FILE",
     "write the private key to this file, mode 0600, and print the public key"},
    {"force", 0, NULL, "replace the file where it exists"},
    {"json", 0, NULL, "as one JSON object"},
    {0}};
const struct cli_verb verb_keygen = {
    .name = "keygen",
    .summary = "Make a node's key pair",
    .help = "The public key goes into the configuration of all nodes; the private key stays on its "
            "node.",
    .example = "causeway keygen -o /etc/causeway/edge-fra.key",
    .options = options,
    .run = run_keygen,
};
