/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests, good and bad, each fed whole, cut at every byte, and byte by byte.
 */
#include "record.h"

#include <stdio.h>

#define HOST    "Host: a\r\n"
#define POST    "POST / HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

/* Small limits, so that rows can pass them. */
static const struct http_limits small = {
    .line_bytes = 64,
    .head_bytes = 200,
    .fields = 4,
    .name_bytes = 32,
    .trailer_bytes = 40,
    .trailers = 2,
    .chunk_line_bytes = 24,
    .chunk_extension_bytes = 40,
    .informational = 2,
    .body_bytes = 10,
};

#define TEXT(literal)                                      \
    {                                                      \
        (const uint8_t *)("" literal), sizeof(literal) - 1 \
    }

struct bad_row {
    struct span input;
    enum http_cause cause;
    unsigned status;
    bool is_small;
};

// clang-format off
static const struct bad_row bad_rows[] = {
    /* Start of the request line. */
    {TEXT("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_EMPTY_LINES, 400, false},
    {TEXT("\nGET / HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_LINE_END, 400, false},
    {TEXT("\rGET / HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_LINE_END, 400, false},
    {TEXT(" GET / HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_METHOD, 400, false},
    {TEXT("GE\x01T / HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_METHOD, 400, false},
    {TEXT("G\xc3\x8bT / HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_METHOD, 400, false},
    {TEXT("G:T / HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_METHOD, 400, false},
    {TEXT("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_METHOD, 400, false},
    {TEXT("GET\r\n"), HTTP_CAUSE_METHOD, 400, false},
    {TEXT("\x16\x03\x01\x02\x00\x01"), HTTP_CAUSE_METHOD, 400, false}, /* TLS on a cleartext port */
    {TEXT("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ / HTTP/1.1\r\n"), HTTP_CAUSE_METHOD_LONG, 501, false},
    {TEXT("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), HTTP_CAUSE_METHOD_CONNECT, 501, false},
    {TEXT("CONNECT / HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_METHOD_CONNECT, 501, false},
    /* Target. */
    {TEXT("GET  / HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_TARGET, 400, false},
    {TEXT("GET /a b HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_VERSION, 400, false},
    {TEXT("GET /a\tb HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_TARGET, 400, false},
    {TEXT("GET /a\x00z HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_TARGET, 400, false},
    {TEXT("GET /a\x7f HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_TARGET, 400, false},
    {TEXT("GET /caf\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_TARGET, 400, false},
    {TEXT("GET /a#b HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_TARGET, 400, false},
    {TEXT("GET /\n" HOST "\r\n"), HTTP_CAUSE_TARGET, 400, false},
    {TEXT("GET a HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_TARGET_FORM, 400, false},
    {TEXT("GET a:80 HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_TARGET_FORM, 400, false},
    {TEXT("GET * HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_TARGET_FORM, 400, false},
    {TEXT("OPTIONS ** HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_TARGET_FORM, 400, false},
    {TEXT("GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_TARGET_FORM, 400, false},
    {TEXT("GET http:///x HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_HOST_INVALID, 400, false},
    {TEXT("GET http://u:p@a/x HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_HOST_INVALID, 400, false},
    {TEXT("GET http://a:b/x HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_HOST_INVALID, 400, false},
    {TEXT("GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n"), HTTP_CAUSE_TARGET_LONG, 414, true},
    {TEXT("GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_TARGET_LONG, 414, true},
    /* Version. */
    {TEXT("GET /\r\n"), HTTP_CAUSE_VERSION, 400, false},
    {TEXT("GET / \r\n"), HTTP_CAUSE_VERSION, 400, false},
    {TEXT("GET / http/1.1\r\n" HOST "\r\n"), HTTP_CAUSE_VERSION, 400, false},
    {TEXT("GET / HTTP/1\r\n" HOST "\r\n"), HTTP_CAUSE_VERSION, 400, false},
    {TEXT("GET / HTTP/1.10\r\n" HOST "\r\n"), HTTP_CAUSE_VERSION, 400, false},
    {TEXT("GET / HTTP/01.1\r\n" HOST "\r\n"), HTTP_CAUSE_VERSION, 400, false},
    {TEXT("GET / HTTP/1.1 \r\n" HOST "\r\n"), HTTP_CAUSE_VERSION, 400, false},
    {TEXT("GET / HTTP/x.1\r\n" HOST "\r\n"), HTTP_CAUSE_VERSION, 400, false},
    {TEXT("GET / HTTP/1.1\n" HOST "\r\n"), HTTP_CAUSE_LINE_END, 400, false},
    {TEXT("GET / HTTP/1.1\rX"), HTTP_CAUSE_LINE_END, 400, false},
    {TEXT("GET / HTTP/2.0\r\n" HOST "\r\n"), HTTP_CAUSE_VERSION_UNSUPPORTED, 505, false},
    {TEXT("GET / HTTP/0.9\r\n" HOST "\r\n"), HTTP_CAUSE_VERSION_UNSUPPORTED, 505, false},
    {TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), HTTP_CAUSE_VERSION_UNSUPPORTED, 505, false},
    /* Field lines. */
    {TEXT("GET / HTTP/1.1\r\n" HOST "A: 1\r\n 2\r\n\r\n"), HTTP_CAUSE_FIELD_FOLDED, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "A: 1\r\n\t2\r\n\r\n"), HTTP_CAUSE_FIELD_FOLDED, 400, false},
    {TEXT("GET / HTTP/1.1\r\n " HOST "\r\n"), HTTP_CAUSE_FIELD_FOLDED, 400, false},
    {TEXT("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), HTTP_CAUSE_FIELD_SPACE, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "Transfer-Encoding\t: chunked\r\n\r\n"), HTTP_CAUSE_FIELD_SPACE, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n"), HTTP_CAUSE_FIELD_SPACE, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "nocolon\r\n\r\n"), HTTP_CAUSE_FIELD_NAME, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST ": empty\r\n\r\n"), HTTP_CAUSE_FIELD_NAME, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "A\x00: 1\r\n\r\n"), HTTP_CAUSE_FIELD_NAME, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "A(b): 1\r\n\r\n"), HTTP_CAUSE_FIELD_NAME, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "\xc3\xa9: 1\r\n\r\n"), HTTP_CAUSE_FIELD_NAME, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "\"A\": 1\r\n\r\n"), HTTP_CAUSE_FIELD_NAME, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "A: 1\n\r\n"), HTTP_CAUSE_LINE_END, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "A: 1\nB: 2\r\n\r\n"), HTTP_CAUSE_LINE_END, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "A: 1\rB: 2\r\n\r\n"), HTTP_CAUSE_LINE_END, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "\n"), HTTP_CAUSE_LINE_END, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "\rGET"), HTTP_CAUSE_LINE_END, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "A: 1\x00\r\n\r\n"), HTTP_CAUSE_FIELD_VALUE, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "A: 0123456789abcdef\x01\r\n\r\n"), HTTP_CAUSE_FIELD_VALUE, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "A: a\x0b\r\n\r\n"), HTTP_CAUSE_FIELD_VALUE, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "A: a\x7f\r\n\r\n"), HTTP_CAUSE_FIELD_VALUE, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n"), HTTP_CAUSE_HEAD_FIELDS, 431, true},
    {TEXT("GET / HTTP/1.1\r\n" HOST "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: 1\r\n\r\n"), HTTP_CAUSE_FIELD_NAME_LONG, 431, true},
    {TEXT("GET / HTTP/1.1\r\n" HOST "A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
          HTTP_CAUSE_HEAD_LONG, 431, true},
    /* Host. */
    {TEXT("GET / HTTP/1.1\r\n\r\n"), HTTP_CAUSE_HOST_MISSING, 400, false},
    {TEXT("GET http://a/ HTTP/1.1\r\n\r\n"), HTTP_CAUSE_HOST_MISSING, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST HOST "\r\n"), HTTP_CAUSE_HOST_DUPLICATE, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "host: b\r\n\r\n"), HTTP_CAUSE_HOST_DUPLICATE, 400, false},
    {TEXT("GET / HTTP/1.0\r\n" HOST HOST "\r\n"), HTTP_CAUSE_HOST_DUPLICATE, 400, false},
    {TEXT("GET / HTTP/1.1\r\nHost:\r\n\r\n"), HTTP_CAUSE_HOST_INVALID, 400, false},
    {TEXT("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), HTTP_CAUSE_HOST_INVALID, 400, false},
    {TEXT("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), HTTP_CAUSE_HOST_INVALID, 400, false},
    {TEXT("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), HTTP_CAUSE_HOST_INVALID, 400, false},
    {TEXT("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), HTTP_CAUSE_HOST_INVALID, 400, false},
    {TEXT("GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n"), HTTP_CAUSE_HOST_INVALID, 400, false},
    {TEXT("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n"), HTTP_CAUSE_HOST_INVALID, 400, false},
    {TEXT("GET / HTTP/1.1\r\nHost: a..b\r\n\r\n"), HTTP_CAUSE_HOST_INVALID, 400, false},
    {TEXT("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), HTTP_CAUSE_HOST_INVALID, 400, false},
    {TEXT("GET / HTTP/1.1\r\nHost: [a]\r\n\r\n"), HTTP_CAUSE_HOST_INVALID, 400, false},
    {TEXT("GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n"), HTTP_CAUSE_HOST_INVALID, 400, false},
    /* Framing. */
    {TEXT(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_CAUSE_LENGTH_AND_CODING, 400, false},
    {TEXT(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"), HTTP_CAUSE_LENGTH_AND_CODING, 400, false},
    {TEXT(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), HTTP_CAUSE_LENGTH_DUPLICATE, 400, false},
    {TEXT(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), HTTP_CAUSE_LENGTH_DUPLICATE, 400, false},
    {TEXT(POST "Content-Length: 5, 5\r\n\r\nhello"), HTTP_CAUSE_LENGTH_INVALID, 400, false},
    {TEXT(POST "Content-Length: +5\r\n\r\nhello"), HTTP_CAUSE_LENGTH_INVALID, 400, false},
    {TEXT(POST "Content-Length: -5\r\n\r\nhello"), HTTP_CAUSE_LENGTH_INVALID, 400, false},
    {TEXT(POST "Content-Length: 0x5\r\n\r\nhello"), HTTP_CAUSE_LENGTH_INVALID, 400, false},
    {TEXT(POST "Content-Length: 5 5\r\n\r\nhello"), HTTP_CAUSE_LENGTH_INVALID, 400, false},
    {TEXT(POST "Content-Length: 5;\r\n\r\nhello"), HTTP_CAUSE_LENGTH_INVALID, 400, false},
    {TEXT(POST "Content-Length:\r\n\r\nhello"), HTTP_CAUSE_LENGTH_INVALID, 400, false},
    {TEXT(POST "Content-Length: 99999999999999999999\r\n\r\n"), HTTP_CAUSE_BODY_LONG, 413, false},
    {TEXT(POST "Content-Length: 11\r\n\r\n"), HTTP_CAUSE_BODY_LONG, 413, true},
    {TEXT(POST "Transfer-Encoding:\r\n\r\n"), HTTP_CAUSE_CODING_INVALID, 400, false},
    {TEXT(POST "Transfer-Encoding: ,\r\n\r\n"), HTTP_CAUSE_CODING_INVALID, 400, false},
    {TEXT(POST "Transfer-Encoding: chunked,\r\n\r\n"), HTTP_CAUSE_CODING_INVALID, 400, false},
    {TEXT(POST "Transfer-Encoding: , chunked\r\n\r\n"), HTTP_CAUSE_CODING_INVALID, 400, false},
    {TEXT(POST "Transfer-Encoding: chunked, chunked\r\n\r\n"), HTTP_CAUSE_CODING_INVALID, 400, false},
    {TEXT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_CAUSE_CODING_INVALID, 400, false},
    {TEXT(POST "Transfer-Encoding: chunked, gzip\r\n\r\n"), HTTP_CAUSE_CODING_INVALID, 400, false},
    {TEXT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"), HTTP_CAUSE_CODING_INVALID, 400, false},
    {TEXT(POST "Transfer-Encoding: \"chunked\"\r\n\r\n"), HTTP_CAUSE_CODING_INVALID, 400, false},
    {TEXT(POST "Transfer-Encoding: chunked chunked\r\n\r\n"), HTTP_CAUSE_CODING_INVALID, 400, false},
    {TEXT(POST "Transfer-Encoding: \x0b" "chunked\r\n\r\n"), HTTP_CAUSE_FIELD_VALUE, 400, false},
    {TEXT(POST "Transfer-Encoding: gzip, chunked\r\n\r\n"), HTTP_CAUSE_CODING_UNKNOWN, 501, false},
    {TEXT(POST "Transfer-Encoding: gzip\r\n\r\n"), HTTP_CAUSE_CODING_UNKNOWN, 501, false},
    {TEXT(POST "Transfer-Encoding: identity\r\n\r\n"), HTTP_CAUSE_CODING_UNKNOWN, 501, false},
    {TEXT(POST "Transfer-Encoding: xchunked\r\n\r\n"), HTTP_CAUSE_CODING_UNKNOWN, 501, false},
    {TEXT(POST "Transfer-Encoding: chunked;a=b\r\n\r\n"), HTTP_CAUSE_CODING_UNKNOWN, 501, false},
    {TEXT("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"), HTTP_CAUSE_CODING_VERSION, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "Connection: a b\r\n\r\n"), HTTP_CAUSE_CONNECTION_INVALID, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,0,1,2,3,4,5,6\r\n\r\n"),
          HTTP_CAUSE_CONNECTION_INVALID, 400, false},
    {TEXT(POST "Content-Length: 5\r\nExpect: 200-ok\r\n\r\nhello"), HTTP_CAUSE_EXPECTATION, 417, false},
    /* Chunks. */
    {TEXT(CHUNKED "\r\nhello"), HTTP_CAUSE_CHUNK_SIZE, 400, false},
    {TEXT(CHUNKED "+5\r\nhello\r\n"), HTTP_CAUSE_CHUNK_SIZE, 400, false},
    {TEXT(CHUNKED "-5\r\nhello\r\n"), HTTP_CAUSE_CHUNK_SIZE, 400, false},
    {TEXT(CHUNKED "0x5\r\nhello\r\n"), HTTP_CAUSE_CHUNK_SIZE, 400, false},
    {TEXT(CHUNKED " 5\r\nhello\r\n"), HTTP_CAUSE_CHUNK_SIZE, 400, false},
    {TEXT(CHUNKED "5 \r\nhello\r\n"), HTTP_CAUSE_CHUNK_SIZE, 400, false},
    {TEXT(CHUNKED "5 ;a=b\r\nhello\r\n"), HTTP_CAUSE_CHUNK_SIZE, 400, false},
    {TEXT(CHUNKED "5\t\r\nhello\r\n"), HTTP_CAUSE_CHUNK_SIZE, 400, false},
    {TEXT(CHUNKED "g\r\nhello\r\n"), HTTP_CAUSE_CHUNK_SIZE, 400, false},
    {TEXT(CHUNKED ";a\r\nhello\r\n"), HTTP_CAUSE_CHUNK_SIZE, 400, false},
    {TEXT(CHUNKED "00000000000000005\r\nhello\r\n"), HTTP_CAUSE_CHUNK_SIZE, 400, false},
    {TEXT(CHUNKED "10000000000000005\r\nhello\r\n"), HTTP_CAUSE_CHUNK_SIZE, 400, false},
    {TEXT(CHUNKED "5\nhello\r\n"), HTTP_CAUSE_LINE_END, 400, false},
    {TEXT(CHUNKED "5\rhello\r\n"), HTTP_CAUSE_LINE_END, 400, false},
    {TEXT(CHUNKED "5;a\nhello\r\n"), HTTP_CAUSE_LINE_END, 400, false},
    {TEXT(CHUNKED "5;\x00\r\nhello\r\n"), HTTP_CAUSE_CHUNK_EXTENSION, 400, false},
    {TEXT(CHUNKED "5;\r\nhello\r\n"), HTTP_CAUSE_CHUNK_EXTENSION, 400, false},
    {TEXT(CHUNKED "5\r\nhelloX\r\n"), HTTP_CAUSE_CHUNK_END, 400, false},
    {TEXT(CHUNKED "5\r\nhello\n0\r\n\r\n"), HTTP_CAUSE_CHUNK_END, 400, false},
    {TEXT(CHUNKED "5\r\nhello\r0\r\n\r\n"), HTTP_CAUSE_CHUNK_END, 400, false},
    {TEXT(CHUNKED "5\r\nhello0\r\n\r\n"), HTTP_CAUSE_CHUNK_END, 400, false},
    {TEXT(CHUNKED "5;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"), HTTP_CAUSE_CHUNK_LONG, 400, true},
    {TEXT(CHUNKED "1;aaaaaaaaaaaaaaaaaaaaa\r\na\r\n1;aaaaaaaaaaaaaaaaaaaaa\r\na\r\n"), HTTP_CAUSE_CHUNK_EXTENSION, 400, true},
    {TEXT(CHUNKED "b\r\n"), HTTP_CAUSE_BODY_LONG, 413, true},
    {TEXT(CHUNKED "6\r\nhello!\r\n5\r\nhello\r\n"), HTTP_CAUSE_BODY_LONG, 413, true},
    {TEXT(CHUNKED "ffffffffffffffff\r\nhello\r\n"), HTTP_CAUSE_BODY_LONG, 413, true},
    /* Trailers. */
    {TEXT(CHUNKED "0\r\nContent-Length: 3\r\n\r\n"), HTTP_CAUSE_TRAILER_FORBIDDEN, 400, false},
    {TEXT(CHUNKED "0\r\ntransfer-encoding: chunked\r\n\r\n"), HTTP_CAUSE_TRAILER_FORBIDDEN, 400, false},
    {TEXT(CHUNKED "0\r\n" HOST "\r\n"), HTTP_CAUSE_TRAILER_FORBIDDEN, 400, false},
    {TEXT(CHUNKED "0\r\nA: 1\r\n b\r\n\r\n"), HTTP_CAUSE_FIELD_FOLDED, 400, false},
    {TEXT(CHUNKED "0\r\nA: 1\n\r\n"), HTTP_CAUSE_LINE_END, 400, false},
    {TEXT(CHUNKED "0\r\n\n"), HTTP_CAUSE_LINE_END, 400, false},
    {TEXT(CHUNKED "0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n"), HTTP_CAUSE_TRAILER_LONG, 431, true},
    {TEXT(CHUNKED "0\r\nA: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n"), HTTP_CAUSE_TRAILER_LONG, 431, true},
    /* Cut short. */
    {TEXT("GET / HT"), HTTP_CAUSE_TRUNCATED, 400, false},
    {TEXT("GET / HTTP/1.1\r\n" HOST), HTTP_CAUSE_TRUNCATED, 400, false},
    {TEXT(POST "Content-Length: 5\r\n\r\nhell"), HTTP_CAUSE_TRUNCATED, 400, false},
    {TEXT(CHUNKED "5\r\nhello\r\n"), HTTP_CAUSE_TRUNCATED, 400, false},
    {TEXT(CHUNKED "5\r\nhello\r\n0\r\n"), HTTP_CAUSE_TRUNCATED, 400, false},
};

struct good_row {
    struct span input;
    const char *expected;
    size_t rest; /* bytes behind the message, which must stay unused */
};

static const struct good_row good_rows[] = {
    {TEXT("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
     "GET / = / on a:0 1.1 body 0 length 0 0 keeps\n  Host: a|1\nend\n", 0},
    {TEXT("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
     "GET / = / on a:0 1.1 body 0 length 0 0 keeps\n  Host: a|1\nend\n", 0},
    {TEXT("GET / HTTP/1.0\r\n\r\n"), "GET / = / on :0 1.0 body 0 length 0 0\nend\n", 0},
    {TEXT("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"),
     "GET / = / on :0 1.0 body 0 length 0 0 keeps\n  Connection: Keep-Alive|12\nend\n", 0},
    {TEXT("GET / HTTP/1.9\r\nHost: a\r\n\r\n"),
     "GET / = / on a:0 1.1 body 0 length 0 0 keeps\n  Host: a|1\nend\n", 0},
    {TEXT("GET /x?y=1 HTTP/1.1\r\nHOST:  EXAMPLE.com.:8080 \t\r\nconnection: foo, CLOSE\r\n\r\n"),
     "GET /x?y=1 = /x?y=1 on example.com:8080 1.1 body 0 length 0 0\n  Host: EXAMPLE.com.:8080|1\n"
     "  Connection: foo, CLOSE|12\nend\n", 0},
    {TEXT("GET / HTTP/1.1\r\nHost: [2001:DB8::1]:81\r\n\r\n"),
     "GET / = / on [2001:db8::1]:81 1.1 body 0 length 0 0 keeps\n  Host: [2001:DB8::1]:81|1\nend\n", 0},
    /* RFC 9112 section 3.2.2: the target's authority replaces Host. */
    {TEXT("GET http://B.example/p?q HTTP/1.1\r\nHost: a\r\n\r\n"),
     "GET http://B.example/p?q = /p?q on b.example:0 1.1 body 0 length 0 0 keeps\n  Host: a|1\nend\n", 0},
    {TEXT("GET HTTPS://b HTTP/1.1\r\nHost: a:1\r\n\r\n"),
     "GET HTTPS://b = / on b:0 1.1 body 0 length 0 0 keeps\n  Host: a:1|1\nend\n", 0},
    {TEXT("GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n"),
     "GET http://b?q = /?q on b:0 1.1 body 0 length 0 0 keeps\n  Host: a|1\nend\n", 0},
    {TEXT("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
     "OPTIONS * = * on a:0 1.1 body 0 length 0 0 keeps\n  Host: a|1\nend\n", 0},
    {TEXT("OPTIONS http://b:81 HTTP/1.1\r\nHost: a\r\n\r\n"),
     "OPTIONS http://b:81 = * on b:81 1.1 body 0 length 0 0 keeps\n  Host: a|1\nend\n", 0},
    {TEXT("PROPFIND /dav HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nX-Tab: a\tb\xff\r\n\r\n"),
     "PROPFIND /dav = /dav on a:0 1.1 body 0 length 0 0 keeps\n  Host: a|1\n  X-Empty: |0\n  X-Tab: a\tb\xff|0\nend\n", 0},
    {TEXT("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET "),
     "POST / = / on a:0 1.1 body 1 length 1 5 keeps\n  Host: a|1\n  Content-Length: 5|16\ncontent hello\nend\n", 4},
    {TEXT("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET "),
     "POST / = / on a:0 1.1 body 1 length 1 0 keeps\n  Host: a|1\n  Content-Length: 0|16\nend\n", 4},
    {TEXT("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\nhello"),
     "POST / = / on a:0 1.1 body 1 length 1 5 keeps expects\n  Host: a|1\n  Content-Length: 5|16\n"
     "  Expect: 100-Continue|24\ncontent hello\nend\n", 0},
    {TEXT("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n"),
     "PUT / = / on a:0 1.1 body 1 length 1 0 keeps\n  Host: a|1\n  Content-Length: 0|16\n"
     "  Expect: 100-continue|24\nend\n", 0},
    {TEXT("GET / HTTP/1.0\r\nExpect: nothing\r\n\r\n"),
     "GET / = / on :0 1.0 body 0 length 0 0\nend\n", 0},
    {TEXT("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
          "5;a=\"b\"\r\nhello\r\n0A\r\n, and more\r\n000;last\r\n\r\nGET "),
     "POST / = / on a:0 1.1 body 2 length 0 0 keeps\n  Host: a|1\n  Transfer-Encoding: Chunked|70\n"
     "content hello, and more\nend\n", 4},
    {TEXT("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nETag: \"x\"\r\nX-Sum:  1 \r\n\r\n!"),
     "POST / = / on a:0 1.1 body 2 length 0 0 keeps\n  Host: a|1\n  Transfer-Encoding: chunked|70\n"
     "  trailer ETag: \"x\"|23\n  trailer X-Sum: 1|0\nend\n", 1},
    {TEXT("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\nxx"),
     "GET /chat = /chat on a:0 1.1 body 0 length 0 0 keeps upgrades\n  Host: a|1\n  Connection: keep-alive, Upgrade|12\n"
     "  Upgrade: WebSocket|71\nend\n", 2},
    /* h2c is not carried, and an upgrade with content is none. */
    {TEXT("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"),
     "GET / = / on a:0 1.1 body 0 length 0 0 keeps\n  Host: a|1\n  Connection: Upgrade, HTTP2-Settings|12\n"
     "  Upgrade: h2c|71\nend\n", 0},
    {TEXT("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"),
     "GET / = / on a:0 1.1 body 0 length 0 0 keeps\n  Host: a|1\n  Upgrade: websocket|71\nend\n", 0},
    {TEXT("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\nx"),
     "GET / = / on a:0 1.1 body 1 length 1 1 keeps\n  Host: a|1\n  Upgrade: websocket|71\n"
     "  Connection: Upgrade|12\n  Content-Length: 1|16\ncontent x\nend\n", 0},
};
// clang-format on

static void bad_requests_are_refused_with_their_cause(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_rows / sizeof *bad_rows; i++) {
        const struct bad_row *row = &bad_rows[i];
        struct record_mode mode = {.limits = row->is_small ? &small : NULL, .is_closed = true};
        struct recording whole = record(&mode, row->input, row->input.length, 1);
        if (whole.cause != row->cause)
            fail_msg("row %zu %.*s: %s, not %s", i, SPAN_ARGS(row->input),
                     http_cause_name(whole.cause), http_cause_name(row->cause));
        assert_int_equal(whole.last, HTTP_EVENT_ERROR);
        assert_int_equal(http_cause_status(whole.cause), row->status);
        check_cuts(&mode, row->input, &whole);
        recording_clear(&whole);
    }
}

static void good_requests_are_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_rows / sizeof *good_rows; i++) {
        const struct good_row *row = &good_rows[i];
        struct record_mode mode = {.is_closed = true};
        struct recording whole = record(&mode, row->input, row->input.length, 1);
        assert_string_equal(whole.text.data, row->expected);
        assert_int_equal(whole.used, row->input.length - row->rest);
        check_cuts(&mode, row->input, &whole);
        recording_clear(&whole);
    }
}

static void pipelined_requests_come_one_by_one(void **state)
{
    (void)state;
    struct text input = {0};
    size_t expected = 0;
    for (size_t i = 0; i < sizeof good_rows / sizeof *good_rows; i++, expected++) {
        struct span row = good_rows[i].input;
        text_add_span(&input, span_of(row.data, row.length - good_rows[i].rest));
    }
    struct record_mode mode = {.goes_on = true, .is_closed = true};
    struct recording whole = record(&mode, text_span(&input), input.length, 1);
    assert_int_equal(whole.messages, expected);
    assert_int_equal(whole.last, HTTP_EVENT_MORE); /* closed between messages: nothing lost */
    check_cuts(&mode, text_span(&input), &whole);
    recording_clear(&whole);
    text_clear(&input);
}

/* The queue form hands on references to the very bytes that came in. */
static void content_from_a_queue_is_not_copied(void **state)
{
    (void)state;
    static const char head[] = POST "Transfer-Encoding: chunked\r\n\r\n5\r\n";
    struct slice_queue queue = {0};
    struct slice first = slice_copy(SPAN(POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhel"));
    struct slice second = slice_copy(SPAN("lo\r\n0\r\n\r\nGET"));
    const uint8_t *bytes[] = {slice_data(&first) + sizeof head - 1, slice_data(&second)};
    slice_queue_push(&queue, first);
    slice_queue_push(&queue, second);
    struct arena arena = {0};
    struct http_head request;
    struct http_parser parser;
    http_parser_start_request(&parser, &http_limits_default, &request, &arena);
    struct slice data;
    assert_int_equal(http_parser_next(&parser, &queue, &data), HTTP_EVENT_HEAD);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(http_parser_next(&parser, &queue, &data), HTTP_EVENT_DATA);
        assert_int_equal(data.length, i ? 2 : 3);
        assert_ptr_equal(slice_data(&data), bytes[i]);
        slice_release(&data);
    }
    assert_int_equal(http_parser_next(&parser, &queue, &data), HTTP_EVENT_END);
    assert_int_equal(queue.bytes, 3);
    slice_queue_clear(&queue);
    arena_clear(&arena);
    chunk_cache_drain();
}

static void tunnel_hands_on_everything(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct http_head head;
    struct http_parser parser;
    size_t used;
    struct span data, input = SPAN("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
                                   "Upgrade: websocket\r\n\r\n");
    http_parser_start_request(&parser, &http_limits_default, &head, &arena);
    assert_true(http_parser_is_idle(&parser));
    assert_int_equal(http_parser_feed(&parser, input, &used, &data), HTTP_EVENT_HEAD);
    assert_false(http_parser_is_idle(&parser));
    assert_int_equal(http_parser_feed(&parser, SPAN(""), &used, &data), HTTP_EVENT_END);
    http_parser_tunnel(&parser);
    assert_int_equal(http_parser_feed(&parser, SPAN("\0\r\n\xff"), &used, &data), HTTP_EVENT_DATA);
    assert_int_equal(data.length, 4);
    assert_int_equal(http_parser_finish(&parser), HTTP_EVENT_END);
    arena_clear(&arena);
}

/* A head that comes in ever so many pieces takes no more room than its limits say. */
static void memory_of_a_slow_head_is_bounded(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct http_head head;
    struct http_parser parser;
    struct span line = SPAN("GET / HTTP/1.1\r\nHost: a\r\nX: "), data;
    size_t used;
    http_parser_start_request(&parser, &http_limits_default, &head, &arena);
    for (size_t i = 0; i < line.length; i++)
        assert_int_equal(http_parser_feed(&parser, span_of(line.data + i, 1), &used, &data),
                         HTTP_EVENT_MORE);
    enum http_event event = HTTP_EVENT_MORE;
    for (size_t i = 0; i < 100000 && event == HTTP_EVENT_MORE; i++)
        event = http_parser_feed(&parser, SPAN("x"), &used, &data);
    assert_int_equal(event, HTTP_EVENT_ERROR);
    assert_int_equal(parser.cause, HTTP_CAUSE_HEAD_LONG);
    assert_true(arena.used_bytes < 160 * 1024);
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_requests_are_refused_with_their_cause),
        cmocka_unit_test(good_requests_are_understood),
        cmocka_unit_test(pipelined_requests_come_one_by_one),
        cmocka_unit_test(content_from_a_queue_is_not_copied),
        cmocka_unit_test(tunnel_hands_on_everything),
        cmocka_unit_test(memory_of_a_slow_head_is_bounded),
    };
    printf("%zu bad rows, %zu good rows\n", sizeof bad_rows / sizeof *bad_rows,
           sizeof good_rows / sizeof *good_rows);
    return cmocka_run_group_tests_name("http/request", tests, NULL, NULL);
}
