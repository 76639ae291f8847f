/* SPDX-License-Identifier: Apache-2.0
 *
 * The entry of every fuzzer here; libFuzzer calls it with its inventions, run_corpus.c with the
 * kept inputs.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include "base/error.h"
#include "base/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
