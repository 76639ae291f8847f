/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole fields that cross the link as one byte. A row is: code, slot, name, value. Codes belong to
 * version 1 of the message form (docs/protocol/message.md); the slot is the place in the perfect
 * hash of form_table.c, checked as in names.h. Private to http/.
 */
#ifndef HTTP_PAIRS_H
#define HTTP_PAIRS_H

// clang-format off
#define HTTP_PAIR_LIST(X) \
    X(128, 58, ACCEPT, "*/*") \
    X(129, 331, ACCEPT, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8") \
    X(130, 182, ACCEPT, "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8") \
    X(131, 287, ACCEPT, "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8") \
    X(132, 467, ACCEPT, "application/json") \
    X(133, 167, ACCEPT_ENCODING, "gzip") \
    X(134, 177, ACCEPT_ENCODING, "gzip, deflate") \
    X(135, 199, ACCEPT_ENCODING, "gzip, deflate, br") \
    X(136, 60, ACCEPT_ENCODING, "gzip, deflate, br, zstd") \
    X(137, 511, ACCEPT_LANGUAGE, "en-US,en;q=0.9") \
    X(138, 281, ACCEPT_LANGUAGE, "en-US,en;q=0.5") \
    X(139, 154, ACCEPT_RANGES, "bytes") \
    X(140, 136, ACCESS_CONTROL_ALLOW_ORIGIN, "*") \
    X(141, 483, ACCESS_CONTROL_ALLOW_CREDENTIALS, "true") \
    X(142, 48, CACHE_CONTROL, "no-cache") \
    X(143, 5, CACHE_CONTROL, "no-store") \
    X(144, 252, CACHE_CONTROL, "max-age=0") \
    X(145, 503, CACHE_CONTROL, "private") \
    X(146, 166, CACHE_CONTROL, "public") \
    X(147, 37, CACHE_CONTROL, "public, max-age=31536000") \
    X(148, 254, CACHE_CONTROL, "public, max-age=31536000, immutable") \
    X(149, 386, CONTENT_ENCODING, "gzip") \
    X(150, 98, CONTENT_ENCODING, "br") \
    X(151, 432, CONTENT_ENCODING, "zstd") \
    X(152, 210, CONTENT_TYPE, "text/html") \
    X(153, 479, CONTENT_TYPE, "text/html; charset=utf-8") \
    X(154, 363, CONTENT_TYPE, "text/html; charset=UTF-8") \
    X(155, 480, CONTENT_TYPE, "text/plain") \
    X(156, 357, CONTENT_TYPE, "text/plain; charset=utf-8") \
    X(157, 250, CONTENT_TYPE, "text/css") \
    X(158, 20, CONTENT_TYPE, "text/css; charset=utf-8") \
    X(159, 223, CONTENT_TYPE, "text/javascript") \
    X(160, 52, CONTENT_TYPE, "text/javascript; charset=utf-8") \
    X(161, 134, CONTENT_TYPE, "application/javascript") \
    X(162, 36, CONTENT_TYPE, "application/json") \
    X(163, 123, CONTENT_TYPE, "application/json; charset=utf-8") \
    X(164, 159, CONTENT_TYPE, "application/xml") \
    X(165, 409, CONTENT_TYPE, "application/octet-stream") \
    X(166, 352, CONTENT_TYPE, "application/x-www-form-urlencoded") \
    X(167, 162, CONTENT_TYPE, "image/png") \
    X(168, 46, CONTENT_TYPE, "image/jpeg") \
    X(169, 105, CONTENT_TYPE, "image/gif") \
    X(170, 369, CONTENT_TYPE, "image/webp") \
    X(171, 4, CONTENT_TYPE, "image/avif") \
    X(172, 506, CONTENT_TYPE, "image/svg+xml") \
    X(173, 295, CONTENT_TYPE, "image/x-icon") \
    X(174, 95, CONTENT_TYPE, "font/woff2") \
    X(175, 485, CONTENT_TYPE, "video/mp4") \
    X(176, 99, DNT, "1") \
    X(177, 278, EXPECT, "100-continue") \
    X(178, 3, PRAGMA, "no-cache") \
    X(179, 501, REFERRER_POLICY, "strict-origin-when-cross-origin") \
    X(180, 299, SEC_CH_UA_MOBILE, "?0") \
    X(181, 473, SEC_CH_UA_MOBILE, "?1") \
    X(182, 350, SEC_FETCH_DEST, "document") \
    X(183, 398, SEC_FETCH_DEST, "empty") \
    X(184, 158, SEC_FETCH_DEST, "image") \
    X(185, 234, SEC_FETCH_DEST, "script") \
    X(186, 430, SEC_FETCH_DEST, "style") \
    X(187, 393, SEC_FETCH_DEST, "font") \
    X(188, 397, SEC_FETCH_MODE, "navigate") \
    X(189, 453, SEC_FETCH_MODE, "no-cors") \
    X(190, 317, SEC_FETCH_MODE, "cors") \
    X(191, 50, SEC_FETCH_SITE, "none") \
    X(192, 6, SEC_FETCH_SITE, "same-origin") \
    X(193, 441, SEC_FETCH_SITE, "same-site") \
    X(194, 29, SEC_FETCH_SITE, "cross-site") \
    X(195, 293, SEC_FETCH_USER, "?1") \
    X(196, 372, SEC_WEBSOCKET_VERSION, "13") \
    X(197, 49, SERVER, "nginx") \
    X(198, 318, STRICT_TRANSPORT_SECURITY, "max-age=31536000") \
    X(199, 188, STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains") \
    X(200, 97, TE, "trailers") \
    X(201, 145, UPGRADE_INSECURE_REQUESTS, "1") \
    X(202, 156, VARY, "Accept-Encoding") \
    X(203, 341, VARY, "Origin") \
    X(204, 235, X_CONTENT_TYPE_OPTIONS, "nosniff") \
    X(205, 371, X_FRAME_OPTIONS, "DENY") \
    X(206, 131, X_FRAME_OPTIONS, "SAMEORIGIN") \
    X(207, 360, X_REQUESTED_WITH, "XMLHttpRequest")
// clang-format on

#endif
