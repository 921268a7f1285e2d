/* Reading: the bounds of a turn, a full ring or arena, and that all are served alike. */
#include "syscalls.h"
#include "turns.h"

enum { MANY = 60, SIZE = 80000 };

typedef struct {
    int64_t id;
    int peer;
    size_t got;
    int64_t served; /* DATA records */
    bool eof;
    char data[SIZE];
    char wanted[SIZE];
} flow;

static flow flows[MANY];
static int64_t largest; /* records in one turn */

static flow *flow_of(int64_t id) {
    int i;

    for (i = 0; i < MANY; i++)
        if (flows[i].id == id)
            return &flows[i];
    CHECK(!"a record for nobody");
    return NULL;
}

static void open_flows(int many) {
    int i;

    memset(flows, 0, sizeof(flows));
    for (i = 0; i < many; i++) {
        flows[i].id = open_pipe_pair(&flows[i].peer);
        fill(flows[i].wanted, SIZE, (unsigned) i);
        CHECK_EQ(gv_stream_read_start(loop, flows[i].id), 0);
    }
}

static void close_flows(int many) {
    int i;

    for (i = 0; i < many; i++) {
        abort_handle(flows[i].id);
        close(flows[i].peer);
    }
    close_loop();
}

/* Take the turn's records. Returns the bytes. */
static int64_t take(void) {
    int64_t bytes = 0;
    int64_t i;

    largest = batch > largest ? batch : largest;
    for (i = 0; i < batch; i++) {
        record found = record_at(i);
        flow *one;

        if (found.kind == GV_CLOSED)
            continue;
        one = flow_of(found.id);
        CHECK(!one->eof);
        if (found.kind == GV_EOF) {
            one->eof = true;
            continue;
        }
        CHECK_EQ(found.kind, GV_DATA);
        CHECK(one->got + (size_t) found.b <= SIZE);
        memcpy(one->data + one->got, gv_loop_arena(loop) + found.a, (size_t) found.b);
        one->got += (size_t) found.b;
        one->served++;
        bytes += found.b;
    }
    return bytes;
}

static void one_handle_reads_no_more_than_its_limit_in_a_turn(void) {
    static char out[1 << 20];
    static char in[1 << 20];
    size_t got = 0;
    int full = 0;
    int peer;
    int64_t id;
    int64_t i;

    open_loop(4096, 4 * PLENTY, 262144);
    fill(out, sizeof(out), 1);
    id = open_pipe_pair(&peer);
    set_size(peer, SO_SNDBUF, 4 << 20);
    send_all(peer, out, 200000); /* what a Unix socket holds by default */
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    set_blocking(peer, false);
    for (size_t at = 200000; got < sizeof(out);) {
        int64_t bytes = 0;
        ssize_t sent;

        while (at < sizeof(out) && (sent = send(peer, out + at, sizeof(out) - at, 0)) > 0)
            at += (size_t) sent;
        turn(0);
        for (i = 0; i < batch; i++) {
            record found = record_at(i);

            CHECK_EQ(found.kind, GV_DATA);
            memcpy(in + got, gv_loop_arena(loop) + found.a, (size_t) found.b);
            got += (size_t) found.b;
            bytes += found.b;
        }
        CHECK(bytes <= 262144);
        full += bytes == 262144;
    }
    CHECK(memcmp(in, out, sizeof(out)) == 0);
    CHECK(full >= 1);
    abort_handle(id);
    close(peer);
    close_loop();
}

static void nothing_is_lost_or_reordered(int64_t ring_records, int64_t arena_bytes) {
    int open = MANY;
    int turns = 0;
    int i;

    open_loop(ring_records, arena_bytes, 8192);
    open_flows(MANY);
    largest = 0;
    for (i = 0; i < MANY; i++) {
        send_all(flows[i].peer, flows[i].wanted, SIZE);
        CHECK_EQ(shutdown(flows[i].peer, SHUT_WR), 0);
    }
    while (open > 0) {
        turn(0);
        CHECK(take() <= arena_bytes);
        CHECK(batch <= ring_records);
        CHECK(++turns < 100000);
        for (open = 0, i = 0; i < MANY; i++)
            open += !flows[i].eof;
    }
    CHECK(largest == ring_records || ring_records > MANY || arena_bytes < PLENTY); /* it was full */
    for (i = 0; i < MANY; i++) {
        CHECK_EQ(flows[i].got, SIZE);
        CHECK(memcmp(flows[i].data, flows[i].wanted, SIZE) == 0);
    }
    close_flows(MANY);
}

/* Every peer has always something to say; there is room for few. */
static void all_are_served_alike(int64_t ring_records, int64_t arena_bytes) {
    int64_t least = INT64_MAX;
    int64_t most = 0;
    int turns;
    int i;

    open_loop(ring_records, arena_bytes, 65536);
    open_flows(MANY);
    for (turns = 0; turns < 400; turns++) {
        for (i = 0; i < MANY; i++) {
            flows[i].got = 0;
            send(flows[i].peer, flows[i].wanted, 64, MSG_DONTWAIT);
        }
        turn(0);
        take();
    }
    for (i = 0; i < MANY; i++) {
        least = flows[i].served < least ? flows[i].served : least;
        most = flows[i].served > most ? flows[i].served : most;
    }
    CHECK(least > 0);
    CHECK(most - least <= 1); /* all in one round, or one round ahead */
    close_flows(MANY);
}

static void the_arena_is_shared_among_those_that_were_ready(void) {
    const int64_t share = GV_READ_FAIR + 4096;
    int64_t bytes;
    int i;

    open_loop(4096, 8 * share, PLENTY);
    open_flows(8);
    for (i = 0; i < 8; i++)
        send_all(flows[i].peer, flows[i].wanted, 1);
    turn(0); /* from which the next knows how many they are */
    CHECK_EQ(take(), 8);
    for (i = 0; i < 8; i++) {
        send_all(flows[i].peer, flows[i].wanted, SIZE);
        flows[i].got = 0;
    }
    turn(0);
    bytes = take();
    CHECK_EQ(bytes, 8 * share);
    for (i = 0; i < 8; i++)
        CHECK_EQ(flows[i].got, share);
    close_flows(8);
}

static void when_there_are_many_some_are_served_well(void) {
    int served = 0;
    int i;

    open_loop(4096, 4 * GV_READ_FAIR, PLENTY);
    open_flows(MANY);
    for (i = 0; i < MANY; i++)
        send_all(flows[i].peer, flows[i].wanted, 1);
    turn(0);
    CHECK_EQ(take(), MANY);
    for (i = 0; i < MANY; i++) {
        send_all(flows[i].peer, flows[i].wanted, SIZE);
        flows[i].got = 0;
    }
    turn(0);
    CHECK_EQ(take(), 4 * GV_READ_FAIR);
    for (i = 0; i < MANY; i++)
        served += flows[i].got == GV_READ_FAIR;
    CHECK_EQ(served, 4);
    close_flows(MANY);
}

static void accepting_leaves_room_for_readers(void) {
    int clients[400];
    int port;
    int64_t listener;
    int turns;
    int i;

    open_loop(4, 65536, 65536);
    listener = listen_tcp(&port);
    open_flows(8);
    for (i = 0; i < 400; i++)
        clients[i] = connect_tcp(port);
    for (i = 0; i < 8; i++)
        send_all(flows[i].peer, flows[i].wanted, 1);
    for (turns = 0; turns < 8; turns++) {
        int64_t at;

        turn(0);
        for (at = 0; at < batch; at++) {
            record found = record_at(at);

            if (found.kind == GV_ACCEPTED)
                abort_handle(found.a);
            else if (found.kind == GV_DATA)
                flow_of(found.id)->served++;
        }
    }
    for (i = 0; i < 8; i++)
        CHECK_EQ(flows[i].served, 1);
    abort_handle(listener);
    for (i = 0; i < 400; i++)
        close(clients[i]);
    close_flows(8);
}

static void starting_and_stopping_in_a_turn_costs_nothing(void) {
    int peer;
    int64_t id;

    open_loop(64, PLENTY, 65536);
    id = open_pipe_pair(&peer);
    watch(gv_handle_fileno(loop, id));
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    turn(0);
    CHECK(epolls > 0);
    epolls = 0;
    CHECK_EQ(gv_stream_read_stop(loop, id), 0);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    send_all(peer, "x", 1);
    CHECK_EQ(turn(0), 1);
    CHECK_EQ(epolls, 0);
    CHECK_EQ(gv_stream_read_stop(loop, id), 0);
    send_all(peer, "y", 1);
    CHECK_EQ(turn(0), 0);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    CHECK_EQ(await(id, GV_DATA).b, 1);
    abort_handle(id);
    close(peer);
    close_loop();
}

static void a_registered_buffer_takes_one_read(void) {
    char into[100];
    int peer;
    int64_t id;
    record found;

    open_loop(64, PLENTY, 65536);
    id = open_pipe_pair(&peer);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    CHECK_EQ(gv_stream_read_into(loop, id, into, sizeof(into)), 0);
    send_all(peer, "spam and eggs", 13);
    turn(0);
    CHECK_EQ(batch, 1);
    CHECK_EQ(record_at(0).kind, GV_READ_INTO);
    CHECK_EQ(record_at(0).a, 13);
    CHECK(memcmp(into, "spam and eggs", 13) == 0);
    memset(into, 0, sizeof(into));
    send_all(peer, "more", 4);
    found = await(id, GV_DATA); /* used up: the arena again */
    CHECK(memcmp(gv_loop_arena(loop) + found.a, "more", 4) == 0);
    CHECK_EQ(gv_stream_read_into(loop, id, into, sizeof(into)), 0);
    CHECK_EQ(gv_stream_read_into(loop, id, NULL, 0), 0);
    send_all(peer, "once more", 9);
    CHECK_EQ(await(id, GV_DATA).b, 9); /* taken back */
    CHECK_EQ(into[0], 0);
    CHECK_EQ(gv_stream_read_into(loop, id, into, 0), UV_EINVAL);
    CHECK_EQ(gv_stream_read_into(loop, id, into, -1), UV_EINVAL);
    abort_handle(id);
    close(peer);
    close_loop();
}

static void what_is_behind_a_registered_buffer_waits_for_the_next(void) {
    char into[10];
    char all[100];
    char wanted[100];
    size_t got = 0;
    int peer;
    int64_t id;

    open_loop(64, PLENTY, 65536);
    fill(wanted, sizeof(wanted), 9);
    id = open_pipe_pair(&peer);
    send_all(peer, wanted, sizeof(wanted));
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    while (got < sizeof(all)) {
        CHECK_EQ(gv_stream_read_into(loop, id, into, sizeof(into)), 0);
        CHECK_EQ(await(id, GV_READ_INTO).a, sizeof(into));
        CHECK_EQ(batch, 1);
        memcpy(all + got, into, sizeof(into));
        got += sizeof(into);
    }
    CHECK(memcmp(all, wanted, sizeof(all)) == 0);
    abort_handle(id);
    close(peer);
    close_loop();
}

static void a_filled_buffer_cannot_be_taken_back(void) {
    char into[10];
    int peer;
    int64_t id;

    open_loop(64, PLENTY, 65536);
    id = open_pipe_pair(&peer);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    CHECK_EQ(gv_stream_read_into(loop, id, into, sizeof(into)), 0);
    send_all(peer, "x", 1);
    CHECK_EQ(turn(-1), 1);
    CHECK_EQ(gv_stream_read_into(loop, id, NULL, 0), UV_EALREADY);
    CHECK_EQ(gv_stream_read_into(loop, id, into, sizeof(into)), 0);
    CHECK_EQ(gv_stream_read_into(loop, id, NULL, 0), 0);
    abort_handle(id);
    close(peer);
    close_loop();
}

static void a_reset_comes_behind_the_data_and_ends_the_stream(void) {
    struct linger reset = {1, 0};
    int peer;
    int64_t id;

    open_loop(64, PLENTY, 65536);
    id = open_tcp_pair(&peer);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    send_all(peer, "last words", 10);
    CHECK_EQ(await(id, GV_DATA).b, 10);
    CHECK_EQ(setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(peer);
    CHECK_EQ(await(id, GV_ERROR).a, UV_ECONNRESET);
    settle();
    CHECK_EQ(gv_stream_read_start(loop, id), 0); /* it has been said */
    CHECK_EQ(turn(0), 0);
    abort_handle(id);
    close_loop();
}

static void eof_is_said_once(void) {
    int peer;
    int64_t id;

    open_loop(64, PLENTY, 65536);
    id = open_pipe_pair(&peer);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    close(peer);
    await(id, GV_EOF);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    settle();
    CHECK_EQ(count(id, GV_EOF), 0);
    abort_handle(id);
    close_loop();
}

int main(void) {
    static const int64_t rings[] = {1, 2, 3, 8, 1000};
    size_t i;

    one_handle_reads_no_more_than_its_limit_in_a_turn();
    for (i = 0; i < sizeof(rings) / sizeof(*rings); i++) {
        nothing_is_lost_or_reordered(rings[i], 4096);
        nothing_is_lost_or_reordered(rings[i], PLENTY);
    }
    all_are_served_alike(1, PLENTY);
    all_are_served_alike(7, PLENTY);
    all_are_served_alike(MANY - 1, PLENTY);
    all_are_served_alike(4096, 4096);
    all_are_served_alike(4096, 50000);
    the_arena_is_shared_among_those_that_were_ready();
    when_there_are_many_some_are_served_well();
    accepting_leaves_room_for_readers();
    starting_and_stopping_in_a_turn_costs_nothing();
    a_registered_buffer_takes_one_read();
    what_is_behind_a_registered_buffer_waits_for_the_next();
    a_filled_buffer_cannot_be_taken_back();
    a_reset_comes_behind_the_data_and_ends_the_stream();
    eof_is_said_once();
    return 0;
}
