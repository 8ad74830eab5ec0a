// beanstalkd's client, over its Unix socket: puts are pipelined, up to 200 unanswered (small
// answers fill a socket soon: with more, each side would wait for the other to read); a worker
// sends the deletion of a job and the next reservation in one packet. No results, so no calls.
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "measured.h"

enum { kWindow = 200 };

static int server;
static char input[1 << 16];
static size_t input_from, input_to;

static void connect_to(const char* path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(server, (struct sockaddr*)&address, sizeof address) != 0)
    measured_fail(path, strerror(errno));
}

static void send_all(const char* bytes, size_t count) {
  while (count > 0) {
    const ssize_t sent = send(server, bytes, count, MSG_NOSIGNAL);
    if (sent <= 0) measured_fail("send", strerror(errno));
    bytes += sent;
    count -= (size_t)sent;
  }
}

static void receive_more(void) {
  if (input_from == input_to) input_from = input_to = 0;
  if (input_to == sizeof input) {
    memmove(input, input + input_from, input_to - input_from);
    input_to -= input_from;
    input_from = 0;
  }
  const ssize_t got = recv(server, input + input_to, sizeof input - input_to, 0);
  if (got <= 0) measured_fail("recv", got == 0 ? "the server has gone" : strerror(errno));
  input_to += (size_t)got;
}

// The next line without its end; it stays there until the next call.
static char* receive_line(void) {
  for (size_t looked = 0;;) {
    char* begin = input + input_from;
    char* end = memchr(begin + looked, '\n', input_to - input_from - looked);
    if (end) {
      input_from += (size_t)(end - begin) + 1;
      end[end > begin && end[-1] == '\r' ? -1 : 0] = 0;
      return begin;
    }
    looked = input_to - input_from;
    receive_more();
  }
}

static const char* receive_bytes(size_t count) {
  while (input_to - input_from < count) receive_more();
  const char* bytes = input + input_from;
  input_from += count;
  return bytes;
}

static int is_readable(int64_t wait_ns) {
  struct pollfd ready = {.fd = server, .events = POLLIN};
  struct timespec wait = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
  return input_from < input_to || ppoll(&ready, 1, &wait, NULL) > 0;
}

static void receive_inserted(void) {
  const char* line = receive_line();
  if (strncmp(line, "INSERTED ", 9) != 0) measured_fail("put", line);
}

static void publish(const struct measured_request* request) {
  static char packets[kWindow * (kPayloadBytes + 32)];
  const int64_t began_ns = measured_now_ns();
  int64_t sent = 0, answered = 0;
  while (answered < request->count) {
    size_t used = 0;
    while (
        sent < request->count && sent - answered < kWindow &&
        (request->rate == 0 || began_ns + sent * 1000000000 / request->rate <= measured_now_ns())) {
      used += (size_t)sprintf(packets + used, "put 1 0 60 %d\r\n", kPayloadBytes);
      measured_payload(packets + used, request->first + sent++, request->pause_us);
      memcpy(packets + used + kPayloadBytes, "\r\n", 2);
      used += kPayloadBytes + 2;
    }
    if (used > 0) send_all(packets, used);
    if (request->rate > 0 && sent < request->count) {
      const int64_t ahead_ns = began_ns + sent * 1000000000 / request->rate - measured_now_ns();
      if (!is_readable(ahead_ns > 0 ? ahead_ns : 0)) continue;
    }
    do {
      receive_inserted();
      ++answered;
    } while (answered < sent && memchr(input + input_from, '\n', input_to - input_from));
  }
  measured_told(answered, began_ns, measured_now_ns());
}

static void work(const struct measured_request* request) {
  const int records = measured_open(request->records);
  char packet[64] = "reserve\r\n", result[kResultBytes];
  for (;;) {
    send_all(packet, strlen(packet));
    const char* line = receive_line();
    if (strcmp(line, "DELETED") == 0) line = receive_line();
    unsigned long long id;
    size_t bytes;
    if (sscanf(line, "RESERVED %llu %zu", &id, &bytes) != 2) measured_fail("reserve", line);
    measured_function(records, receive_bytes(bytes + 2), bytes, result);
    snprintf(packet, sizeof packet, "delete %llu\r\nreserve\r\n", id);
  }
}

int main(int argc, char** argv) {
  const struct measured_request request = measured_arguments(argc, argv);
  connect_to(request.address);
  if (strcmp(request.verb, "publish") == 0) {
    publish(&request);
  } else if (strcmp(request.verb, "work") == 0) {
    work(&request);
  } else {
    measured_fail("call", "beanstalkd has no results");
  }
}
