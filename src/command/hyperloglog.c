/* See hyperloglog.h.  How a sparse one changes, which runs are split and which are joined again, is
 * part of the format: two servers that were told the same shall hold the same bytes.
 *
 * Deterministic; loop thread only. */
#include "command/hyperloglog.h"

#include <math.h>

#include "base/codec.h"
#include "base/fatal.h"

enum {
    ENCODING_AT = 4,
    KEPT_AT = 8,
    DENSE = 0,
    SPARSE = 1,
    NUMBER_BITS = 14,
    COUNT_BITS = 64 - NUMBER_BITS, /* of the hash, in which zeros are counted */
    COUNT_MAX = COUNT_BITS + 1,
    ZERO_RUN_MAX = 64,   /* of the short form */
    VALUE_RUN_MAX = 4,   /* of a value, and */
    VALUE_MAX = 32,      /* the largest that has runs; */
    VALUE_BITS_MAX = 63, /* and that has room, whatever an element can give */
    JOIN_RUNS_MAX = 5    /* looked at after a change, whether they can be joined */
};

static const char kept_is_old = (char)0x80;

/* ---- header --------------------------------------------------------------------------- */

void hyperloglog_init(struct buffer *value)
{
    static const char empty[] = "HYLL\1\0\0\0\0\0\0\0\0\0\0\0\x7f\xff"; /* a run of all zeros */
    check(value->size == 0);
    buffer_append(value, empty, sizeof empty - 1);
}

static unsigned encoding_of(struct bytes value)
{
    return ((const unsigned char *)value.data)[ENCODING_AT];
}

bool hyperloglog_is_valid(struct bytes value)
{
    if (value.size < HYPERLOGLOG_HEADER || memcmp(value.data, "HYLL", 4) != 0)
        return false;
    return encoding_of(value) == SPARSE ||
           (encoding_of(value) == DENSE && value.size == HYPERLOGLOG_DENSE_SIZE);
}

bool hyperloglog_is_dense(struct bytes value)
{
    return encoding_of(value) == DENSE;
}

bool hyperloglog_kept(struct bytes value, uint64_t *estimate)
{
    *estimate = get_u64((const unsigned char *)value.data + KEPT_AT);
    return *estimate >> 63 == 0;
}

void hyperloglog_forget_kept(struct buffer *value)
{
    value->data[HYPERLOGLOG_HEADER - 1] = (char)(value->data[HYPERLOGLOG_HEADER - 1] | kept_is_old);
}

/* ---- hash: MurmurHash64A ---------------------------------------------------------------- */

static uint64_t little_endian(const unsigned char *data, size_t size)
{
    uint64_t word = 0;
    for (size_t i = size; i-- > 0;)
        word = word << 8 | data[i];
    return word;
}

static uint64_t hash_of(struct bytes element)
{
    const uint64_t factor = 0xc6a4a7935bd1e995u;
    const unsigned char *data = element.data;
    uint64_t hash = 0xadc83b19u ^ element.size * factor;
    size_t rest = element.size % 8;
    for (size_t at = 0; at + 8 <= element.size; at += 8) {
        uint64_t word = little_endian(data + at, 8) * factor;
        hash = (hash ^ (word ^ word >> 47) * factor) * factor;
    }
    if (rest > 0)
        hash = (hash ^ little_endian(data + element.size - rest, rest)) * factor;
    hash = (hash ^ hash >> 47) * factor;
    return hash ^ hash >> 47;
}

unsigned hyperloglog_register_of(struct bytes element, unsigned *number)
{
    uint64_t hash = hash_of(element);
    *number = (unsigned)(hash % HYPERLOGLOG_REGISTERS);
    uint64_t rest = hash >> NUMBER_BITS | 1ull << COUNT_BITS;
    return (unsigned)__builtin_ctzll(rest) + 1;
}

/* ---- dense --------------------------------------------------------------------------------- */

static unsigned get_bits(const unsigned char *registers, unsigned number)
{
    unsigned at = number * 6 / 8, shift = number * 6 % 8;
    unsigned bits = registers[at] >> shift;
    if (shift > 2) /* the last has no byte behind it, and needs none */
        bits |= (unsigned)registers[at + 1] << (8 - shift);
    return bits & 63;
}

/* Of the byte that the register begins in. */
static void set_bits_at(unsigned char *byte, unsigned shift, unsigned value)
{
    byte[0] = (unsigned char)((byte[0] & ~(63u << shift)) | value << shift);
    if (shift > 2)
        byte[1] = (unsigned char)((byte[1] & ~(63u >> (8 - shift))) | value >> (8 - shift));
}

static void set_bits(unsigned char *registers, unsigned number, unsigned value)
{
    set_bits_at(registers + number * 6 / 8, number * 6 % 8, value);
}

static unsigned char *registers_of(struct buffer *value)
{
    return (unsigned char *)value->data + HYPERLOGLOG_HEADER;
}

unsigned hyperloglog_dense_get(struct bytes value, unsigned number)
{
    check(value.size == HYPERLOGLOG_DENSE_SIZE);
    check(number < HYPERLOGLOG_REGISTERS);
    return get_bits((const unsigned char *)value.data + HYPERLOGLOG_HEADER, number);
}

bool hyperloglog_dense_patch(struct bytes value, unsigned number, unsigned count,
                             struct hyperloglog_patch patches[2])
{
    check(count <= VALUE_BITS_MAX);
    if (hyperloglog_dense_get(value, number) >= count)
        return false;
    size_t at = number * 6 / 8, left = HYPERLOGLOG_DENSE_SIZE - HYPERLOGLOG_HEADER - at;
    patches[0] = (struct hyperloglog_patch){HYPERLOGLOG_HEADER + at, left < 2 ? left : 2, {0}};
    memcpy(patches[0].bytes, (const char *)value.data + patches[0].at, patches[0].size);
    set_bits_at(patches[0].bytes, number * 6 % 8, count);
    patches[1] = (struct hyperloglog_patch){HYPERLOGLOG_HEADER - 1, 1, {0}};
    patches[1].bytes[0] = ((const unsigned char *)value.data)[HYPERLOGLOG_HEADER - 1] | 0x80;
    return true;
}

static enum hyperloglog_change raise_dense(struct buffer *value, unsigned number, unsigned count)
{
    check(count <= VALUE_BITS_MAX);
    if (get_bits(registers_of(value), number) >= count)
        return HYPERLOGLOG_SAME;
    set_bits(registers_of(value), number, count);
    return HYPERLOGLOG_CHANGED;
}

/* ---- runs ----------------------------------------------------------------------------------- */

struct run {
    unsigned length, value; /* registers; 0: they have none */
    size_t size;            /* bytes */
};

/* False: the bytes end within it. */
static bool run_parse(const unsigned char *data, size_t left, struct run *run)
{
    if (left == 0)
        return false;
    unsigned first = data[0];
    if (first & 0x80)
        *run = (struct run){(first & 3) + 1, (first >> 2 & 31) + 1, 1};
    else if (first & 0x40)
        *run = (struct run){left < 2 ? 0 : ((first & 63) << 8 | data[1]) + 1, 0, 2};
    else
        *run = (struct run){(first & 63) + 1, 0, 1};
    return run->size <= left;
}

/* Returns its size. */
static size_t run_write(unsigned char *out, unsigned length, unsigned value)
{
    if (length == 0)
        return 0;
    if (value > 0) {
        check(length <= VALUE_RUN_MAX);
        *out = (unsigned char)(0x80 | (value - 1) << 2 | (length - 1));
        return 1;
    }
    if (length <= ZERO_RUN_MAX) {
        *out = (unsigned char)(length - 1);
        return 1;
    }
    out[0] = (unsigned char)(0x40 | (length - 1) >> 8);
    out[1] = (unsigned char)(length - 1);
    return 2;
}

typedef void run_fn(void *context, unsigned first, const struct run *run);

/* All runs of a sparse one; false: they are not of all registers. */
static bool each_run(struct bytes value, run_fn *each, void *context)
{
    const unsigned char *data = value.data;
    unsigned first = 0;
    struct run run;
    for (size_t at = HYPERLOGLOG_HEADER; at < value.size; at += run.size) {
        if (!run_parse(data + at, value.size - at, &run) ||
            first + run.length > HYPERLOGLOG_REGISTERS)
            return false;
        each(context, first, &run);
        first += run.length;
    }
    return first == HYPERLOGLOG_REGISTERS;
}

static void write_run(void *context, unsigned first, const struct run *run)
{
    for (unsigned i = 0; run->value > 0 && i < run->length; i++)
        set_bits(context, first + i, run->value);
}

bool hyperloglog_make_dense(struct buffer *value)
{
    struct buffer dense = {0};
    if (hyperloglog_is_dense(buffer_bytes(value)))
        return true;
    buffer_reserve(&dense, HYPERLOGLOG_DENSE_SIZE);
    memset(dense.data, 0, HYPERLOGLOG_DENSE_SIZE);
    memcpy(dense.data, value->data, HYPERLOGLOG_HEADER);
    dense.data[ENCODING_AT] = DENSE;
    dense.size = HYPERLOGLOG_DENSE_SIZE;
    bool is_whole = each_run(buffer_bytes(value), write_run, registers_of(&dense));
    if (is_whole) {
        buffer_deinit(value);
        *value = dense;
    } else {
        buffer_deinit(&dense);
    }
    return is_whole;
}

/* ---- a change of a sparse one ---------------------------------------------------------------- */

/* Where a register is. */
struct spot {
    size_t at;      /* of its run, bytes */
    size_t before;  /* of the run before that; 0: it is the first */
    unsigned first; /* register of the run */
    struct run run;
};

static bool find_run(const struct buffer *value, unsigned number, struct spot *spot)
{
    *spot = (struct spot){.at = HYPERLOGLOG_HEADER};
    while (spot->at < value->size) {
        if (!run_parse((unsigned char *)value->data + spot->at, value->size - spot->at, &spot->run))
            return false;
        if (number < spot->first + spot->run.length)
            return true;
        spot->before = spot->at;
        spot->at += spot->run.size;
        spot->first += spot->run.length;
    }
    return false;
}

/* Joins neighbours of equal value, from the run before the changed one on. */
static void join_runs(struct buffer *value, size_t at)
{
    unsigned char *data = (unsigned char *)value->data;
    struct run run, next;
    for (int i = 0; i < JOIN_RUNS_MAX && at < value->size; i++) {
        if (!run_parse(data + at, value->size - at, &run))
            return;
        bool is_joined = run.value > 0 && run_parse(data + at + 1, value->size - at - 1, &next) &&
                         next.value == run.value && run.length + next.length <= VALUE_RUN_MAX;
        if (!is_joined) {
            at += run.size;
            continue;
        }
        run_write(data + at + 1, run.length + next.length, run.value);
        memmove(data + at, data + at + 1, value->size - at - 1);
        value->size--;
    }
}

/* Puts `size` bytes in the place of a run. */
static void replace_run(struct buffer *value, const struct spot *spot, const unsigned char *runs,
                        size_t size)
{
    size_t behind = spot->at + spot->run.size, left = value->size - behind;
    if (size > spot->run.size)
        buffer_reserve(value, size - spot->run.size);
    memmove(value->data + spot->at + size, value->data + behind, left);
    memcpy(value->data + spot->at, runs, size);
    value->size = spot->at + size + left;
}

static enum hyperloglog_change raise_sparse(struct buffer *value, unsigned number, unsigned count)
{
    struct spot spot;
    unsigned char runs[8];
    if (!find_run(value, number, &spot))
        return HYPERLOGLOG_DAMAGED;
    if (spot.run.value >= count)
        return HYPERLOGLOG_SAME;
    unsigned behind = spot.first + spot.run.length - 1 - number;
    size_t size = run_write(runs, number - spot.first, spot.run.value);
    size += run_write(runs + size, 1, count);
    size += run_write(runs + size, behind, spot.run.value);
    bool grows = size > spot.run.size;
    if (grows && value->size + size - spot.run.size > HYPERLOGLOG_SPARSE_MAX)
        return hyperloglog_make_dense(value) ? raise_dense(value, number, count)
                                             : HYPERLOGLOG_DAMAGED;
    replace_run(value, &spot, runs, size);
    join_runs(value, spot.before ? spot.before : HYPERLOGLOG_HEADER);
    return HYPERLOGLOG_CHANGED;
}

enum hyperloglog_change hyperloglog_raise(struct buffer *value, unsigned number, unsigned count)
{
    check(number < HYPERLOGLOG_REGISTERS);
    check(count > 0);
    check(hyperloglog_is_valid(buffer_bytes(value)));
    if (!hyperloglog_is_dense(buffer_bytes(value)) && count <= VALUE_MAX)
        return raise_sparse(value, number, count);
    if (!hyperloglog_make_dense(value))
        return HYPERLOGLOG_DAMAGED;
    return raise_dense(value, number, count);
}

/* ---- many together --------------------------------------------------------------------------- */

static void raise_run(void *context, unsigned first, const struct run *run)
{
    uint8_t *registers = context;
    for (unsigned i = first; run->value > 0 && i < first + run->length; i++)
        if (registers[i] < run->value)
            registers[i] = (uint8_t)run->value;
}

bool hyperloglog_merge(uint8_t *registers, struct bytes value)
{
    check(hyperloglog_is_valid(value));
    if (!hyperloglog_is_dense(value))
        return each_run(value, raise_run, registers);
    for (unsigned i = 0; i < HYPERLOGLOG_REGISTERS; i++) {
        unsigned count = hyperloglog_dense_get(value, i);
        if (registers[i] < count)
            registers[i] = (uint8_t)count;
    }
    return true;
}

/* ---- the estimate: Ertl, "New cardinality estimation algorithms for HyperLogLog sketches"
 * ------ */

static double sigma(double x)
{
    double sum = x, weight = 1, before;
    if (x == 1)
        return INFINITY;
    do {
        before = sum;
        x *= x;
        sum += x * weight;
        weight += weight;
    } while (sum != before);
    return sum;
}

static double tau(double x)
{
    double sum = 1 - x, weight = 1, before;
    if (x == 0 || x == 1)
        return 0;
    do {
        before = sum;
        x = sqrt(x);
        weight *= 0.5;
        sum -= (1 - x) * (1 - x) * weight;
    } while (sum != before);
    return sum / 3;
}

uint64_t hyperloglog_estimate(const uint8_t *registers)
{
    const double m = HYPERLOGLOG_REGISTERS;
    unsigned counts[64] = {0};
    for (unsigned i = 0; i < HYPERLOGLOG_REGISTERS; i++)
        counts[registers[i] & 63]++;
    double z = m * tau((m - counts[COUNT_MAX]) / m);
    for (int i = COUNT_BITS; i >= 1; i--)
        z = (z + counts[i]) * 0.5;
    z += m * sigma(counts[0] / m);
    return (uint64_t)llroundl(0.721347520444481703680 * m * m / z);
}
