// A local installation in one directory, and where a command finds its broker and its Redis.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/daemon_arguments.h"
#include "base/redis_sync.h"
#include "base/result.h"
#include "client/blocking_client.h"

namespace fanfare::cli {

inline constexpr std::string_view kDefaultDataDir = "fanfare-data";

// The paths of an installation: all inside a data directory, or where the package puts them.
// `dir` is absolute.
struct Installation {
  std::string dir;
  bool is_system = false;       // the services of this machine
  std::string system_run = {};  // where their sockets are

  std::string run_dir() const { return is_system ? system_run : dir + "/run"; }
  std::string redis_dir() const { return dir + "/redis"; }
  std::string triggers_file() const { return dir + "/triggers.toml"; }
  std::string storage_dir() const { return dir + "/storage"; }
  std::string log_dir() const { return dir + "/log"; }
  std::string redis_socket() const { return run_dir() + "/redis.sock"; }
  std::string broker_endpoint() const { return "ipc://" + run_dir() + "/broker.ipc"; }
  std::string config_file() const {
    return is_system ? std::string(kDefaultConfigFile) : run_dir() + "/fanfare.toml";
  }
  std::string lock_file() const { return run_dir() + "/lock"; }
  // Holds the URL of a Redis that is not the installation's own; absent otherwise.
  std::string redis_url_file() const { return run_dir() + "/redis.url"; }
  std::string gateway_url_file() const { return run_dir() + "/gateway.url"; }  // if it has one
};

// What --data, --broker, --redis, --broker-key and --key-file name; empty = not given.
struct Address {
  std::string data, broker, redis;
  std::string broker_key = {}, key_file = {};  // for a broker elsewhere
};

// Begins what errors say to do about the services, on a line of its own.
inline constexpr std::string_view kServicesHint = "\nThe services of this machine";

// Where the package's services have their sockets and their data; tests put folders here.
struct SystemPlaces {
  std::string run = "/run/fanfare";
  std::string data = "/var/lib/fanfare";
};

// The data directory: --data, else FANFARE_DATA, else ./fanfare-data if it is there, else the
// services of this machine if they are installed, else ./fanfare-data all the same; absolute.
// kFatal if its sockets' paths would be too long for the kernel.
Result<Installation> find_installation(const Address& address, const SystemPlaces& system = {});
// The same without the services: what `up` may make its own.
Result<Installation> find_own_installation(const Address& address);
// Whether the caller named one, by flag or environment.
bool names_installation(const Address& address);

// Connected or able to connect; kReconnect, saying where, when nobody listens there.
Result<std::unique_ptr<client::BlockingClient>> connect_broker(const Address& address);
// The same as options for clients of one's own.
Result<client::ClientOptions> client_options(const Address& address);
Result<RedisSync> connect_redis(const Address& address);
Result<std::string> redis_url(const Address& address);

// A program of this package: beside this one. kFatal if it is not there.
Result<std::string> find_program(const std::string& name);
// Folders of functions that ship with this package, e.g. "functions" or "builtin"; empty if there
// are none.
std::vector<std::string> shipped_functions(const std::string& group);

}  // namespace fanfare::cli
