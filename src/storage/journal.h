/* A write-ahead log of batches in files that are written over again and again.
 *
 * A synced write to a file that grows changes the file's size as well, which costs the file
 * system's own journal a commit; one to blocks that were written before costs the data alone. So
 * the journal is made of segments, files that are filled with zeros as they are used first, and
 * used again when what their records did is stored elsewhere, and nobody holds them: what stands in
 * a record can be read at its place as long as its segment is held. There are as many files as
 * that takes.
 *
 * A record is durable before journal_append() returns. What a crash leaves is a whole number of
 * records, in order, up to at least the last one that was appended; damage to one that was is told
 * at the next start, and never taken for the end.
 *
 * One thread at a time, but for what is said to be for any. Errors after opening are fatal(). The
 * bytes stand in journal.c. */
#ifndef STORAGE_JOURNAL_H
#define STORAGE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct journal;

/* Where a record stands. */
struct journal_place {
    uint64_t segment; /* its number */
    uint64_t at;      /* of the first byte of the record, in the file */
};

/* A record of before, in the order in which they were appended; borrowed. False: it makes no
 * sense. */
typedef bool journal_replay(void *context, struct bytes record, struct journal_place place);

struct journal_options {
    const char *directory;  /* made if it is not there, in one that is */
    uint64_t segment_bytes; /* of each; a larger record gets a larger one */
    bool is_new;            /* there is none yet, or one that was begun and holds nothing */
    journal_replay *replay;
    void *context;
};

/* Replays what may not be stored elsewhere. NULL, with a message for the user in `error` (size
 * bytes): it is damaged, or cannot be used. */
struct journal *journal_open(const struct journal_options *options, char *error, size_t size);

/* Takes as many bytes as there are; the record is durable when it returns. */
struct journal_place journal_append(struct journal *journal, struct bytes record);

/* The number of the segment that the last record went to, or the next will: it grows by one with
 * each that is begun. What stands in earlier ones may be released. */
uint64_t journal_segment(const struct journal *journal);
/* Whether a record of that size may be appended: a start replays no more than JOURNAL_SEGMENTS, so
 * where it begins another one, the segment so many before has to be released first, and a filling
 * to end. */
bool journal_has_room(const struct journal *journal, size_t size);
/* What a start would replay is much less than a segment, if all before it is released. */
bool journal_is_short(const struct journal *journal);

/* A segment whose records are read where they stand is held: it is not begun anew. */
void journal_hold(struct journal *journal, uint64_t segment);
/* The end of that. What made it needless must be durable: no start may want to read there. */
void journal_let_go(struct journal *journal, uint64_t segment);
/* Whether it is still there. */
bool journal_has(const struct journal *journal, uint64_t segment);
/* What stands at the place; the bytes are not proved. False: its segment was begun anew since. Any
 * thread. */
bool journal_read(struct journal *journal, struct journal_place place, void *bytes, size_t size);
/* Until the end of that every segment is held that was when it began. Any thread. */
void journal_hold_all(struct journal *journal);
void journal_let_all_go(struct journal *journal);

/* A step of writing zeros into the file of the next segment, so that nobody has to wait for them
 * when that is used first. */
struct journal_filling {
    const char *directory; /* the journal's */
    unsigned file;
    bool is_new; /* it is to be made */
    int fd;      /* -1: it is not open yet */
    uint64_t from, to;
};
/* The file of the next segment has fewer zeros than are due: from a quarter of the present one on
 * they become more as that is used, and are all there at its end. */
bool journal_wants_filling(struct journal *journal);
/* One that is wanted. journal_fill() and journal_fill_end() follow, before the journal is closed;
 * no segment is begun before that, or zeros might come over its records. */
void journal_fill_begin(struct journal *journal, struct journal_filling *filling);
/* Any thread, beside all else. False: the disk is full, which is no error yet. */
bool journal_fill(struct journal_filling *filling);
void journal_fill_end(struct journal *journal, const struct journal_filling *filling,
                      bool is_filled);

/* A file that was not needed for some segments: more of the log was kept once. */
struct journal_removal {
    const char *directory; /* the journal's */
    bool is_there;         /* else there is nothing to be removed after all */
    unsigned file;
    int fd; /* -1: it is not open */
};
bool journal_wants_removal(const struct journal *journal);
/* One that is wanted; journal_remove() follows, in any thread, beside all else. */
void journal_remove_begin(struct journal *journal, struct journal_removal *removal);
void journal_remove(const struct journal_removal *removal);

/* All that the records of segments before this one did is stored elsewhere, durably. The mark,
 * which never falls, says where: it is the caller's, to know again that nothing of that was
 * lost. */
void journal_release(struct journal *journal, uint64_t segment, uint64_t mark);
/* The same of all records that there are, at once: none of them is replayed any more when it
 * returns. */
void journal_release_all(struct journal *journal, uint64_t mark);
/* With what is replayed begins behind what had this mark. */
uint64_t journal_mark(const struct journal *journal);

/* The number of the last record. */
uint64_t journal_last(const struct journal *journal);

void journal_close(struct journal *journal);

enum { JOURNAL_SEGMENTS = 3 }; /* and as many more as are held */

#endif
