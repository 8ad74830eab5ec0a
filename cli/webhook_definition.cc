#include "cli/webhook_definition.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "protocol/base64.h"
#include "protocol/ids.h"
#include "protocol/manifest.h"
#include "protocol/pattern.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kMark = "# Made by `fanfare webhook add`, which also changes it.\n";

// JSON's texts are TOML's, but for DEL, which TOML wants escaped.
std::string toml_quoted(const std::string& text) {
  std::string quoted =
      ordered_json(text).dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  for (std::size_t at = 0; (at = quoted.find('\x7f', at)) != quoted.npos;) {
    quoted.replace(at, 1, "\\u007F");
  }
  return quoted;
}

std::string_view authority_in(std::string_view url) {
  url.remove_prefix(std::min(url.find("://") + 3, url.size()));
  return url.substr(0, url.find_first_of("/?#"));
}

// With its port.
std::string_view host_in(std::string_view url) {
  const std::string_view authority = authority_in(url);
  return authority.substr(authority.rfind('@') == authority.npos ? 0 : authority.rfind('@') + 1);
}

bool has_good_port(std::string_view host) {
  const std::size_t colon = host.find(':', host.starts_with('[') ? host.find(']') : 0);
  return colon == host.npos ||
         std::ranges::all_of(host.substr(colon + 1), [](char c) { return c >= '0' && c <= '9'; });
}

// What it is told does not stand in the errors: it may be a secret that is no URL.
Result<void> check_url(std::string_view url) {
  const bool http = url.starts_with("https://") || url.starts_with("http://");
  if (!http || host_in(url).empty()) {
    return fatal("--url is no address like https://example.org/hooks");
  }
  if (std::ranges::any_of(url, [](char c) { return c <= 0x20 || c >= 0x7f; })) {
    return fatal(
        "--url holds a blank, a control character or one that is not ASCII: write it as "
        "%XX");
  }
  if (!has_good_port(host_in(url))) {
    return fatal("--url has a port that is no number; a / in a password is written as %2F");
  }
  if (url.size() > kWebhookUrlBytesMax) {
    return fatal(
        fmt::format("--url has {} bytes, {} is the most", url.size(), kWebhookUrlBytesMax));
  }
  return {};
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

}  // namespace

Result<void> check(const WebhookDefinition& definition) {
  if (!protocol::is_function_name(definition.name)) {
    return fatal(
        fmt::format("'{}' is no name for a webhook, as it is a function's: 1 to 64 of "
                    "a-z, A-Z, 0-9, - and _",
                    definition.name));
  }
  if (auto url = check_url(definition.url); !url) return url.error();
  // The same rules as for any function: ranges, number and size of patterns.
  const auto manifest =
      protocol::parse_manifest(manifest_of(definition), "the webhook's manifest", definition.name);
  if (!manifest) return fatal(manifest.error().message);
  return {};
}

Result<std::string> pattern_of_word(const std::string& word) {
  std::string pattern = word;
  if (word.find_first_not_of(" \t\r\n") == word.npos) return fatal("--on: the pattern is empty");
  if (word[word.find_first_not_of(" \t\r\n")] != '{') {
    const bool wild = word.find('*') != word.npos;
    const ordered_json type = wild ? ordered_json{{"wildcard", word}} : ordered_json(word);
    pattern = ordered_json{{"type", ordered_json::array({type})}}.dump(
        -1, ' ', false, ordered_json::error_handler_t::replace);
  }
  const auto compiled = protocol::compile_pattern(pattern);
  if (!compiled) return fatal(fmt::format("--on {}: {}", word, compiled.error().message));
  return pattern;
}

std::string manifest_of(const WebhookDefinition& definition) {
  std::string toml{kMark};
  toml += fmt::format("name = {}\nhandler = \"notify.so\"\ntimeout = \"{}\"\n",
                      toml_quoted(definition.name), format_duration(definition.timeout));
  toml += fmt::format("max_concurrency = {}\n\n[retry]\nprofile = {}\n", definition.concurrency,
                      toml_quoted(definition.retry));
  for (const std::string& pattern : definition.patterns) {
    toml += fmt::format("\n[[on]]\npattern = {}\n", toml_quoted(pattern));
  }
  toml += fmt::format("\n[env]\nWEBHOOK_URL = {}\nNOTIFY_FORMAT = {}\n",
                      toml_quoted(definition.url), toml_quoted(definition.format));
  if (!definition.secret_file.empty()) {
    toml += fmt::format("WEBHOOK_SECRET_file = {}\n", toml_quoted(definition.secret_file));
  } else if (!definition.secrets.empty()) {
    toml += fmt::format("WEBHOOK_SECRET = \"{}\"\n", fmt::join(definition.secrets, " "));
  }
  if (definition.allow_private) toml += "WEBHOOK_ALLOW_PRIVATE = \"yes\"\n";
  return toml;
}

std::optional<WebhookDefinition> webhook_of(const std::string& name, std::string_view toml) {
  if (!toml.starts_with(kMark)) return std::nullopt;
  const auto manifest = protocol::parse_manifest(toml, "function.toml", name);
  if (!manifest) return std::nullopt;
  WebhookDefinition definition{.name = name,
                               .patterns = manifest->patterns,
                               .timeout = manifest->timeout,
                               .concurrency = manifest->max_concurrency,
                               .retry = manifest->retry.profile};
  for (const auto& [variable, value] : manifest->env) {
    if (variable == "WEBHOOK_URL") definition.url = value;
    if (variable == "NOTIFY_FORMAT") definition.format = value;
    if (variable == "WEBHOOK_SECRET") definition.secrets = words_of(value);
    if (variable == "WEBHOOK_SECRET_file") definition.secret_file = value;
    if (variable == "WEBHOOK_ALLOW_PRIVATE") definition.allow_private = value == "yes";
  }
  return definition;
}

std::string shown_url(std::string_view url) {
  const std::size_t mark = url.find("://");
  if (mark == url.npos) return "…";
  const std::string_view scheme = url.substr(0, mark + 3);
  const std::string_view authority = authority_in(url);
  const std::string_view rest = url.substr(scheme.size() + authority.size());
  const std::string_view host = host_in(url);
  return fmt::format("{}{}{}{}", scheme, host.size() == authority.size() ? "" : "…@", host,
                     rest.empty() || rest == "/" ? rest : "/…");
}

std::string new_webhook_secret() {
  std::string bytes(32, '\0');
  std::size_t got = 0;
  while (got < bytes.size()) {  // a signal may cut it short
    const ssize_t more = ::getrandom(bytes.data() + got, bytes.size() - got, 0);
    if (more > 0) got += static_cast<std::size_t>(more);
  }
  return "whsec_" + protocol::to_base64(bytes);
}

}  // namespace fanfare::cli
