/* linear [--steps N] [--html FILE] HISTORY...
 *
 * Checks the histories in the files (their form: history.c), key by key.  Prints what cannot be
 * explained, also as one HTML page for the first such key.  Each file counts once; the last line is
 * "N passed, N failed".
 *
 * Exit status: 0 all are linearizable, 1 one is not, or the search gave up, 2 a file is
 * malformed. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "linear.h"

/* A file is refused by one key: the others get a part of the steps, so that a history of many keys
 * that is broken in all of them is refused in about the time of two. */
enum { STEPS_MAX = 10000000, OTHERS_PART = 20 };

static uint64_t steps_max = STEPS_MAX;
static const char *html_path;

static void write_html(const char *path, const char *key, const struct linear_op *ops,
                       const struct linear_window *window)
{
    struct buffer page = {0}, title = {0};
    buffer_printf(&title, "%s, key %s: not linearizable", path, key);
    buffer_append_byte(&title, '\0');
    linear_html(&page, title.data, ops, window);
    FILE *file = fopen(html_path, "w");
    bool good = file && fwrite(page.data, 1, page.size, file) == page.size;
    if (file && fclose(file) != 0)
        good = false;
    printf("%s %s\n", good ? "see" : "cannot write", html_path);
    html_path = NULL; /* the first one only */
    buffer_deinit(&page);
    buffer_deinit(&title);
}

static void explain(const char *path, const struct linear_key *key, uint64_t steps)
{
    struct linear_window window;
    struct buffer text = {0};
    linear_window_find(&window, key->ops, key->count, steps);
    linear_text(&text, key->ops, &window);
    printf("%s, key %s: not linearizable: %.*s", path, key->name, (int)text.size, text.data);
    if (html_path)
        write_html(path, key->name, key->ops, &window);
    linear_window_deinit(&window);
    buffer_deinit(&text);
}

static bool check_key(const char *path, const struct linear_key *key, uint64_t steps)
{
    switch (linear_check(key->ops, key->count, steps)) {
    case LINEAR_YES: return true;
    case LINEAR_NO: explain(path, key, steps); break;
    case LINEAR_GAVE_UP:
        printf("%s, key %s: gave up after %" PRIu64 " steps (%u operations)\n", path, key->name,
               steps, key->count);
        break;
    }
    return false;
}

static int check_file(const char *path)
{
    struct linear_history history;
    struct buffer error = {0};
    uint64_t operations = 0;
    int status = 0;
    if (!linear_history_read(&history, path, &error)) {
        printf("[FAIL] %.*s\n", (int)error.size, error.data);
        status = 2;
    }
    for (uint32_t i = 0; status != 2 && i < history.count; i++) {
        operations += history.keys[i].count;
        if (!check_key(path, &history.keys[i], status ? steps_max / OTHERS_PART : steps_max))
            status = 1;
    }
    if (status != 2)
        printf("%s %s: %u keys, %" PRIu64 " operations\n", status == 0 ? "[ok]  " : "[FAIL]", path,
               history.count, operations);
    linear_history_deinit(&history);
    buffer_deinit(&error);
    return status;
}

int main(int argc, char **argv)
{
    int worst = 0, passed = 0, failed = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--steps") == 0 && i + 1 < argc) {
            steps_max = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--html") == 0 && i + 1 < argc) {
            html_path = argv[++i];
        } else {
            int status = check_file(argv[i]);
            worst = status > worst ? status : worst;
            *(status == 0 ? &passed : &failed) += 1;
        }
    }
    if (passed + failed == 0) {
        fprintf(stderr, "usage: linear [--steps N] [--html FILE] HISTORY...\n");
        return 2;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return worst;
}
