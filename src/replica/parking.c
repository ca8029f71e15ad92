/* What waits for a key, at the leader, in no entry and on no other node.
 *
 * Each parked request has one place in the queue of each of its keys, in the order in which clients
 * began to wait.  An entry that touches a key has it looked at when it is applied: as many as find
 * something there are woken, from the front, and proposed.  Who then finds nothing after all is
 * parked again at its old place.  While some are woken for a key, nobody else is: what they leave
 * is known when they are through.  So nobody overtakes, and no key is ready that nobody was woken
 * for.  Who only reads takes nothing away: all who find something are woken, whoever else is.
 *
 * A write whose words say what it gives (LPUSH; state_machine_ops.feeds) has one woken already when
 * it is proposed, and proposed behind it: the two are one round and not two.  That is a guess like
 * any look: should the write give nothing, who was woken is parked again.  Behind all writes of the
 * turn, so that they stand in the log in the order of their queue: whatever those writes come to,
 * the first takes what there is.  Not where others read the same, who would look at what is left.
 *
 * What comes late waits behind those who wait already, whatever is there: see
 * replica_parking_has_others(). */
#include <utlist.h>
#include <xxhash.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "replica/replica_internal.h"

struct parking_place {
    struct parking_place *prev, *next; /* in the queue of its key */
    struct parking_key *key;
    struct request *request;
};

struct parking_key {
    struct hash_link link;           /* by name; first */
    struct parking_key *prev, *next; /* of all, oldest first */
    struct parking_place *queue;     /* of writes */
    struct parking_place *readers;   /* who take nothing from each other; utlist */
    struct parking_place *unlooked;  /* of them: the next to be looked at; or NULL */
    struct parking_place *latest; /* that came into it, near which the next one belongs; or NULL */
    struct parking_key *touched_prev, *touched_next;
    struct parking_key *fed_prev, *fed_next;
    uint64_t kind; /* of those in the queue, unless it is mixed */
    bool is_mixed;
    bool is_touched;
    uint32_t woken; /* for it, and not through */
    uint32_t fed;   /* by how many writes of this turn */
    uint32_t size;
    unsigned char bytes[]; /* the database, and the key */
};

/* ---- keys ----------------------------------------------------------------------------- */

/* The name of a key in the table; replica->parking_name keeps the bytes. */
static struct bytes name_of(struct replica *replica, unsigned database, struct bytes key)
{
    unsigned char first = (unsigned char)database;
    buffer_clear(&replica->parking_name);
    buffer_append(&replica->parking_name, &first, 1);
    buffer_append_bytes(&replica->parking_name, key);
    return buffer_bytes(&replica->parking_name);
}

static uint64_t hash_of_name(const struct replica *replica, struct bytes name)
{
    return XXH3_64bits_withSeed(name.data, name.size, replica->options.secret);
}

static struct parking_key *key_of(struct hash_link *link)
{
    return (struct parking_key *)link;
}

static bool is_named(const struct parking_key *key, struct bytes name)
{
    return bytes_equal(bytes_of(key->bytes, key->size), name);
}

static struct parking_key *find_key(struct replica *replica, unsigned database, struct bytes key)
{
    struct bytes name = name_of(replica, database, key);
    struct hash_link *link =
        hash_table_find(&replica->parking_by_name, hash_of_name(replica, name));
    while (link && !is_named(key_of(link), name))
        link = hash_table_next(link);
    return link ? key_of(link) : NULL;
}

static struct parking_key *add_key(struct replica *replica, unsigned database, struct bytes key)
{
    struct parking_key *found = find_key(replica, database, key);
    if (found)
        return found;
    struct bytes name = buffer_bytes(&replica->parking_name);
    found = memory_new(sizeof *found + name.size);
    found->size = (uint32_t)name.size;
    memcpy(found->bytes, name.data, name.size);
    hash_table_add(&replica->parking_by_name, &found->link, hash_of_name(replica, name));
    DL_APPEND(replica->parking, found);
    return found;
}

static void untouch(struct replica *replica, struct parking_key *key)
{
    if (key->is_touched)
        DL_DELETE2(replica->touched, key, touched_prev, touched_next);
    key->is_touched = false;
}

static void touch(struct replica *replica, struct parking_key *key)
{
    if (key->is_touched)
        return;
    key->is_touched = true;
    DL_APPEND2(replica->touched, key, touched_prev, touched_next);
    replica->try_waiting = true;
}

static void unfeed(struct replica *replica, struct parking_key *key)
{
    if (key->fed > 0)
        DL_DELETE2(replica->fed, key, fed_prev, fed_next);
    key->fed = 0;
}

static void free_if_unused(struct replica *replica, struct parking_key *key)
{
    if (key->queue || key->readers || key->woken > 0)
        return;
    check(!key->unlooked);
    check(!key->latest);
    untouch(replica, key);
    unfeed(replica, key);
    hash_table_remove(&replica->parking_by_name, &key->link);
    DL_DELETE(replica->parking, key);
    memory_free(key);
}

/* An entry touched it. */
static void stir(struct replica *replica, struct parking_key *key)
{
    key->unlooked = key->readers;
    touch(replica, key);
}

void replica_parking_touched(void *context, unsigned database, struct bytes name)
{
    struct replica *replica = context;
    struct parking_key *key;
    if (!replica->parking)
        return;
    if (name.data) {
        key = find_key(replica, database, name);
        if (key)
            stir(replica, key);
        return;
    }
    DL_FOREACH(replica->parking, key)
    {
        if (key->bytes[0] == database)
            stir(replica, key);
    }
}

/* It waits behind others for one of them, and might find something under another, for which nobody
 * was woken. */
void replica_parking_touch_keys(struct replica *replica, const struct waiter *waiter)
{
    for (uint32_t i = 0; i < waiter->places_count; i++)
        touch(replica, waiter->places[i].key);
}

uint64_t replica_parking_keys(const struct replica *replica)
{
    return replica->parking_by_name.count;
}

/* ---- queues --------------------------------------------------------------------------- */

static bool is_before(const struct request *a, const struct request *b)
{
    if (a->waiter->since_ms != b->waiter->since_ms)
        return a->waiter->since_ms < b->waiter->since_ms;
    return a->id < b->id;
}

/* After an election they come in the order of each node: so near where the last one went. */
static void insert(struct parking_key *key, struct parking_place *place)
{
    check(!key->latest || key->queue);
    struct parking_place *at = key->latest ? key->latest : key->queue;
    key->latest = place;
    while (at && is_before(at->request, place->request))
        at = at->next;
    if (!at) {
        DL_APPEND(key->queue, place);
        return;
    }
    while (at != key->queue && is_before(place->request, at->prev->request))
        at = at->prev;
    DL_PREPEND_ELEM(key->queue, at, place);
}

struct parking_of {
    struct replica *replica;
    struct request *request;
    uint32_t capacity;
    bool has_others;
};

/* Its words may name a key twice: two places in a queue would go at once, and who goes through the
 * queue would be left with the second. */
static bool has_place(const struct parking_key *key, const struct request *request)
{
    const struct parking_place *last = key->latest;
    if (request->kind == REQUEST_READ)
        last = key->readers ? key->readers->prev : NULL;
    return last && last->request == request;
}

static void add_place(void *context, struct bytes name)
{
    struct parking_of *of = context;
    struct waiter *waiter = of->request->waiter;
    struct parking_key *key = add_key(of->replica, of->request->database, name);
    if (has_place(key, of->request))
        return;
    check(waiter->places_count < of->capacity);
    struct parking_place *place = &waiter->places[waiter->places_count++];
    *place = (struct parking_place){.key = key, .request = of->request};
    if (of->request->kind == REQUEST_READ) {
        DL_APPEND(key->readers, place);
        return;
    }
    if (!key->queue) {
        key->kind = waiter->kind;
        key->is_mixed = false;
    }
    key->is_mixed |= key->kind != waiter->kind;
    insert(key, place);
}

static void count_key(void *context, struct bytes name)
{
    struct parking_of *of = context;
    (void)name;
    of->capacity++;
}

static uint32_t count_keys(struct replica *replica, const struct request *request)
{
    struct state_machine *machine = replica->options.machine;
    struct parking_of of = {.replica = replica};
    machine->ops->wait_keys(machine, blob_bytes(request->command), count_key, &of);
    return of.capacity;
}

bool replica_park(struct replica *replica, struct request *request)
{
    struct state_machine *machine = replica->options.machine;
    struct waiter *waiter = request->waiter;
    struct bytes command = blob_bytes(request->command);
    struct parking_of of = {.replica = replica, .request = request};
    of.capacity = count_keys(replica, request);
    check(waiter->places_count == 0);
    check(!waiter->woken_for); /* who is parked was settled */
    check(!waiter->places);
    check(waiter->doubt == 0); /* it is in no entry */
    request_leave_place(replica, request);
    if (of.capacity > WAIT_KEYS_MAX || replica->parked_places + of.capacity > PARKED_PLACES_MAX ||
        replica->parked_bytes + command.size > PARKED_BYTES_MAX ||
        replica->parked_count >= PARKED_MAX) {
        request_finish(replica, request, REQUEST_DONE,
                       bytes_from_string("-ERR too many clients wait for keys\r\n"));
        return false;
    }
    if (request->kind == REQUEST_WRITE)
        waiter->kind = machine->ops->wait_kind(machine, command);
    waiter->places = memory_new((of.capacity + 1) * sizeof *waiter->places);
    machine->ops->wait_keys(machine, command, add_place, &of);
    check((waiter->places_count > 0) == (of.capacity > 0));
    request->place = REQUEST_PARKED;
    DL_APPEND(replica->parked, request);
    replica->parked_count++;
    replica->parked_bytes += command.size;
    replica->parked_places += waiter->places_count;
    return true;
}

static void leave_queue(struct parking_place *place)
{
    struct parking_key *key = place->key;
    if (place->request->kind == REQUEST_READ) {
        if (key->unlooked == place)
            key->unlooked = place->next;
        DL_DELETE(key->readers, place);
        return;
    }
    if (key->latest == place)
        key->latest = NULL;
    DL_DELETE(key->queue, place);
}

void replica_unpark(struct replica *replica, struct request *request)
{
    struct waiter *waiter = request->waiter;
    check(replica->parked_count > 0);
    check(replica->parked_bytes >= request->command->size);
    check(replica->parked_places >= waiter->places_count);
    DL_DELETE(replica->parked, request);
    replica->parked_count--;
    replica->parked_bytes -= request->command->size;
    replica->parked_places -= waiter->places_count;
    if (waiter->counting_prev)
        DL_DELETE2(replica->counting, waiter, counting_prev, counting_next);
    waiter->counting_prev = waiter->counting_next = NULL;
    for (uint32_t i = 0; i < waiter->places_count; i++) {
        struct parking_place *place = &waiter->places[i];
        check(place->request == request);
        leave_queue(place);
        free_if_unused(replica, place->key);
    }
    memory_free(waiter->places);
    waiter->places = NULL;
    waiter->places_count = 0;
    check(!replica->parked == (replica->parked_count == 0));
    check(replica->parked || replica->parked_bytes == 0);
    check(replica->parked || replica->parked_places == 0);
}

static uint64_t count_served(struct replica *replica, const struct parking_key *key,
                             const struct request *request)
{
    struct state_machine *machine = replica->options.machine;
    struct apply_context context = {.meaning = replica_meaning(replica),
                                    .database = request->database,
                                    .now_ms = replica_read_time_ms(replica)};
    return machine->ops->wait_count(machine, &context, blob_bytes(request->command),
                                    bytes_of(key->bytes + 1, key->size - 1));
}

static void look_for_others(void *context, struct bytes name)
{
    struct parking_of *of = context;
    struct parking_key *key = find_key(of->replica, of->request->database, name);
    if (!key || !key->queue || (!key->is_mixed && key->kind != of->request->waiter->kind))
        return;
    of->has_others |= count_served(of->replica, key, of->request) > 0;
}

/* Who would find what it finds. */
bool replica_parking_has_others(struct replica *replica, struct request *request)
{
    struct state_machine *machine = replica->options.machine;
    struct bytes command = blob_bytes(request->command);
    struct parking_of of = {.replica = replica, .request = request};
    check(request->kind == REQUEST_WRITE);
    if (!replica->parking)
        return false;
    request->waiter->kind = machine->ops->wait_kind(machine, command);
    machine->ops->wait_keys(machine, command, look_for_others, &of);
    return of.has_others;
}

/* ---- waking --------------------------------------------------------------------------- */

void replica_parking_settle(struct replica *replica, struct parking_key *key)
{
    if (!key)
        return;
    check(key->woken > 0);
    if (--key->woken == 0)
        touch(replica, key);
    free_if_unused(replica, key);
}

static void wake(struct replica *replica, struct parking_key *key, struct request *request)
{
    check(!request->waiter->woken_for);
    check(request->kind == REQUEST_WRITE);
    check(request->place == REQUEST_PARKED);
    key->woken++; /* first: it keeps the key */
    request_leave_place(replica, request);
    request->waiter->woken_for = key;
    request->place = REQUEST_WOKEN;
    DL_APPEND(replica->woken, request);
}

/* Those of one kind, from the front. */
static void wake_kind(struct replica *replica, struct parking_key *key, uint64_t kind,
                      uint64_t count)
{
    struct parking_place *place, *following;
    DL_FOREACH_SAFE(key->queue, place, following)
    {
        if (count == 0)
            return;
        if (place->request->waiter->kind != kind)
            continue;
        count--;
        wake(replica, key, place->request);
    }
}

/* The first of each kind that finds something. */
static void wake_mixed(struct replica *replica, struct parking_key *key)
{
    struct parking_place *place, *following;
    uint64_t done = 0; /* the kind looked at last */
    bool is_known = false;
    DL_FOREACH_SAFE(key->queue, place, following)
    {
        struct request *request = place->request;
        if (is_known && request->waiter->kind == done)
            continue;
        is_known = true;
        done = request->waiter->kind;
        if (count_served(replica, key, request) > 0)
            wake(replica, key, request);
    }
}

/* All who find something, as far as may be looked at in this turn. */
static void wake_readers(struct replica *replica, struct parking_key *key, unsigned *looks)
{
    while (key->unlooked && *looks < PARKING_LOOKS_MAX) {
        struct request *request = key->unlooked->request;
        check(request->kind == REQUEST_READ);
        key->unlooked = key->unlooked->next;
        ++*looks;
        if (count_served(replica, key, request) > 0)
            replica_reader_wake(replica, request);
    }
    if (key->unlooked)
        touch(replica, key);
}

static void wake_writers(struct replica *replica, struct parking_key *key)
{
    if (key->is_mixed)
        wake_mixed(replica, key);
    else
        wake_kind(replica, key, key->kind, count_served(replica, key, key->queue->request));
}

static void look_at(struct replica *replica, struct parking_key *key, unsigned *looks)
{
    bool is_free = key->woken == 0; /* settling touches it */
    key->woken++;                   /* to keep it */
    ++*looks;
    wake_readers(replica, key, looks);
    if (is_free && key->queue)
        wake_writers(replica, key);
    key->woken--;
    free_if_unused(replica, key);
}

void replica_parking_wake(struct replica *replica)
{
    bool is_whole = !replica->applying.payload; /* or the state is between two */
    unsigned looks = 0;
    while (is_whole && replica->touched && looks < PARKING_LOOKS_MAX) {
        struct parking_key *key = replica->touched;
        check(key->is_touched);
        untouch(replica, key);
        look_at(replica, key, &looks);
    }
    replica->try_waiting |= replica->touched != NULL;
}

/* ---- waking before there is something ------------------------------------------------- */

void replica_parking_fed(struct replica *replica, const struct request *request)
{
    struct state_machine *machine = replica->options.machine;
    struct bytes name;
    if (!replica->parking)
        return;
    uint64_t class = machine->ops->feeds(machine, blob_bytes(request->command), &name);
    struct parking_key *key = class ? find_key(replica, request->database, name) : NULL;
    if (!key || !key->queue || key->readers || key->is_mixed || key->woken > 0 ||
        (key->kind & ((1u << WAIT_CLASS_BITS) - 1)) != class)
        return;
    if (key->fed++ == 0)
        DL_APPEND2(replica->fed, key, fed_prev, fed_next);
}

/* What is there may be of another type, which nobody is woken for; between two states nobody can
 * look. */
void replica_parking_wake_fed(struct replica *replica)
{
    while (replica->fed) {
        struct parking_key *key = replica->fed;
        uint32_t count = key->fed;
        check(count > 0);
        unfeed(replica, key);
        if (!replica->applying.payload && key->queue && key->woken == 0 && !key->is_mixed &&
            !replica_waiter_finds(replica, key->queue->request))
            wake_kind(replica, key, key->kind, count);
    }
}
