/* Directories that earlier builds left, tests/compat/NAME.tar.gz: what is stored is converted, what
 * stands in the log behind it is executed again, and both give what that build answered and held.
 * A process that converts is killed at many moments, and the next one comes to the same.
 *
 * That process is this program again, executed afresh: RocksDB's threads do not survive a fork. */
#include <signal.h>
#include <time.h>

#include "test_storage.h"

#include "base/codec.h"
#include "base/memory.h"
#include "base/prng.h"
#include "command/commands.h"
#include "command/exec_form.h"
#include "replica/replica_internal.h"
#include "storage/raft_log.h"

enum {
    ROUNDS = 8,
    ROUNDS_MAX = 40,
    KILLED_MIN = 3,
    CHECKPOINT_BYTES = 64 << 20,
    REPORT_FD = 100,
    COMMANDS = 63
};

static const char *program;

/* ---- NAME.txt -------------------------------------------------------------------------------- */

enum { NOTE_MAX = 65536, RUN_MIN = 16384 };

/* "use N": the database from here on; "command WORDS" and "reply REPLY" for each; "holds KEY
 * REPLY"; "read WORDS" and "reply REPLY"; "keys N"; "db_hash HEX". */
struct notes {
    FILE *file;
    unsigned database;
    char line[NOTE_MAX];
};

static struct notes notes_open(const char *name)
{
    char path[256];
    struct notes notes = {0};
    snprintf(path, sizeof path, "tests/compat/%s.txt", name);
    notes.file = fopen(path, "r");
    assert_non_null(notes.file);
    return notes;
}

/* The rest of the next line, if it begins so; NULL: it is of another kind, and stays. */
static char *notes_take(struct notes *notes, const char *kind)
{
    static char rest[NOTE_MAX];
    size_t size = strlen(kind);
    for (;;) {
        if (!notes->line[0] && !fgets(notes->line, sizeof notes->line, notes->file))
            return NULL;
        if (sscanf(notes->line, "use %u", &notes->database) != 1)
            break;
        notes->line[0] = '\0';
    }
    if (strncmp(notes->line, kind, size) != 0 || notes->line[size] != ' ')
        return NULL;
    strcpy(rest, notes->line + size + 1);
    rest[strcspn(rest, "\n")] = '\0';
    notes->line[0] = '\0';
    return rest;
}

/* How often the byte at `at` stands there one behind the other. */
static size_t run_at(struct bytes bytes, size_t at)
{
    const char *data = bytes.data;
    size_t end = at + 1;
    while (end < bytes.size && data[end] == data[at])
        end++;
    return end - at;
}

static char *shown(struct bytes reply)
{
    static char text[NOTE_MAX];
    size_t size = 0;
    for (size_t i = 0; i < reply.size && size < sizeof text - 32; i++) {
        char byte = ((const char *)reply.data)[i];
        size_t run = run_at(reply, i);
        if (run >= RUN_MIN && byte > ' ' && byte != '\\') {
            size += (size_t)sprintf(text + size, "%c{x%zu}", byte, run);
            i += run - 1;
            continue;
        }
        const char *as = byte == '\r'   ? "\\r"
                         : byte == '\n' ? "\\n"
                         : byte == '\\' ? "\\\\"
                         : byte == '\0' ? "\\0"
                                        : NULL;
        if (as)
            size += (size_t)sprintf(text + size, "%s", as);
        else
            text[size++] = byte;
    }
    text[size] = '\0';
    return text;
}

/* ---- a directory ----------------------------------------------------------------------------- */

static void unpack(const char *name, const char *directory)
{
    char command[512];
    snprintf(command, sizeof command, "tar xzf tests/compat/%s.tar.gz -C %s", name, directory);
    assert_int_equal(system(command), 0);
}

struct store {
    struct kv *kv;
    struct raft_log *log;
    struct db *db;
    struct state_machine *machine;
};

static struct db *open_db(struct kv *kv)
{
    struct raft_log_identity identity;
    bool is_known = raft_log_identity(kv, &identity);
    assert_true(is_known);
    struct db_options options = {.cluster = identity.cluster, .checkpoint_bytes = CHECKPOINT_BYTES};
    return db_open(kv, &options);
}

static struct store store_open(const char *directory)
{
    struct store store = {.kv = open_rocksdb(directory)};
    store.log = raft_log_open(store.kv);
    store.db = open_db(store.kv);
    store.machine = command_machine_new(store.db, command_meaning_newest);
    return store;
}

static void store_close(struct store *store)
{
    command_machine_free(store->machine);
    db_close(store->db);
    raft_log_close(store->log);
    store->kv->ops->close(store->kv);
}

/* ---- replay ---------------------------------------------------------------------------------- */

/* The words as NAME.txt has them; of a transaction not what it carries. */
static char *words_of(struct bytes command)
{
    static char text[NOTE_MAX];
    struct bytes *argv = NULL;
    uint32_t argc, capacity = 0;
    size_t size = 0;
    assert_true(command_decode(command, &argv, &argc, &capacity));
    for (uint32_t i = 0; i < argc; i++) {
        const char *word = shown(argv[i]);
        assert_true(size + strlen(word) + 2 < sizeof text);
        if (i > 0)
            text[size++] = ' ';
        for (; *word; word++)
            text[size++] = *word == ' ' ? '+' : *word;
        text[size] = '\0';
        if (bytes_equal(argv[i], bytes_from_string(EXEC_NAME)))
            break;
    }
    memory_free(argv);
    return text;
}

/* A command that does not stand in the log was refused before. */
static void skip_refused(struct notes *notes, const char *words)
{
    char *command = notes_take(notes, "command");
    while (command && strcmp(command, words) != 0) {
        char *reply = notes_take(notes, "reply");
        assert_non_null(reply);
        if (reply[0] != '-')
            fail_msg("not in the log, but executed: before %s", words);
        command = notes_take(notes, "command");
    }
    if (!command)
        fail_msg("in the log, but nobody asked for it: %s", words);
}

static void replay_entry(struct store *store, struct notes *notes, const struct raft_entry *entry)
{
    struct apply_context context = {.pos = entry->pos};
    struct bytes command;
    struct buffer reply = {0};
    assert_true(entry_unstamp(blob_bytes(entry->payload), &context, &command));
    if (context.now_ms < db_time_ms(store->db))
        context.now_ms = db_time_ms(store->db);
    char *words = words_of(command);
    bool is_tick = strcmp(words, command_tick.name) == 0; /* nobody asked for it */
    if (!is_tick) {
        skip_refused(notes, words);
        assert_int_equal(context.database, notes->database);
    }
    while (!store->machine->ops->apply(store->machine, &context, command, 2, &reply))
        ;
    store->machine->ops->applied(store->machine, entry->pos, context.now_ms, context.meaning);
    if (is_tick) {
        buffer_deinit(&reply);
        return;
    }
    const char *wanted = notes_take(notes, "reply");
    if (!wanted || strcmp(wanted, shown(buffer_bytes(&reply))) != 0)
        fail_msg("%s\n   got %s\nwanted %s", words, shown(buffer_bytes(&reply)), wanted);
    buffer_deinit(&reply);
}

/* How many commands there were. */
static unsigned replay(struct store *store, struct notes *notes)
{
    struct raft_saved saved;
    unsigned commands = 0;
    raft_log_saved(store->log, &saved);
    raft_index last = saved.first.index + saved.entries_count;
    for (raft_index index = db_applied_index(store->db) + 1; index <= last; index++) {
        struct raft_entry entry;
        assert_int_equal(raft_log_read(store->log, index, 1, 1 << 20, &entry), 1);
        assert_int_equal(entry.pos.index, index);
        if (entry.type == RAFT_ENTRY_COMMAND) {
            replay_entry(store, notes, &entry);
            commands++;
        } else {
            store->machine->ops->applied(store->machine, entry.pos, 0, 0);
        }
        blob_release(entry.payload);
    }
    return commands;
}

static void expect_read(struct store *store, struct notes *notes, char *line)
{
    struct bytes argv[16];
    uint32_t argc = 0;
    char *words = strdup(line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = bytes_from_string(word);
    struct apply_context context = {.meaning = command_meaning_newest,
                                    .database = (uint8_t)notes->database,
                                    .now_ms = db_time_ms(store->db)};
    struct blob *command = command_encode(argv, argc);
    struct buffer reply = {0};
    void *reading = NULL;
    while (!store->machine->ops->read(store->machine, &reading, &context, blob_bytes(command), 2,
                                      &reply, NULL))
        db_poll(store->db);
    const char *wanted = notes_take(notes, "reply");
    if (!wanted || strcmp(wanted, shown(buffer_bytes(&reply))) != 0)
        fail_msg("%s\n   got %s\nwanted %s", argv[0].data ? (const char *)argv[0].data : "",
                 shown(buffer_bytes(&reply)), wanted);
    blob_release(command);
    buffer_deinit(&reply);
    free(words);
}

static void expect_contents(struct store *store, struct notes *notes)
{
    char *line;
    for (; (line = notes_take(notes, "command")); line = notes_take(notes, "reply"))
        ; /* refused behind the last that was logged */
    while ((line = notes_take(notes, "holds"))) {
        struct bytes value, key = bytes_of(line, strcspn(line, " "));
        const char *wanted = line + key.size + 1;
        struct buffer reply = {0};
        assert_int_equal(db_get(store->db, notes->database, key, &value), DB_STRING);
        buffer_printf(&reply, "$%zu\r\n", value.size);
        buffer_append_bytes(&reply, value);
        buffer_printf(&reply, "\r\n");
        if (strcmp(wanted, shown(buffer_bytes(&reply))) != 0)
            fail_msg("it holds %s, not %s", shown(buffer_bytes(&reply)), line);
        buffer_deinit(&reply);
    }
    while ((line = notes_take(notes, "read")))
        expect_read(store, notes, line);
    const char *keys = notes_take(notes, "keys");
    assert_non_null(keys);
    while (!db_resolve(store->db, 1000))
        db_poll(store->db);
    assert_int_equal(db_size(store->db, notes->database), strtoull(keys, NULL, 10));
}

/* The whole of it; what is stored then is what a later start finds. */
static void expect_all(const char *name, const char *directory, unsigned commands)
{
    for (int start = 0; start < 2; start++) {
        struct notes notes = notes_open(name);
        struct store store = store_open(directory);
        if (start == 0)
            assert_int_equal(replay(&store, &notes), commands);
        else
            while (notes_take(&notes, "command"))
                notes_take(&notes, "reply");
        expect_contents(&store, &notes);
        const char *wanted = notes_take(&notes, "db_hash");
        char hash[32];
        snprintf(hash, sizeof hash, "%016llx", (unsigned long long)db_hash(store.db));
        if (!wanted || strcmp(wanted, hash) != 0)
            fail_msg("db_hash is %s, not %s", hash, wanted);
        db_checkpoint(store.db);
        store_close(&store);
        fclose(notes.file);
    }
}

static void expect_directory(const char *name, unsigned commands)
{
    char *directory = temporary_new();
    unpack(name, directory);
    expect_all(name, directory, commands);
    temporary_remove(directory);
}

static void test_format_1(void **state)
{
    (void)state;
    expect_directory("format-1", COMMANDS);
}

static void test_format_2_meaning_2(void **state)
{
    (void)state;
    expect_directory("format-2-meaning-2", 67);
}

static void test_format_2_meaning_3(void **state)
{
    (void)state;
    expect_directory("format-2-meaning-3", 180);
}

static void test_format_2_meaning_4(void **state)
{
    (void)state;
    expect_directory("format-2-meaning-4", 264);
}

static void test_format_2_meaning_5(void **state)
{
    (void)state;
    expect_directory("format-2-meaning-5", 310);
}

static void test_format_2_meaning_6(void **state)
{
    (void)state;
    expect_directory("format-2-meaning-6", 331);
}

/* ---- kill -9 --------------------------------------------------------------------------------- */

/* "o" when the directory is open and the conversion begins, "c" at its end. */
_Noreturn static void convert(const char *directory)
{
    struct kv *kv = open_rocksdb(directory);
    if (write(REPORT_FD, "o", 1) != 1)
        _exit(2);
    struct db *db = open_db(kv);
    if (write(REPORT_FD, "c", 1) != 1)
        _exit(2);
    db_close(db);
    kv->ops->close(kv);
    _exit(0);
}

static pid_t start_converting(const char *directory, int *from)
{
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], REPORT_FD);
        close(ends[0]);
        execl(program, program, "convert", directory, (char *)NULL);
        _exit(2);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'o');
    *from = ends[0];
    return child;
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* How long a conversion takes that nobody disturbs, microseconds. */
static int64_t measure(void)
{
    char *directory = temporary_new(), byte;
    int from, status;
    unpack("format-1", directory);
    pid_t child = start_converting(directory, &from);
    int64_t began = now_us();
    assert_int_equal(read(from, &byte, 1), 1);
    int64_t took = now_us() - began;
    close(from);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    temporary_remove(directory);
    return took;
}

/* True: it was killed before its end. */
static bool kill_after(const char *directory, int64_t us)
{
    int from, status;
    char byte;
    pid_t child = start_converting(directory, &from);
    struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&pause, NULL);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    ssize_t ended = read(from, &byte, 1);
    close(from);
    return ended == 0;
}

static void test_killed_while_converting(void **state)
{
    (void)state;
    uint64_t seed = 5;
    unsigned killed = 0;
    int64_t whole_us = measure();
    for (int round = 0; round < ROUNDS || (killed < KILLED_MIN && round < ROUNDS_MAX); round++) {
        char *directory = temporary_new();
        unpack("format-1", directory);
        for (uint64_t times = prng_below(&seed, 3) + 1; times > 0; times--) {
            bool is_killed =
                kill_after(directory, (int64_t)prng_below(&seed, (uint64_t)whole_us + 1));
            killed += is_killed;
            if (is_killed)
                continue;
            whole_us -= whole_us / 4; /* it was slow when it was measured: the machine was busy */
            break;                    /* and nothing is left to be converted */
        }
        expect_all("format-1", directory, COMMANDS);
        temporary_remove(directory);
    }
    if (killed < KILLED_MIN)
        fail_msg("only %u in %d rounds were killed before their end", killed, ROUNDS_MAX);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_1),
        cmocka_unit_test(test_format_2_meaning_2),
        cmocka_unit_test(test_format_2_meaning_3),
        cmocka_unit_test(test_format_2_meaning_4),
        cmocka_unit_test(test_format_2_meaning_5),
        cmocka_unit_test(test_format_2_meaning_6),
        cmocka_unit_test(test_killed_while_converting),
    };
    program = argv[0];
    if (argc == 3 && strcmp(argv[1], "convert") == 0)
        convert(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
