/* Snapshots that leave the node: a file is there when it is whole, and a client gets each chunk in
 * its turn. */
#include "test_clients.h"

#include <dirent.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "data/snapshot.h"
#include "server/backups.h"
#include "server/pace.h"
#include "server/ticks.h"

enum { KEYS = 60, VALUE = 20000, PATH = 128 };

static struct {
    struct server_backups *backups;
    char directory[PATH];
    atomic_uint woken;
} node;

static void on_wake(void *context)
{
    (void)context;
    node.woken++;
}

static void start_again(void)
{
    struct server_backups_options options = {
        .db = house.db, .config = &house.config, .wake = on_wake};
    if (node.backups)
        server_backups_free(node.backups);
    node.backups = server_backups_new(&options);
}

static int open_node(void **state)
{
    struct buffer heard = {0};
    set_up(state);
    node.woken = 0;
    int a = dial();
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        snprintf(key, sizeof key, "key:%d", i);
        say_set(a, key, VALUE, (char)('a' + i % 26));
    }
    assert_true(hear_all(a, &heard));
    assert_int_equal(heard.size, KEYS * 5);
    close(a);
    buffer_deinit(&heard);
    snprintf(node.directory, sizeof node.directory, "/tmp/test-backups-%d", (int)getpid());
    assert_int_equal(mkdir(node.directory, 0700), 0);
    memory_free(house.config.backup_dir);
    house.config.backup_dir = memory_string(node.directory);
    house.config.snapshot_bandwidth = 0;
    node.backups = NULL;
    start_again();
    return 0;
}

/* Names in the directory; the files are gone afterwards. */
static unsigned clear_directory(void)
{
    unsigned count = 0;
    DIR *directory = opendir(node.directory);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        assert_int_equal(unlinkat(dirfd(directory), entry->d_name, 0), 0);
        count++;
    }
    closedir(directory);
    return count;
}

static int close_node(void **state)
{
    server_backups_free(node.backups);
    clear_directory();
    assert_int_equal(rmdir(node.directory), 0);
    return tear_down(state);
}

static struct server_backup about(void)
{
    struct server_backup backup;
    server_backups_describe(node.backups, &backup);
    return backup;
}

static void assert_refused(struct bytes name, const char *why)
{
    char error[300] = "";
    assert_false(server_backups_start(node.backups, name, error, sizeof error));
    assert_string_equal(error, why);
}

static void start(const char *name)
{
    char error[300] = "";
    assert_true(server_backups_start(node.backups, bytes_from_string(name), error, sizeof error));
}

static void wait_for_end(void)
{
    while (node.woken == 0)
        usleep(1000);
    node.woken = 0;
    server_backups_poll(node.backups);
    assert_false(about().is_under_way);
}

enum { ASKED_MAX = 1000000 };

/* Chunk `number`, which comes for as often as it is asked for. */
static enum server_chunk take(uint64_t id, uint64_t number, struct bytes *chunk)
{
    enum server_chunk result = SERVER_CHUNK_LATER;
    for (int i = 0; i < ASKED_MAX && result == SERVER_CHUNK_LATER; i++)
        result = server_backups_chunk(node.backups, id, number, chunk);
    return result;
}

static uint64_t begin(void)
{
    char error[300] = "";
    uint64_t id;
    assert_true(server_backups_begin(node.backups, &id, error, sizeof error));
    assert_true(id > 0 && id <= INT64_MAX);
    return id;
}

/* ---- files ------------------------------------------------------------------------------- */

static void read_file(const char *name, struct buffer *text)
{
    char path[2 * PATH];
    snprintf(path, sizeof path, "%s/%s", node.directory, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    buffer_reserve(text, 4 << 20);
    text->size = fread(text->data, 1, text->capacity, file);
    fclose(file);
}

/* The file is what a client would have read, no more, no less, and nothing else is left there. */
static void a_file_is_the_whole_snapshot(void **state)
{
    struct buffer file = {0}, stream = {0};
    struct bytes chunk;
    (void)state;
    assert_string_equal(about().name, "");
    start("first.1");
    struct server_backup backup = about();
    assert_true(backup.is_under_way);
    assert_string_equal(backup.name, "first.1");
    assert_int_equal(backup.index, db_applied_index(house.db));
    assert_refused(bytes_from_string("second"), "ERR a backup is under way");
    wait_for_end();
    backup = about();
    assert_string_equal(backup.error, "");
    read_file("first.1", &file);
    assert_true(file.size > KEYS * VALUE / 2);
    assert_int_equal(backup.bytes, file.size);
    uint64_t id = begin();
    for (uint64_t number = 0; take(id, number, &chunk) == SERVER_CHUNK_OK; number++)
        buffer_append_bytes(&stream, chunk);
    assert_int_equal(stream.size, file.size);
    assert_memory_equal(stream.data, file.data, file.size);
    assert_refused(bytes_from_string("first.1"), "ERR there is a file of this name");
    assert_string_equal(about().name, "first.1"); /* the last one, still */
    assert_int_equal(clear_directory(), 1);
    start("second");
    wait_for_end();
    assert_string_equal(about().error, "");
    assert_int_equal(about().bytes, file.size);
    buffer_deinit(&file);
    buffer_deinit(&stream);
}

/* No name leads out of the directory, or is another for who reads it as a C string. */
static void a_name_is_letters_and_digits(void **state)
{
    static const char wrong[] = "ERR a backup is named with letters, digits, '-', '_' and '.'";
    char name[202];
    (void)state;
    memset(name, 'x', sizeof name);
    assert_refused(bytes_of(name, 0), wrong);
    assert_refused(bytes_of(name, 201), wrong);
    assert_refused(bytes_from_string(".hidden"), wrong);
    house.config.snapshot_bandwidth = 1; /* it stays under way: that is asked first */
    start("slow");
    for (int i = 0; i < 256; i++) {
        bool is_good = (i >= '0' && i <= '9') || (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z') ||
                       i == '.' || i == '_' || i == '-';
        start_again();
        char error[300] = "";
        name[1] = (char)i;
        assert_int_equal(
            server_backups_start(node.backups, bytes_of(name, i ? 3 : 200), error, sizeof error),
            is_good);
        assert_string_equal(error, is_good ? "" : wrong);
    }
    name[1] = 'x';
    start_again();
    house.config.snapshot_bandwidth = 0;
    clear_directory();
    name[200] = '\0';
    node.woken = 0;
    start(name);
    wait_for_end();
    assert_string_equal(about().error, "");
    assert_string_equal(about().name, name);
}

static void without_a_directory_there_is_none(void **state)
{
    (void)state;
    house.config.backup_dir[0] = '\0';
    assert_refused(bytes_from_string("x"), "ERR no backup-dir is configured");
    memory_free(house.config.backup_dir);
    house.config.backup_dir = memory_string("/tmp/test-backups-is-not-there");
    assert_refused(bytes_from_string("x"), "ERR cannot open backup-dir: No such file or directory");
    assert_false(about().is_under_way);
    assert_string_equal(about().name, "");
}

/* A half one is no file of that name; and it does not hold up the end of the process. */
static void what_is_not_whole_is_not_there(void **state)
{
    (void)state;
    house.config.snapshot_bandwidth = 100;
    start("slow");
    server_backups_poll(node.backups);
    server_backups_tick(node.backups);
    assert_true(about().is_under_way);
    start_again();
    assert_int_equal(node.woken, 1);
    assert_int_equal(clear_directory(), 0);
}

/* ---- streams ------------------------------------------------------------------------------ */

static void chunks_come_one_by_one(void **state)
{
    struct bytes chunk, again;
    (void)state;
    uint64_t id = begin(), last = 0;
    assert_int_equal(take(id, 1, &chunk), SERVER_CHUNK_UNKNOWN);
    assert_int_equal(take(id + 1, 0, &chunk), SERVER_CHUNK_UNKNOWN);
    assert_int_equal(take(0, 0, &chunk), SERVER_CHUNK_UNKNOWN); /* a free place is nobody's */
    while (take(id, last, &chunk) == SERVER_CHUNK_OK) {
        assert_true(chunk.size > 0);
        assert_int_equal(take(id, last, &again), SERVER_CHUNK_OK); /* its answer was lost */
        assert_true(bytes_equal(chunk, again));
        assert_int_equal(take(id, last + 2, &again), SERVER_CHUNK_UNKNOWN);
        if (last > 0)
            assert_int_equal(take(id, last - 1, &again), SERVER_CHUNK_UNKNOWN);
        last++;
    }
    assert_true(last > KEYS * VALUE / DB_SNAPSHOT_CHUNK / 2);
    assert_int_equal(take(id, last - 1, &again), SERVER_CHUNK_OK);
    assert_int_equal(take(id, last, &again), SERVER_CHUNK_UNKNOWN);
    assert_true(server_backups_end(node.backups, id));
    assert_false(server_backups_end(node.backups, id));
    assert_false(server_backups_end(node.backups, 0));
    assert_int_equal(take(id, last - 1, &again), SERVER_CHUNK_UNKNOWN);
}

/* Each holds a view: so many at a time, until they end. */
static void so_many_clients_read_at_a_time(void **state)
{
    struct bytes chunk;
    char error[300] = "";
    uint64_t none;
    (void)state;
    assert_int_equal(about().streams, 0);
    uint64_t first = begin(), second = begin();
    assert_true(first != second);
    assert_int_equal(about().streams, 2);
    assert_false(server_backups_begin(node.backups, &none, error, sizeof error));
    assert_string_equal(error, "ERR too many snapshots are being read");
    assert_int_equal(take(first, 0, &chunk), SERVER_CHUNK_OK);
    assert_int_equal(take(second, 0, &chunk), SERVER_CHUNK_OK); /* each has its own count */
    server_backups_tick(node.backups);
    assert_int_equal(about().streams, 2); /* they are not idle */
    assert_true(server_backups_end(node.backups, first));
    assert_int_equal(about().streams, 1);
    assert_int_equal(take(second, 1, &chunk), SERVER_CHUNK_OK);
    first = begin();
    assert_int_equal(take(first, 0, &chunk), SERVER_CHUNK_OK);
}

/* Not before its time has come by snapshot-bandwidth; what was given is given again. */
static void chunks_keep_to_the_bandwidth(void **state)
{
    struct bytes chunk;
    (void)state;
    uint64_t id = begin();
    assert_int_equal(take(id, 0, &chunk), SERVER_CHUNK_OK);
    house.config.snapshot_bandwidth = 1;
    assert_int_equal(take(id, 1, &chunk), SERVER_CHUNK_OK); /* what was before does not count */
    for (int i = 0; i < 100; i++)
        assert_int_equal(server_backups_chunk(node.backups, id, 2, &chunk), SERVER_CHUNK_LATER);
    assert_int_equal(take(id, 1, &chunk), SERVER_CHUNK_OK);
    house.config.snapshot_bandwidth = 1ll << 40;
    assert_int_equal(take(id, 2, &chunk), SERVER_CHUNK_OK);
}

/* ---- the pace of a thread ------------------------------------------------------------------- */

static int64_t pace_ms(uint64_t bytes, uint64_t bandwidth, bool stops)
{
    atomic_bool is_stopping = stops;
    int64_t began_ns = server_ticks_clock_ns();
    server_keep_pace(began_ns, bytes, bandwidth, &is_stopping);
    return (server_ticks_clock_ns() - began_ns) / 1000000;
}

static void a_thread_waits_for_its_time(void **state)
{
    (void)state;
    assert_in_range(pace_ms(130000, 1000000, false), 128, 60000); /* in steps */
    assert_in_range(pace_ms(1ll << 40, 1 << 20, true), 0, 60000);
    assert_in_range(pace_ms(1ll << 40, 0, false), 0, 60000);
    assert_in_range(pace_ms(1 << 20, 1ll << 40, false), 0, 60000);
}

int main(void)
{
    log_set_level(LOG_LEVEL_WARNING);
#undef TEST /* with a house alone */
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_node, close_node)
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_the_whole_snapshot),
        TEST(a_name_is_letters_and_digits),
        TEST(without_a_directory_there_is_none),
        TEST(what_is_not_whole_is_not_there),
        TEST(chunks_come_one_by_one),
        TEST(so_many_clients_read_at_a_time),
        TEST(chunks_keep_to_the_bandwidth),
        cmocka_unit_test(a_thread_waits_for_its_time),
    };
    return cmocka_run_group_tests_name("backups", tests, NULL, NULL);
}
