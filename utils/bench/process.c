/* See process.h.  A listening socket has an inode in /proc/net/tcp, and the process that owns it
 * has a descriptor that links to "socket:[inode]". */
#include "bench/process.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TCP_STATE_LISTEN = 0x0A };

/* The inode of the socket that listens on the port; 0: none in this table. */
static unsigned long listening_inode(const char *table, int port)
{
    FILE *file = fopen(table, "r");
    if (!file)
        return 0;
    char line[512];
    unsigned long found = 0;
    while (!found && fgets(line, sizeof line, file)) {
        unsigned local_port, state;
        unsigned long inode;
        if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*s %x %*s %*s %*s %*d %*d %lu", &local_port,
                   &state, &inode) == 3 &&
            state == TCP_STATE_LISTEN && (int)local_port == port)
            found = inode;
    }
    fclose(file);
    return found;
}

static bool owns_socket(const char *pid, unsigned long inode)
{
    char path[64], wanted[64], link[64];
    snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    DIR *directory = opendir(path);
    if (!directory)
        return false;
    bool is_owner = false;
    struct dirent *entry;
    while (!is_owner && (entry = readdir(directory))) {
        ssize_t size = readlinkat(dirfd(directory), entry->d_name, link, sizeof link - 1);
        if (size > 0) {
            link[size] = '\0';
            is_owner = strcmp(link, wanted) == 0;
        }
    }
    closedir(directory);
    return is_owner;
}

pid_t process_listening_on(int port)
{
    unsigned long inode = listening_inode("/proc/net/tcp", port);
    if (!inode)
        inode = listening_inode("/proc/net/tcp6", port);
    DIR *processes = inode ? opendir("/proc") : NULL;
    if (!processes)
        return 0;
    pid_t found = 0;
    struct dirent *entry;
    while (!found && (entry = readdir(processes)))
        if (isdigit((unsigned char)entry->d_name[0]) && owns_socket(entry->d_name, inode))
            found = (pid_t)atoi(entry->d_name);
    closedir(processes);
    return found;
}

bool process_cpu_seconds(pid_t pid, double *seconds)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    /* The name, in parentheses, may itself hold spaces and parentheses. */
    const char *fields = strrchr(text, ')');
    unsigned long long user, system;
    if (!fields || sscanf(fields + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
                          &user, &system) != 2)
        return false;
    *seconds = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    return true;
}

double process_own_cpu_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}
