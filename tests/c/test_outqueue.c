/* The out-queue alone: order, counting, and who owns which memory. */
#include "check.h"

#include "csrc/outqueue.h"

#include <string.h>

static gv_loop loop; /* only its spare chunks are used */

/* Take everything out, `step` bytes at a time, and compare. Returns how many
 * lent pieces were done with. */
static int64_t drain(gv_outqueue *queue, const char *wanted, size_t step) {
    int64_t lent = 0;

    while (queue->first != NULL) {
        uv_buf_t bufs[4];
        unsigned count = gv_outqueue_gather(queue, bufs, 4);
        size_t len = bufs[0].len < step ? bufs[0].len : step;

        CHECK(count >= 1 && count <= 4);
        CHECK(len > 0);
        CHECK(memcmp(bufs[0].base, wanted, len) == 0);
        wanted += len;
        lent += gv_outqueue_consume(&loop, queue, len);
    }
    CHECK(queue->last == NULL);
    CHECK_EQ(queue->size, 0);
    CHECK_EQ(*wanted, 0);
    return lent;
}

static void small_pieces_share_a_chunk(void) {
    gv_outqueue queue = {NULL, NULL, 0};
    uv_buf_t bufs[8];
    int i;

    for (i = 0; i < 100; i++)
        CHECK_EQ(gv_outqueue_copy(&loop, &queue, "0123456789", 10), 0);
    CHECK_EQ(queue.size, 1000);
    CHECK_EQ(gv_outqueue_gather(&queue, bufs, 8), 1);
    CHECK_EQ(bufs[0].len, 1000);
    CHECK_EQ(gv_outqueue_clear(&loop, &queue), 0);
}

static void copied_memory_may_change_and_lent_memory_is_not_copied(void) {
    gv_outqueue queue = {NULL, NULL, 0};
    char copied[] = "copied";
    char lent[] = "lent";
    uv_buf_t bufs[2];

    CHECK_EQ(gv_outqueue_copy(&loop, &queue, copied, 6), 0);
    CHECK_EQ(gv_outqueue_lend(&queue, lent, 4), 0);
    memset(copied, 'x', 6);
    CHECK_EQ(gv_outqueue_gather(&queue, bufs, 2), 2);
    CHECK(memcmp(bufs[0].base, "copied", 6) == 0);
    CHECK(bufs[1].base == lent);
    CHECK_EQ(gv_outqueue_clear(&loop, &queue), 1);
}

static void order_holds_between_copied_and_lent(void) {
    static const char wanted[] = "one, TWO, three, FOUR, FIVE, six";
    size_t step;

    for (step = 1; step < sizeof(wanted); step++) {
        gv_outqueue queue = {NULL, NULL, 0};

        CHECK_EQ(gv_outqueue_copy(&loop, &queue, "one, ", 5), 0);
        CHECK_EQ(gv_outqueue_lend(&queue, "TWO, ", 5), 0);
        CHECK_EQ(gv_outqueue_copy(&loop, &queue, "thr", 3), 0);
        CHECK_EQ(gv_outqueue_copy(&loop, &queue, "ee, ", 4), 0);
        CHECK_EQ(gv_outqueue_lend(&queue, "FOUR, ", 6), 0);
        CHECK_EQ(gv_outqueue_lend(&queue, "FIVE, ", 6), 0);
        CHECK_EQ(gv_outqueue_copy(&loop, &queue, "six", 3), 0);
        CHECK_EQ(queue.size, strlen(wanted));
        CHECK_EQ(drain(&queue, wanted, step), 3);
    }
}

static void one_consume_may_go_over_many_pieces(void) {
    gv_outqueue queue = {NULL, NULL, 0};
    uv_buf_t buf;
    int i;

    for (i = 0; i < 10; i++)
        CHECK_EQ(gv_outqueue_lend(&queue, "0123456789", 10), 0);
    CHECK_EQ(gv_outqueue_consume(&loop, &queue, 55), 5);
    CHECK_EQ(queue.size, 45);
    CHECK_EQ(gv_outqueue_gather(&queue, &buf, 1), 1);
    CHECK_EQ(buf.len, 5);
    CHECK_EQ(buf.base[0], '5');
    CHECK_EQ(gv_outqueue_consume(&loop, &queue, 5), 1);
    CHECK_EQ(gv_outqueue_clear(&loop, &queue), 4);
}

static void what_follows_a_partly_sent_chunk_goes_into_it(void) {
    gv_outqueue queue = {NULL, NULL, 0};

    CHECK_EQ(gv_outqueue_copy(&loop, &queue, "abcdef", 6), 0);
    CHECK_EQ(gv_outqueue_consume(&loop, &queue, 4), 0);
    CHECK_EQ(gv_outqueue_copy(&loop, &queue, "gh", 2), 0);
    CHECK(queue.first == queue.last);
    CHECK_EQ(drain(&queue, "efgh", 100), 0);
}

static void a_large_copy_has_a_chunk_of_its_own(void) {
    static char large[3 * GV_CHUNK_SIZE];
    gv_outqueue queue = {NULL, NULL, 0};
    uv_buf_t bufs[4];

    memset(large, 'L', sizeof(large));
    CHECK_EQ(gv_outqueue_copy(&loop, &queue, "s", 1), 0);
    CHECK_EQ(gv_outqueue_copy(&loop, &queue, large, sizeof(large)), 0);
    CHECK_EQ(gv_outqueue_copy(&loop, &queue, "s", 1), 0);
    CHECK_EQ(gv_outqueue_gather(&queue, bufs, 4), 3);
    CHECK_EQ(bufs[1].len, sizeof(large));
    CHECK_EQ(gv_outqueue_clear(&loop, &queue), 0);
    CHECK_EQ(queue.size, 0);
}

static void spare_chunks_are_used_again_and_bounded(void) {
    gv_outqueue queue = {NULL, NULL, 0};
    static char fill[GV_CHUNK_SIZE - sizeof(gv_chunk)];
    int i;

    for (i = 0; i < GV_CHUNKS_KEPT + 10; i++)
        CHECK_EQ(gv_outqueue_copy(&loop, &queue, fill, sizeof(fill)), 0);
    CHECK_EQ(loop.chunk_count, 0);
    CHECK_EQ(gv_outqueue_clear(&loop, &queue), 0);
    CHECK_EQ(loop.chunk_count, GV_CHUNKS_KEPT);
    CHECK_EQ(gv_outqueue_copy(&loop, &queue, "x", 1), 0);
    CHECK_EQ(loop.chunk_count, GV_CHUNKS_KEPT - 1);
    CHECK_EQ(gv_outqueue_clear(&loop, &queue), 0);
}

static void gather_takes_no_more_than_it_is_told(void) {
    gv_outqueue queue = {NULL, NULL, 0};
    uv_buf_t bufs[3];
    int i;

    CHECK_EQ(gv_outqueue_gather(&queue, bufs, 3), 0);
    for (i = 0; i < 5; i++)
        CHECK_EQ(gv_outqueue_lend(&queue, "x", 1), 0);
    CHECK_EQ(gv_outqueue_gather(&queue, bufs, 3), 3);
    CHECK_EQ(gv_outqueue_clear(&loop, &queue), 5);
}

int main(void) {
    small_pieces_share_a_chunk();
    copied_memory_may_change_and_lent_memory_is_not_copied();
    order_holds_between_copied_and_lent();
    one_consume_may_go_over_many_pieces();
    what_follows_a_partly_sent_chunk_goes_into_it();
    a_large_copy_has_a_chunk_of_its_own();
    spare_chunks_are_used_again_and_bounded();
    gather_takes_no_more_than_it_is_told();
    gv_chunks_free(&loop);
    CHECK_EQ(loop.chunk_count, 0);
    return 0;
}
