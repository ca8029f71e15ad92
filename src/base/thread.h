/* Threads beside the loop. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

/* Signals are the loop's: all of them are blocked in the new thread.  `name`: at most 15 bytes, for
 * who looks at the process.  Returns 0, or an error number: there is none. */
int thread_start(pthread_t *thread, const char *name, void *(*thread_main)(void *), void *context);

#endif
