/* What a complete head means: who is asked, how the body is framed, and whether the
 * connection goes on. */
#include "csrc/http_chars.h"
#include "csrc/http_parts.h"

#include <string.h>

typedef struct {
    const char *text;
    size_t len;
    int count; /* of the fields with that name; text is the last one's value */
} value;

typedef struct {
    value host, length, coding, expect, upgrade;
    bool close, keep_alive, to_upgrade; /* what Connection says */
} fields;

/* --- reading the fields that matter --- */

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* Call `see` with each element of a comma-separated list (RFC 9110, section 5.6.1). */
static void each_element(const char *text, size_t len, void *out,
                         void (*see)(void *out, const char *text, size_t len)) {
    const char *end = text + len;

    while (text < end) {
        const char *comma = memchr(text, ',', (size_t) (end - text));
        const char *next = comma == NULL ? end : comma + 1;
        const char *last = comma == NULL ? end : comma;

        while (text < last && is_blank(*text))
            text++;
        while (last > text && is_blank(last[-1]))
            last--;
        see(out, text, (size_t) (last - text));
        text = next;
    }
}

static void see_option(void *out, const char *text, size_t len) {
    fields *found = out;

    if (gv_chars_equal(text, len, "close"))
        found->close = true;
    else if (gv_chars_equal(text, len, "keep-alive"))
        found->keep_alive = true;
    else if (gv_chars_equal(text, len, "upgrade"))
        found->to_upgrade = true;
}

static void note(value *noted, const char *text, size_t len) {
    noted->text = text;
    noted->len = len;
    noted->count++;
}

static void see_field(fields *found, const char *name, size_t name_len, const char *text,
                      size_t len) {
    switch (name_len) {
    case 4:
        if (gv_chars_equal(name, name_len, "host"))
            note(&found->host, text, len);
        break;
    case 6:
        if (gv_chars_equal(name, name_len, "expect"))
            note(&found->expect, text, len);
        break;
    case 7:
        if (gv_chars_equal(name, name_len, "upgrade"))
            note(&found->upgrade, text, len);
        break;
    case 10:
        if (gv_chars_equal(name, name_len, "connection"))
            each_element(text, len, found, see_option);
        break;
    case 14:
        if (gv_chars_equal(name, name_len, "content-length"))
            note(&found->length, text, len);
        break;
    case 17:
        if (gv_chars_equal(name, name_len, "transfer-encoding"))
            note(&found->coding, text, len);
        break;
    default:
        break;
    }
}

/* Each line is `name: value` by now, with a CRLF behind it; see gv_http_add_field(). */
static void see_fields(const gv_http *http, fields *found) {
    const char *end = http->head + http->head_used;
    const char *line = memchr(http->head, '\n', http->head_used);

    for (line++; line < end;) {
        const char *colon = memchr(line, ':', (size_t) (end - line));
        const char *lf = memchr(line, '\n', (size_t) (end - line));

        see_field(found, line, (size_t) (colon - line), colon + 2, (size_t) (lf - colon - 3));
        line = lf + 1;
    }
}

/* --- what they say --- */

static gv_http_why parse_length(const value *length, int64_t *out) {
    uint64_t number = 0;

    if (length->count > 1 || length->len == 0)
        return GV_WHY_LENGTH;
    for (size_t i = 0; i < length->len; i++) {
        unsigned digit = (unsigned) (length->text[i] - '0');

        if (digit > 9 || number > (UINT64_MAX - digit) / 10)
            return GV_WHY_LENGTH;
        number = number * 10 + digit;
    }
    if (number > INT64_MAX)
        return GV_WHY_BODY_TOO_LARGE;
    *out = (int64_t) number;
    return GV_WHY_NONE;
}

typedef struct {
    int count, chunked;
    bool malformed, last_is_chunked;
} codings;

/* A coding may have parameters, but not "chunked", which then is another one. */
static void see_coding(void *out, const char *text, size_t len) {
    const char *semicolon = memchr(text, ';', len);
    size_t name = semicolon == NULL ? len : (size_t) (semicolon - text);
    codings *seen = out;

    while (name > 0 && is_blank(text[name - 1]))
        name--;
    seen->count++;
    seen->last_is_chunked = gv_chars_equal(text, len, "chunked");
    seen->chunked += gv_chars_equal(text, name, "chunked");
    seen->malformed = seen->malformed || name == 0 || !gv_chars_are(text, name, GV_CHAR_TOKEN);
}

/* "chunked", and nothing else: what could stand before it nobody sends. */
static gv_http_why check_coding(const value *coding, bool minor) {
    codings seen = {0, 0, false, false};

    if (!minor || coding->count > 1)
        return GV_WHY_CODING;
    if (gv_chars_equal(coding->text, coding->len, "chunked"))
        return GV_WHY_NONE;
    each_element(coding->text, coding->len, &seen, see_coding);
    if (seen.malformed || seen.chunked != 1 || !seen.last_is_chunked || seen.count < 2 ||
        coding->text[coding->len - 1] == ',')
        return GV_WHY_CODING;
    return GV_WHY_CODING_UNKNOWN;
}

/* How long the body is, -1 if its end will tell, or 0. */
static gv_http_why measure(const gv_http *http, const fields *found, int64_t *flags,
                           int64_t *length) {
    gv_http_why why = GV_WHY_NONE;

    *length = http->type == GV_HTTP_REQUESTS ? 0 : -1;
    if (found->coding.count > 0) {
        why = check_coding(&found->coding, (*flags & GV_HTTP_MINOR) != 0);
        if (found->length.count > 0 && why != GV_WHY_CODING)
            why = GV_WHY_FRAMING;
        *flags |= GV_HTTP_CHUNKED;
        *length = -1;
    } else if (found->length.count > 0) {
        why = parse_length(&found->length, length);
        if (why == GV_WHY_NONE && http->limits.body >= 0 && *length > http->limits.body &&
            http->type == GV_HTTP_REQUESTS)
            why = GV_WHY_BODY_TOO_LARGE;
    }
    return why;
}

static bool method_is(const gv_http *http, const char *name) {
    size_t len = strlen(name);

    return strncmp(http->head, name, len) == 0 && http->head[len] == ' ';
}

/* RFC 9112, section 3.2: one Host, which is what an absolute target names. */
static gv_http_why check_host(const gv_http *http, const fields *found, bool minor) {
    const value *host = &found->host;
    const char *target = strchr(http->head, ' ') + 1; /* a line has passed: it is there */
    size_t len;

    if (host->count > 1 || (host->count == 0 && minor))
        return GV_WHY_HOST;
    if (host->count == 0)
        return GV_WHY_NONE;
    if (!gv_http_host_is_good(host->text, host->len))
        return GV_WHY_HOST;
    if (target[0] == '/' || target[0] == '*')
        return GV_WHY_NONE;
    if (!method_is(http, "CONNECT")) /* absolute, or it would not have passed */
        target = strstr(target, "://") + 3;
    len = strcspn(target, "/? ");
    if (len != host->len || strncasecmp(target, host->text, len) != 0)
        return GV_WHY_HOST;
    return GV_WHY_NONE;
}

static gv_http_why judge_request(const gv_http *http, const fields *found, int64_t *flags,
                                 int64_t *length) {
    bool minor = (*flags & GV_HTTP_MINOR) != 0;
    gv_http_why why = check_host(http, found, minor);

    if (why == GV_WHY_NONE)
        why = measure(http, found, flags, length);
    if (why != GV_WHY_NONE)
        return why;
    if (minor && found->expect.count == 1 &&
        gv_chars_equal(found->expect.text, found->expect.len, "100-continue"))
        *flags |= GV_HTTP_CONTINUE;
    if (minor && found->upgrade.count > 0 && found->to_upgrade)
        *flags |= GV_HTTP_UPGRADE;
    if (method_is(http, "HEAD"))
        *flags |= GV_HTTP_HEAD_METHOD;
    if (method_is(http, "CONNECT"))
        *flags |= GV_HTTP_CONNECT;
    else if (!method_is(http, "TRACE"))
        return GV_WHY_NONE;
    return *length != 0 ? GV_WHY_BODY_UNEXPECTED : GV_WHY_NONE;
}

/* RFC 9112, section 6.3. */
static gv_http_why judge_response(const gv_http *http, const fields *found, int64_t *flags,
                                  int64_t *length) {
    const char *status = http->head + 9;
    gv_http_why why = measure(http, found, flags, length);

    if (why != GV_WHY_NONE)
        return why;
    if (memcmp(status, "101", 3) == 0)
        *flags |= GV_HTTP_UPGRADE;
    if (http->request == GV_HTTP_TO_CONNECT && *status == '2')
        *flags |= GV_HTTP_CONNECT;
    if (http->request == GV_HTTP_TO_HEAD || *status == '1' || memcmp(status, "204", 3) == 0 ||
        memcmp(status, "304", 3) == 0 || (*flags & GV_HTTP_CONNECT) != 0) {
        *length = 0;
        *flags &= ~GV_HTTP_CHUNKED;
    } else if (http->limits.body >= 0 && *length > http->limits.body) {
        return GV_WHY_BODY_TOO_LARGE;
    }
    return GV_WHY_NONE;
}

/* --- http-parser, for the text --- */

typedef struct {
    gv_http_batch *batch;
    bool complete;
} writer;

static int on_text(http_parser *parser, const char *text, size_t len) {
    gv_http_put_text(((writer *) parser->data)->batch, text, len);
    return 0;
}

static int on_complete(http_parser *parser) {
    ((writer *) parser->data)->complete = true;
    return 1; /* no body: that is for us */
}

static const http_parser_settings SETTINGS = {
    .on_url = on_text,
    .on_header_field = on_text,
    .on_header_value = on_text,
    .on_headers_complete = on_complete,
};

static gv_http_why write_text(gv_http *http, gv_http_batch *batch) {
    writer to = {batch, false};
    http_parser parser;
    const char *reason = http->head + 13;
    const char *end = memchr(http->head, '\r', http->head_used);

    if (http->type == GV_HTTP_REQUESTS) {
        gv_http_put_text(batch, http->head, strcspn(http->head, " "));
    } else {
        gv_http_put_text(batch, http->head + 9, 3);
        gv_http_put_text(batch, reason, reason < end ? (size_t) (end - reason) : 0);
    }
    http_parser_init(&parser, http->type == GV_HTTP_REQUESTS ? HTTP_REQUEST : HTTP_RESPONSE);
    parser.data = &to;
    http_parser_execute(&parser, &SETTINGS, http->head, http->head_used);
    /* Its opinion of the framing comes behind that; ours counts. */
    if (to.complete)
        return GV_WHY_NONE;
    return HTTP_PARSER_ERRNO(&parser) == HPE_INVALID_METHOD    ? GV_WHY_METHOD
           : HTTP_PARSER_ERRNO(&parser) == HPE_HEADER_OVERFLOW ? GV_WHY_HEAD_TOO_LARGE
                                                               : GV_WHY_PARSER;
}

/* --- together --- */

static int64_t first_flags(const gv_http *http, const fields *found) {
    const char *version = http->type == GV_HTTP_REQUESTS
                              ? (const char *) memchr(http->head, '\r', http->head_used) - 1
                              : http->head + 7;
    bool minor = *version != '0';
    bool keep = !found->close && (minor || found->keep_alive);

    return (minor ? GV_HTTP_MINOR : 0) | (keep ? GV_HTTP_KEEP_ALIVE : 0);
}

static void go_on(gv_http *http, gv_http_batch *batch, int64_t flags, int64_t length) {
    if ((flags & GV_HTTP_CHUNKED) != 0) {
        http->state = GV_HTTP_CHUNK_LINE;
    } else if (length > 0) {
        http->state = GV_HTTP_LENGTH;
        http->left = (uint64_t) length;
    } else if (length < 0) {
        http->state = GV_HTTP_TO_EOF;
    } else {
        gv_http_end(http, batch);
        if ((flags & GV_HTTP_CONNECT) != 0 ||
            (http->type == GV_HTTP_RESPONSES && (flags & GV_HTTP_UPGRADE) != 0)) {
            http->state = GV_HTTP_OVER;
            gv_http_put(batch, GV_HTTP_UPGRADED, 0, 0, 0, 0);
        }
    }
}

gv_http_why gv_http_finish_head(gv_http *http, gv_http_batch *batch) {
    size_t start = batch->used;
    fields found = {0};
    int64_t flags, length;
    gv_http_why why;

    http->head_used -= 2; /* without the empty line, for now */
    see_fields(http, &found);
    flags = first_flags(http, &found);
    why = http->type == GV_HTTP_REQUESTS ? judge_request(http, &found, &flags, &length)
                                         : judge_response(http, &found, &flags, &length);
    http->head_used += 2;
    /* An unknown method is said before what else may be wrong with the request. */
    if (why == GV_WHY_NONE)
        why = write_text(http, batch);
    if (why != GV_WHY_NONE)
        return why;
    gv_http_put(batch, GV_HTTP_HEAD, (int64_t) start, (int64_t) (batch->used - start), flags,
                length);
    http->last = (flags & GV_HTTP_KEEP_ALIVE) == 0 &&
                 !(http->type == GV_HTTP_RESPONSES && http->head[9] == '1');
    http->stop = (flags & GV_HTTP_UPGRADE) != 0;
    http->head_used = http->line = 0;
    go_on(http, batch, flags, length);
    return GV_WHY_NONE;
}
