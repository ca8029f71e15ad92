/* RDB files: each mark, each refusal, damage at any byte and a cut at any place. */
#include "test_command.h"

#include <sys/mman.h>

#include "command/rdb_file.h"

/* ---- helpers ----------------------------------------------------------------------------- */

static void add(struct buffer *out, const char *bytes, size_t size)
{
    buffer_append(out, bytes, size);
}

#define ADD(out, literal) add(out, literal, sizeof(literal) - 1)

static void end(struct buffer *out)
{
    rdb_file_write_end(out, rdb_crc(0, buffer_bytes(out)));
}

static void begin(struct buffer *out)
{
    buffer_clear(out);
    rdb_file_write_header(out);
}

/* A file with all there is. */
static void make_all(struct buffer *out)
{
    struct buffer payload = {0};
    begin(out);
    rdb_file_write_aux(out, "ctime", bytes_from_string("1700000000"));
    ADD(out, "\xf5\x04"
             "code");
    ADD(out, "\xf7\x81\xb5\xeb\x2d\xfa\x6a\x1d\xd4\x01" /* a module: */
             "\x02\x02\x01\x05\x03"
             "1234\x04"
             "12345678\x05\x04text\x00");
    rdb_file_write_database(out, 3, 2);
    ADD(&payload, "\x02\x02\x01"
                  "a\x01"
                  "b");
    rdb_write_footer(&payload, rdb_crc(0, buffer_bytes(&payload)));
    rdb_file_write_key(out, bytes_from_string("set"), buffer_bytes(&payload), 1800000000123);
    ADD(out, "\xfe\x00\xfd\x01\x00\x00\x00\xf8\x40\x64\xf9\x07" /* 1 s, idle, frequency */
             "\x00\x01n\xc1\x39\x30");
    ADD(out, "\x0a\x06packed\x10\x10\x00\x00\x00\x0c\x00\x00\x00\x02\x00\x00\xf2\x02\x01x\xff");
    ADD(out, "\x04\x05"
             "empty\x00");
    end(out);
    buffer_deinit(&payload);
}

/* What becomes of a file that has this and an end. */
static void expect_refusal(const char *body, size_t size, size_t item, const char *refusal)
{
    struct buffer out = {0};
    struct rdb_file file;
    enum rdb_file_step step = RDB_FILE_KEY;
    begin(&out);
    add(&out, body, size);
    end(&out);
    rdb_file_open(&file, buffer_bytes(&out));
    while (step != RDB_FILE_REFUSED) {
        step = rdb_file_next(&file);
        assert_int_not_equal(step, RDB_FILE_END);
    }
    assert_non_null(strstr(file.refusal, refusal));
    assert_int_equal(file.item, RDB_FILE_HEADER + item);
    rdb_file_close(&file);
    buffer_deinit(&out);
}

#define EXPECT_REFUSAL(body, item, refusal) expect_refusal(body, sizeof(body) - 1, item, refusal)

static bool is_whole(struct bytes bytes)
{
    struct rdb_file file;
    enum rdb_file_step step = RDB_FILE_KEY;
    rdb_file_open(&file, bytes);
    while (step != RDB_FILE_END && step != RDB_FILE_REFUSED)
        step = rdb_file_next(&file);
    assert_true(file.item <= bytes.size);
    assert_true((step == RDB_FILE_REFUSED) == (file.refusal != NULL));
    rdb_file_close(&file);
    return step == RDB_FILE_END;
}

/* ---- tests ------------------------------------------------------------------------------- */

static void expect_key(struct rdb_file *file, unsigned database, const char *name,
                       uint64_t elements)
{
    assert_int_equal(rdb_file_next(file), RDB_FILE_KEY);
    assert_int_equal(file->database, database);
    assert_true(bytes_equal(file->name, bytes_from_string(name)));
    assert_int_equal(file->elements, elements);
}

static void test_items(void **state)
{
    struct buffer out = {0};
    struct rdb_file file;
    (void)state;
    make_all(&out);
    rdb_file_open(&file, buffer_bytes(&out));
    assert_int_equal(rdb_file_next(&file), RDB_FILE_LIBRARY);
    assert_true(bytes_equal(file.value, bytes_from_string("code")));
    assert_int_equal(rdb_file_next(&file), RDB_FILE_MODULE);
    assert_string_equal(file.module, "test-mod1");
    expect_key(&file, 3, "set", 2);
    assert_true(file.has_deadline && file.deadline_ms == 1800000000123);
    assert_int_equal(file.kind, RDB_SET);
    assert_true(bytes_equal(file.value, bytes_from_string("\x02\x01"
                                                          "a\x01"
                                                          "b")));
    expect_key(&file, 0, "n", 1);
    assert_true(file.has_deadline && file.deadline_ms == 1000);
    expect_key(&file, 0, "packed", 2);
    assert_false(file.has_deadline);
    expect_key(&file, 0, "empty", 0);
    assert_int_equal(rdb_file_next(&file), RDB_FILE_END);
    assert_false(file.has_no_sum);
    rdb_file_close(&file);
    buffer_deinit(&out);
}

static void test_damage(void **state)
{
    struct buffer out = {0};
    (void)state;
    make_all(&out);
    assert_true(is_whole(buffer_bytes(&out)));
    for (size_t i = 0; i < out.size; i++) {
        char *cut = memory_copy(out.data, i); /* of its size, for the sanitizer */
        assert_false(is_whole(bytes_of(cut, i)));
        memory_free(cut);
        for (int bit = 0; bit < 8; bit++) {
            out.data[i] ^= (char)(1 << bit);
            assert_false(is_whole(buffer_bytes(&out)));
            out.data[i] ^= (char)(1 << bit);
        }
    }
    buffer_append_byte(&out, 0);
    assert_false(is_whole(buffer_bytes(&out)));
    buffer_deinit(&out);
}

static void test_refusals(void **state)
{
    (void)state;
    EXPECT_REFUSAL("\x00\x01k\x01v\xfe\x10", 5, "a database above 15");
    EXPECT_REFUSAL("\xfe\x0f\xf6\x01x", 2, "release candidate");
    EXPECT_REFUSAL("\x06\x01k\x00", 0, "of a module");
    EXPECT_REFUSAL("\x07\x01k\x00", 0, "of a module");
    EXPECT_REFUSAL("\x18\x01k\x00", 0, "that Redis 7.2 does not have");
    EXPECT_REFUSAL("\xf4\x01k\x00", 0, "that Redis 7.2 does not have");
    EXPECT_REFUSAL("\x00\x01k\x7f\xff", 0, "damaged or cut");
    EXPECT_REFUSAL("\x02\x01k\x81\xff\xff\xff\xff\xff\xff\xff\xff", 0, "damaged or cut");
    EXPECT_REFUSAL("\xf7\x01\x06\x00", 0, "damaged or cut");
    EXPECT_REFUSAL("\xfe\xc0", 0, "damaged or cut");
    /* Unpacked, it has more than 512 MB: 10 MB are said to be that. */
    struct buffer large = {0};
    ADD(&large, "\x00\x01k\xc3\x80\x00\xa0\x00\x00\x80\x20\x00\x00\x01");
    buffer_reserve(&large, 10 << 20);
    memset(large.data + large.size, 0, 10 << 20);
    large.size += 10 << 20;
    expect_refusal(large.data, large.size, 0, "more than 512 MB");
    buffer_deinit(&large);
}

/* A value larger than a command may carry, of strings that are not; hardly any of it is touched. */
static void test_large(void **state)
{
    enum { STRING = 300 << 20 };
    size_t size = 2 * (size_t)STRING + 64;
    struct buffer head = {0};
    struct rdb_file file;
    (void)state;
    char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(map != MAP_FAILED);
    rdb_file_write_header(&head);
    ADD(&head, "\x01\x01k\x02");
    rdb_write_size(&head, STRING);
    memcpy(map, head.data, head.size);
    size_t at = head.size + STRING;
    buffer_clear(&head);
    rdb_write_size(&head, STRING);
    memcpy(map + at, head.data, head.size);
    at += head.size + STRING;
    map[at] = (char)RDB_MARK_END;
    rdb_file_open(&file, bytes_of(map, size));
    assert_int_equal(rdb_file_next(&file), RDB_FILE_REFUSED);
    assert_non_null(strstr(file.refusal, "more than 512 MB"));
    rdb_file_close(&file);
    buffer_deinit(&head);
    munmap(map, size);
}

static void test_versions(void **state)
{
    static const struct {
        const char *header;
        bool is_known;
    } rows[] = {{"REDIS0005", false}, {"REDIS0006", true},  {"REDIS0009", true},
                {"REDIS0011", true},  {"REDIS0012", false}, {"REDIS00 9", false},
                {"RADIS0009", false}, {"REDIS1009", false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer out = {0};
        add(&out, rows[i].header, RDB_FILE_HEADER);
        end(&out);
        assert_true(is_whole(buffer_bytes(&out)) == rows[i].is_known);
        buffer_deinit(&out);
    }
    assert_false(is_whole(bytes_of("", 0)));
}

/* rdbchecksum no. */
static void test_no_sum(void **state)
{
    struct buffer out = {0};
    struct rdb_file file;
    (void)state;
    begin(&out);
    ADD(&out, "\xff\0\0\0\0\0\0\0\0");
    rdb_file_open(&file, buffer_bytes(&out));
    assert_int_equal(rdb_file_next(&file), RDB_FILE_END);
    assert_true(file.has_no_sum);
    rdb_file_close(&file);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items),    cmocka_unit_test(test_damage),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_versions),
        cmocka_unit_test(test_no_sum),   cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
