#include "protocol/manifest.h"

#include <chrono>

#include "base/nearest.h"
#include "protocol/ids.h"
#include "protocol/manifest_settings.h"

namespace fanfare::protocol {
namespace {

constexpr std::size_t kManifestBytesMax = 1 << 20;
constexpr std::size_t kPatternsMax = 100;
constexpr std::size_t kEnvironmentMax = 1000;

std::string print_list(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
  return text.empty() ? "none" : text;
}

RetryPolicy profile_policy(const std::string& profile) {
  using namespace std::chrono_literals;
  if (profile == "lambda") return {profile, 3, 1min, 2min, 6h};
  // Standard Webhooks: at once, 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h later; see
  // broker/retry.
  if (profile == "webhook") return {profile, 10, 5s, 24h, 96h};
  if (profile == "none") return {profile, 1, 1s, 5min, 24h};
  return {profile, 10, 1s, 5min, 24h};
}

// Walks one manifest; the first thing wrong ends it.
class Reader {
 public:
  Reader(const toml::table& root, std::string_view file) : root_(root), file_(file) {}

  Result<Manifest> read(std::string_view default_name) {
    manifest_.name = default_name;
    for (const Setting& setting : manifest_settings()) manifest_.origin[setting.key] = "default";
    manifest_.origin["on"] = manifest_.origin["env"] = "default";
    if (auto read = read_profile(); !read) return read.error();
    if (auto read = read_table(root_, ""); !read) return read.error();
    if (auto checked = settle(); !checked) return checked.error();
    return std::move(manifest_);
  }

 private:
  Error wrong(const toml::source_region& where, const std::string& what) const {
    return reject(file_ + ":" + std::to_string(where.begin.line) + ":" +
                  std::to_string(where.begin.column) + ": " + what);
  }

  // The profile is read before everything else, since it sets what single keys then override.
  Result<void> read_profile() {
    const toml::node* node = root_.at_path("retry.profile").node();
    if (node == nullptr) return {};
    if (auto read = read_setting("retry.profile", *node); !read) return read;
    manifest_.retry = profile_policy(manifest_.retry.profile);
    for (const char* key : {"retry.max_attempts", "retry.base", "retry.cap", "retry.max_age"}) {
      manifest_.origin[key] = "profile";
    }
    return {};
  }

  Result<void> read_setting(const std::string& key, const toml::node& node) {
    for (const Setting& setting : manifest_settings()) {
      if (key != setting.key) continue;
      if (auto read = setting.read(node, manifest_); !read) {
        return wrong(node.source(), key + " " + read.error().message);
      }
      manifest_.origin[key] = "manifest";
      return {};
    }
    return unknown(key, node.source());
  }

  Result<void> unknown(const std::string& key, const toml::source_region& where) const {
    std::vector<std::string> known{"on", "on.pattern", "env"};
    for (const Setting& setting : manifest_settings()) known.push_back(setting.key);
    const std::string near = nearest(key, known);
    return wrong(where,
                 "unknown key " + key + (near.empty() ? "" : "; did you mean " + near + "?"));
  }

  Result<void> read_table(const toml::table& table, const std::string& prefix) {
    for (const auto& [key, node] : table) {
      if (auto read = read_member(prefix + std::string{key.str()}, key.source(), node); !read) {
        return read;
      }
    }
    return {};
  }

  Result<void> read_member(const std::string& key, const toml::source_region& where,
                           const toml::node& node) {
    if (key == "on") return read_patterns(node);
    if (key == "env") return read_environment(node);
    if (key == "batch" || key == "retry" || key == "result" || key == "store") {
      const toml::table* section = node.as_table();
      if (!section) return wrong(node.source(), key + " must be a table");
      return read_table(*section, key + ".");
    }
    for (const Setting& setting : manifest_settings()) {
      if (key == setting.key) return read_setting(key, node);
    }
    return unknown(key, where);
  }

  Result<void> read_patterns(const toml::node& node) {
    const toml::array* entries = node.as_array();
    if (!entries) return wrong(node.source(), "on must be written as [[on]] tables");
    if (entries->size() > kPatternsMax) return wrong(node.source(), "on has more than 100 entries");
    for (const toml::node& entry : *entries) {
      const toml::table* table = entry.as_table();
      if (!table) return wrong(entry.source(), "on must be written as [[on]] tables");
      for (const auto& [key, value] : *table) {
        if (key.str() != "pattern") return unknown("on." + std::string{key.str()}, key.source());
      }
      const toml::node* pattern = table->get("pattern");
      if (!pattern) return wrong(entry.source(), "on needs a pattern");
      auto text = pattern_of(*pattern);
      if (!text) return wrong(pattern->source(), "on.pattern " + text.error().message);
      manifest_.patterns.push_back(std::move(*text));
    }
    manifest_.origin["on"] = "manifest";
    return {};
  }

  Result<void> read_environment(const toml::node& node) {
    const toml::table* table = node.as_table();
    if (!table) return wrong(node.source(), "env must be a table");
    if (table->size() > kEnvironmentMax) return wrong(node.source(), "env has more than 1000 keys");
    for (const auto& [key, value] : *table) {
      const std::string name{key.str()};
      if (name.empty() || name.find_first_of(std::string_view{"=\0", 2}) != std::string::npos) {
        return wrong(key.source(), "env: names must not be empty nor contain '=' or a zero byte");
      }
      const auto text = text_of(value);
      if (!text) return wrong(value.source(), "env." + name + " " + text.error().message);
      if (text->find('\0') != std::string::npos) {
        return wrong(value.source(), "env." + name + " must not contain a zero byte");
      }
      manifest_.env.emplace_back(name, *text);
    }
    manifest_.origin["env"] = "manifest";
    return {};
  }

  // What needs several keys at once.
  Result<void> settle() {
    if (!is_function_name(manifest_.name)) {
      return reject(file_ + ": name is \"" + manifest_.name +
                    "\" after the folder, must be 1 to 64 of a-z, A-Z, 0-9, - and _");
    }
    if (manifest_.handler.empty()) {
      manifest_.handler = manifest_.runtime == "provided" ? "bootstrap" : manifest_.name + ".so";
    }
    if (manifest_.retry.cap < manifest_.retry.base) {
      return wrong(root_.at_path("retry").node()->source(), "retry.cap is below retry.base");
    }
    if (manifest_.max_concurrency != 0 && manifest_.provisioned > manifest_.max_concurrency) {
      return wrong(root_.get("provisioned")->source(), "provisioned is above max_concurrency");
    }
    if (manifest_.result_max_bytes == 0) manifest_.result_ttl = Duration{};
    return {};
  }

  const toml::table& root_;
  std::string file_;
  Manifest manifest_;
};

}  // namespace

Result<Manifest> parse_manifest(std::string_view toml, std::string_view file,
                                std::string_view default_name) {
  if (toml.size() > kManifestBytesMax)
    return reject(std::string{file} + ": a manifest has at most 1 MiB");
  try {
    const toml::table root = toml::parse(toml, file);
    return Reader{root, file}.read(default_name);
  } catch (const toml::parse_error& error) {
    return reject(std::string{file} + ":" + std::to_string(error.source().begin.line) + ":" +
                  std::to_string(error.source().begin.column) + ": " +
                  std::string{error.description()});
  }
}

std::vector<DescribedSetting> describe(const Manifest& manifest) {
  const auto origin = [&](const std::string& key) {
    const auto found = manifest.origin.find(key);
    return found == manifest.origin.end() ? std::string{"default"} : found->second;
  };
  std::vector<DescribedSetting> settings;
  settings.reserve(manifest_settings().size() + 2);
  for (const Setting& setting : manifest_settings()) {
    settings.push_back({setting.key, setting.print(manifest), origin(setting.key)});
  }
  std::vector<std::string> variables;  // names only: values may be secrets
  variables.reserve(manifest.env.size());
  for (const auto& [name, value] : manifest.env) variables.push_back(name);
  settings.push_back({"on", print_list(manifest.patterns), origin("on")});
  settings.push_back({"env", print_list(variables), origin("env")});
  return settings;
}

}  // namespace fanfare::protocol
