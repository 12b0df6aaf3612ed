/** The environment variable with the path of the offset file. */
export const CLOCK_FILE_VARIABLE = 'HOLDFAST_CLOCK_FILE';

/**
 * The C source of the preloaded library. It adds the nanoseconds in a mapped file to the wall clock of a process. It uses
 * the raw system call and allocates nothing, so that the constructors of an allocator can call it; before its own
 * constructor has run, the clock is the machine's. Monotonic clocks pass unchanged.
 */
export const CLOCK_SOURCE: string = `#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if UINTPTR_MAX != UINT64_MAX
#error "this takes a system of 64 bits"
#endif

#define SECOND_NS 1000000000L

/* As gettimeofday has it; its own header is left out, whose prototypes differ between C libraries. */
struct wall_time { int64_t seconds; int64_t microseconds; };

static const volatile int64_t *offset_ns = NULL;

__attribute__((constructor)) static void map_offset(void) {
  const char *path = getenv("${CLOCK_FILE_VARIABLE}");
  if (path == NULL) return;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  void *mapped = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (mapped != MAP_FAILED) offset_ns = mapped;
}

static int is_wall_clock(clockid_t clock) {
  /* Realtime, its coarse and its alarm form, and TAI. */
  return clock == 0 || clock == 5 || clock == 8 || clock == 11;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int failed = (int)syscall(SYS_clock_gettime, clock, now);
  if (failed != 0 || offset_ns == NULL || !is_wall_clock(clock)) return failed;
  int64_t offset = *offset_ns;
  now->tv_sec += offset / SECOND_NS;
  now->tv_nsec += offset % SECOND_NS;
  if (now->tv_nsec >= SECOND_NS) { now->tv_sec += 1; now->tv_nsec -= SECOND_NS; }
  if (now->tv_nsec < 0) { now->tv_sec -= 1; now->tv_nsec += SECOND_NS; }
  return 0;
}

int gettimeofday(struct wall_time *now, void *zone) {
  struct timespec moved;
  if (zone != NULL) syscall(SYS_gettimeofday, NULL, zone);
  if (now == NULL) return 0;
  if (clock_gettime(0, &moved) != 0) return -1;
  now->seconds = moved.tv_sec;
  now->microseconds = moved.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *result) {
  struct timespec moved;
  if (clock_gettime(0, &moved) != 0) return (time_t)-1;
  if (result != NULL) *result = moved.tv_sec;
  return moved.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
  return base == 1 && clock_gettime(0, now) == 0 ? base : 0;
}
`;
