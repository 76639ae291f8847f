/* SPDX-License-Identifier: Apache-2.0
 *
 * The test vectors of docs/protocol/transport.md and of transport-frames.txt beside it: what is computed here must stand there, and
 * what stands there must be read as it says.
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

/* ---- every type of frame */

static char vectors[65536];

/* The bytes of the line that begins with "what: "; the test fails where there is none. */
static size_t find_vector(const char *what, uint8_t *bytes)
{
    char head[128];
    snprintf(head, sizeof head, "\n%s: ", what);
    const char *at = strstr(vectors, head);
    if (!at)
        fail_msg("not among the frames: %s", what);
    at += strlen(head);
    size_t length = 0;
    for (unsigned byte; sscanf(at, "%2x", &byte) == 1 && *at != '\n'; at += 2)
        bytes[length++] = (uint8_t)byte;
    return length;
}

static uint32_t types_seen;

/* `end` is behind what we wrote at `wire`: it must stand there, and be read as one frame. */
static void check(const char *what, const uint8_t *wire, const uint8_t *end)
{
    uint8_t bytes[512];
    size_t written = (size_t)(end - wire), length = find_vector(what, bytes);
    char hex[1024] = "";
    for (size_t i = 0; i < written; i++)
        sprintf(hex + 2 * i, "%02x", wire[i]);
    if (length != written || memcmp(bytes, wire, written) != 0)
        fail_msg("among the frames is another\n%s: %s", what, hex);
    struct frame frame;
    struct reader reader = reader_of(span_of(bytes, length));
    assert_int_equal(frame_read(&reader, &frame), 0);
    assert_int_equal(reader_left(&reader), 0);
    types_seen |= 1u << bytes[0];
}

static uint8_t *append(uint8_t *at, const char *text)
{
    memcpy(at, text, strlen(text));
    return at + strlen(text);
}

static void check_lane_frames(void)
{
    static const uint8_t token[FRAME_TOKEN_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint8_t wire[512];
    memset(wire, FRAME_PADDING, sizeof wire);
    check("PADDING of 5", wire, wire + 5);
    wire[0] = FRAME_PING;
    check("PING", wire, wire + 1);
    const struct frame_settings settings = {0x1122334455667788, 0x99aabbccddeeff00, 16384, 32768};
    check("SETTINGS", wire, frame_write_settings(wire, &settings));
    check("CLOSE", wire, frame_write_close(wire, TRANSPORT_CODE_SHUTDOWN));
    check("PATH_CHALLENGE", wire, frame_write_token(wire, FRAME_PATH_CHALLENGE, token));
    check("PATH_RESPONSE", wire, frame_write_token(wire, FRAME_PATH_RESPONSE, token));
    const struct frame_path change = {.path = 3, .use = FRAME_PATH_USE_STANDBY, .sequence = 70};
    check("PATH_NEW", wire, frame_write_path(wire, FRAME_PATH_NEW, &change));
    check("PATH_STATUS", wire, frame_write_path(wire, FRAME_PATH_STATUS, &change));
    check("PATH_ABANDON", wire, frame_write_path(wire, FRAME_PATH_ABANDON, &change));
    const struct frame_quality quality = {.path = 1,
                                          .quality = {.loss_ppm_1s = 12000,
                                                      .loss_ppm_10s = 9000,
                                                      .ce_ppm_10s = 40,
                                                      .srtt_us = 61000,
                                                      .min_rtt_us = 60000,
                                                      .rtt_variance_us = 800,
                                                      .queue_us = 950,
                                                      .delay_trend_us_per_s = -1500,
                                                      .hosted = 20,
                                                      .spurious = 3,
                                                      .reconnects = 1,
                                                      .ecn_state = ECN_CAPABLE,
                                                      .delivery_bytes_per_s = 12500000,
                                                      .spare_window_bytes = 65536}};
    check("LINK_QUALITY", wire, frame_write_quality(wire, &quality));
    const struct ack_asking asking = {.sequence = 2, .packets = 17, .delay_us = 5000};
    check("ACK_FREQ", wire, frame_write_ack_freq(wire, 1, &asking));
    check("ACK_NOW", wire, frame_write_ack_now(wire, 1));
    const struct frame_ack_head head = {
        .path = 1, .arrival_us = 0xfffffff0, .delay_us = 25, .ecn = {.ect_1 = 1000, .ce = 12}};
    struct ranges ranges = {0};
    ranges_add(&ranges, 100, 101);
    ranges_add(&ranges, 103, 110);
    ranges_add(&ranges, 500, 1001);
    check("ACK of 1000-500, 109-103, 100", wire,
          frame_write_ack(wire, wire + sizeof wire, &head, &ranges));
    ranges_clear(&ranges);
}

static void check_stream_frames(void)
{
    uint8_t wire[512];
    const struct transport_open bare = {.port = 80, .flags = TRANSPORT_OPEN_HTTP, .weight = 16};
    check("OPEN without a client", wire, frame_write_open(wire, 8, &bare));
    const struct transport_open flow = {
        .port = 53,
        .flags = TRANSPORT_OPEN_DATAGRAMS,
        .ring = 2,
        .weight = 255,
        .site = 7,
        .lifetime_ms = 150,
        .client = {.bytes = {0x20, 1, 0xd, 0xb8, [15] = 9}, .port = 4711, .family = 6}};
    check("OPEN of a flow", wire, frame_write_open(wire, 70, &flow));
    check("RESET", wire, frame_write_reset(wire, 70, TRANSPORT_CODE_TIMEOUT));
    check("STREAM_WINDOW", wire, frame_write_window(wire, 4, 262144));
    check("STREAM_PRIORITY", wire, frame_write_priority(wire, 4, 3, 32));
    check("STREAM from its start to its end", wire,
          append(frame_write_stream(wire, 4, 0, 5, true, true), "hello"));
    check("STREAM that fills the packet", wire,
          append(frame_write_stream(wire, 4, 1000000, 5, false, false), "world"));
    check("STREAM that only ends", wire, frame_write_stream(wire, 4, 20, 0, true, true));
    check("DATAGRAM", wire, append(frame_write_datagram(wire, 70, 5, true), "hello"));
    check("DATAGRAM that fills the packet", wire,
          append(frame_write_datagram(wire, 70, 5, false), "hello"));
}

static void every_frame_is_written_as_it_stands_there(void **state)
{
    (void)state;
    types_seen = 0;
    check_lane_frames();
    check_stream_frames();
    /* The types of the page but for forms of STREAM. */
    for (int type = FRAME_PADDING; type <= FRAME_ACK_NOW; type++)
        if (type < FRAME_STREAM ? type <= FRAME_PATH_ABANDON : type >= FRAME_DATAGRAM)
            if (!(types_seen & 1u << type))
                fail_msg("no vector for type 0x%02x", (unsigned)type);
}

static void what_stands_there_as_bad_is_refused(void **state)
{
    (void)state;
    int count = 0;
    for (const char *at = vectors; (at = strstr(at, "\nbad ")); count++) {
        const char *colon = strstr(++at, ": ");
        char what[128];
        snprintf(what, sizeof what, "%.*s", (int)(colon - at), at);
        uint8_t bytes[512];
        struct frame frame;
        struct reader reader = reader_of(span_of(bytes, find_vector(what, bytes)));
        int result = 0;
        while (!result && reader_left(&reader))
            result = frame_read(&reader, &frame);
        if (result != ERROR_INVALID)
            fail_msg("read: %s", what);
    }
    assert_true(count >= 20);
}

static bool read_whole(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "r");
    size_t got = file ? fread(out, 1, size - 1, file) : 0;
    if (file)
        fclose(file);
    return got > 0;
}

int main(int count, char **words)
{
    if (count < 3 || !read_whole(words[1], page, sizeof page) ||
        !read_whole(words[2], vectors, sizeof vectors))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_sealed_as_on_the_page),
        cmocka_unit_test(every_frame_is_written_as_it_stands_there),
        cmocka_unit_test(what_stands_there_as_bad_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
