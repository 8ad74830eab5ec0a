// A program's settings: from their defaults, a TOML file and the environment, in that order.
//
// A program lists its settings once, each with its default and its explanation, bound to the struct
// that it reads them from. Loading, FANFARE_<SECTION>_<KEY> overrides, `config show --origin`, the
// sample file and every error message follow from that list. A key that nobody knows stops the
// program and names the nearest one that is known: a typo never hides.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace fanfare {

enum class ConfigType { kText, kInteger, kFlag, kDuration, kSize, kTextList };

struct ConfigRow {
  std::string section, key;
  ConfigType type = ConfigType::kText;
  std::string default_text;  // in the form the environment would give it; lists: comma-separated
  std::string doc;           // for the sample; may have several lines
  // Checks the value's range and puts it into the program's struct; the error is the reason only.
  std::function<Result<void>(const std::string& text)> set;
  std::function<Result<void>(const std::vector<std::string>& items)> set_list;  // of kTextList
};

// The settings of one program. Targets must outlive the spec and stay where they are.
//
//   BrokerOptions options;
//   ConfigSpec spec;
//   spec.text("broker", "endpoint", &options.endpoint, "ipc:///run/fanfare/broker.ipc", "Where …");
//   spec.duration("broker", "lease", &options.lease, "30s", "How long …", {.min = 1s, .max = 1h});
class ConfigSpec {
 public:
  struct DurationRange {
    Duration min{};
    Duration max = std::chrono::hours{24 * 366 * 100};
  };
  struct IntegerRange {
    std::int64_t min = 0;
    std::int64_t max = INT64_MAX;
  };
  struct SizeRange {
    std::uint64_t min = 0;
    std::uint64_t max = UINT64_MAX;
  };

  void text(std::string section, std::string key, std::string* target, std::string default_text,
            std::string doc);
  // A text that must be one of `choices`; the doc line names them.
  void choice(std::string section, std::string key, std::string* target, std::string default_text,
              std::string doc, std::vector<std::string> choices);
  void integer(std::string section, std::string key, std::int64_t* target,
               std::int64_t default_value, std::string doc, IntegerRange range);
  void integer(std::string section, std::string key, std::uint32_t* target,
               std::uint32_t default_value, std::string doc, IntegerRange range);
  void flag(std::string section, std::string key, bool* target, bool default_value,
            std::string doc);
  void duration(std::string section, std::string key, Duration* target, std::string default_text,
                std::string doc, DurationRange range);
  void size(std::string section, std::string key, std::uint64_t* target, std::string default_text,
            std::string doc, SizeRange range);
  void list(std::string section, std::string key, std::vector<std::string>* target,
            std::string default_text, std::string doc);

  // The line that the sample prints above a section.
  void describe_section(std::string section, std::string doc);

  const std::vector<ConfigRow>& rows() const { return rows_; }
  const std::map<std::string, std::string>& section_docs() const { return section_docs_; }

 private:
  ConfigRow& add(std::string section, std::string key, ConfigType type, std::string default_text,
                 std::string doc);
  std::vector<ConfigRow> rows_;
  std::map<std::string, std::string> section_docs_;
};

struct ConfigSetting {
  std::string section, key;
  std::string value;   // as text
  std::string origin;  // "default", "FILE:LINE" or "environment"
};

// The value as it may be shown: passwords in URLs, and all of what is secret by its name (…_secret,
// …_token, …_password, …_key), as "***".
std::string shown_value(const ConfigSetting& setting);

using Environment = std::map<std::string, std::string>;
Environment current_environment();

struct ConfigSource {
  std::string file;  // empty = none
  // Sections of other programs that the same file may hold; their keys are not looked at.
  std::vector<std::string> other_sections;
  Environment environment;
};

// Fills the spec's targets, defaults first. Rejects, with file, line and column or the variable's
// name: unreadable file, bad TOML, unknown section or key (naming the nearest), wrong type, value
// out of range, FANFARE_<SECTION>_… of a known section without such a key. Returns where each value
// came from, in the spec's order.
Result<std::vector<ConfigSetting>> load_config(const ConfigSpec& spec, const ConfigSource& source);
// The same from a text instead of source.file, whose name is then only used in messages.
Result<std::vector<ConfigSetting>> load_config_text(const ConfigSpec& spec,
                                                    const ConfigSource& source,
                                                    std::string_view toml);

// A commented TOML file that loads to exactly the defaults.
std::string sample_config(const ConfigSpec& spec);

}  // namespace fanfare
