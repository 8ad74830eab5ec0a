// What the manifest's [env] says of a webhook; function.toml has the list.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "payload.h"
#include "webhook.h"

namespace notify {

struct Settings {
  std::string_view url, text;  // of the environment, which stays as it is
  std::vector<std::string_view> secrets;
  Format format = Format::kEvent;
  bool url_from_data = false;
};

// Both throw fanfare::Failure ConfigError, not retryable: a value that is none of those it may be.
Settings settings_of_environment();
Webhook::Private private_addresses_of_environment();

}  // namespace notify
