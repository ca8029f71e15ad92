/* The words of changes of members: what is asked for, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "command/change.h"
#include "command/command.h"

enum { WORDS_MAX = 8 };

/* Whether it is a change; words are separated by spaces. */
static bool read_words(const char *text, struct replica_change *change)
{
    struct bytes words[WORDS_MAX];
    char *copy = memory_string(text), *rest = copy, *word;
    uint32_t count = 0;
    while ((word = strsep(&rest, " ")))
        words[count++] = bytes_from_string(word);
    struct blob *command = command_encode(words, count);
    bool is_change = command_change(blob_bytes(command), change);
    blob_release(command);
    memory_free(copy);
    return is_change;
}

static void a_life_says_which_node_is_meant(void **state)
{
    static const struct {
        const char *text;
        enum replica_change_kind kind;
        uint64_t life;
        bool is_forced;
        const char *address;
    } cases[] = {
        {"RAFT.NODE REMOVE 3", REPLICA_REMOVE, 0, false, ""},
        {"RAFT.NODE REMOVE 3 FORCE", REPLICA_REMOVE, 0, true, ""},
        {"RAFT.NODE REMOVE 3 LIFE f00d", REPLICA_REMOVE, 0xf00d, false, ""},
        {"raft.node remove 3 life F00D force", REPLICA_REMOVE, 0xf00d, true, ""},
        {"RAFT.NODE DEMOTE 3 LIFE fedcba9876543210", REPLICA_DEMOTE, 0xfedcba9876543210, false, ""},
        {"RAFT.NODE PROMOTE 3", REPLICA_PROMOTE, 0, false, ""},
        {"RAFT.NODE REPLACE 3 a:1", REPLICA_REPLACE, 0, false, "a:1"},
        {"RAFT.NODE REPLACE 3 a:1 LIFE 1 FORCE", REPLICA_REPLACE, 1, true, "a:1"},
        {"RAFT.NODE REPLACE 3 LIFE 00000000000000ab", REPLICA_REPLACE, 0xab, false, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct replica_change change;
        assert_true(read_words(cases[i].text, &change));
        assert_int_equal(change.kind, cases[i].kind);
        assert_int_equal(change.node, 3);
        assert_true(change.life == cases[i].life);
        assert_int_equal(change.is_forced, cases[i].is_forced);
        assert_string_equal(change.address, cases[i].address);
    }
}

static void what_makes_no_sense_is_no_change(void **state)
{
    static const char *const cases[] = {
        "RAFT.NODE REMOVE",
        "RAFT.NODE REMOVE x",
        "RAFT.NODE REMOVE -1",
        "RAFT.NODE REMOVE 3 LIFE",
        "RAFT.NODE REMOVE 3 LIFE 0",
        "RAFT.NODE REMOVE 3 LIFE -1",
        "RAFT.NODE REMOVE 3 LIFE 0x1",
        "RAFT.NODE REMOVE 3 LIFE 00000000000000001",
        "RAFT.NODE REMOVE 3 FORCE LIFE 1",
        "RAFT.NODE REMOVE 3 a:1 LIFE 1",
        "RAFT.NODE REMOVE LIFE 1",
        "RAFT.NODE PROMOTE 3 LIFE 1",
        "RAFT.NODE ADD a:1 LIFE 1",
        "RAFT.NODE ADD nowhere",
        "RAFT.NODE REPLACE 3 nowhere",
        "RAFT.NODE REPLACE 3 a:1 b:1",
        "RAFT.NODE REPLACE 3 LIFE 1 a:1",
        "GET a",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct replica_change change;
        if (read_words(cases[i], &change))
            fail_msg("%s", cases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life_says_which_node_is_meant),
        cmocka_unit_test(what_makes_no_sense_is_no_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
