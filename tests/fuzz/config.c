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
    static const char *const names[] = {"bind",
                                        "peer-bind",
                                        "client-output-buffer-limit",
                                        "save",
                                        "oom-score-adj-values",
                                        "latency-tracking-info-percentiles"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void write_quoted(struct buffer *out, struct bytes value)
{
    buffer_append_byte(out, '"');
    for (size_t i = 0; i < value.size; i++)
        buffer_printf(out, "\\x%02x", ((const unsigned char *)value.data)[i]);
    buffer_append_byte(out, '"');
}

/* A node a line: `node 0,127.0.0.1:7001`. */
static void write_nodes(struct buffer *out, struct bytes value)
{
    const char *text = value.data, *end = text + value.size;
    while (text < end) {
        const char *blank = memchr(text, ' ', (size_t)(end - text));
        size_t size = (size_t)((blank ? blank : end) - text);
        buffer_printf(out, "node %.*s\n", (int)size, text);
        text += size + (blank ? 1 : 0);
    }
}

static void write_directive(void *context, const char *name, struct bytes value)
{
    struct buffer *out = context;
    if (strcmp(name, "node") == 0) {
        write_nodes(out, value);
        return;
    }
    if (takes_words(name) && !value.size)
        return;
    buffer_printf(out, "%s ", name);
    if (takes_words(name))
        buffer_append(out, value.data, value.size);
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
