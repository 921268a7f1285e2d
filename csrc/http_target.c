/* What a request is for: the forms of a target (RFC 9112, section 3.2), and hosts. */
#include "csrc/http_chars.h"
#include "csrc/http_parts.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

enum { ENCODED_TARGET = GV_CHAR_TARGET, HIGHEST_PORT = 65535 };

static bool port_is_good(const char *text, size_t len) {
    unsigned port = 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = port * 10 + (unsigned) (text[i] - '0');
        if (port > HIGHEST_PORT)
            return false;
    }
    return true;
}

static bool ipv6_is_good(const char *text, size_t len) {
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr addr;

    if (len >= sizeof(copy))
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return inet_pton(AF_INET6, copy, &addr) == 1;
}

/* An address of a version to come: "v", hexadecimal digits, a dot, and what no other
 * address has (RFC 3986, section 3.2.2). */
static bool future_is_good(const char *text, size_t len) {
    const char *dot = memchr(text, '.', len);

    if (dot == NULL || dot < text + 2 || dot == text + len - 1 || (*text != 'v' && *text != 'V'))
        return false;
    for (const char *c = text + 1; c < dot; c++)
        if (gv_char_hex(*c) < 0)
            return false;
    for (const char *c = dot + 1; c < text + len; c++)
        if (*c == '%' || (*c != ':' && !gv_char_is(*c, GV_CHAR_HOST)))
            return false;
    return true;
}

/* Return what is behind the host: the end, or the colon of a port; NULL if it is none. */
static const char *skip_host(const char *text, const char *end) {
    const char *close;

    if (text < end && *text == '[') {
        close = memchr(text, ']', (size_t) (end - text));
        if (close == NULL)
            return NULL;
        text++;
        if (!ipv6_is_good(text, (size_t) (close - text)) &&
            !future_is_good(text, (size_t) (close - text)))
            return NULL;
        return close + 1;
    }
    close = memchr(text, ':', (size_t) (end - text));
    if (close == NULL)
        close = end;
    if (close == text || !gv_chars_are_encoded(text, (size_t) (close - text), GV_CHAR_HOST))
        return NULL;
    return close;
}

bool gv_http_host_is_good(const char *host, size_t len) {
    const char *end = host + len;
    const char *port = skip_host(host, end);

    if (port == NULL)
        return false;
    return port == end || (*port == ':' && port_is_good(port + 1, (size_t) (end - port - 1)));
}

/* A host and a port, for CONNECT. */
static bool is_authority(const char *text, size_t len) {
    const char *end = text + len;
    const char *port = skip_host(text, end);

    return port != NULL && end - port > 1 && *port == ':' &&
           port_is_good(port + 1, (size_t) (end - port - 1));
}

static bool is_absolute(const char *text, size_t len) {
    size_t scheme = len > 7 && strncasecmp(text, "http://", 7) == 0    ? 7
                    : len > 8 && strncasecmp(text, "https://", 8) == 0 ? 8
                                                                       : 0;
    size_t host = strcspn(text + scheme, "/? ");

    if (scheme == 0 || scheme + host > len || !gv_http_host_is_good(text + scheme, host))
        return false;
    return gv_chars_are_encoded(text + scheme + host, len - scheme - host, ENCODED_TARGET);
}

gv_http_why gv_http_check_target(const char *method, size_t method_len, const char *target,
                                 size_t len) {
    bool good;

    if (method_len == 7 && memcmp(method, "CONNECT", 7) == 0)
        good = is_authority(target, len);
    else if (target[0] == '/')
        good = gv_chars_are_encoded(target, len, ENCODED_TARGET);
    else if (len == 1 && target[0] == '*')
        good = method_len == 7 && memcmp(method, "OPTIONS", 7) == 0;
    else
        good = is_absolute(target, len);
    return good ? GV_WHY_NONE : GV_WHY_TARGET;
}
