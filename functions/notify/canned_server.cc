#include "canned_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cctype>
#include <sstream>

namespace notify {
namespace {

CannedServer::Request parse_head(const std::string& head) {
  CannedServer::Request request;
  std::istringstream lines(head);
  std::getline(lines, request.line);
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    const std::size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    std::string name = line.substr(0, colon);
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    request.headers[name] = line.substr(colon + 2);
  }
  if (request.line.ends_with('\r')) request.line.pop_back();
  return request;
}

}  // namespace

std::string canned_response(int status, const std::string& headers, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) + " Canned\r\n" + headers +
         "connection: close\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

CannedServer::CannedServer(std::string response) : response_(std::move(response)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
  ::listen(listener_, 8);
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

CannedServer::~CannedServer() {
  ::shutdown(listener_, SHUT_RDWR);  // ends accept()
  thread_.join();
  ::close(listener_);
}

std::vector<CannedServer::Request> CannedServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void CannedServer::answer(std::string response) {
  const std::lock_guard lock(mutex_);
  response_ = std::move(response);
}

void CannedServer::serve() {
  for (int connection; (connection = ::accept(listener_, nullptr, nullptr)) >= 0;) {
    serve_connection(connection);
    ::close(connection);
  }
}

// One request per connection; every response is closed by its end.
void CannedServer::serve_connection(int connection) {
  std::string bytes;
  std::size_t head_end = 0, body_size = 0;
  Request request;
  while (head_end == 0 || bytes.size() < head_end + body_size) {
    char buffer[4096];
    const ssize_t got = ::recv(connection, buffer, sizeof buffer, 0);
    if (got <= 0) return;
    bytes.append(buffer, static_cast<std::size_t>(got));
    if (head_end == 0 && bytes.find("\r\n\r\n") != std::string::npos) {
      head_end = bytes.find("\r\n\r\n") + 4;
      request = parse_head(bytes.substr(0, head_end));
      body_size = std::stoul("0" + request.headers["content-length"]);
    }
  }
  request.body = bytes.substr(head_end);
  request.came = std::chrono::steady_clock::now();
  std::string response;
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(std::move(request));
    response = response_;
  }
  ::send(connection, response.data(), response.size(), MSG_NOSIGNAL);
}

}  // namespace notify
