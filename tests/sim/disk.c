/* The log writer without its thread.  Writes gather while one batch is under way; a batch takes a
 * while, a slow disk's a long while; a crash loses what was not written, and what was just being
 * written either way. */
#include <stdlib.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "sim.h"

enum { READ_US_MIN = 20, READ_US_SPREAD = 3000 };
enum { WRITE_US_MIN = 80, WRITE_US_SPREAD = 400, HICCUP_US = 20000, SLOW_US = 150000 };

static void begin(struct sim_disk *disk);

static void free_write(struct raft_write *write)
{
    for (uint32_t i = 0; i < write->count; i++)
        blob_release(write->entries[i].payload);
    memory_free((void *)(uintptr_t)write->entries);
}

static void forget_first(struct sim_disk *disk, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free_write(&disk->writes[i]);
    disk->count -= count;
    if (disk->count > 0)
        memmove(disk->writes, disk->writes + count, disk->count * sizeof *disk->writes);
}

/* What the disk holds once the batch is there. */
static struct sim_image image_after(const struct sim_disk *disk)
{
    struct sim_image image = disk->node->image;
    for (uint32_t i = 0; i < disk->batch; i++) {
        const struct raft_write *write = &disk->writes[i];
        image.term = write->term;
        image.voted_for = write->voted_for;
        if (write->count > 0)
            image.tip = write->entries[write->count - 1].pos;
    }
    return image;
}

static void write_batch(struct sim_disk *disk)
{
    disk->next = image_after(disk);
    disk->writing = disk->inside = true;
    raft_log_write(disk->node->log, disk->writes, disk->batch);
    disk->inside = false;
    if (disk->writing)
        sim_fail("node %u has nothing synced of a write", (unsigned)disk->node->id);
}

void sim_disk_committed(struct sim_disk *disk)
{
    if (!disk->writing) /* a checkpoint's */
        return;
    struct sim_image before = disk->node->image;
    disk->writing = false;
    disk->node->image = disk->next;
    sim_check_image(disk->node, &before);
}

/* As with the thread, everything that came by then at once. */
static void tell(struct sim_node *node, void *data)
{
    (void)data;
    if (!node->disk.is_late)
        return;
    if (node->paused) {
        sim_schedule(SIM_PAUSED_US, node, tell, NULL);
        return;
    }
    node->disk.is_late = false;
    sim_persisted(node, node->disk.durable);
    sim_node_run(node);
}

/* The loop waits no longer than until somebody waits for the disk. */
void sim_disk_look(struct sim_node *node)
{
    if (replica_awaits_disk(node->replica))
        tell(node, NULL);
}

/* The thread says what is promised, and wakes the loop, which may be late where nothing waits. */
static void is_durable(struct sim_node *node, uint64_t seq)
{
    struct sim_disk *disk = &node->disk;
    disk->durable = seq;
    disk->is_late = true;
    disk->hurries |= !sim_network_durable(node, seq);
    bool may_be_late = !disk->hurries && !replica_awaits_disk(node->replica) && sim_chance(700);
    sim.coverage.disk_told_late += may_be_late;
    if (may_be_late)
        sim_schedule((int64_t)sim_below(SIM_TICK_US), node, tell, NULL);
    else
        tell(node, NULL);
}

static void done(struct sim_node *node, void *data)
{
    struct sim_disk *disk = &node->disk;
    (void)data;
    bool hangs = !sim.healing && sim.now_us < disk->hung_until_us;
    if (node->paused || hangs) { /* all threads of it, or this one */
        sim_schedule(SIM_PAUSED_US, node, done, NULL);
        return;
    }
    uint64_t seq = disk->writes[disk->batch - 1].seq;
    write_batch(disk);
    forget_first(disk, disk->batch);
    disk->busy = false;
    if (disk->count > 0)
        begin(disk);
    is_durable(node, seq);
}

static void begin(struct sim_disk *disk)
{
    disk->busy = true;
    disk->batch = disk->count;
    int64_t delay = WRITE_US_MIN + (int64_t)sim_below(WRITE_US_SPREAD);
    if (!sim.healing && sim_chance(10))
        delay += (int64_t)sim_below(HICCUP_US);
    if (!sim.healing && sim.now_us < disk->slow_until_us)
        delay += (int64_t)sim_below(SLOW_US);
    sim_schedule(delay, disk->node, done, NULL);
}

static void submit(struct raft_log_writer *port, const struct raft_write *write)
{
    struct sim_disk *disk = (struct sim_disk *)port;
    sim_check_write(disk->node, write);
    if (disk->count == disk->capacity) {
        disk->capacity = disk->capacity ? disk->capacity * 2 : 64;
        disk->writes = memory_resize(disk->writes, disk->capacity * sizeof *disk->writes);
    }
    struct raft_write *kept = &disk->writes[disk->count++];
    *kept = *write;
    kept->entries = memory_copy(write->entries, write->count * sizeof *write->entries);
    for (uint32_t i = 0; i < write->count; i++)
        if (kept->entries[i].payload)
            blob_take(kept->entries[i].payload);
    if (!disk->busy)
        begin(disk);
}

static const struct raft_log_writer_ops disk_ops = {submit};

/* ---- the log reader, likewise without its thread ------------------------------------------ */

static void read_done(struct sim_node *node, void *data)
{
    struct raft_log_reading *reading = data;
    if (node->paused) {
        sim_schedule(SIM_PAUSED_US, node, read_done, reading);
        return;
    }
    reading->done = raft_log_read(node->log, reading->first, reading->count, reading->bytes_max,
                                  reading->entries);
    sim.coverage.log_reads++;
    sim.coverage.log_reads_in_vain += reading->done == 0;
    replica_log_read(node->replica, reading);
    sim_node_run(node);
}

static void submit_read(struct raft_log_reader *reader, struct raft_log_reading *reading)
{
    struct sim_disk *disk = (struct sim_disk *)((char *)reader - offsetof(struct sim_disk, reader));
    sim_schedule(READ_US_MIN + (int64_t)sim_below(READ_US_SPREAD), disk->node, read_done, reading);
}

static const struct raft_log_reader_ops reader_ops = {submit_read};

void sim_disk_init(struct sim_disk *disk, struct sim_node *node)
{
    int64_t slow_until_us = disk->slow_until_us, hung_until_us = disk->hung_until_us;
    memory_free(disk->writes);
    *disk = (struct sim_disk){.port = {&disk_ops},
                              .reader = {&reader_ops},
                              .node = node,
                              .slow_until_us = slow_until_us,
                              .hung_until_us = hung_until_us};
}

/* The next synced commit leaves a log that begins and ends at `pos`. */
void sim_disk_expect(struct sim_disk *disk, struct raft_pos pos)
{
    disk->next = disk->node->image;
    disk->next.tip = pos;
    disk->writing = true;
}

void sim_disk_drain(struct sim_disk *disk)
{
    disk->batch = disk->count;
    if (disk->count > 0)
        write_batch(disk);
    forget_first(disk, disk->count);
    disk->busy = false;
}

/* A process that died within a write has seen what becomes of it. */
void sim_disk_crash(struct sim_disk *disk)
{
    if (disk->busy && !disk->inside) {
        sim.coverage.crashes_in_write++;
        if (sim_chance(500))
            write_batch(disk);
        else
            sim.coverage.writes_torn_off++;
    }
    forget_first(disk, disk->count);
    disk->busy = disk->inside = disk->writing = false;
}
