#include "base/zmq_endpoint.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace fanfare {
namespace {

constexpr std::string_view kIpc = "ipc://";
constexpr std::string_view kTcp = "tcp://";
constexpr std::size_t kPathBytesMax = sizeof(sockaddr_un::sun_path) - 1;  // 107

Result<void> check_form(const std::string& endpoint) {
  if (endpoint.starts_with(kTcp)) return {};
  if (!endpoint.starts_with(kIpc) || endpoint.size() == kIpc.size()) {
    return fatal(fmt::format(
        "'{}' is not an endpoint: write ipc:///path/name.ipc or tcp://address:port", endpoint));
  }
  const std::size_t length = endpoint.size() - kIpc.size();
  if (length > kPathBytesMax) {
    return fatal(fmt::format(
        "the path in {} has {} bytes, a Unix socket's may have {}: choose a shorter one", endpoint,
        length, kPathBytesMax));
  }
  return {};
}

// Whether some process accepts connections on the socket at `path`.
bool somebody_listens(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, kPathBytesMax);
  const int status = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const bool listens = status == 0 || errno == EAGAIN;  // EAGAIN: its backlog is full
  close(fd);
  return listens;
}

}  // namespace

Result<void> check_connect(const std::string& endpoint) {
  return check_form(endpoint);
}

Result<void> check_bind(const std::string& endpoint) {
  if (auto form = check_form(endpoint); !form || endpoint.starts_with(kTcp)) return form;
  const std::string path = endpoint.substr(kIpc.size());
  if (path.starts_with('@') || path == "*")
    return {};  // abstract, or a temporary one of ZeroMQ's choice

  const auto directory = std::filesystem::path(path).parent_path();
  std::error_code ignored;
  if (!directory.empty() && !std::filesystem::is_directory(directory, ignored)) {
    return fatal(fmt::format("cannot listen on {}: create the directory {} first", endpoint,
                             directory.string()));
  }
  struct stat file{};
  if (lstat(path.c_str(), &file) != 0) return {};
  if (!S_ISSOCK(file.st_mode)) {
    return fatal(fmt::format("cannot listen on {}: there is a file that is no socket; move it away",
                             endpoint));
  }
  if (somebody_listens(path)) {
    return fatal(fmt::format(
        "cannot listen on {}: another process listens there; stop it or choose another path",
        endpoint));
  }
  return {};
}

bool is_local(const std::string& endpoint) {
  if (endpoint.starts_with(kIpc)) return true;
  if (!endpoint.starts_with(kTcp)) return false;
  const std::string host = endpoint.substr(kTcp.size(), endpoint.rfind(':') - kTcp.size());
  if (host == "localhost" || host == "[::1]") return true;
  in_addr address{};  // whole: "127.example.org" is somebody else
  return inet_pton(AF_INET, host.c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

Error explain_zmq_error(const std::string& verb, const std::string& endpoint, int error) {
  const auto advice = [error]() -> std::string {
    switch (error) {
      case EADDRINUSE:
        return "another process listens there; stop it or choose another port";
      case EADDRNOTAVAIL:
      case ENODEV:
        return "this machine has no such address";
      case EACCES:
      case EPERM:
        return "permission denied: check the directory's owner, or choose a port above 1023";
      case EINVAL:
        return "it is not a valid endpoint";
      case EMFILE:
        return "too many open files: raise the limit (ulimit -n)";
      default:
        return zmq_strerror(error);
    }
  };
  return fatal(fmt::format("cannot {} {}: {}", verb, endpoint, advice()));
}

}  // namespace fanfare
