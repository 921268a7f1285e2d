/* The HTTP engine: what passes, what does not, and that the cuts do not matter. */
#include "check.h"

#include "csrc/http.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define HOST "Host: a.test\r\n"

static const gv_http_limits LIMITS = {100, 500, 5, 40, 60, 1000};
static gv_http_batch *batch;
static char seen[8192]; /* events in letters, with what belongs to them */

static void see(const char *text, size_t len) {
    CHECK(strlen(seen) + len < sizeof(seen));
    strncat(seen, text, len);
}

/* H<method|target|name|value...> D<data> T<...> E U !<status> */
static void see_event(const int64_t *event, const char *data) {
    const char *text = gv_http_batch_text(batch);
    char number[24];

    switch (event[0]) {
    case GV_HTTP_HEAD:
    case GV_HTTP_TRAILERS:
        see(event[0] == GV_HTTP_HEAD ? "H" : "T", 1);
        for (int64_t i = 0; i < event[2]; i++)
            see(text[event[1] + i] == '\0' ? "|" : text + event[1] + i, 1);
        break;
    case GV_HTTP_DATA:
        see(data + event[1], (size_t) event[2]);
        break;
    case GV_HTTP_END:
        see("E", 1);
        break;
    case GV_HTTP_UPGRADED:
        see("U", 1);
        break;
    default:
        snprintf(number, sizeof(number), "!%d", (int) event[1]);
        see(number, strlen(number));
    }
}

static int64_t feed(gv_http *http, const char *data, size_t len, int messages) {
    int64_t used = 0;
    int64_t count = gv_http_feed(http, batch, data, (int64_t) len, messages, &used);

    CHECK(count >= 0);
    for (int64_t i = 0; i < count; i++)
        see_event(gv_http_batch_events(batch) + 5 * i, data);
    return used;
}

static gv_http *make(int type) {
    gv_http *http = gv_http_new(type, &LIMITS);

    CHECK(http != NULL);
    return http;
}

/* Feed it in pieces of so many bytes, and look at what came of it. */
static void run(int type, int answer_to, const char *data, size_t piece, bool ends,
                const char *wanted) {
    gv_http *http = make(type);
    size_t len = strlen(data);

    seen[0] = '\0';
    if (type == GV_HTTP_RESPONSES)
        CHECK_EQ(gv_http_answer_to(http, answer_to), 0);
    for (size_t at = 0; at < len;) {
        size_t size = len - at < piece ? len - at : piece;
        int64_t used = feed(http, data + at, size, 100);

        if (used == 0)
            break;
        at += (size_t) used;
    }
    if (ends) {
        int64_t count = gv_http_eof(http, batch);

        for (int64_t i = 0; i < count; i++)
            see_event(gv_http_batch_events(batch) + 5 * i, NULL);
    }
    if (strcmp(seen, wanted) != 0) {
        fprintf(stderr, "%s\ngave   %s\nwanted %s\n", data, seen, wanted);
        exit(1);
    }
    gv_http_free(http);
}

static void check(int type, int answer_to, const char *data, bool ends, const char *wanted) {
    for (size_t piece = 1; piece <= strlen(data); piece++)
        run(type, answer_to, data, piece, ends, wanted);
}

static void request(const char *data, const char *wanted) {
    check(GV_HTTP_REQUESTS, GV_HTTP_TO_ANY, data, false, wanted);
}

static void response(const char *data, const char *wanted) {
    check(GV_HTTP_RESPONSES, GV_HTTP_TO_ANY, data, true, wanted);
}

#define GET "GET / HTTP/1.1\r\n" HOST "\r\n"
#define SEEN_GET "HGET|/|Host|a.test|E"
#define POST(fields, body) "POST / HTTP/1.1\r\n" HOST fields "\r\n" body
#define SEEN_POST(fields) "HPOST|/|Host|a.test|" fields
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define SEEN_CHUNKED SEEN_POST("Transfer-Encoding|chunked|")

static void requests_pass(void) {
    request(GET GET, SEEN_GET SEEN_GET);
    request("\r\n\r\n" GET, SEEN_GET); /* RFC 9112, 2.2 */
    request("GET /a%20b?c=d HTTP/1.0\r\n\r\n", "HGET|/a%20b?c=d|E");
    request("GET http://a.test/x HTTP/1.1\r\n" HOST "\r\n", "HGET|http://a.test/x|Host|a.test|E");
    request("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "HOPTIONS|*|Host|a.test|E");
    request("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n" GET,
            "HCONNECT|a.test:443|Host|a.test:443|EU");
    request("GET / HTTP/1.1\r\nHost:\t a.test \t\r\nA:\r\nB:b\r\n\r\n",
            "HGET|/|Host|a.test|A||B|b|E");
    request("GET / HTTP/1.1\r\nHost: [v1f.a:b]\r\n\r\n", "HGET|/|Host|[v1f.a:b]|E");
    request("GET / HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n" GET,
            "HGET|/|Host|[::1]:80|Connection|close|E");
}

static void bodies_pass(void) {
    request(POST("Content-Length: 5\r\n", "hello") GET,
            SEEN_POST("Content-Length|5|") "helloE" SEEN_GET);
    request(POST("Content-Length: 0\r\n", "") GET, SEEN_POST("Content-Length|0|") "E" SEEN_GET);
    request(POST(CHUNKED, "3;a=\"b\\\"c\"\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n") GET,
            SEEN_CHUNKED "abc0123456789E" SEEN_GET);
    request(POST(CHUNKED, "0\r\nSpam: eggs\r\nHost: evil\r\n\r\n"), SEEN_CHUNKED "TSpam|eggs|E");
}

static void requests_do_not_pass(void) {
    static const struct {
        const char *data;
        const char *wanted;
    } CASES[] = {
        {"GET / HTTP/1.1\nHost: a\n\n", "!400"},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "!400"},
        {"GET  / HTTP/1.1\r\n" HOST "\r\n", "!400"},
        {"GET / \r\n\r\n", "!400"},
        {"GET /\r\n\r\n", "!400"},
        {"GET / HTTP/2.0\r\n\r\n", "!505"},
        {"SPAM / HTTP/1.1\r\n" HOST "\r\n", "!501"},
        {"GET a HTTP/1.1\r\n" HOST "\r\n", "!400"},
        {"GET / HTTP/1.1\r\n\r\n", "!400"},
        {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", "!400"},
        {"GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", "!400"},
        {"GET / HTTP/1.1\r\nHost: [v.a]\r\n\r\n", "!400"},
        {"GET / HTTP/1.1\r\nHost: [v1.]\r\n\r\n", "!400"},
        {"GET / HTTP/1.1\r\nHost: [vg.a]\r\n\r\n", "!400"},
        {"GET / HTTP/1.1\r\nHost: [v1.%41]\r\n\r\n", "!400"},
        {"GET http://b.test/ HTTP/1.1\r\n" HOST "\r\n", "!400"},
        {"GET / HTTP/1.1\r\n" HOST "X : y\r\n\r\n", "!400"},
        {"GET / HTTP/1.1\r\n" HOST "X: y\r\n z\r\n\r\n", "!400"},
        {"GET / HTTP/1.1\r\n" HOST "\x01: y\r\n\r\n", "!400"},
        {POST("Content-Length: +5\r\n", ""), "!400"},
        {POST("Content-Length: 5\r\nContent-Length: 5\r\n", ""), "!400"},
        {POST("Content-Length: 1001\r\n", ""), "!413"},
        {POST("Content-Length: 5\r\n" CHUNKED, ""), "!400"},
        {POST("Transfer-Encoding: gzip, chunked\r\n", ""), "!501"},
        {POST("Transfer-Encoding: gzip ;q=1, chunked\r\n", ""), "!501"},
        {POST("Transfer-Encoding: ;q=1, chunked\r\n", ""), "!400"},
        {POST("Transfer-Encoding: chunked;q=1\r\n", ""), "!400"},
        {POST("Transfer-Encoding: chunked;q=1, chunked\r\n", ""), "!400"},
        {POST("Transfer-Encoding: chunked, gzip\r\n", ""), "!400"},
        {POST(CHUNKED CHUNKED, ""), "!400"},
        {"POST / HTTP/1.0\r\n" CHUNKED "\r\n", "!400"},
        {POST(CHUNKED, "x\r\n"), SEEN_CHUNKED "!400"},
        {POST(CHUNKED, "3\nabc\r\n"), SEEN_CHUNKED "!400"},
        {POST(CHUNKED, "3\r\nabcX\r\n"), SEEN_CHUNKED "abc!400"},
        {POST(CHUNKED, "3e9\r\n"), SEEN_CHUNKED "!413"},
        {POST(CHUNKED, "0\r\nGET / HTTP/1.1\r\n\r\n"), SEEN_CHUNKED "!400"},
        {POST(CHUNKED, "0\r\n\rX"), SEEN_CHUNKED "!400"},
        {"TRACE / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n", "!400"},
        {"\r\n\r\n\r\n\r\n\r\n\r\n" GET, "!400"},
        {GET "GET", SEEN_GET},
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++)
        request(CASES[i].data, CASES[i].wanted);
}

static void limits_hold_across_pieces(void) {
    char data[2000];

    memset(data, 'x', sizeof(data));
    memcpy(data, "GET /", 5);
    data[300] = '\0';
    request(data, "!414");
    strcpy(data, "GET / HTTP/1.1\r\n" HOST "X: ");
    memset(data + strlen(data), 'y', 1000);
    data[1000] = '\0';
    request(data, "!431");
    request("GET / HTTP/1.1\r\n" HOST "A: a\r\nB: b\r\nC: c\r\nD: d\r\nE: e\r\n\r\n", "!431");
    strcpy(data, POST(CHUNKED, "1;"));
    memset(data + strlen(data), 'x', 100);
    data[strlen(POST(CHUNKED, "1;")) + 100] = '\0';
    request(data, SEEN_CHUNKED "!400");
}

static void responses_pass(void) {
    response("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nspam", "H200|OK|Content-Length|4|spamE");
    response("HTTP/1.1 200 OK\r\n\r\nup to the end", "H200|OK|up to the endE");
    response("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 \r\n\r\n", "H100|Continue|EH204||E");
    response("HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n",
             "H304|Not Modified|Content-Length|4|E");
    response("HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
             "H200|OK|X|a   b|Content-Length|0|E"); /* RFC 9112, 5.2 */
    response("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
             "H101|Switching Protocols|Upgrade|x|Connection|upgrade|EU");
    check(GV_HTTP_RESPONSES, GV_HTTP_TO_HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", true,
          "H200|OK|Content-Length|4|E");
    check(GV_HTTP_RESPONSES, GV_HTTP_TO_CONNECT, "HTTP/1.1 200 OK\r\n\r\nrest", false,
          "H200|OK|EU");
}

static void responses_do_not_pass(void) {
    response("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsp", "H200|OK|Content-Length|4|sp!400");
    response("HTTP/1.1 200 OK\r\nConte", "!400");
    response("HTTP/1.1 2000 OK\r\n\r\n", "!502");
    response("ICY 200 OK\r\n\r\n", "!502");
    response("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n", "!400");
    response("HTTP/1.1 200 OK\r\n" CHUNKED "\r\n0\r\n X: a\r\n\r\n",
             "H200|OK|Transfer-Encoding|chunked|!400"); /* folded into nothing */
}

static void so_many_messages_and_no_more(void) {
    gv_http *http = make(GV_HTTP_REQUESTS);
    size_t one = strlen(GET);

    seen[0] = '\0';
    CHECK_EQ(feed(http, GET GET GET, 3 * one, 2), (int64_t) (2 * one));
    CHECK(strcmp(seen, SEEN_GET SEEN_GET) == 0);
    CHECK_EQ(gv_http_busy(http), 0);
    CHECK_EQ(feed(http, "G", 1, 2), 1);
    CHECK_EQ(gv_http_busy(http), 1);
    gv_http_free(http);
}

/* A batch that is full is taken, and the rest is fed again. */
static void more_than_a_batch_holds(void) {
    enum { CHUNKS = 600 };
    static char data[CHUNKS * 6 + 200];
    static char wanted[CHUNKS + 200];

    strcpy(data, POST(CHUNKED, ""));
    strcpy(wanted, SEEN_CHUNKED);
    for (int i = 0; i < CHUNKS; i++) {
        strcat(data, "1\r\nx\r\n");
        strcat(wanted, "x");
    }
    strcat(data, "0\r\n\r\n");
    strcat(wanted, "E");
    run(GV_HTTP_REQUESTS, 0, data, strlen(data), false, wanted);
}

static void lines_are_plain_or_not(void) {
    static const struct {
        const char *line;
        int64_t method;
    } CASES[] = {
        {"GET / HTTP/1.1", 3},
        {"HEAD /a HTTP/1.1", 4},
        {"GET /a%20b?c=d&e=%ff HTTP/1.1", 3},
        {"GET / HTTP/1.0", 0},
        {"GET / HTTP/2.1", 0},
        {"GET  / HTTP/1.1", 0},
        {"GET /  HTTP/1.1", 0},
        {"GET / HTTP/1.1 ", 0},
        {"GET /% HTTP/1.1", 0},
        {"GET /a#b HTTP/1.1", 0},
        {"GET /a\tb HTTP/1.1", 0},
        {"GET /a\r HTTP/1.1", 0},
        {"GET * HTTP/1.1", 0},
        {"GET http://a/ HTTP/1.1", 0},
        {"POST / HTTP/1.1", 0},
        {"HEADS / HTTP/1.1", 0},
        {"GET HTTP/1.1", 0},
        {"GET /HTTP/1.1", 0},
        {"HEAD / HTTP/1.", 0},
        {"GET /", 0},
        {"GET ", 0},
        {"", 0},
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++)
        CHECK_EQ(gv_http_plain_line(CASES[i].line, (int64_t) strlen(CASES[i].line)),
                 CASES[i].method);
    CHECK_EQ(gv_http_plain_line("GET /\0 HTTP/1.1", 15), 0);
    CHECK_EQ(gv_http_plain_line(NULL, 3), 0);
    CHECK_EQ(gv_http_plain_line("GET / HTTP/1.1", -1), 0);
}

static void misuse_is_an_error(void) {
    gv_http *http = make(GV_HTTP_REQUESTS);
    gv_http_batch *small = gv_http_batch_new(10);
    gv_http_limits wrong = LIMITS;
    int64_t used;

    wrong.line = 0;
    CHECK(gv_http_new(GV_HTTP_REQUESTS, &wrong) == NULL);
    CHECK(gv_http_new(7, &LIMITS) == NULL);
    CHECK(gv_http_new(GV_HTTP_REQUESTS, NULL) == NULL);
    CHECK(gv_http_batch_new(-1) == NULL);
    CHECK_EQ(gv_http_feed(NULL, batch, "x", 1, 1, &used), UV_EINVAL);
    CHECK_EQ(gv_http_feed(http, NULL, "x", 1, 1, &used), UV_EINVAL);
    CHECK_EQ(gv_http_feed(http, small, "x", 1, 1, &used), UV_EINVAL);
    CHECK_EQ(gv_http_feed(http, batch, NULL, 1, 1, &used), UV_EINVAL);
    CHECK_EQ(gv_http_feed(http, batch, "x", -1, 1, &used), UV_EINVAL);
    CHECK_EQ(gv_http_feed(http, batch, "x", 1, 0, &used), UV_EINVAL);
    CHECK_EQ(gv_http_answer_to(http, GV_HTTP_TO_HEAD), UV_EINVAL);
    CHECK_EQ(feed(http, "\x01", 1, 1), 0);
    CHECK_EQ(feed(http, GET, strlen(GET), 1), 0); /* nothing is taken behind an error */
    CHECK(strcmp(gv_http_error_text(-1), "no error") == 0);
    CHECK(strcmp(gv_http_error_text(1000), "no error") == 0);
    gv_http_free(http);
    gv_http_free(NULL);
    gv_http_batch_free(small);
    http = make(GV_HTTP_RESPONSES);
    CHECK_EQ(gv_http_answer_to(http, 9), UV_EINVAL);
    CHECK_EQ(feed(http, "H", 1, 1), 1);
    CHECK_EQ(gv_http_answer_to(http, GV_HTTP_TO_HEAD), UV_EBUSY);
    gv_http_free(http);
}

int main(void) {
    batch = gv_http_batch_new(1000);
    CHECK(batch != NULL);
    requests_pass();
    bodies_pass();
    requests_do_not_pass();
    limits_hold_across_pieces();
    responses_pass();
    responses_do_not_pass();
    so_many_messages_and_no_more();
    more_than_a_batch_holds();
    lines_are_plain_or_not();
    misuse_is_an_error();
    gv_http_batch_free(batch);
    return 0;
}
