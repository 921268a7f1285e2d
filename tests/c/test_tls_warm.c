/* Connections with TLS that keep memory while they are busy, and give it back. */
#include "tlsline.h"

#include "csrc/tls_warm.h"

static certificate cert;
static gv_tls_ctx *server, *client;

static bool keeps(void) {
    return (SSL_get_mode(ours_tls->ssl) & SSL_MODE_RELEASE_BUFFERS) == 0;
}

static void open_all(int version) {
    open_loop(256, PLENTY, 65536);
    server = serving(&cert);
    client = trusting(&cert);
    only(server, version);
    open_line(true);
    start_tls(client, server, true);
    UNTIL((events & GV_TLS_SECURED) && gv_tls_handshake(peer_tls) == GV_TLS_OK);
    CHECK_EQ(gv_stream_read_start(loop, line), 0);
}

static void close_all(void) {
    close_line();
    CHECK_EQ((int64_t) loop->warm, 0);
    gv_tls_ctx_free(server);
    gv_tls_ctx_free(client);
    close_loop();
    CHECK_EQ(gv_tls_live(), 0);
}

static void say_once(const char *text) {
    size_t len = strlen(text);

    came_len = peer_came_len = 0;
    peer_writes(text, len);
    CHECK(gv_stream_write(loop, line, text, (int64_t) len) > 0);
    UNTIL(came_len == len && peer_came_len == len);
    CHECK(memcmp(came, text, len) == 0 && memcmp(peer_came, text, len) == 0);
}

static void say(const char *text) {
    int i;

    for (i = 0; i <= GV_TLS_WARM_READS; i++)
        say_once(text);
}

static void who_talks_keeps_it_and_who_is_silent_gives_it_back(int version) {
    open_all(version);
    say_once("spam");
    CHECK(!keeps() && loop->warm == 0);
    say("spam");
    CHECK(keeps() && loop->warm == 1);
    say("more");
    CHECK(keeps() && loop->warm == 1);
    UNTIL(loop->warm == 0);
    CHECK(!keeps());
    say_once("again");
    CHECK(!keeps() && loop->warm == 0);
    say("again");
    CHECK(keeps() && loop->warm == 1);
    close_all();
}

static void a_record_that_came_in_part_is_kept(int version) {
    char bytes[1000];
    int64_t len;

    open_all(version);
    say("spam");
    came_len = 0;
    write_all(peer_tls, "in two parts", 12);
    len = gv_tls_take(peer_tls, bytes, sizeof(bytes));
    send_all(peer_fd, bytes, 10);
    UNTIL(loop->warm == 0);
    send_all(peer_fd, bytes + 10, (size_t) len - 10);
    UNTIL(came_len == 12);
    CHECK(memcmp(came, "in two parts", 12) == 0);
    close_all();
}

static void not_too_many_keep_it(int version) {
    open_all(version);
    loop->warm = GV_TLS_WARM; /* others */
    say("spam");
    CHECK(!keeps() && loop->warm == GV_TLS_WARM);
    loop->warm--;
    say_once("spam");
    CHECK(keeps() && loop->warm == GV_TLS_WARM);
    loop->warm = 1;
    close_all();
}

int main(void) {
    int version;

    cert = make_certificate(1, "localhost");
    for (version = TLS_1_2; version <= TLS_1_3; version++) {
        who_talks_keeps_it_and_who_is_silent_gives_it_back(version);
        a_record_that_came_in_part_is_kept(version);
        not_too_many_keep_it(version);
    }
    free_certificate(&cert);
    return 0;
}
