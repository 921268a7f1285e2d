/* The ring alone: bounds, order, and that no completion is lost. */
#include "check.h"

#include "csrc/ring.h"

#include <string.h>
#include <uv.h>

static void check_record(const gv_ring *ring, int64_t at, int64_t id, gv_kind kind, int64_t a) {
    const int64_t *record = ring->records + at * GV_RECORD_WORDS;

    CHECK(at < ring->count);
    CHECK_EQ(record[0], id);
    CHECK_EQ(record[1], kind);
    CHECK_EQ(record[2], a);
}

static void data_lies_one_behind_the_other(void) {
    gv_ring ring;

    CHECK_EQ(gv_ring_init(&ring, 8, 4096), 0);
    gv_ring_put_data(&ring, 1, 1);
    gv_ring_put_data(&ring, 2, 64);
    gv_ring_put_data(&ring, 3, 65);
    check_record(&ring, 0, 1, GV_DATA, 0);
    check_record(&ring, 1, 2, GV_DATA, 64);
    check_record(&ring, 2, 3, GV_DATA, 128);
    CHECK_EQ(ring.records[2 * GV_RECORD_WORDS + 3], 65);
    CHECK_EQ(ring.arena_used, 256);
    gv_ring_free(&ring);
}

static void the_arena_starts_again_only_when_all_is_taken(void) {
    gv_ring ring;

    CHECK_EQ(gv_ring_init(&ring, 8, 4096), 0);
    gv_ring_put_data(&ring, 1, 100);
    gv_ring_put_data(&ring, 2, 100);
    gv_ring_advance(&ring, 1);
    check_record(&ring, 0, 2, GV_DATA, 128);
    CHECK_EQ(ring.arena_used, 256);
    gv_ring_advance(&ring, 1);
    CHECK_EQ(ring.count, 0);
    CHECK_EQ(ring.arena_used, 0);
    gv_ring_free(&ring);
}

static void the_arena_is_aligned_and_never_larger_than_asked(void) {
    gv_ring ring;

    CHECK_EQ(gv_ring_init(&ring, 1, 5000), 0);
    CHECK_EQ(ring.arena_size, 4992);
    CHECK_EQ((uintptr_t) ring.arena % 4096, 0);
    memset(ring.arena, 'x', ring.arena_size); /* a sanitizer watches */
    gv_ring_free(&ring);
}

static void a_full_ring_has_no_room(void) {
    gv_ring ring;

    CHECK_EQ(gv_ring_init(&ring, 2, 4096), 0);
    CHECK(gv_ring_room(&ring));
    gv_ring_put(&ring, 1, GV_ACCEPTED, 7, 0);
    CHECK(gv_ring_room(&ring));
    gv_ring_put(&ring, 2, GV_ACCEPTED, 8, 0);
    CHECK(!gv_ring_room(&ring));
    gv_ring_advance(&ring, 1);
    CHECK(gv_ring_room(&ring));
    check_record(&ring, 0, 2, GV_ACCEPTED, 8);
    gv_ring_free(&ring);
}

static void completions_wait_in_order_of_arrival(void) {
    gv_source sources[100];
    gv_ring ring;
    int64_t seen;
    int64_t i;

    memset(sources, 0, sizeof(sources));
    CHECK_EQ(gv_ring_init(&ring, 3, 4096), 0);
    for (i = 0; i < 100; i++) {
        sources[i].id = i;
        gv_ring_report(&ring, &sources[i], GV_EOF);
    }
    CHECK_EQ(ring.count, 3);
    for (seen = 0; ring.count > 0; seen += ring.count, gv_ring_advance(&ring, ring.count))
        for (i = 0; i < ring.count; i++)
            check_record(&ring, i, seen + i, GV_EOF, 0);
    CHECK_EQ(seen, 100);
    CHECK(gv_ring_room(&ring));
    gv_ring_free(&ring);
}

static void who_may_be_refused_does_not_overtake_who_waits(void) {
    gv_source source = {.id = 2};
    gv_ring ring;

    CHECK_EQ(gv_ring_init(&ring, 1, 4096), 0);
    gv_ring_put(&ring, 1, GV_ACCEPTED, 0, 0);
    gv_ring_report(&ring, &source, GV_EOF);
    ring.count = 0; /* taken, but not yet filled up */
    CHECK(!gv_ring_room(&ring));
    gv_ring_advance(&ring, 0);
    check_record(&ring, 0, 2, GV_EOF, 0);
    gv_ring_free(&ring);
}

static void a_source_that_waits_reports_each_kind_once_in_their_order(void) {
    static const gv_kind wanted[] = {GV_CONNECTED, GV_WRITTEN, GV_DRAIN,   GV_EOF,
                                     GV_ERROR,     GV_TIMEOUT, GV_TIMEOUT, GV_CLOSED};
    static const int64_t word[] = {-5, 3, 0, 0, -7, 0, 2, 0};
    gv_source blocker = {.id = 1};
    gv_source source = {.id = 2, .status = -5, .error = -7};
    gv_ring ring;
    size_t i;

    CHECK_EQ(gv_ring_init(&ring, 1, 4096), 0);
    gv_ring_report(&ring, &blocker, GV_EOF);
    gv_ring_report(&ring, &source, GV_CLOSED);
    gv_ring_report_timeout(&ring, &source, 2);
    gv_ring_report(&ring, &source, GV_ERROR);
    gv_ring_report(&ring, &source, GV_EOF);
    gv_ring_report_timeout(&ring, &source, 0);
    source.written = 1;
    gv_ring_report(&ring, &source, GV_WRITTEN);
    source.written = 3; /* cumulative: one record says it for all */
    gv_ring_report(&ring, &source, GV_WRITTEN);
    gv_ring_report(&ring, &source, GV_DRAIN);
    gv_ring_report(&ring, &source, GV_CONNECTED);
    for (i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        gv_ring_advance(&ring, 1);
        check_record(&ring, 0, 2, wanted[i], word[i]);
    }
    gv_ring_advance(&ring, 1);
    CHECK_EQ(ring.count, 0);
    gv_ring_free(&ring);
}

static void a_timeout_that_finds_room_says_which(void) {
    gv_source source = {.id = 9};
    gv_ring ring;
    int which;

    CHECK_EQ(gv_ring_init(&ring, GV_DEADLINES, 4096), 0);
    for (which = 0; which < GV_DEADLINES; which++)
        gv_ring_report_timeout(&ring, &source, which);
    for (which = 0; which < GV_DEADLINES; which++)
        check_record(&ring, which, 9, GV_TIMEOUT, which);
    CHECK_EQ(source.bits, 0);
    gv_ring_free(&ring);
}

static void a_source_may_wait_again(void) {
    gv_source a = {.id = 1};
    gv_source b = {.id = 2};
    gv_ring ring;
    int round;

    CHECK_EQ(gv_ring_init(&ring, 1, 4096), 0);
    for (round = 0; round < 10; round++) {
        gv_ring_report(&ring, &a, GV_READY);
        gv_ring_report(&ring, &b, GV_READY);
        gv_ring_report(&ring, &a, GV_EOF);
        check_record(&ring, 0, 1, GV_READY, 0);
        gv_ring_advance(&ring, 1);
        check_record(&ring, 0, 2, GV_READY, 0);
        gv_ring_advance(&ring, 1);
        check_record(&ring, 0, 1, GV_EOF, 0);
        gv_ring_advance(&ring, 1);
        CHECK(gv_ring_room(&ring));
    }
    gv_ring_free(&ring);
}

int main(void) {
    data_lies_one_behind_the_other();
    the_arena_starts_again_only_when_all_is_taken();
    the_arena_is_aligned_and_never_larger_than_asked();
    a_full_ring_has_no_room();
    completions_wait_in_order_of_arrival();
    who_may_be_refused_does_not_overtake_who_waits();
    a_source_that_waits_reports_each_kind_once_in_their_order();
    a_timeout_that_finds_room_says_which();
    a_source_may_wait_again();
    return 0;
}
