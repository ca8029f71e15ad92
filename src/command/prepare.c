/* See prepare.h. */
#include "command/prepare.h"

#include "base/blob.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "command/ordered.h"
#include "command/sorted_sets.h"
#include "resp/number.h"

enum { SOURCES_MAX = 64, SLICE_SHARES = 4 };

/* ---- what the commands ask ------------------------------------------------------------- */

bool call_stops(struct call *call)
{
    if (call->prepares)
        call->walk->unfinished = call->walk->is_prepared = true;
    return call->prepares;
}

uint64_t call_slice_share(const struct call *call, uint64_t most)
{
    return call->prepares ? most / SLICE_SHARES : most;
}

bool call_is_prepared(const struct call *call)
{
    return call->prepared != NULL;
}

uint64_t call_take_space(struct call *call, unsigned database, uint64_t space)
{
    if (!call->prepared || space == 0)
        return space;
    return db_beside_adopt(call->db, call->prepared, database, space);
}

/* ---- which are prepared ---------------------------------------------------------------- */

/* The keys that a command looks at, as words. */
struct sources {
    uint32_t first, count;
};

/* What a string is counted in are its pages. */
static uint64_t elements_of(struct call *call, uint32_t i)
{
    struct bytes key = call->argv[i];
    struct db_record found;
    struct fields fields;
    struct ordered ordered;
    uint64_t count = 0;
    if (!db_lookup(call->db, call->database, key, &found))
        return 0;
    switch (found.type) {
    case DB_NONE:
    case DB_STREAM: break;
    case DB_STRING: return found.space ? found.size / DB_STRING_PAGE : 0;
    case DB_SET:
    case DB_HASH:
        fields_open(&fields, call->db, NULL, call->database, key, found.type);
        return fields.count;
    case DB_LIST:
    case DB_ZSET:
        ordered_open(&ordered, call, key, found.type);
        count = ordered.count;
        ordered_close(&ordered);
        break;
    }
    return count;
}

static uint64_t sum(struct call *call, struct sources sources)
{
    uint64_t elements = 0;
    for (uint32_t i = 0; i < sources.count; i++)
        elements += elements_of(call, sources.first + i);
    return elements;
}

/* Each of one source's elements is looked for in all. */
static uint64_t looks(struct call *call, struct sources sources, bool is_of_smallest)
{
    uint64_t elements = elements_of(call, sources.first);
    for (uint32_t i = 1; is_of_smallest && i < sources.count; i++) {
        uint64_t others = elements_of(call, sources.first + i);
        elements = others < elements ? others : elements;
    }
    return elements * sources.count;
}

static uint64_t weigh_combination(struct call *call, struct sources *sources)
{
    const char *name = call->command->name;
    int64_t keys = (int64_t)call->argc - 2;
    bool is_of_sets = *name == 's';
    sources->first = is_of_sets ? 2 : 3;
    if (!is_of_sets && !number_parse_i64(call->argv[2], &keys))
        return 0;
    if (keys < 1 || keys > SOURCES_MAX || keys > (int64_t)call->argc - sources->first)
        return 0;
    sources->count = (uint32_t)keys;
    if (name[1] == 'u')
        return sum(call, *sources);
    return looks(call, *sources, name[1] == 'i');
}

/* Other keys that an element names would be sources, too: those are not prepared. */
static bool sorts_alone(const struct call *call)
{
    bool is_stored = false;
    for (uint32_t i = 2; i < call->argc; i++) {
        if (bytes_is(call->argv[i], "by") || bytes_is(call->argv[i], "get"))
            return false;
        is_stored |= bytes_is(call->argv[i], "store");
    }
    return is_stored;
}

/* How many elements it would walk over, about; 0: it is not prepared.  The first letters of the
 * name tell most writes apart from these. */
static uint64_t weigh(struct call *call, struct sources *sources)
{
    command_fn *execute = call->command->execute;
    *sources = (struct sources){1, 1};
    if (execute == cmd_copy)
        return sum(call, *sources);
    if (execute == cmd_sort)
        return sorts_alone(call) ? sum(call, *sources) : 0;
    if (execute == cmd_zrangestore) {
        sources->first = 2;
        return sorted_store_size(call);
    }
    bool is_combination = execute == cmd_sinterstore || execute == cmd_sunionstore ||
                          execute == cmd_sdiffstore || execute == cmd_zunion;
    return is_combination ? weigh_combination(call, sources) : 0;
}

uint64_t command_prepares(struct call *call)
{
    struct sources sources;
    return call->command->flags & CMD_WRITE ? weigh(call, &sources) : 0;
}

/* ---- one preparation ------------------------------------------------------------------- */

struct source {
    struct bytes key; /* borrowed: a word */
    struct db_identity identity;
};

struct preparation {
    struct db *db;           /* borrowed */
    struct blob *encoded;    /* owned; its words are borrowed from it */
    struct call context;     /* of the first slice */
    struct execution making; /* whose view is that of the beginning, until it is ready */
    struct db *beside;       /* owned */
    struct source *sources;  /* owned */
    uint32_t sources_count;
    uint64_t looked; /* up to this entry the sources are what they were */
    bool is_ready;
};

/* False: of one it cannot be said whether it changes. */
static bool note_sources(struct preparation *preparation, struct call *call)
{
    struct sources sources;
    bool is_sure = weigh(call, &sources) > 0;
    preparation->sources_count = is_sure ? sources.count : 0;
    preparation->sources = memory_new(sources.count * sizeof *preparation->sources);
    for (uint32_t i = 0; i < preparation->sources_count; i++) {
        struct source *source = &preparation->sources[i];
        source->key = call->argv[sources.first + i];
        is_sure &= db_identify(call->db, call->database, source->key, &source->identity);
    }
    return is_sure;
}

struct preparation *preparation_new(struct db *db, struct bytes encoded, const struct call *call)
{
    struct db_view *view = db_view_new(db);
    if (!view)
        return NULL;
    struct preparation *preparation = memory_new(sizeof *preparation);
    struct execution *making = &preparation->making;
    uint32_t argc;
    preparation->db = db;
    preparation->encoded = blob_copy(encoded);
    preparation->looked = db_applied_index(db);
    bool is_whole = command_decode(blob_bytes(preparation->encoded), &making->argv, &argc,
                                   &making->argv_capacity);
    check(is_whole);
    making->view = view;
    making->now_ms = call->now_ms;
    execution_begin(making, call->command, argc, CMD_READ | CMD_WRITE);
    struct call own = *call;
    own.argv = making->argv;
    own.argc = argc;
    own.db = db;
    db_at(db, call->now_ms, false);
    if (note_sources(preparation, &own))
        preparation->beside = db_beside_new(db);
    own.db = preparation->beside;
    own.view = view;
    own.prepares = true;
    preparation->context = own;
    return preparation;
}

/* Of what it made, nothing is kept for an entry. */
static void end_making(struct preparation *preparation)
{
    execution_deinit(&preparation->making);
    preparation->making = (struct execution){0};
}

void preparation_free(struct preparation *preparation)
{
    if (!preparation)
        return;
    end_making(preparation);
    db_beside_free(preparation->beside);
    blob_release(preparation->encoded);
    memory_free(preparation->sources);
    memory_free(preparation);
}

bool preparation_holds(const struct preparation *preparation)
{
    unsigned database = preparation->context.database;
    for (uint32_t i = 0; i < preparation->sources_count; i++) {
        const struct source *source = &preparation->sources[i];
        const struct db_identity *before = &source->identity;
        struct db_identity now;
        if (!db_identify(preparation->db, database, source->key, &now) ||
            now.database_space != before->database_space || now.type != before->type ||
            now.version != before->version || now.space != before->space)
            return false;
    }
    return true;
}

/* The view is not needed any more: what the command looks at in the entry is there. */
static enum preparation_step end_well(struct preparation *preparation)
{
    db_view_release(preparation->making.view);
    preparation->making.view = NULL;
    preparation->is_ready = true;
    return PREPARATION_READY;
}

enum preparation_step preparation_go_on(struct preparation *preparation, int64_t now_ms)
{
    struct db *db = preparation->db, *beside = preparation->beside;
    struct reply nobody = {NULL, 2};
    check(!preparation->is_ready);
    if (!beside)
        return PREPARATION_FAILED;
    db_at(db, now_ms, false);
    if (db_applied_index(db) != preparation->looked && !preparation_holds(preparation))
        return PREPARATION_CHANGED;
    preparation->looked = db_applied_index(db);
    struct call call = preparation->context;
    uint64_t reading = db_work(db), all = db_work(beside);
    call.reply = &nobody;
    db_at(beside, call.now_ms, false);
    bool is_finished = execution_go_on(&preparation->making, &call);
    uint64_t read = db_work(db) - reading;
    db_spend(db, db_work(beside) - all - read);
    if (is_finished)
        return PREPARATION_FAILED;
    bool is_all = preparation->making.frames[0].walk.is_prepared;
    return is_all ? end_well(preparation) : PREPARATION_MORE;
}

bool preparation_is_of(const struct preparation *preparation, struct bytes encoded,
                       const struct call *call)
{
    const struct call *own = &preparation->context;
    return preparation->is_ready && own->database == call->database &&
           own->meaning == call->meaning && own->value_max == call->value_max &&
           bytes_equal(blob_bytes(preparation->encoded), encoded);
}

struct walk_state preparation_take(struct preparation *preparation)
{
    struct frame *frame = &preparation->making.frames[0];
    struct walk_state walk = frame->walk;
    check(preparation->is_ready);
    frame->walk = (struct walk_state){0};
    preparation->is_ready = false;
    return walk;
}

struct db *preparation_place(const struct preparation *preparation)
{
    return preparation->beside;
}
