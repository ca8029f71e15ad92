/* Where directives come from: the file, then the command line, so that an option overrides the
 * file.  Remembers the place of each directive, because a mistake is useless without it.
 *
 * The file is Redis's: a directive a line, `#` starts a comment line, words are separated by blanks
 * and may be quoted: "..." with \n \r \t \b \a \\ \" \xHH, or '...' with \' only.
 *
 * The command line: a word that starts with `--`, or with `-` and a letter, names a directive; the
 * words after it are its values.  The first value of a directive may start with `-` (a password),
 * though not with `--`. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

enum { WORDS_MAX = 64, PLACES_MAX = 128, LINE_MAX_SIZE = 64 * 1024, PLACE_SIZE = 256 };

/* One directive's words, owned. */
struct words {
    char *list[WORDS_MAX];
    uint32_t count;
};

/* Where a directive was given last. */
struct place {
    const char *name; /* of the table; not owned */
    uint32_t line;    /* 0: on the command line */
};

struct loader {
    struct config *config;
    const char *file; /* as given; NULL: none */
    struct place places[PLACES_MAX];
    uint32_t places_count;
    char *error;
    size_t error_size;
};

static void words_clear(struct words *words)
{
    for (uint32_t i = 0; i < words->count; i++)
        memory_free(words->list[i]);
    words->count = 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char unescape(char c)
{
    static const char names[] = "nrtba", bytes[] = "\n\r\t\b\a";
    const char *at = strchr(names, c);
    return at && c ? bytes[at - names] : c;
}

/* One word from *at, which stands on its first character; NULL on success, else what is wrong. */
static const char *read_word(const char **at, char *out)
{
    char quote = '\0';
    const char *in = *at;
    for (;; in++) {
        int high, low;
        if (!quote && (*in == '\0' || isspace((unsigned char)*in)))
            break;
        if (*in == '\0')
            return "unbalanced quotes";
        if (!quote && (*in == '"' || *in == '\'')) {
            quote = *in;
        } else if (quote && *in == quote) {
            if (in[1] != '\0' && !isspace((unsigned char)in[1]))
                return "a closing quote must be followed by a blank";
            quote = '\0';
        } else if (quote == '"' && *in == '\\' && in[1] == 'x' && (high = hex_digit(in[2])) >= 0 &&
                   (low = hex_digit(in[3])) >= 0) {
            if (high + low == 0)
                return "a NUL byte";
            *out++ = (char)(high * 16 + low);
            in += 3;
        } else if (quote == '"' && *in == '\\' && in[1] != '\0') {
            *out++ = unescape(*++in);
        } else if (quote == '\'' && *in == '\\' && in[1] == '\'') {
            *out++ = *++in;
        } else {
            *out++ = *in;
        }
    }
    *out = '\0';
    *at = in;
    return NULL;
}

static const char *split_line(const char *line, struct words *words)
{
    const char *wrong = NULL;
    char *word = memory_new(strlen(line) + 1);
    words->count = 0;
    while (!wrong) {
        while (isspace((unsigned char)*line))
            line++;
        if (*line == '\0')
            break;
        if (words->count == WORDS_MAX)
            wrong = "too many words";
        else if (!(wrong = read_word(&line, word)))
            words->list[words->count++] = memory_string(word);
    }
    memory_free(word);
    return wrong;
}

static bool failed(struct loader *loader, uint32_t line, const char *what)
{
    if (line)
        snprintf(loader->error, loader->error_size, "%s:%u: %s", loader->file, line, what);
    else
        snprintf(loader->error, loader->error_size, "command line: %s", what);
    return false;
}

static void remember_place(struct loader *loader, const char *name, uint32_t line)
{
    for (uint32_t i = 0; i < loader->places_count; i++)
        if (strcmp(loader->places[i].name, name) == 0) {
            loader->places[i].line = line;
            return;
        }
    if (loader->places_count < PLACES_MAX)
        loader->places[loader->places_count++] = (struct place){name, line};
}

static bool apply(struct loader *loader, struct words *words, uint32_t line)
{
    char what[CONFIG_ERROR_SIZE - PLACE_SIZE];
    if (!config_apply(loader->config, words->list, words->count, what, sizeof what))
        return failed(loader, line, what);
    remember_place(loader, config_find(words->list[0]), line);
    return true;
}

static bool load_line(struct loader *loader, char *text, size_t size, uint32_t line)
{
    struct words words;
    const char *at = text;
    if (strlen(text) != size)
        return failed(loader, line, "a NUL byte");
    if (size > LINE_MAX_SIZE)
        return failed(loader, line, "the line is too long");
    while (isspace((unsigned char)*at))
        at++;
    if (*at == '\0' || *at == '#')
        return true;
    const char *wrong = split_line(at, &words);
    bool done = wrong ? failed(loader, line, wrong) : apply(loader, &words, line);
    words_clear(&words);
    return done;
}

static bool load_file(struct loader *loader)
{
    char *text = NULL;
    size_t capacity = 0;
    uint32_t line = 0;
    bool done = true;
    FILE *file = fopen(loader->file, "re");
    if (!file) {
        snprintf(loader->error, loader->error_size, "%s: cannot be opened: %s", loader->file,
                 strerror(errno));
        return false;
    }
    while (done) {
        errno = 0;
        ssize_t size = getline(&text, &capacity, file);
        if (size < 0)
            break;
        done = load_line(loader, text, (size_t)size, ++line);
    }
    if (done && ferror(file)) {
        snprintf(loader->error, loader->error_size, "%s: cannot be read: %s", loader->file,
                 strerror(errno));
        done = false;
    }
    free(text);
    fclose(file);
    return done;
}

static bool names_directive(const char *word)
{
    return strncmp(word, "--", 2) == 0 || (word[0] == '-' && isalpha((unsigned char)word[1]));
}

static bool load_options(struct loader *loader, int argc, char **argv)
{
    for (int i = 0; i < argc;) {
        struct words words = {0};
        char what[CONFIG_ERROR_SIZE - PLACE_SIZE];
        if (!names_directive(argv[i])) {
            snprintf(what, sizeof what, "'%s' is not an option: options start with -- or -",
                     argv[i]);
            return failed(loader, 0, what);
        }
        words.list[words.count++] = argv[i] + strspn(argv[i], "-");
        i++;
        bool has_value = strcasecmp(words.list[0], "debug") != 0;
        if (has_value && i < argc && strncmp(argv[i], "--", 2) != 0)
            words.list[words.count++] = argv[i++];
        while (i < argc && !names_directive(argv[i]) && words.count < WORDS_MAX)
            words.list[words.count++] = argv[i++];
        if (!apply(loader, &words, 0))
            return false;
    }
    return true;
}

static bool finish(struct loader *loader)
{
    char what[CONFIG_ERROR_SIZE - PLACE_SIZE];
    const char *culprit;
    if (config_finish(loader->config, &culprit, what, sizeof what))
        return true;
    for (uint32_t i = 0; i < loader->places_count; i++)
        if (strcmp(loader->places[i].name, culprit) == 0)
            return failed(loader, loader->places[i].line, what);
    /* Nobody wrote the culprit: it was left out. */
    if (!loader->file)
        return failed(loader, 0, what);
    snprintf(loader->error, loader->error_size, "%s: %s", loader->file, what);
    return false;
}

static bool is_any(const char *word, const char *a, const char *b, const char *c)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0 || strcmp(word, c) == 0;
}

enum config_load_result config_load(struct config *config, int argc, char **argv, char *error,
                                    size_t error_size)
{
    struct loader loader = {.config = config, .error = error, .error_size = error_size};
    if (argc == 2 && is_any(argv[1], "--help", "-help", "-h")) {
        config_print_help();
        return CONFIG_STOP;
    }
    if (argc == 2 && is_any(argv[1], "--version", "-version", "-v")) {
        printf("redis-raft %s\n", REDIS_RAFT_VERSION);
        return CONFIG_STOP;
    }
    int options = 1;
    if (argc > 1 && argv[1][0] != '-') {
        loader.file = argv[1];
        options = 2;
        if (!load_file(&loader))
            return CONFIG_FAILED;
        char *absolute = realpath(loader.file, NULL);
        if (absolute) {
            memory_free(config->file);
            config->file = memory_string(absolute);
        }
        free(absolute);
    }
    if (argc > options && !load_options(&loader, argc - options, argv + options))
        return CONFIG_FAILED;
    return finish(&loader) ? CONFIG_LOADED : CONFIG_FAILED;
}
