// What tests/perf/compare measures every system with: the payload, the function's body and the
// record of an execution, so that the clients of all peers in C and Fanfare's function do exactly
// the same.
//
// A payload has 200 bytes and begins with three decimal numbers: the event's index, CLOCK_MONOTONIC
// in nanoseconds right before the client was handed it, and for how many microseconds the function
// sleeps (0 but in crash runs). An execution parses them, appends a record (index, start, stamp) to
// a file in /dev/shm by one write, and answers 64 bytes. The file is a process' own, or opened with
// O_APPEND.
#pragma once

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { kPayloadBytes = 200, kResultBytes = 64 };

struct measured_record {
  int64_t index, at_ns, stamp_ns;
};

static inline int64_t measured_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static inline void measured_sleep_ns(int64_t ns) {
  struct timespec pause;
  pause.tv_sec = ns / 1000000000;
  pause.tv_nsec = ns % 1000000000;
  nanosleep(&pause, NULL);
}

// Fills kPayloadBytes; returns the stamp.
static inline int64_t measured_payload(char* payload, int64_t index, int64_t pause_us) {
  const int64_t stamp_ns = measured_now_ns();
  char numbers[80];
  const int used = snprintf(numbers, sizeof numbers, "%lld %lld %lld ", (long long)index,
                            (long long)stamp_ns, (long long)pause_us);
  memset(payload, 'x', kPayloadBytes);
  memcpy(payload, numbers, (size_t)used);
  return stamp_ns;
}

static inline void measured_append(int fd, int64_t index, int64_t at_ns, int64_t stamp_ns) {
  const struct measured_record record = {index, at_ns, stamp_ns};
  if (write(fd, &record, sizeof record) != (ssize_t)sizeof record) abort();
}

// The function. `result` has room for kResultBytes; the payload need not end with a 0.
static inline void measured_function(int fd, const char* payload, size_t bytes, char* result) {
  const int64_t start_ns = measured_now_ns();
  char numbers[80];
  const size_t used = bytes < sizeof numbers - 1 ? bytes : sizeof numbers - 1;
  memcpy(numbers, payload, used);
  numbers[used] = 0;
  char* rest = numbers;
  const int64_t index = strtoll(rest, &rest, 10);
  const int64_t stamp_ns = strtoll(rest, &rest, 10);
  const int64_t pause_us = strtoll(rest, &rest, 10);
  if (pause_us > 0) measured_sleep_ns(pause_us * 1000);
  measured_append(fd, index, start_ns, stamp_ns);
  memset(result, 'x', kResultBytes);
  memcpy(result, &index, sizeof index);
}

static inline int measured_open(const char* file) {
  const int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) {
    perror(file);
    exit(1);
  }
  return fd;
}

// Waits until event `number` (from 0) of an open loop that began at `began_ns` is due; a client
// that is late does not wait. Rate 0: never waits.
static inline void measured_pace(int64_t began_ns, int64_t number, int64_t rate) {
  if (rate <= 0) return;
  const int64_t ahead_ns = began_ns + number * 1000000000 / rate - measured_now_ns();
  if (ahead_ns > 0) measured_sleep_ns(ahead_ns);
}

// What a publisher says when it ends: the one line on its standard output.
static inline void measured_told(int64_t acknowledged, int64_t first_ns, int64_t last_ns) {
  printf("{\"acknowledged\": %lld, \"first_ns\": %lld, \"last_ns\": %lld}\n",
         (long long)acknowledged, (long long)first_ns, (long long)last_ns);
}

// PROGRAM ADDRESS publish FIRST COUNT RATE PAUSE_US
// PROGRAM ADDRESS work RECORDS
// PROGRAM ADDRESS call FIRST COUNT RECORDS
struct measured_request {
  const char *address, *verb, *records;
  int64_t first, count, rate, pause_us;
};

static inline struct measured_request measured_arguments(int argc, char** argv) {
  struct measured_request request = {
      argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : "", "", 0, 0, 0, 0};
  if (argc == 7 && strcmp(request.verb, "publish") == 0) {
    request.first = strtoll(argv[3], NULL, 10);
    request.count = strtoll(argv[4], NULL, 10);
    request.rate = strtoll(argv[5], NULL, 10);
    request.pause_us = strtoll(argv[6], NULL, 10);
  } else if (argc == 4 && strcmp(request.verb, "work") == 0) {
    request.records = argv[3];
  } else if (argc == 6 && strcmp(request.verb, "call") == 0) {
    request.first = strtoll(argv[3], NULL, 10);
    request.count = strtoll(argv[4], NULL, 10);
    request.records = argv[5];
  } else {
    fprintf(stderr,
            "usage: %s ADDRESS publish FIRST COUNT RATE PAUSE_US | work RECORDS | call FIRST COUNT "
            "RECORDS\n",
            argv[0]);
    exit(2);
  }
  return request;
}

static inline void measured_fail(const char* what, const char* why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}
