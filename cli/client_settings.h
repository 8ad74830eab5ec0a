// Which broker elsewhere `fanfare` talks to by itself: section [client] of a user's own
// ~/.config/fanfare/client.toml, FANFARE_CLIENT_<KEY> in the environment.
#pragma once

#include <string>

#include "base/config.h"
#include "base/result.h"
#include "cli/installation.h"

namespace fanfare::cli {

struct ClientSettings {
  std::string broker, broker_key, curve_secret_key_file, redis;
};

// Rows bound to `settings`, which must stay where it is.
ConfigSpec client_spec(ClientSettings& settings);

// $XDG_CONFIG_HOME/fanfare/client.toml, else ~/.config/fanfare/client.toml; empty without a home.
std::string client_settings_file();

// `given`, completed by these settings. A broker or a directory that was named by flag or by
// FANFARE_DATA, and a ./fanfare-data that is there, go before the settings' broker; its Redis comes
// with it. Keys that were not named are the settings' for any broker beyond this machine. kReject:
// settings that do not do.
Result<Address> with_client_settings(const Address& given);

}  // namespace fanfare::cli
