// What an outbound webhook is: a function of the shipped handler `notify`, with a manifest that is
// made from this. No I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace fanfare::cli {

inline constexpr std::size_t kWebhookUrlBytesMax = 2048;

struct WebhookDefinition {
  std::string name, url;
  std::vector<std::string> patterns;  // JSON; none: reached as a destination or a subscriber only
  std::string format = "event";       // event | cloudevents | cloudevents-binary | sns
  std::vector<std::string> secrets;   // "whsec_…" in the manifest, the newest first
  std::string secret_file;            // instead: a file on the workers' hosts
  bool allow_private = false;
  Duration timeout = std::chrono::seconds{20};
  std::uint32_t concurrency = 4;
  std::string retry = "webhook";  // a profile
  bool operator==(const WebhookDefinition&) const = default;

  bool is_signed() const { return !secrets.empty() || !secret_file.empty(); }
};

// kFatal, with what to write instead: a name, a URL or a pattern that is none.
Result<void> check(const WebhookDefinition& definition);

// A pattern as --on takes it: its JSON, or, shorter, a type of events in which each * stands for
// any text. kFatal if it is neither.
Result<std::string> pattern_of_word(const std::string& word);

// function.toml, with a first line that says whose it is.
std::string manifest_of(const WebhookDefinition& definition);

// Nothing if the manifest is not one that manifest_of has made.
std::optional<WebhookDefinition> webhook_of(const std::string& name, std::string_view manifest);

// A URL that may be shown: its scheme, host and port, with … for the rest, all of which may be
// secrets: passwords, paths as of Slack's, queries. Of what is no URL, "…".
std::string shown_url(std::string_view url);

// "whsec_" and base64 of 32 random bytes.
std::string new_webhook_secret();

}  // namespace fanfare::cli
