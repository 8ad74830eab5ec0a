#include "cli/installation.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>

#include "cli/client_settings.h"

namespace fanfare::cli {
namespace {

namespace fs = std::filesystem;

std::string own_directory() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  return self.parent_path().string();
}

// Asks the kernel whether somebody listens on a Unix socket, which a ZeroMQ connection cannot tell.
Result<void> probe_unix_socket(const std::string& path, const std::string& what) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fatal(fmt::format("the path {} is too long for a socket", path));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fatal(fmt::format("socket: {}", std::strerror(errno)));
  const int connected = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int reason = errno;
  close(fd);
  if (connected == 0) return {};
  return reconnect(fmt::format("unreachable: no {} at {} ({})", what, path, std::strerror(reason)));
}

// A socket that is there but refuses was left behind by a process that died: one that is restarted
// at once, under `up` or systemd, will be back in a moment. It takes the old socket away before it
// makes its own, so an absent one is looked for twice; then nobody is expected.
Result<void> probe_patiently(const std::string& path, const std::string& what) {
  using namespace std::chrono_literals;
  const auto started = std::chrono::steady_clock::now();
  auto patience = 100ms;
  for (;;) {
    auto probed = probe_unix_socket(path, what);
    std::error_code unknown;  // as where this user may not look
    if (fs::exists(path, unknown)) patience = 3000ms;
    if (probed || std::chrono::steady_clock::now() - started >= patience) return probed;
    std::this_thread::sleep_for(20ms);
  }
}

// What to do about services that cannot be reached; `named` if the caller said where to look.
Error explained(Error error, const Address& address, bool named) {
  const auto installation = find_installation(address);
  if (named || !installation || !installation->is_system) return error;
  const bool barred = error.message.find(std::strerror(EACCES)) != std::string::npos;
  error.message += kServicesHint;
  error.message += barred ? " are for root and members of group fanfare."
                          : " are not running: start them with `systemctl start fanfare.target`.";
  return error;
}

}  // namespace

bool names_installation(const Address& address) {
  const char* data = std::getenv("FANFARE_DATA");
  return !address.data.empty() || !address.broker.empty() || (data && *data);
}

Result<Installation> find_own_installation(const Address& address) {
  std::string dir = address.data;
  if (const char* data = std::getenv("FANFARE_DATA"); dir.empty() && data) dir = data;
  if (dir.empty()) dir = kDefaultDataDir;
  std::error_code error;
  dir = fs::absolute(dir, error).lexically_normal().string();
  while (dir.size() > 1 && dir.back() == '/') dir.pop_back();
  Installation installation{dir};
  const std::size_t longest = sizeof(sockaddr_un::sun_path) - 1;
  const std::size_t needed = installation.broker_endpoint().size() - std::strlen("ipc://");
  if (needed > longest) {
    return fatal(fmt::format(
        "the data directory's path is too long: the sockets in it would need {} bytes, the kernel "
        "takes {}; choose a shorter one with --data",
        needed, longest));
  }
  return installation;
}

Result<Installation> find_installation(const Address& address, const SystemPlaces& system) {
  const char* data = std::getenv("FANFARE_DATA");
  const bool named = !address.data.empty() || (data && *data);
  std::error_code none;
  if (!named && !fs::exists(kDefaultDataDir, none) && fs::exists(system.run, none)) {
    return Installation{.dir = system.data, .is_system = true, .system_run = system.run};
  }
  return find_own_installation(address);
}

Result<client::ClientOptions> client_options(const Address& given) {
  const auto address = with_client_settings(given);
  if (!address) return address.error();
  client::ClientOptions options;
  options.broker = address->broker;
  if (options.broker.empty()) {
    const auto installation = find_installation(*address);
    if (!installation) return installation.error();
    options.broker = installation->broker_endpoint();
  }
  auto keys = curve_client({.endpoint = options.broker,
                            .broker_key = address->broker_key,
                            .secret_key_file = address->key_file},
                           "[client]");
  if (!keys) {
    return reject(keys.error().message +
                  ". Name them with --broker-key and --key-file, or in client.toml");
  }
  options.curve = *std::move(keys);
  return options;
}

Result<std::unique_ptr<client::BlockingClient>> connect_broker(const Address& address) {
  auto options = client_options(address);
  if (!options) return options.error();
  constexpr std::string_view kIpc = "ipc://";
  if (options->broker.starts_with(kIpc)) {
    if (auto probed = probe_patiently(options->broker.substr(kIpc.size()), "broker"); !probed) {
      return explained(probed.error(), address, !address.broker.empty());
    }
  }
  return client::BlockingClient::open(*std::move(options));
}

Result<std::string> redis_url(const Address& given) {
  const auto completed = with_client_settings(given);
  if (!completed) return completed.error();
  const Address& address = *completed;
  if (!address.redis.empty()) return address.redis;
  const auto installation = find_installation(address);
  if (!installation) return installation.error();
  std::ifstream file(installation->redis_url_file());
  if (std::string url; file && std::getline(file, url) && !url.empty()) return url;
  return "unix://" + installation->redis_socket();
}

Result<RedisSync> connect_redis(const Address& address) {
  const auto url = redis_url(address);
  if (!url) return url.error();
  const auto options = parse_redis_url(*url);
  if (!options) return fatal(options.error().message);
  auto redis = RedisSync::connect(*options);
  if (!redis) return explained(redis.error(), address, !address.redis.empty());
  return redis;
}

Result<std::string> find_program(const std::string& name) {
  const std::string path = own_directory() + "/" + name;
  if (access(path.c_str(), X_OK) == 0) return path;
  return fatal(
      fmt::format("{} is missing; it belongs beside this program, in {}", name, own_directory()));
}

std::vector<std::string> shipped_functions(const std::string& group) {
  const std::string bin = own_directory();
  // The build tree first, then an installation, with and without Debian's multiarch folder.
  std::vector<fs::path> candidates{bin + "/../" + group, bin + "/../lib/fanfare/" + group};
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(bin + "/../lib", error)) {
    candidates.push_back(entry.path() / "fanfare" / group);
  }
  for (const auto& candidate : candidates) {
    std::vector<std::string> folders;
    for (const auto& entry : fs::directory_iterator(candidate, error)) {
      if (fs::exists(entry.path() / "function.toml", error)) {
        folders.push_back(fs::weakly_canonical(entry.path(), error).string());
      }
    }
    std::sort(folders.begin(), folders.end());
    if (!folders.empty()) return folders;
  }
  return {};
}

}  // namespace fanfare::cli
