#include "cli/client_settings.h"

#include <cstdlib>
#include <filesystem>

#include "base/zmq_endpoint.h"

namespace fanfare::cli {
namespace {

void fill(std::string& target, const std::string& value) {
  if (target.empty()) target = value;
}

// As `find_installation` looks for one, without the services of this machine.
bool has_an_installation(const Address& address) {
  if (names_installation(address)) return true;
  std::error_code unknown;
  return std::filesystem::exists(kDefaultDataDir, unknown);
}

}  // namespace

ConfigSpec client_spec(ClientSettings& s) {
  ConfigSpec spec;
  spec.describe_section("client", "fanfare: the broker that commands are for");
  spec.text("client", "broker", &s.broker, "", "tcp://host:port of a broker elsewhere.");
  spec.text("client", "broker_key", &s.broker_key, "", "Its public key, or a file with it.");
  spec.text("client", "curve_secret_key_file", &s.curve_secret_key_file, "",
            "File with your secret key: `ops/keys add NAME --role publisher,operator` there.");
  spec.text("client", "redis", &s.redis, "",
            "redis://host:port of its Redis, for verbs that look into it.");
  return spec;
}

std::string client_settings_file() {
  const char* config = std::getenv("XDG_CONFIG_HOME");
  if (config && *config == '/') return std::string(config) + "/fanfare/client.toml";
  const char* home = std::getenv("HOME");
  return home && *home ? std::string(home) + "/.config/fanfare/client.toml" : std::string{};
}

Result<Address> with_client_settings(const Address& given) {
  ClientSettings settings;
  const ConfigSpec spec = client_spec(settings);
  ConfigSource source{.file = client_settings_file(),
                      .other_sections = {"broker", "worker", "triggers", "autoscaler"},
                      .environment = current_environment()};
  std::error_code unknown;
  if (!std::filesystem::exists(source.file, unknown)) source.file.clear();
  if (const auto loaded = load_config(spec, source); !loaded) return loaded.error();

  Address address = given;
  if (!has_an_installation(given) && !settings.broker.empty()) {
    address.broker = settings.broker;
    fill(address.redis, settings.redis);
  }
  if (!address.broker.empty() && !is_local(address.broker)) {
    fill(address.broker_key, settings.broker_key);
    fill(address.key_file, settings.curve_secret_key_file);
  }
  return address;
}

}  // namespace fanfare::cli
