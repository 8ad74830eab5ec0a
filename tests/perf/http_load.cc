// A load of HTTP/1.1 requests over connections that are kept, and how long their answers take.
//
//   http_load http://127.0.0.1:8080/forms/contact --rate 10000 --connections 64 --seconds 10
//     --body 'name=Ada' --header 'Content-Type: application/x-www-form-urlencoded'
//
// With --rate it is an open loop: each request has its instant, whatever became of those before,
// and its time counts from that instant on, also while it waits for a connection that is free. So a
// server that stands still for a second shows as all the requests of that second. Without --rate
// each connection asks again as soon as it is answered, and the time counts from the request.
//
// What is due in the first second counts for nothing. Ends with 1 if a response was not what
// --status says, or a connection broke.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

struct Options {
  std::string url, method, body;
  std::vector<std::string> headers;
  double rate = 0, seconds = 10;
  std::size_t connections = 64;
  int status = 0;
};

struct Target {
  sockaddr_in address{};
  std::string request;
};

Target target_of(const Options& options) {
  constexpr std::string_view kScheme = "http://";
  if (!options.url.starts_with(kScheme)) throw std::runtime_error("the URL begins with http://");
  const std::string rest = options.url.substr(kScheme.size());
  const std::string authority = rest.substr(0, rest.find('/'));
  const std::string path = authority.size() == rest.size() ? "/" : rest.substr(authority.size());
  const std::size_t colon = authority.find(':');
  Target target;
  target.address.sin_family = AF_INET;
  target.address.sin_port = htons(static_cast<std::uint16_t>(
      colon == authority.npos ? 80 : std::stoul(authority.substr(colon + 1))));
  if (inet_pton(AF_INET, authority.substr(0, colon).c_str(), &target.address.sin_addr) != 1) {
    throw std::runtime_error("the host is an address, as in 127.0.0.1");
  }
  target.request = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", options.method, path, authority);
  for (const std::string& header : options.headers) target.request += header + "\r\n";
  if (!options.body.empty() || options.method == "POST") {
    target.request += fmt::format("Content-Length: {}\r\n", options.body.size());
  }
  target.request += "\r\n" + options.body;
  return target;
}

// The status of a response that is whole, and 0 as long as it is not.
int status_of(const std::string& bytes) {
  const std::size_t head = bytes.find("\r\n\r\n");
  if (head == bytes.npos) return 0;
  std::size_t length = 0;
  constexpr char kLength[] = "\r\ncontent-length:";
  for (std::size_t line = bytes.find("\r\n"); line < head; line = bytes.find("\r\n", line + 2)) {
    if (strncasecmp(bytes.c_str() + line, kLength, sizeof kLength - 1) != 0) continue;
    length = std::stoul(bytes.substr(line + sizeof kLength - 1, 20));
  }
  if (bytes.size() < head + 4 + length) return 0;
  return std::stoi(bytes.substr(bytes.find(' ') + 1, 3));
}

struct Connection {
  int socket = -1;
  bool busy = false;
  std::int64_t counts_from = 0;
  std::string response;
};

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options),
        target_(target_of(options)),
        began_(now_ns()),
        ends_(began_ + static_cast<std::int64_t>((options.seconds + 1) * kSecond)),
        connections_(options.connections) {
    latencies_us_.reserve(1u << 20);
    for (Connection& connection : connections_) {
      open(connection);
      idle_.push_back(&connection);
    }
  }

  int run() {
    while (now_ns() < ends_ || (busy_ > 0 && now_ns() < ends_ + 5 * kSecond)) {
      send_what_is_due();
      epoll_event events[64];
      const std::int64_t wait = std::max<std::int64_t>(next_at() - now_ns(), 0);
      const timespec patience{wait / kSecond, wait % kSecond};
      const int count = epoll_pwait2(epoll_, events, 64, &patience, nullptr);
      for (int i = 0; i < count; ++i) receive(*static_cast<Connection*>(events[i].data.ptr));
    }
    return report();
  }

 private:
  void open(Connection& connection) {
    if (connection.socket >= 0) ::close(connection.socket);
    connection.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto* const address = reinterpret_cast<const sockaddr*>(&target_.address);
    if (::connect(connection.socket, address, sizeof target_.address) != 0) {
      throw std::runtime_error(fmt::format("{}: {}", options_.url, std::strerror(errno)));
    }
    const int on = 1;
    setsockopt(connection.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(connection.socket, F_SETFL, O_NONBLOCK);
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &connection}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket, &event);
  }

  std::int64_t due_at(std::uint64_t request) const {
    return began_ + static_cast<std::int64_t>(static_cast<double>(request) / options_.rate * 1e9);
  }

  // When there is something to do by itself: a request that will be due, or the end.
  std::int64_t next_at() const {
    if (now_ns() >= ends_) return ends_ + 5 * kSecond;
    return options_.rate > 0 && !idle_.empty() ? std::min(due_at(due_), ends_) : ends_;
  }

  void send_what_is_due() {
    while (!idle_.empty() && now_ns() < ends_) {
      const std::int64_t now = now_ns();
      const std::int64_t due = options_.rate > 0 ? due_at(due_) : now;
      if (due > now) return;
      ++due_;
      Connection& connection = *idle_.front();
      idle_.pop_front();
      connection.counts_from = due;
      connection.busy = true;
      ++busy_;
      const ssize_t sent =
          ::send(connection.socket, target_.request.data(), target_.request.size(), MSG_NOSIGNAL);
      if (sent != static_cast<ssize_t>(target_.request.size())) broken(connection);
    }
  }

  void receive(Connection& connection) {
    char bytes[16384];
    const ssize_t got = ::recv(connection.socket, bytes, sizeof bytes, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return broken(connection);
    connection.response.append(bytes, static_cast<std::size_t>(got));
    const int status = status_of(connection.response);
    if (status == 0) return;
    rest(connection);
    if (connection.counts_from < began_ + kSecond) return;
    ++statuses_[status];
    latencies_us_.push_back(static_cast<double>(now_ns() - connection.counts_from) / 1e3);
  }

  void rest(Connection& connection) {
    connection.response.clear();
    if (!connection.busy) return;
    connection.busy = false;
    --busy_;
    idle_.push_back(&connection);
  }

  void broken(Connection& connection) {
    ++broken_;
    open(connection);
    rest(connection);
  }

  int report() {
    std::ranges::sort(latencies_us_);
    const auto at = [&](double share) {
      const auto rank = static_cast<std::size_t>(share * static_cast<double>(latencies_us_.size()));
      return latencies_us_.empty() ? 0 : latencies_us_[std::min(rank, latencies_us_.size() - 1)];
    };
    fmt::print("{:.0f} answers/s", static_cast<double>(latencies_us_.size()) / options_.seconds);
    if (options_.rate > 0) fmt::print(" of {:.0f}", options_.rate);
    fmt::print(
        ", {} connections, {} s; us: p50 {:.0f}, p90 {:.0f}, p99 {:.0f}, p99.9 {:.0f}, max {:.0f};",
        connections_.size(), options_.seconds, at(.5), at(.9), at(.99), at(.999), at(1));
    for (const auto& [status, count] : statuses_) fmt::print(" {} of status {}", count, status);
    // Those still without a connection when the time was up are as late as the server is behind.
    const std::uint64_t all =
        options_.rate > 0 ? static_cast<std::uint64_t>(options_.rate * (options_.seconds + 1))
                          : due_;
    const std::uint64_t unanswered = busy_ + (all > due_ ? all - due_ : 0);
    fmt::print("; {} unanswered, {} broken connections\n", unanswered, broken_);
    const bool as_wanted = options_.status == 0 ||
                           (statuses_.size() == 1 && statuses_.begin()->first == options_.status);
    return as_wanted && broken_ == 0 && unanswered <= 1 ? 0 : 1;
  }

  const Options options_;
  const Target target_;
  const int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  const std::int64_t began_, ends_;
  std::vector<Connection> connections_;
  std::deque<Connection*> idle_;
  std::uint64_t due_ = 0, busy_ = 0, broken_ = 0;
  std::map<int, std::uint64_t> statuses_;
  std::vector<double> latencies_us_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Loads an HTTP server and tells how long its answers take"};
  app.add_option("url", options.url, "http://ADDRESS:PORT/PATH")->required();
  app.add_option("--rate", options.rate, "requests a second; 0: as fast as they are answered");
  app.add_option("--connections", options.connections, "how many (64)")->check(CLI::Range(1, 4096));
  app.add_option("--seconds", options.seconds, "for how long, after a first one (10)");
  app.add_option("--method", options.method, "GET, or POST if there is a body");
  app.add_option("--body", options.body, "what is sent");
  app.add_option("--header", options.headers, "a line of the head; may be repeated");
  app.add_option("--status", options.status, "of every response; anything else is a failure");
  CLI11_PARSE(app, argc, argv);
  if (options.method.empty()) options.method = options.body.empty() ? "GET" : "POST";
  prctl(PR_SET_TIMERSLACK, 1);  // a sleep until the next request takes no longer than it says
  try {
    return Load(options).run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "http_load: {}\n", error.what());
    return 2;
  }
}
