/* SPDX-License-Identifier: Apache-2.0
 *
 * The test vectors of docs/protocol/transport.md: what is computed here must stand there.
 */
#include "base/memory.h"
#include "transport/frame.h"
#include "transport/session.h"

#include <stdio.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static char page[65536];

static void assert_in_page(const char *what, const uint8_t *bytes, size_t length)
{
    char hex[1024] = "";
    for (size_t i = 0; i < length; i++)
        sprintf(hex + 2 * i, "%02x", bytes[i]);
    char line[1200];
    snprintf(line, sizeof line, "%s: %s", what, hex);
    if (!strstr(page, line))
        fail_msg("not on the page: %s", line);
}

static size_t write_frames(uint8_t *out)
{
    const struct transport_open open = {
        .port = 443,
        .flags = TRANSPORT_OPEN_SECURE,
        .ring = 1,
        .weight = 16,
        .site = 2,
        .client = {.bytes = {192, 0, 2, 1}, .port = 50000, .family = 4}};
    const struct frame_ack_head head = {.arrival_us = 0x89abcdef,
                                        .delay_us = 250,
                                        .ecn = {.ect_0 = 900, .ce = 3}};
    struct ranges ranges = {0};
    ranges_add(&ranges, 0, 3);
    ranges_add(&ranges, 5, 1000);
    uint8_t *at = frame_write_ack(out, out + 200, &head, &ranges);
    at = frame_write_open(at, 4, &open);
    at = frame_write_stream(at, 4, 0, 5, false, true);
    memcpy(at, "hello", 5);
    at = frame_write_stream(at + 5, 0, 20000, 5, true, false);
    memcpy(at, "world", 5);
    ranges_clear(&ranges);
    return (size_t)(at + 5 - out);
}

static void packets_are_sealed_as_on_the_page(void **state)
{
    (void)state;
    const struct crypto *crypto = crypto_openssl();
    static const enum aead_kind kinds[] = {AEAD_AES_128_GCM, AEAD_CHACHA20_POLY1305};
    static const char *names[] = {"AES-128-GCM", "ChaCha20-Poly1305"};
    for (int i = 0; i < 2; i++) {
        struct handshake_result result = {.own_index = 1,
                                          .peer_index = 0x00412345,
                                          .aead = kinds[i]};
        memset(result.send_secret.bytes, 0x0b, KEY_BYTES);
        memset(result.receive_secret.bytes, 0x0c, KEY_BYTES);
        struct session session;
        session_start(&session, crypto, &result, 0);
        uint8_t packet[256];
        size_t length = write_frames(packet + PACKET_HEADER_BYTES);
        if (i == 0)
            assert_in_page("frames", packet + PACKET_HEADER_BYTES, length);
        session_seal(&session, 0, 7, packet, (uint32_t)length);
        char what[64];
        snprintf(what, sizeof what, "packet 7, phase 0, %s", names[i]);
        assert_in_page(what, packet, length + PACKET_OVERHEAD_BYTES);
        session.send.packets = SESSION_PHASE_PACKETS;
        session.send.is_acked = true;
        assert_true(session_ratchet(&session, 1));
        length = write_frames(packet + PACKET_HEADER_BYTES);
        session_seal(&session, 0, 8, packet, (uint32_t)length);
        snprintf(what, sizeof what, "packet 8, phase 1, %s", names[i]);
        assert_in_page(what, packet, length + PACKET_OVERHEAD_BYTES);
        session_clear(&session);
    }
}

int main(int count, char **words)
{
    FILE *file = count > 1 ? fopen(words[1], "r") : NULL;
    if (!file || !fread(page, 1, sizeof page - 1, file))
        return 1;
    fclose(file);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_sealed_as_on_the_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
