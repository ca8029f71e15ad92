/* The servers' processes on this machine: found by the port they listen on, and the CPU time they
 * have used, from Linux's /proc. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* 0 if none is found: nobody listens there, or it belongs to another user. */
pid_t process_listening_on(int port);
/* User and system time of all its threads, ended ones too; false if it is gone. */
bool process_cpu_seconds(pid_t pid, double *seconds);
/* This process. */
double process_own_cpu_seconds(void);

#endif
