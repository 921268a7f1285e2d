/* What can be set for a UDP socket, and asked. */
#include "csrc/udp.h"

#include <string.h>
#include <sys/socket.h>

int gv_udp_member(gv_loop *loop, int64_t id, int join, const char *group, const char *local,
                  const char *source) {
    uv_membership what = join ? UV_JOIN_GROUP : UV_LEAVE_GROUP;
    int rc;
    gv_udp *udp = gv_udp_find(loop, id, &rc);

    if (udp == NULL)
        return rc;
    if (group == NULL)
        return UV_EINVAL;
    if (source == NULL)
        return uv_udp_set_membership(&udp->handle.uv.udp, group, local, what);
    return uv_udp_set_source_membership(&udp->handle.uv.udp, group, local, source, what);
}

int gv_udp_interface(gv_loop *loop, int64_t id, const char *local) {
    int rc;
    gv_udp *udp = gv_udp_find(loop, id, &rc);

    return udp == NULL ? rc : uv_udp_set_multicast_interface(&udp->handle.uv.udp, local);
}

int gv_udp_set(gv_loop *loop, int64_t id, int option, int64_t value) {
    int rc;
    gv_udp *udp = gv_udp_find(loop, id, &rc);
    int number = (int) value;
    uv_udp_t *uv;

    if (udp == NULL)
        return rc;
    if (value < 0 || value > INT32_MAX)
        return UV_EINVAL;
    uv = &udp->handle.uv.udp;
    switch (option) {
    case GV_UDP_BROADCAST:
        return uv_udp_set_broadcast(uv, number);
    case GV_UDP_TTL:
        return uv_udp_set_ttl(uv, number);
    case GV_UDP_MULTICAST_TTL:
        return uv_udp_set_multicast_ttl(uv, number);
    case GV_UDP_MULTICAST_LOOP:
        return uv_udp_set_multicast_loop(uv, number);
    case GV_UDP_RECEIVE_BUFFER:
        return number == 0 ? UV_EINVAL : uv_recv_buffer_size(&udp->handle.uv.any, &number);
    case GV_UDP_SEND_BUFFER:
        return number == 0 ? UV_EINVAL : uv_send_buffer_size(&udp->handle.uv.any, &number);
    default:
        return UV_EINVAL;
    }
}

int gv_udp_name(gv_loop *loop, int64_t id, int peer, gv_address *out) {
    struct sockaddr_storage name;
    int len = sizeof(name);
    int rc;
    const gv_udp *udp = gv_udp_find(loop, id, &rc);

    if (udp == NULL)
        return rc;
    if (out == NULL)
        return UV_EINVAL;
    rc = peer ? uv_udp_getpeername(&udp->handle.uv.udp, (struct sockaddr *) &name, &len)
              : uv_udp_getsockname(&udp->handle.uv.udp, (struct sockaddr *) &name, &len);
    return rc < 0 ? rc : gv_address_format(out, (struct sockaddr *) &name, (size_t) len);
}

int gv_udp_sender(const char *address, gv_address *out) {
    gv_sockaddr_ip addr;

    if (address == NULL || out == NULL)
        return UV_EINVAL;
    memcpy(&addr, address, sizeof(addr));
    return gv_address_format(out, &addr.any, gv_address_size(&addr));
}

int gv_udp_target(char *address, const char *host, int port, uint32_t flow, uint32_t scope) {
    gv_sockaddr_ip addr = {.any = {.sa_family = 0}};
    int rc;

    if (address == NULL || host == NULL)
        return UV_EINVAL;
    rc = gv_address_parse(&addr, host, port, flow, scope);
    memset(address, 0, GV_UDP_ADDRESS);
    memcpy(address, &addr, sizeof(addr));
    return rc;
}
