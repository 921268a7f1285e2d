#include "csrc/address.h"

#include <string.h>
#include <sys/un.h>

int gv_address_parse(gv_sockaddr_ip *out, const char *host, int port, uint32_t flow,
                     uint32_t scope) {
    int rc;

    if (host == NULL || port < 0 || port > 65535)
        return UV_EINVAL;
    if (strchr(host, ':') == NULL)
        return uv_ip4_addr(host, port, &out->in);
    rc = uv_ip6_addr(host, port, &out->in6);
    if (rc < 0)
        return rc;
    out->in6.sin6_flowinfo = htonl(flow);
    if (scope != 0) /* otherwise the one behind a % in `host` holds */
        out->in6.sin6_scope_id = scope;
    return 0;
}

size_t gv_address_size(const gv_sockaddr_ip *addr) {
    return addr->any.sa_family == AF_INET ? sizeof(addr->in) : sizeof(addr->in6);
}

static int format_ip(gv_address *out, const struct sockaddr *addr) {
    const struct sockaddr_in *in = (const struct sockaddr_in *) (const void *) addr;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) (const void *) addr;
    int rc;

    if (addr->sa_family == AF_INET) {
        rc = uv_ip4_name(in, out->text, sizeof(out->text));
        out->port = ntohs(in->sin_port);
    } else {
        rc = uv_ip6_name(in6, out->text, sizeof(out->text));
        out->port = ntohs(in6->sin6_port);
        out->flow = ntohl(in6->sin6_flowinfo);
        out->scope = in6->sin6_scope_id;
    }
    out->length = (int) strlen(out->text);
    return rc;
}

static void format_unix(gv_address *out, const struct sockaddr *addr, size_t len) {
    const struct sockaddr_un *un = (const struct sockaddr_un *) (const void *) addr;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t size = len > head ? len - head : 0;

    if (size > sizeof(un->sun_path))
        size = sizeof(un->sun_path);
    if (size > 0 && un->sun_path[0] != '\0')
        size = strnlen(un->sun_path, size);
    memcpy(out->text, un->sun_path, size);
    out->length = (int) size;
}

int gv_address_format(gv_address *out, const struct sockaddr *addr, size_t len) {
    memset(out, 0, sizeof(*out));
    out->family = addr->sa_family;
    switch (addr->sa_family) {
    case AF_INET:
    case AF_INET6:
        return format_ip(out, addr);
    case AF_UNIX:
        format_unix(out, addr, len);
        return 0;
    default:
        return UV_EAFNOSUPPORT;
    }
}
