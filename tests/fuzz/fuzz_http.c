/* Any bytes, fed to the HTTP engine whole and in pieces: the same must come of them. And a plain
 * line, and fields that have passed, are a good head together.
 *
 * The first byte says which way they travel, what is answered, and how they are cut. */
#include "csrc/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 8192, WORDS = GV_HTTP_WORDS };

typedef struct {
    char *bytes;
    size_t size;
    size_t used;
    int last; /* the kind of the last event */
} record;

static void must(int ok, const char *what) {
    if (ok)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void add(record *to, const void *bytes, size_t len) {
    if (to->used + len > to->size) {
        to->size = 2 * (to->used + len);
        to->bytes = realloc(to->bytes, to->size);
        must(to->bytes != NULL, "no memory");
    }
    if (len > 0)
        memcpy(to->bytes + to->used, bytes, len);
    to->used += len;
}

/* Text is parts with a NUL behind each. */
static void add_text(record *to, const gv_http_batch *batch, const int64_t *event) {
    const char *text = gv_http_batch_text(batch);

    must(event[1] >= 0 && event[2] > 0 && event[1] + event[2] <= TEXT, "text outside of the batch");
    must(text[event[1] + event[2] - 1] == '\0', "text without an end");
    add(to, text + event[1], (size_t) event[2]);
}

static void add_event(record *to, const gv_http_batch *batch, const int64_t *event,
                      const char *data, int64_t len) {
    char kind = (char) event[0];

    must(to->last != GV_HTTP_ERROR, "something behind an error");
    if (event[0] != GV_HTTP_DATA || to->last != GV_HTTP_DATA)
        add(to, &kind, 1); /* data may be cut anywhere */
    to->last = (int) event[0];
    if (event[0] == GV_HTTP_DATA) {
        must(event[1] >= 0 && event[2] > 0 && event[1] + event[2] <= len, "data outside of itself");
        add(to, data + event[1], (size_t) event[2]);
        return;
    }
    if (event[0] == GV_HTTP_HEAD || event[0] == GV_HTTP_TRAILERS)
        add_text(to, batch, event);
    add(to, event + (event[0] == GV_HTTP_ERROR ? 1 : 3), 2 * sizeof(*event));
}

static void take(record *to, const gv_http_batch *batch, int64_t count, const char *data,
                 int64_t len) {
    const int64_t *events = gv_http_batch_events(batch);

    must(count >= 0, "an engine that cannot be fed");
    for (int64_t i = 0; i < count; i++)
        add_event(to, batch, events + i * WORDS, data, len);
}

static void feed(gv_http *http, gv_http_batch *batch, record *to, const char *data, int64_t len) {
    while (len > 0) {
        int64_t used = -1;
        int64_t count = gv_http_feed(http, batch, data, len, 3, &used);

        must(used >= 0 && used <= len, "more consumed than there is");
        take(to, batch, count, data, len);
        if (used == 0)
            return;
        data += used;
        len -= used;
    }
}

static const gv_http_limits LIMITS = {500, 2000, 20, 100, 200, 5000};

static record run(const uint8_t *input, size_t size, int step) {
    gv_http *http = gv_http_new(input[0] & 1, &LIMITS);
    gv_http_batch *batch = gv_http_batch_new(TEXT);
    record to = {NULL, 0, 0, -1};

    must(http != NULL && batch != NULL, "no memory");
    gv_http_answer_to(http, (input[0] >> 1) % 3);
    for (size_t at = 1; at < size; at += (size_t) step) {
        size_t len = size - at < (size_t) step ? size - at : (size_t) step;
        char *piece = malloc(len); /* so that a read behind it is seen */

        must(piece != NULL, "no memory");
        memcpy(piece, input + at, len);
        feed(http, batch, &to, piece, (int64_t) len);
        free(piece);
    }
    if (to.last != GV_HTTP_ERROR)
        take(&to, batch, gv_http_eof(http, batch), NULL, 0);
    gv_http_free(http);
    gv_http_batch_free(batch);
    return to;
}

/* Return how many bytes of text came of the head that is made of these two and has no body, or -1
 * if they make none that is nothing else. */
static int64_t head_of(const char *line, size_t line_len, const char *rest, size_t rest_len) {
    gv_http *http = gv_http_new(GV_HTTP_REQUESTS, &LIMITS);
    gv_http_batch *batch = gv_http_batch_new(TEXT);
    char *data = malloc(line_len + rest_len + 1);
    int64_t used, count, result = -1;

    must(http != NULL && batch != NULL && data != NULL, "no memory");
    memcpy(data, line, line_len);
    memcpy(data + line_len, rest, rest_len);
    count = gv_http_feed(http, batch, data, (int64_t) (line_len + rest_len), 1, &used);
    if (count == 2 && used == (int64_t) (line_len + rest_len)) {
        const int64_t *event = gv_http_batch_events(batch);

        if (event[0] == GV_HTTP_HEAD && event[WORDS] == GV_HTTP_END &&
            (event[3] & ~GV_HTTP_HEAD_METHOD) == (GV_HTTP_MINOR | GV_HTTP_KEEP_ALIVE))
            result = event[2];
    }
    free(data);
    gv_http_batch_free(batch);
    gv_http_free(http);
    return result;
}

/* What gruvi_cffi/http/known.py relies on. */
static void exchange_lines(const char *data, size_t size) {
    static const char LINE[] = "GET /a?b HTTP/1.1";
    static const char REST[] = "\r\nHost: a\r\n\r\n";
    const char *end = memchr(data, '\r', size);
    size_t len = end == NULL ? size : (size_t) (end - data);
    int64_t method = len <= 500 ? gv_http_plain_line(data, (int64_t) len) : 0;
    int64_t text = end == NULL ? -1 : head_of(data, len, end, size - len);

    if (method > 0)
        must(head_of(data, len, REST, sizeof(REST) - 1) > 0, "a plain line that is refused");
    /* An empty line before the request counts as one of those, and is no part of the head. */
    if (text > 0 && len > 9 && memcmp(end - 9, " HTTP/1.1", 9) == 0 && size < 1900)
        must(head_of(LINE, sizeof(LINE) - 1, end, size - len) > 0, "known fields that are refused");
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    record whole, pieces;

    if (size < 2)
        return 0;
    whole = run(input, size, (int) size);
    pieces = run(input, size, 1 + (input[0] >> 3));
    must(whole.used == pieces.used &&
             (whole.used == 0 || memcmp(whole.bytes, pieces.bytes, whole.used) == 0),
         "pieces mean something else than the whole");
    free(whole.bytes);
    free(pieces.bytes);
    exchange_lines((const char *) input + 1, size - 1);
    return 0;
}
