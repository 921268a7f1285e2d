/* Bodies: of known length, chunked (RFC 9112, section 7.1), or up to the end. */
#include "csrc/http_chars.h"
#include "csrc/http_parts.h"

/* Where in a chunk's line. */
enum {
    SIZE,
    BLANKS, /* before the ';' of an extension */
    NAME_BLANKS,
    NAME,
    BEHIND_NAME,
    VALUE_BLANKS,
    VALUE,
    QUOTED,
    ESCAPED,
    BEHIND_QUOTED,
    LINE_END,
    BAD
};

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static int behind_value(char c) {
    return c == ';' ? NAME_BLANKS : is_blank(c) ? BLANKS : c == '\r' ? LINE_END : BAD;
}

/* Return the part that follows when `c` comes in `part`, but for SIZE. */
static int next_part(int part, char c) {
    bool token = gv_char_is(c, GV_CHAR_TOKEN);

    switch (part) {
    case BLANKS:
        return c == ';' ? NAME_BLANKS : is_blank(c) ? BLANKS : BAD;
    case NAME_BLANKS:
        return token ? NAME : is_blank(c) ? NAME_BLANKS : BAD;
    case NAME:
        if (token || c == '=')
            return token ? NAME : VALUE_BLANKS;
        return is_blank(c) ? BEHIND_NAME : behind_value(c);
    case BEHIND_NAME:
        if (c == '=' || c == ';')
            return c == '=' ? VALUE_BLANKS : NAME_BLANKS;
        return is_blank(c) ? BEHIND_NAME : BAD;
    case VALUE_BLANKS:
        if (token || c == '"')
            return token ? VALUE : QUOTED;
        return is_blank(c) ? VALUE_BLANKS : BAD;
    case VALUE:
        return token ? VALUE : behind_value(c);
    case QUOTED:
        if (c == '"' || c == '\\')
            return c == '"' ? BEHIND_QUOTED : ESCAPED;
        return gv_char_is(c, GV_CHAR_LINE) ? QUOTED : BAD;
    case ESCAPED:
        return gv_char_is(c, GV_CHAR_LINE) ? QUOTED : BAD;
    default:
        return behind_value(c);
    }
}

static int next_of_size(gv_http *http, char c) {
    int digit = gv_char_hex(c);

    if (digit < 0)
        return http->digits == 0 ? BAD : behind_value(c);
    if (http->digits++ == GV_HTTP_DIGITS)
        return BAD;
    http->left = http->left << 4 | (uint64_t) digit;
    return SIZE;
}

/* The line is complete, and `left` the size. */
static gv_http_why begin_chunk(gv_http *http) {
    uint64_t most = http->limits.body < 0 ? INT64_MAX : (uint64_t) http->limits.body;

    http->part = SIZE;
    http->digits = 0;
    http->chunk_line = 0;
    if (http->left == 0) {
        http->state = GV_HTTP_TRAILER;
        return GV_WHY_NONE;
    }
    if (http->left > most - http->body)
        return GV_WHY_BODY_TOO_LARGE;
    http->body += http->left;
    http->state = GV_HTTP_CHUNK_DATA;
    return GV_WHY_NONE;
}

static gv_http_step take_chunk_line(gv_http *http, const char *data, size_t len) {
    gv_http_step step = {0, GV_WHY_NONE};

    while (step.used < len && step.why == GV_WHY_NONE) {
        char c = data[step.used++];

        if (http->part == LINE_END) {
            step.why = c == '\n' ? begin_chunk(http) : GV_WHY_CHUNK;
            return step;
        }
        http->part =
            (uint8_t) (http->part == SIZE ? next_of_size(http, c) : next_part(http->part, c));
        if (http->part != SIZE && http->part != LINE_END)
            http->extensions++;
        if (http->part == BAD)
            step.why = GV_WHY_CHUNK;
        else if (++http->chunk_line > (size_t) http->limits.chunk_line ||
                 http->extensions > (size_t) http->limits.chunk_extensions)
            step.why = GV_WHY_CHUNK_LINE_TOO_LONG;
    }
    return step;
}

static gv_http_step take_chunk_end(gv_http *http, const char *data, size_t len) {
    gv_http_step step = {0, GV_WHY_NONE};

    while (step.used < len) {
        if (data[step.used++] != (http->part == 0 ? '\r' : '\n')) {
            step.why = GV_WHY_CHUNK;
            return step;
        }
        if (http->part++ == 1) {
            http->part = SIZE;
            http->state = GV_HTTP_CHUNK_LINE;
            return step;
        }
    }
    return step;
}

static gv_http_step take_data(gv_http *http, gv_http_batch *batch, size_t len, size_t at) {
    gv_http_step step = {len < http->left ? len : (size_t) http->left, GV_WHY_NONE};

    gv_http_put(batch, GV_HTTP_DATA, (int64_t) at, (int64_t) step.used, 0, 0);
    http->left -= step.used;
    if (http->left > 0)
        return step;
    if (http->state == GV_HTTP_CHUNK_DATA)
        http->state = GV_HTTP_CHUNK_END;
    else
        gv_http_end(http, batch);
    return step;
}

static gv_http_step take_the_rest(gv_http *http, gv_http_batch *batch, size_t len, size_t at) {
    gv_http_step step = {len, GV_WHY_NONE};

    http->body += len;
    if (http->limits.body >= 0 && http->body > (uint64_t) http->limits.body)
        step.why = GV_WHY_BODY_TOO_LARGE;
    else
        gv_http_put(batch, GV_HTTP_DATA, (int64_t) at, (int64_t) len, 0, 0);
    return step;
}

gv_http_step gv_http_take_body(gv_http *http, gv_http_batch *batch, const char *data, size_t len,
                               size_t at) {
    switch (http->state) {
    case GV_HTTP_CHUNK_LINE:
        return take_chunk_line(http, data, len);
    case GV_HTTP_CHUNK_END:
        return take_chunk_end(http, data, len);
    case GV_HTTP_TO_EOF:
        return take_the_rest(http, batch, len, at);
    default:
        return take_data(http, batch, len, at);
    }
}
