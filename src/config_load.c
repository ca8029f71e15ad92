/* Where directives come from: the file, then the command line, so that an option overrides the
 * file.  Remembers the place of each directive, because a mistake is useless without it.
 *
 * The file is Redis's: a directive a line, `#` starts a comment line, words are separated by blanks
 * and may be quoted: "..." with \n \r \t \b \a \\ \" \xHH, or '...' with \' only.  `include` names
 * other files (a pattern: all that match), which are read in its place.
 *
 * The command line: a word that starts with `--`, or with `-` and a letter, names a directive; the
 * words after it are its values.  The first value of a directive may start with `-` (a password),
 * though not with `--`. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/memory.h"

enum {
    WORDS_MAX = 64,
    PLACES_MAX = CONFIG_ROWS_MAX,
    FILES_MAX = 64, /* included */
    LINE_MAX_SIZE = 64 * 1024,
    PLACE_SIZE = 256
};

/* One directive's words, owned. */
struct words {
    char *list[WORDS_MAX];
    size_t sizes[WORDS_MAX];
    uint32_t count;
};

/* Where a directive was given last. */
struct place {
    const char *name; /* of the table; not owned */
    const char *file; /* one of loader.files */
    uint32_t line;    /* 0: on the command line */
};

struct loader {
    struct config *config;
    const char *file;       /* being read, as given; NULL: none */
    char *files[FILES_MAX]; /* all that were read; owned */
    uint32_t files_count;
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
static const char *read_word(const char **at, char *out, size_t *size)
{
    const char *start = out;
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
    *size = (size_t)(out - start);
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
        else if (!(wrong = read_word(&line, word, &words->sizes[words->count]))) {
            size_t size = words->sizes[words->count] + 1;
            words->list[words->count++] = memcpy(memory_new(size), word, size);
        }
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
            loader->places[i].file = loader->file;
            loader->places[i].line = line;
            return;
        }
    if (loader->places_count < PLACES_MAX)
        loader->places[loader->places_count++] = (struct place){name, loader->file, line};
}

static bool load_files(struct loader *loader, const char *pattern, uint32_t line);

static bool apply(struct loader *loader, struct words *words, uint32_t line)
{
    char what[CONFIG_ERROR_SIZE - PLACE_SIZE];
    struct bytes given[WORDS_MAX];
    if (strcasecmp(words->list[0], "include") == 0) {
        if (words->count != 2)
            return failed(loader, line, "include: wrong number of arguments");
        return load_files(loader, words->list[1], line);
    }
    for (uint32_t i = 0; i < words->count; i++)
        given[i] = bytes_of(words->list[i], words->sizes[i]);
    if (!config_apply(loader->config, given, words->count, what, sizeof what))
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

static bool load_lines(struct loader *loader, FILE *file)
{
    char *text = NULL;
    size_t capacity = 0;
    uint32_t line = 0;
    bool done = true;
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
    return done;
}

/* A file that one includes is in error at that line. */
static bool load_file(struct loader *loader, const char *name, uint32_t line)
{
    const char *outer = loader->file;
    FILE *file = fopen(name, "re");
    if (!file && outer) {
        char what[CONFIG_ERROR_SIZE - PLACE_SIZE];
        snprintf(what, sizeof what, "include: %s cannot be opened: %s", name, strerror(errno));
        return failed(loader, line, what);
    }
    if (!file) {
        snprintf(loader->error, loader->error_size, "%s: cannot be opened: %s", name,
                 strerror(errno));
        return false;
    }
    loader->file = loader->files[loader->files_count++] = memory_string(name);
    bool done = load_lines(loader, file);
    loader->file = outer;
    fclose(file);
    return done;
}

/* A name without wildcards is a file that has to be there, as in Redis. */
static bool load_files(struct loader *loader, const char *pattern, uint32_t line)
{
    glob_t found = {0};
    bool done = true;
    if (glob(pattern, 0, NULL, &found) != 0 && !strpbrk(pattern, "*?["))
        done = load_file(loader, pattern, line);
    for (size_t i = 0; done && i < found.gl_pathc; i++) {
        if (loader->files_count == FILES_MAX)
            done = failed(loader, line, "include: too many files, or a file that includes itself");
        else
            done = load_file(loader, found.gl_pathv[i], line);
    }
    globfree(&found);
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
        for (uint32_t j = 0; j < words.count; j++)
            words.sizes[j] = strlen(words.list[j]);
        if (!apply(loader, &words, 0))
            return false;
    }
    return true;
}

static void free_files(struct loader *loader)
{
    for (uint32_t i = 0; i < loader->files_count; i++)
        memory_free(loader->files[i]);
}

/* What config->ignored says. */
static void name_ignored(struct loader *loader)
{
    struct buffer names = {0};
    for (uint32_t i = 0; i < loader->places_count; i++)
        if (config_is_inert(loader->places[i].name))
            buffer_printf(&names, "%s%s", names.size ? " " : "", loader->places[i].name);
    buffer_append_byte(&names, '\0');
    memory_free(loader->config->ignored);
    loader->config->ignored = memory_string(names.data);
    buffer_deinit(&names);
}

static bool finish(struct loader *loader, const char *file)
{
    char what[CONFIG_ERROR_SIZE - PLACE_SIZE];
    const char *culprit;
    name_ignored(loader);
    if (config_finish(loader->config, &culprit, what, sizeof what))
        return true;
    for (uint32_t i = 0; i < loader->places_count; i++) {
        const struct place *place = &loader->places[i];
        if (strcmp(place->name, culprit) != 0)
            continue;
        loader->file = place->file;
        return failed(loader, place->line, what);
    }
    /* Nobody wrote the culprit: it was left out. */
    if (!file)
        return failed(loader, 0, what);
    snprintf(loader->error, loader->error_size, "%s: %s", file, what);
    return false;
}

bool config_load_file(struct config *config, const char *file, char *error, size_t error_size)
{
    struct loader loader = {.config = config, .error = error, .error_size = error_size};
    bool done = load_file(&loader, file, 0);
    const char *culprit;
    char what[CONFIG_ERROR_SIZE];
    /* What it lacks, the command line may give. */
    if (done)
        (void)!config_finish(config, &culprit, what, sizeof what);
    free_files(&loader);
    return done;
}

static bool is_any(const char *word, const char *a, const char *b, const char *c)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0 || strcmp(word, c) == 0;
}

static bool load_all(struct loader *loader, int argc, char **argv)
{
    const char *file = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
    int options = file ? 2 : 1;
    if (file) {
        if (!load_file(loader, file, 0))
            return false;
        char *absolute = realpath(file, NULL);
        if (absolute) {
            memory_free(loader->config->file);
            loader->config->file = memory_string(absolute);
        }
        free(absolute);
    }
    if (argc > options && !load_options(loader, argc - options, argv + options))
        return false;
    return finish(loader, file);
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
    bool done = load_all(&loader, argc, argv);
    free_files(&loader);
    return done ? CONFIG_LOADED : CONFIG_FAILED;
}
