#include "settings.h"

#include <fanfare/function.h>

#include "signature.h"

namespace notify {
namespace {

std::string_view text_of(const char* variable) {
  return fanfare::Context::env(variable).value_or("");
}

bool says_yes(const char* variable) {
  const std::string_view value = text_of(variable);
  if (value == "yes") return true;
  if (value.empty() || value == "no") return false;
  throw fanfare::Failure{
      "ConfigError", std::string(variable) + " is '" + std::string(value) + "'; it is yes or no"}
      .retryable(false);
}

}  // namespace

Settings settings_of_environment() {
  return {.url = text_of("WEBHOOK_URL"),
          .text = text_of("NOTIFY_TEMPLATE"),
          .secrets = secrets_in(text_of("WEBHOOK_SECRET")),
          .format = format_called(text_of("NOTIFY_FORMAT")),
          .url_from_data = says_yes("WEBHOOK_URL_FROM_DATA")};
}

Webhook::Private private_addresses_of_environment() {
  return says_yes("WEBHOOK_ALLOW_PRIVATE") ? Webhook::Private::kAllowed
                                           : Webhook::Private::kRefused;
}

}  // namespace notify
