/* The configuration file.  A configuration that is accepted, written as a file again, is accepted
 * and says the same; one that is refused says why and where. */
#include "fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/fatal.h"
#include "config.h"

static enum config_load_result load(struct config *config, struct bytes text, char *error)
{
    char path[32];
    char name[] = "redis-raft";
    char *argv[] = {name, path, NULL};
    int file = memfd_create("conf", 0);
    check(file >= 0);
    check(write(file, text.data, text.size) == (ssize_t)text.size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    config_init(config);
    error[0] = '\0';
    enum config_load_result result = config_load(config, 2, argv, error, CONFIG_ERROR_SIZE);
    close(file);
    check(strlen(error) < CONFIG_ERROR_SIZE);
    if (result == CONFIG_FAILED)
        check(strncmp(error, path, strlen(path)) == 0);
    return result;
}

static bool takes_words(const char *name)
{
    return strcmp(name, "bind") == 0 || strcmp(name, "peer-bind") == 0 ||
           strcmp(name, "client-output-buffer-limit") == 0;
}

static void write_quoted(struct buffer *out, const char *value)
{
    buffer_append_byte(out, '"');
    for (; *value; value++)
        buffer_printf(out, "\\x%02x", (unsigned char)*value);
    buffer_append_byte(out, '"');
}

/* A node a line: `node 0,127.0.0.1:7001`. */
static void write_nodes(struct buffer *out, const char *value)
{
    while (*value) {
        size_t size = strcspn(value, " ");
        buffer_printf(out, "node %.*s\n", (int)size, value);
        value += size + strspn(value + size, " ");
    }
}

static void write_directive(void *context, const char *name, const char *value)
{
    struct buffer *out = context;
    if (strcmp(name, "node") == 0) {
        write_nodes(out, value);
        return;
    }
    if (takes_words(name) && !*value)
        return;
    buffer_printf(out, "%s ", name);
    if (takes_words(name))
        buffer_printf(out, "%s", value);
    else
        write_quoted(out, value);
    buffer_append_byte(out, '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config, again;
    char error[CONFIG_ERROR_SIZE];
    struct buffer text = {0}, text_again = {0};
    check(load(&config, bytes_of(data, size), error) != CONFIG_STOP);
    if (error[0] == '\0') {
        config_each(&config, write_directive, &text);
        if (load(&again, buffer_bytes(&text), error) != CONFIG_LOADED) {
            fprintf(stderr, "%s\n%.*s", error, (int)text.size, text.data);
            check(!"a configuration that was written is accepted");
        }
        config_each(&again, write_directive, &text_again);
        check(bytes_equal(buffer_bytes(&text), buffer_bytes(&text_again)));
        config_deinit(&again);
    }
    config_deinit(&config);
    buffer_deinit(&text);
    buffer_deinit(&text_again);
    return 0;
}
