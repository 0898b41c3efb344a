/* A disk that fails on request: preloaded before libc, it lets calls on files below a folder fail.
 *
 * fault_arm(OPERATIONS, AFTER, ERRNO, STICKY, FOLDER): after AFTER matching calls the next one fails with ERRNO, and with
 * STICKY all that follow. ERRNO 0: a write takes half of what it is given. fault_disarm() returns how many have failed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { OPEN = 1, WRITE = 2, SYNC = 4, RENAME = 8, READ = 16, TRUNCATE = 32 };

static int operations, countdown, error_number, sticky, failed;
static char folder[4096];

void fault_arm(int which, int after, int number, int stays, const char *below) {
    countdown = after, error_number = number, sticky = stays, failed = 0;
    snprintf(folder, sizeof folder, "%s", below);
    operations = which;
}

int fault_disarm(void) {
    operations = 0;
    return failed;
}

/* Whether a call on a path fails; sets errno. */
static int fails_at(int operation, const char *path) {
    if (!(operations & operation) || !path || strncmp(path, folder, strlen(folder))) return 0;
    if (countdown-- > 0) return 0;
    failed++;
    if (!sticky) operations = 0;
    errno = error_number;
    return 1;
}

static const char *path_of(int descriptor, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, size - 1);
    if (length < 0) return NULL;
    path[length] = 0;
    return path;
}

static int fails(int operation, int descriptor) {
    char path[4096];
    return (operations & operation) && fails_at(operation, path_of(descriptor, path, sizeof path));
}

/* The path of a name relative to a folder's descriptor. */
static const char *path_at(int directory, const char *name, char *path, size_t size) {
    char base[4096];
    if (name[0] == '/' || directory == AT_FDCWD || !path_of(directory, base, sizeof base)) return name;
    snprintf(path, size, "%s/%s", base, name);
    return path;
}

#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); real; })
#define MODE(flags, last) ({ mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, last); \
    mode = va_arg(rest, mode_t); va_end(rest); } mode; })

int open(const char *path, int flags, ...) {
    mode_t mode = MODE(flags, flags);
    return fails_at(OPEN, path) ? -1 : REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    mode_t mode = MODE(flags, flags);
    return fails_at(OPEN, path) ? -1 : REAL(open64)(path, flags, mode);
}

int openat(int directory, const char *name, int flags, ...) {
    char path[8192];
    mode_t mode = MODE(flags, flags);
    if ((operations & OPEN) && fails_at(OPEN, path_at(directory, name, path, sizeof path))) return -1;
    return REAL(openat)(directory, name, flags, mode);
}

int openat64(int directory, const char *name, int flags, ...) {
    char path[8192];
    mode_t mode = MODE(flags, flags);
    if ((operations & OPEN) && fails_at(OPEN, path_at(directory, name, path, sizeof path))) return -1;
    return REAL(openat64)(directory, name, flags, mode);
}

#define HALF(count) ((count) > 1 ? (count) / 2 : (count))

ssize_t write(int descriptor, const void *data, size_t count) {
    if (fails(WRITE, descriptor)) { if (error_number) return -1; count = HALF(count); }
    return REAL(write)(descriptor, data, count);
}

ssize_t pwrite(int descriptor, const void *data, size_t count, off_t offset) {
    if (fails(WRITE, descriptor)) { if (error_number) return -1; count = HALF(count); }
    return REAL(pwrite)(descriptor, data, count, offset);
}

ssize_t pwrite64(int descriptor, const void *data, size_t count, off64_t offset) {
    if (fails(WRITE, descriptor)) { if (error_number) return -1; count = HALF(count); }
    return REAL(pwrite64)(descriptor, data, count, offset);
}

ssize_t pread64(int descriptor, void *data, size_t count, off64_t offset) {
    return fails(READ, descriptor) ? -1 : REAL(pread64)(descriptor, data, count, offset);
}

int fsync(int descriptor) { return fails(SYNC, descriptor) ? -1 : REAL(fsync)(descriptor); }
int fdatasync(int descriptor) { return fails(SYNC, descriptor) ? -1 : REAL(fdatasync)(descriptor); }
int ftruncate64(int descriptor, off64_t length) {
    return fails(TRUNCATE, descriptor) ? -1 : REAL(ftruncate64)(descriptor, length);
}

int rename(const char *from, const char *to) { return fails_at(RENAME, to) ? -1 : REAL(rename)(from, to); }

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    char path[8192];
    if ((operations & RENAME) && fails_at(RENAME, path_at(to_folder, to, path, sizeof path))) return -1;
    return REAL(renameat)(from_folder, from, to_folder, to);
}
