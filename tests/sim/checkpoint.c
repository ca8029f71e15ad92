/* A node's checkpoint, in the thread that it is shipped with: but when that goes on, the world
 * decides.
 *
 * The thread stops before it changes the store, before its first look into it, and before some
 * others, and goes on a random time later, as an event of its node.  So entries are applied and
 * read beside it, on frozen layers and views, and a crash finds it anywhere.  One of the two
 * threads has the turn at any time, so a run is the same each time: but for the beginning, in which
 * a checkpoint looks at layers that nobody changes, and draws no random number.
 *
 *   BEGINNING --the thread stops--> STOPPED <--> GOING --it ends--> ENDED --noticed--> BEGINNING
 *
 * A process that crashes takes its thread along: what it would have written is not written. */
#include "base/fatal.h"
#include "sim.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards every node's checkpoint */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER; /* the loop waits for this */
static pthread_t loop;                                    /* the world's thread */

enum { LOOK_CHANCE = 5 }; /* of 1000 reads, before which it stops */

bool sim_checkpoint_is_caller(void)
{
    return !pthread_equal(pthread_self(), loop);
}

void sim_checkpoint_init(struct sim_node *node)
{
    loop = pthread_self();
    node->checkpoint =
        (struct sim_checkpoint){.state = CHECKPOINT_BEGINNING, .turn = PTHREAD_COND_INITIALIZER};
}

/* ---- in its thread -------------------------------------------------------------------- */

/* It has got further, or has ended: the loop looks. */
void sim_checkpoint_wake(void *context)
{
    (void)context;
    check(pthread_mutex_lock(&mutex) == 0);
    check(pthread_cond_signal(&changed) == 0);
    check(pthread_mutex_unlock(&mutex) == 0);
}

_Noreturn static void leave(void)
{
    check(pthread_mutex_unlock(&mutex) == 0);
    check(pthread_detach(pthread_self()) == 0);
    pthread_exit(NULL);
}

/* The loop waits for it, so nothing of this changes meanwhile.  Without the turn, it draws
 * nothing. */
static bool goes_on(const struct sim_checkpoint *checkpoint)
{
    return checkpoint->state == CHECKPOINT_GOING && !checkpoint->is_dead &&
           !sim_chance(LOOK_CHANCE);
}

/* Waits for its turn.  False: its process is dead, and nothing that it does has an effect. */
bool sim_checkpoint_stop(struct sim_node *node, bool always)
{
    struct sim_checkpoint *checkpoint = &node->checkpoint;
    if (!always && goes_on(checkpoint))
        return true;
    check(pthread_mutex_lock(&mutex) == 0);
    if (!checkpoint->is_dead) {
        checkpoint->state = CHECKPOINT_STOPPED;
        check(pthread_mutex_unlock(&mutex) == 0); /* or who is woken would wait for it */
        check(pthread_cond_signal(&changed) == 0);
        check(pthread_mutex_lock(&mutex) == 0);
        while (checkpoint->state == CHECKPOINT_STOPPED)
            check(pthread_cond_wait(&checkpoint->turn, &mutex) == 0);
    }
    if (checkpoint->is_left) {
        checkpoint->has_left = true;
        check(pthread_cond_signal(&changed) == 0);
        leave();
    }
    bool lives = !checkpoint->is_dead;
    check(pthread_mutex_unlock(&mutex) == 0);
    return lives;
}

/* fatal(), which ends the process: the loop has to say so. */
void sim_checkpoint_die(const char *why)
{
    struct sim_checkpoint *checkpoint = &sim.failing->checkpoint;
    check(pthread_mutex_lock(&mutex) == 0);
    snprintf(checkpoint->why, sizeof checkpoint->why, "%s", why);
    checkpoint->state = CHECKPOINT_DIED;
    check(pthread_cond_signal(&changed) == 0);
    leave();
}

/* ---- in the loop ---------------------------------------------------------------------- */

static int64_t draw_delay_us(void)
{
    if (sim.healing || sim_chance(900))
        return (int64_t)sim_below(3000);
    return (int64_t)sim_below(sim_chance(900) ? 50000 : 1000000);
}

static void go_on(struct sim_node *node, void *data);
static void notice(struct sim_node *node, void *data);

/* Until the thread has stopped, ended or died. */
static void await(struct sim_node *node)
{
    struct sim_checkpoint *checkpoint = &node->checkpoint;
    check(pthread_mutex_lock(&mutex) == 0);
    while (checkpoint->state != CHECKPOINT_STOPPED && checkpoint->state != CHECKPOINT_DIED &&
           !db_checkpoint_has_ended(node->db))
        check(pthread_cond_wait(&changed, &mutex) == 0);
    check(pthread_mutex_unlock(&mutex) == 0);
    if (checkpoint->state == CHECKPOINT_DIED) {
        sim.failing = node;
        fatal("%s", checkpoint->why);
    }
    if (checkpoint->state != CHECKPOINT_STOPPED)
        checkpoint->state = CHECKPOINT_ENDED;
    sim_schedule(draw_delay_us(), node, checkpoint->state == CHECKPOINT_ENDED ? notice : go_on,
                 NULL);
}

static void give_turn(struct sim_checkpoint *checkpoint)
{
    check(pthread_mutex_lock(&mutex) == 0);
    check(checkpoint->state == CHECKPOINT_STOPPED);
    checkpoint->state = CHECKPOINT_GOING;
    check(pthread_mutex_unlock(&mutex) == 0);
    check(pthread_cond_signal(&checkpoint->turn) == 0);
}

static void go_on(struct sim_node *node, void *data)
{
    if (node->paused) {
        sim_schedule(SIM_PAUSED_US, node, go_on, data);
        return;
    }
    give_turn(&node->checkpoint);
    await(node);
}

/* As server/node.c does when it is woken. */
static void notice(struct sim_node *node, void *data)
{
    if (node->paused) {
        sim_schedule(SIM_PAUSED_US, node, notice, data);
        return;
    }
    check(db_checkpoint_has_ended(node->db));
    node->checkpoint.is_known = false;
    node->checkpoint.state = CHECKPOINT_BEGINNING; /* the next one */
    db_poll(node->db);
    sim_checkpoint_look(node);
    sim_node_run(node);
}

void sim_checkpoint_look(struct sim_node *node)
{
    struct sim_checkpoint *checkpoint = &node->checkpoint;
    struct db_stats stats;
    if (checkpoint->is_known)
        return;
    db_stats(node->db, &stats);
    if (!stats.checkpoint_under_way)
        return;
    checkpoint->is_known = true;
    await(node);
}

bool sim_checkpoint_is_under_way(const struct sim_node *node)
{
    return node->checkpoint.is_known;
}

/* Before an adoption, and at the end: it goes on without a stop, until it is done. */
void sim_checkpoint_hurry(struct sim_node *node)
{
    struct sim_checkpoint *checkpoint = &node->checkpoint;
    sim_checkpoint_look(node);
    while (checkpoint->is_known && !db_checkpoint_has_ended(node->db)) {
        give_turn(checkpoint);
        await(node);
    }
}

static void end(struct sim_checkpoint *checkpoint, bool is_left)
{
    check(pthread_mutex_lock(&mutex) == 0);
    checkpoint->is_dead = true;
    checkpoint->is_left = is_left;
    if (checkpoint->state == CHECKPOINT_STOPPED)
        checkpoint->state = CHECKPOINT_GOING;
    check(pthread_mutex_unlock(&mutex) == 0);
    check(pthread_cond_signal(&checkpoint->turn) == 0);
}

/* Before db_close(), which waits for it: it ends without an effect. */
void sim_checkpoint_kill(struct sim_node *node)
{
    sim.coverage.checkpoints_cut_off += node->checkpoint.is_known;
    end(&node->checkpoint, false);
}

/* Its memory is left as it is, with all of its process. */
void sim_checkpoint_leave(struct sim_node *node)
{
    struct sim_checkpoint *checkpoint = &node->checkpoint;
    struct db_stats stats;
    if (!node->db) /* at a start, or in an adoption */
        return;
    db_stats(node->db, &stats);
    sim.coverage.checkpoints_cut_off += checkpoint->is_known;
    end(checkpoint, true);
    if (!stats.checkpoint_under_way || checkpoint->state == CHECKPOINT_DIED)
        return;
    check(pthread_mutex_lock(&mutex) == 0);
    while (!checkpoint->has_left && !db_checkpoint_has_ended(node->db))
        check(pthread_cond_wait(&changed, &mutex) == 0);
    check(pthread_mutex_unlock(&mutex) == 0);
}
