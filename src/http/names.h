/* SPDX-License-Identifier: Apache-2.0
 *
 * The field names that the program knows. A row is: constant, code, slot, spelling. The code is the
 * name's byte in the link's message form (docs/protocol/message.md): rows are only ever added at
 * the end. The slot is the name's place in the perfect hash of names.c; two rows with one slot do
 * not compile, a wrong slot fails the unit test, which prints the right one. Part of http.h, apart
 * from it for its length.
 */
#ifndef HTTP_NAMES_H
#define HTTP_NAMES_H

// clang-format off
#define HTTP_NAME_LIST(X) \
    X(HOST, 1, 462, "Host") \
    X(ACCEPT, 2, 372, "Accept") \
    X(ACCEPT_ENCODING, 3, 232, "Accept-Encoding") \
    X(ACCEPT_LANGUAGE, 4, 449, "Accept-Language") \
    X(ACCEPT_CHARSET, 5, 431, "Accept-Charset") \
    X(ACCEPT_RANGES, 6, 39, "Accept-Ranges") \
    X(AGE, 7, 349, "Age") \
    X(ALLOW, 8, 184, "Allow") \
    X(ALT_SVC, 9, 311, "Alt-Svc") \
    X(AUTHORIZATION, 10, 272, "Authorization") \
    X(CACHE_CONTROL, 11, 29, "Cache-Control") \
    X(CONNECTION, 12, 242, "Connection") \
    X(CONTENT_DISPOSITION, 13, 336, "Content-Disposition") \
    X(CONTENT_ENCODING, 14, 140, "Content-Encoding") \
    X(CONTENT_LANGUAGE, 15, 357, "Content-Language") \
    X(CONTENT_LENGTH, 16, 292, "Content-Length") \
    X(CONTENT_LOCATION, 17, 405, "Content-Location") \
    X(CONTENT_RANGE, 18, 354, "Content-Range") \
    X(CONTENT_SECURITY_POLICY, 19, 425, "Content-Security-Policy") \
    X(CONTENT_TYPE, 20, 223, "Content-Type") \
    X(COOKIE, 21, 274, "Cookie") \
    X(DATE, 22, 37, "Date") \
    X(ETAG, 23, 488, "ETag") \
    X(EXPECT, 24, 506, "Expect") \
    X(EXPIRES, 25, 83, "Expires") \
    X(FORWARDED, 26, 402, "Forwarded") \
    X(FROM, 27, 312, "From") \
    X(IF_MATCH, 28, 173, "If-Match") \
    X(IF_MODIFIED_SINCE, 29, 341, "If-Modified-Since") \
    X(IF_NONE_MATCH, 30, 478, "If-None-Match") \
    X(IF_RANGE, 31, 197, "If-Range") \
    X(IF_UNMODIFIED_SINCE, 32, 344, "If-Unmodified-Since") \
    X(KEEP_ALIVE, 33, 379, "Keep-Alive") \
    X(LAST_MODIFIED, 34, 59, "Last-Modified") \
    X(LINK, 35, 204, "Link") \
    X(LOCATION, 36, 403, "Location") \
    X(MAX_FORWARDS, 37, 480, "Max-Forwards") \
    X(ORIGIN, 38, 508, "Origin") \
    X(PRAGMA, 39, 265, "Pragma") \
    X(PRIORITY, 40, 60, "Priority") \
    X(PROXY_AUTHENTICATE, 41, 3, "Proxy-Authenticate") \
    X(PROXY_AUTHORIZATION, 42, 158, "Proxy-Authorization") \
    X(PROXY_CONNECTION, 43, 82, "Proxy-Connection") \
    X(RANGE, 44, 281, "Range") \
    X(REFERER, 45, 50, "Referer") \
    X(REFERRER_POLICY, 46, 207, "Referrer-Policy") \
    X(REFRESH, 47, 359, "Refresh") \
    X(RETRY_AFTER, 48, 253, "Retry-After") \
    X(SEC_FETCH_DEST, 49, 320, "Sec-Fetch-Dest") \
    X(SEC_FETCH_MODE, 50, 486, "Sec-Fetch-Mode") \
    X(SEC_FETCH_SITE, 51, 70, "Sec-Fetch-Site") \
    X(SEC_FETCH_USER, 52, 236, "Sec-Fetch-User") \
    X(SEC_CH_UA, 53, 175, "Sec-CH-UA") \
    X(SEC_CH_UA_MOBILE, 54, 318, "Sec-CH-UA-Mobile") \
    X(SEC_CH_UA_PLATFORM, 55, 334, "Sec-CH-UA-Platform") \
    X(SEC_WEBSOCKET_KEY, 56, 467, "Sec-WebSocket-Key") \
    X(SEC_WEBSOCKET_VERSION, 57, 95, "Sec-WebSocket-Version") \
    X(SEC_WEBSOCKET_ACCEPT, 58, 428, "Sec-WebSocket-Accept") \
    X(SEC_WEBSOCKET_EXTENSIONS, 59, 209, "Sec-WebSocket-Extensions") \
    X(SEC_WEBSOCKET_PROTOCOL, 60, 314, "Sec-WebSocket-Protocol") \
    X(SERVER, 61, 228, "Server") \
    X(SERVER_TIMING, 62, 154, "Server-Timing") \
    X(SET_COOKIE, 63, 476, "Set-Cookie") \
    X(STRICT_TRANSPORT_SECURITY, 64, 26, "Strict-Transport-Security") \
    X(TE, 65, 218, "TE") \
    X(TIMING_ALLOW_ORIGIN, 66, 227, "Timing-Allow-Origin") \
    X(TRACEPARENT, 67, 205, "Traceparent") \
    X(TRACESTATE, 68, 168, "Tracestate") \
    X(TRAILER, 69, 176, "Trailer") \
    X(TRANSFER_ENCODING, 70, 115, "Transfer-Encoding") \
    X(UPGRADE, 71, 237, "Upgrade") \
    X(UPGRADE_INSECURE_REQUESTS, 72, 291, "Upgrade-Insecure-Requests") \
    X(USER_AGENT, 73, 222, "User-Agent") \
    X(VARY, 74, 267, "Vary") \
    X(VIA, 75, 463, "Via") \
    X(WWW_AUTHENTICATE, 76, 470, "WWW-Authenticate") \
    X(X_CONTENT_TYPE_OPTIONS, 77, 482, "X-Content-Type-Options") \
    X(X_FORWARDED_FOR, 78, 214, "X-Forwarded-For") \
    X(X_FORWARDED_HOST, 79, 161, "X-Forwarded-Host") \
    X(X_FORWARDED_PROTO, 80, 351, "X-Forwarded-Proto") \
    X(X_FORWARDED_PORT, 81, 411, "X-Forwarded-Port") \
    X(X_FRAME_OPTIONS, 82, 213, "X-Frame-Options") \
    X(X_POWERED_BY, 83, 93, "X-Powered-By") \
    X(X_REAL_IP, 84, 231, "X-Real-IP") \
    X(X_REQUEST_ID, 85, 166, "X-Request-ID") \
    X(X_REQUESTED_WITH, 86, 503, "X-Requested-With") \
    X(X_XSS_PROTECTION, 87, 288, "X-XSS-Protection") \
    X(ACCESS_CONTROL_ALLOW_ORIGIN, 88, 121, "Access-Control-Allow-Origin") \
    X(ACCESS_CONTROL_ALLOW_METHODS, 89, 247, "Access-Control-Allow-Methods") \
    X(ACCESS_CONTROL_ALLOW_HEADERS, 90, 331, "Access-Control-Allow-Headers") \
    X(ACCESS_CONTROL_ALLOW_CREDENTIALS, 91, 40, "Access-Control-Allow-Credentials") \
    X(ACCESS_CONTROL_EXPOSE_HEADERS, 92, 260, "Access-Control-Expose-Headers") \
    X(ACCESS_CONTROL_MAX_AGE, 93, 174, "Access-Control-Max-Age") \
    X(ACCESS_CONTROL_REQUEST_METHOD, 94, 498, "Access-Control-Request-Method") \
    X(ACCESS_CONTROL_REQUEST_HEADERS, 95, 440, "Access-Control-Request-Headers") \
    X(CACHE_STATUS, 96, 216, "Cache-Status") \
    X(CDN_CACHE_CONTROL, 97, 330, "CDN-Cache-Control") \
    X(SURROGATE_CONTROL, 98, 157, "Surrogate-Control") \
    X(SURROGATE_KEY, 99, 233, "Surrogate-Key") \
    X(DNT, 100, 361, "DNT") \
    X(EARLY_DATA, 101, 43, "Early-Data") \
    X(CONTENT_DIGEST, 102, 30, "Content-Digest") \
    X(SAVE_DATA, 103, 474, "Save-Data") \
    X(X_CACHE, 104, 111, "X-Cache")

enum http_name {
    HTTP_NAME_OTHER = 0,
#define X(name, code, slot, text) HTTP_NAME_##name = (code),
    HTTP_NAME_LIST(X)
#undef X
    HTTP_NAME_COUNT
};
// clang-format on

#endif
