#include "csrc/http.h"

#include "csrc/http_parts.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { MOST_AT_ONCE = 4 }; /* events that one step may put */

static uv_once_t limit_lifted = UV_ONCE_INIT;

/* --- batches --- */

gv_http_batch *gv_http_batch_new(int64_t text_size) {
    gv_http_batch *batch;

    if (text_size < 0 || text_size > INT32_MAX)
        return NULL;
    batch = malloc(sizeof(*batch) + (size_t) text_size);
    if (batch == NULL)
        return NULL;
    batch->count = 0;
    batch->used = 0;
    batch->size = (size_t) text_size;
    return batch;
}

void gv_http_batch_free(gv_http_batch *batch) {
    free(batch);
}

const int64_t *gv_http_batch_events(const gv_http_batch *batch) {
    return batch == NULL ? NULL : batch->events;
}

const char *gv_http_batch_text(const gv_http_batch *batch) {
    return batch == NULL ? NULL : batch->text;
}

void gv_http_put(gv_http_batch *batch, gv_http_kind kind, int64_t a, int64_t b, int64_t c,
                 int64_t d) {
    int64_t *event = batch->events + batch->count++ * GV_HTTP_WORDS;

    event[0] = kind;
    event[1] = a;
    event[2] = b;
    event[3] = c;
    event[4] = d;
}

void gv_http_put_text(gv_http_batch *batch, const char *text, size_t len) {
    memcpy(batch->text + batch->used, text, len);
    batch->used += len;
    batch->text[batch->used++] = '\0';
}

/* --- engines --- */

static bool limits_are_good(const gv_http_limits *limits) {
    return limits != NULL && limits->line > 0 && limits->head > 0 && limits->head <= INT32_MAX &&
           limits->line <= INT32_MAX && limits->fields >= 0 && limits->chunk_line > 0 &&
           limits->chunk_extensions >= 0 && limits->body >= -1;
}

/* http-parser has a limit of its own, for the whole process: 80 KiB for a head. Nothing
 * gets that far that is beyond ours, which may be higher. */
static void lift_limit(void) {
    http_parser_set_max_header_size(INT32_MAX);
}

gv_http *gv_http_new(int type, const gv_http_limits *limits) {
    gv_http *http;

    if ((type != GV_HTTP_REQUESTS && type != GV_HTTP_RESPONSES) || !limits_are_good(limits))
        return NULL;
    uv_once(&limit_lifted, lift_limit);
    http = calloc(1, sizeof(*http));
    if (http == NULL)
        return NULL;
    http->limits = *limits;
    http->type = (uint8_t) type;
    return http;
}

static void drop_head(gv_http *http) {
    free(http->head);
    http->head = NULL;
    http->head_size = http->head_used = http->line = 0;
}

void gv_http_free(gv_http *http) {
    if (http != NULL)
        drop_head(http);
    free(http);
}

void gv_http_end(gv_http *http, gv_http_batch *batch) {
    gv_http_put(batch, GV_HTTP_END, 0, 0, 0, 0);
    http->state = http->last ? GV_HTTP_OVER : GV_HTTP_IDLE;
    http->request = GV_HTTP_TO_ANY;
    http->raw = http->head_used = http->line = http->extensions = 0;
    http->fields = 0;
    http->body = 0;
    http->blank = 0;
}

static const struct {
    int status;
    const char *words;
} WHYS[] = {
#define X(name, status, words) {status, words},
    GV_HTTP_WHYS(X)
#undef X
};

const char *gv_http_error_text(int why) {
    return why < 0 || why >= GV_WHY_NONE ? "no error" : WHYS[why].words;
}

static void fail(gv_http *http, gv_http_batch *batch, gv_http_why why) {
    gv_http_put(batch, GV_HTTP_ERROR, WHYS[why].status, why, 0, 0);
    http->state = GV_HTTP_OVER;
    drop_head(http);
}

/* --- heads --- */

/* A user agent has to take folded lines, with blanks where the fold was (RFC 9112,
 * section 5.2); a server refuses them. */
static bool unfold(gv_http *http) {
    char *line = http->head + http->line;

    /* Before the first trailer there is nothing to fold it into. */
    if (http->type != GV_HTTP_RESPONSES || http->fields == 0 || http->line == 0 ||
        (*line != ' ' && *line != '\t'))
        return false;
    line[-2] = line[-1] = ' ';
    for (http->line -= 2; http->line > 0 && http->head[http->line - 1] != '\n';)
        http->line--;
    http->fields--;
    return true;
}

/* Leave `name: value`, with one blank between them and none behind. */
static void trim(gv_http *http) {
    char *line = http->head + http->line;
    char *end = http->head + http->head_used - 2;
    char *colon = memchr(line, ':', (size_t) (end - line));
    char *value = colon + 1;

    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (value == colon + 1) { /* make room for the blank: take that of the CRLF, say it anew */
        memmove(colon + 2, value, (size_t) (end - value));
        end++;
    } else {
        memmove(colon + 2, value, (size_t) (end - value));
        end -= value - (colon + 2);
    }
    colon[1] = ' ';
    end[0] = '\r';
    end[1] = '\n';
    http->head_used = (size_t) (end - http->head) + 2;
}

static gv_http_why add_field(gv_http *http) {
    const char *line;
    gv_http_why why;

    unfold(http);
    line = http->head + http->line;
    why = gv_http_check_field(line, http->head_used - http->line - 2);
    if (why == GV_WHY_NONE && ++http->fields > http->limits.fields)
        why = GV_WHY_TOO_MANY_FIELDS;
    if (why == GV_WHY_NONE)
        trim(http);
    http->line = http->head_used;
    return why;
}

static gv_http_why add_first(gv_http *http) {
    size_t len = http->head_used - http->line - 2;

    if (len == 0 && http->type == GV_HTTP_REQUESTS) {
        http->head_used = http->raw = 0;
        http->state = GV_HTTP_IDLE;
        return http->blank++ < GV_HTTP_BLANK ? GV_WHY_NONE : GV_WHY_BLANK_LINES;
    }
    http->line = http->head_used;
    http->state = GV_HTTP_FIELDS;
    return gv_http_check_first(http, http->head, len);
}

/* A line is complete: take it in, and if it is the empty one, all of them. */
static gv_http_why add_line(gv_http *http, gv_http_batch *batch) {
    if (http->state == GV_HTTP_FIRST)
        return add_first(http);
    if (http->head_used - http->line > 2)
        return add_field(http);
    return http->state == GV_HTTP_FIELDS ? gv_http_finish_head(http, batch)
                                         : gv_http_finish_trailers(http, batch);
}

static gv_http_step take_head(gv_http *http, gv_http_batch *batch, const char *data, size_t len) {
    bool done = false;
    gv_http_step step;

    if (http->state == GV_HTTP_IDLE)
        http->state = GV_HTTP_FIRST;
    step = gv_http_take_line(http, data, len, &done);
    if (step.why == GV_WHY_NONE && done)
        step.why = add_line(http, batch);
    return step;
}

/* --- feeding --- */

static bool in_head(const gv_http *http) {
    return http->state <= GV_HTTP_FIELDS || http->state == GV_HTTP_TRAILER;
}

static bool has_room(const gv_http *http, const gv_http_batch *batch) {
    if (batch->count + MOST_AT_ONCE > GV_HTTP_EVENTS)
        return false;
    return !in_head(http) || batch->size - batch->used >= (size_t) http->limits.head;
}

int64_t gv_http_feed(gv_http *http, gv_http_batch *batch, const char *data, int64_t len,
                     int messages, int64_t *consumed) {
    size_t used = 0;
    int ended = 0;

    if (http == NULL || batch == NULL || consumed == NULL || len < 0 || messages < 1 ||
        (data == NULL && len > 0) || batch->size < (size_t) http->limits.head)
        return UV_EINVAL;
    batch->count = 0;
    batch->used = 0;
    http->stop = false;
    while (used < (size_t) len && ended < messages && !http->stop && http->state != GV_HTTP_OVER &&
           has_room(http, batch)) {
        int64_t before = batch->count;
        size_t left = (size_t) len - used;
        gv_http_step step = in_head(http) ? take_head(http, batch, data + used, left)
                                          : gv_http_take_body(http, batch, data + used, left, used);

        used += step.used;
        if (step.why != GV_WHY_NONE)
            fail(http, batch, step.why);
        else if (batch->count > before && http->state == GV_HTTP_IDLE)
            ended++;
    }
    if (http->state == GV_HTTP_IDLE || http->state == GV_HTTP_OVER)
        drop_head(http);
    *consumed = (int64_t) used;
    return batch->count;
}

int64_t gv_http_eof(gv_http *http, gv_http_batch *batch) {
    if (http == NULL || batch == NULL)
        return UV_EINVAL;
    batch->count = 0;
    batch->used = 0;
    http->last = true;
    if (http->state == GV_HTTP_TO_EOF)
        gv_http_end(http, batch);
    else if (gv_http_busy(http))
        fail(http, batch, GV_WHY_CUT_OFF);
    http->state = GV_HTTP_OVER;
    drop_head(http);
    return batch->count;
}

int gv_http_answer_to(gv_http *http, int request) {
    if (http == NULL || http->type != GV_HTTP_RESPONSES || request < GV_HTTP_TO_ANY ||
        request > GV_HTTP_TO_CONNECT)
        return UV_EINVAL;
    if (gv_http_busy(http))
        return UV_EBUSY;
    http->request = (uint8_t) request;
    return 0;
}

int gv_http_busy(const gv_http *http) {
    return http != NULL && http->state != GV_HTTP_IDLE && http->state != GV_HTTP_OVER;
}
