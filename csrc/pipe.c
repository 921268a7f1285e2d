#include "csrc/pipe.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int gv_pipe_init(gv_stream *stream) {
    gv_loop *loop = stream->handle.loop;
    int rc = uv_pipe_init(&loop->uv, &stream->handle.uv.pipe, 0);

    if (rc < 0) {
        gv_handle_drop(&stream->handle);
        free(stream);
        return rc;
    }
    stream->handle.uv.any.data = stream;
    return 0;
}

int gv_pipe_adopt(gv_stream *stream, int fd) {
    int rc = gv_pipe_init(stream);

    if (rc < 0)
        return rc;
    rc = uv_pipe_open(&stream->handle.uv.pipe, fd);
    if (rc < 0) /* libuv knows the handle by now */
        gv_handle_shut(&stream->handle);
    else
        gv_handle_claim(&stream->handle);
    return rc;
}

int64_t gv_pipe_new(gv_loop *loop) {
    int rc = gv_loop_check(loop);
    gv_stream *stream;

    if (rc < 0)
        return rc;
    stream = gv_stream_new(loop, GV_PIPE);
    if (stream == NULL)
        return UV_ENOMEM;
    rc = gv_pipe_init(stream);
    return rc < 0 ? rc : stream->handle.source.id;
}

static gv_stream *find_new(gv_loop *loop, int64_t id, int *rc) {
    gv_stream *stream = gv_stream_find(loop, id, rc);

    if (stream == NULL)
        return NULL;
    if (stream->state == GV_STREAM_OPEN)
        *rc = UV_EISCONN;
    else if (stream->handle.type != GV_PIPE || stream->state != GV_STREAM_NEW ||
             gv_handle_fd(&stream->handle) >= 0)
        *rc = UV_EINVAL;
    return *rc < 0 ? NULL : stream;
}

static int name_to_addr(struct sockaddr_un *addr, socklen_t *size, const char *name, int64_t len) {
    bool abstract = name != NULL && len > 0 && name[0] == '\0';

    if (name == NULL || len < 1 || (!abstract && memchr(name, '\0', (size_t) len) != NULL))
        return UV_EINVAL;
    /* A path keeps its NUL. */
    if ((size_t) len + !abstract > sizeof(addr->sun_path))
        return UV_ENAMETOOLONG;
    memset(addr, 0, sizeof(*addr));
    addr->sun_family = AF_UNIX;
    memcpy(addr->sun_path, name, (size_t) len);
    *size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + (size_t) len + !abstract);
    return 0;
}

static int new_socket(void) {
#ifdef __linux__
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
#else
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd >= 0 && (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)) {
        close(fd);
        fd = -1;
    }
#endif
    return fd < 0 ? uv_translate_sys_error(errno) : fd;
}

typedef int (*name_fn)(int fd, const struct sockaddr *addr, socklen_t size);

/* Make a socket, bind or connect it, and give it to the handle. */
static int open_with(gv_stream *stream, const char *name, int64_t len, name_fn call) {
    struct sockaddr_un addr;
    socklen_t size;
    int rc = name_to_addr(&addr, &size, name, len);
    int fd;

    if (rc < 0)
        return rc;
    fd = new_socket();
    if (fd < 0)
        return fd;
    if (call(fd, (const struct sockaddr *) &addr, size) < 0)
        rc = uv_translate_sys_error(errno);
    else
        rc = uv_pipe_open(&stream->handle.uv.pipe, fd);
    if (rc < 0)
        close(fd);
    else
        gv_handle_claim(&stream->handle);
    return rc;
}

int gv_pipe_bind(gv_loop *loop, int64_t id, const char *name, int64_t len) {
    int rc;
    gv_stream *stream = find_new(loop, id, &rc);

    return stream == NULL ? rc : open_with(stream, name, len, bind);
}

int gv_pipe_connect(gv_loop *loop, int64_t id, const char *name, int64_t len) {
    int rc;
    gv_stream *stream = find_new(loop, id, &rc);

    if (stream == NULL)
        return rc;
    rc = open_with(stream, name, len, connect);
    if (rc < 0)
        return rc;
    gv_stream_opened(stream);
    stream->handle.source.status = 0;
    gv_ring_report(&loop->ring, &stream->handle.source, GV_CONNECTED);
    return 0;
}

/* epoll refuses regular files and most devices, and libuv then aborts. */
static int check_pollable(int fd) {
    struct stat st;

    if (fstat(fd, &st) < 0)
        return uv_translate_sys_error(errno);
    if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || (S_ISCHR(st.st_mode) && isatty(fd)))
        return 0;
    return UV_EPERM;
}

/* A socket that waits for clients, or was never connected, is not open for data. */
static bool is_connected(int fd) {
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);

    return getpeername(fd, (struct sockaddr *) &addr, &len) == 0 || errno == ENOTSOCK;
}

int gv_pipe_open(gv_loop *loop, int64_t id, int fd) {
    int rc;
    gv_stream *stream = find_new(loop, id, &rc);

    if (stream == NULL)
        return rc;
    rc = check_pollable(fd);
    if (rc == 0)
        rc = gv_stream_take(stream, fd);
    if (rc < 0)
        return rc;
    if (is_connected(fd))
        gv_stream_opened(stream);
    return 0;
}
