/* README's table of Redis 7.2's commands says of each what is true: redis_commands.txt has their
 * names, as COMMAND LIST gives them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "command/command.h"

enum { NAMES_MAX = 512, NAME_SIZE = 48 };

static struct {
    char name[NAME_SIZE];
    unsigned said; /* how often the table has it */
} names[NAMES_MAX];
static unsigned names_count;

static struct buffer read_file(const char *name)
{
    struct buffer text = {0};
    char part[4096];
    size_t size;
    FILE *file = fopen(name, "r");
    assert_non_null(file);
    while ((size = fread(part, 1, sizeof part, file)) > 0)
        buffer_append(&text, part, size);
    fclose(file);
    buffer_append_byte(&text, '\0');
    return text;
}

static void read_names(void)
{
    struct buffer text = read_file("tests/unit/redis_commands.txt");
    char *rest = text.data;
    for (char *line; (line = strtok_r(rest, "\n", &rest)) != NULL;) {
        if (line[0] == '#')
            continue;
        assert_true(names_count < NAMES_MAX && strlen(line) < NAME_SIZE);
        strcpy(names[names_count++].name, line);
    }
    buffer_deinit(&text);
    assert_in_range(names_count, 350, NAMES_MAX);
}

/* "CLIENT NO-TOUCH" is client|no-touch. */
static void check_name(const char *shown, bool is_there)
{
    char name[NAME_SIZE];
    size_t size = strlen(shown);
    assert_true(size < sizeof name);
    for (size_t i = 0; i <= size; i++)
        name[i] = shown[i] == ' '                      ? '|'
                  : shown[i] >= 'A' && shown[i] <= 'Z' ? (char)(shown[i] - 'A' + 'a')
                                                       : shown[i];
    if ((command_lookup(bytes_of(name, size)) != NULL) != is_there)
        fail_msg("README says that %s is %s", shown, is_there ? "there" : "not there");
    for (unsigned i = 0; i < names_count; i++)
        if (strcmp(names[i].name, name) == 0) {
            names[i].said++;
            return;
        }
    fail_msg("README has %s, which Redis 7.2 has not", shown);
}

/* "| NAME, NAME | yes |" */
static void check_row(char *row)
{
    char *answer = strrchr(row, '|');
    *answer = '\0';
    answer = strrchr(row, '|');
    assert_non_null(answer);
    *answer++ = '\0';
    bool is_yes = strcmp(answer, " yes ") == 0 || strncmp(answer, " differs: ", 10) == 0;
    if (!is_yes && strncmp(answer, " no: ", 5) != 0)
        fail_msg("README's answer is%s", answer);
    char *rest = row + 2;
    for (char *name; (name = strtok_r(rest, ",", &rest)) != NULL;) {
        name += name[0] == ' ';
        if (name[strlen(name) - 1] == ' ')
            name[strlen(name) - 1] = '\0';
        check_name(name, is_yes);
    }
}

static void test_table(void **state)
{
    struct buffer text = read_file("README.md");
    char *rest = strstr(text.data, "| Redis 7.2 | here |\n|---|---|\n");
    (void)state;
    read_names();
    assert_non_null(rest);
    rest += strlen("| Redis 7.2 | here |\n|---|---|\n");
    while (rest[0] == '|') {
        char *end = strchr(rest, '\n');
        *end = '\0';
        check_row(rest);
        rest = end + 1;
    }
    for (unsigned i = 0; i < names_count; i++)
        if (names[i].said != 1)
            fail_msg("README has %s %u times", names[i].name, names[i].said);
    buffer_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
