/* Any bytes, fed to the HTTP engine whole and in pieces: the same must come of them.
 *
 * The first byte says which way they travel, what is answered, and how they are cut. */
#include "csrc/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 8192, WORDS = 5 };

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

static record run(const uint8_t *input, size_t size, int step) {
    static const gv_http_limits LIMITS = {500, 2000, 20, 100, 200, 5000};
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
    return 0;
}
