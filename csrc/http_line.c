/* Lines of a head: they come in, are looked at, and lie in http->head, one after the
 * other, each with its CRLF, as http-parser is to see them. */
#include "csrc/http_chars.h"
#include "csrc/http_parts.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 512 };

static bool make_room(gv_http *http, size_t len) {
    size_t size = http->head_size == 0 ? FIRST_SIZE : http->head_size;
    char *head;

    len++; /* trimming a field may need one more */
    if (http->head_used + len <= http->head_size)
        return true;
    while (size < http->head_used + len)
        size *= 2;
    head = realloc(http->head, size);
    if (head == NULL)
        return false;
    http->head = head;
    http->head_size = size;
    return true;
}

/* How many bytes may come before the line is too long, its CRLF included. */
static size_t room(const gv_http *http, gv_http_why *why) {
    size_t head = (size_t) http->limits.head - http->raw;
    size_t line = (size_t) http->limits.line + 2 - (http->head_used - http->line);

    *why = GV_WHY_HEAD_TOO_LARGE;
    if (http->state != GV_HTTP_FIRST || line > head)
        return head;
    *why = http->type == GV_HTTP_REQUESTS ? GV_WHY_LINE_TOO_LONG : GV_WHY_HEAD_TOO_LARGE;
    return line;
}

/* Whether the octets may be in a line behind `before`; CR only directly before LF, and
 * LF only at the end. */
static bool octets_are_good(char before, const char *data, size_t len) {
    for (size_t i = 0; i < len; before = data[i++])
        if (before == '\r' ? data[i] != '\n'
                           : data[i] != '\r' && !gv_char_is(data[i], GV_CHAR_LINE))
            return false;
    return true;
}

static gv_http_step failed(gv_http_why why) {
    gv_http_step step = {0, why};

    return step;
}

/* What answers may be no HTTP at all, and then its first line never ends. */
static bool begins_well(const gv_http *http, const char *data, size_t len) {
    static const char START[] = "HTTP/1.";
    size_t left = sizeof(START) - 1;

    if (http->type != GV_HTTP_RESPONSES || http->state != GV_HTTP_FIRST || http->head_used >= left)
        return true;
    left -= http->head_used;
    return memcmp(data, START + http->head_used, len < left ? len : left) == 0;
}

gv_http_step gv_http_take_line(gv_http *http, const char *data, size_t len, bool *done) {
    gv_http_step step = {0, GV_WHY_NONE};
    gv_http_why too_long;
    size_t most = room(http, &too_long);
    const char *lf = memchr(data, '\n', len < most ? len : most);
    char before = http->head_used > http->line ? http->head[http->head_used - 1] : ' ';

    step.used = lf != NULL ? (size_t) (lf - data) + 1 : len < most ? len : most;
    if (!begins_well(http, data, step.used))
        return failed(GV_WHY_STATUS_LINE);
    if (!octets_are_good(before, data, step.used))
        return failed(GV_WHY_OCTET);
    if (lf == NULL && step.used < len)
        return failed(too_long);
    if (!make_room(http, step.used))
        return failed(GV_WHY_MEMORY);
    memcpy(http->head + http->head_used, data, step.used);
    http->head_used += step.used;
    http->raw += step.used;
    *done = lf != NULL;
    return step;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Whether text is HTTP/d.d; if so, the major version. */
static bool is_version(const char *text, size_t len, char *major) {
    if (len != 8 || memcmp(text, "HTTP/", 5) != 0)
        return false;
    *major = text[5];
    return is_digit(text[5]) && text[6] == '.' && is_digit(text[7]);
}

static gv_http_why check_request(const char *line, size_t len) {
    const char *first = memchr(line, ' ', len);
    const char *last = memrchr(line, ' ', len);
    const char *end = line + len;
    size_t method = first == NULL ? 0 : (size_t) (first - line);
    char major;

    if (method == 0 || !gv_chars_are(line, method, GV_CHAR_TOKEN) || last < first + 2)
        return GV_WHY_LINE;
    if (!is_version(last + 1, (size_t) (end - last - 1), &major))
        return GV_WHY_LINE;
    for (const char *c = first + 1; c < last; c++)
        if (*c <= ' ' || *c > '~')
            return GV_WHY_LINE;
    if (major != '1')
        return GV_WHY_VERSION;
    return gv_http_check_target(line, method, first + 1, (size_t) (last - first - 1));
}

int64_t gv_http_plain_line(const char *line, int64_t len) {
    static const char VERSION[] = " HTTP/1.1";
    size_t end = sizeof(VERSION) - 1;
    size_t size = (size_t) len;
    size_t method;

    if (line == NULL || len < 0)
        return 0;
    method = size > 4 && memcmp(line, "GET ", 4) == 0    ? 3
             : size > 5 && memcmp(line, "HEAD ", 5) == 0 ? 4
                                                         : 0;
    if (method == 0 || size < method + 2 + end || line[method + 1] != '/' ||
        memcmp(line + size - end, VERSION, end) != 0)
        return 0;
    return check_request(line, size) == GV_WHY_NONE ? (int64_t) method : 0;
}

/* RFC 9112, section 4; many servers leave out the blank before an empty reason. */
static gv_http_why check_response(const char *line, size_t len) {
    char major;

    if (len < 12 || !is_version(line, 8, &major) || line[8] != ' ')
        return GV_WHY_STATUS_LINE;
    if (major != '1')
        return GV_WHY_VERSION;
    if (line[9] < '1' || line[9] > '9' || !is_digit(line[10]) || !is_digit(line[11]) ||
        (len > 12 && line[12] != ' '))
        return GV_WHY_STATUS_LINE;
    return GV_WHY_NONE;
}

gv_http_why gv_http_check_first(const gv_http *http, const char *line, size_t len) {
    return http->type == GV_HTTP_REQUESTS ? check_request(line, len) : check_response(line, len);
}

gv_http_why gv_http_check_field(const char *line, size_t len) {
    const char *colon = memchr(line, ':', len);

    if (line[0] == ' ' || line[0] == '\t')
        return GV_WHY_FOLDED;
    if (colon == NULL || colon == line)
        return GV_WHY_FIELD;
    return gv_chars_are(line, (size_t) (colon - line), GV_CHAR_TOKEN) ? GV_WHY_NONE : GV_WHY_FIELD;
}
