#include "triggers/definitions.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/nearest.h"
#include "protocol/ids.h"
#include "triggers/definition_keys.h"
#include "triggers/schedule_json.h"
#include "triggers/upload_folder.h"

namespace fanfare::triggers {
namespace {

class Reader {
 public:
  Reader(const toml::table& root, std::string_view file) : root_(root), file_(file) {}

  Result<Definitions> read() {
    for (const auto& [name, node] : root_) {
      if (name.str() == "forms") {
        const auto read = read_kind(node, "forms", form_keys(), definitions_.forms);
        if (!read) return read.error();
      } else if (name.str() == "urls") {
        const auto read = read_kind(node, "urls", url_keys(), definitions_.urls);
        if (!read) return read.error();
      } else if (name.str() == "webhooks") {
        if (const auto read = read_webhooks(node); !read) return read.error();
      } else if (name.str() == "schedules") {
        if (const auto read = read_schedules(node); !read) return read.error();
      } else if (name.str() == "topics") {
        if (const auto read = read_topics(node); !read) return read.error();
      } else if (name.str() == "buckets") {
        const auto read = read_kind(node, "buckets", bucket_keys(), definitions_.buckets);
        if (!read) return read.error();
      } else {
        return unknown(std::string{name.str()}, name.source(),
                       {"forms", "urls", "webhooks", "topics", "schedules", "buckets"});
      }
    }
    if (const auto checked = check_buckets_of_forms(); !checked) return checked.error();
    return std::move(definitions_);
  }

 private:
  Error wrong(const toml::source_region& where, const std::string& what) const {
    return reject(fmt::format("{}:{}:{}: {}", file_, where.begin.line, where.begin.column, what));
  }
  Error unknown(const std::string& key, const toml::source_region& where,
                const std::vector<std::string>& known) const {
    const std::string near = nearest(key, known);
    return wrong(where, "unknown key " + key +
                            (near.empty() ? std::string{} : "; did you mean " + near + "?"));
  }

  template <typename Definition, typename Map>
  Result<void> read_kind(const toml::node& node, const std::string& kind,
                         std::span<const DefinitionKey<Definition>> keys, Map& into) {
    const toml::table* const all = node.as_table();
    if (!all) return wrong(node.source(), fmt::format("write [{}.NAME]", kind));
    for (const auto& [name, each] : *all) {
      const std::string called{name.str()};
      const toml::table* const table = each.as_table();
      if (!table) return wrong(name.source(), fmt::format("write [{}.{}]", kind, called));
      if (called != "*" && !protocol::is_function_name(called)) {
        return wrong(name.source(), fmt::format("the name \"{}\" must be 1 to 64 of a-z, A-Z, 0-9, "
                                                "- and _, or \"*\"",
                                                called));
      }
      Definition definition;
      for (const auto& [key, value] : *table) {
        const auto row =
            std::ranges::find_if(keys, [&wanted = key](const DefinitionKey<Definition>& known) {
              return wanted.str() == known.name;
            });
        if (row == keys.end()) {
          std::vector<std::string> known;
          for (const auto& one : keys) known.emplace_back(one.name);
          return unknown(std::string{key.str()}, key.source(), known);
        }
        if (const auto read = row->read(value, definition); !read) {
          return wrong(value.source(), fmt::format("{} {}", row->name, read.error().message));
        }
      }
      into.emplace(called, std::move(definition));
    }
    return {};
  }

  Result<void> read_topics(const toml::node& node) {
    const auto read = read_kind(node, "topics", topic_keys(), definitions_.topics);
    if (!read) return read.error();
    const auto all = definitions_.topics.find("*");
    if (all == definitions_.topics.end() || all->second.subscriptions.empty()) return {};
    return wrong(node.source(),
                 "topics.\"*\" has no subscriptions: a function gets what is published to all "
                 "topics by a pattern of its manifest, {\"type\": [\"notification.published\"]}");
  }

  // What forms put into a bucket before it is whole is not for its watcher.
  Result<void> check_buckets_of_forms() {
    for (const auto& [name, form] : definitions_.forms) {
      if (form.bucket.empty()) continue;
      const auto& where =
          root_.get_as<toml::table>("forms")->get_as<toml::table>(name)->get("bucket");
      const auto bucket = definitions_.buckets.find(form.bucket);
      if (bucket == definitions_.buckets.end() || form.bucket == "*") {
        return wrong(where->source(), fmt::format("bucket {0} is not defined; write [buckets.{0}] "
                                                  "with its directory",
                                                  form.bucket));
      }
      StorageBucketOptions& options = bucket->second;
      if (!options.directory.starts_with('/')) {
        return wrong(where->source(),
                     fmt::format("bucket {} needs a directory, an absolute path", form.bucket));
      }
      if (!std::ranges::count(options.ignore, kUploadsDirectory)) {
        options.ignore.emplace_back(kUploadsDirectory);
      }
    }
    return {};
  }

  Result<void> read_webhooks(const toml::node& node) {
    std::map<std::string, WebhookText> texts;
    const auto read = read_kind(node, "webhooks", webhook_keys(), texts);
    if (!read) return read.error();
    for (auto& [name, text] : texts) {
      if (name == "*") return wrong(node.source(), "webhooks have a name each, not \"*\"");
      const auto& where = node.as_table()->get(name)->source();
      if (text.secrets.empty()) return wrong(where, name + ": secrets is missing");
      for (const std::string& secret : text.secrets) {
        auto key = webhook_key(text.definition.scheme, secret);
        if (!key) return wrong(where, fmt::format("{}: {}", name, key.error().message));
        text.definition.keys.push_back(*std::move(key));
      }
      definitions_.webhooks.emplace(name, std::move(text.definition));
    }
    return {};
  }

  Result<void> read_schedules(const toml::node& node) {
    std::map<std::string, ScheduleText> texts;
    const auto read = read_kind(node, "schedules", schedule_keys(), texts);
    if (!read) return read.error();
    for (auto& [name, text] : texts) {
      const auto& where = node.as_table()->get(name)->source();
      text["name"] = name;
      auto schedule = schedule_from_json(
          text.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
      if (!schedule) return wrong(where, fmt::format("{}: {}", name, schedule.error().message));
      if (const auto fine = check(*schedule); !fine) {
        return wrong(where, fmt::format("{}: {}", name, fine.error().message));
      }
      definitions_.schedules.push_back(*std::move(schedule));
    }
    return {};
  }

  const toml::table& root_;
  std::string file_;
  Definitions definitions_;
};

template <typename Definition>
void append_sample(std::string& text, std::span<const DefinitionKey<Definition>> keys) {
  for (const auto& key : keys) {
    std::istringstream lines(key.doc);
    for (std::string line; std::getline(lines, line);) text += "# " + line + "\n";
    text += fmt::format("{} = {}\n", key.name, key.sample);
  }
}

// For what would do something as it stands, or could not stand: a secret of nobody's.
template <typename Definition>
void append_not_in_force(std::string& text, const char* header,
                         std::span<const DefinitionKey<Definition>> keys) {
  std::string sample = std::string{header} + "\n";
  append_sample(sample, keys);
  std::istringstream lines(sample);
  for (std::string line; std::getline(lines, line);) text += "# " + line + "\n";
}

}  // namespace

Result<Definitions> parse_definitions(std::string_view text, std::string_view file) {
  try {
    const toml::table root = toml::parse(text, file);
    auto definitions = Reader(root, file).read();
    if (!definitions) return definitions;
    if (auto fits = check_fits(definitions->topics); !fits) {
      return reject(fmt::format("{}: {}", file, fits.error().message));
    }
    return definitions;
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    return reject(fmt::format("{}:{}:{}: {}", file, at.line, at.column, error.description()));
  }
}

Result<Definitions> read_definitions(const std::string& file) {
  std::ifstream in(file);
  if (!in) return reject(fmt::format("{} cannot be read", file));
  std::ostringstream text;
  text << in.rdbuf();
  return parse_definitions(text.str(), file);
}

std::string sample_definitions() {
  std::string text =
      "# What becomes events, and how: read by fanfare-triggers when it starts.\n\n"
      "# POST /forms/contact; [forms.\"*\"] stands for all forms that are not named.\n"
      "[forms.contact]\n";
  append_sample(text, form_keys());
  text +=
      "\n# /functions/wordcount and what is below it: the function answers HTTP requests itself.\n"
      "# [urls.\"*\"] stands for all functions that are not named.\n[urls.wordcount]\n";
  append_sample(text, url_keys());
  text += "\n# POST /webhooks/payments: what another service tells, signed. Without the \"#\":\n";
  append_not_in_force(text, "[webhooks.payments]", webhook_keys());
  text += "\n# Events at times: docs/schedules.md. Without the \"#\":\n";
  append_not_in_force(text, "[schedules.nightly]", schedule_keys());
  text +=
      "\n# POST /topics/orders; [topics.\"*\"] stands for all topics that nobody has defined.\n"
      "[topics.orders]\n";
  append_sample(text, topic_keys());
  text +=
      "\n# Files that come to, change in and go from a directory: "
      "docs/storage.md\n[buckets.photos]\n";
  append_sample(text, bucket_keys());
  return text;
}

}  // namespace fanfare::triggers
