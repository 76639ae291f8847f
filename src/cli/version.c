/* SPDX-License-Identifier: Apache-2.0
 *
 * causeway version: the release and what it is built with.
 */
#include "cli/version.h"
#include "cli/cli.h"

#include <libfyaml.h>
#include <openssl/crypto.h>

static int run_version(const struct cli_arguments *arguments)
{
    struct text text = {0};
    const char *openssl = OpenSSL_version(OPENSSL_VERSION_STRING);
    const char *yaml = fy_library_version();
    if (cli_value(arguments, "json")) {
        text_add(&text, "{\"causeway\":");
        text_add_json(&text, span_text(CAUSEWAY_VERSION));
        text_add(&text, ",\"openssl\":");
        text_add_json(&text, span_text(openssl));
        text_add(&text, ",\"libfyaml\":");
        text_add_json(&text, span_text(yaml));
        text_add(&text, "}\n");
    } else {
        text_add_format(&text, "causeway %s (OpenSSL %s, libfyaml %s)\n", CAUSEWAY_VERSION, openssl,
                        yaml);
    }
    return cli_print(&text);
}

static const struct cli_option options[] = {{"json", 0, NULL, "as one JSON object"}, {0}};
const struct cli_verb verb_version = {
    .name = "version",
    .summary = "Print the version",
    .example = "causeway version --json",
    .options = options,
    .run = run_version,
};
