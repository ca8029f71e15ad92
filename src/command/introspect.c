/* COMMAND: the table, told to clients in the shape of Redis 7.2 (server.c addReplyCommandInfo,
 * addReplyCommandDocs): ten elements a command.
 *
 * Cluster-aware proxies and redis-cli's help read this.  Local commands, loop thread only. */
#include <ctype.h>

#include "base/buffer.h"
#include "base/fatal.h"
#include "command/commands.h"
#include "command/docs.h"
#include "resp/number.h"

/* ---- walking the table --------------------------------------------------------- */

static bool is_subcommand(const struct command *command)
{
    return strchr(command->name, '|') != NULL;
}

static bool belongs_to(const struct command *command, const struct command *container)
{
    size_t size = strlen(container->name);
    return strncmp(command->name, container->name, size) == 0 && command->name[size] == '|';
}

static uint32_t subcommands_count(const struct command *container)
{
    uint32_t total, count = 0;
    const struct command *table = command_table(&total, NULL);
    for (uint32_t i = 0; i < total; i++)
        count += belongs_to(&table[i], container);
    return count;
}

static uint32_t commands_count(void)
{
    uint32_t total, count = 0;
    const struct command *table = command_table(&total, NULL);
    for (uint32_t i = 0; i < total; i++)
        count += !is_subcommand(&table[i]);
    return count;
}

/* ---- words in sets --------------------------------------------------------------- */

/* A set is written behind its size, so its words are collected first. */
struct word_set {
    struct reply words; /* into `text` */
    struct buffer text;
    uint64_t count;
};

static void word_set_init(struct word_set *set, const struct reply *reply)
{
    *set = (struct word_set){0};
    set->words = (struct reply){&set->text, reply->protocol};
}

static void word_set_finish(struct word_set *set, struct reply *reply)
{
    reply_set(reply, set->count);
    reply_raw(reply, buffer_bytes(&set->text));
    buffer_deinit(&set->text);
}

static void word_if(struct word_set *set, bool condition, const char *word)
{
    if (!condition)
        return;
    reply_simple(&set->words, word);
    set->count++;
}

/* The blank-separated words of `text`, up to one of `ends` or its end. */
static void words_of(struct word_set *set, const char *text, const char *ends, bool as_bulk)
{
    while (*text && !strchr(ends, *text)) {
        char word[64];
        size_t size = 0;
        while (*text && *text != ' ' && !strchr(ends, *text) && size + 1 < sizeof(word))
            word[size++] = *text++;
        word[size] = '\0';
        if (as_bulk)
            reply_bulk_string(&set->words, word);
        else
            reply_simple(&set->words, word);
        set->count++;
        if (*text == ' ')
            text++;
    }
}

/* ---- COMMAND INFO ------------------------------------------------------------------ */

/* WATCH and DEBUG go to the leader as reads, but read nothing that a replica of Redis's could be
 * asked for. */
static bool is_read_of_data(const struct command *command)
{
    return command->flags & CMD_READ && !(command->flags & CMD_NOSCRIPT);
}

/* EVAL, FCALL and the like: what they call reads and writes, not they. */
static bool is_call_of_script(const struct command *command)
{
    return command->flags & CMD_NO_MANDATORY_KEYS;
}

/* Some go through the log to change no data: messages, scripts that are called or kept. */
static bool is_write_of_data(const struct command *command)
{
    return command->flags & CMD_WRITE && !(command->flags & CMD_PUBSUB) &&
           !is_call_of_script(command) && strncmp(command->name, "script|", 7) != 0;
}

static void reply_flags(const struct command *command, struct reply *reply)
{
    uint64_t flags = command->flags;
    struct word_set set;
    word_set_init(&set, reply);
    word_if(&set, is_write_of_data(command), "write");
    word_if(&set, is_read_of_data(command) || (flags & CMD_READ && is_call_of_script(command)),
            "readonly");
    word_if(&set, flags & CMD_DENYOOM, "denyoom");
    word_if(&set, flags & CMD_ADMIN, "admin");
    word_if(&set, flags & CMD_PUBSUB, "pubsub");
    word_if(&set, flags & CMD_NOSCRIPT, "noscript");
    word_if(&set, flags & CMD_BLOCKING, "blocking");
    word_if(&set, flags & CMD_LOADING, "loading");
    word_if(&set, flags & CMD_STALE, "stale");
    word_if(&set, flags & CMD_FAST, "fast");
    word_if(&set, flags & CMD_NO_AUTH, "no_auth");
    word_if(&set, flags & CMD_MOVABLE_KEYS, "movablekeys");
    word_if(&set, flags & CMD_SKIP_MONITOR, "skip_monitor");
    word_if(&set, flags & CMD_SKIP_SLOWLOG, "skip_slowlog");
    word_if(&set, flags & CMD_NO_MANDATORY_KEYS, "no_mandatory_keys");
    word_if(&set, flags & CMD_ALLOW_BUSY, "allow_busy");
    word_set_finish(&set, reply);
}

static void categories_of(const struct command *command, struct word_set *set)
{
    uint64_t flags = command->flags;
    word_if(set, flags & CMD_KEYSPACE, "@keyspace");
    word_if(set, is_read_of_data(command), "@read");
    word_if(set, is_write_of_data(command), "@write");
    word_if(set, flags & CMD_STRING, "@string");
    word_if(set, flags & CMD_HASH, "@hash");
    word_if(set, flags & CMD_SET, "@set");
    word_if(set, flags & CMD_SORTED_SET, "@sortedset");
    word_if(set, flags & CMD_LIST, "@list");
    word_if(set, flags & CMD_STREAM, "@stream");
    word_if(set, flags & CMD_BITMAP, "@bitmap");
    word_if(set, flags & CMD_HYPERLOGLOG, "@hyperloglog");
    word_if(set, flags & CMD_GEO, "@geo");
    word_if(set, flags & CMD_PUBSUB, "@pubsub");
    word_if(set, flags & CMD_BLOCKING, "@blocking");
    word_if(set, flags & (CMD_ADMIN | CMD_ADMIN_CATEGORY), "@admin");
    word_if(set, flags & CMD_FAST, "@fast");
    word_if(set, !(flags & CMD_FAST), "@slow");
    word_if(set, flags & (CMD_ADMIN | CMD_DANGEROUS), "@dangerous");
    word_if(set, flags & CMD_CONNECTION, "@connection");
    word_if(set, flags & CMD_TRANSACTION, "@transaction");
    word_if(set, flags & CMD_SCRIPTING, "@scripting");
}

static void pair_integer(struct reply *reply, const char *name, int64_t value)
{
    reply_bulk_string(reply, name);
    reply_integer(reply, value);
}

/* A command has specifications of its keys, with "|" between them.  One like "#N flags": its keys
 * are counted by word N, and come behind it; like "#NxS flags": each S-th of them; like "@NWORD
 * flags": its key comes behind WORD, which is looked for from word N on; like "@NWORD/2 flags": the
 * first half of what is behind it are keys.  Of "? flags" nobody can tell; of "?NWORD flags",
 * which is SORT's, GETKEYS can: the key comes behind the last WORD that is an option. */
static int counting_word(const char *flags)
{
    return flags[0] == '#' ? flags[1] - '0' : 0; /* 0: not */
}

static int keyword_from(const char *flags)
{
    return flags[0] == '@' ? flags[1] - '0' : 0; /* 0: there is none */
}

static struct bytes keyword_of(const char *flags)
{
    return bytes_of(flags + 2, strcspn(flags + 2, " /"));
}

static bool has_halves(const char *flags)
{
    return keyword_from(flags) && flags[2 + strcspn(flags + 2, " /")] == '/';
}

static bool is_unknown(const char *flags)
{
    return flags[0] == '?';
}

static const char *without_mark(const char *flags)
{
    bool is_marked = counting_word(flags) || keyword_from(flags) || is_unknown(flags);
    return is_marked ? strchr(flags, ' ') + 1 : flags;
}

/* NULL: there is no other specification. */
static const char *next_spec(const char *flags)
{
    const char *end = strchr(flags, '|');
    return end ? end + 1 : NULL;
}

static void reply_begin(struct reply *reply, int first, const char *flags)
{
    int from = keyword_from(flags);
    reply_bulk_string(reply, "begin_search");
    reply_map(reply, 2);
    reply_bulk_string(reply, "type");
    reply_bulk_string(reply, from ? "keyword" : "index");
    reply_bulk_string(reply, "spec");
    reply_map(reply, from ? 2 : 1);
    if (!from) {
        pair_integer(reply, "index", first);
        return;
    }
    reply_bulk_string(reply, "keyword");
    reply_bulk(reply, keyword_of(flags));
    pair_integer(reply, "startfrom", from);
}

static void reply_search(struct reply *reply, int first, const char *type, const char *flags)
{
    reply_begin(reply, first, flags);
    reply_bulk_string(reply, "find_keys");
    reply_map(reply, 2);
    reply_bulk_string(reply, "type");
    reply_bulk_string(reply, type);
    reply_bulk_string(reply, "spec");
    reply_map(reply, 3);
}

static void reply_notes_and_flags(struct reply *reply, const char *flags)
{
    struct word_set set;
    size_t size = strcspn(flags, "|"), before = strcspn(flags, "|;");
    reply_map(reply, before < size ? 4 : 3);
    if (before < size) {
        reply_bulk_string(reply, "notes");
        reply_bulk(reply, bytes_of(flags + before + 1, size - before - 1));
    }
    reply_bulk_string(reply, "flags");
    word_set_init(&set, reply);
    words_of(&set, without_mark(flags), "|;", false);
    word_set_finish(&set, reply);
}

static void reply_unknown(struct reply *reply, const char *name)
{
    reply_bulk_string(reply, name);
    reply_map(reply, 2);
    reply_bulk_string(reply, "type");
    reply_bulk_string(reply, "unknown");
    reply_bulk_string(reply, "spec");
    reply_map(reply, 0);
}

/* One key specification: where its keys begin and which words they are. */
static void reply_key_spec(struct reply *reply, const char *flags, int first, int last, int step)
{
    int counting = counting_word(flags);
    reply_notes_and_flags(reply, flags);
    if (is_unknown(flags)) {
        reply_unknown(reply, "begin_search");
        reply_unknown(reply, "find_keys");
        return;
    }
    reply_search(reply, counting ? counting : first, counting ? "keynum" : "range", flags);
    if (counting) {
        pair_integer(reply, "keynumidx", 0);
        pair_integer(reply, "firstkey", 1);
        pair_integer(reply, "keystep", flags[2] == 'x' ? flags[3] - '0' : 1);
        return;
    }
    pair_integer(reply, "lastkey", has_halves(flags) ? -1 : last);
    pair_integer(reply, "keystep", keyword_from(flags) ? 1 : step);
    pair_integer(reply, "limit", has_halves(flags) ? 2 : 0);
}

/* As Redis counts: the last key is relative to the first, if not to the end. */
static int last_from(const struct command *command, int first)
{
    int last = command->keys.last;
    return last < 0 ? last : last > first ? last - first : 0;
}

static void reply_key_specs(const struct command *command, const struct command_docs *docs,
                            struct reply *reply)
{
    const char *flags = docs ? docs->key_flags : "";
    if (command->keys.first == 0 && !counting_word(flags) && !keyword_from(flags)) {
        reply_set(reply, 0);
        return;
    }
    uint64_t count = 1;
    for (const char *more = flags; (more = next_spec(more));)
        count++;
    reply_set(reply, count);
    int first = command->keys.first, step = command->keys.step;
    const char *second = next_spec(flags);
    reply_key_spec(reply, flags, first, second ? 0 : last_from(command, first), step);
    for (; second; second = next_spec(second))
        reply_key_spec(reply, second, first + 1, last_from(command, first + 1), step);
}

static void reply_row(const struct command *command, struct reply *reply);

static void reply_subcommand_rows(const struct command *container, struct reply *reply)
{
    uint32_t total;
    const struct command *table = command_table(&total, NULL);
    reply_set(reply, subcommands_count(container));
    for (uint32_t i = 0; i < total; i++)
        if (belongs_to(&table[i], container))
            reply_row(&table[i], reply);
}

static void reply_row(const struct command *command, struct reply *reply)
{
    const struct command_docs *docs = command_docs_find(bytes_from_string(command->name));
    struct word_set set;
    reply_array(reply, 10);
    reply_bulk_string(reply, command->name);
    reply_integer(reply, command->arity);
    reply_flags(command, reply);
    reply_integer(reply, command->keys.first);
    reply_integer(reply, command->keys.last);
    reply_integer(reply, command->keys.step);
    word_set_init(&set, reply);
    categories_of(command, &set);
    word_set_finish(&set, reply);
    word_set_init(&set, reply);
    words_of(&set, docs ? docs->tips : "", "", true);
    word_set_finish(&set, reply);
    reply_key_specs(command, docs, reply);
    reply_subcommand_rows(command, reply);
}

void cmd_command(struct call *call)
{
    uint32_t total;
    const struct command *table = command_table(&total, NULL);
    reply_array(call->reply, commands_count());
    for (uint32_t i = 0; i < total; i++)
        if (!is_subcommand(&table[i]))
            reply_row(&table[i], call->reply);
}

void cmd_command_info(struct call *call)
{
    if (call->argc == 2) {
        cmd_command(call);
        return;
    }
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        const struct command *command = command_lookup(call->argv[i]);
        if (command)
            reply_row(command, call->reply);
        else
            reply_null(call->reply);
    }
}

void cmd_command_count(struct call *call)
{
    reply_integer(call->reply, commands_count());
}

/* ---- COMMAND DOCS -------------------------------------------------------------------- */

static void pair_string(struct reply *reply, const char *name, const char *value)
{
    reply_bulk_string(reply, name);
    reply_bulk_string(reply, value);
}

static void reply_docs(const struct command *command, struct reply *reply)
{
    static const struct command_docs none = {"", "", "", "", "", "", "", ""};
    const struct command_docs *docs = command_docs_find(bytes_from_string(command->name));
    if (!docs)
        docs = &none;
    struct buffer text = {0};
    struct reply arguments = {&text, reply->protocol};
    uint64_t arguments_count = command_docs_arguments(docs->syntax, &arguments);
    uint32_t subcommands = subcommands_count(command);
    reply_bulk_string(reply, command->name);
    reply_map(reply, 4u + (arguments_count > 0) + (subcommands > 0));
    pair_string(reply, "summary", docs->summary);
    pair_string(reply, "since", docs->since);
    pair_string(reply, "group", docs->group);
    pair_string(reply, "complexity", docs->complexity);
    if (arguments_count) {
        reply_bulk_string(reply, "arguments");
        reply_array(reply, arguments_count);
        reply_raw(reply, buffer_bytes(&text));
    }
    buffer_deinit(&text);
    if (!subcommands)
        return;
    uint32_t total;
    const struct command *table = command_table(&total, NULL);
    reply_bulk_string(reply, "subcommands");
    reply_map(reply, subcommands);
    for (uint32_t i = 0; i < total; i++)
        if (belongs_to(&table[i], command))
            reply_docs(&table[i], reply);
}

void cmd_command_docs(struct call *call)
{
    uint32_t total, found = 0;
    const struct command *table = command_table(&total, NULL);
    if (call->argc == 2) {
        reply_map(call->reply, commands_count());
        for (uint32_t i = 0; i < total; i++)
            if (!is_subcommand(&table[i]))
                reply_docs(&table[i], call->reply);
        return;
    }
    for (uint32_t i = 2; i < call->argc; i++)
        found += command_lookup(call->argv[i]) != NULL;
    reply_map(call->reply, found);
    for (uint32_t i = 2; i < call->argc; i++) {
        const struct command *command = command_lookup(call->argv[i]);
        if (command)
            reply_docs(command, call->reply);
    }
}

/* ---- COMMAND LIST -------------------------------------------------------------------- */

enum filter { FILTER_NONE, FILTER_MODULE, FILTER_CATEGORY, FILTER_PATTERN };

static bool has_category(const struct command *command, struct bytes category)
{
    struct word_set set;
    struct reply reply = {.protocol = 2};
    struct buffer wanted = {0};
    word_set_init(&set, &reply);
    categories_of(command, &set);
    buffer_printf(&wanted, "+@");
    for (size_t i = 0; i < category.size; i++)
        buffer_append_byte(&wanted, (char)tolower((unsigned char)((const char *)category.data)[i]));
    buffer_append(&wanted, "\r\n", 2);
    bool found = memmem(set.text.data, set.text.size, wanted.data, wanted.size) != NULL;
    buffer_deinit(&wanted);
    buffer_deinit(&set.text);
    return found;
}

static bool passes(const struct command *command, enum filter filter, struct bytes operand)
{
    switch (filter) {
    case FILTER_NONE: return true;
    case FILTER_MODULE: return false; /* there are no modules */
    case FILTER_CATEGORY: return has_category(command, operand);
    case FILTER_PATTERN: return command_glob_match(operand, bytes_from_string(command->name), true);
    }
    return false;
}

static bool parse_filter(struct call *call, enum filter *filter)
{
    *filter = FILTER_NONE;
    if (call->argc == 2)
        return true;
    if (call->argc != 5 || !bytes_is(call->argv[2], "filterby"))
        return false;
    if (bytes_is(call->argv[3], "module"))
        *filter = FILTER_MODULE;
    else if (bytes_is(call->argv[3], "aclcat"))
        *filter = FILTER_CATEGORY;
    else if (bytes_is(call->argv[3], "pattern"))
        *filter = FILTER_PATTERN;
    return *filter != FILTER_NONE;
}

void cmd_command_list(struct call *call)
{
    enum filter filter;
    uint32_t total;
    const struct command *table = command_table(&total, NULL);
    if (!parse_filter(call, &filter)) {
        reply_error(call->reply, ERROR_SYNTAX);
        return;
    }
    struct bytes operand = filter == FILTER_NONE ? bytes_of(NULL, 0) : call->argv[4];
    struct word_set set;
    word_set_init(&set, call->reply);
    for (uint32_t i = 0; i < total; i++)
        if (passes(&table[i], filter, operand)) {
            reply_bulk_string(&set.words, table[i].name);
            set.count++;
        }
    reply_array(call->reply, set.count); /* not a set: so does Redis */
    reply_raw(call->reply, buffer_bytes(&set.text));
    buffer_deinit(&set.text);
}

/* ---- COMMAND GETKEYS ------------------------------------------------------------------ */

/* The command that GETKEYS is asked about. */
struct keys_of {
    const struct command *command;
    const struct bytes *argv;
    uint32_t argc;
    struct buffer found; /* of struct key */
};

struct key {
    uint32_t at;       /* in argv */
    const char *flags; /* what the command does with it */
};

static const char *flags_of(const struct command *command)
{
    const struct command_docs *docs = command_docs_find(bytes_from_string(command->name));
    return docs ? docs->key_flags : "";
}

static bool has_keys(const struct command *command)
{
    const char *flags = flags_of(command);
    return command->keys.first > 0 || counting_word(flags) || keyword_from(flags);
}

static void add_keys(struct keys_of *keys, const char *flags, uint32_t first, uint32_t last,
                     uint32_t step)
{
    for (uint32_t i = first; i <= last && i < keys->argc; i += step) {
        struct key key = {i, without_mark(flags)};
        buffer_append(&keys->found, &key, sizeof key);
    }
}

/* Keys that a word counts.  False: it is no such number. */
static bool add_counted(struct keys_of *keys, const char *flags)
{
    uint32_t counting = (uint32_t)counting_word(flags);
    uint32_t step = flags[2] == 'x' ? (uint32_t)(flags[3] - '0') : 1;
    int64_t count;
    if (counting >= keys->argc || !number_parse_i64(keys->argv[counting], &count) || count < 1 ||
        count > (keys->argc - 1 - counting) / step)
        return false;
    add_keys(keys, flags, counting + 1, counting + (uint32_t)count * step, step);
    return true;
}

static void copy_keyword(const char *flags, char *word, size_t size)
{
    struct bytes keyword = keyword_of(flags);
    check(keyword.size < size);
    memcpy(word, keyword.data, keyword.size);
    word[keyword.size] = '\0';
}

static void add_behind_keyword(struct keys_of *keys, const char *flags)
{
    char word[16];
    copy_keyword(flags, word, sizeof word);
    for (uint32_t i = (uint32_t)keyword_from(flags); i + 1 < keys->argc; i++)
        if (bytes_is(keys->argv[i], word)) {
            add_keys(keys, flags, i + 1, i + 1, 1);
            return;
        }
}

/* The first half of what is behind the word; of an odd number the half below.  False: it is not
 * there, or there is none. */
static bool add_half(struct keys_of *keys, const char *flags)
{
    char word[16];
    copy_keyword(flags, word, sizeof word);
    for (uint32_t i = (uint32_t)keyword_from(flags); i + 2 < keys->argc; i++)
        if (bytes_is(keys->argv[i], word)) {
            add_keys(keys, flags, i + 1, i + (keys->argc - i - 1) / 2, 1);
            return true;
        }
    return false;
}

/* Behind the options of SORT that take words; of several the last one counts. */
static void add_behind_option(struct keys_of *keys, const char *flags)
{
    char word[16];
    uint32_t found = 0;
    copy_keyword(flags, word, sizeof word);
    for (uint32_t i = (uint32_t)(flags[1] - '0'); i < keys->argc; i++) {
        if (bytes_is(keys->argv[i], word))
            found = ++i;
        else if (bytes_is(keys->argv[i], "limit"))
            i += 2;
        else if (bytes_is(keys->argv[i], "by") || bytes_is(keys->argv[i], "get"))
            i++;
    }
    if (found)
        add_keys(keys, flags, found, found, 1);
}

/* The first specification has one key alone if there is a second. */
static void add_range(struct keys_of *keys, const char *flags, bool is_first)
{
    const struct command *command = keys->command;
    uint32_t first = (uint32_t)command->keys.first + !is_first;
    uint32_t last = command->keys.last < 0 ? keys->argc - (uint32_t)-command->keys.last
                                           : (uint32_t)command->keys.last;
    add_keys(keys, flags, first, is_first && next_spec(flags) ? first : last,
             (uint32_t)command->keys.step);
}

/* False: they are not the words of such a command. */
static bool add_all_keys(struct keys_of *keys)
{
    const char *all = flags_of(keys->command);
    bool is_right = true;
    for (const char *flags = all; flags; flags = next_spec(flags))
        if (has_halves(flags))
            is_right &= add_half(keys, flags);
        else if (keyword_from(flags))
            add_behind_keyword(keys, flags);
        else if (counting_word(flags))
            is_right &= add_counted(keys, flags);
        else if (!is_unknown(flags))
            add_range(keys, flags, flags == all);
        else if (flags[1] != ' ')
            add_behind_option(keys, flags);
    return is_right;
}

/* keys->found is to be freed.  False: answered with the error. */
static bool find_keys(struct call *call, struct keys_of *keys)
{
    *keys = (struct keys_of){.argv = call->argv + 2, .argc = call->argc - 2};
    keys->command = command_find(keys->argv, keys->argc);
    if (keys->command && keys->command->execute == cmd_once &&
        command_takes(keys->command, keys->argc)) {
        keys->argv += 3;
        keys->argc -= 3;
        keys->command = command_find(keys->argv, keys->argc);
    }
    const char *error = NULL;
    if (!keys->command)
        error = "ERR Invalid command specified";
    else if (!has_keys(keys->command))
        error = "ERR The command has no key arguments";
    else if (!command_takes(keys->command, keys->argc))
        error = "ERR Invalid number of arguments specified for command";
    else if (!add_all_keys(keys) && !is_call_of_script(keys->command))
        error = "ERR Invalid arguments specified for command";
    if (error)
        reply_error(call->reply, "%s", error);
    return !error;
}

static uint64_t keys_count(const struct keys_of *keys)
{
    return keys->found.size / sizeof(struct key);
}

static struct key key_at(const struct keys_of *keys, uint64_t i)
{
    struct key key;
    memcpy(&key, keys->found.data + i * sizeof key, sizeof key);
    return key;
}

void command_each_key(const struct command *command, const struct bytes *argv, uint32_t argc,
                      command_key_fn *each, void *context)
{
    struct keys_of keys = {.command = command, .argv = argv, .argc = argc};
    if (has_keys(command))
        (void)add_all_keys(&keys); /* of wrong words, those that are right */
    for (uint64_t i = 0; i < keys_count(&keys); i++)
        each(context, argv[key_at(&keys, i).at]);
    buffer_deinit(&keys.found);
}

void cmd_command_getkeys(struct call *call)
{
    struct keys_of keys;
    if (find_keys(call, &keys)) {
        reply_array(call->reply, keys_count(&keys));
        for (uint64_t i = 0; i < keys_count(&keys); i++)
            reply_bulk(call->reply, keys.argv[key_at(&keys, i).at]);
    }
    buffer_deinit(&keys.found);
}

static const char *flags_of_key(const struct keys_of *keys, struct key key)
{
    if (keys->command->execute != cmd_set) /* the one whose words decide */
        return key.flags;
    for (uint32_t i = 3; i < keys->argc; i++)
        if (bytes_is(keys->argv[i], "get"))
            return "RW access update";
    return "OW update";
}

void cmd_command_getkeysandflags(struct call *call)
{
    struct keys_of keys;
    if (find_keys(call, &keys)) {
        reply_array(call->reply, keys_count(&keys));
        for (uint64_t i = 0; i < keys_count(&keys); i++) {
            struct word_set set;
            reply_array(call->reply, 2);
            reply_bulk(call->reply, keys.argv[key_at(&keys, i).at]);
            word_set_init(&set, call->reply);
            words_of(&set, flags_of_key(&keys, key_at(&keys, i)), "|;", false);
            word_set_finish(&set, call->reply);
        }
    }
    buffer_deinit(&keys.found);
}

void cmd_command_help(struct call *call)
{
    static const char *const lines[] = {"(no subcommand)",
                                        "    Describe all commands.",
                                        "COUNT",
                                        "    The number of commands.",
                                        "DOCS [<command-name> ...]",
                                        "    Document these commands, or all.",
                                        "GETKEYS <full-command>",
                                        "    The keys of a command.",
                                        "GETKEYSANDFLAGS <full-command>",
                                        "    The keys of a command, and what it does with them.",
                                        "INFO [<command-name> ...]",
                                        "    Describe these commands, or all.",
                                        "LIST [FILTERBY (MODULE|ACLCAT|PATTERN) <value>]",
                                        "    The names of the commands.",
                                        NULL};
    call_reply_help(call, lines);
}
