// An HTTP server for tests: answers every request in the same way, until it is told another one,
// and keeps what it was asked.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace notify {

// A whole HTTP response. `headers` are whole lines.
std::string canned_response(int status, const std::string& headers = "",
                            const std::string& body = "ok");

class CannedServer {
 public:
  struct Request {
    std::string line;                            // "POST /hook HTTP/1.1"
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;
    std::chrono::steady_clock::time_point came;
  };

  // `response` is a whole HTTP response; empty = close the connection without one.
  explicit CannedServer(std::string response);
  ~CannedServer();
  CannedServer(const CannedServer&) = delete;
  CannedServer& operator=(const CannedServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/hook"; }
  std::vector<Request> requests() const;
  void answer(std::string response);  // from the next request on

 private:
  void serve();
  void serve_connection(int connection);

  int listener_ = -1;
  int port_ = 0;
  mutable std::mutex mutex_;  // guards both of these
  std::string response_;
  std::vector<Request> requests_;
  std::thread thread_;
};

}  // namespace notify
