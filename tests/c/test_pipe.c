/* Unix sockets: names, connecting, and descriptors from outside. */
#include "turns.h"

static char folder[] = "/tmp/gvXXXXXX";
static char path[64];

static int64_t listening(const char *name, size_t len) {
    int64_t id = gv_pipe_new(loop);

    CHECK_EQ(gv_pipe_bind(loop, id, name, (int64_t) len), 0);
    CHECK_EQ(gv_stream_listen(loop, id, 8), 0);
    return id;
}

static void check_name(int64_t id, int peer, const char *name, size_t len) {
    gv_address found;

    CHECK_EQ(gv_stream_name(loop, id, peer, &found), 0);
    CHECK_EQ(found.family, AF_UNIX);
    CHECK_EQ(found.length, (int) len);
    CHECK(memcmp(found.text, name, len) == 0);
}

static void both_ends_connect(const char *name, size_t len) {
    int64_t listener = listening(name, len);
    int64_t client = gv_pipe_new(loop);
    int64_t server;

    CHECK_EQ(gv_pipe_connect(loop, client, name, (int64_t) len), 0);
    CHECK_EQ(gv_pipe_connect(loop, client, name, (int64_t) len), UV_EISCONN);
    CHECK_EQ(await(client, GV_CONNECTED).a, 0);
    next = 0;
    server = await(listener, GV_ACCEPTED).a;
    check_name(client, 1, name, len);
    check_name(server, 0, name, len);
    CHECK_EQ(gv_stream_read_start(loop, server), 0);
    CHECK_EQ(gv_stream_write(loop, client, "spam", 4), 4);
    CHECK_EQ(await(server, GV_DATA).b, 4);
    CHECK_EQ(gv_stream_close(loop, client), 0);
    await(server, GV_EOF);
    abort_handle(server);
    abort_handle(listener);
    settle();
}

static void a_path_and_an_abstract_name(void) {
    both_ends_connect(path, strlen(path));
    CHECK_EQ(unlink(path), 0); /* removing it is the caller's */
    both_ends_connect("\0gv\0test", 8);
}

static void names_that_cannot_be(void) {
    int64_t id = gv_pipe_new(loop);
    char longer[200];

    memset(longer, 'x', sizeof(longer));
    CHECK_EQ(gv_pipe_bind(loop, id, NULL, 0), UV_EINVAL);
    CHECK_EQ(gv_pipe_bind(loop, id, "", 0), UV_EINVAL);
    CHECK_EQ(gv_pipe_bind(loop, id, "x", -1), UV_EINVAL);
    CHECK_EQ(gv_pipe_bind(loop, id, "a\0b", 3), UV_EINVAL);
    CHECK_EQ(gv_pipe_bind(loop, id, longer, sizeof(longer)), UV_ENAMETOOLONG);
    CHECK_EQ(gv_pipe_connect(loop, id, longer, sizeof(longer)), UV_ENAMETOOLONG);
    CHECK_EQ(gv_pipe_connect(loop, id, "/no/such/folder/x", 17), UV_ENOENT);
    CHECK_EQ(gv_pipe_bind(loop, id, "/no/such/folder/x", 17), UV_ENOENT);
    CHECK_EQ(gv_stream_listen(loop, id, 8), UV_EINVAL);
    abort_handle(id);
}

/* 108 bytes of an abstract name fit, of a path one less. */
static void the_longest_names_fit(void) {
    size_t room = sizeof(((struct sockaddr_un *) 0)->sun_path);
    char name[200];
    int64_t id;

    memset(name, 'x', sizeof(name));
    name[0] = '\0';
    both_ends_connect(name, room);
    memset(name, '/', sizeof(name));
    memcpy(name, path, strlen(folder));
    name[room - 1] = 'x';
    name[room - 2] = 'x';
    id = gv_pipe_new(loop);
    CHECK_EQ(gv_pipe_bind(loop, id, name, (int64_t) room), UV_ENAMETOOLONG);
    abort_handle(id);
    both_ends_connect(name, room - 1);
    name[room - 1] = '\0';
    CHECK_EQ(unlink(name), 0);
}

static void a_name_is_bound_once_and_refuses_when_nobody_listens(void) {
    int64_t first = listening(path, strlen(path));
    int64_t second = gv_pipe_new(loop);

    CHECK_EQ(gv_pipe_bind(loop, first, path, (int64_t) strlen(path)), UV_EINVAL);
    CHECK_EQ(gv_pipe_bind(loop, second, path, (int64_t) strlen(path)), UV_EADDRINUSE);
    abort_handle(first);
    settle();
    CHECK_EQ(gv_pipe_connect(loop, second, path, (int64_t) strlen(path)), UV_ECONNREFUSED);
    abort_handle(second);
    CHECK_EQ(unlink(path), 0);
}

static void a_full_backlog_says_try_again(void) {
    int64_t listener = gv_pipe_new(loop);
    int64_t clients[8];
    int64_t full = 0;
    int i;

    CHECK_EQ(gv_pipe_bind(loop, listener, path, (int64_t) strlen(path)), 0);
    CHECK_EQ(gv_stream_listen(loop, listener, 1), 0);
    for (i = 0; i < 8; i++) {
        clients[i] = gv_pipe_new(loop);
        full = gv_pipe_connect(loop, clients[i], path, (int64_t) strlen(path));
        if (full != 0)
            break;
    }
    CHECK_EQ(full, UV_EAGAIN);
    abort_handle(await(listener, GV_ACCEPTED).a);
    CHECK_EQ(gv_pipe_connect(loop, clients[i], path, (int64_t) strlen(path)), 0);
    for (; i >= 0; i--) {
        if (i > 0) /* one was taken already */
            abort_handle(await(listener, GV_ACCEPTED).a);
        abort_handle(clients[i]);
    }
    abort_handle(listener);
    CHECK_EQ(unlink(path), 0);
}

static void pipes_and_sockets_are_taken_over_and_files_are_not(void) {
    int64_t id = gv_pipe_new(loop);
    int file = open("/dev/null", O_RDWR);
    int fds[2];
    int copy;

    CHECK_EQ(gv_pipe_open(loop, id, -1), UV_EBADF);
    CHECK_EQ(gv_pipe_open(loop, id, file), UV_EPERM);
    CHECK_EQ(pipe(fds), 0);
    copy = dup(fds[0]);
    CHECK_EQ(gv_pipe_open(loop, id, fds[0]), 0);
    CHECK_EQ(gv_pipe_open(loop, id, fds[1]), UV_EISCONN);
    CHECK(!is_blocking(copy));
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    CHECK_EQ((int) write(fds[1], "spam", 4), 4);
    CHECK_EQ(await(id, GV_DATA).b, 4);
    close(fds[1]);
    await(id, GV_EOF);
    CHECK_EQ(gv_stream_close(loop, id), 0);
    CHECK(is_blocking(copy));
    close(copy);
    close(file);
}

static void the_kinds_are_kept_apart(void) {
    int64_t pipe_id = gv_pipe_new(loop);
    int64_t tcp = gv_tcp_new(loop, AF_INET);

    CHECK_EQ(gv_pipe_bind(loop, tcp, path, (int64_t) strlen(path)), UV_EINVAL);
    CHECK_EQ(gv_pipe_connect(loop, tcp, path, (int64_t) strlen(path)), UV_EINVAL);
    CHECK_EQ(gv_tcp_bind(loop, pipe_id, "127.0.0.1", 0, 0, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_tcp_connect(loop, pipe_id, "127.0.0.1", 1, 0, 0), UV_EINVAL);
    CHECK(gv_tcp_nodelay(loop, pipe_id, 1) < 0);
    CHECK(gv_tcp_keepalive(loop, pipe_id, 1, 10) < 0);
    CHECK_EQ(gv_pipe_connect(loop, 0, path, 1), UV_EBADF);
    abort_handle(pipe_id);
    CHECK_EQ(gv_pipe_connect(loop, pipe_id, path, 1), UV_EBADF);
    abort_handle(tcp);
}

int main(void) {
    CHECK(mkdtemp(folder) != NULL);
    CHECK(snprintf(path, sizeof(path), "%s/s", folder) > 0);
    open_loop(64, PLENTY, 65536);
    a_path_and_an_abstract_name();
    names_that_cannot_be();
    the_longest_names_fit();
    a_name_is_bound_once_and_refuses_when_nobody_listens();
    a_full_backlog_says_try_again();
    pipes_and_sockets_are_taken_over_and_files_are_not();
    the_kinds_are_kept_apart();
    close_loop();
    CHECK_EQ(rmdir(folder), 0);
    return 0;
}
