/* The fields behind a chunked body. */
#include "csrc/http_chars.h"
#include "csrc/http_parts.h"

#include <string.h>

/* What frames, routes or authenticates a message cannot come behind it (RFC 9110,
 * section 6.5.1); it is dropped. */
static bool is_forbidden(const char *name, size_t len) {
    static const char *const NAMES[] = {
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "max-forwards",
        "proxy-authorization",
        "range",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "www-authenticate",
    };

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(*NAMES); i++)
        if (gv_chars_equal(name, len, NAMES[i]))
            return true;
    return false;
}

gv_http_why gv_http_finish_trailers(gv_http *http, gv_http_batch *batch) {
    size_t start = batch->used;
    const char *end = http->head + http->head_used - 2;
    const char *line = http->head;

    while (line < end) {
        const char *colon = memchr(line, ':', (size_t) (end - line));
        const char *lf = memchr(line, '\n', (size_t) (end - line));

        if (!is_forbidden(line, (size_t) (colon - line))) {
            gv_http_put_text(batch, line, (size_t) (colon - line));
            gv_http_put_text(batch, colon + 2, (size_t) (lf - colon - 3));
        }
        line = lf + 1;
    }
    if (batch->used > start)
        gv_http_put(batch, GV_HTTP_TRAILERS, (int64_t) start, (int64_t) (batch->used - start), 0,
                    0);
    gv_http_end(http, batch);
    return GV_WHY_NONE;
}
